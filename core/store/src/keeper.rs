//! A store behind a queue: one on a disk gets a thread of its own.

use crate::{Store, StoreError};
use std::sync::mpsc::{Receiver, SendError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fmt, io, thread};

/// Most requests that share one commit.
const MAX_GROUP: usize = 512;

/// What is left to do for a request when the commit has succeeded or failed.
type Finish = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// A request; with an error instead of a store it only says so.
type Work = Box<dyn FnOnce(Result<&mut dyn Store, StoreError>) -> Finish + Send>;

enum Job {
    /// May share a commit.
    Together(Work),
    /// Ends and begins transactions itself.
    Alone(Work),
    Close(Box<dyn FnOnce() + Send>),
}

/// Does what is asked of a store, in the order in which it is asked. A store that waits for a disk gets a thread of its own:
/// what came while the disk was busy shares the next commit, so that many messages cost one sync, and dropping the keeper
/// lets the thread end when it has done all that was asked for. One that waits for nothing ([`Store::is_lasting`] is `false`)
/// works at once, where it is asked: a thread each would be most of the cost of thousands of phones.
#[derive(Clone)]
pub struct Keeper {
    worker: Worker,
}

#[derive(Clone)]
enum Worker {
    Thread(Sender<Job>),
    /// `None` after the end.
    Here(Arc<Mutex<Option<Box<dyn Store>>>>),
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let worker = match &self.worker {
            Worker::Thread(_) => "thread",
            Worker::Here(_) => "here",
        };
        f.debug_struct("Keeper").field("worker", &worker).finish()
    }
}

impl Keeper {
    /// Takes a store over, and starts its thread if it needs one.
    ///
    /// # Errors
    /// The system starts no thread.
    pub fn start(store: Box<dyn Store>) -> io::Result<Self> {
        if !store.is_lasting() {
            return Ok(Keeper { worker: Worker::Here(Arc::new(Mutex::new(Some(store)))) });
        }
        let (jobs, receiver) = channel();
        thread::Builder::new().name("aldis-store".into()).spawn(move || keep(store, &receiver))?;
        Ok(Keeper { worker: Worker::Thread(jobs) })
    }

    /// Has work done; `done` is called when it is durable, or failed, on the store's thread if it has one, else before this
    /// returns. Neither may block, or ask this keeper for anything.
    pub fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError> + Send + 'static,
        done: impl FnOnce(Result<T, StoreError>) + Send + 'static,
    ) {
        self.send(Job::Together(job(work, done)));
    }

    /// The same for what ends and begins transactions itself: [`Store::suspend`], [`Store::resume`], deleting, tidying.
    pub fn ask_alone<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError> + Send + 'static,
        done: impl FnOnce(Result<T, StoreError>) + Send + 'static,
    ) {
        self.send(Job::Alone(job(work, done)));
    }

    /// Does what was asked for so far, closes the store and ends the thread. What is asked for later fails.
    pub fn close(&self, done: impl FnOnce() + Send + 'static) {
        self.send(Job::Close(Box::new(done)));
    }

    fn send(&self, job: Job) {
        match &self.worker {
            Worker::Thread(jobs) => {
                if let Err(SendError(job)) = jobs.send(job) {
                    refuse(job);
                }
            }
            Worker::Here(store) => here(store, job),
        }
    }
}

/// Does a request at once.
fn here(store: &Mutex<Option<Box<dyn Store>>>, job: Job) {
    // A panic of somebody's work leaves the store as that work left it, as on a thread of its own.
    let mut held = store.lock().unwrap_or_else(PoisonError::into_inner);
    match job {
        Job::Together(work) | Job::Alone(work) => {
            let finish = match held.as_mut() {
                Some(store) => work(Ok(store.as_mut())),
                None => work(Err(StoreError::Suspended)),
            };
            drop(held);
            finish(Ok(()));
        }
        Job::Close(done) => {
            let store = held.take();
            drop(held);
            drop(store);
            done();
        }
    }
}

fn job<T: Send + 'static>(
    work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError> + Send + 'static,
    done: impl FnOnce(Result<T, StoreError>) + Send + 'static,
) -> Work {
    Box::new(move |store| {
        let result = store.and_then(work);
        // Its own error says more than that of the group.
        Box::new(move |group| done(result.and_then(|value| group.map(|()| value))))
    })
}

/// Nobody does it any more.
fn refuse(job: Job) {
    match job {
        Job::Together(work) | Job::Alone(work) => work(Err(StoreError::Suspended))(Ok(())),
        Job::Close(done) => done(),
    }
}

fn keep(mut store: Box<dyn Store>, jobs: &Receiver<Job>) {
    let mut next = jobs.recv().ok();
    while let Some(job) = next.take() {
        match job {
            Job::Together(first) => next = together(store.as_mut(), first, jobs),
            Job::Alone(work) => work(Ok(store.as_mut()))(Ok(())),
            Job::Close(done) => {
                drop(store);
                done();
                while let Ok(job) = jobs.try_recv() {
                    refuse(job);
                }
                return;
            }
        }
        if next.is_none() {
            next = jobs.recv().ok();
        }
    }
}

/// Does the first request, and those that wait already, with one commit; gives one that was met and cannot share it.
fn together(store: &mut dyn Store, first: Work, jobs: &Receiver<Job>) -> Option<Job> {
    let mut works = vec![first];
    let mut next = None;
    while works.len() < MAX_GROUP {
        match jobs.try_recv() {
            Ok(Job::Together(work)) => works.push(work),
            Ok(other) => {
                next = Some(other);
                break;
            }
            Err(_) => break,
        }
    }
    let mut finishes = Vec::with_capacity(works.len());
    let result = store.group(&mut |store| {
        for work in works.drain(..) {
            finishes.push(work(Ok(&mut *store)));
        }
    });
    if let Err(error) = &result {
        // It did not begin.
        finishes.extend(works.into_iter().map(|work| work(Err(error.clone()))));
    }
    for finish in finishes {
        finish(result.clone());
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Incoming, Limits, MemoryStore, Sequence, SqliteStore, Stored};

    fn message(n: usize) -> Incoming {
        Incoming {
            key: n.to_string(),
            id: n.to_string(),
            from: "sip:a@b.test".into(),
            display_name: None,
            claimed_from: None,
            to: "sip:b@b.test".into(),
            content_type: "text/plain".into(),
            body: Vec::new(),
            sent_at: None,
            received_at: 0,
            expires_at: None,
            wants: None,
            owes_receipt: false,
        }
    }

    /// One with a thread, and one without.
    fn both() -> (tempfile::TempDir, [Keeper; 2]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("aldis.db");
        let (file, _) = SqliteStore::open(&path, Limits::default()).unwrap();
        let keepers = [
            Keeper::start(Box::new(file)).unwrap(),
            Keeper::start(Box::new(MemoryStore::default())).unwrap(),
        ];
        assert!(matches!(keepers[0].worker, Worker::Thread(_)));
        assert!(matches!(keepers[1].worker, Worker::Here(_)));
        (folder, keepers)
    }

    #[test]
    fn requests_are_done_in_order_and_all_before_the_end() {
        let (_folder, keepers) = both();
        for keeper in keepers {
            all_in_order(&keeper);
        }
    }

    fn all_in_order(keeper: &Keeper) {
        let (answers, answered) = channel();
        for n in 0..2000 {
            let answers = answers.clone();
            keeper.ask(
                move |store| store.put_incoming(&message(n)),
                move |result| answers.send(result).unwrap(),
            );
        }
        let (ended, end) = channel();
        keeper.close(move || ended.send(()).unwrap());
        end.recv().unwrap();
        for n in 1..=2000 {
            assert_eq!(answered.recv().unwrap(), Ok(Stored::New(Sequence(n))));
        }
    }

    #[test]
    fn what_is_asked_after_the_end_is_refused() {
        let (_folder, keepers) = both();
        for keeper in keepers {
            refused_after_the_end(&keeper);
        }
    }

    fn refused_after_the_end(keeper: &Keeper) {
        let (ended, end) = channel();
        keeper.close(move || ended.send(()).unwrap());
        end.recv().unwrap();
        let (answers, answered) = channel();
        keeper.ask(|store| store.peers(1), move |result| answers.send(result).unwrap());
        assert_eq!(answered.recv().unwrap(), Err(StoreError::Suspended));
    }
}
