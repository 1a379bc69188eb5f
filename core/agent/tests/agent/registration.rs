//! The binding: made, found in the answer, renewed, removed.

use crate::rig::{Rig, account, contact_expires, contact_uri, seconds};
use aldis_agent::{Event, RegistrationChange, RegistrationFailure};
use aldis_sip::fields::Via;
use aldis_sip::{Header, Method};
use std::time::Duration;

fn granted(rig: &mut Rig) -> Option<Duration> {
    rig.registrations().into_iter().find_map(|change| match change {
        RegistrationChange::Registered { expires_in, .. } => Some(expires_in),
        _ => None,
    })
}

#[test]
fn a_register_has_every_header_that_it_must_have_gen_01_reg_01_out_01_out_02_out_21_wire_01() {
    let account = account().with_user_agent("Test/1").unwrap().with_display_name("Alice").unwrap();
    let (mut rig, register) = Rig::registering_with(account);
    let names: Vec<_> = register.fields().map(|field| field.name).collect();
    assert_eq!(
        names,
        [
            "Via",
            "Max-Forwards",
            "From",
            "To",
            "Call-ID",
            "CSeq",
            "User-Agent",
            "Contact",
            "Expires",
            "Supported",
            "Allow",
            "Content-Length"
        ]
    );
    assert_eq!(register.method(), Some(Method::Register));
    assert_eq!(register.request_uri().unwrap().unwrap().as_str(), "sip:example.test");
    let via = register.via().unwrap();
    assert_eq!((via.transport.as_ref(), via.sent_by.to_string().as_str()), ("TLS", "192.0.2.1:40001"));
    assert!(via.branch().unwrap().starts_with("z9hG4bK"));
    assert_eq!((via.params.get("rport"), via.params.get("keep")), (Some(None), Some(None)));
    assert_eq!(register.value(Header::MaxForwards), Some("70"));
    let tag = register.from().unwrap().tag().unwrap().into_owned();
    assert!(tag.len() >= 8, "{tag:?} has not 32 bits");
    assert_eq!(
        register.value(Header::From).unwrap(),
        format!("\"Alice\" <sip:alice@example.test>;tag={tag}")
    );
    assert_eq!(register.value(Header::To), Some("<sip:alice@example.test>"));
    assert_eq!(register.value(Header::CSeq), Some("1 REGISTER"));
    assert_eq!(register.value(Header::UserAgent), Some("Test/1"));
    assert_eq!(
        register.value(Header::Contact),
        Some(
            "<sip:aldis-0000000000001000@192.0.2.1:40001>;expires=3600;\
             +sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000a95a0e128>\";reg-id=1"
        )
    );
    assert_eq!(register.value(Header::Expires), Some("3600"));
    assert_eq!(register.value(Header::Supported), Some("path, outbound, gruu"));
    assert_eq!(register.value(Header::ContentLength), Some("0"));
    rig.accept(&register, &[]);
    assert_eq!(granted(&mut rig), Some(seconds(3600)));
}

#[test]
fn an_expiry_can_be_asked_for_reg_06() {
    let (_, register) = Rig::registering_with(account().with_expires(60).unwrap());
    assert_eq!(contact_expires(&register), Some(60));
    assert_eq!(register.value(Header::Expires), Some("60"));
}

#[test]
fn a_proxy_is_the_first_route_and_not_the_request_uri_gen_07() {
    let (_, register) = Rig::registering_with(account().with_proxy("proxy.test", Some(5071)).unwrap());
    assert_eq!(register.value(Header::Route), Some("<sip:proxy.test:5071;lr>"));
    assert_eq!(register.request_uri().unwrap().unwrap().as_str(), "sip:example.test");
}

#[test]
fn a_sips_account_writes_sips_everywhere_sips_01_sips_05() {
    let account = aldis_agent::Account::new("sips:alice@example.test", crate::rig::INSTANCE).unwrap();
    let (_, register) = Rig::registering_with(account.with_proxy("proxy.test", None).unwrap());
    assert_eq!(register.request_uri().unwrap().unwrap().as_str(), "sips:example.test");
    assert_eq!(register.value(Header::To), Some("<sips:alice@example.test>"));
    assert!(register.value(Header::From).unwrap().starts_with("<sips:alice@example.test>"));
    assert!(contact_uri(&register).starts_with("sips:aldis-"));
    assert_eq!(register.value(Header::Route), Some("<sips:proxy.test;lr>"));
}

#[test]
fn registrations_of_one_run_share_call_id_and_tag_and_count_reg_02_reg_03_gen_03() {
    let (mut rig, first) = Rig::registering();
    rig.reply(&first, 401, &[("WWW-Authenticate", r#"Digest realm="r", nonce="n""#)]);
    let second = rig.sent();
    rig.accept(&second, &[]);
    rig.lose();
    rig.pass(seconds(1));
    rig.connect();
    let third = rig.sent();
    let facts = |m: &aldis_sip::Message| {
        (m.call_id().unwrap().as_str().to_owned(), m.from().unwrap().tag().unwrap().into_owned())
    };
    assert_eq!(facts(&first), facts(&second));
    assert_eq!(facts(&first), facts(&third));
    let counts: Vec<_> = [&first, &second, &third].map(|m| m.cseq().unwrap().number).into();
    assert_eq!(counts, [1, 2, 3]);
    let mut branches: Vec<_> =
        [&first, &second, &third].map(|m| m.via().unwrap().branch().unwrap().into_owned()).into();
    branches.sort();
    branches.dedup();
    assert_eq!(branches.len(), 3);
}

#[test]
fn the_app_hears_of_registering_and_registered() {
    let mut rig = Rig::default();
    rig.register();
    rig.connect();
    assert_eq!(rig.registrations(), [RegistrationChange::Registering]);
    let register = rig.sent();
    rig.accept(&register, &[("Require", "outbound")]);
    let changes = rig.registrations();
    let [RegistrationChange::Registered { expires_in, contact, outbound, .. }] = changes.as_slice() else {
        panic!("{changes:?}")
    };
    assert_eq!((*expires_in, *outbound), (seconds(3600), true));
    assert_eq!(contact.as_str(), "sip:aldis-0000000000001000@192.0.2.1:40001");
}

#[test]
fn outbound_is_active_only_if_it_is_required_out_05() {
    let (mut rig, register) = Rig::registering();
    rig.accept(&register, &[("Supported", "path, outbound"), ("Path", "<sip:edge.test;lr;ob>")]);
    let changes = rig.registrations();
    assert!(
        matches!(changes.as_slice(), [RegistrationChange::Registered { outbound: false, .. }]),
        "{changes:?}"
    );
}

#[test]
fn asking_twice_registers_once_reg_04() {
    let (mut rig, register) = Rig::registering();
    rig.register();
    rig.assert_silent();
    rig.accept(&register, &[]);
    rig.register();
    rig.assert_silent();
}

#[test]
fn our_binding_is_found_behind_those_of_others_reg_07_i_12() {
    let (mut rig, register) = Rig::registering();
    let ours = register.value(Header::Contact).unwrap().replace("expires=3600", "expires=600");
    let other = "<sip:phone@203.0.113.9:5060>;expires=7200;+sip.instance=\"<urn:uuid:x>\";reg-id=1";
    rig.reply(&register, 200, &[("Contact", other), ("Contact", &ours)]);
    assert_eq!(granted(&mut rig), Some(seconds(600)));
}

#[test]
fn our_binding_is_found_by_its_uri_where_the_instance_is_not_echoed_reg_07_i_11() {
    let (mut rig, register) = Rig::registering();
    let list = format!("<sip:phone@203.0.113.9>;expires=7200, <{}>;expires=599", contact_uri(&register));
    rig.reply(&register, 200, &[("Contact", &list)]);
    assert_eq!(granted(&mut rig), Some(seconds(599)));
}

#[test]
fn our_binding_is_found_although_its_address_was_rewritten_reg_07() {
    let (mut rig, register) = Rig::registering();
    let contact = "<sip:aldis-0000000000001000@203.0.113.1:61000;ob>;expires=300";
    rig.reply(&register, 200, &[("Contact", contact)]);
    assert_eq!(granted(&mut rig), Some(seconds(300)));
}

#[test]
fn an_older_binding_of_this_device_is_not_taken_for_the_new_one_reg_07() {
    let (mut rig, register) = Rig::registering();
    let instance = "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000a95a0e128>\";reg-id=1";
    let list = format!(
        "<sip:aldis-0000000000001000@192.0.2.1:33333>;expires=10;{instance}, <{}>;expires=600;{instance}",
        contact_uri(&register)
    );
    rig.reply(&register, 200, &[("Contact", &list)]);
    assert_eq!(granted(&mut rig), Some(seconds(600)));
}

#[test]
fn the_expires_header_counts_where_the_contact_has_none_reg_07() {
    let (mut rig, register) = Rig::registering();
    let contact = format!("<{}>", contact_uri(&register));
    rig.reply(&register, 200, &[("Contact", &contact), ("Expires", "1200")]);
    assert_eq!(granted(&mut rig), Some(seconds(1200)));
}

#[test]
fn odd_expiries_are_read_as_the_rules_say_reg_08() {
    for (text, read) in [("expires=soon", 3600), ("expires=99999999999", u64::from(u32::MAX))] {
        let (mut rig, register) = Rig::registering();
        rig.reply(&register, 200, &[("Contact", &format!("<{}>;{text}", contact_uri(&register)))]);
        assert_eq!(granted(&mut rig), Some(seconds(read)), "{text}");
    }
}

#[test]
fn a_200_without_our_binding_is_no_registration_reg_09() {
    for contact in
        ["<sip:phone@203.0.113.9>;expires=7200", "<sip:aldis-0000000000001000@192.0.2.1:40001>;expires=0"]
    {
        let (mut rig, register) = Rig::registering();
        rig.reply(&register, 200, &[("Contact", contact)]);
        let changes = rig.registrations();
        let [RegistrationChange::Failed { why: RegistrationFailure::NoBinding, retry_in: Some(_), .. }] =
            changes.as_slice()
        else {
            panic!("{changes:?}")
        };
        rig.send(crate::rig::BOB, "waits");
        rig.assert_silent();
        rig.pass(seconds(1));
        assert_eq!(rig.sent().method(), Some(Method::Register));
    }
}

#[test]
fn a_refresh_comes_at_80_to_90_percent_of_what_was_granted_reg_10_reg_11() {
    for granted in [100, 600, 3600, 86_400] {
        let (mut rig, register) = Rig::registering();
        rig.reply(&register, 200, &[("Contact", &format!("<{}>;expires={granted}", contact_uri(&register)))]);
        let bound_at = rig.now.mono;
        let refresh = next_register(&mut rig);
        let waited = rig.now.mono - bound_at;
        let (least, most) =
            (seconds(granted) * 8 / 10, (seconds(granted) * 9 / 10).min(seconds(granted - 32)));
        assert!((least.min(most)..=most).contains(&waited), "{granted}: {waited:?}");
        assert_eq!(contact_uri(&refresh), contact_uri(&register));
    }
}

#[test]
fn a_short_registration_is_refreshed_at_its_half_reg_10() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 200, &[("Contact", &format!("<{}>;expires=60", contact_uri(&register)))]);
    let bound_at = rig.now.mono;
    next_register(&mut rig);
    assert_eq!(rig.now.mono - bound_at, seconds(30));
}

/// Answers pings until a REGISTER comes.
fn next_register(rig: &mut Rig) -> aldis_sip::Message {
    loop {
        rig.step();
        match rig.sent_bytes() {
            Some(bytes) if &bytes[..] == b"\r\n\r\n" => rig.receive("\r\n"),
            Some(bytes) => return aldis_sip::Message::parse(bytes).unwrap().0,
            None => {}
        }
    }
}

#[test]
fn a_refresh_is_announced_and_changes_nothing_but_its_count_reg_12() {
    let (mut rig, register) = Rig::registering();
    rig.accept(&register, &[]);
    rig.events();
    let refresh = next_register(&mut rig);
    assert_eq!(rig.registrations(), [RegistrationChange::Refreshing]);
    assert_eq!(refresh.value(Header::Contact), register.value(Header::Contact));
    assert_eq!(refresh.cseq().unwrap().number, 2);
    rig.accept(&refresh, &[]);
    assert!(matches!(rig.registrations().as_slice(), [RegistrationChange::Registered { .. }]));
}

#[test]
fn after_a_sleep_past_the_expiry_it_registers_anew() {
    let mut rig = Rig::registered();
    rig.sleep(seconds(4000));
    assert_eq!(rig.registrations(), [RegistrationChange::Registering]);
    let kinds: Vec<_> = std::iter::from_fn(|| rig.sent_bytes()).map(|bytes| bytes.len() > 4).collect();
    assert!(kinds.contains(&true), "no REGISTER went out");
}

#[test]
fn messages_wait_while_an_expired_binding_is_renewed_out_14() {
    let mut rig = Rig::registered();
    rig.sleep(seconds(4000));
    while rig.sent_bytes().is_some() {}
    rig.send(crate::rig::BOB, "later");
    rig.assert_silent();
}

#[test]
fn unregistering_removes_our_binding_alone_reg_13_reg_14_reg_05() {
    let mut rig = Rig::registered();
    rig.unregister();
    let removal = rig.sent();
    assert_eq!(removal.contacts().count(), 1);
    assert_eq!(contact_expires(&removal), Some(0));
    assert_eq!(removal.value(Header::Expires), Some("0"));
    assert_eq!(rig.registrations(), []);
    rig.reply(&removal, 200, &[]);
    assert_eq!(rig.registrations(), [RegistrationChange::Unregistered]);
    rig.pass(seconds(40));
    assert!(!rig.is_up(), "the connection is of no use any more");
}

#[test]
fn a_removal_that_is_refused_ends_all_the_same() {
    for status in [403, 404, 423, 500, 503] {
        let mut rig = Rig::registered();
        rig.unregister();
        let removal = rig.sent();
        rig.reply(&removal, status, &[]);
        assert_eq!(rig.registrations(), [RegistrationChange::Unregistered], "{status}");
        rig.assert_silent();
    }
}

#[test]
fn unregistering_before_anything_was_sent_is_told_at_once() {
    let mut rig = Rig::default();
    rig.register();
    rig.unregister();
    assert_eq!(rig.registrations(), [RegistrationChange::Unregistered]);
    assert!(!rig.wants_connection());
    assert_eq!(rig.deadline, None);
}

#[test]
fn unregistering_twice_says_nothing_twice() {
    let mut rig = Rig::default();
    rig.unregister();
    assert_eq!(rig.registrations(), []);
}

#[test]
fn unregistering_while_a_register_is_pending_removes_what_it_made_reg_04() {
    let (mut rig, register) = Rig::registering();
    rig.unregister();
    rig.assert_silent();
    rig.accept(&register, &[]);
    let removal = rig.sent();
    assert_eq!(contact_expires(&removal), Some(0));
    rig.reply(&removal, 200, &[]);
    assert_eq!(rig.registrations().last(), Some(&RegistrationChange::Unregistered));
}

#[test]
fn unregistering_while_a_register_is_pending_answers_no_challenge() {
    let (mut rig, register) = Rig::registering();
    rig.unregister();
    rig.reply(&register, 401, &[("WWW-Authenticate", r#"Digest realm="r", nonce="n""#)]);
    rig.assert_silent();
    assert_eq!(rig.registrations(), [RegistrationChange::Unregistered]);
}

#[test]
fn a_removal_is_authenticated_like_any_register() {
    let mut rig = Rig::registered();
    rig.unregister();
    let removal = rig.sent();
    rig.reply(&removal, 401, &[("WWW-Authenticate", r#"Digest realm="r", nonce="n""#)]);
    let again = rig.sent();
    assert!(again.has(Header::Authorization));
    assert_eq!(contact_expires(&again), Some(0));
}

#[test]
fn register_unregister_register_ends_registered() {
    let (mut rig, register) = Rig::registering();
    rig.unregister();
    rig.register();
    rig.accept(&register, &[]);
    rig.assert_silent();
    assert!(matches!(rig.registrations().as_slice(), [RegistrationChange::Registered { .. }]));
}

#[test]
fn registering_during_a_removal_waits_for_its_answer_reg_04() {
    let mut rig = Rig::registered();
    rig.unregister();
    let removal = rig.sent();
    rig.register();
    rig.assert_silent();
    rig.reply(&removal, 200, &[]);
    let register = rig.sent();
    assert_eq!(contact_expires(&register), Some(3600));
    assert_eq!(rig.registrations(), [RegistrationChange::Unregistered, RegistrationChange::Registering]);
}

#[test]
fn a_removal_whose_connection_is_lost_is_told_as_done() {
    let mut rig = Rig::registered();
    rig.unregister();
    rig.sent();
    rig.lose();
    assert_eq!(rig.registrations(), [RegistrationChange::Unregistered]);
    assert!(!rig.wants_connection());
    assert_eq!(rig.deadline, None);
}

#[test]
fn a_binding_of_a_lost_connection_is_removed_with_the_next_register() {
    let mut rig = Rig::registered();
    rig.lose();
    rig.pass(seconds(1));
    rig.connect();
    let register = rig.sent();
    let contacts: Vec<_> =
        register.fields().filter(|f| f.header == Header::Contact).map(|f| f.value).collect();
    assert_eq!(contacts.len(), 2);
    assert_eq!(contacts[1], b"<sip:aldis-0000000000001000@192.0.2.1:40001>;expires=0");
    rig.accept(&register, &[]);
    assert!(matches!(rig.registrations().last(), Some(RegistrationChange::Registered { .. })));
}

#[test]
fn with_outbound_the_new_connection_replaces_the_binding_out_08() {
    let mut rig = Rig::registered_with(account(), &[("Require", "outbound")]);
    rig.lose();
    rig.pass(seconds(1));
    rig.connect();
    let register = rig.sent();
    assert_eq!(register.contacts().count(), 1);
    assert!(register.value(Header::Contact).unwrap().ends_with(";reg-id=1"));
}

#[test]
fn a_record_route_and_a_date_of_the_registrar_change_nothing_reg_19_reg_20() {
    let more = [("Record-Route", "<sip:edge.test;lr>"), ("Date", "Thu, 01 Jan 1970 00:00:00 GMT")];
    let mut rig = Rig::registered_with(account(), &more);
    rig.send(crate::rig::BOB, "hello");
    assert!(!rig.sent().has(Header::Route));
}

#[test]
fn a_refresh_happens_although_the_wall_clock_jumps() {
    let mut rig = Rig::registered();
    rig.now.wall = Duration::from_secs(5);
    next_register(&mut rig);
    assert!(matches!(
        rig.events().last(),
        Some(Event::Registration { change: RegistrationChange::Refreshing, .. })
    ));
}

#[test]
fn vias_survive_an_ipv6_connection() {
    let mut rig = Rig::default();
    rig.register();
    rig.connect_from("[2001:db8::1]:41000");
    let register = rig.sent();
    assert_eq!(register.get::<Via<'_>>().unwrap().unwrap().sent_by.to_string(), "[2001:db8::1]:41000");
    assert_eq!(contact_uri(&register), "sip:aldis-0000000000001000@[2001:db8::1]:41000");
    rig.accept(&register, &[]);
    assert!(matches!(rig.registrations().last(), Some(RegistrationChange::Registered { .. })));
}
