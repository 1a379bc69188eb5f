//! What was said.

use super::row;
use crate::words::wanted;
use crate::{Conversation, Entry, Sequence, StoreError};
use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension, params};

/// Unread messages are counted up to here.
const MAX_UNREAD: i64 = 1000;

fn before(sequence: Option<Sequence>) -> i64 {
    sequence.map_or(i64::MAX, row::sql)
}

fn known(connection: &Connection, address: &str) -> Result<Option<i64>, StoreError> {
    let found = connection
        .prepare_cached("SELECT id FROM peers WHERE address = ?1")?
        .query_row([address], |row| row.get(0))
        .optional()?;
    Ok(found)
}

pub(super) fn conversations(
    connection: &Connection,
    from: Option<Sequence>,
    limit: usize,
) -> Result<Vec<Conversation>, StoreError> {
    let found = connection
        .prepare_cached(
            "SELECT last, address, min(unread, ?3) FROM peers WHERE last IS NOT NULL AND last < ?1
             ORDER BY last DESC LIMIT ?2",
        )?
        .query_map([before(from), row::limit(limit), MAX_UNREAD], |row| {
            Ok(Conversation { last: row::sequence(row)?, peer: row.get(1)?, unread: row.get(2)? })
        })?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

pub(super) fn page(
    connection: &Connection,
    peer: &str,
    from: Option<Sequence>,
    limit: usize,
) -> Result<Vec<Entry>, StoreError> {
    let Some(peer) = known(connection, peer)? else { return Ok(Vec::new()) };
    let columns = row::COLUMNS;
    let found = connection
        .prepare_cached(&format!(
            "SELECT {columns} FROM messages m JOIN peers p ON p.id = m.peer
             WHERE m.kind = 0 AND m.peer = ?1 AND m.sequence < ?2 ORDER BY m.sequence DESC LIMIT ?3"
        ))?
        .query_map([peer, before(from), row::limit(limit)], row::entry)?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

pub(super) fn search(
    connection: &Connection,
    words: &str,
    peer: Option<&str>,
    from: Option<Sequence>,
    limit: usize,
) -> Result<Vec<Entry>, StoreError> {
    let mut terms: Vec<String> =
        wanted(words).iter().map(|phrase| format!("text : \"{}\" *", phrase.join(" "))).collect();
    if terms.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(address) = peer {
        let Some(peer) = known(connection, address)? else { return Ok(Vec::new()) };
        terms.push(format!("peer : \"{}\"", row::peer_word(peer)));
    }
    let query = terms.join(" AND ");
    let columns = row::COLUMNS;
    let (from, limit) = (before(from), row::limit(limit));
    let values: [&dyn ToSql; 3] = [&query, &from, &limit];
    let found = connection
        .prepare_cached(&format!(
            // The index gives its rows in this order by itself: it stops at the last one that is wanted.
            "SELECT {columns} FROM (SELECT rowid AS hit FROM search WHERE search MATCH ?1 AND rowid < ?2
                ORDER BY rowid DESC LIMIT ?3)
             CROSS JOIN messages m ON m.sequence = hit JOIN peers p ON p.id = m.peer ORDER BY hit DESC"
        ))?
        .query_map(values, row::entry)?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

pub(super) fn mark_read(connection: &Connection, peer: &str, up_to: Sequence) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE peers SET read_to = ?1, unread = (SELECT count(*) FROM messages m
                WHERE m.kind = 0 AND m.peer = peers.id AND m.sequence > ?1 AND m.state >= 10)
             WHERE address = ?2 AND read_to < ?1",
        )?
        .execute(params![row::sql(up_to), peer])?;
    Ok(())
}
