//! The open connections, and what is to be done with them.

use crate::entry::{ConnectionId, What};
use crate::tape::Tape;
use aldis_sip::Framer;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

/// How the server ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// After what waits to be written, with TLS's close_notify.
    Clean,
    /// At once, with a TCP reset.
    Abrupt,
}

/// What whoever carries the bytes of a [`Machine`](crate::Machine) must do next.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // carried out where it is made
pub enum Output {
    /// Write a SIP message.
    Send(ConnectionId, Bytes),
    /// Write bytes that are not SIP.
    Raw(ConnectionId, Bytes),
    /// Write a pong, [`PONG`].
    Pong(ConnectionId),
    /// End the connection, and say so with [`Machine::closed`](crate::Machine::closed).
    Close(ConnectionId, Close),
    /// Something happened, for a log.
    Happened(ConnectionId, What),
    /// Ask this push service to wake this device (RFC 8599 §5.6.2).
    Push {
        /// `pn-provider`.
        provider: String,
        /// `pn-prid`.
        prid: String,
    },
}

/// The answer to a ping (RFC 5626 §4.4.1).
pub const PONG: &[u8] = b"\r\n";

/// One connection.
#[derive(Debug)]
pub(crate) struct Session {
    /// Which of the server's addresses it came to.
    pub edge: usize,
    pub peer: SocketAddr,
    pub framer: Framer,
    /// What was read, for the log.
    pub tape: Option<Tape>,
    /// The first CRLF of a ping has come.
    pub half_ping: bool,
    /// Nothing is heard and nothing said any more.
    pub silent: bool,
    /// Nobody knows where the next message begins.
    pub lost: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Links {
    open: BTreeMap<ConnectionId, Session>,
    accepted: u64,
    outputs: VecDeque<Output>,
    /// Nobody wants to know what happened.
    pub untold: bool,
}

impl Links {
    /// Numbers a new connection.
    pub fn open(&mut self, edge: usize, peer: SocketAddr) -> ConnectionId {
        self.accepted += 1;
        let id = ConnectionId(self.accepted);
        let tape = (!self.untold).then(Tape::default);
        let framer = Framer::new();
        self.open
            .insert(id, Session { edge, peer, framer, tape, half_ping: false, silent: false, lost: false });
        id
    }

    pub fn get(&self, id: ConnectionId) -> Option<&Session> {
        self.open.get(&id)
    }

    pub fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Session> {
        self.open.get_mut(&id)
    }

    /// Writes a SIP message; `false` if the connection is gone.
    pub fn send(&mut self, id: ConnectionId, bytes: Bytes) -> bool {
        self.put(id, Output::Send(id, bytes))
    }

    /// Writes anything; `false` if the connection is gone.
    pub fn send_raw(&mut self, id: ConnectionId, bytes: Bytes) -> bool {
        self.put(id, Output::Raw(id, bytes))
    }

    pub fn pong(&mut self, id: ConnectionId) {
        self.put(id, Output::Pong(id));
    }

    pub fn close(&mut self, id: ConnectionId, how: Close) {
        if self.open.contains_key(&id) {
            self.outputs.push_back(Output::Close(id, how));
        }
    }

    /// Nobody at this end notices that a silent connection swallows what is written.
    fn put(&mut self, id: ConnectionId, output: Output) -> bool {
        match self.open.get(&id) {
            None => false,
            Some(session) => {
                if !session.silent {
                    self.outputs.push_back(output);
                }
                true
            }
        }
    }

    pub fn tell(&mut self, id: ConnectionId, what: What) {
        if !self.untold {
            self.outputs.push_back(Output::Happened(id, what));
        }
    }

    pub fn push(&mut self, provider: String, prid: String) {
        self.outputs.push_back(Output::Push { provider, prid });
    }

    pub fn next(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub fn remove(&mut self, id: ConnectionId) {
        self.open.remove(&id);
    }

    pub fn ids(&self) -> Vec<ConnectionId> {
        self.open.keys().copied().collect()
    }
}
