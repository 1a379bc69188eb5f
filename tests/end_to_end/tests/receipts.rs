//! Receipts and who is writing, between two phones.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::unreachable)] // a test that cannot go on ends here

use aldis::{Event, Incoming, MessageId, Outgoing, OutgoingState};
use aldis_end_to_end::{Tester, config, options, registrar};

const ALICE: &str = "sip:alice@example.test";
const BOB: &str = "sip:bob@example.test";

async fn state(tester: &Tester, id: MessageId) -> OutgoingState {
    let is_news = |state: &OutgoingState| !matches!(state, OutgoingState::Queued | OutgoingState::Sending);
    let wanted = |event: &Event| matches!(event, Event::Outgoing { id: told, state, .. } if *told == id && is_news(state));
    let Event::Outgoing { state, .. } = tester.wait_for(wanted).await else { unreachable!() };
    state
}

async fn message(tester: &Tester) -> Incoming {
    let event = tester.wait_for(|event| matches!(event, Event::Message(_))).await;
    let Event::Message(message) = event else { unreachable!() };
    *message
}

/// The first state that a receipt leads to, after what the server answered, if that came first.
async fn receipt(tester: &Tester, id: MessageId) -> OutgoingState {
    match state(tester, id).await {
        OutgoingState::Accepted { receipts: true, .. } => state(tester, id).await,
        early => early,
    }
}

#[tokio::test]
async fn a_message_that_asks_is_delivered_and_displayed_imdn_05_imdn_07() {
    let registrar = registrar(options()).await;
    let alice = Tester::registered(config(&registrar, "alice")).await;
    let bob = Tester::registered(config(&registrar, "bob").send_display_receipts(true)).await;
    let id = alice.phone.send(BOB, Outgoing::text("hello").request_receipts()).await.unwrap();
    let message = message(&bob).await;
    assert_eq!((message.text().as_deref(), message.id.as_str()), (Some("hello"), id.to_string().as_str()));
    assert!(message.content_type.starts_with("text/plain") && message.sent_at.is_some());
    assert_eq!(receipt(&alice, id).await, OutgoingState::Delivered);
    for _ in 0..2 {
        bob.phone.displayed(&message);
    }
    assert_eq!(state(&alice, id).await, OutgoingState::Displayed);
}

#[tokio::test]
async fn without_consent_nobody_is_told_what_was_shown_imdn_07() {
    let registrar = registrar(options()).await;
    let alice = Tester::registered(config(&registrar, "alice")).await;
    let bob = Tester::registered(config(&registrar, "bob").send_delivery_receipts(false)).await;
    let id = alice.phone.send(BOB, Outgoing::text("hello").request_receipts()).await.unwrap();
    let message = message(&bob).await;
    bob.phone.displayed(&message);
    assert!(matches!(state(&alice, id).await, OutgoingState::Accepted { receipts: true, .. }));
    // A message behind it: what bob could have said before has been said.
    assert!(matches!(bob.send(ALICE, "done").await, OutgoingState::Accepted { .. }));
    let event = alice.wait_for(|event| matches!(event, Event::Message(_) | Event::Outgoing { .. })).await;
    assert!(matches!(event, Event::Message(_)), "{event:?}");
}

#[tokio::test]
async fn who_is_writing_is_told_and_a_message_ends_it_comp_01_comp_03() {
    let registrar = registrar(options()).await;
    let alice = Tester::registered(config(&registrar, "alice")).await;
    let bob = Tester::registered(config(&registrar, "bob")).await;
    alice.phone.composing(BOB).unwrap();
    let event = bob.wait_for(|event| matches!(event, Event::Composing { .. })).await;
    assert!(matches!(event, Event::Composing { from, active: true } if from.as_str() == ALICE));
    alice.send(BOB, "hello").await;
    let event = bob.wait_for(|event| matches!(event, Event::Composing { .. })).await;
    assert!(matches!(event, Event::Composing { active: false, .. }));
    assert_eq!(bob.text().await, "hello");
}
