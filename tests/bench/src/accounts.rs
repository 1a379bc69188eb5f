//! Many accounts in one process: phones that register at one registrar, and what they cost.

use aldis::net::Deadlines;
use aldis::trust::{Anchors, Policy, Source};
use aldis::{Config, ConnectionState, Event, Phone, RegistrationState};
use aldis_registrar::Options;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Whose accounts they are.
pub const DOMAIN: &str = "example.test";
const PASSWORD: &str = "wonderland";
/// A machine that is busy with something else is no failure of an account.
const DEADLINES: Deadlines = Deadlines {
    connect: Duration::from_secs(60),
    handshake: Duration::from_secs(120),
    total: Duration::from_secs(180),
};
/// How long the next registration may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Handshakes at a time: as many as a client may begin without spoiling the deadline of the first.
const AT_ONCE: usize = 32;

/// A registrar with so many users.
pub fn options(accounts: usize) -> Options {
    // Every connection of the clients, and those that are being closed.
    let mut options = Options::new(DOMAIN).min_expires(1).max_connections(2 * accounts + 100);
    for number in 0..accounts {
        options = options.user(user(number), PASSWORD);
    }
    options
}

fn user(number: usize) -> String {
    format!("user{number}")
}

/// Where the registrar is, and whom to trust.
#[derive(Clone, Debug)]
pub struct Place {
    address: SocketAddr,
    policy: Policy,
    expires: u32,
}

impl Place {
    /// A registrar at `address` with a root of its own, asked for `expires` seconds.
    pub fn new(address: SocketAddr, root_pem: &str, expires: u32) -> Self {
        let anchors = Anchors::from_pem(root_pem.as_bytes(), Source::Organisation);
        Place { address, policy: Policy::new(Arc::new(anchors)), expires }
    }

    fn config(&self, number: usize) -> Config {
        Config::new(&format!("sip:{}@{DOMAIN}", user(number)))
            .and_then(|config| config.address(&self.address.to_string()))
            .and_then(|config| config.expires(self.expires))
            .expect("a configuration")
            .password(PASSWORD)
            .trust(self.policy.clone())
            .deadlines(DEADLINES)
    }
}

/// What the phones told.
#[derive(Debug, Default)]
pub struct Told {
    /// Phones that have been registered at least once.
    pub registered: AtomicUsize,
    /// Registrations that were renewed.
    pub refreshed: AtomicUsize,
    /// Lost connections, refused servers, failed registrations.
    pub troubles: AtomicUsize,
    /// The first of them, in words.
    first_trouble: OnceLock<String>,
    changed: Notify,
}

impl Told {
    /// Whether all went well.
    ///
    /// # Errors
    /// How often it did not, and the first event that says so.
    pub fn all_well(&self) -> Result<(), String> {
        match self.first_trouble.get() {
            None => Ok(()),
            Some(first) => Err(format!("{} troubles, the first: {first}", self.troubles.load(Relaxed))),
        }
    }
}

/// Phones, each with a task that reads its events as an app would.
#[derive(Debug)]
pub struct Accounts {
    place: Place,
    phones: Vec<Arc<Phone>>,
    readers: JoinSet<()>,
    told: Arc<Told>,
}

impl Accounts {
    /// None yet.
    pub fn new(place: Place) -> Self {
        Accounts { place, phones: Vec::new(), readers: JoinSet::new(), told: Arc::default() }
    }

    /// What they told so far.
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.phones.len()
    }

    /// Starts phones until there are `count`, and waits until every one is registered.
    ///
    /// # Errors
    /// A sentence if an account fails, or if no further one is registered for a minute.
    pub async fn grow_to(&mut self, count: usize) -> Result<(), String> {
        while self.told.registered.load(Relaxed) < count {
            let registered = self.told.registered.load(Relaxed);
            while self.phones.len() < count.min(registered + AT_ONCE) {
                self.start();
            }
            let progress = self.told.changed.notified();
            if timeout(PATIENCE, progress).await.is_err() {
                self.told.all_well()?;
                return Err(format!("{registered} of {count} accounts are registered, and no more will be"));
            }
            self.told.all_well()?;
        }
        Ok(())
    }

    fn start(&mut self) {
        let phone = Arc::new(Phone::start(self.place.config(self.phones.len())).expect("a runtime"));
        phone.register();
        self.phones.push(phone.clone());
        self.readers.spawn(read(phone, self.told.clone()));
    }

    /// Ends them all.
    pub async fn end(mut self) {
        let mut ends = JoinSet::new();
        for phone in self.phones {
            if ends.len() >= AT_ONCE {
                ends.join_next().await;
            }
            ends.spawn(async move { phone.shut_down().await });
        }
        ends.join_all().await;
        while self.readers.join_next().await.is_some() {}
    }
}

async fn read(phone: Arc<Phone>, told: Arc<Told>) {
    let mut registered = false;
    while let Some(event) = phone.next_event().await {
        match &event {
            Event::Registration { state: RegistrationState::Registered { .. }, .. } if registered => {
                told.refreshed.fetch_add(1, Relaxed);
            }
            Event::Registration { state: RegistrationState::Registered { .. }, .. } => {
                registered = true;
                told.registered.fetch_add(1, Relaxed);
                told.changed.notify_one();
            }
            Event::Registration { state: RegistrationState::Failed { .. }, .. }
            | Event::Untrusted { .. }
            | Event::Connection {
                state: ConnectionState::Lost { .. } | ConnectionState::BackingOff { .. },
                ..
            } => {
                told.troubles.fetch_add(1, Relaxed);
                told.first_trouble.get_or_init(|| format!("{event:?}"));
                told.changed.notify_one();
            }
            _ => {}
        }
    }
}
