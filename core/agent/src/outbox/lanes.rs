//! Who may leave next: the first message to each recipient, in the order in which they were taken over.

use crate::event::MessageId;
use std::collections::BTreeMap;

/// The messages to each recipient.
#[derive(Default)]
pub(super) struct Lanes {
    /// By recipient and order; the first of each is under way or ready.
    waiting: BTreeMap<String, BTreeMap<u64, MessageId>>,
    /// The first of their lanes that have not left.
    ready: BTreeMap<u64, MessageId>,
}

impl Lanes {
    pub fn add(&mut self, lane: &str, order: u64, id: MessageId) {
        match self.waiting.get_mut(lane) {
            Some(waiting) => {
                waiting.insert(order, id);
            }
            None => {
                self.waiting.entry(lane.to_owned()).or_default().insert(order, id);
                self.ready.insert(order, id);
            }
        }
    }

    pub fn is_busy(&self, lane: &str) -> bool {
        self.waiting.contains_key(lane)
    }

    /// Whether a message is among the first so many of its lane.
    pub fn is_among(&self, first: usize, lane: &str, order: u64) -> bool {
        self.waiting.get(lane).is_some_and(|waiting| waiting.keys().take(first).any(|other| *other == order))
    }

    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub fn next_ready(&mut self) -> Option<MessageId> {
        self.ready.pop_first().map(|(_, id)| id)
    }

    /// A message that had left is ready once more; it is the first of its lane still.
    pub fn again(&mut self, order: u64, id: MessageId) {
        self.ready.insert(order, id);
    }

    /// Forgets a message; if it was the first of its lane the next one is ready.
    pub fn remove(&mut self, lane: &str, order: u64) {
        self.ready.remove(&order);
        let Some(waiting) = self.waiting.get_mut(lane) else { return };
        let was_first = waiting.first_key_value().is_some_and(|(first, _)| *first == order);
        waiting.remove(&order);
        match waiting.first_key_value() {
            None => drop(self.waiting.remove(lane)),
            Some((order, id)) if was_first => drop(self.ready.insert(*order, *id)),
            Some(_) => {}
        }
    }
}
