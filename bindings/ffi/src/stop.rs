//! Ending the wait of a call from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// Ends calls that wait: give it to one or several calls, and [`StopSignal::stop`] makes them return at once, as it does
/// every call that gets it later. Nothing is lost: what a call would have returned goes to the next one.
#[derive(Debug, Default, uniffi::Object)]
pub struct StopSignal {
    is_stopped: AtomicBool,
    changed: Notify,
}

#[uniffi::export]
impl StopSignal {
    /// A signal that has not been given.
    #[uniffi::constructor]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Gives the signal. May be called again, and from any thread.
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Whether it was given.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::SeqCst)
    }
}

impl StopSignal {
    /// Returns when the signal is given.
    pub(crate) async fn stopped(&self) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // From here on no signal is missed.
            changed.as_mut().enable();
            if self.is_stopped() {
                return;
            }
            changed.await;
        }
    }
}

/// Waits for `future`, or for the signal, if there is one: then `None`.
pub(crate) async fn unless_stopped<T>(
    until: Option<&StopSignal>,
    future: impl Future<Output = T>,
) -> Option<T> {
    match until {
        None => Some(future.await),
        Some(signal) => tokio::select! {
            biased;
            () = signal.stopped() => None,
            value = future => Some(value),
        },
    }
}
