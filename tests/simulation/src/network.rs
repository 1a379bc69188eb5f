//! Paths and connections: what is under way, what gets lost, and what is never told.

use aldis_agent::FlowId;
use aldis_registrar::ConnectionId;
use std::collections::VecDeque;
use std::time::Duration;

/// A place that DNS names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// An edge of the registrar.
    Edge(usize),
    /// A server that cannot prove the domain.
    Impostor,
}

/// How something ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// In order.
    Fin,
    /// With a reset.
    Reset,
    /// Without a word.
    Silent,
}

/// One edge of the registrar.
#[derive(Clone, Copy, Debug)]
pub struct Edge {
    /// It serves.
    pub alive: bool,
    /// While it does not: whether it refuses connections, or swallows them.
    pub refuses: bool,
}

/// The way from a phone to the internet.
#[derive(Clone, Debug)]
pub struct Path {
    /// Something passes.
    pub online: bool,
    /// Grows with each network: connections of an earlier one are dead.
    pub generation: u32,
    /// One way.
    pub latency: Duration,
    /// At most so much more.
    pub jitter: Duration,
    /// After so much silence the NAT forgets a connection.
    pub nat: Option<Duration>,
}

/// One connection. What a side has not been told it does not know.
#[derive(Clone, Debug)]
pub struct Connection {
    pub phone: usize,
    pub incarnation: u32,
    pub flow: FlowId,
    /// Which of the account's flows it is for.
    pub slot: usize,
    pub edge: usize,
    pub generation: u32,
    /// The server's end, while it is there.
    pub server: Option<ConnectionId>,
    /// The client's end is there.
    pub open: bool,
    /// Nothing passes any more, and nobody is told.
    pub black: bool,
    /// Arrivals keep their order in each direction.
    pub last_up: Duration,
    pub last_down: Duration,
    /// When it came up.
    pub born: Duration,
    /// When something passed last.
    pub touched: Duration,
    /// A 200 to REGISTER came over it, and until when the binding holds.
    pub bound_until: Option<Duration>,
    /// When a first one came.
    pub registered_at: Option<Duration>,
    /// A pong came over it.
    pub ponged: bool,
    /// Or the registrar said that there will be some.
    pub pongs: bool,
}

impl Connection {
    /// Whether bytes get through.
    pub fn is_alive(&self) -> bool {
        self.open && !self.black && self.server.is_some()
    }
}

/// An attempt to connect, as a driver makes it: one place after the other.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub phone: usize,
    pub incarnation: u32,
    pub flow: FlowId,
    pub slot: usize,
    pub generation: u32,
    pub places: VecDeque<Place>,
    /// What the next step is about, `None` before the first.
    pub at: Option<(Place, Stage)>,
    /// Given up by the agent, or over.
    pub over: bool,
}

/// What a step of an attempt finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The handshake is done.
    Shaken,
    /// Nobody is there, or somebody else.
    Failed,
}

/// How long a driver waits for a place that says nothing before it goes on to the next.
pub const SILENT_PLACE: Duration = Duration::from_secs(2);
/// How long it waits for the last one.
pub const LAST_PLACE: Duration = Duration::from_secs(10);
