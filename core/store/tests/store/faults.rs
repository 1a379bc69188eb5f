//! What a file can suffer. A full disk is stood for by SQLite's own limit of pages, a locked file by another connection, a
//! torn write by a file or write-ahead log that is cut or overwritten at some place.

use crate::samples::{ALICE, ME, incoming, outgoing};
use aldis_store::{Limits, Sequence, SqliteStore, Store, StoreError, Stored};
use std::fs;
use std::path::{Path, PathBuf};

/// A store with so many messages, closed properly.
fn filled(folder: &Path, messages: usize) -> PathBuf {
    let path = folder.join("store.db");
    let (mut store, _) = SqliteStore::open(&path, Limits::default()).unwrap();
    store
        .group(&mut |store| {
            for n in 0..messages {
                store
                    .put_incoming(&incoming(&n.to_string(), &format!("message {n} {}", "x".repeat(200))))
                    .unwrap();
            }
        })
        .unwrap();
    path
}

#[test]
fn a_full_store_refuses_with_no_space_and_keeps_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { size: Some(400_000), ..Limits::default() };
    let (mut store, _) = SqliteStore::open(folder.path().join("store.db"), limits).unwrap();
    let mut stored = 0;
    let error = loop {
        match store.put_incoming(&incoming(&stored.to_string(), &"x".repeat(4000))) {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 1000, "nothing limits it");
    };
    assert_eq!(error, StoreError::NoSpace);
    assert_eq!(store.waiting(Sequence(0), 1000).unwrap().len(), stored);
    // What was refused was not seen; with room it is taken.
    let all: Vec<Sequence> =
        store.waiting(Sequence(0), 1000).unwrap().into_iter().map(|(at, _)| at).collect();
    store.acknowledge(&all).unwrap();
    assert!(store.tidy(0).unwrap() > 0);
    assert!(matches!(store.put_incoming(&incoming(&stored.to_string(), "now")), Ok(Stored::New(_))));
}

#[test]
fn a_locked_file_is_busy_and_passes() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path(), 1);
    let (mut store, _) = SqliteStore::open(&path, Limits::default()).unwrap();
    let blocker = rusqlite::Connection::open(&path).unwrap();
    blocker.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let error = store.put_incoming(&incoming("new", "hi")).unwrap_err();
    assert_eq!(error, StoreError::Busy);
    assert!(error.may_pass());
    blocker.execute_batch("ROLLBACK").unwrap();
    assert!(store.put_incoming(&incoming("new", "hi")).is_ok());
}

#[test]
fn a_folder_that_is_none_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = SqliteStore::open(file.join("store.db"), Limits::default()).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}

#[test]
fn what_is_no_database_is_set_aside_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    fs::write(&path, "not a database, but somebody's text all the same").unwrap();
    let (mut store, opened) = SqliteStore::open(&path, Limits::default()).unwrap();
    let recovered = opened.recovered.unwrap();
    assert_eq!((recovered.messages, recovered.complete), (0, false));
    assert!(fs::read_to_string(recovered.set_aside).unwrap().starts_with("not a database"));
    assert!(store.put_outgoing(&outgoing("1", ALICE, "hi"), ME, false).is_ok());
}

#[test]
fn what_can_be_read_of_a_damaged_file_is_kept_wherever_the_damage_is() {
    const MESSAGES: usize = 300;
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path(), MESSAGES);
    let whole = fs::read(&path).unwrap();
    let pages = whole.len() / 4096;
    let mut kept = Vec::new();
    for page in (2..pages).step_by(pages / 20) {
        let mut damaged = whole.clone();
        damaged[page * 4096..(page + 1) * 4096].fill(0xa5);
        fs::write(&path, damaged).unwrap();
        // As after a crash: it is looked at as a whole.
        fs::write(folder.path().join("store.db-wal"), [0u8; 32]).unwrap();
        let (mut store, opened) = SqliteStore::open(&path, Limits::default()).unwrap();
        let Some(recovered) = opened.recovered else { continue };
        kept.push(recovered.messages);
        assert_eq!(store.history(ALICE, None, 1000).unwrap().len(), recovered.messages);
        assert!(matches!(store.put_incoming(&incoming("new", "hi")), Ok(Stored::New(_))));
        drop(store);
        fs::remove_file(recovered.set_aside).unwrap();
    }
    assert!(kept.len() > 10, "the damage was found: {kept:?}");
    let least = kept.iter().min().unwrap();
    assert!(
        *least > 0 && kept.iter().filter(|kept| **kept > MESSAGES / 2).count() > kept.len() / 2,
        "{kept:?}"
    );
}

/// Overwrites every page in the second half of a file that holds messages.
fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..].fill(0xa5);
    // In place, as a failing disk would: the file that is open stays the same.
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes[middle..], middle as u64).unwrap();
}

#[cfg(unix)]
#[test]
fn damage_that_is_met_is_mended_by_opening_again_whatever_a_first_look_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path(), 2000);
    let (mut store, opened) = SqliteStore::open(&path, Limits::default()).unwrap();
    assert_eq!(opened.recovered, None);
    damage(&path);
    let error = store.search("message", None, None, 1000).unwrap_err();
    assert!(matches!(error, StoreError::Damaged(_)), "{error:?}");
    // A store that was closed properly is not looked at.
    drop(store);
    let (mut store, opened) = SqliteStore::open(&path, Limits::default()).unwrap();
    let recovered = opened.recovered.unwrap();
    assert!(recovered.messages > 0 && !recovered.complete, "{recovered:?}");
    assert_eq!(store.waiting(Sequence(0), 1).unwrap().len(), 1);
    drop(store);
    let (_, opened) = SqliteStore::open(&path, Limits::default()).unwrap();
    assert_eq!(opened.recovered, None, "it is mended once");
}

#[cfg(unix)]
#[test]
fn a_damaged_file_that_another_has_open_is_not_set_aside_under_its_hands() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path(), 2000);
    let (mut store, _) = SqliteStore::open(&path, Limits::default()).unwrap();
    let (other, _) = SqliteStore::open(&path, Limits::default()).unwrap();
    damage(&path);
    assert!(matches!(store.search("message", None, None, 1000), Err(StoreError::Damaged(_))));
    // What letting go says of a damaged file is of no interest.
    let _ = store.suspend();
    assert!(matches!(store.resume(), Err(StoreError::Damaged(_))));
    drop(other);
    assert!(store.resume().unwrap().recovered.is_some());
    assert!(matches!(store.put_incoming(&incoming("new", "hi")), Ok(Stored::New(_))));
}

#[test]
fn a_torn_end_of_the_log_costs_the_torn_commit_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let (mut store, _) = SqliteStore::open(&path, Limits::default()).unwrap();
    let log = folder.path().join("store.db-wal");
    store.put_incoming(&incoming("first", "hi")).unwrap();
    let after_first = fs::metadata(&log).unwrap().len();
    store.put_incoming(&incoming("second", "ho")).unwrap();
    let (file, whole) = (fs::read(&path).unwrap(), fs::read(&log).unwrap());
    drop(store);
    let span = whole.len() as u64 - after_first;
    for part in [0, 1, 24, span / 2, span - 1, span] {
        let torn = tempfile::tempdir().unwrap();
        let path = torn.path().join("store.db");
        let length = usize::try_from(after_first + part).unwrap();
        fs::write(&path, &file).unwrap();
        fs::write(torn.path().join("store.db-wal"), &whole[..length]).unwrap();
        let (mut store, opened) = SqliteStore::open(&path, Limits::default()).unwrap();
        assert_eq!(opened.recovered, None);
        let expected = if part == span { 2 } else { 1 };
        assert_eq!(
            store.waiting(Sequence(0), 10).unwrap().len(),
            expected,
            "cut after {part} of {span} bytes"
        );
    }
}

#[test]
fn what_is_deleted_is_nowhere_in_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let (mut store, _) = SqliteStore::open(&path, Limits::default()).unwrap();
    for n in 0..20 {
        store.put_incoming(&incoming(&n.to_string(), &format!("number {n} xyzzyplugh"))).unwrap();
    }
    let holds = |needle: &str| {
        ["", "-wal"].iter().any(|suffix| {
            let bytes = fs::read(folder.path().join(format!("store.db{suffix}"))).unwrap_or_default();
            bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
        })
    };
    assert!(holds("xyzzyplugh"));
    assert_eq!(store.delete_conversation(ALICE).unwrap(), 20);
    assert!(!holds("xyzzyplugh"), "the text is still there");
}
