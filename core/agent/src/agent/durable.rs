//! Messages that leave only once they are kept, and come back after a restart.

use super::Agent;
use crate::event::{Event, MessageFailure, MessageId, OutgoingState, UnknownReason};
use crate::message::{RestoreRefused, StoredMessage};
use crate::time::Now;

impl Agent {
    /// The message that [`Event::StoreMessage`] gave is kept: it may leave.
    pub fn message_stored(&mut self, now: Now, id: MessageId) {
        if self.outbox.stored(&id) {
            self.is_queued(id);
            self.advance(now);
        }
    }

    /// The message that [`Event::StoreMessage`] gave cannot be kept, or somebody else sends it, or did: it is forgotten, and
    /// no event tells of it. If it is under way already its answer means nothing any more, but the next message to its
    /// recipient waits for it (RFC 3428 §8), 32 s at most.
    pub fn forget_message(&mut self, now: Now, id: MessageId) {
        self.take_back(id);
        self.advance(now);
    }

    /// Takes a message that an earlier run kept, or another process, or that is to be sent once more: it leaves with the
    /// Message-ID, Call-ID and From tag that it had (MSG-15), behind those to the same recipient that were taken over before.
    ///
    /// # Errors
    /// [`RestoreRefused`]. What an earlier run took is not measured again.
    pub fn restore_message(&mut self, now: Now, message: StoredMessage) -> Result<(), RestoreRefused> {
        if self.stop_at.is_some() {
            return Err(RestoreRefused::Stopped);
        }
        let id = message.id;
        self.outbox.restore(now, message)?;
        self.is_queued(id);
        self.advance(now);
        Ok(())
    }

    /// The messages that are kept and wait to leave, in the order in which they were taken.
    pub fn waiting_messages(&self) -> Vec<MessageId> {
        self.outbox.waiting()
    }

    /// How many more messages are taken; then [`SendRefused::QueueFull`](crate::SendRefused) and
    /// [`RestoreRefused::QueueFull`].
    pub fn room(&self) -> usize {
        self.outbox.room()
    }

    /// How many it has: they wait, or are under way.
    pub fn held(&self) -> usize {
        self.outbox.count()
    }

    /// What [`Event::MessageLeaving`] asked: it is noted that bytes of the message may leave, and they may.
    pub fn message_may_leave(&mut self, now: Now, id: MessageId) {
        if self.outbox.may_leave(&id) {
            self.advance(now);
        }
    }

    /// Ends work on all messages without a word, since they are kept for a later run: before [`Agent::shut_down`], where the
    /// store outlives this process. Those whose answer is awaited still have the time that shutting down takes; an answer
    /// that does not come until then is told of only if the account resends nothing.
    pub fn leave_messages(&mut self, now: Now) {
        self.leaves_messages = true;
        for id in self.outbox.waiting() {
            self.outbox.end(&id, MessageFailure::Withdrawn, UnknownReason::Stopped);
        }
        self.advance(now);
    }

    /// Shutting down, whatever is left ends: with its fate unknown, or for a later run.
    pub(super) fn end_messages(&mut self) {
        for id in self.outbox.under_way().into_iter().chain(self.outbox.waiting()) {
            if self.leaves_messages && self.account.resend {
                self.outbox.end(&id, MessageFailure::Withdrawn, UnknownReason::Stopped);
            } else {
                self.end_message(id, MessageFailure::Withdrawn, UnknownReason::Stopped);
            }
        }
    }

    fn is_queued(&mut self, id: MessageId) {
        if let (Some(to), Some(kind)) = (self.outbox.to(&id).cloned(), self.outbox.kind(&id)) {
            self.tell_outgoing(id, to, kind, OutgoingState::Queued);
        }
    }

    /// Has a new message kept before it may leave.
    pub(super) fn keep(&mut self, id: MessageId) {
        let connected = self.account.resend && self.carrier().is_some();
        if let Some(message) = self.outbox.hold(&id, connected) {
            self.tell(Event::StoreMessage(Box::new(message)));
        }
    }

    /// Asks for those whose turn it is.
    pub(super) fn ask_to_leave(&mut self) {
        while let Some(id) = self.outbox.next_to_ask() {
            self.tell(Event::MessageLeaving { id });
        }
    }
}
