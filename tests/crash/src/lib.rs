//! Phones that are killed with SIGKILL, again and again, while others write to them and read what they write; and the judge
//! of what all were told and shown. `README.md` has the figures.
//!
//! A victim is a process of its own: the real phone over an SQLite file, against the embedded registrar over TLS. It kills
//! itself at a place in its work that the parent chooses ([`Place`]: in the store before, inside and behind each kind of
//! transaction; as bytes come and go; as its app is told something), or the parent kills it at a random moment, mostly after it
//! has registered. What it is told and shown it writes to a journal, which outlives it as the page cache does. The others and
//! the registrar stay up, and the messages to a victim that is dead the registrar keeps. At the end each victim runs once more
//! without being killed, until nothing is left to do. Then
//!
//! - every message that it accepted from its app was shown to the other exactly once, in order;
//! - every message that it answered with 200, or the registrar kept for it with 202, was shown to its app in one place of the
//!   store, and in no second one (the app may be given a place again until it acknowledges it, and knows it by its number);
//! - every receipt that was asked for came, once, in both directions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // what is missing ends the run

mod judge;
mod keep;
mod other;
mod parent;
mod place;
mod sabotage;
mod store;
mod victim;

pub use judge::{Judge, Report, Written};
pub use keep::keep;
pub use parent::{Plan, compile_shim};
pub use place::{Deed, Fate, Place, Stage};
pub use sabotage::{SABOTAGES, Sabotage};
pub use store::Deadly;
pub use victim::{Orders, live};
