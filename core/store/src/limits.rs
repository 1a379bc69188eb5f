//! How much is kept, and for how long.

/// How much is kept. What exceeds it goes with [`crate::Store::tidy`], the oldest first; what still waits to be sent or
/// to be acknowledged never goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Received messages that wait for the app. Beyond it further ones are refused with [`crate::StoreError::Full`], and
    /// their senders keep them.
    pub inbox: usize,
    /// Messages that are still to be sent. Beyond it further ones are refused.
    pub outbox: usize,
    /// How long a message that is done is kept in its conversation, in seconds; `None` for ever, 0 not at all.
    pub keep_for: Option<i64>,
    /// The most bytes that the store may take on disk; `None` for as many as the disk has. At nine tenths of it old
    /// messages go. (A write-ahead log of a few megabytes comes on top.)
    pub size: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { inbox: 10_000, outbox: 100_000, keep_for: None, size: None }
    }
}
