//! The others: they live as long as the run, write to the victim and read what it writes.

use crate::judge::Written;
use crate::victim::{DOMAIN, EACH};
use aldis::trust::{Anchors, Policy, Source};
use aldis::{Config, Event, MessageId, Outgoing, OutgoingState, Phone, RegistrationState};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// One of them.
pub struct Other {
    user: String,
    phone: Arc<Phone>,
    heard: Arc<Mutex<Heard>>,
    reader: JoinHandle<()>,
}

/// What it was told and shown.
#[derive(Default)]
pub struct Heard {
    /// Texts of the victim, in the order in which they were shown.
    pub shown: Vec<String>,
    /// Its own messages.
    pub written: BTreeMap<MessageId, Written>,
}

impl Other {
    /// Starts and registers it.
    ///
    /// # Panics
    /// If that does not work.
    pub async fn start(user: &str, address: &str, root: &[u8]) -> Self {
        let config = Config::new(&format!("sip:{user}@{DOMAIN}"))
            .and_then(|config| config.address(address))
            .unwrap()
            .password("secret")
            .trust(Policy::new(Arc::new(Anchors::from_pem(root, Source::Organisation))));
        let phone = Arc::new(Phone::start(config).unwrap());
        phone.register();
        while let Some(event) = phone.next_event().await {
            if matches!(event, Event::Registration { state: RegistrationState::Registered { .. }, .. }) {
                break;
            }
        }
        let heard: Arc<Mutex<Heard>> = Arc::default();
        let reader = tokio::spawn(read(phone.clone(), heard.clone()));
        Other { user: user.to_owned(), phone, heard, reader }
    }

    /// Writes to the victim, and asks for a receipt of the first.
    pub async fn write(&self, to: &str, run: u32) {
        for n in 0..EACH {
            let text = format!("{run:06} {n} from {} to {to}", self.user);
            let mut message = Outgoing::text(text.as_str());
            if n == 0 {
                message = message.request_receipts();
            }
            let id = self.phone.send(&format!("sip:{to}@{DOMAIN}"), message).await.expect("room in memory");
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            let written = heard.written.entry(id).or_default();
            (written.text, written.wants_receipt) = (text, n == 0);
        }
    }

    /// Waits until every message of its own is done, and every receipt has come that can be expected; not for ever.
    pub async fn settle(&self, within: Duration) {
        let all = async {
            loop {
                let open = {
                    let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
                    heard.written.values().any(Written::is_open)
                };
                if !open {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        // What is missing then the judge finds.
        let _ = tokio::time::timeout(within, all).await;
    }

    /// Ends it; gives what it was told and shown.
    ///
    /// # Panics
    /// If its reader panicked.
    pub async fn end(self) -> Heard {
        self.phone.shut_down().await;
        self.reader.await.unwrap();
        std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn read(phone: Arc<Phone>, heard: Arc<Mutex<Heard>>) {
    while let Some(event) = phone.next_event().await {
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Message(message) => heard.shown.push(message.text().unwrap_or_default()),
            Event::Outgoing { id, state, .. } => {
                let written = heard.written.entry(id).or_default();
                match state {
                    OutgoingState::Accepted { status, .. } => {
                        (written.status, written.is_done) = (Some(status.code()), true);
                    }
                    OutgoingState::Delivered | OutgoingState::Displayed => written.receipts += 1,
                    OutgoingState::Failed { .. } | OutgoingState::Unknown { .. } => written.is_done = true,
                    OutgoingState::Queued | OutgoingState::Sending => {}
                }
            }
            _ => {}
        }
    }
}
