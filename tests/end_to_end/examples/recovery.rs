//! Measures how long a phone takes to be back: `cargo run --release -p aldis-end-to-end --example recovery [RUNS]`.

#![allow(clippy::print_stdout)] // it prints its figures

use aldis_end_to_end::recovery::{
    after_a_network_change, after_a_restart, after_silence, one_edge_of_two_killed,
};
use std::time::Duration;

#[tokio::main]
async fn main() {
    let runs: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(20);
    let mut restarts = Vec::new();
    let (mut silences, mut changes) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        restarts.push(after_a_restart().await);
        changes.push(after_a_network_change().await);
    }
    for _ in 0..runs.div_ceil(4) {
        silences.push(after_silence().await);
    }
    report("killed, started anew after 2 s", restarts);
    report("silent, keep-alives each second", silences);
    report("silent, network change told", changes);
    let mut next = Vec::new();
    for _ in 0..runs {
        let lost = one_edge_of_two_killed(400).await;
        println!("one edge of two killed: {lost:?}");
        next.push(lost.next);
    }
    report("the next message after an edge was killed", next);
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |index: usize| times.get(index).copied().unwrap_or_default();
    println!(
        "{what}: {} runs, median {:.3?}, worst {:.3?}",
        times.len(),
        at(times.len() / 2),
        at(times.len().saturating_sub(1))
    );
}
