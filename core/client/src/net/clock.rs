//! The clocks: one that goes on while the device sleeps, and the calendar.
//!
//! `std::time::Instant` stands still on a sleeping phone, and so do tokio's timers. A registration that ran out in the
//! meantime would look fresh. The driver therefore reads [`mono_now`] again at every wake-up, and sleeps with an [`Alarm`].

#[cfg(any(target_os = "linux", target_os = "android"))]
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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

/// Wakes at a moment of [`mono_now`]'s clock, or as soon as the device is awake after it.
///
/// On Linux and Android a timer of CLOCK_BOOTTIME (timerfd) does it, which does not wake a sleeping device and is due at once
/// when it wakes. Elsewhere it is the runtime's timer, which a sleep puts off: there the app's own calls (to the front, a
/// push, another network) make the driver read the clock again.
#[derive(Debug, Default)]
pub struct Alarm {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    timer: Timer,
}

impl Alarm {
    /// Waits until `at`. Dropping the future costs nothing.
    pub async fn until(&mut self, at: Duration) {
        loop {
            let rest = at.saturating_sub(mono_now());
            if rest.is_zero() {
                return;
            }
            #[cfg(any(target_os = "linux", target_os = "android"))]
            if self.timer.wait(at).await {
                continue;
            }
            tokio::time::sleep(rest).await;
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[derive(Debug, Default)]
enum Timer {
    /// It is made when it is first needed, inside the runtime.
    #[default]
    None,
    /// Armed for this moment.
    Armed(
        tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>,
        Option<Duration>,
        #[expect(dead_code, reason = "given back when it is dropped")] Place,
    ),
    /// The system gives none, or there are enough.
    Refused,
}

/// Timers of one process. Each takes a file; whoever has more phones than this is no device that sleeps, and needs its files
/// for connections.
#[cfg(any(target_os = "linux", target_os = "android"))]
const MAX_TIMERS: usize = 64;

/// The right to one of the timers.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[derive(Debug)]
struct Place(&'static AtomicUsize);

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Place {
    fn take(taken: &'static AtomicUsize) -> Option<Place> {
        let place = Place(taken);
        (taken.fetch_add(1, Ordering::Relaxed) < MAX_TIMERS).then_some(place)
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Timer {
    /// Waits until `at` or earlier; `false` at once if there is no such timer.
    async fn wait(&mut self, at: Duration) -> bool {
        if matches!(self, Timer::None) {
            static TAKEN: AtomicUsize = AtomicUsize::new(0);
            *self = match Place::take(&TAKEN) {
                None => Timer::Refused,
                Some(place) => match make() {
                    Ok(timer) => Timer::Armed(timer, None, place),
                    Err(error) => {
                        tracing::debug!(%error, "no timer that goes on while the device sleeps");
                        Timer::Refused
                    }
                },
            };
        }
        let Timer::Armed(timer, armed, _) = self else { return false };
        // One that is armed for an earlier moment is left: waking once too often costs less than arming again each time.
        if armed.is_none_or(|armed| armed > at) {
            if arm(timer, at).is_err() {
                *self = Timer::Refused;
                return false;
            }
            *armed = Some(at);
        }
        let Ok(mut ready) = timer.readable().await else {
            *self = Timer::Refused;
            return false;
        };
        let read =
            |timer: &tokio::io::unix::AsyncFd<_>| Ok(rustix::io::read(timer.get_ref(), &mut [0_u8; 8])?);
        // `Err` is a readiness that was none.
        if ready.try_io(read).is_ok() {
            *armed = None;
        }
        true
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
// The constructors are deprecated for types that do not own their descriptor; an `OwnedFd` does.
#[expect(deprecated, reason = "the one that replaces it is unsafe, and says no more of an OwnedFd")]
fn make() -> std::io::Result<tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>> {
    use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
    let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
    tokio::io::unix::AsyncFd::with_interest(timer, tokio::io::Interest::READABLE)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn arm(timer: &tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>, at: Duration) -> std::io::Result<()> {
    use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
    let at = Timespec {
        tv_sec: i64::try_from(at.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: at.subsec_nanos().into(),
    };
    let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: at };
    timerfd_settime(timer, TimerfdTimerFlags::ABSTIME, &once)?;
    Ok(())
}

/// Notices that the device slept: [`mono_now`] went on and `Instant` did not (Linux, Android, Apple's systems).
#[derive(Debug)]
pub struct SleepDetector {
    mono: Duration,
    awake: Instant,
}

/// A difference that no scheduling between two readings explains.
const A_SLEEP: Duration = Duration::from_secs(1);

impl Default for SleepDetector {
    fn default() -> Self {
        SleepDetector { mono: mono_now(), awake: Instant::now() }
    }
}

impl SleepDetector {
    /// Whether the device slept since the last call.
    pub fn has_slept(&mut self) -> bool {
        let now = SleepDetector::default();
        let passed = now.mono.saturating_sub(self.mono);
        let awake = now.awake.saturating_duration_since(self.awake);
        *self = now;
        passed.saturating_sub(awake) > A_SLEEP
    }
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

    #[cfg(target_os = "linux")]
    #[test]
    fn timers_are_limited_and_given_back() {
        static TAKEN: AtomicUsize = AtomicUsize::new(0);
        let mut places: Vec<Place> = (0..MAX_TIMERS).filter_map(|_| Place::take(&TAKEN)).collect();
        assert_eq!(places.len(), MAX_TIMERS);
        assert!(Place::take(&TAKEN).is_none() && Place::take(&TAKEN).is_none());
        places.pop();
        assert!(Place::take(&TAKEN).is_some());
    }

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

    #[tokio::test]
    async fn the_alarm_rings_at_its_moment_and_can_be_set_earlier_and_later() {
        let mut alarm = Alarm::default();
        let start = mono_now();
        let later = start + Duration::from_secs(3600);
        assert!(tokio::time::timeout(Duration::from_millis(20), alarm.until(later)).await.is_err());
        let soon = mono_now() + Duration::from_millis(50);
        alarm.until(soon).await;
        assert!(mono_now() >= soon && mono_now() < soon + Duration::from_secs(10));
        let earlier =
            tokio::time::timeout(Duration::from_millis(5), alarm.until(soon + Duration::from_millis(80)));
        assert!(earlier.await.is_err());
        let next = mono_now() + Duration::from_millis(200);
        alarm.until(next).await;
        assert!(mono_now() >= next, "an earlier alarm that was left alone ends nothing");
        alarm.until(start).await;
    }

    #[test]
    fn who_was_awake_has_not_slept() {
        let mut detector = SleepDetector::default();
        assert!(!detector.has_slept());
        detector.mono = detector.mono.saturating_sub(Duration::from_secs(5));
        assert!(detector.has_slept());
        assert!(!detector.has_slept());
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
