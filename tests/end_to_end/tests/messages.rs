//! Messages between two phones.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::unreachable, clippy::indexing_slicing)] // a test that cannot go on ends here

use aldis::{Event, MessageFailure, Outgoing, OutgoingState, SendError, SendRefused, UnknownReason};
use aldis_end_to_end::{Tester, config, options, registrar};
use aldis_registrar::{Fault, Offline, Requests, Times};

const ALICE: &str = "sip:alice@example.test";
const BOB: &str = "sip:bob@example.test";

#[tokio::test]
async fn a_message_each_way_msg_01() {
    let registrar = registrar(options()).await;
    let alice = Tester::registered(config(&registrar, "alice")).await;
    let bob = Tester::registered(config(&registrar, "bob")).await;

    let text = "Hello, Bob — ünïcödé 🙂\r\nsecond line";
    assert!(
        matches!(alice.send(BOB, text).await, OutgoingState::Accepted { status, .. } if status.code() == 200)
    );
    let event = bob.wait_for(|event| matches!(event, Event::Message(_))).await;
    let Event::Message(message) = event else { unreachable!() };
    assert_eq!(message.text().unwrap(), text);
    assert_eq!(message.from.as_str(), ALICE);
    assert!(message.content_type.starts_with("text/plain"));

    assert!(matches!(bob.send(ALICE, "Hello, Alice").await, OutgoingState::Accepted { .. }));
    assert_eq!(alice.text().await, "Hello, Alice");
}

#[tokio::test]
async fn a_message_needs_no_registration_and_leaves_none() {
    let registrar = registrar(options()).await;
    let bob = Tester::registered(config(&registrar, "bob")).await;
    let alice = Tester::start(config(&registrar, "alice"));
    assert!(matches!(alice.send(BOB, "from outside").await, OutgoingState::Accepted { .. }));
    assert_eq!(bob.text().await, "from outside");
    assert!(registrar.bindings("alice").is_empty());
}

#[tokio::test]
async fn nobody_there_is_told_apart_from_nobody_known() {
    let registrar = registrar(options()).await;
    let alice = Tester::registered(config(&registrar, "alice")).await;
    for (to, status) in [(BOB, 480), ("sip:nobody@example.test", 404)] {
        match alice.send(to, "hello?").await {
            OutgoingState::Failed { why: MessageFailure::Rejected { status: got, .. }, .. } => {
                assert_eq!(got.code(), status);
            }
            other => panic!("{to}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_message_to_who_is_away_comes_when_he_is_back_msg_05() {
    let registrar = registrar(options().offline(Offline::Store)).await;
    let alice = Tester::registered(config(&registrar, "alice")).await;
    assert!(
        matches!(alice.send(BOB, "when you are back").await, OutgoingState::Accepted { status, .. } if status.code() == 202)
    );
    let bob = Tester::registered(config(&registrar, "bob")).await;
    let event = bob.wait_for(|event| matches!(event, Event::Message(_))).await;
    let Event::Message(message) = event else { unreachable!() };
    assert_eq!(message.text().unwrap(), "when you are back");
    assert!(message.sent_at.is_some_and(|sent| (message.received_at - sent).abs() < 60));
}

#[tokio::test]
async fn a_message_that_comes_twice_is_shown_once_msg_16() {
    for same_transaction in [true, false] {
        let registrar = registrar(options()).await;
        let alice = Tester::registered(config(&registrar, "alice")).await;
        let bob = Tester::registered(config(&registrar, "bob")).await;
        registrar.set_fault(Fault::DeliverTwice { same_transaction }, Times::Once);
        assert!(matches!(alice.send(BOB, "first").await, OutgoingState::Accepted { .. }));
        assert!(matches!(alice.send(BOB, "second").await, OutgoingState::Accepted { .. }));
        assert_eq!(bob.text().await, "first");
        assert_eq!(bob.text().await, "second");
    }
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_anything_is_sent_msg_04() {
    let registrar = registrar(options()).await;
    let alice = Tester::registered(config(&registrar, "alice")).await;
    let before = registrar.application_bytes();
    let body = vec![b'x'; 100 << 20];
    match alice.phone.send(BOB, Outgoing::new("text/plain", body)).await {
        Err(SendError::Refused(SendRefused::TooLarge { limit: 8192, size })) => assert!(size > 100 << 20),
        other => panic!("{other:?}"),
    }
    assert_eq!(registrar.application_bytes(), before);
}

#[tokio::test]
async fn an_invalid_recipient_or_type_is_refused_at_once() {
    let registrar = registrar(options()).await;
    let alice = Tester::start(config(&registrar, "alice"));
    for to in [
        "bob",
        "",
        "tel:+1",
        "sip:bob@example.test?x=y",
        "sip:b ob@example.test",
        "sip:b@x\r\nRoute: <sip:evil>",
    ] {
        let result = alice.phone.send(to, Outgoing::text("x")).await;
        assert!(
            matches!(result, Err(SendError::Refused(SendRefused::Recipient { .. }))),
            "{to:?}: {result:?}"
        );
    }
    let injected = Outgoing::new("text/plain\r\nX: y", "x");
    assert!(matches!(
        alice.phone.send(BOB, injected).await,
        Err(SendError::Refused(SendRefused::ContentType(_)))
    ));
    assert_eq!(registrar.connections(), 0);
}

#[tokio::test]
async fn a_message_whose_answer_was_lost_leaves_again_and_is_shown_once_msg_15_msg_16() {
    let registrar = registrar(options()).await;
    let bob = Tester::registered(config(&registrar, "bob")).await;
    let alice = Tester::registered(config(&registrar, "alice")).await;
    registrar.set_fault(Fault::CloseAfter(Requests::Message), Times::Once);
    let state = alice.send(BOB, "into the dark").await;
    assert!(matches!(state, OutgoingState::Accepted { .. }), "{state:?}");
    assert_eq!(bob.text().await, "into the dark");
    alice.send(BOB, "the next").await;
    assert_eq!(bob.text().await, "the next");
}

#[tokio::test]
async fn an_answer_that_is_lost_can_leave_the_fate_unknown_msg_07_msg_16() {
    let registrar = registrar(options()).await;
    let alice = Tester::registered(config(&registrar, "alice").without_resending()).await;
    registrar.set_fault(Fault::CloseAfter(Requests::Message), Times::Once);
    let state = alice.send(BOB, "into the dark").await;
    assert!(matches!(state, OutgoingState::Unknown { why: UnknownReason::ConnectionLost, .. }), "{state:?}");
}

#[tokio::test]
async fn many_messages_to_many_keep_their_order_msg_03() {
    let registrar = registrar(options()).await;
    let alice = Tester::registered(config(&registrar, "alice")).await;
    let bob = Tester::registered(config(&registrar, "bob")).await;
    for n in 0..100 {
        alice.phone.send(BOB, Outgoing::text(n.to_string())).await.unwrap();
    }
    for n in 0..100 {
        assert_eq!(bob.text().await, n.to_string());
    }
}
