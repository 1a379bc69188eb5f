//! Requests that are answered with what they deserve.

use crate::rig::{Incoming, Rig, status};
use aldis_agent::Event;
use aldis_sip::{Header, Message};

/// The answer to this request; nothing is told of it.
fn refused(incoming: &Incoming) -> Message {
    let mut rig = Rig::registered();
    rig.receive(incoming.bytes());
    let answer = rig.sent();
    rig.assert_silent();
    assert!(rig.events().is_empty());
    answer
}

#[test]
fn a_content_type_that_is_not_read_gets_415_with_what_is_msg_12() {
    let answer =
        refused(&Incoming { extra: "Content-Type: application/x-odd\r\n".into(), ..Incoming::default() });
    assert_eq!(status(&answer), 415);
    assert!(answer.value(Header::Accept).unwrap().starts_with("text/*"));
}

#[test]
fn an_extension_that_is_required_gets_420_with_its_name_uas_02() {
    let extra = "Content-Type: text/plain\r\nRequire: outbound, 100rel, x-new\r\n".into();
    let answer = refused(&Incoming { extra, ..Incoming::default() });
    assert_eq!((status(&answer), answer.value(Header::Unsupported)), (420, Some("100rel, x-new")));
}

#[test]
fn a_scheme_that_is_not_sip_gets_416_uas_05() {
    assert_eq!(status(&refused(&Incoming { uri: "tel:+123", ..Incoming::default() })), 416);
}

#[test]
fn another_user_gets_404_and_the_to_header_decides_nothing_uas_05() {
    assert_eq!(status(&refused(&Incoming { uri: "sip:carol@example.test", ..Incoming::default() })), 404);
    let mut rig = Rig::registered();
    rig.receive(Incoming { to: "<sip:carol@example.test>", ..Incoming::default() }.bytes());
    assert_eq!(rig.received().len(), 1);
}

#[test]
fn our_contact_and_our_address_are_ours_uas_05_i_26() {
    for uri in [
        "sip:alice@example.test",
        "sip:aldis-0000000000001000@192.0.2.1:40001;transport=tls;ob",
        "sip:%61lice@192.0.2.1",
        "sips:alice@example.test",
        "sip:192.0.2.1:40001",
    ] {
        let mut rig = Rig::registered();
        rig.receive(Incoming { uri, ..Incoming::default() }.bytes());
        assert_eq!(rig.received().len(), 1, "{uri}");
    }
}

#[test]
fn what_belongs_to_no_dialog_of_ours_gets_481_uas_07() {
    for method in ["MESSAGE", "NOTIFY", "OPTIONS"] {
        let to = "<sip:alice@example.test>;tag=gone";
        assert_eq!(status(&refused(&Incoming { to, ..Incoming::bare(method) })), 481, "{method}");
    }
}

#[test]
fn an_address_that_is_not_ours_comes_before_what_it_requires_uas_05() {
    let extra = "Require: x-new\r\n".into();
    let answer = refused(&Incoming { uri: "sip:carol@example.test", extra, ..Incoming::bare("OPTIONS") });
    assert_eq!(status(&answer), 404);
}

#[test]
fn methods_that_are_known_and_not_done_get_405_with_allow_uas_01_uas_10() {
    for method in ["INVITE", "BYE", "REGISTER", "SUBSCRIBE", "PUBLISH", "REFER", "UPDATE", "PRACK", "INFO"] {
        let answer = refused(&Incoming::bare(method));
        assert_eq!(status(&answer), 405, "{method}");
        assert_eq!(answer.value(Header::Allow), Some("ACK, CANCEL, MESSAGE, NOTIFY, OPTIONS"));
    }
}

#[test]
fn methods_that_nobody_knows_get_501_uas_01() {
    assert_eq!(status(&refused(&Incoming::bare("FROBNICATE"))), 501);
}

#[test]
fn an_invite_is_refused_once_and_its_ack_is_silent_uas_09_uas_10() {
    let mut rig = Rig::registered();
    let invite = Incoming::bare("INVITE").bytes();
    rig.receive(&invite);
    let answer = rig.sent_bytes().unwrap();
    rig.receive(&invite);
    assert_eq!(rig.sent_bytes().unwrap(), answer);
    rig.receive(Incoming { to: "<sip:alice@example.test>;tag=x", ..Incoming::bare("ACK") }.bytes());
    rig.assert_silent();
}

#[test]
fn an_ack_is_never_answered_uas_09() {
    let mut rig = Rig::registered();
    rig.receive(Incoming::bare("ACK").bytes());
    rig.receive(Incoming { extra: "Require: x\r\n".into(), ..Incoming::bare("ACK") }.bytes());
    let malformed = String::from_utf8(Incoming::bare("ACK").bytes()).unwrap();
    rig.receive(malformed.replace("Call-ID: call-1\r\n", ""));
    rig.assert_silent();
}

#[test]
fn options_tell_what_we_can_uas_08() {
    for uri in ["sip:192.0.2.1:40001", "sip:alice@example.test"] {
        let answer = refused(&Incoming { uri, ..Incoming::bare("OPTIONS") });
        assert_eq!(status(&answer), 200);
        for header in
            [Header::Allow, Header::Accept, Header::AcceptEncoding, Header::AcceptLanguage, Header::Supported]
        {
            assert!(answer.has(header), "{header}");
        }
    }
}

#[test]
fn a_cancel_matches_or_does_not_and_does_nothing_uas_09() {
    assert_eq!(status(&refused(&Incoming::bare("CANCEL"))), 481);
    let mut rig = Rig::registered();
    rig.receive(Incoming::default().bytes());
    let received = rig.received();
    rig.receive(Incoming { extra: "Require: x\r\n".into(), ..Incoming::bare("CANCEL") }.bytes());
    assert_eq!(status(&rig.sent()), 200);
    rig.answer(received[0].0, aldis_agent::AnswerWith::Accept);
    assert_eq!(status(&rig.sent()), 200);
}

fn notify(event: &str) -> Incoming {
    let extra = format!("{event}Content-Type: application/simple-message-summary\r\n");
    Incoming { extra, body: b"Messages-Waiting: yes\r\n".to_vec(), ..Incoming::bare("NOTIFY") }
}

#[test]
fn two_packages_need_no_subscription_not_02_i_20() {
    for package in ["message-summary", "check-sync"] {
        let mut rig = Rig::registered();
        rig.receive(
            notify(&format!("Event: {package};reboot=false\r\nSubscription-State: active\r\n")).bytes(),
        );
        assert_eq!(status(&rig.sent()), 200);
        let events = rig.events();
        let [Event::Notify { package: told, content_type, body }, ..] = events.as_slice() else {
            panic!("{events:?}")
        };
        assert_eq!(told, package);
        assert_eq!(content_type.as_deref(), Some("application/simple-message-summary"));
        assert_eq!(body, "Messages-Waiting: yes\r\n");
    }
}

#[test]
fn a_notify_repeated_is_told_once_txn_05() {
    let mut rig = Rig::registered();
    let bytes = notify("Event: check-sync\r\n").bytes();
    rig.receive(&bytes);
    rig.receive(&bytes);
    assert_eq!(rig.sent_bytes(), rig.sent_bytes());
    assert_eq!(rig.events().len(), 1);
}

#[test]
fn other_packages_get_489_with_those_that_we_know_not_01() {
    let answer = refused(&notify("Event: presence\r\n"));
    assert_eq!(
        (status(&answer), answer.value(Header::AllowEvents)),
        (489, Some("message-summary, check-sync, reg"))
    );
}

#[test]
fn a_notify_without_event_is_malformed() {
    assert_eq!(status(&refused(&notify(""))), 400);
}

#[test]
fn malformed_requests_get_400_and_the_connection_goes_on() {
    for (from, to) in [
        ("CSeq: 1 MESSAGE", "CSeq: x MESSAGE"),
        ("CSeq: 1 MESSAGE", "CSeq: 1 OPTIONS"),
        ("Call-ID: call-1\r\n", ""),
        ("From: \"Bob\" <sip:bob@example.test>;tag=bobtag", "From: \"Bob <sip:bob@example.test>"),
        ("To: <sip:alice@example.test>", "To: <sip:alice@example.test>\r\nTo: <sip:carol@example.test>"),
    ] {
        let mut rig = Rig::registered();
        let good = String::from_utf8(Incoming::default().bytes()).unwrap();
        let bad = good.replace(from, to);
        assert_ne!(good, bad);
        rig.receive(bad);
        assert_eq!(status(&rig.sent()), 400, "{to}");
        rig.receive(good.replace("z9hG4bKin1", "z9hG4bKin2"));
        assert_eq!(rig.received().len(), 1);
    }
}

#[test]
fn another_version_gets_505() {
    let mut rig = Rig::registered();
    rig.receive(
        String::from_utf8(Incoming::default().bytes()).unwrap().replace(" SIP/2.0\r\nVia", " SIP/7.0\r\nVia"),
    );
    assert_eq!(status(&rig.sent()), 505);
}

#[test]
fn a_request_without_via_is_not_answered() {
    let mut rig = Rig::registered();
    let bytes = String::from_utf8(Incoming::default().bytes()).unwrap();
    rig.receive(bytes.replace("Via: SIP/2.0/TLS proxy.example.test:5061;branch=z9hG4bKin1\r\n", ""));
    rig.assert_silent();
    assert!(rig.received().is_empty());
}

#[test]
fn no_provisional_answer_is_sent_txn_06() {
    let mut rig = Rig::registered();
    rig.receive(Incoming::default().bytes());
    rig.pass(crate::rig::seconds(10));
    assert_eq!(status(&rig.sent()), 480);
    rig.assert_silent();
}
