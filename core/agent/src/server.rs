//! Requests from outside: each answered once, the answer kept for repetitions (RFC 3261 §8.2, §17.2, RFC 4320).

use crate::account::Account;
use crate::content::{Content, Reading, Unreadable, Unwrapped, read};
use crate::event::{Event, FlowId, Ticket};
use crate::random::Random;
use crate::received::{AnswerWith, ReceivedMessage};
use crate::request::{ALLOW, SUPPORTED};
use crate::subscriptions::Subscriptions;
use crate::time::{Now, TRANSACTION_LIFETIME};
use aldis_sip::body::composing::IsComposing;
use aldis_sip::body::imdn::Imdn;
use aldis_sip::body::{ACCEPT_ENCODING, EncodingError, MAX_DECODED, decode_content};
use aldis_sip::fields::{ContentDisposition, ContentEncoding, Date, Event as EventPackage, Expires};
use aldis_sip::{Capabilities, FieldText, Header, Message, Method, Rejection, StatusCode, Uri, Writer};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// A message that storage has not taken by then is refused, and the sender keeps it (MSG-09). RFC 4320 §4.1 wants a 100
/// after 3.5 s; this comes before.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// What a refused sender is told to wait.
const BUSY_RETRY: Duration = Duration::from_secs(30);
/// Most answers kept for repetitions; beyond it the oldest are forgotten.
const MAX_KEPT: usize = 4096;
/// Most messages that wait for storage; beyond it they are refused (UAS-11).
const MAX_WAITING: usize = 1024;
/// Most bytes of their bodies, as they came and decoded.
const MAX_WAITING_BYTES: usize = 16 << 20;

/// What an endpoint of ours reads.
const CAPABILITIES: Capabilities = Capabilities {
    option_tags: &["outbound", "path", "gruu"],
    body_types: &[
        ("text", "*"),
        ("image", "*"),
        ("audio", "*"),
        ("video", "*"),
        ("message", "cpim"),
        ("message", "imdn+xml"),
        ("message", "external-body"),
        // Others than mixed and alternative are read as mixed (RFC 5621 §4.2).
        ("multipart", "*"),
        ("application", "octet-stream"),
        ("application", "im-iscomposing+xml"),
        ("application", "simple-message-summary"),
    ],
};
const ACCEPT: &str = "text/*, image/*, audio/*, video/*, message/cpim, message/imdn+xml, message/external-body, \
                      multipart/*, application/octet-stream, application/im-iscomposing+xml, \
                      application/simple-message-summary";

/// A transaction (RFC 3261 §17.2.3): by branch, sent-by and method, or by more for peers of RFC 2543.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(String);

enum Entry {
    Waiting,
    Answered(Bytes),
}

struct Waiting {
    key: Key,
    merged: String,
    request: Message,
    from: Source,
    to_tag: FieldText<'static>,
    bytes: usize,
}

/// Where a request came from, and where its answer goes (TXN-09).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    pub flow: FlowId,
    pub peer: SocketAddr,
}

/// What a request leads to.
pub(crate) enum Reaction {
    Transmit(FlowId, Bytes),
    Tell(Event),
    /// Somebody sent a MESSAGE of any kind, in a message/cpim or not; `wrote` if it is something to read.
    Heard {
        from: Uri<'static>,
        cpim: bool,
        wrote: bool,
    },
    /// Somebody sent a status of typing; it is answered already.
    Composing {
        from: Uri<'static>,
        status: IsComposing,
    },
    /// A receipt came, which waits for an answer.
    Receipt {
        ticket: Ticket,
        from: Uri<'static>,
        receipt: Box<Imdn>,
    },
}

/// What a MESSAGE brings.
enum Came {
    Message(Box<ReceivedMessage>),
    Composing(IsComposing),
    Receipt(Box<Imdn>),
}

/// All server transactions.
#[derive(Default)]
pub(crate) struct Server {
    entries: BTreeMap<Key, Entry>,
    kept: VecDeque<(Duration, Key)>,
    waiting: BTreeMap<Ticket, Waiting>,
    /// Oldest first; those answered meanwhile are passed over.
    due: VecDeque<(Duration, Ticket)>,
    /// Call-ID, CSeq and From tag of waiting requests: the same request by another path is merged (MSG-13).
    merged: BTreeSet<String>,
    /// Bytes of bodies that wait.
    waiting_bytes: usize,
    last_ticket: u64,
    /// Nothing new is taken in.
    stopped: bool,
}

impl Server {
    /// Whether somebody waits for an answer.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Messages that come from now on stay with their senders.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// The earliest moment at which something is due here.
    pub fn deadline(&self) -> Option<Duration> {
        self.due.front().map(|(at, _)| *at)
    }

    /// Takes a request.
    pub fn request(
        &mut self,
        now: Now,
        request: Message,
        from: Source,
        account: &Account,
        subscriptions: &mut Subscriptions,
        random: &mut Random,
    ) -> Vec<Reaction> {
        self.forget(now);
        let Some(method) = request.method().map(Method::into_owned) else { return Vec::new() };
        // ACK is never answered (UAS-09).
        if method == Method::Ack {
            return Vec::new();
        }
        let Some(key) = key(&request, &method) else { return Vec::new() };
        match self.entries.get(&key) {
            Some(Entry::Answered(bytes)) => return vec![Reaction::Transmit(from.flow, bytes.clone())],
            Some(Entry::Waiting) => return Vec::new(),
            None => {}
        }
        let to_tag = FieldText::hex(&random.bytes::<8>());
        let answer = |status| respond(&request, status, &to_tag, from);
        let of_ours = if method == Method::Notify { subscriptions.notify(&request) } else { None };
        let (mut event, mut also) = (None, Vec::new());
        let writer = match (&method, of_ours) {
            (_, Some(status)) => explain(answer(status), status, &request),
            (Method::Cancel, _) => answer(self.cancelled(&request)),
            (Method::Message | Method::Options | Method::Notify, _) => match refusal(&request, account) {
                Some(status) => explain(answer(status), status, &request),
                None if method == Method::Options => capabilities(answer(StatusCode::OK)),
                None if method == Method::Notify => {
                    let (status, told) = notify(&request);
                    event = told;
                    explain(answer(status), status, &request)
                }
                None => match self.message(now, &request, from, &key, &to_tag) {
                    Ok((heard, Came::Composing(status))) => {
                        let Reaction::Heard { from, .. } = &heard else { return Vec::new() };
                        also = vec![Reaction::Composing { from: from.clone(), status }, heard];
                        answer(StatusCode::OK)
                    }
                    Ok((heard, Came::Receipt(receipt))) => {
                        let Reaction::Heard { from, .. } = &heard else { return Vec::new() };
                        let (ticket, from) = (Ticket(self.last_ticket), from.clone());
                        return vec![heard, Reaction::Receipt { ticket, from, receipt }];
                    }
                    Ok((heard, Came::Message(message))) => {
                        let ticket = Ticket(self.last_ticket);
                        return vec![heard, Reaction::Tell(Event::MessageReceived { ticket, message })];
                    }
                    Err(status) => explain(answer(status), status, &request),
                },
            },
            (Method::Other(_), _) => {
                explain(answer(StatusCode::NOT_IMPLEMENTED), StatusCode::NOT_IMPLEMENTED, &request)
            }
            _ => explain(answer(StatusCode::METHOD_NOT_ALLOWED), StatusCode::METHOD_NOT_ALLOWED, &request),
        };
        let bytes = writer.finish(b"");
        self.keep(now, key, bytes.clone());
        let answer = std::iter::once(Reaction::Transmit(from.flow, bytes));
        answer.chain(event.map(Reaction::Tell)).chain(also).collect()
    }

    /// Answers a request whose form is wrong, if an answer can find its way.
    pub fn reject(&self, rejection: &Rejection, from: Source, random: &mut Random) -> Option<Reaction> {
        let request = &rejection.request;
        let is_ack = request.method() == Some(Method::Ack);
        if is_ack || !request.has(Header::Via) {
            return None;
        }
        let to_tag = FieldText::hex(&random.bytes::<8>());
        let bytes = respond(request, rejection.status, &to_tag, from).finish(b"");
        Some(Reaction::Transmit(from.flow, bytes))
    }

    /// Reads a MESSAGE. What has to be stored waits for that, with the last ticket.
    fn message(
        &mut self,
        now: Now,
        request: &Message,
        from: Source,
        key: &Key,
        to_tag: &FieldText<'static>,
    ) -> Result<(Reaction, Came), StatusCode> {
        let (heard, came) = received(request)?;
        let more = match &came {
            Came::Composing(_) => return Ok((heard, came)),
            Came::Message(message) => message.body.len(),
            Came::Receipt(_) => 0,
        };
        let malformed = |_| StatusCode::BAD_REQUEST;
        let (call_id, cseq) =
            (request.call_id().map_err(malformed)?, request.cseq().map_err(malformed)?.number);
        let tag = request.from().map_err(malformed)?.tag().unwrap_or_default().into_owned();
        let merged = format!("{}\0{cseq}\0{tag}", call_id.as_str());
        if self.merged.contains(&merged) {
            return Err(StatusCode::LOOP_DETECTED);
        }
        let bytes = request.body().len() + more;
        let full = self.waiting.len() >= MAX_WAITING || self.waiting_bytes + bytes > MAX_WAITING_BYTES;
        if full || self.stopped {
            return Err(StatusCode::TEMPORARILY_UNAVAILABLE);
        }
        self.waiting_bytes += bytes;
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        self.entries.insert(key.clone(), Entry::Waiting);
        self.merged.insert(merged.clone());
        self.due.push_back((now.mono + ANSWER_WITHIN, ticket));
        let (request, to_tag, key) = (request.clone(), to_tag.clone(), key.clone());
        self.waiting.insert(ticket, Waiting { key, merged, request, from, to_tag, bytes });
        Ok((heard, came))
    }

    /// The app's side has stored a message, or could not. Late answers find nothing and do nothing.
    pub fn answer(&mut self, now: Now, ticket: Ticket, with: AnswerWith) -> Option<Reaction> {
        let waiting = self.waiting.remove(&ticket)?;
        self.merged.remove(&waiting.merged);
        self.waiting_bytes -= waiting.bytes;
        let writer = match with {
            AnswerWith::Accept => respond(&waiting.request, StatusCode::OK, &waiting.to_tag, waiting.from),
            AnswerWith::Busy { retry_after } => {
                let status = StatusCode::TEMPORARILY_UNAVAILABLE;
                let seconds = u32::try_from(retry_after.as_secs()).unwrap_or(u32::MAX);
                respond(&waiting.request, status, &waiting.to_tag, waiting.from)
                    .field(Header::RetryAfter, &seconds)
            }
        };
        let bytes = writer.finish(b"");
        let flow = waiting.from.flow;
        self.keep(now, waiting.key, bytes.clone());
        while self.due.front().is_some_and(|(_, ticket)| !self.waiting.contains_key(ticket)) {
            self.due.pop_front();
        }
        Some(Reaction::Transmit(flow, bytes))
    }

    /// Refuses what has waited too long, and forgets what is old.
    pub fn timeout(&mut self, now: Now) -> Vec<Reaction> {
        let mut reactions = Vec::new();
        while let Some((_, ticket)) = self.due.front().copied().filter(|(at, _)| *at <= now.mono) {
            self.due.pop_front();
            reactions.extend(self.answer(now, ticket, AnswerWith::Busy { retry_after: BUSY_RETRY }));
        }
        self.forget(now);
        reactions
    }

    fn keep(&mut self, now: Now, key: Key, bytes: Bytes) {
        self.entries.insert(key.clone(), Entry::Answered(bytes));
        self.kept.push_back((now.mono + TRANSACTION_LIFETIME, key));
    }

    fn forget(&mut self, now: Now) {
        while let Some((until, _)) = self.kept.front()
            && (*until <= now.mono || self.kept.len() > MAX_KEPT)
        {
            if let Some((_, key)) = self.kept.pop_front() {
                self.entries.remove(&key);
            }
        }
    }

    /// 200 if the request to cancel is known, else 481; no other effect, as all of ours are answered already (UAS-09).
    fn cancelled(&self, cancel: &Message) -> StatusCode {
        let known = key_without_method(cancel).is_some_and(|prefix| {
            self.entries
                .range(Key(prefix.clone())..)
                .next()
                .is_some_and(|(key, _)| key.0.starts_with(&prefix))
        });
        if known { StatusCode::OK } else { StatusCode::TRANSACTION_DOES_NOT_EXIST }
    }
}

fn key_without_method(request: &Message) -> Option<String> {
    let via = request.via().ok()?;
    if let Some(branch) = via.transaction_branch() {
        return Some(format!("{branch}\0{}\0", via.sent_by.to_string().to_ascii_lowercase()));
    }
    let uri = request.request_uri().ok()??;
    let (from, to) = (request.from().ok()?, request.to().ok()?);
    let tag = |tag: Option<std::borrow::Cow<'_, str>>| tag.unwrap_or_default().into_owned();
    let (from, to) = (tag(from.tag()), tag(to.tag()));
    let (call_id, cseq) = (request.call_id().ok()?, request.cseq().ok()?.number);
    Some(format!("\0{uri}\0{from}\0{to}\0{}\0{cseq}\0{via}\0", call_id.as_str()))
}

fn key(request: &Message, method: &Method<'_>) -> Option<Key> {
    key_without_method(request).map(|prefix| Key(prefix + method.as_str()))
}

fn respond(request: &Message, status: StatusCode, to_tag: &FieldText<'_>, from: Source) -> Writer {
    Writer::response_to(request, status, to_tag, Some((from.peer.ip().to_canonical(), from.peer.port())))
}

/// The status with which we refuse this request, in the order of RFC 3261 §8.2: method, scheme, address, dialog,
/// extensions, content.
fn refusal(request: &Message, account: &Account) -> Option<StatusCode> {
    let general = CAPABILITIES.refusal(request);
    if matches!(general, Some(StatusCode::NOT_IMPLEMENTED | StatusCode::UNSUPPORTED_URI_SCHEME)) {
        return general;
    }
    let uri = request.request_uri().ok().flatten()?;
    // Servers ping with OPTIONS to our address without a user; everything else names our Contact or the user (I-26).
    let user = uri.user();
    let ours = user.as_deref().is_none_or(|user| {
        user == account.contact_user() || account.address_of_record.user().is_some_and(|own| own == user)
    });
    if !ours {
        return Some(StatusCode::NOT_FOUND);
    }
    if request.to().is_ok_and(|to| to.tag().is_some()) {
        return Some(StatusCode::TRANSACTION_DOES_NOT_EXIST);
    }
    general
}

/// What a status must say beside itself.
fn explain(writer: Writer, status: StatusCode, request: &Message) -> Writer {
    match status {
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => writer.literal(Header::Allow, ALLOW),
        StatusCode::BAD_EXTENSION => {
            let unsupported = CAPABILITIES.unsupported(request).join(", ");
            match FieldText::new(unsupported) {
                Ok(text) => writer.field(Header::Unsupported, &text),
                Err(_) => writer,
            }
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            writer.literal(Header::Accept, ACCEPT).literal(Header::AcceptEncoding, ACCEPT_ENCODING)
        }
        StatusCode::BAD_EVENT => writer.literal(Header::AllowEvents, "message-summary, check-sync, reg"),
        StatusCode::TEMPORARILY_UNAVAILABLE => {
            writer.field(Header::RetryAfter, &u32::try_from(BUSY_RETRY.as_secs()).unwrap_or(u32::MAX))
        }
        _ => writer,
    }
}

/// The answer to OPTIONS (UAS-08).
fn capabilities(writer: Writer) -> Writer {
    writer
        .literal(Header::Allow, ALLOW)
        .literal(Header::Accept, ACCEPT)
        .literal(Header::AcceptEncoding, ACCEPT_ENCODING)
        .literal(Header::AcceptLanguage, "*")
        .literal(Header::Supported, SUPPORTED)
}

/// Two packages need no subscription, as servers send them unasked; every other one is unknown (NOT-01, NOT-02).
fn notify(request: &Message) -> (StatusCode, Option<Event>) {
    match request.get::<EventPackage<'_>>() {
        Ok(Some(event)) if matches!(event.value, "message-summary" | "check-sync") => {
            let content_type = request.content_type().ok().flatten().map(|kind| kind.to_string());
            let package = event.value.to_owned();
            (StatusCode::OK, Some(Event::Notify { package, content_type, body: request.body().clone() }))
        }
        // One of ours would have been found.
        Ok(Some(event)) if event.value == "reg" => (StatusCode::TRANSACTION_DOES_NOT_EXIST, None),
        Ok(Some(_)) => (StatusCode::BAD_EVENT, None),
        _ => (StatusCode::BAD_REQUEST, None),
    }
}

/// A MESSAGE's content, or why it cannot be read.
fn received(request: &Message) -> Result<(Reaction, Came), StatusCode> {
    let malformed = |_| StatusCode::BAD_REQUEST;
    let (from, to) = (request.from().map_err(malformed)?, request.to().map_err(malformed)?);
    let codings: Vec<_> = request
        .all::<ContentEncoding<'_>>()
        .map(|coding| coding.map(|c| c.to_string()))
        .collect::<Result<_, _>>()
        .map_err(malformed)?;
    let body = match codings.as_slice() {
        [] => request.body().clone(),
        codings => {
            let decoded = decode_content(&codings.join(", "), request.body(), MAX_DECODED).map_err(
                |error| match error {
                    EncodingError::Corrupt { .. } | EncodingError::Trailing { .. } => StatusCode::BAD_REQUEST,
                    EncodingError::TooLarge { .. } => StatusCode::REQUEST_ENTITY_TOO_LARGE,
                    _ => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                },
            )?;
            Bytes::from(decoded.into_owned())
        }
    };
    let parsed = request.content_type().map_err(malformed)?;
    let cpim = parsed.as_ref().is_some_and(|kind| kind.is("message", "cpim"));
    let content_type = parsed.map_or_else(|| "text/plain".into(), |kind| kind.to_string());
    let heard = |wrote| Reaction::Heard { from: from.0.uri.clone().into_owned(), cpim, wrote };
    // What may be ignored if it is not understood is shown as the file that it is.
    let optional = matches!(request.get::<ContentDisposition<'_>>(), Ok(Some(how)) if !how.is_required());
    let read = match read(&content_type, &body) {
        Ok(Reading::Content(unwrapped)) => unwrapped,
        Ok(Reading::Composing(status)) => return Ok((heard(false), Came::Composing(status))),
        Ok(Reading::Receipt(receipt)) => {
            return Ok((heard(false), Came::Receipt(Box::new(receipt))));
        }
        Err(Unreadable::NotUnderstood(_)) if optional => {
            let content = Content::read(&content_type, &body);
            Unwrapped { content, content_type, body, envelope: None }
        }
        Err(why) => {
            tracing::debug!(%why, "refused a body");
            return Err(match why {
                Unreadable::NotUnderstood(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                Unreadable::Malformed(_) => StatusCode::BAD_REQUEST,
                Unreadable::TooLarge => StatusCode::REQUEST_ENTITY_TOO_LARGE,
            });
        }
    };
    let heard = heard(true);
    let Unwrapped { content, content_type, body, envelope } = read;
    let named = envelope.as_ref().and_then(|envelope| envelope.message_id.clone());
    let header = || request.value(Header::AldisMessageId).map(str::to_owned).filter(|id| id.len() <= 128);
    let message = ReceivedMessage {
        message_id: named.or_else(header),
        display_name: from.display().map(|name| name.into_owned()).filter(|name| !name.is_empty()),
        from_tag: from.tag().map(|tag| tag.into_owned()),
        from: from.0.uri.into_owned(),
        to: to.0.uri.into_owned(),
        content_type,
        body,
        content,
        envelope,
        call_id: request.call_id().map_err(malformed)?.as_str().to_owned(),
        cseq: request.cseq().map_err(malformed)?.number,
        date: request.get::<Date>().ok().flatten().map(|Date(seconds)| seconds),
        expires: request.get::<Expires>().ok().flatten().map(|Expires(seconds)| seconds),
    };
    Ok((heard, Came::Message(Box::new(message))))
}
