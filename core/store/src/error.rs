//! Why something could not be stored or read, named by what to do about it.

/// Why something could not be stored or read. A change that failed was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// So many received messages wait for the app, or messages in the outbox for a connection, that no more are taken.
    #[error("{0} messages wait already; no more are taken")]
    Full(usize),
    /// The disk, or the size that the store may have, is used up.
    #[error("there is no space left for messages")]
    NoSpace,
    /// The file or its folder may not be written.
    #[error("the message store may be read only")]
    ReadOnly,
    /// Another process holds the file locked.
    #[error("another process holds the message store")]
    Busy,
    /// The file is damaged. Opening it again sets it aside and keeps what can be read, once no other program has it open; a
    /// phone does that by itself.
    #[error("the message store is damaged: {0}")]
    Damaged(String),
    /// A later version of this software wrote the file.
    #[error("the message store has version {found}, and this software knows versions up to {known}")]
    TooNew {
        /// The file's version.
        found: u32,
        /// The latest version known here.
        known: u32,
    },
    /// The file cannot be opened: its folder is missing or closed to us, or the device has not been unlocked yet.
    #[error("the message store cannot be opened: {0}")]
    Unavailable(String),
    /// The store was closed because the app went to the background.
    #[error("the message store is closed while the app is in the background")]
    Suspended,
    /// The disk failed.
    #[error("the disk failed: {0}")]
    Disk(String),
    /// Something is wrong with the request itself, or a bug of ours.
    #[error("the message store failed: {0}")]
    Failed(String),
}

impl StoreError {
    /// Whether the same may succeed later without anybody doing anything.
    pub fn may_pass(&self) -> bool {
        matches!(self, StoreError::Busy | StoreError::Full(_) | StoreError::Suspended)
    }

    /// What to do, in a sentence for people.
    pub fn advice(&self) -> &'static str {
        match self {
            StoreError::Full(_) => "Acknowledge what was received, or wait until the outbox has drained.",
            StoreError::NoSpace => "Free some space on the disk, or delete old conversations.",
            StoreError::ReadOnly => "Make the file and its folder writable for this user.",
            StoreError::Busy => {
                "Try again in a moment; if it lasts, end the other program that uses this account."
            }
            StoreError::Damaged(_) => {
                "The file is set aside and what can be read is kept as soon as no other program has it open: end those that do, or start again."
            }
            StoreError::TooNew { .. } => "Use the later version of this software, or another file.",
            StoreError::Unavailable(_) => {
                "Check that the folder exists and that this user may enter it; on a phone, unlock it once after a restart."
            }
            StoreError::Suspended => "Bring the app to the foreground.",
            StoreError::Disk(_) => "Check the disk; what was stored before is still there if it can be read.",
            StoreError::Failed(_) => "Please report this with the log.",
        }
    }
}
