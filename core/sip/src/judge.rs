//! What any receiver does with a message (RFC 3261 §7, §8.1.3.3, §8.2, §16.3, §18.3), before anyone looks at what it says.

use crate::defect::{Defect, Place, Problem};
use crate::fields::{
    Contact, ContentDisposition, ContentEncoding, ContentType, Date, Event, Expires, FieldValue, MaxForwards,
    MinExpires, ProxyRequire, Reason, RecordRoute, Require, RetryAfter, Route, SubscriptionState, Supported,
    Via, Warning,
};
use crate::{Header, Message, Method, Params, StatusCode};
use bytes::Bytes;

/// What to do with what was received.
#[derive(Clone, Debug)]
pub enum Judgement {
    /// A message to act on.
    Message(Message),
    /// A request to answer with a refusal.
    Reject(Box<Rejection>),
    /// A response, or what cannot be answered: to be forgotten.
    Drop(Defect),
    /// On a stream, nobody knows where the next message begins: the connection must close.
    Close(Defect),
}

/// A request that is refused for its form.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// The status to answer with.
    pub status: StatusCode,
    /// Why.
    pub defect: Defect,
    /// The request, whose Via, From, To, Call-ID and CSeq lines the answer repeats as far as they are there.
    pub request: Message,
}

/// Judges one message at the beginning of `bytes`, as from a datagram, and says how many bytes remain behind it.
pub fn judge_datagram(bytes: Bytes) -> (Judgement, usize) {
    let all = bytes.len();
    // Line ends before the start line are ignored (RFC 3261 §7.5).
    let blank = bytes.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(all);
    let bytes = bytes.slice(blank..);
    let (message, rest) = match Message::parse_head(bytes.clone()) {
        Ok(parsed) => parsed,
        Err(defect) => {
            // What there is of the head may still say whom to tell.
            return match Message::parse_unterminated(bytes) {
                Some(message) => (refuse(message, defect), 0),
                None => (Judgement::Drop(defect), 0),
            };
        }
    };
    let length = match message.content_length() {
        Ok(None) => rest.len(),
        Ok(Some(length)) => usize::try_from(length).unwrap_or(usize::MAX),
        Err(defect) => return (refuse(message, defect), 0),
    };
    if length > rest.len() {
        let offset = message.head_length() + rest.len();
        let defect = Defect { place: Place::Body, offset, problem: Problem::Truncated };
        return (refuse(message.with_body(rest), defect), 0);
    }
    let remaining = rest.len() - length;
    (judge(message.with_body(rest.slice(..length))), remaining)
}

/// Judges a message whose head and body are complete.
pub fn judge(message: Message) -> Judgement {
    match examine(&message) {
        Ok(()) => Judgement::Message(message),
        Err(defect) => refuse(message, defect),
    }
}

/// What becomes of a message with this defect: a request is answered, a response is forgotten.
pub(crate) fn refuse(message: Message, defect: Defect) -> Judgement {
    if message.is_response() {
        return Judgement::Drop(defect);
    }
    let status = match (&defect.place, defect.problem) {
        (Place::StartLine, Problem::Version) => StatusCode::VERSION_NOT_SUPPORTED,
        // RFC 4475 §3.1.2.18: an unknown method comes before the CSeq that disagrees with it.
        (_, Problem::MethodMismatch) if matches!(message.method(), Some(Method::Other(_))) => {
            StatusCode::NOT_IMPLEMENTED
        }
        (Place::Body, Problem::Limit) => StatusCode::REQUEST_ENTITY_TOO_LARGE,
        (_, Problem::Limit) => StatusCode::MESSAGE_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    };
    Judgement::Reject(Box::new(Rejection { status, defect, request: message }))
}

/// Headers of which a message has one line with one value (RFC 3261 §7.3.1, §20), and whose second value would change
/// what the message means.
const SINGLE: &[Header] = &[
    Header::From,
    Header::To,
    Header::CallId,
    Header::CSeq,
    Header::MaxForwards,
    Header::ContentType,
    Header::ContentDisposition,
    Header::Expires,
    Header::Event,
    Header::SubscriptionState,
];

fn examine(message: &Message) -> Result<(), Defect> {
    message.start_line()?;
    if let Some(defect) = message.line_defect() {
        return Err(defect.clone());
    }
    let uri = message.request_uri()?;
    if let Some(header) = SINGLE.iter().find(|header| message.is_repeated(**header)) {
        return Err(message.blame(*header, Problem::Repeated));
    }
    let mut vias = message.all::<Via<'_>>();
    let top = vias.next().ok_or_else(|| message.missing(Header::Via))??;
    vias.try_for_each(|via| via.map(drop))?;
    identifies(message, Header::Via, &top.params, "branch")?;
    identifies(message, Header::From, &message.from()?.params, "tag")?;
    identifies(message, Header::To, &message.to()?.params, "tag")?;
    message.call_id()?;
    let cseq = message.cseq()?;
    message.content_length()?;
    if uri.is_none() {
        return Ok(());
    }
    if message.method().is_some_and(|method| method != cseq.method) {
        return Err(message.blame(Header::CSeq, Problem::MethodMismatch));
    }
    if top.branch_is_bare_cookie() {
        return Err(message.blame_first(Header::Via, Problem::Parameter));
    }
    well_formed::<Route<'_>>(message)?;
    well_formed::<RecordRoute<'_>>(message)?;
    well_formed::<Require<'_>>(message)?;
    well_formed::<ProxyRequire<'_>>(message)?;
    well_formed::<ContentType<'_>>(message)?;
    well_formed::<ContentEncoding<'_>>(message)?;
    well_formed::<Event<'_>>(message)?;
    contacts(message)
}

/// A branch or tag says whose message this is: it has a value, and there are no two of which each reader takes another
/// (RFC 3261 §7.3.1).
fn identifies(message: &Message, header: Header, params: &Params<'_>, name: &str) -> Result<(), Defect> {
    let mut values =
        params.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(message.blame_first(header, Problem::RepeatedParameter)),
        (Some(None), _) => Err(message.blame_first(header, Problem::Parameter)),
        _ => Ok(()),
    }
}

fn well_formed<'a, V: FieldValue<'a>>(message: &'a Message) -> Result<(), Defect> {
    message.all::<V>().try_for_each(|value| value.map(drop))
}

/// `*` stands alone, and in a REGISTER (RFC 3261 §10.2.2, §20.10). That its Expires is 0 is for the registrar to see
/// (§10.3 step 6).
fn contacts(message: &Message) -> Result<(), Defect> {
    let (mut count, mut star) = (0usize, false);
    for contact in message.contacts() {
        star |= matches!(contact?, Contact::Star);
        count += 1;
    }
    if star && (count > 1 || message.method() != Some(Method::Register)) {
        return Err(message.blame(Header::Contact, Problem::Star));
    }
    Ok(())
}

/// Defects that a receiver passes over because it does not need the header (RFC 3261 §8.2.2): worth a word to whoever
/// looks at the message.
pub fn passed_over(message: &Message) -> Vec<Defect> {
    fn first<'a, V: FieldValue<'a>>(message: &'a Message, out: &mut Vec<Defect>) {
        out.extend(message.all::<V>().find_map(Result::err));
    }
    let mut out = Vec::new();
    first::<Contact<'_>>(message, &mut out);
    first::<MaxForwards>(message, &mut out);
    first::<Expires>(message, &mut out);
    first::<Date>(message, &mut out);
    first::<RetryAfter<'_>>(message, &mut out);
    first::<MinExpires>(message, &mut out);
    first::<Supported<'_>>(message, &mut out);
    first::<SubscriptionState<'_>>(message, &mut out);
    first::<ContentDisposition<'_>>(message, &mut out);
    first::<Reason<'_>>(message, &mut out);
    first::<Warning<'_>>(message, &mut out);
    out
}
