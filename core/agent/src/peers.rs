//! What is learned of recipients from how they answer, so that the next message is right at once.

use std::collections::{BTreeMap, BTreeSet};

/// Most recipients of whom something is remembered; beyond it one of them is forgotten.
const MAX_PEERS: usize = 4096;
/// A limit learned from a 413 is never taken below what every hop must carry (RFC 3428 §8), in bytes.
const LEAST_LIMIT: usize = 1300;

/// What is known of one recipient. The agent tells it when it changes ([`crate::Event::PeerLearned`]) and takes it back at
/// the next start ([`crate::Agent::remember_peer`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerFacts {
    /// The largest request that its server may take, in bytes: a larger one was refused with 413 or 513.
    pub max_request: Option<usize>,
    /// A message/cpim or a receipt came from it: it reads message/cpim.
    pub reads_cpim: bool,
    /// It answered 415 to message/cpim (Asterisk does, I-01): it gets what is inside, and is not asked for receipts.
    pub refuses_cpim: bool,
    /// It answered 415 to a status of typing: it gets no more of them (COMP-02).
    pub refuses_composing: bool,
}

/// All recipients of whom something is known, by address of record.
#[derive(Default)]
pub(crate) struct Peers {
    known: BTreeMap<String, PeerFacts>,
    /// Whose facts have changed since they were told.
    news: BTreeSet<String>,
}

impl Peers {
    pub fn get(&self, peer: &str) -> PeerFacts {
        self.known.get(peer).copied().unwrap_or_default()
    }

    /// Takes what was known before.
    pub fn remember(&mut self, peer: &str, facts: PeerFacts) {
        if self.known.len() >= MAX_PEERS && !self.known.contains_key(peer) {
            self.known.pop_first();
        }
        self.known.insert(peer.to_owned(), facts);
    }

    /// A change that is to be told.
    pub fn learn(&mut self, peer: &str, change: impl FnOnce(&mut PeerFacts)) {
        let mut facts = self.get(peer);
        change(&mut facts);
        if facts != self.get(peer) {
            self.remember(peer, facts);
            self.news.insert(peer.to_owned());
        }
    }

    /// A request of that size was refused: what is larger will be refused before it is sent (MSG-04).
    pub fn learn_limit(&mut self, peer: &str, size: usize) {
        let limit = size.saturating_sub(1).max(LEAST_LIMIT);
        self.learn(peer, |facts| {
            facts.max_request = Some(facts.max_request.map_or(limit, |known| known.min(limit)))
        });
    }

    /// What has changed and was not told.
    pub fn next_news(&mut self) -> Option<(String, PeerFacts)> {
        let peer = self.news.pop_first()?;
        let facts = self.get(&peer);
        Some((peer, facts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_once_and_the_smaller_limit_stays_msg_04() {
        let mut peers = Peers::default();
        peers.learn_limit("sip:b@x.test", 5000);
        peers.learn_limit("sip:b@x.test", 9000);
        let facts = PeerFacts { max_request: Some(4999), ..PeerFacts::default() };
        assert_eq!(peers.next_news(), Some(("sip:b@x.test".into(), facts)));
        assert_eq!(peers.next_news(), None);
        peers.learn_limit("sip:b@x.test", 10);
        assert_eq!(peers.get("sip:b@x.test").max_request, Some(LEAST_LIMIT));
    }

    #[test]
    fn the_number_of_peers_is_limited() {
        let mut peers = Peers::default();
        for n in 0..MAX_PEERS + 10 {
            peers.learn(&format!("sip:{n}@x.test"), |facts| facts.reads_cpim = true);
        }
        assert_eq!(peers.known.len(), MAX_PEERS);
    }
}
