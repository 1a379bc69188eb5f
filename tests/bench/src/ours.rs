//! The work on `aldis-sip`.

use aldis_sip::fields::{CSeq, CallId, Contact, From, MaxForwards, To, Via};
use aldis_sip::{FieldText, Header, Judgement, Message, Method, StatusCode, Uri, Writer, judge};
use bytes::Bytes;
use std::hint::black_box;

/// Takes the message apart.
pub fn parse(bytes: &Bytes) -> Message {
    Message::parse(bytes.clone()).unwrap().0
}

/// Reads Via, From, To, CSeq, Call-ID, Contact and Content-Length as typed values, and drops them.
pub fn access(message: &Message) {
    black_box(message.via().unwrap());
    black_box(message.from().unwrap());
    black_box(message.to().unwrap());
    black_box(message.cseq().unwrap());
    black_box(message.call_id().unwrap());
    black_box(message.get::<Contact<'_>>().unwrap().unwrap());
    black_box(message.content_length().unwrap().unwrap());
}

/// What the seven say, as text to compare.
pub fn summary(message: &Message) -> String {
    let (via, from, to) = (message.via().unwrap(), message.from().unwrap(), message.to().unwrap());
    let (cseq, call_id) = (message.cseq().unwrap(), message.call_id().unwrap());
    let contact = message.contacts().next().unwrap().unwrap();
    format!(
        "{} {} {} {} {} {cseq} {call_id} {} {}",
        via.sent_by,
        via.branch().unwrap(),
        from.uri,
        from.tag().unwrap(),
        to.uri,
        contact.address().unwrap().uri,
        message.content_length().unwrap().unwrap()
    )
}

/// Parses, and reads the seven.
pub fn parse_and_access(bytes: &Bytes) {
    access(&parse(bytes));
}

/// Parses and judges.
pub fn parse_and_judge(bytes: &Bytes) -> bool {
    matches!(judge(parse(bytes)), Judgement::Message(_))
}

/// Values of a message, ready to be written.
pub struct Draft<'a> {
    start: Result<(Method<'a>, Uri<'a>), StatusCode>,
    via: Via<'a>,
    from: From<'a>,
    to: To<'a>,
    call_id: CallId<'a>,
    cseq: CSeq<'a>,
    contact: Contact<'a>,
    max_forwards: Option<MaxForwards>,
    others: Vec<(Header, FieldText<'a>)>,
    body: &'a [u8],
}

/// The values of a message.
pub fn draft(message: &Message) -> Draft<'_> {
    let typed = [
        Header::Via,
        Header::From,
        Header::To,
        Header::CallId,
        Header::CSeq,
        Header::Contact,
        Header::MaxForwards,
        Header::ContentLength,
    ];
    Draft {
        start: match message.status() {
            Some(status) => Err(status),
            None => Ok((message.method().unwrap(), message.request_uri().unwrap().unwrap())),
        },
        via: message.via().unwrap(),
        from: message.from().unwrap(),
        to: message.to().unwrap(),
        call_id: message.call_id().unwrap(),
        cseq: message.cseq().unwrap(),
        contact: message.contacts().next().unwrap().unwrap(),
        max_forwards: message.get().unwrap(),
        others: message
            .fields()
            .filter(|field| !typed.contains(&field.header))
            .map(|field| (field.header, FieldText::new(std::str::from_utf8(field.value).unwrap()).unwrap()))
            .collect(),
        body: message.body(),
    }
}

/// Writes the message.
pub fn serialize(draft: &Draft<'_>) -> Bytes {
    let mut writer = match &draft.start {
        Ok((method, uri)) => Writer::request(method, uri),
        Err(status) => Writer::response(*status),
    };
    writer = writer.field(Header::Via, &draft.via);
    if let Some(hops) = &draft.max_forwards {
        writer = writer.field(Header::MaxForwards, hops);
    }
    writer = writer
        .field(Header::From, &draft.from)
        .field(Header::To, &draft.to)
        .field(Header::CallId, &draft.call_id)
        .field(Header::CSeq, &draft.cseq)
        .field(Header::Contact, &draft.contact);
    for (header, value) in &draft.others {
        writer = writer.field(*header, value);
    }
    writer.finish(draft.body)
}
