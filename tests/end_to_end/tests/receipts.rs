//! Receipts and who is writing, between two phones.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::unreachable)] // a test that cannot go on ends here

use aldis::store::{Limits, SqliteStore, Store};
use aldis::{Event, Incoming, MessageId, Outgoing, OutgoingState, ReceiptRequest};
use aldis_end_to_end::{Tester, config, options, registrar};
use aldis_registrar::{Fault, Requests, Times};
use std::time::Duration;

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
async fn an_app_that_ends_at_once_gives_the_receipt_that_it_owes_imdn_05() {
    let registrar = registrar(options()).await;
    let alice = Tester::registered(config(&registrar, "alice")).await;
    let bob = Tester::registered(config(&registrar, "bob")).await;
    // It is challenged, and what follows is not.
    bob.send(ALICE, "before").await;
    assert_eq!(alice.text().await, "before");
    // Behind this one the receipt has to wait for its turn.
    registrar.set_fault(Fault::Delay(Requests::Message, Duration::from_millis(500)), Times::Once);
    bob.phone.send(ALICE, Outgoing::text("first")).await.unwrap();
    assert_eq!(alice.text().await, "first");
    let id = alice.phone.send(BOB, Outgoing::text("hello").request_receipts()).await.unwrap();
    message(&bob).await;
    bob.phone.shut_down().await;
    assert_eq!(receipt(&alice, id).await, OutgoingState::Delivered);
}

#[tokio::test]
async fn a_receipt_that_an_earlier_run_owed_is_given_by_the_next_imdn_05() {
    let registrar = registrar(options()).await;
    let alice = Tester::registered(config(&registrar, "alice")).await;
    let silent = Tester::registered(config(&registrar, "bob").send_delivery_receipts(false)).await;
    let id = alice.phone.send(BOB, Outgoing::text("hello").request_receipts()).await.unwrap();
    assert!(matches!(state(&alice, id).await, OutgoingState::Accepted { receipts: true, .. }));
    silent.phone.shut_down().await;

    // As a run leaves it that ended between keeping the message and its receipt.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("messages.db");
    let (mut store, _) = SqliteStore::open(&path, Limits::default()).unwrap();
    let kept = aldis::store::Incoming {
        key: "1".into(),
        id: id.to_string(),
        from: ALICE.into(),
        display_name: None,
        claimed_from: None,
        to: BOB.into(),
        content_type: "text/plain".into(),
        body: b"hello".to_vec(),
        sent_at: None,
        received_at: 0,
        expires_at: None,
        wants: Some(ReceiptRequest { delivered: true, ..ReceiptRequest::default() }),
        owes_receipt: true,
    };
    store.put_incoming(&kept).unwrap();
    drop(store);
    let bob = Tester::registered(config(&registrar, "bob").store_file(&path, Limits::default())).await;
    assert_eq!(state(&alice, id).await, OutgoingState::Delivered);
    bob.phone.shut_down().await;
    let (mut store, _) = SqliteStore::open(&path, Limits::default()).unwrap();
    assert!(store.receipts_owed(aldis::Sequence(0), 10).unwrap().is_empty());
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
