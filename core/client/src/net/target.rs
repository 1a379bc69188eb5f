//! Where a server may be: a host, a port, and how we came to know them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use super::resolve_error::ResolveError;
use aldis_sip::{Domain, InvalidIdentity, ReferenceIdentity};

/// The port of SIP over TLS where nobody names another (RFC 3261 §19.1.2).
pub const SIPS_PORT: u16 = 5061;

/// A host to connect to: a name that DNS resolves, or an address.
///
/// This is a place, not an identity: nothing of it is ever compared with a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name.
    Name(Domain),
    /// An address, which needs no query (DNS-01).
    Address(IpAddr),
}

impl From<&ReferenceIdentity> for Host {
    fn from(identity: &ReferenceIdentity) -> Self {
        match identity {
            ReferenceIdentity::Domain(domain) => Host::Name(domain.clone()),
            ReferenceIdentity::Address(address) => Host::Address(*address),
        }
    }
}

impl FromStr for Host {
    type Err = InvalidIdentity;

    /// Reads a name, an IPv4 address, or an IPv6 address with or without brackets; no port.
    fn from_str(text: &str) -> Result<Self, InvalidIdentity> {
        ReferenceIdentity::new(text).map(|identity| Host::from(&identity))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => name.fmt(f),
            Host::Address(address) => address.fmt(f),
        }
    }
}

/// One place to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The host; the addresses of a name are asked for when its turn comes.
    pub host: Host,
    /// The TCP port.
    pub port: u16,
    /// How we came to know this place.
    pub origin: Origin,
}

/// How a [`Target`] became known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The user named this place.
    Given,
    /// The domain is an address itself (RFC 3263 §4.2).
    Literal,
    /// A port was given with the domain, so that only its addresses are asked for (RFC 3263 §4.2).
    Port,
    /// This computer's hosts file (or RFC 6761 §6.3, for `localhost`) names the domain, so that DNS is not asked.
    HostsFile,
    /// An SRV record.
    Srv {
        /// The name that was asked, such as `_sips._tcp.example.test`.
        service: String,
        /// Whether a NAPTR record led to that name.
        naptr: bool,
        /// The priority in the record.
        priority: u16,
        /// The weight in the record.
        weight: u16,
    },
    /// There was no SRV record: the domain's own addresses and [`SIPS_PORT`] (RFC 3263 §4.2).
    Fallback,
    /// The same, although the domain may have SRV records: they could not be looked up.
    Unasked(Unasked),
}

/// Why a domain's SRV records were not looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unasked {
    /// This platform does not tell a library its DNS servers, and the app has handed over none
    /// ([`NetworkChange`](super::NetworkChange)).
    NoDnsServers,
    /// The servers that were handed over did not answer.
    Failed(ResolveError),
}

impl fmt::Display for Unasked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the domain's SRV records were not looked up because ")?;
        match self {
            Self::NoDnsServers => f.write_str("the app has not said which DNS servers this network has"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl Target {
    /// A place that the user named.
    pub fn given(host: Host, port: u16) -> Self {
        Target { host, port, origin: Origin::Given }
    }

    /// The domain itself, on [`SIPS_PORT`].
    pub(super) fn of_domain(domain: &Domain, origin: Origin) -> Self {
        Target { host: Host::Name(domain.clone()), port: SIPS_PORT, origin }
    }

    /// How `address` was found, from the identity on: each record as one line of a zone, without class and time. Empty where
    /// nobody had to be asked.
    pub fn way(&self, identity: &ReferenceIdentity, address: SocketAddr) -> Vec<String> {
        let mut way = Vec::new();
        if let Origin::Srv { service, naptr, priority, weight } = &self.origin {
            if *naptr {
                way.push(format!("{identity} NAPTR SIPS+D2T {service}"));
            }
            way.push(format!("{service} SRV {priority} {weight} {} {}", self.port, self.host));
        }
        if let Host::Name(name) = &self.host {
            let kind = if address.is_ipv6() { "AAAA" } else { "A" };
            way.push(format!("{name} {kind} {}", address.ip()));
        }
        way
    }

    /// The socket address, if the host is an address.
    pub fn literal(&self) -> Option<SocketAddr> {
        match self.host {
            Host::Address(address) => Some(SocketAddr::new(address, self.port)),
            Host::Name(_) => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host {
            Host::Name(ref name) => write!(f, "{name}:{}", self.port),
            Host::Address(address) => SocketAddr::new(address, self.port).fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_an_address_names_every_record() {
        let domain = ReferenceIdentity::new("example.test").unwrap();
        let address = "192.0.2.1:5071".parse().unwrap();
        let origin = |naptr| Origin::Srv {
            service: "_sips._tcp.example.test".into(),
            naptr,
            priority: 10,
            weight: 60,
        };
        let mut target =
            Target { host: "sip1.example.test".parse().unwrap(), port: 5071, origin: origin(true) };
        assert_eq!(
            target.way(&domain, address),
            [
                "example.test NAPTR SIPS+D2T _sips._tcp.example.test",
                "_sips._tcp.example.test SRV 10 60 5071 sip1.example.test",
                "sip1.example.test A 192.0.2.1"
            ]
        );
        target.origin = origin(false);
        assert_eq!(target.way(&domain, address).len(), 2);
        target = Target::of_domain(&Domain::new("example.test").unwrap(), Origin::Fallback);
        assert_eq!(
            target.way(&domain, "[2001:db8::1]:5061".parse().unwrap()),
            ["example.test AAAA 2001:db8::1"]
        );
        assert!(Target::given("192.0.2.1".parse().unwrap(), 5061).way(&domain, address).is_empty());
    }

    #[test]
    fn a_target_prints_as_one_would_type_it() {
        for (host, expected) in [
            ("Example.Test.", "example.test:5061"),
            ("192.0.2.1", "192.0.2.1:5061"),
            ("[2001:db8::1]", "[2001:db8::1]:5061"),
            ("2001:db8::1", "[2001:db8::1]:5061"),
        ] {
            assert_eq!(Target::given(host.parse().unwrap(), SIPS_PORT).to_string(), expected);
        }
        assert!("example.test:5061".parse::<Host>().is_err());
    }
}
