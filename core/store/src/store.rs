//! The interface.

use crate::{
    Conversation, Entry, Incoming, Opened, Outgoing, Owner, Peer, Pending, Put, Receipt, ReceiptKind,
    Sequence, State, StoreError, Stored,
};

use std::fmt;
use std::sync::Arc;

/// How long a message's key is remembered, in seconds: a proxy or offline store may repeat it after days (MSG-16).
pub const REMEMBER_FOR: i64 = 7 * 24 * 3600;

/// Most entries of one answer.
pub const MAX_PAGE: usize = 1000;

/// Where messages are kept. Calls may block for the time of a disk write, hence [`crate::Keeper`].
///
/// Each call is done as a whole or not at all, and durable when it returns; inside [`Store::group`] it is durable when
/// the group has returned. Lists are cut at [`MAX_PAGE`].
pub trait Store: Send {
    /// Does several calls with one commit. If it fails, none of them was done, whatever they returned.
    ///
    /// # Errors
    /// [`StoreError`].
    fn group(&mut self, work: &mut dyn FnMut(&mut dyn Store)) -> Result<(), StoreError>;

    // ---- what came ----

    /// Keeps a message that came, unless its key was seen within [`REMEMBER_FOR`].
    ///
    /// # Errors
    /// [`StoreError`]; the sender is then told to keep the message.
    fn put_incoming(&mut self, message: &Incoming) -> Result<Stored, StoreError>;

    /// Received messages behind `after` that were not acknowledged, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    fn waiting(&mut self, after: Sequence, limit: usize) -> Result<Vec<(Sequence, Incoming)>, StoreError>;

    /// The app has these messages. They stay in their conversations, their keys are remembered.
    ///
    /// # Errors
    /// [`StoreError`].
    fn acknowledge(&mut self, sequences: &[Sequence]) -> Result<(), StoreError>;

    /// Keeps a receipt that is to be sent for a received message, if its sender asked for it and it was not kept before:
    /// one of each kind for a message, however often this is called (IMDN-04). `leaves` as with [`Store::put_outgoing`]. `None`: it is not wanted, or was kept once.
    ///
    /// # Errors
    /// [`StoreError`]; the receipt is owed still.
    fn put_owed(
        &mut self,
        sequence: Sequence,
        kind: ReceiptKind,
        receipt: &Outgoing,
        owner: Owner,
        leaves: bool,
    ) -> Result<Option<Put>, StoreError>;

    /// Received messages behind `after` for which a receipt of delivery is owed ([`Incoming::owes_receipt`]), oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    fn receipts_owed(
        &mut self,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<(Sequence, Incoming)>, StoreError>;

    // ---- what is to go ----

    /// Keeps a message that is to be sent. An identifier that is kept already is not kept twice: it is then looked at
    /// again whose it is. With `leaves` it has the state [`State::Sending`] at once, if it is this owner's to send.
    ///
    /// # Errors
    /// [`StoreError`]; nothing of the message may be sent then.
    fn put_outgoing(&mut self, message: &Outgoing, owner: Owner, leaves: bool) -> Result<Put, StoreError>;

    /// Takes over what nobody holds, in the order in which it was put; at most one process works for a recipient at a time.
    /// Gives what was taken over.
    ///
    /// # Errors
    /// [`StoreError`].
    fn claim(&mut self, owner: Owner, limit: usize) -> Result<Vec<Pending>, StoreError>;

    /// Gives up what this owner holds.
    ///
    /// # Errors
    /// [`StoreError`].
    fn release(&mut self, owner: Owner) -> Result<(), StoreError>;

    /// Sets what is known of an outgoing message, which must be this owner's or free unless it has its final state. `false`: it
    /// is another's, or gone, or was sent by another, and nothing was changed. A final state ends the hold, and
    /// [`State::Sending`] does not follow it; [`State::Queued`] begins one anew, to send again what has failed.
    ///
    /// # Errors
    /// [`StoreError`].
    fn set_state(&mut self, id: &str, owner: Owner, state: &State) -> Result<bool, StoreError>;

    /// An outgoing message by its identifier.
    ///
    /// # Errors
    /// [`StoreError`].
    fn outgoing(&mut self, id: &str) -> Result<Option<Entry>, StoreError>;

    /// Notes a receipt. Gives the message that it speaks of if it says something new of it and comes from its recipient;
    /// what is unknown, late, repeated or from somebody else does no harm (IMDN-08).
    ///
    /// # Errors
    /// [`StoreError`].
    fn put_receipt(&mut self, receipt: &Receipt) -> Result<Option<Entry>, StoreError>;

    // ---- what was said ----

    /// Conversations whose newest message stands before `before`, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    fn conversations(
        &mut self,
        before: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Conversation>, StoreError>;

    /// Messages with this peer ([`crate::peer_of`] a URI) before `before`, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    fn history(
        &mut self,
        peer: &str,
        before: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError>;

    /// Messages before `before` whose text has every word of `words`, newest first: words are found by their beginning,
    /// whatever the case, accents left away. `peer` narrows it to one conversation.
    ///
    /// # Errors
    /// [`StoreError`].
    fn search(
        &mut self,
        words: &str,
        peer: Option<&str>,
        before: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError>;

    /// The user has seen all messages with this peer up to that one.
    ///
    /// # Errors
    /// [`StoreError`].
    fn mark_read(&mut self, peer: &str, up_to: Sequence) -> Result<(), StoreError>;

    /// Deletes a message for good. One that is being sent by a process is not recalled by this. `false`: there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    fn delete_message(&mut self, sequence: Sequence) -> Result<bool, StoreError>;

    /// Deletes all messages with this peer for good, except those that are still to be sent; gives how many.
    ///
    /// # Errors
    /// [`StoreError`].
    fn delete_conversation(&mut self, peer: &str) -> Result<usize, StoreError>;

    // ---- whom we know ----

    /// What is known of a peer ([`crate::peer_of`] a URI).
    ///
    /// # Errors
    /// [`StoreError`].
    fn peer(&mut self, address: &str) -> Result<Option<Peer>, StoreError>;

    /// The peers of which something was learned, last learned first.
    ///
    /// # Errors
    /// [`StoreError`].
    fn peers(&mut self, limit: usize) -> Result<Vec<Peer>, StoreError>;

    /// Keeps what is known of a peer, instead of what was known.
    ///
    /// # Errors
    /// [`StoreError`].
    fn put_peer(&mut self, peer: &Peer) -> Result<(), StoreError>;

    // ---- the house ----

    /// Whether what is stored is there again after the process has ended.
    fn is_lasting(&self) -> bool;

    /// Forgets keys that are older than [`REMEMBER_FOR`], and messages beyond the limits of the store; gives how many
    /// messages were deleted. Works a bounded time: call it again while it deletes.
    ///
    /// # Errors
    /// [`StoreError`].
    fn tidy(&mut self, now: i64) -> Result<usize, StoreError>;

    /// Whether another process changed something since this was asked last, or the store was opened. `true` also if it may
    /// have, while the files were let go.
    ///
    /// # Errors
    /// [`StoreError`].
    fn changed_elsewhere(&mut self) -> Result<bool, StoreError>;

    /// Ends what is under way and lets go of every lock and file. Until [`Store::resume`] everything fails with
    /// [`StoreError::Suspended`].
    ///
    /// # Errors
    /// [`StoreError`]; the locks are let go all the same.
    fn suspend(&mut self) -> Result<(), StoreError>;

    /// Opens again what [`Store::suspend`] closed; gives what was found.
    ///
    /// # Errors
    /// [`StoreError`].
    fn resume(&mut self) -> Result<Opened, StoreError>;

    /// Ends what the store is doing, from any thread.
    fn stopper(&self) -> Stopper;
}

/// Ends what a store is doing, from any thread: that fails with [`StoreError::Suspended`], and nothing of it was done.
#[derive(Clone, Default)]
pub struct Stopper(Option<Arc<dyn Fn() + Send + Sync>>);

impl Stopper {
    /// One that calls this.
    pub fn new(stop: impl Fn() + Send + Sync + 'static) -> Self {
        Stopper(Some(Arc::new(stop)))
    }

    /// Ends what is being done.
    pub fn stop(&self) {
        if let Some(stop) = &self.0 {
            stop();
        }
    }
}

impl fmt::Debug for Stopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopper").finish_non_exhaustive()
    }
}
