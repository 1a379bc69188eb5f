//! What the driver has kept, and what it does when that is done.

use super::durable::Done;
use super::kept::{from_store, seconds, told_state};
use super::{Command, Driver, now};
use crate::event::{Event, Storage};
use crate::net::clock::{mono_now, wall_now};
use crate::phone::SendError;
use aldis_agent::{
    AnswerWith, MessageId, NewMessage, OutgoingState, PeerFacts, SendRefused, StoredMessage, Ticket,
    UnknownReason,
};
use aldis_sip::Uri;
use aldis_store::{
    Door, Entry, Incoming, Kind, Message, Opened, Outgoing, Peer, Pending, Put, Sequence, State, StoreError,
    Stored,
};
use std::time::Duration;
use tokio::sync::oneshot;

/// What a sender is told to wait when its message cannot be stored (MSG-09).
pub(super) const BUSY_RETRY: Duration = Duration::from_secs(30);
const COMPOSING: &str = "application/im-iscomposing+xml";
const CPIM: &str = "message/cpim";

impl Driver {
    /// What the agent wants kept.
    pub(super) fn keep(&mut self, message: &StoredMessage) {
        if !self.keep_receipt(message) {
            self.durable.put(message);
        }
    }

    pub(super) fn leaving(&mut self, id: MessageId) {
        self.durable.leave(id);
    }

    /// A message of ours changed. Its final state is told once it is kept: nobody is told what a crash could undo.
    pub(super) fn outgoing(&mut self, id: MessageId, to: Uri<'static>, state: OutgoingState) {
        if state.is_final() {
            let told = state.clone();
            self.durable.set(id, &state, move |result| Done::Ended(id, to, told, result));
        } else {
            self.events.push(Event::Outgoing { id, to, state });
        }
    }

    pub(super) fn peer_learned(&mut self, address: String, facts: PeerFacts) {
        let refuses = [(facts.refuses_cpim, CPIM), (facts.refuses_composing, COMPOSING)];
        let peer = Peer {
            address,
            reads_cpim: (facts.reads_cpim || facts.refuses_cpim).then_some(facts.reads_cpim),
            largest: facts.max_request.and_then(|bytes| u32::try_from(bytes).ok()),
            refuses: refuses.iter().filter(|(refused, _)| *refused).map(|(_, kind)| (*kind).into()).collect(),
            learned_at: seconds(wall_now()),
        };
        self.durable.ask(move |store| store.put_peer(&peer), Done::Other);
    }

    /// A message came: it is stored, then answered, then told.
    pub(super) fn came(&mut self, ticket: Ticket, message: Incoming) {
        let kept = message.clone();
        self.receipts.arrives(&message);
        self.durable.ask(
            move |store| store.put_incoming(&kept),
            move |result| Done::Came(ticket, Box::new(message), result),
        );
    }

    /// What the app commands of the store.
    pub(super) fn hand_over(
        &mut self,
        message: Box<NewMessage>,
        taken: oneshot::Sender<Result<MessageId, SendError>>,
        done: oneshot::Sender<OutgoingState>,
    ) {
        if self.receipts.end_at().is_some() {
            // Whoever asked may have gone.
            let _ = taken.send(Err(SendRefused::Stopped.into()));
            return;
        }
        if !self.durable.ready && !self.agent.is_finished() {
            return self.durable.early.push(Command::Send { message, taken, done });
        }
        if self.durable.more_to_claim {
            // Whoever asked may have gone.
            let _ = taken.send(Err(SendRefused::QueueFull(self.agent.held()).into()));
            return;
        }
        match self.agent.send_message(now(), *message) {
            Ok(id) => {
                self.waiting.insert(id, done);
                self.durable.takers.insert(id, taken);
            }
            // Whoever asked may have gone.
            Err(refused) => drop(taken.send(Err(refused.into()))),
        }
    }

    /// The app has these messages.
    pub(super) fn acknowledge(
        &mut self,
        sequences: Vec<Sequence>,
        reply: Option<oneshot::Sender<Result<(), StoreError>>>,
    ) {
        let acknowledged = sequences.clone();
        self.durable.ask(
            move |store| store.acknowledge(&sequences),
            move |result| {
                if let Some(reply) = reply {
                    let _ = reply.send(result.clone());
                }
                Done::Acknowledged(acknowledged, result)
            },
        );
    }

    /// Sends a message once more that failed, or whose fate is unknown.
    pub(super) fn again(&mut self, id: MessageId, reply: oneshot::Sender<Result<bool, StoreError>>) {
        let (owner, text) = (self.durable.owner, id.to_string());
        self.durable.ask(
            move |store| match store.outgoing(&text)?.map(|entry| entry.message) {
                Some(Message::Outgoing {
                    message,
                    state: State::Failed { .. } | State::Unknown { .. },
                    ..
                }) => Ok(store.set_state(&text, owner, &State::Queued)?.then_some(message)),
                _ => Ok(None),
            },
            move |result| Done::Again(id, result, reply),
        );
    }

    /// Lets go of all files and locks, or takes them again.
    pub(super) fn suspend(&mut self, suspend: bool, reply: oneshot::Sender<Result<(), StoreError>>) {
        let door = if suspend { Door::Suspend } else { Door::Resume };
        self.durable.door(door, move |result| {
            // Whoever asked may have gone.
            let _ = reply.send(result.clone().map(drop));
            if suspend { Done::LetGo(result) } else { Done::Resumed(result) }
        });
    }

    /// Messages of a lasting store go on in a later run.
    pub(super) fn stopping(&mut self) {
        if self.durable.lasting {
            self.agent.leave_messages(now());
        }
        for command in std::mem::take(&mut self.durable.early) {
            if let Command::Send { taken, .. } = command {
                let _ = taken.send(Err(SendRefused::Stopped.into()));
            }
        }
    }

    /// The last that is asked of the store is done before the phone has ended.
    pub(super) async fn close_store(&mut self) {
        let owner = self.durable.owner;
        self.durable.ask(move |store| store.release(owner), Done::Other);
        let (closed, mut is_closed) = oneshot::channel();
        self.durable.keeper.close(move || {
            // It is waited for below.
            let _ = closed.send(());
        });
        loop {
            tokio::select! {
                biased;
                Some(done) = self.durable.done.recv() => self.stored(*done),
                _ = &mut is_closed => break,
            }
        }
        while let Ok(done) = self.durable.done.try_recv() {
            self.stored(*done);
        }
        for (_, taken) in std::mem::take(&mut self.durable.takers) {
            let _ = taken.send(Err(SendRefused::Stopped.into()));
        }
    }

    /// The store has done something.
    pub(super) fn stored(&mut self, done: Done) {
        match done {
            Done::Claimed(limit, result) => self.claimed(limit, result),
            Done::Peers(result) => {
                for peer in self.noted(result).unwrap_or_default() {
                    let refuses = |kind: &str| peer.refuses.iter().any(|refused| refused == kind);
                    let facts = PeerFacts {
                        max_request: peer.largest.map(|bytes| bytes as usize),
                        reads_cpim: peer.reads_cpim == Some(true),
                        refuses_cpim: refuses(CPIM),
                        refuses_composing: refuses(COMPOSING),
                    };
                    self.agent.remember_peer(&peer.address, facts);
                }
            }
            Done::Put(id, leaves, result) => {
                let taken = self.durable.takers.remove(&id);
                let answer = match result {
                    Ok(put) => {
                        match put {
                            Put::Ours(_) => self.is_ours(id, leaves),
                            Put::Waits(_) => self.durable.is_stuck(id),
                        }
                        Ok(id)
                    }
                    Err(error) => {
                        self.agent.forget_message(now(), id);
                        self.waiting.remove(&id);
                        self.storage_failed(error.clone());
                        Err(SendError::Storage(error))
                    }
                };
                if let Some(taken) = taken {
                    let _ = taken.send(answer);
                }
            }
            Done::Left(id, Ok(true)) => {
                self.durable.stuck.remove(&id);
                self.agent.message_stored(now(), id);
                self.agent.message_may_leave(now(), id);
            }
            Done::Left(id, Ok(false)) => {
                let text = id.to_string();
                self.durable
                    .ask(move |store| store.outgoing(&text), move |result| Done::Elsewhere(id, result));
            }
            Done::Left(id, Err(error)) => {
                self.durable.is_stuck(id);
                self.storage_failed(error);
            }
            Done::Elsewhere(id, result) => self.elsewhere(id, result),
            Done::EndedElsewhere(result) => {
                for (id, entry) in self.noted(result).unwrap_or_default() {
                    self.elsewhere(id, Ok(entry));
                }
            }
            Done::Ended(id, to, state, result) => {
                self.noted(result);
                self.end(id, to, state);
            }
            Done::Again(id, result, reply) => {
                let restored = result.and_then(|message| match message {
                    Some(message) => self.restore(&message, State::Queued).map(|()| true),
                    None => Ok(false),
                });
                tracing::debug!(%id, ?restored, "a message is sent again");
                let _ = reply.send(restored);
            }
            Done::Came(ticket, message, result) => self.kept(ticket, *message, result),
            Done::Page(after, result) => {
                if let Some(page) = self.noted(result) {
                    for (sequence, message) in self.durable.inbox.take_page(after, page) {
                        self.hand_up(sequence, message);
                    }
                    self.more();
                } else {
                    self.durable.inbox.page_failed();
                    self.durable.load_again();
                }
            }
            Done::Acknowledged(sequences, result) => {
                if self.noted(result).is_some() {
                    self.durable.inbox.acknowledged(&sequences);
                }
            }
            Done::PutOwed(id, leaves, result) => self.put_owed(id, leaves, result),
            Done::Owed(result) => self.owed(result),
            Done::Receipt(ticket, result) => self.receipt(ticket, result),
            Done::Changed(result) => {
                if self.noted(result) == Some(true) {
                    self.look_again();
                }
            }
            Done::LetGo(result) => {
                self.durable.has_let_go();
                self.found(result);
            }
            Done::Resumed(result) => {
                if self.found(result) {
                    self.durable.mend_at = None;
                    self.durable.look_at = Some(mono_now());
                    self.look_again();
                }
            }
            Done::Tidied(Ok(deleted)) if deleted > 0 => self.durable.tidy_at = mono_now(),
            Done::Tidied(result) => drop(self.noted(result)),
            Done::Other(result) => drop(self.noted(result)),
        }
    }

    /// Others may have changed what is kept.
    fn look_again(&mut self) {
        self.durable.claim();
        self.durable.inbox.look_again();
        self.durable.load();
        self.load_owed(Sequence(0));
        let waiting = self.agent.waiting_messages();
        if self.durable.lasting && !waiting.is_empty() {
            self.durable.ask(
                move |store| {
                    let mut ended = Vec::new();
                    for id in waiting {
                        match store.outgoing(&id.to_string())? {
                            Some(Entry { message: Message::Outgoing { state, .. }, .. })
                                if state.is_pending() => {}
                            entry => ended.push((id, entry)),
                        }
                    }
                    Ok(ended)
                },
                Done::EndedElsewhere,
            );
        }
    }

    /// The files were opened or closed; whether that went well. What opening found is told.
    fn found(&mut self, result: Result<Opened, StoreError>) -> bool {
        let Some(opened) = self.noted(result) else { return false };
        if let Some(recovered) = opened.recovered {
            self.events.push(Event::Storage(Storage::Recovered(recovered)));
        }
        true
    }

    /// Loads more of what waits for the app, if there is more and room for it.
    pub(super) fn more(&mut self) {
        if self.events.is_low() {
            self.durable.load();
        }
        self.events.set_behind(self.durable.inbox.is_behind());
    }

    fn end(&mut self, id: MessageId, to: Uri<'static>, state: OutgoingState) {
        if self.told.remove(&id) {
            return;
        }
        if let Some(done) = self.waiting.remove(&id) {
            // Whoever waited may have gone; the event tells it too.
            let _ = done.send(state.clone());
        }
        self.events.push(Event::Outgoing { id, to, state });
    }

    fn claimed(&mut self, limit: usize, result: Result<Vec<Pending>, StoreError>) {
        let found = match result {
            Ok(found) => found,
            Err(error) => return self.not_claimed(error),
        };
        self.noted(Ok(()));
        let are_all = found.len() < limit;
        for Pending { message, state, .. } in found {
            if state == State::Sending && !self.agent.account().resends() && message.kind == Kind::Message {
                // Whether it arrived nobody knows, and it is not to be sent twice (MSG-16).
                if let (Ok(id), Ok(to)) = (message.id.parse(), Uri::parse(message.to.clone())) {
                    self.outgoing(
                        id,
                        to,
                        OutgoingState::Unknown { why: UnknownReason::Stopped, status: None },
                    );
                }
            } else if let Err(error) = self.restore(&message, state) {
                tracing::warn!(%error, "a stored message cannot be sent");
            }
        }
        self.durable.room = self.agent.room();
        if !are_all {
            // All of them come before what is new.
            self.durable.claim();
        }
        if !are_all && !self.durable.more_to_claim {
            return;
        }
        if !std::mem::replace(&mut self.durable.ready, true) {
            self.load_owed(Sequence(0));
        }
        for command in std::mem::take(&mut self.durable.early) {
            self.command(command);
        }
    }

    /// A message of ours is kept, perhaps with a note that it leaves.
    pub(super) fn is_ours(&mut self, id: MessageId, leaves: bool) {
        if leaves {
            self.agent.message_may_leave(now(), id);
        }
        self.agent.message_stored(now(), id);
    }

    /// What earlier runs left is not known: until it is, nothing new may overtake it, and so nothing is taken.
    fn not_claimed(&mut self, error: StoreError) {
        self.durable.claim_again();
        for command in std::mem::take(&mut self.durable.early) {
            match command {
                // Whoever asked may have gone.
                Command::Send { taken, .. } => drop(taken.send(Err(SendError::Storage(error.clone())))),
                other => self.command(other),
            }
        }
        self.storage_failed(error);
    }

    fn restore(&mut self, message: &Outgoing, state: State) -> Result<(), StoreError> {
        let unreadable = |what: &dyn std::fmt::Display| StoreError::Failed(what.to_string());
        let stored = from_store(message, state == State::Sending).map_err(|error| unreadable(&error))?;
        let id = stored.id;
        if message.kind == Kind::Receipt {
            self.receipts.restored(id);
        }
        match self.agent.restore_message(now(), stored) {
            // One that waited for another process.
            Err(aldis_agent::RestoreRefused::Known) => {
                self.durable.stuck.remove(&id);
                self.agent.message_stored(now(), id);
                Ok(())
            }
            other => other.map_err(|error| unreadable(&error)),
        }
    }

    /// A message is another process's to send, or was sent by it.
    fn elsewhere(&mut self, id: MessageId, result: Result<Option<Entry>, StoreError>) {
        match self.noted(result) {
            Some(Some(Entry { message: Message::Outgoing { message, state, .. }, .. }))
                if state.is_pending() =>
            {
                // Its turn comes, or it is done there; until then it is held.
                tracing::debug!(id = message.id, "another process is at a message");
                self.durable.is_stuck(id);
            }
            Some(Some(Entry { message: Message::Outgoing { message, state, .. }, .. })) => {
                self.durable.stuck.remove(&id);
                self.forget_receipt(id);
                if let Ok(to) = Uri::parse(message.to) {
                    self.end(id, to, told_state(&state));
                }
            }
            // Deleted meanwhile.
            Some(_) => {
                self.durable.stuck.remove(&id);
                self.forget_receipt(id);
            }
            None => self.durable.is_stuck(id),
        }
    }

    fn kept(&mut self, ticket: Ticket, message: Incoming, result: Result<Stored, StoreError>) {
        self.receipts.arrived(&message);
        match result {
            Ok(Stored::New(sequence)) => {
                self.noted(Ok(()));
                self.agent.answer(now(), ticket, AnswerWith::Accept);
                // After our 200 (IMDN-05).
                self.owe_delivery(sequence, &message);
                if !self.durable.uses.sends_only && self.durable.inbox.comes(sequence, self.events.has_room())
                {
                    self.hand_up(sequence, message);
                }
                self.events.set_behind(self.durable.inbox.is_behind());
            }
            Ok(Stored::Repeated) => self.agent.answer(now(), ticket, AnswerWith::Accept),
            Err(error) => {
                tracing::warn!(%error, "a message was refused; its sender keeps it");
                self.agent.answer(now(), ticket, AnswerWith::Busy { retry_after: BUSY_RETRY });
                self.storage_failed(error);
            }
        }
    }

    fn hand_up(&mut self, sequence: Sequence, message: Incoming) {
        match crate::event::Incoming::from_stored(sequence, message) {
            Ok(incoming) => self.events.push(Event::Message(Box::new(incoming))),
            Err(fault) => tracing::warn!(%fault, "a stored message cannot be read"),
        }
    }

    /// The value, or nothing after the app was told what failed.
    pub(super) fn noted<T>(&mut self, result: Result<T, StoreError>) -> Option<T> {
        match result {
            Ok(value) => {
                self.durable.last_error = None;
                Some(value)
            }
            Err(error) => {
                self.storage_failed(error);
                None
            }
        }
    }

    /// Tells it once, until something succeeds again.
    pub(super) fn storage_failed(&mut self, error: StoreError) {
        if matches!(error, StoreError::Damaged(_)) {
            self.durable.mend();
        }
        if self.durable.last_error.as_ref() != Some(&error) {
            self.durable.last_error = Some(error.clone());
            self.events.push(Event::Storage(Storage::Failed(error)));
        }
    }
}
