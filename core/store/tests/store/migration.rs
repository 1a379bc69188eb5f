//! Files of earlier and later versions.

use crate::samples::{ALICE, BOB, ME, outgoing};
use aldis_store::{Limits, Message, Peer, Sequence, SqliteStore, State, Store, StoreError};
use rusqlite::Connection;
use std::path::{Path, PathBuf};

/// A file as version 1 wrote it.
fn version_1(folder: &Path) -> PathBuf {
    let path = folder.join("store.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;").unwrap();
    connection.execute_batch(include_str!("../../schema/1.sql")).unwrap();
    connection
        .execute_batch(
            "PRAGMA user_version = 1;
             INSERT INTO peers(id, address, last) VALUES (1, 'sip:alice@example.test', 1), (2, 'sip:bob@example.test', 2);
             INSERT INTO messages(peer, state, id, remote, local, content_type, body, at) VALUES
                (1, 10, 'a', 'sip:alice@example.test', 'sip:bob@example.test', 'text/plain', x'4F6C6420776F726473', 5);
             INSERT INTO messages(peer, state, id, remote, content_type, body, at, call_id, from_tag) VALUES
                (2, 0, 'b', 'sip:bob@example.test', 'text/plain', x'756E73656E74', 6, 'call', 'tag');
             INSERT INTO seen VALUES ('a', 5);",
        )
        .unwrap();
    path
}

#[test]
fn a_file_of_version_1_is_brought_up_with_everything_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = version_1(folder.path());
    let (mut store, opened) = SqliteStore::open(&path, Limits::default()).unwrap();
    assert_eq!(opened.migrated_from, Some(1));
    let waiting = store.waiting(Sequence(0), 10).unwrap();
    assert_eq!((waiting.len(), waiting[0].1.from.as_str(), waiting[0].1.wants.clone()), (1, ALICE, None));
    let pending = store.claim(ME, 10).unwrap();
    assert_eq!((pending[0].message.call_id.as_str(), &pending[0].state), ("call", &State::Queued));
    // What version 2 brought works on what version 1 left.
    assert_eq!(store.search("old wor", None, None, 10).unwrap().len(), 1);
    store.put_peer(&Peer { address: BOB.into(), reads_cpim: Some(true), ..Peer::default() }).unwrap();
    assert!(store.delete_message(Sequence(1)).unwrap());
    assert!(store.search("old", None, None, 10).unwrap().is_empty());
    drop(store);
    assert_eq!(SqliteStore::open(&path, Limits::default()).unwrap().1.migrated_from, None);
}

#[test]
fn a_new_file_and_a_migrated_one_have_the_same_schema() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (version_1(folder.path()), folder.path().join("new.db"));
    let schema = |path: &Path| -> Vec<String> {
        drop(SqliteStore::open(path, Limits::default()).unwrap());
        let connection = Connection::open(path).unwrap();
        let mut all = connection
            .prepare("SELECT name || ': ' || coalesce(sql, '') FROM sqlite_schema ORDER BY name")
            .unwrap();
        let rows = all.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    assert_eq!(schema(&old), schema(&new));
}

#[test]
fn a_later_version_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let (mut store, _) = SqliteStore::open(&path, Limits::default()).unwrap();
    store.put_outgoing(&outgoing("1", BOB, "hi"), ME, false).unwrap();
    drop(store);
    Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    let error = SqliteStore::open(&path, Limits::default()).unwrap_err();
    assert!(matches!(error, StoreError::TooNew { found: 99, .. }), "{error}");
    let kept: String =
        Connection::open(&path).unwrap().query_row("SELECT id FROM messages", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, "1");
}

#[test]
fn what_is_stored_is_there_again_after_closing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let (mut store, opened) = SqliteStore::open(&path, Limits::default()).unwrap();
    assert_eq!(opened, aldis_store::Opened::default());
    store.put_outgoing(&outgoing("1", BOB, "hi"), ME, false).unwrap();
    store.set_state("1", ME, &State::Accepted { status: 200 }).unwrap();
    drop(store);
    let (mut store, opened) = SqliteStore::open(&path, Limits::default()).unwrap();
    assert_eq!(opened, aldis_store::Opened::default());
    let entry = store.outgoing("1").unwrap().unwrap();
    assert!(matches!(entry.message, Message::Outgoing { state: State::Accepted { status: 200 }, .. }));
}
