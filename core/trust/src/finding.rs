//! How findings are made and put in order.

use crate::{CertificateSummary, Code, Finding, Level, Who};

impl Finding {
    pub(crate) fn new(
        code: Code,
        certificate: Option<CertificateSummary>,
        field: &'static str,
        expected: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Finding {
            code,
            certificate,
            field,
            expected: expected.into(),
            found: found.into(),
            advice: advice.into(),
            who: code.who(),
        }
    }

    pub(crate) fn for_whom(mut self, who: Who) -> Self {
        self.who = who;
        self
    }
}

/// Where the rules put what they find.
#[derive(Debug)]
pub(crate) struct Sink {
    level: Level,
    pub(crate) findings: Vec<Finding>,
    pub(crate) warnings: Vec<Finding>,
}

impl Sink {
    pub(crate) fn new(level: Level) -> Self {
        Sink { level, findings: Vec::new(), warnings: Vec::new() }
    }

    /// Refuses at every level.
    pub(crate) fn refuse(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Refuses at level `strict` and says nothing at `default`.
    pub(crate) fn refuse_if_strict(&mut self, finding: impl FnOnce() -> Finding) {
        if self.level == Level::Strict {
            self.findings.push(finding());
        }
    }

    /// Refuses nothing.
    pub(crate) fn warn(&mut self, finding: Finding) {
        self.warnings.push(finding);
    }
}

/// Most findings and most warnings of a verdict: a certificate with a thousand faults is no better explained by the
/// thousandth, and its report would be many times as long as itself.
pub(crate) const MAX_NAMED: usize = 32;

/// The one to show first in front: by stage, then as [`Code::ALL`] lists them, then from the server to the root;
/// the same thing is said once,
/// and no more than [`MAX_NAMED`] things.
pub(crate) fn put_in_order(findings: &mut Vec<Finding>) {
    let place = |f: &Finding| (f.code, f.certificate.as_ref().map_or(usize::MAX, |c| c.position));
    let mut ordered: Vec<Finding> = Vec::with_capacity(MAX_NAMED + 1);
    for finding in findings.drain(..) {
        let at = ordered.partition_point(|other| place(other) <= place(&finding));
        let said = at.checked_sub(1).and_then(|before| ordered.get(before)) == Some(&finding);
        if at < MAX_NAMED && !said {
            ordered.insert(at, finding);
            ordered.truncate(MAX_NAMED);
        }
    }
    *findings = ordered;
}

/// Advice that several rules share.
pub(crate) mod advice {
    pub(crate) const REISSUE: &str = "Ask the authority that issued this certificate for a new one in the form that the \
         standard demands (RFC 5280).";
    pub(crate) const NEW_CERTIFICATE: &str =
        "Whoever runs the server has to get a new certificate from its authority and install it.";
    pub(crate) const NEW_INTERMEDIATE: &str = "Whoever runs the server has to install the current certificate of this authority beside the server's own.";
    pub(crate) const REPLACE_ROOT: &str = "Whoever manages this device has to replace this root certificate by a \
         current one of the same authority.";
    pub(crate) const STRONGER_KEY: &str = "Whoever runs the server has to make a new key (RSA with at least 2048 \
         bits, or the curves P-256, P-384, P-521 or Ed25519) and get a certificate for it.";
}
