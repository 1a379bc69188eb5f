//! The registrar without sockets, clock and randomness of its own: bytes and time go in, bytes come out.

use crate::bindings::{Binding, Bindings};
use crate::digest::Authenticator;
use crate::entry::{ConnectionId, Traffic, What};
use crate::faults::{Fault, Faults, Times};
use crate::links::{Close, Links, Output};
use crate::now::Now;
use crate::offline::Store;
use crate::options::Options;
use crate::requests::Inbound;
use crate::routing::{Branch, Fork};
use crate::subscriptions::Subscriptions;
use crate::transactions::Servers;
use crate::wire::{Random, Reply};
use aldis_sip::{Frame, Judgement, Message, Method, Scheme, Secret, Uri};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What happens later by itself.
#[derive(Clone, Debug)]
pub(crate) enum Timer {
    /// A request has had no answer for so long that 100 is due (RFC 4320 §4.1).
    Trying(u64),
    /// A forwarded request has had its time (Timer F, RFC 3261 §17.1.2.2).
    Expired(u64),
    /// A device that was woken has had its time.
    Asleep(u64),
    /// A subscription runs out.
    SubscriptionOver(u64),
    /// A response was held back.
    Send(ConnectionId, Bytes),
}

/// The state machine of a registrar and MESSAGE router that listens at one or more addresses.
///
/// Whoever carries its bytes calls [`Machine::opened`], [`Machine::receive`], [`Machine::closed`] for what happens to
/// connections, and [`Machine::handle_timeout`] when [`Machine::deadline`] has come, and drains
/// [`Machine::poll_output`] after every call. The same calls give the same outputs.
///
/// ```
/// use aldis_registrar::{Machine, Now, Options, Output};
/// let address = "192.0.2.1:5061".parse().unwrap();
/// let mut machine = Machine::new(Options::new("example.test"), [7; 32], vec![address]);
/// let connection = machine.opened(Now::default(), 0, "198.51.100.1:40000".parse().unwrap());
/// machine.receive(Now::default(), connection, b"\r\n\r\n");
/// let outputs: Vec<_> = std::iter::from_fn(|| machine.poll_output()).collect();
/// assert!(outputs.iter().any(|output| matches!(output, Output::Pong(to) if *to == connection)));
/// ```
#[derive(Debug)]
pub struct Machine {
    pub(crate) options: Arc<Options>,
    /// Where it listens.
    edges: Vec<SocketAddr>,
    pub(crate) now: Now,
    pub(crate) random: Random,
    pub(crate) links: Links,
    pub(crate) bindings: Bindings,
    pub(crate) authenticator: Authenticator,
    pub(crate) store: Store,
    /// Users to whom stored messages are under way.
    pub(crate) delivering: BTreeSet<String>,
    pub(crate) faults: Faults,
    pub(crate) servers: Servers,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) forks: BTreeMap<u64, Fork>,
    pub(crate) branches: BTreeMap<String, Branch>,
    timers: BTreeMap<(Duration, u64), Timer>,
    counter: u64,
}

impl Machine {
    /// A registrar at these addresses. The same `seed` gives the same run.
    pub fn new(options: Options, seed: [u8; 32], edges: Vec<SocketAddr>) -> Machine {
        Machine {
            authenticator: Authenticator::new(&options),
            options: Arc::new(options),
            edges,
            now: Now::default(),
            random: Random::new(seed),
            links: Links::default(),
            bindings: Bindings::default(),
            store: Store::default(),
            delivering: BTreeSet::new(),
            faults: Faults::default(),
            servers: Servers::default(),
            subscriptions: Subscriptions::default(),
            forks: BTreeMap::new(),
            branches: BTreeMap::new(),
            timers: BTreeMap::new(),
            counter: 0,
        }
    }

    /// The same without [`Output::Happened`].
    pub fn untold(mut self) -> Machine {
        self.links.untold = true;
        self
    }

    /// A connection came to the address of this number.
    pub fn opened(&mut self, now: Now, edge: usize, peer: SocketAddr) -> ConnectionId {
        self.now = now;
        let id = self.links.open(edge, peer);
        self.links.tell(id, What::Accepted { peer });
        id
    }

    /// Bytes came over a connection.
    pub fn receive(&mut self, now: Now, id: ConnectionId, bytes: &[u8]) {
        self.now = now;
        let Some(session) = self.links.get_mut(id).filter(|session| !session.silent && !session.lost) else {
            return;
        };
        session.framer.push(bytes);
        if let Some(tape) = &mut session.tape {
            tape.push(bytes);
        }
        while let Some(session) = self.links.get_mut(id)
            && let Some(frame) = session.framer.next()
        {
            let waiting = session.framer.waiting();
            let raw = session.tape.as_mut().map(|tape| tape.cut(waiting));
            match frame {
                Frame::LineEnd => {
                    session.half_ping = !session.half_ping;
                    let is_ping = !session.half_ping;
                    self.line_end(id, is_ping);
                }
                Frame::Judged(judgement) => {
                    session.half_ping = false;
                    session.lost = matches!(judgement, Judgement::Close(_));
                    if let Some(tape) = &mut session.tape {
                        tape.judged(&judgement);
                    }
                    let peer = session.peer;
                    self.judged(id, peer, raw, judgement);
                }
            }
        }
    }

    /// A connection is gone, and what depended on it.
    pub fn closed(&mut self, now: Now, id: ConnectionId) {
        self.now = now;
        self.links.remove(id);
        if !self.options.keep_bindings {
            self.bindings.disconnected(id);
        }
        self.flow_failed(id);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        self.now = now;
        while let Some(entry) = self.timers.first_entry().filter(|entry| entry.key().0 <= now.mono) {
            match entry.remove() {
                Timer::Trying(fork) => self.trying(fork),
                Timer::Expired(fork) => self.expired(fork),
                Timer::Asleep(fork) => self.overslept(fork),
                Timer::SubscriptionOver(id) => self.subscription_over(id),
                Timer::Send(connection, bytes) => {
                    self.links.send(connection, bytes);
                }
            }
        }
    }

    /// When [`Machine::handle_timeout`] is to be called, on the clock of [`Now::mono`].
    pub fn deadline(&self) -> Option<Duration> {
        self.timers.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.links.next()
    }

    /// Sets a fault, behind those that are set.
    pub fn set_fault(&mut self, fault: Fault, times: Times) {
        self.faults.set(fault, times);
    }

    /// Clears all faults that are equal to this one.
    pub fn clear_fault(&mut self, fault: &Fault) {
        self.faults.clear(fault);
    }

    /// Clears all faults.
    pub fn clear_faults(&mut self) {
        self.faults.clear_all();
    }

    /// Writes bytes to a connection, whatever they are; `false` if it is gone.
    pub fn send_raw(&mut self, id: ConnectionId, bytes: Bytes) -> bool {
        self.links.send_raw(id, bytes)
    }

    /// Ends a connection.
    pub fn close(&mut self, id: ConnectionId, how: Close) {
        self.links.close(id, how);
    }

    /// From now on a connection is a black hole: what comes is not heard, what is written goes nowhere, and it stays open.
    pub fn silence(&mut self, id: ConnectionId) {
        if let Some(session) = self.links.get_mut(id) {
            session.silent = true;
        }
    }

    /// The connections that are open.
    pub fn connections(&self) -> Vec<ConnectionId> {
        self.links.ids()
    }

    /// The bindings of a user.
    pub fn bindings(&mut self, now: Now, user: &str) -> Vec<Binding> {
        self.bindings.of(user, now.mono)
    }

    /// As a server that is started anew: connections and transactions are gone. Bindings go with their connections, unless
    /// the options keep them; nonces and stored messages stay.
    pub fn restart(&mut self, now: Now) {
        for id in self.links.ids() {
            self.closed(now, id);
        }
        self.forks.clear();
        self.branches.clear();
        self.delivering.clear();
        self.timers.clear();
        self.servers = Servers::default();
        self.subscriptions = Subscriptions::default();
    }

    /// Forgets all bindings, as a server does that keeps them in memory and is started anew.
    pub fn forget_bindings(&mut self) {
        self.bindings = Bindings::default();
    }

    /// Forgets all nonces: every one that a client still has is stale.
    pub fn forget_nonces(&mut self) {
        self.authenticator.forget();
    }

    /// Changes the password of a user, or adds one.
    pub fn set_password(&mut self, user: &str, password: Secret) {
        self.authenticator.set_password(user, password.clone());
        Arc::make_mut(&mut self.options).users.insert(user.to_owned(), password);
    }

    /// Changes the bearer token of a user, or adds one; the old one is refused from now on.
    pub fn set_token(&mut self, user: &str, token: Secret) {
        self.authenticator.set_token(user, token);
    }

    /// How many messages wait for a user.
    pub fn stored(&self, user: &str) -> usize {
        self.store.count(user)
    }

    /// A number that was not given before.
    pub(crate) fn number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    pub(crate) fn set_timer(&mut self, at: Duration, timer: Timer) {
        let number = self.number();
        self.timers.insert((at, number), timer);
    }

    fn line_end(&mut self, id: ConnectionId, is_ping: bool) {
        self.links.tell(id, What::LineEnd);
        if !is_ping {
            return;
        }
        self.links.tell(id, What::Ping);
        if !self.faults.has(&Fault::Silence) && !self.faults.has(&Fault::NoPong) {
            self.links.pong(id);
        }
    }

    /// What became of one message on a connection.
    fn judged(&mut self, id: ConnectionId, peer: SocketAddr, raw: Option<Bytes>, judgement: Judgement) {
        if let Some(raw) = raw {
            let message = match &judgement {
                Judgement::Message(message) => Some(message.clone()),
                Judgement::Reject(rejection) => Some(rejection.request.clone()),
                Judgement::Drop(_) | Judgement::Close(_) => None,
            };
            self.links.tell(id, What::Received(Traffic { raw, message }));
        }
        if self.faults.has(&Fault::Silence) {
            return;
        }
        match judgement {
            Judgement::Message(message) if message.is_response() => self.response(&message),
            Judgement::Message(message) => self.request(id, peer, message),
            Judgement::Reject(rejection) => {
                let request: Message = rejection.request;
                let method = request.method().map_or(Method::Options, Method::into_owned);
                if method == Method::Ack {
                    return;
                }
                let inbound = Inbound { connection: id, peer, request, method, key: None };
                self.reply(&inbound, Reply::new(rejection.status));
            }
            Judgement::Drop(_) => {}
            Judgement::Close(_) => self.links.close(id, Close::Clean),
        }
    }

    /// The address that a connection came to.
    pub(crate) fn local_address(&self, id: ConnectionId) -> SocketAddr {
        let edge = self.links.get(id).map_or(0, |session| session.edge);
        self.edges.get(edge).copied().unwrap_or(UNSPECIFIED)
    }

    /// Whether a URI names this server: by the domain, or by one of its addresses with the port.
    pub(crate) fn is_ours(&self, uri: &Uri<'_>) -> bool {
        let host = uri.host().unwrap_or_default();
        let host = host.strip_suffix('.').unwrap_or(host);
        host.eq_ignore_ascii_case(&self.options.domain)
            || uri
                .host_address()
                .zip(uri.port())
                .is_some_and(|(host, port)| self.edges.contains(&SocketAddr::new(host, port)))
    }

    /// The user of a URI of ours: the key of all that is kept for an address of record (RFC 3261 §10.3 step 5).
    pub(crate) fn user_of(&self, uri: &Uri<'_>) -> Option<String> {
        if !matches!(uri.scheme(), Scheme::Sip | Scheme::Sips) || !self.is_ours(uri) {
            return None;
        }
        uri.user().map(|user| user.into_owned())
    }
}

/// What stands for the address of a server without one.
pub(crate) const UNSPECIFIED: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);
