//! One TLS connection from its acceptance to its end.

use crate::core::{Core, LinkEnd, Out};
use crate::entry::{ClosedBy, ConnectionId, What};
use crate::faults::Fault;
use crate::options::{HANDSHAKE_TIMEOUT, WRITE_TIMEOUT};
use crate::tls::TlsFacts;
use rustls::ServerConfig;
use rustls::server::Acceptor;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

/// Bytes read at once.
const READ: usize = 16 * 1024;

/// Clears up after a connection, also if its task is cancelled, before it began even.
pub(crate) struct Presence {
    core: Arc<Core>,
    id: ConnectionId,
    by: ClosedBy,
}

impl Presence {
    pub fn new(core: Arc<Core>, id: ConnectionId) -> Presence {
        Presence { core, id, by: ClosedBy::Server }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.core.closed(self.id);
        let by = std::mem::replace(&mut self.by, ClosedBy::Server);
        self.core.log.write(self.id, What::Closed { by });
        self.core.ended.notify_waiters();
    }
}

/// Serves one connection until it ends.
pub(crate) async fn serve(mut presence: Presence, tls: Arc<ServerConfig>, tcp: TcpStream, mut link: LinkEnd) {
    presence.by = run(&presence.core, tls, tcp, presence.id, &mut link).await;
}

async fn run(
    core: &Core,
    tls: Arc<ServerConfig>,
    mut tcp: TcpStream,
    id: ConnectionId,
    link: &mut LinkEnd,
) -> ClosedBy {
    // Without it small answers wait for acknowledgements; a server that cannot set it still works.
    let _ = tcp.set_nodelay(true);
    let silent = core.act(|machine, _| machine.faults.has(&Fault::SilenceBeforeHandshake));
    if silent {
        return hold(&mut tcp, link).await;
    }
    let shaken = tokio::select! {
        () = link.kill.notified() => return ClosedBy::Server,
        shaken = timeout(HANDSHAKE_TIMEOUT, handshake(core, tls, tcp, id)) => shaken,
    };
    let mut stream = match shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(stream) => stream,
        Err(error) => {
            core.log.write(id, What::HandshakeFailed { why: error.to_string() });
            return ClosedBy::Server;
        }
    };
    core.log.write(id, What::Handshake(TlsFacts::of(stream.get_ref().1)));
    let closes = core.act(|machine, _| machine.faults.has(&Fault::CloseAfterHandshake));
    if closes {
        finish(&mut stream).await;
        return ClosedBy::Server;
    }
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (by, killed) = tokio::select! {
        () = link.kill.notified() => (ClosedBy::Server, true),
        by = read(core, &mut reader, id) => (by, false),
        by = write(core, &mut writer, id, &mut link.queue) => (by, false),
    };
    let mut stream = reader.unsplit(writer);
    if killed {
        // Resets the connection; if that cannot be set, it ends without close_notify all the same.
        let _ = stream.get_ref().0.set_zero_linger();
    } else if by == ClosedBy::Server {
        finish(&mut stream).await;
    }
    by
}

/// Reads what comes and says nothing.
async fn hold(tcp: &mut TcpStream, link: &mut LinkEnd) -> ClosedBy {
    let mut buffer = vec![0; READ];
    loop {
        tokio::select! {
            () = link.kill.notified() => return ClosedBy::Server,
            read = tcp.read(&mut buffer) => match read {
                Ok(0) => return ClosedBy::Client,
                Ok(_) => {}
                Err(error) => return ClosedBy::Broken(error.to_string()),
            },
        }
    }
}

async fn handshake(
    core: &Core,
    tls: Arc<ServerConfig>,
    tcp: TcpStream,
    id: ConnectionId,
) -> io::Result<TlsStream<TcpStream>> {
    let start = LazyConfigAcceptor::new(Acceptor::default(), tcp).await?;
    let hello = start.client_hello();
    let server_name = hello.server_name().map(str::to_owned);
    let alpn = hello.alpn().map(|names| names.map(<[u8]>::to_vec).collect()).unwrap_or_default();
    core.log.write(id, What::ClientHello { server_name, alpn });
    start.into_stream(tls).await
}

/// Ends TLS and TCP in order.
async fn finish(stream: &mut TlsStream<TcpStream>) {
    // The peer may be gone already, and then nobody is left to be told.
    let _ = timeout(WRITE_TIMEOUT, stream.shutdown()).await;
}

async fn read(core: &Core, stream: &mut (impl AsyncRead + Unpin), id: ConnectionId) -> ClosedBy {
    let mut buffer = vec![0; READ];
    loop {
        let bytes = match stream.read(&mut buffer).await {
            Ok(0) => return ClosedBy::Client,
            Ok(length) => buffer.get(..length).unwrap_or_default(),
            Err(error) => return ClosedBy::Broken(error.to_string()),
        };
        core.log.count(id, bytes.len());
        core.act(|machine, now| machine.receive(now, id, bytes));
    }
}

async fn write(
    core: &Core,
    stream: &mut (impl AsyncWrite + Unpin),
    id: ConnectionId,
    queue: &mut tokio::sync::mpsc::Receiver<Out>,
) -> ClosedBy {
    while let Some(out) = queue.recv().await {
        let Some((bytes, what)) = out.written() else { return ClosedBy::Server };
        let written = timeout(WRITE_TIMEOUT, async {
            stream.write_all(&bytes).await?;
            stream.flush().await
        });
        match written.await {
            Ok(Ok(())) => core.log.write(id, what),
            Ok(Err(error)) => return ClosedBy::Broken(error.to_string()),
            Err(_) => return ClosedBy::Broken("the client reads nothing".into()),
        }
    }
    ClosedBy::Server
}
