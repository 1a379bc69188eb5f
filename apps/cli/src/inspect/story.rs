//! What the wire layer reads in a message, for a person at a terminal.

use super::facts::about;
use super::{CUT_SHORT, Found};
use crate::printable;
use aldis_sip::fields::{MaxForwards, Via};
use aldis_sip::{Capabilities, Defect, Header, Judgement, Message, NameAddr, StartLine, passed_over};
use std::fmt::Write;

/// Width of the left column; a longer name takes its own room.
const COLUMN: usize = 14;

/// Headers that have a line of their own above the others.
const SHOWN: &[Header] = &[
    Header::Via,
    Header::From,
    Header::To,
    Header::CallId,
    Header::CSeq,
    Header::Contact,
    Header::MaxForwards,
    Header::ContentLength,
];

/// Several lines, the last one ended.
pub(super) fn of(file: &str, found: &Found<'_>) -> String {
    let mut out = Text(String::new());
    let file = printable::line(file);
    let (judgement, remaining) = match found {
        Found::Judged(judgement, remaining) => (judgement, *remaining),
        Found::CutShort(taken) => {
            out.plain(&format!("{file}: {CUT_SHORT}, after {taken} bytes"));
            return out.0;
        }
    };
    match judgement {
        Judgement::Message(message) => {
            let kind = if message.is_response() { "a response" } else { "a request" };
            out.plain(&format!("{file}: {kind}"));
            tell(message, remaining, &mut out);
        }
        Judgement::Reject(rejection) => {
            let (status, reason) = (rejection.status, rejection.status.reason());
            out.plain(&format!("{file}: a request to be refused with {status} {reason}"));
            fault(&rejection.defect, false, &mut out);
        }
        Judgement::Drop(defect) => {
            out.plain(&format!("{file}: to be dropped; there is nobody to answer"));
            fault(defect, true, &mut out);
        }
        Judgement::Close(defect) => {
            out.plain(&format!(
                "{file}: the connection must close; nobody knows where the next message begins"
            ));
            fault(defect, false, &mut out);
        }
    }
    out.0
}

struct Text(String);

impl Text {
    fn plain(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    /// A line of the table; `value` may come from the network.
    fn row(&mut self, name: &str, value: &str) {
        // Writing to a String does not fail.
        let _ = writeln!(self.0, "  {:COLUMN$} {}", printable::line(name), printable::line(value));
    }
}

fn fault(defect: &Defect, response: bool, out: &mut Text) {
    out.row("where", &format!("{}, byte {}", about(defect, response), defect.offset));
    out.row("what", &defect.problem.to_string());
}

fn tell(message: &Message, remaining: usize, out: &mut Text) {
    match message.start_line() {
        Ok(StartLine::Request { method, uri }) => out.row(method.as_str(), uri),
        Ok(StartLine::Response { status, reason }) => out.row("status", &format!("{status} {reason}")),
        Err(_) => {}
    }
    for via in message.all::<Via<'_>>().flatten() {
        out.row("Via", &format!("{} {}{}", via.transport, via.sent_by, via.params));
    }
    if let Ok(from) = message.from() {
        out.row("From", &person(&from));
    }
    if let Ok(to) = message.to() {
        out.row("To", &person(&to));
    }
    if let Ok(id) = message.call_id() {
        out.row("Call-ID", id.as_str());
    }
    if let Ok(cseq) = message.cseq() {
        out.row("CSeq", &cseq.to_string());
    }
    for contact in message.contacts().flatten() {
        out.row("Contact", &contact.address().map_or_else(|| "*".to_owned(), |address| person(address)));
    }
    if let Ok(Some(MaxForwards(hops))) = message.get::<MaxForwards>() {
        out.row("Max-Forwards", &hops.to_string());
    }
    for field in message.fields().filter(|field| !SHOWN.contains(&field.header)) {
        out.row(field.name, &printable::bytes(field.value));
    }
    out.row("body", &body(message, remaining));
    for defect in passed_over(message) {
        out.row("passed over", &defect.to_string());
    }
    if let Some(status) = Capabilities::COMMON.refusal(message) {
        out.row("an endpoint", &format!("answers {status} {}", status.reason()));
    }
}

fn person(address: &NameAddr<'_>) -> String {
    match address.display() {
        Some(name) if !name.is_empty() => format!("{name} <{}>{}", address.uri, address.params),
        _ => format!("<{}>{}", address.uri, address.params),
    }
}

fn body(message: &Message, remaining: usize) -> String {
    let mut text = match (message.body().len(), message.content_length()) {
        (length, Ok(Some(_))) => format!("{length} bytes"),
        (length, _) => format!("{length} bytes, without a Content-Length"),
    };
    if remaining > 0 {
        // Writing to a String does not fail.
        let _ = write!(text, "; {remaining} more stand behind it and do not belong to the message");
    }
    text
}
