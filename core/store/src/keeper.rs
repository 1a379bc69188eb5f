//! A store behind a queue: one on a disk gets a thread of its own.

use crate::{Opened, Recovered, Stopper, Store, StoreError};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SendError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fmt, io, thread};

/// Most requests that share one commit.
const MAX_GROUP: usize = 512;
/// A resting store lets go of its files when nothing was asked for so long.
const REST_AFTER: Duration = Duration::from_millis(100);

/// What is left to do for a request when the commit has succeeded or failed.
type Finish = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// A request; with an error instead of a store it only says so.
type Work = Box<dyn FnOnce(Result<&mut dyn Store, StoreError>) -> Finish + Send>;
/// Whoever waits for a store that is opened or closed.
type Told = Box<dyn FnOnce(Result<Opened, StoreError>) + Send>;

enum Job {
    /// May share a commit.
    Together(Work),
    /// Ends and begins transactions itself.
    Alone(Work),
    Door(Door, Told),
    Close(Box<dyn FnOnce() + Send>),
}

/// How the files of a store are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Let go, and everything fails with [`StoreError::Suspended`] until [`Door::Resume`].
    Suspend,
    /// Held again.
    Resume,
    /// Held only while something is done: opened when something is asked, let go 100 ms after.
    Rest,
    /// Held all the time: the end of [`Door::Rest`].
    Stand,
    /// Opened anew, because the file is damaged: what can be read of it is kept. While that fails, because another program
    /// has the file open for one, each request tries it again.
    Mend,
}

/// Does what is asked of a store, in the order in which it is asked. A store that waits for a disk gets a thread of its own:
/// what came while the disk was busy shares the next commit, so that many messages cost one sync, and dropping the keeper
/// lets the thread end when it has done all that was asked for. One that waits for nothing ([`Store::is_lasting`] is `false`)
/// works at once, where it is asked: a thread each would be most of the cost of thousands of phones.
#[derive(Clone)]
pub struct Keeper {
    worker: Worker,
    stopper: Stopper,
}

#[derive(Clone)]
enum Worker {
    Thread(Sender<Job>),
    /// `None` after the end.
    Here(Arc<Mutex<Option<House>>>),
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
        let (lasting, stopper) = (store.is_lasting(), store.stopper());
        let house = House::new(store);
        if !lasting {
            return Ok(Keeper { worker: Worker::Here(Arc::new(Mutex::new(Some(house)))), stopper });
        }
        let (jobs, receiver) = channel();
        thread::Builder::new().name("aldis-store".into()).spawn(move || keep(house, &receiver))?;
        Ok(Keeper { worker: Worker::Thread(jobs), stopper })
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

    /// The same for what ends and begins transactions itself: deleting, tidying.
    pub fn ask_alone<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError> + Send + 'static,
        done: impl FnOnce(Result<T, StoreError>) + Send + 'static,
    ) {
        self.send(Job::Alone(job(work, done)));
    }

    /// Changes how the files are held, behind what was asked for before; `done` is called when that is so, with what opening
    /// found.
    pub fn door(&self, door: Door, done: impl FnOnce(Result<Opened, StoreError>) + Send + 'static) {
        self.send(Job::Door(door, Box::new(done)));
    }

    /// Ends what is being done now, from any thread: it fails with [`StoreError::Suspended`] and nothing of it was done. What
    /// was asked for behind it is not touched.
    pub fn hurry(&self) {
        self.stopper.stop();
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

/// A store, and how it is held.
struct House {
    store: Box<dyn Store>,
    resting: bool,
    /// Its files are let go, and taken again when something is asked.
    closed: bool,
    suspended: bool,
    /// What was found when something had it opened again, until somebody is told.
    recovered: Option<Recovered>,
}

impl House {
    fn new(store: Box<dyn Store>) -> Self {
        House { store, resting: false, closed: false, suspended: false, recovered: None }
    }

    fn close(&mut self) -> Result<(), StoreError> {
        self.closed = true;
        self.store.suspend()
    }

    /// Makes the store ready to be asked, unless that was forbidden.
    fn open(&mut self) -> Result<(), StoreError> {
        if self.suspended {
            return Err(StoreError::Suspended);
        }
        if self.closed {
            let opened = self.store.resume()?;
            self.closed = false;
            self.recovered = opened.recovered.or(self.recovered.take());
        }
        Ok(())
    }

    fn change(&mut self, door: Door) -> Result<Opened, StoreError> {
        match door {
            Door::Suspend => {
                self.suspended = true;
                self.close()?;
            }
            Door::Resume => {
                self.suspended = false;
                self.open()?;
            }
            Door::Rest => {
                self.resting = true;
                self.close()?;
            }
            Door::Stand => {
                self.resting = false;
                if !self.suspended {
                    self.open()?;
                }
            }
            Door::Mend => {
                if self.recovered.is_none() && !self.suspended {
                    // What is wrong with it opening tells.
                    let _ = self.close();
                }
                self.open()?;
            }
        }
        Ok(Opened { recovered: self.recovered.take(), ..Opened::default() })
    }

    /// Whether it is to be closed when nothing more comes.
    fn is_to_rest(&self) -> bool {
        self.resting && !self.closed
    }
}

/// Does a request at once.
fn here(house: &Mutex<Option<House>>, job: Job) {
    // A panic of somebody's work leaves the store as that work left it, as on a thread of its own.
    let mut held = house.lock().unwrap_or_else(PoisonError::into_inner);
    match job {
        Job::Together(work) | Job::Alone(work) => {
            let finish = match held.as_mut() {
                Some(house) => alone(house, work),
                None => work(Err(StoreError::Suspended)),
            };
            drop(held);
            finish(Ok(()));
        }
        // There are no files to let go.
        Job::Door(Door::Rest | Door::Stand | Door::Mend, told) => {
            drop(held);
            told(Ok(Opened::default()));
        }
        Job::Door(door, told) => {
            let result = held.as_mut().map_or(Err(StoreError::Suspended), |house| house.change(door));
            drop(held);
            told(result);
        }
        Job::Close(done) => {
            let house = held.take();
            drop(held);
            drop(house);
            done();
        }
    }
}

fn alone(house: &mut House, work: Work) -> Finish {
    match house.open() {
        Ok(()) => work(Ok(house.store.as_mut())),
        Err(error) => work(Err(error)),
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
        Job::Door(_, told) => told(Err(StoreError::Suspended)),
        Job::Close(done) => done(),
    }
}

/// The next job; meanwhile a store that is to rest goes to rest.
fn next(house: &mut House, jobs: &Receiver<Job>) -> Option<Job> {
    if house.is_to_rest() {
        match jobs.recv_timeout(REST_AFTER) {
            Ok(job) => return Some(job),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {
                if let Err(error) = house.close() {
                    tracing::warn!(%error, "the message store was let go of in disorder");
                }
            }
        }
    }
    jobs.recv().ok()
}

fn keep(mut house: House, jobs: &Receiver<Job>) {
    let mut met = None;
    while let Some(job) = met.take().or_else(|| next(&mut house, jobs)) {
        match job {
            Job::Together(first) => met = together(&mut house, first, jobs),
            Job::Alone(work) => alone(&mut house, work)(Ok(())),
            Job::Door(door, told) => told(house.change(door)),
            Job::Close(done) => {
                drop(house);
                done();
                while let Ok(job) = jobs.try_recv() {
                    refuse(job);
                }
                return;
            }
        }
    }
}

/// Does the first request, and those that wait already, with one commit; gives one that was met and cannot share it.
fn together(house: &mut House, first: Work, jobs: &Receiver<Job>) -> Option<Job> {
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
    let result = house.open().and_then(|()| {
        house.store.group(&mut |store| {
            for work in works.drain(..) {
                finishes.push(work(Ok(&mut *store)));
            }
        })
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
mod tests;
