//! How long a phone takes to be back, measured.

use crate::{PATIENCE, Tester, config, options, registrar};
use aldis::net::NetworkChange;
use aldis::{Event, Outgoing, OutgoingState, RegistrationState};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const BOB: &str = "sip:bob@example.test";
/// How long the registrar is away.
const AWAY: Duration = Duration::from_secs(2);
/// Recipients of the messages that run while an edge is killed; one message at a time goes to each.
const RECIPIENTS: usize = 8;

async fn registered_again(phone: &Tester) {
    phone
        .wait_for(|event| {
            matches!(event, Event::Registration { state: RegistrationState::Registered { .. }, .. })
        })
        .await;
}

/// From the moment at which the registrar is killed until the phone is registered again; it is started anew after 2 s.
pub async fn after_a_restart() -> Duration {
    let registrar = registrar(options()).await;
    let alice = Tester::registered(config(&registrar, "alice")).await;
    registrar.stop_listening().await;
    let killed = Instant::now();
    registrar.forget_bindings();
    tokio::time::sleep(AWAY).await;
    registrar.listen_again().await.expect("the port is free again");
    registered_again(&alice).await;
    killed.elapsed()
}

/// From the moment at which the connection goes silent until the phone is registered over another, with keep-alives each
/// 0.8 to 1 s.
pub async fn after_silence() -> Duration {
    let registrar = registrar(options().flow_timer(1)).await;
    let alice = Tester::registered(config(&registrar, "alice")).await;
    let silent = silence(&registrar);
    registered_again(&alice).await;
    silent.elapsed()
}

/// From the moment at which the app says that the network changed until the phone is registered again. The old connection is
/// silent.
pub async fn after_a_network_change() -> Duration {
    let registrar = registrar(options()).await;
    let alice = Tester::registered(config(&registrar, "alice")).await;
    silence(&registrar);
    let changed = Instant::now();
    alice.phone.network_changed(NetworkChange::default());
    registered_again(&alice).await;
    changed.elapsed()
}

fn silence(registrar: &aldis_registrar::Registrar) -> Instant {
    for connection in registrar.open_connections() {
        registrar.silence_connection(connection);
    }
    Instant::now()
}

/// What became of messages while one of two edges was killed.
#[derive(Debug)]
pub struct EdgeLost {
    /// How many were sent.
    pub sent: usize,
    /// How many were answered with 200 or 202.
    pub accepted: usize,
    /// How many arrived, each counted once.
    pub arrived: usize,
    /// How many were shown twice.
    pub repeated: usize,
    /// From handing a message over right after the loss until it was accepted.
    pub next: Duration,
}

/// A phone with two flows to two edges sends `count` messages, and the edge that carries them is killed in the middle.
pub async fn one_edge_of_two_killed(count: usize) -> EdgeLost {
    let registrar = registrar(
        (0..RECIPIENTS).fold(options().edges(2), |options, n| options.user(format!("user{n}"), "wonderland")),
    )
    .await;
    let edges = registrar.addresses();
    let second = edges.get(1).expect("a second edge").to_string();
    let config_to = |user: &str, edge: &str| {
        crate::config_at(
            user,
            "wonderland",
            edge.parse().expect("an address"),
            registrar.root_pem().expect("a CA of its own"),
        )
    };
    let mut receivers = Vec::new();
    for n in 0..RECIPIENTS {
        receivers.push(Tester::registered(config_to(&format!("user{n}"), &second)).await);
    }
    let two = config(&registrar, "alice").address(&second).and_then(|config| config.flows(2));
    let alice = Tester::registered(two.expect("a configuration")).await;
    registered_again(&alice).await;
    assert_eq!(registrar.bindings("alice").len(), 2);

    let mut taken = BTreeSet::new();
    for n in 0..count {
        let to = format!("sip:user{}@example.test", n % RECIPIENTS);
        taken.insert(alice.phone.send(&to, Outgoing::text(n.to_string())).await.expect("it is taken"));
    }
    let sending = async {
        let mut accepted = 0;
        while !taken.is_empty() {
            let event =
                alice.wait_for(|e| matches!(e, Event::Outgoing { state, .. } if state.is_final())).await;
            if let Event::Outgoing { id, state, .. } = event
                && taken.remove(&id)
            {
                accepted += usize::from(matches!(state, OutgoingState::Accepted { .. }));
            }
        }
        accepted
    };
    let killing = async {
        // Some have been answered by then, others are under way, most wait.
        let mut seen = 0;
        registrar
            .wait_for(
                |entry| {
                    seen += usize::from(entry.is_request("MESSAGE"));
                    seen > count / 4
                },
                PATIENCE,
            )
            .await
            .expect("messages run");
        registrar.stop_edge(0).await;
        let lost = Instant::now();
        let state = alice.phone.send_and_wait(BOB, Outgoing::text("the next")).await;
        assert!(state.is_ok(), "{state:?}");
        lost.elapsed()
    };
    let (accepted, next) = tokio::join!(sending, killing);
    let (mut arrived, mut repeated) = (BTreeSet::new(), 0);
    for receiver in &receivers {
        let theirs = count / RECIPIENTS;
        for _ in 0..theirs {
            repeated += usize::from(!arrived.insert(receiver.text().await));
        }
    }
    EdgeLost { sent: count, accepted, arrived: arrived.len(), repeated, next }
}
