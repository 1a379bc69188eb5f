//! A store in a file.

mod files;
mod history;
mod inbox;
mod known;
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
    Sequence, State, Stopper, Store, StoreError, Stored,
};
use known::Known;
pub use open::{Opened, Recovered};
use owners::Locks;
use rusqlite::{Connection, ErrorCode, InterruptHandle};
use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Keeps everything in an SQLite file. Several processes may share one. See the crate's documentation for what is
/// promised.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    limits: Limits,
    /// `None` while suspended.
    connection: Option<Connection>,
    /// Shows others that the file is open here, unless the folder may only be read.
    in_use: Option<File>,
    /// Of the connection, for other threads.
    running: Arc<Running>,
    locks: Locks,
    /// Inside [`Store::group`].
    grouped: bool,
    /// What undid the group that is open: what one call wrote is not taken back alone.
    broken: RefCell<Option<StoreError>>,
    /// Something was deleted whose remains stand in the write-ahead log.
    remains: bool,
    /// The last answer of `PRAGMA data_version`; not known while the file is let go, and after that.
    version: Option<i64>,
    known: Known,
}

/// What the connection does, as other threads may end it.
struct Running(Mutex<Option<InterruptHandle>>);

impl Running {
    fn new(connection: &Connection) -> Self {
        Running(Mutex::new(Some(connection.get_interrupt_handle())))
    }

    fn set(&self, connection: Option<&Connection>) {
        let handle = connection.map(Connection::get_interrupt_handle);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = handle;
    }

    fn stop(&self) {
        if let Some(handle) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            handle.interrupt();
        }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the file, or makes it. A damaged one is set aside, and what can be read of it is kept.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::advice`] says what to do.
    pub fn open(path: impl AsRef<Path>, limits: Limits) -> Result<(Self, Opened), StoreError> {
        let path = path.as_ref().to_owned();
        let open::Open { connection, in_use, opened } = open::open(&path, &limits)?;
        let mut store = SqliteStore {
            locks: Locks::new(&path),
            path,
            limits,
            running: Arc::new(Running::new(&connection)),
            connection: Some(connection),
            in_use,
            grouped: false,
            remains: false,
            broken: RefCell::default(),
            version: None,
            known: Known::default(),
        };
        store.changed_elsewhere()?;
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
    /// [`StoreError::Damaged`] if there is some: opening it again sets it aside and keeps what can be read.
    pub fn check(path: impl AsRef<Path>) -> Result<(), StoreError> {
        open::check(path.as_ref())
    }

    fn connection(&self) -> Result<&Connection, StoreError> {
        self.connection.as_ref().ok_or(StoreError::Suspended)
    }

    /// Reads something.
    fn look<T>(&self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.noticed(work(self.connection()?))
    }

    /// Damage that is met is noted beside the file: whoever opens it next sets it aside, whatever a first look at it says. A
    /// write that failed on a disk that may only be read is told as that.
    fn noticed<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        result.map_err(|error| match error {
            StoreError::Damaged(_) => {
                files::mark_damaged(&self.path);
                error
            }
            StoreError::Disk(_) if files::is_read_only(&self.path) => StoreError::ReadOnly,
            other => other,
        })
    }

    /// Does the work as a whole or not at all: in a transaction, or as a part of the one that is open, which its failure
    /// undoes.
    fn whole<T>(&self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let connection = self.connection()?;
        if self.grouped {
            if let Some(error) = self.broken.borrow().as_ref() {
                return Err(error.clone());
            }
            return self.noticed(work(connection)).inspect_err(|error| {
                self.broken.replace(Some(error.clone()));
            });
        }
        self.known.begin();
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let result = work(connection).and_then(|value| {
            connection.prepare_cached("COMMIT")?.execute([])?;
            Ok(value)
        });
        if result.is_err() {
            self.undo(connection);
        }
        self.noticed(result)
    }

    /// Takes back what was not committed.
    fn undo(&self, connection: &Connection) {
        if !connection.is_autocommit() {
            // If that fails too the connection does it when it next can, or when it closes.
            let _ = connection.execute_batch("ROLLBACK");
        }
        self.known.forget();
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
        self.known.begin();
        self.connection()?.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        self.grouped = true;
        work(self);
        self.grouped = false;
        let connection = self.connection()?;
        let result = match self.broken.take() {
            Some(error) => Err(error),
            None => connection.prepare_cached("COMMIT")?.execute([]).map(|_| ()).map_err(StoreError::from),
        };
        if result.is_err() {
            self.undo(connection);
        }
        self.wipe();
        self.noticed(result)
    }

    fn put_incoming(&mut self, message: &Incoming) -> Result<Stored, StoreError> {
        inbox::put(self, message)
    }

    fn waiting(&mut self, after: Sequence, limit: usize) -> Result<Vec<(Sequence, Incoming)>, StoreError> {
        self.look(|connection| inbox::list(connection, "m.state = 10", after, limit))
    }

    fn acknowledge(&mut self, sequences: &[Sequence]) -> Result<(), StoreError> {
        let count = self.whole(|connection| inbox::acknowledge(connection, sequences))?;
        self.known.waiting.remove(count);
        Ok(())
    }

    fn put_owed(
        &mut self,
        sequence: Sequence,
        kind: ReceiptKind,
        receipt: &Outgoing,
        owner: Owner,
        leaves: bool,
    ) -> Result<Option<Put>, StoreError> {
        outbox::put(self, receipt, owner, leaves, |connection| inbox::take_duty(connection, sequence, kind))
    }

    fn receipts_owed(
        &mut self,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<(Sequence, Incoming)>, StoreError> {
        self.look(|connection| inbox::list(connection, "m.owes = 1", after, limit))
    }

    fn put_outgoing(&mut self, message: &Outgoing, owner: Owner, leaves: bool) -> Result<Put, StoreError> {
        let put = outbox::put(self, message, owner, leaves, |_| Ok(true))?;
        put.ok_or_else(|| StoreError::Failed("a message that is wanted was not kept".into()))
    }

    fn claim(&mut self, owner: Owner, limit: usize) -> Result<Vec<Pending>, StoreError> {
        self.locks.hold(owner)?;
        self.whole(|connection| outbox::claim(connection, self, owner, limit))
    }

    fn release(&mut self, owner: Owner) -> Result<(), StoreError> {
        self.whole(|connection| outbox::release(connection, owner))?;
        self.known.released(owner);
        self.locks.let_go(owner);
        Ok(())
    }

    fn set_state(&mut self, id: &str, owner: Owner, state: &State) -> Result<bool, StoreError> {
        outbox::set_state(self, id, owner, state)
    }

    fn outgoing(&mut self, id: &str) -> Result<Option<Entry>, StoreError> {
        self.look(|connection| outbox::find(connection, id))
    }

    fn put_receipt(&mut self, receipt: &Receipt) -> Result<Option<Entry>, StoreError> {
        self.whole(|connection| outbox::put_receipt(connection, receipt))
    }

    fn conversations(
        &mut self,
        before: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Conversation>, StoreError> {
        self.look(|connection| history::conversations(connection, before, limit))
    }

    fn history(
        &mut self,
        peer: &str,
        before: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.look(|connection| history::page(connection, peer, before, limit))
    }

    fn search(
        &mut self,
        words: &str,
        peer: Option<&str>,
        before: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.look(|connection| history::search(connection, words, peer, before, limit))
    }

    fn mark_read(&mut self, peer: &str, up_to: Sequence) -> Result<(), StoreError> {
        self.whole(|connection| history::mark_read(connection, peer, up_to))
    }

    fn delete_message(&mut self, sequence: Sequence) -> Result<bool, StoreError> {
        let deleted = self.whole(|connection| tidy::delete(connection, sequence))?;
        self.remains |= deleted;
        self.known.forget();
        self.wipe();
        Ok(deleted)
    }

    fn delete_conversation(&mut self, peer: &str) -> Result<usize, StoreError> {
        let deleted = self.whole(|connection| tidy::delete_conversation(connection, peer))?;
        self.remains |= deleted > 0;
        self.known.forget();
        self.wipe();
        Ok(deleted)
    }

    fn peer(&mut self, address: &str) -> Result<Option<Peer>, StoreError> {
        self.look(|connection| peers::get(connection, address))
    }

    fn peers(&mut self, limit: usize) -> Result<Vec<Peer>, StoreError> {
        self.look(|connection| peers::list(connection, limit))
    }

    fn put_peer(&mut self, peer: &Peer) -> Result<(), StoreError> {
        self.whole(|connection| peers::put(connection, &self.known, peer))
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
        Ok(before != Some(version))
    }

    fn suspend(&mut self) -> Result<(), StoreError> {
        let Some(connection) = self.connection.take() else { return Ok(()) };
        self.running.set(None);
        let noted = self.locks.suspend(&connection);
        self.version = None;
        let closed = connection.close().map_err(|(_, error)| StoreError::from(error));
        self.in_use = None;
        noted.and(closed)
    }

    fn resume(&mut self) -> Result<Opened, StoreError> {
        if self.connection.is_some() {
            return Ok(Opened::default());
        }
        let open::Open { connection, in_use, opened } = open::open(&self.path, &self.limits)?;
        self.locks.resume(&connection)?;
        self.known.forget();
        self.running.set(Some(&connection));
        (self.connection, self.in_use) = (Some(connection), in_use);
        Ok(opened)
    }

    fn stopper(&self) -> Stopper {
        let running = self.running.clone();
        Stopper::new(move || running.stop())
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
            // By our own hand alone: the store is to let go.
            Some(ErrorCode::OperationInterrupted) => StoreError::Suspended,
            _ => StoreError::Failed(words),
        }
    }
}
