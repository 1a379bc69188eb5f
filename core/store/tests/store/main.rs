//! The stores: one suite over both, and what only a file can suffer.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // what is missing fails the test

mod behaviour;
mod faults;
mod group;
mod letting_go;
mod migration;
mod processes;
mod samples;
