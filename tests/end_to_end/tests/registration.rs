//! Registering, refreshing, unregistering.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::unreachable, clippy::indexing_slicing)] // a test that cannot go on ends here

use aldis::{CredentialsProblem, Event, RegistrationFailure, RegistrationState};
use aldis_end_to_end::{PATIENCE, Tester, config, config_at, options, registrar};
use aldis_registrar::{Fault, Requests, Times};
use aldis_sip::auth::Algorithm;
use std::time::Duration;

fn failed(event: &Event) -> bool {
    matches!(event, Event::Registration { state: RegistrationState::Failed { .. }, .. })
}

#[tokio::test]
async fn every_digest_algorithm_is_answered_auth_07() {
    for algorithm in [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512_256] {
        let registrar = registrar(options().algorithms(&[algorithm])).await;
        let alice = Tester::registered(config(&registrar, "alice")).await;
        let bindings = registrar.bindings("alice");
        assert_eq!(bindings.len(), 1);
        alice.phone.shut_down().await;
        assert!(registrar.bindings("alice").is_empty(), "unregistered");
    }
}

#[tokio::test]
async fn a_wrong_password_is_said_once_and_not_tried_again_auth_02() {
    let registrar = registrar(options()).await;
    let config = config_at("alice", "wrong", registrar.address(), registrar.root_pem().unwrap());
    let alice = Tester::start(config);
    alice.phone.register();
    let event = alice.wait_for(failed).await;
    let Event::Registration { state: RegistrationState::Failed { why, retry_in, .. }, .. } = event else {
        unreachable!()
    };
    assert!(matches!(why, RegistrationFailure::Credentials(CredentialsProblem::Rejected { .. })), "{why:?}");
    assert_eq!(retry_in, None);
    let sent = |registrar: &aldis_registrar::Registrar| {
        registrar
            .log()
            .iter()
            .filter(|entry| entry.is_request("REGISTER") && entry.received().is_some())
            .count()
    };
    assert_eq!(sent(&registrar), 2);

    // Other credentials are tried at once.
    alice.phone.set_credentials("alice", "wonderland");
    alice
        .wait_for(|event| {
            matches!(event, Event::Registration { state: RegistrationState::Registered { .. }, .. })
        })
        .await;
}

#[tokio::test]
async fn a_longer_least_expiry_is_taken_over_reg_15() {
    let registrar = registrar(options().min_expires(600)).await;
    let alice = Tester::start(config(&registrar, "alice").expires(60).unwrap());
    alice.phone.register();
    let event = alice
        .wait_for(|event| {
            matches!(event, Event::Registration { state: RegistrationState::Registered { .. }, .. })
        })
        .await;
    let Event::Registration { state: RegistrationState::Registered { expires_in, .. }, .. } = event else {
        unreachable!()
    };
    assert_eq!(expires_in, Duration::from_secs(600));
}

#[tokio::test]
async fn a_short_binding_is_refreshed_at_half_its_time_reg_10() {
    let registrar = registrar(options().min_expires(1).max_expires(2)).await;
    let alice = Tester::registered(config(&registrar, "alice")).await;
    let mark = registrar.mark();
    alice
        .wait_for(|event| matches!(event, Event::Registration { state: RegistrationState::Refreshing, .. }))
        .await;
    registrar.wait_after(mark, |entry| entry.is_response(200, "REGISTER"), PATIENCE).await.unwrap();
    assert_eq!(registrar.bindings("alice").len(), 1);
}

#[tokio::test]
async fn two_devices_of_one_user_leave_each_other_alone_reg_14() {
    let registrar = registrar(options()).await;
    let desk = Tester::registered(config(&registrar, "alice")).await;
    let pocket = Tester::registered(config(&registrar, "alice")).await;
    assert_eq!(registrar.bindings("alice").len(), 2);
    desk.phone.shut_down().await;
    assert_eq!(registrar.bindings("alice").len(), 1);
    drop(pocket);
}

#[tokio::test]
async fn others_bindings_in_the_answer_are_not_ours_reg_07() {
    let registrar = registrar(options()).await;
    registrar.set_fault(Fault::OthersFirst, Times::Always);
    let alice = Tester::start(config(&registrar, "alice"));
    alice.phone.register();
    let event = alice
        .wait_for(|event| {
            matches!(event, Event::Registration { state: RegistrationState::Registered { .. }, .. })
        })
        .await;
    let Event::Registration { state: RegistrationState::Registered { contact, .. }, .. } = event else {
        unreachable!()
    };
    assert!(contact.user().unwrap().starts_with("aldis-"), "{contact}");

    registrar.clear_faults();
    registrar.set_fault(Fault::WithoutBinding, Times::Always);
    let bob = Tester::start(config(&registrar, "bob"));
    bob.phone.register();
    let event = bob.wait_for(failed).await;
    let Event::Registration { state: RegistrationState::Failed { why, .. }, .. } = event else {
        unreachable!()
    };
    assert_eq!(why, RegistrationFailure::NoBinding);
}

#[tokio::test]
async fn a_registrar_that_cannot_serve_is_asked_again_when_it_says_reg_17_reg_18() {
    let registrar = registrar(options()).await;
    registrar.set_fault(Fault::answer(Requests::Register, 503).retry_after(1), Times::Once);
    let alice = Tester::start(config(&registrar, "alice"));
    alice.phone.register();
    let event = alice.wait_for(failed).await;
    let Event::Registration { state: RegistrationState::Failed { retry_in, status, .. }, .. } = event else {
        unreachable!()
    };
    assert_eq!(retry_in, Some(Duration::from_secs(1)));
    assert_eq!(status.unwrap().code(), 503);
    alice
        .wait_for(|event| {
            matches!(event, Event::Registration { state: RegistrationState::Registered { .. }, .. })
        })
        .await;
    assert_eq!(registrar.connections(), 2, "DNS is looked at again for another host (REG-17)");
    registrar.set_fault(Fault::answer(Requests::Register, 503).retry_after(1), Times::Once);
    alice.phone.set_expires(1800).unwrap();
    alice.wait_for(failed).await;
    alice
        .wait_for(|event| {
            matches!(event, Event::Registration { state: RegistrationState::Registered { .. }, .. })
        })
        .await;
    assert_eq!(registrar.connections(), 2, "a flow that is registered and answers stays (REG-18)");
}

#[tokio::test]
async fn a_registrar_that_redirects_to_itself_is_told_as_that_gen_18() {
    let registrar = registrar(options()).await;
    let itself = format!("sip:{}", registrar.address());
    let fault = Fault::answer(Requests::Register, 302).header("Contact", format!("<{itself}>"));
    registrar.set_fault(fault, Times::Always);
    let alice = Tester::start(config(&registrar, "alice"));
    alice.phone.register();
    let event = alice.wait_for(failed).await;
    let Event::Registration { state: RegistrationState::Failed { why, retry_in, .. }, .. } = event else {
        unreachable!()
    };
    let RegistrationFailure::Redirected { to, .. } = why else { panic!("{why:?}") };
    assert_eq!(to, Some(itself));
    assert!(retry_in.is_some(), "it may pass");
    registrar.clear_faults();
    alice
        .wait_for(|event| {
            matches!(event, Event::Registration { state: RegistrationState::Registered { .. }, .. })
        })
        .await;
}

#[tokio::test]
async fn a_refusal_stops_until_the_app_acts_reg_21() {
    let registrar = registrar(options()).await;
    registrar.set_fault(Fault::answer(Requests::Register, 403), Times::Once);
    let alice = Tester::start(config(&registrar, "alice"));
    alice.phone.register();
    let event = alice.wait_for(failed).await;
    let Event::Registration { state: RegistrationState::Failed { why, retry_in, .. }, .. } = event else {
        unreachable!()
    };
    assert!(why.is_final() && retry_in.is_none(), "{why:?}");
    alice.phone.register();
    alice
        .wait_for(|event| {
            matches!(event, Event::Registration { state: RegistrationState::Registered { .. }, .. })
        })
        .await;
}

#[tokio::test]
async fn a_challenge_without_end_ends_auth_22() {
    for stale in [true, false] {
        let registrar = registrar(options()).await;
        registrar.set_fault(Fault::ChallengeLoop { stale }, Times::Always);
        let alice = Tester::start(config(&registrar, "alice"));
        alice.phone.register();
        let event = alice.wait_for(failed).await;
        let Event::Registration { state: RegistrationState::Failed { why, .. }, .. } = event else {
            unreachable!()
        };
        assert!(why.is_credentials(), "{why:?}");
    }
}
