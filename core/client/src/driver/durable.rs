//! Between the agent and the store's thread: what has to be kept before something may happen, and what came of it.

use super::Command;
use super::inbox::Inbox;
use super::kept::{kept_state, seconds, to_store};
use crate::net::clock::{mono_now, wall_now};
use crate::phone::SendError;
use aldis_agent::{MessageId, OutgoingState, StoredMessage, Ticket};
use aldis_sip::Uri;
use aldis_store::{
    Entry, Incoming, Keeper, MAX_PAGE, Outgoing, Owner, Peer, Pending, Put, ReceiptKind, Sequence, State,
    Store, StoreError, Stored,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How often another process's changes are looked for, where there is one, and what failed is tried again.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often what is old is deleted.
const TIDY_EVERY: Duration = Duration::from_secs(3600);

/// What the store's thread has done.
pub(super) enum Done {
    Claimed(Result<Vec<Pending>, StoreError>),
    Peers(Result<Vec<Peer>, StoreError>),
    Put(MessageId, Result<Put, StoreError>),
    Left(MessageId, Result<bool, StoreError>),
    Ended(MessageId, Uri<'static>, OutgoingState, Result<bool, StoreError>),
    /// A message that is not ours to send, as it is now.
    Elsewhere(MessageId, Result<Option<Entry>, StoreError>),
    Again(MessageId, Result<Option<Outgoing>, StoreError>, oneshot::Sender<Result<bool, StoreError>>),
    Came(Ticket, Box<Incoming>, Result<Stored, StoreError>),
    Page(Sequence, Result<Vec<(Sequence, Incoming)>, StoreError>),
    Acknowledged(Vec<Sequence>, Result<(), StoreError>),
    /// A receipt that is owed was kept, unless it was once before.
    PutOwed(MessageId, Result<Option<Put>, StoreError>),
    /// Messages for which a receipt is owed.
    Owed(Result<Vec<(Sequence, Incoming)>, StoreError>),
    Receipt(Ticket, Result<Option<Entry>, StoreError>),
    Changed(Result<bool, StoreError>),
    Resumed(Result<(), StoreError>),
    Tidied(Result<usize, StoreError>),
    Other(Result<(), StoreError>),
}

/// How a phone uses its store.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Use {
    /// Another process may use it at the same time.
    pub shared: bool,
    /// Only what this phone is given is sent, and nothing received is told.
    pub sends_only: bool,
}

/// The store, as the driver uses it.
pub(crate) struct Durable {
    pub(super) keeper: Keeper,
    pub(super) owner: Owner,
    pub(super) lasting: bool,
    pub(super) uses: Use,
    /// Boxed: a channel keeps room for 32, from the beginning and in every phone.
    pub(super) done: mpsc::UnboundedReceiver<Box<Done>>,
    pub(super) tell: mpsc::UnboundedSender<Box<Done>>,
    /// The outbox of earlier runs was taken over: from here on new messages stand behind it.
    pub(super) ready: bool,
    pub(super) early: Vec<Command>,
    pub(super) takers: BTreeMap<MessageId, oneshot::Sender<Result<MessageId, SendError>>>,
    /// Another process works for their recipients, or the store did not note that they leave.
    pub(super) stuck: BTreeSet<MessageId>,
    pub(super) more_to_claim: bool,
    pub(super) inbox: Inbox,
    pub(super) look_at: Option<Duration>,
    pub(super) tidy_at: Duration,
    pub(super) last_error: Option<StoreError>,
}

impl Durable {
    pub fn start(store: Box<dyn Store>, owner: u32, uses: Use) -> io::Result<Self> {
        let lasting = store.is_lasting();
        let (tell, done) = mpsc::unbounded_channel();
        Ok(Durable {
            keeper: Keeper::start(store)?,
            owner: Owner(owner),
            lasting,
            uses,
            done,
            tell,
            ready: false,
            early: Vec::new(),
            takers: BTreeMap::new(),
            stuck: BTreeSet::new(),
            more_to_claim: false,
            inbox: Inbox::default(),
            look_at: None,
            tidy_at: Duration::ZERO,
            last_error: None,
        })
    }

    pub fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    pub(super) fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError> + Send + 'static,
        done: impl FnOnce(Result<T, StoreError>) -> Done + Send + 'static,
    ) {
        let tell = self.tell.clone();
        // Nobody listens any more once the driver has ended.
        self.keeper.ask(work, move |result| drop(tell.send(Box::new(done(result)))));
    }

    pub(super) fn ask_alone<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError> + Send + 'static,
        done: impl FnOnce(Result<T, StoreError>) -> Done + Send + 'static,
    ) {
        let tell = self.tell.clone();
        self.keeper.ask_alone(work, move |result| drop(tell.send(Box::new(done(result)))));
    }

    /// Begins: what an earlier run left is taken up.
    pub fn begin(&mut self) {
        self.ask(|store| store.peers(MAX_PAGE), Done::Peers);
        self.claim();
        self.load();
        if self.uses.shared {
            self.look_at = Some(mono_now() + LOOK_EVERY);
        }
    }

    pub(super) async fn next(&mut self) -> Option<Box<Done>> {
        self.done.recv().await
    }

    /// When something is to be looked at by itself, on the clock of [`mono_now`].
    pub fn due(&self) -> Duration {
        self.look_at.map_or(self.tidy_at, |at| at.min(self.tidy_at))
    }

    pub fn look(&mut self) {
        let now = mono_now();
        if self.look_at.is_some_and(|at| at <= now) {
            self.look_at = (self.uses.shared || !self.stuck.is_empty()).then_some(now + LOOK_EVERY);
            self.ask(|store| store.changed_elsewhere(), Done::Changed);
            for id in &self.stuck {
                self.leave(*id);
            }
        }
        if self.tidy_at <= now {
            self.tidy_at = now + TIDY_EVERY;
            let wall = seconds(wall_now());
            self.ask_alone(move |store| store.tidy(wall), Done::Tidied);
        }
    }

    pub(super) fn claim(&mut self) {
        let owner = self.owner;
        let limit = if self.uses.sends_only { 0 } else { MAX_PAGE };
        self.ask(
            move |store| if limit == 0 { Ok(Vec::new()) } else { store.claim(owner, limit) },
            Done::Claimed,
        );
    }

    pub(super) fn load(&mut self) {
        if !self.uses.sends_only
            && let Some(after) = self.inbox.next_page()
        {
            self.ask(move |store| store.waiting(after, Inbox::PAGE), move |page| Done::Page(after, page));
        }
    }

    pub(super) fn put(&self, message: &StoredMessage) {
        let (id, owner, kept) = (message.id, self.owner, to_store(message));
        self.ask(move |store| store.put_outgoing(&kept, owner), move |put| Done::Put(id, put));
    }

    pub(super) fn put_owed(&self, receipt: &StoredMessage, sequence: Sequence, kind: ReceiptKind) {
        let (id, owner, kept) = (receipt.id, self.owner, to_store(receipt));
        self.ask(
            move |store| store.put_owed(sequence, kind, &kept, owner),
            move |put| Done::PutOwed(id, put),
        );
    }

    pub(super) fn leave(&self, id: MessageId) {
        let (owner, text) = (self.owner, id.to_string());
        self.ask(
            move |store| store.set_state(&text, owner, &State::Sending),
            move |result| Done::Left(id, result),
        );
    }

    pub(super) fn set(
        &self,
        id: MessageId,
        state: &OutgoingState,
        done: impl FnOnce(Result<bool, StoreError>) -> Done + Send + 'static,
    ) {
        let (owner, text, state) = (self.owner, id.to_string(), kept_state(state));
        self.ask(
            move |store| match &state {
                Some(state) => store.set_state(&text, owner, state),
                None => Ok(true),
            },
            done,
        );
    }

    /// Later once more.
    pub(super) fn is_stuck(&mut self, id: MessageId) {
        self.stuck.insert(id);
        self.look_at.get_or_insert(mono_now() + LOOK_EVERY);
    }
}
