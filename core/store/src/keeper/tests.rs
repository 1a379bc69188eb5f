use super::*;
use crate::{Incoming, Limits, MemoryStore, Sequence, SqliteStore, Stored};

fn message(n: usize) -> Incoming {
    Incoming {
        key: n.to_string(),
        id: n.to_string(),
        from: "sip:a@b.test".into(),
        display_name: None,
        claimed_from: None,
        to: "sip:b@b.test".into(),
        content_type: "text/plain".into(),
        body: Vec::new(),
        sent_at: None,
        received_at: 0,
        expires_at: None,
        wants: None,
        owes_receipt: false,
    }
}

/// One with a thread, and one without.
fn both() -> (tempfile::TempDir, [Keeper; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("aldis.db");
    let (file, _) = SqliteStore::open(&path, Limits::default()).unwrap();
    let keepers =
        [Keeper::start(Box::new(file)).unwrap(), Keeper::start(Box::new(MemoryStore::default())).unwrap()];
    assert!(matches!(keepers[0].worker, Worker::Thread(_)));
    assert!(matches!(keepers[1].worker, Worker::Here(_)));
    (folder, keepers)
}

#[test]
fn requests_are_done_in_order_and_all_before_the_end() {
    let (_folder, keepers) = both();
    for keeper in keepers {
        all_in_order(&keeper);
    }
}

fn all_in_order(keeper: &Keeper) {
    let (answers, answered) = channel();
    for n in 0..2000 {
        let answers = answers.clone();
        keeper.ask(move |store| store.put_incoming(&message(n)), move |result| answers.send(result).unwrap());
    }
    let (ended, end) = channel();
    keeper.close(move || ended.send(()).unwrap());
    end.recv().unwrap();
    for n in 1..=2000 {
        assert_eq!(answered.recv().unwrap(), Ok(Stored::New(Sequence(n))));
    }
}

#[test]
fn what_is_asked_after_the_end_is_refused() {
    let (_folder, keepers) = both();
    for keeper in keepers {
        refused_after_the_end(&keeper);
    }
}

fn refused_after_the_end(keeper: &Keeper) {
    let (ended, end) = channel();
    keeper.close(move || ended.send(()).unwrap());
    end.recv().unwrap();
    let (answers, answered) = channel();
    keeper.ask(|store| store.peers(1), move |result| answers.send(result).unwrap());
    assert_eq!(answered.recv().unwrap(), Err(StoreError::Suspended));
}
