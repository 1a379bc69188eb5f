//! What the system knows of DNS: its servers, and its hosts file.

use std::net::{IpAddr, SocketAddr};

/// The port of DNS (RFC 1035 §4.2).
pub const PORT: u16 = 53;

/// The DNS servers of the system, in its order; empty where it names none or cannot be read.
#[cfg(not(windows))]
pub fn servers() -> Vec<SocketAddr> {
    match std::fs::read_to_string("/etc/resolv.conf") {
        Ok(text) => resolv_conf(&text),
        Err(error) => {
            tracing::debug!(%error, "the system's DNS configuration cannot be read");
            Vec::new()
        }
    }
}

/// The DNS servers of the adapters that are up, in the system's order; empty where it cannot be read.
#[cfg(windows)]
pub fn servers() -> Vec<SocketAddr> {
    let adapters = ipconfig::get_adapters().unwrap_or_else(|error| {
        tracing::debug!(%error, "the system's DNS configuration cannot be read");
        Vec::new()
    });
    let up = adapters.iter().filter(|adapter| adapter.oper_status() == ipconfig::OperStatus::IfOperStatusUp);
    let servers = up.flat_map(|adapter| adapter.dns_servers().to_vec());
    // Windows shows fec0:0:0:ffff::1 to 3 where there are none (RFC 3879).
    let real = servers.filter(|server| !matches!(server, IpAddr::V6(v6) if v6.segments()[0] == 0xfec0));
    real.map(|server| SocketAddr::new(server, PORT)).collect()
}

/// The `nameserver` lines; a zone behind an address is left out. Search lists are none of ours: names are absolute.
#[cfg_attr(windows, allow(dead_code))]
fn resolv_conf(text: &str) -> Vec<SocketAddr> {
    let servers = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = words.next().filter(|word| *word == "nameserver").and(words.next())?;
        let address = address.split_once('%').map_or(address, |(address, _)| address);
        Some(SocketAddr::new(address.parse().ok()?, PORT))
    });
    servers.collect()
}

/// The hosts file.
#[derive(Clone, Debug, Default)]
pub struct Hosts(String);

impl Hosts {
    /// The system's; nothing where it cannot be read.
    pub fn of_system() -> Self {
        #[cfg(not(windows))]
        let path = std::path::Path::new("/etc/hosts");
        #[cfg(windows)]
        let path = std::path::PathBuf::from(std::env::var_os("SystemRoot").unwrap_or_default())
            .join("System32\\drivers\\etc\\hosts");
        Hosts(
            std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default(),
        )
    }

    #[cfg(test)]
    pub fn of(text: &str) -> Self {
        Hosts(text.into())
    }

    /// The addresses of a name, in the file's order.
    pub fn addresses<'a>(&'a self, name: &'a str) -> impl Iterator<Item = IpAddr> + 'a {
        self.0.lines().filter_map(move |line| {
            let line = line.split_once('#').map_or(line, |(before, _)| before);
            let mut words = line.split_whitespace();
            let address = words.next()?;
            let named = |word: &str| word.strip_suffix('.').unwrap_or(word).eq_ignore_ascii_case(name);
            words.any(named).then(|| address.parse().ok()).flatten()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_in_their_order_and_what_is_none_is_passed_over() {
        let text = "# made by a program\nsearch example.test\nnameserver 192.0.2.53\n\tnameserver  2001:db8::53 # second\n\
            nameserver fe80::1%eth0\nnameserver nobody\nnameserver\noptions edns0\n;nameserver 192.0.2.1\n";
        let servers: Vec<String> = resolv_conf(text).iter().map(SocketAddr::to_string).collect();
        assert_eq!(servers, ["192.0.2.53:53", "[2001:db8::53]:53", "[fe80::1]:53"]);
    }

    #[test]
    fn a_hosts_file_answers_for_its_names_alone() {
        let hosts = Hosts::of(
            "127.0.0.1 localhost\n192.0.2.5 Example.test other.test. # example.org\n::1\texample.test\nnobody example.test\n\
            #192.0.2.6 example.test\n",
        );
        let found = |name| hosts.addresses(name).map(|address| address.to_string()).collect::<Vec<_>>();
        assert_eq!(found("example.test"), ["192.0.2.5", "::1"]);
        assert_eq!(found("OTHER.test"), ["192.0.2.5"]);
        assert!(found("example.org").is_empty());
        assert!(found("sub.example.test").is_empty());
    }
}
