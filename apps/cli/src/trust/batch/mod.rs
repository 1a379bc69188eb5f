//! `aldis trust batch`: many chains, one JSON object a line, one verdict a line in the same order.
//!
//! Every core takes lines by itself and judges them; a verdict that is ready before its turn waits. Whoever writes one
//! line and waits for its verdict gets it: nothing is held back to be written with others.

mod cache;
mod line;
mod request;

use self::cache::Cache;
use self::line::{Line, LineReader};
use crate::failure::{Exit, Failure, Outcome};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::num::NonZero;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// How many verdicts may wait for a slow one before them.
const MOST_WAITING: u64 = 1024;
/// More threads than this only wait for each other's lines.
const MOST_THREADS: usize = 16;

/// What the threads share.
struct Shared {
    input: Mutex<Input>,
    output: Mutex<Ordered>,
    /// A verdict was written: another one may have its turn.
    turned: Condvar,
    cache: Cache,
}

struct Input {
    lines: LineReader,
    /// The number of the next line.
    next: u64,
    ended: bool,
}

/// Verdicts in the order of their lines.
struct Ordered {
    next: u64,
    waiting: BTreeMap<u64, String>,
}

/// Reads to the end of standard input.
///
/// # Errors
/// When standard input breaks or standard output does not take what is written.
pub(super) fn run() -> Outcome {
    let shared = Arc::new(Shared {
        input: Mutex::new(Input { lines: LineReader::default(), next: 0, ended: false }),
        output: Mutex::new(Ordered { next: 0, waiting: BTreeMap::new() }),
        turned: Condvar::new(),
        cache: Cache::default(),
    });
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS);
    let (ended, results) = channel();
    for _ in 0..threads {
        let (shared, ended) = (shared.clone(), ended.clone());
        thread::Builder::new().name("judge".into()).spawn(move || work(&shared, &ended)).map_err(
            |error| Failure::new(Exit::Internal, format_args!("A thread does not start: {error}.")),
        )?;
    }
    drop(ended);
    // The first failure ends the process, though other threads may still wait for input.
    for result in results {
        result?;
    }
    Ok(Exit::Done)
}

/// Tells how a thread ended, whatever ended it.
fn work(shared: &Shared, ended: &Sender<Result<(), Failure>>) {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| judge_lines(shared)));
    let bug = || Err(Failure::new(Exit::Internal, "A judgement ended unexpectedly; this is a bug."));
    // The receiver is gone only when the process ends.
    let _ = ended.send(result.unwrap_or_else(|_| bug()));
}

fn judge_lines(shared: &Shared) -> Result<(), Failure> {
    loop {
        let (number, line) = {
            let mut input = lock(&shared.input);
            if input.ended {
                return Ok(());
            }
            let read = input.lines.next();
            let line = read.map_err(|error| {
                input.ended = true;
                Failure::usage(format_args!("Standard input cannot be read: {error}."))
            })?;
            let Some(line) = line else {
                input.ended = true;
                return Ok(());
            };
            let number = input.next;
            input.next += 1;
            (number, line)
        };
        let answer = match line {
            Line::Whole(bytes) => request::answer(&bytes, &shared.cache),
            Line::TooLong => request::too_long(),
        };
        shared.write(number, answer)?;
    }
}

impl Shared {
    /// Writes the answer when its turn has come, and whatever waited for it.
    fn write(&self, number: u64, answer: String) -> io::Result<()> {
        let mut ordered = lock(&self.output);
        while number.saturating_sub(ordered.next) > MOST_WAITING {
            ordered = self.turned.wait(ordered).unwrap_or_else(PoisonError::into_inner);
        }
        ordered.waiting.insert(number, answer);
        let mut out = io::stdout().lock();
        let before = ordered.next;
        loop {
            let turn = ordered.next;
            let Some(answer) = ordered.waiting.remove(&turn) else { break };
            out.write_all(answer.as_bytes())?;
            out.flush()?;
            ordered.next += 1;
        }
        if ordered.next > before {
            self.turned.notify_all();
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A thread that ended in a bug has ended the command.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
