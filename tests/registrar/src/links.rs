//! The open connections, as seen by those who want to write to them.

use crate::entry::ConnectionId;
use crate::options::MAX_QUEUE;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{Notify, mpsc};

/// How the server ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// After what waits to be written, with TLS's close_notify.
    Clean,
    /// At once, with a TCP reset.
    Abrupt,
}

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

#[derive(Debug, Default)]
pub(crate) struct Links {
    open: BTreeMap<ConnectionId, Link>,
    accepted: u64,
}

impl Links {
    /// Numbers a new connection.
    pub fn open(&mut self) -> (ConnectionId, LinkEnd) {
        self.accepted += 1;
        let id = ConnectionId(self.accepted);
        let (sender, queue) = mpsc::channel(MAX_QUEUE);
        let kill = Arc::new(Notify::new());
        self.open.insert(id, Link { queue: sender, kill: kill.clone() });
        (id, LinkEnd { queue, kill })
    }

    /// Queues something; `false` if the connection is gone, or was closed now since it does not keep up.
    pub fn send(&mut self, id: ConnectionId, out: Out) -> bool {
        let Some(link) = self.open.get(&id) else { return false };
        match link.queue.try_send(out) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(_)) => {
                link.kill.notify_one();
                false
            }
        }
    }

    pub fn close(&mut self, id: ConnectionId, how: Close) {
        match how {
            Close::Clean => {
                self.send(id, Out::Close);
            }
            Close::Abrupt => {
                if let Some(link) = self.open.get(&id) {
                    link.kill.notify_one();
                }
            }
        }
    }

    pub fn remove(&mut self, id: ConnectionId) {
        self.open.remove(&id);
    }

    pub fn ids(&self) -> Vec<ConnectionId> {
        self.open.keys().copied().collect()
    }

    pub fn count(&self) -> usize {
        self.open.len()
    }
}
