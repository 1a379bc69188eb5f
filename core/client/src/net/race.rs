//! TCP connections to whichever address answers first (RFC 8305, "Happy Eyeballs").

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use super::address::{interleave, sort};
use super::resolve_error::ResolveError;

/// The intervals of a race (RFC 8305 §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How long an attempt stays alone before the next address joins: Connection Attempt Delay.
    pub stagger: Duration,
    /// The least time between two attempts, also after a failure: Minimum Connection Attempt Delay (never under 10 ms).
    pub minimum: Duration,
    /// How long IPv4 waits for the IPv6 answer after its own: Resolution Delay.
    pub resolution: Duration,
    /// How long one place stays alone in silence before the next joins: Maximum Connection Attempt Delay.
    pub failover: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            stagger: Duration::from_millis(250),
            minimum: Duration::from_millis(10),
            resolution: Duration::from_millis(50),
            failover: Duration::from_secs(2),
        }
    }
}

/// The addresses of one host for a race: some known, for others the questions are under way.
///
/// Attempts take addresses out; what was not tried stays in, and a later race goes on there.
#[derive(Default)]
pub struct Candidates {
    /// Not tried yet, in order.
    waiting: VecDeque<SocketAddr>,
    /// Every address ever seen: a host that lists one twice is not tried twice.
    seen: Vec<SocketAddr>,
    lookups: FuturesUnordered<BoxFuture<'static, (Question, Answer)>>,
    /// Whether the question for the better family, which is asked first, is still open.
    better_is_open: bool,
    /// The address of the last attempt, so that the next is of the other family.
    last: Option<SocketAddr>,
    /// What the questions' failures say together.
    failure: Option<ResolveError>,
    /// Which addresses are not to be tried, and those that turned up.
    avoid: Option<Avoid>,
    avoided: Vec<SocketAddr>,
}

/// Whether an address is to be set aside.
type Avoid = Arc<dyn Fn(SocketAddr) -> bool + Send + Sync>;

type Answer = Result<Vec<SocketAddr>, ResolveError>;

/// Which of the questions a future answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Question {
    Better,
    Other,
}

impl Candidates {
    /// Addresses that are known, in order of preference.
    pub fn known(addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        let mut candidates = Candidates::default();
        candidates.add(addresses.into_iter().collect());
        candidates
    }

    /// Questions under way, the one for the preferred family first. They run while something waits for them.
    pub(super) fn asking(lookups: impl IntoIterator<Item = BoxFuture<'static, Answer>>) -> Self {
        let mut candidates = Candidates::default();
        for lookup in lookups {
            let question = if candidates.better_is_open { Question::Other } else { Question::Better };
            candidates.better_is_open = true;
            candidates.lookups.push(Box::pin(async move { (question, lookup.await) }));
        }
        candidates
    }

    /// Sets aside what `avoid` says, now and when answers come: [`Candidates::avoided`] has it.
    pub(super) fn avoiding(mut self, avoid: Avoid) -> Self {
        let (avoided, waiting): (Vec<_>, Vec<_>) =
            self.waiting.into_iter().partition(|address| avoid(*address));
        (self.avoided, self.waiting, self.avoid) = (avoided, waiting.into(), Some(avoid));
        self
    }

    /// The addresses that were set aside.
    pub(super) fn avoided(self) -> Candidates {
        Candidates::known(self.avoided)
    }

    /// Waits for all questions. The addresses remain for a race.
    ///
    /// # Errors
    /// [`ResolveError`] if there is no address.
    pub async fn resolve_all(&mut self) -> Result<Vec<SocketAddr>, ResolveError> {
        while let Some((question, answer)) = self.lookups.next().await {
            self.absorb(question, answer);
        }
        match (&self.failure, self.seen.is_empty()) {
            (Some(failure), true) => Err(failure.clone()),
            _ => Ok(self.waiting.iter().copied().collect()),
        }
    }

    /// Why there is no address, if the questions have ended without one.
    pub fn resolve_error(&self) -> Option<&ResolveError> {
        self.failure.as_ref().filter(|_| self.seen.is_empty() && self.lookups.is_empty())
    }

    /// Whether nothing is left to try or to wait for.
    pub fn is_exhausted(&self) -> bool {
        self.waiting.is_empty() && self.lookups.is_empty()
    }

    fn absorb(&mut self, question: Question, answer: Answer) {
        if question == Question::Better {
            self.better_is_open = false;
        }
        match answer {
            Ok(addresses) => self.add(addresses),
            Err(error) => {
                self.failure = Some(match self.failure.take() {
                    Some(before) => before.merge(error),
                    None => error,
                });
            }
        }
    }

    fn add(&mut self, addresses: Vec<SocketAddr>) {
        for address in addresses {
            if !self.seen.contains(&address) {
                self.seen.push(address);
                if self.avoid.as_ref().is_some_and(|avoid| avoid(address)) {
                    self.avoided.push(address);
                } else {
                    self.waiting.push_back(address);
                }
            }
        }
        self.waiting = interleave(sort(self.waiting.drain(..).collect()), self.last).into();
    }

    /// Puts back what was begun and not ended, to be tried first if the winner turns out useless.
    fn put_back(&mut self, unfinished: Vec<SocketAddr>) {
        for address in unfinished.into_iter().rev() {
            self.waiting.push_front(address);
        }
    }
}

impl fmt::Debug for Candidates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidates")
            .field("waiting", &self.waiting)
            .field("questions", &self.lookups.len())
            .finish_non_exhaustive()
    }
}

/// No address could be connected to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectError {
    /// Each address that was tried, in the order in which the attempts ended.
    pub attempts: Vec<AttemptError>,
}

/// Why one address could not be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptError {
    /// The address.
    pub address: SocketAddr,
    /// The reason.
    pub reason: Reason,
}

/// Why a TCP connection did not come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The host is there and nothing listens on the port, or a firewall says so.
    Refused,
    /// Nothing answered in time.
    TimedOut,
    /// There is no way to the address from this network.
    Unreachable,
    /// The connection was closed before it was there.
    Reset,
    /// The operating system forbids it: a permission of the app or a local firewall.
    Forbidden,
    /// Anything else, as the standard library names it.
    Other(io::ErrorKind),
}

impl From<&io::Error> for Reason {
    fn from(error: &io::Error) -> Self {
        use io::ErrorKind;
        match error.kind() {
            ErrorKind::ConnectionRefused => Reason::Refused,
            ErrorKind::TimedOut => Reason::TimedOut,
            ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::AddrNotAvailable => Reason::Unreachable,
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
                Reason::Reset
            }
            ErrorKind::PermissionDenied => Reason::Forbidden,
            kind => Reason::Other(kind),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Refused => f.write_str("refused (nothing listens there)"),
            Reason::TimedOut => f.write_str("no answer"),
            Reason::Unreachable => f.write_str("no route from this network"),
            Reason::Reset => f.write_str("closed at once"),
            Reason::Forbidden => f.write_str("forbidden by this device"),
            Reason::Other(kind) => write!(f, "{kind}"),
        }
    }
}

impl fmt::Display for AttemptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.address, self.reason)
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.attempts.is_empty() {
            return f.write_str("no address was tried");
        }
        for (index, attempt) in self.attempts.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{attempt}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConnectError {}

/// Connects to one of `candidates`: staggered attempts, the first TCP connection wins and ends the others. Nagle's
/// algorithm is off: SIP messages are small and somebody waits for each.
///
/// Dropping the future closes every attempt.
///
/// # Errors
/// [`ConnectError`] with every address tried when none is left, or when `deadline` has come; no attempts if there was
/// no address ([`Candidates::resolve_error`] tells).
pub async fn connect_tcp(
    candidates: &mut Candidates,
    pace: &Pace,
    deadline: Instant,
) -> Result<(TcpStream, SocketAddr), ConnectError> {
    race(candidates, pace, deadline, |address| async move {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    })
    .await
}

async fn race<T, F>(
    candidates: &mut Candidates,
    pace: &Pace,
    deadline: Instant,
    open: impl Fn(SocketAddr) -> F,
) -> Result<(T, SocketAddr), ConnectError>
where
    F: Future<Output = io::Result<T>>,
{
    let mut under_way = FuturesUnordered::new();
    let mut unfinished: Vec<SocketAddr> = Vec::new();
    let mut errors = ConnectError::default();
    // When the next attempt may begin, and the least time from which on it may.
    let mut next = Instant::now();
    let mut earliest = next;
    // Set by the first address while the better family's answer is awaited.
    let mut hold: Option<Instant> = None;
    loop {
        if !candidates.better_is_open || unfinished.len() + errors.attempts.len() > 0 {
            hold = None;
        } else if hold.is_none() && !candidates.waiting.is_empty() {
            hold = Some(Instant::now() + pace.resolution);
        }
        let start = hold.map_or(next, |hold| hold.max(next));
        let now = Instant::now();
        if start <= now
            && now < deadline
            && let Some(address) = candidates.waiting.pop_front()
        {
            candidates.last = Some(address);
            let attempt = open(address);
            under_way.push(async move { (address, attempt.await) });
            unfinished.push(address);
            next = now + pace.stagger;
            earliest = now + pace.minimum;
            continue;
        }
        if under_way.is_empty() && candidates.is_exhausted() {
            return Err(errors);
        }
        tokio::select! {
            // In this order, so that of what happened at one time a connection counts first.
            biased;
            Some((address, result)) = under_way.next(), if !under_way.is_empty() => {
                unfinished.retain(|other| *other != address);
                match result {
                    Ok(stream) => {
                        candidates.put_back(unfinished);
                        return Ok((stream, address));
                    }
                    Err(error) => {
                        errors.attempts.push(AttemptError { address, reason: Reason::from(&error) });
                        // Nothing is gained by waiting for an attempt that has ended.
                        next = next.min(earliest);
                    }
                }
            }
            Some((question, answer)) = candidates.lookups.next(), if !candidates.lookups.is_empty() => {
                candidates.absorb(question, answer);
            }
            () = sleep_until(deadline) => {
                let timed_out = |address| AttemptError { address, reason: Reason::TimedOut };
                errors.attempts.extend(unfinished.into_iter().map(timed_out));
                return Err(errors);
            }
            () = sleep_until(start), if !candidates.waiting.is_empty() => {}
        }
    }
}

#[cfg(test)]
mod tests;
