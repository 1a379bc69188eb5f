//! The registrar as its owner holds it, and its listener.

use crate::bindings::Binding;
use crate::core::{Core, wall_clock};
use crate::entry::{ConnectionId, Entry, TimedOut};
use crate::faults::{Fault, Times};
use crate::links::Close;
use crate::listener::Listener;
use crate::machine::{Machine, UNSPECIFIED};
use crate::options::Options;
use crate::outgoing::{Outgoing, SentRequest};
use crate::subscriptions::{Ending, Package};
use crate::tls::{ServerCertificate, server_config};
use aldis_pki::{Ca, Template};
use aldis_sip::Secret;
use bytes::Bytes;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::sleep_until;

/// A running registrar; it stops when it is dropped.
pub struct Registrar {
    core: Arc<Core>,
    tls: Arc<ServerConfig>,
    domain: String,
    authority: Option<Ca>,
    root_pem: Option<String>,
    listeners: Vec<Listener>,
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
        let mut bound = vec![Listener::bind(options.port).await?];
        for _ in 1..options.edges {
            bound.push(Listener::bind(0).await?);
        }
        let addresses = bound.iter().map(|(address, _)| *address).collect();
        let domain = options.domain.clone();
        let core = Arc::new(Core::new(Machine::new(options, seed()?, addresses)));
        let clock = tokio::spawn(run_clock(core.clone()));
        let listeners = bound
            .into_iter()
            .enumerate()
            .map(|(edge, bound)| Listener::start(&core, &tls, edge, bound))
            .collect();
        let root_pem = authority.as_ref().map(Ca::root_pem);
        Ok(Registrar { core, tls, domain, authority, root_pem, listeners, clock })
    }

    /// Where it listens; with several edges the first one's address.
    pub fn address(&self) -> SocketAddr {
        self.listeners.first().map_or(UNSPECIFIED, |listener| listener.address)
    }

    /// Where its edges listen.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(|listener| listener.address).collect()
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
        self.core.act(|machine, _| machine.set_fault(fault, times));
    }

    /// Clears all faults that are equal to this one.
    pub fn clear_fault(&self, fault: &Fault) {
        self.core.act(|machine, _| machine.clear_fault(fault));
    }

    /// Clears all faults.
    pub fn clear_faults(&self) {
        self.core.act(|machine, _| machine.clear_faults());
    }

    /// Sends a request to every binding of a user that has a connection.
    pub fn send_request(&self, user: &str, request: &Outgoing) -> Vec<SentRequest> {
        self.core.act(|machine, now| machine.send_request(now, user, request))
    }

    /// Writes bytes to a connection, whatever they are; `false` if it is gone.
    pub fn send_raw(&self, connection: ConnectionId, bytes: impl Into<Bytes>) -> bool {
        self.core.act(|machine, _| machine.send_raw(connection, bytes.into()))
    }

    /// Ends a connection; the log says when it has ended.
    pub fn close_connection(&self, connection: ConnectionId, how: Close) {
        self.core.act(|machine, _| machine.close(connection, how));
    }

    /// Ends all connections; the log says when they have ended.
    pub fn close_connections(&self, how: Close) {
        self.core.act(|machine, _| {
            for connection in machine.connections() {
                machine.close(connection, how);
            }
        });
    }

    /// Closes the listeners and all connections; the ports refuse connections when this returns.
    pub async fn stop_listening(&self) {
        for listener in &self.listeners {
            listener.stop().await;
        }
        loop {
            let ended = self.core.ended.notified();
            if self.open_connections().is_empty() {
                return;
            }
            ended.await;
        }
    }

    /// Listens again on the same ports, after [`Registrar::stop_listening`].
    ///
    /// # Errors
    /// [`io::Error`] if a port has been taken meanwhile.
    pub async fn listen_again(&self) -> io::Result<()> {
        for edge in 0..self.listeners.len() {
            self.start_edge(edge).await?;
        }
        Ok(())
    }

    /// Closes one edge and its connections, by its place in [`Registrar::addresses`]; the others go on.
    pub async fn stop_edge(&self, edge: usize) {
        if let Some(listener) = self.listeners.get(edge) {
            listener.stop().await;
        }
    }

    /// Starts an edge again that was stopped.
    ///
    /// # Errors
    /// [`io::Error`] if the port has been taken meanwhile, or there is no such edge.
    pub async fn start_edge(&self, edge: usize) -> io::Result<()> {
        let listener = self.listeners.get(edge).ok_or(io::ErrorKind::NotFound)?;
        listener.listen_again(&self.core, &self.tls, edge).await
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

    /// Forgets all bindings, as a server does that keeps them in memory and is started anew.
    pub fn forget_bindings(&self) {
        self.core.act(|machine, _| machine.forget_bindings());
    }

    /// Forgets all nonces: every one that a client still has is stale.
    pub fn forget_nonces(&self) {
        self.core.act(|machine, _| machine.forget_nonces());
    }

    /// Changes the password of a user, or adds one.
    pub fn set_password(&self, user: &str, password: impl Into<String>) {
        let password = Secret::new(password);
        self.core.act(|machine, _| machine.set_password(user, password));
    }

    /// Changes the bearer token of a user, or adds one; the old one is refused from now on.
    pub fn set_token(&self, user: &str, token: impl Into<String>) {
        let token = Secret::new(token);
        self.core.act(|machine, _| machine.set_token(user, token));
    }

    /// Takes a binding away, as an administrator does, and tells those who subscribed to `reg` (RFC 3680 §5.1); `false`
    /// if there is none to this contact URI.
    pub fn end_binding(&self, user: &str, contact: &str, ending: Ending) -> bool {
        self.core.act(|machine, now| machine.end_binding(now, user, contact, ending))
    }

    /// What subscribers to `message-summary` are told of a user, now and from now on (RFC 3842 §5.2).
    pub fn set_summary(&self, user: &str, body: impl Into<String>) {
        let body = body.into();
        self.core.act(|machine, now| machine.set_summary(now, user, body));
    }

    /// Ends the subscriptions of a user to a package, with a reason such as `deactivated` (RFC 6665 §4.1.3).
    pub fn end_subscriptions(&self, user: &str, package: Package, reason: &str, retry_after: Option<u32>) {
        self.core.act(|machine, now| machine.end_subscriptions(now, user, package, reason, retry_after));
    }

    /// From now on a connection is a black hole: what comes is not heard, what is written goes nowhere, and it stays open.
    pub fn silence_connection(&self, connection: ConnectionId) {
        self.core.act(|machine, _| machine.silence(connection));
    }

    /// The bindings of a user.
    pub fn bindings(&self, user: &str) -> Vec<Binding> {
        self.core.act(|machine, now| machine.bindings(now, user))
    }

    /// How many messages wait for a user.
    pub fn stored(&self, user: &str) -> usize {
        self.core.act(|machine, _| machine.stored(user))
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
        self.core.act(|machine, _| machine.connections())
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
            .field("addresses", &self.addresses())
            .finish_non_exhaustive()
    }
}

impl Drop for Registrar {
    fn drop(&mut self) {
        self.clock.abort();
    }
}

fn seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    let random = aws_lc_rs::default_provider().secure_random;
    random.fill(&mut seed).map_err(|_| io::Error::other("the system gives no randomness"))?;
    Ok(seed)
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

/// Does what is due.
async fn run_clock(core: Arc<Core>) {
    loop {
        match core.deadline() {
            Some(at) => tokio::select! {
                () = sleep_until(at) => core.act(|machine, now| machine.handle_timeout(now)),
                () = core.wake.notified() => {}
            },
            None => core.wake.notified().await,
        }
    }
}
