//! The only caller of the agent: it owns the clock, the connection and the store, and sleeps until one of them, or the
//! app, has something to say.

use crate::config::Config;
use crate::event::{Connected, ConnectionState, Event, Incoming, Trouble};
use crate::link::{Arrival, Link};
use crate::net::clock::{mono_now, wall_now};
use crate::net::{ConnectFailure, ConnectRequest, Connection, NetworkChange, Route, connect};
use crate::queue::Queue;
use crate::trace::{Trace, Tracer};
use crate::watch::Watch;
use aldis_agent::{
    Agent, AnswerWith, BackOffReason, ConnectionChange, Event as AgentEvent, FlowId, LostReason, MessageId,
    NewMessage, Now, OutgoingState, Output, ReceivedMessage, SendRefused, Ticket,
};
use aldis_sip::Secret;
use aldis_store::{Sequence, Store, StoreError, Stored};
use aldis_trust::{Code, Verdict};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// What a sender is told to wait when its message cannot be stored (MSG-09).
const BUSY_RETRY: Duration = Duration::from_secs(30);

/// What the app asks for.
pub(crate) enum Command {
    Register,
    Unregister,
    SetCredentials {
        user: String,
        password: Secret,
    },
    NetworkChanged(NetworkChange),
    Send {
        message: Box<NewMessage>,
        taken: oneshot::Sender<Result<MessageId, SendRefused>>,
        done: oneshot::Sender<OutgoingState>,
    },
    Withdraw(MessageId),
    /// The user types to this recipient.
    Composing(String),
    ShutDown,
}

type Attempt = Pin<Box<dyn Future<Output = Result<Connection, ConnectFailure>> + Send>>;

/// The connection as the driver sees it.
enum Wire {
    Down,
    /// An attempt; dropping it ends it.
    Coming(FlowId, Attempt),
    Up(Box<Link>),
}

pub(crate) struct Driver {
    agent: Agent,
    request: ConnectRequest,
    store: Box<dyn Store>,
    commands: mpsc::UnboundedReceiver<Command>,
    events: Arc<Queue>,
    wire: Wire,
    /// Who waits for the final state of a message.
    waiting: BTreeMap<MessageId, oneshot::Sender<OutgoingState>>,
    /// Why the last attempt failed, for the agent's announcement of the next.
    last_failure: Option<Arc<ConnectFailure>>,
    /// Who is at the other end, for the agent's announcement of the connection.
    connected: Option<Arc<Connected>>,
    trace: Option<Trace>,
    /// The trace of the connection that is up.
    tracer: Option<Tracer>,
    /// Over the trust in the server of the connection that is up.
    watch: Option<Watch>,
    /// Connections that are being closed.
    farewells: JoinSet<()>,
}

fn now() -> Now {
    Now { mono: mono_now(), wall: wall_now() }
}

/// What woke the driver.
enum Wake {
    Command(Option<Command>),
    Attempt(FlowId, Box<Result<Connection, ConnectFailure>>),
    Arrival(FlowId, Arrival),
    Judged(FlowId, Box<Verdict>),
    Time,
}

impl Driver {
    pub fn new(
        config: Config,
        seed: [u8; 32],
        store: Box<dyn Store>,
        commands: mpsc::UnboundedReceiver<Command>,
        events: Arc<Queue>,
    ) -> Self {
        Driver {
            request: config.connect_request(),
            agent: Agent::new(config.account, seed),
            store,
            commands,
            events,
            wire: Wire::Down,
            waiting: BTreeMap::new(),
            last_failure: None,
            connected: None,
            trace: config.trace,
            tracer: None,
            watch: None,
            farewells: JoinSet::new(),
        }
    }

    /// Boxed: a future that holds what it was called with would be twice as large.
    pub async fn run(mut self: Box<Self>) {
        self.offer_stored();
        let mut deadline: Option<Duration> = None;
        while !self.agent.is_finished() {
            match self.wake(deadline).await {
                Wake::Command(command) => self.command(command.unwrap_or(Command::ShutDown)),
                Wake::Attempt(id, result) => match *result {
                    Ok(connection) => self.came_up(id, connection),
                    Err(failure) => self.failed(id, failure),
                },
                Wake::Arrival(id, Arrival::Bytes(bytes)) => {
                    if let Some(tracer) = &mut self.tracer {
                        tracer.received(wall_now(), &bytes);
                    }
                    self.agent.handle_bytes(now(), id, &bytes);
                }
                Wake::Arrival(id, Arrival::Lost(why)) => {
                    self.wire = Wire::Down;
                    self.agent.handle_closed(now(), id, why);
                }
                Wake::Judged(id, verdict) => self.judged_again(id, *verdict),
                Wake::Time => {}
            }
            // Whatever woke us: the device may have slept past the deadline, and the runtime's timer with it.
            if deadline.is_some_and(|at| at <= mono_now()) {
                self.agent.handle_timeout(now());
            }
            deadline = self.drain();
            self.watch_over();
            while self.farewells.try_join_next().is_some() {}
        }
        while self.farewells.join_next().await.is_some() {}
        // What was commanded too late is told so.
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            if let Command::Send { taken, .. } = command {
                let _ = taken.send(Err(SendRefused::Stopped));
            }
        }
        self.events.close();
    }

    /// Messages that an earlier run stored and the app has not had.
    fn offer_stored(&mut self) {
        match self.store.waiting(Sequence(0), aldis_store::MAX_PAGE) {
            Ok(waiting) => {
                for (sequence, stored) in waiting {
                    match Incoming::from_stored(stored) {
                        Ok(incoming) => self.hand_up(sequence, incoming),
                        Err(fault) => tracing::warn!(%fault, "a stored message cannot be read"),
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "stored messages cannot be read"),
        }
    }

    fn hand_up(&mut self, sequence: Sequence, incoming: Incoming) {
        self.events.push(Event::Message(Box::new(incoming)));
        if let Err(error) = self.store.acknowledge(&[sequence]) {
            tracing::warn!(%error, "a message may be shown again after a restart");
        }
    }

    /// Sleeps until something happens. Nothing is lost when one of the others comes first.
    async fn wake(&mut self, deadline: Option<Duration>) -> Wake {
        let due = self.watch.as_ref().and_then(|watch| watch.due_in(wall_now()));
        let sleep = async {
            let until = deadline.map(|at| at.saturating_sub(mono_now()));
            match until.into_iter().chain(due).min() {
                Some(duration) => tokio::time::sleep(duration).await,
                None => std::future::pending().await,
            }
        };
        let judged = async {
            match &mut self.watch {
                Some(watch) => {
                    let id = watch.flow();
                    Wake::Judged(id, Box::new(watch.verdict().await))
                }
                None => std::future::pending().await,
            }
        };
        let wire = async {
            match &mut self.wire {
                Wire::Down => std::future::pending().await,
                Wire::Coming(id, attempt) => {
                    let id = *id;
                    Wake::Attempt(id, Box::new(attempt.await))
                }
                Wire::Up(link) => {
                    let id = link.id;
                    Wake::Arrival(id, link.next().await)
                }
            }
        };
        tokio::select! {
            command = self.commands.recv() => Wake::Command(command),
            wake = wire => wake,
            wake = judged => wake,
            () = sleep => Wake::Time,
        }
    }

    fn command(&mut self, command: Command) {
        let now = now();
        match command {
            Command::Register => self.agent.register(now),
            Command::Unregister => self.agent.unregister(now),
            Command::SetCredentials { user, password } => self.agent.set_credentials(now, &user, password),
            Command::NetworkChanged(change) => {
                self.request.network_changed(&change);
                self.agent.network_changed(now);
            }
            Command::Withdraw(id) => self.agent.withdraw(now, id),
            Command::Composing(to) => {
                // The recipient was looked at before.
                let _ = self.agent.composing(now, &to);
            }
            Command::ShutDown => self.agent.shut_down(now),
            Command::Send { message, taken, done } => {
                let result = self.agent.send_message(now, *message);
                if let Ok(id) = &result {
                    self.waiting.insert(*id, done);
                }
                // Whoever asked may have gone; the message goes its way.
                let _ = taken.send(result);
            }
        }
    }

    fn came_up(&mut self, id: FlowId, connection: Connection) {
        self.tell_untrusted(connection.refused.iter());
        let local = connection.stream.get_ref().0.local_addr();
        let (facts, trusted) = (connection.facts, connection.trusted);
        let certificate = facts.client_certificate;
        let (local, peer) = match local {
            Ok(local) => (local, facts.address),
            Err(error) => {
                self.wire = Wire::Down;
                tracing::debug!(%error, "the connection was gone before it was used");
                return self.agent.handle_connect_failed(now(), id);
            }
        };
        self.last_failure = None;
        self.connected = Some(Arc::new(Connected {
            address: facts.address,
            target: connection.target.clone(),
            tls: facts,
            reference: trusted.reference,
            matched: trusted.matched,
            expires: trusted.expires.as_secs(),
            warnings: trusted.warnings,
        }));
        self.tracer = self.trace.clone().map(Tracer::new);
        self.wire = Wire::Up(Box::new(Link::new(id, connection.stream, certificate)));
        let mode = self.request.policy.revocation;
        self.watch = Some(Watch::new(id, connection.judged, connection.target, mode, wall_now()));
        self.agent.handle_connected(now(), id, local, peer);
    }

    /// Begins another judgement of the server if one is due; a watch over a connection that is gone ends.
    fn watch_over(&mut self) {
        let up = match &self.wire {
            Wire::Up(link) => Some(link.id),
            Wire::Down | Wire::Coming(..) => None,
        };
        match &mut self.watch {
            Some(watch) if Some(watch.flow()) == up => watch.begin(&self.request, wall_now()),
            _ => self.watch = None,
        }
    }

    /// The server of a connection that is up was judged again. Nothing more is written to one that is no longer trusted;
    /// the agent makes another connection, whose server has to prove everything anew.
    fn judged_again(&mut self, id: FlowId, verdict: Verdict) {
        match &verdict {
            Verdict::Trusted(trusted) => {
                let mode = self.request.policy.revocation;
                if let Some(watch) = &mut self.watch {
                    watch.go_on(trusted, mode, wall_now());
                }
            }
            Verdict::Refused(_) => {
                self.watch = None;
                self.wire = Wire::Down;
                let meaning = verdict.code().map(Code::meaning).unwrap_or_default();
                let why = LostReason::NoLongerTrusted(meaning.to_owned());
                if let Some(connected) = &self.connected {
                    let address = connected.address;
                    self.events.push(Event::Untrusted { verdict: Arc::new(verdict), address });
                }
                self.agent.handle_closed(now(), id, why);
            }
        }
    }

    fn failed(&mut self, id: FlowId, failure: ConnectFailure) {
        self.wire = Wire::Down;
        if let ConnectFailure::Untrusted(untrusted) = &failure {
            self.tell_untrusted(std::iter::once(untrusted.as_ref()));
        }
        self.last_failure = Some(Arc::new(failure));
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
                Output::Connect(id) => {
                    let request = self.request.clone();
                    self.wire = Wire::Coming(id, Box::pin(async move { connect(&request).await }));
                }
                Output::Transmit(id, bytes) => {
                    if let Wire::Up(link) = &mut self.wire
                        && link.id == id
                    {
                        if let Some(tracer) = &self.tracer {
                            tracer.sent(wall_now(), &bytes);
                        }
                        link.transmit(&bytes);
                    }
                }
                Output::Close(id) => self.close(id),
                Output::Event(event) => self.event(event),
                Output::Wait(deadline) => return deadline.map(|deadline| deadline.at),
            }
        }
    }

    fn close(&mut self, id: FlowId) {
        match std::mem::replace(&mut self.wire, Wire::Down) {
            Wire::Coming(coming, attempt) if coming == id => drop(attempt),
            Wire::Up(link) if link.id == id => drop(self.farewells.spawn(link.close())),
            other => self.wire = other,
        }
    }

    fn event(&mut self, event: AgentEvent) {
        let event = match event {
            AgentEvent::Connection(change) => match self.connection(change) {
                Some(state) => Event::Connection(state),
                None => return,
            },
            AgentEvent::Registration(change) => Event::Registration(change),
            AgentEvent::MessageReceived { ticket, message } => return self.received(ticket, *message),
            AgentEvent::StoreMessage(message) => return self.agent.message_stored(now(), message.id),
            AgentEvent::MessageLeaving { id } => return self.agent.message_may_leave(now(), id),
            AgentEvent::Outgoing { id, to, state } => {
                if state.is_final()
                    && let Some(done) = self.waiting.remove(&id)
                {
                    // Whoever waited may have gone; the event tells it too.
                    let _ = done.send(state.clone());
                }
                Event::Outgoing { id, to, state }
            }
            AgentEvent::Composing { from, active } => Event::Composing { from, active },
            AgentEvent::ReceiptReceived { ticket, .. } => {
                return self.agent.answer(now(), ticket, AnswerWith::Accept);
            }
            AgentEvent::ReceiptOutgoing { .. } | AgentEvent::PeerLearned { .. } => return,
            AgentEvent::Notify { package, content_type, body } => {
                Event::Notify { package, content_type, body }
            }
        };
        self.events.push(event);
    }

    fn connection(&mut self, change: ConnectionChange) -> Option<ConnectionState> {
        Some(match change {
            ConnectionChange::Connecting if matches!(self.request.route, Route::Discover { .. }) => {
                ConnectionState::Resolving
            }
            ConnectionChange::Connecting => ConnectionState::Connecting,
            ConnectionChange::Connected => ConnectionState::Connected(self.connected.clone()?),
            ConnectionChange::Lost { why } => ConnectionState::Lost { why },
            ConnectionChange::BackingOff { why, retry_in } => {
                let why = match why {
                    BackOffReason::Lost(why) => Trouble::Lost(why),
                    BackOffReason::ConnectFailed => Trouble::NoConnection(self.last_failure.clone()?),
                };
                ConnectionState::BackingOff { why, retry_in }
            }
            ConnectionChange::Closed => ConnectionState::Closed,
        })
    }

    /// A message is answered with 200 once it is stored, and told once.
    fn received(&mut self, ticket: Ticket, message: ReceivedMessage) {
        let received_at = i64::try_from(wall_now().as_secs()).unwrap_or(i64::MAX);
        let key = key(&message);
        let incoming = Incoming {
            id: message.message_id.unwrap_or_else(|| format!("{}-{}", message.call_id, message.cseq)),
            from: message.from,
            display_name: message.display_name,
            to: message.to,
            content_type: message.content_type,
            body: message.body,
            sent_at: message.date,
            received_at,
        };
        let stored = if self.events.has_room() {
            self.store.put_incoming(&incoming.to_stored(key))
        } else {
            Err(StoreError::Full(0))
        };
        match stored {
            Ok(Stored::New(sequence)) => {
                self.agent.answer(now(), ticket, AnswerWith::Accept);
                self.hand_up(sequence, incoming);
            }
            Ok(Stored::Repeated) => self.agent.answer(now(), ticket, AnswerWith::Accept),
            Err(error) => {
                tracing::warn!(%error, "a message was refused; its sender keeps it");
                self.agent.answer(now(), ticket, AnswerWith::Busy { retry_after: BUSY_RETRY });
            }
        }
    }
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
