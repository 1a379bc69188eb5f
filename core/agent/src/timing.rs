//! How often, and how patiently.

use std::time::Duration;

/// Intervals of keep-alives and of attempts. The defaults bring a phone back in seconds; [`Timing::rfc5626`] has the ones that
/// RFC 5626 §4.5 proposes to a client that has no better knowledge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Longest time between keep-alives while the app is in front, where the server gives no Flow-Timer; each interval is a
    /// random 80 to 99 % of it (OUT-17). 120 s by default. Where a connection that was quiet dies, the next one is pinged twice as
    /// often, each 30 s at most, until the network changes; one that comes after failures is pinged first after 32 s (OUT-10).
    pub ping: Duration,
    /// The same in the background, where the battery counts. 840 s by default.
    pub background_ping: Duration,
    /// The wait before the next attempt is a random 50 to 100 % of this times two to the power of the failures in a row
    /// (OUT-09), while no flow is registered. 0.5 s by default.
    pub retry_all_failed: Duration,
    /// The same while another flow is registered. 5 s by default.
    pub retry: Duration,
    /// The longest of these waits. 1800 s by default.
    pub retry_at_most: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            ping: Duration::from_secs(120),
            background_ping: Duration::from_secs(840),
            retry_all_failed: Duration::from_millis(500),
            retry: Duration::from_secs(5),
            retry_at_most: Duration::from_secs(1800),
        }
    }
}

impl Timing {
    /// The defaults of RFC 5626 §4.5: 30 s if all flows failed, else 90 s, at most 1800 s.
    pub fn rfc5626() -> Self {
        Timing {
            retry_all_failed: Duration::from_secs(30),
            retry: Duration::from_secs(90),
            ..Timing::default()
        }
    }
}

/// What the waits before attempts are computed from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BackOff {
    pub base: Duration,
    pub at_most: Duration,
}

impl BackOff {
    /// `min(at_most, base * 2^failures)`, of which a random 50 to 100 % is waited (RFC 5626 §4.5).
    pub fn wait(self, random: &mut crate::random::Random, failures: u32) -> Duration {
        let whole = self.base.saturating_mul(2u32.saturating_pow(failures.min(20))).min(self.at_most);
        random.percent(whole, 50, 100)
    }

    /// What is waited after so many failures where the server may have named a time, and whether it has. "Now" (REG-17) it may
    /// say, but not again and again.
    pub fn after(
        self,
        random: &mut crate::random::Random,
        failures: u32,
        named: Option<Duration>,
    ) -> (Duration, bool) {
        match named {
            Some(named) if !named.is_zero() || failures <= 1 => (named, true),
            _ => (self.wait(random, failures), false),
        }
    }
}

impl Timing {
    /// The back-off while another flow is registered, or none.
    pub(crate) fn back_off(&self, all_failed: bool) -> BackOff {
        let base = if all_failed { self.retry_all_failed } else { self.retry };
        BackOff { base, at_most: self.retry_at_most }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn waiting_doubles_and_is_capped_out_09() {
        let mut random = Random::new([3; 32]);
        let all_failed = Timing::default().back_off(true);
        for (failures, whole) in [(1, 1.0), (4, 8.0), (11, 1024.0), (12, 1800.0), (4_000_000_000, 1800.0)] {
            let waited = all_failed.wait(&mut random, failures).as_secs_f64();
            assert!((whole * 0.499..=whole).contains(&waited), "{failures}: {waited}");
        }
        let rfc = Timing::rfc5626();
        for (all_failed, whole) in [(true, 240.0), (false, 720.0)] {
            let waited = rfc.back_off(all_failed).wait(&mut random, 3).as_secs_f64();
            assert!((whole * 0.499..=whole).contains(&waited), "{all_failed}: {waited}");
        }
    }
}
