//! Between the agent and the store's thread: what has to be kept before something may happen, and what came of it.

use super::Command;
use super::inbox::Inbox;
use super::kept::{kept_state, seconds, to_store};
use crate::net::clock::{mono_now, wall_now};
use crate::phone::SendError;
use aldis_agent::{MessageId, OutgoingState, StoredMessage, Ticket};
use aldis_sip::Uri;
use aldis_store::{
    Door, Entry, Incoming, Keeper, MAX_PAGE, Opened, Outgoing, Owner, Peer, Pending, Put, ReceiptKind,
    Sequence, State, Store, StoreError, Stored,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How often another process's changes are looked for, where there is one, and what failed is tried again.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The same in the background, where each look opens the files.
const LOOK_IN_BACKGROUND: Duration = Duration::from_secs(30);
/// What the store does while it is to let go of its files has so long; then it is stopped. iOS ends an app that holds a lock a
/// second after it was suspended.
const LET_GO_WITHIN: Duration = Duration::from_millis(500);
/// When a damaged store is tried again that could not be opened anew.
const MEND_AGAIN: Duration = Duration::from_secs(30);
/// How often what is old is deleted.
const TIDY_EVERY: Duration = Duration::from_secs(3600);

/// What the store's thread has done.
pub(super) enum Done {
    /// Of so many at most.
    Claimed(usize, Result<Vec<Pending>, StoreError>),
    Peers(Result<Vec<Peer>, StoreError>),
    /// A message was kept; and whether it was noted that it leaves.
    Put(MessageId, bool, Result<Put, StoreError>),
    Left(MessageId, Result<bool, StoreError>),
    Ended(MessageId, Uri<'static>, OutgoingState, Result<bool, StoreError>),
    /// A message that is not ours to send, as it is now.
    Elsewhere(MessageId, Result<Option<Entry>, StoreError>),
    /// Messages that wait here and have ended, or are gone.
    EndedElsewhere(Result<Vec<(MessageId, Option<Entry>)>, StoreError>),
    Again(MessageId, Result<Option<Outgoing>, StoreError>, oneshot::Sender<Result<bool, StoreError>>),
    Came(Ticket, Box<Incoming>, Result<Stored, StoreError>),
    Page(Sequence, Result<Vec<(Sequence, Incoming)>, StoreError>),
    Acknowledged(Vec<Sequence>, Result<(), StoreError>),
    /// A receipt that is owed was kept, unless it was once before.
    PutOwed(MessageId, bool, Result<Option<Put>, StoreError>),
    /// Messages for which a receipt is owed.
    Owed(Result<Vec<(Sequence, Incoming)>, StoreError>),
    Receipt(Ticket, Result<Option<Entry>, StoreError>),
    Changed(Result<bool, StoreError>),
    /// The files are held again, or were opened anew.
    Resumed(Result<Opened, StoreError>),
    /// The files are let go.
    LetGo(Result<Opened, StoreError>),
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
    /// How many messages the agent takes.
    pub(super) room: usize,
    /// The store has more messages of earlier runs than the agent takes: they come first, and nothing new is taken.
    pub(super) more_to_claim: bool,
    pub(super) inbox: Inbox,
    pub(super) look_at: Option<Duration>,
    pub(super) tidy_at: Duration,
    pub(super) last_error: Option<StoreError>,
    /// The app is in the background: the files are held only while something is done.
    pub(super) in_background: bool,
    /// Until when what is being done may go on before the files are let go.
    let_go_at: Option<Duration>,
    /// What could not be read is asked for again with the next look.
    claims_again: bool,
    loads_again: bool,
    /// The store is damaged; when it is opened anew the next time.
    pub(super) mend_at: Option<Duration>,
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
            room: MAX_PAGE,
            more_to_claim: false,
            inbox: Inbox::default(),
            look_at: None,
            tidy_at: Duration::ZERO,
            last_error: None,
            in_background: false,
            let_go_at: None,
            claims_again: false,
            loads_again: false,
            mend_at: None,
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

    /// Changes how the files are held. When they are to be let go, what is being done is stopped if it does not end soon.
    pub(super) fn door(
        &mut self,
        door: Door,
        done: impl FnOnce(Result<Opened, StoreError>) -> Done + Send + 'static,
    ) {
        if matches!(door, Door::Suspend | Door::Rest) {
            self.let_go_at = Some(mono_now() + LET_GO_WITHIN);
        }
        let tell = self.tell.clone();
        self.keeper.door(door, move |result| drop(tell.send(Box::new(done(result)))));
    }

    /// The files are let go.
    pub(super) fn has_let_go(&mut self) {
        self.let_go_at = None;
    }

    /// The app goes to the background, or comes back.
    pub(super) fn background(&mut self, is_in_background: bool) {
        if self.lasting && self.in_background != is_in_background {
            self.in_background = is_in_background;
            match is_in_background {
                true => self.door(Door::Rest, Done::LetGo),
                false => self.door(Door::Stand, Done::Resumed),
            }
        }
    }

    /// Damage was met: what can be read is kept in a new file, at once, or when no other program has the old one open.
    pub(super) fn mend(&mut self) {
        if self.lasting && self.mend_at.is_none() {
            self.mend_at = Some(mono_now() + MEND_AGAIN);
            self.door(Door::Mend, Done::Resumed);
        }
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
        let others = [self.look_at, self.let_go_at, self.mend_at];
        others.into_iter().flatten().fold(self.tidy_at, Duration::min)
    }

    pub fn look(&mut self) {
        let now = mono_now();
        if self.look_at.is_some_and(|at| at <= now) {
            let every = if self.in_background { LOOK_IN_BACKGROUND } else { LOOK_EVERY };
            self.look_at = (self.uses.shared || !self.stuck.is_empty()).then_some(now + every);
            self.ask(|store| store.changed_elsewhere(), Done::Changed);
            if std::mem::take(&mut self.claims_again) {
                self.claim();
            }
            if std::mem::take(&mut self.loads_again) {
                self.load();
            }
            for id in &self.stuck {
                self.leave(*id);
            }
        }
        if self.more_to_claim && self.room >= MAX_PAGE {
            self.claim();
        }
        if self.let_go_at.is_some_and(|at| at <= now) {
            // Once more, if it is something else by then.
            self.let_go_at = Some(now + LET_GO_WITHIN);
            self.keeper.hurry();
        }
        if self.mend_at.is_some_and(|at| at <= now) {
            self.mend_at = None;
            self.mend();
        }
        if self.tidy_at <= now {
            self.tidy_at = now + TIDY_EVERY;
            let wall = seconds(wall_now());
            self.ask_alone(move |store| store.tidy(wall), Done::Tidied);
        }
    }

    pub(super) fn claim(&mut self) {
        let owner = self.owner;
        if self.uses.sends_only {
            return self.ask(|_| Ok(Vec::new()), |found| Done::Claimed(1, found));
        }
        let limit = self.room.min(MAX_PAGE);
        self.more_to_claim = limit == 0;
        if limit > 0 {
            self.ask(move |store| store.claim(owner, limit), move |found| Done::Claimed(limit, found));
        }
    }

    pub(super) fn load(&mut self) {
        if !self.uses.sends_only
            && let Some(after) = self.inbox.next_page()
        {
            self.ask(move |store| store.waiting(after, Inbox::PAGE), move |page| Done::Page(after, page));
        }
    }

    /// What could not be claimed is tried again.
    pub(super) fn claim_again(&mut self) {
        self.claims_again = true;
        self.look_soon();
    }

    /// What could not be loaded is tried again.
    pub(super) fn load_again(&mut self) {
        self.loads_again = true;
        self.look_soon();
    }

    fn look_soon(&mut self) {
        self.look_at.get_or_insert(mono_now() + LOOK_EVERY);
    }

    pub(super) fn put(&self, message: &StoredMessage) {
        let (id, owner, kept, leaves) = (message.id, self.owner, to_store(message), message.leaves_soon);
        self.ask(
            move |store| store.put_outgoing(&kept, owner, leaves),
            move |put| Done::Put(id, leaves, put),
        );
    }

    pub(super) fn put_owed(&self, receipt: &StoredMessage, sequence: Sequence, kind: ReceiptKind) {
        let (id, owner, kept, leaves) = (receipt.id, self.owner, to_store(receipt), receipt.leaves_soon);
        self.ask(
            move |store| store.put_owed(sequence, kind, &kept, owner, leaves),
            move |put| Done::PutOwed(id, leaves, put),
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
        self.look_soon();
    }
}
