//! Client transactions (RFC 3261 §17.1.2): over TLS nothing is sent twice, and all that remains is Timer F.

use crate::event::MessageId;
use crate::time::Now;
use aldis_sip::fields::RetryAfter;
use aldis_sip::{Message, StatusCode};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Register { removal: bool },
    Message(MessageId),
}

/// A final response, and when it came.
#[derive(Clone, Copy)]
pub(crate) struct Final<'a> {
    pub now: Now,
    pub message: &'a Message,
    pub status: StatusCode,
    pub reason: &'a str,
}

impl Final<'_> {
    /// When the server wants to be asked again.
    pub fn retry_after(&self) -> Option<Duration> {
        let after = self.message.get::<RetryAfter<'_>>().ok()??;
        Some(Duration::from_secs(u64::from(after.seconds)))
    }
}

/// All requests without a final response, by branch.
#[derive(Default)]
pub(crate) struct Transactions {
    by_branch: BTreeMap<String, (Purpose, Duration)>,
    /// Timer F of each.
    timers: BTreeSet<(Duration, String)>,
}

impl Transactions {
    /// Begins one that waits so long for its final response.
    pub fn begin(&mut self, now: Now, branch: String, purpose: Purpose, within: Duration) {
        let until = now.mono + within;
        self.timers.insert((until, branch.clone()));
        self.by_branch.insert(branch, (purpose, until));
    }

    pub fn get(&self, branch: &str) -> Option<Purpose> {
        self.by_branch.get(branch).map(|(purpose, _)| *purpose)
    }

    pub fn end(&mut self, branch: &str) -> Option<Purpose> {
        let (branch, (purpose, until)) = self.by_branch.remove_entry(branch)?;
        self.timers.remove(&(until, branch));
        Some(purpose)
    }

    /// Ends one whose time is over (TXN-01).
    pub fn expired(&mut self, now: Now) -> Option<(String, Purpose)> {
        let branch =
            self.timers.first().filter(|(at, _)| *at <= now.mono).map(|(_, branch)| branch.clone())?;
        let purpose = self.end(&branch)?;
        Some((branch, purpose))
    }

    /// When the next one's time is over.
    pub fn deadline(&self) -> Option<Duration> {
        self.timers.first().map(|(at, _)| *at)
    }

    pub fn clear(&mut self) {
        self.by_branch.clear();
        self.timers.clear();
    }
}
