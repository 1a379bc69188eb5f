//! The connections of a phone: attempts, and what came of them.

use crate::event::Connected;
use crate::link::{Arrival, Link};
use crate::net::{ConnectFailure, ConnectRequest, Connection};
use crate::trace::Tracer;
use crate::watch::Watch;
use aldis_agent::FlowId;
use aldis_trust::Verdict;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::ops::Bound;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// An attempt; dropping it ends it.
pub(crate) type Attempt = Pin<Box<dyn Future<Output = Result<Connection, ConnectFailure>> + Send>>;

/// One connection, wanted or up.
pub(crate) struct Wire {
    /// For which of the account's flows it is.
    pub slot: usize,
    /// How its server was looked for.
    pub request: ConnectRequest,
    pub state: State,
}

pub(crate) enum State {
    Coming(Attempt),
    Up(Box<Line>),
}

/// A connection that is up.
pub(crate) struct Line {
    pub link: Link,
    /// Who is at the other end.
    pub connected: Arc<Connected>,
    pub tracer: Option<Tracer>,
    /// Over the trust in the server.
    pub watch: Watch,
}

/// What happened on a connection.
pub(crate) enum Happening {
    Attempt(Box<Result<Connection, ConnectFailure>>),
    Arrival(Arrival),
    Judged(Box<Verdict>),
}

/// All connections.
#[derive(Default)]
pub(crate) struct Wires {
    all: BTreeMap<FlowId, Wire>,
    /// On which one something happened last: the others are looked at first.
    last: Option<FlowId>,
}

impl Wires {
    pub fn insert(&mut self, id: FlowId, wire: Wire) {
        self.all.insert(id, wire);
    }

    pub fn remove(&mut self, id: FlowId) -> Option<Wire> {
        self.all.remove(&id)
    }

    pub fn get_mut(&mut self, id: FlowId) -> Option<&mut Wire> {
        self.all.get_mut(&id)
    }

    /// The connection of this number, if it is up.
    pub fn line(&mut self, id: FlowId) -> Option<&mut Line> {
        match &mut self.all.get_mut(&id)?.state {
            State::Up(line) => Some(line),
            State::Coming(_) => None,
        }
    }

    /// Whether any connection is up.
    pub fn is_any_up(&self) -> bool {
        self.all.values().any(|wire| matches!(wire.state, State::Up(_)))
    }

    /// Until the next server has to be judged again.
    pub fn due_in(&self, wall: Duration) -> Option<Duration> {
        let lines = self.all.values().filter_map(|wire| match &wire.state {
            State::Up(line) => line.watch.due_in(wall),
            State::Coming(_) => None,
        });
        lines.min()
    }

    /// Begins the judgements that are due.
    pub fn watch_over(&mut self, wall: Duration) {
        for Wire { request, state, .. } in self.all.values_mut() {
            if let State::Up(line) = state {
                line.watch.begin(request, wall);
            }
        }
    }

    /// What happens next on any of them. Dropping the future loses nothing.
    pub async fn next(&mut self) -> (FlowId, Happening) {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<(FlowId, Happening)> {
        let ranges = match self.last {
            Some(last) => {
                [(Bound::Excluded(last), Bound::Unbounded), (Bound::Unbounded, Bound::Included(last))]
            }
            None => [(Bound::Unbounded, Bound::Unbounded); 2],
        };
        for range in ranges {
            for (id, wire) in self.all.range_mut(range) {
                if let Poll::Ready(happening) = wire.poll(context) {
                    self.last = Some(*id);
                    return Poll::Ready((*id, happening));
                }
            }
        }
        Poll::Pending
    }
}

impl Wire {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Happening> {
        match &mut self.state {
            State::Coming(attempt) => {
                attempt.as_mut().poll(context).map(|result| Happening::Attempt(Box::new(result)))
            }
            State::Up(line) => {
                if let Poll::Ready(verdict) = pin!(line.watch.verdict()).poll(context) {
                    return Poll::Ready(Happening::Judged(Box::new(verdict)));
                }
                pin!(line.link.next()).poll(context).map(Happening::Arrival)
            }
        }
    }
}
