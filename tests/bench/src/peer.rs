//! The same work on rsip.

use rsip::SipMessage;
use rsip::prelude::*;
use std::hint::black_box;

/// Takes the message apart.
pub fn parse(bytes: &[u8]) -> SipMessage {
    SipMessage::try_from(bytes).unwrap()
}

fn content_length(message: &SipMessage) -> u32 {
    let mut headers = message.headers().iter();
    let length = headers.find_map(|header| match header {
        rsip::Header::ContentLength(length) => length.length().ok(),
        _ => None,
    });
    length.unwrap()
}

/// Reads Via, From, To, CSeq, Call-ID, Contact and Content-Length as typed values, and drops them.
pub fn access(message: &SipMessage) {
    black_box(message.via_header().unwrap().typed().unwrap());
    black_box(message.from_header().unwrap().typed().unwrap());
    black_box(message.to_header().unwrap().typed().unwrap());
    black_box(message.cseq_header().unwrap().typed().unwrap());
    black_box(message.call_id_header().unwrap().value());
    black_box(message.contact_header().unwrap().typed().unwrap());
    black_box(content_length(message));
}

/// What the seven say, as text to compare.
pub fn summary(message: &SipMessage) -> String {
    let via = message.via_header().unwrap().typed().unwrap();
    let from = message.from_header().unwrap().typed().unwrap();
    let to = message.to_header().unwrap().typed().unwrap();
    let cseq = message.cseq_header().unwrap().typed().unwrap();
    let contact = message.contact_header().unwrap().typed().unwrap();
    format!(
        "{} {} {} {} {} {} {} {} {} {}",
        via.uri.host_with_port,
        via.branch().unwrap().value(),
        from.uri,
        from.tag().unwrap().value(),
        to.uri,
        cseq.seq,
        cseq.method,
        message.call_id_header().unwrap().value(),
        contact.uri.to_string().replace("transport=TLS", "transport=tls"),
        content_length(message)
    )
}

/// Parses, and reads the seven.
pub fn parse_and_access(bytes: &[u8]) {
    access(&parse(bytes));
}

/// Writes the message.
pub fn serialize(message: &SipMessage) -> Vec<u8> {
    message.to_string().into_bytes()
}
