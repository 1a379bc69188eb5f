//! Push, access tokens and subscriptions, against the registrar's own halves of them.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::unreachable, clippy::indexing_slicing)] // a test that cannot go on ends here

use aldis::{Event, Package, Push, PushState, RegistrationState, SubscriptionState};
use aldis_end_to_end::{DOMAIN, Tester, config, only, options, registrar};
use aldis_registrar::Ending;

const SERVER: &str = "https://login.example.test";

fn is_registered(event: &Event) -> bool {
    matches!(event, Event::Registration { state: RegistrationState::Registered { .. }, .. })
}

/// The next event about push.
async fn push(tester: &Tester) -> PushState {
    match tester.wait_for(|event| matches!(event, Event::Push { .. })).await {
        Event::Push { state, .. } => state,
        _ => unreachable!(),
    }
}

#[tokio::test]
async fn a_registrar_that_pushes_says_so_and_holds_the_token_push_01_push_03_push_08_push_09() {
    let registrar = registrar(options().push(&["acme"], None)).await;
    let alice = Tester::start(config(&registrar, "alice"));
    alice.phone.set_push(Some(Push::new("acme", "token-1", Some("app")).unwrap()));
    alice.phone.register();
    assert_eq!(push(&alice).await, PushState::Active { refresh_before: None });
    let held = |registrar: &aldis_registrar::Registrar| {
        let bindings = registrar.bindings("alice");
        assert_eq!(bindings.len(), 1, "{bindings:?}");
        bindings[0].contact.clone()
    };
    assert!(held(&registrar).contains("pn-prid=token-1"));
    // Another token takes its place, in one REGISTER.
    alice.phone.set_push(Some(Push::new("acme", "token-2", Some("app")).unwrap()));
    alice.wait_for(is_registered).await;
    assert!(held(&registrar).contains("pn-prid=token-2"));
    alice.phone.set_push(None);
    assert_eq!(push(&alice).await, PushState::Off);
    assert!(!held(&registrar).contains("pn-"));
    alice.phone.shut_down().await;
}

#[tokio::test]
async fn a_service_that_the_registrar_does_not_know_costs_no_registration_push_12() {
    let registrar = registrar(options().push(&["acme"], None)).await;
    let alice = Tester::start(config(&registrar, "alice"));
    alice.phone.set_push(Some(Push::new("other", "token", None).unwrap()));
    alice.phone.register();
    assert_eq!(push(&alice).await, PushState::Unsupported);
    alice.wait_for(is_registered).await;
    assert_eq!(registrar.bindings("alice").len(), 1);
    alice.phone.shut_down().await;
}

#[tokio::test]
async fn the_services_of_the_registrar_can_be_asked_for_push_11() {
    let registrar = registrar(options().push(&["acme", "fcm"], None)).await;
    let alice = Tester::registered(config(&registrar, "alice")).await;
    alice.phone.query_push(None);
    let PushState::Offered { mut providers } = push(&alice).await else { panic!() };
    providers.sort();
    assert_eq!(providers, ["acme", "fcm"]);
    alice.phone.shut_down().await;
}

#[tokio::test]
async fn a_token_registers_and_a_refused_one_is_asked_for_again_auth_25_auth_26_auth_28() {
    let registrar = registrar(options().bearer(SERVER).token("alice", "good.token")).await;
    let config = aldis::Config::new(&format!("sip:alice@{DOMAIN}"))
        .and_then(|config| config.address(&registrar.address().to_string()))
        .and_then(|config| config.authorization_servers(vec![SERVER.into()]))
        .unwrap()
        .trust(only(registrar.root_pem().unwrap()));
    let alice = Tester::start(config);
    alice.phone.register();
    for (token, was_refused) in [("bad.token", false), ("good.token", true)] {
        let event = alice.wait_for(|event| matches!(event, Event::TokenNeeded { .. })).await;
        let Event::TokenNeeded { realm, authorization_server, refused, .. } = event else { unreachable!() };
        assert_eq!((authorization_server.as_str(), refused), (SERVER, was_refused));
        alice.phone.set_token(&realm, token).unwrap();
    }
    alice.wait_for(is_registered).await;
    assert_eq!(registrar.bindings("alice").len(), 1);
    alice.phone.shut_down().await;
}

#[tokio::test]
async fn the_mailbox_tells_what_waits_in_it() {
    let registrar = registrar(options().subscriptions(true)).await;
    let alice = Tester::start(config(&registrar, "alice"));
    alice.phone.subscribe(Package::MessageSummary);
    alice.phone.register();
    alice
        .wait_for(|event| {
            matches!(event, Event::Subscription { state: SubscriptionState::Active { .. }, .. })
        })
        .await;
    registrar.set_summary("alice", "Messages-Waiting: yes\r\nVoice-Message: 3/1 (1/0)\r\n");
    let event =
        alice.wait_for(|event| matches!(event, Event::MessagesWaiting(summary) if summary.waiting)).await;
    let Event::MessagesWaiting(summary) = event else { unreachable!() };
    let voice = summary.count("Voice-Message").unwrap();
    assert_eq!((voice.new, voice.old, voice.new_urgent), (3, 1, 1));
    alice.phone.shut_down().await;
}

#[tokio::test]
async fn a_binding_that_the_registrar_deactivates_is_made_again_at_once_not_06() {
    let registrar = registrar(options().subscriptions(true)).await;
    let alice = Tester::registered(config(&registrar, "alice")).await;
    alice.phone.subscribe(Package::Registration);
    alice
        .wait_for(|event| {
            matches!(event, Event::Subscription { state: SubscriptionState::Active { .. }, .. })
        })
        .await;
    let contact = registrar.bindings("alice")[0].contact.clone();
    assert!(registrar.end_binding("alice", &contact, Ending::Deactivated));
    alice.wait_for(is_registered).await;
    assert_eq!(registrar.bindings("alice").len(), 1);
    alice.phone.shut_down().await;
}
