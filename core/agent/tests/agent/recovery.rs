//! A path that changes, a device that sleeps, an app that comes and goes.

use crate::rig::{BOB, Rig, account, contact_uri, seconds};
use aldis_agent::{
    Account, ConnectionChange, Event, Gruus, LostReason, Reason, RegistrationChange, RegistrationFailure,
    Timing,
};
use aldis_sip::{Header, Message, Method, Secret};
use std::time::Duration;

const OUTBOUND: (&str, &str) = ("Require", "outbound");

fn registered() -> Rig {
    registered_as(account())
}

fn registered_as(account: Account) -> Rig {
    Rig::registered_with(account, &[OUTBOUND])
}

fn connections(rig: &mut Rig) -> Vec<ConnectionChange> {
    let change = |event| match event {
        Event::Connection { change, .. } => Some(change),
        _ => None,
    };
    rig.events().into_iter().filter_map(change).collect()
}

fn change_network(rig: &mut Rig) {
    rig.tell(|agent, now| agent.network_changed(now));
}

#[test]
fn a_changed_network_makes_a_connection_at_once_and_keeps_the_old_one_until_it_is_registered_out_11() {
    let mut rig = registered();
    let old = rig.latest();
    change_network(&mut rig);
    assert!(rig.wants_connection() && rig.is_up());
    assert_eq!(rig.sent_bytes().unwrap(), "\r\n\r\n", "a probe of the old one");
    let new = rig.connect();
    let register = rig.sent();
    assert_eq!(rig.route(&register), new);
    assert_eq!(register.cseq().unwrap().number, 2);
    assert_eq!(rig.up, [old, new]);
    rig.accept(&register, &[OUTBOUND]);
    assert_eq!(rig.up, [new]);
    assert_eq!(
        connections(&mut rig),
        [ConnectionChange::Connecting, ConnectionChange::Connected { flow: new }],
        "nothing was lost"
    );
}

#[test]
fn a_new_path_costs_one_register_with_the_known_nonce_auth_12() {
    let (mut rig, register) = Rig::registering();
    let challenge = r#"Digest realm="r", nonce="n", qop="auth""#;
    rig.reply(&register, 401, &[("WWW-Authenticate", challenge)]);
    let register = rig.sent();
    rig.accept(&register, &[OUTBOUND]);
    change_network(&mut rig);
    rig.sent_bytes();
    rig.connect();
    let again = rig.sent();
    assert!(again.value(Header::Authorization).unwrap().contains("nc=00000002"));
    rig.accept(&again, &[OUTBOUND]);
    rig.assert_silent();
}

#[test]
fn the_old_connection_carries_messages_only_after_it_has_answered_out_14() {
    let mut rig = registered();
    let old = rig.latest();
    change_network(&mut rig);
    rig.sent_bytes();
    rig.send(BOB, "hello");
    rig.assert_silent();
    rig.receive_on(old, "\r\n");
    let message = rig.sent();
    assert_eq!(rig.route(&message), old);
}

#[test]
fn an_old_connection_that_does_not_answer_is_given_up_after_4_s() {
    let mut rig = registered();
    change_network(&mut rig);
    rig.sent_bytes();
    rig.pass(Duration::from_millis(3_999));
    assert!(rig.is_up());
    rig.pass(Duration::from_millis(1));
    assert!(!rig.is_up());
    assert!(connections(&mut rig).contains(&ConnectionChange::Lost { why: LostReason::NoPong }));
    assert!(rig.wants_connection(), "the attempt goes on");
    rig.connect();
    assert_eq!(rig.sent().method(), Some(Method::Register));
}

#[test]
fn an_old_connection_that_answers_goes_on_when_the_new_one_does_not_come_up() {
    let mut rig = registered();
    let old = rig.latest();
    change_network(&mut rig);
    rig.sent_bytes();
    rig.receive_on(old, "\r\n");
    rig.fail_to_connect();
    assert_eq!(connections(&mut rig).last(), Some(&ConnectionChange::Connected { flow: old }));
    let register = rig.sent();
    assert_eq!(rig.route(&register), old, "the registrar is asked whether it still holds the binding");
    rig.accept(&register, &[OUTBOUND]);
    assert!(!rig.wants_connection() && rig.agent.is_registered());
}

#[test]
fn attempts_go_on_while_the_old_connection_is_silent() {
    let mut rig = registered();
    change_network(&mut rig);
    rig.sent_bytes();
    rig.fail_to_connect();
    rig.pass(seconds(1));
    assert!(rig.wants_connection() && rig.is_up());
    rig.fail_to_connect();
    rig.pass(seconds(3));
    assert!(!rig.is_up(), "no answer in 4 s");
    assert!(rig.wants_connection());
}

#[test]
fn an_old_connection_that_answers_late_ends_the_waiting() {
    let mut rig = registered();
    let old = rig.latest();
    change_network(&mut rig);
    rig.sent_bytes();
    rig.fail_to_connect();
    rig.receive_on(old, "\r\n");
    assert_eq!(rig.sent().method(), Some(Method::Register));
    rig.pass(seconds(20));
    assert!(!rig.wants_connection());
}

#[test]
fn what_was_under_way_on_a_path_that_is_gone_leaves_on_the_new_one_msg_15() {
    let mut rig = registered();
    rig.send(BOB, "hello");
    let message = rig.sent();
    change_network(&mut rig);
    rig.sent_bytes();
    let new = rig.connect();
    let register = rig.sent();
    rig.assert_silent();
    rig.accept(&register, &[OUTBOUND]);
    let again = rig.sent();
    assert_eq!(rig.route(&again), new);
    assert_eq!(again.value(Header::AldisMessageId), message.value(Header::AldisMessageId));
}

#[test]
fn the_old_connection_stays_for_answers_it_still_brings() {
    let mut rig = registered();
    let old = rig.latest();
    rig.send(BOB, "hello");
    let message = rig.sent();
    change_network(&mut rig);
    rig.sent_bytes();
    rig.receive_on(old, "\r\n");
    rig.connect();
    let register = rig.sent();
    rig.accept(&register, &[OUTBOUND]);
    assert_eq!(rig.up.len(), 2);
    rig.assert_silent();
    rig.reply(&message, 200, &[]);
    assert_eq!(rig.up.len(), 1);
}

#[test]
fn without_outbound_the_old_contact_goes_with_the_new_register() {
    let mut rig = Rig::registered_with(account(), &[]);
    change_network(&mut rig);
    rig.sent_bytes();
    rig.connect();
    let register = rig.sent();
    let contacts: Vec<_> =
        register.fields().filter(|f| f.header == Header::Contact).map(|f| f.value).collect();
    assert_eq!(contacts.len(), 2);
    assert!(contacts[1].ends_with(b"@192.0.2.1:40001>;expires=0"));
}

#[test]
fn a_second_change_before_the_first_is_done_starts_over() {
    let mut rig = registered();
    change_network(&mut rig);
    rig.sent_bytes();
    rig.connect();
    let abandoned = rig.sent();
    change_network(&mut rig);
    assert!(rig.wants_connection());
    rig.connect();
    let register = rig.sent();
    assert_eq!(register.cseq().unwrap().number, abandoned.cseq().unwrap().number + 1);
    rig.accept(&register, &[OUTBOUND]);
    assert_eq!(rig.up.len(), 1);
    assert!(rig.agent.is_registered());
}

#[test]
fn a_device_that_slept_probes_at_once_whoever_wakes_it() {
    let mut rig = registered();
    rig.tell(|agent, now| agent.handle_sleep(now));
    assert_eq!(rig.sent_bytes().unwrap(), "\r\n\r\n");
    assert_eq!(rig.deadline.map(|deadline| deadline.reason), Some(Reason::Pong));
    rig.pass(seconds(4));
    assert!(!rig.is_up());
    rig.pass(Duration::from_millis(500));
    assert!(rig.wants_connection());
}

#[test]
fn a_pong_that_was_awaited_before_a_sleep_gets_time_after_it() {
    let mut rig = registered();
    while rig.deadline.is_some_and(|deadline| deadline.reason != Reason::Pong) {
        rig.step();
    }
    rig.sleep(seconds(600));
    assert!(rig.is_up(), "it may be waiting to be read");
    rig.receive("\r\n");
    rig.pass(seconds(5));
    assert!(rig.is_up());
}

#[test]
fn after_a_long_sleep_a_server_without_pongs_is_asked_with_a_register() {
    let mut rig = Rig::registered_with(account(), &[]);
    rig.pass(seconds(10));
    rig.sleep(seconds(1000));
    let kinds: Vec<_> = std::iter::from_fn(|| rig.sent_bytes()).map(|bytes| bytes.len() > 4).collect();
    assert!(kinds.contains(&true), "nothing else tells whether it is there");
}

#[test]
fn coming_to_the_front_costs_a_ping_and_no_register_i_24() {
    let mut rig = registered();
    rig.tell(|agent, now| agent.enter_background(now));
    rig.assert_silent();
    rig.pass(seconds(60));
    rig.tell(|agent, now| agent.enter_foreground(now));
    assert_eq!(rig.sent_bytes().unwrap(), "\r\n\r\n");
    rig.assert_silent();
    rig.receive("\r\n");
    rig.tell(|agent, now| agent.enter_foreground(now));
    rig.assert_silent();
}

#[test]
fn a_push_refreshes_every_binding_and_ends_waiting_push_04() {
    let mut rig = registered();
    rig.tell(|agent, now| agent.wake(now));
    let sent: Vec<_> = std::iter::from_fn(|| rig.sent_bytes()).collect();
    assert!(sent.iter().any(|bytes| bytes.starts_with(b"REGISTER")), "{sent:?}");
    let mut rig = Rig::default();
    rig.register();
    for _ in 0..6 {
        rig.fail_to_connect();
        rig.pass(seconds(60));
    }
    rig.fail_to_connect();
    assert!(!rig.wants_connection());
    rig.tell(|agent, now| agent.wake(now));
    assert!(rig.wants_connection());
}

#[test]
fn the_background_pings_at_the_batterys_interval_unless_the_server_wants_more_out_16_out_17() {
    for (fields, least, most) in [(&[OUTBOUND][..], 672, 840), (&[OUTBOUND, ("Flow-Timer", "30")], 24, 30)] {
        let mut rig = Rig::registered_with(account(), fields);
        rig.tell(|agent, now| agent.enter_background(now));
        let mut last = rig.now.mono;
        for _ in 0..3 {
            loop {
                rig.step();
                match rig.sent_bytes() {
                    Some(bytes) if bytes.len() == 4 => break,
                    Some(bytes) => {
                        let register = Message::parse(bytes).unwrap().0;
                        rig.accept(&register, fields);
                    }
                    None => {}
                }
            }
            rig.receive("\r\n");
            let wait = rig.now.mono - last;
            assert!((seconds(least)..=seconds(most)).contains(&wait), "{wait:?}");
            last = rig.now.mono;
        }
    }
}

#[test]
fn the_interval_is_an_option_of_the_account_out_17() {
    let timing = Timing { ping: seconds(50), ..Timing::default() };
    let mut rig = registered_as(account().with_timing(timing).unwrap());
    let start = rig.now.mono;
    rig.step();
    assert!((seconds(40)..=seconds(50)).contains(&(rig.now.mono - start)));
}

/// Deadlines of the agent in an hour and the pings among them, registered for an hour at a time.
fn an_idle_hour(rig: &mut Rig) -> (u32, u32) {
    let (mut others, mut pings) = (0, 0);
    let until = rig.now.mono + seconds(3600);
    while rig.deadline.is_some_and(|deadline| deadline.at <= until) {
        rig.step();
        let mut kinds = Vec::new();
        while let Some(bytes) = rig.sent_bytes() {
            kinds.push(bytes.len() == 4);
            if bytes.len() == 4 {
                rig.receive("\r\n");
            } else {
                let register = Message::parse(bytes).unwrap().0;
                rig.accept(&register, &[OUTBOUND]);
            }
        }
        pings += u32::from(kinds.contains(&true));
        others += u32::from(!kinds.contains(&true));
    }
    rig.pass(until - rig.now.mono);
    (others, pings)
}

#[test]
fn an_idle_phone_wakes_for_its_pings_and_at_most_twice_an_hour_beside_out_17() {
    let (mut rig, register) = Rig::registering_with(account());
    rig.accept(&register, &[OUTBOUND]);
    for hour in 0..24 {
        let (others, pings) = an_idle_hour(&mut rig);
        assert!(others <= 2, "hour {hour}: {others} deadlines beside keep-alives");
        assert!((30..=38).contains(&pings), "hour {hour}: {pings} keep-alives");
    }
    rig.tell(|agent, now| agent.enter_background(now));
    an_idle_hour(&mut rig);
    for hour in 0..24 {
        let (others, pings) = an_idle_hour(&mut rig);
        assert!(others <= 2, "hour {hour}: {others} deadlines beside keep-alives");
        assert!((4..=6).contains(&pings), "hour {hour}: {pings} keep-alives in the background");
    }
}

#[test]
fn other_credentials_are_registered_in_place_reg_12() {
    let mut rig = registered();
    rig.tell(|agent, now| agent.set_credentials(now, "alice", Secret::new("looking-glass")));
    let register = rig.sent();
    assert_eq!((register.method(), register.cseq().unwrap().number), (Some(Method::Register), 2));
    assert_eq!(rig.registrations(), [RegistrationChange::Refreshing]);
}

#[test]
fn another_expiry_is_registered_in_place_once_nothing_is_pending_reg_04_reg_12() {
    let (mut rig, register) = Rig::registering();
    rig.tell(|agent, now| agent.set_expires(now, 600)).unwrap();
    rig.assert_silent();
    rig.accept(&register, &[]);
    let again = rig.sent();
    assert_eq!(again.value(Header::Expires), Some("600"));
    assert_eq!(contact_uri(&again), contact_uri(&register));
    rig.accept(&again, &[]);
    rig.assert_silent();
    assert!(rig.tell(|agent, now| agent.set_expires(now, 0)).is_err());
    rig.assert_silent();
}

#[test]
fn a_redirected_register_goes_to_another_place_as_the_same_account_gen_18() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 302, &[("Contact", "<sip:b.test:5071>;q=0.5, <sip:a.test>;q=0.9")]);
    let redirect = |rig: &Rig| rig.wanted[0].redirect.as_ref().map(ToString::to_string);
    assert_eq!(redirect(&rig).as_deref(), Some("sip:a.test"));
    rig.fail_to_connect();
    assert_eq!(redirect(&rig).as_deref(), Some("sip:b.test:5071"));
    rig.connect();
    let again = rig.sent();
    assert_eq!(again.request_uri().unwrap().unwrap().as_str(), "sip:example.test");
    assert_eq!(again.call_id().unwrap(), register.call_id().unwrap());
    rig.accept(&again, &[]);
    assert_eq!(rig.up.len(), 1);
    rig.lose();
    rig.pass(seconds(2));
    assert_eq!(redirect(&rig), None, "the domain is asked again");
}

#[test]
fn places_of_redirects_that_cannot_be_reached_say_nothing_of_the_registrar_gen_18_out_09() {
    let mut rig = Rig::registered();
    for n in 0..8 {
        rig.unregister();
        let removal = rig.sent();
        rig.accept(&removal, &[]);
        rig.register();
        let register = rig.sent();
        rig.reply(&register, 302, &[("Contact", &format!("<sip:r{n}.test>"))]);
        rig.fail_to_connect();
        let register = rig.sent();
        rig.accept(&register, &[]);
    }
    rig.lose();
    rig.pass(Duration::from_millis(500));
    assert!(rig.wants_connection(), "it waits for what other places did");
    // The registrar's own failures count from there.
    rig.fail_to_connect();
    assert!(rig.deadline.is_some_and(|deadline| deadline.at - rig.now.mono <= seconds(1)));
}

#[test]
fn the_next_connection_after_one_that_nobody_needed_begins_at_home_gen_18() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 302, &[("Contact", "<sip:a.test>")]);
    rig.connect();
    let again = rig.sent();
    rig.accept(&again, &[]);
    rig.unregister();
    let removal = rig.sent();
    rig.accept(&removal, &[]);
    while rig.is_up() {
        rig.step();
    }
    rig.send(BOB, "hello");
    assert_eq!(rig.wanted.front().and_then(|wanted| wanted.redirect.as_ref()), None);
    assert!(rig.wants_connection());
}

#[test]
fn redirects_that_lead_round_end_with_a_next_attempt_gen_18_reg_21() {
    let (mut rig, mut register) = Rig::registering();
    for n in 0..6 {
        rig.reply(&register, 302, &[("Contact", &format!("<sip:r{}.test>", n % 3))]);
        if !rig.wants_connection() {
            break;
        }
        rig.connect();
        register = rig.sent();
    }
    rig.assert_silent();
    let failed = rig.registrations();
    let Some(RegistrationChange::Failed { why, status, retry_in: Some(_) }) = failed.last() else {
        panic!("{failed:?}")
    };
    assert_eq!(status.map(|status| status.code()), Some(302));
    assert_eq!(
        why.to_string(),
        "the registrar redirects (302 Moved Temporarily) in a circle: to sip:r0.test, where this device has been with the same request"
    );
}

#[test]
fn a_place_that_came_of_a_redirect_and_leads_to_itself_later_is_left_gen_18() {
    let (mut rig, register) = Rig::registering();
    let elsewhere = ("Contact", "<sip:elsewhere.test>");
    let redirect = |rig: &Rig| rig.wanted[0].redirect.as_ref().map(ToString::to_string);
    rig.reply(&register, 302, &[elsewhere]);
    rig.connect();
    let register = rig.sent();
    rig.accept(&register, &[]);
    change_network(&mut rig);
    assert_eq!(redirect(&rig).as_deref(), Some("sip:elsewhere.test"));
    assert_eq!(rig.sent_bytes().unwrap(), "\r\n\r\n", "a probe of the old one");
    rig.connect();
    let register = rig.sent();
    rig.reply(&register, 302, &[elsewhere]);
    assert!(!rig.wants_connection(), "it has been there");
    let Some(RegistrationChange::Failed { retry_in: Some(retry_in), .. }) = rig.registrations().pop() else {
        panic!("no next attempt")
    };
    rig.pass(retry_in);
    assert!(rig.wants_connection());
    assert_eq!(redirect(&rig), None, "the domain is asked again");
}

#[test]
fn a_registrar_that_redirects_to_where_it_is_is_tried_there_once_gen_18() {
    let (mut rig, register) = Rig::registering();
    let itself = ("Contact", "<sip:192.0.2.1:5061>");
    rig.reply(&register, 302, &[itself]);
    rig.connect();
    let again = rig.sent();
    rig.reply(&again, 302, &[itself]);
    assert!(!rig.wants_connection());
    let failed = rig.registrations();
    let Some(RegistrationChange::Failed { why: RegistrationFailure::Redirected { to, .. }, .. }) =
        failed.last()
    else {
        panic!("{failed:?}")
    };
    assert_eq!(to.as_deref(), Some("sip:192.0.2.1:5061"));
}

#[test]
fn a_connection_that_is_lost_after_a_503_ends_no_wait_out_09_reg_17() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 503, &[]);
    rig.pass(seconds(1));
    let second = rig.connect();
    let register = rig.sent();
    rig.reply(&register, 503, &[("Retry-After", "30")]);
    rig.lose_flow(second);
    rig.pass(seconds(29));
    assert!(!rig.wants_connection());
    rig.assert_silent();
    rig.pass(seconds(1));
    assert!(rig.wants_connection(), "DNS is asked again");
    rig.fail_to_connect();
    assert_eq!(rig.sent().method(), Some(Method::Register), "the first connection serves on");
}

#[test]
fn another_host_is_looked_for_no_sooner_than_the_back_off_says_out_09() {
    let (mut rig, mut register) = Rig::registering();
    let mut looked = Vec::new();
    for second in 0..60 {
        rig.reply(&register, 503, &[("Retry-After", "1")]);
        rig.pass(seconds(1));
        if rig.wants_connection() {
            looked.push(second);
            rig.fail_to_connect();
        }
        register = rig.sent();
    }
    assert!((4..=7).contains(&looked.len()), "{looked:?}");
}

#[test]
fn a_redirect_to_nowhere_new_is_a_failure_gen_18_sips_02() {
    let sips = Account::new("sips:alice@example.test", crate::rig::INSTANCE).unwrap();
    for (account, contact) in [(account(), "<sip:example.test>"), (account(), "*"), (sips, "<sip:a.test>")] {
        let (mut rig, register) = Rig::registering_with(account);
        rig.reply(&register, 301, &[("Contact", contact)]);
        assert!(!rig.wants_connection(), "{contact}");
        let failed = rig.registrations();
        assert!(
            matches!(
                failed.as_slice(),
                [RegistrationChange::Failed { why: RegistrationFailure::Redirected { .. }, .. }]
            ),
            "{contact}: {failed:?}"
        );
    }
}

#[test]
fn a_420_is_answered_without_what_it_names_once_gen_14_gen_15() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 420, &[("Unsupported", "gruu, outbound")]);
    let again = rig.sent();
    assert_eq!(again.value(Header::Supported), Some("path"));
    assert!(!again.value(Header::Contact).unwrap().contains("reg-id"));
    rig.reply(&again, 420, &[("Unsupported", "gruu, outbound")]);
    rig.assert_silent();
    assert!(matches!(rig.registrations().last(), Some(RegistrationChange::Failed { retry_in: Some(_), .. })));
}

#[test]
fn gruus_are_kept_while_the_registration_lasts_rt_01_rt_02_rt_03_rt_04() {
    let (mut rig, register) = Rig::registering();
    assert!(!register.value(Header::Contact).unwrap().contains("gruu"), "none of ours is sent");
    let contact = register.value(Header::Contact).unwrap();
    let gruu = "sip:alice@example.test;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
    let given = |temporary: &str| format!("{contact};pub-gruu=\"{gruu}\";temp-gruu=\"{temporary}\"");
    rig.reply(&register, 200, &[("Contact", &given("sip:t1@example.test;gr"))]);
    let Some(Gruus { public, temporary }) = rig.agent.gruus() else { panic!() };
    assert_eq!(public.as_ref().unwrap().as_str(), gruu);
    assert_eq!(temporary.as_ref().unwrap().as_str(), "sip:t1@example.test;gr");
    rig.tell(|agent, now| agent.set_expires(now, 3600)).unwrap();
    let refresh = rig.sent();
    rig.reply(&refresh, 503, &[("Retry-After", "60")]);
    assert!(rig.agent.gruus().is_some(), "a refusal discards none");
    rig.lose();
    assert_eq!(rig.agent.gruus(), None);
}

#[test]
fn a_message_on_a_connection_that_went_silent_leaves_on_another_after_10_s_msg_15_out_18() {
    let mut rig = registered();
    rig.pass(seconds(30));
    rig.send(BOB, "hello");
    let message = rig.sent();
    assert_eq!(rig.sent_bytes().unwrap(), "\r\n\r\n", "whether anybody is there");
    rig.pass(seconds(11));
    rig.connect();
    let register = rig.sent();
    rig.accept(&register, &[OUTBOUND]);
    let again = rig.sent();
    assert_eq!(again.value(Header::AldisMessageId), message.value(Header::AldisMessageId));
}

#[test]
fn a_message_on_a_connection_that_was_just_heard_costs_no_ping() {
    let mut rig = registered();
    rig.pass(seconds(9));
    rig.send(BOB, "hello");
    rig.sent();
    rig.assert_silent();
}
