//! What was handed over or answered is there again after a restart.

#![allow(clippy::unwrap_used, clippy::panic)] // what is missing fails the test

use aldis::store::{Limits, Message, SqliteStore, State, Store, Stored};
use aldis::{Config, Event, MessageFailure, MessageId, Outgoing, OutgoingState, Phone, SendError, Storage};
use aldis_end_to_end::{PATIENCE, Tester, config, config_at, options, registrar};
use aldis_registrar::Entry;
use aldis_sip::Header;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const BOB: &str = "sip:bob@example.test";
const ALICE: &str = "sip:alice@example.test";

fn kept(config: Config, folder: &Path) -> Config {
    config.store_file(folder.join("messages.db"), Limits::default())
}

/// A message that came before.
fn earlier(n: u32) -> aldis::store::Incoming {
    aldis::store::Incoming {
        key: n.to_string(),
        id: n.to_string(),
        from: BOB.into(),
        display_name: None,
        claimed_from: None,
        to: ALICE.into(),
        content_type: "text/plain".into(),
        body: vec![b'x'; 5000],
        sent_at: None,
        received_at: 0,
        expires_at: None,
        wants: None,
        owes_receipt: false,
    }
}

/// An address at which nobody listens.
fn nowhere(config: &str) -> Config {
    Config::new(config).unwrap().address("127.0.0.1:9").unwrap()
}

#[tokio::test]
async fn a_message_handed_over_offline_goes_with_the_next_run_msg_15() {
    let registrar = registrar(options()).await;
    let folder = tempfile::tempdir().unwrap();
    let alice = Phone::start(kept(nowhere(ALICE), folder.path())).unwrap();
    let mut ids = Vec::new();
    for text in ["one", "two", "three"] {
        ids.push(alice.send(BOB, Outgoing::text(text)).await.unwrap());
    }
    alice.shut_down().await;

    let bob = Tester::registered(config(&registrar, "bob")).await;
    let alice = Tester::registered(kept(config(&registrar, "alice"), folder.path())).await;
    for text in ["one", "two", "three"] {
        assert_eq!(bob.text().await, text);
    }
    let last = ids[2];
    alice
        .wait_for(|event| {
            matches!(event, Event::Outgoing { id, state: OutgoingState::Accepted { .. }, .. } if *id == last)
        })
        .await;
    let history = alice.phone.store(|store| store.history(BOB, None, 10)).await.unwrap();
    assert_eq!(history.len(), 3);
    for entry in history {
        assert!(matches!(entry.message, Message::Outgoing { state: State::Accepted { .. }, .. }));
    }
}

#[tokio::test]
async fn a_message_comes_again_after_a_restart_until_the_app_reads_on() {
    let registrar = registrar(options()).await;
    let folder = tempfile::tempdir().unwrap();
    let alice = Tester::start(config(&registrar, "alice"));
    let bob = Tester::registered(kept(config(&registrar, "bob"), folder.path())).await;
    alice.send(BOB, "one").await;
    alice.send(BOB, "two").await;
    assert_eq!(bob.text().await, "one");
    assert_eq!(bob.text().await, "two");
    // As a crash would: nobody says that the second one is handled.
    let Tester { phone } = bob;
    drop(phone);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let bob = Tester::start(kept(config(&registrar, "bob"), folder.path()));
    assert_eq!(bob.text().await, "two");
    bob.phone.shut_down().await;
    let bob = Tester::start(kept(config(&registrar, "bob"), folder.path()));
    let more = tokio::time::timeout(Duration::from_millis(300), bob.text()).await;
    assert!(more.is_err(), "it was handled: {more:?}");
}

#[tokio::test]
async fn an_app_that_acknowledges_itself_is_given_what_it_did_not() {
    let registrar = registrar(options()).await;
    let folder = tempfile::tempdir().unwrap();
    let alice = Tester::start(config(&registrar, "alice"));
    let explicit = |folder: &Path| kept(config(&registrar, "bob"), folder).acknowledge_explicitly();
    let bob = Tester::registered(explicit(folder.path())).await;
    alice.send(BOB, "one").await;
    alice.send(BOB, "two").await;
    let Event::Message(first) = bob.wait_for(|event| matches!(event, Event::Message(_))).await else {
        panic!("waited for a message")
    };
    bob.text().await;
    bob.phone.acknowledge([first.sequence]).await.unwrap();
    bob.phone.shut_down().await;
    let bob = Tester::start(explicit(folder.path()));
    assert_eq!(bob.text().await, "two");
}

#[tokio::test]
async fn a_suspended_store_takes_nothing_and_the_sender_keeps_it_msg_09() {
    let registrar = registrar(options()).await;
    let folder = tempfile::tempdir().unwrap();
    let alice = Tester::start(config(&registrar, "alice"));
    let bob = Tester::registered(kept(config(&registrar, "bob"), folder.path())).await;
    let begun = std::time::Instant::now();
    bob.phone.suspend_store().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1));
    let refused = alice.send(BOB, "now?").await;
    assert!(matches!(refused, OutgoingState::Failed { status: Some(status), .. } if status.code() == 480));
    let unsent = bob.phone.send(ALICE, Outgoing::text("no")).await;
    assert!(matches!(unsent, Err(SendError::Storage(_))), "{unsent:?}");
    bob.phone.resume_store().await.unwrap();
    assert!(matches!(alice.send(BOB, "now").await, OutgoingState::Accepted { .. }));
    assert_eq!(bob.text().await, "now");
}

#[tokio::test]
async fn what_an_extension_sends_while_the_app_is_suspended_the_app_is_told_and_does_not_send_msg_15() {
    let registrar = registrar(options().edges(2)).await;
    let folder = tempfile::tempdir().unwrap();
    let bob = Tester::registered(config(&registrar, "bob")).await;
    // The app cannot reach its server.
    let behind = registrar.addresses()[1];
    registrar.stop_edge(1).await;
    let app = config_at("alice", "wonderland", behind, registrar.root_pem().unwrap());
    let app = Tester::start(kept(app, folder.path()).shared_store());
    let mut ids = Vec::new();
    for to in [BOB, "sip:nobody@example.test"] {
        ids.push(app.phone.send(to, Outgoing::text("from the app")).await.unwrap());
    }
    app.phone.suspend_store().await.unwrap();

    let extension = Tester::start(kept(config(&registrar, "alice"), folder.path()).shared_store());
    extension.phone.register();
    assert_eq!(bob.text().await, "from the app");
    states_of(&extension, &ids).await;
    extension.phone.shut_down().await;
    app.phone.resume_store().await.unwrap();
    let states = states_of(&app, &ids).await;
    assert!(matches!(&states[0], OutgoingState::Accepted { .. }), "{states:?}");
    let OutgoingState::Failed { why: MessageFailure::Elsewhere(_), status: Some(status) } = &states[1] else {
        panic!("{states:?}")
    };
    assert_eq!(status.code(), 404);

    // Once it can, nothing of it goes a second time.
    registrar.start_edge(1).await.unwrap();
    app.phone.register();
    assert!(matches!(app.send(BOB, "and this").await, OutgoingState::Accepted { .. }));
    assert_eq!(bob.text().await, "and this");
    let proven = |entry: &Entry| {
        entry.is_request("MESSAGE")
            && entry.message().is_some_and(|message| message.has(Header::ProxyAuthorization))
    };
    assert_eq!(registrar.log().iter().filter(|entry| proven(entry)).count(), 3);
}

/// The final states of these messages.
async fn states_of(tester: &Tester, ids: &[MessageId]) -> Vec<OutgoingState> {
    let mut states = BTreeMap::new();
    while states.len() < ids.len() {
        let event = tester.wait_for(|event| ended(event).is_some()).await;
        states.extend(ended(&event));
    }
    ids.iter().map(|id| states.remove(id).unwrap()).collect()
}

/// A message of ours that has its final state.
fn ended(event: &Event) -> Option<(MessageId, OutgoingState)> {
    match event {
        Event::Outgoing { id, state, .. } if state.is_final() => Some((*id, state.clone())),
        _ => None,
    }
}

#[tokio::test]
async fn an_app_in_the_background_lets_go_of_its_store_and_takes_what_comes() {
    let registrar = registrar(options()).await;
    let folder = tempfile::tempdir().unwrap();
    let alice = Tester::start(config(&registrar, "alice"));
    let bob = Tester::registered(kept(config(&registrar, "bob"), folder.path()).shared_store()).await;
    // Nobody has the file open when it can be locked.
    let in_use = folder.path().join("messages.db.use");
    let is_free = || std::fs::File::open(&in_use).unwrap().try_lock().is_ok();
    let free = || async {
        let begun = std::time::Instant::now();
        while !is_free() {
            assert!(begun.elapsed() < PATIENCE, "the store is held");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        begun.elapsed()
    };
    assert!(!is_free());
    bob.phone.enter_background();
    assert!(free().await < Duration::from_secs(1));
    assert!(matches!(alice.send(BOB, "in the background").await, OutgoingState::Accepted { .. }));
    assert_eq!(bob.text().await, "in the background");
    free().await;
    bob.phone.enter_foreground();
    assert!(matches!(alice.send(BOB, "in front").await, OutgoingState::Accepted { .. }));
    assert_eq!(bob.text().await, "in front");
    assert!(!is_free());
}

#[tokio::test]
async fn damage_that_is_met_is_mended_while_the_phone_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("messages.db");
    let (mut store, _) = SqliteStore::open(&path, Limits::default()).unwrap();
    store
        .group(&mut |store| {
            for n in 0..1000 {
                let Stored::New(sequence) = store.put_incoming(&earlier(n)).unwrap() else {
                    panic!("repeated")
                };
                store.acknowledge(&[sequence]).unwrap();
            }
        })
        .unwrap();
    drop(store);
    let alice = Tester::start(kept(nowhere(ALICE), folder.path()));
    alice.phone.send(BOB, Outgoing::text("before")).await.unwrap();
    let length = usize::try_from(path.metadata().unwrap().len()).unwrap();
    let (middle, file) =
        (length / 2 / 4096 * 4096, std::fs::OpenOptions::new().write(true).open(&path).unwrap());
    std::os::unix::fs::FileExt::write_all_at(&file, &vec![0xa5; length - middle], middle as u64).unwrap();
    let found = alice.phone.store(|store| store.history(BOB, None, 1000)).await;
    assert!(matches!(found, Err(aldis::store::StoreError::Damaged(_))), "it was not met");
    let told = alice.wait_for(|event| matches!(event, Event::Storage(Storage::Recovered(_)))).await;
    let Event::Storage(Storage::Recovered(recovered)) = told else { panic!("{told:?}") };
    assert!(recovered.messages > 5, "{recovered:?}");
    alice.phone.send(BOB, Outgoing::text("after")).await.unwrap();
    let kept = alice.phone.store(|store| store.history(BOB, None, 1000)).await.unwrap();
    assert!(kept.len() > 5);
}

#[tokio::test]
async fn a_damaged_store_is_set_aside_and_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("messages.db"), "this is no database, whatever it is called").unwrap();
    let alice = Tester::start(kept(nowhere(ALICE), folder.path()));
    let event = alice.wait_for(|event| matches!(event, Event::Storage(_))).await;
    let Event::Storage(Storage::Recovered(recovered)) = event else { panic!("{event:?}") };
    assert!(recovered.set_aside.exists());
    let sent = tokio::time::timeout(PATIENCE, alice.phone.send(BOB, Outgoing::text("kept"))).await;
    assert!(sent.unwrap().is_ok());
}

#[tokio::test]
async fn a_message_that_failed_can_be_sent_again() {
    let registrar = registrar(options()).await;
    let folder = tempfile::tempdir().unwrap();
    let alice = Tester::start(kept(nowhere(ALICE), folder.path()));
    let id = alice.phone.send(BOB, Outgoing::text("hello")).await.unwrap();
    alice.phone.withdraw(id);
    alice
        .wait_for(|event| matches!(event, Event::Outgoing { state: OutgoingState::Failed { .. }, .. }))
        .await;
    alice.phone.shut_down().await;
    let bob = Tester::registered(config(&registrar, "bob")).await;
    let alice = Tester::start(kept(config(&registrar, "alice"), folder.path()));
    assert!(alice.phone.send_again(id).await.unwrap());
    assert_eq!(bob.text().await, "hello");
    alice
        .wait_for(|event| matches!(event, Event::Outgoing { state: OutgoingState::Accepted { .. }, .. }))
        .await;
    assert!(!alice.phone.send_again(id).await.unwrap(), "what was accepted is not sent twice");
    assert!(!alice.phone.send_again("0".repeat(32).parse().unwrap()).await.unwrap());
}
