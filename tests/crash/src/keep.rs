//! A process that keeps messages as it is told, line by line: what a disk that fails is put under.
//!
//! `put KEY` answers `stored` or `failed NAME: WORDS`; `list` answers `has KEY KEY …`; `open` opens the store, anew if it is open.
#![allow(clippy::print_stdout)] // its answers

use aldis::store::{Incoming, Limits, MAX_PAGE, Sequence, SqliteStore, Store, StoreError};
use std::io::stdin;
use std::path::Path;

fn incoming(key: &str) -> Incoming {
    Incoming {
        key: key.into(),
        id: key.into(),
        from: "sip:alice@example.test".into(),
        display_name: None,
        claimed_from: None,
        to: "sip:bob@example.test".into(),
        content_type: "text/plain".into(),
        body: format!("{key} {}", "x".repeat(3000)).into_bytes(),
        sent_at: None,
        received_at: 0,
        expires_at: None,
        wants: None,
        owes_receipt: false,
    }
}

fn list(store: &mut SqliteStore) -> Result<String, StoreError> {
    let (mut after, mut keys) = (Sequence(0), String::from("has"));
    loop {
        let page = store.waiting(after, MAX_PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(keys) };
        after = *last;
        for (_, message) in page {
            keys.push(' ');
            keys.push_str(&message.id);
        }
    }
}

/// Does what standard input says, until it ends.
///
/// # Panics
/// If nobody reads the answers.
pub fn keep(path: &Path) {
    let mut store: Option<SqliteStore> = None;
    for line in stdin().lines().map_while(Result::ok) {
        let result = match (line.split_once(' '), store.as_mut()) {
            (Some(("put", key)), Some(store)) => store.put_incoming(&incoming(key)).map(|_| "stored".into()),
            (None, Some(store)) if line == "list" => list(store),
            _ => {
                // First of all the old one lets go.
                drop(store.take());
                SqliteStore::open(path, Limits::default()).map(|(opened, _)| {
                    store = Some(opened);
                    "open".into()
                })
            }
        };
        let answer = result.unwrap_or_else(|error| {
            let debug = format!("{error:?}");
            let name = debug.split('(').next().unwrap_or_default();
            format!("failed {name}: {error}")
        });
        println!("{}", answer.replace('\n', " "));
    }
}
