//! A phone that is killed with SIGKILL, again and again, while another writes to it and reads what it writes; and the judge
//! of what both were told and shown.
//!
//! The victim is a process of its own: the real phone over an SQLite file, against the embedded registrar over TLS. It kills
//! itself before a commit, inside it, or behind it, at a place that the parent chooses, or the parent kills it at a random
//! moment. What it is told and shown it writes to a journal, which outlives it as the page cache does. At the end it runs once
//! more without being killed, until nothing is left to do. Then
//!
//! - every message that it accepted from its app was shown to the other exactly once;
//! - every message of the other that was answered with 200 was shown to its app in one place of the store, and in no second
//!   one (the app may be given a place again until it acknowledges it, and knows it by its number).
//!
//! `cargo run --release -p aldis-crash -- 10000` does ten thousand; the tests do fewer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // what is missing ends the run

mod judge;
mod parent;
mod store;
mod victim;

pub use judge::{Judge, Report};
pub use parent::{kill_many, with_victim};
pub use store::Deadly;
pub use victim::{Orders, live};
