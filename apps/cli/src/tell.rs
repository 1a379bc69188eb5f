//! Events in words, for a person at a terminal. What strangers wrote is made safe to show here.

use crate::printable::{self, line};
use crate::when;
use aldis::net::{ConnectFailure, Origin, PostQuantum, Untrusted};
use aldis::trust::Verdict;
use aldis::{
    ConnectionState, Content, Event, Incoming, OutgoingState, Piece, PushState, RegistrationState,
    StatusCode, SubscriptionState, Trouble,
};
use std::time::Duration;

/// What an event says, and how much it matters.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// A step on the way.
    Step(String),
    /// Something that is not as it should be.
    Trouble(String),
    /// What somebody waits for.
    Result(String),
}

/// The words for an event; `None` where there is nothing to say.
pub(crate) fn event(event: &Event) -> Option<Told> {
    match event {
        Event::Connection { reg_id, state } => connection(state).map(|told| of_flow(told, *reg_id)),
        Event::Registration { reg_id, state } => Some(of_flow(registration(state), *reg_id)),
        Event::Untrusted { verdict, address } => {
            let why = verdict.findings().first().map_or("", |finding| finding.code.meaning());
            Some(Told::Trouble(format!("the server at {address} is refused: {why}")))
        }
        Event::Message(message) => Some(Told::Result(incoming(message))),
        Event::Outgoing { to, state, .. } => outgoing(to.as_str(), state),
        Event::Composing { from, active: true } => {
            Some(Told::Step(format!("{} is writing …", line(from.as_str()))))
        }
        Event::Composing { active: false, .. } => None,
        Event::Storage(storage) => {
            Some(Told::Trouble(format!("{}. {}", line(&storage.to_string()), storage.advice())))
        }
        Event::Notify { package, body, .. } => {
            let body = printable::lines(&String::from_utf8_lossy(body)).trim_end().replace('\n', "\n  ");
            Some(Told::Result(format!("notified of {}:\n  {body}", line(package))))
        }
        // The notification before it was shown in full.
        Event::MessagesWaiting(_) => None,
        Event::Push { reg_id, state } => Some(of_flow(Told::Step(push(state)), *reg_id)),
        Event::TokenNeeded { realm, authorization_server, .. } => Some(Told::Trouble(format!(
            "the server asks for an access token for {} from {}",
            line(realm),
            line(authorization_server)
        ))),
        Event::Subscription { package, state } => Some(Told::Step(match state {
            SubscriptionState::Active { pending: false } => format!("subscribed to {}", package.name()),
            SubscriptionState::Active { pending: true } => format!("asked to be told of {}", package.name()),
            SubscriptionState::Ended { reason, .. } => {
                format!("no longer subscribed to {}: {}", package.name(), line(reason))
            }
        })),
    }
}

fn push(state: &PushState) -> String {
    match state {
        PushState::Active { .. } => "the network wakes this device by push".into(),
        PushState::NotPromised => "the network does not promise pushes".into(),
        PushState::Unsupported => "the network does not support this push service".into(),
        PushState::Offered { providers } => {
            let providers: Vec<_> = providers.iter().map(|name| line(name)).collect();
            format!("push services of the network: {}", providers.join(", "))
        }
        PushState::Off => "push is off".into(),
    }
}

/// Says which of the account's flows it is of, where there are several.
fn of_flow(told: Told, reg_id: u32) -> Told {
    let say = |text: String| if reg_id > 1 { format!("flow {reg_id}: {text}") } else { text };
    match told {
        Told::Step(text) => Told::Step(say(text)),
        Told::Trouble(text) => Told::Trouble(say(text)),
        Told::Result(text) => Told::Result(say(text)),
    }
}

fn connection(state: &ConnectionState) -> Option<Told> {
    Some(match state {
        ConnectionState::Resolving => Told::Step("looking for the server …".into()),
        ConnectionState::Connecting => Told::Step("connecting …".into()),
        ConnectionState::Connected(connected) => {
            let (tls, matched) = (&connected.tls, &connected.matched);
            let note = match &connected.target.origin {
                Origin::Unasked(why) => format!("; {why}"),
                _ => String::new(),
            };
            let mut text = format!(
                "connected to {}: TLS {}, {}; the certificate proves {} ({} {}){note}",
                connected.address,
                tls.version,
                tls.group,
                connected.reference,
                matched.by,
                line(&matched.value)
            );
            if let PostQuantum::GivenUp(why) = &tls.post_quantum {
                text.push_str(&format!(
                    "\n  at the second attempt, without post-quantum key exchange; the first failed: {}",
                    line(&why.to_string())
                ));
            }
            let mut said = Vec::new();
            for warning in &connected.warnings {
                // What holds of several certificates of the path is said once.
                if !said.contains(&warning.code) {
                    said.push(warning.code);
                    text.push_str(&format!("\n  {}", warning.code.meaning()));
                }
            }
            Told::Step(text)
        }
        ConnectionState::Lost { why } => {
            Told::Trouble(format!("connection lost: {}", line(&why.to_string())))
        }
        ConnectionState::BackingOff { why, retry_in } => {
            let next = format!("next attempt in {}", span(*retry_in));
            Told::Trouble(match refused(why) {
                Some(untrusted) => format!("{}\n{next}", refusal(&untrusted.verdict)),
                None => format!("not connected: {}; {next}", printable::lines(&why.to_string())),
            })
        }
        ConnectionState::Closed => return None,
    })
}

fn registration(state: &RegistrationState) -> Told {
    match state {
        RegistrationState::Registering => Told::Step("registering …".into()),
        RegistrationState::Registered { expires_in, contact, .. } => {
            Told::Step(format!("registered for {} s as {}", expires_in.as_secs(), line(contact.as_str())))
        }
        RegistrationState::Refreshing => Told::Step("refreshing the registration …".into()),
        RegistrationState::Unregistered => Told::Step("unregistered".into()),
        RegistrationState::Failed { why, retry_in, .. } => {
            let why = why.to_string();
            let next = retry_in.map_or_else(String::new, |time| format!("; next attempt in {}", span(time)));
            Told::Trouble(format!("not registered: {}{next}", line(&why)))
        }
    }
}

fn outgoing(to: &str, state: &OutgoingState) -> Option<Told> {
    let to = line(to);
    Some(match state {
        OutgoingState::Queued => Told::Step(format!("the message for {to} waits for a connection")),
        OutgoingState::Sending => Told::Step(format!("sending to {to} …")),
        // Whoever waits for it says so.
        OutgoingState::Accepted { .. } => return None,
        OutgoingState::Delivered => Told::Step(format!("delivered to {to}")),
        OutgoingState::Displayed => Told::Step(format!("shown to {to}")),
        OutgoingState::Failed { why, .. } => {
            Told::Trouble(format!("the message for {to} was not delivered: {}", line(&why.to_string())))
        }
        OutgoingState::Unknown { why, .. } => Told::Trouble(format!(
            "what became of the message for {to} is not known: {}",
            line(&why.to_string())
        )),
    })
}

/// What a 2xx to a message means: neither 200 nor 202 says that anybody has read it.
pub(crate) fn accepted(to: &str, status: StatusCode) -> String {
    if status == StatusCode::ACCEPTED {
        return format!("accepted for {to} (202): the server keeps it until it can be delivered");
    }
    format!("accepted for {to} ({status})")
}

/// `sender: text`; further lines are indented, so that no text can look like another sender's.
fn incoming(message: &Incoming) -> String {
    let from = match message.display_name.as_deref().filter(|name| !name.is_empty()) {
        Some(name) => format!("{} <{}>", line(name), line(message.from.as_str())),
        None => line(message.from.as_str()).into_owned(),
    };
    let claim = match &message.claimed_from {
        Some(claim) => format!(" (says it is from {})", line(claim)),
        None => String::new(),
    };
    let late = late(message);
    format!("{from}{claim}{late}: {}", said(message))
}

/// When a message was sent, if it comes late.
pub(crate) fn late(message: &Incoming) -> String {
    match message.sent_at.filter(|sent| message.received_at.saturating_sub(*sent) > LATE) {
        Some(sent) => format!(" (sent {})", when::minute(sent)),
        None => String::new(),
    }
}

/// What a message says: text, with further lines indented, and what else it holds.
pub(crate) fn said(message: &Incoming) -> String {
    content(&message.content())
}

/// The same of a content.
pub(crate) fn content(content: &Content) -> String {
    let pieces: Vec<String> = content.pieces.iter().map(piece).collect();
    pieces.join("\n").trim_end_matches('\n').replace('\n', "\n  ")
}

fn piece(piece: &Piece) -> String {
    match piece {
        Piece::Text(text) => printable::lines(&text.text).into_owned(),
        Piece::File(file) => {
            let name = file.name.as_deref().map_or_else(String::new, |name| format!("{}, ", line(name)));
            format!("[{name}{} bytes of {}]", file.bytes.len(), line(&file.content_type))
        }
        Piece::Elsewhere(content) => {
            let size = content.size().map_or_else(String::new, |bytes| format!("{bytes} bytes of "));
            format!("[{size}{} at {}]", line(&content.content_type().to_string()), line(content.url()))
        }
    }
}

/// The server that was refused, if that is the trouble.
pub(crate) fn refused(trouble: &Trouble) -> Option<&Untrusted> {
    match trouble {
        Trouble::NoConnection(failure) => match failure.as_ref() {
            ConnectFailure::Untrusted(untrusted) => Some(untrusted),
            _ => None,
        },
        Trouble::Lost(_) => None,
    }
}

/// Why a server is refused: every finding with what to do.
pub(crate) fn refusal(verdict: &Verdict) -> String {
    let mut text = String::from("The server is not trusted, and nothing was sent to it.");
    for finding in verdict.findings() {
        text.push_str("\n  ");
        text.push_str(&printable::lines(&finding.to_string()).replace('\n', "\n  "));
    }
    text
}

/// From how many seconds on a message is late, and worth a word when it was sent.
const LATE: i64 = 60;

/// A time to wait, as people say it.
fn span(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incoming_text(body: &str, sent_at: Option<i64>) -> String {
        incoming(&Incoming {
            id: "1".into(),
            from: "sip:bob@example.test".parse().unwrap(),
            display_name: Some("Bob\x1b[2J".into()),
            to: "sip:alice@example.test".parse().unwrap(),
            content_type: "text/plain".into(),
            body: body.to_owned().into(),
            sent_at,
            received_at: 1_800_000_000,
            claimed_from: None,
            sequence: aldis::Sequence(1),
            expires_at: None,
            wants: None,
        })
    }

    #[test]
    fn no_text_looks_like_another_senders_and_none_is_obeyed() {
        assert_eq!(
            incoming_text("hi\r\nsip:carol@example.test: hello\x1b[31m\n", Some(1_799_999_990)),
            "Bob\\u{1b}[2J <sip:bob@example.test>: hi\n  sip:carol@example.test: hello\\u{1b}[31m"
        );
    }

    #[test]
    fn a_connection_says_what_is_not_as_it_should_be_and_everything_once() {
        let address = "192.0.2.1:5061".parse().unwrap();
        let policy = aldis::trust::Policy::new(aldis::trust::Anchors::bundled());
        let reference = aldis::ReferenceIdentity::new("sip.example.test").unwrap();
        let verdict = aldis::trust::judge(
            &[],
            &reference,
            rustls_pki_types::UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000)),
            &policy,
            &aldis::trust::Evidence::default(),
        );
        let finding = verdict.findings().first().unwrap().clone();
        let connected = aldis::Connected {
            address,
            target: aldis::net::Target {
                host: "192.0.2.1".parse().unwrap(),
                port: 5061,
                origin: Origin::Given,
            },
            tls: aldis::net::TlsFacts {
                version: aldis::net::TlsVersion::Tls13,
                suite: "TLS_AES_256_GCM_SHA384".into(),
                group: "x25519".into(),
                alpn: None,
                address,
                post_quantum: PostQuantum::GivenUp(aldis::net::TlsCause::Closed),
                client_certificate: aldis::net::ClientCertificateUse::NotAsked,
            },
            reference,
            matched: aldis::trust::Matched {
                by: aldis::trust::MatchedBy::Wildcard,
                value: "*.example.test".into(),
            },
            expires: 1_800_000_000,
            warnings: vec![finding.clone(), finding],
        };
        assert_eq!(
            connection(&ConnectionState::Connected(connected.into())),
            Some(Told::Step(
                "connected to 192.0.2.1:5061: TLS 1.3, x25519; the certificate proves sip.example.test \
                 (wildcard *.example.test)\n  at the second attempt, without post-quantum key exchange; the first \
                 failed: the server closed the connection during the handshake\n  The server presented no \
                 certificate."
                    .into()
            ))
        );
    }

    #[test]
    fn a_late_message_says_when_it_was_sent() {
        assert_eq!(
            incoming_text("hi", Some(1_799_990_000)),
            "Bob\\u{1b}[2J <sip:bob@example.test> (sent 2027-01-15 05:13 UTC): hi"
        );
    }

    #[test]
    fn waits_are_rounded_to_a_unit_that_says_something() {
        for (time, words) in [(450, "450 ms"), (1_900, "1 s"), (119_000, "119 s"), (1_800_000, "30 min")] {
            assert_eq!(span(Duration::from_millis(time)), words);
        }
    }
}
