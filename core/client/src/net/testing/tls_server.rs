//! TLS servers, and what is not one, for the tests: on 127.0.0.1, ended with their handle.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{HandshakeKind, ServerConfig, SupportedProtocolVersion, version};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What a server does with a connection.
#[derive(Clone)]
pub enum Behaviour {
    Tls(Arc<ServerConfig>),
    /// As a border controller does that expects a ClientHello in one segment: it closes the connection.
    DropsLargeHello(Arc<ServerConfig>),
    /// As a firewall does that loses the second segment: nothing comes back.
    IgnoresLargeHello(Arc<ServerConfig>),
    /// Sends what it says first in the handshake, and closes.
    LeavesAfterFirstFlight(Arc<ServerConfig>),
    /// Sends these bytes, then waits for the client to leave.
    Says(&'static [u8]),
    Silent,
    Closes,
}

/// How a connection went, told when it has ended.
#[derive(Debug)]
pub struct Outcome {
    /// The first TLS record that came.
    pub hello: Vec<u8>,
    /// How the handshake ended, or why it did not.
    pub handshake: Result<HandshakeKind, String>,
    /// What the client sent above TLS.
    pub received: Vec<u8>,
}

pub struct Server {
    pub address: SocketAddr,
    outcomes: UnboundedReceiver<Outcome>,
    _tasks: JoinSet<()>,
}

impl Server {
    pub async fn start(behaviour: Behaviour) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, outcomes) = unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, behaviour.clone(), sender.clone()));
            }
        });
        Server { address, outcomes, _tasks: tasks }
    }

    /// The outcome of the next connection that ends.
    pub async fn outcome(&mut self) -> Outcome {
        self.outcomes.recv().await.unwrap()
    }

    /// Whether no further connection has ended.
    pub fn is_quiet(&mut self) -> bool {
        self.outcomes.try_recv().is_err()
    }
}

async fn serve(mut stream: TcpStream, behaviour: Behaviour, sender: UnboundedSender<Outcome>) {
    let hello = peek_record(&stream).await;
    let large = hello.len() > 1_400;
    let mut outcome = Outcome { hello, handshake: Err("none".into()), received: Vec::new() };
    match behaviour {
        Behaviour::DropsLargeHello(_) if large => {}
        Behaviour::IgnoresLargeHello(_) if large => {
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
        Behaviour::LeavesAfterFirstFlight(config) => {
            let mut connection = rustls::ServerConnection::new(config).unwrap();
            connection.read_tls(&mut outcome.hello.as_slice()).unwrap();
            connection.process_new_packets().unwrap();
            let mut flight = Vec::new();
            connection.write_tls(&mut flight).unwrap();
            // What was peeked is taken out: closing a socket with unread bytes would reset the connection.
            stream.read_exact(&mut vec![0; outcome.hello.len()]).await.unwrap();
            stream.write_all(&flight).await.unwrap();
        }
        Behaviour::Tls(config)
        | Behaviour::DropsLargeHello(config)
        | Behaviour::IgnoresLargeHello(config) => {
            match TlsAcceptor::from(config).accept(stream).await {
                Ok(mut stream) => {
                    outcome.handshake = Ok(stream.get_ref().1.handshake_kind().unwrap());
                    // A client that vanishes without close_notify is no fault here.
                    let _ = stream.write_all(b"welcome").await;
                    let _ = stream.read_to_end(&mut outcome.received).await;
                }
                Err(error) => outcome.handshake = Err(error.to_string()),
            }
        }
        Behaviour::Says(bytes) => {
            stream.write_all(bytes).await.unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
        Behaviour::Silent => {
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
        Behaviour::Closes => {}
    }
    let _ = sender.send(outcome);
}

/// The first record, left in the socket.
async fn peek_record(stream: &TcpStream) -> Vec<u8> {
    let mut buffer = vec![0; 20_000];
    loop {
        let seen = stream.peek(&mut buffer).await.unwrap_or(0);
        if seen == 0 {
            return Vec::new();
        }
        if seen >= 5 && seen >= 5 + usize::from(u16::from_be_bytes([buffer[3], buffer[4]])) {
            buffer.truncate(seen);
            return buffer;
        }
        tokio::task::yield_now().await;
    }
}

pub static BOTH: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];
pub static ONLY_13: &[&SupportedProtocolVersion] = &[&version::TLS13];
pub static ONLY_12: &[&SupportedProtocolVersion] = &[&version::TLS12];

/// What differs between servers.
pub struct Setup {
    pub versions: &'static [&'static SupportedProtocolVersion],
    pub post_quantum: bool,
    pub alpn: &'static [&'static [u8]],
    /// Client certificates must come from this root.
    pub client_root: Option<CertificateDer<'static>>,
}

impl Default for Setup {
    fn default() -> Self {
        Setup { versions: BOTH, post_quantum: true, alpn: &[], client_root: None }
    }
}

#[derive(Debug)]
struct OneKey(Arc<CertifiedKey>);

impl ResolvesServerCert for OneKey {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

impl Setup {
    /// The key need not belong to the certificate.
    pub fn config(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Arc<ServerConfig> {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        if !self.post_quantum {
            provider.kx_groups.retain(|group| !format!("{:?}", group.name()).contains("MLKEM"));
        }
        let key = provider.key_provider.load_private_key(key).unwrap();
        let provider = Arc::new(provider);
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(self.versions)
            .unwrap();
        let builder = match &self.client_root {
            Some(root) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(root.clone()).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let resolver = OneKey(Arc::new(CertifiedKey::new(chain, key)));
        let mut config = builder.with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = self.alpn.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    }
}
