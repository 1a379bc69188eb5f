//! The world: time that jumps from event to event, phones, a registrar, and the network between them.

mod act;
mod carry;
mod check;
mod drive;

use crate::model::{Checked, Violation};
use crate::network::{Attempt, Connection, Edge, Place};
use crate::phone::{BOOT, Phone};
use crate::random::Random;
use crate::sabotage::Sabotage;
use crate::scenario::{Action, Scenario};
use crate::trace::Trace;
use aldis_agent::{LostReason, OutgoingState};
use aldis_registrar::{ConnectionId, Machine};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Something that will happen.
#[derive(Clone, Debug)]
pub enum Happening {
    /// An action.
    Do(Action),
    /// A step of an attempt is over.
    Attempt(usize),
    /// Bytes reach the server.
    Up(usize, Bytes),
    /// The client's end reaches the server.
    UpEnd(usize),
    /// Bytes reach the client.
    Down(usize, Bytes),
    /// The server's end reaches the client.
    DownEnd(usize, LostReason),
    /// A phone has to be registered by now, if nothing disturbed it since.
    Check(usize, u64),
    /// All has to be well.
    Texts,
    /// And all is to be done.
    End,
}

/// A message from one user to another.
#[derive(Clone, Debug)]
pub struct Text {
    pub from: usize,
    pub to: usize,
    pub body: String,
    pub state: OutgoingState,
    /// It has to arrive: all was well when it was sent.
    pub sure: bool,
}

/// What a run was like.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Simulated time.
    pub time: Duration,
    /// Requests that the model read.
    pub requests: u64,
    /// Messages that the apps sent.
    pub texts: u64,
    /// How often timers fired, and how many pings left.
    pub wakes: u64,
    pub pings: u64,
    /// Most outputs of one agent in one second.
    pub busiest: u32,
    /// What happened, if the run was traced.
    pub timeline: Vec<String>,
    /// How long each told handover took until the phone was registered again.
    pub handovers: Vec<Duration>,
}

/// One world.
pub struct World {
    pub now: Duration,
    pub scenario: Scenario,
    pub random: Random,
    pub queue: BTreeMap<(Duration, u64), Happening>,
    count: u64,
    pub machine: Machine,
    pub edges: Vec<Edge>,
    pub dns: Vec<Place>,
    pub phones: Vec<Phone>,
    pub conns: Vec<Connection>,
    pub attempts: Vec<Attempt>,
    /// The connection of a server's end.
    pub by_server: BTreeMap<ConnectionId, usize>,
    /// By sender and Message-ID.
    pub texts: BTreeMap<(usize, String), Text>,
    pub text_count: u64,
    /// How many standing misbehaviours of the registrar could keep a phone from being registered.
    pub misbehaving: u32,
    pub healed: bool,
    pub over: bool,
    pub trace: Trace,
    pub sabotage: Option<Sabotage>,
    pub summary: Summary,
    /// When a told handover happened, by phone.
    pub handover: Vec<Option<Duration>>,
}

/// Where an edge listens.
pub fn edge_address(edge: usize) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(192, 0, 2, edge as u8 + 1), 5061))
}

impl World {
    /// A world as a scenario begins.
    pub fn new(scenario: Scenario, traced: bool, sabotage: Option<Sabotage>) -> World {
        let mut random = Random::new(scenario.seed ^ 0x5eed);
        let addresses = (0..scenario.edges).map(edge_address).collect();
        let machine = Machine::new(scenario.options.clone(), random.seed(), addresses).untold();
        let phones =
            scenario.phones.iter().enumerate().map(|(index, setup)| Phone::new(index, setup.clone()));
        let mut world = World {
            now: Duration::ZERO,
            phones: phones.collect(),
            edges: vec![Edge { alive: true, refuses: true }; scenario.edges],
            dns: (0..scenario.edges).map(Place::Edge).collect(),
            handover: vec![None; scenario.phones.len()],
            machine,
            random,
            queue: BTreeMap::new(),
            count: 0,
            conns: Vec::new(),
            attempts: Vec::new(),
            by_server: BTreeMap::new(),
            texts: BTreeMap::new(),
            text_count: 0,
            misbehaving: 0,
            healed: false,
            over: false,
            trace: Trace::new(traced),
            sabotage,
            summary: Summary::default(),
            scenario,
        };
        for (at, action) in world.scenario.actions.clone() {
            world.later(at, Happening::Do(action));
        }
        world
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// The first rule that was broken.
    pub fn run(&mut self) -> Result<Summary, Violation> {
        for phone in 0..self.phones.len() {
            self.start(phone)?;
        }
        while !self.over {
            self.step()?;
        }
        self.summary.time = self.now;
        for phone in &self.phones {
            self.summary.requests += phone.wire.requests;
            self.summary.wakes += phone.wakes;
            self.summary.pings += phone.pings;
            self.summary.busiest = self.summary.busiest.max(phone.wire.busiest);
        }
        self.summary.texts = self.text_count;
        Ok(self.summary.clone())
    }

    /// Puts something into the future.
    pub fn later(&mut self, at: Duration, what: Happening) {
        self.count += 1;
        self.queue.insert((at, self.count), what);
    }

    /// The next thing happens.
    fn step(&mut self) -> Checked {
        let queued = self.queue.first_key_value().map(|((at, _), _)| *at);
        let server = self.machine.deadline();
        let timer = |phone: &Phone| phone.timer.filter(|_| phone.is_up());
        let phone =
            (0..self.phones.len()).filter_map(|index| timer(&self.phones[index]).map(|at| (at, index))).min();
        let first = [queued, server, phone.map(|(at, _)| at)].into_iter().flatten().min();
        let Some(at) = first else {
            self.over = true;
            return Ok(());
        };
        self.now = self.now.max(at);
        if queued == Some(at) {
            if let Some((_, what)) = self.queue.pop_first() {
                self.happen(what)?;
            }
        } else if server == Some(at) {
            self.machine.handle_timeout(self.server_now());
            self.pump();
        } else if let Some((_, index)) = phone {
            self.fire(index)?;
        }
        for phone in 0..self.phones.len() {
            self.observe(phone);
        }
        Ok(())
    }

    fn happen(&mut self, what: Happening) -> Checked {
        match what {
            Happening::Do(action) => self.act(action),
            Happening::Attempt(attempt) => self.attempt_step(attempt),
            Happening::Up(conn, bytes) => {
                self.arrive_up(conn, &bytes);
                Ok(())
            }
            Happening::UpEnd(conn) => {
                self.end_up(conn);
                Ok(())
            }
            Happening::Down(conn, bytes) => self.arrive_down(conn, bytes),
            Happening::DownEnd(conn, why) => self.end_down(conn, why),
            Happening::Check(phone, serial) => self.check(phone, serial),
            Happening::Texts => self.texts_of_the_end(),
            Happening::End => self.end(),
        }
    }

    /// A timer fires.
    fn fire(&mut self, index: usize) -> Checked {
        let (now, messages) = (self.now, self.texts.len());
        self.phones[index].timer = None;
        self.phones[index].wire.output(now, messages)?;
        self.drain(index)
    }

    /// When a deadline's timer fires.
    pub fn timer_for(&mut self, at: Duration, slack: Duration) -> Duration {
        at.saturating_sub(BOOT) + if slack.is_zero() { slack } else { self.random.up_to(slack) }
    }

    /// The server's clocks.
    pub fn server_now(&self) -> aldis_registrar::Now {
        aldis_registrar::Now { mono: self.now, wall: 1_800_000_000 + self.now.as_secs() as i64 }
    }
}
