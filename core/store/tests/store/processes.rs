//! Several processes on one file, as several stores in one: their locks are as strange to each other as those of processes.

use crate::samples::{ALICE, BOB, ME, OTHER, incoming, outgoing};
use aldis_store::{Entry, Limits, Message, Put, Sequence, SqliteStore, State, Store, Stored};
use std::path::Path;

fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(folder.join("store.db"), Limits::default()).unwrap().0
}

#[test]
fn what_a_process_left_that_is_gone_is_taken_over_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (mut app, mut other) = (open(folder.path()), open(folder.path()));
    app.put_outgoing(&outgoing("1", BOB, "hi"), ME, false).unwrap();
    app.set_state("1", ME, &State::Sending).unwrap();
    assert!(other.claim(OTHER, 10).unwrap().is_empty());
    // As a crash would: nothing is released.
    drop(app);
    let taken = other.claim(OTHER, 10).unwrap();
    assert_eq!((taken.len(), &taken[0].state), (1, &State::Sending));
}

#[test]
fn a_message_for_a_recipient_that_another_process_is_at_waits_msg_03() {
    let folder = tempfile::tempdir().unwrap();
    let (mut app, mut extension) = (open(folder.path()), open(folder.path()));
    app.put_outgoing(&outgoing("1", BOB, "hi"), ME, false).unwrap();
    assert!(matches!(extension.put_outgoing(&outgoing("2", BOB, "ho"), OTHER, false), Ok(Put::Waits(_))));
    assert!(!extension.set_state("2", OTHER, &State::Sending).unwrap());
    app.set_state("1", ME, &State::Accepted { status: 200 }).unwrap();
    assert!(extension.set_state("2", OTHER, &State::Sending).unwrap());
}

#[test]
fn a_suspended_process_keeps_what_may_be_on_its_way_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let (mut app, mut extension) = (open(folder.path()), open(folder.path()));
    app.put_outgoing(&outgoing("1", BOB, "under way"), ME, false).unwrap();
    app.set_state("1", ME, &State::Sending).unwrap();
    app.put_outgoing(&outgoing("2", ALICE, "queued"), ME, false).unwrap();
    app.suspend().unwrap();
    let taken: Vec<String> =
        extension.claim(OTHER, 10).unwrap().into_iter().map(|pending| pending.message.id).collect();
    assert_eq!(taken, ["2"]);
    app.resume().unwrap();
    assert!(app.set_state("1", ME, &State::Accepted { status: 200 }).unwrap());
    assert!(!app.set_state("2", ME, &State::Sending).unwrap());
}

#[test]
fn what_another_process_has_sent_meanwhile_is_not_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let (mut app, mut extension) = (open(folder.path()), open(folder.path()));
    for (id, state) in [
        ("1", State::Accepted { status: 200 }),
        ("2", State::Failed { status: Some(404), why: "no such user".into() }),
    ] {
        app.put_outgoing(&outgoing(id, BOB, "queued"), ME, false).unwrap();
        app.suspend().unwrap();
        assert_eq!(extension.claim(OTHER, 10).unwrap().len(), 1);
        extension.set_state(id, OTHER, &State::Sending).unwrap();
        extension.set_state(id, OTHER, &state).unwrap();
        app.resume().unwrap();
        assert!(!app.set_state(id, ME, &State::Sending).unwrap());
        let Some(Entry { message: Message::Outgoing { state: kept, .. }, .. }) = app.outgoing(id).unwrap()
        else {
            panic!()
        };
        assert_eq!(kept, state);
    }
}

#[test]
fn a_message_that_came_to_both_is_stored_once_and_seen_by_both() {
    let folder = tempfile::tempdir().unwrap();
    let (mut app, mut extension) = (open(folder.path()), open(folder.path()));
    // Opening may have been a change.
    app.changed_elsewhere().unwrap();
    assert!(!app.changed_elsewhere().unwrap());
    assert!(matches!(extension.put_incoming(&incoming("a", "hi")), Ok(Stored::New(_))));
    assert_eq!(app.put_incoming(&incoming("a", "hi")), Ok(Stored::Repeated));
    assert!(app.changed_elsewhere().unwrap());
    assert!(!app.changed_elsewhere().unwrap());
    assert_eq!(app.waiting(Sequence(0), 10).unwrap().len(), 1);
    // Nobody can say what happened while it held no file.
    app.suspend().unwrap();
    app.resume().unwrap();
    assert!(app.changed_elsewhere().unwrap());
    assert!(!app.changed_elsewhere().unwrap());
}

#[cfg(unix)]
#[test]
fn the_files_are_their_owner_s_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("made").join("for it");
    let mut store = open(&inner);
    store.put_outgoing(&outgoing("1", BOB, "hi"), ME, false).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inner), 0o700);
    for file in std::fs::read_dir(&inner).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}
