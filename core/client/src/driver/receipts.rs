//! Receipts of both directions, and what is learned of recipients: between the agent, which reads and writes them, and the
//! store, which knows the messages that they are about.

use super::{BUSY_RETRY, Driver, now};
use crate::event::{Event, Incoming};
use crate::net::clock::wall_now;
use aldis_agent::{
    AnswerWith, MessageFailure, MessageId, OutgoingState, PeerFacts, Receipt, ReceiptFor, ReceiptKind,
    ReceivedMessage, StoredMessage, Ticket,
};
use aldis_sip::Uri;
use aldis_sip::body::cpim::write_date_time;
use aldis_store::{Kind, Message, Peer, ReceiptRequest, Sequence};

/// The types of [`Peer::refuses`] that the agent goes by.
const CPIM: &str = "message/cpim";
const COMPOSING: &str = "application/im-iscomposing+xml";

impl Driver {
    /// Gives the agent what earlier runs have learned.
    pub(super) fn remember_peers(&mut self) {
        match self.store.peers(aldis_store::MAX_PAGE) {
            Ok(peers) => {
                for peer in peers {
                    let refuses = |kind: &str| peer.refuses.iter().any(|refused| refused == kind);
                    let facts = PeerFacts {
                        max_request: peer.largest.and_then(|bytes| usize::try_from(bytes).ok()),
                        reads_cpim: peer.reads_cpim == Some(true),
                        refuses_cpim: peer.reads_cpim == Some(false) || refuses(CPIM),
                        refuses_composing: refuses(COMPOSING),
                    };
                    self.agent.remember_peer(&peer.address, facts);
                }
            }
            Err(error) => tracing::warn!(%error, "what was learned of recipients cannot be read"),
        }
    }

    pub(super) fn peer_learned(&mut self, address: String, facts: PeerFacts) {
        let refused = [(facts.refuses_cpim, CPIM), (facts.refuses_composing, COMPOSING)];
        let peer = Peer {
            address,
            reads_cpim: match facts {
                PeerFacts { refuses_cpim: true, .. } => Some(false),
                PeerFacts { reads_cpim: true, .. } => Some(true),
                _ => None,
            },
            largest: facts.max_request.and_then(|bytes| u32::try_from(bytes).ok()),
            refuses: refused
                .into_iter()
                .filter(|(refused, _)| *refused)
                .map(|(_, kind)| kind.to_owned())
                .collect(),
            learned_at: wall_seconds(),
        };
        if let Err(error) = self.store.put_peer(&peer) {
            tracing::warn!(%error, "what was learned of a recipient is forgotten with this run");
        }
    }

    /// A message of ours is kept, so that its receipts find it.
    pub(super) fn keep(&mut self, message: &StoredMessage) -> Result<(), aldis_store::StoreError> {
        let new = &message.message;
        let wanted = new.receipts();
        let outgoing = aldis_store::Outgoing {
            id: message.id.to_string(),
            call_id: message.call_id.clone(),
            from_tag: message.from_tag.clone(),
            to: new.to().to_string(),
            kind: if new.is_receipt() { Kind::Receipt } else { Kind::Message },
            content_type: new.content_type().to_owned(),
            body: new.body().to_vec(),
            expires: new.expires(),
            created_at: message.date,
            wants: wanted.any().then(|| ReceiptRequest {
                delivered: wanted.delivery,
                displayed: wanted.display,
                failed: wanted.failure,
                route: Vec::new(),
            }),
        };
        self.store.put_outgoing(&outgoing, self.owner).map(drop)
    }

    /// A receipt came: noted, answered, and told if it says something new of a message of ours (IMDN-08).
    pub(super) fn receipt_received(&mut self, ticket: Ticket, receipt: Receipt) {
        let (kind, state) = match receipt.kind {
            ReceiptKind::Delivered => (aldis_store::ReceiptKind::Delivered, OutgoingState::Delivered),
            ReceiptKind::Displayed => (aldis_store::ReceiptKind::Displayed, OutgoingState::Displayed),
            ReceiptKind::Failed => {
                let why = MessageFailure::NotDelivered;
                (aldis_store::ReceiptKind::Failed, OutgoingState::Failed { why, status: None })
            }
        };
        let Receipt { message_id, from, .. } = receipt;
        let noted = aldis_store::Receipt { message_id, from: from.to_string(), kind, at: wall_seconds() };
        let with = match self.store.put_receipt(&noted) {
            Ok(entry) => {
                if let Some(Message::Outgoing { message, .. }) = entry.map(|entry| entry.message)
                    && let (Ok(id), Ok(to)) = (message.id.parse(), Uri::parse(message.to))
                {
                    self.told_early(id, &state);
                    self.events.push(Event::Outgoing { id, to, state });
                }
                AnswerWith::Accept
            }
            Err(error) => {
                tracing::warn!(%error, "a receipt was refused; its sender keeps it");
                AnswerWith::Busy { retry_after: BUSY_RETRY }
            }
        };
        self.agent.answer(now(), ticket, with);
    }

    /// Whoever waits for the answer to a message has it with its receipt.
    fn told_early(&mut self, id: MessageId, state: &OutgoingState) {
        if let Some(done) = self.waiting.remove(&id) {
            self.told.insert(id);
            // Whoever waited may have gone.
            let _ = done.send(state.clone());
        }
    }

    /// A received message is stored and answered: its sender is told, if he wants to know (IMDN-05).
    pub(super) fn delivered(&mut self, incoming: &Incoming) {
        if self.send_delivery_receipts {
            self.give(incoming, ReceiptKind::Delivered);
        }
    }

    /// The user has seen a message: its sender is told, if he wants to know and the user consents (IMDN-07).
    pub(super) fn displayed(&mut self, incoming: &Incoming) {
        if self.send_display_receipts {
            self.give(incoming, ReceiptKind::Displayed);
        }
    }

    /// Sends a receipt, once (IMDN-04).
    fn give(&mut self, incoming: &Incoming, kind: ReceiptKind) {
        let Some(wants) = &incoming.wants else { return };
        let duty = match kind {
            ReceiptKind::Delivered => aldis_store::ReceiptKind::Delivered,
            ReceiptKind::Displayed => aldis_store::ReceiptKind::Displayed,
            ReceiptKind::Failed => return,
        };
        match self.store.take_receipt_duty(incoming.sequence, duty) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return tracing::warn!(%error, "a receipt was not sent"),
        }
        let about = ReceiptFor {
            from: incoming.from.clone(),
            message_id: incoming.id.clone(),
            date_time: incoming.sent_at.map(write_date_time),
            recipient: Some(incoming.to.to_string()),
            original_recipient: None,
            route: wants.route.clone(),
        };
        let Some(receipt) = self.agent.compose_receipt(now(), &about, kind) else { return };
        if let Err(error) = self.agent.send_message(now(), receipt) {
            tracing::debug!(%error, "a receipt was not sent");
        }
    }
}

/// The receipts that the sender of a message wants, for the store.
pub(super) fn wants(message: &ReceivedMessage) -> Option<ReceiptRequest> {
    message.receipt_for()?;
    let envelope = message.envelope.as_deref()?;
    Some(ReceiptRequest {
        delivered: envelope.receipts.delivery,
        displayed: envelope.receipts.display,
        failed: envelope.receipts.failure,
        route: envelope.record_route.clone(),
    })
}

pub(super) fn wall_seconds() -> i64 {
    i64::try_from(wall_now().as_secs()).unwrap_or(i64::MAX)
}

/// What an unstored message has as its place until it has one.
pub(super) const NO_PLACE: Sequence = Sequence(0);
