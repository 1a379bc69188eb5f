//! Who is writing (RFC 3994).

use crate::rig::{BOB, Incoming, Rig, seconds, status};
use aldis_agent::{Event, NewMessage, OutgoingState};
use aldis_sip::body::composing::IsComposing;
use aldis_sip::{Header, Message};

fn typing(rig: &mut Rig) {
    rig.tell(|agent, now| agent.composing(now, BOB)).unwrap();
}

/// Lets time pass; pings are no news.
fn pass(rig: &mut Rig, time: u64) -> Vec<IsComposing> {
    rig.pass(seconds(time));
    let sent: Vec<_> = std::iter::from_fn(|| rig.sent_bytes()).filter(|bytes| bytes.len() > 4).collect();
    let mut states = Vec::new();
    for bytes in sent {
        let (message, _) = Message::parse(bytes).unwrap();
        rig.reply(&message, 200, &[]);
        states.push(state(&message));
    }
    states
}

/// A status that was sent.
fn state(message: &Message) -> IsComposing {
    assert_eq!(message.value(Header::ContentType), Some("application/im-iscomposing+xml"));
    IsComposing::parse(message.body()).unwrap()
}

/// The next status that is sent, answered.
fn next_state(rig: &mut Rig) -> IsComposing {
    let message = rig.sent();
    rig.reply(&message, 200, &[]);
    state(&message)
}

fn told(rig: &mut Rig) -> Vec<bool> {
    let active = |event| match event {
        Event::Composing { active, .. } => Some(active),
        _ => None,
    };
    rig.events().into_iter().filter_map(active).collect()
}

#[test]
fn the_first_keystroke_tells_and_fifteen_seconds_without_one_tell_the_end_comp_01() {
    let mut rig = Rig::connected();
    typing(&mut rig);
    let active = next_state(&mut rig);
    assert!(active.active && active.refresh.is_some_and(|seconds| seconds >= 60));
    rig.pass(seconds(10));
    typing(&mut rig);
    rig.pass(seconds(14));
    rig.assert_silent();
    rig.pass(seconds(1));
    assert!(!next_state(&mut rig).active);
    rig.pass(seconds(120));
    rig.assert_silent();
}

#[test]
fn who_goes_on_writing_tells_it_again_no_sooner_than_a_minute_later_comp_01() {
    let mut rig = Rig::registered();
    typing(&mut rig);
    assert!(next_state(&mut rig).active);
    for _ in 0..11 {
        assert_eq!(pass(&mut rig, 5), []);
        typing(&mut rig);
    }
    let states = pass(&mut rig, 5);
    assert!(matches!(states.as_slice(), [state] if state.active), "{states:?}");
}

#[test]
fn a_message_needs_no_idle_and_what_is_typed_after_it_is_told_anew_comp_01() {
    let mut rig = Rig::connected();
    typing(&mut rig);
    next_state(&mut rig);
    rig.send(BOB, "hello");
    let message = rig.sent();
    rig.reply(&message, 200, &[]);
    rig.pass(seconds(16));
    rig.assert_silent();
    typing(&mut rig);
    assert!(next_state(&mut rig).active);
}

#[test]
fn a_415_ends_the_statuses_for_that_peer_comp_02() {
    let mut rig = Rig::registered();
    typing(&mut rig);
    let message = rig.sent();
    rig.reply(&message, 415, &[]);
    rig.assert_silent();
    let events = rig.events();
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::PeerLearned { facts, .. } if facts.refuses_composing))
    );
    assert_eq!(pass(&mut rig, 20), []);
    typing(&mut rig);
    assert_eq!(pass(&mut rig, 20), []);
    rig.tell(|agent, now| agent.composing(now, "sip:carol@example.test")).unwrap();
    assert!(next_state(&mut rig).active, "others are told");
}

#[test]
fn a_status_is_dropped_behind_a_message_and_without_a_connection_comp_05_msg_03() {
    let mut rig = Rig::default();
    typing(&mut rig);
    assert!(!rig.wants_connection());
    let mut rig = Rig::connected();
    rig.send(BOB, "hello");
    let message = rig.sent();
    typing(&mut rig);
    rig.assert_silent();
    rig.reply(&message, 200, &[]);
    rig.assert_silent();
    typing(&mut rig);
    assert!(next_state(&mut rig).active, "the next keystroke tells it");
}

#[test]
fn a_message_waits_for_the_status_before_it_and_not_long_msg_03_i_08() {
    let mut rig = Rig::connected();
    typing(&mut rig);
    let first = rig.sent();
    rig.send(BOB, "hello");
    rig.assert_silent();
    rig.pass(seconds(4));
    assert_eq!(rig.sent().body(), "hello");
    rig.reply(&first, 200, &[]);
    rig.pass(seconds(60));
    typing(&mut rig);
    rig.assert_silent();
}

#[test]
fn nobody_is_told_what_became_of_a_status() {
    let mut rig = Rig::connected();
    typing(&mut rig);
    next_state(&mut rig);
    typing(&mut rig);
    rig.lose();
    assert_eq!(rig.outgoing(), []);
}

#[test]
fn a_status_meets_challenges_like_every_request() {
    let mut rig = Rig::connected();
    typing(&mut rig);
    let message = rig.sent();
    rig.reply(
        &message,
        407,
        &[("Proxy-Authenticate", r#"Digest realm="example.test", nonce="n", qop="auth""#)],
    );
    let again = rig.sent();
    assert!(again.has(Header::ProxyAuthorization) && state(&again).active);
}

fn come(rig: &mut Rig, branch: &'static str, kind: &str, body: &str) {
    let extra = format!("Content-Type: {kind}\r\n");
    let call_id = branch;
    rig.receive(
        Incoming { branch, call_id, extra, body: body.as_bytes().to_vec(), ..Incoming::default() }.bytes(),
    );
}

const KIND: &str = "application/im-iscomposing+xml";

fn active(refresh: Option<u32>) -> String {
    IsComposing::active(refresh).to_xml()
}

#[test]
fn a_status_that_comes_is_told_answered_and_never_stored_comp_05() {
    let mut rig = Rig::connected();
    come(&mut rig, "z9hG4bK1", KIND, &active(None));
    assert_eq!(status(&rig.sent()), 200);
    let events = rig.events();
    assert!(
        matches!(&events[..], [Event::Composing { from, active: true }] if from.as_str() == BOB),
        "{events:?}"
    );
}

#[test]
fn an_active_state_ends_by_idle_by_a_message_and_by_time_comp_03() {
    let mut rig = Rig::registered();
    come(&mut rig, "z9hG4bK1", KIND, &active(None));
    come(&mut rig, "z9hG4bK2", KIND, &IsComposing::idle().to_xml());
    assert_eq!(told(&mut rig), [true, false]);
    come(&mut rig, "z9hG4bK3", KIND, &active(None));
    come(&mut rig, "z9hG4bK4", "text/plain", "hello");
    assert_eq!(told(&mut rig), [true, false]);
    come(&mut rig, "z9hG4bK5", KIND, &active(Some(30)));
    rig.pass(seconds(29));
    assert_eq!(told(&mut rig), [true]);
    rig.pass(seconds(1));
    assert_eq!(told(&mut rig), [false]);
    come(&mut rig, "z9hG4bK6", KIND, &active(None));
    rig.pass(seconds(119));
    assert_eq!(told(&mut rig), [true]);
    rig.pass(seconds(1));
    assert_eq!(told(&mut rig), [false]);
}

#[test]
fn repeated_actives_go_on_and_unknown_states_are_idle_comp_04() {
    let mut rig = Rig::registered();
    come(&mut rig, "z9hG4bK1", KIND, &active(Some(60)));
    rig.pass(seconds(50));
    come(&mut rig, "z9hG4bK2", KIND, &active(Some(60)));
    rig.pass(seconds(50));
    assert_eq!(told(&mut rig), [true]);
    come(&mut rig, "z9hG4bK3", KIND, "<isComposing><state>dancing</state></isComposing>");
    assert_eq!(told(&mut rig), [false]);
}

#[test]
fn a_strangers_refresh_does_not_hold_for_ever() {
    let mut rig = Rig::registered();
    come(&mut rig, "z9hG4bK1", KIND, &active(Some(u32::MAX)));
    rig.pass(seconds(601));
    assert_eq!(told(&mut rig), [true, false]);
}

#[test]
fn a_recipient_that_is_none_is_refused() {
    let mut rig = Rig::connected();
    assert!(rig.tell(|agent, now| agent.composing(now, "bob")).is_err());
}

#[test]
fn a_message_after_a_refused_status_goes_its_way() {
    let mut rig = Rig::connected();
    typing(&mut rig);
    let status = rig.sent();
    let message = NewMessage::new(BOB, "text/plain", "hello").unwrap();
    rig.tell(|agent, now| agent.send_message(now, message)).unwrap();
    rig.reply(&status, 415, &[]);
    let message = rig.sent();
    rig.reply(&message, 200, &[]);
    assert!(matches!(rig.outgoing().last(), Some((_, OutgoingState::Accepted { .. }))));
}
