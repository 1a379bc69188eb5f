//! Challenges and what is answered to them.

use crate::digest::{answers, challenge, challenge_of, count, nonce, proven, proven_in, proves};
use crate::rig::{BOB, INSTANCE, Rig, account};
use aldis_agent::{
    Account, CredentialsProblem, MessageFailure, OutgoingState, RegistrationChange, RegistrationFailure,
};
use aldis_sip::{Header, Message, Secret};

const WWW: &str = "WWW-Authenticate";
const PROXY: &str = "Proxy-Authenticate";

/// Why the registration failed for good.
fn problem(rig: &mut Rig) -> CredentialsProblem {
    let changes = rig.registrations();
    match changes.as_slice() {
        [RegistrationChange::Failed { why: RegistrationFailure::Credentials(why), retry_in: None, .. }] => {
            why.clone()
        }
        _ => panic!("{changes:?}"),
    }
}

#[test]
fn every_algorithm_is_answered_auth_01_auth_07_auth_08_auth_14() {
    for (more, digits) in
        [("", 32), (", algorithm=MD5", 32), (", algorithm=SHA-256", 64), (", algorithm=SHA-512-256", 64)]
    {
        let (mut rig, register) = Rig::registering();
        rig.reply(&register, 401, &[(WWW, &challenge("n1", more))]);
        let again = rig.sent();
        let answer = proven(&again);
        assert_eq!(answer.response().text().len(), digits, "{more}");
        assert_eq!(count(&answer), "00000001");
        assert_eq!(again.cseq().unwrap().number, register.cseq().unwrap().number + 1);
        assert_eq!(again.call_id().unwrap(), register.call_id().unwrap());
        assert_eq!(again.from().unwrap(), register.from().unwrap());
        rig.accept(&again, &[]);
        assert!(matches!(rig.registrations().as_slice(), [RegistrationChange::Registered { .. }]));
    }
}

#[test]
fn a_quoted_algorithm_is_understood_and_written_bare_i_28() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 401, &[(WWW, &challenge("n1", ", algorithm=\"SHA-256\""))]);
    let again = rig.sent();
    proven(&again);
    assert!(again.value(Header::Authorization).unwrap().contains("algorithm=SHA-256,"));
}

#[test]
fn a_challenge_without_qop_is_answered_in_the_old_form_auth_11() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 401, &[(WWW, r#"Digest realm="example.test", nonce="n1", opaque="o""#)]);
    let again = rig.sent();
    let answer = proven(&again);
    assert_eq!((answer.qop(), answer.nc(), answer.cnonce()), (None, None, None));
    assert_eq!(answer.opaque().unwrap().text(), "o");
}

#[test]
fn a_407_is_answered_to_the_proxy_auth_01() {
    let mut rig = Rig::connected();
    rig.send(BOB, "hello");
    let message = rig.sent();
    rig.reply(&message, 407, &[(PROXY, &challenge("n1", ""))]);
    let again = rig.sent();
    proven_in(&again, Header::ProxyAuthorization);
    assert!(!again.has(Header::Authorization));
    assert_eq!(again.cseq().unwrap().number, 2);
    assert_eq!(again.value(Header::To), message.value(Header::To));
    assert_eq!(again.value(Header::From), message.value(Header::From));
    assert_eq!(again.value(Header::CallId), message.value(Header::CallId));
    assert_eq!(again.value(Header::AldisMessageId), message.value(Header::AldisMessageId));
    assert_ne!(again.via().unwrap().branch(), message.via().unwrap().branch());
    rig.reply(&again, 200, &[]);
    assert!(matches!(rig.outgoing().last(), Some((_, OutgoingState::Accepted { .. }))));
}

#[test]
fn of_several_challenges_the_topmost_that_is_supported_is_answered_auth_05() {
    let (mut rig, register) = Rig::registering();
    let fields = [
        (WWW, "NTLM realm=\"x\"".to_owned()),
        (WWW, challenge("a", ", algorithm=SHA3-512")),
        (WWW, challenge("b", ", algorithm=SHA-256")),
        (WWW, challenge("c", ", algorithm=MD5")),
    ];
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    rig.reply(&register, 401, &fields);
    assert_eq!(nonce(&proven(&rig.sent())), "b");
}

#[test]
fn a_proxy_and_a_registrar_on_one_path_are_both_answered_i_27() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 407, &[(PROXY, &challenge_of("edge", "p", ""))]);
    let second = rig.sent();
    proven_in(&second, Header::ProxyAuthorization);
    rig.reply(&second, 401, &[(WWW, &challenge_of("home", "w", ""))]);
    let third = rig.sent();
    assert_eq!(count(&proven_in(&third, Header::ProxyAuthorization)), "00000002");
    assert_eq!(count(&proven(&third)), "00000001");
    rig.accept(&third, &[]);
    rig.unregister();
    let later = rig.sent();
    assert_eq!(count(&proven_in(&later, Header::ProxyAuthorization)), "00000003");
    assert_eq!(count(&proven(&later)), "00000002");
}

#[test]
fn a_wrong_password_is_final_and_not_repeated_auth_02_reg_21() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 401, &[(WWW, &challenge("n1", ""))]);
    let again = rig.sent();
    rig.reply(&again, 401, &[(WWW, &challenge("n2", ""))]);
    rig.assert_silent();
    assert_eq!(problem(&mut rig), CredentialsProblem::Rejected { realm: "example.test".into() });
    rig.pass(crate::rig::seconds(100_000));
    rig.assert_silent();
}

#[test]
fn a_refused_password_is_not_tried_again_for_messages_auth_02() {
    let mut rig = Rig::connected();
    rig.send(BOB, "one");
    let first = rig.sent();
    rig.reply(&first, 407, &[(PROXY, &challenge("n1", ""))]);
    let again = rig.sent();
    rig.reply(&again, 407, &[(PROXY, &challenge("n2", ""))]);
    rig.events();
    rig.send(BOB, "two");
    let second = rig.sent();
    rig.reply(&second, 407, &[(PROXY, &challenge("n3", ""))]);
    rig.assert_silent();
    let states = rig.outgoing();
    let Some((_, OutgoingState::Failed { why: MessageFailure::Credentials(why), status: Some(status) })) =
        states.last()
    else {
        panic!("{states:?}")
    };
    assert_eq!(*why, CredentialsProblem::Rejected { realm: "example.test".into() });
    assert_eq!(status.code(), 407);
}

#[test]
fn other_credentials_are_tried_at_once() {
    let (mut rig, register) = Rig::registering_with(account().with_password(Secret::new("wrong")));
    rig.reply(&register, 401, &[(WWW, &challenge("n1", ""))]);
    let again = rig.sent();
    rig.reply(&again, 401, &[(WWW, &challenge("n2", ""))]);
    rig.events();
    rig.tell(|agent, now| agent.set_credentials(now, "alice", Secret::new("wonderland")));
    let third = rig.sent();
    rig.reply(&third, 401, &[(WWW, &challenge("n3", ""))]);
    proven(&rig.sent());
}

#[test]
fn credentials_given_while_the_old_ones_are_under_way_are_tried() {
    let (mut rig, register) = Rig::registering_with(account().with_password(Secret::new("wrong")));
    rig.reply(&register, 401, &[(WWW, &challenge("n1", ""))]);
    let again = rig.sent();
    rig.tell(|agent, now| agent.set_credentials(now, "alice", Secret::new("wonderland")));
    rig.reply(&again, 401, &[(WWW, &challenge("n2", ""))]);
    proven(&rig.sent());
}

#[test]
fn credentials_do_not_register_who_does_not_want_it() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 401, &[(WWW, &challenge("n1", ""))]);
    let again = rig.sent();
    rig.reply(&again, 401, &[(WWW, &challenge("n2", ""))]);
    rig.unregister();
    rig.tell(|agent, now| agent.set_credentials(now, "alice", Secret::new("other")));
    rig.assert_silent();
}

#[test]
fn a_stale_nonce_is_answered_without_asking_anybody_auth_16() {
    for stale in ["true", "TRUE"] {
        let (mut rig, register) = Rig::registering();
        rig.reply(&register, 401, &[(WWW, &challenge("n1", ""))]);
        let again = rig.sent();
        rig.reply(&again, 401, &[(WWW, &challenge("n2", &format!(", stale={stale}")))]);
        let third = rig.sent();
        let answer = proven(&third);
        assert_eq!((nonce(&answer).as_str(), count(&answer).as_str()), ("n2", "00000001"));
        assert_eq!(rig.registrations(), []);
    }
}

#[test]
fn an_old_nonce_that_is_refused_without_stale_is_replaced_once_auth_16() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 401, &[(WWW, &challenge("n1", ""))]);
    let again = rig.sent();
    rig.accept(&again, &[]);
    rig.unregister();
    let removal = rig.sent();
    assert_eq!(nonce(&proven(&removal)), "n1");
    rig.reply(&removal, 401, &[(WWW, &challenge("n2", ""))]);
    assert_eq!(nonce(&proven(&rig.sent())), "n2");
}

#[test]
fn a_server_that_asks_without_end_is_left_auth_22() {
    let (mut rig, register) = Rig::registering();
    let mut request = register;
    for n in 0..3 {
        rig.reply(&request, 401, &[(WWW, &challenge(&format!("n{n}"), ", stale=true"))]);
        request = rig.sent();
    }
    rig.reply(&request, 401, &[(WWW, &challenge("n9", ", stale=true"))]);
    rig.assert_silent();
    assert_eq!(problem(&mut rig), CredentialsProblem::Loop);
}

#[test]
fn without_a_password_the_app_learns_the_realm_auth_21() {
    let account = Account::new("sip:alice@example.test", INSTANCE).unwrap();
    let (mut rig, register) = Rig::registering_with(account);
    rig.reply(&register, 401, &[(WWW, &challenge("n1", ""))]);
    rig.assert_silent();
    assert_eq!(problem(&mut rig), CredentialsProblem::Missing { realm: "example.test".into() });
    rig.tell(|agent, now| agent.set_credentials(now, "alice", Secret::new("wonderland")));
    let register = rig.sent();
    rig.reply(&register, 401, &[(WWW, &challenge("n2", ""))]);
    proven(&rig.sent());
}

#[test]
fn schemes_that_are_not_supported_are_named_auth_03_i_29() {
    for (fields, named) in [
        (vec![(WWW, "NTLM realm=\"SIP\""), (WWW, "TLS-DSK realm=\"SIP\"")], "NTLM"),
        (vec![(WWW, "Basic realm=\"SIP\"")], "Basic"),
        (vec![(WWW, "Digest nonsense")], "no challenge"),
        (vec![], "no challenge"),
    ] {
        let (mut rig, register) = Rig::registering();
        rig.reply(&register, 401, &fields);
        rig.assert_silent();
        match problem(&mut rig) {
            CredentialsProblem::Unsupported { offered } => assert!(offered.contains(named), "{offered}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn md5_can_be_forbidden_auth_23() {
    let (mut rig, register) = Rig::registering_with(account().without_md5());
    rig.reply(&register, 401, &[(WWW, &challenge("n1", ""))]);
    assert!(
        matches!(problem(&mut rig), CredentialsProblem::Unsupported { offered } if offered.contains("MD5"))
    );
    let (mut rig, register) = Rig::registering_with(account().without_md5());
    rig.reply(&register, 401, &[(WWW, &challenge("m", "")), (WWW, &challenge("s", ", algorithm=SHA-256"))]);
    assert_eq!(nonce(&proven(&rig.sent())), "s");
}

#[test]
fn a_realm_that_the_account_does_not_name_gets_nothing_auth_04() {
    let (mut rig, register) = Rig::registering_with(account().with_realms(vec!["home".into()]));
    rig.reply(&register, 401, &[(WWW, &challenge_of("evil", "n", ""))]);
    rig.assert_silent();
    assert_eq!(problem(&mut rig), CredentialsProblem::RealmNotAllowed { realm: "evil".into() });
    let (mut rig, register) = Rig::registering_with(account().with_realms(vec!["home".into()]));
    rig.reply(
        &register,
        401,
        &[(WWW, &challenge_of("evil", "n", "")), (WWW, &challenge_of("home", "m", ""))],
    );
    assert_eq!(nonce(&proven(&rig.sent())), "m");
}

#[test]
fn register_and_message_count_one_nonce_together_auth_12() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 401, &[(WWW, &challenge("n1", ""))]);
    let again = rig.sent();
    assert_eq!(count(&proven(&again)), "00000001");
    rig.accept(&again, &[]);
    rig.send(BOB, "hello");
    let message = rig.sent();
    assert!(!message.has(Header::Authorization), "an answer for the registrar must not travel to bob");
    rig.reply(&message, 407, &[(PROXY, &challenge("n1", ""))]);
    let message = rig.sent();
    assert_eq!(count(&proven_in(&message, Header::ProxyAuthorization)), "00000002");
    rig.reply(&message, 200, &[]);
    rig.unregister();
    let removal = rig.sent();
    assert_eq!(count(&proven(&removal)), "00000003");
    rig.send("sip:carol@example.test", "hello");
    assert_eq!(count(&proven_in(&rig.sent(), Header::ProxyAuthorization)), "00000004");
}

#[test]
fn the_count_goes_on_when_the_same_nonce_is_asked_for_again_auth_12() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 401, &[(WWW, &challenge("n1", ""))]);
    let again = rig.sent();
    rig.reply(&again, 401, &[(WWW, &challenge("n1", ", stale=true"))]);
    assert_eq!(count(&proven(&rig.sent())), "00000002");
}

#[test]
fn a_next_nonce_is_used_from_its_first_count_auth_17() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 401, &[(WWW, &challenge("n1", ""))]);
    let again = rig.sent();
    rig.accept(&again, &[("Authentication-Info", r#"nextnonce="n2""#)]);
    rig.unregister();
    let answer = proven(&rig.sent());
    assert_eq!((nonce(&answer).as_str(), count(&answer).as_str()), ("n2", "00000001"));
}

#[test]
fn a_next_nonce_that_is_the_present_one_counts_on_auth_12_auth_17() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 401, &[(WWW, &challenge("n1", ""))]);
    let again = rig.sent();
    rig.accept(&again, &[("Authentication-Info", r#"nextnonce="n1""#)]);
    rig.unregister();
    assert_eq!(count(&proven(&rig.sent())), "00000002");
}

#[test]
fn a_next_nonce_does_not_follow_the_challenge_that_another_flow_has_brought_auth_17() {
    let mut rig = Rig::new(account().with_flows(2).unwrap());
    rig.register();
    let first = rig.connect();
    let register = rig.sent();
    rig.reply(&register, 401, &[(WWW, &challenge("n1", r#", opaque="a""#))]);
    let one = rig.sent();
    assert_eq!((rig.route(&one), nonce(&proven(&one))), (first, "n1".into()));
    // The answer takes longer than the head start; the second flow meets a challenge of its own meanwhile.
    rig.pass(crate::rig::seconds(2));
    rig.connect();
    let register = rig.sent();
    rig.reply(&register, 401, &[(WWW, &challenge("n2", r#", opaque="b", stale=true"#))]);
    let two = rig.sent();
    rig.accept(&one, &[("Require", "outbound"), ("Authentication-Info", r#"nextnonce="n3""#)]);
    rig.accept(&two, &[("Require", "outbound")]);
    rig.unregister();
    let removals = [rig.sent(), rig.sent()];
    for (removal, counted) in removals.iter().zip(["00000002", "00000003"]) {
        let answer = proven(removal);
        let opaque = answer.opaque().unwrap().text().into_owned();
        assert_eq!((nonce(&answer), count(&answer), opaque), ("n2".into(), counted.into(), "b".into()));
    }
}

#[test]
fn our_proxys_realm_is_answered_unasked_in_later_messages_auth_20() {
    let mut rig = Rig::connected();
    rig.send(BOB, "one");
    let message = rig.sent();
    rig.reply(&message, 407, &[(PROXY, &challenge("n1", ""))]);
    let message = rig.sent();
    rig.reply(&message, 200, &[]);
    rig.send("sip:carol@example.test", "two");
    assert_eq!(count(&proven_in(&rig.sent(), Header::ProxyAuthorization)), "00000002");
}

#[test]
fn a_strangers_realm_is_answered_for_that_message_alone_auth_20() {
    let mut rig = Rig::connected();
    rig.send(BOB, "one");
    let message = rig.sent();
    rig.reply(&message, 407, &[(PROXY, &challenge_of("elsewhere.test", "n1", ""))]);
    let message = rig.sent();
    proven_in(&message, Header::ProxyAuthorization);
    rig.reply(&message, 407, &[(PROXY, &challenge_of("elsewhere.test", "n2", ", stale=true"))]);
    let message = rig.sent();
    assert_eq!(nonce(&proven_in(&message, Header::ProxyAuthorization)), "n2");
    rig.reply(&message, 200, &[]);
    rig.send(BOB, "two");
    assert!(!rig.sent().has(Header::ProxyAuthorization));
}

#[test]
fn a_session_algorithm_keeps_its_cnonce_auth_07() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 401, &[(WWW, &challenge("n1", ", algorithm=MD5-sess"))]);
    let first = rig.sent();
    let first_answer = proven(&first);
    rig.accept(&first, &[]);
    rig.unregister();
    let second = rig.sent();
    let second_answer = proven(&second);
    assert_eq!(first_answer.cnonce().unwrap().text(), second_answer.cnonce().unwrap().text());
}

#[test]
fn hashed_user_names_are_written_where_asked_auth_18() {
    let (mut rig, register) = Rig::registering();
    rig.reply(&register, 401, &[(WWW, &challenge("n1", ", algorithm=SHA-256, userhash=true"))]);
    let again = rig.sent();
    let answer = proven(&again);
    assert!(answer.is_for("alice") && !again.value(Header::Authorization).unwrap().contains("\"alice\""));
}

#[test]
fn the_body_is_protected_where_only_that_is_offered_auth_09_auth_10() {
    let mut rig = Rig::connected();
    rig.send(BOB, "protected");
    let message = rig.sent();
    rig.reply(&message, 401, &[(WWW, r#"Digest realm="r", nonce="n", qop="auth-int""#)]);
    let again = rig.sent();
    assert!(proves(&answers(&again, Header::Authorization)[0], &again));
    assert!(again.value(Header::Authorization).unwrap().contains("qop=auth-int"));
}

#[test]
fn another_name_can_log_in() {
    let (mut rig, register) = Rig::registering_with(account().with_auth_user("al"));
    rig.reply(&register, 401, &[(WWW, &challenge("n1", ""))]);
    let again = rig.sent();
    let answer = &answers(&again, Header::Authorization)[0];
    assert!(answer.verify("al", &Secret::new("wonderland"), "REGISTER", b""));
}

#[test]
fn every_message_under_way_takes_its_own_turn_with_a_new_nonce() {
    let mut rig = Rig::connected();
    rig.send("sip:b@example.test", "1");
    rig.send("sip:c@example.test", "2");
    let (one, two) = (rig.sent(), rig.sent());
    rig.reply(&one, 407, &[(PROXY, &challenge("n1", ""))]);
    rig.reply(&two, 407, &[(PROXY, &challenge("n1", ""))]);
    let counts: Vec<_> =
        [rig.sent(), rig.sent()].iter().map(|m| count(&proven_in(m, Header::ProxyAuthorization))).collect();
    assert_eq!(counts, ["00000001", "00000002"]);
}

#[test]
fn where_a_nonce_serves_once_no_other_request_takes_it_from_one_that_was_asked_twice_auth_16() {
    let mut rig = Rig::connected();
    let stale = |n: &str| challenge(n, ", stale=true");
    let used = |message: &Message| {
        let answer = proven_in(message, Header::ProxyAuthorization);
        (nonce(&answer), count(&answer))
    };
    let once = |n: &str, c: u8| (n.to_owned(), format!("{c:08}"));
    rig.send("sip:b@example.test", "1");
    let one = rig.sent();
    rig.reply(&one, 407, &[(PROXY, &challenge("n1", ""))]);
    let one = rig.sent();
    // It overtakes the first, and the server knows the nonce no longer.
    rig.send("sip:c@example.test", "2");
    let two = rig.sent();
    assert_eq!((used(&one), used(&two)), (once("n1", 1), once("n1", 2)));
    rig.reply(&two, 200, &[]);
    rig.reply(&one, 407, &[(PROXY, &stale("n2"))]);
    let one = rig.sent();
    rig.send("sip:d@example.test", "3");
    let three = rig.sent();
    assert_eq!((used(&one), used(&three)), (once("n2", 1), once("n1", 3)));
    rig.reply(&three, 407, &[(PROXY, &stale("n3"))]);
    let three = rig.sent();
    assert_eq!(used(&three), once("n3", 1));
    rig.reply(&three, 200, &[]);
    rig.reply(&one, 200, &[]);
    // What was accepted is known from then on.
    rig.send("sip:e@example.test", "4");
    assert_eq!(used(&rig.sent()), once("n2", 2));
}
