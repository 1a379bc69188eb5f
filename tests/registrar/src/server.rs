//! The registrar as its owner holds it, and its listener.

use crate::bindings::Binding;
use crate::connection::{Presence, serve};
use crate::core::{Core, wall_clock};
use crate::entry::{ConnectionId, Entry, TimedOut, What};
use crate::faults::{Fault, Times};
use crate::links::{Close, Out};
use crate::options::{MAX_CONNECTIONS, Options};
use crate::outgoing::{Outgoing, SentRequest};
use crate::tls::{ServerCertificate, server_config};
use aldis_pki::{Ca, Template};
use bytes::Bytes;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

/// How long the listener rests after it could not accept (too many open files, for one).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A running registrar; it stops when it is dropped.
pub struct Registrar {
    core: Arc<Core>,
    tls: Arc<ServerConfig>,
    domain: String,
    address: SocketAddr,
    authority: Option<Ca>,
    root_pem: Option<String>,
    listener: Mutex<Option<JoinHandle<()>>>,
    clock: JoinHandle<()>,
}

impl Registrar {
    /// Starts a registrar on 127.0.0.1. Needs a tokio runtime with IO and time.
    ///
    /// # Errors
    /// [`io::Error`] if the port is taken, or if the certificate and its key do not belong together
    /// ([`io::ErrorKind::InvalidInput`]).
    pub async fn start(options: Options) -> io::Result<Registrar> {
        let (certificate, authority) = match options.certificate.clone() {
            Some(certificate) => (certificate, None),
            None => {
                let authority = Ca::new("Aldis Test Root", wall_clock()).map_err(io::Error::other)?;
                (issued(&authority, server_template(&options.domain))?, Some(authority))
            }
        };
        let tls = server_config(&certificate, options.versions, options.post_quantum)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let address = listener.local_addr()?;
        let domain = options.domain.clone();
        let core = Arc::new(Core::new(options, address));
        let clock = tokio::spawn(run_clock(core.clone()));
        let accepting = tokio::spawn(accept(core.clone(), tls.clone(), listener));
        let root_pem = authority.as_ref().map(Ca::root_pem);
        let listener = Mutex::new(Some(accepting));
        Ok(Registrar { core, tls, domain, address, authority, root_pem, listener, clock })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whose registrar it is.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The root of its fresh authority in PEM; `None` if a certificate was given.
    pub fn root_pem(&self) -> Option<&str> {
        self.root_pem.as_deref()
    }

    /// The root of its fresh authority in DER; `None` if a certificate was given.
    pub fn root_der(&self) -> Option<CertificateDer<'static>> {
        self.authority.as_ref().map(|authority| authority.root_der().clone())
    }

    /// A further certificate of its fresh authority, such as an impostor would have.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] if a certificate was given and there is no authority; what the authority says.
    pub fn issue(&self, template: Template) -> io::Result<ServerCertificate> {
        let authority = self.authority.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        issued(authority, template)
    }

    /// Sets a fault, behind those that are set.
    pub fn set_fault(&self, fault: Fault, times: Times) {
        self.core.state().faults.set(fault, times);
    }

    /// Clears all faults that are equal to this one.
    pub fn clear_fault(&self, fault: &Fault) {
        self.core.state().faults.clear(fault);
    }

    /// Clears all faults.
    pub fn clear_faults(&self) {
        self.core.state().faults.clear_all();
    }

    /// Sends a request to every binding of a user that has a connection.
    pub fn send_request(&self, user: &str, request: &Outgoing) -> Vec<SentRequest> {
        self.core.state().send_request(user, request, Instant::now())
    }

    /// Writes bytes to a connection, whatever they are; `false` if it is gone.
    pub fn send_raw(&self, connection: ConnectionId, bytes: impl Into<Bytes>) -> bool {
        self.core.state().links.send(connection, Out::Raw(bytes.into()))
    }

    /// Ends a connection; the log says when it has ended.
    pub fn close_connection(&self, connection: ConnectionId, how: Close) {
        self.core.state().links.close(connection, how);
    }

    /// Ends all connections; the log says when they have ended.
    pub fn close_connections(&self, how: Close) {
        let mut state = self.core.state();
        for connection in state.links.ids() {
            state.links.close(connection, how);
        }
    }

    /// Closes the listener and all connections; the port refuses connections when this returns.
    pub async fn stop_listening(&self) {
        let running = self.listener.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(running) = running else { return };
        running.abort();
        // It ends as cancelled, which is what was asked.
        let _ = running.await;
        loop {
            let ended = self.core.ended.notified();
            if self.core.state().links.count() == 0 {
                return;
            }
            ended.await;
        }
    }

    /// Listens again on the same port, after [`Registrar::stop_listening`].
    ///
    /// # Errors
    /// [`io::Error`] if the port has been taken meanwhile.
    pub async fn listen_again(&self) -> io::Result<()> {
        let listener = TcpListener::bind(self.address).await?;
        let accepting = tokio::spawn(accept(self.core.clone(), self.tls.clone(), listener));
        let before = self.listener.lock().unwrap_or_else(PoisonError::into_inner).replace(accepting);
        if let Some(before) = before {
            before.abort();
        }
        Ok(())
    }

    /// As if the server had been started anew: the listener and all connections are closed, and the same port is bound
    /// again. Bindings go with their connections, unless the options keep them; stored messages stay.
    ///
    /// # Errors
    /// [`io::Error`] if the port has been taken meanwhile.
    pub async fn restart(&self) -> io::Result<()> {
        self.stop_listening().await;
        self.listen_again().await
    }

    /// The bindings of a user.
    pub fn bindings(&self, user: &str) -> Vec<Binding> {
        self.core.state().bindings.of(user, Instant::now())
    }

    /// How many messages wait for a user.
    pub fn stored(&self, user: &str) -> usize {
        self.core.state().store.count(user)
    }

    /// What happened so far; of very long runs the end.
    pub fn log(&self) -> Vec<Entry> {
        self.core.log.entries()
    }

    /// The number that the next entry of the log will have.
    pub fn mark(&self) -> u64 {
        self.core.log.mark()
    }

    /// Waits for an entry of the log; those that are there already count.
    ///
    /// # Errors
    /// [`TimedOut`], which shows the log.
    pub async fn wait_for(
        &self,
        wanted: impl FnMut(&Entry) -> bool,
        timeout: Duration,
    ) -> Result<Entry, TimedOut> {
        self.core.log.wait(0, wanted, timeout).await
    }

    /// Waits for an entry of the log whose number is `mark` or higher.
    ///
    /// # Errors
    /// [`TimedOut`], which shows the log.
    pub async fn wait_after(
        &self,
        mark: u64,
        wanted: impl FnMut(&Entry) -> bool,
        timeout: Duration,
    ) -> Result<Entry, TimedOut> {
        self.core.log.wait(mark, wanted, timeout).await
    }

    /// How many TCP connections were ever accepted.
    pub fn connections(&self) -> u64 {
        self.core.log.accepted()
    }

    /// The connections that are open.
    pub fn open_connections(&self) -> Vec<ConnectionId> {
        self.core.state().links.ids()
    }

    /// How many bytes of application data ever came out of TLS: 0 proves that no client sent any SIP.
    pub fn application_bytes(&self) -> u64 {
        self.core.log.application_bytes()
    }

    /// How many bytes of application data came over one connection.
    pub fn application_bytes_of(&self, connection: ConnectionId) -> u64 {
        self.core.log.application_bytes_of(connection)
    }
}

impl fmt::Debug for Registrar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registrar")
            .field("domain", &self.domain)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Drop for Registrar {
    fn drop(&mut self) {
        self.clock.abort();
        let running = self.listener.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(running) = running {
            running.abort();
        }
    }
}

fn server_template(domain: &str) -> Template {
    match domain.parse::<IpAddr>() {
        Ok(address) => Template::server(domain).no_names().ip(address),
        Err(_) => Template::server(domain),
    }
}

fn issued(authority: &Ca, template: Template) -> io::Result<ServerCertificate> {
    let issued = authority.issue(template).map_err(io::Error::other)?;
    Ok(ServerCertificate::new(issued.chain(), issued.key()))
}

/// Accepts connections; when it is aborted, they end with it.
async fn accept(core: Arc<Core>, tls: Arc<ServerConfig>, listener: TcpListener) {
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
        let opened = {
            let mut state = core.state();
            (state.links.count() < MAX_CONNECTIONS).then(|| state.links.open())
        };
        let Some((id, link)) = opened else { continue };
        core.log.write(id, What::Accepted { peer });
        connections.spawn(serve(Presence::new(core.clone(), id), tls.clone(), tcp, peer, link));
    }
}

/// Does what is due.
async fn run_clock(core: Arc<Core>) {
    loop {
        let next = core.state().run_timers(Instant::now());
        match next {
            Some(at) => tokio::select! {
                () = sleep_until(at) => {}
                () = core.wake.notified() => {}
            },
            None => core.wake.notified().await,
        }
    }
}
