//! What `-v` says: the libraries' own log, on standard error.

use std::io;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The crates whose log is shown; others' belongs to their authors.
const OURS: [&str; 5] = ["aldis", "aldis_agent", "aldis_store", "aldis_trust", "aldis_registrar"];

/// Starts logging; without `-v` only errors, which are bugs.
pub(crate) fn start(verbose: u8, colour: bool) {
    let level = match verbose {
        0 => LevelFilter::ERROR,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let lines =
        tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(colour).with_target(verbose > 1);
    let ours = Targets::new().with_targets(OURS.map(|name| (name, level)));
    // A subscriber that is there already stays: there is none in this process.
    let _ = tracing_subscriber::registry().with(ours).with(lines).try_init();
}
