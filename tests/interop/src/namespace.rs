//! A network of this test's own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::DOMAIN;
use crate::process::run;

/// First part of every name; the process id and a number follow, so that a namespace tells whose it is.
const PREFIX: &str = "aldis-interop-";

/// The address of everything in the namespace. Loopback alone will not do: baresip and linphone look for another one.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);

/// The usual port of SIP over TLS (RFC 3261 §19.1.2); free, since the namespace is the test's own.
const PORT: u16 = 5061;

/// A network namespace with loopback, one address, a default route that leads nowhere, and host names for the test
/// domain. It is removed when the value is dropped, and by the next test when this process was killed before.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes a namespace with a name of its own.
    ///
    /// # Panics
    /// Without the right to make one (root, and `CAP_NET_ADMIN` in a container), or without `ip` (iproute2).
    #[track_caller]
    #[must_use]
    pub fn new() -> Self {
        static SWEEP: Once = Once::new();
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        assert!(
            rustix::process::geteuid().is_root(),
            "network namespaces need root: run tests/run, which asks sudo for the interop suite"
        );
        SWEEP.call_once(remove_abandoned);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        run("ip", &["netns", "add", &name]);
        // From here on the value removes what the next steps leave half done.
        let namespace = Self { name };
        let name = namespace.name.as_str();
        let address = format!("{ADDRESS}/24");
        run("ip", &["-n", name, "link", "set", "lo", "up"]);
        run("ip", &["-n", name, "link", "add", "inside", "type", "veth", "peer", "name", "nowhere"]);
        run("ip", &["-n", name, "link", "set", "nowhere", "up"]);
        run("ip", &["-n", name, "addr", "add", &address, "dev", "inside"]);
        run("ip", &["-n", name, "link", "set", "inside", "up"]);
        run("ip", &["-n", name, "route", "add", "default", "via", "10.99.0.254", "dev", "inside"]);
        let folder = files(name);
        std::fs::create_dir_all(&folder).expect("/etc/netns can be written");
        let hosts = format!("127.0.0.1 localhost\n{ADDRESS} {DOMAIN} sip.{DOMAIN}\n");
        std::fs::write(folder.join("hosts"), hosts).expect("/etc/netns can be written");
        // Nobody answers there: names come from the file above, and a question fails at once.
        std::fs::write(folder.join("resolv.conf"), "nameserver 127.0.0.1\n")
            .expect("/etc/netns can be written");
        namespace
    }

    /// Where a server in here listens.
    #[must_use]
    pub fn server_address(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(ADDRESS), PORT)
    }

    /// A command that runs `program` in here under its own process id, and is ended (SIGTERM) when the thread that
    /// starts it dies: a killed test leaves no programs behind.
    #[must_use]
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, "setpriv", "--pdeathsig", "TERM"]).arg(program.as_ref());
        command
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// What `ip netns exec` puts over the files of the same name in `/etc`.
fn files(name: &str) -> PathBuf {
    Path::new("/etc/netns").join(name)
}

fn remove(name: &str) {
    // Nothing here may panic: it runs while a failed test unwinds. What stays is removed by the next run.
    let _ = Command::new("ip").args(["netns", "del", name]).output();
    let _ = std::fs::remove_dir_all(files(name));
}

/// Removes the namespaces of test processes that are gone.
fn remove_abandoned() {
    for folder in ["/run/netns", "/etc/netns"] {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
            if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                remove(&name);
            }
        }
    }
}
