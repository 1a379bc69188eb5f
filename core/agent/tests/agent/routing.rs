//! Where messages go: proxies, Service-Route, redirects.

use crate::rig::{BOB, Rig, account};
use aldis_agent::{MessageFailure, OutgoingState};
use aldis_sip::{Header, Message};

fn routes(message: &Message) -> Vec<String> {
    let value = |field: aldis_sip::Field<'_>| String::from_utf8(field.value.to_vec()).unwrap();
    message.fields().filter(|field| field.header == Header::Route).map(value).collect()
}

fn target(message: &Message) -> String {
    message.request_uri().unwrap().unwrap().to_string()
}

#[test]
fn a_service_route_comes_behind_the_proxy_rt_07_rt_08_gen_07() {
    let account = account().with_proxy("proxy.test", None).unwrap();
    let service = ("Service-Route", "<sip:a.test;lr>, <sip:b.test;lr=on;x=y>");
    let mut rig = Rig::registered_with(account, &[service]);
    rig.send(BOB, "hello");
    let message = rig.sent();
    assert_eq!(routes(&message), ["<sip:proxy.test;lr>", "<sip:a.test;lr>", "<sip:b.test;lr=on;x=y>"]);
    assert_eq!(target(&message), BOB);
    rig.unregister();
    assert_eq!(routes(&rig.sent()), ["<sip:proxy.test;lr>"], "not in REGISTER");
}

#[test]
fn the_latest_2xx_says_the_service_route_rt_07() {
    let (mut rig, register) = Rig::registering_with(account().with_expires(60).unwrap());
    rig.accept(&register, &[("Service-Route", "<sip:a.test;lr>")]);
    rig.pass(crate::rig::seconds(30));
    let refresh = rig.sent();
    rig.accept(&refresh, &[]);
    rig.send(BOB, "hello");
    assert!(routes(&rig.sent()).is_empty());
}

#[test]
fn a_service_route_is_gone_with_its_registration_rt_07() {
    let mut rig = Rig::registered_with(account(), &[("Service-Route", "<sip:a.test;lr>")]);
    rig.unregister();
    let removal = rig.sent();
    rig.reply(&removal, 200, &[]);
    rig.send(BOB, "hello");
    assert!(routes(&rig.sent()).is_empty());
}

#[test]
fn a_service_route_leads_to_no_other_connection_rt_09() {
    let mut rig = Rig::registered_with(account(), &[("Service-Route", "<sip:elsewhere.test;lr>")]);
    rig.send(BOB, "hello");
    assert_eq!(routes(&rig.sent()).len(), 1);
    assert!(rig.is_up() && !rig.wants_connection());
}

#[test]
fn a_strict_router_gets_the_request_uri_gen_07() {
    let mut rig = Rig::registered_with(account(), &[("Service-Route", "<sip:strict.test>, <sip:b.test;lr>")]);
    rig.send(BOB, "hello");
    let message = rig.sent();
    assert_eq!(target(&message), "sip:strict.test");
    assert_eq!(routes(&message), ["<sip:b.test;lr>".to_owned(), format!("<{BOB}>")]);
    assert_eq!(message.to().unwrap().uri.as_str(), BOB);
}

#[test]
fn a_sips_target_makes_the_whole_route_sips_sips_03() {
    let account = account().with_proxy("proxy.test", None).unwrap();
    let mut rig = Rig::registered_with(account, &[("Service-Route", "<sip:a.test;lr>")]);
    rig.send("sips:bob@example.test", "hello");
    assert_eq!(routes(&rig.sent()), ["<sips:proxy.test;lr>", "<sips:a.test;lr>"]);
}

/// A message to this recipient that was answered with 302 and these Contacts.
fn redirected(to: &str, contacts: &str) -> Rig {
    let mut rig = Rig::connected();
    rig.send(to, "hello");
    let message = rig.sent();
    rig.events();
    rig.reply(&message, 302, &[("Contact", contacts)]);
    rig
}

fn is_rejected(rig: &mut Rig, code: u16) -> bool {
    let states = rig.outgoing();
    matches!(
        states.as_slice(),
        [(_, OutgoingState::Failed { why: MessageFailure::Rejected { status, .. }, .. })] if status.code() == code
    )
}

#[test]
fn a_redirected_message_goes_to_the_contact_over_the_same_connection_gen_18_txn_12() {
    let mut rig = Rig::connected();
    rig.send(BOB, "hello");
    let first = rig.sent();
    rig.reply(&first, 302, &[("Contact", "<sip:bob@elsewhere.test;x=y>")]);
    let second = rig.sent();
    assert_eq!(target(&second), "sip:bob@elsewhere.test;x=y");
    assert_eq!(second.value(Header::To), first.value(Header::To));
    assert_eq!(second.value(Header::From), first.value(Header::From));
    assert_eq!(second.value(Header::CallId), first.value(Header::CallId));
    assert_eq!(second.cseq().unwrap().number, 2);
    assert_ne!(second.via().unwrap().branch(), first.via().unwrap().branch());
    assert!(!rig.wants_connection());
    rig.reply(&second, 200, &[]);
    assert!(matches!(rig.outgoing().last(), Some((_, OutgoingState::Accepted { .. }))));
}

#[test]
fn the_best_contact_is_tried_first_and_the_next_after_its_failure_gen_18() {
    let mut rig =
        redirected(BOB, "<sip:low@x.test>;q=0.1, <sip:high@x.test>;q=0.9, <sip:middle@x.test>;q=0.5");
    for name in ["high", "middle", "low"] {
        let message = rig.sent();
        assert_eq!(target(&message), format!("sip:{name}@x.test"));
        rig.reply(&message, 404, &[]);
    }
    rig.assert_silent();
    assert!(is_rejected(&mut rig, 404));
}

#[test]
fn a_refusal_by_the_recipient_ends_the_search_gen_18_msg_06() {
    let mut rig = redirected(BOB, "<sip:a@x.test>, <sip:b@x.test>");
    let message = rig.sent();
    rig.reply(&message, 603, &[]);
    rig.assert_silent();
}

#[test]
fn nothing_is_tried_twice_gen_18() {
    let mut rig = redirected(BOB, "<sip:BOB@example.test>, <sip:bob@EXAMPLE.test>");
    let message = rig.sent();
    assert_eq!(target(&message), "sip:BOB@example.test");
    rig.reply(&message, 302, &[("Contact", &format!("<{BOB}>, <sip:BOB@example.test>"))]);
    rig.assert_silent();
    assert!(is_rejected(&mut rig, 302));
}

#[test]
fn five_redirects_are_enough_gen_18() {
    let mut rig = redirected(BOB, "<sip:bob@x0.test>");
    for n in 1..=5 {
        let message = rig.sent();
        rig.reply(&message, 301, &[("Contact", &format!("<sip:bob@x{n}.test>"))]);
    }
    rig.assert_silent();
    assert!(is_rejected(&mut rig, 301));
}

#[test]
fn sips_is_never_redirected_to_sip_gen_18_sips_02() {
    let mut rig = redirected("sips:bob@example.test", "<sip:bob@elsewhere.test>");
    rig.assert_silent();
    assert!(is_rejected(&mut rig, 302));
    let mut rig = redirected("sips:bob@example.test", "<sip:bob@a.test>, <sips:bob@b.test>");
    let message = rig.sent();
    assert_eq!(target(&message), "sips:bob@b.test");
    rig.reply(&message, 302, &[("Contact", "<sip:bob@c.test>")]);
    rig.assert_silent();
}

#[test]
fn contacts_that_steer_requests_or_are_no_sip_are_passed_over_gen_09_gen_18() {
    for contact in
        ["<tel:+123>", "<sip:b@x.test?Route=y>", "<sip:b@x.test;method=REGISTER>", "*", "<mailto:b@x.test>"]
    {
        let mut rig = redirected(BOB, contact);
        rig.assert_silent();
        assert!(is_rejected(&mut rig, 302), "{contact}");
    }
}

#[test]
fn a_sips_target_is_never_turned_into_sip_sips_02() {
    for (code, fields) in [(416, &[][..]), (480, &[("Warning", "380 x \"SIPS Not Allowed\"")])] {
        let mut rig = Rig::connected();
        rig.send("sips:bob@example.test", "hello");
        let message = rig.sent();
        rig.events();
        rig.reply(&message, code, fields);
        rig.assert_silent();
        assert!(is_rejected(&mut rig, code));
    }
}

#[test]
fn a_redirected_message_answers_challenges_for_its_new_target_auth_14() {
    let mut rig = redirected(BOB, "<sip:bob@elsewhere.test>");
    let message = rig.sent();
    rig.reply(
        &message,
        407,
        &[("Proxy-Authenticate", r#"Digest realm="example.test", nonce="n", qop="auth""#)],
    );
    let again = rig.sent();
    assert_eq!(target(&again), "sip:bob@elsewhere.test");
    crate::digest::proven_in(&again, Header::ProxyAuthorization);
}
