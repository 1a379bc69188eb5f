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
/// How long it may take where there is reason to doubt the flow: the network changed, or the device slept.
const PROBED_WITHIN: Duration = Duration::from_secs(4);
/// A ping comes after so much of its interval at the earliest, and with it those of other flows that may come too.
const EARLIEST: u32 = 80;
/// And at the latest after so much of it: what replaces a connection that has gone silent is then there within the interval and
/// the time of a pong.
const LATEST: u32 = 99;
/// Where a NAT forgets connections, pings come this often at most.
const SHORTEST: Duration = Duration::from_secs(30);
/// When a flow that comes after failures is pinged first: the pong ends them (OUT-10), and not before it has lasted a while.
const PROVE_AFTER: Duration = Duration::from_secs(32);

/// The keep-alives of one flow.
#[derive(Debug, Default)]
pub(crate) struct KeepAlive {
    /// The server's Flow-Timer (OUT-16).
    flow_timer: Option<Duration>,
    /// When the latest ping went out, or they began; there is none before there is something to keep alive.
    last: Option<Duration>,
    /// What of the interval passes before the next ping: another part each time (OUT-17).
    mille: u32,
    awaiting: Option<Duration>,
    /// The unanswered ping was sent because the flow was doubted, and not because it was quiet for so long.
    probes: bool,
    /// It comes after failures, and has not been pinged yet.
    unproven: bool,
    /// The longest interval that the path is known to bear; `None` if nothing is known against any.
    bearable: Option<Duration>,
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
    /// Keep-alives on a path that bears no longer interval.
    pub fn new(bearable: Option<Duration>) -> Self {
        KeepAlive { bearable, ..KeepAlive::default() }
    }

    /// What the next connection should take for bearable, now that this one has gone silent: if a NAT forgot it while it was
    /// quiet, half the interval keeps the next one. Nothing is learned of one that was only asked whether it is still there.
    pub fn learned(&self, longest: Duration) -> Option<Duration> {
        match self.probes {
            true => self.bearable,
            false => Some((self.interval(longest) / 2).max(SHORTEST)),
        }
    }

    fn interval(&self, longest: Duration) -> Duration {
        let wanted = self.flow_timer.unwrap_or(longest);
        self.bearable.map_or(wanted, |bearable| wanted.min(bearable))
    }

    /// Starts pinging, or goes on with what the latest 2xx says. `unproven`: the flow comes after failures.
    pub fn start(
        &mut self,
        now: Now,
        random: &mut Random,
        (flow_timer, pongs): (Option<u32>, bool),
        unproven: bool,
    ) {
        self.flow_timer = flow_timer.map(|seconds| Duration::from_secs(u64::from(seconds.max(1))));
        if pongs && !self.pongs {
            // What was sent before an answer was promised is not held against the server.
            (self.pongs, self.awaiting) = (true, None);
        }
        if self.last.is_none() {
            self.schedule(now, random);
            self.unproven = unproven;
        }
    }

    fn schedule(&mut self, now: Now, random: &mut Random) {
        self.last = Some(now.mono);
        self.mille = random.within(EARLIEST * 10, LATEST * 10);
    }

    /// A CR LF came between messages.
    pub fn line_end(&mut self) -> LineEnd {
        if self.awaiting.take().is_some() {
            (self.pongs, self.ponged) = (true, true);
            // It may as well have been the first half of a ping; then the second half must not wait for a third.
            self.half_ping = true;
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

    /// Whether a ping has not been answered yet that will be.
    pub fn is_in_doubt(&self) -> bool {
        self.pongs && self.awaiting.is_some()
    }

    /// When a ping is due, or a pong overdue. `longest` is our own interval, for a server that names none.
    pub fn deadline(&self, longest: Duration) -> Option<(Duration, bool)> {
        match self.awaiting {
            Some(at) if self.pongs => Some((at, true)),
            _ => self.after(longest, self.mille).map(|at| (at, false)),
        }
    }

    fn after(&self, longest: Duration, mille: u32) -> Option<Duration> {
        let wait = self.interval(longest).saturating_mul(mille) / 1000;
        Some(self.last? + if self.unproven { wait.min(PROVE_AFTER) } else { wait })
    }

    /// Whether a pong is overdue.
    pub fn is_overdue(&self, now: Now) -> bool {
        self.pongs && self.awaiting.is_some_and(|at| at <= now.mono)
    }

    /// Whether a ping must go out now.
    pub fn is_due(&self, now: Now, longest: Duration) -> bool {
        self.deadline(longest).is_some_and(|(at, pong)| !pong && at <= now.mono)
    }

    /// Whether a ping may go out now along with something else, so that the radio wakes up once.
    pub fn may_ping(&self, now: Now, longest: Duration) -> bool {
        !self.is_in_doubt() && self.after(longest, EARLIEST * 10).is_some_and(|at| at <= now.mono)
    }

    /// A ping goes out.
    pub fn ping(&mut self, now: Now, random: &mut Random) {
        self.awaiting = Some(now.mono + PONG_WITHIN);
        (self.probes, self.unproven) = (false, false);
        self.schedule(now, random);
    }

    /// There is reason to doubt the flow: a ping goes out if none is under way, and the answer has a shorter time. Whether it
    /// is to be sent. A pong that was overdue may only not have been read: it gets the time too.
    pub fn probe(&mut self, now: Now, random: &mut Random) -> bool {
        let until = now.mono + PROBED_WITHIN;
        match self.awaiting {
            Some(at) if at > now.mono => {
                self.awaiting = Some(at.min(until));
                self.probes = true;
                false
            }
            _ => {
                self.ping(now, random);
                self.awaiting = Some(until);
                self.probes = true;
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Duration = Duration::from_secs(120);

    fn at(seconds: u64) -> Now {
        Now { mono: Duration::from_secs(seconds), wall: Duration::ZERO }
    }

    #[test]
    fn a_ping_goes_out_in_the_flow_timers_time_out_16() {
        let (mut alive, mut random) = (KeepAlive::default(), Random::new([0; 32]));
        assert_eq!(alive.deadline(OURS), None);
        alive.start(at(0), &mut random, (Some(30), true), false);
        let (due, _) = alive.deadline(OURS).unwrap();
        assert!((Duration::from_secs(24)..=Duration::from_secs(30)).contains(&due));
        assert!(alive.is_due(at(30), OURS) && !alive.may_ping(at(23), OURS) && alive.may_ping(at(24), OURS));
        alive.ping(at(30), &mut random);
        assert_eq!(alive.deadline(OURS), Some((Duration::from_secs(40), true)));
        assert!(alive.is_overdue(at(40)));
    }

    #[test]
    fn a_refresh_does_not_put_the_next_ping_off_out_16() {
        let (mut alive, mut random) = (KeepAlive::default(), Random::new([0; 32]));
        alive.start(at(0), &mut random, (Some(30), true), false);
        alive.start(at(20), &mut random, (Some(30), true), false);
        assert!(alive.is_due(at(30), OURS));
        alive.start(at(22), &mut random, (Some(10), true), false);
        assert!(alive.is_due(at(22), OURS), "a shorter one counts at once");
    }

    #[test]
    fn a_pong_is_expected_only_of_who_gives_one_out_19() {
        let (mut alive, mut random) = (KeepAlive::default(), Random::new([0; 32]));
        alive.start(at(0), &mut random, (None, false), false);
        alive.ping(at(120), &mut random);
        assert!(!alive.is_overdue(at(1000)));
        assert_eq!(alive.line_end(), LineEnd::Pong);
        alive.ping(at(300), &mut random);
        assert!(alive.is_overdue(at(310)));
    }

    #[test]
    fn a_ping_from_before_the_promise_is_not_held_against_the_server() {
        let (mut alive, mut random) = (KeepAlive::default(), Random::new([0; 32]));
        assert!(alive.probe(at(0), &mut random));
        alive.start(at(4), &mut random, (Some(30), true), false);
        assert!(!alive.is_overdue(at(4)));
        assert!(alive.deadline(OURS).is_some_and(|(due, pong)| !pong && due > Duration::from_secs(4)));
    }

    #[test]
    fn a_probe_shortens_the_wait_for_a_pong() {
        let (mut alive, mut random) = (KeepAlive::default(), Random::new([0; 32]));
        alive.start(at(0), &mut random, (None, true), false);
        assert!(alive.probe(at(10), &mut random));
        assert!(alive.is_overdue(at(14)));
        alive.line_end();
        alive.ping(at(20), &mut random);
        assert!(!alive.probe(at(21), &mut random), "one is under way");
        assert!(!alive.is_overdue(at(24)) && alive.is_overdue(at(25)));
    }

    #[test]
    fn two_line_ends_are_a_ping_out_20() {
        let mut alive = KeepAlive::default();
        assert_eq!(alive.line_end(), LineEnd::Half);
        assert_eq!(alive.line_end(), LineEnd::Ping);
        assert_eq!(alive.line_end(), LineEnd::Half);
        alive.message();
        assert_eq!(alive.line_end(), LineEnd::Half);
    }
}
