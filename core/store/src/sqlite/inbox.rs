//! What came.

use super::known::Known;
use super::{SqliteStore, row};
use crate::{Incoming, REMEMBER_FOR, ReceiptKind, Sequence, StoreError, Stored, peer_of};
use rusqlite::{Connection, OptionalExtension, params};

pub(super) fn put(store: &SqliteStore, message: &Incoming) -> Result<Stored, StoreError> {
    let known = store
        .connection()?
        .prepare_cached("SELECT at FROM seen WHERE key = ?1")?
        .query_row([&message.key], |row| row.get::<_, i64>(0))
        .optional()?;
    if known.is_some_and(|at| message.received_at.saturating_sub(at) <= REMEMBER_FOR) {
        return Ok(Stored::Repeated);
    }
    let connection = store.connection()?;
    store.known.waiting.add(store.limits.inbox, || {
        let count: i64 = connection
            .prepare_cached("SELECT count(*) FROM messages WHERE state = 10")?
            .query_row([], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or_default())
    })?;
    let stored = store.whole(|connection| insert(connection, &store.known, message));
    if !matches!(stored, Ok(Stored::New(_))) {
        store.known.waiting.remove(1);
    }
    stored
}

fn insert(connection: &Connection, known: &Known, message: &Incoming) -> Result<Stored, StoreError> {
    // The check above was made before the lock: another process may have stored it since.
    let new = connection
        .prepare_cached(
            "INSERT INTO seen(key, at) VALUES (?1, ?2)
             ON CONFLICT(key) DO UPDATE SET at = excluded.at WHERE excluded.at - seen.at > ?3",
        )?
        .execute(params![message.key, message.received_at, REMEMBER_FOR])?;
    if new == 0 {
        return Ok(Stored::Repeated);
    }
    let peer = row::peer(connection, known, &peer_of(&message.from))?;
    connection
        .prepare_cached(
            "INSERT INTO messages(peer, state, id, remote, local, display_name, content_type, body, at, sent_at, expires, \
             wants, claimed_from, owes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        )?
        .execute(params![
            peer,
            row::WAITING,
            message.id,
            message.from,
            message.to,
            message.display_name,
            message.content_type,
            message.body,
            message.received_at,
            message.sent_at,
            message.expires_at,
            row::wants(message.wants.as_ref()),
            message.claimed_from,
            message.owes_receipt.then_some(1),
        ])?;
    let sequence = connection.last_insert_rowid();
    row::enters(connection, sequence, peer, 1, &message.content_type, &message.body)?;
    Ok(Stored::New(Sequence(sequence.unsigned_abs())))
}

/// Received messages that fulfil a condition, oldest first.
pub(super) fn list(
    connection: &Connection,
    condition: &str,
    after: Sequence,
    limit: usize,
) -> Result<Vec<(Sequence, Incoming)>, StoreError> {
    let columns = row::COLUMNS;
    let found = connection
        .prepare_cached(&format!(
            "SELECT {columns} FROM messages m JOIN peers p ON p.id = m.peer
             WHERE {condition} AND m.sequence > ?1 ORDER BY m.sequence LIMIT ?2"
        ))?
        .query_map([row::sql(after), row::limit(limit)], |row| {
            Ok((row::sequence(row)?, row::incoming(row)?))
        })?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

pub(super) fn acknowledge(connection: &Connection, sequences: &[Sequence]) -> Result<usize, StoreError> {
    let mut statement =
        connection.prepare_cached("UPDATE messages SET state = ?1 WHERE sequence = ?2 AND state = 10")?;
    let mut count = 0;
    for sequence in sequences {
        count += statement.execute([row::ACKNOWLEDGED, row::sql(*sequence)])?;
    }
    Ok(count)
}

pub(super) fn take_duty(
    connection: &Connection,
    sequence: Sequence,
    kind: ReceiptKind,
) -> Result<bool, StoreError> {
    let letter = row::letter(kind).to_string();
    let changed = connection
        .prepare_cached(
            // The letters stand in the first line of `wants`; addresses of the route follow.
            "UPDATE messages SET duties = coalesce(duties, '') || ?2, owes = iif(?2 = 'd', NULL, owes) WHERE sequence = ?1 AND state >= 10
             AND instr(substr(wants || char(10), 1, instr(wants || char(10), char(10)) - 1), ?2) > 0
             AND instr(coalesce(duties, ''), ?2) = 0",
        )?
        .execute(params![row::sql(sequence), letter])?;
    Ok(changed > 0)
}
