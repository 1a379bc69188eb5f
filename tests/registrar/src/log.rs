//! What happened at the server, for tests to read and wait for.

use crate::entry::{ConnectionId, Entry, TimedOut, What};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// Most entries kept; the oldest are forgotten.
const MAX_ENTRIES: usize = 65_536;
/// Most bytes of messages kept; the oldest entries are forgotten.
const MAX_BYTES: usize = 64 << 20;
/// Most connections whose counts are kept; the oldest are forgotten.
const MAX_COUNTED: usize = 65_536;

/// The log of one server.
#[derive(Debug)]
pub(crate) struct Log {
    started: Instant,
    kept: Mutex<Kept>,
    /// How many entries there ever were.
    written: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: VecDeque<Entry>,
    bytes: usize,
    accepted: u64,
    application_bytes: u64,
    counts: BTreeMap<ConnectionId, u64>,
}

fn weight(entry: &Entry) -> usize {
    entry.received().or(entry.sent()).map_or(0, |traffic| traffic.raw.len())
}

impl Log {
    pub fn new() -> Log {
        Log { started: Instant::now(), kept: Mutex::default(), written: watch::Sender::new(0) }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn write(&self, connection: ConnectionId, what: What) {
        let mut kept = self.kept();
        if matches!(what, What::Accepted { .. }) {
            kept.accepted += 1;
        }
        let entry = Entry { number: *self.written.borrow(), time: self.started.elapsed(), connection, what };
        kept.bytes += weight(&entry);
        kept.entries.push_back(entry);
        while kept.entries.len() > MAX_ENTRIES || kept.bytes > MAX_BYTES {
            let Some(oldest) = kept.entries.pop_front() else { break };
            kept.bytes -= weight(&oldest);
        }
        self.written.send_modify(|written| *written += 1);
    }

    /// Counts application data that came.
    pub fn count(&self, connection: ConnectionId, bytes: usize) {
        let mut kept = self.kept();
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        kept.application_bytes += bytes;
        *kept.counts.entry(connection).or_default() += bytes;
        if kept.counts.len() > MAX_COUNTED {
            kept.counts.pop_first();
        }
    }

    pub fn entries(&self) -> Vec<Entry> {
        self.kept().entries.iter().cloned().collect()
    }

    pub fn mark(&self) -> u64 {
        *self.written.borrow()
    }

    pub fn accepted(&self) -> u64 {
        self.kept().accepted
    }

    pub fn application_bytes(&self) -> u64 {
        self.kept().application_bytes
    }

    pub fn application_bytes_of(&self, connection: ConnectionId) -> u64 {
        self.kept().counts.get(&connection).copied().unwrap_or(0)
    }

    /// The first entry from `mark` on that `wanted` recognizes, now or within `patience`.
    pub async fn wait(
        &self,
        mark: u64,
        mut wanted: impl FnMut(&Entry) -> bool,
        patience: Duration,
    ) -> Result<Entry, TimedOut> {
        let mut written = self.written.subscribe();
        let deadline = Instant::now() + patience;
        let mut next = mark;
        loop {
            written.borrow_and_update();
            {
                let kept = self.kept();
                let first = kept.entries.front().map_or(0, |entry| entry.number);
                let skip = usize::try_from(next.saturating_sub(first)).unwrap_or(usize::MAX);
                for entry in kept.entries.iter().skip(skip) {
                    if wanted(entry) {
                        return Ok(entry.clone());
                    }
                    next = entry.number + 1;
                }
            }
            if !matches!(timeout_at(deadline, written.changed()).await, Ok(Ok(()))) {
                return Err(TimedOut { after: patience, log: self.entries() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn waiting_finds_what_was_there_what_comes_and_nothing_before_the_mark() {
        let log = std::sync::Arc::new(Log::new());
        let connection = ConnectionId(1);
        log.write(connection, What::Ping);
        assert_eq!(log.wait(0, |e| matches!(e.what, What::Ping), PATIENCE).await.unwrap().number, 0);
        let mark = log.mark();
        assert!(log.wait(mark, |e| matches!(e.what, What::Ping), PATIENCE).await.is_err());
        let later = log.clone();
        tokio::spawn(async move {
            tokio::time::sleep(PATIENCE / 2).await;
            later.write(connection, What::Ping);
        });
        assert_eq!(log.wait(mark, |e| matches!(e.what, What::Ping), PATIENCE).await.unwrap().number, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_log_keeps_the_newest_entries() {
        let log = Log::new();
        for _ in 0..MAX_ENTRIES + 3 {
            log.write(ConnectionId(1), What::Ping);
        }
        let entries = log.entries();
        assert_eq!((entries.len(), entries[0].number), (MAX_ENTRIES, 3));
        assert_eq!(log.mark(), MAX_ENTRIES as u64 + 3);
    }
}
