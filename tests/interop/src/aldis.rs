//! The `aldis` command, as anybody would type it.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::{Kamailio, Namespace, PATIENCE, Process, Source, TlsSink, User};

/// One account on one machine: a home of its own, the account's options, and where the server is.
#[derive(Debug)]
pub struct Aldis<'a> {
    namespace: &'a Namespace,
    home: TempDir,
    options: Vec<OsString>,
}

impl<'a> Aldis<'a> {
    /// `user` at this registrar.
    #[must_use]
    pub fn new(kamailio: &'a Kamailio, user: User) -> Self {
        Self::at(kamailio.namespace(), kamailio.address(), &kamailio.roots(), user)
    }

    /// `user`, led to a port of this registrar's host where nobody listens.
    #[must_use]
    pub fn at_closed_port(kamailio: &'a Kamailio, user: User) -> Self {
        let mut address = kamailio.address();
        address.set_port(1);
        Self::at(kamailio.namespace(), address, &kamailio.roots(), user)
    }

    /// `user`, led to a server that tells what it was told.
    #[must_use]
    pub fn at_sink(sink: &'a TlsSink, user: User) -> Self {
        Self::at(sink.namespace(), sink.address(), &sink.roots(), user)
    }

    fn at(namespace: &'a Namespace, address: SocketAddr, roots: &Path, user: User) -> Self {
        let home = TempDir::with_prefix("aldis-interop-home-").expect("a temporary folder can be made");
        let password = home.path().join("password");
        // Editors end a file with a line end: the command has to take it off.
        std::fs::write(&password, format!("{}\n", user.password)).expect("a temporary file can be written");
        let options = [
            OsString::from("--account"),
            user.address().into(),
            "--address".into(),
            address.to_string().into(),
            "--roots".into(),
            roots.into(),
            "--password-file".into(),
            password.into(),
            "--json".into(),
        ];
        Self { namespace, home, options: options.into() }
    }

    /// The same account, with another option.
    #[must_use]
    pub fn with_option(mut self, name: &str, value: &str) -> Self {
        self.options.extend([name.into(), value.into()]);
        self
    }

    /// Runs a command to its end: its name first, the account's options are added. Its standard input is empty.
    ///
    /// # Panics
    /// When it does not end within a minute.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Finished {
        self.run_with_input(arguments, "")
    }

    /// As [`Aldis::run`], with a standard input.
    ///
    /// # Panics
    /// When it does not end within a minute.
    #[track_caller]
    pub fn run_with_input(&self, arguments: &[&str], input: &str) -> Finished {
        let mut running = self.start(arguments);
        running.process.feed(input);
        running.finish(PATIENCE * 2)
    }

    /// Starts a command and leaves it running.
    ///
    /// # Panics
    /// When it cannot be built or started.
    #[track_caller]
    #[must_use]
    pub fn start(&self, arguments: &[&str]) -> Running {
        let (verb, rest) = arguments.split_first().expect("the name of a command");
        let mut command = self.namespace.command(binary());
        command.arg(verb).args(&self.options).args(rest);
        Running { process: self.spawn(verb, command) }
    }

    /// Starts a command as a person does, at a terminal of its own (`script` of util-linux makes one).
    ///
    /// # Panics
    /// When it cannot be built or started.
    #[track_caller]
    #[must_use]
    pub fn start_at_terminal(&self, arguments: &[&str]) -> Process {
        let (verb, rest) = arguments.split_first().expect("the name of a command");
        let options =
            self.options.iter().filter(|option| *option != "--json").map(|option| option.to_string_lossy());
        let words = std::iter::once(binary().to_string_lossy())
            .chain([(*verb).into()])
            .chain(options)
            .chain(rest.iter().map(|word| (*word).into()));
        let line: Vec<_> = words.map(|word| format!("'{word}'")).collect();
        let mut command = self.namespace.command("script");
        command.args(["--quiet", "--flush", "--return", "--command", &line.join(" "), "/dev/null"]);
        command.env("TERM", "xterm");
        self.spawn(verb, command)
    }

    fn spawn(&self, verb: &str, mut command: Command) -> Process {
        command.current_dir(self.home.path());
        // A machine of its own: nothing of the one who runs the tests is read or written.
        command.env("HOME", self.home.path()).env("NO_COLOR", "1");
        for name in [
            "XDG_CONFIG_HOME",
            "XDG_DATA_HOME",
            "XDG_STATE_HOME",
            "XDG_CACHE_HOME",
            "ALDIS_PASSWORD",
            "RUST_LOG",
        ] {
            command.env_remove(name);
        }
        // Without the arguments: tests look for what the command must not print.
        let name = format!("aldis {verb}");
        Process::spawn(&name, &mut command).stop_with(Signal::INT)
    }
}

/// A command that runs.
#[derive(Debug)]
pub struct Running {
    process: Process,
}

impl Running {
    /// Waits for the first JSON line of which `wanted` holds; `what` names it in the panic.
    ///
    /// # Panics
    /// When it does not come in time.
    #[track_caller]
    pub fn wait_for_event(&self, what: &str, patience: Duration, wanted: impl Fn(&Value) -> bool) -> Value {
        self.process.wait_until(1, patience, what, |line| {
            let event =
                (line.source == Source::Stdout).then(|| serde_json::from_str(&line.text).ok()).flatten()?;
            wanted(&event).then_some(event)
        })
    }

    /// Waits until it says that it is registered.
    ///
    /// # Panics
    /// When it does not come in time.
    #[track_caller]
    pub fn wait_for_registered(&self) -> Value {
        self.wait_for_event("registration event", PATIENCE, |event| {
            event["event"] == "registration" && event["state"] == "registered"
        })
    }

    /// Waits until a message of its own is in this state.
    ///
    /// # Panics
    /// When it does not come in time.
    #[track_caller]
    pub fn wait_for_outgoing(&self, state: &str) -> Value {
        self.wait_for_event(&format!("outgoing message {state}"), PATIENCE, |event| {
            event["event"] == "outgoing" && event["state"] == state
        })
    }

    /// Writes a line to its standard input.
    ///
    /// # Panics
    /// When it reads no more.
    #[track_caller]
    pub fn say(&mut self, line: &str) {
        self.process.say(line);
    }

    /// Closes its standard input.
    pub fn end_input(&mut self) {
        self.process.close_stdin();
    }

    /// Waits for an incoming message with this body.
    ///
    /// # Panics
    /// When it does not come in time.
    #[track_caller]
    pub fn wait_for_message(&self, body: &str) -> Value {
        self.wait_for_event(&format!("message {body:?}"), PATIENCE, |event| {
            event["event"] == "message" && event["body"] == body
        })
    }

    /// Interrupts it as Ctrl-C does.
    ///
    /// # Panics
    /// When it is gone already.
    #[track_caller]
    pub fn interrupt(&self) {
        self.process.signal(Signal::INT);
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end in time, or a line of its standard output is not a JSON object with an event first.
    #[track_caller]
    pub fn finish(mut self, patience: Duration) -> Finished {
        let status = self.process.wait_exit(patience);
        let lines = self.process.lines();
        let (stdout, stderr): (Vec<_>, Vec<_>) =
            lines.into_iter().partition(|line| line.source == Source::Stdout);
        let events = stdout.iter().map(|line| event(&line.text, &self.process)).collect();
        let stderr = stderr.into_iter().map(|line| line.text).collect::<Vec<_>>().join("\n");
        Finished { code: status.code(), events, stderr, transcript: self.process.transcript() }
    }
}

/// What a command did.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Its exit status; none when a signal ended it.
    pub code: Option<i32>,
    /// Its standard output: the JSON lines.
    pub events: Vec<Value>,
    /// Its standard error.
    pub stderr: String,
    /// Both, with times, for a failing test to show.
    pub transcript: String,
}

impl Finished {
    /// The events of one kind.
    #[must_use]
    pub fn events_of(&self, kind: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["event"] == kind).collect()
    }

    /// The states that a kind of event went through.
    #[must_use]
    pub fn states_of(&self, kind: &str) -> Vec<&str> {
        self.events_of(kind).into_iter().filter_map(|event| event["state"].as_str()).collect()
    }

    /// The first event of a kind in a state.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    #[must_use]
    pub fn first(&self, kind: &str, state: &str) -> &Value {
        let found = self.events_of(kind).into_iter().find(|event| event["state"] == state);
        let Some(event) = found else { panic!("no event {kind:?} in state {state:?}\n{}", self.transcript) };
        event
    }

    /// The last event of a kind.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    #[must_use]
    pub fn last(&self, kind: &str) -> &Value {
        let Some(event) = self.events_of(kind).pop() else {
            panic!("no event {kind:?}\n{}", self.transcript)
        };
        event
    }

    /// Fails the test unless the command ended with this status.
    ///
    /// # Panics
    /// When it ended with another.
    #[track_caller]
    pub fn expect_code(&self, code: i32) {
        assert_eq!(self.code, Some(code), "exit status\n{}", self.transcript);
    }
}

/// A JSON line: an object whose first member is `event`.
#[track_caller]
fn event(line: &str, process: &Process) -> Value {
    let value = serde_json::from_str::<Value>(line);
    match value {
        Ok(Value::Object(members)) if members.keys().next().is_some_and(|name| name == "event") => {
            Value::Object(members)
        }
        _ => panic!("not a JSON object with an event first: {line:?}\n{}", process.transcript()),
    }
}

/// The command's file: what `ALDIS_BIN` names, else built once.
#[track_caller]
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| std::env::var_os("ALDIS_BIN").map_or_else(build, PathBuf::from))
}

fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--package", "aldis-cli", "--message-format", "json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "the aldis command does not build");
    // Cargo names what it built: that holds wherever the target folder is.
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .expect("aldis-cli has a binary")
}
