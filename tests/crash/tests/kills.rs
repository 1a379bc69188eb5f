//! A few kills of each kind; `cargo run --release -p aldis-crash -- 10000` does all.

use aldis_crash::kill_many;
use std::path::Path;

#[test]
fn nothing_is_lost_or_shown_twice_however_often_the_phone_is_killed_msg_17() {
    let report = kill_many(Path::new(env!("CARGO_BIN_EXE_aldis-crash")), 60, 7);
    assert!(report.is_clean(), "{report}");
    assert!(report.accepted > 5 && report.answered > 20, "the kills left nothing to judge: {report}");
}
