//! Debian's baresip (package `baresip-core`) as the other party.

use std::fs::write;
use std::time::Duration;

use tempfile::TempDir;

use crate::{DOMAIN, Kamailio, Line, PATIENCE, Process, User};

/// A running baresip, registered as one user. Version 1.0 knows MD5 alone.
#[derive(Debug)]
pub struct Baresip {
    process: Process,
    _folder: TempDir,
}

impl Baresip {
    /// Starts it for `user` and waits until it is registered. Its messages go to `peer`, the one contact that it has.
    ///
    /// # Panics
    /// When it is not installed or does not register; the text holds what it printed.
    #[track_caller]
    #[must_use]
    pub fn start(kamailio: &Kamailio, user: User, peer: User) -> Self {
        let folder = TempDir::with_prefix("aldis-interop-baresip-").expect("a temporary folder can be made");
        let path = folder.path();
        let config = format!(
            "poll_method epoll\nmodule_path /usr/lib/baresip/modules\nmodule stdio.so\nmodule_app account.so\n\
             module_app menu.so\nmodule_app contact.so\nsip_cafile {}\n",
            kamailio.roots().display()
        );
        let peer = peer.address();
        let User { name, password } = user;
        // An address: it asks name servers alone, never the hosts file.
        let address = kamailio.address();
        let account = format!(
            "<sip:{name}@{DOMAIN};transport=tls>;auth_user={name};auth_pass={password};\
             outbound=\"sip:{address};transport=tls\"\n"
        );
        write(path.join("config"), config).expect("a temporary file can be written");
        write(path.join("accounts"), account).expect("a temporary file can be written");
        write(path.join("contacts"), format!("\"peer\" <{peer}>\n"))
            .expect("a temporary file can be written");
        write(path.join("current_contact"), &peer).expect("a temporary file can be written");
        write(path.join("uuid"), "c0ffee00-0000-4000-8000-000000000001\n")
            .expect("a temporary file can be written");
        let mut command = kamailio.namespace().command("baresip");
        command.arg("-f").arg(path).env("HOME", path);
        let process = Process::spawn("baresip", &mut command);
        process.wait_for(&["[1 binding]"], PATIENCE);
        Self { process, _folder: folder }
    }

    /// Sends `text` to its contact, out of a dialog.
    ///
    /// # Panics
    /// When baresip is gone.
    #[track_caller]
    pub fn message(&mut self, text: &str) {
        self.process.say(&format!("/message {text}"));
    }

    /// Waits for an incoming message with this text.
    ///
    /// # Panics
    /// When it does not come in time.
    #[track_caller]
    pub fn wait_for_message(&self, text: &str, patience: Duration) -> Line {
        self.process.wait_for(&["sip:", &format!(": \"{text}\"")], patience)
    }

    /// What it printed.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }
}
