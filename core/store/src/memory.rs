//! A store for the life of the process.

use crate::model::text_of;
use crate::words::{has, wanted, words};
use crate::{
    Conversation, Entry, Incoming, Kind, Limits, MAX_PAGE, Message, Opened, Outgoing, Owner, Peer, Pending,
    Put, REMEMBER_FOR, Receipt, ReceiptKind, Sequence, State, Stopper, Store, StoreError, Stored, peer_of,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Most keys that are remembered; beyond it the oldest go, however young.
const MAX_KEYS: usize = 100_000;
/// Most messages that are kept in conversations; beyond it the oldest go.
const MAX_MESSAGES: usize = 100_000;
/// Unread messages are counted up to here.
const MAX_UNREAD: usize = 1000;
/// Most messages that one call deletes by itself.
const AT_ONCE: usize = 500;

/// Keeps everything in memory, within limits. It does what [`crate::SqliteStore`] does, except that nobody else can share
/// it.
#[derive(Debug, Default)]
pub struct MemoryStore {
    limits: Limits,
    rows: BTreeMap<Sequence, Row>,
    last: u64,
    by_id: BTreeMap<String, Sequence>,
    /// Received and not acknowledged.
    waiting: BTreeSet<Sequence>,
    /// Received, with a receipt that is owed.
    owing: BTreeSet<Sequence>,
    /// To be sent, or under way.
    pending: BTreeMap<Sequence, Option<Owner>>,
    keys: BTreeMap<String, i64>,
    /// When each key came, oldest first.
    ages: VecDeque<(i64, String)>,
    read_to: BTreeMap<String, Sequence>,
    peers: BTreeMap<String, Peer>,
    suspended: bool,
}

#[derive(Debug)]
struct Row {
    peer: String,
    message: Message,
    duties: Vec<ReceiptKind>,
}

impl Row {
    fn is_receipt(&self) -> bool {
        matches!(&self.message, Message::Outgoing { message, .. } if message.kind == Kind::Receipt)
    }

    fn at(&self) -> i64 {
        match &self.message {
            Message::Incoming(message) => message.received_at,
            Message::Outgoing { message, .. } => message.created_at,
        }
    }
}

impl MemoryStore {
    /// An empty store with these limits. `size` has no meaning here.
    pub fn new(limits: Limits) -> Self {
        MemoryStore { limits, ..Self::default() }
    }

    fn awake(&self) -> Result<(), StoreError> {
        if self.suspended { Err(StoreError::Suspended) } else { Ok(()) }
    }

    fn forget(&mut self, now: i64) {
        while let Some((at, _)) = self.ages.front()
            && (self.ages.len() > MAX_KEYS || now.saturating_sub(*at) > REMEMBER_FOR)
        {
            if let Some((at, key)) = self.ages.pop_front()
                && self.keys.get(&key) == Some(&at)
            {
                self.keys.remove(&key);
            }
        }
    }

    fn add(&mut self, peer: String, message: Message) -> Sequence {
        self.last += 1;
        let sequence = Sequence(self.last);
        self.rows.insert(sequence, Row { peer, message, duties: Vec::new() });
        let oldest = if self.rows.len() > MAX_MESSAGES { self.done().next() } else { None };
        if let Some(oldest) = oldest {
            self.remove(oldest);
        }
        sequence
    }

    /// Messages that nothing more is expected of, oldest first.
    fn done(&self) -> impl Iterator<Item = Sequence> {
        self.rows
            .keys()
            .filter(|sequence| !self.waiting.contains(sequence) && !self.pending.contains_key(sequence))
            .copied()
    }

    fn remove(&mut self, sequence: Sequence) -> bool {
        let Some(row) = self.rows.remove(&sequence) else { return false };
        self.waiting.remove(&sequence);
        self.owing.remove(&sequence);
        self.pending.remove(&sequence);
        if let Message::Outgoing { message, .. } = row.message {
            self.by_id.remove(&message.id);
        }
        true
    }

    fn entry(&self, sequence: Sequence) -> Option<Entry> {
        let row = self.rows.get(&sequence)?;
        let mut message = row.message.clone();
        if let Message::Incoming(message) = &mut message {
            message.key.clear();
        }
        Some(Entry { sequence, peer: row.peer.clone(), message })
    }

    /// Received messages behind `after`.
    fn received<'a>(
        &'a self,
        sequences: impl Iterator<Item = &'a Sequence>,
        after: Sequence,
        limit: usize,
    ) -> Vec<(Sequence, Incoming)> {
        let behind = sequences.filter(|sequence| **sequence > after).take(limit.min(MAX_PAGE));
        behind
            .filter_map(|sequence| match self.entry(*sequence)?.message {
                Message::Incoming(message) => Some((*sequence, message)),
                Message::Outgoing { .. } => None,
            })
            .collect()
    }

    /// Messages of conversations before this one, newest first.
    fn back(&self, before: Option<Sequence>) -> impl Iterator<Item = (Sequence, &Row)> {
        let end = before.unwrap_or(Sequence(u64::MAX));
        self.rows
            .range(..end)
            .rev()
            .filter(|(_, row)| !row.is_receipt())
            .map(|(sequence, row)| (*sequence, row))
    }

    fn entries<'a>(
        &'a self,
        before: Option<Sequence>,
        limit: usize,
        wanted: impl Fn(&Row) -> bool + 'a,
    ) -> Vec<Entry> {
        self.back(before)
            .filter(|(_, row)| wanted(row))
            .take(limit.min(MAX_PAGE))
            .filter_map(|(sequence, _)| self.entry(sequence))
            .collect()
    }

    /// Whether another owner works for this peer.
    fn is_taken(&self, peer: &str, owner: Owner) -> bool {
        self.pending.iter().any(|(sequence, holder)| {
            holder.is_some_and(|holder| holder != owner)
                && self.rows.get(sequence).is_some_and(|row| row.peer == peer)
        })
    }
}

impl Store for MemoryStore {
    fn group(&mut self, work: &mut dyn FnMut(&mut dyn Store)) -> Result<(), StoreError> {
        self.awake()?;
        work(self);
        Ok(())
    }

    fn put_incoming(&mut self, message: &Incoming) -> Result<Stored, StoreError> {
        self.awake()?;
        self.forget(message.received_at);
        if self.keys.contains_key(&message.key) {
            return Ok(Stored::Repeated);
        }
        if self.waiting.len() >= self.limits.inbox {
            return Err(StoreError::Full(self.waiting.len()));
        }
        self.keys.insert(message.key.clone(), message.received_at);
        self.ages.push_back((message.received_at, message.key.clone()));
        let sequence = self.add(peer_of(&message.from), Message::Incoming(message.clone()));
        self.waiting.insert(sequence);
        if message.owes_receipt {
            self.owing.insert(sequence);
        }
        Ok(Stored::New(sequence))
    }

    fn waiting(&mut self, after: Sequence, limit: usize) -> Result<Vec<(Sequence, Incoming)>, StoreError> {
        self.awake()?;
        Ok(self.received(self.waiting.range(after..), after, limit))
    }

    fn acknowledge(&mut self, sequences: &[Sequence]) -> Result<(), StoreError> {
        self.awake()?;
        for sequence in sequences {
            self.waiting.remove(sequence);
        }
        Ok(())
    }

    fn put_owed(
        &mut self,
        sequence: Sequence,
        kind: ReceiptKind,
        receipt: &Outgoing,
        owner: Owner,
        leaves: bool,
    ) -> Result<Option<Put>, StoreError> {
        self.awake()?;
        let Some(row) = self.rows.get(&sequence) else { return Ok(None) };
        let Message::Incoming(message) = &row.message else { return Ok(None) };
        let wanted = message.wants.as_ref().is_some_and(|wants| match kind {
            ReceiptKind::Delivered => wants.delivered,
            ReceiptKind::Displayed => wants.displayed,
            ReceiptKind::Failed => wants.failed,
        });
        if !wanted || row.duties.contains(&kind) {
            return Ok(None);
        }
        let put = self.put_outgoing(receipt, owner, leaves)?;
        if let Some(Row { message: Message::Incoming(message), duties, .. }) = self.rows.get_mut(&sequence) {
            duties.push(kind);
            if kind == ReceiptKind::Delivered {
                message.owes_receipt = false;
                self.owing.remove(&sequence);
            }
        }
        Ok(Some(put))
    }

    fn receipts_owed(
        &mut self,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<(Sequence, Incoming)>, StoreError> {
        self.awake()?;
        Ok(self.received(self.owing.range(after..), after, limit))
    }

    fn put_outgoing(&mut self, message: &Outgoing, owner: Owner, leaves: bool) -> Result<Put, StoreError> {
        self.awake()?;
        if self.pending.len() >= self.limits.outbox {
            return Err(StoreError::Full(self.pending.len()));
        }
        if let Some(sequence) = self.by_id.get(&message.id) {
            let ours = self.pending.get(sequence) == Some(&Some(owner));
            return Ok(if ours { Put::Ours(*sequence) } else { Put::Waits(*sequence) });
        }
        let peer = peer_of(&message.to);
        let ours = !self.is_taken(&peer, owner);
        let state = if ours && leaves { State::Sending } else { State::Queued };
        let id = message.id.clone();
        let kept =
            Message::Outgoing { message: message.clone(), state, delivered_at: None, displayed_at: None };
        let sequence = self.add(peer, kept);
        self.by_id.insert(id, sequence);
        self.pending.insert(sequence, ours.then_some(owner));
        Ok(if ours { Put::Ours(sequence) } else { Put::Waits(sequence) })
    }

    fn claim(&mut self, owner: Owner, limit: usize) -> Result<Vec<Pending>, StoreError> {
        self.awake()?;
        let free: Vec<Sequence> = self
            .pending
            .iter()
            .filter(|(sequence, holder)| {
                holder.is_none()
                    && self.rows.get(sequence).is_some_and(|row| !self.is_taken(&row.peer, owner))
            })
            .map(|(sequence, _)| *sequence)
            .take(limit.min(MAX_PAGE))
            .collect();
        for sequence in &free {
            self.pending.insert(*sequence, Some(owner));
        }
        Ok(free
            .into_iter()
            .filter_map(|sequence| match self.entry(sequence)?.message {
                Message::Outgoing { message, state, .. } => Some(Pending { sequence, message, state }),
                Message::Incoming(_) => None,
            })
            .collect())
    }

    fn release(&mut self, owner: Owner) -> Result<(), StoreError> {
        self.awake()?;
        for holder in self.pending.values_mut().filter(|holder| **holder == Some(owner)) {
            *holder = None;
        }
        Ok(())
    }

    fn set_state(&mut self, id: &str, owner: Owner, state: &State) -> Result<bool, StoreError> {
        self.awake()?;
        let Some(sequence) = self.by_id.get(id).copied() else { return Ok(false) };
        let theirs = match self.pending.get(&sequence) {
            Some(Some(holder)) => *holder != owner,
            Some(None) => self.rows.get(&sequence).is_some_and(|row| self.is_taken(&row.peer, owner)),
            // It has ended.
            None => *state == State::Sending,
        };
        if theirs {
            return Ok(false);
        }
        let Some(row) = self.rows.get_mut(&sequence) else { return Ok(false) };
        let Message::Outgoing { state: known, message, .. } = &mut row.message else { return Ok(false) };
        *known = state.clone();
        if state.is_pending() {
            self.pending.insert(sequence, Some(owner));
        } else {
            self.pending.remove(&sequence);
            if message.kind == Kind::Receipt {
                self.remove(sequence);
            }
        }
        Ok(true)
    }

    fn outgoing(&mut self, id: &str) -> Result<Option<Entry>, StoreError> {
        self.awake()?;
        Ok(self.by_id.get(id).and_then(|sequence| self.entry(*sequence)))
    }

    fn put_receipt(&mut self, receipt: &Receipt) -> Result<Option<Entry>, StoreError> {
        self.awake()?;
        let Some(sequence) = self.by_id.get(&receipt.message_id).copied() else { return Ok(None) };
        let Some(row) = self.rows.get_mut(&sequence) else { return Ok(None) };
        let Message::Outgoing { message, state, delivered_at, displayed_at } = &mut row.message else {
            return Ok(None);
        };
        if message.kind == Kind::Receipt || peer_of(&receipt.from) != row.peer || displayed_at.is_some() {
            return Ok(None);
        }
        match receipt.kind {
            ReceiptKind::Displayed => *displayed_at = Some(receipt.at),
            _ if delivered_at.is_some() => return Ok(None),
            ReceiptKind::Delivered => *delivered_at = Some(receipt.at),
            ReceiptKind::Failed if state.is_pending() => {}
            ReceiptKind::Failed => {
                let status = match state {
                    State::Accepted { status } => Some(*status),
                    State::Failed { status, .. } | State::Unknown { status, .. } => *status,
                    State::Queued | State::Sending => None,
                };
                *state = State::Failed { status, why: "the recipient's side could not deliver it".into() };
            }
        }
        Ok(self.entry(sequence))
    }

    fn conversations(
        &mut self,
        before: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Conversation>, StoreError> {
        self.awake()?;
        // From the newest message back: the first that is seen of a peer is the last one.
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let end = before.unwrap_or(Sequence(u64::MAX));
        Ok(self
            .back(None)
            .filter(|(_, row)| seen.insert(&row.peer))
            .map(|(last, row)| (row.peer.as_str(), last))
            .filter(|(_, last)| *last < end)
            .take(limit.min(MAX_PAGE))
            .map(|(peer, last)| {
                let read_to = self.read_to.get(peer).copied().unwrap_or_default();
                let unread = self
                    .rows
                    .range(Sequence(read_to.0.saturating_add(1))..)
                    .filter(|(_, row)| row.peer == peer && matches!(row.message, Message::Incoming(_)))
                    .take(MAX_UNREAD)
                    .count();
                Conversation { peer: peer.into(), last, unread: u32::try_from(unread).unwrap_or(u32::MAX) }
            })
            .collect())
    }

    fn history(
        &mut self,
        peer: &str,
        before: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.awake()?;
        Ok(self.entries(before, limit, |row| row.peer == peer))
    }

    fn search(
        &mut self,
        query: &str,
        peer: Option<&str>,
        before: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.awake()?;
        let wanted = wanted(query);
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.entries(before, limit, |row| {
            let (content_type, body) = match &row.message {
                Message::Incoming(message) => (&message.content_type, &message.body),
                Message::Outgoing { message, .. } => (&message.content_type, &message.body),
            };
            peer.is_none_or(|peer| peer == row.peer)
                && text_of(content_type, body).is_some_and(|text| has(&words(&text), &wanted))
        }))
    }

    fn mark_read(&mut self, peer: &str, up_to: Sequence) -> Result<(), StoreError> {
        self.awake()?;
        let read_to = self.read_to.entry(peer.into()).or_default();
        *read_to = up_to.max(*read_to);
        Ok(())
    }

    fn delete_message(&mut self, sequence: Sequence) -> Result<bool, StoreError> {
        self.awake()?;
        Ok(self.remove(sequence))
    }

    fn delete_conversation(&mut self, peer: &str) -> Result<usize, StoreError> {
        self.awake()?;
        let all: Vec<Sequence> = self
            .rows
            .iter()
            .filter(|(sequence, row)| {
                row.peer == peer && !row.is_receipt() && !self.pending.contains_key(sequence)
            })
            .map(|(sequence, _)| *sequence)
            .collect();
        Ok(all.into_iter().filter(|sequence| self.remove(*sequence)).count())
    }

    fn peer(&mut self, address: &str) -> Result<Option<Peer>, StoreError> {
        self.awake()?;
        Ok(self.peers.get(address).cloned())
    }

    fn peers(&mut self, limit: usize) -> Result<Vec<Peer>, StoreError> {
        self.awake()?;
        let limit = limit.min(MAX_PAGE);
        let mut newest: Vec<&Peer> = Vec::new();
        for peer in self.peers.values() {
            let at = newest.partition_point(|other| other.learned_at >= peer.learned_at);
            if at < limit {
                newest.insert(at, peer);
                newest.truncate(limit);
            }
        }
        Ok(newest.into_iter().cloned().collect())
    }

    fn put_peer(&mut self, peer: &Peer) -> Result<(), StoreError> {
        self.awake()?;
        self.peers.insert(peer.address.clone(), peer.clone());
        Ok(())
    }

    fn tidy(&mut self, now: i64) -> Result<usize, StoreError> {
        self.awake()?;
        self.forget(now);
        let Some(keep_for) = self.limits.keep_for else { return Ok(0) };
        let until = now.saturating_sub(keep_for);
        let old: Vec<Sequence> = self
            .done()
            .filter(|sequence| self.rows.get(sequence).is_some_and(|row| row.at() <= until))
            .take(AT_ONCE)
            .collect();
        Ok(old.into_iter().filter(|sequence| self.remove(*sequence)).count())
    }

    fn is_lasting(&self) -> bool {
        false
    }

    fn changed_elsewhere(&mut self) -> Result<bool, StoreError> {
        self.awake()?;
        Ok(false)
    }

    fn suspend(&mut self) -> Result<(), StoreError> {
        self.suspended = true;
        Ok(())
    }

    fn resume(&mut self) -> Result<Opened, StoreError> {
        self.suspended = false;
        Ok(Opened::default())
    }

    fn stopper(&self) -> Stopper {
        Stopper::default()
    }
}
