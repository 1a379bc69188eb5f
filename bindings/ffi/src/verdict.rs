//! Why a server is not trusted.

use aldis::trust;

/// The judgement on a server that did not prove its identity. It has received no SIP byte.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Verdict {
    /// Whom the server had to prove to be.
    pub reference: String,
    /// Where that server is, as `address:port`.
    pub address: String,
    /// The reasons, the one to show first in front. Never empty.
    pub findings: Vec<Finding>,
    /// What else is worth telling.
    pub warnings: Vec<Finding>,
    /// The certificates as they were presented, the server's own first.
    pub presented: Vec<CertificateSummary>,
}

/// One reason, with its evidence. The texts are for people and made safe to show.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Finding {
    /// The rule that was broken, a name that never changes, such as `expired` or `unknown-ca`.
    pub code: String,
    /// What the rule means, as one sentence.
    pub meaning: String,
    /// The step of the judgement.
    pub stage: FindingStage,
    /// The certificate that breaks the rule, if it is one.
    pub certificate: Option<CertificateSummary>,
    /// The field, by its name in the standard (`notAfter`, `subjectAltName`).
    pub field: String,
    /// What should have been there.
    pub expected: String,
    /// What was there.
    pub found: String,
    /// What to do about it.
    pub advice: String,
    /// Who can do it.
    pub responsible: Responsible,
}

/// A certificate, as far as people need to tell it from others.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct CertificateSummary {
    /// Its place in what the server presented, from 0; for a root of ours, the place behind its path.
    pub position: u32,
    /// What it is in the chain.
    pub role: CertificateRole,
    /// Its subject.
    pub subject: String,
    /// Its issuer.
    pub issuer: String,
    /// SHA-256 of its DER, in lower-case hexadecimal.
    pub sha256: String,
    /// First moment of its validity, in seconds since 1970.
    pub not_before: i64,
    /// Last moment of its validity, in seconds since 1970.
    pub not_after: i64,
}

/// The step of the judgement that a finding belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum FindingStage {
    /// Reading the certificates.
    Parse,
    /// Finding a valid path to a trusted root.
    Path,
    /// Whether an issuer has withdrawn a certificate.
    Revocation,
    /// Whether the certificate names the domain.
    Identity,
    /// What the account demands beyond that.
    Policy,
}

/// Who can do something about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Responsible {
    /// The person in front of the device.
    User,
    /// Who runs the server, or manages this device.
    Administrator,
    /// The authority that issued the certificate.
    Authority,
}

/// What a certificate is in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum CertificateRole {
    /// The server's own.
    Server,
    /// An authority between the server and the root.
    Intermediate,
    /// The trusted end.
    Root,
}

impl Verdict {
    pub(crate) fn new(verdict: &trust::Verdict, address: String) -> Self {
        let (reference, presented) = match verdict {
            trust::Verdict::Trusted(trusted) => (&trusted.reference, &trusted.path),
            trust::Verdict::Refused(refused) => (&refused.reference, &refused.presented),
        };
        Verdict {
            reference: reference.to_string(),
            address,
            findings: verdict.findings().iter().map(Finding::from).collect(),
            warnings: verdict.warnings().iter().map(Finding::from).collect(),
            presented: presented.iter().map(CertificateSummary::from).collect(),
        }
    }
}

impl From<&trust::Finding> for Finding {
    fn from(finding: &trust::Finding) -> Self {
        Finding {
            code: finding.code.as_str().into(),
            meaning: finding.code.meaning().into(),
            stage: match finding.stage() {
                trust::Stage::Parse => FindingStage::Parse,
                trust::Stage::Path => FindingStage::Path,
                trust::Stage::Revocation => FindingStage::Revocation,
                trust::Stage::Identity => FindingStage::Identity,
                trust::Stage::Policy => FindingStage::Policy,
            },
            certificate: finding.certificate.as_ref().map(CertificateSummary::from),
            field: finding.field.into(),
            expected: finding.expected.clone(),
            found: finding.found.clone(),
            advice: finding.advice.clone(),
            responsible: match finding.who {
                trust::Who::User => Responsible::User,
                trust::Who::Administrator => Responsible::Administrator,
                trust::Who::Authority => Responsible::Authority,
            },
        }
    }
}

impl From<&trust::CertificateSummary> for CertificateSummary {
    fn from(certificate: &trust::CertificateSummary) -> Self {
        CertificateSummary {
            position: u32::try_from(certificate.position).unwrap_or(u32::MAX),
            role: match certificate.role {
                trust::Role::Server => CertificateRole::Server,
                trust::Role::Intermediate => CertificateRole::Intermediate,
                trust::Role::Root => CertificateRole::Root,
            },
            subject: certificate.subject.clone(),
            issuer: certificate.issuer.clone(),
            sha256: certificate.sha256_hex(),
            not_before: certificate.not_before,
            not_after: certificate.not_after,
        }
    }
}
