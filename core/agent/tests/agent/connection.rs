//! Connections: made, lost, made again.

use crate::rig::{BOB, Incoming, Rig, account, response, seconds};
use aldis_agent::{
    BackOffReason, ConnectionChange, Event, LostReason, OutgoingState, RegistrationChange, UnknownReason,
};
use aldis_sip::{Header, Method};
use std::time::Duration;

fn connections(rig: &mut Rig) -> Vec<ConnectionChange> {
    let change = |event| match event {
        Event::Connection { change, .. } => Some(change),
        _ => None,
    };
    rig.events().into_iter().filter_map(change).collect()
}

/// When the next attempt comes.
fn retry_in(rig: &mut Rig) -> Duration {
    match connections(rig).as_slice() {
        [.., ConnectionChange::BackingOff { retry_in, .. }] => *retry_in,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_connected_before_somebody_needs_it() {
    let mut rig = Rig::default();
    rig.tell(|agent, now| agent.network_changed(now));
    rig.tell(|agent, now| agent.handle_timeout(now));
    assert!(!rig.wants_connection());
    assert_eq!(rig.deadline, None);
}

#[test]
fn nothing_is_sent_before_the_server_has_proved_itself() {
    let mut rig = Rig::default();
    rig.register();
    rig.send(BOB, "early");
    rig.assert_silent();
    assert_eq!(connections(&mut rig), [ConnectionChange::Connecting]);
    let flow = rig.connect();
    assert_eq!(connections(&mut rig), [ConnectionChange::Connected { flow }]);
}

#[test]
fn failed_attempts_wait_longer_and_longer_up_to_half_an_hour_out_09() {
    let mut rig = Rig::default();
    rig.register();
    for failures in 1..=14_u32 {
        rig.fail_to_connect();
        let waited = retry_in(&mut rig);
        let most = Duration::from_millis(500).saturating_mul(1 << failures).min(seconds(1800));
        assert!((most / 2..=most).contains(&waited), "{failures}: {waited:?}");
        rig.pass(waited - Duration::from_millis(1));
        assert!(!rig.wants_connection());
        rig.pass(Duration::from_millis(1));
        assert!(rig.wants_connection());
    }
}

#[test]
fn the_reason_for_waiting_is_told() {
    let mut rig = Rig::default();
    rig.register();
    rig.fail_to_connect();
    let changes = connections(&mut rig);
    assert!(matches!(
        changes.as_slice(),
        [
            ConnectionChange::Connecting,
            ConnectionChange::BackingOff { why: BackOffReason::ConnectFailed, .. }
        ]
    ));
    rig.pass(seconds(1));
    rig.connect();
    rig.lose();
    let changes = connections(&mut rig);
    let [
        ..,
        ConnectionChange::Lost { why },
        ConnectionChange::BackingOff { why: BackOffReason::Lost(again), .. },
    ] = changes.as_slice()
    else {
        panic!("{changes:?}")
    };
    assert_eq!((why, again), (&LostReason::ClosedByServer, &LostReason::ClosedByServer));
}

#[test]
fn whoever_asks_to_be_registered_is_connected_at_once_and_the_back_off_goes_on_after_it_out_09() {
    for unregisters in [true, false] {
        let mut rig = Rig::default();
        rig.register();
        for _ in 0..8 {
            while !rig.wants_connection() {
                rig.step();
            }
            rig.fail_to_connect();
        }
        if unregisters {
            rig.unregister();
        }
        rig.register();
        assert!(rig.wants_connection());
        rig.events();
        rig.fail_to_connect();
        let waited = retry_in(&mut rig);
        assert!((seconds(128)..=seconds(256)).contains(&waited), "{waited:?}");
    }
}

#[test]
fn a_registered_connection_is_replaced_at_once_out_11() {
    let mut rig = Rig::registered();
    rig.lose();
    rig.pass(Duration::from_millis(500));
    assert!(rig.wants_connection());
}

#[test]
fn the_first_reconnect_is_spread_out_11() {
    let waits: std::collections::BTreeSet<_> = (0..20)
        .map(|seed| {
            let mut rig = Rig::seeded(account(), seed);
            rig.register();
            rig.connect();
            let register = rig.sent();
            rig.accept(&register, &[]);
            rig.lose();
            let lost_at = rig.now.mono;
            rig.deadline.map(|deadline| deadline.at - lost_at)
        })
        .collect();
    assert!(waits.len() > 10, "a restarted server would meet a stampede: {waits:?}");
}

#[test]
fn a_connection_lost_while_registering_counts_as_a_failure_out_10() {
    let (mut rig, _) = Rig::registering();
    rig.lose();
    let waited = retry_in(&mut rig);
    assert!((Duration::from_millis(500)..=seconds(1)).contains(&waited), "{waited:?}");
    rig.pass(waited);
    rig.connect();
    assert_eq!(rig.sent().method(), Some(Method::Register));
    assert!(rig.registrations().contains(&RegistrationChange::Registering));
}

#[test]
fn a_server_that_challenges_and_closes_is_left_alone_longer_and_longer_out_10() {
    let mut rig = Rig::default();
    rig.register();
    let mut last = Duration::ZERO;
    for _ in 0..8 {
        rig.connect();
        let register = rig.sent();
        rig.reply(&register, 401, &[("WWW-Authenticate", r#"Digest realm="r", nonce="n", stale=true"#)]);
        rig.sent();
        rig.lose();
        last = retry_in(&mut rig);
        rig.pass(last);
    }
    assert!(last >= seconds(64), "{last:?}");
}

#[test]
fn a_server_that_registers_and_closes_is_left_alone_longer_and_longer_out_10() {
    for require in [&[][..], &[("Require", "outbound")]] {
        let mut rig = Rig::default();
        rig.register();
        let mut waited = Vec::new();
        for _ in 0..8 {
            rig.connect();
            let register = rig.sent();
            rig.accept(&register, require);
            let lost_at = rig.now.mono;
            rig.lose();
            while !rig.wants_connection() {
                rig.step();
            }
            waited.push(rig.now.mono - lost_at);
        }
        assert!(waited[0] <= Duration::from_millis(500), "{waited:?}");
        assert!(*waited.last().unwrap() >= seconds(32), "{waited:?}");
    }
}

#[test]
fn a_connection_that_lasted_ends_the_waiting_out_10() {
    let mut rig = Rig::default();
    rig.register();
    for _ in 0..5 {
        rig.fail_to_connect();
        rig.pass(seconds(60));
    }
    rig.connect();
    let register = rig.sent();
    rig.accept(&register, &[]);
    rig.pass(seconds(33));
    rig.lose();
    rig.pass(Duration::from_millis(500));
    assert!(rig.wants_connection());
    rig.fail_to_connect();
    assert!(retry_in(&mut rig) <= seconds(2));
}

#[test]
fn a_pong_ends_the_waiting_out_10() {
    let mut rig = Rig::default();
    rig.register();
    for _ in 0..5 {
        rig.fail_to_connect();
        rig.pass(seconds(60));
    }
    rig.connect();
    let register = rig.sent();
    rig.accept(&register, &[("Require", "outbound"), ("Flow-Timer", "10")]);
    rig.step();
    assert_eq!(rig.sent_bytes().unwrap(), "\r\n\r\n");
    rig.receive("\r\n");
    rig.lose();
    rig.pass(Duration::from_millis(500));
    assert!(rig.wants_connection());
}

#[test]
fn a_flow_after_failures_is_pinged_as_soon_as_it_has_lasted_so_that_they_end_out_10() {
    let mut rig = Rig::default();
    rig.register();
    for _ in 0..5 {
        rig.fail_to_connect();
        rig.pass(seconds(60));
    }
    rig.connect();
    let register = rig.sent();
    rig.accept(&register, &[("Require", "outbound")]);
    rig.pass(Duration::from_millis(31_999));
    assert_eq!(rig.sent_bytes(), None);
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.sent_bytes().unwrap(), "\r\n\r\n");
    rig.receive("\r\n");
    rig.pass(seconds(60));
    assert_eq!(rig.sent_bytes(), None, "from then on in its usual time");
    rig.lose();
    rig.pass(Duration::from_millis(500));
    assert!(rig.wants_connection());
}

#[test]
fn a_changed_network_ends_waiting_and_attempts() {
    let mut rig = Rig::default();
    rig.register();
    for _ in 0..6 {
        rig.fail_to_connect();
        rig.pass(seconds(60));
    }
    rig.fail_to_connect();
    rig.tell(|agent, now| agent.network_changed(now));
    assert!(rig.wants_connection(), "waiting goes on");
    rig.tell(|agent, now| agent.network_changed(now));
    assert_eq!(rig.closed.len(), 1, "the attempt over the old network goes on");
    assert!(rig.wants_connection());
    rig.fail_to_connect();
    assert!(retry_in(&mut rig) <= seconds(1));
}

#[test]
fn a_connection_that_comes_too_late_is_closed() {
    let mut rig = Rig::default();
    rig.register();
    let mut other = Rig::default();
    other.register();
    let id = other.connect();
    rig.unregister();
    rig.tell(|agent, now| {
        agent.handle_connected(now, id, "192.0.2.1:5".parse().unwrap(), "192.0.2.2:5".parse().unwrap());
    });
    assert_eq!(rig.closed, [id, id], "once as an attempt, once as a connection");
}

#[test]
fn what_belongs_to_an_old_connection_is_ignored() {
    let mut rig = Rig::registered();
    let old = {
        rig.lose();
        rig.pass(seconds(1));
        rig.connect()
    };
    rig.sent();
    rig.lose();
    rig.pass(seconds(5));
    rig.connect();
    rig.sent();
    rig.events();
    rig.tell(|agent, now| agent.handle_bytes(now, old, b"garbage\r\n\r\n"));
    rig.tell(|agent, now| agent.handle_closed(now, old, LostReason::ClosedByServer));
    rig.tell(|agent, now| agent.handle_connect_failed(now, old));
    assert!(rig.is_up());
    assert!(rig.events().is_empty());
}

#[test]
fn a_server_that_does_not_speak_sip_is_left_and_tried_again() {
    for garbage in
        ["HTTP/1.1 400 Bad Request\r\n\r\n", "\u{0}\u{1}\u{2}nonsense\r\n\r\n", "SSH-2.0-OpenSSH\r\n\r\n"]
    {
        let (mut rig, _) = Rig::registering();
        rig.receive(garbage);
        let changes = connections(&mut rig);
        assert!(
            matches!(changes.first(), Some(ConnectionChange::Lost { why: LostReason::NotSip(_) })),
            "{garbage:?}: {changes:?}"
        );
        assert!(!rig.is_up() && !rig.wants_connection());
        rig.pass(seconds(1));
        assert!(rig.wants_connection());
    }
}

#[test]
fn endless_bytes_without_a_message_end_the_connection() {
    let (mut rig, _) = Rig::registering();
    let line = "X".repeat(1000);
    for _ in 0..100 {
        if !rig.is_up() {
            break;
        }
        rig.receive(&line);
    }
    assert!(!rig.is_up());
}

#[test]
fn messages_come_in_any_pieces() {
    let (mut rig, register) = Rig::registering();
    let contact = register.value(Header::Contact).unwrap();
    for byte in response(&register, 200, &[("Contact", contact)]) {
        rig.receive([byte]);
    }
    assert!(matches!(rig.registrations().as_slice(), [RegistrationChange::Registered { .. }]));
}

#[test]
fn several_messages_come_at_once() {
    let mut rig = Rig::registered();
    let mut both = Incoming { branch: "z9hG4bKa", call_id: "a", ..Incoming::default() }.bytes();
    both.extend(Incoming { branch: "z9hG4bKb", call_id: "b", ..Incoming::default() }.bytes());
    rig.receive(both);
    assert_eq!(rig.received().len(), 2);
}

#[test]
fn a_response_that_is_not_ours_does_nothing_txn_03_gen_12_gen_13() {
    let (mut rig, register) = Rig::registering();
    let good = String::from_utf8(response(&register, 200, &[]).to_vec()).unwrap();
    let branch = register.via().unwrap().branch().unwrap().into_owned();
    for (what, wrong) in [
        ("another branch", good.replace(&branch, "z9hG4bKother")),
        ("another sent-by", good.replace("192.0.2.1:40001", "192.0.2.9:40001")),
        ("another port", good.replace("192.0.2.1:40001", "192.0.2.1:40002")),
        ("two Vias", good.replace("From:", "Via: SIP/2.0/TLS other.test;branch=z9hG4bKx\r\nFrom:")),
        ("another method", good.replace("1 REGISTER", "1 MESSAGE")),
        ("no CSeq", good.replace("CSeq: 1 REGISTER\r\n", "")),
        ("a wrong status", good.replace("SIP/2.0 200", "SIP/2.0 099")),
    ] {
        assert_ne!(wrong, good, "{what}");
        rig.receive(&wrong);
        assert!(rig.registrations().is_empty(), "{what}");
        rig.assert_silent();
    }
    rig.receive(&good);
    assert_eq!(rig.registrations().len(), 1, "the right one is still awaited");
}

#[test]
fn a_response_counts_once() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 403, &[]);
    rig.events();
    rig.accept(&register, &[]);
    assert!(rig.events().is_empty());
}

#[test]
fn a_connection_that_nobody_needs_closes_after_a_while() {
    let mut rig = Rig::connected();
    rig.pass(Duration::from_millis(31_999));
    assert!(rig.is_up());
    rig.pass(Duration::from_millis(1));
    assert!(!rig.is_up());
    assert_eq!(connections(&mut rig), [ConnectionChange::Closed]);
    assert_eq!(rig.deadline, None);
}

#[test]
fn another_message_keeps_the_connection_a_while_longer() {
    let mut rig = Rig::connected();
    rig.pass(seconds(20));
    rig.send(BOB, "second");
    let message = rig.sent();
    rig.pass(seconds(10));
    rig.reply(&message, 200, &[]);
    rig.pass(seconds(31));
    assert!(rig.is_up());
    rig.pass(seconds(1));
    assert!(!rig.is_up());
}

#[test]
fn a_message_under_way_leaves_again_when_its_connection_is_lost_msg_15_gen_10() {
    let mut rig = Rig::connected();
    let id = rig.send(BOB, "under way");
    let first = rig.sent();
    rig.send(BOB, "waiting");
    rig.events();
    rig.lose();
    rig.pass(seconds(1));
    rig.connect();
    let again = rig.sent();
    for header in [Header::AldisMessageId, Header::CallId, Header::From, Header::To, Header::CSeq] {
        assert_eq!(again.value(header), first.value(header));
    }
    assert_eq!(again.body(), first.body());
    assert_ne!(again.via().unwrap().branch(), first.via().unwrap().branch());
    assert_eq!(rig.outgoing(), [], "it is being sent still");
    rig.reply(&again, 200, &[]);
    assert!(matches!(rig.outgoing().as_slice(), [(told, OutgoingState::Accepted { .. }), ..] if *told == id));
    assert_eq!(rig.sent().body(), "waiting");
}

#[test]
fn an_account_can_have_such_a_message_called_unknown_instead_msg_16_msg_07() {
    let mut rig = Rig::connected_with(account().without_resending());
    let id = rig.send(BOB, "under way");
    rig.send(BOB, "waiting");
    rig.sent();
    rig.events();
    rig.lose();
    let expected = OutgoingState::Unknown { why: UnknownReason::ConnectionLost, status: None };
    assert_eq!(rig.outgoing(), [(id, expected)]);
    rig.pass(seconds(1));
    rig.connect();
    assert_eq!(rig.sent().body(), "waiting");
}

#[test]
fn a_message_that_brings_its_server_down_each_time_is_not_sent_for_ever_msg_07() {
    let mut rig = Rig::connected();
    let id = rig.send(BOB, "poison");
    rig.send(BOB, "next");
    rig.events();
    for _ in 0..4 {
        assert_eq!(rig.sent().body(), "poison");
        rig.lose();
        rig.pass(seconds(60));
        rig.connect();
    }
    let unknown = OutgoingState::Unknown { why: UnknownReason::ConnectionLost, status: None };
    assert!(rig.outgoing().contains(&(id, unknown)));
    assert_eq!(rig.sent().body(), "next");
}

#[test]
fn a_resent_message_that_meets_its_first_copy_goes_once_more_msg_15() {
    let mut rig = Rig::connected();
    let id = rig.send(BOB, "hello");
    rig.sent();
    rig.lose();
    rig.pass(seconds(1));
    rig.connect();
    let again = rig.sent();
    rig.events();
    rig.reply(&again, 482, &[]);
    let once_more = rig.sent();
    assert_eq!(once_more.value(Header::CallId), again.value(Header::CallId));
    rig.reply(&once_more, 200, &[]);
    assert!(matches!(rig.outgoing().as_slice(), [(told, OutgoingState::Accepted { .. })] if *told == id));
}

#[test]
fn a_message_taken_back_before_it_could_leave_again_is_unknown_msg_07() {
    let mut rig = Rig::connected();
    let id = rig.send(BOB, "hello");
    rig.lose();
    rig.events();
    rig.tell(|agent, now| agent.withdraw(now, id));
    let unknown = OutgoingState::Unknown { why: UnknownReason::Stopped, status: None };
    assert_eq!(rig.outgoing(), [(id, unknown)]);
}

#[test]
fn a_pong_without_a_registration_is_no_success_out_10() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 500, &[]);
    let old = rig.latest();
    rig.tell(|agent, now| agent.network_changed(now));
    assert_eq!(rig.sent_bytes().unwrap(), "\r\n\r\n", "a probe of the old one");
    rig.fail_to_connect();
    rig.receive_on(old, "\r\n");
    rig.sent();
    rig.events();
    rig.lose();
    let waited = retry_in(&mut rig);
    assert!((seconds(1)..=seconds(2)).contains(&waited), "{waited:?} after the second failure in a row");
}

#[test]
fn the_same_seed_and_calls_give_the_same_bytes() {
    let run = |seed| {
        let mut rig = Rig::seeded(account(), seed);
        rig.register();
        rig.send(BOB, "hello");
        rig.fail_to_connect();
        rig.pass(seconds(60));
        rig.connect();
        let register = rig.sent();
        rig.reply(&register, 401, &[("WWW-Authenticate", r#"Digest realm="r", nonce="n", qop="auth""#)]);
        let register = rig.sent();
        rig.accept(&register, &[]);
        rig.receive(Incoming::bare("OPTIONS").bytes());
        rig.pass(seconds(8000));
        (rig.transcript.clone(), rig.now.mono)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
