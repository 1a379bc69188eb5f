//! Real servers and clients, driven from tests: Debian's Kamailio as registrar, baresip and linphone as the other
//! party, and the `aldis` command as anybody would type it.
//!
//! [`Kamailio::start`] makes a network namespace of its own (with an address, a default route that leads nowhere, and
//! host names), writes certificates, starts the server in it and returns when it serves. Clients are started against
//! it: [`Aldis`], [`Baresip`], [`Linphone`]. Each is a child process whose lines can be waited for, and which is ended
//! by its own process id when its value is dropped; the namespace goes with the server.
//!
//! It takes root (for the namespace) and the Debian packages that `tests/run` installs, so the tests are behind the
//! feature `interop`:
//!
//! ```sh
//! cargo test -p aldis-interop --features interop
//! ```
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "support for tests: what cannot be had fails the test, with the evidence in the panic's text"
)]

mod aldis;
mod baresip;
mod certificate;
mod kamailio;
mod linphone;
mod namespace;
mod process;
mod tls_sink;

use std::time::Duration;

pub use crate::aldis::{Aldis, Finished, Running};
pub use crate::baresip::Baresip;
pub use crate::certificate::Certificate;
pub use crate::kamailio::{Algorithm, Kamailio, Options};
pub use crate::linphone::Linphone;
pub use crate::namespace::Namespace;
pub use crate::process::{Line, Process, Source};
pub use crate::tls_sink::TlsSink;

/// The SIP domain of every account here.
pub const DOMAIN: &str = "example.test";

/// How long a test waits for something that should happen at once: generous, because two cores run many programs.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A user that Kamailio's configuration knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// User part of the address of record, and the name in the digest.
    pub name: &'static str,
    /// Password in the clear: it protects nothing.
    pub password: &'static str,
}

impl User {
    /// The address of record, `sip:alice@example.test`.
    #[must_use]
    pub fn address(self) -> String {
        format!("sip:{}@{DOMAIN}", self.name)
    }
}

/// alice, as `kamailio/kamailio.cfg` has her.
pub const ALICE: User = User { name: "alice", password: "wonderland" };
/// bob, as `kamailio/kamailio.cfg` has him.
pub const BOB: User = User { name: "bob", password: "builder" };
/// carol, as `kamailio/kamailio.cfg` has her.
pub const CAROL: User = User { name: "carol", password: "singer" };
