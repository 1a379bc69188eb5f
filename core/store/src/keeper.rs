//! A store with a thread of its own.

use crate::{Store, StoreError};
use std::io;
use std::sync::mpsc::{Receiver, SendError, Sender, channel};
use std::thread;

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

/// Gives a store a thread of its own. Requests are done in the order in which they are made; what came while the disk was
/// busy shares the next commit, so that many messages cost one sync. Dropping it lets the thread end when it has done all
/// that was asked for.
#[derive(Clone, Debug)]
pub struct Keeper {
    jobs: Sender<Job>,
}

impl Keeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system starts no thread.
    pub fn start(store: Box<dyn Store>) -> io::Result<Self> {
        let (jobs, receiver) = channel();
        thread::Builder::new().name("aldis-store".into()).spawn(move || keep(store, &receiver))?;
        Ok(Keeper { jobs })
    }

    /// Has work done; `done` is called on the store's thread when it is durable, or failed. It must not block.
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
        if let Err(SendError(job)) = self.jobs.send(job) {
            refuse(job);
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
    use crate::{Incoming, MemoryStore, Sequence, Stored};

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
        }
    }

    #[test]
    fn requests_are_done_in_order_and_all_before_the_end() {
        let keeper = Keeper::start(Box::new(MemoryStore::default())).unwrap();
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
        let keeper = Keeper::start(Box::new(MemoryStore::default())).unwrap();
        let (ended, end) = channel();
        keeper.close(move || ended.send(()).unwrap());
        end.recv().unwrap();
        let (answers, answered) = channel();
        keeper.ask(|store| store.peers(1), move |result| answers.send(result).unwrap());
        assert_eq!(answered.recv().unwrap(), Err(StoreError::Suspended));
    }
}
