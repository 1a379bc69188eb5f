//! Runs scenarios by their numbers.

use aldis_simulation::sabotage::Sabotage;
use aldis_simulation::world::Summary;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const USAGE: &str =
    "aldis-simulation N | --seed N | --seeds FROM..TO [--jobs N] [--sabotage NAME] | --sabotages | --figures";
/// What the figures may be at most: a told handover at a round trip of 100 ms, half of them and all but one of a hundred;
/// deadlines of a registered phone in the background in an hour, and its pings: one each 672 s (RFC 5626 §4.4.1).
const MEDIAN_HANDOVER: Duration = Duration::from_secs(1);
const LONGEST_HANDOVER: Duration = Duration::from_secs(3);
const MOST_DEADLINES: f64 = 2.0;
const MOST_PINGS: f64 = 3600.0 / 672.0;
/// Failures shown of one run.
const SHOWN: usize = 60;

#[allow(clippy::print_stdout, clippy::print_stderr)]
fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut seeds, mut jobs, mut sabotage, mut one) = (0..10_000u64, 2usize, None, false);
    while let Some(argument) = arguments.next() {
        if let Ok(seed) = argument.parse::<u64>() {
            (seeds, one) = (seed..seed + 1, true);
            continue;
        }
        match argument.as_str() {
            "--figures" => return figures(),
            "--sabotages" => return sabotages(),
            _ => {}
        }
        let value = arguments.next().unwrap_or_default();
        let parsed = match argument.as_str() {
            "--seed" => value.parse().ok().map(|seed: u64| (seeds, one) = (seed..seed + 1, true)),
            "--seeds" => value.split_once("..").and_then(|(from, to)| {
                seeds = from.parse().ok()?..to.parse().ok()?;
                Some(())
            }),
            "--jobs" => value.parse().ok().map(|count| jobs = count),
            "--sabotage" => {
                sabotage = Sabotage::ALL.into_iter().find(|one| one.to_string() == value);
                sabotage.map(|_| ())
            }
            _ => None,
        };
        if parsed.is_none() {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    }
    if one {
        return match aldis_simulation::run(seeds.start, true, sabotage) {
            Ok(summary) => {
                for line in &summary.timeline {
                    println!("{line}");
                }
                println!("seed {}: {:?}", seeds.start, Summary { timeline: Vec::new(), ..summary });
                ExitCode::SUCCESS
            }
            Err(failure) => {
                println!("{failure}");
                ExitCode::FAILURE
            }
        };
    }
    let began = Instant::now();
    let next = AtomicU64::new(seeds.start);
    let failures = Mutex::new(Vec::new());
    let totals = Mutex::new((0u64, Duration::ZERO, 0u64, 0u32));
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    match aldis_simulation::run(seed, false, sabotage) {
                        Ok(summary) => {
                            let mut totals = totals.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                            totals.0 += summary.requests;
                            totals.1 += summary.time;
                            totals.2 += summary.texts;
                            totals.3 = totals.3.max(summary.busiest);
                        }
                        Err(failure) => {
                            let mut failures =
                                failures.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                            failures.push((failure.seed, failure.violation));
                        }
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap_or_default();
    failures.sort_by_key(|(seed, _)| *seed);
    let (requests, time, texts, busiest) = totals.into_inner().unwrap_or_default();
    let count = seeds.end.saturating_sub(seeds.start);
    println!(
        "{count} scenarios in {:.1} s: {:.0} days of virtual time, {requests} requests read, {texts} texts, at most {busiest} \
         outputs of a phone in a second; {} violations",
        began.elapsed().as_secs_f64(),
        time.as_secs_f64() / 86_400.0,
        failures.len(),
    );
    let mut rules = std::collections::BTreeMap::<&str, u64>::new();
    for (_, violation) in &failures {
        *rules.entry(violation.rule).or_default() += 1;
    }
    for (rule, count) in rules {
        println!("  {count:>6} {rule}");
    }
    for (seed, violation) in failures.iter().take(SHOWN) {
        println!("seed {seed}: {violation}");
    }
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[allow(clippy::print_stdout)]
fn figures() -> ExitCode {
    let figures = aldis_simulation::figures::handovers(0..10_000)
        .and_then(|times| Ok((times, aldis_simulation::figures::idle(0..100)?)));
    let (times, idle) = match figures {
        Ok(figures) => figures,
        Err(failure) => {
            println!("{failure}");
            return ExitCode::FAILURE;
        }
    };
    let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default();
    let most = times.last().copied().unwrap_or_default();
    println!(
        "handover, round trip 100 ms, {} runs: p50 {:?}, p99 {:?}, longest {most:?}",
        times.len(),
        at(50),
        at(99)
    );
    println!(
        "idle in the background, one hour granted, 100 days: {:.2} deadlines an hour besides {:.2} keep-alives",
        idle.deadlines, idle.pings
    );
    let kept = at(50) <= MEDIAN_HANDOVER
        && at(99) <= LONGEST_HANDOVER
        && idle.deadlines <= MOST_DEADLINES
        && idle.pings <= MOST_PINGS;
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How many scenarios it takes until each fault of a client is noticed.
#[allow(clippy::print_stdout)]
fn sabotages() -> ExitCode {
    let mut all = true;
    for sabotage in Sabotage::ALL {
        let found = (0..10_000).find_map(|seed| aldis_simulation::run(seed, false, Some(sabotage)).err());
        match found {
            Some(failure) => {
                println!("{sabotage}: noticed by scenario {}: {}", failure.seed + 1, failure.violation)
            }
            None => {
                all = false;
                println!("{sabotage}: not noticed in 10000 scenarios");
            }
        }
    }
    if all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
