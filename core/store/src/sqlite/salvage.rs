//! Reading what can be read of a damaged file.

use super::row;
use crate::StoreError;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params_from_iter};
use std::path::Path;

/// Most places at which reading is taken up again behind damage.
const MAX_TRIES: u32 = 10_000;

/// Copies what can be read into the new store; gives the number of messages, and whether no damage was met.
pub(super) fn copy(from: &Path, to: &mut Connection) -> Result<(usize, bool), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let Ok(from) = Connection::open_with_flags(from, flags) else { return Ok((0, false)) };
    let target = to.transaction()?;
    let mut complete = true;
    let count = |table, key, complete: &mut bool| -> Result<usize, StoreError> {
        let (rows, whole) = copy_table(&from, &target, table, key)?;
        *complete &= whole;
        Ok(rows)
    };
    count("peers", "id", &mut complete)?;
    let messages = count("messages", "sequence", &mut complete)?;
    count("seen", "key", &mut complete)?;
    mend(&target)?;
    row::index_all(&target)?;
    target.commit()?;
    drop(from);
    Ok((messages, complete))
}

/// What the copied rows need to fit each other again.
fn mend(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch(
        "INSERT OR IGNORE INTO peers(id, address)
            SELECT DISTINCT peer, 'unknown:' || peer FROM messages WHERE peer NOT IN (SELECT id FROM peers);
         UPDATE messages SET owner = NULL;
         UPDATE peers SET last = (SELECT max(sequence) FROM messages m WHERE m.kind = 0 AND m.peer = peers.id),
            unread = (SELECT count(*) FROM messages m
                WHERE m.kind = 0 AND m.peer = peers.id AND m.sequence > peers.read_to AND m.state >= 10);",
    )?;
    // A peer whose row was lost is known again by its messages.
    let lost: Vec<(i64, String)> = connection
        .prepare(
            "SELECT p.id, (SELECT remote FROM messages m WHERE m.peer = p.id LIMIT 1) FROM peers p
             WHERE p.address = 'unknown:' || p.id",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (id, remote) in lost {
        connection.execute(
            "UPDATE OR IGNORE peers SET address = ?1 WHERE id = ?2",
            rusqlite::params![crate::peer_of(&remote), id],
        )?;
    }
    Ok(())
}

/// The columns that both tables have.
fn columns(from: &Connection, to: &Connection, table: &str) -> Vec<String> {
    let of = |connection: &Connection| -> Vec<String> {
        connection
            .prepare(&format!("SELECT name FROM pragma_table_info('{table}')"))
            .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
            .unwrap_or_default()
    };
    let there = of(from);
    of(to).into_iter().filter(|column| there.contains(column)).collect()
}

/// Copies the rows of a table in the order of `key`, and goes on behind damage where the key is a number.
fn copy_table(
    from: &Connection,
    to: &Connection,
    table: &str,
    key: &str,
) -> Result<(usize, bool), StoreError> {
    let names = columns(from, to, table);
    let Some(at) = names.iter().position(|name| name == key) else { return Ok((0, false)) };
    let list = names.join(", ");
    let marks = vec!["?"; names.len()].join(", ");
    let mut insert = to.prepare(&format!("INSERT OR IGNORE INTO {table}({list}) VALUES ({marks})"))?;
    let (mut count, mut complete) = (0, true);
    // Behind this one; the step grows while nothing can be read.
    let (mut last, mut step, mut tries): (Value, i64, u32) = (Value::Null, 1, 0);
    loop {
        let begun = count;
        let read = (|| -> rusqlite::Result<()> {
            let (condition, bound) = match &last {
                Value::Null => (String::new(), Vec::new()),
                value => (format!("WHERE {key} > ?1"), vec![value.clone()]),
            };
            let mut select =
                from.prepare(&format!("SELECT {list} FROM {table} {condition} ORDER BY {key}"))?;
            let mut rows = select.query(params_from_iter(bound))?;
            while let Some(row) = rows.next()? {
                let values: Vec<Value> =
                    (0..names.len()).map(|column| row.get(column)).collect::<rusqlite::Result<_>>()?;
                last = values.get(at).cloned().unwrap_or(Value::Null);
                // What is no row of ours, by a constraint, is damage too.
                match insert.execute(params_from_iter(values)) {
                    Ok(rows) => count += rows,
                    Err(error)
                        if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })();
        match read {
            Ok(()) => return Ok((count, complete)),
            // The new file has no room: nothing is gained by going on.
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) => {
                return Err(error.into());
            }
            Err(error) => {
                tracing::debug!(%error, table, "damage");
                complete = false;
                tries += 1;
                step = if count > begun { 1 } else { step.saturating_mul(2) };
                last = match last {
                    Value::Null if key != "key" => Value::Integer(step),
                    Value::Integer(number) if tries < MAX_TRIES => match number.checked_add(step) {
                        Some(next) if next < 1 << 50 => Value::Integer(next),
                        _ => return Ok((count, false)),
                    },
                    _ => return Ok((count, false)),
                };
            }
        }
    }
}
