//! What is more than text from one to another: receipts, who is writing, what is learned of recipients.

use super::Agent;
use crate::composing::Status;
use crate::event::{Event, MessageId, OutgoingState, Ticket, UnknownReason};
use crate::message::{Kind, NewMessage, SendRefused, peer_of};
use crate::peers::PeerFacts;
use crate::receipts::{Receipt, ReceiptFor, ReceiptKind, compose};
use crate::received::AnswerWith;
use crate::time::Now;
use aldis_sip::Uri;
use aldis_sip::body::composing::IsComposing;
use aldis_sip::body::imdn::Imdn;
use std::time::Duration;

/// A status of typing that is not answered by then is given up: a message of the user does not wait longer for its turn
/// (MSG-03), as there are servers that drop it in silence (I-08).
pub(super) const COMPOSING_WITHIN: Duration = Duration::from_secs(4);

impl Agent {
    /// Takes back what was told of a recipient in an earlier run, by its address of record.
    pub fn remember_peer(&mut self, peer: &str, facts: PeerFacts) {
        self.outbox.peers.remember(peer, facts);
    }

    /// What is known of a recipient.
    pub fn peer_facts(&self, recipient: &Uri<'_>) -> PeerFacts {
        self.outbox.peers.get(&peer_of(recipient))
    }

    /// A receipt for a message whose sender asked for it, to be handed to [`Agent::send_message`]: after the message was
    /// stored and answered, and for [`ReceiptKind::Displayed`] after it was shown to a user who consents (IMDN-05, IMDN-07).
    /// `None` if the sender has no address. Whoever calls it keeps to one of each kind for a message (IMDN-04).
    pub fn compose_receipt(&mut self, now: Now, about: &ReceiptFor, kind: ReceiptKind) -> Option<NewMessage> {
        let id = self.random.message_id(now);
        let wall = i64::try_from(now.wall.as_secs()).unwrap_or(i64::MAX);
        let (to, body) = compose(&self.account, about, kind, &id, wall)?;
        let mut receipt = NewMessage::new(to.as_str(), "message/cpim", body).ok()?;
        (receipt.kind, receipt.id) = (Kind::Receipt, Some(id));
        Some(receipt)
    }

    /// The user types a message to `to`: call it at every keystroke. The recipient is told that somebody is writing, again
    /// every minute, and 15 s after the last call that nobody is (RFC 3994). Nothing is told while a message to the same
    /// recipient is under way, without a connection, or to a recipient that refused to be told.
    ///
    /// # Errors
    /// [`SendRefused::Recipient`].
    pub fn composing(&mut self, now: Now, to: &str) -> Result<(), SendRefused> {
        let to = NewMessage::new(to, "text/plain", "")?.to;
        if let Some(status) = self.composing.typed(now.mono, &to)
            && self.send_status(now, status)
        {
            self.composing.is_active(now.mono, &to);
        }
        self.advance(now);
        Ok(())
    }

    /// Hands a status to the outbox if it leaves at once. Else it is dropped (COMP-05).
    fn send_status(&mut self, now: Now, Status { to, status }: Status) -> bool {
        let peer = peer_of(&to);
        let connected = self.carrier().is_some() && self.stop_at.is_none();
        let refused = self.outbox.peers.get(&peer).refuses_composing;
        if refused || !connected || self.outbox.is_busy(&peer) || !self.outbox.has_room(now) {
            return false;
        }
        let Ok(mut message) = NewMessage::new(to.as_str(), "application/im-iscomposing+xml", status.to_xml())
        else {
            return false;
        };
        message.kind = Kind::Composing;
        self.take_over(now, message).is_ok()
    }

    /// What is due of who is writing.
    pub(super) fn composing_due(&mut self, now: Now) {
        for status in self.composing.due(now.mono) {
            self.send_status(now, status);
        }
        for from in self.composing.expired(now.mono) {
            self.tell(Event::Composing { from, active: false });
        }
    }

    pub(super) fn composing_received(&mut self, now: Now, from: Uri<'static>, status: &IsComposing) {
        if self.composing.received(now.mono, &from, status) {
            self.tell(Event::Composing { from, active: status.active });
        }
    }

    /// A MESSAGE came: its sender reads message/cpim if it was one, and has written if it was something to read.
    pub(super) fn heard(&mut self, from: Uri<'static>, cpim: bool, wrote: bool) {
        if cpim {
            self.outbox
                .peers
                .learn(&peer_of(&from), |facts| (facts.reads_cpim, facts.refuses_cpim) = (true, false));
        }
        if wrote && self.composing.wrote(&from) {
            self.tell(Event::Composing { from, active: false });
        }
    }

    /// A receipt came. What tells nothing of interest needs no storage.
    pub(super) fn receipt_received(&mut self, now: Now, ticket: Ticket, from: Uri<'static>, receipt: &Imdn) {
        match Receipt::of(from, receipt) {
            Some(receipt) => self.tell(Event::ReceiptReceived { ticket, receipt }),
            None => {
                let reaction = self.server.answer(now, ticket, AnswerWith::Accept);
                self.react(now, reaction);
            }
        }
    }

    /// A message is about to leave.
    pub(super) fn is_leaving(&mut self, id: MessageId) {
        if let (Some(to), Some(kind)) = (self.outbox.to(&id).cloned(), self.outbox.kind(&id)) {
            self.tell_outgoing(id, to, kind, OutgoingState::Sending);
        }
    }

    /// Tells of a message of ours whom it concerns.
    pub(super) fn tell_outgoing(
        &mut self,
        id: MessageId,
        to: Uri<'static>,
        kind: Kind,
        state: OutgoingState,
    ) {
        match kind {
            Kind::Composing => {
                let unanswered = matches!(state, OutgoingState::Unknown { why: UnknownReason::NoAnswer, .. });
                if unanswered {
                    self.composing.unanswered(&to);
                }
            }
            Kind::Receipt => self.tell(Event::ReceiptOutgoing { id, state }),
            Kind::Message => self.tell(Event::Outgoing { id, to, state }),
        }
    }

    /// Tells what was learned of recipients.
    pub(super) fn tell_news(&mut self) {
        while let Some((peer, facts)) = self.outbox.peers.next_news() {
            self.tell(Event::PeerLearned { peer, facts });
        }
    }
}
