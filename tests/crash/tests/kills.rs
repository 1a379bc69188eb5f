//! A few kills at each place; `cargo run --profile simulation -p aldis-crash -- 10000` does all.

#![allow(clippy::unwrap_used)] // what is missing fails the test

use aldis_crash::{Deed, Place, Plan, Report, Sabotage, Stage};
use std::path::Path;

fn plan(kills: u32) -> Plan {
    Plan::new(Path::new(env!("CARGO_BIN_EXE_aldis-crash")), kills)
}

#[test]
fn nothing_is_lost_or_shown_twice_however_often_the_phone_is_killed_msg_17() {
    let report = plan(80).run();
    assert!(report.is_clean(), "{report}");
    // The kills left something to judge.
    assert!(report.places.len() > 20 && report.accepted > 80 && report.received > 80, "{report}");
}

/// What the judge says of victims that do something wrong and die where it matters.
fn sabotaged(sabotage: Sabotage, places: &[Place]) -> Report {
    Plan { places: places.to_vec(), random_every: 0, sabotage: Some(sabotage), lanes: 2, ..plan(12) }.run()
}

#[test]
fn the_judge_finds_answers_before_storing() {
    let report = sabotaged(Sabotage::AnswersUnstored, &[Place::Given]);
    assert!(!report.not_stored.is_empty() || !report.not_fetched.is_empty(), "{report}");
}

#[test]
fn the_judge_finds_forgotten_keys() {
    let report =
        sabotaged(Sabotage::ForgetsKeys, &[Place::Store(Deed::Receive, Stage::Committed), Place::Answer]);
    assert!(!report.twice.is_empty(), "{report}");
}

#[test]
fn the_judge_finds_messages_that_were_taken_and_not_stored() {
    let report = sabotaged(Sabotage::TakesUnstored, &[Place::Request]);
    assert!(!report.lost.is_empty(), "{report}");
}

#[test]
fn the_judge_finds_messages_that_are_sent_again_as_others() {
    let report = sabotaged(Sabotage::Renames, &[Place::Store(Deed::End, Stage::Begun)]);
    assert!(!report.twice.is_empty(), "{report}");
}

#[test]
fn the_judge_finds_receipts_that_are_forgotten() {
    let places = [Place::Store(Deed::Receive, Stage::Committed), Place::Store(Deed::Owe, Stage::Begun)];
    let report = sabotaged(Sabotage::OwesNothing, &places);
    assert!(!report.unreceipted.is_empty(), "{report}");
}
