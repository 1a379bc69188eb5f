//! Opening: pragmas, versions, looking for damage.

use super::{files, salvage, schema};
use crate::{Limits, StoreError};
use rusqlite::{Connection, OpenFlags};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a lock of another process is waited for. A sender waits 3 s for its answer (MSG-09).
const BUSY: Duration = Duration::from_secs(1);
/// A store that was not closed properly is looked at as a whole before it is used if it is not larger, in bytes: 60 ms.
/// A larger one is used at once; [`super::SqliteStore::check`] is for another thread.
const CHECK_AT_ONCE: u64 = 16 << 20;
/// The write-ahead log goes into the file when it has so many pages: under load a page is written often before that. 8 MB.
const CHECKPOINT: u32 = 2000;
/// The write-ahead log is cut to so many bytes after a checkpoint; less is written over, which costs the disk less than growing.
const KEEP_LOG: u32 = 8 << 20;
/// Statements whose compiled form is kept.
const STATEMENTS: usize = 64;

/// What opening found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// The version of the file before it was brought to the present one; `None` if it had that, or is new.
    pub migrated_from: Option<u32>,
    /// The file was damaged.
    pub recovered: Option<Recovered>,
    /// It was not closed properly and is too large to be looked at as a whole at once: have another thread do
    /// [`super::SqliteStore::check`].
    pub to_check: bool,
}

/// A damaged file was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// What was wrong.
    pub why: String,
    /// Where the damaged file is now.
    pub set_aside: PathBuf,
    /// How many messages could be read.
    pub messages: usize,
    /// Whether reading met no damage; if not, some messages or keys may be missing.
    pub complete: bool,
}

/// A file that is open.
pub(super) struct Open {
    pub connection: Connection,
    /// Locked as long as it is: nobody sets aside what another has open.
    pub in_use: Option<File>,
    pub opened: Opened,
}

pub(super) fn open(path: &Path, limits: &Limits) -> Result<Open, StoreError> {
    files::make(path)?;
    // One at a time: nobody opens what another sets aside.
    let gate = files::open_private(&files::beside(path, ".lock"));
    let _gate = match &gate {
        Ok(file) => {
            file.lock().map_err(|error| files::failed(&error))?;
            Some(file)
        }
        // A folder that may only be read: SQLite says what it thinks of it.
        Err(_) => None,
    };
    let in_use = files::open_private(&files::beside(path, ".use")).ok();
    let found = match files::is_marked(path) {
        true => Err(StoreError::Damaged("damage was met while it was used".into())),
        false => try_open(path, limits),
    };
    let (connection, opened) = match found {
        Err(StoreError::Damaged(why)) => replace(path, limits, why, in_use.as_ref())?,
        other => other?,
    };
    if let Some(file) = &in_use {
        file.lock_shared().map_err(|error| files::failed(&error))?;
    }
    Ok(Open { connection, in_use, opened })
}

/// Sets a damaged file aside, and keeps what can be read of it, unless another has it open: what that one would store then
/// nobody would see.
fn replace(
    path: &Path,
    limits: &Limits,
    why: String,
    in_use: Option<&File>,
) -> Result<(Connection, Opened), StoreError> {
    if let Some(file) = in_use {
        if file.try_lock().is_err() {
            files::mark_damaged(path);
            return Err(StoreError::Damaged(why));
        }
        file.unlock().map_err(|error| files::failed(&error))?;
    }
    let set_aside = files::set_aside(path)?;
    tracing::warn!(%why, "the message store is damaged and was set aside");
    files::make(path)?;
    let (mut connection, _) = try_open(path, limits)?;
    let (messages, complete) = salvage::copy(&set_aside, &mut connection)?;
    let recovered = Recovered { why, set_aside, messages, complete };
    Ok((connection, Opened { recovered: Some(recovered), ..Opened::default() }))
}

fn try_open(path: &Path, limits: &Limits) -> Result<(Connection, Opened), StoreError> {
    let log = std::fs::metadata(files::beside(path, "-wal")).map_or(0, |log| log.len());
    let size = std::fs::metadata(path).map_or(0, |file| file.len());
    let connection = connect(path)?;
    let mut opened = Opened::default();
    schema::prepare(&connection)?;
    if log > 0 {
        if size.saturating_add(log) <= CHECK_AT_ONCE {
            look(&connection)?;
        } else {
            opened.to_check = true;
        }
    }
    opened.migrated_from = schema::bring_up(&connection)?;
    // Written to see whether it can be.
    connection.execute_batch("BEGIN IMMEDIATE; UPDATE owners SET id = id WHERE 0; COMMIT")?;
    if limits.keep_for.is_some() {
        // Only where messages go by their age: each one that is done pays for it.
        connection.execute_batch(
            "CREATE INDEX IF NOT EXISTS done_by_age ON messages(at) WHERE state IN (2, 3, 4, 11)",
        )?;
    }
    if let Some(size) = limits.size {
        let page: u64 =
            connection.query_row("PRAGMA page_size", [], |row| row.get::<_, i64>(0))?.unsigned_abs();
        let pages = size.checked_div(page).unwrap_or(size).max(1);
        connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
    }
    Ok((connection, opened))
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // A schema that somebody planted runs no functions; cells are looked at before they are believed.
    connection.execute_batch(
        "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA foreign_keys = OFF; PRAGMA temp_store = MEMORY;",
    )?;
    // Before the first table is made; later it changes nothing.
    connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL")?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(StoreError::ReadOnly);
    }
    connection.execute_batch(&format!(
        "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON; PRAGMA secure_delete = ON;
         PRAGMA journal_size_limit = {KEEP_LOG}; PRAGMA wal_autocheckpoint = {CHECKPOINT};"
    ))?;
    Ok(connection)
}

/// Looks at every page, but not at whether each index has every row.
fn look(connection: &Connection) -> Result<(), StoreError> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(StoreError::Damaged(found)) }
}

pub(super) fn check(path: &Path) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    let found = look(&connection);
    if let Err(StoreError::Damaged(_)) = &found {
        files::mark_damaged(path);
    }
    found
}
