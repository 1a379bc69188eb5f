//! What all connections share, and what becomes of a request.

use crate::bindings::Bindings;
use crate::digest::{AuthRefusal, Authenticator, Granted};
use crate::entry::{ConnectionId, What};
use crate::faults::{Fault, Faults};
use crate::links::{Close, Links, Out};
use crate::log::Log;
use crate::offline::Store;
use crate::options::Options;
use crate::routing::{Branch, Fork};
use crate::transactions::{Begun, Servers};
use crate::wire::{Editable, Random, Reply, transaction_key};
use aldis_sip::fields::{Date, Via};
use aldis_sip::{Header, Judgement, Message, Method, Scheme, StatusCode, Uri};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::Notify;
use tokio::time::Instant;

/// What this server does with requests, for `Allow`.
const ALLOW: &str = "REGISTER, MESSAGE, OPTIONS";
/// Option tags that a Require or Proxy-Require may name.
const KNOWN_TAGS: &[&str] = &["outbound", "path"];
/// How this server calls itself.
const SERVER: &str = "aldis-registrar";

/// What the tasks of one server share.
#[derive(Debug)]
pub(crate) struct Core {
    pub log: Arc<Log>,
    state: Mutex<State>,
    /// There is a new timer.
    pub wake: Arc<Notify>,
    /// A connection ended.
    pub ended: Notify,
}

impl Core {
    pub fn new(options: Options, address: SocketAddr) -> Core {
        let (log, wake) = (Arc::new(Log::new()), Arc::new(Notify::new()));
        let state = State::new(options, address, log.clone(), wake.clone());
        Core { log, state: Mutex::new(state), wake, ended: Notify::new() }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What happens later by itself.
#[derive(Clone, Debug)]
pub(crate) enum Timer {
    /// A request has had no answer for so long that 100 is due (RFC 4320 §4.1).
    Trying(u64),
    /// A forwarded request has had its time (Timer F, RFC 3261 §17.1.2.2).
    Expired(u64),
    /// A response was held back.
    Send(ConnectionId, Bytes),
}

/// A request with where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Inbound {
    pub connection: ConnectionId,
    pub peer: SocketAddr,
    pub request: Message,
    pub method: Method<'static>,
    /// Its server transaction.
    pub key: Option<String>,
}

/// How credentials are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking {
    pub status: StatusCode,
    pub challenge: Header,
    pub credentials: Header,
}

impl Asking {
    pub const REGISTRAR: Asking = Asking {
        status: StatusCode::UNAUTHORIZED,
        challenge: Header::WwwAuthenticate,
        credentials: Header::Authorization,
    };
    pub const PROXY: Asking = Asking {
        status: StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        challenge: Header::ProxyAuthenticate,
        credentials: Header::ProxyAuthorization,
    };
}

#[derive(Debug)]
pub(crate) struct State {
    pub options: Arc<Options>,
    pub address: SocketAddr,
    pub log: Arc<Log>,
    pub wake: Arc<Notify>,
    pub random: Random,
    pub links: Links,
    pub bindings: Bindings,
    pub authenticator: Authenticator,
    pub store: Store,
    /// Users to whom stored messages are under way.
    pub delivering: BTreeSet<String>,
    pub faults: Faults,
    pub servers: Servers,
    pub forks: BTreeMap<u64, Fork>,
    pub branches: BTreeMap<String, Branch>,
    pub timers: BTreeMap<(Instant, u64), Timer>,
    counter: u64,
}

impl State {
    fn new(options: Options, address: SocketAddr, log: Arc<Log>, wake: Arc<Notify>) -> State {
        State {
            authenticator: Authenticator::new(&options),
            options: Arc::new(options),
            address,
            log,
            wake,
            random: Random::new(),
            links: Links::default(),
            bindings: Bindings::default(),
            store: Store::default(),
            delivering: BTreeSet::new(),
            faults: Faults::default(),
            servers: Servers::default(),
            forks: BTreeMap::new(),
            branches: BTreeMap::new(),
            timers: BTreeMap::new(),
            counter: 0,
        }
    }

    /// A number that was not given before.
    pub fn number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    pub fn set_timer(&mut self, at: Instant, timer: Timer) {
        let number = self.number();
        self.timers.insert((at, number), timer);
        self.wake.notify_one();
    }

    /// Does what is due, and says when to come again.
    pub fn run_timers(&mut self, now: Instant) -> Option<Instant> {
        while let Some(entry) = self.timers.first_entry() {
            if entry.key().0 > now {
                return Some(entry.key().0);
            }
            match entry.remove() {
                Timer::Trying(fork) => self.trying(fork),
                Timer::Expired(fork) => self.expired(fork, now),
                Timer::Send(connection, bytes) => {
                    self.links.send(connection, Out::Sip(bytes));
                }
            }
        }
        None
    }

    /// What became of one message on a connection.
    pub fn judged(&mut self, connection: ConnectionId, peer: SocketAddr, judgement: Judgement, now: Instant) {
        match judgement {
            Judgement::Message(message) if message.is_response() => self.response(&message, now),
            Judgement::Message(message) => self.request(connection, peer, message, now),
            Judgement::Reject(rejection) => {
                let request = rejection.request;
                let method = request.method().map_or(Method::Options, Method::into_owned);
                if method == Method::Ack {
                    return;
                }
                let inbound = Inbound { connection, peer, request, method, key: None };
                self.reply(&inbound, Reply::new(rejection.status));
            }
            Judgement::Drop(_) => {}
            Judgement::Close(_) => self.links.close(connection, Close::Clean),
        }
    }

    fn request(&mut self, connection: ConnectionId, peer: SocketAddr, request: Message, now: Instant) {
        let Some(method) = request.method().map(Method::into_owned) else { return };
        let closes =
            |fault: &Fault| matches!(fault, Fault::CloseAfter(to) if to.include(&method)).then_some(());
        if self.faults.take(closes).is_some() {
            self.links.close(connection, Close::Clean);
            return;
        }
        if method == Method::Ack {
            return;
        }
        let key = transaction_key(&request, &method);
        let inbound = Inbound { connection, peer, request, method, key };
        match inbound.key.as_ref().map_or(Begun::New, |key| self.servers.begin(key, now)) {
            Begun::New => {}
            Begun::Absorbed => return,
            Begun::Repeat(answer) => {
                self.emit(connection, &inbound.method, answer, now);
                return;
            }
        }
        if let Some(reply) = self.ordered(&inbound.method, false) {
            self.reply(&inbound, reply);
            return;
        }
        let garbage = self.faults.take(|fault| match fault {
            Fault::Garbage { to, bytes } if to.include(&inbound.method) => Some(bytes.clone()),
            _ => None,
        });
        if let Some(bytes) = garbage {
            self.links.send(connection, Out::Raw(bytes));
            return;
        }
        self.dispatch(&inbound, now);
    }

    fn dispatch(&mut self, inbound: &Inbound, now: Instant) {
        let status = match &inbound.method {
            Method::Register => return self.register(inbound, now),
            Method::Message => return self.message(inbound, now),
            Method::Options => {
                let reply = Reply::new(StatusCode::OK).with(Header::Allow, ALLOW);
                return self.reply(inbound, reply.with(Header::Supported, KNOWN_TAGS.join(", ")));
            }
            // A CANCEL has no effect on any request but INVITE (RFC 3261 §9.2), and here is none.
            Method::Cancel => {
                let cancelled = [Method::Message, Method::Register, Method::Options]
                    .iter()
                    .filter_map(|method| transaction_key(&inbound.request, method))
                    .any(|key| self.servers.knows(&key));
                if cancelled { StatusCode::OK } else { StatusCode::TRANSACTION_DOES_NOT_EXIST }
            }
            Method::Other(_) => StatusCode::NOT_IMPLEMENTED,
            _ => StatusCode::METHOD_NOT_ALLOWED,
        };
        self.reply(inbound, Reply::new(status).with(Header::Allow, ALLOW));
    }

    /// The answer that a fault orders.
    pub fn ordered(&mut self, method: &Method<'_>, is_authenticated: bool) -> Option<Reply> {
        self.faults.take(|fault| match fault {
            Fault::Answer { to, status, headers, authenticated }
                if to.include(method) && *authenticated == is_authenticated =>
            {
                Some(Reply { status: *status, headers: headers.clone(), body: Bytes::new() })
            }
            _ => None,
        })
    }

    /// Whose request this is; otherwise it has been answered.
    pub fn authenticate(&mut self, inbound: &Inbound, asking: Asking, now: Instant) -> Option<Granted> {
        let loops = self.faults.take(|fault| match fault {
            Fault::ChallengeLoop { stale } => Some(*stale),
            _ => None,
        });
        let result = match loops {
            Some(stale) => Err((AuthRefusal::Fault, stale)),
            None => self.authenticator.check(&inbound.request, asking.credentials, now),
        };
        let (why, stale) = match result {
            Ok(granted) => {
                let (algorithm, qop) = (granted.credentials.algorithm(), granted.credentials.qop());
                let user = granted.user.clone();
                self.log.write(inbound.connection, What::Authenticated { user, algorithm, qop });
                return Some(granted);
            }
            Err(refusal) => refusal,
        };
        let bad = why.is_bad_request();
        self.log.write(inbound.connection, What::Unauthenticated { why });
        if bad {
            self.reply(inbound, Reply::new(StatusCode::BAD_REQUEST));
            return None;
        }
        let mut reply = Reply::new(asking.status);
        for challenge in self.authenticator.challenges(stale, now, &mut self.random) {
            reply = reply.with(asking.challenge, challenge);
        }
        self.reply(inbound, reply);
        None
    }

    /// Answers a request.
    pub fn reply(&mut self, inbound: &Inbound, reply: Reply) {
        let now = Instant::now();
        let tag = self.random.token();
        let bytes = reply.with(Header::Server, SERVER).bytes(&inbound.request, &tag, inbound.peer);
        self.answer(inbound, bytes, now);
    }

    /// Ends a server transaction with its final response.
    pub fn answer(&mut self, inbound: &Inbound, bytes: Bytes, now: Instant) {
        if let Some(key) = &inbound.key {
            self.servers.answered(key, bytes.clone());
        }
        self.emit(inbound.connection, &inbound.method, bytes, now);
    }

    /// Sends a response, with the faults that are set.
    pub fn emit(&mut self, connection: ConnectionId, method: &Method<'_>, mut bytes: Bytes, now: Instant) {
        let mut set = |recognize: &dyn Fn(&Fault) -> bool| {
            self.faults.take(|fault| recognize(fault).then(|| fault.clone()))
        };
        if set(&|fault| matches!(fault, Fault::DropResponse(to) if to.include(method))).is_some() {
            return;
        }
        if set(&|fault| matches!(fault, Fault::WrongCSeq(to) if to.include(method))).is_some() {
            bytes = edited(bytes, wrong_cseq);
        }
        if set(&|fault| matches!(fault, Fault::WrongBranch(to) if to.include(method))).is_some() {
            bytes = edited(bytes, wrong_branch);
        }
        let huge = set(&|fault| matches!(fault, Fault::Huge { to, .. } if to.include(method)));
        if let Some(Fault::Huge { head, body, .. }) = huge {
            bytes = edited(bytes, |message| swell(message, head, body));
        }
        let delayed = set(&|fault| matches!(fault, Fault::Delay(to, _) if to.include(method)));
        if let Some(Fault::Delay(_, by)) = delayed {
            self.set_timer(now + by, Timer::Send(connection, bytes));
            return;
        }
        self.links.send(connection, Out::Sip(bytes));
    }

    /// Whether a URI names this server: by the domain, or by its address and port.
    pub fn is_ours(&self, uri: &Uri<'_>) -> bool {
        let host = uri.host().unwrap_or_default();
        let host = host.strip_suffix('.').unwrap_or(host);
        host.eq_ignore_ascii_case(&self.options.domain)
            || (uri.host_address() == Some(self.address.ip()) && uri.port() == Some(self.address.port()))
    }

    /// The user of a URI of ours: the key of all that is kept for an address of record (RFC 3261 §10.3 step 5).
    pub fn user_of(&self, uri: &Uri<'_>) -> Option<String> {
        if !matches!(uri.scheme(), Scheme::Sip | Scheme::Sips) || !self.is_ours(uri) {
            return None;
        }
        uri.user().map(|user| user.into_owned())
    }

    /// A connection is gone, and what depended on it.
    pub fn disconnected(&mut self, connection: ConnectionId) {
        self.links.remove(connection);
        if !self.options.keep_bindings {
            self.bindings.disconnected(connection);
        }
        self.flow_failed(connection, Instant::now());
    }
}

/// The refusal for extensions that are required and not known (RFC 3261 §8.2.2.3, §16.3 step 5).
pub(crate) fn unknown_tags<'a>(tags: impl Iterator<Item = &'a str>) -> Option<Reply> {
    let unknown: Vec<_> =
        tags.filter(|tag| !KNOWN_TAGS.iter().any(|known| known.eq_ignore_ascii_case(tag))).collect();
    let refused = !unknown.is_empty();
    refused.then(|| Reply::new(StatusCode::BAD_EXTENSION).with(Header::Unsupported, unknown.join(", ")))
}

/// Now, in seconds since 1970.
pub(crate) fn wall_clock() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Now, as a Date header says it.
pub(crate) fn date_now() -> String {
    Date(wall_clock()).to_string()
}

/// The option tags of a 200 to REGISTER.
pub(crate) fn supported() -> String {
    KNOWN_TAGS.join(", ")
}

fn edited(bytes: Bytes, edit: impl FnOnce(&mut Editable)) -> Bytes {
    let message = Message::parse(bytes.clone()).ok().and_then(|(message, _)| Editable::of(&message));
    match message {
        Some(mut message) => {
            edit(&mut message);
            message.bytes()
        }
        None => bytes,
    }
}

fn wrong_cseq(message: &mut Editable) {
    let wrong = message.value(Header::CSeq).and_then(|value| {
        let (number, method) = value.split_once(' ')?;
        Some(format!("{} {method}", number.parse::<u32>().ok()?.saturating_add(1)))
    });
    if let Some(value) = wrong {
        message.set(Header::CSeq, value);
    }
}

fn wrong_branch(message: &mut Editable) {
    message.edit_via(|via: Via<'_>| {
        let branch = via.branch()?;
        Some(via.to_string().replace(&*branch, "z9hG4bKnobodys"))
    });
}

fn swell(message: &mut Editable, head: usize, body: usize) {
    const LINE: usize = 1000;
    for _ in 0..head.div_ceil(LINE) {
        message.push("X-Padding", &"x".repeat(LINE - "X-Padding: \r\n".len()));
    }
    if body > 0 {
        message.set(Header::ContentType, "text/plain".into());
        message.body = vec![b'x'; body].into();
    }
}
