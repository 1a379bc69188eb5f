//! What a SIP client must not lose: messages on their way out, messages that came, and what was seen already.
//!
//! [`Store`] is the interface; [`MemoryStore`] keeps everything for the life of the process. A message is answered with 200
//! only after [`Store::put_incoming`] has returned, so that "answered" means "stored" for every implementation.
//!
//! ```
//! use aldis_store::{Incoming, MemoryStore, Store, Stored};
//! let mut store = MemoryStore::default();
//! let message = Incoming {
//!     key: "sip:alice@example.test 1".into(),
//!     id: "1".into(),
//!     from: "sip:alice@example.test".into(),
//!     display_name: None,
//!     to: "sip:bob@example.test".into(),
//!     content_type: "text/plain".into(),
//!     body: b"hi".to_vec(),
//!     sent_at: None,
//!     received_at: 1_800_000_000,
//! };
//! assert!(matches!(store.put_incoming(message.clone()), Ok(Stored::New(_))));
//! assert!(matches!(store.put_incoming(message), Ok(Stored::Repeated)));
//! ```

mod memory;

pub use memory::MemoryStore;

/// How long a message's key is remembered, in seconds: a proxy or offline store may repeat it after days (MSG-16).
pub const REMEMBER_FOR: i64 = 7 * 24 * 3600;

/// A message that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// What a repetition is known by: sender and message identifier, or Call-ID, From tag and CSeq (MSG-16).
    pub key: String,
    /// The sender's identifier of it.
    pub id: String,
    /// The sender's URI.
    pub from: String,
    /// The sender's display name.
    pub display_name: Option<String>,
    /// The URI that it was sent to.
    pub to: String,
    /// The content type.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
    /// When the sender says that it was sent, in seconds since 1970.
    pub sent_at: Option<i64>,
    /// When it came, in seconds since 1970.
    pub received_at: i64,
}

/// The place of a received message; later ones have larger numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

/// What became of a received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is new, and kept until it is acknowledged.
    New(Sequence),
    /// It was seen before; nothing was stored.
    Repeated,
}

/// Why something could not be stored. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Too many messages wait for the app.
    #[error("{0} messages wait to be read; no more can be kept")]
    Full(usize),
    /// The disk or database failed.
    #[error("the message store failed: {0}")]
    Failed(String),
}

/// Where messages are kept. Calls may block for the time of a disk write.
pub trait Store: Send {
    /// Keeps a message that came, unless its key was seen within [`REMEMBER_FOR`].
    ///
    /// # Errors
    /// [`StoreError`]; the sender is then told to keep the message.
    fn put_incoming(&mut self, message: Incoming) -> Result<Stored, StoreError>;

    /// Received messages that were not acknowledged, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    fn incoming(&self) -> Result<Vec<(Sequence, Incoming)>, StoreError>;

    /// The app has the message; its payload may go, its key stays.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    fn acknowledge(&mut self, sequence: Sequence) -> Result<(), StoreError>;
}
