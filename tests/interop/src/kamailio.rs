//! Debian's Kamailio as registrar, with the configuration and start script of `kamailio/`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::{Certificate, Line, Namespace, PATIENCE, Process};

/// The digest algorithm of the challenge (Kamailio offers one at a time).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// RFC 2617's.
    #[default]
    Md5,
    /// RFC 8760's.
    Sha256,
}

/// How the registrar is to behave.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Algorithm of its challenges.
    pub algorithm: Algorithm,
    /// Keep messages for offline users (202) and deliver them after REGISTER (msilo); else they get 480.
    pub store_offline: bool,
    /// Grant registrations of 60 s, whatever is asked; else up to 3600 s.
    pub short_expiry: bool,
    /// What it shows in the handshake.
    pub certificate: Certificate,
}

/// A running registrar in a network of its own. Dropping it ends the server and removes the network.
#[derive(Debug)]
pub struct Kamailio {
    // In this order: what runs in the namespace ends before it goes.
    process: Process,
    folder: TempDir,
    namespace: Namespace,
}

impl Kamailio {
    /// Starts it and waits until it serves.
    ///
    /// # Panics
    /// When Kamailio is not installed or does not come up; the text holds its log.
    #[track_caller]
    #[must_use]
    pub fn start(options: Options) -> Self {
        let namespace = Namespace::new();
        let folder = TempDir::with_prefix("aldis-interop-").expect("a temporary folder can be made");
        options.certificate.write(folder.path());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("kamailio/start");
        let address = namespace.server_address();
        let mut command = namespace.command(script);
        command.arg("--dir").arg(folder.path());
        command.args(["--address", &address.ip().to_string(), "--port", &address.port().to_string()]);
        if options.algorithm == Algorithm::Sha256 {
            command.arg("--sha256");
        }
        if options.store_offline {
            command.arg("--msilo");
        }
        if options.short_expiry {
            command.arg("--short-expiry");
        }
        let process = Process::spawn("kamailio", &mut command);
        process.wait_for(&["interop ready"], PATIENCE);
        Self { process, folder, namespace }
    }

    /// Ends the server and gives everything that it wrote: it has handled by then whatever it was sent.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    #[must_use]
    pub fn stop(mut self) -> Vec<Line> {
        self.process.stop(PATIENCE);
        self.process.lines()
    }

    /// The network that it runs in; clients are started there.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.namespace.server_address()
    }

    /// The PEM file of the root that clients are to trust. With [`Certificate::UnknownAuthority`] the server's
    /// certificate comes from another one.
    #[must_use]
    pub fn roots(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Its standard output and error.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The requests of a method and a From user that have arrived so far, as its log has them:
    /// `interop request REGISTER user=alice … cseq=2 expires=3600 contact=… auth=0 ua=…`.
    #[must_use]
    pub fn requests(&self, method: &str, user: &str) -> Vec<Line> {
        self.process.lines_with(&request_words(method, user).each_ref().map(String::as_str))
    }

    /// Every request that has arrived so far, from whomever.
    #[must_use]
    pub fn all_requests(&self) -> Vec<Line> {
        self.process.lines_with(&["interop request"])
    }

    /// Waits for the `n`th request of a method and a From user.
    ///
    /// # Panics
    /// When it does not come in time.
    #[track_caller]
    pub fn wait_for_request(&self, n: usize, method: &str, user: &str, patience: Duration) -> Line {
        self.process.wait_for_nth(n, &request_words(method, user).each_ref().map(String::as_str), patience)
    }

    /// Waits for the `n`th REGISTER of a user that was accepted; the line tells the TLS version, the suite, the SNI.
    ///
    /// # Panics
    /// When it does not come in time.
    #[track_caller]
    pub fn wait_for_registered(&self, n: usize, user: &str, patience: Duration) -> Line {
        self.process.wait_for_nth(n, &["interop registered", &format!(" user={user} ")], patience)
    }
}

fn request_words(method: &str, user: &str) -> [String; 2] {
    [format!("interop request {method} "), format!(" user={user} ")]
}
