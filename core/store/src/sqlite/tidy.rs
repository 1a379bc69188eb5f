//! Deleting, and what goes by itself.

use super::row;
use crate::{Limits, REMEMBER_FOR, Sequence, StoreError};
use rusqlite::{Connection, OptionalExtension, params};

/// Most messages that one call deletes by itself.
const AT_ONCE: i64 = 500;
/// Most free pages that one call gives back to the system.
const GIVE_BACK: u32 = 2000;

pub(super) fn delete(connection: &Connection, sequence: Sequence) -> Result<bool, StoreError> {
    let found = connection
        .prepare_cached("SELECT peer, kind, content_type, body, state FROM messages WHERE sequence = ?1")?
        .query_row([row::sql(sequence)], |row| {
            let (peer, kind): (i64, i64) = (row.get(0)?, row.get(1)?);
            let unread = i64::from(row.get::<_, i64>(4)? >= row::WAITING);
            Ok((peer, kind, unread, row.get::<_, String>(2)?, row.get::<_, Vec<u8>>(3)?))
        })
        .optional()?;
    let Some((peer, kind, unread, content_type, body)) = found else { return Ok(false) };
    let sequence = row::sql(sequence);
    connection.prepare_cached("DELETE FROM messages WHERE sequence = ?1")?.execute([sequence])?;
    if kind == 0 {
        row::forget_words(connection, sequence, peer, &content_type, &body)?;
        connection
            .prepare_cached(
                "UPDATE peers SET last = (SELECT max(sequence) FROM messages WHERE kind = 0 AND peer = ?1)
                 WHERE id = ?1 AND last = ?2",
            )?
            .execute([peer, sequence])?;
        connection
            .prepare_cached("UPDATE peers SET unread = unread - ?1 WHERE id = ?2 AND read_to < ?3")?
            .execute([unread, peer, sequence])?;
    }
    Ok(true)
}

fn delete_all(connection: &Connection, sequences: &[i64]) -> Result<usize, StoreError> {
    for sequence in sequences {
        delete(connection, Sequence(sequence.unsigned_abs()))?;
    }
    Ok(sequences.len())
}

pub(super) fn delete_conversation(connection: &Connection, peer: &str) -> Result<usize, StoreError> {
    let all: Vec<i64> = connection
        .prepare_cached(
            "SELECT m.sequence FROM messages m JOIN peers p ON p.id = m.peer
             WHERE p.address = ?1 AND m.kind = 0 AND m.state >= 2 ORDER BY m.sequence",
        )?
        .query_map([peer], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    delete_all(connection, &all)
}

pub(super) fn tidy(connection: &Connection, limits: &Limits, now: i64) -> Result<usize, StoreError> {
    connection
        .prepare_cached(
            "DELETE FROM seen WHERE key IN (SELECT key FROM seen WHERE at < ?1 ORDER BY at LIMIT ?2)",
        )?
        .execute([now.saturating_sub(REMEMBER_FOR), AT_ONCE * 10])?;
    let mut deleted = 0;
    if let Some(keep_for) = limits.keep_for {
        let old: Vec<i64> = connection
            .prepare_cached(
                "SELECT sequence FROM messages WHERE state IN (2, 3, 4, 11) AND at <= ?1 ORDER BY at LIMIT ?2",
            )?
            .query_map([now.saturating_sub(keep_for), AT_ONCE], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        deleted += delete_all(connection, &old)?;
    }
    if limits.size.is_some_and(|size| used(connection).is_ok_and(|used| used >= size / 10 * 9)) {
        let oldest: Vec<i64> = connection
            .prepare_cached(
                "SELECT sequence FROM messages WHERE state IN (2, 3, 4, 11) ORDER BY sequence LIMIT ?1",
            )?
            .query_map([AT_ONCE], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        deleted += delete_all(connection, &oldest)?;
    }
    if deleted > 0 {
        connection.execute_batch(&format!("PRAGMA incremental_vacuum({GIVE_BACK})"))?;
    }
    Ok(deleted)
}

/// The bytes of the pages in use.
fn used(connection: &Connection) -> Result<u64, StoreError> {
    let number = |what: &str| {
        connection
            .query_row(&format!("PRAGMA {what}"), params![], |row| Ok(row.get::<_, i64>(0)?.unsigned_abs()))
    };
    Ok((number("page_count")?.saturating_sub(number("freelist_count")?)).saturating_mul(number("page_size")?))
}
