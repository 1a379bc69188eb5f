//! Messages that may not leave yet: they are not kept, nobody has noted that they leave, or too many are under way.

use super::item::Item;
use super::{MAX_MESSAGES, MAX_UNDER_WAY, Outbox};
use crate::event::MessageId;
use crate::message::{Kind, RestoreRefused, StoredMessage, peer_of};
use crate::request::Identifiers;
use crate::time::Now;
use aldis_sip::Params;
use aldis_sip::fields::{CallId, FieldValue};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// So many messages are under way at first. Each one that is accepted makes room for one more, up to [`MAX_UNDER_WAY`], so
/// that what was queued while there was no connection does not fall upon a server that counts requests.
const FIRST_WINDOW: usize = 16;
/// After so long without sending anything the server's mind may have changed.
const WINDOW_KEPT: Duration = Duration::from_secs(32);

/// So many messages to one recipient leave soon once there is a connection: noting it together costs one commit for each.
const SOON: usize = 4;

pub(super) struct Hold {
    /// Not kept yet.
    unstored: BTreeSet<MessageId>,
    /// Noted: their bytes may leave.
    noted: BTreeSet<MessageId>,
    /// The first of their lanes, for which one of the above is awaited.
    stalled: BTreeSet<MessageId>,
    /// To be asked for.
    questions: VecDeque<MessageId>,
    /// When those that wait are of no use any more.
    expiries: BTreeSet<(Duration, MessageId)>,
    expiry_of: BTreeMap<MessageId, Duration>,
    window: usize,
    last_sent: Duration,
}

impl Default for Hold {
    fn default() -> Self {
        Hold {
            unstored: BTreeSet::new(),
            noted: BTreeSet::new(),
            stalled: BTreeSet::new(),
            questions: VecDeque::new(),
            expiries: BTreeSet::new(),
            expiry_of: BTreeMap::new(),
            window: FIRST_WINDOW,
            last_sent: Duration::ZERO,
        }
    }
}

impl Hold {
    /// How many messages may be under way.
    pub fn window(&mut self, now: Now) -> usize {
        if self.last_sent + WINDOW_KEPT < now.mono {
            self.window = FIRST_WINDOW;
        }
        self.window
    }

    pub fn widen(&mut self) {
        self.window = (self.window + 1).min(MAX_UNDER_WAY);
    }

    pub fn narrow(&mut self) {
        self.window = FIRST_WINDOW;
    }

    /// Whether the first message of a lane may leave.
    pub fn lets_go(&mut self, id: &MessageId) -> bool {
        if self.unstored.contains(id) {
            self.stalled.insert(*id);
            return false;
        }
        if !self.noted.contains(id) {
            self.stalled.insert(*id);
            self.questions.push_back(*id);
            return false;
        }
        true
    }

    /// It leaves.
    pub fn sent(&mut self, now: Now, id: &MessageId) {
        self.last_sent = now.mono;
        self.stays_of_use(id);
    }

    fn stays_of_use(&mut self, id: &MessageId) {
        if let Some(at) = self.expiry_of.remove(id) {
            self.expiries.remove(&(at, *id));
        }
    }

    pub fn remove(&mut self, id: &MessageId) {
        self.unstored.remove(id);
        self.noted.remove(id);
        self.stalled.remove(id);
        self.questions.retain(|other| other != id);
        self.stays_of_use(id);
    }
}

impl Outbox {
    /// Adds a message. A status of typing is kept nowhere (COMP-05).
    pub(super) fn enter(&mut self, now: Now, id: MessageId, item: Item) {
        if item.message.kind == Kind::Composing {
            self.hold.noted.insert(id);
        }
        self.taken += 1;
        self.lanes.add(&item.lane, item.order, id);
        if let Some(seconds) = item.message.expires.filter(|seconds| *seconds > 0) {
            let until = Duration::from_secs(u64::try_from(item.date).unwrap_or_default())
                .saturating_add(Duration::from_secs(u64::from(seconds)));
            let at = now.mono + until.saturating_sub(now.wall);
            self.hold.expiries.insert((at, id));
            self.hold.expiry_of.insert(id, at);
        }
        self.items.insert(id, item);
    }

    /// Holds a new message until it is kept; gives what is to be kept. `connected`: what has its turn leaves.
    pub fn hold(&mut self, id: &MessageId, connected: bool) -> Option<StoredMessage> {
        let item = self.items.get(id)?;
        self.hold.unstored.insert(*id);
        Some(StoredMessage {
            id: *id,
            call_id: item.identifiers.call_id.as_str().to_owned(),
            from_tag: item.identifiers.from_tag.clone(),
            date: item.date,
            may_have_left: item.may_have_left,
            leaves_soon: connected && self.lanes.is_among(SOON, &item.lane, item.order),
            message: item.message.clone(),
        })
    }

    /// Whether a message is not kept yet.
    pub fn is_held(&self, id: &MessageId) -> bool {
        self.hold.unstored.contains(id)
    }

    /// A message is kept; whether it was waited for.
    pub fn stored(&mut self, id: &MessageId) -> bool {
        let waited = self.hold.unstored.remove(id);
        self.go_on(id);
        waited
    }

    /// It is noted that a message leaves; whether it was waited for.
    pub fn may_leave(&mut self, id: &MessageId) -> bool {
        let known = self.items.contains_key(id);
        if known {
            self.hold.noted.insert(*id);
            self.go_on(id);
        }
        known
    }

    fn go_on(&mut self, id: &MessageId) {
        if self.hold.stalled.remove(id)
            && let Some(item) = self.items.get(id)
        {
            self.lanes.again(item.order, *id);
        }
    }

    /// The next message to ask for.
    pub fn next_to_ask(&mut self) -> Option<MessageId> {
        self.hold.questions.pop_front()
    }

    /// Takes a message of an earlier run.
    pub fn restore(&mut self, now: Now, stored: StoredMessage) -> Result<(), RestoreRefused> {
        if self.count() >= MAX_MESSAGES {
            return Err(RestoreRefused::QueueFull(self.count()));
        }
        if self.items.contains_key(&stored.id) {
            return Err(RestoreRefused::Known);
        }
        let wrong = |text: &str| RestoreRefused::Malformed(text.into());
        // It becomes part of a request: what a file says is looked at like what the network says.
        let call_id = CallId::parse(&stored.call_id).map_err(|_| wrong(&stored.call_id))?.into_owned();
        if stored.from_tag.is_empty() || Params::none().with("tag", Some(&stored.from_tag)).is_err() {
            return Err(wrong(&stored.from_tag));
        }
        let identifiers = Identifiers { call_id, from_tag: stored.from_tag, cseq: 1 };
        let facts = self.peers.get(&peer_of(&stored.message.to));
        let mut item = Item::restored(self.taken, stored.message, identifiers, stored.date, facts);
        item.may_have_left = stored.may_have_left;
        self.enter(now, stored.id, item);
        Ok(())
    }

    /// A message that waits and is of no use any more.
    pub fn expired(&mut self, now: Now) -> Option<MessageId> {
        let (at, id) = self.hold.expiries.first().copied()?;
        if at > now.mono {
            return None;
        }
        self.hold.stays_of_use(&id);
        Some(id)
    }

    /// When the next one is of no use.
    pub fn next_expiry(&self) -> Option<Duration> {
        self.hold.expiries.first().map(|(at, _)| *at)
    }
}
