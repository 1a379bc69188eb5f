//! The agent itself: commands and what the world did come in, outputs go out.

mod durable;
mod exchange;
mod flow;
mod lost;
mod messaging;
mod slot;
mod subscribing;

use crate::account::{Account, InvalidAccount};
use crate::composing::Composing;
use crate::event::{
    ConnectionChange, Event, FlowId, Gruus, LostReason, MessageFailure, MessageId, RegistrationChange,
    RegistrationFailure, Ticket, UnknownReason,
};
use crate::message::{NewMessage, SendRefused};
use crate::outbox::{Ended, Leaving, Outbox};
use crate::push::Push;
use crate::random::Random;
use crate::received::AnswerWith;
use crate::server::Server;
use crate::spaces::{MAX_TOKEN, Spaces};
use crate::subscriptions::Subscriptions;
use crate::time::{Deadline, Now};
use crate::transactions::{Purpose, Transactions};
use aldis_sip::{Secret, Uri};
use bytes::Bytes;
use slot::{Link, Slot, Up};
use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// A connection that had registered is replaced after a random part of this (OUT-11), unless it was a ping that found it dead.
const FIRST_RECONNECT: Duration = Duration::from_millis(500);
/// A connection that nobody needs stays open this long for the next message.
const IDLE: Duration = Duration::from_secs(32);
/// How long shutting down waits for an answer to the last REGISTER.
const SHUTDOWN_WITHIN: Duration = Duration::from_secs(4);
/// Before it is known whether the registrar speaks outbound, each further flow gives the one before it so much time: what
/// that learns (a nonce, no outbound) need not be learned twice.
const HEAD_START: Duration = Duration::from_secs(2);
/// Whoever is called so much later than he asked for has slept, and a connection may have gone in silence.
const SLEPT: Duration = Duration::from_secs(5);
/// A connection that brought something so shortly ago is not doubted when the app comes to the front, or a message leaves.
const FRESH: Duration = Duration::from_secs(10);
/// A connection that answers no pings and brought nothing for so long has lost its place in a NAT, if there is one (RFC 5382
/// asks for two hours and few give it): after a sleep only a REGISTER can tell.
const QUIET: Duration = Duration::from_secs(300);

/// What the driver must do next.
pub enum Output {
    /// Connect to a server that proves the flow's identity, and say what came of it.
    Connect(Connect),
    /// Send these bytes, in this order.
    Transmit(FlowId, Bytes),
    /// Close the connection after what was sent; nothing is to be reported.
    Close(FlowId),
    /// Tell the app.
    Event(Event),
    /// Nothing now: call [`Agent::handle_timeout`] at the deadline, or when something happens.
    Wait(Option<Deadline>),
}

/// A connection that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// Its number, for all that is said of it.
    pub flow: FlowId,
    /// Which of the account's flows it is for, from 0: [`Account::identity_of`] says who must be proven. Its reg-id is one
    /// more.
    pub slot: usize,
    /// Where other flows of the account are connected or were last, and a host that said that it cannot serve: others are
    /// preferred, if there are any.
    pub avoid: Vec<SocketAddr>,
    /// Where the registrar sent us (3xx): where to connect, never whom to trust (GEN-18).
    pub redirect: Option<Uri<'static>>,
}

impl fmt::Debug for Output {
    /// Without what is sent: it holds answers to challenges and the bodies of messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Output::Connect(connect) => connect.fmt(f),
            Output::Transmit(id, bytes) => {
                f.debug_tuple("Transmit").field(id).field(&format_args!("{} bytes", bytes.len())).finish()
            }
            Output::Close(id) => f.debug_tuple("Close").field(id).finish(),
            Output::Event(event) => f.debug_tuple("Event").field(event).finish(),
            Output::Wait(deadline) => f.debug_tuple("Wait").field(deadline).finish(),
        }
    }
}

/// The text is no access token: letters, digits and `-._~+/`, then `=` (RFC 6750 §2.1), 16,384 at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an access token has letters, digits and -._~+/ and = at its end, and 16,384 of them at most")]
pub struct InvalidToken;

impl InvalidToken {
    /// Whether this is an access token.
    ///
    /// # Errors
    /// [`InvalidToken`].
    pub fn check(token: &Secret) -> Result<(), InvalidToken> {
        let text = token.expose();
        if text.len() <= MAX_TOKEN && is_b64token(text) { Ok(()) } else { Err(InvalidToken) }
    }
}

fn is_b64token(text: &str) -> bool {
    let bare = text.trim_end_matches('=');
    !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b))
}

/// A user agent of one account. See the crate's documentation for the contract.
pub struct Agent {
    account: Account,
    random: Random,
    /// The account's flows; there is at least one.
    slots: Vec<Slot>,
    last_flow: u64,
    /// Since when the app wants to be registered.
    wanted: Option<Duration>,
    /// Whether the registrar speaks outbound, as far as its latest answer says.
    outbound: Option<bool>,
    /// Whether the app is in the background, where the battery counts.
    background: bool,
    spaces: Spaces,
    outbox: Outbox,
    composing: Composing,
    subscriptions: Subscriptions,
    server: Server,
    transactions: Transactions,
    outputs: VecDeque<Output>,
    /// When we asked to be called.
    asked: Option<Duration>,
    stop_at: Option<Duration>,
    /// What is not done when shutting down ends is left to a later run.
    leaves_messages: bool,
}

impl Agent {
    /// An agent that does nothing yet. The same `seed` gives the same run; it must be random and secret.
    pub fn new(account: Account, seed: [u8; 32]) -> Self {
        let mut random = Random::new(seed);
        let slots = (0..account.flows()).map(|index| Slot::new(&account, index, &mut random)).collect();
        Agent {
            slots,
            account,
            random,
            last_flow: 0,
            wanted: None,
            outbound: None,
            background: false,
            spaces: Spaces::default(),
            outbox: Outbox::default(),
            composing: Composing::default(),
            subscriptions: Subscriptions::default(),
            server: Server::default(),
            transactions: Transactions::default(),
            outputs: VecDeque::new(),
            asked: None,
            stop_at: None,
            leaves_messages: false,
        }
    }

    /// The account.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Whether a binding and a connection to be reached over are there, on any flow.
    pub fn is_registered(&self) -> bool {
        self.slots.iter().any(Slot::is_registered)
    }

    /// The URIs that reach this very device, while it is registered (RFC 5627).
    pub fn gruus(&self) -> Option<&Gruus> {
        self.slots.iter().find_map(|slot| slot.registration.gruus())
    }

    /// Whether shutting down has ended: nothing more comes.
    pub fn is_finished(&self) -> bool {
        self.stop_at.is_some()
            && self.slots.iter().all(|slot| slot.is_down() && slot.old.is_none())
            && self.outputs.is_empty()
    }

    /// States the intent to be registered; what becomes of it are events. Tries again at once what was refused for good, what a
    /// registrar that cannot serve put off, and what waits for a connection; if that fails, the wait after it is as long as it
    /// would have been. Costs nothing where all is well.
    pub fn register(&mut self, now: Now) {
        if self.stop_at.is_none() {
            self.spaces.forget_rejections();
            self.wanted.get_or_insert(now.mono);
            for slot in &mut self.slots {
                slot.registration.try_again();
                slot.no_longer_waits(now);
            }
            self.advance(now);
        }
    }

    /// States the intent not to be registered; the bindings are removed, one REGISTER for each flow.
    pub fn unregister(&mut self, now: Now) {
        self.wanted = None;
        for index in 0..self.slots.len() {
            self.unwant(index);
        }
        self.advance(now);
    }

    /// Other credentials: what was refused for them is tried again, and what is registered is registered anew in place.
    pub fn set_credentials(&mut self, now: Now, user: &str, password: Secret) {
        self.account = self.account.clone().with_auth_user(user).with_password(password);
        self.spaces.forget_rejections();
        for Slot { registration, .. } in &mut self.slots {
            if registration.refusal().is_some_and(RegistrationFailure::is_credentials) {
                registration.try_again();
            }
            registration.renew();
        }
        self.advance(now);
    }

    /// An access token for a realm, as [`Event::TokenNeeded`] asks for it or before: requests that were asked for it carry it
    /// from then on, and what was refused for the lack of it is tried again. Kept in memory until another comes, and wiped.
    ///
    /// # Errors
    /// [`InvalidToken`]; nothing has changed.
    pub fn set_token(&mut self, now: Now, realm: &str, token: Secret) -> Result<(), InvalidToken> {
        InvalidToken::check(&token)?;
        self.spaces.set_token(realm, token);
        for Slot { registration, .. } in &mut self.slots {
            if registration.refusal().is_some_and(RegistrationFailure::is_credentials) {
                registration.try_again();
            }
            registration.renew();
        }
        self.advance(now);
        Ok(())
    }

    /// Another expiry to ask for, in seconds: what is registered is registered anew in place.
    ///
    /// # Errors
    /// [`InvalidAccount::Range`] for 0; nothing has changed.
    pub fn set_expires(&mut self, now: Now, seconds: u32) -> Result<(), InvalidAccount> {
        self.account = self.account.clone().with_expires(seconds)?;
        self.slots.iter_mut().for_each(|slot| slot.registration.set_expires(seconds));
        self.advance(now);
        Ok(())
    }

    /// Has the network wake this device by push from now on, or no longer (RFC 8599): what is registered is registered anew
    /// in place, with the token or without. Whether a proxy takes part is told by [`Event::Push`]. A new token of the
    /// service goes the same way.
    pub fn set_push(&mut self, now: Now, push: Option<&Push>) {
        self.slots.iter_mut().for_each(|slot| slot.registration.set_push(push.cloned()));
        self.advance(now);
    }

    /// Asks which push services the network supports, or whether it supports this one, without giving a token (RFC 8599
    /// §4.1.5): with the next REGISTER, at once if we are registered. Nothing where push is on.
    pub fn query_push(&mut self, now: Now, provider: Option<&str>) {
        if let Some(slot) = self.slots.first_mut() {
            slot.registration.query_push(provider.map(Into::into));
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
        let id = self.take_over(now, message)?;
        self.composing.ended(&to);
        self.keep(id);
        self.advance(now);
        Ok(id)
    }

    fn take_over(&mut self, now: Now, message: NewMessage) -> Result<MessageId, SendRefused> {
        let slot = self.messenger();
        let leaving = Leaving {
            account: &self.account,
            proxy: self.account.route_of(slot),
            service_route: self.slots.get(slot).map_or(&[], |slot| slot.registration.service_route()),
            // Stands for any: the longest address is what counts.
            local: SocketAddr::from(([0, 0, 0, 0], 0)),
        };
        self.outbox.add(now, leaving, &mut self.random, message)
    }

    /// Takes a message back: failed if nothing of it was sent, else unknown. That is told at once; the next message to the
    /// same recipient still waits for the answer to one that is under way (RFC 3428 §8), 32 s at most.
    pub fn withdraw(&mut self, now: Now, id: MessageId) {
        if let Some(Ended { to, kind, state, .. }) = self.take_back(id) {
            self.tell_outgoing(id, to, kind, state);
        }
        self.advance(now);
    }

    /// Answers a received message. A ticket that was answered or has run out does nothing.
    pub fn answer(&mut self, now: Now, ticket: Ticket, with: AnswerWith) {
        let reaction = self.server.answer(now, ticket, with);
        self.react(now, reaction);
        self.advance(now);
    }

    /// The system says that the network changed. Every flow that is needed gets a new connection at once, whatever was waited
    /// for; the old one serves until the new one is registered, if it answers a ping within 4 s. Costs a handshake and a
    /// REGISTER for each flow.
    pub fn network_changed(&mut self, now: Now) {
        self.notice(now);
        for index in 0..self.slots.len() {
            self.path_changed(now, index);
        }
        self.advance(now);
    }

    /// The app goes to the background: keep-alives come as seldom as a battery likes it (OUT-17), unless the server's
    /// Flow-Timer wants more. Costs nothing. Where the system takes the network from an app in the background, connections go
    /// in silence; [`Agent::wake`] or [`Agent::enter_foreground`] finds them.
    pub fn enter_background(&mut self, now: Now) {
        self.notice(now);
        self.background = true;
        self.advance(now);
    }

    /// The app comes to the front: keep-alives come as often as foreground wants it, and a connection that brought nothing in
    /// the last 10 s is probed with a ping, which decides within 4 s. Costs a ping for each flow, no REGISTER.
    pub fn enter_foreground(&mut self, now: Now) {
        self.notice(now);
        self.background = false;
        self.doubt(now, FRESH);
        self.advance(now);
    }

    /// A push woke the app, or something else for which the registrar may be waiting: every flow is probed, every binding
    /// refreshed (RFC 8599 §4.1.3), and what waits for a connection does not wait any longer. Costs a ping and a REGISTER for
    /// each flow, a handshake where the connection is gone.
    pub fn wake(&mut self, now: Now) {
        self.notice(now);
        self.doubt(now, Duration::ZERO);
        for slot in &mut self.slots {
            slot.registration.renew();
            slot.no_longer_waits(now);
        }
        self.advance(now);
    }

    /// The device slept, as the driver's clocks show: connections may have gone in silence, and are probed with a ping at
    /// once, which decides within 4 s. Who is called late knows by himself.
    pub fn handle_sleep(&mut self, now: Now) {
        self.asked = None;
        self.doubt(now, Duration::ZERO);
        self.advance(now);
    }

    /// Unregisters, waits 4 s at most, and closes. Messages that were not sent fail.
    pub fn shut_down(&mut self, now: Now) {
        if self.stop_at.is_none() {
            self.stop_at = Some(now.mono + SHUTDOWN_WITHIN);
            self.server.stop();
            self.transactions.end_withdrawn();
            for id in self.outbox.waiting() {
                self.end_message(id, MessageFailure::Withdrawn, UnknownReason::Stopped);
            }
            self.unregister(now);
        }
    }

    /// The connection asked for is up, and the server has proved its identity.
    pub fn handle_connected(&mut self, now: Now, id: FlowId, local: SocketAddr, peer: SocketAddr) {
        self.notice(now);
        let Some(index) = self.connecting(id) else {
            self.outputs.push_back(Output::Close(id));
            return;
        };
        if let Some(slot) = self.slots.get_mut(index) {
            slot.link = Link::Up(Up::new(now, id, (local, peer), slot.bearable));
            slot.last_peer = Some(peer);
            // Another host was tried, if there was one.
            slot.shunned = None;
        }
        self.connection(index, ConnectionChange::Connected { flow: id });
        self.advance(now);
    }

    /// The connection asked for did not come up, or its server was not trusted.
    pub fn handle_connect_failed(&mut self, now: Now, id: FlowId) {
        self.notice(now);
        if let Some(index) = self.connecting(id) {
            self.connect_failed(now, index);
            self.advance(now);
        }
    }

    /// The connection is gone.
    pub fn handle_closed(&mut self, now: Now, id: FlowId, why: LostReason) {
        // First, so that no ping goes to what is gone.
        let was_up = self.gone(now, id, why);
        self.notice(now);
        if was_up {
            self.advance(now);
        } else {
            // It came up and went before we heard of it.
            self.handle_connect_failed(now, id);
        }
    }

    /// Bytes came.
    pub fn handle_bytes(&mut self, now: Now, id: FlowId, bytes: &[u8]) {
        self.notice(now);
        let Some((index, up)) = self.up(id) else { return };
        (up.proven, up.heard_at) = (true, now.mono);
        up.framer.push(bytes);
        self.proven(index);
        while let Some((_, up)) = self.up(id)
            && let Some(frame) = up.framer.next()
        {
            self.frame(now, id, frame);
        }
        self.advance(now);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Now) {
        self.notice(now);
        while let Some((flow, purpose)) = self.transactions.expired(now) {
            match purpose {
                Purpose::Message(id) => {
                    self.end_message(id, MessageFailure::Withdrawn, UnknownReason::NoAnswer);
                }
                Purpose::Withdrawn(order) => self.outbox.release(order),
                Purpose::Subscribe(package) => {
                    let back_off = self.account.timing.back_off(true);
                    let random = &mut self.random;
                    self.subscriptions.unanswered(now, package, random, back_off);
                }
                Purpose::Register { .. } => self.drop_flow(now, flow, LostReason::NoAnswer),
            }
        }
        while let Some(id) = self.outbox.expired(now) {
            self.end_message(id, MessageFailure::Expired, UnknownReason::Stopped);
        }
        for reaction in self.server.timeout(now) {
            self.react(now, Some(reaction));
        }
        self.composing_due(now);
        let overdue = |up: &Up| up.alive.is_overdue(now).then_some(up.id);
        let silent: Vec<_> = self.slots.iter().flat_map(Slot::ups).filter_map(overdue).collect();
        for id in silent {
            self.drop_flow(now, id, LostReason::NoPong);
        }
        if self.stop_at.is_some_and(|at| at <= now.mono) {
            self.give_up();
        }
        self.advance(now);
    }

    /// The next thing to do. Drain it after every call, until it says [`Output::Wait`].
    pub fn poll_output(&mut self) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        let deadline = self.deadline();
        self.asked = deadline.map(|deadline| deadline.at);
        Output::Wait(deadline)
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn connection(&mut self, index: usize, change: ConnectionChange) {
        self.tell(Event::Connection { reg_id: reg_id(index), change });
    }

    fn registration(&mut self, index: usize, change: RegistrationChange) {
        self.tell(Event::Registration { reg_id: reg_id(index), change });
    }
}

fn reg_id(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1)
}
