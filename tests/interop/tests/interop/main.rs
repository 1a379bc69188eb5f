//! Aldis against Debian's Kamailio, baresip and linphone. See the crate's documentation for what it takes.
#![allow(
    clippy::indexing_slicing,
    reason = "a missing member of a JSON line is null, and fails the comparison"
)]

mod bench;
mod messages;
mod peers;
mod receipts;
mod registration;
mod trust;
