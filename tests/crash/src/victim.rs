//! The process that is killed.

use crate::store::Deadly;
use aldis::store::{Limits, SqliteStore};
use aldis::trust::{Anchors, Policy, Source};
use aldis::{Config, Event, Outgoing, OutgoingState, Phone};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What a victim is to do.
#[derive(Clone, Debug)]
pub struct Orders {
    /// Where the registrar is.
    pub address: String,
    /// A folder with `root.pem`, the store and the journal.
    pub folder: PathBuf,
    /// Which run it is; its messages carry the number.
    pub run: u32,
    /// How many messages to send.
    pub messages: u32,
    /// Where to die by its own hand.
    pub place: Option<u32>,
    /// End by itself when so long nothing has happened and nothing is left.
    pub quiet: Option<Duration>,
}

impl Orders {
    /// The arguments that [`Orders::from_arguments`] reads.
    pub fn to_arguments(&self) -> Vec<String> {
        let place = self.place.map_or_else(|| "none".to_owned(), |place| place.to_string());
        let quiet = self.quiet.map_or(0, |quiet| quiet.as_millis());
        vec![
            "victim".into(),
            self.address.clone(),
            self.folder.display().to_string(),
            self.run.to_string(),
            self.messages.to_string(),
            place,
            quiet.to_string(),
        ]
    }

    /// Reads them.
    ///
    /// # Panics
    /// If they are none.
    pub fn from_arguments(arguments: &[String]) -> Self {
        let get = |at: usize| arguments.get(at).expect("an argument");
        let quiet: u64 = get(6).parse().unwrap();
        Orders {
            address: get(1).clone(),
            folder: get(2).into(),
            run: get(3).parse().unwrap(),
            messages: get(4).parse().unwrap(),
            place: get(5).parse().ok(),
            quiet: (quiet > 0).then(|| Duration::from_millis(quiet)),
        }
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

fn note(journal: &mut File, line: &str) {
    // One write: it is there as a whole, or not at all.
    journal.write_all(format!("{line}\n").as_bytes()).unwrap();
}

async fn work(orders: &Orders) {
    let root = std::fs::read(orders.folder.join("root.pem")).unwrap();
    let config = Config::new("sip:alice@example.test")
        .and_then(|config| config.address(&orders.address))
        .and_then(|config| config.instance("00000000-0000-1000-8000-000a95a0e128"))
        .unwrap()
        .password("wonderland")
        .trust(Policy::new(Arc::new(Anchors::from_pem(&root, Source::Organisation))))
        .acknowledge_explicitly();
    let (store, opened) =
        SqliteStore::open(orders.folder.join("messages.db"), Limits::default()).expect("the store opens");
    let mut journal =
        OpenOptions::new().create(true).append(true).open(orders.folder.join("journal")).unwrap();
    if let Some(recovered) = opened.recovered {
        note(&mut journal, &format!("damaged {recovered:?}"));
    }
    let phone = Phone::start_with_store(config, Box::new(Deadly::new(store, orders.place))).unwrap();
    phone.register();
    for n in 0..orders.messages {
        let text = format!("a-{}-{n}", orders.run);
        if phone.send("sip:bob@example.test", Outgoing::text(text.as_str())).await.is_ok() {
            note(&mut journal, &format!("accepted {text}"));
        }
    }
    loop {
        let next = phone.next_event();
        let event = match orders.quiet {
            Some(quiet) => match tokio::time::timeout(quiet, next).await {
                Ok(event) => event,
                Err(_) => break,
            },
            None => next.await,
        };
        match event {
            Some(Event::Message(message)) => {
                let text = message.text().unwrap_or_default();
                note(&mut journal, &format!("shown {} {text}", message.sequence.0));
                phone.acknowledge([message.sequence]).await.unwrap();
            }
            Some(Event::Outgoing { state: OutgoingState::Failed { why, .. }, .. }) => {
                note(&mut journal, &format!("failed {why}"));
            }
            Some(Event::Storage(storage)) => note(&mut journal, &format!("storage {storage}")),
            Some(_) => {}
            None => break,
        }
    }
    phone.shut_down().await;
}
