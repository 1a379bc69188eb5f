//! Messages leave only once they are kept, and come back after a restart.

use crate::rig::{BOB, Rig, account, seconds};
use aldis_agent::{
    Event, MessageFailure, MessageId, NewMessage, OutgoingState, RestoreRefused, StoredMessage, UnknownReason,
};
use aldis_sip::Header;

const CAROL: &str = "sip:carol@example.test";

/// Connected, with a store that answers when the test says so.
fn slow_store() -> Rig {
    let mut rig = Rig::connected();
    rig.keeps = false;
    rig
}

/// Keeps a message, and lets it leave when it is its turn.
fn keep(rig: &mut Rig, id: MessageId) {
    rig.tell(|agent, now| agent.message_stored(now, id));
    for id in leaving(rig) {
        rig.tell(|agent, now| agent.message_may_leave(now, id));
    }
}

fn to_store(rig: &mut Rig) -> Vec<StoredMessage> {
    let kept = |event| match event {
        Event::StoreMessage(message) => Some(*message),
        _ => None,
    };
    rig.events().into_iter().filter_map(kept).collect()
}

fn leaving(rig: &mut Rig) -> Vec<MessageId> {
    let asked = |event| match event {
        Event::MessageLeaving { id } => Some(id),
        _ => None,
    };
    rig.events().into_iter().filter_map(asked).collect()
}

#[test]
fn nothing_of_a_message_leaves_or_is_told_before_it_is_kept_msg_15() {
    let mut rig = slow_store();
    let id = rig.send(BOB, "hello");
    let stored = to_store(&mut rig);
    assert_eq!((stored.len(), stored[0].id, stored[0].message.body().as_ref()), (1, id, &b"hello"[..]));
    rig.pass(seconds(5));
    assert!(rig.nothing_sent());
    rig.tell(|agent, now| agent.message_stored(now, id));
    assert!(rig.nothing_sent());
    rig.tell(|agent, now| agent.message_may_leave(now, id));
    let states: Vec<_> = rig.outgoing().into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, [OutgoingState::Queued, OutgoingState::Sending]);
    let message = rig.sent();
    assert_eq!(message.call_id().unwrap().as_str(), stored[0].call_id);
    assert_eq!(message.from().unwrap().tag().unwrap(), stored[0].from_tag);
    assert_eq!(message.value(Header::AldisMessageId), Some(id.to_string().as_str()));
}

#[test]
fn a_message_that_is_not_kept_yet_holds_back_later_ones_to_the_same_recipient_alone() {
    let mut rig = slow_store();
    let first = rig.send(BOB, "1");
    let second = rig.send(BOB, "2");
    let other = rig.send(CAROL, "3");
    keep(&mut rig, second);
    assert!(rig.nothing_sent());
    keep(&mut rig, other);
    assert_eq!(rig.sent().body(), "3");
    keep(&mut rig, first);
    let message = rig.sent();
    assert_eq!(message.body(), "1");
    rig.reply(&message, 200, &[]);
    for id in leaving(&mut rig) {
        rig.tell(|agent, now| agent.message_may_leave(now, id));
    }
    assert_eq!(rig.sent().body(), "2");
}

#[test]
fn a_message_that_cannot_be_kept_is_forgotten_without_a_word() {
    let mut rig = slow_store();
    let first = rig.send(BOB, "1");
    let second = rig.send(BOB, "2");
    rig.tell(|agent, now| agent.message_stored(now, second));
    rig.tell(|agent, now| agent.forget_message(now, first));
    assert!(rig.outgoing().iter().all(|(id, _)| *id == second));
    rig.tell(|agent, now| agent.message_may_leave(now, second));
    assert_eq!(rig.sent().body(), "2");
}

#[test]
fn a_restored_message_leaves_as_the_one_that_it_was_msg_15() {
    let mut rig = slow_store();
    let id = rig.send(BOB, "hello");
    let stored = to_store(&mut rig).remove(0);
    keep(&mut rig, id);
    let first = rig.sent();

    let mut next = Rig::seeded(account(), 8);
    next.tell(|agent, now| agent.restore_message(now, stored.clone())).unwrap();
    let again = next.tell(|agent, now| agent.restore_message(now, stored));
    assert_eq!(again, Err(RestoreRefused::Known));
    next.connect();
    let second = next.sent();
    assert_eq!(next.outgoing().first(), Some(&(id, OutgoingState::Queued)));
    for header in [Header::AldisMessageId, Header::CallId, Header::From, Header::CSeq] {
        assert_eq!(first.value(header), second.value(header), "{header:?}");
    }
    assert_eq!(first.body(), second.body());
}

#[test]
fn what_is_no_call_id_or_tag_is_not_restored() {
    let mut rig = slow_store();
    rig.send(BOB, "hello");
    let stored = to_store(&mut rig).remove(0);
    for (call_id, from_tag) in [("a b", "tag"), ("a", "t\r\nX: y"), ("", "tag"), ("a", "")] {
        let broken = StoredMessage { call_id: call_id.into(), from_tag: from_tag.into(), ..stored.clone() };
        let refused = Rig::default().tell(|agent, now| agent.restore_message(now, broken));
        assert!(matches!(refused, Err(RestoreRefused::Malformed(_))), "{call_id:?} {from_tag:?}");
    }
}

#[test]
fn each_message_asks_before_its_first_byte_msg_16() {
    let mut rig = Rig::default();
    let first = rig.send(BOB, "1");
    let other = rig.send(CAROL, "2");
    rig.keeps = false;
    rig.connect();
    assert_eq!(leaving(&mut rig), [first, other]);
    rig.pass(seconds(1));
    assert!(rig.nothing_sent());
    rig.tell(|agent, now| agent.message_may_leave(now, other));
    assert_eq!(rig.sent().body(), "2");
    rig.tell(|agent, now| agent.message_may_leave(now, first));
    assert_eq!(rig.sent().body(), "1");
    assert_eq!(leaving(&mut rig), []);
}

#[test]
fn a_restored_message_that_may_have_left_is_not_said_to_have_failed_msg_07() {
    let mut rig = slow_store();
    let id = rig.send(BOB, "hello");
    let stored = StoredMessage { may_have_left: true, ..to_store(&mut rig).remove(0) };
    let mut next = Rig::seeded(account(), 8);
    next.tell(|agent, now| agent.restore_message(now, stored)).unwrap();
    next.tell(|agent, now| agent.withdraw(now, id));
    let unknown = OutgoingState::Unknown { why: UnknownReason::Stopped, status: None };
    assert_eq!(next.outgoing().last(), Some(&(id, unknown)));
}

#[test]
fn a_message_taken_back_while_it_is_asked_for_never_leaves() {
    let mut rig = Rig::default();
    let first = rig.send(BOB, "1");
    let second = rig.send(BOB, "2");
    rig.keeps = false;
    rig.connect();
    rig.tell(|agent, now| agent.withdraw(now, first));
    rig.tell(|agent, now| agent.message_may_leave(now, first));
    assert_eq!(leaving(&mut rig), [first, second]);
    assert!(rig.nothing_sent());
}

#[test]
fn a_message_whose_time_is_over_fails_unsent() {
    let mut rig = Rig::default();
    let message = NewMessage::new(BOB, "text/plain", "lunch?").unwrap().with_expires(600);
    let id = rig.tell(|agent, now| agent.send_message(now, message)).unwrap();
    rig.pass(seconds(599));
    rig.events();
    rig.pass(seconds(1));
    let expired = OutgoingState::Failed { why: MessageFailure::Expired, status: None };
    assert_eq!(rig.outgoing(), [(id, expired)]);
    assert!(!rig.wants_connection());
}

#[test]
fn a_message_under_way_does_not_expire() {
    let mut rig = Rig::connected();
    let message = NewMessage::new(BOB, "text/plain", "lunch?").unwrap().with_expires(1);
    let id = rig.tell(|agent, now| agent.send_message(now, message)).unwrap();
    let message = rig.sent();
    rig.pass(seconds(2));
    rig.events();
    rig.reply(&message, 200, &[]);
    assert!(matches!(rig.outgoing().as_slice(), [(which, OutgoingState::Accepted { .. })] if *which == id));
}

#[test]
fn what_waited_for_a_connection_leaves_a_few_at_a_time() {
    let mut rig = Rig::default();
    for n in 0..200 {
        rig.send(&format!("sip:user{n}@example.test"), "x");
    }
    rig.connect();
    let mut batches = Vec::new();
    while !rig.nothing_sent() {
        let batch: Vec<_> = std::iter::from_fn(|| (!rig.nothing_sent()).then(|| rig.sent())).collect();
        batches.push(batch.len());
        for message in batch {
            rig.reply(&message, 200, &[]);
        }
    }
    assert_eq!(batches, [16, 32, 64, 88]);
}

#[test]
fn after_a_loss_fewer_leave_at_once() {
    let mut rig = Rig::default();
    for n in 0..100 {
        rig.send(&format!("sip:user{n}@example.test"), "x");
    }
    rig.connect();
    for _ in 0..16 {
        let message = rig.sent();
        rig.reply(&message, 200, &[]);
    }
    let unanswered: Vec<_> = std::iter::from_fn(|| (!rig.nothing_sent()).then(|| rig.sent())).collect();
    assert_eq!(unanswered.len(), 32);
    // Nobody answers any more: their fate is unknown, and the next ones leave as at the beginning.
    rig.pass(seconds(32));
    let unknown =
        |state: &OutgoingState| matches!(state, OutgoingState::Unknown { why: UnknownReason::NoAnswer, .. });
    assert_eq!(rig.outgoing().iter().filter(|(_, state)| unknown(state)).count(), 32);
    let next: Vec<_> = std::iter::from_fn(|| (!rig.nothing_sent()).then(|| rig.sent())).collect();
    assert_eq!(next.len(), 16);
}

#[test]
fn messages_that_are_left_to_a_later_run_end_without_a_word() {
    let mut rig = Rig::connected();
    rig.send(BOB, "1");
    rig.send(BOB, "2");
    let message = rig.sent();
    rig.events();
    rig.tell(|agent, now| agent.leave_messages(now));
    rig.shut_down();
    rig.pass(seconds(1));
    // What comes in time is told.
    rig.reply(&message, 200, &[]);
    assert!(matches!(rig.outgoing().as_slice(), [(_, OutgoingState::Accepted { .. })]));
    assert!(rig.agent.is_finished());
}

#[test]
fn an_answer_that_does_not_come_before_the_end_is_awaited_by_a_later_run_or_unknown_msg_16() {
    for (account, expected) in [(account(), 0), (account().without_resending(), 1)] {
        let mut rig = Rig::connected_with(account);
        rig.send(BOB, "1");
        rig.sent();
        rig.events();
        rig.tell(|agent, now| agent.leave_messages(now));
        rig.shut_down();
        rig.pass(seconds(5));
        assert_eq!(rig.outgoing().len(), expected);
        assert!(rig.agent.is_finished());
    }
}
