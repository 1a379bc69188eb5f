//! Who is at work on the store: each run of a program holds a lock on a file of its own, which the system lets go when the
//! process ends, however it ends.

use super::files;
use crate::{Owner, StoreError};
use rusqlite::{Connection, params};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What a suspended program was sending stays its own for so long, in seconds: longer than it waits for an answer (Timer F
/// of RFC 3261, 32 s).
const SUSPENDED_FOR: i64 = 40;

/// Seconds since 1970.
fn unix_time() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// The locks that this store holds.
#[derive(Debug)]
pub(super) struct Locks {
    path: PathBuf,
    held: BTreeMap<u32, File>,
}

impl Locks {
    pub fn new(path: &Path) -> Self {
        Locks { path: path.to_owned(), held: BTreeMap::new() }
    }

    fn file(&self, owner: u32) -> PathBuf {
        files::beside(&self.path, &format!(".owner-{owner:08x}"))
    }

    /// Shows that this owner is alive.
    pub fn hold(&mut self, owner: Owner) -> Result<(), StoreError> {
        if self.held.contains_key(&owner.0) {
            return Ok(());
        }
        let file = files::open_private(&self.file(owner.0)).map_err(|error| files::failed(&error))?;
        file.try_lock().map_err(|_| StoreError::Busy)?;
        self.held.insert(owner.0, file);
        Ok(())
    }

    pub fn let_go(&mut self, owner: Owner) {
        if self.held.remove(&owner.0).is_some() {
            // Whoever finds it later removes it.
            let _ = fs::remove_file(self.file(owner.0));
        }
    }

    /// Enters an owner whose lock is held.
    pub fn note(&self, connection: &Connection, owner: Owner) -> Result<(), StoreError> {
        connection
            .prepare_cached(
                "INSERT INTO owners(id) VALUES (?1) ON CONFLICT(id) DO UPDATE SET suspended_at = NULL
                 WHERE suspended_at IS NOT NULL",
            )?
            .execute([owner.0])?;
        Ok(())
    }

    /// Whether anybody else is entered who may be alive.
    pub fn are_others(&self, connection: &Connection, owner: Owner) -> Result<bool, StoreError> {
        let mut others = connection.prepare_cached("SELECT 1 FROM owners WHERE id != ?1 LIMIT 1")?;
        if !others.exists([owner.0])? {
            return Ok(false);
        }
        self.bury(connection)?;
        Ok(others.exists([owner.0])?)
    }

    /// Frees what dead owners held.
    pub fn bury(&self, connection: &Connection) -> Result<(), StoreError> {
        let all: Vec<(u32, Option<i64>)> = connection
            .prepare_cached("SELECT id, suspended_at FROM owners")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        for (owner, suspended_at) in all {
            if self.held.contains_key(&owner) {
                continue;
            }
            let dead = match suspended_at {
                Some(at) => !(0..=SUSPENDED_FOR).contains(&unix_time().saturating_sub(at)),
                None => self.is_dead(owner),
            };
            if dead {
                super::outbox::release(connection, Owner(owner))?;
                let _ = fs::remove_file(self.file(owner));
            }
        }
        Ok(())
    }

    fn is_dead(&self, owner: u32) -> bool {
        match File::open(self.file(owner)) {
            Ok(file) => file.try_lock().is_ok(),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        }
    }

    /// Lets go of the locks. What was not sent yet is anybody's; what may be on its way stays ours for a while.
    pub fn suspend(&self, connection: &Connection) -> Result<(), StoreError> {
        let noted = self.held.keys().try_for_each(|owner| {
            connection.execute("UPDATE messages SET owner = NULL WHERE state = 0 AND owner = ?1", [owner])?;
            connection
                .execute("UPDATE owners SET suspended_at = ?1 WHERE id = ?2", params![unix_time(), owner])?;
            Ok(())
        });
        // Whatever came of it: who is suspended must not hold a lock.
        for file in self.held.values() {
            file.unlock().map_err(|error| files::failed(&error))?;
        }
        noted
    }

    /// Takes the locks again.
    pub fn resume(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let owners: Vec<u32> = self.held.keys().copied().collect();
        self.held.clear();
        for owner in owners {
            self.hold(Owner(owner))?;
            self.note(connection, Owner(owner))?;
        }
        Ok(())
    }
}

impl Drop for Locks {
    fn drop(&mut self) {
        for owner in self.held.keys() {
            let _ = fs::remove_file(self.file(*owner));
        }
    }
}
