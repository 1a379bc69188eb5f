//! The dependency rules of the workspace, as a check.
//!
//! The layers are `cli`, `ffi` → `client` → {`agent`, `trust`, `store`} → `sip`, and nothing points upwards. `sip`,
//! `trust` and `agent` are given time, randomness and bytes: they name no runtime, socket, clock, source of randomness
//! or environment. What could weaken the verification of a server stands in one place each. Nothing refers to a path
//! outside the project.
//!
//! [`manifests`] looks at what `cargo metadata` says, [`sources`] at the files; both give [`Violation`]s. The tests run
//! them over the workspace and over made-up ones that break each rule.
//!
//! Rules about code hold for what ships: comments, string literals, `#[cfg(test)]` items and the folders `tests`,
//! `benches` and `examples` of a crate are exempt.
#![allow(
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "the input is our own tree; an offset comes from a search in the same text"
)]

pub mod manifests;
mod search;
pub mod sources;
mod strip;

pub use strip::shipped_code;

/// A rule that does not hold, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The package, or the file (relative to the workspace) with its line.
    pub place: String,
    /// Which rule, and what breaks it.
    pub reason: String,
}

impl Violation {
    fn new(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { place: place.into(), reason: reason.into() }
    }
}
