//! Where an authority publishes its revocation lists: a small HTTP server on loopback.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What a place answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// These bytes with status 200 and their length.
    List(Vec<u8>),
    /// The same in chunks.
    Chunked(Vec<u8>),
    /// The same without a length, up to the end of the connection.
    UntilClosed(Vec<u8>),
    /// These bytes instead of a response.
    Raw(Vec<u8>),
    /// Nothing, while the connection stays open.
    Silence,
}

/// The server; it stops when it is dropped.
#[derive(Debug)]
pub struct DistributionPoint {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct State {
    answers: BTreeMap<String, Answer>,
    requests: Vec<String>,
}

impl DistributionPoint {
    /// Starts a server that answers 404 to everything.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, shared.clone()));
            }
        });
        DistributionPoint { address, state, _tasks: tasks }
    }

    /// The URL of a path (with its slash).
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Publishes something.
    pub fn publish(&self, path: &str, answer: Answer) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.answers.insert(path.to_owned(), answer);
    }

    /// The paths that were asked for, in order.
    pub fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).requests.clone()
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_buf(&mut request).await {
            Ok(count) if count > 0 => {}
            _ => return,
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let answer = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.requests.push(path.clone());
        state.answers.get(&path).cloned()
    };
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/pkix-crl\r\n";
    let bytes = match answer {
        None => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
        Some(Answer::List(list)) => {
            [format!("{head}Content-Length: {}\r\n\r\n", list.len()).into_bytes(), list].concat()
        }
        Some(Answer::Chunked(list)) => {
            let mut bytes = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
            for chunk in list.chunks(100) {
                bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
                bytes.extend(chunk);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n\r\n");
            bytes
        }
        Some(Answer::UntilClosed(list)) => [format!("{head}\r\n").into_bytes(), list].concat(),
        Some(Answer::Raw(bytes)) => bytes,
        Some(Answer::Silence) => {
            // Until the client leaves.
            let _ = stream.read_to_end(&mut Vec::new()).await;
            return;
        }
    };
    // A client that has read enough may be gone.
    let _ = stream.write_all(&bytes).await;
    let _ = stream.shutdown().await;
}
