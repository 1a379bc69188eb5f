//! What a seed means: how the world is, and what befalls it.

use crate::network::{How, Place};
use crate::random::Random;
use aldis_registrar::{Edge, Fault, Grant, MessageChallenge, Offline, Options, Requests, Times};
use aldis_sip::auth::Algorithm;
use std::time::Duration;

/// The SIP domain of all scenarios.
pub const DOMAIN: &str = "example.test";
/// Who lives there.
pub const USERS: [&str; 3] = ["alice", "bob", "carol"];
/// Where access tokens come from.
pub const AUTHORIZATION_SERVER: &str = "https://tokens.example.test/authorize";
/// The longest Retry-After of a scenario, in seconds.
pub const LONGEST_RETRY_AFTER: u64 = 120;

/// Something that happens to the world.
#[derive(Clone, Debug)]
pub enum Action {
    /// The app sends texts.
    Send { from: usize, to: usize, count: usize },
    /// The app takes its latest text back.
    Withdraw { phone: usize },
    /// Another network; offline in between; the system may tell, some time after.
    Handover { phone: usize, gap: Duration, latency: Duration, told: Option<Duration>, socket_error: bool },
    /// The network is there or not.
    Online { phone: usize, online: bool, told: bool },
    /// All connections of a phone go silent.
    Blackhole { phone: usize },
    /// All connections of a phone are closed from outside.
    Cut { phone: usize, how: How },
    /// The NAT's patience.
    Nat { phone: usize, timeout: Option<Duration> },
    /// Round trips change.
    Latency { phone: usize, latency: Duration },
    /// An edge dies, and comes back.
    EdgeDown { edge: usize, how: How, down: Duration },
    /// See `EdgeDown`.
    EdgeUp { edge: usize },
    /// The registrar and all edges die, and come back.
    Restart { how: How, down: Duration, forget_bindings: bool, forget_nonces: bool },
    /// What DNS names from now on.
    Dns { places: Vec<Place> },
    /// The device sleeps.
    Sleep { phone: usize, time: Duration },
    /// It wakes.
    Wake { phone: usize },
    /// The wall clock jumps, by seconds.
    WallJump { phone: usize, by: i64 },
    /// The app is killed after so many more outputs, and started again after a while.
    Crash { phone: usize, after: u32, down: Duration },
    /// It is started.
    Start { phone: usize },
    /// The password changes at the server; the user types it in some time after.
    Password { phone: usize, typed_after: Duration },
    /// The user types the present password.
    Type { phone: usize },
    /// The access token expires at the server; the app renews it by itself some time after.
    TokenExpires { phone: usize, renewed_after: Duration },
    /// The app gives the present access token.
    Token { phone: usize },
    /// The registrar does something wrong.
    Misbehave { fault: Fault, times: Times },
    /// It does so no longer.
    Behave { fault: Fault },
    /// The app wants to be registered.
    Register { phone: usize },
    /// Or not.
    Unregister { phone: usize },
    /// The app's life.
    Background { phone: usize },
    /// See `Background`.
    Foreground { phone: usize },
    /// A push wakes it.
    Push { phone: usize },
    /// Nothing can be stored for a while.
    DiskFull { phone: usize, time: Duration },
    /// Something can.
    DiskFree { phone: usize },
    /// Everything is well from now on.
    Heal,
}

/// A phone as it begins.
#[derive(Clone, Debug)]
pub struct PhoneSetup {
    pub latency: Duration,
    pub jitter: Duration,
    pub nat: Option<Duration>,
    pub flows: usize,
    /// Whether what may have left is sent again.
    pub resends: bool,
    pub expires: u32,
    /// Timers come so much too late at most.
    pub slack: Duration,
}

/// A scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub seed: u64,
    pub options: Options,
    pub edges: usize,
    pub phones: Vec<PhoneSetup>,
    pub actions: Vec<(Duration, Action)>,
    pub heal_at: Duration,
    /// Whether the system tells the phones when all is well.
    pub told: bool,
    /// The longest time that the registrar grants.
    pub longest_grant: Duration,
    /// The longest time between pings that the registrar asks for; zero if it asks for none.
    pub pings: Duration,
    /// The registrar asks for access tokens, and for no passwords.
    pub tokens: bool,
    /// The apps subscribe to all that there is.
    pub subscribes: bool,
}

/// The password of a user, by how often it was changed.
pub fn password(user: &str, version: u32) -> String {
    format!("{user}-{version}")
}

/// An access token of a user, by how often one has expired.
pub fn token(user: &str, version: u32) -> String {
    format!("token.of.{user}.{version}")
}

/// The host of a redirect that stands for an edge, and the one that stands for an impostor.
pub fn place_of(host: &str) -> Option<Place> {
    match host.strip_suffix(".elsewhere.test")? {
        "impostor" => Some(Place::Impostor),
        edge => Some(Place::Edge(edge.strip_prefix("edge")?.parse().ok()?)),
    }
}

impl Scenario {
    /// The scenario of this seed.
    pub fn generate(seed: u64) -> Scenario {
        let mut random = Random::new(seed);
        let r = &mut random;
        let edges = r.pick(&[1, 1, 1, 2, 2, 3]);
        let count = r.pick(&[1, 1, 2, 2, 2, 3]);
        let habits = habits(r, count);
        let phones: Vec<_> = (0..count)
            .map(|_| PhoneSetup {
                latency: r.scaled(2, 400),
                jitter: r.scaled(1, 100),
                nat: r.chance(30).then(|| r.scaled(150_000, 7_200_000)),
                flows: if edges > 1 { r.pick(&[1, 1, 2, 2, 3]) } else { r.pick(&[1, 1, 1, 1, 2]) },
                resends: r.chance(80),
                expires: r.pick(&[3600, 3600, 3600, 3600, 7200, 600, 600, 300, 100]),
                slack: r.pick(&[Duration::ZERO, Duration::from_millis(1), Duration::from_millis(200)]),
            })
            .collect();
        let length = r.scaled(20_000, 4 * 3_600_000).min(habits.period * MOST_PERIODS);
        let mut actions = Vec::new();
        for _ in 0..r.between(1, 14) {
            let at = r.up_to(length);
            troubles(r, at, edges, count, &mut actions);
        }
        // Some come close together.
        if r.chance(30) && !actions.is_empty() {
            let at = actions[r.below(actions.len())].0;
            for _ in 0..r.between(1, 4) {
                let near = at + r.scaled(1, 2000);
                troubles(r, near, edges, count, &mut actions);
            }
        }
        for _ in 0..r.between(0, 4) {
            let at = r.up_to(length);
            let (from, to) = (r.below(count), r.below(count));
            actions.push((at, Action::Send { from, to, count: r.pick(&[1, 1, 1, 2, 3]) }));
        }
        let heal_at = length + Duration::from_secs(1);
        actions.push((heal_at, Action::Heal));
        actions.sort_by_key(|(at, _)| *at);
        let told = r.chance(50);
        let Habits { options, longest_grant, pings, tokens, subscribes, .. } = habits;
        Scenario {
            seed,
            options,
            edges,
            phones,
            actions,
            heal_at,
            told,
            longest_grant,
            pings,
            tokens,
            subscribes,
        }
    }
}

impl Scenario {
    /// One phone, one edge, a round trip of 100 ms, and nothing that happens.
    fn quiet(seed: u64) -> (Scenario, Random) {
        let setup = PhoneSetup {
            latency: Duration::from_millis(50),
            jitter: Duration::ZERO,
            nat: None,
            flows: 1,
            resends: true,
            expires: 3600,
            slack: Duration::ZERO,
        };
        let scenario = Scenario {
            seed,
            options: Options::new(DOMAIN).user(USERS[0], password(USERS[0], 0)),
            edges: 1,
            phones: vec![setup],
            actions: Vec::new(),
            heal_at: Duration::ZERO,
            told: false,
            longest_grant: Duration::from_secs(3600),
            pings: Duration::ZERO,
            tokens: false,
            subscribes: false,
        };
        (scenario, Random::new(seed))
    }

    /// The phone moves to another network at a random moment of its first two hours, and the system says so at once.
    pub fn handover(seed: u64) -> Scenario {
        let (mut scenario, mut random) = Scenario::quiet(seed);
        let at = Duration::from_secs(1) + random.up_to(Duration::from_secs(7200));
        let handover = Action::Handover {
            phone: 0,
            gap: Duration::ZERO,
            latency: Duration::from_millis(50),
            told: Some(Duration::ZERO),
            socket_error: random.chance(50),
        };
        scenario.actions = vec![(at, handover), (at + Duration::from_secs(60), Action::Heal)];
        scenario
    }

    /// The app is in the background for so many hours.
    pub fn idle(seed: u64, hours: u32) -> Scenario {
        let (mut scenario, _) = Scenario::quiet(seed);
        let end = Duration::from_secs(3600) * hours;
        scenario.actions =
            vec![(Duration::from_secs(1), Action::Background { phone: 0 }), (end, Action::Heal)];
        scenario
    }
}

/// Short refreshes and pings make a scenario shorter: it is not the number of them that finds anything.
const MOST_PERIODS: u32 = 30;

/// A registrar's.
struct Habits {
    options: Options,
    longest_grant: Duration,
    pings: Duration,
    tokens: bool,
    subscribes: bool,
    /// How often something is due at least.
    period: Duration,
}

fn habits(r: &mut Random, users: usize) -> Habits {
    let mut options = Options::new(DOMAIN);
    for user in USERS.iter().take(users) {
        options = options.user(*user, password(user, 0));
    }
    options = match r.below(4) {
        0 => options.algorithms(&[Algorithm::Md5]),
        1 => options.algorithms(&[Algorithm::Sha256]),
        _ => options,
    };
    if r.chance(40) {
        // Longer than a slow round trip: what is stale before it can be used is nobody's registrar.
        options = options.nonce_lifetime(r.scaled(30_000, 7_200_000));
    }
    if r.chance(15) {
        options = options.nonce_uses(r.between(1, 5) as u32);
    }
    options = options.message_challenge(r.pick(&[
        MessageChallenge::Proxy,
        MessageChallenge::Registrar,
        MessageChallenge::None,
    ]));
    options = options.outbound(r.chance(70)).offline(r.pick(&[Offline::Unavailable, Offline::Store]));
    let (mut pings, mut period) = (0, 600);
    if r.chance(40) {
        let seconds = r.pick(&[5, 20, 40, 90, 300, 900]);
        (options, pings, period) = (options.flow_timer(seconds), seconds, seconds * 2);
    }
    if r.chance(15) {
        options = options.keep(r.pick(&[0, 15, 30, 120]));
        period = period.min(30);
    }
    if r.chance(20) {
        options = options.keep_bindings(true);
    }
    if r.chance(20) {
        options = options.edge(r.pick(&[Edge::Outbound, Edge::Plain]));
    }
    if r.chance(20) {
        options = options.gruu(true);
    }
    if r.chance(15) {
        options = options.service_route(&["sip:example.test;lr"]);
    }
    if r.chance(10) {
        options = options.every_flow(true);
    }
    options =
        options.min_expires(r.pick(&[0, 0, 60, 300, 1800])).max_expires(r.pick(&[3600, 3600, 7200, 600]));
    let tokens = r.chance(12);
    if tokens {
        // Nobody has a password here.
        options = options.algorithms(&[]).bearer(AUTHORIZATION_SERVER);
        for user in USERS.iter().take(users) {
            options = options.token(*user, token(user, 0));
        }
    }
    let subscribes = r.chance(20);
    options = options.subscriptions(subscribes);
    let mut longest = 7200;
    if r.chance(25) {
        let (grant, least, most) = match r.below(4) {
            0 => (Grant::Exactly(60), 60, 60),
            1 => (Grant::Exactly(7200), 7200, 7200),
            2 => (Grant::Between(30, 300), 30, 300),
            _ => (Grant::Between(600, 4000), 600, 4000),
        };
        options = options.grant(grant);
        (longest, period) = (most.max(3600), period.min(least));
    }
    let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
    let (pings, period) = (seconds(pings), seconds(period));
    Habits { options, longest_grant: seconds(longest), pings, tokens, subscribes, period }
}

/// One trouble, with what ends it.
fn troubles(r: &mut Random, at: Duration, edges: usize, phones: usize, out: &mut Vec<(Duration, Action)>) {
    let phone = r.below(phones);
    let edge = r.below(edges);
    let how = r.pick(&[How::Fin, How::Reset, How::Silent]);
    let mut push = |after: Duration, action| out.push((at + after, action));
    match r.below(24) {
        0 | 1 => {
            let told = r.chance(60).then(|| r.scaled(1, 5_000));
            let gap = r.pick(&[0, 0, 50, 1_000, 20_000]);
            let socket_error = r.chance(40);
            let latency = r.scaled(2, 400);
            push(
                Duration::ZERO,
                Action::Handover { phone, gap: Duration::from_millis(gap), latency, told, socket_error },
            );
        }
        2 => {
            let (told, back_told) = (r.chance(40), r.chance(60));
            push(Duration::ZERO, Action::Online { phone, online: false, told });
            push(r.scaled(50, 1_200_000), Action::Online { phone, online: true, told: back_told });
        }
        3 => push(Duration::ZERO, Action::Blackhole { phone }),
        4 => push(Duration::ZERO, Action::Cut { phone, how }),
        5 => push(
            Duration::ZERO,
            Action::Nat { phone, timeout: r.chance(70).then(|| r.scaled(10_000, 3_600_000)) },
        ),
        6 | 7 => push(Duration::ZERO, Action::EdgeDown { edge, how, down: r.scaled(100, 1_800_000) }),
        8 | 9 => {
            let (forget_bindings, forget_nonces) = (r.chance(70), r.chance(70));
            push(
                Duration::ZERO,
                Action::Restart { how, down: r.scaled(100, 1_800_000), forget_bindings, forget_nonces },
            );
        }
        10 => {
            let mut places: Vec<_> = (0..edges).map(Place::Edge).collect();
            match r.below(4) {
                0 => places.rotate_left(1),
                1 => places.insert(0, Place::Impostor),
                2 => places.push(Place::Impostor),
                _ => places = vec![Place::Impostor],
            }
            push(Duration::ZERO, Action::Dns { places });
            let places = (0..edges).map(Place::Edge).collect();
            push(r.scaled(1_000, 1_800_000), Action::Dns { places });
        }
        11 | 12 => push(Duration::ZERO, Action::Sleep { phone, time: r.scaled(1_000, 4 * 3_600_000) }),
        13 => {
            let by = r.between(1, 100_000_000) as i64;
            push(Duration::ZERO, Action::WallJump { phone, by: if r.chance(50) { by } else { -by } });
        }
        14 | 15 => {
            let after = r.pick(&[0, 1, 2, 3, 5, 8, 13]);
            push(Duration::ZERO, Action::Crash { phone, after, down: r.scaled(100, 600_000) });
        }
        16 => push(Duration::ZERO, Action::Password { phone, typed_after: r.scaled(10, 600_000) }),
        17 | 18 => {
            let (fault, times) = misbehaviour(r, edges);
            push(Duration::ZERO, Action::Misbehave { fault: fault.clone(), times });
            push(r.scaled(500, 600_000), Action::Behave { fault });
        }
        19 => {
            push(Duration::ZERO, Action::Unregister { phone });
            push(r.scaled(1, 600_000), Action::Register { phone });
        }
        20 => {
            push(Duration::ZERO, Action::Background { phone });
            push(r.scaled(100, 3_600_000), Action::Foreground { phone });
        }
        21 => push(Duration::ZERO, Action::Push { phone }),
        22 => push(Duration::ZERO, Action::TokenExpires { phone, renewed_after: r.scaled(10, 600_000) }),
        _ => match r.below(3) {
            0 => push(Duration::ZERO, Action::Latency { phone, latency: r.scaled(2, 4_000) }),
            1 => push(Duration::ZERO, Action::DiskFull { phone, time: r.scaled(100, 600_000) }),
            _ => push(r.scaled(1, 2000), Action::Withdraw { phone }),
        },
    }
}

/// A redirect to one to six places: edges, an impostor, the domain itself, one place again and again.
fn redirect(r: &mut Random, edges: usize) -> Fault {
    let mut fault = Fault::answer(Requests::Register, r.pick(&[301, 302, 302, 305]));
    for _ in 0..r.pick(&[1, 1, 1, 2, 2, 3, 6]) {
        let to = match r.below(8) {
            0 => format!("<sip:{DOMAIN}>"),
            1 => "<sip:impostor.elsewhere.test>".into(),
            2 => format!("<sip:edge{}.elsewhere.test:5061>;q=0.5", r.below(edges)),
            3 => "<sip:nowhere.elsewhere.test>;q=0.7".into(),
            _ => format!("<sip:edge{}.elsewhere.test>", r.below(edges)),
        };
        fault = fault.header("Contact", to);
    }
    if r.chance(50) { fault } else { fault.after_authentication() }
}

fn misbehaviour(r: &mut Random, edges: usize) -> (Fault, Times) {
    let to = r.pick(&[Requests::Register, Requests::Register, Requests::Message, Requests::Any]);
    let times = r.pick(&[Times::Once, Times::Next(3), Times::Always]);
    let after = r.scaled(1, LONGEST_RETRY_AFTER).as_millis() as u32;
    let fault = match r.below(18) {
        0 => Fault::answer(to, 503).retry_after(after),
        1 => Fault::answer(to, 503).retry_after(0),
        2 => Fault::answer(to, r.pick(&[500, 503, 480, 504, 600])),
        3 => Fault::answer(Requests::Register, r.pick(&[403, 404])),
        4 => Fault::answer(Requests::Register, 423).header("Min-Expires", "7200"),
        5 => Fault::answer(Requests::Register, 439),
        6 => Fault::DropResponse(to),
        7 => Fault::Delay(to, r.scaled(100, 60_000)),
        8 => Fault::CloseAfter(to),
        9 => Fault::WrongBranch(to),
        10 => Fault::WithoutBinding,
        11 => Fault::OthersFirst,
        12 => Fault::NextNonce,
        13 => Fault::DeliverTwice { same_transaction: r.chance(50) },
        14 => Fault::NoPong,
        15 | 16 => redirect(r, edges),
        _ => Fault::Silence,
    };
    (fault, times)
}
