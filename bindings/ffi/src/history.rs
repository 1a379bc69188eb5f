//! What was said, as the store has it: conversations, their pages, a search; receipts for it, and letting go of it.

use crate::IncomingMessage;
use crate::phone::Phone;
use aldis::Sequence;
use aldis::store::{self, Message, State, StoreError, peer_of};
use std::borrow::Cow;
use std::fmt;

/// All messages with one correspondent.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Conversation {
    /// The correspondent, `sip:bob@example.test`.
    pub peer: String,
    /// The newest message's place in the store.
    pub last: u64,
    /// How many messages came since it was marked as read, counted up to 1000.
    pub unread: u32,
}

/// A message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct HistoryEntry {
    /// Its place in the store; that of later ones is larger.
    pub sequence: u64,
    /// The correspondent.
    pub peer: String,
    /// The message.
    pub said: Said,
}

/// A message of either direction.
#[derive(Clone, PartialEq, Eq, uniffi::Enum)]
pub enum Said {
    /// It came.
    Received {
        /// What came.
        incoming: IncomingMessage,
    },
    /// It was sent, or is to be.
    Sent {
        /// Its identifier.
        id: String,
        /// The recipient's URI.
        to: String,
        /// The content type.
        content_type: String,
        /// The body.
        body: Vec<u8>,
        /// The body as text; nil if it is not text.
        text: Option<String>,
        /// When the app handed it over, in seconds since 1970.
        created_at: i64,
        /// How it stands.
        state: SentState,
        /// When the first receipt said that a device has it, in seconds since 1970.
        delivered_at: Option<i64>,
        /// When the first receipt said that it was shown.
        displayed_at: Option<i64>,
    },
}

impl fmt::Debug for Said {
    /// Without what was said.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Said::Received { incoming } => incoming.fmt(f),
            Said::Sent { id, to, state, .. } => f
                .debug_struct("Sent")
                .field("id", id)
                .field("to", to)
                .field("state", state)
                .finish_non_exhaustive(),
        }
    }
}

/// What the store knows of a message of ours: as [`crate::OutgoingState`], with its reasons in words alone.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum SentState {
    /// No byte has left.
    Queued,
    /// Bytes may have left.
    Sending,
    /// The recipient's side took it.
    Accepted {
        /// The status.
        status: u16,
    },
    /// Not delivered, or refused.
    Failed {
        /// The status, if there was an answer.
        status: Option<u16>,
        /// Why.
        explanation: String,
    },
    /// It may or may not have arrived.
    Unknown {
        /// 408, if the server said so.
        status: Option<u16>,
        /// Why nobody knows.
        explanation: String,
    },
}

/// Why the store did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, uniffi::Error)]
#[uniffi::export(Display)]
pub enum StorageError {
    /// It failed, or the phone was shut down.
    #[error("{explanation}")]
    Failed {
        /// What happened.
        explanation: String,
        /// What to do, in a sentence for people.
        advice: String,
    },
}

impl From<StoreError> for StorageError {
    fn from(error: StoreError) -> Self {
        StorageError::Failed { explanation: error.to_string(), advice: error.advice().into() }
    }
}

#[uniffi::export]
impl Phone {
    /// Conversations whose newest message stands before `before` (nil: all), newest first, at most `limit`.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn conversations(
        &self,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Conversation>, StorageError> {
        let before = before.map(Sequence);
        let found = self.phone().store(move |store| store.conversations(before, limit as usize)).await?;
        Ok(found.into_iter().map(Conversation::from).collect())
    }

    /// Messages with this correspondent before `before` (nil: all), newest first, at most `limit`.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn history(
        &self,
        peer: String,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<HistoryEntry>, StorageError> {
        let before = before.map(Sequence);
        let work = move |store: &mut dyn store::Store| store.history(&peer_of(&peer), before, limit as usize);
        Ok(self.phone().store(work).await?.into_iter().filter_map(entry).collect())
    }

    /// Messages before `before` that have every one of these words, newest first, at most `limit`: words are found by
    /// their beginning, whatever the case. `peer` narrows it to one conversation.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn search(
        &self,
        words: String,
        peer: Option<String>,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<HistoryEntry>, StorageError> {
        let (peer, before) = (peer.as_deref().map(peer_of), before.map(Sequence));
        let work =
            move |store: &mut dyn store::Store| store.search(&words, peer.as_deref(), before, limit as usize);
        Ok(self.phone().store(work).await?.into_iter().filter_map(entry).collect())
    }

    /// The user has seen this conversation up to that place: it counts as read.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn mark_read(&self, peer: String, up_to: u64) -> Result<(), StorageError> {
        let work = move |store: &mut dyn store::Store| store.mark_read(&peer_of(&peer), Sequence(up_to));
        Ok(self.phone().store(work).await?)
    }

    /// Deletes a message here; whether there was one.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn delete_message(&self, sequence: u64) -> Result<bool, StorageError> {
        Ok(self.phone().store(move |store| store.delete_message(Sequence(sequence))).await?)
    }

    /// Deletes a conversation here; how many messages it had.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn delete_conversation(&self, peer: String) -> Result<u64, StorageError> {
        let work = move |store: &mut dyn store::Store| store.delete_conversation(&peer_of(&peer));
        Ok(self.phone().store(work).await? as u64)
    }

    /// The user has seen this message. Its sender is told if he asked to be, once, however often this is called.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn displayed(&self, incoming: IncomingMessage) -> Result<(), StorageError> {
        let place = Sequence(incoming.sequence);
        let (peer, before) = (peer_of(&incoming.from), Sequence(incoming.sequence.saturating_add(1)));
        let found = self.phone().store(move |store| store.history(&peer, Some(before), 1)).await?;
        for entry in found.into_iter().filter(|entry| entry.sequence == place) {
            if let Message::Incoming(stored) = entry.message
                && let Ok(incoming) = aldis::Incoming::from_stored(place, stored)
            {
                self.phone().displayed(&incoming);
            }
        }
        Ok(())
    }

    /// Sends a message once more that failed or whose fate is unknown: as the same message, so that a recipient who has it
    /// shows it once. False if there is none, or it need not be.
    ///
    /// # Errors
    /// [`StorageError`], also if the text is no identifier.
    pub async fn send_again(&self, id: String) -> Result<bool, StorageError> {
        let Ok(known) = id.parse() else { return Ok(false) };
        Ok(self.phone().send_again(known).await?)
    }

    /// For an app that wants no message until it runs again: every lock and file of the store is let go within a second. Until
    /// [`Phone::resume_store`] messages that come are refused with 480, so that their senders keep them.
    ///
    /// # Errors
    /// [`StorageError`]; the locks are let go all the same.
    pub async fn suspend_store(&self) -> Result<(), StorageError> {
        Ok(self.phone().suspend_store().await?)
    }

    /// The app runs again: the store is opened again, and what other processes did meanwhile is seen.
    ///
    /// # Errors
    /// [`StorageError`]; try again.
    pub async fn resume_store(&self) -> Result<(), StorageError> {
        Ok(self.phone().resume_store().await?)
    }
}

fn text(content_type: &str, body: &[u8]) -> Option<String> {
    aldis::Content::read(content_type, &body.to_vec().into()).text().map(Cow::into_owned)
}

/// `None` for what a damaged file holds in the place of a message.
fn entry(entry: store::Entry) -> Option<HistoryEntry> {
    let said = match entry.message {
        Message::Incoming(stored) => {
            let incoming = aldis::Incoming::from_stored(entry.sequence, stored).ok()?;
            Said::Received { incoming: incoming.into() }
        }
        Message::Outgoing { message, state, delivered_at, displayed_at } => Said::Sent {
            text: text(&message.content_type, &message.body),
            id: message.id,
            to: message.to,
            content_type: message.content_type,
            body: message.body,
            created_at: message.created_at,
            state: state.into(),
            delivered_at,
            displayed_at,
        },
    };
    Some(HistoryEntry { sequence: entry.sequence.0, peer: entry.peer, said })
}

impl From<store::Conversation> for Conversation {
    fn from(conversation: store::Conversation) -> Self {
        Conversation { peer: conversation.peer, last: conversation.last.0, unread: conversation.unread }
    }
}

impl From<State> for SentState {
    fn from(state: State) -> Self {
        match state {
            State::Queued => Self::Queued,
            State::Sending => Self::Sending,
            State::Accepted { status } => Self::Accepted { status },
            State::Failed { status, why } => Self::Failed { status, explanation: why },
            State::Unknown { status, why } => Self::Unknown { status, explanation: why },
        }
    }
}
