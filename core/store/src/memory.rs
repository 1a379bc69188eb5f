//! A store for the life of the process.

use crate::{Incoming, REMEMBER_FOR, Sequence, Store, StoreError, Stored};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Most messages that wait to be read.
const MAX_WAITING: usize = 10_000;
/// Most keys that are remembered; beyond it the oldest go, however young.
const MAX_KEYS: usize = 100_000;

/// Keeps everything in memory, within limits.
#[derive(Debug, Default)]
pub struct MemoryStore {
    waiting: BTreeMap<Sequence, Incoming>,
    keys: BTreeSet<String>,
    /// When each key came, oldest first.
    ages: VecDeque<(i64, String)>,
    last: u64,
}

impl MemoryStore {
    fn forget(&mut self, now: i64) {
        while let Some((at, _)) = self.ages.front()
            && (self.ages.len() > MAX_KEYS || now.saturating_sub(*at) > REMEMBER_FOR)
        {
            if let Some((_, key)) = self.ages.pop_front() {
                self.keys.remove(&key);
            }
        }
    }
}

impl Store for MemoryStore {
    fn put_incoming(&mut self, message: Incoming) -> Result<Stored, StoreError> {
        self.forget(message.received_at);
        if self.keys.contains(&message.key) {
            return Ok(Stored::Repeated);
        }
        if self.waiting.len() >= MAX_WAITING {
            return Err(StoreError::Full(self.waiting.len()));
        }
        self.keys.insert(message.key.clone());
        self.ages.push_back((message.received_at, message.key.clone()));
        self.last += 1;
        let sequence = Sequence(self.last);
        self.waiting.insert(sequence, message);
        Ok(Stored::New(sequence))
    }

    fn incoming(&self) -> Result<Vec<(Sequence, Incoming)>, StoreError> {
        Ok(self.waiting.iter().map(|(sequence, message)| (*sequence, message.clone())).collect())
    }

    fn acknowledge(&mut self, sequence: Sequence) -> Result<(), StoreError> {
        self.waiting.remove(&sequence);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(key: &str, received_at: i64) -> Incoming {
        Incoming {
            key: key.into(),
            id: "1".into(),
            from: "sip:a@b.test".into(),
            display_name: None,
            to: "sip:b@b.test".into(),
            content_type: "text/plain".into(),
            body: vec![1],
            sent_at: None,
            received_at,
        }
    }

    #[test]
    fn a_message_waits_until_it_is_acknowledged() {
        let mut store = MemoryStore::default();
        let Ok(Stored::New(first)) = store.put_incoming(message("a", 0)) else { panic!("not stored") };
        store.put_incoming(message("b", 1)).unwrap();
        store.acknowledge(first).unwrap();
        let keys: Vec<String> = store.incoming().unwrap().into_iter().map(|(_, m)| m.key).collect();
        assert_eq!(keys, ["b"]);
    }

    #[test]
    fn a_key_is_known_for_seven_days_even_when_acknowledged_msg_16() {
        let mut store = MemoryStore::default();
        let Ok(Stored::New(sequence)) = store.put_incoming(message("a", 0)) else { panic!("not stored") };
        store.acknowledge(sequence).unwrap();
        assert_eq!(store.put_incoming(message("a", REMEMBER_FOR)), Ok(Stored::Repeated));
        assert!(matches!(store.put_incoming(message("a", REMEMBER_FOR + 1)), Ok(Stored::New(_))));
    }

    #[test]
    fn a_full_store_refuses_and_keeps_what_it_has() {
        let mut store = MemoryStore::default();
        for n in 0..MAX_WAITING {
            store.put_incoming(message(&n.to_string(), 0)).unwrap();
        }
        assert_eq!(store.put_incoming(message("more", 0)), Err(StoreError::Full(MAX_WAITING)));
        // What was refused was not seen: its repetition is welcome later.
        store.acknowledge(Sequence(1)).unwrap();
        assert!(matches!(store.put_incoming(message("more", 0)), Ok(Stored::New(_))));
    }
}
