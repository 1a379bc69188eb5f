//! What a SIP client must not lose: messages on their way out, messages that came, and what was seen already.
//!
//! [`Store`] is the interface. [`SqliteStore`] keeps everything in a file, [`MemoryStore`] for the life of the process; both
//! do the same otherwise, and one suite of tests runs over both. [`Keeper`] gives a store a thread of its own, on which what
//! many ask for shares one commit.
//!
//! ```
//! use aldis_store::{Incoming, MemoryStore, Store, Stored};
//! let mut store = MemoryStore::default();
//! let message = Incoming {
//!     key: "sip:alice@example.test 1".into(),
//!     id: "1".into(),
//!     from: "sip:alice@example.test".into(),
//!     display_name: None,
//!     claimed_from: None,
//!     to: "sip:bob@example.test".into(),
//!     content_type: "text/plain".into(),
//!     body: b"hi".to_vec(),
//!     sent_at: None,
//!     received_at: 1_800_000_000,
//!     expires_at: None,
//!     wants: None,
//!     owes_receipt: false,
//! };
//! assert!(matches!(store.put_incoming(&message), Ok(Stored::New(_))));
//! assert!(matches!(store.put_incoming(&message), Ok(Stored::Repeated)));
//! let with_alice = store.history("sip:alice@example.test", None, 20).unwrap();
//! assert_eq!(with_alice.len(), 1);
//! ```
//!
//! # What durable means
//!
//! When a call of [`SqliteStore`] has returned, what it did survives the end of the process, and, as far as the disk keeps
//! its word, a crash of the system and the loss of power: each commit is written to SQLite's write-ahead log and synced
//! (`synchronous=FULL`), on Apple's systems with `F_FULLFSYNC`, which asks the disk to empty its own cache too.
//!
//! A call that failed has done nothing. Only where a sync failed, and the process or the power ends before anything else was
//! stored, what was refused may be there the next time: the disk had it, and could not say so.
//!
//! # Who can read it
//!
//! The file is made for its owner alone (mode 0600, a folder that is made for it 0700), and what is deleted is overwritten.
//! There is no encryption of our own: SQLite's would need a second cryptographic library, and encrypted bodies beside
//! addresses, times and an index of words in clear would promise more than they keep. The platform's protection covers all
//! of it, with a key that is gone while the device is locked or off, which a key in the app's memory is not:
//!
//! - iOS: put the file where its data protection class is `completeUntilFirstUserAuthentication`, since messages come
//!   while the screen is locked (`NSFileProtectionCompleteUntilFirstUserAuthentication`, the default of third-party apps;
//!   the write-ahead log inherits the folder's class). Until the first unlock opening fails with
//!   [`StoreError::Unavailable`], which passes by itself.
//! - Android: the app's own storage is credential-encrypted by default (file-based encryption); exclude the file from
//!   backups (`android:dataExtractionRules`).
//! - Desktops: full-disk encryption (FileVault, BitLocker, LUKS).

mod error;
mod keeper;
mod limits;
mod memory;
mod model;
mod sqlite;
mod store;
mod words;

pub use error::StoreError;
pub use keeper::{Door, Keeper};
pub use limits::Limits;
pub use memory::MemoryStore;
pub use model::{
    Conversation, Entry, Incoming, Kind, Message, Outgoing, Owner, Peer, Pending, Put, Receipt, ReceiptKind,
    ReceiptRequest, Sequence, State, Stored, peer_of,
};
pub use sqlite::{Opened, Recovered, SqliteStore};
pub use store::{MAX_PAGE, REMEMBER_FOR, Stopper, Store};
