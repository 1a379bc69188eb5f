//! A store in a file.

mod files;
mod history;
mod inbox;
mod open;
mod outbox;
mod owners;
mod peers;
mod row;
mod salvage;
mod schema;
mod tidy;

use crate::{
    Conversation, Entry, Incoming, Limits, Outgoing, Owner, Peer, Pending, Put, Receipt, ReceiptKind,
    Sequence, State, Store, StoreError, Stored,
};
pub use open::{Opened, Recovered};
use owners::Locks;
use rusqlite::{Connection, ErrorCode};
use std::path::{Path, PathBuf};

/// Keeps everything in an SQLite file. Several processes may share one. See the crate's documentation for what is
/// promised.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    limits: Limits,
    /// `None` while suspended.
    connection: Option<Connection>,
    locks: Locks,
    /// Inside [`Store::group`].
    grouped: bool,
    /// Something was deleted whose remains stand in the write-ahead log.
    remains: bool,
    /// The last answer of `PRAGMA data_version`.
    version: Option<i64>,
    waiting: Count,
    pending: Count,
}

/// How many there are: counted now and then, and kept up to date between.
#[derive(Debug, Default)]
struct Count {
    value: Option<usize>,
    age: u32,
}

/// After so many changes it is counted anew: other processes change it too.
const COUNT_AGAIN: u32 = 1000;

impl Count {
    /// How many there are before one more, if that is not beyond the limit.
    fn add(&mut self, limit: usize, count: impl Fn() -> Result<usize, StoreError>) -> Result<(), StoreError> {
        let known = match self.value.filter(|value| *value < limit && self.age < COUNT_AGAIN) {
            Some(value) => value,
            None => {
                self.age = 0;
                count()?
            }
        };
        self.value = Some(known);
        if known >= limit {
            return Err(StoreError::Full(known));
        }
        self.age += 1;
        self.value = Some(known + 1);
        Ok(())
    }

    fn remove(&mut self, count: usize) {
        self.value = self.value.map(|value| value.saturating_sub(count));
    }
}

impl SqliteStore {
    /// Opens the file, or makes it. A damaged one is set aside, and what can be read of it is kept.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::advice`] says what to do.
    pub fn open(path: impl AsRef<Path>, limits: Limits) -> Result<(Self, Opened), StoreError> {
        let path = path.as_ref().to_owned();
        let (connection, opened) = open::open(&path, &limits)?;
        let store = SqliteStore {
            locks: Locks::new(&path),
            path,
            limits,
            connection: Some(connection),
            grouped: false,
            remains: false,
            version: None,
            waiting: Count::default(),
            pending: Count::default(),
        };
        Ok((store, opened))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks at every page for damage, which takes about a second for 300 MB. It uses a connection of its own, so that
    /// another thread can do it while the store works.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if there is some: opening it again will keep what can be read.
    pub fn check(path: impl AsRef<Path>) -> Result<(), StoreError> {
        open::check(path.as_ref())
    }

    fn connection(&self) -> Result<&Connection, StoreError> {
        self.connection.as_ref().ok_or(StoreError::Suspended)
    }

    /// Does the work as a whole or not at all: in a transaction, or as a part of the one that is open.
    fn whole<T>(&self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let connection = self.connection()?;
        let (begin, end, back) = if self.grouped {
            if connection.is_autocommit() {
                // An error ended the transaction; nothing more is done in this group.
                return Err(StoreError::Failed("an earlier failure undid this group".into()));
            }
            ("SAVEPOINT whole", "RELEASE whole", "ROLLBACK TO whole; RELEASE whole")
        } else {
            ("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK")
        };
        connection.prepare_cached(begin)?.execute([])?;
        let result = work(connection).and_then(|value| {
            connection.prepare_cached(end)?.execute([])?;
            Ok(value)
        });
        if result.is_err() && !connection.is_autocommit() {
            // If that fails too the transaction is gone as a whole, which the group will notice.
            let _ = connection.execute_batch(back);
        }
        result
    }

    /// Takes what was deleted out of the write-ahead log.
    fn wipe(&mut self) {
        if self.remains
            && !self.grouped
            && let Ok(connection) = self.connection()
        {
            // A reader in another process may keep it for later; the next commit tries again.
            let done =
                connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
            self.remains = done != Ok(0);
        }
    }
}

impl Store for SqliteStore {
    fn group(&mut self, work: &mut dyn FnMut(&mut dyn Store)) -> Result<(), StoreError> {
        if self.grouped {
            work(self);
            return Ok(());
        }
        self.connection()?.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        self.grouped = true;
        work(self);
        self.grouped = false;
        let connection = self.connection()?;
        let result = if connection.is_autocommit() {
            Err(StoreError::Failed("an earlier failure undid this group".into()))
        } else {
            connection.prepare_cached("COMMIT")?.execute([]).map(|_| ()).map_err(StoreError::from)
        };
        if result.is_err() {
            if !connection.is_autocommit() {
                let _ = connection.execute_batch("ROLLBACK");
            }
            (self.waiting, self.pending) = (Count::default(), Count::default());
        }
        self.wipe();
        result
    }

    fn put_incoming(&mut self, message: &Incoming) -> Result<Stored, StoreError> {
        inbox::put(self, message)
    }

    fn waiting(&mut self, after: Sequence, limit: usize) -> Result<Vec<(Sequence, Incoming)>, StoreError> {
        inbox::list(self.connection()?, "m.state = 10", after, limit)
    }

    fn acknowledge(&mut self, sequences: &[Sequence]) -> Result<(), StoreError> {
        let count = self.whole(|connection| inbox::acknowledge(connection, sequences))?;
        self.waiting.remove(count);
        Ok(())
    }

    fn put_owed(
        &mut self,
        sequence: Sequence,
        kind: ReceiptKind,
        receipt: &Outgoing,
        owner: Owner,
    ) -> Result<Option<Put>, StoreError> {
        outbox::put(self, receipt, owner, |connection| inbox::take_duty(connection, sequence, kind))
    }

    fn receipts_owed(
        &mut self,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<(Sequence, Incoming)>, StoreError> {
        inbox::list(self.connection()?, "m.owes = 1", after, limit)
    }

    fn put_outgoing(&mut self, message: &Outgoing, owner: Owner) -> Result<Put, StoreError> {
        let put = outbox::put(self, message, owner, |_| Ok(true))?;
        put.ok_or_else(|| StoreError::Failed("a message that is wanted was not kept".into()))
    }

    fn claim(&mut self, owner: Owner, limit: usize) -> Result<Vec<Pending>, StoreError> {
        self.locks.hold(owner)?;
        self.whole(|connection| outbox::claim(connection, &self.locks, owner, limit))
    }

    fn release(&mut self, owner: Owner) -> Result<(), StoreError> {
        self.whole(|connection| outbox::release(connection, owner))?;
        self.locks.let_go(owner);
        Ok(())
    }

    fn set_state(&mut self, id: &str, owner: Owner, state: &State) -> Result<bool, StoreError> {
        outbox::set_state(self, id, owner, state)
    }

    fn outgoing(&mut self, id: &str) -> Result<Option<Entry>, StoreError> {
        outbox::find(self.connection()?, id)
    }

    fn put_receipt(&mut self, receipt: &Receipt) -> Result<Option<Entry>, StoreError> {
        self.whole(|connection| outbox::put_receipt(connection, receipt))
    }

    fn conversations(
        &mut self,
        before: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Conversation>, StoreError> {
        history::conversations(self.connection()?, before, limit)
    }

    fn history(
        &mut self,
        peer: &str,
        before: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        history::page(self.connection()?, peer, before, limit)
    }

    fn search(
        &mut self,
        words: &str,
        peer: Option<&str>,
        before: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        history::search(self.connection()?, words, peer, before, limit)
    }

    fn mark_read(&mut self, peer: &str, up_to: Sequence) -> Result<(), StoreError> {
        self.whole(|connection| history::mark_read(connection, peer, up_to))
    }

    fn delete_message(&mut self, sequence: Sequence) -> Result<bool, StoreError> {
        let deleted = self.whole(|connection| tidy::delete(connection, sequence))?;
        self.remains |= deleted;
        (self.waiting, self.pending) = (Count::default(), Count::default());
        self.wipe();
        Ok(deleted)
    }

    fn delete_conversation(&mut self, peer: &str) -> Result<usize, StoreError> {
        let deleted = self.whole(|connection| tidy::delete_conversation(connection, peer))?;
        self.remains |= deleted > 0;
        self.waiting = Count::default();
        self.wipe();
        Ok(deleted)
    }

    fn peer(&mut self, address: &str) -> Result<Option<Peer>, StoreError> {
        peers::get(self.connection()?, address)
    }

    fn peers(&mut self, limit: usize) -> Result<Vec<Peer>, StoreError> {
        peers::list(self.connection()?, limit)
    }

    fn put_peer(&mut self, peer: &Peer) -> Result<(), StoreError> {
        self.whole(|connection| peers::put(connection, peer))
    }

    fn tidy(&mut self, now: i64) -> Result<usize, StoreError> {
        let deleted = self.whole(|connection| tidy::tidy(connection, &self.limits, now))?;
        self.remains |= deleted > 0;
        self.wipe();
        Ok(deleted)
    }

    fn is_lasting(&self) -> bool {
        true
    }

    fn changed_elsewhere(&mut self) -> Result<bool, StoreError> {
        let version = self
            .connection()?
            .prepare_cached("PRAGMA data_version")?
            .query_row([], |row| row.get::<_, i64>(0))?;
        let before = self.version.replace(version);
        Ok(before.is_some_and(|before| before != version))
    }

    fn suspend(&mut self) -> Result<(), StoreError> {
        let Some(connection) = self.connection.take() else { return Ok(()) };
        let noted = self.locks.suspend(&connection);
        self.version = None;
        let closed = connection.close().map_err(|(_, error)| StoreError::from(error));
        noted.and(closed)
    }

    fn resume(&mut self) -> Result<(), StoreError> {
        if self.connection.is_none() {
            let (connection, _) = open::open(&self.path, &self.limits)?;
            self.locks.resume(&connection)?;
            self.connection = Some(connection);
            (self.waiting, self.pending) = (Count::default(), Count::default());
        }
        Ok(())
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let words = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull | ErrorCode::TooBig) => StoreError::NoSpace,
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => StoreError::ReadOnly,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged(words),
            Some(ErrorCode::CannotOpen | ErrorCode::AuthorizationForStatementDenied) => {
                StoreError::Unavailable(words)
            }
            Some(ErrorCode::SystemIoFailure) => StoreError::Disk(words),
            _ => StoreError::Failed(words),
        }
    }
}
