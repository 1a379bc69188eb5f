//! `openssl s_server`: another TLS library, with all its switches.

use aldis_pki::Issued;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long the server may take to start and to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running `openssl s_server`; it is ended when it is dropped.
#[derive(Debug)]
pub struct OpensslServer {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
    output: Receiver<Vec<u8>>,
    _folder: tempfile::TempDir,
}

impl OpensslServer {
    /// Starts a server with that certificate on loopback. `switches` are its further arguments; a `@NAME` among them
    /// becomes the path of the file of that name in `files`.
    ///
    /// # Panics
    /// If `openssl` is not installed, or does not start with these switches.
    pub fn start(issued: &Issued, switches: &[&str], files: &[(&str, &[u8])]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| folder.path().join(name);
        std::fs::write(file("chain.pem"), issued.chain_pem()).expect("a file");
        std::fs::write(file("key.pem"), issued.key_pem()).expect("a file");
        for (name, contents) in files {
            std::fs::write(file(name), contents).expect("a file");
        }
        let switches = switches.iter().map(|switch| match switch.strip_prefix('@') {
            Some(name) => file(name).into_os_string(),
            None => (*switch).into(),
        });
        let child = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-cert"])
            .arg(file("chain.pem"))
            .args([Path::new("-cert_chain"), &file("chain.pem"), Path::new("-key"), &file("key.pem")])
            .args(switches)
            // It ends when its input does.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = child.expect("openssl is installed");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let (tell_address, address) = channel();
        let (tell_output, output) = channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            while stdout.read_line(&mut line).is_ok_and(|count| count > 0) {
                if let Some(address) = line.trim().strip_prefix("ACCEPT ") {
                    // The starter waits for it, or has given up.
                    let _ = tell_address.send(address.parse());
                    break;
                }
                line.clear();
            }
            let mut rest = Vec::new();
            let _ = stdout.read_to_end(&mut rest);
            let _ = tell_output.send(rest);
        });
        let address = address.recv_timeout(PATIENCE).expect("openssl starts").expect("an address");
        OpensslServer { address, child, output, _folder: folder }
    }

    /// Waits for a server that was started with `-naccept` to end by itself, and gives what it printed.
    ///
    /// # Panics
    /// If it does not end.
    pub fn output_at_its_end(self) -> String {
        let output = self.output.recv_timeout(PATIENCE).expect("openssl ends");
        String::from_utf8_lossy(&output).into_owned()
    }

    /// Ends the server and gives what it printed since it listened: the handshakes, and all application data.
    ///
    /// # Panics
    /// If it does not end.
    pub fn output(mut self) -> String {
        self.end();
        String::from_utf8_lossy(&self.output.recv_timeout(PATIENCE).expect("openssl ends")).into_owned()
    }

    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for OpensslServer {
    fn drop(&mut self) {
        self.end();
    }
}
