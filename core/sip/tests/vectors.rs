//! Every message of RFC 4475 and RFC 5118, and ours, read as its section says (WIRE-06, UAS-06, UAS-07).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, clippy::panic)] // a test crate

mod common;

use aldis_sip::fields::{Contact, MaxForwards};
use aldis_sip::{
    Capabilities, Defect, Judgement, Message, NameAddr, Place, Problem, StartLine, judge_datagram,
};
use common::{Vector, vectors};
use serde_json::{Value, json};

/// The names under which a vector's `about` may know the place of a defect.
fn about(defect: &Defect, response: bool) -> Vec<&'static str> {
    let field = |name: &str| -> Vec<&'static str> {
        let header = aldis_sip::Header::of(name.as_bytes());
        if header == aldis_sip::Header::Other { vec!["head"] } else { vec![header.name(), "head"] }
    };
    match (&defect.place, defect.problem) {
        (Place::Field(name), Problem::ControlByte | Problem::BareLineEnd) => field(name),
        (Place::Field(name), _) => field(name)[..1].to_vec(),
        (Place::StartLine, Problem::Version) => vec!["SIP-Version"],
        (Place::StartLine, Problem::StatusCode) => vec!["Status-Code"],
        (Place::StartLine, Problem::NotAStartLine) if response => vec!["Status-Line"],
        (Place::StartLine, Problem::NotAStartLine | Problem::Method) => vec!["Request-Line"],
        (Place::StartLine, _) => vec!["Request-URI"],
        (Place::Head, _) => vec!["head"],
        (Place::Body, _) => vec!["Content-Length"],
    }
}

fn address(address: &NameAddr<'_>) -> Value {
    json!({"display": address.display(), "uri": address.uri.as_str(), "tag": address.tag()})
}

fn text(bytes: &[u8]) -> Value {
    use base64::Engine;
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({"base64": base64::engine::general_purpose::STANDARD.encode(bytes)}),
    }
}

/// What the typed API says of a message, in the words of the vectors.
fn describe(message: &Message, remaining: usize) -> Result<Value, Defect> {
    let mut out = match message.start_line()? {
        StartLine::Request { method, uri } => json!({
            "kind": "request", "method": method.as_str(), "request_uri": uri,
        }),
        StartLine::Response { status, reason } => json!({
            "kind": "response", "status": status.code(), "reason_phrase": reason,
        }),
    };
    let mut vias = Vec::new();
    for via in message.all::<aldis_sip::fields::Via<'_>>() {
        let via = via?;
        let param = |name: &str| match via.params.get(name) {
            None => Value::Null,
            Some(value) => json!(value.map(|value| value.text()).unwrap_or_default()),
        };
        vias.push(json!({
            "transport": via.transport, "sent_by": via.sent_by.to_string(), "branch": param("branch"),
            "received": param("received"), "rport": param("rport"),
        }));
    }
    let mut contacts = Vec::new();
    // A response is not refused for its Contacts: what cannot be read of them is left out.
    for contact in message.contacts().flatten() {
        contacts.push(match contact {
            Contact::Star => json!({"uri": "*"}),
            Contact::Address(a) => {
                let params: Vec<Value> =
                    a.params.iter().map(|(name, value)| json!([name, value.map(|v| v.text())])).collect();
                json!({"display": a.display(), "uri": a.uri.as_str(), "parameters": params})
            }
        });
    }
    let cseq = message.cseq()?;
    let headers: Vec<Value> = message.fields().map(|f| json!([f.name, text(f.value)])).collect();
    let rest = json!({
        "judgement": "message",
        "via": vias, "from": address(&message.from()?.0), "to": address(&message.to()?.0),
        "call_id": message.call_id()?.as_str(),
        "cseq": {"number": cseq.number, "method": cseq.method.as_str()},
        "contacts": contacts,
        "max_forwards": message.get::<MaxForwards>().ok().flatten().map(|m| m.0),
        "content_length": message.content_length()?,
        "body_length": message.body().len(), "remaining": remaining,
        "endpoint_status": Capabilities::COMMON.refusal(message).map(|status| status.code()),
        "headers": headers,
    });
    out.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    Ok(out)
}

/// What is wrong with how the vector is read; empty when all is right.
fn differences(vector: &Vector) -> Vec<String> {
    let (judgement, remaining) = judge_datagram(vector.bytes.clone().into());
    let refused = |kind: &str, status: Value, defect: &Defect, response| json!({"judgement": kind, "status": status, "about": about(defect, response), "why": defect.to_string()});
    let found = match &judgement {
        Judgement::Message(message) => describe(message, remaining)
            .unwrap_or_else(|defect| json!({"judgement": "message", "why": defect.to_string()})),
        Judgement::Reject(r) => refused("reject", json!(r.status.code()), &r.defect, false),
        Judgement::Drop(defect) => refused("drop", Value::Null, defect, true),
        Judgement::Close(defect) => refused("close", Value::Null, defect, false),
    };
    let mut out = Vec::new();
    let same_kind = found["judgement"] == vector.expected["judgement"];
    for (key, expected) in vector.expected.as_object().unwrap() {
        let found_value = &found[key];
        let right = match key.as_str() {
            "section" | "reading" | "also_allowed" => true,
            // Another judgement has no values to compare.
            _ if !same_kind && key != "judgement" => true,
            "about" => found_value
                .as_array()
                .is_some_and(|found| found.iter().any(|place| expected.as_array().unwrap().contains(place))),
            _ => found_value == expected,
        };
        if !right {
            out.push(format!("  {key}:\n    expected {expected}\n    found    {found_value}"));
        }
    }
    if !out.is_empty() {
        out.insert(0, format!("{}: {}", vector.name, found["why"]));
    }
    out
}

fn check(folder: &str, at_least: usize) {
    let all = vectors(&[folder]);
    assert!(all.len() >= at_least, "{folder} has only {} vectors", all.len());
    let wrong: Vec<String> = all.iter().flat_map(differences).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn all_49_messages_of_rfc_4475_wire_06() {
    check("rfc4475", 49);
}

#[test]
fn all_12_messages_of_rfc_5118_wire_06() {
    check("rfc5118", 12);
}

#[test]
fn our_own_messages_one_point_each_wire_06() {
    check("own", 150);
}
