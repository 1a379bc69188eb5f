//! The judgement.

use crate::facts::{Facts, Unreadable};
use crate::finding::{Sink, put_in_order};
use crate::path::{self, Candidate};
use crate::{
    CertificateSummary, Code, Evidence, Finding, Policy, Refused, Role, Trusted, Verdict, Who, explain, text,
};
use aldis_sip::ReferenceIdentity;
use rustls_pki_types::{CertificateDer, UnixTime};
use std::time::Duration;

/// Most certificates that a server may present; real chains have fewer than ten.
pub const MAX_PRESENTED: usize = 64;
/// Most unusable roots that are named in a verdict.
const MAX_UNUSABLE_NAMED: usize = 8;

/// Judges whether `chain` (DER, the server's certificate first, the others in any order) proves that the server speaks
/// for `identity`, at `time`, under `policy`, with what else is known.
///
/// It reads no clock and remembers nothing: the same arguments give the same verdict. All reasons that can be found
/// are reported, of all stages. One judgement of an ordinary chain takes well under a millisecond.
pub fn judge(
    chain: &[CertificateDer<'_>],
    identity: &ReferenceIdentity,
    time: UnixTime,
    policy: &Policy,
    evidence: &Evidence<'_>,
) -> Verdict {
    let now = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let mut warnings = unusable_roots(policy);
    let (facts, findings) = read(chain);
    let presented = summaries(&facts);
    if !findings.is_empty() {
        return refuse(findings, warnings, presented, identity);
    }
    let case = Case { chain, facts, identity, time, now, policy, evidence: *evidence };
    let result = path::find(&case);
    match result {
        Ok(candidate) => trust(*candidate, identity, warnings),
        Err(no_path) => {
            let sink = match no_path.best {
                // A path exists; what is wrong is what our rules found on it.
                Some(best) if !best.sink.findings.is_empty() => best.sink,
                _ => explain::no_path(&case, &no_path.error),
            };
            warnings.extend(sink.warnings);
            refuse(sink.findings, warnings, presented, identity)
        }
    }
}

/// Everything that one judgement is about.
pub(crate) struct Case<'a> {
    pub(crate) chain: &'a [CertificateDer<'a>],
    /// Of every certificate of the chain, in its order.
    pub(crate) facts: Vec<Facts>,
    pub(crate) identity: &'a ReferenceIdentity,
    pub(crate) time: UnixTime,
    pub(crate) now: i64,
    pub(crate) policy: &'a Policy,
    pub(crate) evidence: Evidence<'a>,
}

fn read(chain: &[CertificateDer<'_>]) -> (Vec<Facts>, Vec<Finding>) {
    let mut findings = Vec::new();
    if chain.is_empty() {
        findings.push(Finding::new(
            Code::NoCertificate,
            None,
            "certificate_list",
            "the server's certificate",
            "none",
            "Whoever runs the server has to give it a certificate.",
        ));
    }
    if chain.len() > MAX_PRESENTED {
        findings.push(Finding::new(
            Code::PathTooComplex,
            None,
            "certificate_list",
            format!("at most {MAX_PRESENTED} certificates"),
            chain.len().to_string(),
            "Whoever runs the server has to send only its own certificate and the authorities above it.",
        ));
    }
    let mut facts = Vec::with_capacity(chain.len());
    for (position, der) in chain.iter().enumerate().take(MAX_PRESENTED) {
        match Facts::read(der) {
            Ok(read) => facts.push(read),
            Err(why) => {
                let code = match why {
                    Unreadable::Malformed(_) => Code::MalformedCertificate,
                    Unreadable::Trailing(_) => Code::TrailingData,
                };
                findings.push(Finding::new(
                    code,
                    None,
                    "certificate_list",
                    "X.509 certificates, each in DER from its first to its last byte",
                    format!("certificate number {position}: {}", text::shown(&why.to_string())),
                    "Whoever runs the server has to install its certificates again; this one was damaged.",
                ));
            }
        }
    }
    (facts, findings)
}

fn summaries(facts: &[Facts]) -> Vec<CertificateSummary> {
    let role = |position| if position == 0 { Role::Server } else { Role::Intermediate };
    facts.iter().enumerate().map(|(i, f)| f.summary(i, role(i))).collect()
}

fn unusable_roots(policy: &Policy) -> Vec<Finding> {
    policy
        .anchors
        .unusable()
        .iter()
        .take(MAX_UNUSABLE_NAMED)
        .map(|root| {
            Finding::new(
                Code::UnusableRoot,
                None,
                "roots",
                "certificates of authorities in PEM form",
                root.to_string(),
                "Remove it from the roots, or replace it by a sound copy.",
            )
        })
        .collect()
}

fn trust(candidate: Candidate<'_>, identity: &ReferenceIdentity, mut warnings: Vec<Finding>) -> Verdict {
    let Candidate { path, anchor, matched, revocation, sink } = candidate;
    let Some(matched) = matched else {
        // A path is accepted only with a matching name; this cannot happen, and must not become trust if it does.
        let finding =
            Finding::new(Code::PathRefused, None, "path", "a name that matches", "none", "Report this.");
        return refuse(vec![finding], warnings, Vec::new(), identity);
    };
    let seconds = |s: i64| UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(s).unwrap_or(0)));
    let expires = path.iter().map(|l| l.facts.not_after).min().unwrap_or(0);
    warnings.extend(sink.warnings);
    put_in_order(&mut warnings);
    Verdict::Trusted(Box::new(Trusted {
        path: path.iter().map(|l| l.facts.summary(l.position, l.role)).collect(),
        path_der: path.iter().map(|l| l.der.clone().into_owned()).collect(),
        root_source: anchor.source(),
        public_root: anchor.is_public(),
        reference: identity.clone(),
        matched,
        expires: seconds(expires),
        revocation: revocation.status,
        revocation_until: revocation.until.map(seconds),
        unproven: revocation.unproven,
        warnings,
    }))
}

fn refuse(
    mut findings: Vec<Finding>,
    mut warnings: Vec<Finding>,
    presented: Vec<CertificateSummary>,
    identity: &ReferenceIdentity,
) -> Verdict {
    if findings.is_empty() {
        findings.push(
            Finding::new(
                Code::PathRefused,
                None,
                "path",
                "a valid path to a trusted root",
                "none",
                "Whoever runs the server has to check its certificates.",
            )
            .for_whom(Who::Administrator),
        );
    }
    put_in_order(&mut findings);
    put_in_order(&mut warnings);
    Verdict::Refused(Box::new(Refused { findings, warnings, presented, reference: identity.clone() }))
}

impl Sink {
    /// Whether a finding of the path stage is there.
    pub(crate) fn explains_path(&self) -> bool {
        self.findings.iter().any(|f| f.code.stage() <= crate::Stage::Path)
    }
}
