//! Keep-alives on a flow: CR LF CR LF out, CR LF back (RFC 5626 §4.4.1).

use crate::random::Random;
use crate::time::Now;
use std::time::Duration;

/// A ping: two line ends.
pub(crate) const PING: &[u8] = b"\r\n\r\n";
/// A pong: one.
pub(crate) const PONG: &[u8] = b"\r\n";
/// How long a pong may take (OUT-18).
const PONG_WITHIN: Duration = Duration::from_secs(10);
/// Between pings without a Flow-Timer (OUT-17): 95 to 120 s are 79 to 100 % of this.
const INTERVAL: Duration = Duration::from_secs(120);

/// The keep-alives of one flow.
#[derive(Debug, Default)]
pub(crate) struct KeepAlive {
    /// The server's Flow-Timer (OUT-16).
    interval: Option<Duration>,
    /// Pings go out only once there is something to keep alive.
    next_ping: Option<Duration>,
    awaiting: Option<Duration>,
    /// The server said that it answers, or it did once (OUT-19).
    pongs: bool,
    ponged: bool,
    /// One line end of a ping of the server has come.
    half_ping: bool,
}

/// What a line end from the server was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LineEnd {
    Pong,
    Half,
    /// To be answered with a pong (OUT-20).
    Ping,
}

impl KeepAlive {
    /// Starts pinging, or goes on with what the latest 2xx says.
    pub fn start(&mut self, now: Now, random: &mut Random, flow_timer: Option<u32>, pongs: bool) {
        self.interval = flow_timer.map(|seconds| Duration::from_secs(u64::from(seconds.max(1))));
        self.pongs |= pongs;
        if self.awaiting.is_none() {
            self.schedule(now, random);
        }
    }

    fn schedule(&mut self, now: Now, random: &mut Random) {
        let wait = match self.interval {
            Some(interval) => random.percent(interval, 80, 100),
            None => random.percent(INTERVAL, 79, 100),
        };
        self.next_ping = Some(now.mono + wait);
    }

    /// A CR LF came between messages.
    pub fn line_end(&mut self, now: Now, random: &mut Random) -> LineEnd {
        if self.awaiting.take().is_some() {
            (self.pongs, self.ponged) = (true, true);
            // It may as well have been the first half of a ping; then the second half must not wait for a third.
            self.half_ping = true;
            self.schedule(now, random);
            return LineEnd::Pong;
        }
        self.half_ping = !self.half_ping;
        if self.half_ping { LineEnd::Half } else { LineEnd::Ping }
    }

    /// A message came: what came before it was no half of a ping.
    pub fn message(&mut self) {
        self.half_ping = false;
    }

    /// Whether a ping of ours was answered.
    pub fn has_ponged(&self) -> bool {
        self.ponged
    }

    /// Whether an answer to pings is expected.
    pub fn expects_pongs(&self) -> bool {
        self.pongs
    }

    /// When a ping is due, or a pong overdue.
    pub fn deadline(&self) -> Option<(Duration, bool)> {
        match (self.awaiting, self.next_ping) {
            (Some(at), _) if self.pongs => Some((at, true)),
            (_, next) => next.map(|at| (at, false)),
        }
    }

    /// Whether a pong is overdue.
    pub fn is_overdue(&self, now: Now) -> bool {
        self.pongs && self.awaiting.is_some_and(|at| at <= now.mono)
    }

    /// Whether a ping must go out now.
    pub fn ping_due(&mut self, now: Now, random: &mut Random) -> bool {
        if self.next_ping.is_none_or(|at| at > now.mono) || (self.pongs && self.awaiting.is_some()) {
            return false;
        }
        self.awaiting = Some(now.mono + PONG_WITHIN);
        self.schedule(now, random);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Now { mono: Duration::from_secs(seconds), wall: Duration::ZERO }
    }

    #[test]
    fn a_ping_goes_out_in_the_flow_timers_time_out_16() {
        let (mut alive, mut random) = (KeepAlive::default(), Random::new([0; 32]));
        assert_eq!(alive.deadline(), None);
        alive.start(at(0), &mut random, Some(30), true);
        let (due, _) = alive.deadline().unwrap();
        assert!((Duration::from_secs(24)..=Duration::from_secs(30)).contains(&due));
        assert!(alive.ping_due(at(30), &mut random));
        assert_eq!(alive.deadline(), Some((Duration::from_secs(40), true)));
        assert!(alive.is_overdue(at(40)));
    }

    #[test]
    fn a_pong_is_expected_only_of_who_gives_one_out_19() {
        let (mut alive, mut random) = (KeepAlive::default(), Random::new([0; 32]));
        alive.start(at(0), &mut random, None, false);
        assert!(alive.ping_due(at(120), &mut random));
        assert!(!alive.is_overdue(at(1000)));
        assert_eq!(alive.line_end(at(121), &mut random), LineEnd::Pong);
        assert!(alive.ping_due(at(300), &mut random));
        assert!(alive.is_overdue(at(310)));
    }

    #[test]
    fn two_line_ends_are_a_ping_out_20() {
        let (mut alive, mut random) = (KeepAlive::default(), Random::new([0; 32]));
        assert_eq!(alive.line_end(at(0), &mut random), LineEnd::Half);
        assert_eq!(alive.line_end(at(0), &mut random), LineEnd::Ping);
        assert_eq!(alive.line_end(at(0), &mut random), LineEnd::Half);
        alive.message();
        assert_eq!(alive.line_end(at(0), &mut random), LineEnd::Half);
    }
}
