//! A few of the scenarios; `tests/run simulation` runs 10,000 in an optimized build.
#![allow(clippy::unwrap_used, clippy::panic, reason = "what is missing fails the test")]

use aldis_simulation::sabotage::Sabotage;
use aldis_simulation::{figures, run};
use std::time::Duration;

#[test]
fn scenarios_keep_every_rule() {
    for seed in 0..60 {
        if let Err(failure) = run(seed, true, None) {
            panic!("{failure}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..5 {
        let summary = || format!("{:?}", run(seed, false, None).unwrap());
        assert_eq!(summary(), summary(), "seed {seed}");
    }
}

#[test]
fn a_failure_has_a_timeline() {
    let failure = run(0, true, Some(Sabotage::SecondRegister)).unwrap_err();
    assert!(failure.to_string().contains("-> REGISTER"), "{failure}");
}

#[test]
fn a_handover_that_is_told_takes_three_round_trips_and_dns() {
    let times = figures::handovers(0..20).unwrap();
    assert_eq!(times.len(), 20);
    assert!(times.iter().all(|time| *time <= Duration::from_secs(1)), "{times:?}");
}

#[test]
fn an_idle_phone_sleeps() {
    let idle = figures::idle(0..2).unwrap();
    assert!(idle.deadlines <= 2.0 && idle.pings <= 3600.0 / 672.0, "{idle:?}");
}
