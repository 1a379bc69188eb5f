//! What a store costs: a million messages (or as many as the argument says) with a thousand peers, then how long it takes to
//! open it, to read the first page of a conversation, and to search; and how many messages a second are kept durably.
//!
//! `cargo run --profile bench -p aldis-store --example million -- 1000000`
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing)] // a program for people

use aldis_store::{Incoming, Keeper, Kind, Limits, Outgoing, Owner, Sequence, SqliteStore, State, Store};
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

const PEERS: usize = 1000;
const WORDS: [&str; 16] = [
    "lunch", "tomorrow", "meeting", "train", "late", "coffee", "project", "report", "weather", "garden",
    "music", "weekend", "thanks", "question", "answer", "house",
];

fn incoming(n: usize) -> Incoming {
    let word = |shift: usize| WORDS[(n / 3 + n * shift) % WORDS.len()];
    Incoming {
        key: format!("sip:user{}@example.test\0{n:032x}", n % PEERS),
        id: format!("{n:032x}"),
        from: format!("sip:user{}@example.test", n % PEERS),
        display_name: None,
        claimed_from: None,
        to: "sip:me@example.test".into(),
        content_type: "text/plain;charset=UTF-8".into(),
        body: format!("{} {} number{n} {} and some more of it", word(1), word(7), word(5)).into_bytes(),
        sent_at: None,
        received_at: 1_800_000_000 + n as i64 / 10,
        expires_at: None,
        wants: None,
        owes_receipt: false,
    }
}

fn outgoing(n: usize) -> Outgoing {
    Outgoing {
        id: format!("{n:032x}"),
        call_id: format!("{n:032x}"),
        from_tag: format!("{n:016x}"),
        to: format!("sip:user{}@example.test", n % 128),
        kind: Kind::Message,
        content_type: "text/plain;charset=UTF-8".into(),
        body: b"Hello, whoever you are, this is a message of usual length.".to_vec(),
        expires: None,
        created_at: 1_800_000_000,
        wants: None,
    }
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let result = work();
    println!("{what:<58}{:>10.2} ms", begun.elapsed().as_secs_f64() * 1e3);
    result
}

/// Puts messages into the outbox, notes that they leave, and that they were accepted, as a phone does, 128 at a time.
fn durable_rate(path: &Path, total: usize) -> f64 {
    let (store, _) = SqliteStore::open(path, Limits::default()).unwrap();
    let keeper = Keeper::start(Box::new(store)).unwrap();
    let owner = Owner(1);
    let (finished, is_finished) = channel();
    let begun = Instant::now();
    let put = |n: usize| {
        let (finished, next, last) = (finished.clone(), keeper.clone(), keeper.clone());
        let message = outgoing(n);
        let id = message.id.clone();
        keeper.ask(
            move |store| store.put_outgoing(&message, owner, false),
            move |put| {
                put.unwrap();
                let again = id.clone();
                next.ask(
                    move |store| store.set_state(&id, owner, &State::Sending),
                    move |sent| {
                        assert!(sent.unwrap());
                        last.ask(
                            move |store| store.set_state(&again, owner, &State::Accepted { status: 200 }),
                            move |_| finished.send(()).unwrap(),
                        );
                    },
                );
            },
        );
    };
    (0..128.min(total)).for_each(put);
    for n in 128..total {
        is_finished.recv().unwrap();
        put(n);
    }
    for _ in 0..128.min(total) {
        is_finished.recv().unwrap();
    }
    total as f64 / begun.elapsed().as_secs_f64()
}

fn main() {
    let many = std::env::args().nth(1).map_or(1_000_000, |number| number.parse().unwrap());
    let folder = tempfile::tempdir_in(std::env::current_dir().unwrap()).unwrap();
    let rate = durable_rate(&folder.path().join("rate.db"), 20_000);
    println!("{:<58}{rate:>10.0} a second", "kept, noted, accepted, each durably, 128 at a time");

    let path = folder.path().join("store.db");
    let limits = Limits { inbox: usize::MAX, ..Limits::default() };
    let (mut store, _) = SqliteStore::open(&path, limits.clone()).unwrap();
    let begun = Instant::now();
    for begin in (0..many).step_by(1000) {
        let mut all = Vec::new();
        store
            .group(&mut |store| {
                for n in begin..(begin + 1000).min(many) {
                    store.put_incoming(&incoming(n)).unwrap();
                    all.push(Sequence(n as u64 + 1));
                }
                store.acknowledge(&all).unwrap();
            })
            .unwrap();
    }
    let took = begun.elapsed().max(Duration::from_millis(1));
    drop(store);
    let size = std::fs::metadata(&path).unwrap().len();
    println!(
        "{many} messages stored, {:.0} a second, {:.0} bytes each",
        many as f64 / took.as_secs_f64(),
        size as f64 / many as f64
    );
    let (mut store, opened) = timed("opening", || SqliteStore::open(&path, limits.clone()).unwrap());
    assert!(!opened.to_check);
    let peer = "sip:user7@example.test";
    timed("the first page of conversations", || assert_eq!(store.conversations(None, 50).unwrap().len(), 50));
    timed("the first page of a conversation", || {
        assert_eq!(store.history(peer, None, 50).unwrap().len(), 50)
    });
    timed("a search for a word in every fifth message", || {
        assert_eq!(store.search("coffee", None, None, 50).unwrap().len(), 50);
    });
    let rare = format!("number{}", many / 2);
    timed("a search for a word of one message", || {
        assert_eq!(store.search(&rare, None, None, 50).unwrap().len(), 1);
    });
    // Whether any message has both depends on how many there are.
    timed("a search for two common words", || drop(store.search("coffee answer", None, None, 50).unwrap()));
    timed("a search for two letters", || assert_eq!(store.search("co", None, None, 50).unwrap().len(), 50));
    timed("a search for a common word in one conversation", || {
        assert!(!store.search("coffee", Some(peer), None, 50).unwrap().is_empty());
    });
    timed("the last page of a conversation", || {
        store.history(peer, Some(Sequence(many as u64 / 100)), 50).unwrap();
    });
    drop(store);
    // As after a crash, with a log that is there still.
    let (mut store, _) = SqliteStore::open(&path, limits.clone()).unwrap();
    store.put_incoming(&incoming(many)).unwrap();
    let copy = folder.path().join("crashed.db");
    std::fs::copy(&path, &copy).unwrap();
    std::fs::copy(folder.path().join("store.db-wal"), folder.path().join("crashed.db-wal")).unwrap();
    let (_, opened) = timed("opening after a crash", || SqliteStore::open(&copy, limits.clone()).unwrap());
    assert!(opened.to_check || size < 16 << 20);
    timed("looking at every page, on another thread", || SqliteStore::check(&copy).unwrap());
}
