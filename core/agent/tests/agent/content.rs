//! What stands in messages: in which form they leave, and how those that come are read.

use crate::rig::{BOB, Incoming, Rig, account, seconds, status};
use aldis_agent::{
    AnswerWith, Event, MessageFailure, MessageId, NewMessage, OutgoingState, PeerFacts, Piece,
    ReceiptsWanted, SendRefused,
};
use aldis_sip::body::cpim::{Cpim, IMDN};
use aldis_sip::{Header, Message};

fn ask(rig: &mut Rig, kind: &str, text: &str) -> MessageId {
    let message = NewMessage::new(BOB, kind, text.to_owned()).unwrap().with_receipts(ReceiptsWanted::ALL);
    rig.tell(|agent, now| agent.send_message(now, message)).unwrap()
}

fn cpim(message: &Message) -> Cpim {
    assert_eq!(message.value(Header::ContentType), Some("message/cpim"));
    Cpim::parse(message.body()).unwrap()
}

fn learned(rig: &mut Rig) -> Vec<(String, PeerFacts)> {
    let facts = |event| match event {
        Event::PeerLearned { peer, facts } => Some((peer, facts)),
        _ => None,
    };
    rig.events().into_iter().filter_map(facts).collect()
}

#[test]
fn a_message_that_asks_for_receipts_is_a_cpim_message_imdn_01_imdn_02_msg_15() {
    let mut rig = Rig::connected_with(account().with_display_name("Alice \"A\"").unwrap());
    let id = ask(&mut rig, "text/plain;charset=UTF-8", "hello");
    let message = rig.sent();
    assert!(!message.has(Header::AldisMessageId));
    let cpim = cpim(&message);
    assert_eq!(cpim.get(IMDN, "Message-ID").unwrap().value(), id.to_string());
    assert_eq!(id.to_string().len(), 32, "128 random bits");
    assert_eq!(
        cpim.get(IMDN, "Disposition-Notification").unwrap().value(),
        "positive-delivery, negative-delivery, display"
    );
    let from = cpim.from().unwrap();
    assert_eq!((from.name(), from.uri()), ("Alice \"A\"", "sip:alice@example.test"));
    assert_eq!(cpim.to().next().unwrap().uri(), BOB);
    assert_eq!(cpim.date_time().as_deref(), Some("2027-01-15T08:00:00Z"));
    assert!(cpim.content_type().is("text", "plain"));
    assert_eq!(cpim.content(), "hello");
    rig.reply(&message, 200, &[]);
    let accepted =
        |(told, state)| told == id && matches!(state, OutgoingState::Accepted { receipts: true, .. });
    assert!(rig.outgoing().into_iter().any(accepted));
}

#[test]
fn text_plain_is_the_default_and_a_peer_that_sent_a_cpim_message_gets_one_msg_15() {
    let mut rig = Rig::registered();
    rig.send(BOB, "1");
    let message = rig.sent();
    assert_eq!(message.value(Header::ContentType), Some("text/plain"));
    rig.reply(&message, 200, &[]);
    let body = b"From: <sip:bob@example.test>\r\n\r\nContent-Type: text/plain\r\n\r\nhi".to_vec();
    rig.receive(
        Incoming { extra: "Content-Type: message/cpim\r\n".into(), body, ..Incoming::default() }.bytes(),
    );
    assert_eq!(learned(&mut rig), [(BOB.into(), PeerFacts { reads_cpim: true, ..PeerFacts::default() })]);
    let id = rig.send(BOB, "2");
    let sent = cpim(&rig.sent());
    assert_eq!(sent.get(IMDN, "Message-ID").unwrap().value(), id.to_string());
    assert!(sent.get(IMDN, "Disposition-Notification").is_none(), "nobody asked for receipts");
}

#[test]
fn a_415_without_accept_is_followed_by_the_plain_text_once_and_remembered_i_01_gen_14_gen_15() {
    let mut rig = Rig::connected();
    let id = ask(&mut rig, "text/plain", "hello");
    let first = rig.sent();
    rig.reply(&first, 415, &[]);
    let second = rig.sent();
    assert_eq!((second.value(Header::ContentType), &second.body()[..]), (Some("text/plain"), &b"hello"[..]));
    assert_eq!(second.value(Header::AldisMessageId).unwrap(), id.to_string(), "the same message (MSG-15)");
    assert_eq!((second.call_id().unwrap(), second.cseq().unwrap().number), (first.call_id().unwrap(), 2));
    rig.reply(&second, 202, &[]);
    let events = rig.events();
    let facts = PeerFacts { refuses_cpim: true, ..PeerFacts::default() };
    assert!(events.iter().any(
        |event| matches!(event, Event::PeerLearned { peer, facts: told } if peer == BOB && *told == facts)
    ));
    let accepted = |event: &Event| {
        matches!(event, Event::Outgoing { state: OutgoingState::Accepted { receipts: false, .. }, .. })
    };
    assert!(events.iter().any(accepted), "no receipts can come");
    ask(&mut rig, "text/plain", "again");
    assert_eq!(rig.sent().value(Header::ContentType), Some("text/plain"));
}

#[test]
fn a_second_415_is_final_gen_15() {
    let mut rig = Rig::connected();
    let id = ask(&mut rig, "text/plain", "hello");
    for _ in 0..2 {
        let message = rig.sent();
        rig.reply(&message, 415, &[]);
    }
    rig.assert_silent();
    let failed = |(told, state)| {
        told == id && matches!(state, OutgoingState::Failed { why: MessageFailure::ContentType { .. }, .. })
    };
    assert!(rig.outgoing().into_iter().any(failed));
}

#[test]
fn a_415_with_accept_is_followed_by_a_type_that_is_accepted_gen_14() {
    for (kind, accept, then) in [
        ("text/plain", "text/plain, text/html", Some("text/plain")),
        ("text/markdown;charset=utf-8", "text/plain", Some("text/plain;charset=utf-8")),
        ("text/markdown", "text/*", Some("text/markdown")),
        ("image/png", "text/plain", None),
        ("image/png", "image/*", Some("image/png")),
        ("text/html", "text/plain", None),
        ("text/plain", "message/cpim", None),
    ] {
        let mut rig = Rig::connected();
        ask(&mut rig, kind, "hello");
        let message = rig.sent();
        rig.reply(&message, 415, &[("Accept", accept)]);
        match then {
            Some(then) => assert_eq!(rig.sent().value(Header::ContentType), Some(then), "{kind} {accept}"),
            None => {
                let types: Vec<String> = accept.split(", ").map(str::to_owned).collect();
                let states = rig.outgoing();
                assert!(
                    matches!(states.last(), Some((_, OutgoingState::Failed { why: MessageFailure::ContentType { accepts, .. }, .. })) if *accepts == types),
                    "{kind} {accept}: {states:?}"
                );
            }
        }
        rig.assert_silent();
    }
}

#[test]
fn what_was_learned_before_counts_from_the_start_msg_04() {
    let mut rig = Rig::default();
    let facts = PeerFacts { refuses_cpim: true, max_request: Some(1500), ..PeerFacts::default() };
    rig.tell(|agent, _| agent.remember_peer(BOB, facts));
    ask(&mut rig, "text/plain", "hello");
    rig.connect();
    assert_eq!(rig.sent().value(Header::ContentType), Some("text/plain"));
    let message = NewMessage::new(BOB, "text/plain", "x".repeat(1400)).unwrap();
    let refused = rig.tell(|agent, now| agent.send_message(now, message));
    assert!(matches!(refused, Err(SendRefused::TooLarge { limit: 1500, .. })), "{refused:?}");
}

#[test]
fn a_limit_learned_from_a_413_is_told_and_kept_per_peer_msg_04() {
    let mut rig = Rig::connected();
    rig.send(BOB, &"x".repeat(3000));
    let message = rig.sent_bytes().unwrap();
    let size = message.len();
    let (parsed, _) = Message::parse(message).unwrap();
    rig.reply(&parsed, 413, &[]);
    assert_eq!(
        learned(&mut rig),
        [(BOB.into(), PeerFacts { max_request: Some(size - 1), ..PeerFacts::default() })]
    );
    let again = NewMessage::new(BOB, "text/plain", "x".repeat(3000)).unwrap();
    let refused = rig.tell(|agent, now| agent.send_message(now, again));
    assert!(matches!(refused, Err(SendRefused::TooLarge { .. })));
    let other = NewMessage::new("sip:carol@example.test", "text/plain", "x".repeat(3000)).unwrap();
    assert!(rig.tell(|agent, now| agent.send_message(now, other)).is_ok());
}

#[test]
fn an_account_with_a_body_limit_takes_no_larger_body_i_02() {
    let mut rig = Rig::new(account().with_max_body(1023));
    let mut send = |length: usize, receipts: ReceiptsWanted| {
        let message = NewMessage::new(BOB, "text/plain", "x".repeat(length)).unwrap().with_receipts(receipts);
        rig.tell(|agent, now| agent.send_message(now, message))
    };
    let none = ReceiptsWanted::default();
    assert!(send(1023, none).is_ok());
    let Err(SendRefused::TooLarge { size, limit }) = send(1024, none) else { panic!("taken") };
    assert_eq!(size - limit, 1);
    // What stands around the text in a message/cpim is part of the body.
    assert!(send(1023, ReceiptsWanted::ALL).is_err());
    assert!(send(500, ReceiptsWanted::ALL).is_ok());
}

#[test]
fn what_was_taken_as_cpim_stays_within_the_limit_msg_04() {
    let mut rig = Rig::new(account().with_max_message(2000).unwrap());
    let longest = (0..2000)
        .rev()
        .find(|length| {
            let message = NewMessage::new(BOB, "text/plain", "x".repeat(*length))
                .unwrap()
                .with_receipts(ReceiptsWanted::ALL);
            rig.tell(|agent, now| agent.send_message(now, message)).is_ok()
        })
        .unwrap();
    rig.connect();
    assert!(longest > 200 && rig.sent_bytes().unwrap().len() <= 2000);
}

fn receive(rig: &mut Rig, kind: &str, body: &str) {
    let extra = format!("Content-Type: {kind}\r\n");
    rig.receive(Incoming { extra, body: body.as_bytes().to_vec(), ..Incoming::default() }.bytes());
}

#[test]
fn a_message_is_told_with_its_content_and_its_cpim_identifier_msg_16() {
    let mut rig = Rig::registered();
    receive(
        &mut rig,
        "message/cpim",
        "From: <sip:bob@example.test>\r\nNS: i <urn:ietf:params:imdn>\r\ni.Message-ID: abc\r\n\r\n\
         Content-Type: text/plain;charset=iso-8859-1\r\n\r\nhello",
    );
    let (ticket, message) = rig.received().remove(0);
    assert_eq!(message.message_id.as_deref(), Some("abc"));
    assert_eq!(message.content.text().as_deref(), Some("hello"));
    assert_eq!(
        (message.content_type.as_str(), &message.body[..]),
        ("text/plain;charset=iso-8859-1", &b"hello"[..])
    );
    assert!(message.envelope.is_some());
    rig.answer(ticket, AnswerWith::Accept);
    assert_eq!(status(&rig.sent()), 200);
}

#[test]
fn content_that_must_be_understood_and_is_not_gets_415_with_accept_body_02_msg_12() {
    let mut rig = Rig::registered();
    let odd = "--b\r\n\r\nhello\r\n--b\r\nContent-Type: application/x-odd\r\n\r\nx\r\n--b--\r\n";
    receive(&mut rig, "multipart/mixed;boundary=b", odd);
    let answer = rig.sent();
    assert_eq!(status(&answer), 415);
    let accept = answer.value(Header::Accept).unwrap();
    assert!(accept.contains("text/*") && accept.contains("message/external-body"), "{accept}");
    assert!(rig.received().is_empty());
}

#[test]
fn content_that_cannot_be_read_gets_400_and_is_not_told() {
    let mut rig = Rig::registered();
    receive(&mut rig, "multipart/mixed;boundary=b", "--b\r\n\r\ncut");
    assert_eq!(status(&rig.sent()), 400);
    assert!(rig.received().is_empty());
}

#[test]
fn content_that_lies_elsewhere_is_told_and_not_fetched_body_06() {
    let mut rig = Rig::registered();
    receive(
        &mut rig,
        "message/external-body;access-type=URL;URL=\"https://files.example.test/1\";size=52723",
        "Content-Type: image/jpeg\r\nContent-Disposition: render\r\n\r\n",
    );
    let (_, message) = rig.received().remove(0);
    let [Piece::Elsewhere(elsewhere)] = message.content.pieces.as_slice() else { panic!("{message:?}") };
    assert_eq!((elsewhere.url(), elsewhere.size()), ("https://files.example.test/1", Some(52_723)));
    rig.pass(seconds(1));
    assert!(!rig.wants_connection());
}
