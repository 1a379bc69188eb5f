//! What the tests of this crate share: a small world of authorities, and one judgement in it.

#![allow(dead_code, reason = "every test program uses its own part")]

use aldis_pki::{Ca, Issued, RevocationList, Template};
use aldis_sip::ReferenceIdentity;
use aldis_trust::{Anchors, Crl, Evidence, Policy, Source, Verdict, judge};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::sync::Arc;
use std::time::Duration;

/// The time of every test that does not set its own: 15 January 2027.
pub const NOW: i64 = 1_800_000_000;
pub const HOUR: i64 = 3_600;
pub const DAY: i64 = 86_400;
pub const YEAR: i64 = 365 * DAY;
/// The domain that every test asks for.
pub const DOMAIN: &str = "example.test";

/// One question: a chain, whom it should prove, and everything around it.
pub struct Question {
    pub chain: Vec<CertificateDer<'static>>,
    pub identity: String,
    pub time: i64,
    pub policy: Policy,
    pub crls: Vec<Arc<Crl>>,
    pub staple: Option<Vec<u8>>,
    pub ocsp: Vec<Vec<u8>>,
    pub connected_to: Option<String>,
    pub more_may_follow: bool,
}

impl Question {
    pub fn about(root: &Ca, chain: Vec<CertificateDer<'static>>) -> Self {
        Self::with_roots(&root.root_pem(), chain)
    }

    pub fn with_roots(pem: &str, chain: Vec<CertificateDer<'static>>) -> Self {
        Question {
            chain,
            identity: DOMAIN.into(),
            time: NOW,
            policy: Policy::new(Arc::new(Anchors::from_pem(pem.as_bytes(), Source::Organisation))),
            crls: Vec::new(),
            staple: None,
            ocsp: Vec::new(),
            connected_to: None,
            more_may_follow: false,
        }
    }

    pub fn policy(mut self, change: impl FnOnce(&mut Policy)) -> Self {
        change(&mut self.policy);
        self
    }

    pub fn identity(mut self, identity: &str) -> Self {
        self.identity = identity.into();
        self
    }

    pub fn at(mut self, time: i64) -> Self {
        self.time = time;
        self
    }

    pub fn crl(mut self, der: &[u8]) -> Self {
        self.crls.push(Arc::new(Crl::from_der(der).unwrap()));
        self
    }

    pub fn staple(mut self, der: Vec<u8>) -> Self {
        self.staple = Some(der);
        self
    }

    pub fn ask(&self) -> Verdict {
        let mut evidence = Evidence::default();
        evidence.crls = &self.crls;
        evidence.staple = self.staple.as_deref();
        evidence.ocsp = &self.ocsp;
        evidence.connected_to = self.connected_to.as_deref();
        evidence.more_may_follow = self.more_may_follow;
        let identity = ReferenceIdentity::new(&self.identity).unwrap();
        let time = UnixTime::since_unix_epoch(Duration::from_secs(self.time.try_into().unwrap()));
        judge(&self.chain, &identity, time, &self.policy, &evidence)
    }
}

/// A root and an authority below it.
pub struct World {
    pub root: Ca,
    pub issuing: Ca,
}

impl World {
    pub fn new() -> Self {
        Self::at(NOW)
    }

    pub fn at(now: i64) -> Self {
        let root = Ca::new("Aldis Test Root", now).unwrap();
        let issuing = root.intermediate(Template::authority("Aldis Test Issuing CA")).unwrap();
        World { root, issuing }
    }

    pub fn server(&self) -> Issued {
        self.issue(Template::server(DOMAIN))
    }

    pub fn issue(&self, template: Template) -> Issued {
        self.issuing.issue(template).unwrap()
    }

    pub fn question(&self, template: Template) -> Question {
        Question::about(&self.root, self.issue(template).chain())
    }

    /// A list of that authority that is in force now.
    pub fn list(authority: &Ca, revoked: &[&[u8]]) -> Vec<u8> {
        let list = RevocationList::new(NOW - HOUR, NOW + DAY);
        revoked.iter().fold(list, |list, serial| list.revoke(serial)).signed_by(authority).unwrap()
    }
}

/// Code and findings in one line, for a failing assertion.
pub fn line(verdict: &Verdict) -> String {
    let codes = |f: &[aldis_trust::Finding]| f.iter().map(|f| f.code.as_str()).collect::<Vec<_>>().join(" ");
    match verdict {
        Verdict::Trusted(t) => {
            format!("trusted by {} {:?}; warnings: {}", t.matched.by, t.matched.value, codes(&t.warnings))
        }
        Verdict::Refused(r) => format!("refused: {}; warnings: {}", codes(&r.findings), codes(&r.warnings)),
    }
}

/// The one command of openssl, in that folder; it must succeed.
pub fn openssl(dir: &std::path::Path, arguments: &str) -> Vec<u8> {
    let output = std::process::Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(dir)
        .output()
        .expect("the openssl command is installed");
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
