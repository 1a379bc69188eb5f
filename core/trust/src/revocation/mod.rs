//! Whether a certificate of a path was withdrawn by its issuer: lists, stapled and fetched answers, and what the
//! policy makes of their absence.

pub(crate) mod crl;
pub(crate) mod ocsp;

use crate::finding::{Sink, advice};
use crate::path::Link;
use crate::{
    Code, Evidence, Finding, Level, Policy, RevocationMode, RevocationStatus, Role, Unproven, Who, text,
};
use crl::ListNumber;

/// How far the clock of an issuer may be ahead of ours, in seconds.
const CLOCK_SKEW: i64 = 300;

/// What the evidence says about a whole path.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: RevocationStatus,
    pub(crate) until: Option<i64>,
    pub(crate) unproven: Vec<Unproven>,
}

/// Looks at every certificate of the path but the root, whose issuer is itself.
pub(crate) fn check(
    path: &[Link<'_>],
    evidence: &Evidence<'_>,
    policy: &Policy,
    now: i64,
    sink: &mut Sink,
) -> Outcome {
    let mut until: Option<i64> = None;
    let mut unproven = Vec::new();
    for (index, pair) in path.windows(2).enumerate() {
        let [link, issuer] = pair else { continue };
        match (One { link, issuer, index, evidence, policy, now }).check(sink) {
            Some(good) => until = Some(until.map_or(good, |u| u.min(good))),
            None => unproven.push(Unproven {
                index,
                crl_urls: link.facts.crl_urls.clone().unwrap_or_default(),
                ocsp_urls: link.facts.ocsp_urls.clone(),
            }),
        }
    }
    let status = if unproven.is_empty() {
        RevocationStatus::Proven
    } else if policy.revocation == RevocationMode::Off {
        RevocationStatus::NotChecked
    } else {
        RevocationStatus::Unproven
    };
    Outcome { status, until, unproven }
}

/// One certificate and its issuer.
struct One<'a> {
    link: &'a Link<'a>,
    issuer: &'a Link<'a>,
    index: usize,
    evidence: &'a Evidence<'a>,
    policy: &'a Policy,
    now: i64,
}

impl One<'_> {
    /// Until when the certificate is proven to be in force, if it is.
    fn check(&self, sink: &mut Sink) -> Option<i64> {
        let mut good: Option<i64> = None;
        let mut problems = Vec::new();
        let mut revoked = false;
        self.ask_lists(&mut good, &mut problems, &mut revoked, sink);
        self.ask_fetched(&mut good, &mut problems, &mut revoked, sink);
        if self.index == 0 {
            self.ask_staple(&mut good, &mut revoked, sink);
        }
        if revoked {
            return None;
        }
        if self.index == 0 && self.link.facts.must_staple && self.evidence.staple.is_none() {
            self.missing_staple(good.is_some(), sink);
        }
        if good.is_some() || self.policy.revocation == RevocationMode::Off {
            return good;
        }
        if self.evidence.more_may_follow {
            return None;
        }
        if problems.is_empty() {
            problems.push(self.unknown());
        }
        for problem in problems {
            // A list by a key that may not sign lists is no absence: the issuer breaks its own limits.
            let refuses = self.policy.revocation == RevocationMode::Require
                || problem.code == Code::ListIssuerNotAllowed;
            if refuses {
                sink.refuse(problem);
            } else {
                sink.warn(problem);
            }
        }
        None
    }

    fn ask_lists(
        &self,
        good: &mut Option<i64>,
        problems: &mut Vec<Finding>,
        revoked: &mut bool,
        sink: &mut Sink,
    ) {
        for list in self.evidence.crls {
            let is_server = self.index == 0;
            let algorithms = &self.policy.algorithms;
            let answer = list.ask(self.link.facts, self.issuer.facts, is_server, self.now, algorithms);
            if answer != crl::Answer::NotCovered {
                self.number(list.number(), sink);
            }
            let by = format!("the list of {}", list.issuer());
            match answer {
                crl::Answer::NotCovered => {}
                crl::Answer::Good { until } => *good = Some(good.map_or(until, |g| g.max(until))),
                crl::Answer::Revoked { at, reason } => {
                    *revoked = true;
                    let reason = reason.map(|r| format!(" ({r:?})")).unwrap_or_default();
                    sink.refuse(self.revoked(at, &format!("{by}{reason}")));
                }
                crl::Answer::Expired { next_update } => {
                    let found = next_update.map_or("a list without an end".into(), |n| {
                        format!("{by} ended on {}", text::when(n))
                    });
                    problems.push(self.list(
                        Code::ListExpired,
                        "nextUpdate",
                        "a list that is in force",
                        found,
                    ));
                }
                crl::Answer::FromFuture { this_update } => {
                    let found = format!("{by} is dated {}", text::when(this_update));
                    problems.push(self.list(Code::ListFromFuture, "thisUpdate", "a list of today", found));
                }
                crl::Answer::Forged | crl::Answer::UnsupportedSignature => {
                    let found = format!("{by} has a signature that the issuer's key did not make");
                    problems.push(self.list(Code::ListForged, "signature", "the issuer's signature", found));
                }
                crl::Answer::IssuerNotAllowed => {
                    let found = "an issuer without cRLSign".to_owned();
                    problems.push(self.list(
                        Code::ListIssuerNotAllowed,
                        "keyUsage",
                        "an issuer that may sign lists (cRLSign)",
                        found,
                    ));
                }
                crl::Answer::Unusable { why } => {
                    let found = format!("{by}: {why}");
                    problems.push(self.list(Code::ListUnusable, "tbsCertList", "a complete list", found));
                }
            }
        }
    }

    fn ask_fetched(
        &self,
        good: &mut Option<i64>,
        problems: &mut Vec<Finding>,
        revoked: &mut bool,
        sink: &mut Sink,
    ) {
        for response in self.evidence.ocsp {
            match ocsp::ask(response, self.link.facts, *self.issuer, self.now, &self.policy.algorithms) {
                ocsp::Answer::Good { until } => *good = Some(good.map_or(until, |g| g.max(until))),
                ocsp::Answer::Revoked { at } => {
                    *revoked = true;
                    sink.refuse(self.revoked(at, "its issuer's OCSP responder"));
                }
                ocsp::Answer::Unknown => {
                    problems.push(self.staple(
                        Code::StapleUnknown,
                        "certStatus",
                        "an answer",
                        "unknown".into(),
                    ));
                }
                // What was fetched may be about another certificate of the path; it counts as absent.
                ocsp::Answer::Expired { .. }
                | ocsp::Answer::FromFuture { .. }
                | ocsp::Answer::Invalid { .. } => {}
            }
        }
    }

    /// An unsatisfactory staple refuses in every mode (RFC 6066 §8).
    fn ask_staple(&self, good: &mut Option<i64>, revoked: &mut bool, sink: &mut Sink) {
        let Some(staple) = self.evidence.staple else { return };
        match ocsp::ask(staple, self.link.facts, *self.issuer, self.now, &self.policy.algorithms) {
            ocsp::Answer::Good { until } => *good = Some(good.map_or(until, |g| g.max(until))),
            ocsp::Answer::Revoked { at } => {
                *revoked = true;
                sink.refuse(self.revoked(at, "the answer of its issuer that the server sent along"));
            }
            ocsp::Answer::Unknown => sink.refuse(self.staple(
                Code::StapleUnknown,
                "certStatus",
                "\"good\"",
                "\"unknown\": the issuer has no record of it".into(),
            )),
            ocsp::Answer::Expired { next_update } => {
                let found = match next_update {
                    Some(next) => format!("it ended on {}", text::when(next)),
                    None => "it does not say until when it counts".into(),
                };
                sink.refuse(self.staple(
                    Code::StapleExpired,
                    "nextUpdate",
                    &format!("in force on {}", text::when(self.now)),
                    found,
                ));
            }
            ocsp::Answer::FromFuture { this_update } => sink.refuse(self.staple(
                Code::StapleFromFuture,
                "thisUpdate",
                &format!("made before {}", text::when(self.now)),
                format!("it is dated {}", text::when(this_update)),
            )),
            ocsp::Answer::Invalid { why } => sink.refuse(self.staple(
                Code::StapleInvalid,
                "OCSP response",
                "an answer about this certificate, signed by its issuer or whom the issuer appointed",
                why,
            )),
        }
    }

    /// RFC 7633 §4.2.3.1 and §4.3.3: without a staple the certificate is invalid, unless its status is proven otherwise.
    fn missing_staple(&self, proven: bool, sink: &mut Sink) {
        let finding = Finding::new(
            Code::StapleMissing,
            Some(self.summary()),
            "TLS feature",
            "an OCSP answer stapled to the handshake",
            "none",
            "Whoever runs the server has to turn on OCSP stapling, or get a certificate that does not demand it.",
        );
        if proven {
            sink.warn(finding);
        } else if !self.evidence.more_may_follow {
            sink.refuse(finding);
        }
    }

    fn number(&self, number: ListNumber, sink: &mut Sink) {
        let found = match number {
            ListNumber::Fine => return,
            ListNumber::Missing => "absent",
            ListNumber::Critical => "marked as critical",
        };
        let expected = "present and not critical";
        let finding = Finding::new(
            Code::OddListNumber,
            Some(self.summary()),
            "cRLNumber",
            expected,
            found,
            advice::REISSUE,
        );
        // RFC 5280 §5.2.3: without its number nobody can tell the newer of two lists. Where proof is demanded that is
        // none.
        if self.policy.revocation == RevocationMode::Require || self.policy.level == Level::Strict {
            sink.refuse(finding);
        } else {
            sink.warn(finding);
        }
    }

    fn revoked(&self, at: i64, by: &str) -> Finding {
        let (who, advice) = match self.link.role {
            Role::Server => (
                Who::Administrator,
                "Do not use this server until its operator has explained and replaced the certificate: it may be \
                 stolen.",
            ),
            Role::Intermediate | Role::Root => (
                Who::Administrator,
                "Do not use this server until its operator has a certificate of another authority: this one was \
                 withdrawn.",
            ),
        };
        Finding::new(
            Code::Revoked,
            Some(self.summary()),
            "serialNumber",
            "a certificate that is in force",
            format!("withdrawn on {}, says {by}", text::when(at)),
            advice,
        )
        .for_whom(who)
    }

    fn unknown(&self) -> Finding {
        let f = self.link.facts;
        let found = if f.crl_urls.as_ref().is_none_or(Vec::is_empty) && f.ocsp_urls.is_empty() {
            "nothing, and its issuer does not say where to ask"
        } else {
            "nothing was given or could be fetched"
        };
        Finding::new(
            Code::RevocationUnknown,
            Some(self.summary()),
            "cRLDistributionPoints",
            "a list or answer of its issuer that is in force",
            found,
            "Give the issuer's current revocation list. For good, whoever runs the authority has to publish it where this \
             device can fetch it, or whoever runs the server has to send the issuer's answer along (OCSP stapling).",
        )
    }

    fn list(&self, code: Code, field: &'static str, expected: &str, found: String) -> Finding {
        let advice = "Get the issuer's current revocation list. Until then this one proves nothing.";
        Finding::new(code, Some(self.summary()), field, expected, found, advice)
    }

    fn staple(&self, code: Code, field: &'static str, expected: &str, found: String) -> Finding {
        let advice = "Whoever runs the server has to renew what it staples (its OCSP answer), or to turn stapling off. \
             If the clock of this device is wrong, set it.";
        Finding::new(code, Some(self.summary()), field, expected, found, advice)
    }

    fn summary(&self) -> crate::CertificateSummary {
        self.link.facts.summary(self.link.position, self.link.role)
    }
}
