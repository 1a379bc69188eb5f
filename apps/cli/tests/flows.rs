//! `--flows` and several proxies, against a registrar with two edges.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test that cannot go on ends here

use aldis_registrar::{Options, Outgoing, Registrar};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Command;

const PATIENCE: Duration = Duration::from_secs(30);

/// Listens for one message with these options, and gives the events as they were printed.
async fn listen(registrar: &Registrar, options: &[&str]) -> Vec<Value> {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("root.pem"), registrar.root_pem().unwrap()).unwrap();
    std::fs::write(home.path().join("password"), "wonderland\n").unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_aldis"))
        .args(["listen", "--account", "sip:alice@example.test", "--password-file", "password"])
        .args(["--roots", "root.pem", "--store", "none", "--count", "1", "--json"])
        .args(options)
        .current_dir(home.path())
        .env("HOME", home.path())
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("XDG_DATA_HOME")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let started = Instant::now();
    while registrar.bindings("alice").len() < 2 {
        assert!(started.elapsed() < PATIENCE, "{:?}", registrar.bindings("alice"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let message = Outgoing::new("MESSAGE").body("text/plain", "hello");
    registrar.send_request("alice", &message);
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
    assert!(output.status.success());
    assert!(registrar.bindings("alice").is_empty(), "each binding is removed");
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The flows of which this was told.
fn flows(events: &[Value], event: &str, state: &str) -> BTreeSet<u64> {
    let of_it = |value: &&Value| value["event"] == event && value["state"] == state;
    events.iter().filter(of_it).map(|value| value["flow"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_flows_go_to_two_edges_and_events_say_which_is_which_out_03_out_04() {
    let options = Options::new("example.test").user("alice", "wonderland").edges(2);
    let registrar = Registrar::start(options).await.unwrap();
    let [one, two] = registrar.addresses()[..] else { panic!("two edges") };
    let (one, two) = (one.to_string(), two.to_string());
    let events = listen(&registrar, &["--flows", "2", "--address", &one, "--address", &two]).await;
    assert_eq!(flows(&events, "connection", "connected"), BTreeSet::from([1, 2]));
    assert_eq!(flows(&events, "registration", "registered"), BTreeSet::from([1, 2]));
    assert_eq!(flows(&events, "registration", "unregistered"), BTreeSet::from([1, 2]));
    let places: BTreeSet<_> = events.iter().filter_map(|value| value["address"].as_str()).collect();
    assert_eq!(places, BTreeSet::from([one.as_str(), &two]), "each edge has one of them");
    assert!(events.iter().any(|value| value["event"] == "message"));
}
