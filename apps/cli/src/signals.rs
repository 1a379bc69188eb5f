//! Being asked to stop.

use std::io;
use std::process;

/// The exit status of one who was interrupted twice and does not wait: 128 and the number of SIGINT, as shells have it.
const ABANDONED: i32 = 130;

/// SIGINT and SIGTERM: the first one is told to the command, which unregisters; the next one ends the process at once.
#[derive(Debug)]
pub(crate) struct Interrupts {
    #[cfg(unix)]
    both: [tokio::signal::unix::Signal; 2],
}

impl Interrupts {
    /// From now on the signals do not end the process by themselves.
    ///
    /// # Errors
    /// When the system does not let them be caught.
    pub fn catch() -> io::Result<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            Ok(Interrupts { both: [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?] })
        }
        #[cfg(not(unix))]
        Ok(Interrupts {})
    }

    /// Waits for one. May be dropped and called again.
    pub async fn next(&mut self) {
        #[cfg(unix)]
        {
            let [interrupt, terminate] = &mut self.both;
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits for one and ends the process.
    pub async fn abandon(&mut self) {
        self.next().await;
        process::exit(ABANDONED);
    }
}
