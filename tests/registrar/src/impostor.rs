//! A server that nobody should talk to.

use crate::entry::{Entry, TimedOut};
use crate::faults::{Fault, Times};
use crate::options::Options;
use crate::server::Registrar;
use crate::tls::ServerCertificate;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// A TLS server with any certificate, which says nothing and counts what it is told; it stops when it is dropped.
///
/// One that would answer as well is a [`Registrar`] with such a certificate.
#[derive(Debug)]
pub struct Impostor {
    server: Registrar,
}

impl Impostor {
    /// Starts an impostor on 127.0.0.1, on a port that the system chooses.
    ///
    /// # Errors
    /// As [`Registrar::start`].
    pub async fn start(certificate: ServerCertificate) -> io::Result<Impostor> {
        let server = Registrar::start(Options::new("impostor.invalid").certificate(certificate)).await?;
        server.set_fault(Fault::Silence, Times::Always);
        Ok(Impostor { server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// How many bytes of application data ever came out of TLS.
    pub fn application_bytes(&self) -> u64 {
        self.server.application_bytes()
    }

    /// How many TCP connections were ever accepted.
    pub fn connections(&self) -> u64 {
        self.server.connections()
    }

    /// What happened so far.
    pub fn log(&self) -> Vec<Entry> {
        self.server.log()
    }

    /// Waits for an entry of the log; those that are there already count. Waiting for [`What::Closed`] makes sure that
    /// nothing more can come over a connection.
    ///
    /// [`What::Closed`]: crate::What::Closed
    ///
    /// # Errors
    /// [`TimedOut`], which shows the log.
    pub async fn wait_for(
        &self,
        wanted: impl FnMut(&Entry) -> bool,
        timeout: Duration,
    ) -> Result<Entry, TimedOut> {
        self.server.wait_for(wanted, timeout).await
    }
}
