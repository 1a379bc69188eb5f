//! Several calls, one commit.

use crate::samples::{ALICE, ME, incoming, outgoing};
use aldis_store::{Limits, Sequence, SqliteStore, State, Store, StoreError};

fn store() -> (tempfile::TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = SqliteStore::open(folder.path().join("store.db"), Limits::default()).unwrap();
    (folder, store)
}

#[test]
fn a_group_is_seen_by_others_as_a_whole() {
    let (_folder, mut store) = store();
    let (mut other, _) = SqliteStore::open(store.path(), Limits::default()).unwrap();
    store
        .group(&mut |store| {
            store.put_incoming(&incoming("1", "one")).unwrap();
            store.put_outgoing(&outgoing("2", ALICE, "two"), ME, false).unwrap();
            store.set_state("2", ME, &State::Sending).unwrap();
            assert!(other.history(ALICE, None, 10).unwrap().is_empty());
        })
        .unwrap();
    assert_eq!(other.history(ALICE, None, 10).unwrap().len(), 2);
}

#[test]
fn a_call_that_fails_leaves_the_others_of_its_group() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { inbox: 1, ..Limits::default() };
    let (mut store, _) = SqliteStore::open(folder.path().join("store.db"), limits).unwrap();
    store
        .group(&mut |store| {
            store.put_incoming(&incoming("1", "one")).unwrap();
            assert_eq!(store.put_incoming(&incoming("2", "two")), Err(StoreError::Full(1)));
            store.put_outgoing(&outgoing("3", ALICE, "three"), ME, false).unwrap();
        })
        .unwrap();
    assert_eq!(store.history(ALICE, None, 10).unwrap().len(), 2);
}

#[test]
fn a_group_that_cannot_begin_does_nothing_and_says_why() {
    let (_folder, mut store) = store();
    let blocker = rusqlite::Connection::open(store.path()).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut ran = false;
    assert_eq!(store.group(&mut |_| ran = true), Err(StoreError::Busy));
    assert!(!ran);
    blocker.execute_batch("ROLLBACK").unwrap();
    store.group(&mut |store| drop(store.put_incoming(&incoming("1", "one")))).unwrap();
    assert_eq!(store.waiting(Sequence(0), 10).unwrap().len(), 1);
}
