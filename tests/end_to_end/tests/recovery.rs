//! Back in seconds, nothing lost. `cargo run --release -p aldis-end-to-end --example recovery` measures more runs.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that cannot go on ends here

use aldis_end_to_end::recovery::{
    after_a_network_change, after_a_restart, after_silence, one_edge_of_two_killed,
};
use std::time::Duration;

/// What a machine that is busy with other tests may take longer.
const BUSY: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_registrar_that_is_back_after_2_s_has_us_again_in_4_s_out_09_out_11() {
    let (one, two, three) = tokio::join!(after_a_restart(), after_a_restart(), after_a_restart());
    let mut times = [one, two, three];
    times.sort();
    assert!(
        times[1] <= Duration::from_secs(4) + BUSY && times[2] <= Duration::from_secs(8) + BUSY,
        "{times:?}"
    );
}

#[tokio::test]
async fn a_connection_gone_silent_is_replaced_within_its_keep_alive_and_10_s_out_16_out_18() {
    let took = after_silence().await;
    assert!(took <= Duration::from_secs(11) + BUSY, "{took:?}");
}

#[tokio::test]
async fn a_network_change_has_us_registered_again_in_a_second_out_11() {
    let took = after_a_network_change().await;
    assert!(took <= Duration::from_secs(1) + BUSY, "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_flows_lose_no_message_when_one_edge_is_killed_out_04_msg_15() {
    let lost = one_edge_of_two_killed(400).await;
    assert_eq!((lost.accepted, lost.arrived, lost.repeated), (400, 400, 0), "{lost:?}");
    assert!(lost.next <= Duration::from_millis(100) + BUSY, "{lost:?}");
}
