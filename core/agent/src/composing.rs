//! Who is writing (RFC 3994): the timers of both sides. Nothing here is stored, and nothing waits for it.

use crate::message::peer_of;
use aldis_sip::Uri;
use aldis_sip::body::composing::IsComposing;
use std::collections::BTreeMap;
use std::time::Duration;

/// An active state is sent again no sooner (COMP-01; RFC 3994 §3.2).
const REFRESH: Duration = Duration::from_secs(60);
/// Without a keystroke for so long the user has stopped.
const IDLE_AFTER: Duration = Duration::from_secs(15);
/// What the receiver is told to wait for the next status: later than it comes.
const REFRESH_TOLD: u32 = 90;
/// How long an active state holds that names no time (RFC 3994 §3.3).
const HOLDS: Duration = Duration::from_secs(120);
/// The longest time that a stranger can make it hold.
const MAX_HOLDS: u32 = 600;
/// Most peers that we are writing to, and most that are writing to us.
const MAX_PEERS: usize = 256;

/// Both directions.
#[derive(Default)]
pub(crate) struct Composing {
    /// Whom we are writing to.
    writing: BTreeMap<String, Writing>,
    /// Who is writing to us.
    reading: BTreeMap<String, Reading>,
    /// Who let a status go without an answer: nothing is sent there again while this agent lives (I-08).
    silent: BTreeMap<String, ()>,
}

struct Writing {
    to: Uri<'static>,
    idle_at: Duration,
    refresh_at: Duration,
}

struct Reading {
    from: Uri<'static>,
    until: Duration,
}

/// A status that is to be sent.
pub(crate) struct Status {
    pub to: Uri<'static>,
    pub status: IsComposing,
}

impl Composing {
    /// The user has typed. Gives the status to send, if one is due.
    pub fn typed(&mut self, now: Duration, to: &Uri<'static>) -> Option<Status> {
        let peer = peer_of(to);
        if self.silent.contains_key(&peer) {
            return None;
        }
        if let Some(writing) = self.writing.get_mut(&peer) {
            writing.idle_at = now + IDLE_AFTER;
            return None;
        }
        if self.writing.len() >= MAX_PEERS {
            return None;
        }
        Some(Status { to: to.clone(), status: IsComposing::active(Some(REFRESH_TOLD)) })
    }

    /// The status that [`Composing::typed`] gave has left.
    pub fn is_active(&mut self, now: Duration, to: &Uri<'static>) {
        let writing = Writing { to: to.clone(), idle_at: now + IDLE_AFTER, refresh_at: now + REFRESH };
        self.writing.insert(peer_of(to), writing);
    }

    /// A message was sent there: it says that writing has ended (COMP-01).
    pub fn ended(&mut self, to: &Uri<'static>) {
        self.writing.remove(&peer_of(to));
    }

    /// A status had no answer.
    pub fn unanswered(&mut self, to: &Uri<'static>) {
        if self.silent.len() >= MAX_PEERS {
            self.silent.pop_first();
        }
        self.silent.insert(peer_of(to), ());
        self.ended(to);
    }

    /// What is due to be sent: idle where nobody types any more, active again where somebody still does.
    pub fn due(&mut self, now: Duration) -> Vec<Status> {
        let mut due = Vec::new();
        self.writing.retain(|_, writing| {
            let to = writing.to.clone();
            if writing.idle_at <= now {
                due.push(Status { to, status: IsComposing::idle() });
                return false;
            }
            if writing.refresh_at <= now {
                writing.refresh_at = now + REFRESH;
                due.push(Status { to, status: IsComposing::active(Some(REFRESH_TOLD)) });
            }
            true
        });
        due
    }

    /// A status came. Gives whether the state of its sender has changed.
    pub fn received(&mut self, now: Duration, from: &Uri<'static>, status: &IsComposing) -> bool {
        let peer = peer_of(from);
        if !status.active {
            return self.reading.remove(&peer).is_some();
        }
        let holds =
            status.refresh.map_or(HOLDS, |seconds| Duration::from_secs(u64::from(seconds.min(MAX_HOLDS))));
        if self.reading.len() >= MAX_PEERS && !self.reading.contains_key(&peer) {
            return false;
        }
        self.reading.insert(peer, Reading { from: from.clone(), until: now + holds }).is_none()
    }

    /// A message came: its sender has written (COMP-03). Gives whether that is a change.
    pub fn wrote(&mut self, from: &Uri<'static>) -> bool {
        self.reading.remove(&peer_of(from)).is_some()
    }

    /// Who has stopped without saying so.
    pub fn expired(&mut self, now: Duration) -> Vec<Uri<'static>> {
        let mut gone = Vec::new();
        self.reading.retain(|_, reading| {
            let over = reading.until <= now;
            if over {
                gone.push(reading.from.clone());
            }
            !over
        });
        gone
    }

    /// When the next of all this is due.
    pub fn deadline(&self) -> Option<Duration> {
        let writing = self.writing.values().map(|writing| writing.idle_at.min(writing.refresh_at));
        writing.chain(self.reading.values().map(|reading| reading.until)).min()
    }
}
