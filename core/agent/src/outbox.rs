//! Messages on their way out: one at a time to each recipient (RFC 3428 §8), any number of recipients at once.

mod form;
mod hold;
mod item;
mod lanes;

use crate::account::Account;
use crate::event::{MessageFailure, MessageId, OutgoingState, UnknownReason};
use crate::message::{Kind, NewMessage, SendRefused, peer_of};
use crate::peers::Peers;
use crate::random::Random;
use crate::request::Heading;
use crate::spaces::Spaces;
use crate::time::Now;
use crate::transactions::Final;
use aldis_sip::auth::Target;
use aldis_sip::{Method, Uri};
use bytes::Bytes;
use hold::Hold;
use item::{Item, limit, size};
use lanes::Lanes;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

/// Most messages that wait or are under way.
const MAX_MESSAGES: usize = 10_000;
/// Most messages under way at once: 10,000 a second over a round trip of 100 ms. Beyond it they wait with us, where a lost
/// connection does not make their fate unknown.
const MAX_UNDER_WAY: usize = 1000;
/// How often a message is sent again whose answer was lost with its connection: one that brings its server down each time
/// must not do it for ever.
const MAX_RESENDS: u8 = 3;
/// Longest time that a 503 with Retry-After holds back everything. It should be the server that speaks (RFC 3261
/// §21.5.4), but a careless proxy passes on what a recipient said, and that must not silence the phone.
const MAX_HOLD: Duration = Duration::from_secs(300);

/// All messages that are not done.
#[derive(Default)]
pub(crate) struct Outbox {
    items: BTreeMap<MessageId, Item>,
    lanes: Lanes,
    under_way: BTreeSet<MessageId>,
    /// The recipients of messages that were taken back under way, by the message's place: nothing leaves to them before those
    /// are answered (MSG-03).
    withdrawn: BTreeMap<u64, String>,
    /// Counts the messages taken over: they leave in this order.
    taken: u64,
    /// Nothing leaves before this moment (GEN-16).
    held_until: Option<Duration>,
    hold: Hold,
    /// What was learned of the recipients.
    pub peers: Peers,
}

/// What a request is written with.
#[derive(Clone, Copy)]
pub(crate) struct Leaving<'a> {
    pub account: &'a Account,
    pub proxy: Option<&'a Uri<'static>>,
    pub service_route: &'a [Uri<'static>],
    pub local: SocketAddr,
}

/// What a final response makes of a message.
pub(crate) enum Outcome {
    /// Send it again, with credentials or to another target.
    Again,
    /// It has its final state.
    Done(Uri<'static>, Kind, OutgoingState),
}

/// A message that has its final state.
pub(crate) struct Ended {
    pub to: Uri<'static>,
    pub kind: Kind,
    pub state: OutgoingState,
    /// Its place among all messages.
    pub order: u64,
    /// Its transaction, if bytes of it may have left.
    pub branch: Option<String>,
}

impl Outbox {
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many messages wait, are under way, or were taken back under way and are not answered.
    pub fn count(&self) -> usize {
        self.items.len() + self.withdrawn.len()
    }

    /// How many more messages it takes.
    pub fn room(&self) -> usize {
        MAX_MESSAGES.saturating_sub(self.count())
    }

    pub fn to(&self, id: &MessageId) -> Option<&Uri<'static>> {
        self.items.get(id).map(|item| &item.message.to)
    }

    pub fn kind(&self, id: &MessageId) -> Option<Kind> {
        self.items.get(id).map(|item| item.message.kind)
    }

    /// Whether a message waits or is under way to that recipient.
    pub fn is_busy(&self, peer: &str) -> bool {
        self.lanes.is_busy(peer)
    }

    /// Whether another message would leave at once, if there is a connection.
    pub fn has_room(&mut self, now: Now) -> bool {
        self.held_until.is_none_or(|until| until <= now.mono) && self.under_way.len() < self.hold.window(now)
    }

    /// Takes a message over from the app.
    pub fn add(
        &mut self,
        now: Now,
        leaving: Leaving<'_>,
        random: &mut Random,
        message: NewMessage,
    ) -> Result<MessageId, SendRefused> {
        if self.count() >= MAX_MESSAGES {
            return Err(SendRefused::QueueFull(self.count()));
        }
        let id = message.id.unwrap_or_else(|| random.message_id(now));
        let facts = self.peers.get(&peer_of(&message.to));
        let item = Item::new(now, self.taken, random, facts, message);
        let size = size(leaving, &item, &id, &random.branch());
        let limit = limit(leaving.account, &item, &id, size, facts);
        if size > limit {
            return Err(SendRefused::TooLarge { size, limit });
        }
        self.enter(now, id, item);
        Ok(id)
    }

    /// The next message that may leave.
    pub fn next_ready(&mut self, now: Now) -> Option<MessageId> {
        self.held_until = self.held_until.filter(|until| *until > now.mono);
        while self.held_until.is_none() && self.under_way.len() < self.hold.window(now) {
            let id = self.lanes.next_ready()?;
            if self.hold.lets_go(&id) {
                self.hold.sent(now, &id);
                return Some(id);
            }
        }
        None
    }

    /// When messages that are held back may leave.
    pub fn deadline(&self) -> Option<Duration> {
        self.held_until.filter(|_| self.lanes.has_ready())
    }

    /// Writes the request of a message.
    pub fn request(
        &mut self,
        id: &MessageId,
        leaving: Leaving<'_>,
        spaces: &mut Spaces,
        random: &mut Random,
    ) -> Option<(String, Bytes)> {
        let item = self.items.get_mut(id)?;
        let branch = random.branch();
        let heading = Heading::new(leaving.proxy, leaving.service_route, &item.target);
        // Its body is that of the request, for auth-int.
        let body = item.body(leaving.account, id);
        let target = Target { method: "MESSAGE", uri: heading.target.as_str(), body: &body };
        let answers = spaces.answers(leaving.account, random, &mut item.attempt, target);
        let bytes = item.write(leaving, &heading, id, &branch, &answers);
        item.size = bytes.len();
        item.branch = Some(branch.clone());
        item.may_have_left = true;
        self.under_way.insert(*id);
        Some((branch, bytes))
    }

    /// A final response to a message.
    pub fn response(
        &mut self,
        id: &MessageId,
        account: &Account,
        spaces: &mut Spaces,
        response: Final<'_>,
    ) -> Option<Outcome> {
        let Final { now, message, status, .. } = response;
        let item = self.items.get_mut(id)?;
        let (reason, retry_after) = (response.reason.to_owned(), response.retry_after());
        let failed = |why| OutgoingState::Failed { why, status: Some(status) };
        let state = match status.code() {
            200..=299 => {
                spaces.confirmed(&mut item.attempt, message);
                OutgoingState::Accepted { status, receipts: item.awaits_receipts() }
            }
            401 | 407 => match spaces.challenged(account, &mut item.attempt, message, &Method::Message) {
                Ok(()) => {
                    item.identifiers.cseq += 1;
                    return Some(Outcome::Again);
                }
                Err(problem) => failed(problem.into()),
            },
            408 => OutgoingState::Unknown { why: UnknownReason::NoAnswer, status: Some(status) },
            // The first copy of a message that was sent again is with its recipient still (RFC 3261 §8.2.2.2).
            482 if item.resends > 0 => {
                if item.may_go_again() {
                    return Some(Outcome::Again);
                }
                OutgoingState::Unknown { why: UnknownReason::ConnectionLost, status: Some(status) }
            }
            600..=699 => failed(MessageFailure::Declined { status, reason, retry_after }),
            code => {
                if (300..=399).contains(&code) {
                    item.redirects.take(message);
                }
                let mut refused_types = None;
                if code == 415 {
                    match item.message.kind {
                        Kind::Composing => {
                            self.peers.learn(&item.lane, |facts| facts.refuses_composing = true)
                        }
                        Kind::Message | Kind::Receipt => match item.repair(message, &mut self.peers) {
                            Ok(()) => return Some(Outcome::Again),
                            Err(accepts) => refused_types = Some(accepts),
                        },
                    }
                }
                if item.next_target() {
                    return Some(Outcome::Again);
                }
                match (code, retry_after) {
                    (413 | 513, _) => self.peers.learn_limit(&item.lane, item.size),
                    (503, Some(after)) if !after.is_zero() => {
                        let until = now.mono + after.min(MAX_HOLD);
                        self.held_until = self.held_until.max(Some(until));
                        self.hold.narrow();
                    }
                    _ => {}
                }
                match refused_types {
                    Some(accepts) => failed(MessageFailure::ContentType { accepts, reason }),
                    None => failed(MessageFailure::Rejected { status, reason, retry_after }),
                }
            }
        };
        match state {
            OutgoingState::Accepted { .. } => self.hold.widen(),
            OutgoingState::Unknown { .. } => self.hold.narrow(),
            _ => {}
        }
        let item = self.remove(id)?;
        Some(Outcome::Done(item.message.to, item.message.kind, state))
    }

    /// Ends a message: if bytes of it may have left its fate is unknown, else it failed.
    pub fn end(&mut self, id: &MessageId, unsent: MessageFailure, sent: UnknownReason) -> Option<Ended> {
        let item = self.remove(id)?;
        Some(self.ended(item, unsent, sent))
    }

    /// Ends a message that the app takes back. One that is under way keeps its recipient busy until [`Outbox::release`]: the
    /// server may be at it still (MSG-03).
    pub fn withdraw(&mut self, id: &MessageId) -> Option<Ended> {
        let item = self.take_out(id)?;
        if item.branch.is_some() {
            self.withdrawn.insert(item.order, item.lane.clone());
        } else {
            self.lanes.remove(&item.lane, item.order);
        }
        Some(self.ended(item, MessageFailure::Withdrawn, UnknownReason::Stopped))
    }

    /// A message that was taken back is answered, or will not be: the next one to its recipient becomes ready.
    pub fn release(&mut self, order: u64) {
        if let Some(lane) = self.withdrawn.remove(&order) {
            self.lanes.remove(&lane, order);
        }
    }

    fn ended(&mut self, item: Item, unsent: MessageFailure, sent: UnknownReason) -> Ended {
        if item.branch.is_some() {
            self.hold.narrow();
        }
        let state = if item.may_have_left {
            OutgoingState::Unknown { why: sent, status: None }
        } else {
            OutgoingState::Failed { why: unsent, status: None }
        };
        Ended { to: item.message.to, kind: item.message.kind, state, order: item.order, branch: item.branch }
    }

    /// The connection is gone that the message left on, and the answer with it: it waits for another, before all later ones to
    /// its recipient, and leaves with the same Message-ID, Call-ID, From tag and CSeq, by which it is known again (MSG-15). Not
    /// without end, and not what is stale by then; whether it may.
    pub fn send_again(&mut self, id: &MessageId) -> bool {
        let Some(item) = self.items.get_mut(id).filter(|item| item.message.kind != Kind::Composing) else {
            return false;
        };
        if !item.may_go_again() {
            return false;
        }
        item.branch = None;
        self.under_way.remove(id);
        self.lanes.again(item.order, *id);
        true
    }

    /// Whether nothing of a message was sent before.
    pub fn is_first(&self, id: &MessageId) -> bool {
        self.items.get(id).is_some_and(|item| !item.may_have_left)
    }

    /// Messages of which bytes may have left and whose answer is awaited, in the order in which they were taken over.
    pub fn under_way(&self) -> Vec<MessageId> {
        self.in_order(|item| item.branch.is_some())
    }

    /// Messages that are kept and wait for a connection or for others to the same recipient.
    pub fn waiting(&self) -> Vec<MessageId> {
        let mut found = self.in_order(|item| item.branch.is_none());
        found.retain(|id| !self.is_held(id));
        found
    }

    fn in_order(&self, wanted: impl Fn(&Item) -> bool) -> Vec<MessageId> {
        let mut found = BTreeMap::new();
        for (id, item) in self.items.iter().filter(|(_, item)| wanted(item)) {
            found.insert(item.order, *id);
        }
        found.into_values().collect()
    }

    /// Forgets a message; the next one to the same recipient becomes ready.
    fn remove(&mut self, id: &MessageId) -> Option<Item> {
        let item = self.take_out(id)?;
        self.lanes.remove(&item.lane, item.order);
        Some(item)
    }

    /// Forgets a message, but not that it is the turn of its recipient's first.
    fn take_out(&mut self, id: &MessageId) -> Option<Item> {
        let item = self.items.remove(id)?;
        self.under_way.remove(id);
        self.hold.remove(id);
        Some(item)
    }
}
