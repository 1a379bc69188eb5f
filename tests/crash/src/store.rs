//! A store that kills its process at a chosen place.

use aldis::store::{
    Conversation, Entry, Incoming, Outgoing, Owner, Peer, Pending, Put, Receipt, ReceiptKind, Sequence,
    State, Store, StoreError, Stored,
};
use rustix::process::{Signal, getpid, kill_process};

/// Counts the places around each commit, and kills its process at one of them.
pub struct Deadly<S> {
    store: S,
    left: Option<u32>,
}

impl<S: Store> Deadly<S> {
    /// Over a store, to die at the `place`th place; at none without.
    pub fn new(store: S, place: Option<u32>) -> Self {
        Deadly { store, left: place }
    }

    fn place(left: &mut Option<u32>) {
        match left {
            Some(0) => {
                kill_process(getpid(), Signal::KILL).unwrap();
                // The signal comes before the next instruction of this thread, or soon.
                loop {
                    std::thread::yield_now();
                }
            }
            Some(left) => *left -= 1,
            None => {}
        }
    }
}

impl<S: Store> Store for Deadly<S> {
    fn group(&mut self, work: &mut dyn FnMut(&mut dyn Store)) -> Result<(), StoreError> {
        Self::place(&mut self.left);
        let left = &mut self.left;
        let result = self.store.group(&mut |store| {
            work(store);
            Self::place(left);
        });
        Self::place(&mut self.left);
        result
    }

    fn put_incoming(&mut self, message: &Incoming) -> Result<Stored, StoreError> {
        self.store.put_incoming(message)
    }

    fn waiting(&mut self, after: Sequence, limit: usize) -> Result<Vec<(Sequence, Incoming)>, StoreError> {
        self.store.waiting(after, limit)
    }

    fn acknowledge(&mut self, sequences: &[Sequence]) -> Result<(), StoreError> {
        self.store.acknowledge(sequences)
    }

    fn take_receipt_duty(&mut self, sequence: Sequence, kind: ReceiptKind) -> Result<bool, StoreError> {
        self.store.take_receipt_duty(sequence, kind)
    }

    fn put_outgoing(&mut self, message: &Outgoing, owner: Owner) -> Result<Put, StoreError> {
        self.store.put_outgoing(message, owner)
    }

    fn claim(&mut self, owner: Owner, limit: usize) -> Result<Vec<Pending>, StoreError> {
        self.store.claim(owner, limit)
    }

    fn release(&mut self, owner: Owner) -> Result<(), StoreError> {
        self.store.release(owner)
    }

    fn set_state(&mut self, id: &str, owner: Owner, state: &State) -> Result<bool, StoreError> {
        self.store.set_state(id, owner, state)
    }

    fn outgoing(&mut self, id: &str) -> Result<Option<Entry>, StoreError> {
        self.store.outgoing(id)
    }

    fn put_receipt(&mut self, receipt: &Receipt) -> Result<Option<Entry>, StoreError> {
        self.store.put_receipt(receipt)
    }

    fn conversations(
        &mut self,
        before: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Conversation>, StoreError> {
        self.store.conversations(before, limit)
    }

    fn history(
        &mut self,
        peer: &str,
        before: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.store.history(peer, before, limit)
    }

    fn search(
        &mut self,
        words: &str,
        peer: Option<&str>,
        before: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.store.search(words, peer, before, limit)
    }

    fn mark_read(&mut self, peer: &str, up_to: Sequence) -> Result<(), StoreError> {
        self.store.mark_read(peer, up_to)
    }

    fn delete_message(&mut self, sequence: Sequence) -> Result<bool, StoreError> {
        self.store.delete_message(sequence)
    }

    fn delete_conversation(&mut self, peer: &str) -> Result<usize, StoreError> {
        self.store.delete_conversation(peer)
    }

    fn peer(&mut self, address: &str) -> Result<Option<Peer>, StoreError> {
        self.store.peer(address)
    }

    fn peers(&mut self, limit: usize) -> Result<Vec<Peer>, StoreError> {
        self.store.peers(limit)
    }

    fn put_peer(&mut self, peer: &Peer) -> Result<(), StoreError> {
        self.store.put_peer(peer)
    }

    fn is_lasting(&self) -> bool {
        self.store.is_lasting()
    }

    fn tidy(&mut self, now: i64) -> Result<usize, StoreError> {
        self.store.tidy(now)
    }

    fn changed_elsewhere(&mut self) -> Result<bool, StoreError> {
        self.store.changed_elsewhere()
    }

    fn suspend(&mut self) -> Result<(), StoreError> {
        self.store.suspend()
    }

    fn resume(&mut self) -> Result<(), StoreError> {
        self.store.resume()
    }
}
