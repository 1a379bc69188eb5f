//! What is measured: the same work on the same bytes by this project and by its peers.
//!
//! `cargo bench -p aldis-bench` measures it and prints a table with ratios.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a wrong sample must stop the run

pub mod accounts;
pub mod http;
pub mod ours;
pub mod peer;
pub mod process;
pub mod samples;
pub mod sending;
pub mod sink;
