//! What the wire layer reads in a message, as JSON.

use super::{CUT_SHORT, Found};
use aldis_sip::fields::{Contact, MaxForwards, Via};
use aldis_sip::{
    Capabilities, Defect, Judgement, Message, NameAddr, Params, Place, Problem, StartLine, passed_over,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// The object for what was found.
pub(super) fn of(file: &str, found: &Found<'_>) -> Value {
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| {
        out.insert(name.into(), value);
    };
    put("file", file.into());
    let (judgement, remaining) = match found {
        Found::Judged(judgement, remaining) => (judgement, *remaining),
        Found::CutShort(taken) => {
            put("judgement", "close".into());
            put("status", Value::Null);
            put("why", CUT_SHORT.into());
            put("about", Value::Null);
            put("byte", (*taken).into());
            return Value::Object(out);
        }
    };
    match judgement {
        Judgement::Message(message) => {
            put("judgement", "message".into());
            for (name, value) in message_facts(message, remaining) {
                put(name, value);
            }
        }
        Judgement::Reject(rejection) => {
            put("judgement", "reject".into());
            put("status", rejection.status.code().into());
            refusal(&rejection.defect, rejection.request.is_response(), put);
        }
        Judgement::Drop(defect) => {
            put("judgement", "drop".into());
            put("status", Value::Null);
            refusal(defect, true, put);
        }
        Judgement::Close(defect) => {
            put("judgement", "close".into());
            put("status", Value::Null);
            refusal(defect, false, put);
        }
    }
    Value::Object(out)
}

fn refusal(defect: &Defect, response: bool, mut put: impl FnMut(&str, Value)) {
    put("why", defect.to_string().into());
    put("about", about(defect, response).into());
    put("byte", defect.offset.into());
}

/// The header or part that is at fault, by the name that the RFC has for it.
pub(super) fn about(defect: &Defect, response: bool) -> &str {
    match (&defect.place, defect.problem) {
        (Place::StartLine, Problem::Version) => "SIP-Version",
        (Place::StartLine, Problem::StatusCode) => "Status-Code",
        (Place::StartLine, Problem::NotAStartLine | Problem::Method) if !response => "Request-Line",
        (Place::StartLine, _) if response => "Status-Line",
        (Place::StartLine, _) => "Request-URI",
        (Place::Field(name), _) => name,
        (Place::Head, _) => "head",
        // A body is only ever too short or too long for what this header says.
        (Place::Body, _) => "Content-Length",
    }
}

fn message_facts(message: &Message, remaining: usize) -> Vec<(&'static str, Value)> {
    let (kind, method, uri, status, reason) = match message.start_line() {
        Ok(StartLine::Request { method, uri }) => {
            ("request", method.as_str().into(), uri.into(), Value::Null, Value::Null)
        }
        Ok(StartLine::Response { status, reason }) => {
            ("response", Value::Null, Value::Null, status.code().into(), reason.into())
        }
        // A message has a start line, or it would not have been judged one.
        Err(_) => ("request", Value::Null, Value::Null, Value::Null, Value::Null),
    };
    let endpoint = Capabilities::COMMON.refusal(message).map(|status| status.code());
    let max_forwards = message.get::<MaxForwards>().ok().flatten().map(|MaxForwards(hops)| hops);
    vec![
        ("kind", kind.into()),
        ("method", method),
        ("request_uri", uri),
        ("status", status),
        ("reason_phrase", reason),
        ("via", message.all::<Via<'_>>().flatten().map(|via| via_facts(&via)).collect()),
        ("from", message.from().map_or(Value::Null, |from| party(&from))),
        ("to", message.to().map_or(Value::Null, |to| party(&to))),
        ("call_id", message.call_id().map_or(Value::Null, |id| id.as_str().into())),
        (
            "cseq",
            message
                .cseq()
                .map_or(Value::Null, |cseq| json!({"number": cseq.number, "method": cseq.method.as_str()})),
        ),
        ("contacts", message.contacts().flatten().map(|contact| contact_facts(&contact)).collect()),
        ("max_forwards", max_forwards.into()),
        ("content_length", message.content_length().ok().flatten().into()),
        ("body_length", message.body().len().into()),
        ("remaining", remaining.into()),
        (
            "headers",
            message
                .fields()
                .map(|field| Value::Array(vec![field.name.into(), text_or_bytes(field.value)]))
                .collect(),
        ),
        ("warnings", passed_over(message).iter().map(|defect| Value::from(defect.to_string())).collect()),
        ("endpoint_status", endpoint.into()),
    ]
}

fn text_or_bytes(value: &[u8]) -> Value {
    match std::str::from_utf8(value) {
        Ok(text) => text.into(),
        Err(_) => json!({"base64": STANDARD.encode(value)}),
    }
}

fn via_facts(via: &Via<'_>) -> Value {
    let parameter =
        |name: &str| via.params.get(name).map(|value| value.map_or_else(Default::default, |v| v.text()));
    json!({
        "transport": via.transport,
        "sent_by": via.sent_by.to_string(),
        "branch": parameter("branch"),
        "received": parameter("received"),
        "rport": parameter("rport"),
    })
}

fn party(address: &NameAddr<'_>) -> Value {
    json!({"display": address.display(), "uri": address.uri.as_str(), "tag": address.tag()})
}

fn contact_facts(contact: &Contact<'_>) -> Value {
    match contact.address() {
        None => json!({"uri": "*"}),
        Some(address) => json!({
            "display": address.display(),
            "uri": address.uri.as_str(),
            "parameters": parameters(&address.params),
        }),
    }
}

fn parameters(params: &Params<'_>) -> Value {
    params.iter().map(|(name, value)| json!([name, value.map(|value| value.text())])).collect()
}
