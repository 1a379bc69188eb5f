//! The gate itself: judge, fetch what is missing, judge again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use aldis_sip::ReferenceIdentity;
use aldis_trust::{Code, Crl, Evidence, Finding, Policy, RevocationMode, Trusted, Verdict, judge};
use futures_util::future::join_all;
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio::time::Instant;

use super::cache::Key;
use super::fetch::{FetchError, fetch};
use super::reach::Reach;
use super::url::{HttpUrl, NotFollowed};
use super::{PREFER_LIMIT, REQUIRE_LIMIT, Revocation};
use crate::net::Resolver;
use crate::net::clock::wall_now;

/// Places of one certificate that are asked.
const MAX_PLACES: usize = 4;

/// A chain to be judged with what can be fetched.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub chain: Vec<CertificateDer<'static>>,
    pub staple: Option<Vec<u8>>,
    pub identity: ReferenceIdentity,
    pub policy: Arc<Policy>,
    /// Lists that were given.
    pub crls: Vec<Arc<Crl>>,
    /// The host that DNS said to connect to.
    pub connected_to: Option<String>,
    pub resolver: Resolver,
}

impl Case {
    pub fn judge(&self, now: Duration, more: &[Arc<Crl>], more_may_follow: bool) -> Verdict {
        let mut crls = self.crls.clone();
        crls.extend(more.iter().cloned());
        let mut evidence = Evidence::default();
        evidence.crls = &crls;
        evidence.staple = self.staple.as_deref();
        evidence.connected_to = self.connected_to.as_deref();
        evidence.more_may_follow = more_may_follow;
        judge(&self.chain, &self.identity, UnixTime::since_unix_epoch(now), &self.policy, &evidence)
    }

    /// Off the runtime's thread where there are lists: the signature over a long one takes a while.
    async fn judge_aside(
        self: &Arc<Self>,
        now: Duration,
        more: Vec<Arc<Crl>>,
        more_may_follow: bool,
    ) -> Verdict {
        if more.is_empty() {
            return self.judge(now, &more, more_may_follow);
        }
        let (case, lists) = (self.clone(), more.clone());
        let aside = tokio::task::spawn_blocking(move || case.judge(now, &lists, more_may_follow));
        match aside.await {
            Ok(verdict) => verdict,
            // The runtime is shutting down.
            Err(_) => self.judge(now, &more, more_may_follow),
        }
    }
}

/// A list that takes part in the judgement.
struct Found {
    key: Key,
    list: Arc<Crl>,
    /// SHA-256 of the certificate that it was looked for.
    about: [u8; 32],
    origin: Origin,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Cache,
    Network,
    /// Fetched, proved something, and kept.
    Kept,
}

/// A place to ask.
struct Place {
    key: Key,
    about: [u8; 32],
    url: HttpUrl,
    until: Instant,
}

/// One passage through the gate.
struct Passage<'a> {
    revocation: &'a Revocation,
    case: Arc<Case>,
    now: Duration,
    /// Lists that end before this are renewed if they can be.
    renew_before: i64,
    until: Instant,
    found: Vec<Found>,
    /// Lists that count only if they cannot be renewed.
    ending: Vec<Arc<Crl>>,
    looked_up: BTreeSet<Key>,
    asked: BTreeSet<Key>,
    /// By certificate, what stood in the way.
    failures: BTreeMap<[u8; 32], Vec<String>>,
}

impl Revocation {
    /// The verdict on `case` once everything is known that can be known in time. `no_later_than` bounds the wait beyond
    /// the gate's own limit. Lists that end within `renew` are fetched anew where possible.
    pub(crate) async fn settle(
        &self,
        case: Case,
        no_later_than: Option<Instant>,
        renew: Duration,
    ) -> Verdict {
        let limit = match case.policy.revocation {
            RevocationMode::Require => REQUIRE_LIMIT,
            RevocationMode::Prefer | RevocationMode::Off => PREFER_LIMIT,
        };
        let until = Instant::now() + limit;
        let now = wall_now();
        let mut passage = Passage {
            revocation: self,
            case: Arc::new(case),
            now,
            renew_before: seconds(now + renew),
            until: no_later_than.map_or(until, |other| until.min(other)),
            found: Vec::new(),
            ending: Vec::new(),
            looked_up: BTreeSet::new(),
            asked: BTreeSet::new(),
            failures: BTreeMap::new(),
        };
        passage.gather().await;
        passage.conclude().await
    }
}

impl Passage<'_> {
    /// Collects evidence until nothing is missing, the chain is refused, or nobody is left to ask.
    async fn gather(&mut self) {
        if self.case.policy.revocation == RevocationMode::Off {
            return;
        }
        loop {
            let verdict = self.judge(true).await;
            self.keep_what_proved(&verdict).await;
            let Verdict::Trusted(trusted) = verdict else { return };
            if trusted.unproven.is_empty() {
                return;
            }
            if self.look_up(&trusted).await {
                continue;
            }
            self.drop_false_friends(&trusted).await;
            let places = self.places(&trusted);
            if places.is_empty() {
                return;
            }
            self.ask(places, reach(&trusted, &self.case.policy)).await;
        }
    }

    async fn judge(&self, more_may_follow: bool) -> Verdict {
        let mut lists: Vec<_> = self.found.iter().map(|found| found.list.clone()).collect();
        if !more_may_follow {
            lists.extend(self.ending.iter().cloned());
        }
        self.case.judge_aside(self.now, lists, more_may_follow).await
    }

    /// The last word, with what stood in the way.
    async fn conclude(self) -> Verdict {
        let mut verdict = self.judge(false).await;
        let (findings, warnings) = match &mut verdict {
            Verdict::Trusted(trusted) => (None, &mut trusted.warnings),
            Verdict::Refused(refused) => (Some(&mut refused.findings), &mut refused.warnings),
        };
        for finding in findings.into_iter().flatten().chain(warnings) {
            self.explain(finding);
        }
        verdict
    }

    fn explain(&self, finding: &mut Finding) {
        if finding.code != Code::RevocationUnknown {
            return;
        }
        let about = finding.certificate.as_ref().map(|certificate| certificate.sha256);
        if let Some(failures) = about.and_then(|about| self.failures.get(&about)) {
            finding.found = format!("nothing: {}", failures.join("; "));
        }
    }

    /// Takes what is in the cache; whether that is anything new.
    async fn look_up(&mut self, trusted: &Trusted) -> bool {
        let mut is_new = false;
        for (about, issuer, url) in places(trusted) {
            let Ok(url) = url else { continue };
            let key = Key::new(issuer, &url.to_string());
            if !self.looked_up.insert(key) {
                continue;
            }
            let Some(list) = self.revocation.cache.get(key).await else { continue };
            let ends = list.next_update().unwrap_or(i64::MIN);
            if ends > seconds(self.now) && ends <= self.renew_before {
                self.ending.push(list);
            } else {
                self.found.push(Found { key, list, about, origin: Origin::Cache });
                is_new = true;
            }
        }
        is_new
    }

    /// A kept list that is in force and still proves nothing about its certificate is not what it was: it goes, and the
    /// place is asked.
    async fn drop_false_friends(&mut self, trusted: &Trusted) {
        let now = seconds(self.now);
        let unproven: Vec<_> = places(trusted).map(|(about, ..)| about).collect();
        let is_false = |found: &Found| {
            found.origin == Origin::Cache
                && unproven.contains(&found.about)
                && found.list.next_update().is_some_and(|ends| ends > now)
        };
        for found in self.found.iter().filter(|found| is_false(found)) {
            self.revocation.cache.forget(found.key).await;
        }
        self.found.retain(|found| !is_false(found));
    }

    /// The next place to ask for each certificate whose status is not known.
    fn places(&mut self, trusted: &Trusted) -> Vec<Place> {
        let mut chosen: Vec<Place> = Vec::new();
        let now = Instant::now();
        if now >= self.until {
            return chosen;
        }
        for (about, issuer, url) in places(trusted) {
            let url = match url {
                Ok(url) => url,
                Err(why) => {
                    self.failed(about, why.to_owned());
                    continue;
                }
            };
            let key = Key::new(issuer, &url.to_string());
            if let Some(same) = chosen.iter_mut().find(|place| place.about == about) {
                // Another place is left: it needs time too.
                if !self.asked.contains(&key) {
                    same.until = now + (self.until - now) / 2;
                }
                continue;
            }
            if !self.asked.insert(key) {
                continue;
            }
            if self.case.policy.revocation != RevocationMode::Require
                && let Some(error) = self.revocation.cache.recent_failure(key)
            {
                self.failed(about, format!("{url}: {error} (a moment ago)"));
                continue;
            }
            chosen.push(Place { key, about, url, until: self.until });
        }
        chosen
    }

    async fn ask(&mut self, places: Vec<Place>, reach: Reach) {
        let case = self.case.clone();
        let answers =
            join_all(places.iter().map(|place| fetch(&place.url, reach, &case.resolver, place.until))).await;
        for (place, answer) in places.into_iter().zip(answers) {
            match answer {
                Ok(list) => {
                    tracing::debug!(url = %place.url, bytes = list.der().len(), "a revocation list was fetched");
                    let Place { key, about, .. } = place;
                    self.found.push(Found { key, list: Arc::new(list), about, origin: Origin::Network });
                }
                Err(error) => {
                    tracing::debug!(url = %place.url, %error, "a revocation list could not be fetched");
                    self.failed(place.about, format!("{}: {error}", place.url));
                    if !matches!(error, FetchError::OutOfReach(_)) {
                        self.revocation.cache.failed(place.key, error);
                    }
                }
            }
        }
    }

    fn failed(&mut self, about: [u8; 32], why: String) {
        let failures = self.failures.entry(about).or_default();
        if !failures.contains(&why) {
            failures.push(why);
        }
    }

    /// Keeps what was fetched and has proven something. A list that proved nothing (forged, expired) is not kept: whoever
    /// slipped it in once would otherwise have done so for good.
    async fn keep_what_proved(&mut self, verdict: &Verdict) {
        let (known, revoked): (Vec<[u8; 32]>, Vec<[u8; 32]>) = match verdict {
            Verdict::Trusted(trusted) => {
                let unproven: Vec<_> = trusted.unproven.iter().map(|unproven| unproven.index).collect();
                let path = trusted.path.iter().enumerate();
                let known =
                    path.filter(|(index, _)| !unproven.contains(index)).map(|(_, c)| c.sha256).collect();
                (known, Vec::new())
            }
            Verdict::Refused(refused) => {
                let revoked = refused.findings.iter().filter(|finding| finding.code == Code::Revoked);
                let revoked = revoked.filter_map(|f| f.certificate.as_ref()).map(|c| c.sha256).collect();
                (Vec::new(), revoked)
            }
        };
        for found in self.found.iter_mut().filter(|found| found.origin == Origin::Network) {
            if known.contains(&found.about) || revoked.contains(&found.about) {
                found.origin = Origin::Kept;
                self.revocation.cache.put(found.key, found.list.clone()).await;
            }
        }
    }
}

/// Every place where an issuer of the path publishes the status of a certificate that is not known: the certificate's
/// SHA-256, its issuer, and the URL or why it is not followed.
fn places(
    trusted: &Trusted,
) -> impl Iterator<Item = ([u8; 32], &CertificateDer<'static>, Result<HttpUrl, &'static str>)> {
    trusted.unproven.iter().flat_map(|unproven| {
        let about = trusted.path.get(unproven.index).map(|certificate| certificate.sha256);
        let issuer = trusted.path_der.get(unproven.index + 1);
        let parsed: Vec<_> = unproven.crl_urls.iter().map(|url| HttpUrl::parse(url)).collect();
        let mut usable: Vec<_> = parsed.iter().flatten().cloned().map(Ok).take(MAX_PLACES).collect();
        if usable.is_empty() {
            usable.extend(parsed.into_iter().filter_map(Result::err).take(1).map(|why| {
                Err(match why {
                    NotFollowed::Scheme => {
                        "its issuer publishes no list over plain HTTP, only in ways that are not followed"
                    }
                    NotFollowed::Malformed => {
                        "its issuer publishes its list at an address that cannot be read"
                    }
                })
            }));
        }
        about
            .zip(issuer)
            .into_iter()
            .flat_map(move |(about, issuer)| usable.clone().into_iter().map(move |url| (about, issuer, url)))
    })
}

/// Whither the issuers of this path may send us.
fn reach(trusted: &Trusted, policy: &Policy) -> Reach {
    if trusted.public_root {
        return Reach::Public;
    }
    let root = trusted.path_der.last();
    let mut anchors = policy.anchors.iter().filter(|anchor| Some(anchor.der()) == root);
    match anchors.next() {
        Some(anchor) if anchor.scope().is_none() => Reach::Organisation,
        Some(_) => Reach::Partner,
        None => Reach::Public,
    }
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}
