//! Time as an argument.

use std::time::Duration;

/// The moment of a call. The agent reads no clock: whoever calls it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Since some fixed moment, going on while the device sleeps (CLOCK_BOOTTIME, not `Instant`). Never goes back.
    pub mono: Duration,
    /// Since 1970-01-01T00:00:00Z, as the device believes. May jump.
    pub wall: Duration,
}

/// RFC 3261 §17.1.1.1: an estimate of the round trip.
pub(crate) const T1: Duration = Duration::from_millis(500);
/// Timers F, H and J of RFC 3261 §17: how long a transaction waits, and how long an answer is kept for a repetition.
pub(crate) const TRANSACTION_LIFETIME: Duration = Duration::from_millis(64 * T1.as_millis() as u64);

/// When the agent must be called again, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// On the clock of [`Now::mono`].
    pub at: Duration,
    /// What is due then.
    pub reason: Reason,
}

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A request has had no final response (Timer F).
    RequestTimeout,
    /// A request from outside waits for an answer from storage.
    AnswerDue,
    /// Somebody has stopped writing, or has to be said to go on.
    Composing,
    /// A stored answer may be forgotten (Timer J).
    AnswerKept,
    /// The registration must be refreshed or tried again.
    Registration,
    /// The next connection attempt.
    Reconnect,
    /// A keep-alive ping is due.
    Ping,
    /// A pong must have come.
    Pong,
    /// A subscription must be refreshed or tried again.
    Subscription,
    /// The server asked us to hold back for so long.
    ServerBusy,
    /// A connection that nobody needs closes.
    Idle,
    /// A message that waits is of no use any more.
    MessageExpiry,
    /// Shutting down ends.
    Shutdown,
}
