//! The user agent in virtual time, against a server that is written out in each test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    missing_docs
)] // a test may stop where it fails

mod answering;
mod authentication;
mod bearer;
mod composing;
mod connection;
mod content;
mod digest;
mod flows;
mod keepalive;
mod keeping;
mod properties;
mod push;
mod receipts;
mod recovery;
mod refusing;
mod registration;
mod registration_failures;
mod rig;
mod routing;
mod secrets;
mod sending;
mod sending_failures;
mod shutdown;
mod subscriptions;
mod throughput;
