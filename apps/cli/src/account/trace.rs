//! `--trace FILE`: every SIP message, secrets left out.

use crate::failure::{Exit, Failure};
use crate::when::rfc3339;
use aldis::{Direction, Trace, TraceEntry};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Opens the file, which only its owner may read, and writes behind what it holds already.
///
/// # Errors
/// [`Exit::Storage`] if it cannot be written.
pub(super) fn into_file(path: &Path, bodies: bool) -> Result<Trace, Failure> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let file = options.open(path).map_err(|error| {
        Failure::new(Exit::Storage, format_args!("The trace {} cannot be written: {error}.", path.display()))
    })?;
    let file = Mutex::new(file);
    let trace = Trace::new(move |entry| {
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = write(&mut file, &entry) {
            tracing::warn!(%error, "the trace cannot be written");
        }
    });
    Ok(if bodies { trace.with_bodies() } else { trace })
}

fn write(file: &mut File, entry: &TraceEntry) -> std::io::Result<()> {
    let direction = match entry.direction {
        Direction::Sent => "sent",
        Direction::Received => "received",
    };
    let seconds = i64::try_from(entry.at.as_secs()).unwrap_or(i64::MAX);
    let when = rfc3339(seconds).unwrap_or_default();
    let millis = entry.at.subsec_millis();
    // One write for each message: two commands may share a file.
    let when = when.trim_end_matches('Z');
    file.write_all(format!("--- {when}.{millis:03}Z {direction}\n{}\n", entry.text).as_bytes())
}
