//! What a registrar can say other than yes, and what follows.

use crate::rig::{BOB, Rig, account, contact_expires, seconds};
use aldis_agent::{MessageFailure, OutgoingState, RegistrationChange, RegistrationFailure};
use aldis_sip::{Header, Method};
use std::time::Duration;

/// The failure that was told, and when the next attempt comes.
fn failure(rig: &mut Rig) -> (RegistrationFailure, Option<Duration>) {
    let changes = rig.registrations();
    match changes.as_slice() {
        [.., RegistrationChange::Failed { why, retry_in, .. }] => (why.clone(), *retry_in),
        _ => panic!("{changes:?}"),
    }
}

#[test]
fn an_expiry_too_brief_is_raised_once_reg_15() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 423, &[("Min-Expires", "7200")]);
    let again = rig.sent();
    assert_eq!(contact_expires(&again), Some(7200));
    assert_eq!(again.cseq().unwrap().number, 2);
    rig.reply(&again, 423, &[("Min-Expires", "9000")]);
    rig.assert_silent();
    assert_eq!(failure(&mut rig).0, RegistrationFailure::Interval);
}

#[test]
fn a_423_without_min_expires_is_a_refusal_with_a_next_attempt_reg_15_reg_21() {
    for fields in [&[][..], &[("Min-Expires", "60")]] {
        let (mut rig, register) = Rig::registering();
        rig.reply(&register, 423, fields);
        rig.assert_silent();
        let (why, retry_in) = failure(&mut rig);
        assert_eq!(why, RegistrationFailure::Interval);
        assert!(retry_in.is_some());
    }
}

#[test]
fn a_439_is_answered_without_outbound_out_06_i_14() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 439, &[]);
    let again = rig.sent();
    assert_eq!(again.value(Header::Supported), Some("path, gruu"));
    let contact = again.value(Header::Contact).unwrap();
    assert!(contact.contains("+sip.instance") && !contact.contains("reg-id"), "{contact}");
    rig.accept(&again, &[("Require", "outbound")]);
    let changes = rig.registrations();
    assert!(
        matches!(changes.as_slice(), [RegistrationChange::Registered { outbound: false, .. }]),
        "{changes:?}"
    );
}

#[test]
fn a_second_439_is_a_failure_out_06() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 439, &[]);
    let again = rig.sent();
    rig.reply(&again, 439, &[]);
    rig.assert_silent();
    assert!(matches!(failure(&mut rig).0, RegistrationFailure::Unavailable { .. }));
}

#[test]
fn refusals_for_good_stay_until_the_app_acts_reg_21_gen_17() {
    for (status, is_forbidden) in [(403, true), (404, false)] {
        let (mut rig, register) = Rig::registering();
        rig.reply(&register, status, &[]);
        let (why, retry_in) = failure(&mut rig);
        assert_eq!(matches!(why, RegistrationFailure::Forbidden { .. }), is_forbidden);
        assert!(why.is_final());
        assert_eq!(retry_in, None);
        rig.pass(seconds(100_000));
        rig.assert_silent();
        assert!(!rig.wants_connection());
        rig.register();
        rig.connect();
        assert_eq!(rig.sent().method(), Some(Method::Register));
    }
}

#[test]
fn a_refusal_ends_what_waited_for_the_registration() {
    let (mut rig, register) = Rig::registering();
    let id = rig.send(BOB, "waits");
    rig.reply(&register, 403, &[]);
    let states = rig.outgoing();
    let [(told, OutgoingState::Failed { why: MessageFailure::NotRegistered(why), .. })] = &states[1..] else {
        panic!("{states:?}")
    };
    assert_eq!(*told, id);
    assert!(matches!(why, RegistrationFailure::Forbidden { .. }));
    rig.send(BOB, "no more");
    assert!(matches!(
        rig.outgoing().as_slice(),
        [(_, OutgoingState::Queued), (_, OutgoingState::Failed { .. })]
    ));
}

#[test]
fn a_refused_refresh_leaves_messages_under_way_alone() {
    let mut rig = Rig::registered();
    rig.pass(seconds(2800));
    while rig.sent_bytes().is_some() {}
    let register = loop {
        rig.step();
        if let Some(bytes) = rig.sent_bytes().filter(|bytes| bytes.len() > 4) {
            break aldis_sip::Message::parse(bytes).unwrap().0;
        }
    };
    while rig.sent_bytes().is_some() {}
    let id = rig.send(BOB, "under way");
    let message = rig.sent();
    rig.events();
    rig.reply(&register, 403, &[]);
    assert_eq!(rig.outgoing(), []);
    rig.reply(&message, 200, &[]);
    let states = rig.outgoing();
    assert!(
        matches!(states.as_slice(), [(told, OutgoingState::Accepted { .. })] if *told == id),
        "{states:?}"
    );
}

#[test]
fn what_can_pass_has_a_next_attempt_on_the_same_connection_reg_18_reg_21_gen_16() {
    for status in [300, 302, 400, 408, 420, 430, 480, 486, 500, 504, 555, 600, 603, 699] {
        let (mut rig, register) = Rig::registering();
        rig.reply(&register, status, &[]);
        let (why, retry_in) = failure(&mut rig);
        let redirects = matches!(why, RegistrationFailure::Redirected { to: None, .. }) && status < 400;
        assert!(redirects || matches!(why, RegistrationFailure::Unavailable { .. }), "{status}: {why:?}");
        let retry_in = retry_in.unwrap();
        assert!((Duration::from_millis(500)..=seconds(1)).contains(&retry_in), "{status}: {retry_in:?}");
        assert!(rig.is_up());
        rig.pass(retry_in);
        assert_eq!(rig.sent().cseq().unwrap().number, 2);
    }
}

#[test]
fn retry_after_sets_the_next_attempt_reg_17() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 503, &[("Retry-After", "120 (busy);duration=60")]);
    assert_eq!(failure(&mut rig).1, Some(seconds(120)));
    rig.pass(Duration::from_millis(119_999));
    assert!(!rig.wants_connection());
    rig.pass(Duration::from_millis(1));
    assert!(rig.wants_connection());
}

#[test]
fn after_a_503_another_host_is_asked_if_there_is_one_reg_17_reg_18_dns_08() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 503, &[]);
    let retry_in = failure(&mut rig).1.unwrap();
    assert!((Duration::from_millis(500)..=seconds(1)).contains(&retry_in), "{retry_in:?}");
    rig.pass(retry_in);
    assert_eq!(rig.wanted[0].avoid, [crate::rig::PEER.parse().unwrap()]);
    assert!(rig.is_up(), "the connection that answers is kept until there is another");
    rig.connect_between("192.0.2.1:40009", "198.51.100.8:5061");
    let register = rig.sent();
    rig.accept(&register, &[]);
    assert_eq!((rig.closed.len(), rig.up.len()), (1, 1));
}

#[test]
fn after_a_503_of_the_only_host_it_is_asked_again_on_its_connection_reg_17_reg_18() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 503, &[]);
    let retry_in = failure(&mut rig).1.unwrap();
    rig.pass(retry_in);
    rig.fail_to_connect();
    let again = rig.sent();
    assert_eq!(rig.route(&again), rig.route(&register));
    assert!(!rig.wants_connection());
}

#[test]
fn a_refresh_that_meets_a_503_closes_nothing_reg_18() {
    let mut rig = Rig::registered_with(account(), &[("Require", "outbound")]);
    let refresh = loop {
        rig.step();
        match rig.sent_bytes() {
            Some(bytes) if bytes.len() > 4 => break aldis_sip::Message::parse(bytes).unwrap().0,
            Some(_) => rig.receive("\r\n"),
            None => {}
        }
    };
    while rig.sent_bytes().is_some() {
        rig.receive("\r\n");
    }
    rig.reply(&refresh, 503, &[("Retry-After", "20")]);
    rig.pass(seconds(20));
    assert_eq!(rig.sent().method(), Some(Method::Register));
    assert!(rig.is_up() && rig.closed.is_empty() && !rig.wants_connection());
}

#[test]
fn retry_after_0_is_now_and_not_again_and_again_reg_17() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 503, &[("Retry-After", "0")]);
    rig.connect();
    let again = rig.sent();
    rig.reply(&again, 503, &[("Retry-After", "0")]);
    rig.assert_silent();
    assert!(failure(&mut rig).1.unwrap() >= seconds(1));
}

#[test]
fn failures_in_a_row_wait_longer_out_09() {
    let (mut rig, mut register) = Rig::registering();
    for failures in 1..=14_u32 {
        rig.reply(&register, 500, &[]);
        let retry_in = failure(&mut rig).1.unwrap();
        let most = Duration::from_millis(500).saturating_mul(1 << failures).min(seconds(1800));
        assert!((most / 2..=most).contains(&retry_in), "{failures}: {retry_in:?}");
        rig.sleep(retry_in);
        register = loop {
            let bytes = rig.sent_bytes().expect("a REGISTER");
            if bytes.len() > 4 {
                break aldis_sip::Message::parse(bytes).unwrap().0;
            }
        };
    }
}

#[test]
fn asking_again_does_not_wait() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 503, &[("Retry-After", "3600")]);
    rig.assert_silent();
    rig.register();
    assert!(rig.wants_connection());
}

#[test]
fn no_answer_in_32_s_gives_the_connection_up_and_waits_txn_01_reg_16() {
    let (mut rig, _) = Rig::registering();
    rig.pass(Duration::from_millis(31_999));
    assert!(rig.is_up());
    rig.pass(Duration::from_millis(1));
    assert!(!rig.is_up());
    assert!(!rig.wants_connection(), "REG-16 forbids an immediate retry");
    let (why, retry_in) = failure(&mut rig);
    assert_eq!(why, RegistrationFailure::Timeout);
    rig.pass(retry_in.unwrap());
    assert!(rig.wants_connection());
}

#[test]
fn no_answer_to_a_refresh_is_not_followed_by_an_immediate_attempt_reg_16() {
    let mut rig = Rig::registered();
    loop {
        rig.step();
        if rig.sent_bytes().is_some_and(|bytes| bytes.starts_with(b"REGISTER")) {
            break;
        }
    }
    rig.events();
    rig.pass(seconds(32));
    let (why, retry_in) = failure(&mut rig);
    assert_eq!(why, RegistrationFailure::Timeout);
    assert!(retry_in.unwrap() >= Duration::from_millis(500));
}

#[test]
fn a_provisional_response_ends_no_waiting_txn_01() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 100, &[]);
    rig.reply(&register, 183, &[]);
    assert_eq!(rig.registrations(), []);
    rig.pass(seconds(32));
    assert!(!rig.is_up());
}

#[test]
fn a_refused_refresh_is_no_registration_any_more() {
    let mut rig = Rig::registered();
    rig.pass(seconds(2800));
    while rig.sent_bytes().is_some() {}
    rig.sleep(seconds(500));
    let register = loop {
        let bytes = rig.sent_bytes().expect("a REGISTER");
        if bytes.len() > 4 {
            break aldis_sip::Message::parse(bytes).unwrap().0;
        }
    };
    rig.reply(&register, 200, &[("Contact", "<sip:other@203.0.113.1>;expires=60")]);
    assert_eq!(failure(&mut rig).0, RegistrationFailure::NoBinding);
    rig.send(BOB, "waits");
    assert!(rig.outgoing().iter().all(|(_, state)| *state == OutgoingState::Queued));
}
