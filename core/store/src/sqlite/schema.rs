//! The versions of the file, and the way from each to the next.

use super::row;
use crate::StoreError;
use rusqlite::Connection;

/// What makes version 1, what makes 2 of 1, and so on. Never change one that was published: add the next.
const STEPS: [&str; 3] = [
    include_str!("../../schema/1.sql"),
    include_str!("../../schema/2.sql"),
    include_str!("../../schema/3.sql"),
];

/// The present version.
pub(super) const VERSION: u32 = STEPS.len() as u32;

fn version(connection: &Connection) -> Result<u32, StoreError> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

/// Refuses a later version before anything is written.
pub(super) fn prepare(connection: &Connection) -> Result<(), StoreError> {
    let found = version(connection)?;
    if found > VERSION { Err(StoreError::TooNew { found, known: VERSION }) } else { Ok(()) }
}

/// Brings the file to the present version, step by step, each as a whole; gives the version that it had.
pub(super) fn bring_up(connection: &Connection) -> Result<Option<u32>, StoreError> {
    let found = version(connection)?;
    for (step, next) in STEPS.iter().zip(1u32..) {
        if next <= found {
            continue;
        }
        connection.execute_batch("BEGIN IMMEDIATE")?;
        // Another process may have done it while we waited.
        let done = (|| -> Result<(), StoreError> {
            if version(connection)? < next {
                connection.execute_batch(step)?;
                if next == 2 {
                    row::index_all(connection)?;
                }
                connection.execute_batch(&format!("PRAGMA user_version = {next}"))?;
            }
            connection.execute_batch("COMMIT")?;
            Ok(())
        })();
        if done.is_err() && !connection.is_autocommit() {
            let _ = connection.execute_batch("ROLLBACK");
        }
        done?;
    }
    Ok(Some(found).filter(|found| (1..VERSION).contains(found)))
}
