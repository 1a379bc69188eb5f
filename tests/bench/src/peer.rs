//! The same work on rsip.

use rsip::prelude::*;
use rsip::SipMessage;

/// Takes the message apart.
pub fn parse(bytes: &[u8]) -> SipMessage {
    SipMessage::try_from(bytes).unwrap()
}

/// What of Via, From, To, CSeq, Call-ID, Contact and Content-Length was found.
pub fn access(message: &SipMessage) -> usize {
    let via = message.via_header().unwrap().typed().unwrap();
    let from = message.from_header().unwrap().typed().unwrap();
    let to = message.to_header().unwrap().typed().unwrap();
    let cseq = message.cseq_header().unwrap().typed().unwrap();
    let call_id = message.call_id_header().unwrap().value();
    let contact = message.contact_header().unwrap().typed().unwrap();
    let length = message
        .headers()
        .iter()
        .find_map(|header| match header {
            rsip::Header::ContentLength(length) => length.length().ok(),
            _ => None,
        })
        .unwrap();
    via.branch().unwrap().value().len()
        + usize::from(u16::from(*via.uri.port().unwrap()))
        + from.tag().unwrap().value().len()
        + from.uri.host().to_string().len()
        + to.uri.auth.unwrap().user.len()
        + cseq.seq as usize
        + call_id.len()
        + usize::from(u16::from(*contact.uri.port().unwrap()))
        + length as usize
}

/// Parses, and reads the seven.
pub fn parse_and_access(bytes: &[u8]) -> usize {
    access(&parse(bytes))
}

/// Writes the message.
pub fn serialize(message: &SipMessage) -> Vec<u8> {
    message.to_string().into_bytes()
}
