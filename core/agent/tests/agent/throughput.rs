//! How much goes through.

use crate::rig::{Incoming, Rig, response};
use aldis_agent::{AnswerWith, OutgoingState};
use aldis_sip::Message;
use std::time::{Duration, Instant};

/// As many messages as the queue takes.
const MANY: usize = 10_000;

/// Sends them to this many recipients and answers each; gives what was accepted.
fn send_all(recipients: usize) -> usize {
    let mut rig = Rig::default();
    for n in 0..MANY {
        rig.send(&format!("sip:user{}@example.test", n % recipients), "Hello, Bob");
    }
    rig.connect();
    let mut answered = 0;
    while let Some(bytes) = rig.sent_bytes() {
        let (message, _) = Message::parse(bytes).unwrap();
        rig.reply(&message, 200, &[]);
        answered += 1;
    }
    assert_eq!(answered, MANY);
    rig.outgoing().iter().filter(|(_, state)| matches!(state, OutgoingState::Accepted { .. })).count()
}

fn receive_all() -> usize {
    let mut rig = Rig::registered();
    let text = String::from_utf8(Incoming::default().bytes()).unwrap();
    let mut stored = 0;
    for n in 0..MANY {
        let request =
            text.replace("z9hG4bKin1", &format!("z9hG4bK{n}")).replace("call-1", &format!("call-{n}"));
        rig.receive(request);
        for (ticket, _) in rig.received() {
            rig.answer(ticket, AnswerWith::Accept);
            stored += usize::from(rig.sent_bytes().is_some_and(|bytes| bytes.starts_with(b"SIP/2.0 200")));
        }
    }
    stored
}

fn time_out_all() -> usize {
    let mut rig = Rig::default();
    for n in 0..MANY {
        rig.send(&format!("sip:user{n}@example.test"), "Hello, Bob");
    }
    rig.connect();
    // 16 at a time, while nobody answers.
    rig.pass(crate::rig::seconds(20_000));
    rig.outgoing().iter().filter(|(_, state)| matches!(state, OutgoingState::Unknown { .. })).count()
}

fn withdraw_all() -> usize {
    let mut rig = Rig::default();
    let ids: Vec<_> = (0..MANY).map(|n| rig.send(&format!("sip:user{}@example.test", n % 2), "x")).collect();
    for id in ids.into_iter().rev() {
        rig.tell(|agent, now| agent.withdraw(now, id));
    }
    rig.outgoing().iter().filter(|(_, state)| state.is_final()).count()
}

fn stop_all() -> usize {
    let mut rig = Rig::default();
    for n in 0..MANY {
        rig.send(&format!("sip:user{}@example.test", n % 2), "x");
    }
    rig.shut_down();
    rig.outgoing().iter().filter(|(_, state)| state.is_final()).count()
}

#[test]
fn a_full_queue_to_one_recipient_goes_through_one_by_one_msg_03() {
    assert_eq!(send_all(1), MANY);
}

#[test]
fn thousands_of_transactions_time_out_one_by_one_txn_01() {
    assert_eq!(time_out_all(), MANY);
}

/// A release build has figures: `cargo test --release -p aldis-agent --test agent -- --nocapture figures`.
#[test]
fn figures_for_a_full_queue() {
    let floor = Stopwatch::start();
    let mut rig = Rig::default();
    rig.send("sip:bob@example.test", "Hello, Bob");
    rig.connect();
    let bytes = rig.sent_bytes().unwrap();
    for _ in 0..MANY {
        let (message, _) = Message::parse(bytes.clone()).unwrap();
        assert!(Message::parse(response(&message, 200, &[])).is_ok());
    }
    println!("{:<34}{:>9.0} a second", "the server of these tests alone", floor.rate());
    for (name, run) in [
        ("sent to 10000 recipients", Box::new(|| send_all(MANY)) as Box<dyn Fn() -> usize>),
        ("sent to 100 recipients", Box::new(|| send_all(100))),
        ("sent to 1 recipient", Box::new(|| send_all(1))),
        ("received and accepted", Box::new(receive_all)),
        ("timed out", Box::new(time_out_all)),
        ("taken back, the last first", Box::new(withdraw_all)),
        ("ended by shutting down", Box::new(stop_all)),
    ] {
        let watch = Stopwatch::start();
        assert_eq!(run(), MANY);
        let rate = watch.rate();
        println!("{name:<34}{rate:>9.0} a second");
        assert!(cfg!(debug_assertions) || rate > 10_000.0, "{name}");
    }
}

/// Measures the time of the processor that this thread has had, where the system tells it: others may be at work too.
struct Stopwatch {
    wall: Instant,
    processor: Option<Duration>,
}

impl Stopwatch {
    fn start() -> Self {
        Stopwatch { wall: Instant::now(), processor: processor_time() }
    }

    fn rate(&self) -> f64 {
        let wall = self.wall.elapsed();
        let taken = processor_time().zip(self.processor).map_or(wall, |(now, then)| now.saturating_sub(then));
        MANY as f64 / taken.as_secs_f64()
    }
}

/// The first number in Linux's schedstat: nanoseconds on a processor.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos).filter(|time| !time.is_zero())
}
