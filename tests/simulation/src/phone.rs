//! A phone: its agent, and what stands around it: a driver, a store that survives, and a user.

use crate::model::Wire;
use crate::network::Path;
use crate::scenario::{AUTHORIZATION_SERVER, DOMAIN, PhoneSetup, USERS, password};
use crate::world::Happening;
use aldis_agent::{
    Account, Agent, Deadline, FlowId, MessageId, Now, Package, ReceivedMessage, StoredMessage,
};
use aldis_sip::Secret;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// The agent's clock when the world begins.
pub const BOOT: Duration = Duration::from_secs(1000);
/// The wall clock then.
const WALL: i64 = 1_800_000_000;

/// A phone.
pub struct Phone {
    pub user: &'static str,
    pub aor: String,
    pub instance: String,
    pub setup: PhoneSetup,
    /// `None` while the app does not run.
    pub agent: Option<Agent>,
    /// Counts the app's lives.
    pub incarnation: u32,
    pub asleep: bool,
    pub path: Path,
    /// What waits for the network to come back.
    pub held: Vec<Happening>,
    /// What came while the device slept.
    pub kernel: VecDeque<Happening>,
    /// What the wall clock is ahead, in seconds.
    pub wall_offset: i64,
    pub deadline: Option<Deadline>,
    /// When the timer that is set fires.
    pub timer: Option<Duration>,
    /// What the user wants.
    pub wants: bool,
    pub background: bool,
    /// The password's version: at the server, and the one that the user has typed.
    pub version: u32,
    pub typed: u32,
    pub disk_full: bool,
    /// The agent gave up until the app acts.
    pub stopped: bool,
    /// And other credentials could help.
    pub stopped_by_credentials: bool,
    /// There is a reason for that.
    pub may_stop: bool,
    /// The access token's version at the server, the one that the app has given in this life, and whether it was asked for.
    pub token: u32,
    pub token_given: Option<u32>,
    pub token_asked: bool,
    /// Subscriptions that were wanted, and whether the agent said last that they are active; `None` where it gave up.
    pub subscriptions: BTreeMap<Package, Option<bool>>,
    /// The app is killed after so many more outputs, and stays down so long.
    pub crash: Option<(u32, Duration)>,
    pub store: Store,
    pub wire: Wire,
    pub live: Live,
    /// Connections that the agent knows.
    pub flows: BTreeMap<FlowId, usize>,
    /// Attempts that it waits for, and for which of its flows.
    pub attempts: BTreeMap<FlowId, usize>,
    /// The latest attempt for each of its flows.
    pub tried: BTreeMap<usize, FlowId>,
    /// Keys of messages that came, by their branch.
    pub came: BTreeMap<String, String>,
    pub latest: Option<MessageId>,
    /// A 2xx was given to the agent for these.
    pub accepted: BTreeSet<String>,
    /// How often the timer fired, and how often a ping left.
    pub wakes: u64,
    pub pings: u64,
}

/// Whether it is registered, and since when it should be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Live {
    /// It is registered since then.
    pub registered: Option<Duration>,
    /// A path exists.
    pub path: bool,
    /// Counts disturbances; a check belongs to one.
    pub serial: u64,
    /// When it was last registered for long.
    pub fine_at: Duration,
    /// Since when it has had a path to a registrar that behaves.
    pub well: Option<Duration>,
}

/// What survives a crash.
#[derive(Debug, Default)]
pub struct Store {
    /// By the key that repetitions are known by.
    pub inbox: BTreeMap<String, String>,
    /// Messages on their way out.
    pub outbox: BTreeMap<String, StoredMessage>,
    /// How often each text was shown.
    pub shown: BTreeMap<String, u32>,
}

/// What a repetition is known by (MSG-16).
pub fn key(message: &ReceivedMessage) -> String {
    let tag = message.from_tag.as_deref().unwrap_or_default();
    match &message.message_id {
        Some(id) => format!("{} {id}", message.from),
        None => format!("{} {} {tag} {}", message.from, message.call_id, message.cseq),
    }
}

impl Phone {
    /// A phone that has not been started.
    pub fn new(index: usize, setup: PhoneSetup) -> Phone {
        let user = USERS[index];
        Phone {
            user,
            aor: format!("sip:{user}@{DOMAIN}"),
            instance: format!("00000000-0000-1000-8000-00000000000{index}"),
            path: Path {
                online: true,
                generation: 0,
                latency: setup.latency,
                jitter: setup.jitter,
                nat: setup.nat,
            },
            setup,
            agent: None,
            incarnation: 0,
            asleep: false,
            held: Vec::new(),
            kernel: VecDeque::new(),
            wall_offset: 0,
            deadline: None,
            timer: None,
            wants: true,
            background: false,
            version: 0,
            typed: 0,
            disk_full: false,
            stopped: false,
            stopped_by_credentials: false,
            may_stop: false,
            token: 0,
            token_given: None,
            token_asked: false,
            subscriptions: BTreeMap::new(),
            crash: None,
            store: Store::default(),
            wire: Wire::default(),
            live: Live::default(),
            flows: BTreeMap::new(),
            attempts: BTreeMap::new(),
            tried: BTreeMap::new(),
            came: BTreeMap::new(),
            latest: None,
            accepted: BTreeSet::new(),
            wakes: 0,
            pings: 0,
        }
    }

    /// The phone's clocks.
    pub fn now(&self, now: Duration) -> Now {
        let wall = WALL + now.as_secs() as i64 + self.wall_offset;
        Now { mono: BOOT + now, wall: Duration::from_secs(u64::try_from(wall).unwrap_or(0)) }
    }

    /// A new life of the app.
    pub fn start(&mut self, seed: [u8; 32]) {
        let account = Account::new(&self.aor, &self.instance)
            .and_then(|account| account.with_expires(self.setup.expires))
            .and_then(|account| account.with_flows(self.setup.flows))
            .and_then(|account| account.with_authorization_servers(vec![AUTHORIZATION_SERVER.into()]))
            .unwrap_or_else(|error| panic!("{error}"))
            .with_password(Secret::new(password(self.user, self.typed)))
            .with_tokens_in_every_request();
        let account = if self.setup.resends { account } else { account.without_resending() };
        self.incarnation += 1;
        self.agent = Some(Agent::new(account, seed));
        self.wire.reborn();
        self.tried.clear();
        (self.stopped, self.background) = (false, false);
        (self.token_given, self.token_asked) = (None, false);
        self.subscriptions.clear();
    }

    /// Whether the app has been asked for a token, or the one that it gave has expired.
    pub fn wants_token(&self) -> bool {
        self.token_asked || self.token_given.is_some_and(|given| given != self.token)
    }

    /// Whether it runs.
    pub fn is_up(&self) -> bool {
        self.agent.is_some() && !self.asleep
    }
}
