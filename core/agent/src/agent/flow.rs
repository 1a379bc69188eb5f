//! Which flows there are to be, when they connect, and what leaves over them.

use super::slot::{Link, Slot, Up};
use super::{Agent, Connect, FRESH, HEAD_START, IDLE, Output};
use crate::event::{ConnectionChange, FlowId, MessageFailure, RegistrationChange, UnknownReason};
use crate::keepalive::PING;
use crate::time::{Deadline, Now, Reason};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Duration;

impl Agent {
    /// When something is due by itself: the earliest of all, computed from the state.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        if self.is_finished() {
            return None;
        }
        let mut first: Option<Deadline> = None;
        let mut add = |at: Option<Duration>, reason| {
            if let Some(at) = at
                && first.is_none_or(|first| at < first.at)
            {
                first = Some(Deadline { at, reason });
            }
        };
        add(self.transactions.deadline(), Reason::RequestTimeout);
        add(self.server.deadline(), Reason::AnswerDue);
        add(self.composing.deadline(), Reason::Composing);
        add(self.outbox.next_expiry(), Reason::MessageExpiry);
        add(self.stop_at, Reason::Shutdown);
        add(self.next_start(), Reason::Registration);
        if self.carrier().is_some() {
            add(self.outbox.deadline(), Reason::ServerBusy);
            add(self.subscriptions.deadline().filter(|_| self.wanted.is_some()), Reason::Subscription);
        }
        let longest = self.longest_interval();
        for (index, slot) in self.slots.iter().enumerate() {
            match &slot.link {
                Link::Down { not_before } if self.needs(index) && self.stop_at.is_none() => {
                    add(Some(*not_before), Reason::Reconnect);
                }
                Link::Up(up) => {
                    // While an earlier REGISTER is open on the connection none follows (REG-04), whatever is due.
                    if !self.transactions.has_register(up.id) {
                        add(slot.registration.deadline(), Reason::Registration);
                    }
                    if let Some((at, pong)) = up.alive.deadline(longest) {
                        add(Some(at), if pong { Reason::Pong } else { Reason::Ping });
                    }
                    add(up.idle_since.map(|since| since + IDLE), Reason::Idle);
                }
                Link::Down { .. } | Link::Connecting(_) => {}
            }
            if let Some((at, true)) = slot.old.as_ref().and_then(|old| old.alive.deadline(longest)) {
                add(Some(at), Reason::Pong);
            }
        }
        first
    }

    /// The longest time between pings on a flow whose server names none.
    pub(super) fn longest_interval(&self) -> Duration {
        let timing = &self.account.timing;
        if self.background { timing.background_ping } else { timing.ping }
    }

    /// The flow of a connection, and the connection.
    pub(super) fn up(&mut self, id: FlowId) -> Option<(usize, &mut Up)> {
        let mut all = self.slots.iter_mut().enumerate();
        all.find_map(|(index, slot)| slot.ups_mut().find(|up| up.id == id).map(|up| (index, up)))
    }

    /// The flow for which this connection is being made.
    pub(super) fn connecting(&self, id: FlowId) -> Option<usize> {
        self.slots.iter().position(|slot| matches!(slot.link, Link::Connecting(current) if current == id))
    }

    /// The flow that registers before others, and alone where there is no outbound: one that is bound, else the first with the
    /// fewest failures of those to a server of their own and those that are to be registered. So one that was alone and is
    /// lost gets its attempt at once (OUT-11), and removes its old binding, whatever another waits for.
    fn lead(&self) -> usize {
        self.slots.iter().position(|slot| slot.registration.is_bound()).unwrap_or_else(|| {
            let failures = |slot: &Slot| slot.failures.saturating_add(slot.registration.failures());
            let places = self.account.places();
            let may_lead = |(index, slot): &(usize, &Slot)| *index < places || slot.registration.wanted;
            let candidates = self.slots.iter().enumerate().filter(may_lead);
            candidates.min_by_key(|(_, slot)| failures(slot)).map_or(0, |(index, _)| index)
        })
    }

    /// The flow that carries messages while nobody wants to be registered: one that is up, or coming, else the lead.
    pub(super) fn messenger(&self) -> usize {
        let up = self.slots.iter().position(|slot| slot.ups().next().is_some());
        let coming = || self.slots.iter().position(|slot| matches!(slot.link, Link::Connecting(_)));
        up.or_else(coming).unwrap_or_else(|| self.lead())
    }

    /// Whether a flow has to be there.
    pub(super) fn needs(&self, index: usize) -> bool {
        let Some(slot) = self.slots.get(index) else { return false };
        slot.registration.needs_flow()
            || slot.ups().any(|up| self.transactions.has(up.id))
            || (self.wanted.is_none() && !self.outbox.is_empty() && self.messenger() == index)
    }

    /// When a flow begins that gives others a head start.
    fn next_start(&self) -> Option<Duration> {
        let since = self.wanted.filter(|_| self.outbound.is_none() && !self.is_refused())?;
        let resting = self.slots.iter().enumerate().find(|(_, slot)| !slot.registration.wanted);
        resting.map(|(index, _)| since + HEAD_START.saturating_mul(u32::try_from(index).unwrap_or(u32::MAX)))
    }

    /// Whether the registrar said no for good and nothing says otherwise: no further flow is tried then.
    fn is_refused(&self) -> bool {
        let mut registrations = self.slots.iter().map(|slot| &slot.registration);
        registrations.clone().any(|one| one.refusal().is_some()) && !registrations.any(|one| one.is_bound())
    }

    /// Decides which flows are to be registered.
    fn choose(&mut self, now: Now) {
        let Some(since) = self.wanted.filter(|_| !self.is_refused()) else { return };
        let lead = self.lead();
        for index in 0..self.slots.len() {
            let head_start = HEAD_START.saturating_mul(u32::try_from(index).unwrap_or(u32::MAX));
            let wanted = index == lead || self.outbound.unwrap_or(since + head_start <= now.mono);
            let Some(slot) = self.slots.get_mut(index) else { continue };
            if wanted {
                slot.registration.wanted = true;
            } else if slot.registration.wanted {
                self.unwant(index);
            }
        }
    }

    /// A flow is not to be registered any longer.
    pub(super) fn unwant(&mut self, index: usize) {
        if self.slots.get_mut(index).is_some_and(|slot| slot.registration.unwant()) {
            self.registration(index, RegistrationChange::Unregistered);
        }
    }

    /// Does what the state asks for.
    pub(super) fn advance(&mut self, now: Now) {
        self.tell_news();
        for slot in &mut self.slots {
            slot.registration.expire(now);
        }
        self.choose(now);
        self.fail_what_cannot_leave();
        // What comes with something else costs no waking of its own.
        let longest = self.longest_interval();
        let stirring = self.slots.iter().any(|slot| {
            let refresh = slot.registration.is_bound() && slot.registration.due(now) == Some(false);
            refresh || slot.ups().next().is_some_and(|up| up.alive.is_due(now, longest))
        });
        for index in 0..self.slots.len() {
            self.settle(now, index);
            self.register_if_due(now, index, stirring);
            self.retire_old(index);
        }
        self.send_ready(now);
        self.subscribe_due(now);
        for index in 0..self.slots.len() {
            self.close_if_idle(now, index);
            self.ping_if_due(now, index, stirring);
        }
    }

    /// Messages that wait for a registration that is refused for good.
    fn fail_what_cannot_leave(&mut self) {
        if self.wanted.is_none() || self.outbox.is_empty() {
            return;
        }
        let mut wanted = self.slots.iter().map(|slot| &slot.registration).filter(|one| one.wanted);
        let all_refused = wanted.clone().all(|one| one.refusal().is_some());
        let Some(why) = wanted.find_map(|one| one.refusal()).filter(|_| all_refused).cloned() else { return };
        for id in self.outbox.waiting() {
            self.end_message(id, MessageFailure::NotRegistered(why.clone()), UnknownReason::ConnectionLost);
        }
    }

    /// Begins and gives up attempts.
    fn settle(&mut self, now: Now, index: usize) {
        let (needed, stopping) = (self.needs(index), self.stop_at.is_some());
        let Some(slot) = self.slots.get_mut(index) else { return };
        match slot.link {
            Link::Connecting(id) if stopping || !needed => {
                self.outputs.push_back(Output::Close(id));
                slot.link = Link::DOWN;
            }
            Link::Down { not_before } if needed && !stopping && not_before <= now.mono => {
                self.connect(index);
            }
            _ => {}
        }
        let Some(slot) = self.slots.get(index) else { return };
        if slot.is_down() && slot.old.is_some() && (stopping || !needed) {
            self.restore(index);
        }
    }

    pub(super) fn connect(&mut self, index: usize) {
        self.last_flow += 1;
        let flow = FlowId(self.last_flow);
        let others = self.slots.iter().enumerate().filter(|(other, _)| *other != index);
        let mut avoid: Vec<SocketAddr> = others.filter_map(|(_, slot)| slot.last_peer).collect();
        let Some(slot) = self.slots.get_mut(index) else { return };
        avoid.extend(slot.shunned);
        slot.link = Link::Connecting(flow);
        let redirect = slot.redirect.clone();
        self.connection(index, ConnectionChange::Connecting);
        self.outputs.push_back(Output::Connect(Connect { flow, slot: index, avoid, redirect }));
    }

    fn register_if_due(&mut self, now: Now, index: usize, stirring: bool) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let Link::Up(up) = &slot.link else { return };
        let early = (stirring && slot.registration.may_refresh(now)).then_some(false);
        let Some(removal) = slot.registration.due(now).or(early) else { return };
        if self.transactions.has_register(up.id) {
            return;
        }
        if !removal && slot.shunned == Some(up.peer) && slot.elsewhere_from <= now.mono {
            return self.replace(index);
        }
        let (id, local) = (up.id, up.local);
        if let Some(change) = slot.registration.announcement(removal) {
            self.registration(index, change);
        }
        self.send_register(now, index, id, local, removal);
    }

    /// The connection that messages leave on now: one that is registered, if that is wanted (OUT-14), and not in doubt, if
    /// there is a choice.
    pub(super) fn carrier(&self) -> Option<(usize, FlowId, SocketAddr)> {
        let wanted = self.wanted.is_some();
        let mut best: Option<(bool, (usize, FlowId, SocketAddr))> = None;
        for (index, slot) in self.slots.iter().enumerate() {
            let is_old = |up: &Up| slot.old.as_ref().is_some_and(|old| old.id == up.id);
            let bound = slot.registration.is_bound();
            let usable =
                |up: &&Up| (!wanted || (bound && up.registered_at.is_some())) && (up.proven || !is_old(up));
            if let Some(up) = slot.ups().find(usable) {
                let doubtful = up.alive.is_in_doubt();
                if best.is_none_or(|(worse, _)| worse && !doubtful) {
                    best = Some((doubtful, (index, up.id, up.local)));
                }
            }
        }
        best.map(|(_, carrier)| carrier)
    }

    fn send_ready(&mut self, now: Now) {
        if self.outbox.is_empty() {
            return;
        }
        let Some((index, id, local)) = self.carrier() else { return };
        let mut sent = false;
        while let Some(message) = self.outbox.next_ready(now) {
            sent = true;
            if self.outbox.is_first(&message) {
                self.is_leaving(message);
            }
            self.send_request(now, index, id, local, message);
        }
        self.ask_to_leave();
        // A connection that has been quiet may be gone without notice. A ping beside the message finds that out in 10 s, long
        // before the message is given up, which then leaves on another one.
        if sent
            && let Some(up) = self.slots.get_mut(index).and_then(|slot| slot.ups_mut().find(|up| up.id == id))
            && up.alive.expects_pongs()
            && !up.alive.is_in_doubt()
            && up.heard_at + FRESH <= now.mono
        {
            up.alive.ping(now, &mut self.random);
            self.outputs.push_back(Output::Transmit(id, Bytes::from_static(PING)));
        }
    }

    /// Closes a connection whose place another one has taken, once its answers have come. One that brought nothing since it was
    /// doubted is not waited for.
    fn retire_old(&mut self, index: usize) {
        let waiting = self.server.is_waiting();
        let Some(slot) = self.slots.get_mut(index) else { return };
        let (Link::Up(up), Some(old)) = (&slot.link, &slot.old) else { return };
        let taken = up.registered_at.is_some() || !slot.registration.needs_flow();
        if !taken || (old.proven && (waiting || self.transactions.has(old.id))) {
            return;
        }
        let id = old.id;
        slot.old = None;
        self.outputs.push_back(Output::Close(id));
        self.orphan(id);
    }

    fn close_if_idle(&mut self, now: Now, index: usize) {
        // Whoever waits for an answer to his message gets it before we go.
        let needed = self.needs(index) || self.server.is_waiting();
        let stopping = self.stop_at.is_some();
        let Some(slot) = self.slots.get_mut(index) else { return };
        let Link::Up(up) = &mut slot.link else { return };
        up.idle_since = if needed { None } else { up.idle_since.or(Some(now.mono)) };
        let id = up.id;
        if up.idle_since.is_some_and(|since| stopping || since + IDLE <= now.mono) {
            slot.link = Link::DOWN;
            // Where a redirect led is for the connection; the next one begins at home.
            slot.redirect = None;
            if let Some(old) = slot.old.take() {
                self.outputs.push_back(Output::Close(old.id));
            }
            self.outputs.push_back(Output::Close(id));
            self.connection(index, ConnectionChange::Closed);
        }
    }

    fn ping_if_due(&mut self, now: Now, index: usize, stirring: bool) {
        let longest = self.longest_interval();
        let Some(slot) = self.slots.get_mut(index) else { return };
        let Link::Up(up) = &mut slot.link else { return };
        if up.alive.is_due(now, longest) || (stirring && up.alive.may_ping(now, longest)) {
            up.alive.ping(now, &mut self.random);
            self.outputs.push_back(Output::Transmit(up.id, Bytes::from_static(PING)));
        }
    }
}
