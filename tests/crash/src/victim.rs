//! The process that is killed.

use crate::place::{Fate, Place};
use crate::sabotage::Sabotage;
use crate::store::Deadly;
use aldis::store::{Limits, Message, SqliteStore};
use aldis::trust::{Anchors, Policy, Source};
use aldis::{Config, Direction, Event, Outgoing, OutgoingState, Phone, RegistrationState, Trace, TraceEntry};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The domain of everybody.
pub const DOMAIN: &str = "example.test";
/// Messages that a victim sends to each of the others in each run; it asks for a receipt of the first.
pub const EACH: u32 = 2;

/// What a victim is to do.
#[derive(Clone, Debug)]
pub struct Orders {
    /// Where the registrar is.
    pub address: String,
    /// A folder with `root.pem`, the store and the journal.
    pub folder: PathBuf,
    /// Whose account it is.
    pub user: String,
    /// To whom it writes.
    pub others: Vec<String>,
    /// Which run it is; its messages carry the number.
    pub run: u32,
    /// Where to die by its own hand, and how often to pass it before.
    pub place: Option<(Place, u64)>,
    /// What to do wrong.
    pub sabotage: Option<Sabotage>,
    /// What is preloaded to make the disk fail now and then.
    pub shim: Option<PathBuf>,
    /// Write nothing, and end by itself when so long nothing has happened and nothing is left.
    pub quiet: Option<Duration>,
}

impl Orders {
    /// The arguments that [`Orders::from_arguments`] reads.
    pub fn to_arguments(&self) -> Vec<String> {
        let (place, before) = self
            .place
            .map_or_else(|| ("nowhere".to_owned(), 0), |(place, before)| (place.to_string(), before));
        vec![
            "victim".into(),
            self.address.clone(),
            self.folder.display().to_string(),
            self.user.clone(),
            self.others.join(","),
            self.run.to_string(),
            place,
            before.to_string(),
            self.sabotage.map_or("none", Sabotage::name).into(),
            self.quiet.map_or(0, |quiet| quiet.as_millis()).to_string(),
            self.shim.as_ref().map(|shim| shim.display().to_string()).unwrap_or_default(),
        ]
    }

    /// Reads them.
    ///
    /// # Panics
    /// If they are none.
    pub fn from_arguments(arguments: &[String]) -> Self {
        let get = |at: usize| arguments.get(at).expect("an argument");
        let quiet: u64 = get(9).parse().unwrap();
        Orders {
            address: get(1).clone(),
            folder: get(2).into(),
            user: get(3).clone(),
            others: get(4).split(',').map(str::to_owned).collect(),
            run: get(5).parse().unwrap(),
            place: get(6).parse().ok().map(|place| (place, get(7).parse().unwrap())),
            sabotage: get(8).parse().ok(),
            quiet: (quiet > 0).then(|| Duration::from_millis(quiet)),
            shim: Some(get(10)).filter(|shim| !shim.is_empty()).map(PathBuf::from),
        }
    }

    fn open(&self, name: &str) -> File {
        OpenOptions::new().create(true).append(true).open(self.folder.join(name)).unwrap()
    }
}

/// Lives until it is killed, or until nothing is left to do.
///
/// # Panics
/// If something fails that must not.
pub fn live(orders: &Orders) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work(orders));
}

fn note(mut journal: &File, line: &str) {
    // One write at the end of the file: it is there as a whole, or not at all.
    journal.write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Where the victim is when a message crosses the connection.
fn crossing(entry: &TraceEntry) -> Option<Place> {
    let is_message = entry.text.lines().any(|line| line.starts_with("CSeq:") && line.ends_with(" MESSAGE"));
    let is_success = entry.text.starts_with("SIP/2.0 2");
    let is_request = entry.text.starts_with("MESSAGE ");
    match entry.direction {
        _ if !is_message => None,
        Direction::Sent if is_request => Some(Place::Request),
        Direction::Sent if is_success => Some(Place::Answer),
        Direction::Received if is_request => Some(Place::Arrival),
        Direction::Received if is_success => Some(Place::Answered),
        _ => None,
    }
}

fn config(orders: &Orders, fate: &Fate) -> Config {
    let root = std::fs::read(orders.folder.join("root.pem")).unwrap();
    let fate = fate.clone();
    let trace = Trace::new(move |entry| {
        if let Some(place) = crossing(&entry) {
            fate.pass(place);
        }
    });
    Config::new(&format!("sip:{}@{DOMAIN}", orders.user))
        .and_then(|config| config.address(&orders.address))
        .and_then(|config| config.instance("00000000-0000-1000-8000-000a95a0e128"))
        .unwrap()
        .password("secret")
        .trust(Policy::new(Arc::new(Anchors::from_pem(&root, Source::Organisation))))
        .acknowledge_explicitly()
        .trace(trace)
}

async fn work(orders: &Orders) {
    let journal = Arc::new(orders.open("journal"));
    let fate = Fate::new(orders.place, orders.open("journal"));
    let config = config(orders, &fate);
    let path = orders.folder.join("messages.db");
    let (store, opened) = loop {
        match SqliteStore::open(&path, Limits::default()) {
            Ok(open) => break open,
            Err(error) if orders.shim.is_some() => {
                note(&journal, &format!("storage {error}"));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => panic!("the store does not open: {error}"),
        }
    };
    if let Some(recovered) = opened.recovered {
        note(&journal, &format!("damaged {recovered:?}"));
    }
    let store = Deadly::new(Box::new(store), fate.clone(), orders.sabotage);
    let phone = Arc::new(Phone::start_with_store(config, Box::new(store)).unwrap());
    phone.register();
    let (registered, is_registered) = watch::channel(false);
    let mut writers = JoinSet::new();
    for other in orders.others.iter().filter(|_| orders.quiet.is_none()) {
        let (phone, other, run) = (phone.clone(), other.clone(), orders.run);
        let (journal, fate, is_registered) = (journal.clone(), fate.clone(), is_registered.clone());
        writers.spawn(async move { write(&phone, &other, run, is_registered, &journal, &fate).await });
    }
    read(orders, &phone, &registered, &journal, &fate).await;
    if orders.quiet.is_some() {
        // A receipt that came while the disk failed was refused, and its sender does not give it again.
        if orders.shim.is_none() {
            settle(orders, &phone, &journal).await;
        }
        phone.shut_down().await;
    }
}

/// Writes to one of the others: first while there is no connection, and again when there is.
async fn write(
    phone: &Phone,
    other: &str,
    run: u32,
    mut is_registered: watch::Receiver<bool>,
    journal: &File,
    fate: &Fate,
) {
    for n in 0..EACH {
        if n > 0 {
            // The end of the other side ends this too.
            let _ = is_registered.wait_for(|registered| *registered).await;
        }
        let text = format!("{run:06} {n} to {other}");
        let mut message = Outgoing::text(text.as_str());
        if n == 0 {
            message = message.request_receipts();
        }
        if phone.send(&format!("sip:{other}@{DOMAIN}"), message).await.is_ok() {
            fate.pass(Place::Taken);
            note(journal, &format!("accepted {text}"));
        }
    }
}

async fn read(orders: &Orders, phone: &Phone, registered: &watch::Sender<bool>, journal: &File, fate: &Fate) {
    loop {
        let next = phone.next_event();
        let event = match orders.quiet {
            Some(quiet) => match tokio::time::timeout(quiet, next).await {
                Ok(event) => event,
                Err(_) => return,
            },
            None => next.await,
        };
        match event {
            Some(Event::Message(message)) => {
                fate.pass(Place::Given);
                let text = message.text().unwrap_or_default();
                note(journal, &format!("shown {} {text}", message.sequence.0));
                let acknowledged = phone.acknowledge([message.sequence]).await;
                assert!(acknowledged.is_ok() || orders.shim.is_some(), "{acknowledged:?}");
            }
            Some(Event::Registration { state: RegistrationState::Registered { .. }, .. }) => {
                registered.send_replace(true);
                // The parent listens for it; without one there is nobody to tell.
                let _ = std::io::stdout().write_all(b"registered\n");
                let _ = std::io::stdout().flush();
            }
            Some(Event::Outgoing { state: OutgoingState::Failed { why, .. }, .. }) => {
                note(journal, &format!("failed {why}"));
            }
            Some(Event::Storage(storage)) => note(journal, &format!("storage {storage}")),
            Some(_) => {}
            None => return,
        }
    }
}

/// At the very end: every message for which a receipt was asked has one.
async fn settle(orders: &Orders, phone: &Phone, journal: &File) {
    for other in &orders.others {
        let peer = format!("sip:{other}@{DOMAIN}");
        let mut before = None;
        loop {
            let peer = peer.clone();
            let page = phone.store(move |store| store.history(&peer, before, 1000)).await.unwrap();
            let Some(last) = page.last() else { break };
            before = Some(last.sequence);
            for entry in page {
                if let Message::Outgoing { message, delivered_at: None, state, .. } = entry.message
                    && message.wants.is_some()
                {
                    let text = String::from_utf8_lossy(&message.body).into_owned();
                    note(journal, &format!("unreceipted {text} ({state:?})"));
                }
            }
        }
    }
}
