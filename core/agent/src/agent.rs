//! The agent itself: commands and what the world did come in, outputs go out.

use crate::account::Account;
use crate::event::{
    AnswerWith, BackOffReason, ConnectionChange, Event, FlowId, LostReason, MessageFailure, MessageId,
    OutgoingState, RegistrationChange, RegistrationFailure, Ticket, UnknownReason,
};
use crate::keepalive::{KeepAlive, LineEnd, PING, PONG};
use crate::outbox::{NewMessage, Outbox, Outcome, SendRefused};
use crate::random::Random;
use crate::registration::{Next, Registration, back_off};
use crate::server::{Reaction, Server, Source};
use crate::spaces::Spaces;
use crate::time::{Deadline, Now, Reason, TRANSACTION_LIFETIME};
use aldis_sip::fields::Via;
use aldis_sip::{Frame, Framer, Judgement, Message, Method, Params, Secret, StartLine};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// A connection that had registered is replaced after a random part of this (OUT-11).
const FIRST_RECONNECT: Duration = Duration::from_millis(500);
/// A connection that nobody needs stays open this long for the next message.
const IDLE: Duration = Duration::from_secs(32);
/// How long shutting down waits for an answer to the last REGISTER.
const SHUTDOWN_WITHIN: Duration = Duration::from_secs(4);

/// What the driver must do next.
#[derive(Debug)]
pub enum Output {
    /// Connect to a server that proves the account's identity, and say what came of it.
    Connect(FlowId),
    /// Send these bytes, in this order.
    Transmit(FlowId, Bytes),
    /// Close the connection after what was sent; nothing is to be reported.
    Close(FlowId),
    /// Tell the app.
    Event(Event),
    /// Nothing now: call [`Agent::handle_timeout`] at the deadline, or when something happens.
    Wait(Option<Deadline>),
}

enum Flow {
    None,
    Waiting { until: Duration },
    Connecting(FlowId),
    Up(Box<Up>),
}

struct Up {
    id: FlowId,
    local: SocketAddr,
    peer: SocketAddr,
    framer: Framer,
    alive: KeepAlive,
    /// Since when nobody needs it.
    idle_since: Option<Duration>,
    /// Whether a REGISTER over it has succeeded.
    registered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Register { removal: bool },
    Message(MessageId),
}

/// A user agent of one account. See the crate's documentation for the contract.
pub struct Agent {
    account: Account,
    random: Random,
    flow: Flow,
    last_flow: u64,
    /// Connections in a row that did not come up or answered nothing (OUT-09).
    failures: u32,
    registration: Registration,
    spaces: Spaces,
    outbox: Outbox,
    server: Server,
    /// Client transactions by branch.
    transactions: BTreeMap<String, Purpose>,
    /// Timer F of each, oldest first; those that ended are passed over.
    timers: VecDeque<(Duration, String)>,
    outputs: VecDeque<Output>,
    stop_at: Option<Duration>,
}

impl Agent {
    /// An agent that does nothing yet. The same `seed` gives the same run; it must be random and secret.
    pub fn new(account: Account, seed: [u8; 32]) -> Self {
        let mut random = Random::new(seed);
        Agent {
            registration: Registration::new(&account, &mut random),
            account,
            random,
            flow: Flow::None,
            last_flow: 0,
            failures: 0,
            spaces: Spaces::default(),
            outbox: Outbox::default(),
            server: Server::default(),
            transactions: BTreeMap::new(),
            timers: VecDeque::new(),
            outputs: VecDeque::new(),
            stop_at: None,
        }
    }

    /// The account.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Whether shutting down has ended: nothing more comes.
    pub fn is_finished(&self) -> bool {
        self.stop_at.is_some() && matches!(self.flow, Flow::None) && self.outputs.is_empty()
    }

    /// States the intent to be registered; what becomes of it are events. Tries again what was refused for good.
    pub fn register(&mut self, now: Now) {
        if self.stop_at.is_none() {
            self.spaces.forget_rejection();
            self.registration.want();
            self.advance(now);
        }
    }

    /// States the intent not to be registered; the binding is removed.
    pub fn unregister(&mut self, now: Now) {
        let had = self.registration.wanted || self.registration.is_bound();
        self.registration.wanted = false;
        if had && !self.registration.is_bound() && !self.registration.is_pending() {
            self.tell(Event::Registration(RegistrationChange::Unregistered));
        }
        self.advance(now);
    }

    /// Other credentials: what was refused for them is tried again.
    pub fn set_credentials(&mut self, now: Now, user: &str, password: Secret) {
        self.account = self.account.clone().with_auth_user(user).with_password(password);
        self.spaces.forget_rejection();
        if self.registration.refusal().is_some_and(RegistrationFailure::is_credentials) {
            self.registration.want();
        }
        self.advance(now);
    }

    /// Takes a message over. It waits for a connection, and for any earlier message to the same recipient.
    ///
    /// # Errors
    /// [`SendRefused`]: it was not taken, and nothing of it remains.
    pub fn send_message(&mut self, now: Now, message: NewMessage) -> Result<MessageId, SendRefused> {
        if self.stop_at.is_some() {
            return Err(SendRefused::Stopped);
        }
        let to = message.to.clone();
        let id = self.outbox.add(&self.account, &mut self.random, message)?;
        self.tell(Event::Outgoing { id, to, state: OutgoingState::Queued });
        self.advance(now);
        Ok(id)
    }

    /// Takes a message back: failed if nothing of it was sent, else unknown.
    pub fn withdraw(&mut self, now: Now, id: MessageId) {
        self.end_message(id, MessageFailure::Withdrawn, UnknownReason::Stopped);
        self.advance(now);
    }

    /// Answers a received message. A ticket that was answered or has run out does nothing.
    pub fn answer(&mut self, now: Now, ticket: Ticket, with: AnswerWith) {
        let reaction = self.server.answer(now, ticket, with);
        self.react(reaction);
        self.advance(now);
    }

    /// The system says that the network changed: the connection is replaced at once.
    pub fn network_changed(&mut self, now: Now) {
        self.failures = 0;
        match std::mem::replace(&mut self.flow, Flow::None) {
            Flow::Up(up) => {
                self.outputs.push_back(Output::Close(up.id));
                self.lost(now, LostReason::NetworkChanged);
            }
            Flow::Connecting(id) => self.outputs.push_back(Output::Close(id)),
            Flow::None | Flow::Waiting { .. } => {}
        }
        self.advance(now);
    }

    /// Unregisters, waits a few seconds at most, and closes. Messages that were not sent fail.
    pub fn shut_down(&mut self, now: Now) {
        if self.stop_at.is_none() {
            self.stop_at = Some(now.mono + SHUTDOWN_WITHIN);
            for id in self.outbox.all() {
                if !self.outbox.under_way().contains(&id) {
                    self.end_message(id, MessageFailure::Withdrawn, UnknownReason::Stopped);
                }
            }
            self.unregister(now);
        }
    }

    /// The connection asked for is up, and the server has proved its identity.
    pub fn handle_connected(&mut self, now: Now, id: FlowId, local: SocketAddr, peer: SocketAddr) {
        if !matches!(self.flow, Flow::Connecting(current) if current == id) {
            self.outputs.push_back(Output::Close(id));
            return;
        }
        self.flow = Flow::Up(Box::new(Up {
            id,
            local,
            peer,
            framer: Framer::new(),
            alive: KeepAlive::default(),
            idle_since: None,
            registered: false,
        }));
        self.tell(Event::Connection(ConnectionChange::Connected));
        self.advance(now);
    }

    /// The connection asked for did not come up, or its server was not trusted.
    pub fn handle_connect_failed(&mut self, now: Now, id: FlowId) {
        if matches!(self.flow, Flow::Connecting(current) if current == id) {
            self.failures = self.failures.saturating_add(1);
            let retry_in = back_off(&mut self.random, self.failures);
            self.wait(now, retry_in, BackOffReason::ConnectFailed);
            self.advance(now);
        }
    }

    /// The connection is gone.
    pub fn handle_closed(&mut self, now: Now, id: FlowId, why: LostReason) {
        if self.up(id).is_some() {
            self.flow = Flow::None;
            self.lost(now, why);
            self.advance(now);
        }
    }

    /// Bytes came.
    pub fn handle_bytes(&mut self, now: Now, id: FlowId, bytes: &[u8]) {
        let Some(up) = self.up(id) else { return };
        up.framer.push(bytes);
        while let Some(up) = self.up(id)
            && let Some(frame) = up.framer.next()
        {
            self.frame(now, id, frame);
        }
        self.advance(now);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some((_, branch)) = self.timers.front().filter(|(at, _)| *at <= now.mono).cloned() {
            self.timers.pop_front();
            match self.transactions.remove(&branch) {
                Some(Purpose::Message(id)) => {
                    self.end_message(id, MessageFailure::Withdrawn, UnknownReason::NoAnswer);
                }
                Some(Purpose::Register { .. }) if self.registration.pending_branch() == Some(&branch) => {
                    self.drop_flow(now, LostReason::NoAnswer);
                }
                _ => {}
            }
        }
        for reaction in self.server.timeout(now) {
            self.react(Some(reaction));
        }
        if let Flow::Up(up) = &self.flow
            && up.alive.is_overdue(now)
        {
            self.drop_flow(now, LostReason::NoPong);
        }
        if self.stop_at.is_some_and(|at| at <= now.mono) {
            self.give_up(now);
        }
        self.advance(now);
    }

    /// The next thing to do. Drain it after every call, until it says [`Output::Wait`].
    pub fn poll_output(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| Output::Wait(self.deadline()))
    }

    fn deadline(&mut self) -> Option<Deadline> {
        while self.timers.front().is_some_and(|(_, branch)| !self.transactions.contains_key(branch)) {
            self.timers.pop_front();
        }
        let mut all = Vec::with_capacity(6);
        let mut add = |at: Option<Duration>, reason| all.extend(at.map(|at| Deadline { at, reason }));
        add(self.timers.front().map(|(at, _)| *at), Reason::RequestTimeout);
        add(self.server.deadline(), Reason::AnswerDue);
        add(self.stop_at, Reason::Shutdown);
        match &self.flow {
            Flow::Waiting { until } => add(Some(*until), Reason::Reconnect),
            Flow::Up(up) => {
                add(self.registration.deadline().filter(|_| self.registration.wanted), Reason::Registration);
                if let Some((at, pong)) = up.alive.deadline() {
                    add(Some(at), if pong { Reason::Pong } else { Reason::Ping });
                }
                add(up.idle_since.map(|since| since + IDLE), Reason::Idle);
            }
            Flow::None | Flow::Connecting(_) => {}
        }
        all.into_iter().min_by_key(|deadline| deadline.at)
    }

    fn up(&mut self, id: FlowId) -> Option<&mut Up> {
        match &mut self.flow {
            Flow::Up(up) if up.id == id => Some(up),
            _ => None,
        }
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn react(&mut self, reaction: Option<Reaction>) {
        match reaction {
            // An answer goes on the connection of its request, or nowhere (TXN-09).
            Some(Reaction::Transmit(flow, bytes)) => {
                if self.up(flow).is_some() {
                    self.outputs.push_back(Output::Transmit(flow, bytes));
                }
            }
            Some(Reaction::Tell(event)) => self.tell(event),
            None => {}
        }
    }

    fn wait(&mut self, now: Now, retry_in: Duration, why: BackOffReason) {
        if self.is_needed() {
            self.flow = Flow::Waiting { until: now.mono + retry_in };
            self.tell(Event::Connection(ConnectionChange::BackingOff { why, retry_in }));
        } else {
            self.flow = Flow::None;
        }
    }

    /// Closes the connection ourselves, because it has failed.
    fn drop_flow(&mut self, now: Now, why: LostReason) {
        if let Flow::Up(up) = std::mem::replace(&mut self.flow, Flow::None) {
            self.outputs.push_back(Output::Close(up.id));
            if up.registered && !matches!(why, LostReason::NoAnswer) {
                self.failures = 0;
            }
            self.lost(now, why);
        }
    }

    /// What a lost connection means for all that went over it.
    fn lost(&mut self, now: Now, why: LostReason) {
        let was_registered = self.registration.is_bound();
        self.transactions.clear();
        self.timers.clear();
        for id in self.outbox.under_way() {
            self.end_message(id, MessageFailure::Withdrawn, UnknownReason::ConnectionLost);
        }
        self.registration.flow_lost();
        self.tell(Event::Connection(ConnectionChange::Lost { why: why.clone() }));
        let retry_in = match why {
            LostReason::NetworkChanged => Duration::ZERO,
            _ if was_registered && self.failures == 0 => self.random.percent(FIRST_RECONNECT, 0, 100),
            _ => {
                self.failures = self.failures.saturating_add(1);
                back_off(&mut self.random, self.failures)
            }
        };
        if self.stop_at.is_some() {
            self.registration.abandon();
        } else if retry_in > Duration::ZERO {
            self.wait(now, retry_in, BackOffReason::Lost(why));
        }
    }

    fn end_message(&mut self, id: MessageId, unsent: MessageFailure, sent: UnknownReason) {
        if let Some((to, state)) = self.outbox.end(&id, unsent, sent) {
            self.transactions.retain(|_, purpose| *purpose != Purpose::Message(id));
            self.tell(Event::Outgoing { id, to, state });
        }
    }

    fn is_needed(&self) -> bool {
        self.registration.needs_flow() || !self.outbox.is_empty()
    }

    /// Does what the state asks for, until it asks for nothing more.
    fn advance(&mut self, now: Now) {
        if let Some(why) = self.registration.refusal().filter(|_| self.registration.wanted).cloned() {
            for id in self.outbox.all() {
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
        let may_send = !self.registration.wanted || self.registration.is_bound();
        while may_send && let Some(message) = self.outbox.next_ready() {
            if let Some(to) = self.outbox.to(&message).cloned() {
                self.tell(Event::Outgoing { id: message, to, state: OutgoingState::Sending });
            }
            self.send_request(now, id, local, message);
        }
        let needed = self.is_needed();
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

    fn transact(&mut self, now: Now, flow: FlowId, branch: String, bytes: Bytes, purpose: Purpose) {
        self.timers.push_back((now.mono + TRANSACTION_LIFETIME, branch.clone()));
        self.transactions.insert(branch, purpose);
        self.outputs.push_back(Output::Transmit(flow, bytes));
    }

    fn send_register(&mut self, now: Now, flow: FlowId, local: SocketAddr, removal: bool) {
        let (branch, bytes) =
            self.registration.request(&self.account, &mut self.spaces, &mut self.random, local, removal);
        self.transact(now, flow, branch, bytes, Purpose::Register { removal });
    }

    fn send_request(&mut self, now: Now, flow: FlowId, local: SocketAddr, id: MessageId) {
        let request = self.outbox.request(&id, &self.account, &mut self.spaces, &mut self.random, local);
        if let Some((branch, bytes)) = request {
            self.transact(now, flow, branch, bytes, Purpose::Message(id));
        }
    }

    fn frame(&mut self, now: Now, id: FlowId, frame: Frame) {
        let (flow, random) = (&mut self.flow, &mut self.random);
        let Flow::Up(up) = flow else { return };
        let source = Source { flow: id, peer: up.peer };
        match frame {
            Frame::LineEnd => {
                if up.alive.line_end(now, random) == LineEnd::Ping {
                    self.outputs.push_back(Output::Transmit(id, Bytes::from_static(PONG)));
                }
            }
            Frame::Judged(judgement) => {
                up.alive.message();
                match judgement {
                    Judgement::Message(message) if message.is_response() => self.response(now, id, &message),
                    Judgement::Message(message) => {
                        let reactions =
                            self.server.request(now, message, source, &self.account, &mut self.random);
                        for reaction in reactions {
                            self.react(Some(reaction));
                        }
                    }
                    Judgement::Reject(rejection) => {
                        tracing::debug!(defect = %rejection.defect, "refused a request");
                        let reaction = self.server.reject(&rejection, source, &mut self.random);
                        self.react(reaction);
                    }
                    Judgement::Drop(defect) => tracing::debug!(%defect, "dropped a message"),
                    Judgement::Close(defect) => self.drop_flow(now, LostReason::NotSip(defect)),
                }
            }
        }
    }

    /// The transaction of a response (RFC 3261 §17.1.3), if it is one of ours and final.
    fn matching(&mut self, response: &Message) -> Option<Purpose> {
        let Flow::Up(up) = &self.flow else { return None };
        let mut vias = response.all::<Via<'_>>().flatten();
        let via = vias.next()?;
        // A second Via, or another sent-by: the response went astray (GEN-12, GEN-13).
        if vias.next().is_some() || via.sent_by != Via::tls(up.local, Params::none()).sent_by {
            return None;
        }
        let branch = via.branch()?;
        let purpose = *self.transactions.get(branch.as_ref())?;
        let method = match purpose {
            Purpose::Register { .. } => Method::Register,
            Purpose::Message(_) => Method::Message,
        };
        if response.cseq().ok()?.method != method || response.status()?.is_provisional() {
            return None;
        }
        self.transactions.remove(branch.as_ref())
    }

    fn response(&mut self, now: Now, flow: FlowId, response: &Message) {
        let Some(purpose) = self.matching(response) else { return };
        let Ok(StartLine::Response { status, reason }) = response.start_line() else { return };
        let Flow::Up(up) = &mut self.flow else { return };
        let local = up.local;
        // It answers: what comes next is not another failure in a row.
        self.failures = 0;
        match purpose {
            Purpose::Register { removal } => {
                let next = self.registration.response(
                    now,
                    &self.account,
                    &mut self.spaces,
                    &mut self.random,
                    response,
                    status,
                    &reason,
                );
                match next {
                    Next::Again => self.send_register(now, flow, local, removal),
                    Next::Tell(change) => self.tell(Event::Registration(change)),
                    Next::Bound { change, flow_timer, pongs } => {
                        up.registered = true;
                        up.alive.start(now, &mut self.random, flow_timer, pongs);
                        self.tell(Event::Registration(change));
                    }
                }
            }
            Purpose::Message(id) => {
                let outcome =
                    self.outbox.response(&id, &self.account, &mut self.spaces, response, status, &reason);
                match outcome {
                    Some(Outcome::Again) => self.send_request(now, flow, local, id),
                    Some(Outcome::Done(to, state)) => self.tell(Event::Outgoing { id, to, state }),
                    None => {}
                }
            }
        }
    }

    /// Shutting down has taken long enough.
    fn give_up(&mut self, now: Now) {
        for id in self.outbox.all() {
            self.end_message(id, MessageFailure::Withdrawn, UnknownReason::Stopped);
        }
        self.registration.abandon();
        self.transactions.clear();
        match std::mem::replace(&mut self.flow, Flow::None) {
            Flow::Up(up) => self.outputs.push_back(Output::Close(up.id)),
            Flow::Connecting(id) => self.outputs.push_back(Output::Close(id)),
            Flow::None | Flow::Waiting { .. } => {}
        }
        self.stop_at = Some(now.mono + SHUTDOWN_WITHIN);
    }
}
