//! Events as JSON lines, as the contract has them: `event` first, times as RFC 3339 in UTC.

use crate::failure::{Exit, Failure};
use crate::when;
use aldis::net::{Origin, PostQuantum};
use aldis::{
    ConnectionState, Event, Incoming, OutgoingState, PushState, RegistrationState, SubscriptionState,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The object for an event; `None` for one that the contract does not know.
///
/// # Errors
/// An internal [`Failure`] if a verdict cannot be written.
pub(crate) fn event(event: &Event) -> Result<Option<Value>, Failure> {
    Ok(Some(match event {
        Event::Connection { reg_id, state } => match connection(state) {
            Some(members) => object("connection", of_flow(members, *reg_id)),
            None => return Ok(None),
        },
        Event::Registration { reg_id, state } => {
            object("registration", of_flow(registration(state), *reg_id))
        }
        Event::Untrusted { verdict, address } => {
            let verdict =
                serde_json::to_value(&**verdict).map_err(|error| Failure::new(Exit::Internal, error))?;
            object("untrusted", json!({"verdict": verdict, "address": address.to_string()}))
        }
        Event::Message(message) => object("message", incoming(message)),
        Event::Outgoing { id, to, state } => {
            let mut members = json!({"id": id.to_string(), "to": to.as_str()});
            extend(&mut members, outgoing(state));
            object("outgoing", members)
        }
        Event::Composing { from, active } => {
            object("composing", json!({"from": from.as_str(), "active": active}))
        }
        Event::Storage(storage) => {
            object("storage", json!({"why": storage.to_string(), "advice": storage.advice()}))
        }
        Event::Notify { package, content_type, body } => {
            let mut members = json!({"package": package, "content_type": content_type});
            extend(&mut members, text_or_bytes(std::str::from_utf8(body).ok(), body));
            object("notify", members)
        }
        Event::MessagesWaiting(summary) => {
            let counts: Map<String, Value> = summary
                .counts
                .iter()
                .map(|(kind, count)| {
                    let count = json!({"new": count.new, "old": count.old, "new_urgent": count.new_urgent, "old_urgent": count.old_urgent});
                    (kind.clone(), count)
                })
                .collect();
            let members = json!({"waiting": summary.waiting, "mailbox": summary.account, "counts": counts});
            object("messages-waiting", members)
        }
        Event::Push { reg_id, state } => object("push", of_flow(push(state), *reg_id)),
        Event::TokenNeeded { realm, authorization_server, scope, refused } => object(
            "token-needed",
            json!({"realm": realm, "authorization_server": authorization_server, "scope": scope, "refused": refused}),
        ),
        Event::Subscription { package, state } => {
            let mut members = json!({"package": package.name()});
            extend(&mut members, subscription(state));
            object("subscription", members)
        }
    }))
}

fn push(state: &PushState) -> Value {
    match state {
        PushState::Active { refresh_before } => {
            json!({"state": "active", "refresh_before": refresh_before.map(|before| before.as_secs())})
        }
        PushState::NotPromised => json!({"state": "not-promised"}),
        PushState::Unsupported => json!({"state": "unsupported"}),
        PushState::Offered { providers } => json!({"state": "offered", "providers": providers}),
        PushState::Off => json!({"state": "off"}),
    }
}

fn subscription(state: &SubscriptionState) -> Value {
    match state {
        SubscriptionState::Active { pending } => {
            json!({"state": if *pending { "pending" } else { "active" }})
        }
        SubscriptionState::Ended { reason, retry_in } => {
            json!({"state": "ended", "why": reason, "retry_in": retry_in.map(seconds)})
        }
    }
}

/// An object whose first member is its kind.
fn object(kind: &str, members: Value) -> Value {
    let mut out = Map::new();
    out.insert("event".into(), kind.into());
    let mut out = Value::Object(out);
    extend(&mut out, members);
    out
}

pub(crate) fn extend(to: &mut Value, more: Value) {
    if let (Value::Object(to), Value::Object(more)) = (to, more) {
        to.extend(more);
    }
}

/// Says which of the account's flows it is of.
fn of_flow(mut members: Value, reg_id: u32) -> Value {
    extend(&mut members, json!({"flow": reg_id}));
    members
}

fn connection(state: &ConnectionState) -> Option<Value> {
    let mut value = match state {
        ConnectionState::Resolving => json!({"state": "resolving"}),
        ConnectionState::Connecting => json!({"state": "connecting"}),
        ConnectionState::Connected(connected) => json!({
            "state": "connected",
            "address": connected.address.to_string(),
            "target": connected.target.to_string(),
            "via": connected.target.way(&connected.reference, connected.address),
            "tls": {
                "version": connected.tls.version.to_string(),
                "suite": connected.tls.suite,
                "group": connected.tls.group,
                "post_quantum": post_quantum(&connected.tls.post_quantum),
            },
            "identity": {
                "reference": connected.reference.to_string(),
                "matched": connected.matched.by.as_str(),
                "value": connected.matched.value,
            },
            "expires": i64::try_from(connected.expires).ok().map(timestamp),
            "warnings": serde_json::to_value(&connected.warnings).unwrap_or_default(),
        }),
        ConnectionState::Lost { why } => json!({"state": "lost", "why": why.to_string()}),
        ConnectionState::BackingOff { why, retry_in } => {
            json!({"state": "backing-off", "why": why.to_string(), "retry_in": seconds(*retry_in)})
        }
        ConnectionState::Closed => return None,
    };
    if let ConnectionState::Connected(connected) = state
        && let Origin::Unasked(why) = &connected.target.origin
        && let Some(object) = value.as_object_mut()
    {
        object.insert("srv_not_asked".into(), why.to_string().into());
    }
    Some(value)
}

fn post_quantum(what: &PostQuantum) -> &'static str {
    match what {
        PostQuantum::Negotiated => "negotiated",
        PostQuantum::NotSupported => "not-supported",
        PostQuantum::GivenUp(_) => "given-up",
    }
}

fn registration(state: &RegistrationState) -> Value {
    match state {
        RegistrationState::Registering => json!({"state": "registering"}),
        RegistrationState::Registered { expires_in, contact, outbound, gruus } => json!({
            "state": "registered",
            "expires_in": expires_in.as_secs(),
            "contact": contact.as_str(),
            "outbound": outbound,
            "gruu": gruus.public.as_ref().map(aldis::Uri::as_str),
            // Only a 200 registers.
            "status": 200,
        }),
        RegistrationState::Refreshing => json!({"state": "refreshing"}),
        RegistrationState::Unregistered => json!({"state": "unregistered"}),
        RegistrationState::Failed { why, status, retry_in } => json!({
            "state": "failed",
            "status": status.map(|status| status.code()),
            "why": why.to_string(),
            "retry_in": retry_in.map(seconds),
        }),
    }
}

fn outgoing(state: &OutgoingState) -> Value {
    match state {
        OutgoingState::Queued => json!({"state": "queued"}),
        OutgoingState::Sending => json!({"state": "sending"}),
        OutgoingState::Accepted { status, .. } => json!({"state": "accepted", "status": status.code()}),
        OutgoingState::Delivered => json!({"state": "delivered"}),
        OutgoingState::Displayed => json!({"state": "displayed"}),
        OutgoingState::Failed { why, status } => {
            json!({"state": "failed", "status": status.map(|status| status.code()), "why": why.to_string()})
        }
        OutgoingState::Unknown { why, status } => {
            json!({"state": "unknown", "status": status.map(|status| status.code()), "why": why.to_string()})
        }
    }
}

fn incoming(message: &Incoming) -> Value {
    let mut members = json!({
        "id": message.id,
        "from": message.from.as_str(),
        "display_name": message.display_name,
        "to": message.to.as_str(),
        "content_type": message.content_type,
    });
    if let Some(claim) = &message.claimed_from {
        extend(&mut members, json!({"claimed_from": claim}));
    }
    extend(&mut members, text_or_bytes(message.text().as_deref(), &message.body));
    let times =
        json!({"sent_at": message.sent_at.map(timestamp), "received_at": timestamp(message.received_at)});
    extend(&mut members, times);
    members
}

/// A text; the bytes too where some of them could not be read and were replaced, so that nothing is lost; else the bytes.
pub(crate) fn text_or_bytes(text: Option<&str>, bytes: &[u8]) -> Value {
    let replaced = |text: &str| text.contains(char::REPLACEMENT_CHARACTER) && text.as_bytes() != bytes;
    match text {
        Some(text) if replaced(text) => json!({"body": text, "body_base64": STANDARD.encode(bytes)}),
        Some(text) => json!({"body": text}),
        None => json!({"body_base64": STANDARD.encode(bytes)}),
    }
}

/// Whole seconds where they are whole, so that what was granted reads as it was granted.
fn seconds(time: Duration) -> Value {
    if time.subsec_millis() == 0 {
        return time.as_secs().into();
    }
    Value::from(time.as_millis() as f64 / 1000.0)
}

/// Seconds since 1970 as RFC 3339; `null` for what no calendar holds.
pub(crate) fn timestamp(seconds: i64) -> Value {
    when::rfc3339(seconds).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aldis::Gruus;
    use aldis::net::{ClientCertificateUse, Target, TlsFacts, TlsVersion};
    use aldis::trust::{Anchors, Evidence, Matched, MatchedBy, Policy, judge};
    use aldis::{
        Connected, LostReason, MessageFailure, ReferenceIdentity, StatusCode, Trouble, UnknownReason,
    };
    use rustls_pki_types::UnixTime;

    #[test]
    fn times_are_rfc_3339_and_never_fail() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00Z");
        assert_eq!(timestamp(i64::MAX), Value::Null);
    }

    #[test]
    fn seconds_are_whole_where_they_are_whole() {
        assert_eq!(seconds(Duration::from_secs(3600)).to_string(), "3600");
        assert_eq!(seconds(Duration::from_micros(512_400)).to_string(), "0.512");
    }

    #[test]
    fn the_event_stands_first_and_states_are_the_contracts() {
        let body = b"Messages-Waiting: yes\r\nMessage-Account: sip:a@b.test\r\nVoice-Message: 2/8 (0/1)\r\n";
        let subscription = |state| Event::Subscription { package: aldis::Package::Registration, state };
        for (given, expected) in [
            (
                Event::MessagesWaiting(aldis::MessageSummary::parse(body).unwrap()),
                r#"{"event":"messages-waiting","waiting":true,"mailbox":"sip:a@b.test","counts":{"Voice-Message":{"new":2,"old":8,"new_urgent":0,"old_urgent":1}}}"#,
            ),
            (
                subscription(SubscriptionState::Active { pending: false }),
                r#"{"event":"subscription","package":"reg","state":"active"}"#,
            ),
            (
                subscription(SubscriptionState::Ended { reason: "noresource".into(), retry_in: None }),
                r#"{"event":"subscription","package":"reg","state":"ended","why":"noresource","retry_in":null}"#,
            ),
            (
                Event::Push {
                    reg_id: 1,
                    state: PushState::Active { refresh_before: Some(Duration::from_secs(120)) },
                },
                r#"{"event":"push","state":"active","refresh_before":120,"flow":1}"#,
            ),
            (
                Event::TokenNeeded {
                    realm: "r".into(),
                    authorization_server: "https://a.test".into(),
                    scope: None,
                    refused: false,
                },
                r#"{"event":"token-needed","realm":"r","authorization_server":"https://a.test","scope":null,"refused":false}"#,
            ),
            (
                Event::Registration {
                    state: RegistrationState::Registered {
                        expires_in: Duration::from_secs(3600),
                        contact: "sip:a@192.0.2.1:5061".parse().unwrap(),
                        outbound: true,
                        gruus: Gruus::default(),
                    },
                    reg_id: 1,
                },
                r#"{"event":"registration","state":"registered","expires_in":3600,"contact":"sip:a@192.0.2.1:5061","outbound":true,"gruu":null,"status":200,"flow":1}"#,
            ),
            (
                Event::Registration { state: RegistrationState::Unregistered, reg_id: 2 },
                r#"{"event":"registration","state":"unregistered","flow":2}"#,
            ),
            (
                Event::Connection { state: ConnectionState::Resolving, reg_id: 1 },
                r#"{"event":"connection","state":"resolving","flow":1}"#,
            ),
            (
                Event::Notify {
                    package: "message-summary".into(),
                    content_type: None,
                    body: "Messages-Waiting: yes\r\n".into(),
                },
                r#"{"event":"notify","package":"message-summary","content_type":null,"body":"Messages-Waiting: yes\r\n"}"#,
            ),
        ] {
            assert_eq!(event(&given).unwrap().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn a_connection_says_who_is_at_the_other_end_and_how_it_was_proven() {
        let address = "192.0.2.1:5061".parse().unwrap();
        let connected = Connected {
            address,
            target: Target {
                host: "sip.example.test".parse().unwrap(),
                port: 5061,
                origin: Origin::Srv {
                    service: "_sips._tcp.example.test".into(),
                    naptr: false,
                    priority: 1,
                    weight: 2,
                },
            },
            tls: TlsFacts {
                version: TlsVersion::Tls13,
                suite: "TLS_AES_256_GCM_SHA384".into(),
                group: "X25519MLKEM768".into(),
                alpn: None,
                address,
                post_quantum: PostQuantum::Negotiated,
                client_certificate: ClientCertificateUse::NotAsked,
            },
            reference: ReferenceIdentity::new("example.test").unwrap(),
            matched: Matched { by: MatchedBy::SipUri, value: "sip:example.test".into() },
            expires: 1_800_000_000,
            warnings: Vec::new(),
        };
        let value =
            event(&Event::Connection { state: ConnectionState::Connected(connected.into()), reg_id: 1 })
                .unwrap()
                .unwrap();
        assert_eq!(
            value.to_string(),
            r#"{"event":"connection","state":"connected","address":"192.0.2.1:5061","target":"sip.example.test:5061","via":["_sips._tcp.example.test SRV 1 2 5061 sip.example.test","sip.example.test A 192.0.2.1"],"tls":{"version":"1.3","suite":"TLS_AES_256_GCM_SHA384","group":"X25519MLKEM768","post_quantum":"negotiated"},"identity":{"reference":"example.test","matched":"sip-uri","value":"sip:example.test"},"expires":"2027-01-15T08:00:00Z","warnings":[],"flow":1}"#
        );
        let lost = ConnectionState::Lost { why: LostReason::ClosedByServer };
        assert_eq!(
            connection(&lost).unwrap().to_string(),
            r#"{"state":"lost","why":"the server closed the connection"}"#
        );
        let why = Trouble::Lost(LostReason::ClosedByServer);
        let waiting = ConnectionState::BackingOff { why, retry_in: Duration::from_millis(1500) };
        assert_eq!(
            connection(&waiting).unwrap().to_string(),
            r#"{"state":"backing-off","why":"the server closed the connection","retry_in":1.5}"#
        );
    }

    #[test]
    fn a_refused_server_gives_its_verdict() {
        let policy = Policy::new(Anchors::bundled());
        let identity = ReferenceIdentity::new("example.test").unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
        let verdict = judge(&[], &identity, now, &policy, &Evidence::default());
        let refused =
            Event::Untrusted { verdict: verdict.into(), address: "192.0.2.1:5061".parse().unwrap() };
        let value = event(&refused).unwrap().unwrap();
        assert_eq!(value.as_object().unwrap().keys().collect::<Vec<_>>(), ["event", "verdict", "address"]);
        assert_eq!(value["verdict"]["verdict"], "reject");
        assert_eq!(value["verdict"]["code"], "no-certificate");
    }

    #[test]
    fn an_incoming_message_has_its_text_and_times() {
        let message = Incoming {
            id: "m1".into(),
            from: "sip:bob@example.test".parse().unwrap(),
            display_name: None,
            to: "sip:alice@example.test".parse().unwrap(),
            content_type: "text/plain".into(),
            body: "hi\r\n".into(),
            sent_at: None,
            received_at: 1_800_000_000,
            claimed_from: None,
            sequence: aldis::Sequence(1),
            expires_at: None,
            wants: None,
        };
        assert_eq!(
            event(&Event::Message(message.clone().into())).unwrap().unwrap().to_string(),
            r#"{"event":"message","id":"m1","from":"sip:bob@example.test","display_name":null,"to":"sip:alice@example.test","content_type":"text/plain","body":"hi\r\n","sent_at":null,"received_at":"2027-01-15T08:00:00Z"}"#
        );
        let picture = Incoming { content_type: "image/png".into(), body: vec![0xff, 0].into(), ..message };
        assert_eq!(incoming(&picture)["body_base64"], "/wA=");
        assert!(incoming(&picture).get("body").is_none());
    }

    #[test]
    fn an_outgoing_message_says_what_became_of_it() {
        let rejected = MessageFailure::Withdrawn;
        for (state, expected) in [
            (OutgoingState::Queued, r#"{"state":"queued"}"#),
            (OutgoingState::Sending, r#"{"state":"sending"}"#),
            (
                OutgoingState::Accepted { status: StatusCode::ACCEPTED, receipts: false },
                r#"{"state":"accepted","status":202}"#,
            ),
            (
                OutgoingState::Failed { why: rejected, status: None },
                r#"{"state":"failed","status":null,"why":"withdrawn before it was sent"}"#,
            ),
            (
                OutgoingState::Unknown {
                    why: UnknownReason::NoAnswer,
                    status: Some(StatusCode::REQUEST_TIMEOUT),
                },
                r#"{"state":"unknown","status":408,"why":"no answer came; the message may or may not have arrived"}"#,
            ),
        ] {
            assert_eq!(outgoing(&state).to_string(), expected);
        }
    }

    #[test]
    fn a_body_that_is_no_text_is_base64() {
        assert_eq!(text_or_bytes(None, &[0xff, 0]), json!({"body_base64": "/wA="}));
    }

    #[test]
    fn a_text_of_which_bytes_were_replaced_has_its_bytes_too_i_06() {
        let both = json!({"body": "a\u{fffd}", "body_base64": "Yf8="});
        assert_eq!(text_or_bytes(Some("a\u{fffd}"), b"a\xff"), both);
        let meant = "a\u{fffd}";
        assert_eq!(text_or_bytes(Some(meant), meant.as_bytes()), json!({"body": meant}));
    }
}
