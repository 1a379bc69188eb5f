//! Nobody is trusted for longer than the proofs last: when a revocation list has to be renewed or a certificate expires, the
//! chain of a connection that is up is judged again.

use crate::net::{ConnectRequest, Target};
use aldis_trust::{Judged, RevocationMode, Trusted, Verdict};
use std::pin::Pin;
use std::time::Duration;

/// How long before a list ends its successor is asked for first: issuers publish early, and places fail.
const RENEW_EARLY: Duration = Duration::from_secs(10 * 60);
/// How often the status of a certificate is asked for again that nothing has proven.
const ASK_AGAIN: Duration = Duration::from_secs(60 * 60);

/// A judgement under way.
type Judging = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// Watches over the trust in the server of one connection. Times are the calendar's (since 1970): a certificate knows no
/// other.
pub(crate) struct Watch {
    judged: Judged,
    target: Target,
    state: State,
}

enum State {
    Until(Duration),
    Judging(Judging),
}

impl Watch {
    pub fn new(judged: Judged, target: Target, mode: RevocationMode, wall: Duration) -> Self {
        let due = judged.verdict.trusted().map_or(wall, |trusted| due(trusted, mode, wall));
        Watch { judged, target, state: State::Until(due) }
    }

    /// How long until the next judgement; `None` while one is under way.
    pub fn due_in(&self, wall: Duration) -> Option<Duration> {
        match self.state {
            State::Until(due) => Some(due.saturating_sub(wall)),
            State::Judging(_) => None,
        }
    }

    /// Begins a judgement if it is due.
    pub fn begin(&mut self, request: &ConnectRequest, wall: Duration) {
        if self.due_in(wall) != Some(Duration::ZERO) {
            return;
        }
        let (request, judged, target) = (request.clone(), self.judged.clone(), self.target.clone());
        self.state =
            State::Judging(Box::pin(async move { request.judge_again(&judged, &target, RENEW_EARLY).await }));
    }

    /// The verdict, once the judgement under way has ended. Dropping the future loses nothing.
    pub async fn verdict(&mut self) -> Verdict {
        match &mut self.state {
            State::Until(_) => std::future::pending().await,
            State::Judging(judging) => judging.await,
        }
    }

    /// The server is still trusted.
    pub fn go_on(&mut self, trusted: &Trusted, mode: RevocationMode, wall: Duration) {
        self.state = State::Until(due(trusted, mode, wall));
    }
}

/// When a server that is trusted now has to be judged again.
fn due(trusted: &Trusted, mode: RevocationMode, wall: Duration) -> Duration {
    let seconds = Duration::from_secs;
    // notAfter is the last second of the validity (RFC 5280 §4.1.2.5).
    let mut due = seconds(trusted.expires.as_secs().saturating_add(1));
    if let Some(until) = trusted.revocation_until {
        let until = seconds(until.as_secs());
        let early = until.saturating_sub(RENEW_EARLY);
        due = due.min(if early > wall { early } else { until });
    }
    if !trusted.unproven.is_empty() && mode != RevocationMode::Off {
        due = due.min(wall + ASK_AGAIN);
    }
    // Whatever the certificates say, not twice in a second.
    due.max(wall + seconds(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aldis_pki::{Ca, RevocationList, Template};
    use aldis_sip::ReferenceIdentity;
    use aldis_trust::{Anchors, Crl, Evidence, Policy, Source, judge};
    use rustls_pki_types::UnixTime;
    use std::sync::Arc;

    const NOW: i64 = 1_800_000_000;
    const MINUTE: i64 = 60;

    /// The next judgement, in seconds from now, with a certificate and a list that end after so many seconds.
    fn due_after(certificate: i64, list: Option<i64>, mode: RevocationMode) -> i64 {
        let ca = Ca::new("Root", NOW).unwrap();
        let template = Template::server("example.test").valid(NOW - MINUTE, NOW + certificate);
        let issued = ca.issue(template).unwrap();
        let mut policy =
            Policy::new(Arc::new(Anchors::from_pem(ca.root_pem().as_bytes(), Source::Organisation)));
        policy.revocation = mode;
        let lists: Vec<_> = list
            .map(|ends| RevocationList::new(NOW - MINUTE, NOW + ends).signed_by(&ca).unwrap())
            .map(|der| Arc::new(Crl::from_der(&der).unwrap()))
            .into_iter()
            .collect();
        let mut evidence = Evidence::default();
        evidence.crls = &lists;
        let identity = ReferenceIdentity::new("example.test").unwrap();
        let wall = Duration::from_secs(NOW.unsigned_abs());
        let time = UnixTime::since_unix_epoch(wall);
        let verdict = judge(&issued.chain(), &identity, time, &policy, &evidence);
        let trusted = verdict.trusted().expect("trusted");
        i64::try_from((due(trusted, mode, wall) - wall).as_secs()).unwrap()
    }

    #[test]
    fn a_certificate_counts_to_its_last_second() {
        assert_eq!(due_after(30 * MINUTE, None, RevocationMode::Off), 30 * MINUTE + 1);
        assert_eq!(due_after(30 * MINUTE, Some(90 * MINUTE), RevocationMode::Prefer), 30 * MINUTE + 1);
    }

    #[test]
    fn a_list_is_renewed_before_it_ends_and_looked_at_when_it_ends() {
        let year = 365 * 24 * 60 * MINUTE;
        assert_eq!(due_after(year, Some(90 * MINUTE), RevocationMode::Prefer), 80 * MINUTE);
        assert_eq!(due_after(year, Some(9 * MINUTE), RevocationMode::Prefer), 9 * MINUTE);
        assert_eq!(due_after(year, Some(90 * MINUTE), RevocationMode::Off), 80 * MINUTE);
    }

    #[test]
    fn what_is_not_proven_is_asked_for_again_if_anybody_wants_to_know() {
        let year = 365 * 24 * 60 * MINUTE;
        assert_eq!(due_after(year, None, RevocationMode::Prefer), 60 * MINUTE);
        assert_eq!(due_after(year, None, RevocationMode::Off), year + 1);
    }
}
