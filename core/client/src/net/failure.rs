//! Why there is no connection.

use std::fmt;
use std::net::SocketAddr;

use aldis_trust::Verdict;

use super::race::ConnectError;
use super::resolve_error::ResolveError;
use super::target::Target;
use super::tls_failure::TlsCause;

/// A server that is not trusted.
#[derive(Clone, Debug)]
pub struct Untrusted {
    /// The judgement, a refusal.
    pub verdict: Box<Verdict>,
    /// The address.
    pub address: SocketAddr,
    /// The place that led to it.
    pub target: Target,
}

/// Why there is no connection. When several servers failed in several ways, it is the one that a user should hear of
/// first: the order of the variants.
#[derive(Clone, Debug)]
pub enum ConnectFailure {
    /// A server answered and did not prove the identity. It has received no SIP byte.
    Untrusted(Box<Untrusted>),
    /// TCP connected, and TLS failed for another reason than the certificate.
    Tls {
        /// The reason.
        cause: TlsCause,
        /// The address.
        address: SocketAddr,
        /// The place that led to it.
        target: Box<Target>,
    },
    /// No address could be connected to.
    Connect(ConnectError),
    /// DNS named no address.
    Dns(ResolveError),
}

impl ConnectFailure {
    /// Whether trying again later may succeed without anybody changing a record, a certificate or a setting.
    pub fn may_pass(&self) -> bool {
        match self {
            // It may be a network's login page; the agent still waits longer than after a refused connection.
            Self::Untrusted(_) => true,
            Self::Tls { cause, .. } => !matches!(cause, TlsCause::Setup { .. }),
            Self::Connect(_) => true,
            Self::Dns(error) => error.may_pass(),
        }
    }

    /// What to do about it, in a sentence or two.
    pub fn advice(&self) -> String {
        match self {
            Self::Untrusted(untrusted) => {
                untrusted.verdict.findings().first().map(|finding| finding.advice.clone()).unwrap_or_default()
            }
            Self::Tls { cause, .. } => cause.advice().into(),
            Self::Connect(_) => {
                "Check the network connection, and the server's name and port; a firewall may block the port."
                    .into()
            }
            Self::Dns(error) => error.advice().into(),
        }
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server at {} is not trusted", self.address)?;
        match self.verdict.findings().first() {
            Some(finding) => write!(
                f,
                ": {} (expected {}, found {})",
                finding.code.as_str(),
                finding.expected,
                finding.found
            ),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untrusted(untrusted) => untrusted.fmt(f),
            Self::Tls { cause, address, .. } => write!(f, "no TLS with {address}: {cause}"),
            Self::Connect(error) => write!(f, "no connection: {error}"),
            Self::Dns(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConnectFailure {}
