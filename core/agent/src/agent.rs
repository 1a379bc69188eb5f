//! The agent itself: commands and what the world did come in, outputs go out.

mod durable;
mod exchange;
mod flow;
mod messaging;

use crate::account::Account;
use crate::composing::Composing;
use crate::event::{
    BackOffReason, ConnectionChange, Event, FlowId, LostReason, MessageFailure, MessageId,
    RegistrationChange, RegistrationFailure, Ticket, UnknownReason,
};
use crate::keepalive::KeepAlive;
use crate::message::{NewMessage, SendRefused};
use crate::outbox::{Leaving, Outbox};
use crate::random::Random;

use crate::received::AnswerWith;
use crate::registration::{Registration, back_off};
use crate::server::Server;
use crate::spaces::Spaces;
use crate::time::{Deadline, Now};
use crate::transactions::{Purpose, Transactions};
use aldis_sip::{Framer, Secret};
use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// A connection that had registered is replaced after a random part of this (OUT-11).
const FIRST_RECONNECT: Duration = Duration::from_millis(500);
/// A connection that was registered this long was a success even if no ping was answered.
const LASTING: Duration = Duration::from_secs(32);
/// A connection that nobody needs stays open this long for the next message.
const IDLE: Duration = Duration::from_secs(32);
/// How long shutting down waits for an answer to the last REGISTER.
const SHUTDOWN_WITHIN: Duration = Duration::from_secs(4);

/// What the driver must do next.
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

impl fmt::Debug for Output {
    /// Without what is sent: it holds answers to challenges and the bodies of messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Output::Connect(id) => f.debug_tuple("Connect").field(id).finish(),
            Output::Transmit(id, bytes) => {
                f.debug_tuple("Transmit").field(id).field(&format_args!("{} bytes", bytes.len())).finish()
            }
            Output::Close(id) => f.debug_tuple("Close").field(id).finish(),
            Output::Event(event) => f.debug_tuple("Event").field(event).finish(),
            Output::Wait(deadline) => f.debug_tuple("Wait").field(deadline).finish(),
        }
    }
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
    /// When a REGISTER over it first succeeded.
    registered_at: Option<Duration>,
}

impl Up {
    /// Whether it was a success for OUT-10: it registered, and answered a ping if it says that it does. Without pings
    /// to go by it must have lasted, or a server that closes at once would see us again at once.
    fn was_successful(&self, now: Now) -> bool {
        self.alive.has_ponged() || (!self.alive.expects_pongs() && self.has_lasted(now))
    }

    fn has_lasted(&self, now: Now) -> bool {
        self.registered_at.is_some_and(|at| at + LASTING <= now.mono)
    }
}

/// A user agent of one account. See the crate's documentation for the contract.
pub struct Agent {
    account: Account,
    random: Random,
    flow: Flow,
    last_flow: u64,
    /// Connections in a row that did not come up, or did not last (OUT-09).
    failures: u32,
    registration: Registration,
    spaces: Spaces,
    outbox: Outbox,

    composing: Composing,
    server: Server,
    transactions: Transactions,
    outputs: VecDeque<Output>,
    stop_at: Option<Duration>,
    /// What is not done when shutting down ends is left to a later run.
    leaves_messages: bool,
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

            composing: Composing::default(),
            server: Server::default(),
            transactions: Transactions::default(),
            outputs: VecDeque::new(),
            stop_at: None,
            leaves_messages: false,
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
            self.spaces.forget_rejections();
            self.registration.want();
            self.advance(now);
        }
    }

    /// States the intent not to be registered; the binding is removed.
    pub fn unregister(&mut self, now: Now) {
        if self.registration.unwant() {
            self.tell(Event::Registration(RegistrationChange::Unregistered));
        }
        self.advance(now);
    }

    /// Other credentials: what was refused for them is tried again.
    pub fn set_credentials(&mut self, now: Now, user: &str, password: Secret) {
        self.account = self.account.clone().with_auth_user(user).with_password(password);
        self.spaces.forget_rejections();
        let refused = self.registration.refusal().is_some_and(RegistrationFailure::is_credentials);
        if refused && self.registration.wanted {
            self.registration.want();
        }
        self.advance(now);
    }

    /// Takes a message over. [`Event::StoreMessage`] gives it to be kept; once [`Agent::message_stored`] says that it is, it
    /// waits for a connection, and for any earlier message to the same recipient.
    ///
    /// # Errors
    /// [`SendRefused`]: it was not taken, and nothing of it remains.
    pub fn send_message(&mut self, now: Now, message: NewMessage) -> Result<MessageId, SendRefused> {
        if self.stop_at.is_some() {
            return Err(SendRefused::Stopped);
        }
        let to = message.to.clone();
        let leaving = Leaving {
            account: &self.account,
            service_route: self.registration.service_route(),
            // Stands for any: the longest address is what counts.
            local: SocketAddr::from(([0, 0, 0, 0], 0)),
        };
        let id = self.outbox.add(now, leaving, &mut self.random, message)?;
        self.composing.ended(&to);
        self.keep(id);
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
        self.react(now, reaction);
        self.advance(now);
    }

    /// The system says that the network changed: the connection is replaced at once.
    pub fn network_changed(&mut self, now: Now) {
        self.failures = 0;
        match std::mem::replace(&mut self.flow, Flow::None) {
            Flow::Up(up) => {
                self.outputs.push_back(Output::Close(up.id));
                self.lost(now, &up, LostReason::NetworkChanged);
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
            self.server.stop();
            for id in self.outbox.waiting() {
                self.end_message(id, MessageFailure::Withdrawn, UnknownReason::Stopped);
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
            registered_at: None,
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
        match std::mem::replace(&mut self.flow, Flow::None) {
            Flow::Up(up) if up.id == id => {
                self.lost(now, &up, why);
                self.advance(now);
            }
            other => {
                self.flow = other;
                // It came up and went before we heard of it.
                self.handle_connect_failed(now, id);
            }
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
        while let Some((branch, purpose)) = self.transactions.expired(now) {
            match purpose {
                Purpose::Message(id) => {
                    self.end_message(id, MessageFailure::Withdrawn, UnknownReason::NoAnswer);
                }
                Purpose::Register { .. } if self.registration.pending_branch() == Some(&branch) => {
                    self.drop_flow(now, LostReason::NoAnswer);
                }
                Purpose::Register { .. } => {}
            }
        }
        while let Some(id) = self.outbox.expired(now) {
            self.end_message(id, MessageFailure::Expired, UnknownReason::Stopped);
        }
        for reaction in self.server.timeout(now) {
            self.react(now, Some(reaction));
        }
        self.composing_due(now);
        if let Flow::Up(up) = &self.flow
            && up.alive.is_overdue(now)
        {
            self.drop_flow(now, LostReason::NoPong);
        }
        if self.stop_at.is_some_and(|at| at <= now.mono) {
            self.give_up();
        }
        self.advance(now);
    }

    /// The next thing to do. Drain it after every call, until it says [`Output::Wait`].
    pub fn poll_output(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| Output::Wait(self.deadline()))
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}
