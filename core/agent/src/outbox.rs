//! Messages on their way out: one at a time to each recipient (RFC 3428 §8), any number of recipients at once.

use crate::account::Account;
use crate::event::{MessageFailure, MessageId, OutgoingState, UnknownReason};
use crate::random::Random;
use crate::request::{Draft, Identifiers, SUPPORTED, with_answers};
use crate::spaces::{Attempt, Spaces};
use aldis_sip::auth::Target;
use aldis_sip::fields::{ContentType, FieldValue, RetryAfter};
use aldis_sip::{FieldText, Header, Message, Method, StatusCode, Uri};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

/// Most messages that wait or are under way.
const MAX_MESSAGES: usize = 10_000;
/// What an Authorization or Proxy-Authorization may add to a request, in bytes (MSG-04): a usual one has 300.
const ROOM_FOR_AUTHORIZATION: usize = 600;

/// A message that the app wants to send.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// The recipient: a sip or sips URI without headers.
    pub(crate) to: Uri<'static>,
    pub(crate) content_type: FieldText<'static>,
    pub(crate) body: Bytes,
}

/// Why a message cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendRefused {
    /// The recipient is no sip or sips URI.
    #[error("{to:?} is not a SIP address; it has the form sip:user@domain")]
    Recipient {
        /// What was given.
        to: String,
    },
    /// The content type is none.
    #[error("{0:?} is not a content type such as text/plain")]
    ContentType(String),
    /// The request would be larger than the account allows (MSG-04).
    #[error("the message makes a request of {size} bytes; the limit is {limit}")]
    TooLarge {
        /// The size of the request, in bytes, with room for authentication.
        size: usize,
        /// The account's limit.
        limit: usize,
    },
    /// Too many messages wait already.
    #[error("{0} messages wait already")]
    QueueFull(usize),
    /// The agent is shutting down.
    #[error("the phone is shutting down")]
    Stopped,
}

impl NewMessage {
    /// A message of this content type.
    ///
    /// # Errors
    /// [`SendRefused`] if the recipient is no sip or sips URI, or the content type none.
    pub fn new(to: &str, content_type: &str, body: impl Into<Bytes>) -> Result<Self, SendRefused> {
        let wrong = || SendRefused::Recipient { to: to.into() };
        let uri = Uri::parse(to).map_err(|_| wrong())?;
        // A `method` or headers in a URI from outside have no say in a request (GEN-09).
        let steers = uri.has_headers() || uri.param("method").is_some();
        if !uri.is_sip() || steers {
            return Err(wrong());
        }
        ContentType::parse(content_type).map_err(|_| SendRefused::ContentType(content_type.into()))?;
        let content_type = FieldText::new(content_type.to_owned())
            .map_err(|_| SendRefused::ContentType(content_type.into()))?;
        Ok(NewMessage { to: uri.into_owned(), content_type, body: body.into() })
    }
}

struct Item {
    message: NewMessage,
    lane: String,
    identifiers: Identifiers,
    attempt: Attempt,
    branch: Option<String>,
}

/// All messages that are not done.
#[derive(Default)]
pub(crate) struct Outbox {
    items: BTreeMap<MessageId, Item>,
    /// Waiting messages for each recipient; the first is under way or ready.
    lanes: BTreeMap<String, VecDeque<MessageId>>,
    /// Messages that are first in their lane and wait for a connection.
    ready: VecDeque<MessageId>,
}

/// What a final response makes of a message.
pub(crate) enum Outcome {
    /// Send it again, with credentials.
    Again,
    /// It has its final state.
    Done(Uri<'static>, OutgoingState),
}

impl Outbox {
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub fn to(&self, id: &MessageId) -> Option<&Uri<'static>> {
        self.items.get(id).map(|item| &item.message.to)
    }

    /// Takes a message over from the app.
    pub fn add(
        &mut self,
        account: &Account,
        random: &mut Random,
        message: NewMessage,
    ) -> Result<MessageId, SendRefused> {
        if self.items.len() >= MAX_MESSAGES {
            return Err(SendRefused::QueueFull(self.items.len()));
        }
        let id = MessageId(random.bytes());
        let item = Item {
            lane: lane(&message.to),
            identifiers: Identifiers::new(random),
            attempt: Attempt::default(),
            branch: None,
            message,
        };
        // The longest address that Via can hold, and a CSeq of ten digits, so that nothing accepted turns too large.
        let longest = SocketAddrV6::new(Ipv6Addr::from([0xffff; 8]), u16::MAX, 0, 0);
        let size = write(account, &item, &id, SocketAddr::V6(longest), &random.branch(), &[]).len()
            + ROOM_FOR_AUTHORIZATION;
        if size > account.max_message {
            return Err(SendRefused::TooLarge { size, limit: account.max_message });
        }
        let waiting = self.lanes.entry(item.lane.clone()).or_default();
        waiting.push_back(id);
        if waiting.len() == 1 {
            self.ready.push_back(id);
        }
        self.items.insert(id.clone(), item);
        Ok(id)
    }

    /// The next message that may leave.
    pub fn next_ready(&mut self) -> Option<MessageId> {
        self.ready.pop_front()
    }

    /// Writes the request of a message.
    pub fn request(
        &mut self,
        id: &MessageId,
        account: &Account,
        spaces: &mut Spaces,
        random: &mut Random,
        local: SocketAddr,
    ) -> Option<(String, Bytes)> {
        let item = self.items.get_mut(id)?;
        let branch = random.branch();
        item.branch = Some(branch.clone());
        let target = Target { method: "MESSAGE", uri: item.message.to.as_str(), body: &item.message.body };
        let answers = spaces.answers(account, random, &mut item.attempt, target);
        let bytes = write(account, item, id, local, &branch, &answers);
        Some((branch, bytes))
    }

    /// A final response to a message.
    pub fn response(
        &mut self,
        id: &MessageId,
        account: &Account,
        spaces: &mut Spaces,
        response: &Message,
        status: StatusCode,
        reason: &str,
    ) -> Option<Outcome> {
        let item = self.items.get_mut(id)?;
        let reason = reason.to_owned();
        let state = match status.code() {
            200..=299 => {
                spaces.confirmed(&item.attempt, response);
                OutgoingState::Accepted { status }
            }
            401 | 407 => match spaces.challenged(account, &mut item.attempt, response, &Method::Message) {
                Ok(()) => {
                    item.identifiers.cseq += 1;
                    item.branch = None;
                    return Some(Outcome::Again);
                }
                Err(problem) => OutgoingState::Failed { why: problem.into(), status: Some(status) },
            },
            408 => OutgoingState::Unknown { why: UnknownReason::NoAnswer, status: Some(status) },
            600..=699 => {
                let why = MessageFailure::Declined { status, reason };
                OutgoingState::Failed { why, status: Some(status) }
            }
            _ => {
                let after = response.get::<RetryAfter<'_>>().ok().flatten();
                let retry_after = after.map(|after| Duration::from_secs(u64::from(after.seconds)));
                let why = MessageFailure::Rejected { status, reason, retry_after };
                OutgoingState::Failed { why, status: Some(status) }
            }
        };
        let to = self.remove(id)?;
        Some(Outcome::Done(to, state))
    }

    /// Ends a message: if bytes of it may have left its fate is unknown, else it failed.
    pub fn end(
        &mut self,
        id: &MessageId,
        unsent: MessageFailure,
        sent: UnknownReason,
    ) -> Option<(Uri<'static>, OutgoingState)> {
        let under_way = self.items.get(id)?.branch.is_some();
        let state = if under_way {
            OutgoingState::Unknown { why: sent, status: None }
        } else {
            OutgoingState::Failed { why: unsent, status: None }
        };
        Some((self.remove(id)?, state))
    }

    /// Messages of which bytes may have left.
    pub fn under_way(&self) -> Vec<MessageId> {
        self.items.iter().filter(|(_, item)| item.branch.is_some()).map(|(id, _)| *id).collect()
    }

    pub fn all(&self) -> Vec<MessageId> {
        self.items.keys().copied().collect()
    }

    /// Forgets a message; the next one to the same recipient becomes ready.
    fn remove(&mut self, id: &MessageId) -> Option<Uri<'static>> {
        let item = self.items.remove(id)?;
        self.ready.retain(|ready| ready != id);
        if let Some(waiting) = self.lanes.get_mut(&item.lane) {
            let was_first = waiting.front() == Some(id);
            waiting.retain(|waiting| waiting != id);
            match waiting.front() {
                None => drop(self.lanes.remove(&item.lane)),
                Some(next) if was_first => self.ready.push_back(*next),
                Some(_) => {}
            }
        }
        Some(item.message.to)
    }
}

/// What counts as one recipient: the address of record.
fn lane(to: &Uri<'_>) -> String {
    to.address_of_record().map_or_else(|| to.to_string(), |uri| uri.to_string())
}

fn write(
    account: &Account,
    item: &Item,
    id: &MessageId,
    local: SocketAddr,
    branch: &str,
    answers: &[(Header, FieldText<'static>)],
) -> Bytes {
    let draft = Draft {
        account,
        method: Method::Message,
        target: &item.message.to,
        to: &item.message.to,
        identifiers: &item.identifiers,
        local,
        branch,
    };
    let writer = draft
        .write()
        .literal(Header::Supported, SUPPORTED)
        .field(Header::ContentType, &item.message.content_type)
        .field(Header::AldisMessageId, &FieldText::hex(&id.0));
    with_answers(writer, answers).finish(&item.message.body)
}
