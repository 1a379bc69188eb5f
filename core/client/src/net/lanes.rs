//! The places of a server, tried in their order until TCP connections come of them (RFC 3263 §4.3, DNS-08).
//!
//! Each place is a lane: a race between its addresses. The next lane begins when one has ended, or when it has said nothing
//! for [`Pace::failover`]: a server that is gone in silence costs two seconds and not its whole deadline. What failed
//! lately, and what the caller would rather not have, is tried after everything else.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use super::connect::ConnectRequest;
use super::memory::{Claim, Fault};
use super::order::in_order;
use super::race::{Candidates, ConnectError, Reason, connect_tcp};
use super::resolve_error::ResolveError;
use super::target::Target;

/// When a lane's turn is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// At once.
    Fresh,
    /// It failed lately.
    Marked,
    /// The caller, or another search of the same phone, is there already.
    Taken,
    /// Addresses that the caller would rather not have, whatever their place.
    Last,
}

/// One place.
pub(super) struct Lane {
    pub target: Target,
    rank: Rank,
    candidates: Option<Candidates>,
    /// The gravest failure so far.
    fault: Option<Fault>,
    /// Keeps the phone's other searches away.
    claim: Option<Claim>,
}

impl Lane {
    /// The connection to one of its addresses failed.
    pub fn failed(&mut self, fault: Fault) {
        self.fault = self.fault.into_iter().chain([fault]).max_by_key(Fault::lasts);
    }
}

/// What a race came to.
type Ended = (Lane, Candidates, Result<(TcpStream, SocketAddr), ConnectError>);

/// What happened next.
pub(super) enum Step {
    /// A TCP connection. If it comes to nothing, the lane goes on by [`Lanes::go_on`].
    Open(Box<Lane>, TcpStream, SocketAddr),
    /// A place came to nothing: the addresses tried, and what DNS said if it named none.
    Failed { target: Target, error: ConnectError, resolve: Option<ResolveError> },
    /// Nothing is left, or the deadline has come.
    Over,
}

/// The lanes of one search.
pub(super) struct Lanes<'a> {
    request: &'a ConnectRequest,
    deadline: Instant,
    waiting: VecDeque<Lane>,
    running: FuturesUnordered<BoxFuture<'static, Ended>>,
    /// Since when each of them has said nothing.
    silent: Vec<(Target, Instant)>,
    /// When the next lane begins although others are running.
    next: Instant,
}

impl<'a> Lanes<'a> {
    pub fn new(request: &'a ConnectRequest, targets: Vec<Target>, deadline: Instant) -> Self {
        let lanes = targets.into_iter().map(|target| {
            let rank = rank(request, &target);
            Lane { target, rank, candidates: None, fault: None, claim: None }
        });
        let mut waiting = in_order(lanes, |lane| lane.rank);
        if let Some(first) = waiting.first_mut() {
            first.claim = Some(request.memory.claim(&first.target));
        }
        Lanes {
            request,
            deadline,
            waiting: waiting.into(),
            running: FuturesUnordered::new(),
            silent: Vec::new(),
            next: Instant::now(),
        }
    }

    /// Runs races until one has something to tell.
    pub async fn step(&mut self) -> Step {
        loop {
            let now = Instant::now();
            if now < self.deadline
                && (now >= self.next || self.running.is_empty())
                && let Some(lane) = self.waiting.pop_front()
            {
                self.next = now + self.request.pace.failover;
                if let Some(failed) = self.begin(lane) {
                    return failed;
                }
                continue;
            }
            if self.running.is_empty() {
                return Step::Over;
            }
            tokio::select! {
                biased;
                Some((lane, candidates, result)) = self.running.next() => {
                    self.silent.retain(|(target, _)| *target != lane.target);
                    return match result {
                        Ok((stream, address)) => {
                            let lane = Lane { candidates: Some(candidates), ..lane };
                            Step::Open(Box::new(lane), stream, address)
                        }
                        Err(error) => self.ended(lane, candidates, error),
                    };
                }
                () = sleep_until(self.next), if !self.waiting.is_empty() && self.next < self.deadline => {}
            }
        }
    }

    /// The connection that `lane` brought came to nothing: its other addresses are raced.
    pub fn go_on(&mut self, mut lane: Box<Lane>) {
        let candidates = lane.candidates.take().unwrap_or_default();
        if candidates.is_exhausted() {
            self.set_aside(*lane, candidates);
        } else {
            self.run(*lane, candidates);
        }
    }

    /// A place won: those that let the next begin are remembered, although their time was not over.
    pub fn won(&self) {
        let now = Instant::now();
        for (target, since) in &self.silent {
            if now - *since >= self.request.pace.failover {
                self.request.memory.place_failed(target, Fault::Silent);
            }
        }
    }

    fn begin(&mut self, mut lane: Lane) -> Option<Step> {
        if lane.claim.is_none() {
            lane.claim = Some(self.request.memory.claim(&lane.target));
        }
        let candidates = match lane.candidates.take() {
            Some(candidates) => candidates,
            None => match self.request.resolver.candidates(&lane.target) {
                Ok(candidates) => candidates,
                Err(error) => {
                    let (target, resolve) = (lane.target, Some(error));
                    return Some(Step::Failed { target, error: ConnectError::default(), resolve });
                }
            },
        };
        let (avoid, memory) = (self.request.avoid.clone(), self.request.memory.clone());
        let candidates = match lane.rank {
            Rank::Fresh => candidates.avoiding(Arc::new(move |address| {
                avoid.contains(&address) || memory.is_address_marked(address)
            })),
            Rank::Marked | Rank::Taken => {
                candidates.avoiding(Arc::new(move |address| avoid.contains(&address)))
            }
            Rank::Last => candidates.avoiding(Arc::new(|_| false)),
        };
        if candidates.is_exhausted() {
            self.set_aside(lane, candidates);
        } else {
            self.run(lane, candidates);
        }
        None
    }

    fn run(&mut self, lane: Lane, mut candidates: Candidates) {
        let pace = self.request.pace;
        let until = self.deadline.min(Instant::now() + self.request.deadlines.connect);
        self.silent.push((lane.target.clone(), Instant::now()));
        self.running.push(Box::pin(async move {
            let result = connect_tcp(&mut candidates, &pace, until).await;
            (lane, candidates, result)
        }));
    }

    fn ended(&mut self, mut lane: Lane, candidates: Candidates, error: ConnectError) -> Step {
        for attempt in &error.attempts {
            let fault = fault(attempt.reason);
            lane.failed(fault);
            self.request.memory.address_failed(attempt.address, fault);
        }
        let resolve = candidates.resolve_error().cloned();
        let target = lane.target.clone();
        self.set_aside(lane, candidates);
        // Nothing is gained by waiting for what has ended.
        self.next = Instant::now();
        Step::Failed { target, error, resolve }
    }

    /// Puts what a lane has not tried at its place in the row, and the lane itself into the memory if that is all.
    fn set_aside(&mut self, mut lane: Lane, candidates: Candidates) {
        let left = candidates.avoided();
        if left.is_exhausted() {
            if let Some(fault) = lane.fault {
                self.request.memory.place_failed(&lane.target, fault);
            }
            return;
        }
        lane.rank = if lane.rank == Rank::Fresh { Rank::Marked } else { Rank::Last };
        lane.candidates = Some(left);
        let at = self.waiting.partition_point(|other| other.rank <= lane.rank);
        self.waiting.insert(at, lane);
    }
}

fn rank(request: &ConnectRequest, target: &Target) -> Rank {
    let memory = &request.memory;
    let is_taken = target.literal().is_some_and(|address| request.avoid.contains(&address))
        || memory.leads_to(target, &request.avoid)
        || memory.is_claimed(target);
    match (is_taken, memory.is_place_marked(target)) {
        (true, _) => Rank::Taken,
        (false, true) => Rank::Marked,
        (false, false) => Rank::Fresh,
    }
}

fn fault(reason: Reason) -> Fault {
    match reason {
        Reason::TimedOut => Fault::Silent,
        Reason::Refused | Reason::Unreachable | Reason::Reset | Reason::Forbidden | Reason::Other(_) => {
            Fault::Refused
        }
    }
}
