//! A store that kills its process at a chosen place, and does something wrong if it is told to.

use crate::place::{Deed, Fate, Place, Stage};
use crate::sabotage::Sabotage;
use aldis::store::{
    Conversation, Entry, Incoming, Opened, Outgoing, Owner, Peer, Pending, Put, Receipt, ReceiptKind,
    Sequence, State, Stopper, Store, StoreError, Stored,
};

/// Over a store, or over the one that the work of a group is given.
pub struct Deadly<'a> {
    store: Holder<'a>,
    fate: Fate,
    sabotage: Option<Sabotage>,
    /// What was done since the group began.
    done: Vec<Deed>,
    /// Numbers for what is made up.
    made_up: u64,
}

enum Holder<'a> {
    Own(Box<dyn Store + 'a>),
    Lent(&'a mut (dyn Store + 'a)),
}

impl<'a> Holder<'a> {
    fn get(&mut self) -> &mut (dyn Store + 'a) {
        match self {
            Holder::Own(store) => store.as_mut(),
            Holder::Lent(store) => *store,
        }
    }
}

impl<'a> Deadly<'a> {
    /// Over a store.
    pub fn new(store: Box<dyn Store + 'a>, fate: Fate, sabotage: Option<Sabotage>) -> Self {
        Deadly { store: Holder::Own(store), fate, sabotage, done: Vec::new(), made_up: 1 << 40 }
    }

    fn store(&mut self) -> &mut (dyn Store + 'a) {
        self.store.get()
    }

    fn sabotages(&self, sabotage: Sabotage) -> bool {
        self.sabotage == Some(sabotage)
    }

    fn make_up(&mut self) -> u64 {
        self.made_up += 1;
        self.made_up
    }

    /// Does something, and passes the places around it.
    fn deed<T>(&mut self, deed: Deed, work: impl FnOnce(&mut (dyn Store + 'a)) -> T) -> T {
        self.fate.pass(Place::Store(deed, Stage::Begun));
        let result = work(self.store.get());
        self.fate.pass(Place::Store(deed, Stage::Done));
        self.done.push(deed);
        result
    }
}

impl Store for Deadly<'_> {
    fn group(&mut self, work: &mut dyn FnMut(&mut dyn Store)) -> Result<(), StoreError> {
        let (fate, sabotage) = (self.fate.clone(), self.sabotage);
        let (mut done, mut made_up) = (Vec::new(), self.made_up);
        let result = self.store().group(&mut |store| {
            let store = Holder::Lent(store);
            let mut inside = Deadly { store, fate: fate.clone(), sabotage, done: Vec::new(), made_up };
            work(&mut inside);
            (done, made_up) = (std::mem::take(&mut inside.done), inside.made_up);
        });
        self.made_up = made_up;
        for deed in done {
            self.fate.pass(Place::Store(deed, Stage::Committed));
        }
        result
    }

    fn put_incoming(&mut self, message: &Incoming) -> Result<Stored, StoreError> {
        if self.sabotages(Sabotage::AnswersUnstored) {
            return Ok(Stored::New(Sequence(self.make_up())));
        }
        let mut message = message.clone();
        if self.sabotages(Sabotage::ForgetsKeys) {
            message.key = format!("{} {}", std::process::id(), self.make_up());
        }
        self.deed(Deed::Receive, |store| store.put_incoming(&message))
    }

    fn waiting(&mut self, after: Sequence, limit: usize) -> Result<Vec<(Sequence, Incoming)>, StoreError> {
        self.store().waiting(after, limit)
    }

    fn acknowledge(&mut self, sequences: &[Sequence]) -> Result<(), StoreError> {
        self.deed(Deed::Acknowledge, |store| store.acknowledge(sequences))
    }

    fn put_owed(
        &mut self,
        sequence: Sequence,
        kind: ReceiptKind,
        receipt: &Outgoing,
        owner: Owner,
        leaves: bool,
    ) -> Result<Option<Put>, StoreError> {
        self.deed(Deed::Owe, |store| store.put_owed(sequence, kind, receipt, owner, leaves))
    }

    fn receipts_owed(
        &mut self,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<(Sequence, Incoming)>, StoreError> {
        if self.sabotages(Sabotage::OwesNothing) {
            return Ok(Vec::new());
        }
        self.store().receipts_owed(after, limit)
    }

    fn put_outgoing(&mut self, message: &Outgoing, owner: Owner, leaves: bool) -> Result<Put, StoreError> {
        if self.sabotages(Sabotage::TakesUnstored) {
            return Ok(Put::Ours(Sequence(self.make_up())));
        }
        self.deed(Deed::Put, |store| store.put_outgoing(message, owner, leaves))
    }

    fn claim(&mut self, owner: Owner, limit: usize) -> Result<Vec<Pending>, StoreError> {
        let mut found = self.deed(Deed::Claim, |store| store.claim(owner, limit))?;
        if self.sabotages(Sabotage::Renames) {
            for pending in &mut found {
                pending.message.id = format!("{:016x}{:016x}", std::process::id(), self.make_up());
            }
        }
        Ok(found)
    }

    fn release(&mut self, owner: Owner) -> Result<(), StoreError> {
        self.store().release(owner)
    }

    fn set_state(&mut self, id: &str, owner: Owner, state: &State) -> Result<bool, StoreError> {
        let deed = if state.is_pending() { Deed::Leave } else { Deed::End };
        let set = self.deed(deed, |store| store.set_state(id, owner, state))?;
        Ok(set || self.sabotages(Sabotage::TakesUnstored) || self.sabotages(Sabotage::Renames))
    }

    fn outgoing(&mut self, id: &str) -> Result<Option<Entry>, StoreError> {
        self.store().outgoing(id)
    }

    fn put_receipt(&mut self, receipt: &Receipt) -> Result<Option<Entry>, StoreError> {
        self.deed(Deed::Receipt, |store| store.put_receipt(receipt))
    }

    fn conversations(
        &mut self,
        before: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Conversation>, StoreError> {
        self.store().conversations(before, limit)
    }

    fn history(
        &mut self,
        peer: &str,
        before: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.store().history(peer, before, limit)
    }

    fn search(
        &mut self,
        words: &str,
        peer: Option<&str>,
        before: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.store().search(words, peer, before, limit)
    }

    fn mark_read(&mut self, peer: &str, up_to: Sequence) -> Result<(), StoreError> {
        self.store().mark_read(peer, up_to)
    }

    fn delete_message(&mut self, sequence: Sequence) -> Result<bool, StoreError> {
        self.store().delete_message(sequence)
    }

    fn delete_conversation(&mut self, peer: &str) -> Result<usize, StoreError> {
        self.store().delete_conversation(peer)
    }

    fn peer(&mut self, address: &str) -> Result<Option<Peer>, StoreError> {
        self.store().peer(address)
    }

    fn peers(&mut self, limit: usize) -> Result<Vec<Peer>, StoreError> {
        self.store().peers(limit)
    }

    fn put_peer(&mut self, peer: &Peer) -> Result<(), StoreError> {
        self.store().put_peer(peer)
    }

    fn is_lasting(&self) -> bool {
        match &self.store {
            Holder::Own(store) => store.is_lasting(),
            Holder::Lent(store) => store.is_lasting(),
        }
    }

    fn tidy(&mut self, now: i64) -> Result<usize, StoreError> {
        self.store().tidy(now)
    }

    fn changed_elsewhere(&mut self) -> Result<bool, StoreError> {
        self.store().changed_elsewhere()
    }

    fn suspend(&mut self) -> Result<(), StoreError> {
        self.store().suspend()
    }

    fn resume(&mut self) -> Result<Opened, StoreError> {
        self.store().resume()
    }

    fn stopper(&self) -> Stopper {
        match &self.store {
            Holder::Own(store) => store.stopper(),
            Holder::Lent(store) => store.stopper(),
        }
    }
}
