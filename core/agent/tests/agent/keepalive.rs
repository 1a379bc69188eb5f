//! Pings and pongs.

use crate::rig::{Rig, account, seconds};
use aldis_agent::{ConnectionChange, Event, LostReason, Reason};
use std::time::Duration;

const OUTBOUND: (&str, &str) = ("Require", "outbound");

/// Until the next ping; how long it took.
fn next_ping(rig: &mut Rig) -> Duration {
    let from = rig.now.mono;
    loop {
        rig.step();
        match rig.sent_bytes() {
            Some(bytes) if &bytes[..] == b"\r\n\r\n" => return rig.now.mono - from,
            Some(bytes) => panic!("{bytes:?}"),
            None => {}
        }
    }
}

fn lost(rig: &mut Rig) -> Option<LostReason> {
    rig.events().into_iter().find_map(|event| match event {
        Event::Connection { change: ConnectionChange::Lost { why }, .. } => Some(why),
        _ => None,
    })
}

#[test]
fn pings_follow_the_flow_timer_out_15_out_16() {
    let mut rig = Rig::registered_with(account(), &[OUTBOUND, ("Flow-Timer", "30")]);
    let mut waits = Vec::new();
    for _ in 0..20 {
        waits.push(next_ping(&mut rig));
        rig.receive("\r\n");
    }
    assert!(waits.iter().all(|wait| (seconds(24)..=seconds(30)).contains(wait)), "{waits:?}");
    waits.dedup();
    assert!(waits.len() > 10, "each ping has its own interval: {waits:?}");
}

#[test]
fn without_a_flow_timer_pings_come_each_95_to_120_s_out_17() {
    let mut rig = Rig::registered_with(account(), &[OUTBOUND]);
    for _ in 0..20 {
        let wait = next_ping(&mut rig);
        rig.receive("\r\n");
        assert!((Duration::from_millis(94_800)..=seconds(120)).contains(&wait), "{wait:?}");
    }
}

#[test]
fn keep_in_our_via_sets_the_interval_out_21() {
    let (mut rig, register) = Rig::registering();
    let contact = register.value(aldis_sip::Header::Contact).unwrap();
    let bytes = crate::rig::response(&register, 200, &[("Contact", contact)]);
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let kept = text.replacen(";keep", ";keep=20", 1);
    assert_ne!(kept, text);
    rig.receive(kept);
    assert!(next_ping(&mut rig) <= seconds(20));
    rig.pass(seconds(10));
    assert_eq!(lost(&mut rig), Some(LostReason::NoPong));
}

#[test]
fn a_missing_pong_replaces_the_connection_out_18() {
    let mut rig = Rig::registered_with(account(), &[OUTBOUND]);
    next_ping(&mut rig);
    assert_eq!(rig.deadline.map(|deadline| deadline.reason), Some(Reason::Pong));
    rig.pass(Duration::from_millis(9_999));
    assert!(rig.is_up());
    rig.pass(Duration::from_millis(1));
    assert!(!rig.is_up());
    // Pings are spread, so need no connection be that replaces what they find dead.
    assert!(rig.wants_connection());
    assert_eq!(lost(&mut rig), Some(LostReason::NoPong));
}

#[test]
fn silence_is_found_out_within_the_interval_and_the_time_of_a_pong_out_17_out_18() {
    for seed in 0..50 {
        let mut rig = Rig::seeded(account(), seed);
        rig.register();
        rig.connect();
        let register = rig.sent();
        rig.accept(&register, &[OUTBOUND]);
        let silent_since = rig.now.mono;
        next_ping(&mut rig);
        rig.pass(seconds(10));
        assert!(rig.wants_connection());
        assert!(rig.now.mono - silent_since < seconds(130), "{:?}", rig.now.mono - silent_since);
    }
}

#[test]
fn where_quiet_connections_die_the_next_one_is_pinged_sooner_until_the_network_changes_out_17() {
    let mut rig = Rig::registered_with(account(), &[OUTBOUND]);
    for longest in [120, 60, 30, 30] {
        let wait = next_ping(&mut rig);
        assert!((seconds(longest) * 79 / 100..=seconds(longest)).contains(&wait), "{longest}: {wait:?}");
        rig.pass(seconds(10));
        assert_eq!(lost(&mut rig), Some(LostReason::NoPong));
        registered_anew(&mut rig);
        // The first ping shows that this one lives (OUT-10).
        assert!(next_ping(&mut rig) <= seconds(32));
        rig.receive("\r\n");
    }
    // One that bears it is kept so.
    for _ in 0..3 {
        assert!(next_ping(&mut rig) <= seconds(30));
        rig.receive("\r\n");
    }
    rig.tell(|agent, now| agent.network_changed(now));
    registered_anew(&mut rig);
    rig.receive("\r\n");
    assert!(next_ping(&mut rig) > seconds(90));
}

#[test]
fn a_connection_that_a_sleep_ended_says_nothing_of_the_network_out_17() {
    let mut rig = Rig::registered_with(account(), &[OUTBOUND]);
    rig.pass(seconds(60));
    rig.tell(|agent, now| agent.enter_foreground(now));
    assert_eq!(rig.sent_bytes().as_deref(), Some(&b"\r\n\r\n"[..]));
    rig.pass(seconds(4));
    assert_eq!(lost(&mut rig), Some(LostReason::NoPong));
    registered_anew(&mut rig);
    assert!(next_ping(&mut rig) <= seconds(32));
    rig.receive("\r\n");
    assert!(next_ping(&mut rig) > seconds(90));
}

/// The connection that is wanted comes up, and is registered.
fn registered_anew(rig: &mut Rig) {
    while !rig.wants_connection() {
        rig.step();
    }
    rig.connect();
    loop {
        if let Some(bytes) = rig.sent_bytes().filter(|bytes| bytes.starts_with(b"REGISTER")) {
            let register = aldis_sip::Message::parse(bytes).unwrap().0;
            return rig.accept(&register, &[OUTBOUND]);
        }
    }
}

#[test]
fn a_pong_is_expected_only_of_who_promised_or_gave_one_out_19_i_18() {
    let mut rig = Rig::registered_with(account(), &[("Supported", "path, outbound")]);
    next_ping(&mut rig);
    next_ping(&mut rig);
    assert!(rig.is_up());
    rig.receive("\r\n");
    next_ping(&mut rig);
    rig.pass(seconds(10));
    assert_eq!(lost(&mut rig), Some(LostReason::NoPong));
}

#[test]
fn ob_in_the_path_promises_pongs_out_19() {
    let mut rig = Rig::registered_with(account(), &[("Path", "<sip:edge.test;lr;ob>")]);
    next_ping(&mut rig);
    rig.pass(seconds(10));
    assert_eq!(lost(&mut rig), Some(LostReason::NoPong));
}

#[test]
fn a_ping_of_the_server_is_answered_out_20_i_19() {
    let mut rig = Rig::registered();
    rig.receive("\r\n\r\n");
    assert_eq!(rig.sent_bytes().unwrap(), "\r\n");
    rig.receive("\r\n");
    rig.assert_silent();
    rig.receive("\r\n");
    assert_eq!(rig.sent_bytes().unwrap(), "\r\n");
    rig.assert_silent();
}

#[test]
fn a_ping_of_the_server_is_answered_although_a_pong_is_awaited_out_20() {
    let mut rig = Rig::registered_with(account(), &[OUTBOUND]);
    next_ping(&mut rig);
    rig.receive("\r\n\r\n");
    assert_eq!(rig.sent_bytes().unwrap(), "\r\n");
    rig.assert_silent();
    rig.pass(seconds(20));
    assert!(rig.is_up());
}

#[test]
fn a_device_that_slept_pings_and_gives_the_server_its_time_to_answer() {
    let mut rig = Rig::registered_with(account(), &[OUTBOUND]);
    rig.sleep(seconds(1000));
    assert_eq!(rig.sent_bytes().unwrap(), "\r\n\r\n");
    rig.pass(Duration::from_millis(3_999));
    assert!(rig.is_up());
    rig.receive("\r\n");
    rig.pass(seconds(20));
    assert!(rig.is_up());
}

#[test]
fn an_unregistered_connection_is_not_pinged() {
    let mut rig = Rig::connected();
    rig.pass(seconds(31));
    rig.assert_silent();
}
