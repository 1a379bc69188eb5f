//! One question to the judgement, from the command line or a line of a batch.

use super::args::Profile;
use crate::args::{Level, Revocation};
use aldis_sip::ReferenceIdentity;
use aldis_trust::{self as trust, Crl, Evidence, Policy, RevocationMode, Verdict, judge};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::sync::Arc;
use std::time::Duration;

/// Everything that one judgement is about.
#[derive(Debug)]
pub(crate) struct Question {
    pub chain: Vec<CertificateDer<'static>>,
    pub identity: ReferenceIdentity,
    /// Seconds since 1970.
    pub time: i64,
    pub policy: Policy,
    pub crls: Vec<Arc<Crl>>,
    /// The stapled OCSP response (DER).
    pub staple: Option<Vec<u8>>,
}

impl Question {
    /// The answer. A time before 1970 counts as 1970: no certificate was valid in either.
    pub fn answer(&self) -> Verdict {
        let mut evidence = Evidence::default();
        evidence.crls = &self.crls;
        evidence.staple = self.staple.as_deref();
        let seconds = u64::try_from(self.time).unwrap_or(0);
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        judge(&self.chain, &self.identity, time, &self.policy, &evidence)
    }
}

/// The device's clock, in seconds since 1970.
pub(crate) fn now() -> i64 {
    i64::try_from(aldis::net::clock::wall_now().as_secs()).unwrap_or(i64::MAX)
}

impl From<Profile> for trust::Profile {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::Sip => trust::Profile::Sip,
            Profile::Web => trust::Profile::Web,
        }
    }
}

impl From<Level> for trust::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Default => trust::Level::Default,
            Level::Strict => trust::Level::Strict,
        }
    }
}

impl From<Revocation> for RevocationMode {
    fn from(mode: Revocation) -> Self {
        match mode {
            Revocation::Require => RevocationMode::Require,
            Revocation::Prefer => RevocationMode::Prefer,
            Revocation::Off => RevocationMode::Off,
        }
    }
}
