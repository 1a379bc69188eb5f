//! A keeper that lets go of the files, as an app that is suspended must.

use crate::samples::{ALICE, incoming};
use aldis_store::{Door, Keeper, Limits, Sequence, SqliteStore, Store, StoreError, Stored};
use std::fs::File;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// iOS ends an app that holds a lock so long after it was suspended.
const A_SECOND: Duration = Duration::from_secs(1);

fn keeper(folder: &Path) -> Keeper {
    let (store, _) = SqliteStore::open(folder.join("store.db"), Limits::default()).unwrap();
    Keeper::start(Box::new(store)).unwrap()
}

/// Has something done, and waits for it.
fn ask<T: Send + 'static>(
    keeper: &Keeper,
    work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let (told, answer) = channel();
    keeper.ask(work, move |result| told.send(result).unwrap());
    answer.recv().unwrap()
}

fn change(keeper: &Keeper, door: Door) -> Result<(), StoreError> {
    let (told, answer) = channel();
    keeper.door(door, move |result| told.send(result.map(drop)).unwrap());
    answer.recv().unwrap()
}

/// Whether anybody holds the file: then it cannot be locked by another.
fn is_held(folder: &Path) -> bool {
    File::open(folder.join("store.db.use")).unwrap().try_lock().is_err()
}

/// Until nobody holds it.
fn wait_until_free(folder: &Path) -> Duration {
    let begun = Instant::now();
    while is_held(folder) {
        std::thread::sleep(Duration::from_millis(10));
        assert!(begun.elapsed() < Duration::from_secs(20), "it is held for ever");
    }
    begun.elapsed()
}

#[test]
fn a_resting_store_holds_its_files_only_while_it_works() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = keeper(folder.path());
    assert!(is_held(folder.path()));
    change(&keeper, Door::Rest).unwrap();
    assert!(!is_held(folder.path()));
    assert!(!folder.path().join("store.db-wal").exists(), "it was closed");
    // It takes what comes all the same, and lets go by itself.
    assert!(matches!(ask(&keeper, |store| store.put_incoming(&incoming("1", "hi"))), Ok(Stored::New(_))));
    wait_until_free(folder.path());
    assert_eq!(ask(&keeper, |store| store.waiting(Sequence(0), 10)).unwrap().len(), 1);
    change(&keeper, Door::Stand).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(is_held(folder.path()), "it stands again");
}

#[test]
fn a_suspended_store_stays_closed_even_if_it_was_resting() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = keeper(folder.path());
    change(&keeper, Door::Rest).unwrap();
    change(&keeper, Door::Suspend).unwrap();
    assert_eq!(ask(&keeper, |store| store.peers(1)), Err(StoreError::Suspended));
    change(&keeper, Door::Stand).unwrap();
    assert_eq!(ask(&keeper, |store| store.peers(1)), Err(StoreError::Suspended));
    change(&keeper, Door::Resume).unwrap();
    assert_eq!(ask(&keeper, |store| store.peers(1)), Ok(vec![]));
}

#[test]
fn long_work_is_stopped_and_undone_within_a_second() {
    const MESSAGES: usize = 20_000;
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { inbox: usize::MAX, ..Limits::default() };
    let (mut store, _) = SqliteStore::open(folder.path().join("store.db"), limits).unwrap();
    store
        .group(&mut |store| {
            for n in 0..MESSAGES {
                store.put_incoming(&incoming(&n.to_string(), "word and word")).unwrap();
            }
        })
        .unwrap();
    let keeper = Keeper::start(Box::new(store)).unwrap();
    let (told, deleted) = channel();
    let (begins, begun) = channel();
    keeper.ask_alone(
        move |store| {
            begins.send(()).unwrap();
            store.delete_conversation(ALICE)
        },
        move |result| told.send(result).unwrap(),
    );
    begun.recv().unwrap();
    let (told, closed) = channel();
    let asked = Instant::now();
    keeper.door(Door::Suspend, move |result| told.send(result.map(drop)).unwrap());
    // It may stand between two statements when it is stopped.
    while closed.try_recv().is_err() {
        keeper.hurry();
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(asked.elapsed() < A_SECOND, "it took {:?}", asked.elapsed());
    assert_eq!(deleted.recv().unwrap(), Err(StoreError::Suspended));
    assert!(!is_held(folder.path()));
    change(&keeper, Door::Resume).unwrap();
    assert_eq!(ask(&keeper, |store| store.conversations(None, 1)).unwrap()[0].unread, 1000);
    let page = ask(&keeper, |store| store.history(ALICE, None, 1)).unwrap();
    assert_eq!(page[0].sequence, Sequence(MESSAGES as u64));
}
