//! The commands that use a phone.

pub(crate) mod chat;

#[cfg(feature = "demo")]
pub(crate) mod demo;
pub(crate) mod listen;
pub(crate) mod register;
pub(crate) mod send;

use crate::failure::{Exit, Failure, Outcome};
use crate::session::Session;
use std::future::Future;

/// Runs a command to its end on a runtime of its own.
///
/// # Errors
/// The command's own, or an internal one.
pub(crate) fn block_on(command: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Failure::new(Exit::Internal, format_args!("The runtime does not start: {error}."))
    })?;
    runtime.block_on(command)
}

/// Ends the session whatever came out, and says what came out.
async fn finish(session: Session<'_>, outcome: Outcome) -> Outcome {
    let ended = session.end().await;
    let exit = outcome?;
    ended.map(|()| exit)
}
