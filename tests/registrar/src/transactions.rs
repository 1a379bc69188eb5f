//! Server transactions: a request that comes again gets the answer that it got (RFC 3261 §17.2.2).

use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// 64*T1: how long a request can be on its way (RFC 3261 §17.1.2.2).
pub(crate) const TIMER_F: Duration = Duration::from_secs(32);
/// How long a request is remembered: until its answer, and as long again.
const MEMORY: Duration = Duration::from_secs(64);
/// Most requests remembered; the oldest are forgotten.
const MAX_TRANSACTIONS: usize = 20_000;

/// What a request is to its server transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// Its beginning.
    New,
    /// A retransmission while the answer is still to come.
    Absorbed,
    /// A retransmission after the answer, which is sent again.
    Repeat(Bytes),
}

#[derive(Debug, Default)]
pub(crate) struct Servers {
    answers: BTreeMap<String, Option<Bytes>>,
    order: VecDeque<(Duration, String)>,
}

impl Servers {
    pub fn begin(&mut self, key: &str, now: Duration) -> Begun {
        while let Some((began, _)) = self.order.front() {
            if now.saturating_sub(*began) < MEMORY && self.order.len() < MAX_TRANSACTIONS {
                break;
            }
            if let Some((_, oldest)) = self.order.pop_front() {
                self.answers.remove(&oldest);
            }
        }
        match self.answers.get(key) {
            Some(Some(answer)) => Begun::Repeat(answer.clone()),
            Some(None) => Begun::Absorbed,
            None => {
                self.answers.insert(key.to_owned(), None);
                self.order.push_back((now, key.to_owned()));
                Begun::New
            }
        }
    }

    pub fn answered(&mut self, key: &str, answer: Bytes) {
        if let Some(kept) = self.answers.get_mut(key) {
            *kept = Some(answer);
        }
    }

    pub fn knows(&self, key: &str) -> bool {
        self.answers.contains_key(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_request_gets_its_answer_again_for_a_while_txn_05() {
        let mut servers = Servers::default();
        let begin = Duration::from_secs(1000);
        assert_eq!(servers.begin("a", begin), Begun::New);
        assert_eq!(servers.begin("a", begin), Begun::Absorbed);
        servers.answered("a", Bytes::from_static(b"200"));
        assert_eq!(servers.begin("a", begin + TIMER_F), Begun::Repeat(Bytes::from_static(b"200")));
        assert_eq!(servers.begin("a", begin + MEMORY), Begun::New);
    }

    #[test]
    fn the_oldest_requests_are_forgotten_first() {
        let mut servers = Servers::default();
        let now = Duration::from_secs(1000);
        for n in 0..=MAX_TRANSACTIONS {
            assert_eq!(servers.begin(&n.to_string(), now), Begun::New);
        }
        assert!(!servers.knows("0") && servers.knows("1"));
    }
}
