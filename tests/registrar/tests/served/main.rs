//! The registrar as a client sees it, over real TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test crate
#![allow(missing_docs)]

mod client;
mod faults;
mod messages;
mod registering;
mod transport;
