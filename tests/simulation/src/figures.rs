//! Figures in virtual time.

use crate::scenario::Scenario;
use crate::{Failure, run_scenario};
use std::time::Duration;

/// How long a told handover takes at a round trip of 100 ms, from the change of the path until the phone is registered
/// again: the times of these seeds, the shortest first.
///
/// # Errors
/// What broke a rule.
pub fn handovers(seeds: std::ops::Range<u64>) -> Result<Vec<Duration>, Failure> {
    let mut times = Vec::new();
    for seed in seeds {
        times.extend(run_scenario(Scenario::handover(seed), false, None)?.handovers);
    }
    times.sort_unstable();
    Ok(times)
}

/// What a registered phone in the background does that nobody talks to.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    /// Deadlines of the agent in an hour, besides keep-alives.
    pub deadlines: f64,
    /// Keep-alives in an hour.
    pub pings: f64,
}

/// See [`Idle`]; of a day with these seeds.
///
/// # Errors
/// What broke a rule.
pub fn idle(seeds: std::ops::Range<u64>) -> Result<Idle, Failure> {
    let (mut deadlines, mut pings, mut hours) = (0, 0, 0.0);
    for seed in seeds {
        let summary = run_scenario(Scenario::idle(seed, 24), false, None)?;
        deadlines += summary.wakes.saturating_sub(summary.pings);
        pings += summary.pings;
        hours += summary.time.as_secs_f64() / 3600.0;
    }
    Ok(Idle { deadlines: deadlines as f64 / hours, pings: pings as f64 / hours })
}
