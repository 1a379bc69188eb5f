//! A queue whose items stay until they are acknowledged.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Items in order, numbered from 1. An item leaves when a reader asks for what comes after it; a reader that is
/// cancelled before it knew of an item leaves it for the next one.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    inner: Mutex<Inner<T>>,
    limit: usize,
    changed: Notify,
    room: Notify,
}

#[derive(Debug)]
struct Inner<T> {
    items: VecDeque<(u64, T)>,
    last: u64,
    closed: bool,
}

impl<T: Clone> Mailbox<T> {
    /// An empty mailbox for `limit` items.
    pub fn new(limit: usize) -> Self {
        let inner = Inner { items: VecDeque::new(), last: 0, closed: false };
        Mailbox { inner: Mutex::new(inner), limit, changed: Notify::new(), room: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        // Every change is whole before anything can panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an item. If the mailbox is full, the oldest that `may_go` says yes to goes for it.
    pub fn push(&self, item: T, may_go: impl Fn(&T) -> bool) {
        let mut inner = self.lock();
        if inner.closed {
            return;
        }
        if inner.items.len() >= self.limit
            && let Some(oldest) = inner.items.iter().position(|(_, item)| may_go(item))
        {
            inner.items.remove(oldest);
        }
        inner.last += 1;
        let sequence = inner.last;
        inner.items.push_back((sequence, item));
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Returns when there is room, or nobody needs any. For one waiter.
    pub async fn has_room(&self) {
        loop {
            {
                let inner = self.lock();
                if inner.closed || inner.items.len() < self.limit {
                    return;
                }
            }
            self.room.notified().await;
        }
    }

    /// No more will come; what is there can still be read.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_waiters();
        self.room.notify_one();
    }

    /// The items up to that number, which are still there.
    pub fn up_to(&self, after: u64) -> Vec<T> {
        let inner = self.lock();
        inner
            .items
            .iter()
            .take_while(|(sequence, _)| *sequence <= after)
            .map(|(_, item)| item.clone())
            .collect()
    }

    /// Acknowledges everything up to `after` and gives the first item behind it; `None` once the mailbox is closed and
    /// has no more. Dropping the future loses nothing.
    pub async fn next(&self, after: u64) -> Option<(u64, T)> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            if let Some(answer) = self.look(after) {
                return answer;
            }
            changed.await;
        }
    }

    /// The answer, if it is known: an item, or that there will be none.
    fn look(&self, after: u64) -> Option<Option<(u64, T)>> {
        let mut inner = self.lock();
        let before = inner.items.len();
        while inner.items.front().is_some_and(|(sequence, _)| *sequence <= after) {
            inner.items.pop_front();
        }
        if inner.items.len() < before {
            self.room.notify_one();
        }
        match inner.items.front() {
            Some(item) => Some(Some(item.clone())),
            None => inner.closed.then_some(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StopSignal;
    use crate::stop::unless_stopped;
    use std::sync::Arc;
    use std::time::Duration;

    const NEVER: fn(&u64) -> bool = |_| false;

    /// Reads until it is cancelled; what it has seen it keeps in `seen`, whose length is the last number acknowledged.
    async fn read(mailbox: &Mailbox<u64>, seen: &Mutex<Vec<u64>>) {
        loop {
            let after = seen.lock().unwrap().len() as u64;
            match mailbox.next(after).await {
                Some((sequence, item)) => {
                    assert_eq!(sequence, item);
                    seen.lock().unwrap().push(item);
                }
                None => return,
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn ten_thousand_items_under_cancelled_readers_come_once_each_in_order() {
        let mailbox = Arc::new(Mailbox::new(usize::MAX));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let writer = tokio::spawn({
            let mailbox = mailbox.clone();
            async move {
                for item in 1..=10_000 {
                    mailbox.push(item, NEVER);
                    if item % 16 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
            }
        });
        let mut cancelled = 0;
        while !writer.is_finished() {
            let reader = tokio::spawn({
                let (mailbox, seen) = (mailbox.clone(), seen.clone());
                async move { read(&mailbox, &seen).await }
            });
            tokio::time::sleep(Duration::from_micros(100)).await;
            reader.abort();
            if reader.await.is_err_and(|error| error.is_cancelled()) {
                cancelled += 1;
            }
        }
        assert!(cancelled > 0);
        mailbox.close();
        read(&mailbox, &seen).await;
        assert!(seen.lock().unwrap().iter().copied().eq(1..=10_000));
    }

    #[tokio::test]
    async fn a_stopped_reader_leaves_the_item_to_the_next() {
        let mailbox = Mailbox::new(8);
        let signal = StopSignal::new();
        signal.stop();
        mailbox.push(1, NEVER);
        assert_eq!(unless_stopped(Some(&signal), mailbox.next(0)).await, None);
        assert_eq!(mailbox.next(0).await, Some((1, 1)));
        assert_eq!(mailbox.next(0).await, Some((1, 1)), "not acknowledged yet");
    }

    #[tokio::test]
    async fn a_signal_ends_a_reader_that_waits() {
        let mailbox = Mailbox::<u64>::new(8);
        let signal = StopSignal::new();
        let (answer, ()) =
            tokio::join!(unless_stopped(Some(&signal), mailbox.next(0)), async { signal.stop() });
        assert_eq!(answer, None);
    }

    #[tokio::test]
    async fn a_full_mailbox_lets_go_of_the_oldest_that_may_go() {
        let mailbox = Mailbox::new(3);
        for item in [1, 2, 4, 6, 7] {
            mailbox.push(item, |item| item % 2 == 0);
        }
        mailbox.close();
        let (mut after, mut left) = (0, Vec::new());
        while let Some((sequence, item)) = mailbox.next(after).await {
            after = sequence;
            left.push(item);
        }
        assert_eq!(left, [1, 6, 7]);
    }

    #[tokio::test]
    async fn room_comes_with_an_acknowledgement_and_with_closing() {
        let mailbox = Mailbox::new(1);
        mailbox.push(1, NEVER);
        let read = async {
            assert_eq!(mailbox.next(0).await, Some((1, 1)));
            assert_eq!(unless_stopped(None, async { mailbox.look(1) }).await, Some(None));
        };
        tokio::join!(mailbox.has_room(), read);
        mailbox.push(2, NEVER);
        tokio::join!(mailbox.has_room(), async { mailbox.close() });
        assert_eq!(mailbox.next(1).await, Some((2, 2)));
        assert_eq!(mailbox.next(2).await, None);
    }
}
