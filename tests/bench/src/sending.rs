//! Messages to many recipients, as fast as they are accepted.

use aldis::store::{Limits, SqliteStore, State, Store};
use aldis::trust::{Anchors, Policy, Source};
use aldis::{Config, Event, Outgoing, OutgoingState, Phone, RegistrationState};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// The domain of the sink.
pub const DOMAIN: &str = "example.test";
/// Messages that the app has handed over for each recipient at a time: one is under way, the others wait behind it.
const AHEAD: u32 = 4;
/// Of usual length.
const TEXT: &str = "Hello, whoever you are, this is a message of usual length.";

/// What a run took.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Messages that were accepted.
    pub messages: u32,
    /// From the first to the last.
    pub took: Duration,
    /// From handing a message over to its acceptance, in the middle of all.
    pub median: Duration,
    /// The same of the slowest of a hundred.
    pub slow: Duration,
}

impl Figures {
    /// Messages a second.
    pub fn rate(&self) -> f64 {
        f64::from(self.messages) / self.took.as_secs_f64()
    }
}

/// Sends so many messages to so many recipients at a server on loopback; with a path over a store there, else in memory.
///
/// # Errors
/// A sentence if one is not accepted, or the store does not have them afterwards.
pub async fn send(
    address: SocketAddr,
    root_pem: &str,
    path: Option<&Path>,
    messages: u32,
    recipients: u32,
) -> Result<Figures, String> {
    let mut config = Config::new(&format!("sip:alice@{DOMAIN}"))
        .and_then(|config| config.address(&address.to_string()))
        .map_err(|error| error.to_string())?
        .trust(Policy::new(Arc::new(Anchors::from_pem(root_pem.as_bytes(), Source::Organisation))));
    if let Some(path) = path {
        config = config.store_file(path, Limits::default());
    }
    let phone = Arc::new(Phone::start(config).map_err(|error| error.to_string())?);
    phone.register();
    while let Some(event) = phone.next_event().await {
        match event {
            Event::Registration { state: RegistrationState::Registered { .. }, .. } => break,
            Event::Registration { state: RegistrationState::Failed { why, .. }, .. } => {
                return Err(why.to_string());
            }
            _ => {}
        }
    }
    let events = tokio::spawn(drain(phone.clone()));
    let left = Arc::new(AtomicU32::new(messages));
    let begun = Instant::now();
    let mut writers = JoinSet::new();
    for writer in 0..recipients * AHEAD {
        let to = format!("sip:user{}@{DOMAIN}", writer % recipients);
        writers.spawn(write(phone.clone(), to, left.clone()));
    }
    let mut times = Vec::with_capacity(messages as usize);
    while let Some(writer) = writers.join_next().await {
        times.extend(writer.map_err(|error| error.to_string())??);
    }
    let took = begun.elapsed();
    phone.shut_down().await;
    events.await.map_err(|error| error.to_string())?;
    if let Some(path) = path {
        check(path, messages)?;
    }
    times.sort_unstable();
    let at = |hundredth: usize| times.get((times.len() - 1) * hundredth / 100).copied().unwrap_or_default();
    let messages = u32::try_from(times.len()).map_err(|error| error.to_string())?;
    Ok(Figures { messages, took, median: at(50), slow: at(99) })
}

/// Reads what an app would read.
async fn drain(phone: Arc<Phone>) {
    while phone.next_event().await.is_some() {}
}

async fn write(phone: Arc<Phone>, to: String, left: Arc<AtomicU32>) -> Result<Vec<Duration>, String> {
    let mut times = Vec::new();
    while left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
        let begun = Instant::now();
        match phone.send_and_wait(&to, Outgoing::text(TEXT)).await {
            Ok(OutgoingState::Accepted { .. }) => times.push(begun.elapsed()),
            other => return Err(format!("a message to {to} was not accepted: {other:?}")),
        }
    }
    Ok(times)
}

/// Whether the store has every message, accepted.
fn check(path: &Path, messages: u32) -> Result<(), String> {
    let (mut store, _) = SqliteStore::open(path, Limits::default()).map_err(|error| error.to_string())?;
    let mut found = 0;
    for conversation in store.conversations(None, 1000).map_err(|error| error.to_string())? {
        let mut before = None;
        loop {
            let page = store.history(&conversation.peer, before, 1000).map_err(|error| error.to_string())?;
            let Some(last) = page.last() else { break };
            before = Some(last.sequence);
            let is_accepted = |entry: &&aldis::store::Entry| {
                matches!(
                    entry.message,
                    aldis::store::Message::Outgoing { state: State::Accepted { status: 200 }, .. }
                )
            };
            found += page.iter().filter(is_accepted).count();
        }
    }
    if found == messages as usize {
        Ok(())
    } else {
        Err(format!("the store has {found} accepted messages, not {messages}"))
    }
}
