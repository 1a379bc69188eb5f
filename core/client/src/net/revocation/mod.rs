//! What the issuers of a server's certificates say about revocation, fetched between the handshake and the first SIP byte.
//!
//! A verifier inside a handshake may not wait for the network. So the handshake ends, and the connection stands in the
//! gate: what nothing has proven yet is asked for at the issuers' distribution points (lists by plain HTTP, which their
//! signatures protect), and then the chain is judged again. Nothing is written before the last verdict.

mod cache;
mod fetch;
mod folder;
mod gate;
mod http;
mod reach;
mod url;

use std::path::PathBuf;
use std::time::Duration;

use cache::Cache;
pub(crate) use gate::Case;

/// How long the gate may take where revocation is looked for and not demanded.
const PREFER_LIMIT: Duration = Duration::from_secs(5);
/// How long the gate may take where a proof is demanded: without it there is no connection.
const REQUIRE_LIMIT: Duration = Duration::from_secs(10);

/// Fetches revocation lists and keeps them until they are renewed. One is shared by all connections of an account, or of
/// several accounts.
#[derive(Debug, Default)]
pub struct Revocation {
    cache: Cache,
}

impl Revocation {
    /// Keeps lists in memory alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps lists in this folder too, for the next start. It is created, for its owner alone, when there is something to
    /// keep; files that are not lists any more are ignored, and what is read is checked like what is fetched. At most 64
    /// files and 64 megabytes.
    pub fn in_folder(folder: PathBuf) -> Self {
        Revocation { cache: Cache::in_folder(folder) }
    }
}
