//! What DNS answered, kept for as long as the answer allows (RFC 1035 §3.2.1, RFC 2308 §5) and while the network is the
//! same. Times are those of [`mono_now`](super::clock::mono_now), which counts a device's sleep.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::clock::mono_now;
use super::dns::Data;
use super::resolve_error::{Question, RecordType};

/// Answers kept. An account needs about five; where many share a resolver, the one that would end first makes room.
const MAX_ANSWERS: usize = 128;
/// However long a zone wants to be believed: a day is what resolvers of networks take.
const MAX_TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// For "there is none" it is shorter: somebody may be about to publish the record because a phone has missed it.
const MAX_NEGATIVE_TTL: Duration = Duration::from_secs(5 * 60);
/// How long a question that nobody answers is not asked again (at most 5 min, RFC 2308 §7.2).
const UNANSWERED: Duration = Duration::from_secs(5 * 60);

/// What is known of a question.
#[derive(Clone, Debug)]
pub(super) enum Known {
    Records(Arc<[Data]>),
    /// There are none, and whether the name exists at all.
    None {
        domain_exists: bool,
    },
    /// No server answered.
    Unanswered,
}

/// What all clones of a resolver know.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    answers: Vec<(Question, Known, Duration)>,
    /// The network's DNS servers, where the app has told them.
    dns_servers: Vec<SocketAddr>,
    /// Counts what made answers worthless: what was asked before is not kept after.
    era: u64,
}

impl Shared {
    pub fn with_dns_servers(dns_servers: Vec<SocketAddr>) -> Self {
        Shared { state: Mutex::new(State { dns_servers, ..State::default() }) }
    }

    pub fn dns_servers(&self) -> Vec<SocketAddr> {
        self.lock().dns_servers.clone()
    }

    pub fn era(&self) -> u64 {
        self.lock().era
    }

    /// What is known of the answer to a question, if it may still be believed.
    pub fn known(&self, record: RecordType, name: &str) -> Option<Known> {
        let now = mono_now();
        let state = self.lock();
        let found = state.answers.iter().find(|(question, _, until)| {
            question.record == record && *until > now && question.name.eq_ignore_ascii_case(name)
        });
        found.map(|(_, known, _)| known.clone())
    }

    /// Keeps an answer that was asked for in `era`, for `ttl` at most.
    pub fn keep(&self, era: u64, question: Question, known: Known, ttl: Duration) {
        let now = mono_now();
        let limit = match &known {
            Known::Records(_) => MAX_TTL,
            Known::None { .. } => MAX_NEGATIVE_TTL,
            Known::Unanswered => UNANSWERED,
        };
        let mut state = self.lock();
        if state.era != era || ttl.is_zero() {
            return;
        }
        state.answers.retain(|(other, _, until)| *until > now && *other != question);
        if state.answers.len() >= MAX_ANSWERS {
            let ends = |at: &usize| state.answers.get(*at).map(|(_, _, until)| *until);
            if let Some(first) = (0..state.answers.len()).min_by_key(ends) {
                state.answers.swap_remove(first);
            }
        }
        state.answers.push((question, known, now + ttl.min(limit)));
    }

    /// Throws all answers away.
    pub fn forget(&self) {
        let mut state = self.lock();
        state.answers.clear();
        state.era += 1;
    }

    /// Throws all answers away; from now on these are the network's servers.
    pub fn network_changed(&self, dns_servers: Vec<SocketAddr>) {
        let mut state = self.lock();
        state.answers.clear();
        state.era += 1;
        state.dns_servers = dns_servers;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pretends that so much time has passed.
    #[cfg(test)]
    pub fn age(&self, by: Duration) {
        for (_, _, until) in &mut self.lock().answers {
            *until = until.saturating_sub(by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn question(name: &str) -> Question {
        Question { record: RecordType::Srv, name: name.into() }
    }

    fn records() -> Known {
        Known::Records(Vec::new().into())
    }

    #[test]
    fn an_answer_lasts_as_long_as_it_says_and_no_longer_than_the_limit() {
        let none = Known::None { domain_exists: false };
        for (known, ttl, lasts) in [
            (records(), 60, 60),
            (records(), 1 << 31, 86_400),
            (none, 3600, 300),
            (Known::Unanswered, 3600, 300),
        ] {
            let shared = Shared::default();
            shared.keep(0, question("a.test"), known, Duration::from_secs(ttl));
            shared.age(Duration::from_secs(lasts - 1));
            assert!(shared.known(RecordType::Srv, "A.test").is_some());
            assert!(shared.known(RecordType::Naptr, "a.test").is_none());
            shared.age(SECOND);
            assert!(shared.known(RecordType::Srv, "a.test").is_none());
        }
    }

    #[test]
    fn a_ttl_of_zero_is_for_one_use() {
        let shared = Shared::default();
        shared.keep(0, question("a.test"), records(), Duration::ZERO);
        assert!(shared.known(RecordType::Srv, "a.test").is_none());
    }

    #[test]
    fn what_was_asked_in_another_network_is_not_kept() {
        let shared = Shared::default();
        let before = shared.era();
        shared.network_changed(vec![SocketAddr::from(([192, 0, 2, 53], 53))]);
        shared.keep(before, question("a.test"), records(), SECOND);
        assert!(shared.known(RecordType::Srv, "a.test").is_none());
        assert_eq!(shared.dns_servers().len(), 1);
        shared.forget();
        assert_eq!(shared.dns_servers().len(), 1);
    }

    #[test]
    fn answers_are_bounded_and_the_one_that_ends_first_makes_room() {
        let shared = Shared::default();
        for number in 0..=MAX_ANSWERS {
            let ttl = Duration::from_secs(if number == 7 { 5 } else { 60 });
            shared.keep(0, question(&format!("{number}.test")), records(), ttl);
        }
        assert_eq!(shared.lock().answers.len(), MAX_ANSWERS);
        assert!(shared.known(RecordType::Srv, "7.test").is_none());
        assert!(shared.known(RecordType::Srv, "0.test").is_some());
    }
}
