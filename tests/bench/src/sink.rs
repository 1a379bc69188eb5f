//! A bare TLS sink: it takes every request for good, looks at no more of it than an answer repeats, and costs as little as a
//! server can.

use aldis_pki::{Ca, Template};
use memchr::memmem::find;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;

/// Largest request that is taken.
const LARGEST: usize = 1 << 16;

/// A sink that is about to serve.
pub struct Sink {
    listener: TcpListener,
    tls: TlsAcceptor,
    /// The authority that clients are to trust, in PEM.
    pub root_pem: String,
}

impl Sink {
    /// Listens on 127.0.0.1, with a certificate for `domain`.
    ///
    /// # Errors
    /// A sentence if that does not work.
    pub async fn start(domain: &str) -> Result<Sink, String> {
        let words = |error: &dyn std::fmt::Display| error.to_string();
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| words(&error))?;
        let now = i64::try_from(since.as_secs()).map_err(|error| words(&error))?;
        let authority = Ca::new("sink", now).map_err(|error| words(&error))?;
        let issued = authority.issue(Template::server(domain)).map_err(|error| words(&error))?;
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| words(&error))?
            .with_no_client_auth()
            .with_single_cert(issued.chain(), issued.key())
            .map_err(|error| words(&error))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|error| words(&error))?;
        Ok(Sink { listener, tls: TlsAcceptor::from(Arc::new(config)), root_pem: authority.root_pem() })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system does not tell it.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves for ever.
    pub async fn serve(self) {
        while let Ok((tcp, _)) = self.listener.accept().await {
            let tls = self.tls.clone();
            // What fails is seen by the client.
            tokio::spawn(async move { drop(connection(tcp, tls).await) });
        }
    }
}

async fn connection(tcp: TcpStream, tls: TlsAcceptor) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let mut stream = tls.accept(tcp).await?;
    let (mut input, mut output) = (Vec::with_capacity(LARGEST), Vec::with_capacity(LARGEST));
    loop {
        if stream.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
        let mut taken = 0;
        while let Some(length) = answer(input.get(taken..).unwrap_or_default(), &mut output) {
            taken += length;
        }
        input.drain(..taken);
        if input.len() > LARGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        stream.write_all(&output).await?;
        stream.flush().await?;
        output.clear();
    }
}

/// Answers the first request, if it is there as a whole; gives its length.
fn answer(input: &[u8], output: &mut Vec<u8>) -> Option<usize> {
    if input.starts_with(b"\r\n") {
        // A ping of RFC 5626 and its pong; a lone line end is answered by none.
        if input.starts_with(b"\r\n\r\n") {
            output.extend_from_slice(b"\r\n");
            return Some(4);
        }
        return (input.len() > 2).then_some(2);
    }
    let head = input.get(..find(input, b"\r\n\r\n")? + 2)?;
    let lines = || head.split_inclusive(|byte| *byte == b'\n');
    let body = lines().find_map(|line| line.strip_prefix(b"Content-Length:")).unwrap_or_default();
    let digits = body.iter().filter(|byte| byte.is_ascii_digit());
    let length = head.len() + 2 + digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
    if input.len() < length {
        return None;
    }
    output.extend_from_slice(b"SIP/2.0 200 OK\r\n");
    for line in lines() {
        match line.split(|byte| *byte == b':').next().unwrap_or_default() {
            b"Via" | b"From" | b"Call-ID" | b"CSeq" | b"Contact" => output.extend_from_slice(line),
            b"To" => {
                output.extend_from_slice(line.strip_suffix(b"\r\n").unwrap_or(line));
                output.extend_from_slice(b";tag=sink\r\n");
            }
            _ => {}
        }
    }
    output.extend_from_slice(b"Expires: 3600\r\nContent-Length: 0\r\n\r\n");
    Some(length)
}
