//! A child process whose lines are collected and can be waited for.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// How long a program may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(10);

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A line that a program wrote, without its line end; bytes that are not UTF-8 are replaced.
#[derive(Debug, Clone)]
pub struct Line {
    /// Which pipe it was written to.
    pub source: Source,
    /// When it was read.
    pub at: Instant,
    /// The text.
    pub text: String,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<Line>,
    ended: usize,
}

/// What a process has written so far; its readers wake whoever waits.
#[derive(Debug, Default)]
struct Log {
    state: Mutex<State>,
    changed: Condvar,
}

impl Log {
    fn state(&self) -> MutexGuard<'_, State> {
        // A reader that panicked leaves whole lines behind: they are still the evidence.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, source: Source, pipe: impl Read) {
        let mut pipe = BufReader::new(pipe);
        let mut bytes = Vec::new();
        while matches!(pipe.read_until(b'\n', &mut bytes), Ok(length) if length > 0) {
            let text = String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned();
            bytes.clear();
            self.state().lines.push(Line { source, at: Instant::now(), text });
            self.changed.notify_all();
        }
        self.state().ended += 1;
        self.changed.notify_all();
    }

    /// Waits until `found` gives something, or nothing more can come, or the time is over.
    fn wait<T>(&self, patience: Duration, mut found: impl FnMut(&State) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + patience;
        let mut state = self.state();
        loop {
            if let Some(value) = found(&state) {
                return Some(value);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.ended == 2 {
                return None;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A running program. Dropping it ends it: first as its users would (see [`Process::stop_with`]), after
/// ten seconds by force, together with every process that it started.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    log: Arc<Log>,
    stop: Signal,
    started: Instant,
}

impl Process {
    /// Starts `command` with all three standard streams piped, in a process group of its own.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    #[must_use]
    pub fn spawn(name: &str, command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error} ({command:?})"));
        let log = Arc::new(Log::default());
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        let reader = Arc::clone(&log);
        std::thread::spawn(move || reader.read(Source::Stdout, stdout));
        let reader = Arc::clone(&log);
        std::thread::spawn(move || reader.read(Source::Stderr, stderr));
        Self { name: name.to_owned(), child, stdin, log, stop: Signal::TERM, started: Instant::now() }
    }

    /// The signal that ends the program in order; SIGTERM unless told.
    #[must_use]
    pub fn stop_with(mut self, signal: Signal) -> Self {
        self.stop = signal;
        self
    }

    /// When it was started.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Everything written so far.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        self.log.state().lines.clone()
    }

    /// The lines written so far that contain every one of `words`.
    #[must_use]
    pub fn lines_with(&self, words: &[&str]) -> Vec<Line> {
        self.lines().into_iter().filter(|line| contains(line, words)).collect()
    }

    /// Waits for the first line that contains every one of `words`.
    ///
    /// # Panics
    /// When it does not come in time, or the program ended without writing it; the text holds the whole log.
    #[track_caller]
    pub fn wait_for(&self, words: &[&str], patience: Duration) -> Line {
        self.wait_for_nth(1, words, patience)
    }

    /// Waits for the `n`th line (counted from 1, and from the program's start) that contains every one of `words`.
    ///
    /// # Panics
    /// As [`Process::wait_for`].
    #[track_caller]
    pub fn wait_for_nth(&self, n: usize, words: &[&str], patience: Duration) -> Line {
        self.wait_until(n, patience, &format!("line with {words:?}"), |line| {
            contains(line, words).then(|| line.clone())
        })
    }

    /// Waits for the `n`th line of which `choose` makes something; `what` names it in the panic.
    ///
    /// # Panics
    /// As [`Process::wait_for`].
    #[track_caller]
    pub fn wait_until<T>(
        &self,
        n: usize,
        patience: Duration,
        what: &str,
        choose: impl Fn(&Line) -> Option<T>,
    ) -> T {
        match self.log.wait(patience, |state| state.lines.iter().filter_map(&choose).nth(n.saturating_sub(1)))
        {
            Some(value) => value,
            None => {
                panic!("{}: no {what} (number {n}) within {patience:?}\n{}", self.name, self.transcript())
            }
        }
    }

    /// Writes one line to the program's standard input.
    ///
    /// # Panics
    /// When the program reads no more.
    #[track_caller]
    pub fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("standard input was closed before");
        if let Err(error) = stdin.write_all(format!("{line}\n").as_bytes()).and_then(|()| stdin.flush()) {
            panic!("{} reads no more: {error}\n{}", self.name, self.transcript());
        }
    }

    /// Writes `text` to the program's standard input and closes it.
    ///
    /// # Panics
    /// When the program reads no more.
    #[track_caller]
    pub fn feed(&mut self, text: &str) {
        let mut stdin = self.stdin.take().expect("standard input was closed before");
        if let Err(error) = stdin.write_all(text.as_bytes()) {
            panic!("{} reads no more: {error}\n{}", self.name, self.transcript());
        }
    }

    /// Closes the program's standard input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Sends a signal to the program itself.
    ///
    /// # Panics
    /// When it is gone already.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        if let Err(error) = kill_process(self.pid(), signal) {
            panic!("{} is gone: {error}\n{}", self.name, self.transcript());
        }
    }

    /// Waits for the program's end and gives its status.
    ///
    /// # Panics
    /// When it does not end in time.
    #[track_caller]
    pub fn wait_exit(&mut self, patience: Duration) -> ExitStatus {
        // Both pipes end with the last process that holds them: that is an event, a status can only be polled.
        if self.log.wait(patience, |state| (state.ended == 2).then_some(())).is_none() {
            panic!("{} still runs after {patience:?}\n{}", self.name, self.transcript());
        }
        self.child.wait().expect("a child that was not waited for")
    }

    /// Asks the program to end (as dropping it does) and waits for it.
    ///
    /// # Panics
    /// When it does not end in time.
    #[track_caller]
    pub fn stop(&mut self, patience: Duration) -> ExitStatus {
        self.signal(self.stop);
        self.wait_exit(patience)
    }

    /// Everything written so far as one text, for a failing test to show.
    #[must_use]
    pub fn transcript(&self) -> String {
        let mut text = format!("---- {} ----\n", self.name);
        for line in self.lines() {
            let after = line.at.saturating_duration_since(self.started).as_secs_f64();
            let mark = if line.source == Source::Stdout { ' ' } else { '!' };
            text.push_str(&format!("{after:8.3}{mark} {}\n", line.text));
        }
        text
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stdin = None;
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            // A program that is gone in between is what we want: nothing to report.
            let _ = kill_process(self.pid(), self.stop);
            if self.log.wait(GRACE, |state| (state.ended == 2).then_some(())).is_none() {
                let _ = kill_process_group(self.pid(), Signal::KILL);
            }
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("{}", self.transcript());
        }
    }
}

fn contains(line: &Line, words: &[&str]) -> bool {
    words.iter().all(|word| line.text.contains(word))
}

/// Runs a helper program to its end.
///
/// # Panics
/// When it cannot be started or fails.
#[track_caller]
pub(crate) fn run<S: AsRef<OsStr>>(program: &str, arguments: &[S]) {
    let mut command = Command::new(program);
    command.args(arguments);
    match command.output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            panic!(
                "{command:?} fails with {}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            )
        }
        Err(error) => panic!("{command:?} does not start: {error}"),
    }
}
