//! A SIP registrar and MESSAGE router over TLS on loopback, for tests and the demo.
//!
//! It does what RFC 3261 §10.3 and §16, RFC 3428, RFC 4320 and RFC 5626 ask of such a server, as strictly as they allow:
//! a client that gets along with it has kept its side. It does wrong only what it is told to ([`Fault`]), and it keeps a
//! log of all that it saw and said, for which tests can wait. It knows nothing of the client that it tests; the wire
//! format alone ([`aldis_sip`]) is shared with it.
//!
//! [`Machine`] is all of it without sockets, clock and randomness, for simulations; [`Registrar`] carries its bytes over
//! TLS, with the feature `tls`, which is on by default.
//!
//! ```
//! use aldis_registrar::{Options, Registrar};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let registrar = Registrar::start(Options::new("example.test").user("alice", "secret")).await?;
//! let root = registrar.root_pem().unwrap(); // what a client must trust
//! println!("listening on {} with {} bytes of root", registrar.address(), root.len());
//! assert_eq!(registrar.application_bytes(), 0);
//! # Ok(())
//! # }
//! ```

mod bindings;
#[cfg(feature = "tls")]
mod connection;
#[cfg(feature = "tls")]
mod core;
mod digest;
mod entry;
mod extensions;
mod faults;
mod gruu;
#[cfg(feature = "tls")]
mod impostor;
mod links;
#[cfg(feature = "tls")]
mod listener;
#[cfg(feature = "tls")]
mod log;
mod machine;
mod now;
mod offline;
mod options;
mod outgoing;
mod register;
mod requests;
mod routing;
#[cfg(feature = "tls")]
mod server;
mod subscriptions;
mod tape;
#[cfg(feature = "tls")]
mod tls;
mod transactions;
mod wire;

#[cfg(feature = "tls")]
pub use aldis_pki as pki;
pub use bindings::Binding;
pub use digest::AuthRefusal;
pub use entry::{ClosedBy, ConnectionId, Entry, TimedOut, Traffic, What};
pub use extensions::{Edge, Grant};
pub use faults::{Fault, Requests, Times};
#[cfg(feature = "tls")]
pub use impostor::Impostor;
pub use links::{Close, Output, PONG};
pub use machine::Machine;
pub use now::Now;
pub use options::{MessageChallenge, Offline, Options};
pub use outgoing::{Outgoing, SentRequest};
#[cfg(feature = "tls")]
pub use server::Registrar;
pub use subscriptions::{Ending, Package};
#[cfg(feature = "tls")]
pub use tls::{ServerCertificate, TlsFacts, TlsVersions};
