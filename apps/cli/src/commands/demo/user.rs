//! A user of the demo: a phone whose events are waited for.

use super::story::Story;
use super::{DOMAIN, broken};
use crate::failure::Failure;
use aldis::trust::Policy;
use aldis::{
    Config, Connected, ConnectionState, Event, Incoming, Outgoing, OutgoingState, Phone, RegistrationState,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

/// How long a step may take: far more than it does, so that a busy machine tells the same story.
const PATIENCE: Duration = Duration::from_secs(20);

/// What makes a user.
pub(super) struct Identity {
    pub name: &'static str,
    pub password: String,
    pub instance: String,
}

impl Identity {
    /// A user with a password of his own.
    pub fn new(name: &'static str) -> Self {
        Identity { name, password: Uuid::new_v4().to_string(), instance: Uuid::new_v4().to_string() }
    }

    /// `sip:name@example.test`
    pub fn address(&self) -> String {
        format!("sip:{}@{DOMAIN}", self.name)
    }
}

/// A phone of that user.
pub(super) struct User {
    name: &'static str,
    phone: Phone,
}

impl User {
    /// Starts a phone that is led to `server` and trusts by `policy`.
    pub fn start(who: &Identity, server: SocketAddr, policy: &Policy) -> Result<User, Failure> {
        let config = Config::new(&who.address())
            .and_then(|config| config.address(&server.to_string()))
            .and_then(|config| config.instance(&who.instance))
            .map_err(|error| broken(who.name, &error))?;
        let config = config.password(who.password.as_str()).trust(policy.clone());
        let phone = Phone::start(config).map_err(|error| broken(who.name, &error))?;
        Ok(User { name: who.name, phone })
    }

    /// Waits until `wanted` finds what it looks for; a final failure meanwhile is told instead.
    pub async fn wait<T>(
        &self,
        what: &str,
        story: &mut Story<'_>,
        mut wanted: impl FnMut(&Event) -> Option<T>,
    ) -> Result<T, Failure> {
        let look = async {
            loop {
                let Some(event) = self.phone.next_event().await else {
                    return Err(broken(self.name, &"the phone stopped by itself"));
                };
                story.event(self.name, &event)?;
                if let Some(found) = wanted(&event) {
                    return Ok(found);
                }
                if let Some(why) = failure(&event) {
                    return Err(broken(self.name, &format_args!("waiting for {what}: {why}")));
                }
            }
        };
        timeout(PATIENCE, look).await.map_err(|_| {
            broken(self.name, &format_args!("{what} did not come within {} s", PATIENCE.as_secs()))
        })?
    }

    /// States the intent to be registered.
    pub fn register(&self) {
        self.phone.register();
    }

    /// Registers, and gives what was proven about the server and for how many seconds it holds.
    pub async fn registered(&self, story: &mut Story<'_>) -> Result<(Arc<Connected>, u64), Failure> {
        self.register();
        let mut connected = None;
        let granted = self
            .wait("the registration", story, |event| match event {
                Event::Connection { state: ConnectionState::Connected(facts), .. } => {
                    connected = Some(facts.clone());
                    None
                }
                Event::Registration { state: RegistrationState::Registered { expires_in, .. }, .. } => {
                    Some(expires_in.as_secs())
                }
                _ => None,
            })
            .await?;
        let connected = connected.ok_or_else(|| broken(self.name, &"registered without a connection"))?;
        Ok((connected, granted))
    }

    /// Sends a text and gives the status with which it was accepted.
    pub async fn write(&self, to: &Identity, text: &str, story: &mut Story<'_>) -> Result<u16, Failure> {
        let sent = self.phone.send(&to.address(), Outgoing::text(text)).await;
        let ours = sent.map_err(|error| broken(self.name, &error))?;
        self.wait("the answer to the message", story, |event| match event {
            Event::Outgoing { id, state: OutgoingState::Accepted { status, .. }, .. } if *id == ours => {
                Some(status.code())
            }
            _ => None,
        })
        .await
    }

    /// Waits for a message and makes sure that it is the one that was written.
    pub async fn read(&self, from: &Identity, text: &str, story: &mut Story<'_>) -> Result<(), Failure> {
        let message = self
            .wait("the message", story, |event| match event {
                Event::Message(message) => Some(message.clone()),
                _ => None,
            })
            .await?;
        if is_the_one(&message, from, text) {
            return Ok(());
        }
        Err(broken(self.name, &format_args!("got another message than {} wrote", from.name)))
    }

    /// Unregisters and closes.
    pub async fn leave(self, story: &mut Story<'_>) -> Result<(), Failure> {
        self.phone.shut_down().await;
        while let Some(event) = self.phone.next_event().await {
            story.event(self.name, &event)?;
        }
        Ok(())
    }
}

fn is_the_one(message: &Incoming, from: &Identity, text: &str) -> bool {
    message.from.as_str() == from.address() && message.text().as_deref() == Some(text)
}

/// Why a step cannot succeed any more, if that is what the event says.
fn failure(event: &Event) -> Option<String> {
    match event {
        Event::Registration { state: RegistrationState::Failed { why, retry_in: None, .. }, .. } => {
            Some(why.to_string())
        }
        Event::Outgoing { state: OutgoingState::Failed { why, .. }, .. } => Some(why.to_string()),
        Event::Outgoing { state: OutgoingState::Unknown { why, .. }, .. } => Some(why.to_string()),
        Event::Connection { state: ConnectionState::BackingOff { why, .. }, .. } => Some(why.to_string()),
        _ => None,
    }
}
