//! The listener of one edge.

use crate::connection::{Presence, serve};
use crate::core::Core;
use rustls::ServerConfig;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

/// How long the listener rests after it could not accept (too many open files, for one).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// One address of a server; it stops listening when it is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    pub address: SocketAddr,
    running: Mutex<Option<JoinHandle<()>>>,
}

impl Listener {
    /// A port on 127.0.0.1.
    pub async fn bind(port: u16) -> io::Result<(SocketAddr, TcpListener)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        Ok((listener.local_addr()?, listener))
    }

    pub fn start(
        core: &Arc<Core>,
        tls: &Arc<ServerConfig>,
        edge: usize,
        bound: (SocketAddr, TcpListener),
    ) -> Listener {
        let (address, listener) = bound;
        let running = tokio::spawn(accept(core.clone(), tls.clone(), edge, listener));
        Listener { address, running: Mutex::new(Some(running)) }
    }

    /// Closes the listener and all its connections; the port refuses connections when this returns.
    pub async fn stop(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(running) = running else { return };
        running.abort();
        // It ends as cancelled, which is what was asked.
        let _ = running.await;
    }

    pub async fn listen_again(
        &self,
        core: &Arc<Core>,
        tls: &Arc<ServerConfig>,
        edge: usize,
    ) -> io::Result<()> {
        let listener = TcpListener::bind(self.address).await?;
        let accepting = tokio::spawn(accept(core.clone(), tls.clone(), edge, listener));
        let before = self.running.lock().unwrap_or_else(PoisonError::into_inner).replace(accepting);
        if let Some(before) = before {
            before.abort();
        }
        Ok(())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(running) = running {
            running.abort();
        }
    }
}

/// Accepts connections; when it is aborted, they end with it.
async fn accept(core: Arc<Core>, tls: Arc<ServerConfig>, edge: usize, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let (tcp, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some((id, link)) = core.open(edge, peer) else { continue };
        connections.spawn(serve(Presence::new(core.clone(), id), tls.clone(), tcp, link));
    }
}
