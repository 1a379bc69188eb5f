//! The runtime that all phones of the process share.

use crate::StartError;
use std::sync::Mutex;
use tokio::runtime::{Builder, Handle, Runtime};

/// Phones wait more than they work: two threads keep a slow handshake of one from delaying another.
const WORKERS: usize = 2;

/// Made for the first phone and never taken down: phones may end on any thread at any time.
static RUNTIME: Mutex<Option<Runtime>> = Mutex::new(None);

/// The runtime's handle.
///
/// # Errors
/// [`StartError::Runtime`] if the system gives no threads; the next call tries again.
pub(crate) fn handle() -> Result<Handle, StartError> {
    let mut slot = RUNTIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(runtime) = slot.as_ref() {
        return Ok(runtime.handle().clone());
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("aldis")
        .enable_all()
        .build()
        .map_err(|error| StartError::Runtime { explanation: error.to_string() })?;
    Ok(slot.insert(runtime).handle().clone())
}
