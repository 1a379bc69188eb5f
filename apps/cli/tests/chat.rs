//! `aldis chat` through pipes, against the registrar of the tests.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test that cannot go on ends here

use aldis_registrar::{Options, Registrar};
use serde_json::Value;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

const PATIENCE: Duration = Duration::from_secs(30);

/// A registrar, and a home for each user.
struct World {
    registrar: Registrar,
    home: tempfile::TempDir,
}

/// A running command.
struct Running {
    child: Child,
    say: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    seen: Vec<String>,
}

impl World {
    async fn new() -> World {
        let options = Options::new("example.test").user("alice", "wonderland").user("bob", "builder");
        let registrar = Registrar::start(options).await.unwrap();
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("root.pem"), registrar.root_pem().unwrap()).unwrap();
        World { registrar, home }
    }

    fn start(&self, user: &str, arguments: &[&str]) -> Running {
        let password = if user == "bob" { "builder" } else { "wonderland" };
        let home = self.home.path().join(user);
        std::fs::create_dir_all(&home).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_aldis"));
        for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "RUST_LOG"] {
            command.env_remove(name);
        }
        let address = self.registrar.address().to_string();
        command
            .args(arguments)
            .args([
                "--account",
                &format!("sip:{user}@example.test"),
                "--address",
                &address,
                "--roots",
                "../root.pem",
            ])
            .current_dir(&home)
            .env("HOME", &home)
            .env("ALDIS_PASSWORD", password)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let (say, lines) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()).lines());
        Running { child, say, lines, seen: Vec::new() }
    }
}

impl Running {
    async fn say(&mut self, line: &str) {
        self.say.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// The next line that `wanted` says yes to.
    async fn wait_for(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let found = tokio::time::timeout(PATIENCE, async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                self.seen.push(line.clone());
                if wanted(&line) {
                    return Some(line);
                }
            }
            None
        });
        match found.await {
            Ok(Some(line)) => line,
            _ => panic!("no {what}; there were {:#?}", self.seen),
        }
    }

    async fn event(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let line = self
            .wait_for("event", |line| serde_json::from_str(line).is_ok_and(|value: Value| wanted(&value)))
            .await;
        serde_json::from_str(&line).unwrap()
    }

    async fn registered(&mut self) {
        self.event(|event| event["event"] == "registration" && event["state"] == "registered").await;
    }

    /// Ends its input, and gives its exit status.
    async fn end(mut self) -> i32 {
        self.say = None;
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        status.code().unwrap()
    }
}

#[tokio::test]
async fn a_line_is_a_message_and_states_are_words() {
    let world = World::new().await;
    let mut bob = world.start("bob", &["listen", "--echo", "--display-receipts", "--json"]);
    bob.registered().await;
    let mut alice = world.start("alice", &["chat", "bob"]);
    alice.say("hello\u{1b}[2J").await;
    // The echo may overtake the receipts.
    for line in ["* delivered", "* read", "bob: hello\\u{1b}[2J"] {
        if !alice.seen.iter().any(|seen| seen == line) {
            alice.wait_for(line, |seen| seen == line).await;
        }
    }
    assert_eq!(alice.end().await, 0);
}

#[tokio::test]
async fn what_was_said_is_found_again_by_the_next_run() {
    let world = World::new().await;
    let mut bob = world.start("bob", &["listen", "--echo", "--json"]);
    bob.registered().await;
    let mut alice = world.start("alice", &["chat", "bob", "--json"]);
    alice.registered().await;
    for text in ["one apple", "two pears"] {
        alice.say(text).await;
        alice.event(|event| event["event"] == "message" && event["body"] == text).await;
    }
    assert_eq!(alice.end().await, 0);

    let mut alice = world.start("alice", &["chat", "bob", "--json"]);
    alice.say("/history 1").await;
    let newest = alice.event(|event| event["event"] == "history").await;
    assert_eq!((&newest["direction"], &newest["body"]), (&"in".into(), &"two pears".into()));
    alice.say("/history").await;
    let first = alice.event(|event| event["event"] == "history").await;
    assert_eq!(
        (&first["direction"], &first["body"]),
        (&"out".into(), &"one apple".into()),
        "a page is in order"
    );
    alice
        .event(|event| {
            event["event"] == "history" && event["body"] == "two pears" && event["direction"] == "out"
        })
        .await;
    alice.say("/search app").await;
    let found = alice.event(|event| event["event"] == "history").await;
    assert_eq!(found["body"], "one apple");
    alice.say("/quit").await;
    assert_eq!(alice.end().await, 0);
}

#[tokio::test]
async fn wrong_credentials_end_a_conversation_with_4() {
    let world = World::new().await;
    let mut alice = world.start("bob", &["chat", "alice", "--auth-user", "alice"]);
    let status = tokio::time::timeout(PATIENCE, alice.child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(4));
}
