//! What can become of a message other than acceptance.

use crate::rig::{BOB, Rig, account, seconds};
use aldis_agent::{MessageFailure, NewMessage, OutgoingState, Reason, SendRefused, UnknownReason};
use std::time::Duration;

/// What becomes of a message that is answered like this.
fn outcome(status: u16, fields: &[(&str, &str)]) -> (Rig, OutgoingState) {
    let mut rig = Rig::connected();
    rig.send(BOB, "hello");
    let message = rig.sent();
    rig.events();
    rig.reply(&message, status, fields);
    let states = rig.outgoing();
    let [(_, state)] = states.as_slice() else { panic!("{states:?}") };
    let state = state.clone();
    (rig, state)
}

#[test]
fn a_4xx_or_5xx_was_not_delivered_msg_06_gen_11() {
    for code in
        [400, 403, 404, 405, 413, 416, 420, 480, 481, 486, 488, 499, 500, 501, 502, 503, 504, 513, 599]
    {
        let (_, state) = outcome(code, &[]);
        let OutgoingState::Failed {
            why: MessageFailure::Rejected { status, retry_after: None, .. },
            status: Some(_),
        } = state
        else {
            panic!("{code}: {state:?}")
        };
        assert_eq!(status.code(), code);
    }
}

#[test]
fn a_6xx_was_delivered_and_refused_msg_06() {
    for code in [600, 603, 604, 606, 699] {
        let (_, state) = outcome(code, &[]);
        assert!(
            matches!(state, OutgoingState::Failed { why: MessageFailure::Declined { .. }, .. }),
            "{state:?}"
        );
    }
}

#[test]
fn the_time_of_the_next_attempt_is_told_msg_18() {
    for code in [404, 413, 480, 486, 500, 503, 600, 603] {
        let (_, state) = outcome(code, &[("Retry-After", "90")]);
        let OutgoingState::Failed {
            why: MessageFailure::Rejected { retry_after, .. } | MessageFailure::Declined { retry_after, .. },
            ..
        } = state
        else {
            panic!("{state:?}")
        };
        assert_eq!(retry_after, Some(seconds(90)), "{code}");
    }
}

#[test]
fn the_reason_is_told_in_words() {
    for (code, words) in
        [(404, "no such user"), (480, "cannot be reached"), (413, "too large"), (603, "refused")]
    {
        let (_, state) = outcome(code, &[]);
        let OutgoingState::Failed { why, .. } = state else { panic!() };
        assert!(why.to_string().contains(words), "{why}");
        assert!(why.to_string().contains(&code.to_string()), "{why}");
    }
}

#[test]
fn a_408_leaves_its_fate_unknown_msg_07() {
    let (_, state) = outcome(408, &[]);
    assert!(
        matches!(state, OutgoingState::Unknown { why: UnknownReason::NoAnswer, status: Some(_) }),
        "{state:?}"
    );
}

#[test]
fn no_answer_in_32_s_leaves_its_fate_unknown_and_the_connection_up_txn_01_txn_02_msg_07_gen_10() {
    let mut rig = Rig::registered();
    let id = rig.send(BOB, "hello");
    rig.sent();
    rig.events();
    rig.pass(Duration::from_millis(31_999));
    assert_eq!(rig.outgoing(), []);
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.outgoing(), [(id, OutgoingState::Unknown { why: UnknownReason::NoAnswer, status: None })]);
    rig.assert_silent();
    assert!(rig.is_up());
}

#[test]
fn a_timeout_lets_the_next_message_go() {
    let mut rig = Rig::connected();
    rig.send(BOB, "1");
    rig.send(BOB, "2");
    rig.sent();
    rig.pass(seconds(32));
    assert_eq!(rig.sent().body(), "2");
}

#[test]
fn each_message_has_32_s_of_its_own_txn_01() {
    let mut rig = Rig::connected();
    let one = rig.send("sip:b@example.test", "1");
    rig.pass(seconds(20));
    let two = rig.send("sip:c@example.test", "2");
    rig.events();
    rig.pass(seconds(12));
    assert!(matches!(rig.outgoing().as_slice(), [(id, OutgoingState::Unknown { .. })] if *id == one));
    rig.pass(seconds(20));
    assert!(matches!(rig.outgoing().as_slice(), [(id, OutgoingState::Unknown { .. })] if *id == two));
}

#[test]
fn a_503_with_retry_after_holds_everything_back_for_that_time_gen_16() {
    let (mut rig, _) = outcome(503, &[("Retry-After", "20")]);
    rig.send("sip:carol@example.test", "held");
    rig.assert_silent();
    assert_eq!(rig.deadline.map(|deadline| deadline.reason), Some(Reason::ServerBusy));
    rig.pass(Duration::from_millis(19_999));
    rig.assert_silent();
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.sent().body(), "held");
}

#[test]
fn a_503_with_a_very_long_retry_after_does_not_silence_the_phone() {
    let (mut rig, _) = outcome(503, &[("Retry-After", "4294967295")]);
    rig.send("sip:carol@example.test", "held");
    rig.pass(seconds(300));
    assert_eq!(rig.sent().body(), "held");
}

#[test]
fn a_503_without_retry_after_holds_nothing_back_gen_16() {
    for fields in [&[][..], &[("Retry-After", "0")], &[("Retry-After", "soon")]] {
        let (mut rig, _) = outcome(503, fields);
        rig.send("sip:carol@example.test", "next");
        assert_eq!(rig.sent().body(), "next");
    }
}

#[test]
fn a_size_that_was_refused_is_not_tried_again_for_that_recipient_msg_04() {
    for code in [413, 513] {
        let mut rig = Rig::connected_with(account().with_max_message(8192).unwrap());
        let large = "x".repeat(4000);
        rig.send(BOB, &large);
        let bytes = rig.sent_bytes().unwrap();
        let size = bytes.len();
        let (message, _) = aldis_sip::Message::parse(bytes).unwrap();
        rig.reply(&message, code, &[]);
        let again = NewMessage::new(BOB, "text/plain", large.clone()).unwrap();
        let refused = rig.tell(|agent, now| agent.send_message(now, again)).unwrap_err();
        assert!(matches!(refused, SendRefused::TooLarge { limit, .. } if limit == size - 1), "{refused:?}");
        rig.send("sip:carol@example.test", &large);
        rig.send(BOB, "short");
    }
}

#[test]
fn a_413_for_a_small_message_does_not_forbid_them_all_msg_04() {
    let (mut rig, _) = outcome(413, &[]);
    rig.send(BOB, "still goes");
    assert_eq!(rig.sent().body(), "still goes");
}

#[test]
fn nothing_is_taken_from_an_agent_that_stops() {
    let mut rig = Rig::registered();
    rig.shut_down();
    let message = NewMessage::new(BOB, "text/plain", "late").unwrap();
    assert_eq!(rig.tell(|agent, now| agent.send_message(now, message)), Err(SendRefused::Stopped));
}
