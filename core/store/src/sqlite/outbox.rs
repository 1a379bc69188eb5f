//! What is to go.

use super::{SqliteStore, row};
use crate::{
    Entry, Kind, Message, Outgoing, Owner, Pending, Put, Receipt, ReceiptKind, Sequence, State, StoreError,
    peer_of,
};
use rusqlite::{Connection, OptionalExtension, params};

/// Keeps a message, if it is still wanted once the transaction has begun.
pub(super) fn put(
    store: &mut SqliteStore,
    message: &Outgoing,
    owner: Owner,
    leaves: bool,
    is_wanted: impl FnOnce(&Connection) -> Result<bool, StoreError>,
) -> Result<Option<Put>, StoreError> {
    store.locks.hold(owner)?;
    let store = &*store;
    let connection = store.connection()?;
    store.known.pending.add(store.limits.outbox, || {
        let count: i64 = connection
            .prepare_cached("SELECT count(*) FROM messages WHERE state < 2")?
            .query_row([], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or_default())
    })?;
    let put = store.whole(|connection| match is_wanted(connection)? {
        true => insert(connection, store, message, owner, leaves).map(Some),
        false => Ok(None),
    });
    if !matches!(put, Ok(Some(_))) {
        store.known.pending.remove(1);
    }
    put
}

fn insert(
    connection: &Connection,
    store: &SqliteStore,
    message: &Outgoing,
    owner: Owner,
    leaves: bool,
) -> Result<Put, StoreError> {
    enter(connection, store, owner)?;
    let peer = row::peer(connection, &store.known, &peer_of(&message.to))?;
    let ours = !is_taken(connection, store, peer, owner)?;
    let new = connection
        .prepare_cached(
            "INSERT INTO messages(peer, state, kind, id, remote, content_type, body, at, expires, call_id, from_tag, owner, \
             wants) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            peer,
            if ours && leaves { row::SENDING } else { row::QUEUED },
            i64::from(message.kind == Kind::Receipt),
            message.id,
            message.to,
            message.content_type,
            message.body,
            message.created_at,
            message.expires,
            message.call_id,
            message.from_tag,
            ours.then_some(owner.0),
            row::wants(message.wants.as_ref()),
        ])?;
    if new == 0 {
        let (sequence, whose) = connection
            .prepare_cached("SELECT sequence, owner FROM messages WHERE id = ?1 AND call_id IS NOT NULL")?
            .query_row([&message.id], |row| Ok((row::sequence(row)?, row.get::<_, Option<u32>>(1)?)))?;
        return Ok(if whose == Some(owner.0) { Put::Ours(sequence) } else { Put::Waits(sequence) });
    }
    let sequence = connection.last_insert_rowid();
    if message.kind == Kind::Message {
        row::enters(connection, sequence, peer, 0, &message.content_type, &message.body)?;
    }
    let sequence = Sequence(sequence.unsigned_abs());
    Ok(if ours { Put::Ours(sequence) } else { Put::Waits(sequence) })
}

/// Enters an owner whose lock is held.
fn enter(connection: &Connection, store: &SqliteStore, owner: Owner) -> Result<(), StoreError> {
    store.known.owner(owner, || store.locks.note(connection, owner))
}

/// Whether another living process works for this recipient.
fn is_taken(
    connection: &Connection,
    store: &SqliteStore,
    peer: i64,
    owner: Owner,
) -> Result<bool, StoreError> {
    // With nobody else at the store, as almost always, there is nothing to look through.
    if store.known.alone(owner, || Ok(!store.locks.are_others(connection, owner)?))? {
        return Ok(false);
    }
    let taken = connection
        .prepare_cached(
            "SELECT 1 FROM messages WHERE state < 2 AND peer = ?1 AND owner IS NOT NULL AND owner != ?2 LIMIT 1",
        )?
        .exists(params![peer, owner.0])?;
    Ok(taken)
}

pub(super) fn claim(
    connection: &Connection,
    store: &SqliteStore,
    owner: Owner,
    limit: usize,
) -> Result<Vec<Pending>, StoreError> {
    enter(connection, store, owner)?;
    store.locks.bury(connection)?;
    let columns = row::COLUMNS;
    // Whoever waits for the recipient longest comes first; nobody overtakes one that another process holds.
    let found: Vec<Pending> = connection
        .prepare_cached(&format!(
            "SELECT {columns} FROM messages m JOIN peers p ON p.id = m.peer
             WHERE m.state < 2 AND m.owner IS NULL AND m.peer NOT IN
                (SELECT peer FROM messages WHERE state < 2 AND owner IS NOT NULL AND owner != ?1)
             ORDER BY m.sequence LIMIT ?2"
        ))?
        .query_map(params![owner.0, row::limit(limit)], row::pending)?
        .collect::<Result<_, _>>()?;
    let mut take = connection.prepare_cached("UPDATE messages SET owner = ?1 WHERE sequence = ?2")?;
    for pending in &found {
        take.execute(params![owner.0, row::sql(pending.sequence)])?;
    }
    Ok(found)
}

pub(super) fn release(connection: &Connection, owner: Owner) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE messages SET owner = NULL WHERE state < 2 AND owner = ?1")?
        .execute([owner.0])?;
    connection.prepare_cached("DELETE FROM owners WHERE id = ?1")?.execute([owner.0])?;
    Ok(())
}

pub(super) fn set_state(
    store: &mut SqliteStore,
    id: &str,
    owner: Owner,
    state: &State,
) -> Result<bool, StoreError> {
    if state.is_pending() {
        store.locks.hold(owner)?;
    }
    let store = &*store;
    let changed = store.whole(|connection| {
        if state.is_pending() {
            enter(connection, store, owner)?;
        }
        let (number, status, why) = row::columns(state);
        let keeper = state.is_pending().then_some(owner.0);
        let mut update = connection.prepare_cached(
            "UPDATE messages SET state = ?1, status = ?2, why = ?3, owner = ?4
             WHERE id = ?5 AND call_id IS NOT NULL AND CASE WHEN state >= 2 THEN ?1 != ?7 ELSE owner IS ?6 OR (owner IS NULL
                AND peer NOT IN (SELECT peer FROM messages WHERE state < 2 AND owner IS NOT NULL AND owner != ?6)) END
             RETURNING kind",
        )?;
        let values = params![number, status, why, keeper, id, owner.0, row::SENDING];
        let mut kind: Option<i64> = update.query_row(values, |row| row.get(0)).optional()?;
        if kind.is_none() && store.locks.are_others(connection, owner)? {
            // Whoever had it may be gone.
            store.locks.bury(connection)?;
            kind = update.query_row(values, |row| row.get(0)).optional()?;
        }
        if kind == Some(1) && !state.is_pending() {
            // A receipt is nobody's reading.
            connection
                .prepare_cached("DELETE FROM messages WHERE id = ?1 AND call_id IS NOT NULL AND kind = 1")?
                .execute([id])?;
        }
        Ok(kind.is_some())
    })?;
    if changed && !state.is_pending() {
        store.known.pending.remove(1);
    }
    Ok(changed)
}

pub(super) fn find(connection: &Connection, id: &str) -> Result<Option<Entry>, StoreError> {
    let columns = row::COLUMNS;
    let found = connection
        .prepare_cached(&format!(
            "SELECT {columns} FROM messages m JOIN peers p ON p.id = m.peer WHERE m.id = ?1 AND m.call_id IS NOT NULL"
        ))?
        .query_row([id], row::entry)
        .optional()?;
    Ok(found)
}

pub(super) fn put_receipt(connection: &Connection, receipt: &Receipt) -> Result<Option<Entry>, StoreError> {
    let Some(entry) = find(connection, &receipt.message_id)? else { return Ok(None) };
    let Message::Outgoing { message, delivered_at, displayed_at, .. } = &entry.message else {
        return Ok(None);
    };
    let new = match receipt.kind {
        // Who has seen it has it.
        ReceiptKind::Delivered => delivered_at.is_none() && displayed_at.is_none(),
        ReceiptKind::Displayed => displayed_at.is_none(),
        ReceiptKind::Failed => delivered_at.is_none() && displayed_at.is_none(),
    };
    if !new || message.kind == Kind::Receipt || peer_of(&receipt.from) != entry.peer {
        return Ok(None);
    }
    let sequence = row::sql(entry.sequence);
    match receipt.kind {
        ReceiptKind::Delivered => {
            connection
                .prepare_cached("UPDATE messages SET delivered_at = ?1 WHERE sequence = ?2")?
                .execute([receipt.at, sequence])?;
        }
        ReceiptKind::Displayed => {
            connection
                .prepare_cached("UPDATE messages SET displayed_at = ?1 WHERE sequence = ?2")?
                .execute([receipt.at, sequence])?;
        }
        ReceiptKind::Failed => {
            connection
                .prepare_cached(
                    "UPDATE messages SET state = ?1, why = ?2 WHERE sequence = ?3 AND state BETWEEN 2 AND 9",
                )?
                .execute(params![row::FAILED, "the recipient's side could not deliver it", sequence])?;
        }
    }
    find(connection, &receipt.message_id)
}
