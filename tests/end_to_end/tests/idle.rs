//! A registered phone that has nothing to do does nothing.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::unreachable, clippy::indexing_slicing)] // a test that cannot go on ends here
#![cfg(target_os = "linux")]

use aldis_end_to_end::{Tester, config, options, registrar};
use std::time::Duration;

/// How often this thread has gone to sleep and was woken again.
fn wake_ups() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_registered_phone_wakes_for_its_timers_only() {
    let server = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let registrar = server.block_on(registrar(options()));
    // A runtime of one thread, which is this one: what it does is what the phone does.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let alice = Tester::registered(config(&registrar, "alice")).await;
        let watched = Duration::from_secs(3);
        tokio::time::sleep(Duration::from_millis(200)).await;
        let before = wake_ups();
        tokio::time::sleep(watched).await;
        // One for the sleep of this test; the runtime's timer wheel turns now and then for a deadline that is far away.
        let count = wake_ups() - before;
        assert!(count <= 5, "{count} wake-ups in {watched:?}");
        alice.phone.shut_down().await;
    });
}
