//! Events between the driver and the app.

use crate::event::Event;
use aldis_store::Sequence;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Events that wait for an app that does not ask. Beyond this the oldest that only tells of a state goes, or if there is none
/// the oldest notification, and further messages wait in the store.
const MAX_EVENTS: usize = 4096;
/// With fewer than so many, more messages are read from the store.
const LOW: usize = 1024;

/// A queue with many readers; each event goes to one of them.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    events: VecDeque<Event>,
    closed: bool,
    /// Messages that were given to the app, and not acknowledged since.
    given: Vec<Sequence>,
    /// The store holds messages that are not here.
    behind: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while the lock was held leaves a queue that is whole: every change is one call.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether another message fits.
    pub fn has_room(&self) -> bool {
        self.lock().events.len() < MAX_EVENTS
    }

    /// Whether there is room for a page of messages.
    pub fn is_low(&self) -> bool {
        self.lock().events.len() < LOW
    }

    /// Whether the store holds messages that are not here.
    pub fn set_behind(&self, behind: bool) {
        self.lock().behind = behind;
    }

    /// Whether the store should be asked for more.
    pub fn wants_more(&self) -> bool {
        let inner = self.lock();
        inner.behind && inner.events.len() < LOW
    }

    /// The messages that were given so far; they are not named again.
    pub fn take_given(&self) -> Vec<Sequence> {
        std::mem::take(&mut self.lock().given)
    }

    /// Adds an event.
    pub fn push(&self, event: Event) {
        let mut inner = self.lock();
        if inner.events.len() >= MAX_EVENTS
            && let Some(stale) = inner
                .events
                .iter()
                .position(is_state)
                .or_else(|| inner.events.iter().position(is_notification))
            && let Some(Event::Notify { package, .. }) = inner.events.remove(stale)
        {
            tracing::warn!(package, "a notification that nobody read is forgotten");
        }
        inner.events.push_back(event);
        drop(inner);
        self.changed.notify_one();
    }

    /// No more will come.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_waiters();
        self.changed.notify_one();
    }

    /// The next event; `None` once the queue is closed and empty. Dropping the future loses nothing.
    pub async fn next(&self) -> Option<Event> {
        loop {
            let changed = self.changed.notified();
            {
                let mut inner = self.lock();
                if let Some(event) = inner.events.pop_front() {
                    if let Event::Message(message) = &event {
                        inner.given.push(message.sequence);
                    }
                    if !inner.events.is_empty() {
                        // Another reader may wait, and one notification stands for several events.
                        self.changed.notify_one();
                    }
                    return Some(event);
                }
                if inner.closed {
                    self.changed.notify_one();
                    return None;
                }
            }
            changed.await;
        }
    }
}

/// Whether an event tells of a state that a later one replaces.
fn is_state(event: &Event) -> bool {
    match event {
        Event::Connection { .. }
        | Event::Registration { .. }
        | Event::Untrusted { .. }
        | Event::Composing { .. } => true,
        Event::Outgoing { state, .. } => !state.is_final(),
        Event::Push { .. } | Event::Subscription { .. } | Event::MessagesWaiting(_) => true,
        Event::Message(_) | Event::Storage(_) | Event::Notify { .. } | Event::TokenNeeded { .. } => false,
    }
}

fn is_notification(event: &Event) -> bool {
    matches!(event, Event::Notify { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ConnectionState;
    use std::sync::Arc;

    fn notify() -> Event {
        Event::Notify { package: "check-sync".into(), content_type: None, body: bytes::Bytes::new() }
    }

    #[tokio::test]
    async fn every_event_comes_once_and_the_end_comes_to_everyone() {
        let queue = Arc::new(Queue::default());
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let queue = queue.clone();
                tokio::spawn(async move {
                    let mut count = 0;
                    while queue.next().await.is_some() {
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        for _ in 0..1000 {
            queue.push(notify());
            tokio::task::yield_now().await;
        }
        queue.close();
        let mut sum = 0;
        for reader in readers {
            sum += reader.await.unwrap();
        }
        assert_eq!(sum, 1000);
    }

    fn needed(realm: usize) -> Event {
        let (realm, authorization_server) = (realm.to_string(), String::new());
        Event::TokenNeeded { realm, authorization_server, scope: None, refused: false }
    }

    #[tokio::test]
    async fn a_full_queue_gives_up_states_then_notifications_and_nothing_else() {
        let queue = Queue::default();
        for realm in 0..MAX_EVENTS - 2 {
            queue.push(needed(realm));
        }
        queue.push(notify());
        queue.push(Event::Connection { reg_id: 1, state: ConnectionState::Connecting });
        assert!(!queue.has_room());
        // The state goes for the first, the notification for the second, and nothing for the third.
        for realm in MAX_EVENTS - 2..MAX_EVENTS + 1 {
            queue.push(needed(realm));
        }
        queue.close();
        let mut count = 0;
        while let Some(event) = queue.next().await {
            assert!(matches!(event, Event::TokenNeeded { realm, .. } if realm == count.to_string()));
            count += 1;
        }
        assert_eq!(count, MAX_EVENTS + 1);
    }

    #[tokio::test]
    async fn notifications_that_nobody_reads_do_not_grow_without_end() {
        let queue = Queue::default();
        for _ in 0..2 * MAX_EVENTS {
            queue.push(notify());
        }
        assert_eq!(queue.lock().events.len(), MAX_EVENTS);
    }
}
