//! Aldis against its embedded registrar over real TLS: what the tests share.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable)] // a test that cannot go on ends here

mod distribution_point;
mod openssl;
pub mod recovery;

pub use distribution_point::{Answer, DistributionPoint};
pub use openssl::OpensslServer;

use aldis::trust::{Anchors, Policy, Source};
use aldis::{Config, Event, Outgoing, OutgoingState, Phone, RegistrationState};
use aldis_registrar::{Options, Registrar};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The domain that every test server speaks for.
pub const DOMAIN: &str = "example.test";
/// Longer than anything here takes; only a failing test waits so long.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A registrar with the users alice and bob.
pub fn options() -> Options {
    Options::new(DOMAIN).user("alice", "wonderland").user("bob", "builder")
}

/// Starts a registrar.
pub async fn registrar(options: Options) -> Registrar {
    Registrar::start(options).await.expect("the registrar starts")
}

/// A policy that trusts this root and no other.
pub fn only(root_pem: &str) -> Policy {
    Policy::new(Arc::new(Anchors::from_pem(root_pem.as_bytes(), Source::Organisation)))
}

/// The configuration of a user at a server on loopback, trusting this root.
pub fn config_at(user: &str, password: &str, address: SocketAddr, root_pem: &str) -> Config {
    Config::new(&format!("sip:{user}@{DOMAIN}"))
        .and_then(|config| config.address(&address.to_string()))
        .expect("a configuration")
        .password(password)
        .trust(only(root_pem))
}

/// The configuration of a user of this registrar.
pub fn config(registrar: &Registrar, user: &str) -> Config {
    let password = if user == "bob" { "builder" } else { "wonderland" };
    config_at(
        user,
        password,
        registrar.address(),
        registrar.root_pem().expect("the registrar has a CA of its own"),
    )
}

/// A phone that waits for what it is told to wait for.
pub struct Tester {
    /// The phone.
    pub phone: Phone,
}

impl Tester {
    /// Starts a phone.
    pub fn start(config: Config) -> Self {
        Tester { phone: Phone::start(config).expect("a runtime") }
    }

    /// Starts a phone and registers it.
    pub async fn registered(config: Config) -> Self {
        let tester = Tester::start(config);
        tester.phone.register();
        tester
            .wait_for(|event| {
                matches!(event, Event::Registration { state: RegistrationState::Registered { .. }, .. })
            })
            .await;
        tester
    }

    /// The first event that `wanted` says yes to; the others are passed over.
    ///
    /// # Panics
    /// If it does not come in time; says which ones came.
    pub async fn wait_for(&self, wanted: impl Fn(&Event) -> bool) -> Event {
        let mut seen = Vec::new();
        let found = tokio::time::timeout(PATIENCE, async {
            while let Some(event) = self.phone.next_event().await {
                if wanted(&event) {
                    return event;
                }
                seen.push(format!("{event:?}"));
            }
            panic!("the phone ended");
        });
        match found.await {
            Ok(event) => event,
            Err(_) => panic!("the event did not come; these did:\n{}", seen.join("\n")),
        }
    }

    /// The next message's text.
    pub async fn text(&self) -> String {
        let event = self.wait_for(|event| matches!(event, Event::Message(_))).await;
        let Event::Message(message) = event else { unreachable!("waited for a message") };
        message.text().expect("a text")
    }

    /// Sends a text and gives its final state.
    pub async fn send(&self, to: &str, text: &str) -> OutgoingState {
        let sent = self.phone.send_and_wait(to, Outgoing::text(text));
        tokio::time::timeout(PATIENCE, sent)
            .await
            .expect("a final state in time")
            .expect("the message is taken")
    }
}
