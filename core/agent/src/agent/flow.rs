//! The connection: when it is made, replaced and given up, and what leaves over it.

use super::{Agent, FIRST_RECONNECT, Flow, IDLE, Output, Up};
use crate::event::{
    BackOffReason, ConnectionChange, Event, FlowId, LostReason, MessageFailure, MessageId,
    RegistrationChange, RegistrationFailure, UnknownReason,
};
use crate::keepalive::PING;
use crate::outbox::Ended;
use crate::registration::back_off;
use crate::time::{Deadline, Now, Reason};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Duration;

impl Agent {
    /// When something is due by itself: the earliest of all, computed from the state.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        if self.stop_at.is_some() && matches!(self.flow, Flow::None) {
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
        match &self.flow {
            Flow::Waiting { until } => add(Some(*until), Reason::Reconnect),
            Flow::Up(up) => {
                add(self.registration.deadline().filter(|_| self.registration.wanted), Reason::Registration);
                add(self.outbox.deadline().filter(|_| self.may_send()), Reason::ServerBusy);
                if let Some((at, pong)) = up.alive.deadline() {
                    add(Some(at), if pong { Reason::Pong } else { Reason::Ping });
                }
                add(up.idle_since.map(|since| since + IDLE), Reason::Idle);
            }
            Flow::None | Flow::Connecting(_) => {}
        }
        first
    }

    pub(super) fn up(&mut self, id: FlowId) -> Option<&mut Up> {
        match &mut self.flow {
            Flow::Up(up) if up.id == id => Some(up),
            _ => None,
        }
    }

    pub(super) fn wait(&mut self, now: Now, retry_in: Duration, why: BackOffReason) {
        if self.is_needed() {
            self.flow = Flow::Waiting { until: now.mono + retry_in };
            self.tell(Event::Connection(ConnectionChange::BackingOff { why, retry_in }));
        } else {
            self.flow = Flow::None;
        }
    }

    /// Closes the connection ourselves, because it has failed.
    pub(super) fn drop_flow(&mut self, now: Now, why: LostReason) {
        match std::mem::replace(&mut self.flow, Flow::None) {
            Flow::Up(up) => {
                self.outputs.push_back(Output::Close(up.id));
                self.lost(now, &up, why);
            }
            other => self.flow = other,
        }
    }

    /// What a lost connection means for all that went over it. `up` is what it was; the flow is none already.
    pub(super) fn lost(&mut self, now: Now, up: &Up, why: LostReason) {
        let no_answer = why == LostReason::NoAnswer;
        let awaited = self.registration.is_pending();
        self.transactions.clear();
        for id in self.outbox.under_way() {
            self.end_message(id, MessageFailure::Withdrawn, UnknownReason::ConnectionLost);
        }
        self.tell(Event::Connection(ConnectionChange::Lost { why: why.clone() }));
        if self.registration.flow_lost() {
            self.tell(Event::Registration(RegistrationChange::Unregistered));
        }
        if up.was_successful(now) {
            self.failures = 0;
        }
        // One attempt at once for what had been registered (OUT-11), but not where no answer came (REG-16).
        let at_once = self.failures == 0 && up.registered_at.is_some() && !no_answer;
        let retry_in = if why == LostReason::NetworkChanged {
            return;
        } else if at_once {
            self.random.percent(FIRST_RECONNECT, 0, 100)
        } else {
            back_off(&mut self.random, self.failures.saturating_add(1))
        };
        self.failures = self.failures.saturating_add(1);
        self.wait(now, retry_in, BackOffReason::Lost(why));
        if awaited && no_answer && self.registration.wanted {
            let (why, retry_in) = (RegistrationFailure::Timeout, Some(retry_in));
            self.tell(Event::Registration(RegistrationChange::Failed { why, status: None, retry_in }));
        }
    }

    /// Ends a message that has no answer.
    pub(super) fn end_message(&mut self, id: MessageId, unsent: MessageFailure, sent: UnknownReason) {
        let Some(Ended { to, kind, state, branch }) = self.outbox.end(&id, unsent, sent) else { return };
        if let Some(branch) = branch {
            self.transactions.end(&branch);
        }
        self.tell_outgoing(id, to, kind, state);
    }

    fn is_needed(&self) -> bool {
        self.registration.needs_flow() || !self.outbox.is_empty()
    }

    /// Messages wait for a registration that is wanted (OUT-14).
    pub(super) fn may_send(&self) -> bool {
        !self.registration.wanted || self.registration.is_bound()
    }

    /// Does what the state asks for.
    pub(super) fn advance(&mut self, now: Now) {
        self.tell_news();
        self.registration.expire(now);
        let refusal = self.registration.refusal().filter(|_| self.registration.wanted);
        if let Some(why) = refusal.filter(|_| !self.outbox.is_empty()).cloned() {
            for id in self.outbox.waiting() {
                self.end_message(id, MessageFailure::NotRegistered(why.clone()), UnknownReason::Stopped);
            }
        }
        match &self.flow {
            Flow::None if self.is_needed() => self.connect(),
            Flow::Waiting { .. } if !self.is_needed() => self.flow = Flow::None,
            Flow::Waiting { until } if *until <= now.mono => self.connect(),
            Flow::Connecting(id) if self.stop_at.is_some() || !self.is_needed() => {
                self.outputs.push_back(Output::Close(*id));
                self.flow = Flow::None;
            }
            _ => {}
        }
        if let Flow::Up(up) = &self.flow {
            let (id, local) = (up.id, up.local);
            self.use_flow(now, id, local);
        }
    }

    fn connect(&mut self) {
        self.last_flow += 1;
        let id = FlowId(self.last_flow);
        self.flow = Flow::Connecting(id);
        self.tell(Event::Connection(ConnectionChange::Connecting));
        self.outputs.push_back(Output::Connect(id));
    }

    fn use_flow(&mut self, now: Now, id: FlowId, local: SocketAddr) {
        if let Some(removal) = self.registration.due(now) {
            if let Some(change) = self.registration.announcement(removal) {
                self.tell(Event::Registration(change));
            }
            self.send_register(now, id, local, removal);
        }
        let may_send = self.may_send();
        while may_send && let Some(message) = self.outbox.next_ready(now) {
            self.is_leaving(message);
            self.send_request(now, id, local, message);
        }
        self.ask_to_leave();
        // Whoever waits for an answer to his message gets it before we go.
        let needed = self.is_needed() || self.server.is_waiting();
        let stopping = self.stop_at.is_some();
        let Some(up) = self.up(id) else { return };
        up.idle_since = if needed { None } else { up.idle_since.or(Some(now.mono)) };
        let idle_too_long = up.idle_since.is_some_and(|since| stopping || since + IDLE <= now.mono);
        if idle_too_long {
            self.flow = Flow::None;
            self.outputs.push_back(Output::Close(id));
            self.tell(Event::Connection(ConnectionChange::Closed));
            return;
        }
        let random = &mut self.random;
        if let Flow::Up(up) = &mut self.flow
            && up.alive.ping_due(now, random)
        {
            self.outputs.push_back(Output::Transmit(id, Bytes::from_static(PING)));
        }
    }

    /// Shutting down has taken long enough.
    pub(super) fn give_up(&mut self) {
        self.end_messages();
        if self.registration.abandon() {
            self.tell(Event::Registration(RegistrationChange::Unregistered));
        }
        self.transactions.clear();
        match std::mem::replace(&mut self.flow, Flow::None) {
            Flow::Up(up) => {
                self.outputs.push_back(Output::Close(up.id));
                self.tell(Event::Connection(ConnectionChange::Closed));
            }
            Flow::Connecting(id) => self.outputs.push_back(Output::Close(id)),
            Flow::None | Flow::Waiting { .. } => {}
        }
    }
}
