//! A certificate as a person reads it.

use crate::facts::{Facts, Key, NameConstraints};
use crate::{Pin, text};
use std::fmt;

/// What a certificate says, as text for people; everything taken from it is made safe to show. Reading judges nothing.
///
/// ```
/// # let now = 1_800_000_000;
/// # let root = aldis_pki::Ca::new("Aldis Test Root", now).unwrap();
/// # let server = root.issue(aldis_pki::Template::server("example.test")).unwrap();
/// let details = aldis_trust::CertificateDetails::read(&server.certificate()).unwrap();
/// assert_eq!(details.names, ["DNS example.test"]);
/// assert!(details.to_string().contains("issuer        CN=Aldis Test Root"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateDetails {
    /// Its subject.
    pub subject: String,
    /// Its issuer.
    pub issuer: String,
    /// Its serial number, in hexadecimal.
    pub serial: String,
    /// First moment of its validity, in seconds since 1970.
    pub not_before: i64,
    /// Last moment of its validity, in seconds since 1970.
    pub not_after: i64,
    /// Its subjectAltNames, each with its kind.
    pub names: Vec<String>,
    /// The kind and size of its key.
    pub key: String,
    /// Identifier of the method that it is signed with.
    pub signature: String,
    /// Whether it is an authority's, and how many authorities may stand below.
    pub authority: Option<String>,
    /// What it is for (extKeyUsage); empty: not said.
    pub purposes: Vec<String>,
    /// Names that it may vouch for, or not.
    pub name_constraints: Vec<String>,
    /// Where its issuer publishes revocation lists.
    pub crl_urls: Vec<String>,
    /// Where its issuer answers about revocation.
    pub ocsp_urls: Vec<String>,
    /// Whether it demands a stapled answer (RFC 7633).
    pub must_staple: bool,
    /// The pin of its key.
    pub pin: Pin,
    /// SHA-256 of its DER.
    pub sha256: [u8; 32],
}

/// Why bytes are not a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnreadableCertificate(String);

impl CertificateDetails {
    /// Reads a certificate (DER).
    ///
    /// # Errors
    /// [`UnreadableCertificate`] says why it cannot be read.
    pub fn read(der: &[u8]) -> Result<Self, UnreadableCertificate> {
        let facts = Facts::read(der).map_err(|e| UnreadableCertificate(text::shown(&e.to_string())))?;
        let names = facts.names.as_ref().map(|n| n.all.iter().map(crate::facts::Name::labelled).collect());
        let shown = |texts: &[String]| texts.iter().map(|t| text::shown(t)).collect::<Vec<_>>();
        Ok(CertificateDetails {
            serial: text::hex(&facts.serial),
            not_before: facts.not_before,
            not_after: facts.not_after,
            names: names.unwrap_or_default(),
            key: key(&facts.key),
            signature: facts.signature_oid.clone(),
            authority: authority(&facts),
            purposes: facts.purposes.as_ref().map(|p| shown(&p.named)).unwrap_or_default(),
            name_constraints: facts.name_constraints.as_ref().map(constraints).unwrap_or_default(),
            crl_urls: shown(facts.crl_urls.as_deref().unwrap_or_default()),
            ocsp_urls: shown(&facts.ocsp_urls),
            must_staple: facts.must_staple,
            pin: Pin::of_spki(&facts.spki),
            sha256: facts.sha256,
            subject: facts.subject,
            issuer: facts.issuer,
        })
    }
}

fn key(key: &Key) -> String {
    match key {
        Key::Rsa { bits } => format!("RSA, {bits} bits"),
        Key::Ec { curve } => match curve.as_str() {
            "1.2.840.10045.3.1.7" => "ECDSA on P-256".into(),
            "1.3.132.0.34" => "ECDSA on P-384".into(),
            "1.3.132.0.35" => "ECDSA on P-521".into(),
            other => format!("ECDSA on the curve {}", text::shown(other)),
        },
        Key::Ed25519 => "Ed25519".into(),
        Key::Dsa => "DSA".into(),
        Key::Other { oid } => format!("of kind {oid}"),
        Key::Broken { why } => format!("unreadable: {why}"),
    }
}

fn authority(facts: &Facts) -> Option<String> {
    let constraints = facts.basic_constraints.filter(|bc| bc.authority)?;
    Some(match constraints.path_length {
        None => "yes".into(),
        Some(0) => "yes, with no authority below it".into(),
        Some(n) => format!("yes, with at most {n} authorities below it"),
    })
}

fn constraints(nc: &NameConstraints) -> Vec<String> {
    let permitted = nc.permitted.iter().map(|n| format!("only {}", text::shown(n)));
    permitted.chain(nc.excluded.iter().map(|n| format!("not {}", text::shown(n)))).collect()
}

impl fmt::Display for CertificateDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |label: &str, value: &str| {
            if value.is_empty() { Ok(()) } else { writeln!(f, "{label:<14}{value}") }
        };
        line("subject", &self.subject)?;
        line("issuer", &self.issuer)?;
        line("valid", &format!("{} to {}", text::when(self.not_before), text::when(self.not_after)))?;
        for name in &self.names {
            line("name", name)?;
        }
        line("authority", self.authority.as_deref().unwrap_or_default())?;
        line("for", &self.purposes.join(", "))?;
        for constraint in &self.name_constraints {
            line("vouches for", constraint)?;
        }
        line("key", &self.key)?;
        line("serial", &self.serial)?;
        for url in &self.crl_urls {
            line("list at", url)?;
        }
        for url in &self.ocsp_urls {
            line("status at", url)?;
        }
        line("must staple", if self.must_staple { "yes" } else { "" })?;
        line("pin", &self.pin.to_string())?;
        write!(f, "{:<14}{}", "SHA-256", text::hex(&self.sha256))
    }
}
