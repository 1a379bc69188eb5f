//! What the tasks of one server share: the state machine, its log, and the way to each connection's writer.

use crate::entry::{ConnectionId, Traffic, What};
use crate::links::{Close, Output};
use crate::log::Log;
use crate::machine::Machine;
use crate::now::Now;
use crate::options::MAX_QUEUE;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

/// What is written to a connection.
#[derive(Debug)]
pub(crate) enum Out {
    Sip(Bytes),
    Raw(Bytes),
    Pong,
    Close,
}

/// The end of a link that its connection holds.
#[derive(Debug)]
pub(crate) struct LinkEnd {
    pub queue: mpsc::Receiver<Out>,
    /// Closes the connection at once.
    pub kill: Arc<Notify>,
}

#[derive(Debug)]
struct Link {
    queue: mpsc::Sender<Out>,
    kill: Arc<Notify>,
}

#[derive(Debug)]
struct Shared {
    machine: Machine,
    links: BTreeMap<ConnectionId, Link>,
}

#[derive(Debug)]
pub(crate) struct Core {
    pub log: Log,
    started: Instant,
    shared: Mutex<Shared>,
    /// The machine's deadline has changed.
    pub wake: Notify,
    /// A connection ended.
    pub ended: Notify,
}

impl Core {
    pub fn new(machine: Machine) -> Core {
        let shared = Mutex::new(Shared { machine, links: BTreeMap::new() });
        let (wake, ended) = (Notify::new(), Notify::new());
        Core { log: Log::new(), started: Instant::now(), shared, wake, ended }
    }

    /// Lets the machine do something, and passes on what comes of it.
    pub fn act<T>(&self, act: impl FnOnce(&mut Machine, Now) -> T) -> T {
        self.with(|shared, now| act(&mut shared.machine, now))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Shared, Now) -> T) -> T {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Now { mono: self.started.elapsed(), wall: wall_clock() };
        let before = shared.machine.deadline();
        let result = act(&mut shared, now);
        while let Some(output) = shared.machine.poll_output() {
            match output {
                Output::Send(id, bytes) => shared.put(id, Out::Sip(bytes)),
                Output::Raw(id, bytes) => shared.put(id, Out::Raw(bytes)),
                Output::Pong(id) => shared.put(id, Out::Pong),
                Output::Close(id, Close::Clean) => shared.put(id, Out::Close),
                Output::Close(id, Close::Abrupt) => shared.kill(id),
                Output::Happened(id, what) => self.log.write(id, what),
                Output::Push { provider, prid } => {
                    self.log.write(ConnectionId(0), What::Pushed { provider, prid });
                }
            }
        }
        if shared.machine.deadline() != before {
            self.wake.notify_one();
        }
        result
    }

    /// A connection came to the address of this number; `None` if there are `most` already.
    pub fn open(&self, edge: usize, peer: SocketAddr) -> Option<(ConnectionId, LinkEnd)> {
        self.with(|shared, now| {
            if shared.links.len() >= shared.machine.options.max_connections {
                return None;
            }
            let id = shared.machine.opened(now, edge, peer);
            let (sender, queue) = mpsc::channel(MAX_QUEUE);
            let kill = Arc::new(Notify::new());
            shared.links.insert(id, Link { queue: sender, kill: kill.clone() });
            Some((id, LinkEnd { queue, kill }))
        })
    }

    pub fn closed(&self, id: ConnectionId) {
        self.with(|shared, now| {
            shared.links.remove(&id);
            shared.machine.closed(now, id);
        });
    }

    /// When the machine wants to be called.
    pub fn deadline(&self) -> Option<Instant> {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.machine.deadline().map(|at| self.started + at)
    }
}

impl Shared {
    /// Queues something; a connection that does not keep up is closed.
    fn put(&self, id: ConnectionId, out: Out) {
        if let Some(link) = self.links.get(&id)
            && let Err(mpsc::error::TrySendError::Full(_)) = link.queue.try_send(out)
        {
            link.kill.notify_one();
        }
    }

    fn kill(&self, id: ConnectionId) {
        if let Some(link) = self.links.get(&id) {
            link.kill.notify_one();
        }
    }
}

/// Now, in seconds since 1970.
pub(crate) fn wall_clock() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

impl Out {
    /// The bytes, and what the log says of them; `None` for the end.
    pub fn written(self) -> Option<(Bytes, What)> {
        match self {
            Out::Sip(bytes) => Some((bytes.clone(), What::Sent(Traffic::sent(bytes)))),
            Out::Raw(bytes) => Some((bytes.clone(), What::Raw(bytes))),
            Out::Pong => Some((Bytes::from_static(crate::links::PONG), What::Pong)),
            Out::Close => None,
        }
    }
}
