//! Messages that come, and how they are answered.

use crate::rig::{Incoming, PEER, Rig, WALL, seconds, status};
use aldis_agent::{AnswerWith, LostReason};
use aldis_sip::body::MAX_DECODED;
use aldis_sip::{Header, Message};
use std::time::Duration;

fn only(rig: &mut Rig) -> (aldis_agent::Ticket, aldis_agent::ReceivedMessage) {
    let mut received = rig.received();
    assert_eq!(received.len(), 1);
    received.remove(0)
}

#[test]
fn a_message_is_told_with_all_that_it_says_and_not_answered_before_it_is_stored_msg_09() {
    let mut rig = Rig::registered();
    let extra = "Content-Type: text/plain;charset=UTF-8\r\nAldis-Message-ID: abc\r\nDate: Fri, 15 Jan 2027 08:00:00 GMT\r\n\
                 Expires: 60\r\n";
    rig.receive(Incoming { extra: extra.into(), ..Incoming::default() }.bytes());
    rig.assert_silent();
    let (_, message) = only(&mut rig);
    assert_eq!(message.message_id.as_deref(), Some("abc"));
    assert_eq!(message.from.as_str(), "sip:bob@example.test");
    assert_eq!(message.display_name.as_deref(), Some("Bob"));
    assert_eq!(message.to.as_str(), "sip:alice@example.test");
    assert_eq!(message.content_type, "text/plain;charset=UTF-8");
    assert_eq!(message.body, "hello");
    assert_eq!(
        (message.call_id.as_str(), message.from_tag.as_deref(), message.cseq),
        ("call-1", Some("bobtag"), 1)
    );
    assert_eq!((message.date, message.expires), (Some(WALL as i64), Some(60)));
    assert_eq!(message.expires_at(0), Some(WALL as i64 + 60));
}

#[test]
fn an_expiry_without_a_date_counts_from_the_receipt_msg_11() {
    for (extra, expires_at) in [("Expires: 60\r\n", Some(1060)), ("Expires: 0\r\n", None), ("", None)] {
        let mut rig = Rig::registered();
        let extra = format!("Content-Type: text/plain\r\n{extra}");
        rig.receive(Incoming { extra, ..Incoming::default() }.bytes());
        assert_eq!(only(&mut rig).1.expires_at(1000), expires_at);
    }
}

#[test]
fn an_accepted_message_gets_a_200_without_body_and_contact_msg_10_uas_03_txn_10() {
    let mut rig = Rig::registered();
    rig.receive(Incoming { branch: "z9hG4bKin1;rport", ..Incoming::default() }.bytes());
    let (ticket, _) = only(&mut rig);
    rig.answer(ticket, AnswerWith::Accept);
    let answer = rig.sent();
    assert_eq!(status(&answer), 200);
    let peer: std::net::SocketAddr = PEER.parse().unwrap();
    assert_eq!(
        answer.value(Header::Via).unwrap(),
        format!(
            "SIP/2.0/TLS proxy.example.test:5061;branch=z9hG4bKin1;received={};rport={}",
            peer.ip(),
            peer.port()
        )
    );
    assert_eq!(answer.value(Header::From), Some("\"Bob\" <sip:bob@example.test>;tag=bobtag"));
    assert!(answer.to().unwrap().tag().is_some_and(|tag| tag.len() >= 8));
    assert_eq!(answer.value(Header::CallId), Some("call-1"));
    assert_eq!(answer.value(Header::CSeq), Some("1 MESSAGE"));
    assert!(!answer.has(Header::Contact) && answer.body().is_empty());
    assert_eq!(answer.value(Header::ContentLength), Some("0"));
}

#[test]
fn what_cannot_be_stored_stays_with_its_sender_msg_09() {
    let mut rig = Rig::registered();
    rig.receive(Incoming::default().bytes());
    let (ticket, _) = only(&mut rig);
    rig.answer(ticket, AnswerWith::Busy { retry_after: seconds(77) });
    let answer = rig.sent();
    assert_eq!((status(&answer), answer.value(Header::RetryAfter)), (480, Some("77")));
}

#[test]
fn an_answer_that_does_not_come_in_3_s_is_480_msg_09_txn_07_txn_08_not_03() {
    let mut rig = Rig::registered();
    rig.receive(Incoming::default().bytes());
    let (ticket, _) = only(&mut rig);
    rig.pass(Duration::from_millis(2_999));
    rig.assert_silent();
    rig.pass(Duration::from_millis(1));
    let answer = rig.sent();
    assert_eq!(status(&answer), 480);
    assert!(answer.has(Header::RetryAfter));
    rig.answer(ticket, AnswerWith::Accept);
    rig.assert_silent();
}

#[test]
fn each_message_has_3_s_of_its_own() {
    let mut rig = Rig::registered();
    rig.receive(Incoming { branch: "z9hG4bKa", call_id: "a", ..Incoming::default() }.bytes());
    rig.pass(seconds(2));
    rig.receive(Incoming { branch: "z9hG4bKb", call_id: "b", ..Incoming::default() }.bytes());
    let (first, _) = rig.received().remove(0);
    rig.answer(first, AnswerWith::Accept);
    rig.sent();
    rig.pass(Duration::from_millis(2_999));
    rig.assert_silent();
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.sent().value(Header::CallId), Some("b"));
}

#[test]
fn a_repetition_before_the_answer_is_silent_and_after_it_gets_the_same_bytes_txn_05() {
    let mut rig = Rig::registered();
    let request = Incoming::default().bytes();
    rig.receive(&request);
    let (ticket, _) = only(&mut rig);
    rig.receive(&request);
    rig.assert_silent();
    assert!(rig.received().is_empty());
    rig.answer(ticket, AnswerWith::Accept);
    let answer = rig.sent_bytes().unwrap();
    rig.pass(seconds(31));
    while rig.sent_bytes().is_some() {}
    rig.receive(&request);
    assert_eq!(rig.sent_bytes().unwrap(), answer);
    assert!(rig.received().is_empty());
}

#[test]
fn a_repetition_over_another_connection_gets_the_same_answer_txn_05_txn_09() {
    let mut rig = Rig::registered();
    let request = Incoming::default().bytes();
    rig.receive(&request);
    let (ticket, _) = only(&mut rig);
    rig.lose();
    rig.answer(ticket, AnswerWith::Accept);
    rig.assert_silent();
    rig.pass(seconds(1));
    rig.connect();
    rig.sent();
    rig.receive(&request);
    assert_eq!(status(&rig.sent()), 200);
    assert!(rig.received().is_empty());
}

#[test]
fn answers_are_forgotten_after_32_s_txn_05() {
    let mut rig = Rig::registered();
    let request = Incoming::default().bytes();
    rig.receive(&request);
    let (ticket, _) = only(&mut rig);
    rig.answer(ticket, AnswerWith::Accept);
    rig.sent();
    rig.pass(seconds(32));
    while rig.sent_bytes().is_some() {}
    rig.receive(&request);
    assert_eq!(rig.received().len(), 1);
}

#[test]
fn a_request_is_another_if_its_sent_by_or_branch_is_txn_04() {
    let mut rig = Rig::registered();
    let request = String::from_utf8(Incoming::default().bytes()).unwrap().replace("call-1", "call-2");
    rig.receive(Incoming::default().bytes());
    rig.receive(request.replace("proxy.example.test", "other.example.test"));
    rig.receive(request.replace("call-2", "call-3").replace("z9hG4bKin1", "z9hG4bKin2"));
    assert_eq!(rig.received().len(), 3);
}

#[test]
fn requests_of_old_clients_are_told_apart_by_more_than_their_branch_txn_04() {
    let mut rig = Rig::registered();
    rig.receive(Incoming { branch: "1", cseq: 1, ..Incoming::default() }.bytes());
    rig.receive(Incoming { branch: "1", cseq: 1, ..Incoming::default() }.bytes());
    rig.receive(Incoming { branch: "1", cseq: 2, ..Incoming::default() }.bytes());
    assert_eq!(rig.received().len(), 2);
}

#[test]
fn the_same_request_by_another_path_is_merged_msg_13() {
    let mut rig = Rig::registered();
    rig.receive(Incoming::default().bytes());
    rig.receive(Incoming { branch: "z9hG4bKother", ..Incoming::default() }.bytes());
    assert_eq!(status(&rig.sent()), 482);
    assert_eq!(rig.received().len(), 1);
}

#[test]
fn a_message_by_another_path_after_the_answer_is_told_again_for_the_store_to_judge_msg_16() {
    let mut rig = Rig::registered();
    rig.receive(Incoming::default().bytes());
    let (ticket, _) = only(&mut rig);
    rig.answer(ticket, AnswerWith::Accept);
    rig.sent();
    rig.receive(Incoming { branch: "z9hG4bKother", ..Incoming::default() }.bytes());
    assert_eq!(rig.received().len(), 1);
}

fn numbered(n: usize, body: Vec<u8>) -> Vec<u8> {
    let bytes = Incoming { body, ..Incoming::default() }.bytes();
    let mut out = Vec::new();
    let text = String::from_utf8(bytes).unwrap();
    out.extend(
        text.replace("z9hG4bKin1", &format!("z9hG4bK{n}")).replace("call-1", &format!("call-{n}")).bytes(),
    );
    out
}

#[test]
fn more_messages_than_storage_takes_stay_with_their_senders_uas_11() {
    let mut rig = Rig::registered();
    for n in 0..1024 {
        rig.receive(numbered(n, b"x".to_vec()));
    }
    rig.assert_silent();
    rig.receive(numbered(1024, b"x".to_vec()));
    assert_eq!(status(&rig.sent()), 480);
    let received = rig.received();
    assert_eq!(received.len(), 1024);
    rig.answer(received[500].0, AnswerWith::Accept);
    rig.sent();
    rig.receive(numbered(1025, b"x".to_vec()));
    assert_eq!(rig.received().len(), 1);
}

#[test]
fn more_bytes_than_storage_takes_stay_with_their_senders_uas_11() {
    let mut rig = Rig::registered();
    let megabyte = vec![b'x'; 1 << 20];
    let taken = (0..20)
        .take_while(|n| {
            rig.receive(numbered(*n, megabyte.clone()));
            rig.sent_bytes().is_none()
        })
        .count();
    assert_eq!(taken, 8, "a body counts as it came and as it is handed on");
    for (ticket, _) in rig.received() {
        rig.answer(ticket, AnswerWith::Accept);
        rig.sent();
    }
    rig.receive(numbered(100, megabyte));
    assert_eq!(rig.received().len(), 1, "what was answered counts no longer");
}

/// zlib's stored block: a deflate coding that anybody can write.
fn deflated(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01, 0x01];
    let length = u16::try_from(data.len()).unwrap();
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend(data);
    let (a, b) = data.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    out.extend((b << 16 | a).to_be_bytes());
    out
}

#[test]
fn a_deflated_body_is_inflated_i_07() {
    let mut rig = Rig::registered();
    let extra = "Content-Type: text/plain\r\nContent-Encoding: deflate\r\n".into();
    rig.receive(Incoming { extra, body: deflated(b"smaller"), ..Incoming::default() }.bytes());
    assert_eq!(only(&mut rig).1.body, "smaller");
}

#[test]
fn a_body_that_cannot_be_decoded_is_refused_msg_12() {
    for (coding, body, code) in [
        ("br", b"x".to_vec(), 415),
        ("deflate, br", deflated(b"x"), 415),
        ("deflate\r\nContent-Encoding: br", deflated(b"x"), 415),
        ("deflate", b"not deflated".to_vec(), 400),
    ] {
        let mut rig = Rig::registered();
        let extra = format!("Content-Type: text/plain\r\nContent-Encoding: {coding}\r\n");
        rig.receive(Incoming { extra, body, ..Incoming::default() }.bytes());
        let answer = rig.sent();
        assert_eq!(status(&answer), code, "{coding}");
        assert_eq!(answer.has(Header::AcceptEncoding), code == 415);
        assert!(rig.received().is_empty());
    }
}

#[test]
fn a_body_larger_than_we_take_is_refused() {
    let mut rig = Rig::registered();
    rig.receive(Incoming { body: vec![b'x'; MAX_DECODED + 1], ..Incoming::default() }.bytes());
    assert_eq!(status(&rig.sent()), 413);
    assert!(rig.is_up());
    rig.receive(Incoming::default().bytes());
    assert_eq!(rig.received().len(), 1);
}

#[test]
fn bytes_of_any_kind_are_handed_on_unchanged_msg_01_i_06() {
    let mut rig = Rig::registered();
    let body: Vec<u8> = (0..=255).collect();
    rig.receive(Incoming { body: body.clone(), ..Incoming::default() }.bytes());
    assert_eq!(only(&mut rig).1.body, body);
}

#[test]
fn a_message_without_content_type_is_plain_text() {
    let mut rig = Rig::registered();
    rig.receive(Incoming { extra: String::new(), ..Incoming::default() }.bytes());
    assert_eq!(only(&mut rig).1.content_type, "text/plain");
}

#[test]
fn headers_that_say_nothing_to_us_are_passed_over_uas_04() {
    let mut rig = Rig::registered();
    let extra =
        "Content-Type: text/plain\r\nX-Unknown: 1\r\nDate: yesterday\r\nExpires: soon\r\nContact: <<>>\r\n";
    let text = String::from_utf8(Incoming { extra: extra.into(), ..Incoming::default() }.bytes()).unwrap();
    rig.receive(text.replace("Contact: <<>>\r\n", ""));
    let (_, message) = only(&mut rig);
    assert_eq!((message.date, message.expires), (None, None));
}

#[test]
fn an_asserted_identity_is_not_used_msg_14() {
    let mut rig = Rig::registered();
    let extra = "Content-Type: text/plain\r\nP-Asserted-Identity: <sip:president@example.test>\r\n".into();
    rig.receive(Incoming { extra, ..Incoming::default() }.bytes());
    assert_eq!(only(&mut rig).1.from.as_str(), "sip:bob@example.test");
}

#[test]
fn an_answer_goes_on_the_connection_of_its_request_or_nowhere_txn_09() {
    let mut rig = Rig::registered();
    rig.receive(Incoming::default().bytes());
    let (ticket, _) = only(&mut rig);
    rig.lose();
    rig.pass(seconds(1));
    rig.connect();
    rig.sent();
    rig.answer(ticket, AnswerWith::Accept);
    rig.assert_silent();
}

#[test]
fn a_connection_stays_for_the_answer_to_a_message() {
    let mut rig = Rig::connected();
    rig.pass(Duration::from_millis(31_500));
    rig.receive(Incoming::default().bytes());
    let (ticket, _) = only(&mut rig);
    rig.pass(seconds(1));
    assert!(rig.is_up());
    rig.answer(ticket, AnswerWith::Accept);
    assert_eq!(status(&rig.sent()), 200);
}

#[test]
fn a_ticket_is_good_once() {
    let mut rig = Rig::registered();
    rig.receive(Incoming::default().bytes());
    let (ticket, _) = only(&mut rig);
    rig.answer(ticket, AnswerWith::Accept);
    rig.sent();
    rig.answer(ticket, AnswerWith::Busy { retry_after: seconds(1) });
    rig.assert_silent();
}

#[test]
fn a_connection_lost_in_the_middle_of_a_message_loses_that_message_alone() {
    let mut rig = Rig::registered();
    let bytes = Incoming::default().bytes();
    rig.receive(&bytes[..bytes.len() - 2]);
    let id = {
        rig.lose();
        rig.pass(seconds(1));
        rig.connect()
    };
    let register = rig.sent();
    rig.accept(&register, &[]);
    rig.receive(&bytes);
    assert_eq!(rig.received().len(), 1);
    rig.tell(|agent, now| agent.handle_closed(now, id, LostReason::ClosedByServer));
}

#[test]
fn every_answer_can_be_parsed_by_its_receiver() {
    let mut rig = Rig::registered();
    for method in ["OPTIONS", "NOTIFY", "INVITE", "CANCEL", "PUBLISH", "FROBNICATE", "MESSAGE"] {
        rig.receive(Incoming { call_id: method, ..Incoming::bare(method) }.bytes());
    }
    rig.pass(seconds(3));
    let answers: Vec<_> = std::iter::from_fn(|| rig.sent_bytes()).collect();
    assert_eq!(answers.len(), 7);
    for answer in answers {
        let (message, rest) = Message::parse(answer).unwrap();
        assert_eq!(rest, 0);
        assert!(matches!(aldis_sip::judge(message), aldis_sip::Judgement::Message(_)));
    }
}
