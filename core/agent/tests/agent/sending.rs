//! Messages that leave.

use crate::rig::{BOB, Rig, account, seconds};
use aldis_agent::{Event, MessageFailure, MessageId, NewMessage, OutgoingState, SendRefused, UnknownReason};
use aldis_sip::{Header, Message, Method};
use std::time::Duration;

fn accepted(rig: &mut Rig) -> Vec<MessageId> {
    let state = |(id, state)| matches!(state, OutgoingState::Accepted { .. }).then_some(id);
    rig.outgoing().into_iter().filter_map(state).collect()
}

#[test]
fn a_message_has_every_header_that_it_must_have_and_no_contact_gen_01_gen_02_msg_02_out_12() {
    let mut rig = Rig::new(account().with_user_agent("Test/1").unwrap());
    let id = rig.send("sip:bob@example.test;x=y", "Hello, Bob");
    rig.connect();
    let message = rig.sent();
    let names: Vec<_> = message.fields().map(|field| field.name).collect();
    assert_eq!(
        names,
        [
            "Via",
            "Max-Forwards",
            "From",
            "To",
            "Call-ID",
            "CSeq",
            "User-Agent",
            "Supported",
            "Content-Type",
            "Aldis-Message-ID",
            "Content-Length"
        ]
    );
    assert_eq!(message.method(), Some(Method::Message));
    assert_eq!(message.request_uri().unwrap().unwrap().as_str(), "sip:bob@example.test;x=y");
    let via = message.via().unwrap();
    assert_eq!(via.sent_by.to_string(), "192.0.2.1:40001");
    assert_eq!((via.params.get("rport"), via.params.has("keep")), (Some(None), false));
    assert!(message.value(Header::From).unwrap().starts_with("<sip:alice@example.test>;tag="));
    assert!(message.to().unwrap().tag().is_none());
    assert_eq!(message.value(Header::CSeq), Some("1 MESSAGE"));
    assert_eq!(message.value(Header::Supported), Some("outbound"));
    assert_eq!(message.value(Header::ContentType), Some("text/plain"));
    assert_eq!(message.value(Header::AldisMessageId).unwrap(), id.to_string());
    assert_eq!(message.value(Header::ContentLength), Some("10"));
    assert_eq!(message.body(), "Hello, Bob");
}

#[test]
fn an_empty_message_has_a_content_length_too_wire_01() {
    let mut rig = Rig::default();
    rig.send(BOB, "");
    rig.connect();
    assert_eq!(rig.sent().value(Header::ContentLength), Some("0"));
}

#[test]
fn every_message_has_a_call_id_and_tag_of_its_own_gen_02() {
    let mut rig = Rig::connected();
    rig.send("sip:b@example.test", "1");
    rig.send("sip:c@example.test", "2");
    let (one, two) = (rig.sent(), rig.sent());
    assert_ne!(one.call_id().unwrap(), two.call_id().unwrap());
    assert_ne!(one.from().unwrap().tag(), two.from().unwrap().tag());
}

#[test]
fn a_message_goes_through_its_states() {
    let mut rig = Rig::default();
    let id = rig.send(BOB, "hello");
    assert_eq!(rig.outgoing(), [(id, OutgoingState::Queued)]);
    rig.connect();
    assert_eq!(rig.outgoing(), [(id, OutgoingState::Sending)]);
    let message = rig.sent();
    rig.reply(&message, 100, &[]);
    assert_eq!(rig.outgoing(), []);
    rig.reply(&message, 202, &[]);
    let states = rig.outgoing();
    assert!(
        matches!(states.as_slice(), [(told, OutgoingState::Accepted { status, .. })] if *told == id && status.code() == 202)
    );
}

#[test]
fn any_2xx_is_an_acceptance_gen_11_msg_05() {
    for status in [200, 202, 204, 299] {
        let mut rig = Rig::connected();
        let id = rig.send(BOB, "hello");
        let message = rig.sent();
        rig.reply(&message, status, &[]);
        assert_eq!(accepted(&mut rig), [id], "{status}");
    }
}

#[test]
fn one_message_at_a_time_goes_to_a_recipient_msg_03() {
    let mut rig = Rig::connected();
    let ids = [rig.send(BOB, "1"), rig.send(BOB, "2"), rig.send(BOB, "3")];
    for (id, text) in ids.iter().zip(["1", "2", "3"]) {
        let message = rig.sent();
        rig.assert_silent();
        assert_eq!(message.body(), text);
        rig.reply(&message, 200, &[]);
        assert_eq!(accepted(&mut rig), [*id]);
    }
}

#[test]
fn the_same_recipient_in_another_spelling_is_the_same_msg_03() {
    let mut rig = Rig::connected();
    rig.send(BOB, "1");
    rig.send("SIP:bob@EXAMPLE.test:5061;transport=tls", "2");
    rig.sent();
    rig.assert_silent();
}

#[test]
fn several_recipients_are_served_at_once_in_the_order_of_sending() {
    let mut rig = Rig::default();
    for n in 0..16 {
        rig.send(&format!("sip:user{n}@example.test"), &n.to_string());
    }
    rig.connect();
    for n in 0..16 {
        assert_eq!(rig.sent().body(), &n.to_string());
    }
    rig.assert_silent();
}

#[test]
fn the_next_message_leaves_whatever_became_of_the_one_before() {
    for status in [200, 404, 408, 503, 600] {
        let mut rig = Rig::connected();
        rig.send(BOB, "1");
        rig.send(BOB, "2");
        let message = rig.sent();
        rig.reply(&message, status, &[]);
        assert_eq!(rig.sent().body(), "2", "{status}");
    }
}

#[test]
fn messages_wait_for_the_registration_that_is_wanted_out_14() {
    let (mut rig, register) = Rig::registering();
    rig.send(BOB, "hello");
    rig.assert_silent();
    rig.accept(&register, &[]);
    assert_eq!(rig.sent().body(), "hello");
}

#[test]
fn a_message_without_registration_connects_sends_and_closes() {
    let mut rig = Rig::default();
    rig.send(BOB, "hello");
    assert!(rig.wants_connection());
    rig.connect();
    let message = rig.sent();
    rig.reply(&message, 200, &[]);
    rig.assert_silent();
    rig.pass(seconds(32));
    assert!(!rig.is_up());
}

#[test]
fn too_many_messages_under_way_wait_with_us() {
    let mut rig = Rig::default();
    rig.connect_wide();
    for n in 0..1500 {
        rig.send(&format!("sip:user{n}@example.test"), "x");
    }
    let mut sent: Vec<_> = std::iter::from_fn(|| rig.sent_bytes()).collect();
    assert_eq!(sent.len(), 1000);
    let (first, _) = Message::parse(sent.remove(0)).unwrap();
    rig.reply(&first, 200, &[]);
    assert!(rig.sent_bytes().is_some());
    rig.assert_silent();
}

#[test]
fn the_queue_has_a_limit() {
    let mut rig = Rig::default();
    for n in 0..10_000 {
        rig.send(&format!("sip:user{}@example.test", n % 100), "x");
    }
    let message = NewMessage::new(BOB, "text/plain", "one too many").unwrap();
    let refused = rig.tell(|agent, now| agent.send_message(now, message));
    assert_eq!(refused, Err(SendRefused::QueueFull(10_000)));
}

#[test]
fn a_message_that_could_turn_too_large_is_not_taken_msg_04() {
    let mut rig = Rig::new(account().with_max_message(2000).unwrap());
    let mut send = |length: usize| {
        let message = NewMessage::new(BOB, "text/plain", "x".repeat(length)).unwrap();
        rig.tell(|agent, now| agent.send_message(now, message))
    };
    let refused = (0..2000).find_map(|length| Some((length, send(length).err()?)));
    assert_eq!(
        refused,
        Some((refused.as_ref().unwrap().0, SendRefused::TooLarge { size: 2001, limit: 2000 }))
    );
    assert!(refused.unwrap().0 > 500, "what is left for the text");
}

#[test]
fn what_was_taken_stays_within_the_limit_with_its_authorization_msg_04() {
    let mut rig =
        Rig::new(account().with_max_message(2000).unwrap().with_proxy("proxy.example.test", None).unwrap());
    let longest = (0..2000)
        .rev()
        .find(|length| {
            let message = NewMessage::new(BOB, "text/plain", "x".repeat(*length)).unwrap();
            rig.tell(|agent, now| agent.send_message(now, message)).is_ok()
        })
        .unwrap();
    assert!(longest > 500);
    rig.connect_from("[2001:db8:1111:2222:3333:4444:5555:6666]:65535");
    let message = rig.sent();
    let (nonce, opaque) = ("n".repeat(120), "o".repeat(64));
    let challenge = format!(
        r#"Digest realm="example.test", nonce="{nonce}", opaque="{opaque}", algorithm=SHA-512-256, qop="auth""#
    );
    rig.reply(&message, 407, &[("Proxy-Authenticate", &challenge)]);
    let bytes = rig.sent_bytes().unwrap();
    assert!(bytes.starts_with(b"MESSAGE") && bytes.len() <= 2000, "{} bytes", bytes.len());
}

#[test]
fn recipients_that_are_none_are_refused_gen_09() {
    for to in [
        "",
        "bob",
        "tel:+123",
        "mailto:bob@example.test",
        "sip:bob@exa mple.test",
        "sip:bob@example.test?Route=x",
        "sip:bob@example.test;method=REGISTER",
        "sip:bob@example.test\r\nX: y",
        "<sip:bob@example.test>",
    ] {
        assert!(
            matches!(NewMessage::new(to, "text/plain", ""), Err(SendRefused::Recipient { .. })),
            "{to:?}"
        );
    }
}

#[test]
fn content_types_that_are_none_are_refused() {
    for kind in ["", "text", "text/", "/plain", "text/plain\r\nX: y", "text plain", "text/plain; charset"] {
        let refused = NewMessage::new(BOB, kind, "");
        assert!(matches!(refused, Err(SendRefused::ContentType(_))), "{kind:?}: {refused:?}");
    }
    assert!(NewMessage::new(BOB, "text/plain;charset=UTF-8", "").is_ok());
}

#[test]
fn a_waiting_message_can_be_taken_back() {
    let mut rig = Rig::connected();
    rig.send(BOB, "1");
    let second = rig.send(BOB, "2");
    rig.send(BOB, "3");
    let first = rig.sent();
    rig.events();
    rig.tell(|agent, now| agent.withdraw(now, second));
    let withdrawn = OutgoingState::Failed { why: MessageFailure::Withdrawn, status: None };
    assert_eq!(rig.outgoing(), [(second, withdrawn)]);
    rig.reply(&first, 200, &[]);
    assert_eq!(rig.sent().body(), "3");
}

#[test]
fn a_message_under_way_that_is_taken_back_is_unknown_msg_07() {
    let mut rig = Rig::connected();
    let first = rig.send(BOB, "1");
    rig.send(BOB, "2");
    let message = rig.sent();
    rig.events();
    rig.tell(|agent, now| agent.withdraw(now, first));
    let expected = OutgoingState::Unknown { why: UnknownReason::Stopped, status: None };
    assert_eq!(rig.outgoing(), [(first, expected)]);
    rig.reply(&message, 200, &[]);
    assert!(rig.outgoing().iter().all(|(id, _)| *id != first), "a late answer changes nothing");
}

/// A message to Bob that was taken back under way, and another behind it.
fn taken_back(forget: bool) -> (Rig, Message) {
    let mut rig = Rig::connected();
    let first = rig.send(BOB, "1");
    let message = rig.sent();
    rig.tell(|agent, now| if forget { agent.forget_message(now, first) } else { agent.withdraw(now, first) });
    // Nor does the second time let anything go.
    rig.tell(|agent, now| agent.withdraw(now, first));
    rig.send(BOB, "2");
    rig.events();
    rig.assert_silent();
    (rig, message)
}

#[test]
fn after_a_message_taken_back_under_way_the_next_waits_for_its_answer_msg_03() {
    for forget in [false, true] {
        for status in [200, 407, 408, 503] {
            let (mut rig, message) = taken_back(forget);
            rig.send("sip:carol@example.test", "others go");
            assert_eq!(rig.sent().body(), "others go");
            rig.pass(seconds(20));
            rig.reply(&message, 100, &[]);
            rig.assert_silent();
            rig.reply(&message, status, &[]);
            assert_eq!(rig.sent().body(), "2", "{status}");
            rig.assert_silent();
        }
    }
}

#[test]
fn after_a_message_taken_back_under_way_the_next_waits_until_timer_f_msg_03_txn_01() {
    let (mut rig, _) = taken_back(false);
    rig.pass(Duration::from_millis(31_999));
    rig.assert_silent();
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.sent().body(), "2");
}

#[test]
fn after_a_message_taken_back_under_way_the_next_leaves_when_its_connection_is_lost_msg_03() {
    let (mut rig, _) = taken_back(false);
    rig.lose();
    while !rig.wants_connection() {
        rig.step();
    }
    rig.connect();
    assert_eq!(rig.sent().body(), "2");
    rig.assert_silent();
}

#[test]
fn the_answer_to_a_message_taken_back_is_not_that_of_its_next_attempt_msg_03_msg_15() {
    let mut rig = Rig::connected();
    rig.keeps = false;
    let id = rig.send(BOB, "1");
    let stored = rig.events().into_iter().find_map(|event| match event {
        Event::StoreMessage(message) => Some(*message),
        _ => None,
    });
    rig.keeps = true;
    rig.tell(|agent, now| agent.message_stored(now, id));
    let message = rig.sent();
    rig.tell(|agent, now| agent.withdraw(now, id));
    rig.tell(|agent, now| agent.restore_message(now, stored.unwrap())).unwrap();
    rig.assert_silent();
    rig.events();
    rig.reply(&message, 404, &[]);
    let again = rig.sent();
    assert_eq!(rig.outgoing(), [(id, OutgoingState::Sending)]);
    rig.reply(&again, 200, &[]);
    assert_eq!(accepted(&mut rig), [id]);
}

#[test]
fn taking_back_the_only_message_ends_the_attempt_to_connect() {
    let mut rig = Rig::default();
    let id = rig.send(BOB, "1");
    rig.tell(|agent, now| agent.withdraw(now, id));
    assert!(!rig.wants_connection());
    rig.tell(|agent, now| agent.withdraw(now, id));
    assert_eq!(rig.outgoing().len(), 2);
}

#[test]
fn a_message_that_expires_says_when_it_was_sent_msg_08() {
    let mut rig = Rig::default();
    let message = NewMessage::new(BOB, "text/plain", "lunch?").unwrap().with_expires(600);
    rig.tell(|agent, now| agent.send_message(now, message)).unwrap();
    rig.pass(seconds(360));
    rig.connect();
    let message = rig.sent();
    assert_eq!(message.value(Header::Expires), Some("600"));
    assert_eq!(message.value(Header::Date), Some("Fri, 15 Jan 2027 08:00:00 GMT"));
}

#[test]
fn a_message_of_no_expiry_has_no_date_msg_08() {
    for expires in [None, Some(0)] {
        let mut rig = Rig::default();
        let mut message = NewMessage::new(BOB, "text/plain", "hello").unwrap();
        if let Some(seconds) = expires {
            message = message.with_expires(seconds);
        }
        rig.tell(|agent, now| agent.send_message(now, message)).unwrap();
        rig.connect();
        let message = rig.sent();
        assert_eq!(message.value(Header::Expires).is_some(), expires.is_some());
        assert!(!message.has(Header::Date));
    }
}

#[test]
fn an_identifier_is_read_as_it_is_printed() {
    let mut rig = Rig::default();
    let id = rig.send(BOB, "hello");
    assert_eq!(id.to_string().parse(), Ok(id));
    assert_eq!(id.to_string().len(), 32);
    for wrong in ["", "12", "zz", &"g".repeat(32), &"+".repeat(32), &"1".repeat(33)] {
        assert!(wrong.parse::<MessageId>().is_err(), "{wrong}");
    }
}
