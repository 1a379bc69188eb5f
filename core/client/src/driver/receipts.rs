//! Receipts (RFC 5438): those that come for messages of ours, and those that we owe. One that is owed is so in the store
//! from the moment at which the message is there, until it is in the outbox itself.

use super::durable::Done;
use super::kept::{kept_kind, receipt_for, seconds};
use super::{Driver, now};
use crate::event::Event;
use crate::net::clock::{mono_now, wall_now};
use aldis_agent::{
    AnswerWith, MessageFailure, MessageId, OutgoingState, ReceiptFor, ReceiptKind, StoredMessage, Ticket,
};
use aldis_sip::{StatusCode, Uri};
use aldis_store::{Entry, Incoming, MAX_PAGE, Message, Put, Receipt, Sequence, State, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long the end waits for receipts that are owed, while there is a connection: their senders wait for them, and the next
/// run may be far away.
const RECEIPTS_WITHIN: Duration = Duration::from_secs(2);
/// When receipts that could not be kept are looked at again.
const OWED_AGAIN: Duration = Duration::from_secs(30);

/// Our receipts on their way.
#[derive(Default)]
pub(crate) struct Receipts {
    /// For which message each stands that is not in the outbox yet.
    duties: BTreeMap<MessageId, (Sequence, ReceiptKind)>,
    /// Those that have no final state.
    open: BTreeSet<MessageId>,
    /// Messages on their way to the store for which one will be owed.
    arriving: usize,
    /// When what is owed is looked for again, because something could not be kept.
    pub again_at: Option<Duration>,
    /// Until when the end waits for them; set once the end is wanted.
    end_at: Option<Duration>,
}

impl Receipts {
    /// Whether one is expected to leave.
    fn are_owed(&self) -> bool {
        self.arriving > 0 || !self.open.is_empty()
    }

    /// One of an earlier run is sent.
    pub fn restored(&mut self, id: MessageId) {
        self.open.insert(id);
    }

    /// The end is wanted.
    pub fn end(&mut self) {
        self.end_at.get_or_insert(mono_now() + RECEIPTS_WITHIN);
    }

    /// When to end without them.
    pub fn end_at(&self) -> Option<Duration> {
        self.end_at
    }

    pub fn arrives(&mut self, message: &Incoming) {
        self.arriving += usize::from(message.owes_receipt);
    }

    pub fn arrived(&mut self, message: &Incoming) {
        self.arriving = self.arriving.saturating_sub(usize::from(message.owes_receipt));
    }
}

impl Driver {
    /// Begins the end, once it is wanted and no receipt has to be waited for.
    pub(super) fn end_if_told(&mut self) {
        let Some(at) = self.receipts.end_at else { return };
        if self.receipts.are_owed() && self.wires.is_any_up() && at > mono_now() {
            return;
        }
        self.receipts = Receipts::default();
        self.stopping();
        self.agent.shut_down(now());
    }

    /// A receipt is owed: it leaves once it is kept, if none was before (IMDN-04).
    pub(super) fn owe(&mut self, sequence: Sequence, kind: ReceiptKind, about: &ReceiptFor) {
        let Some(receipt) = self.agent.compose_receipt(now(), about, kind) else { return };
        match self.agent.send_message(now(), receipt) {
            Ok(id) => {
                self.receipts.duties.insert(id, (sequence, kind));
                self.receipts.open.insert(id);
            }
            // What is owed is found again in the store.
            Err(error) => tracing::debug!(%error, "no room for a receipt"),
        }
    }

    /// Whether a message that is to be kept is a receipt that is owed; then that is asked for.
    pub(super) fn keep_receipt(&mut self, message: &StoredMessage) -> bool {
        let Some((sequence, kind)) = self.receipts.duties.remove(&message.id) else { return false };
        self.durable.put_owed(message, sequence, kept_kind(kind));
        true
    }

    /// A receipt was kept, or not.
    pub(super) fn put_owed(&mut self, id: MessageId, leaves: bool, result: Result<Option<Put>, StoreError>) {
        match result {
            Ok(Some(Put::Ours(_))) => self.is_ours(id, leaves),
            Ok(Some(Put::Waits(_))) => self.durable.is_stuck(id),
            // It was sent before, or the message is gone.
            Ok(None) => self.forget_receipt(id),
            Err(error) => {
                self.forget_receipt(id);
                self.receipts.again_at = Some(mono_now() + OWED_AGAIN);
                self.storage_failed(error);
            }
        }
    }

    pub(super) fn forget_receipt(&mut self, id: MessageId) {
        self.receipts.open.remove(&id);
        self.agent.forget_message(now(), id);
    }

    /// Looks for what is owed: an earlier run, or another process, may have ended between keeping a message and its receipt.
    pub(super) fn load_owed(&mut self, after: Sequence) {
        self.receipts.again_at = None;
        if self.send_delivery_receipts && !self.durable.uses.sends_only {
            self.durable.ask(move |store| store.receipts_owed(after, MAX_PAGE), Done::Owed);
        }
    }

    pub(super) fn owed(&mut self, result: Result<Vec<(Sequence, Incoming)>, StoreError>) {
        let found = self.noted(result).unwrap_or_default();
        let more = found.last().filter(|_| found.len() >= MAX_PAGE).map(|(sequence, _)| *sequence);
        for (sequence, message) in found {
            self.owe_delivery(sequence, &message);
        }
        if let Some(last) = more {
            self.load_owed(last);
        }
    }

    /// The receipt of delivery that a kept message asks for.
    pub(super) fn owe_delivery(&mut self, sequence: Sequence, message: &Incoming) {
        if !message.owes_receipt {
            return;
        }
        if let (Some(wants), Ok(from)) = (&message.wants, Uri::parse(message.from.clone())) {
            let about = receipt_for(from, message.id.clone(), wants);
            self.owe(sequence, ReceiptKind::Delivered, &about);
        }
    }

    /// The user has seen a message: its sender is told if he asked for that.
    pub(super) fn displayed(&mut self, message: &crate::event::Incoming) {
        let (sequence, peer) = (message.sequence, aldis_store::peer_of(message.from.as_str()));
        self.durable.ask(move |store| store.mark_read(&peer, sequence), Done::Other);
        if let Some(wants) = message.wants.as_ref().filter(|_| self.send_display_receipts) {
            let about = receipt_for(message.from.clone(), message.id.clone(), wants);
            self.owe(sequence, ReceiptKind::Displayed, &about);
        }
    }

    pub(super) fn receipt_outgoing(&mut self, id: MessageId, state: &OutgoingState) {
        if state.is_final() {
            self.receipts.open.remove(&id);
            self.durable.set(id, state, |result| Done::Other(result.map(drop)));
        }
    }

    pub(super) fn receipt_received(&mut self, ticket: Ticket, receipt: &aldis_agent::Receipt) {
        let receipt = Receipt {
            message_id: receipt.message_id.clone(),
            from: receipt.from.to_string(),
            kind: kept_kind(receipt.kind),
            at: seconds(wall_now()),
        };
        self.durable
            .ask(move |store| store.put_receipt(&receipt), move |result| Done::Receipt(ticket, result));
    }

    pub(super) fn receipt(&mut self, ticket: Ticket, result: Result<Option<Entry>, StoreError>) {
        let entry = match result {
            Ok(entry) => entry,
            Err(error) => {
                self.agent.answer(
                    now(),
                    ticket,
                    AnswerWith::Busy { retry_after: super::storing::BUSY_RETRY },
                );
                return self.storage_failed(error);
            }
        };
        self.agent.answer(now(), ticket, AnswerWith::Accept);
        let Some(Entry { message: Message::Outgoing { message, state, delivered_at, displayed_at }, .. }) =
            entry
        else {
            return;
        };
        let state = match (displayed_at, delivered_at) {
            (Some(_), _) => OutgoingState::Displayed,
            (None, Some(_)) => OutgoingState::Delivered,
            (None, None) => {
                let status = match state {
                    State::Failed { status, .. } => status.and_then(StatusCode::new),
                    _ => None,
                };
                OutgoingState::Failed { why: MessageFailure::NotDelivered, status }
            }
        };
        if let (Ok(id), Ok(to)) = (message.id.parse(), Uri::parse(message.to)) {
            if let Some(done) = self.waiting.remove(&id) {
                // Whoever waits for the answer has it with its receipt, and may have gone.
                self.told.insert(id);
                let _ = done.send(state.clone());
            }
            self.events.push(Event::Outgoing { id, to, state });
        }
    }
}
