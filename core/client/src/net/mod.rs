//! The only IO of the crate: names, TCP connections, TLS handshakes, clocks.
//!
//! What DNS says chooses where to connect and never whom to trust: the identity that a server must prove goes past the
//! whole folder, from the account to the TLS verifier, and no answer touches it.

mod address;
mod cache;
pub mod clock;
mod connect;
mod dns;
mod failure;
mod lanes;
mod memory;
mod order;
mod race;
mod resolve;
mod resolve_error;
mod revocation;
pub mod srv;
pub mod system_roots;
mod target;
mod tls;
mod tls_failure;

#[cfg(test)]
mod testing;

pub use connect::{ConnectRequest, Connection, Deadlines, NetworkChange, Route, Stream, connect};
pub use failure::{ConnectFailure, Untrusted};
pub use memory::{Fault, Memory};
pub use race::{AttemptError, Candidates, ConnectError, Pace, Reason, connect_tcp};
pub use resolve::{Resolution, Resolver};
pub use resolve_error::{Question, RecordType, ResolveError};
pub use revocation::Revocation;
pub use target::{Host, Origin, SIPS_PORT, Target, Unasked};
pub use tls::{ClientCertificateUse, PostQuantum, TlsFacts, TlsOptions, TlsVersion};
pub use tls_failure::{Alert, TlsCause};
