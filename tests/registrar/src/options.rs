//! How a registrar is to be.

use crate::extensions::{Bearer, Edge, Grant, Push};
#[cfg(feature = "tls")]
use crate::tls::{ServerCertificate, TlsVersions};
use aldis_sip::Secret;
use aldis_sip::auth::{Algorithm, Qop};
use std::collections::BTreeMap;
use std::time::Duration;

/// Most messages kept for one user who is away.
pub(crate) const MAX_STORED: usize = 1000;
/// Most bindings of one user.
pub(crate) const MAX_BINDINGS: usize = 64;
/// Most connections at a time unless the options say otherwise; more are closed at once.
#[cfg(feature = "tls")]
const MAX_CONNECTIONS: usize = 4096;
/// Most messages waiting to be written to one connection; beyond it the connection closes.
#[cfg(feature = "tls")]
pub(crate) const MAX_QUEUE: usize = 16_384;
/// Time for the TLS handshake.
#[cfg(feature = "tls")]
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);
/// Time for writing one message.
#[cfg(feature = "tls")]
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// How a registrar is to be; every setting has a default.
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) domain: String,
    pub(crate) users: BTreeMap<String, Secret>,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) qop: Vec<Qop>,
    pub(crate) userhash: bool,
    pub(crate) utf8: bool,
    pub(crate) nonce_lifetime: Duration,
    pub(crate) nonce_uses: Option<u32>,
    pub(crate) authentication_info: bool,
    pub(crate) register_challenge: bool,
    pub(crate) message_challenge: MessageChallenge,
    pub(crate) min_expires: u32,
    pub(crate) max_expires: u32,
    pub(crate) default_expires: u32,
    pub(crate) outbound: bool,
    pub(crate) flow_timer: Option<u32>,
    pub(crate) offline: Offline,
    pub(crate) keep_bindings: bool,
    pub(crate) every_flow: bool,
    #[cfg(feature = "tls")]
    pub(crate) certificate: Option<ServerCertificate>,
    #[cfg(feature = "tls")]
    pub(crate) versions: TlsVersions,
    #[cfg(feature = "tls")]
    pub(crate) post_quantum: bool,
    #[cfg(feature = "tls")]
    pub(crate) port: u16,
    #[cfg(feature = "tls")]
    pub(crate) edges: usize,
    pub(crate) grant: Grant,
    pub(crate) edge: Edge,
    pub(crate) keep: Option<u32>,
    pub(crate) service_route: Vec<String>,
    pub(crate) gruu: bool,
    pub(crate) push: Option<Push>,
    pub(crate) bearer: Option<Bearer>,
    pub(crate) subscriptions: bool,
    #[cfg(feature = "tls")]
    pub(crate) max_connections: usize,
}

/// Whether the sender of a MESSAGE must prove who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageChallenge {
    /// As a proxy asks: 407 (RFC 3261 §22.3).
    Proxy,
    /// As a registrar asks: 401 (RFC 3261 §22.2).
    Registrar,
    /// Not at all.
    None,
}

/// What becomes of a MESSAGE to a user without a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offline {
    /// 480, nothing is kept.
    Unavailable,
    /// 202; it is kept and delivered, with a Date, when the user registers.
    Store,
}

impl Options {
    /// A registrar for this domain, with no user yet.
    pub fn new(domain: impl Into<String>) -> Options {
        Options {
            domain: domain.into(),
            users: BTreeMap::new(),
            algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
            qop: vec![Qop::Auth],
            userhash: false,
            utf8: false,
            nonce_lifetime: Duration::from_secs(300),
            nonce_uses: None,
            authentication_info: true,
            register_challenge: true,
            message_challenge: MessageChallenge::Proxy,
            min_expires: 60,
            max_expires: 3600,
            default_expires: 3600,
            outbound: true,
            flow_timer: None,
            offline: Offline::Unavailable,
            keep_bindings: false,
            every_flow: false,
            #[cfg(feature = "tls")]
            certificate: None,
            #[cfg(feature = "tls")]
            versions: TlsVersions::Both,
            #[cfg(feature = "tls")]
            post_quantum: true,
            #[cfg(feature = "tls")]
            port: 0,
            #[cfg(feature = "tls")]
            edges: 1,
            grant: Grant::Asked,
            edge: Edge::None,
            keep: None,
            service_route: Vec::new(),
            gruu: false,
            push: None,
            bearer: None,
            subscriptions: false,
            #[cfg(feature = "tls")]
            max_connections: MAX_CONNECTIONS,
        }
    }

    #[cfg(feature = "tls")]
    /// How many connections may be open at a time; more are closed at once. Default: 4096.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Adds a user: the user part of the address of record (unescaped), which is also the name in the digest.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.users.insert(name.into(), Secret::new(password));
        self
    }

    /// The digest algorithms, one challenge each in this order (RFC 8760 §2.3). Default: SHA-256, MD5.
    pub fn algorithms(mut self, algorithms: &[Algorithm]) -> Self {
        self.algorithms = algorithms.to_vec();
        self
    }

    /// The protections offered; none for the old form of RFC 2069. Default: `auth`.
    pub fn qop(mut self, qop: &[Qop]) -> Self {
        self.qop = qop.to_vec();
        self
    }

    /// Whether challenges ask for the hashed user name (RFC 7616 §3.4.4). Default: no.
    pub fn userhash(mut self, userhash: bool) -> Self {
        self.userhash = userhash;
        self
    }

    /// Whether challenges say `charset=UTF-8` (RFC 7616 §4); names and passwords must then be in NFC. Default: no.
    pub fn utf8(mut self, utf8: bool) -> Self {
        self.utf8 = utf8;
        self
    }

    /// How long a nonce is good; afterwards it is stale. Default: 300 s.
    pub fn nonce_lifetime(mut self, lifetime: Duration) -> Self {
        self.nonce_lifetime = lifetime;
        self
    }

    /// How many requests a nonce is good for; afterwards it is stale. Default: any number.
    pub fn nonce_uses(mut self, uses: u32) -> Self {
        self.nonce_uses = Some(uses);
        self
    }

    /// Whether the 200 to a REGISTER proves that the registrar knows the password too (`rspauth`, RFC 7616 §3.5).
    /// Default: yes.
    pub fn authentication_info(mut self, given: bool) -> Self {
        self.authentication_info = given;
        self
    }

    /// Whether REGISTER is challenged. Default: yes. Without it the From address is believed (RFC 3261 §10.3 step 3).
    pub fn register_challenge(mut self, challenged: bool) -> Self {
        self.register_challenge = challenged;
        self
    }

    /// How MESSAGE is challenged. Default: as a proxy does, 407.
    pub fn message_challenge(mut self, challenge: MessageChallenge) -> Self {
        self.message_challenge = challenge;
        self
    }

    /// The shortest registration in seconds; less is answered with 423, unless it is an hour or more (RFC 3261 §10.3).
    /// Default: 60.
    pub fn min_expires(mut self, seconds: u32) -> Self {
        self.min_expires = seconds;
        self
    }

    /// The longest registration in seconds; more is cut. Default: 3600.
    pub fn max_expires(mut self, seconds: u32) -> Self {
        self.max_expires = seconds;
        self
    }

    /// What a client gets that asks for no time, in seconds. Default: 3600.
    pub fn default_expires(mut self, seconds: u32) -> Self {
        self.default_expires = seconds;
        self
    }

    /// Whether RFC 5626 is spoken. Default: yes.
    pub fn outbound(mut self, outbound: bool) -> Self {
        self.outbound = outbound;
        self
    }

    /// The Flow-Timer in seconds that goes with `Require: outbound`. Default: none.
    pub fn flow_timer(mut self, seconds: u32) -> Self {
        self.flow_timer = Some(seconds);
        self
    }

    /// What becomes of a MESSAGE to a user without a binding. Default: 480.
    pub fn offline(mut self, offline: Offline) -> Self {
        self.offline = offline;
        self
    }

    /// Whether bindings outlive their connection, as at servers that do not watch it. Default: no.
    pub fn keep_bindings(mut self, keep: bool) -> Self {
        self.keep_bindings = keep;
        self
    }

    /// Whether a MESSAGE goes over all flows of one instance at once, which RFC 5626 §7 forbids and servers without
    /// outbound do. Default: no, the newest flow is used and the others if it is gone.
    pub fn every_flow(mut self, every: bool) -> Self {
        self.every_flow = every;
        self
    }
}

/// What concerns connections.
#[cfg(feature = "tls")]
impl Options {
    /// The certificate. Default: one for the domain from a fresh authority, see
    /// [`root_pem`](crate::Registrar::root_pem).
    pub fn certificate(mut self, certificate: ServerCertificate) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// The TLS versions. Default: 1.2 and 1.3.
    pub fn tls(mut self, versions: TlsVersions) -> Self {
        self.versions = versions;
        self
    }

    /// Whether X25519MLKEM768 is among the key exchange groups. Default: yes.
    pub fn post_quantum(mut self, supported: bool) -> Self {
        self.post_quantum = supported;
        self
    }

    /// How many edges there are, each at an address of its own, in front of one registrar. Default: 1.
    pub fn edges(mut self, count: usize) -> Self {
        self.edges = count.max(1);
        self
    }

    /// The port on 127.0.0.1 of the first edge; further ones get theirs from the system. Default: 0, which leaves it to the system.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }
}
