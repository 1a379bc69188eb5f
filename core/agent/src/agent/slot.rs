//! One of the account's flows: its connection, and the registration over it.

use crate::account::Account;
use crate::event::FlowId;
use crate::keepalive::KeepAlive;
use crate::random::Random;
use crate::registration::Registration;
use crate::time::Now;
use aldis_sip::{Framer, Uri};
use std::net::SocketAddr;
use std::time::Duration;

/// A connection that was registered this long was a success even if no ping was answered.
const LASTING: Duration = Duration::from_secs(32);

/// A flow as the account has it; connections come and go (OUT-08).
pub(super) struct Slot {
    pub registration: Registration,
    pub link: Link,
    /// A connection whose place another one is taking: it serves while it is alive, until that is registered. Only beside
    /// one that comes or is up.
    pub old: Option<Box<Up>>,
    /// Connections in a row that did not come up, or did not last (OUT-09).
    pub failures: u32,
    /// The same where a 3xx had sent us there: they say nothing of the account's own server.
    pub strayed: u32,
    /// An attempt at once was made for a connection that had registered and was not a success otherwise.
    pub hasty: bool,
    /// Where it was connected to last.
    pub last_peer: Option<SocketAddr>,
    /// A host that said 503 to the first REGISTER, or sent it in a circle: the next attempt takes another, if there is one
    /// (REG-17).
    pub shunned: Option<SocketAddr>,
    /// No other host is looked for before this moment while a connection serves: the last attempt to do so failed (OUT-09).
    pub elsewhere_from: Duration,
    /// Where a 3xx sent the REGISTER.
    pub redirect: Option<Uri<'static>>,
    /// The longest time between pings after which the network has not yet forgotten a connection, if it has ever.
    pub bearable: Option<Duration>,
}

pub(super) enum Link {
    /// None, and no attempt before this moment.
    Down {
        not_before: Duration,
    },
    Connecting(FlowId),
    Up(Box<Up>),
}

impl Link {
    /// None, and an attempt may come at any time.
    pub const DOWN: Link = Link::Down { not_before: Duration::ZERO };
}

/// A connection that is up.
pub(super) struct Up {
    pub id: FlowId,
    pub local: SocketAddr,
    pub peer: SocketAddr,
    pub framer: Framer,
    pub alive: KeepAlive,
    /// Since when nobody needs it.
    pub idle_since: Option<Duration>,
    /// When a REGISTER over it first succeeded.
    pub registered_at: Option<Duration>,
    /// Whether anything has come since there was reason to doubt it.
    pub proven: bool,
    /// When anything came last, or it came up.
    pub heard_at: Duration,
}

impl Up {
    pub fn new(
        now: Now,
        id: FlowId,
        (local, peer): (SocketAddr, SocketAddr),
        bearable: Option<Duration>,
    ) -> Box<Self> {
        Box::new(Up {
            id,
            local,
            peer,
            framer: Framer::new(),
            alive: KeepAlive::new(bearable),
            idle_since: None,
            registered_at: None,
            proven: true,
            heard_at: now.mono,
        })
    }

    /// Whether it was a success for OUT-10: it registered, and answered a ping if it says that it does. Without pings
    /// to go by it must have lasted, or a server that closes at once would see us again at once.
    pub fn was_successful(&self, now: Now) -> bool {
        let Some(at) = self.registered_at else { return false };
        self.alive.has_ponged() || (!self.alive.expects_pongs() && at + LASTING <= now.mono)
    }
}

impl Slot {
    /// A connection did not come up, or did not last; how many there were in a row, of those to where a 3xx sent us or of the
    /// others.
    pub fn failed(&mut self, strayed: bool) -> u32 {
        let failures = if strayed { &mut self.strayed } else { &mut self.failures };
        *failures = failures.saturating_add(1);
        *failures
    }

    /// A connection was a success, or the path changed: what was before counts no longer.
    pub fn succeeded(&mut self) {
        (self.failures, self.strayed, self.hasty) = (0, 0, false);
    }

    pub fn new(account: &Account, index: usize, random: &mut Random) -> Self {
        Slot {
            registration: Registration::new(account, index, random),
            link: Link::DOWN,
            old: None,
            failures: 0,
            strayed: 0,
            hasty: false,
            last_peer: None,
            shunned: None,
            elsewhere_from: Duration::ZERO,
            redirect: None,
            bearable: None,
        }
    }

    /// Its connections that are up, the newer one first.
    pub fn ups(&self) -> impl Iterator<Item = &Up> {
        let current = match &self.link {
            Link::Up(up) => Some(up.as_ref()),
            _ => None,
        };
        current.into_iter().chain(self.old.as_deref())
    }

    pub fn ups_mut(&mut self) -> impl Iterator<Item = &mut Up> {
        let current = match &mut self.link {
            Link::Up(up) => Some(up.as_mut()),
            _ => None,
        };
        current.into_iter().chain(self.old.as_deref_mut())
    }

    /// The connection of which this is the number, if it is the present one.
    pub fn current(&mut self, id: FlowId) -> Option<&mut Up> {
        match &mut self.link {
            Link::Up(up) if up.id == id => Some(up),
            _ => None,
        }
    }

    pub fn is_down(&self) -> bool {
        matches!(self.link, Link::Down { .. })
    }

    /// The next attempt may come now, whatever was waited for.
    pub fn no_longer_waits(&mut self, now: Now) {
        self.elsewhere_from = Duration::ZERO;
        if let Link::Down { not_before } = &mut self.link {
            *not_before = now.mono;
        }
    }

    /// Whether it is registered, and nothing speaks against the connection.
    pub fn is_reliable(&self) -> bool {
        self.registration.is_bound() && self.ups().any(|up| up.registered_at.is_some() && up.proven)
    }

    /// Whether its binding and a connection to be reached over are there.
    pub fn is_registered(&self) -> bool {
        self.registration.is_bound() && self.ups().any(|up| up.registered_at.is_some())
    }
}
