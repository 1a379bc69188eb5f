//! What need not be asked again: as long as nothing was undone, it is as the file has it.

use super::Owner;
use crate::StoreError;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

/// Most peers whose numbers are remembered; then it begins anew.
const MAX_PEERS: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Known {
    pub waiting: Count,
    pub pending: Count,
    /// Numbers of peers, by their addresses; a peer is never deleted.
    peers: RefCell<BTreeMap<String, i64>>,
    /// Owners that are entered.
    owners: RefCell<BTreeSet<u32>>,
    /// Of an owner whether nobody else is entered: nobody can be while a transaction of ours is open.
    alone: Cell<Option<(u32, bool)>>,
}

impl Known {
    /// A transaction begins: others may have been here.
    pub fn begin(&self) {
        self.alone.set(None);
    }

    /// Something was undone, or the file was closed.
    pub fn forget(&self) {
        self.waiting.forget();
        self.pending.forget();
        self.peers.borrow_mut().clear();
        self.owners.borrow_mut().clear();
        self.alone.set(None);
    }

    /// The number of a peer, remembered or found.
    pub fn peer(
        &self,
        address: &str,
        find: impl FnOnce() -> Result<i64, StoreError>,
    ) -> Result<i64, StoreError> {
        if let Some(id) = self.peers.borrow().get(address) {
            return Ok(*id);
        }
        let id = find()?;
        let mut peers = self.peers.borrow_mut();
        if peers.len() >= MAX_PEERS {
            peers.clear();
        }
        peers.insert(address.to_owned(), id);
        Ok(id)
    }

    /// Has an owner entered, unless it is.
    pub fn owner(
        &self,
        owner: Owner,
        enter: impl FnOnce() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if self.owners.borrow().contains(&owner.0) {
            return Ok(());
        }
        enter()?;
        self.alone.set(None);
        self.owners.borrow_mut().insert(owner.0);
        Ok(())
    }

    /// An owner is entered no more.
    pub fn released(&self, owner: Owner) {
        self.owners.borrow_mut().remove(&owner.0);
    }

    /// Whether nobody but this owner is entered, in this transaction.
    pub fn alone(
        &self,
        owner: Owner,
        look: impl FnOnce() -> Result<bool, StoreError>,
    ) -> Result<bool, StoreError> {
        match self.alone.get() {
            Some((whose, alone)) if whose == owner.0 => Ok(alone),
            _ => {
                let alone = look()?;
                self.alone.set(Some((owner.0, alone)));
                Ok(alone)
            }
        }
    }
}

/// How many there are: counted now and then, and kept up to date between.
#[derive(Debug, Default)]
pub(super) struct Count {
    value: Cell<Option<usize>>,
    age: Cell<u32>,
}

/// After so many changes it is counted anew: other processes change it too.
const COUNT_AGAIN: u32 = 1000;

impl Count {
    /// Counts one more, if there are not as many as the limit says.
    pub fn add(&self, limit: usize, count: impl Fn() -> Result<usize, StoreError>) -> Result<(), StoreError> {
        let known = match self.value.get().filter(|value| *value < limit && self.age.get() < COUNT_AGAIN) {
            Some(value) => value,
            None => {
                self.age.set(0);
                count()?
            }
        };
        self.value.set(Some(known));
        if known >= limit {
            return Err(StoreError::Full(known));
        }
        self.age.set(self.age.get() + 1);
        self.value.set(Some(known + 1));
        Ok(())
    }

    pub fn remove(&self, count: usize) {
        self.value.set(self.value.get().map(|value| value.saturating_sub(count)));
    }

    fn forget(&self) {
        self.value.set(None);
    }
}
