//! What `-v` says: the libraries' own log, on standard error.

use std::io;
use tracing_subscriber::EnvFilter;

/// The crates whose log is shown; others' belongs to their authors.
const OURS: [&str; 5] = ["aldis", "aldis_agent", "aldis_store", "aldis_trust", "aldis_registrar"];

/// Starts logging; without `-v` only errors, which are bugs.
pub(crate) fn start(verbose: u8, colour: bool) {
    let level = match verbose {
        0 => "error",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = OURS.map(|name| format!("{name}={level}")).join(",");
    let builder =
        tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(colour).with_target(verbose > 1);
    // A subscriber that is there already stays: there is none in this process.
    let _ = builder.with_env_filter(EnvFilter::new(filter)).try_init();
}
