//! Push registrations in virtual time (RFC 8599).

use crate::rig::{BOB, Incoming, Rig, seconds};
use aldis_agent::{Event, Push, PushChange, RegistrationChange};
use aldis_sip::Message;
use aldis_sip::fields::Contact;

const FEATURE_CAPS: &str = "Feature-Caps";

fn acme() -> Push {
    Push::new("acme", "token-1", Some("app")).unwrap()
}

/// What was told of push; the rest is forgotten.
fn pushes(rig: &mut Rig) -> Vec<PushChange> {
    let change = |event| match event {
        Event::Push { reg_id: 1, change } => Some(change),
        _ => None,
    };
    rig.events().into_iter().filter_map(change).collect()
}

/// The parameters `pn-*` of our Contact, and whether its header says `+sip.pnsreg`.
fn asked(register: &Message) -> (Vec<(String, Option<String>)>, bool) {
    let Contact::Address(ours) = register.contacts().next().unwrap().unwrap() else { panic!() };
    let own = |text: &str| text.to_owned();
    let params = ours.uri.raw_params().filter(|(name, _)| name.starts_with("pn-"));
    (params.map(|(name, value)| (own(name), value.map(own))).collect(), ours.params.has("+sip.pnsreg"))
}

fn full() -> Vec<(String, Option<String>)> {
    [("pn-provider", "acme"), ("pn-param", "app"), ("pn-prid", "token-1")]
        .map(|(name, value)| (name.to_owned(), Some(value.to_owned())))
        .into()
}

/// Registering with push, up to the first REGISTER.
fn registering(push: &Push) -> (Rig, Message) {
    let mut rig = Rig::default();
    rig.tell(|agent, now| agent.set_push(now, Some(push)));
    rig.register();
    rig.connect();
    let register = rig.sent();
    rig.events();
    (rig, register)
}

fn registered(push: &Push, caps: &str) -> Rig {
    let (mut rig, register) = registering(push);
    rig.accept(&register, &[(FEATURE_CAPS, caps)]);
    rig
}

#[test]
fn what_is_told_holds_no_token() {
    let mut rig = registered(&acme(), "*;+sip.pns=\"acme\"");
    let events = rig.events();
    let contact = events.iter().find_map(|event| match event {
        Event::Registration { change: RegistrationChange::Registered { contact, .. }, .. } => Some(contact),
        _ => None,
    });
    let contact = contact.unwrap().as_str();
    assert!(contact.starts_with("sip:aldis-") && !contact.contains("pn-"), "{contact}");
    assert!(!format!("{events:?}").contains("token-1"));
}

#[test]
fn a_register_says_how_to_push_and_nothing_else_does_push_01_push_02() {
    let (mut rig, register) = registering(&acme());
    assert_eq!(asked(&register), (full(), false));
    rig.accept(&register, &[(FEATURE_CAPS, "*;+sip.pns=\"acme\"")]);
    rig.send(BOB, "hello");
    let message = rig.sent_bytes().unwrap();
    assert!(!String::from_utf8_lossy(&message).contains("pn-"));
}

#[test]
fn push_is_active_only_if_the_answer_names_our_service_push_03() {
    for (caps, expected) in [
        ("*;+sip.pns=\"acme\"", PushChange::Active { refresh_before: None }),
        ("*;+sip.pns=\"other\", *;+sip.pns=\"ACME\"", PushChange::Active { refresh_before: None }),
        ("*;+sip.pns=\"other, acme\"", PushChange::Active { refresh_before: None }),
        ("*;+sip.pns=\"other\"", PushChange::NotPromised),
        ("*;+g.3gpp.ics", PushChange::NotPromised),
    ] {
        let mut rig = registered(&acme(), caps);
        assert_eq!(pushes(&mut rig), [expected], "{caps}");
    }
    let (mut rig, register) = registering(&acme());
    rig.accept(&register, &[]);
    assert_eq!(pushes(&mut rig), [PushChange::NotPromised]);
}

#[test]
fn what_has_not_changed_is_not_told_again() {
    let caps = [(FEATURE_CAPS, "*;+sip.pns=\"acme\"")];
    let mut rig = registered(&acme(), caps[0].1);
    pushes(&mut rig);
    rig.tell(|agent, now| agent.wake(now));
    let ping = rig.sent_bytes().unwrap();
    let refresh = if &ping[..] == b"\r\n\r\n" { rig.sent() } else { Message::parse(ping).unwrap().0 };
    rig.accept(&refresh, &caps);
    assert_eq!(pushes(&mut rig), []);
    rig.tell(|agent, now| agent.wake(now));
}

#[test]
fn each_push_refreshes_the_binding_with_the_same_parameters_push_04() {
    let mut rig = registered(&acme(), "*;+sip.pns=\"acme\"");
    for _ in 0..3 {
        rig.pass(seconds(60));
        while rig.sent_bytes().is_some() {}
        rig.tell(|agent, now| agent.wake(now));
        let mut refresh = rig.sent_bytes().unwrap();
        if &refresh[..] == b"\r\n\r\n" {
            refresh = rig.sent_bytes().unwrap();
        }
        let refresh = Message::parse(refresh).unwrap().0;
        assert_eq!(asked(&refresh), (full(), false));
        rig.accept(&refresh, &[(FEATURE_CAPS, "*;+sip.pns=\"acme\"")]);
    }
}

#[test]
fn the_request_that_a_push_announced_may_come_before_the_answer_push_05() {
    let mut rig = registered(&acme(), "*;+sip.pns=\"acme\"");
    rig.tell(|agent, now| agent.wake(now));
    rig.receive(Incoming::default().bytes());
    assert_eq!(rig.received().len(), 1);
}

#[test]
fn who_wakes_himself_says_so_in_every_register_push_06() {
    let (mut rig, register) = registering(&acme().waking_itself());
    assert_eq!(asked(&register), (full(), true));
    rig.accept(&register, &[(FEATURE_CAPS, "*;+sip.pns=\"acme\";+sip.pnsreg=\"121\"")]);
    rig.pass(seconds(3500));
    let refresh = loop {
        let bytes = rig.sent_bytes().expect("a refresh");
        if bytes.starts_with(b"REGISTER") {
            break Message::parse(bytes).unwrap().0;
        }
    };
    assert_eq!(asked(&refresh), (full(), true));
}

/// When the next REGISTER goes, in seconds after the answer.
fn refreshed_after(rig: &mut Rig) -> u64 {
    let from = rig.now.mono;
    for _ in 0..1000 {
        while let Some(bytes) = rig.sent_bytes() {
            if bytes.starts_with(b"REGISTER") {
                return (rig.now.mono - from).as_secs();
            }
            if &bytes[..] == b"\r\n\r\n" {
                rig.receive(b"\r\n");
            }
        }
        rig.step();
    }
    panic!("no REGISTER");
}

#[test]
fn the_refresh_comes_as_long_before_the_expiry_as_the_proxy_asks_push_07() {
    let caps = |before: u32| format!("*;+sip.pns=\"acme\";+sip.pnsreg=\"{before}\"");
    let push = acme().waking_itself();
    let mut rig = registered(&push, &caps(1200));
    let active = PushChange::Active { refresh_before: Some(seconds(1200)) };
    assert_eq!(pushes(&mut rig), [active]);
    assert_eq!(refreshed_after(&mut rig), 2400);
    // More than there is time: no more often than at half.
    assert_eq!(refreshed_after(&mut registered(&push, &caps(4000))), 1800);
    // Less than we keep anyway.
    assert!((2880..=3240).contains(&refreshed_after(&mut registered(&push, &caps(10)))));
}

#[test]
fn a_push_comes_before_the_expiry_and_only_without_it_do_we_refresh_push_07() {
    let mut rig = registered(&acme(), "*;+sip.pns=\"acme\"");
    assert_eq!(refreshed_after(&mut rig), 3590);
    // Nobody pushes: as ever.
    let mut rig = registered(&acme(), "*;+sip.pns=\"other\"");
    assert!((2880..=3240).contains(&refreshed_after(&mut rig)));
}

#[test]
fn switching_off_takes_the_token_from_the_registrar_push_08() {
    let mut rig = registered(&acme(), "*;+sip.pns=\"acme\"");
    pushes(&mut rig);
    rig.tell(|agent, now| agent.set_push(now, None));
    let register = rig.sent();
    assert_eq!(asked(&register), (vec![], false));
    assert_eq!(register.contacts().count(), 1);
    rig.accept(&register, &[]);
    assert_eq!(pushes(&mut rig), [PushChange::Off]);
    // Once more is nothing new.
    rig.tell(|agent, now| agent.set_push(now, None));
    rig.assert_silent();
}

#[test]
fn what_removes_the_binding_has_no_token_push_08() {
    let mut rig = registered(&acme().waking_itself(), "*;+sip.pns=\"acme\"");
    rig.unregister();
    let removal = rig.sent();
    assert_eq!(removal.contacts().next().unwrap().unwrap().expires(), Some(0));
    assert_eq!(asked(&removal).0, vec![]);
}

#[test]
fn a_new_token_replaces_the_old_one_in_one_register_push_09_push_10() {
    let mut rig = registered(&acme(), "*;+sip.pns=\"acme\"");
    let push = Push::new("acme", "token-2", Some("app")).unwrap();
    rig.tell(|agent, now| agent.set_push(now, Some(&push)));
    let register = rig.sent();
    let contacts: Vec<_> = register.contacts().map(Result::unwrap).collect();
    let prid =
        |at: usize| contacts[at].address().unwrap().uri.param("pn-prid").flatten().unwrap().into_owned();
    // The registrar speaks no outbound: the old Contact would stay.
    assert_eq!((contacts.len(), prid(0), prid(1)), (2, "token-2".into(), "token-1".into()));
    assert_eq!((contacts[0].expires(), contacts[1].expires()), (Some(3600), Some(0)));
    rig.receive(crate::rig::response(
        &register,
        200,
        &[("Contact", &contacts[0].to_string()), (FEATURE_CAPS, "*;+sip.pns=\"acme\"")],
    ));
    rig.assert_silent();
}

#[test]
fn with_outbound_the_new_token_replaces_the_binding_by_itself_push_10() {
    let (mut rig, register) = registering(&acme());
    rig.accept(&register, &[("Require", "outbound"), (FEATURE_CAPS, "*;+sip.pns=\"acme\"")]);
    let push = Push::new("acme", "token-2", Some("app")).unwrap();
    rig.tell(|agent, now| agent.set_push(now, Some(&push)));
    assert_eq!(rig.sent().contacts().count(), 1);
}

#[test]
fn the_network_is_asked_for_its_services_without_a_token_push_11() {
    let mut rig = Rig::registered();
    rig.tell(|agent, now| agent.query_push(now, None));
    let register = rig.sent();
    assert_eq!(asked(&register), (vec![("pn-provider".into(), None)], false));
    rig.accept(&register, &[(FEATURE_CAPS, "*;+sip.pns=\"apns\", *;+sip.pns=\"fcm\"")]);
    let providers = vec!["apns".to_owned(), "fcm".to_owned()];
    assert_eq!(pushes(&mut rig), [PushChange::Offered { providers }]);
    // It was a question, not a wish.
    rig.tell(|agent, now| agent.query_push(now, Some("acme")));
    let register = rig.sent();
    assert_eq!(asked(&register).0, vec![("pn-provider".into(), Some("acme".into()))]);
    rig.reply(&register, 555, &[]);
    assert_eq!(pushes(&mut rig), [PushChange::Offered { providers: vec![] }]);
    let register = rig.sent();
    assert_eq!(asked(&register).0, vec![]);
}

#[test]
fn a_555_is_told_and_the_device_registers_without_push_12() {
    let (mut rig, register) = registering(&acme());
    rig.reply(&register, 555, &[]);
    assert_eq!(pushes(&mut rig), [PushChange::Unsupported]);
    let again = rig.sent();
    assert_eq!(asked(&again), (vec![], false));
    rig.accept(&again, &[]);
    assert!(rig.agent.is_registered());
    // Nor do later ones ask, until the app has something new.
    rig.tell(|agent, now| agent.set_push(now, Some(&acme())));
    assert_eq!(asked(&rig.sent()).0, full());
}

#[test]
fn a_555_to_what_holds_no_push_is_a_failure_as_any_other_push_12() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 555, &[]);
    rig.assert_silent();
    assert_eq!(pushes(&mut rig), []);
}
