//! The only caller of the agent: it owns the clock, the connection and the store, and sleeps until one of them, or the
//! app, has something to say.

mod durable;
mod inbox;
mod kept;
mod receipts;
mod storing;

pub(crate) use durable::{Durable, Use};

use crate::config::Config;
use crate::event::Incoming;
use crate::event::{Connected, ConnectionState, Event, Trouble};
use crate::link::{Arrival, Link};
use crate::net::clock::{Alarm, SleepDetector, mono_now, wall_now};
use crate::net::{
    ConnectFailure, ConnectRequest, Connection, Fault, Host, NetworkChange, Route, SIPS_PORT, connect,
};
use crate::phone::SendError;
use crate::queue::Queue;
use crate::trace::{Trace, Tracer};
use crate::watch::Watch;
use crate::wires::{Happening, Line, State, Wire, Wires};
use aldis_agent::{
    Agent, BackOffReason, Connect, ConnectionChange, Envelope, Event as AgentEvent, FlowId, LostReason,
    MessageId, NewMessage, Now, OutgoingState, Output, Package, Push, ReceivedMessage, RegistrationChange,
    RegistrationFailure, SendRefused, Ticket,
};
use aldis_sip::{Secret, StatusCode, Uri};
use aldis_store::{ReceiptRequest, Sequence, StoreError};
use aldis_trust::{Code, Verdict};
use durable::Done;
use futures_util::FutureExt;
use receipts::Receipts;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// Most of what has come already that is read before somebody is found silent (OUT-18).
const READ_FIRST: usize = 64;

/// What the app asks for.
pub(crate) enum Command {
    Register,
    Unregister,
    SetCredentials {
        user: String,
        password: Secret,
    },
    SetExpires(u32),
    SetPush(Option<Push>),
    QueryPush(Option<String>),
    SetToken {
        realm: String,
        token: Secret,
    },
    Subscribe(Package),
    Unsubscribe(Package),
    NetworkChanged(NetworkChange),
    EnterBackground,
    EnterForeground,
    Wake,
    Send {
        message: Box<NewMessage>,
        taken: oneshot::Sender<Result<MessageId, SendError>>,
        done: oneshot::Sender<OutgoingState>,
    },
    Withdraw(MessageId),
    /// Sends a message once more that is done.
    Again(MessageId, oneshot::Sender<Result<bool, StoreError>>),
    /// The app has these messages.
    Acknowledge(Vec<Sequence>, Option<oneshot::Sender<Result<(), StoreError>>>),
    /// The app reads on, and has room for more messages.
    MoreMessages,
    /// The app met damage in the store.
    Damaged(StoreError),
    /// The store lets go of its files, or takes them again.
    Suspend(bool, oneshot::Sender<Result<(), StoreError>>),
    /// The user types to this recipient.
    Composing(String),
    /// The user has seen this message.
    Displayed(Box<Incoming>),
    ShutDown,
}

pub(crate) struct Driver {
    agent: Agent,
    /// How the server of each flow is found.
    requests: Vec<ConnectRequest>,
    durable: Durable,
    receipts: Receipts,
    /// Messages whose receipt came before the answer: that is no news then.
    told: BTreeSet<MessageId>,
    send_delivery_receipts: bool,
    send_display_receipts: bool,
    /// Boxed: a channel keeps room for 32, from the beginning and in every phone.
    commands: mpsc::UnboundedReceiver<Box<Command>>,
    /// The phone is gone: nobody commands any more.
    abandoned: bool,
    events: Arc<Queue>,
    wires: Wires,
    alarm: Alarm,
    sleep: SleepDetector,
    /// Who waits for the final state of a message.
    waiting: BTreeMap<MessageId, oneshot::Sender<OutgoingState>>,
    /// Of each flow why its last attempt failed, for the agent's announcement of the next.
    failures: Vec<Option<Arc<ConnectFailure>>>,
    /// To what each flow was connected last.
    peers: Vec<Option<SocketAddr>>,
    trace: Option<Trace>,
    /// Connections that are being closed.
    farewells: JoinSet<()>,
}

fn now() -> Now {
    Now { mono: mono_now(), wall: wall_now() }
}

/// What woke the driver.
enum Wake {
    Command(Command),
    Wire(FlowId, Happening),
    Stored(Box<Done>),
    Time,
}

impl Driver {
    pub fn new(
        config: Config,
        seed: [u8; 32],
        durable: Durable,
        commands: mpsc::UnboundedReceiver<Box<Command>>,
        events: Arc<Queue>,
    ) -> Self {
        let flows = config.account.flows();
        Driver {
            requests: config.connect_requests(),
            agent: Agent::new(config.account, seed),
            durable,
            receipts: Receipts::default(),
            told: BTreeSet::new(),
            send_delivery_receipts: config.send_delivery_receipts,
            send_display_receipts: config.send_display_receipts,
            commands,
            abandoned: false,
            events,
            wires: Wires::default(),
            alarm: Alarm::default(),
            sleep: SleepDetector::default(),
            waiting: BTreeMap::new(),
            failures: vec![None; flows],
            peers: vec![None; flows],
            trace: config.trace,
            farewells: JoinSet::new(),
        }
    }

    /// Boxed: a future that holds what it was called with would be twice as large.
    pub async fn run(mut self: Box<Self>) {
        self.durable.begin();
        let mut deadline: Option<Duration> = None;
        while !self.agent.is_finished() {
            let wake = self.wake(deadline).await;
            if self.sleep.has_slept() {
                self.agent.handle_sleep(now());
            }
            match wake {
                Wake::Command(command) => self.command(command),
                Wake::Wire(id, happening) => self.happened(id, happening),
                Wake::Stored(done) => self.stored(*done),
                Wake::Time => {}
            }
            self.end_if_told();
            self.durable.room = self.agent.room();
            self.durable.look();
            if self.receipts.again_at.is_some_and(|at| at <= mono_now()) {
                self.load_owed(Sequence(0));
            }
            // Whatever woke us: the device may have slept past the deadline, and the runtime's timer with it.
            if deadline.is_some_and(|at| at <= mono_now()) {
                self.read_first();
                self.agent.handle_timeout(now());
            }
            deadline = self.drain();
            self.wires.watch_over(wall_now());
            while self.farewells.try_join_next().is_some() {}
        }
        while self.farewells.join_next().await.is_some() {}
        self.close_store().await;
        // What was commanded too late is told so.
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            if let Command::Send { taken, .. } = *command {
                let _ = taken.send(Err(SendRefused::Stopped.into()));
            }
        }
        self.events.close();
    }

    /// Sleeps until something happens. Nothing is lost when one of the others comes first.
    async fn wake(&mut self, deadline: Option<Duration>) -> Wake {
        let judgement = self.wires.due_in(wall_now()).map(|due| mono_now() + due);
        let look = self.durable.due();
        let receipts = self.receipts.end_at().into_iter().chain(self.receipts.again_at);
        let sleep = async {
            match deadline.into_iter().chain(judgement).chain([look]).chain(receipts).min() {
                Some(at) => self.alarm.until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            command = self.commands.recv(), if !self.abandoned => match command {
                Some(command) => Wake::Command(*command),
                None => {
                    self.abandoned = true;
                    Wake::Command(Command::ShutDown)
                }
            },
            (id, happening) = self.wires.next() => Wake::Wire(id, happening),
            Some(done) = self.durable.next() => Wake::Stored(done),
            () = sleep => Wake::Time,
        }
    }

    /// What has come already counts before time does: a pong that waits to be read is none that is missing (OUT-18).
    fn read_first(&mut self) {
        for _ in 0..READ_FIRST {
            let Some((id, happening)) = self.wires.next().now_or_never() else { return };
            self.happened(id, happening);
            self.drain();
        }
    }

    fn happened(&mut self, id: FlowId, happening: Happening) {
        match happening {
            Happening::Attempt(result) => match *result {
                Ok(connection) => self.came_up(id, connection),
                Err(failure) => self.failed(id, failure),
            },
            Happening::Arrival(Arrival::Bytes(bytes)) => {
                if let Some(tracer) = self.wires.line(id).and_then(|line| line.tracer.as_mut()) {
                    tracer.received(wall_now(), &bytes);
                }
                self.agent.handle_bytes(now(), id, &bytes);
            }
            Happening::Arrival(Arrival::Lost(why)) => {
                self.wires.remove(id);
                self.agent.handle_closed(now(), id, why);
            }
            Happening::Judged(verdict) => self.judged_again(id, *verdict),
        }
    }

    fn command(&mut self, command: Command) {
        let now = now();
        match command {
            Command::Register => self.agent.register(now),
            Command::Unregister => self.agent.unregister(now),
            Command::SetCredentials { user, password } => self.agent.set_credentials(now, &user, password),
            // The app has been told of an expiry that is none.
            Command::SetExpires(seconds) => drop(self.agent.set_expires(now, seconds)),
            Command::SetPush(push) => self.agent.set_push(now, push.as_ref()),
            Command::QueryPush(provider) => self.agent.query_push(now, provider.as_deref()),
            // The app has been told of a token that is none.
            Command::SetToken { realm, token } => drop(self.agent.set_token(now, &realm, token)),
            Command::Subscribe(package) => self.agent.subscribe(now, package),
            Command::Unsubscribe(package) => self.agent.unsubscribe(now, package),
            Command::NetworkChanged(change) => {
                // What the requests have learnt they share.
                if let Some(request) = self.requests.first() {
                    request.network_changed(&change);
                }
                self.agent.network_changed(now);
            }
            Command::EnterBackground => {
                self.agent.enter_background(now);
                self.durable.background(true);
            }
            Command::EnterForeground => {
                self.agent.enter_foreground(now);
                self.durable.background(false);
            }
            Command::Wake => self.agent.wake(now),
            Command::Withdraw(id) => self.agent.withdraw(now, id),
            Command::Displayed(incoming) => self.displayed(&incoming),
            Command::Composing(to) => {
                // The recipient was looked at before.
                let _ = self.agent.composing(now, &to);
            }
            Command::ShutDown => self.receipts.end(),
            Command::Send { message, taken, done } => self.hand_over(message, taken, done),
            Command::Again(id, reply) => self.again(id, reply),
            Command::Acknowledge(sequences, reply) => self.acknowledge(sequences, reply),
            Command::MoreMessages => self.more(),
            Command::Damaged(error) => self.storage_failed(error),
            Command::Suspend(suspend, reply) => self.suspend(suspend, reply),
        }
    }

    fn came_up(&mut self, id: FlowId, connection: Connection) {
        self.tell_untrusted(connection.refused.iter());
        let Some(wire) = self.wires.get_mut(id) else { return };
        let local = connection.stream.get_ref().0.local_addr();
        let (facts, trusted) = (connection.facts, connection.trusted);
        let certificate = facts.client_certificate;
        let (local, peer) = match local {
            Ok(local) => (local, facts.address),
            Err(error) => {
                self.wires.remove(id);
                tracing::debug!(%error, "the connection was gone before it was used");
                return self.agent.handle_connect_failed(now(), id);
            }
        };
        let connected = Connected {
            address: facts.address,
            target: connection.target.clone(),
            tls: facts,
            reference: trusted.reference,
            matched: trusted.matched,
            expires: trusted.expires.as_secs(),
            warnings: trusted.warnings,
        };
        let mode = wire.request.policy.revocation;
        wire.state = State::Up(Box::new(Line {
            link: Link::new(connection.stream, certificate),
            connected: Arc::new(connected),
            tracer: self.trace.clone().map(Tracer::new),
            watch: Watch::new(connection.judged, connection.target, mode, wall_now()),
        }));
        if let Some((failure, last_peer)) =
            self.failures.get_mut(wire.slot).zip(self.peers.get_mut(wire.slot))
        {
            (*failure, *last_peer) = (None, Some(peer));
        }
        self.agent.handle_connected(now(), id, local, peer);
    }

    /// The server of a connection that is up was judged again. Nothing more is written to one that is no longer trusted;
    /// the agent makes another connection, whose server has to prove everything anew.
    fn judged_again(&mut self, id: FlowId, verdict: Verdict) {
        let Some(wire) = self.wires.get_mut(id) else { return };
        let State::Up(line) = &mut wire.state else { return };
        match &verdict {
            Verdict::Trusted(trusted) => {
                line.watch.go_on(trusted, wire.request.policy.revocation, wall_now())
            }
            Verdict::Refused(_) => {
                let meaning = verdict.code().map(Code::meaning).unwrap_or_default();
                let why = LostReason::NoLongerTrusted(meaning.to_owned());
                let address = line.connected.address;
                self.wires.remove(id);
                self.events.push(Event::Untrusted { verdict: Arc::new(verdict), address });
                self.agent.handle_closed(now(), id, why);
            }
        }
    }

    fn failed(&mut self, id: FlowId, failure: ConnectFailure) {
        let Some(wire) = self.wires.remove(id) else { return };
        if let ConnectFailure::Untrusted(untrusted) = &failure {
            self.tell_untrusted(std::iter::once(untrusted.as_ref()));
        }
        if let Some(last) = self.failures.get_mut(wire.slot) {
            *last = Some(Arc::new(failure));
        }
        self.agent.handle_connect_failed(now(), id);
    }

    fn tell_untrusted<'a>(&self, refused: impl Iterator<Item = &'a crate::net::Untrusted>) {
        for untrusted in refused {
            let verdict = Arc::new(untrusted.verdict.as_ref().clone());
            self.events.push(Event::Untrusted { verdict, address: untrusted.address });
        }
    }

    /// Does all that the agent asks for; returns when it wants to be called again.
    fn drain(&mut self) -> Option<Duration> {
        loop {
            match self.agent.poll_output() {
                Output::Connect(wanted) => self.connect(wanted),
                Output::Transmit(id, bytes) => {
                    if let Some(line) = self.wires.line(id) {
                        if let Some(tracer) = &line.tracer {
                            tracer.sent(wall_now(), &bytes);
                        }
                        line.link.transmit(&bytes);
                    }
                }
                Output::Close(id) => self.close(id),
                Output::Event(event) => self.event(event),
                Output::Wait(deadline) => return deadline.map(|deadline| deadline.at),
            }
        }
    }

    fn connect(&mut self, wanted: Connect) {
        let Connect { flow, slot, avoid, redirect } = wanted;
        let Some(mut request) = self.requests.get(slot).cloned() else { return };
        request.avoid = avoid;
        if let Some(place) = redirect.as_ref().and_then(place) {
            request.route = Route::Given(vec![place]);
        }
        let asked = request.clone();
        let attempt = Box::pin(async move { connect(&asked).await });
        self.wires.insert(flow, Wire { slot, request, state: State::Coming(attempt) });
    }

    fn close(&mut self, id: FlowId) {
        // An attempt ends when it is dropped.
        if let Some(Wire { state: State::Up(line), .. }) = self.wires.remove(id) {
            self.farewells.spawn(line.link.close());
        }
    }

    fn event(&mut self, event: AgentEvent) {
        let event = match event {
            AgentEvent::Connection { reg_id, change } => match self.connection(slot_of(reg_id), change) {
                Some(state) => Event::Connection { reg_id, state },
                None => return,
            },
            AgentEvent::Registration { reg_id, change } => {
                self.learn(slot_of(reg_id), &change);
                Event::Registration { reg_id, state: change }
            }
            AgentEvent::MessageReceived { ticket, message } => return self.received(ticket, *message),
            AgentEvent::StoreMessage(message) => return self.keep(&message),
            AgentEvent::MessageLeaving { id } => return self.leaving(id),
            AgentEvent::Outgoing { id, to, state } => return self.outgoing(id, to, state),
            AgentEvent::Composing { from, active } => Event::Composing { from, active },
            AgentEvent::ReceiptReceived { ticket, receipt } => {
                return self.receipt_received(ticket, &receipt);
            }
            AgentEvent::ReceiptOutgoing { id, state } => return self.receipt_outgoing(id, &state),
            AgentEvent::PeerLearned { peer, facts } => return self.peer_learned(peer, facts),
            AgentEvent::Notify { package, content_type, body } => {
                Event::Notify { package, content_type, body }
            }
            AgentEvent::Push { reg_id, change } => Event::Push { reg_id, state: change },
            AgentEvent::TokenNeeded { realm, authz_server, scope, refused } => {
                Event::TokenNeeded { realm, authorization_server: authz_server, scope, refused }
            }
            AgentEvent::Subscription { package, change } => Event::Subscription { package, state: change },
            AgentEvent::MessagesWaiting(summary) => Event::MessagesWaiting(summary),
        };
        self.events.push(event);
    }

    fn connection(&mut self, slot: usize, change: ConnectionChange) -> Option<ConnectionState> {
        Some(match change {
            ConnectionChange::Connecting => {
                let route = self.requests.get(slot).map(|request| &request.route);
                if matches!(route, Some(Route::Discover { .. })) {
                    ConnectionState::Resolving
                } else {
                    ConnectionState::Connecting
                }
            }
            ConnectionChange::Connected { flow } => {
                ConnectionState::Connected(self.wires.line(flow)?.connected.clone())
            }
            ConnectionChange::Lost { why } => ConnectionState::Lost { why },
            ConnectionChange::BackingOff { why, retry_in } => {
                let why = match why {
                    BackOffReason::Lost(why) => Trouble::Lost(why),
                    BackOffReason::ConnectFailed => Trouble::NoConnection(self.failures.get(slot)?.clone()?),
                };
                ConnectionState::BackingOff { why, retry_in }
            }
            ConnectionChange::Closed => ConnectionState::Closed,
        })
    }

    /// A server that could not serve is one that the next attempt does not begin with (DNS-08, REG-17).
    fn learn(&self, slot: usize, change: &RegistrationChange) {
        let RegistrationChange::Failed { why, status, retry_in } = change else { return };
        let fault = match why {
            RegistrationFailure::Timeout => Fault::Silent,
            _ if *status == Some(StatusCode::SERVICE_UNAVAILABLE) => {
                Fault::Unavailable { retry_after: *retry_in }
            }
            _ => return,
        };
        if let Some((request, Some(peer))) = self.requests.get(slot).zip(self.peers.get(slot)) {
            request.server_failed(*peer, fault);
        }
    }

    /// A message came.
    fn received(&mut self, ticket: Ticket, message: ReceivedMessage) {
        let received_at = i64::try_from(wall_now().as_secs()).unwrap_or(i64::MAX);
        let (key, expires_at) = (key(&message), message.expires_at(received_at));
        let envelope = message.envelope.as_deref();
        let claimed_from =
            envelope.and_then(|envelope| envelope.claimed_from(&message.from)).map(ToString::to_string);
        let wants = message.receipt_for().zip(envelope).map(|(about, envelope)| ReceiptRequest {
            delivered: envelope.receipts.delivery,
            displayed: envelope.receipts.display,
            failed: envelope.receipts.failure,
            date_time: about.date_time,
            recipient: about.recipient,
            original_recipient: about.original_recipient,
            route: about.route,
        });
        let owes_receipt = self.send_delivery_receipts && wants.as_ref().is_some_and(|wants| wants.delivered);
        let sent_at = envelope.and_then(Envelope::sent_at).or(message.date).or(message.content.kept_since);
        let incoming = aldis_store::Incoming {
            key,
            claimed_from,
            id: message.message_id.unwrap_or_else(|| format!("{}-{}", message.call_id, message.cseq)),
            from: message.from.to_string(),
            display_name: message.display_name,
            to: message.to.to_string(),
            content_type: message.content_type,
            body: message.body.to_vec(),
            sent_at,
            received_at,
            expires_at,
            wants,
            owes_receipt,
        };
        self.came(ticket, incoming);
    }
}

/// The place that a redirect names.
fn place(uri: &Uri<'static>) -> Option<(Host, u16)> {
    let host: Host = uri.host()?.parse().ok()?;
    Some((host, uri.port().unwrap_or(SIPS_PORT)))
}

fn slot_of(reg_id: u32) -> usize {
    usize::try_from(reg_id).unwrap_or(usize::MAX).saturating_sub(1)
}

/// What a repetition is known by: sender and identifier, or what makes a request one (MSG-16).
fn key(message: &ReceivedMessage) -> String {
    let sender =
        message.from.address_of_record().map_or_else(|| message.from.to_string(), |uri| uri.to_string());
    match &message.message_id {
        Some(id) => format!("{sender}\0{id}"),
        None => {
            let tag = message.from_tag.as_deref().unwrap_or_default();
            format!("{sender}\0{}\0{tag}\0{}", message.call_id, message.cseq)
        }
    }
}
