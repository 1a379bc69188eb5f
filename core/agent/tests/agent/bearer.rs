//! Bearer tokens in virtual time (RFC 8898).

use crate::rig::{BOB, INSTANCE, Rig};
use aldis_agent::{
    Account, CredentialsProblem, Event, InvalidAccount, InvalidToken, MessageFailure, OutgoingState,
    RegistrationChange, RegistrationFailure,
};
use aldis_sip::{Header, Message, Secret};

const WWW: &str = "WWW-Authenticate";
const SERVER: &str = "https://login.example.test";

fn account() -> Account {
    let account = Account::new("sip:alice@example.test", INSTANCE).unwrap();
    account.with_authorization_servers(vec![SERVER.into()]).unwrap()
}

fn bearer(server: &str) -> String {
    format!("Bearer realm=\"example.test\", scope=\"sip voice\", authz_server=\"{server}\"")
}

/// What the app is asked for: realm, server, scope, and whether a token was refused.
fn demands(rig: &mut Rig) -> Vec<(String, String, Option<String>, bool)> {
    let demand = |event| match event {
        Event::TokenNeeded { realm, authz_server, scope, refused } => {
            Some((realm, authz_server, scope, refused))
        }
        _ => None,
    };
    rig.events().into_iter().filter_map(demand).collect()
}

fn give(rig: &mut Rig, token: &str) {
    rig.tell(|agent, now| agent.set_token(now, "example.test", Secret::new(token))).unwrap();
}

fn token(message: &Message) -> Option<&str> {
    message.value(Header::Authorization)
}

/// Challenged, and the app asked.
fn challenged() -> Rig {
    challenged_with(account())
}

fn challenged_with(account: Account) -> Rig {
    let (mut rig, register) = Rig::registering_with(account);
    assert_eq!(token(&register), None);
    rig.reply(&register, 401, &[(WWW, &bearer(SERVER))]);
    rig
}

#[test]
fn the_app_is_asked_for_a_token_of_a_server_that_it_trusts_auth_25() {
    let mut rig = challenged();
    let scope = Some("sip voice".to_owned());
    assert_eq!(demands(&mut rig), [("example.test".into(), SERVER.into(), scope, false)]);
    rig.assert_silent();
    give(&mut rig, "secret.token-1==");
    assert_eq!(token(&rig.sent()), Some("Bearer secret.token-1=="));
}

#[test]
fn no_token_is_used_for_a_server_that_is_not_trusted_auth_25() {
    for server in
        ["https://evil.test", "http://login.example.test", "https://login.example.test.evil.test", ""]
    {
        let (mut rig, register) = Rig::registering_with(account());
        give(&mut rig, "secret");
        rig.reply(&register, 401, &[(WWW, &bearer(server))]);
        rig.assert_silent();
        let events = rig.events();
        assert!(!events.iter().any(|event| matches!(event, Event::TokenNeeded { .. })), "{server}");
        let refused = |event: &Event| {
            matches!(
                event,
                Event::Registration {
                    change: RegistrationChange::Failed {
                        why: RegistrationFailure::Credentials(CredentialsProblem::Unsupported { .. }),
                        ..
                    },
                    ..
                }
            )
        };
        assert!(events.iter().any(refused), "{server}");
    }
}

#[test]
fn only_https_addresses_are_authorization_servers_auth_25() {
    for wrong in ["http://a.test", "login.example.test", "https://", "https://a b"] {
        let account = Account::new("sip:alice@example.test", INSTANCE).unwrap();
        let found = account.with_authorization_servers(vec![wrong.into()]).unwrap_err();
        assert_eq!(found, InvalidAccount::AuthorizationServer(wrong.into()));
    }
}

#[test]
fn a_token_that_is_known_answers_at_once_and_goes_along_from_then_on_auth_26() {
    let (mut rig, register) = Rig::registering_with(account());
    give(&mut rig, "t1");
    assert_eq!(token(&register), None, "nobody asked for it yet");
    rig.reply(&register, 401, &[(WWW, &bearer(&format!("{SERVER}/")))]);
    let again = rig.sent();
    assert_eq!(token(&again), Some("Bearer t1"));
    rig.accept(&again, &[]);
    rig.tell(|agent, now| agent.network_changed(now));
    rig.connect();
    let register = loop {
        let bytes = rig.sent_bytes().expect("a REGISTER");
        if bytes.starts_with(b"REGISTER") {
            break Message::parse(bytes).unwrap().0;
        }
    };
    assert_eq!(token(&register), Some("Bearer t1"));
}

#[test]
fn messages_carry_the_token_once_they_were_asked_for_it_where_the_account_says_so_auth_26() {
    let mut rig = challenged_with(account().with_tokens_in_every_request());
    give(&mut rig, "t1");
    let register = rig.sent();
    rig.accept(&register, &[]);
    rig.send(BOB, "one");
    let message = rig.sent();
    assert_eq!(token(&message), None, "the registrar asked, nobody else");
    rig.reply(&message, 401, &[(WWW, &bearer(SERVER))]);
    let again = rig.sent();
    assert_eq!(token(&again), Some("Bearer t1"));
    rig.reply(&again, 200, &[]);
    rig.send(BOB, "two");
    assert_eq!(token(&rig.sent()), Some("Bearer t1"));
}

/// The recipient of a message can challenge it in the name of our own realm, and would read the answer.
#[test]
fn no_recipient_gets_our_token_auth_28() {
    for (status, challenge) in [(401, WWW), (407, "Proxy-Authenticate")] {
        let mut rig = challenged();
        give(&mut rig, "hush");
        let register = rig.sent();
        assert_eq!(token(&register), Some("Bearer hush"));
        rig.accept(&register, &[]);
        rig.send(BOB, "one");
        let message = rig.sent();
        rig.reply(&message, status, &[(challenge, &bearer(SERVER))]);
        rig.assert_silent();
        rig.send(BOB, "two");
        assert!(!String::from_utf8_lossy(&rig.sent().to_bytes()).contains("hush"));
    }
}

#[test]
fn the_registrars_realm_is_ours_whatever_its_name_auth_26() {
    let (mut rig, register) = Rig::registering_with(account().with_tokens_in_every_request());
    let named = bearer(SERVER).replace("realm=\"example.test\"", "realm=\"Our Company\"");
    rig.reply(&register, 401, &[(WWW, &named)]);
    rig.tell(|agent, now| agent.set_token(now, "Our Company", Secret::new("t1"))).unwrap();
    let register = rig.sent();
    rig.accept(&register, &[]);
    rig.send(BOB, "one");
    let message = rig.sent();
    rig.reply(&message, 407, &[("Proxy-Authenticate", &named)]);
    assert_eq!(rig.sent().value(Header::ProxyAuthorization), Some("Bearer t1"));
}

#[test]
fn a_token_goes_to_its_realm_only_auth_28() {
    let mut rig = challenged_with(account().with_tokens_in_every_request());
    give(&mut rig, "t1");
    let register = rig.sent();
    rig.accept(&register, &[]);
    let id = rig.send(BOB, "one");
    let message = rig.sent();
    rig.events();
    let elsewhere = bearer(SERVER).replace("realm=\"example.test\"", "realm=\"elsewhere.test\"");
    rig.reply(&message, 401, &[(WWW, &elsewhere)]);
    rig.assert_silent();
    let outgoing = rig.outgoing();
    assert!(
        matches!(&outgoing[..], [(found, OutgoingState::Failed { why: MessageFailure::Credentials(_), .. })] if *found == id),
        "{outgoing:?}"
    );
}

#[test]
fn a_refused_token_is_asked_for_anew_once_auth_28() {
    let mut rig = challenged();
    demands(&mut rig);
    give(&mut rig, "t1");
    let register = rig.sent();
    rig.reply(&register, 401, &[(WWW, &bearer(SERVER))]);
    let asked = demands(&mut rig);
    assert!(matches!(&asked[..], [(_, _, _, true)]), "{asked:?}");
    rig.assert_silent();
    give(&mut rig, "t2");
    let register = rig.sent();
    assert_eq!(token(&register), Some("Bearer t2"));
    rig.reply(&register, 401, &[(WWW, &bearer(SERVER))]);
    rig.assert_silent();
    let events = rig.events();
    assert!(!events.iter().any(|event| matches!(event, Event::TokenNeeded { .. })), "{events:?}");
    // What the app wants tried again is tried, and asked for.
    rig.register();
    let register = rig.sent();
    assert_eq!(token(&register), None);
    rig.reply(&register, 401, &[(WWW, &bearer(SERVER))]);
    assert_eq!(demands(&mut rig).len(), 1);
}

#[test]
fn a_token_that_expires_later_is_asked_for_again_auth_28() {
    let mut rig = challenged();
    demands(&mut rig);
    give(&mut rig, "t1");
    let register = rig.sent();
    rig.accept(&register, &[]);
    for round in 2..5 {
        rig.tell(|agent, now| agent.set_expires(now, 3600 + round)).unwrap();
        let register = rig.sent();
        rig.reply(&register, 401, &[(WWW, &bearer(SERVER))]);
        assert_eq!(demands(&mut rig).len(), 1, "{round}");
        give(&mut rig, &format!("t{round}"));
        let register = rig.sent();
        rig.accept(&register, &[]);
        assert!(rig.agent.is_registered());
    }
}

#[test]
fn a_password_answers_what_no_token_does() {
    let account = account().with_password(Secret::new("wonderland"));
    let (mut rig, register) = Rig::registering_with(account);
    let digest = "Digest realm=\"example.test\", nonce=\"n\", qop=\"auth\"";
    rig.reply(&register, 401, &[(WWW, &bearer("https://other.test")), (WWW, digest)]);
    assert!(token(&rig.sent()).unwrap().starts_with("Digest "));
}

#[test]
fn a_token_cannot_leave_its_line_and_is_in_no_print_auth_28() {
    let mut rig = challenged();
    for wrong in ["", "=", "a b", "a\r\nX: y", "a=b", &"x".repeat(16_385)] {
        let found = rig.tell(|agent, now| agent.set_token(now, "example.test", Secret::new(wrong)));
        assert_eq!(found, Err(InvalidToken), "{wrong:?}");
    }
    rig.tell(|agent, now| agent.set_token(now, "example.test", Secret::new("hush"))).unwrap();
    let output = format!("{:?} {:?}", rig.events(), rig.agent.account());
    assert!(!output.contains("hush"));
}

#[test]
fn a_token_that_the_server_takes_is_not_refused_by_a_proxy_that_asks_for_itself_auth_28() {
    let (mut rig, register) = Rig::registering_with(account().with_tokens_in_every_request());
    give(&mut rig, "secret");
    rig.reply(&register, 401, &[(WWW, &bearer(SERVER))]);
    let register = rig.sent();
    rig.accept(&register, &[]);
    rig.send(BOB, "hello");
    let message = rig.sent();
    rig.reply(&message, 401, &[(WWW, &bearer(SERVER))]);
    let message = rig.sent();
    assert_eq!(token(&message), Some("Bearer secret"));
    rig.reply(&message, 407, &[("Proxy-Authenticate", &bearer(SERVER))]);
    let message = rig.sent();
    assert_eq!(token(&message), Some("Bearer secret"));
    assert_eq!(message.value(Header::ProxyAuthorization), Some("Bearer secret"));
    assert_eq!(demands(&mut rig), []);
    rig.reply(&message, 407, &[("Proxy-Authenticate", &bearer(SERVER))]);
    rig.assert_silent();
    assert_eq!(demands(&mut rig).len(), 1, "now the proxy has refused it");
}

#[test]
fn a_token_that_is_refused_after_the_app_has_changed_its_mind_goes_nowhere_else_auth_28() {
    let mut rig = challenged_with(account().with_tokens_in_every_request());
    give(&mut rig, "t1");
    let register = rig.sent();
    rig.send(BOB, "one");
    rig.unregister();
    let message = rig.sent();
    rig.reply(&register, 401, &[(WWW, &bearer(SERVER))]);
    rig.reply(&message, 401, &[(WWW, &bearer(SERVER))]);
    rig.assert_silent();
    give(&mut rig, "t2");
    rig.send(BOB, "two");
    assert_eq!(token(&rig.sent()), Some("Bearer t2"));
}

#[test]
fn a_token_that_is_refused_over_a_connection_that_is_being_replaced_goes_nowhere_else_auth_28() {
    let mut rig = challenged();
    give(&mut rig, "t1");
    let register = rig.sent();
    rig.tell(|agent, now| agent.network_changed(now));
    rig.reply(&register, 401, &[(WWW, &bearer(SERVER))]);
    rig.connect();
    assert_eq!(token(&rig.sent()), None);
}

#[test]
fn a_token_that_is_given_twice_is_refused_as_one_auth_28() {
    let mut rig = challenged();
    give(&mut rig, "t1");
    let register = rig.sent();
    give(&mut rig, "t1");
    rig.reply(&register, 401, &[(WWW, &bearer(SERVER))]);
    rig.assert_silent();
    assert!(demands(&mut rig).last().is_some_and(|(_, _, _, refused)| *refused));
}
