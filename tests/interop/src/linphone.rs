//! Debian's linphone on the command line (package `linphone-cli`) as the other party.

use std::fs::{create_dir_all, write};
use std::time::Duration;

use tempfile::TempDir;

use crate::{DOMAIN, Kamailio, Line, PATIENCE, Process, User};

/// A running linphone, registered as one user. Debian's speaks TLS 1.2 at most.
#[derive(Debug)]
pub struct Linphone {
    process: Process,
    _folder: TempDir,
}

impl Linphone {
    /// Starts it and waits until it is registered.
    ///
    /// # Panics
    /// When it is not installed or does not register; the text holds what it printed.
    #[track_caller]
    #[must_use]
    pub fn start(kamailio: &Kamailio, user: User) -> Self {
        let folder = TempDir::with_prefix("aldis-interop-linphone-").expect("a temporary folder can be made");
        let path = folder.path();
        for needed in [".local/share/linphone", ".config/linphone"] {
            create_dir_all(path.join(needed)).expect("a temporary folder can be made");
        }
        let User { name, password } = user;
        let port = kamailio.address().port();
        let roots = kamailio.roots();
        let settings = format!(
            "[sip]\nsip_port=-1\nsip_tcp_port=-1\nsip_tls_port=-1\ndefault_proxy=0\nroot_ca={}\n\
             [net]\nmtu=1300\n\
             [proxy_0]\nreg_proxy=<sip:{DOMAIN}:{port};transport=tls>\nreg_identity=sip:{name}@{DOMAIN}\n\
             reg_sendregister=1\n\
             [auth_info_0]\nusername={name}\npasswd={password}\ndomain={DOMAIN}\n",
            roots.display()
        );
        write(path.join("rc"), settings).expect("a temporary file can be written");
        // It keeps what it prints for later when its output is a pipe: a line at a time, please.
        let mut command = kamailio.namespace().command("stdbuf");
        command.args(["-oL", "linphonec", "-c"]).arg(path.join("rc"));
        command.args(["-d", "6", "-l"]).arg(path.join("log"));
        command.env("HOME", path);
        let process = Process::spawn("linphone", &mut command);
        // It does not say that it is registered; the registrar does.
        kamailio.wait_for_registered(1, name, PATIENCE);
        Self { process, _folder: folder }
    }

    /// Sends `text` out of a dialog.
    ///
    /// # Panics
    /// When linphone is gone.
    #[track_caller]
    pub fn message(&mut self, to: &str, text: &str) {
        self.process.say(&format!("chat {to} {text}"));
    }

    /// Waits for an incoming message with this text.
    ///
    /// # Panics
    /// When it does not come in time.
    #[track_caller]
    pub fn wait_for_message(&self, text: &str, patience: Duration) -> Line {
        self.process.wait_for(&["Message received from", text], patience)
    }

    /// What it printed.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }
}
