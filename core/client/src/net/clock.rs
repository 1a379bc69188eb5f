//! The clocks: one that goes on while the device sleeps, and the calendar.
//!
//! `std::time::Instant` stands still on a sleeping phone, and so do tokio's timers. A registration that ran out in the
//! meantime would look fresh. The driver therefore reads [`mono_now`] again at every wake-up.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

/// Time since some fixed moment (mostly the start of the device), sleep included. It never goes backwards and has
/// nothing to do with the calendar; two readings are comparable within one start of the device only.
///
/// CLOCK_BOOTTIME on Linux and Android, CLOCK_MONOTONIC on Apple's systems, where it counts sleep; on Windows the
/// performance counter, which counts it too.
pub fn mono_now() -> Duration {
    mono()
}

/// Time since 1970-01-01T00:00:00Z by the device's calendar, which its user or network may set to anything; zero for
/// a calendar that stands before 1970.
pub fn wall_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(unix)]
fn mono() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let clock = ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let clock = ClockId::Monotonic;
    let time = clock_gettime(clock);
    // Neither field is negative in a clock that starts at zero.
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(not(unix))]
fn mono() -> Duration {
    use std::sync::OnceLock;
    use std::time::Instant;
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// Gives rustls the calendar's time, by which certificates are judged.
#[derive(Clone, Copy, Debug, Default)]
pub struct WallClock;

impl TimeProvider for WallClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(wall_now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_never_goes_backwards() {
        let mut last = mono_now();
        for _ in 0..1000 {
            let now = mono_now();
            assert!(now >= last);
            last = now;
        }
        assert!(last > Duration::ZERO);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_monotonic_clock_counts_sleep() {
        let uptime: f64 = std::fs::read_to_string("/proc/uptime")
            .unwrap()
            .split_whitespace()
            .next()
            .and_then(|seconds| seconds.parse().ok())
            .unwrap();
        // The first field of /proc/uptime is the boot time, time in suspend included.
        assert!((mono_now().as_secs_f64() - uptime).abs() < 5.0);
    }

    #[test]
    fn rustls_reads_the_same_calendar() {
        let before = wall_now().as_secs();
        let read = WallClock.current_time().unwrap().as_secs();
        assert!(read >= before && read <= wall_now().as_secs());
        // 2025: a calendar before this source was written would make the test meaningless.
        assert!(before > 1_735_689_600);
    }
}
