//! A TLS server that says nothing and shows every byte that it is told (`openssl s_server`).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use crate::{Certificate, Line, Namespace, PATIENCE, Process};

/// A server of another TLS implementation that prints what it deciphers: the witness that a refused server was told
/// nothing. To a client that trusts it, it is a registrar that never answers.
#[derive(Debug)]
pub struct TlsSink {
    // In this order: what runs in the namespace ends before it goes.
    process: Process,
    folder: TempDir,
    namespace: Namespace,
}

impl TlsSink {
    /// Starts it and waits until it listens.
    ///
    /// # Panics
    /// When openssl is not installed or does not come up.
    #[track_caller]
    #[must_use]
    pub fn start(certificate: Certificate) -> Self {
        let namespace = Namespace::new();
        let folder = TempDir::with_prefix("aldis-interop-").expect("a temporary folder can be made");
        certificate.write(folder.path());
        let mut command = namespace.command("openssl");
        command.args(["s_server", "-accept", &namespace.server_address().to_string()]);
        let certificate = folder.path().join("server.pem");
        command.arg("-cert").arg(&certificate).arg("-cert_chain").arg(&certificate);
        command.arg("-key").arg(folder.path().join("server.key"));
        let process = Process::spawn("openssl s_server", &mut command);
        process.wait_for(&["ACCEPT"], PATIENCE);
        Self { process, folder, namespace }
    }

    /// The network that it runs in.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.namespace.server_address()
    }

    /// The PEM file of the root that clients are to trust.
    #[must_use]
    pub fn roots(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Waits until a client has ended a handshake with an alert: nothing can come by that connection any more. The
    /// line names the alert.
    ///
    /// # Panics
    /// When none comes in time.
    #[track_caller]
    pub fn wait_for_alert(&self, patience: Duration) -> Line {
        self.process.wait_for(&["SSL alert number"], patience)
    }

    /// Waits until it was told something of SIP.
    ///
    /// # Panics
    /// When nothing comes in time.
    #[track_caller]
    pub fn wait_for_sip(&self, patience: Duration) -> Line {
        self.process.wait_for(&["SIP/2.0"], patience)
    }

    /// What it printed.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Every line of SIP that it was told so far.
    #[must_use]
    pub fn sip_lines(&self) -> Vec<Line> {
        self.process.lines_with(&["SIP/2.0"])
    }
}
