//! What a phone does with its store: acknowledging, reading what was said, letting go of it.

use crate::config::StoreChoice;
use crate::driver::Command;
use crate::event::{Event, Storage};
use crate::phone::{Phone, StartError};
use crate::queue::Queue;
use aldis_agent::MessageId;
use aldis_store::{MemoryStore, Sequence, SqliteStore, Store, StoreError};
use std::sync::Arc;
use std::thread;
use tokio::sync::oneshot;

/// Opens the store of a configuration; what was found is told as an event.
pub(crate) fn open(choice: StoreChoice, events: &Arc<Queue>) -> Result<Box<dyn Store>, StartError> {
    let (path, limits) = match choice {
        StoreChoice::Memory => return Ok(Box::new(MemoryStore::default())),
        StoreChoice::File(path, limits) => (path, limits),
    };
    let (store, opened) = SqliteStore::open(&path, limits)?;
    if let Some(recovered) = opened.recovered {
        events.push(Event::Storage(Storage::Recovered(recovered)));
    }
    if opened.to_check {
        let events = events.clone();
        // Only looking for damage: without a thread it is found when the damaged place is read.
        let _ = thread::Builder::new().name("aldis-check".into()).spawn(move || {
            if let Err(error) = SqliteStore::check(&path) {
                events.push(Event::Storage(Storage::Failed(error)));
            }
        });
    }
    Ok(Box::new(store))
}

impl Phone {
    /// The app has these messages, wherever it keeps what it needs of them: they are not given again after a restart. It
    /// returns when that is durable. Only needed with [`crate::Config::acknowledge_explicitly`]; a number that is unknown, or
    /// acknowledged already, does no harm.
    ///
    /// # Errors
    /// [`StoreError`]: the messages may come again.
    pub async fn acknowledge(&self, sequences: impl Into<Vec<Sequence>>) -> Result<(), StoreError> {
        let (reply, done) = oneshot::channel();
        self.command(Command::Acknowledge(sequences.into(), Some(reply)));
        done.await.unwrap_or(Err(StoreError::Suspended))
    }

    /// Sends a message once more that failed or whose fate is unknown: as the same message, so that a recipient who has it
    /// shows it once. `false` if there is none, or it is still to be sent, or was accepted and need not be.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn send_again(&self, id: MessageId) -> Result<bool, StoreError> {
        let (reply, done) = oneshot::channel();
        self.command(Command::Again(id, reply));
        done.await.unwrap_or(Err(StoreError::Suspended))
    }

    /// Has something read from the store, or deleted there: conversations, their pages, a search. The work is done on the
    /// store's thread, behind what was asked for before.
    ///
    /// ```no_run
    /// # async fn last(phone: &aldis::Phone) -> Result<(), aldis::store::StoreError> {
    /// let page = phone.store(|store| store.history("sip:bob@example.test", None, 50)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What the work gives, or [`StoreError::Suspended`] after the phone has shut down.
    pub async fn store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, done) = oneshot::channel();
        // Whoever asked may have gone.
        self.keeper.ask_alone(work, move |result| drop(reply.send(result)));
        let result = done.await.unwrap_or(Err(StoreError::Suspended));
        if let Err(error @ StoreError::Damaged(_)) = &result {
            self.command(Command::Damaged(error.clone()));
        }
        result
    }

    /// For an app that is about to be suspended and wants no message until it runs again ([`Phone::enter_background`] lets go of
    /// the store too, and opens it for what comes): every transaction ends, every lock and file of the store is let go, well
    /// within the second after which iOS ends an app that holds one. Until [`Phone::resume_store`] messages that come are refused with
    /// 480, so that their senders keep them, and nothing is taken to be sent. What waits to be sent may be sent by another
    /// process that shares the store.
    ///
    /// # Errors
    /// [`StoreError`]; the locks are let go all the same.
    pub async fn suspend_store(&self) -> Result<(), StoreError> {
        self.suspended(true).await
    }

    /// The app runs again: the store is opened again, and what other processes did meanwhile is seen.
    ///
    /// # Errors
    /// [`StoreError`]; try again.
    pub async fn resume_store(&self) -> Result<(), StoreError> {
        self.suspended(false).await
    }

    async fn suspended(&self, suspend: bool) -> Result<(), StoreError> {
        let (reply, done) = oneshot::channel();
        self.command(Command::Suspend(suspend, reply));
        done.await.unwrap_or(Err(StoreError::Suspended))
    }

    /// What was given to the app before counts as handled, unless it says so itself.
    pub(crate) fn acknowledge_given(&self) {
        let given = self.events.take_given();
        if !given.is_empty() && !self.explicit {
            self.command(Command::Acknowledge(given, None));
        }
    }
}
