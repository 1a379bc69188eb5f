//! The end, from every state.

use crate::rig::{BOB, Incoming, Rig, contact_expires, seconds, status};
use aldis_agent::{
    AnswerWith, ConnectionChange, Event, MessageFailure, OutgoingState, RegistrationChange, UnknownReason,
};

fn assert_finished(rig: &mut Rig) {
    assert!(rig.agent.is_finished());
    assert!(!rig.is_up() && !rig.wants_connection());
    assert_eq!(rig.deadline, None, "nothing may wake the driver any more");
    rig.register();
    rig.tell(|agent, now| agent.network_changed(now));
    rig.tell(|agent, now| agent.set_credentials(now, "alice", aldis_sip::Secret::new("x")));
    rig.tell(|agent, now| agent.handle_timeout(now));
    assert!(!rig.wants_connection() && rig.agent.is_finished());
}

#[test]
fn doing_nothing_it_ends_at_once() {
    let mut rig = Rig::default();
    assert!(!rig.agent.is_finished());
    rig.shut_down();
    assert_finished(&mut rig);
}

#[test]
fn connecting_it_ends_at_once() {
    let mut rig = Rig::default();
    rig.register();
    rig.shut_down();
    assert_eq!(rig.closed.len(), 1);
    assert_eq!(rig.registrations(), [RegistrationChange::Unregistered]);
    assert_finished(&mut rig);
}

#[test]
fn waiting_for_the_next_attempt_it_ends_at_once() {
    let mut rig = Rig::default();
    rig.register();
    rig.fail_to_connect();
    rig.shut_down();
    assert_finished(&mut rig);
}

#[test]
fn registered_it_removes_its_binding_first() {
    let mut rig = Rig::registered();
    rig.shut_down();
    let removal = rig.sent();
    assert_eq!(contact_expires(&removal), Some(0));
    assert!(!rig.agent.is_finished());
    rig.reply(&removal, 200, &[]);
    assert_eq!(rig.registrations(), [RegistrationChange::Unregistered]);
    assert_finished(&mut rig);
}

#[test]
fn a_server_that_does_not_answer_is_not_waited_for_longer_than_4_s() {
    let mut rig = Rig::registered();
    rig.shut_down();
    rig.sent();
    rig.pass(seconds(4));
    let events = rig.events();
    assert!(
        events
            .iter()
            .any(|e| matches!(e, Event::Registration { change: RegistrationChange::Unregistered, .. })),
        "{events:?}"
    );
    assert!(
        events.iter().any(|e| matches!(e, Event::Connection { change: ConnectionChange::Closed, .. })),
        "{events:?}"
    );
    assert_finished(&mut rig);
}

#[test]
fn a_register_under_way_is_followed_by_its_removal() {
    let (mut rig, register) = Rig::registering();
    rig.shut_down();
    rig.accept(&register, &[]);
    let removal = rig.sent();
    assert_eq!(contact_expires(&removal), Some(0));
    rig.reply(&removal, 200, &[]);
    assert_finished(&mut rig);
}

#[test]
fn a_register_that_is_never_answered_does_not_hold_the_end_up() {
    let (mut rig, _) = Rig::registering();
    rig.shut_down();
    rig.pass(seconds(4));
    assert_finished(&mut rig);
}

#[test]
fn a_connection_lost_at_the_end_is_the_end() {
    let mut rig = Rig::registered();
    rig.shut_down();
    rig.sent();
    rig.lose();
    assert_eq!(rig.registrations(), [RegistrationChange::Unregistered]);
    assert_finished(&mut rig);
}

#[test]
fn waiting_messages_fail_and_those_under_way_get_their_answer() {
    let mut rig = Rig::connected();
    let first = rig.send(BOB, "1");
    let second = rig.send(BOB, "2");
    let message = rig.sent();
    rig.events();
    rig.shut_down();
    let withdrawn = OutgoingState::Failed { why: MessageFailure::Withdrawn, status: None };
    assert_eq!(rig.outgoing(), [(second, withdrawn)]);
    rig.reply(&message, 200, &[]);
    assert!(matches!(rig.outgoing().as_slice(), [(id, OutgoingState::Accepted { .. })] if *id == first));
    assert_finished(&mut rig);
}

#[test]
fn a_message_without_answer_is_unknown_at_the_end_msg_07() {
    let mut rig = Rig::connected();
    let id = rig.send(BOB, "1");
    rig.sent();
    rig.events();
    rig.shut_down();
    rig.pass(seconds(4));
    let unknown = OutgoingState::Unknown { why: UnknownReason::Stopped, status: None };
    assert_eq!(rig.outgoing(), [(id, unknown)]);
    assert_finished(&mut rig);
}

#[test]
fn a_message_that_is_being_stored_gets_its_answer_before_the_end() {
    let mut rig = Rig::connected();
    rig.receive(Incoming::default().bytes());
    let (ticket, _) = rig.received().remove(0);
    rig.shut_down();
    assert!(rig.is_up());
    rig.answer(ticket, AnswerWith::Accept);
    assert_eq!(status(&rig.sent()), 200);
    assert_finished(&mut rig);
}

#[test]
fn messages_that_come_at_the_end_stay_with_their_senders_msg_09() {
    let mut rig = Rig::registered();
    rig.shut_down();
    let removal = rig.sent();
    rig.receive(Incoming::default().bytes());
    assert_eq!(status(&rig.sent()), 480);
    assert!(rig.received().is_empty());
    rig.reply(&removal, 200, &[]);
    assert_finished(&mut rig);
}

#[test]
fn shutting_down_twice_is_shutting_down_once() {
    let mut rig = Rig::registered();
    rig.shut_down();
    rig.pass(seconds(3));
    rig.shut_down();
    rig.pass(seconds(1));
    assert_finished(&mut rig);
}

#[test]
fn a_network_that_changes_at_the_end_is_the_end() {
    let mut rig = Rig::registered();
    rig.shut_down();
    rig.tell(|agent, now| agent.network_changed(now));
    assert_finished(&mut rig);
}

#[test]
fn the_answer_to_a_message_taken_back_is_not_waited_for() {
    for before in [true, false] {
        let mut rig = Rig::connected();
        let id = rig.send(BOB, "hello");
        rig.sent();
        if before {
            rig.tell(|agent, now| agent.withdraw(now, id));
        }
        rig.shut_down();
        assert_eq!(rig.agent.is_finished(), before);
        rig.tell(|agent, now| agent.withdraw(now, id));
        assert_finished(&mut rig);
    }
}
