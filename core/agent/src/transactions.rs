//! Client transactions (RFC 3261 §17.1.2): over TLS nothing is sent twice, and all that remains is Timer F.

use crate::event::{FlowId, MessageId};
use crate::subscriptions::Package;
use crate::time::Now;
use aldis_sip::fields::RetryAfter;
use aldis_sip::{Message, StatusCode};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Register {
        slot: usize,
        removal: bool,
    },
    Message(MessageId),
    /// A message that was taken back under way, by its place in the outbox: the turn of the next one to its recipient alone
    /// depends on it (MSG-03).
    Withdrawn(u64),
    Subscribe(Package),
}

/// A request without a final response.
#[derive(Clone, Copy, Debug)]
struct Open {
    purpose: Purpose,
    /// Where it went: its response comes there or not at all.
    flow: FlowId,
    until: Duration,
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
    by_branch: BTreeMap<String, Open>,
    /// Timer F of each.
    timers: BTreeSet<(Duration, String)>,
    /// How many there are on each flow.
    counts: BTreeMap<FlowId, usize>,
}

impl Transactions {
    /// Begins one that waits so long for its final response.
    pub fn begin(&mut self, now: Now, branch: String, flow: FlowId, purpose: Purpose, within: Duration) {
        let until = now.mono + within;
        self.timers.insert((until, branch.clone()));
        *self.counts.entry(flow).or_default() += 1;
        self.by_branch.insert(branch, Open { purpose, flow, until });
    }

    /// What a response with this branch on this flow answers.
    pub fn get(&self, flow: FlowId, branch: &str) -> Option<Purpose> {
        self.by_branch.get(branch).filter(|open| open.flow == flow).map(|open| open.purpose)
    }

    pub fn end(&mut self, branch: &str) -> Option<Purpose> {
        let (branch, Open { purpose, flow, until }) = self.by_branch.remove_entry(branch)?;
        self.timers.remove(&(until, branch));
        if let Some(count) = self.counts.get_mut(&flow) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&flow);
            }
        }
        Some(purpose)
    }

    /// The message of this one was taken back.
    pub fn withdraw(&mut self, branch: &str, order: u64) {
        if let Some(open) = self.by_branch.get_mut(branch) {
            open.purpose = Purpose::Withdrawn(order);
        }
    }

    /// Ends those whose messages were taken back.
    pub fn end_withdrawn(&mut self) {
        let withdrawn = |(branch, open): (&String, &Open)| {
            matches!(open.purpose, Purpose::Withdrawn(_)).then(|| branch.clone())
        };
        let branches: Vec<_> = self.by_branch.iter().filter_map(withdrawn).collect();
        for branch in branches {
            self.end(&branch);
        }
    }

    /// Whether an answer is awaited on this flow.
    pub fn has(&self, flow: FlowId) -> bool {
        self.counts.contains_key(&flow)
    }

    /// Ends one whose time is over (TXN-01).
    pub fn expired(&mut self, now: Now) -> Option<(FlowId, Purpose)> {
        let branch =
            self.timers.first().filter(|(at, _)| *at <= now.mono).map(|(_, branch)| branch.clone())?;
        let flow = self.by_branch.get(&branch)?.flow;
        let purpose = self.end(&branch)?;
        Some((flow, purpose))
    }

    /// When the next one's time is over.
    pub fn deadline(&self) -> Option<Duration> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Ends all of a flow that is gone.
    pub fn end_flow(&mut self, flow: FlowId) -> Vec<Purpose> {
        if !self.has(flow) {
            return Vec::new();
        }
        let of_flow = |(branch, open): (&String, &Open)| (open.flow == flow).then(|| branch.clone());
        let branches: Vec<_> = self.by_branch.iter().filter_map(of_flow).collect();
        branches.iter().filter_map(|branch| self.end(branch)).collect()
    }

    /// Whether a REGISTER is unanswered on this flow, be it one that nobody waits for any more (REG-04).
    pub fn has_register(&self, flow: FlowId) -> bool {
        let is_it = |open: &Open| open.flow == flow && matches!(open.purpose, Purpose::Register { .. });
        self.has(flow) && self.by_branch.values().any(is_it)
    }

    pub fn clear(&mut self) {
        self.by_branch.clear();
        self.timers.clear();
        self.counts.clear();
    }
}
