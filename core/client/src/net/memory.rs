//! What failed lately, so that the next search tries it last (RFC 3263 §4.3, DNS-08).
//!
//! A mark only changes an order: a place that is marked is tried all the same once the others have failed, so that no
//! memory, however wrong, keeps a phone from its server. Marks are forgotten when the network changes, since they say as
//! much about the way as about the server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::clock::mono_now;
use super::target::{Host, Target};

/// A server that refuses is mostly one that restarts, and asking it again costs one round trip.
const AFTER_REFUSAL: Duration = Duration::from_secs(30);
/// Silence costs seconds each time it is met, and whoever is silent mostly stays so until somebody has repaired it.
const AFTER_SILENCE: Duration = Duration::from_secs(5 * 60);
/// A 503 without Retry-After: overload, which passes, and returns at once if everybody does (RFC 3261 §21.5.4).
const AFTER_503: Duration = Duration::from_secs(60);
/// However long a server wants to be spared: it may have meant a maintenance that has ended long ago.
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// Certificates are not exchanged from one minute to the next, and each refusal is reported.
const AFTER_DISTRUST: Duration = Duration::from_secs(5 * 60);
/// Marks kept; one search tries fewer. The mark that would end first makes room.
const MAX_MARKS: usize = 64;
/// Addresses of which it is kept by which place they were found.
const MAX_LED: usize = 32;

/// How a server failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Refused, reset or closed at once, or no way there from this network: tried last for 30 s.
    Refused,
    /// No answer to a connection, a handshake or a request (Timer F, RFC 3261 §17.1.2.2): 5 min.
    Silent,
    /// It did not prove the identity, or could not agree on TLS: 5 min.
    NotTrusted,
    /// It answered a request with 503.
    Unavailable {
        /// The time of its Retry-After, at most an hour; 60 s without one.
        retry_after: Option<Duration>,
    },
}

impl Fault {
    /// How long what failed like this is tried after everything else.
    pub fn lasts(&self) -> Duration {
        match self {
            Self::Refused => AFTER_REFUSAL,
            Self::Silent => AFTER_SILENCE,
            Self::NotTrusted => AFTER_DISTRUST,
            Self::Unavailable { retry_after } => retry_after.unwrap_or(AFTER_503).min(LONGEST),
        }
    }
}

/// What the searches of one phone learn of servers.
#[derive(Debug, Default)]
pub struct Memory {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    marks: Vec<Mark>,
    /// Which place led to an address, the newest last.
    led: Vec<(SocketAddr, Place)>,
    /// Places at which searches are just now.
    claimed: Vec<Place>,
}

type Place = (Host, u16);

#[derive(Debug)]
struct Mark {
    what: What,
    /// On the clock of [`mono_now`].
    until: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Address(SocketAddr),
    Place(Place),
}

impl Memory {
    /// An address failed; the others of its host may work.
    pub(super) fn address_failed(&self, address: SocketAddr, fault: Fault) {
        self.lock().mark(What::Address(address), fault);
    }

    /// Every address of a place failed.
    pub(super) fn place_failed(&self, target: &Target, fault: Fault) {
        self.lock().mark(What::Place(place(target)), fault);
    }

    /// The server at `address` failed above TLS: the whole host is spared.
    pub(super) fn server_failed(&self, address: SocketAddr, fault: Fault) {
        let mut inner = self.lock();
        inner.mark(What::Address(address), fault);
        if let Some(place) = inner.place_of(address).cloned() {
            inner.mark(What::Place(place), fault);
        }
    }

    /// `target` led to a server at `address` that proved the identity.
    pub(super) fn connected(&self, target: &Target, address: SocketAddr) {
        let mut inner = self.lock();
        let place = place(target);
        inner
            .marks
            .retain(|mark| mark.what != What::Address(address) && mark.what != What::Place(place.clone()));
        inner.led.retain(|(known, _)| *known != address);
        if inner.led.len() >= MAX_LED {
            inner.led.remove(0);
        }
        inner.led.push((address, place));
    }

    pub(super) fn is_address_marked(&self, address: SocketAddr) -> bool {
        self.lock().is_marked(&What::Address(address))
    }

    pub(super) fn is_place_marked(&self, target: &Target) -> bool {
        self.lock().is_marked(&What::Place(place(target)))
    }

    /// A search is at this place until the claim is dropped: others of the same phone prefer another.
    pub(super) fn claim(self: &Arc<Self>, target: &Target) -> Claim {
        let place = place(target);
        self.lock().claimed.push(place.clone());
        Claim { memory: self.clone(), place }
    }

    pub(super) fn is_claimed(&self, target: &Target) -> bool {
        self.lock().claimed.contains(&place(target))
    }

    /// Whether one of `addresses` was reached by way of `target`.
    pub(super) fn leads_to(&self, target: &Target, addresses: &[SocketAddr]) -> bool {
        let (inner, place) = (self.lock(), place(target));
        addresses.iter().any(|address| inner.place_of(*address) == Some(&place))
    }

    /// Forgets every mark: the network is another one, or nothing at all could be reached, which says nothing about which
    /// server is the better one.
    pub fn clear(&self) {
        self.lock().marks.clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pretends that so much time has passed.
    #[cfg(test)]
    pub(super) fn age(&self, by: Duration) {
        for mark in &mut self.lock().marks {
            mark.until = mark.until.saturating_sub(by);
        }
    }
}

/// See [`Memory::claim`].
#[derive(Debug)]
pub(super) struct Claim {
    memory: Arc<Memory>,
    place: Place,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut inner = self.memory.lock();
        if let Some(at) = inner.claimed.iter().position(|place| *place == self.place) {
            inner.claimed.swap_remove(at);
        }
    }
}

impl Inner {
    fn mark(&mut self, what: What, fault: Fault) {
        let now = mono_now();
        let mut until = now + fault.lasts();
        // A refusal while a 503's Retry-After runs does not shorten it.
        if let Some(before) = self.marks.iter().find(|mark| mark.what == what) {
            until = until.max(before.until);
        }
        self.marks.retain(|mark| mark.until > now && mark.what != what);
        if self.marks.len() >= MAX_MARKS
            && let Some(first) =
                (0..self.marks.len()).min_by_key(|at| self.marks.get(*at).map(|mark| mark.until))
        {
            self.marks.swap_remove(first);
        }
        self.marks.push(Mark { what, until });
    }

    fn is_marked(&self, what: &What) -> bool {
        let now = mono_now();
        self.marks.iter().any(|mark| mark.what == *what && mark.until > now)
    }

    fn place_of(&self, address: SocketAddr) -> Option<&Place> {
        self.led.iter().rev().find(|(known, _)| *known == address).map(|(_, place)| place)
    }
}

fn place(target: &Target) -> Place {
    (target.host.clone(), target.port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        Target::given(text.parse().unwrap(), 5061)
    }

    fn at(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 5061))
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn each_fault_is_remembered_for_its_time_dns_08() {
        let unavailable = |seconds| Fault::Unavailable { retry_after: Some(Duration::from_secs(seconds)) };
        for (fault, seconds) in [
            (Fault::Refused, 30),
            (Fault::Silent, 300),
            (Fault::NotTrusted, 300),
            (Fault::Unavailable { retry_after: None }, 60),
            (unavailable(7), 7),
            (unavailable(1_000_000), 3600),
        ] {
            let memory = Memory::default();
            memory.address_failed(at(1), fault);
            memory.age(Duration::from_secs(seconds - 1));
            assert!(memory.is_address_marked(at(1)), "{fault:?}");
            memory.age(SECOND);
            assert!(!memory.is_address_marked(at(1)), "{fault:?}");
        }
    }

    #[test]
    fn a_shorter_mark_does_not_end_a_longer_one() {
        let memory = Memory::default();
        memory.address_failed(at(1), Fault::Silent);
        memory.address_failed(at(1), Fault::Refused);
        memory.age(31 * SECOND);
        assert!(memory.is_address_marked(at(1)));
    }

    #[test]
    fn a_server_that_failed_above_tls_spares_its_whole_host() {
        let memory = Memory::default();
        memory.connected(&target("a.test"), at(1));
        memory.server_failed(at(1), Fault::Unavailable { retry_after: None });
        assert!(memory.is_place_marked(&target("a.test")) && memory.is_address_marked(at(1)));
        assert!(!memory.is_place_marked(&target("b.test")) && !memory.is_address_marked(at(2)));
    }

    #[test]
    fn a_connection_and_a_change_of_network_forget() {
        let memory = Memory::default();
        memory.address_failed(at(1), Fault::Silent);
        memory.place_failed(&target("a.test"), Fault::Silent);
        memory.connected(&target("a.test"), at(1));
        assert!(!memory.is_place_marked(&target("a.test")) && !memory.is_address_marked(at(1)));
        memory.place_failed(&target("b.test"), Fault::Silent);
        memory.clear();
        assert!(!memory.is_place_marked(&target("b.test")));
    }

    #[test]
    fn marks_are_bounded_and_the_one_that_ends_first_makes_room() {
        let memory = Memory::default();
        memory.address_failed(at(255), Fault::Refused);
        for last in 0..64 {
            memory.address_failed(at(last), Fault::Silent);
        }
        assert_eq!(memory.lock().marks.len(), MAX_MARKS);
        assert!(!memory.is_address_marked(at(255)) && memory.is_address_marked(at(0)));
        for last in 0..255 {
            memory.connected(&target("a.test"), at(last));
        }
        assert_eq!(memory.lock().led.len(), MAX_LED);
        assert!(memory.leads_to(&target("a.test"), &[at(1), at(254)]));
        assert!(!memory.leads_to(&target("a.test"), &[at(1)]));
    }
}
