//! What a judgement says.

use crate::{Code, Source, Stage, Who};
use aldis_sip::ReferenceIdentity;
use rustls_pki_types::{CertificateDer, UnixTime};
use std::fmt;

/// The answer to "does this chain prove that the server speaks for that domain?".
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It does.
    Trusted(Box<Trusted>),
    /// It does not, and nothing may be sent to this server.
    Refused(Box<Refused>),
}

/// By which path, root and name a server is trusted, and until when.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Trusted {
    /// The verified path, the server's certificate first, the root last.
    pub path: Vec<CertificateSummary>,
    /// The DER of the same certificates.
    pub path_der: Vec<CertificateDer<'static>>,
    /// Where the root came from.
    pub root_source: Source,
    /// Whether the root is one of the bundled public set, whatever source it was taken from.
    pub public_root: bool,
    /// Whom the server had to prove to be.
    pub reference: ReferenceIdentity,
    /// The name in the certificate that matched.
    pub matched: Matched,
    /// The earliest notAfter on the path: from then on the connection rests on nothing.
    pub expires: UnixTime,
    /// What is known about revocation.
    pub revocation: RevocationStatus,
    /// When the lists and answers that prove the status have to be renewed, if any were used.
    pub revocation_until: Option<UnixTime>,
    /// Certificates of the path whose status nothing has proven, with the places where their issuers publish it.
    pub unproven: Vec<Unproven>,
    /// What is worth telling, but refuses nothing.
    pub warnings: Vec<Finding>,
}

/// Why a server is refused.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Refused {
    /// The reasons, of all stages that could be reached, the one to show first in front: one at least, 32 at most.
    pub findings: Vec<Finding>,
    /// What else is worth telling.
    pub warnings: Vec<Finding>,
    /// The certificates as they were presented; unreadable ones are left out.
    pub presented: Vec<CertificateSummary>,
    /// Whom the server had to prove to be.
    pub reference: ReferenceIdentity,
}

/// One reason, with its evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What rule was broken.
    pub code: Code,
    /// The certificate that breaks it, if it is one.
    pub certificate: Option<CertificateSummary>,
    /// The field, by its name in the standard (`notAfter`, `subjectAltName`).
    pub field: &'static str,
    /// What should have been there, as text for people.
    pub expected: String,
    /// What was there, as text for people; taken from the certificate and made safe to show.
    pub found: String,
    /// What to do about it.
    pub advice: String,
    /// Who can do it.
    pub who: Who,
}

/// A certificate, as far as people need to tell it from others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateSummary {
    /// Place in what the server presented, counted from 0; for a root of ours, the place behind its path.
    pub position: usize,
    /// What it is in the chain.
    pub role: Role,
    /// Its subject, made safe to show.
    pub subject: String,
    /// Its issuer, made safe to show.
    pub issuer: String,
    /// SHA-256 of its DER.
    pub sha256: [u8; 32],
    /// First moment of its validity, in seconds since 1970 (negative before).
    pub not_before: i64,
    /// Last moment of its validity, in seconds since 1970.
    pub not_after: i64,
}

/// What a certificate is in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The server's own.
    Server,
    /// An authority between the server and the root.
    Intermediate,
    /// The trusted end.
    Root,
}

/// The name that matched the reference identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched {
    /// By which kind of name.
    pub by: MatchedBy,
    /// The name as it stands in the certificate, made safe to show.
    pub value: String,
}

/// Kinds of names that can match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchedBy {
    /// A dNSName equal to the domain.
    Dns,
    /// A `sip:` URI of the domain.
    SipUri,
    /// A name of the account's trusted server list.
    ServerName,
    /// An iPAddress.
    Ip,
    /// A wildcard, by the account's named exception or in profile `web`.
    Wildcard,
}

/// What is known about revocation on an accepted path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RevocationStatus {
    /// Every certificate that an issuer could revoke is proven not to be.
    Proven,
    /// Some or all are not proven; [`Trusted::unproven`] says which.
    Unproven,
    /// Mode `off`: nothing was looked for.
    NotChecked,
}

/// A certificate whose status is not known, and where to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unproven {
    /// Index in [`Trusted::path`]; its issuer is the next.
    pub index: usize,
    /// The URLs of its cRLDistributionPoints (`http:` and others, as they stand, at most 16).
    pub crl_urls: Vec<String>,
    /// The URLs of OCSP responders from its authorityInfoAccess (as they stand, at most 16).
    pub ocsp_urls: Vec<String>,
}

impl Verdict {
    /// Whether the server is trusted.
    pub fn is_trusted(&self) -> bool {
        matches!(self, Self::Trusted(_))
    }

    /// The trust, if there is any.
    pub fn trusted(&self) -> Option<&Trusted> {
        match self {
            Self::Trusted(trusted) => Some(trusted),
            Self::Refused(_) => None,
        }
    }

    /// The refusal, if it is one.
    pub fn refused(&self) -> Option<&Refused> {
        match self {
            Self::Trusted(_) => None,
            Self::Refused(refused) => Some(refused),
        }
    }

    /// The first reason of a refusal.
    pub fn code(&self) -> Option<Code> {
        self.refused().and_then(|r| r.findings.first()).map(|f| f.code)
    }

    /// Whether a finding of that code is among the reasons or the warnings.
    pub fn mentions(&self, code: Code) -> bool {
        self.findings().iter().chain(self.warnings()).any(|f| f.code == code)
    }

    /// The reasons of a refusal; empty when trusted.
    pub fn findings(&self) -> &[Finding] {
        match self {
            Self::Trusted(_) => &[],
            Self::Refused(refused) => &refused.findings,
        }
    }

    /// What is worth telling, but refuses nothing.
    pub fn warnings(&self) -> &[Finding] {
        match self {
            Self::Trusted(trusted) => &trusted.warnings,
            Self::Refused(refused) => &refused.warnings,
        }
    }
}

impl Finding {
    /// The stage that the finding belongs to.
    pub fn stage(&self) -> Stage {
        self.code.stage()
    }
}

impl Role {
    /// The name used in JSON and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Intermediate => "intermediate",
            Self::Root => "root",
        }
    }
}

impl MatchedBy {
    /// The name used in JSON and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::SipUri => "sip-uri",
            Self::ServerName => "server-name",
            Self::Ip => "ip",
            Self::Wildcard => "wildcard",
        }
    }
}

impl RevocationStatus {
    /// The name used in JSON and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Unproven => "unproven",
            Self::NotChecked => "not-checked",
        }
    }
}

impl CertificateSummary {
    /// The SHA-256 as lower-case hexadecimal.
    pub fn sha256_hex(&self) -> String {
        crate::text::hex(&self.sha256)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for MatchedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Finding {
    /// Several lines for a person: what it means, where, what was expected and found, and what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.code.meaning())?;
        if let Some(c) = &self.certificate {
            match c.role {
                Role::Server => writeln!(f, "  certificate: the server's, {}", c.subject)?,
                Role::Intermediate => {
                    writeln!(f, "  certificate: of an authority (number {}), {}", c.position, c.subject)?
                }
                Role::Root => writeln!(f, "  certificate: the trusted root, {}", c.subject)?,
            }
        }
        if !self.expected.is_empty() {
            writeln!(f, "  expected: {}", self.expected)?;
        }
        if !self.found.is_empty() {
            writeln!(f, "  found: {}", self.found)?;
        }
        write!(f, "  what to do: {}", self.advice)
    }
}
