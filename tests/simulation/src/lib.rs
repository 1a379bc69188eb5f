//! Aldis' agent and a registrar in virtual time: hours of a phone's life in a millisecond, checked against a model.
//!
//! A seed is a scenario ([`scenario`]): a registrar with its habits, phones with their networks, and troubles. A
//! [`world::World`] runs it. The model ([`model`], `world::check`) reads every request that a client sends and knows what
//! must come of it. The same seed gives the same run, so that a failure is replayed by its number. The folder's README says
//! how.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a test crate: an index is a phone, a connection or an edge of this very world"
)]

pub mod figures;
pub mod model;
pub mod network;
pub mod phone;
pub mod random;
pub mod sabotage;
pub mod scenario;
pub mod trace;
pub mod world;

use model::Violation;
use sabotage::Sabotage;
use scenario::Scenario;
use std::fmt;
use world::{Summary, World};

/// A run that broke a rule, with what led to it.
#[derive(Debug)]
pub struct Failure {
    /// Which run.
    pub seed: u64,
    /// The rule.
    pub violation: Violation,
    /// The timeline.
    pub timeline: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.timeline {
            writeln!(f, "{line}")?;
        }
        write!(f, "seed {}: {}", self.seed, self.violation)
    }
}

/// Runs the scenario of a seed.
///
/// # Errors
/// The first rule that was broken; the timeline is there if `traced`.
pub fn run(seed: u64, traced: bool, sabotage: Option<Sabotage>) -> Result<Summary, Failure> {
    run_scenario(Scenario::generate(seed), traced, sabotage)
}

/// Runs a scenario.
///
/// # Errors
/// As [`run`].
pub fn run_scenario(
    scenario: Scenario,
    traced: bool,
    sabotage: Option<Sabotage>,
) -> Result<Summary, Failure> {
    let seed = scenario.seed;
    let mut world = World::new(scenario, traced, sabotage);
    let outcome = world.run();
    let timeline = world.trace.into_lines();
    match outcome {
        Ok(summary) => Ok(Summary { timeline, ..summary }),
        Err(violation) => Err(Failure { seed, violation, timeline }),
    }
}
