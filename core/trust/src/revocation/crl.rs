//! One certificate revocation list (RFC 5280 §5).

use crate::facts::Facts;
use crate::signature::{self, Signature};
use crate::{der, names, text};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::OnceLock;

/// A revocation list, read once: reading one with 100,000 entries takes a tenth of a second, looking a certificate up
/// takes microseconds. Share it as an `Arc`.
pub struct Crl {
    der: Vec<u8>,
    issuer: String,
    /// Contents of the SEQUENCE, without its header.
    issuer_raw: Vec<u8>,
    this_update: i64,
    next_update: Option<i64>,
    number: ListNumber,
    /// The entries, or why the list cannot be applied (delta, indirect, …).
    entries: Result<webpki::CertRevocationList<'static>, webpki::Error>,
    scope: Scope,
    /// The digest of the key that was last asked, and its answer: hashing megabytes for every judgement is not needed.
    checked: OnceLock<([u8; 32], Signature)>,
}

/// Why bytes are not a revocation list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrlError {
    /// Not PEM, or none in it.
    #[error("there is no revocation list in PEM form ({0})")]
    NotPem(String),
    /// Not DER, or not a list.
    #[error("it is not a revocation list (field {0})")]
    Malformed(&'static str),
}

/// What issuingDistributionPoint (RFC 5280 §5.2.5) says that the list covers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Scope {
    /// The distribution points that it was made for; none: all.
    urls: Option<Vec<String>>,
    only_servers: bool,
    only_authorities: bool,
}

/// cRLNumber (RFC 5280 §5.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListNumber {
    Fine,
    Missing,
    Critical,
}

/// What a list says about a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is not about that certificate.
    NotCovered,
    /// Signed, in force, and the certificate is not on it.
    Good {
        until: i64,
    },
    Revoked {
        at: i64,
        reason: Option<webpki::RevocationReason>,
    },
    Expired {
        next_update: Option<i64>,
    },
    FromFuture {
        this_update: i64,
    },
    Forged,
    UnsupportedSignature,
    IssuerNotAllowed,
    Unusable {
        why: String,
    },
}

impl Crl {
    /// Longest list that is read, in bytes; the largest public ones have some ten megabytes.
    pub const MAX_BYTES: usize = 64 << 20;

    /// Reads a list from DER.
    ///
    /// A list that is well formed but of a kind that cannot be applied (delta, indirect, partitioned by reason) is
    /// kept: it is reported where it would have counted.
    ///
    /// # Errors
    /// [`CrlError::Malformed`] if the bytes are not a revocation list.
    pub fn from_der(bytes: &[u8]) -> Result<Crl, CrlError> {
        let malformed = CrlError::Malformed;
        if bytes.len() > Self::MAX_BYTES {
            return Err(malformed("length"));
        }
        let signed = der::signed(bytes).ok_or(malformed("signature"))?;
        let mut tbs =
            der::Reader::new(der::only(signed.content, der::SEQUENCE).ok_or(malformed("tbsCertList"))?);
        let _version = tbs.optional(der::INTEGER);
        let _algorithm = tbs.expect(der::SEQUENCE).ok_or(malformed("signature"))?;
        let issuer = tbs.expect(der::SEQUENCE).ok_or(malformed("issuer"))?;
        let this_update = tbs.next().and_then(|e| der::time(&e)).ok_or(malformed("thisUpdate"))?;
        let mut peek = tbs;
        let next_update = peek.next().and_then(|e| der::time(&e));
        if next_update.is_some() {
            tbs = peek;
        }
        let _entries = tbs.optional(der::SEQUENCE);
        let extensions = tbs.optional(der::constructed(0));
        let (number, scope) = match extensions {
            Some(e) => read_extensions(&e).ok_or(malformed("crlExtensions"))?,
            None => (ListNumber::Missing, Scope::default()),
        };
        Ok(Crl {
            issuer: shown_issuer(issuer.whole),
            issuer_raw: issuer.content.to_vec(),
            this_update,
            next_update,
            number,
            entries: webpki::OwnedCertRevocationList::from_der(bytes).map(webpki::CertRevocationList::from),
            scope,
            checked: OnceLock::new(),
            der: bytes.to_vec(),
        })
    }

    /// Reads every list of a PEM text.
    ///
    /// # Errors
    /// [`CrlError`] if there is none, or one of them cannot be read.
    pub fn all_from_pem(pem: &[u8]) -> Result<Vec<Crl>, CrlError> {
        let lists = CertificateRevocationListDer::pem_slice_iter(pem)
            .map(|item| {
                item.map_err(|e| CrlError::NotPem(e.to_string())).and_then(|d| Crl::from_der(d.as_ref()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if lists.is_empty() {
            return Err(CrlError::NotPem("no \"X509 CRL\" block".into()));
        }
        Ok(lists)
    }

    /// Its issuer, made safe to show.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// When it was made, in seconds since 1970.
    pub fn this_update(&self) -> i64 {
        self.this_update
    }

    /// When a newer one will be there, in seconds since 1970, if it says so.
    pub fn next_update(&self) -> Option<i64> {
        self.next_update
    }

    /// Its bytes.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    pub(crate) fn number(&self) -> ListNumber {
        self.number
    }

    /// What it says about `certificate`, which `issuer` has issued.
    pub(crate) fn ask(
        &self,
        certificate: &Facts,
        issuer: &Facts,
        is_server: bool,
        now: i64,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Answer {
        if self.issuer_raw != certificate.issuer_raw || !self.covers(certificate, is_server) {
            return Answer::NotCovered;
        }
        let entries = match &self.entries {
            Ok(entries) => entries,
            Err(error) => return Answer::Unusable { why: unusable(error).into() },
        };
        match self.signed_by(issuer, algorithms) {
            Signature::Valid => {}
            Signature::Invalid => return Answer::Forged,
            Signature::Unsupported => return Answer::UnsupportedSignature,
        }
        if issuer.key_usage.is_some_and(|ku| !ku.list_sign) {
            return Answer::IssuerNotAllowed;
        }
        // A signed list that names the certificate has proven it, also when a newer list is due: nobody un-revokes.
        match entries.find_serial(&certificate.serial) {
            Ok(Some(entry)) => {
                let at = i64::try_from(entry.revocation_date.as_secs()).unwrap_or(i64::MAX);
                return Answer::Revoked { at, reason: entry.reason_code };
            }
            Ok(None) => {}
            Err(error) => return Answer::Unusable { why: unusable(&error).into() },
        }
        if self.this_update > now.saturating_add(super::CLOCK_SKEW) {
            return Answer::FromFuture { this_update: self.this_update };
        }
        match self.next_update {
            Some(next) if now < next => Answer::Good { until: next },
            next_update => Answer::Expired { next_update },
        }
    }

    fn covers(&self, certificate: &Facts, is_server: bool) -> bool {
        if (self.scope.only_authorities && is_server) || (self.scope.only_servers && !is_server) {
            return false;
        }
        match (&self.scope.urls, &certificate.crl_urls) {
            (Some(list), Some(points)) => points.iter().any(|p| list.contains(p)),
            _ => true,
        }
    }

    fn signed_by(&self, issuer: &Facts, algorithms: &WebPkiSupportedAlgorithms) -> Signature {
        let key: [u8; 32] = Sha256::digest(&issuer.spki).into();
        let verify = || match der::signed(&self.der) {
            Some(signed) => signature::verify(algorithms, &issuer.spki, &signed),
            None => Signature::Invalid,
        };
        let (checked, answer) = self.checked.get_or_init(|| (key, verify()));
        if *checked == key { *answer } else { verify() }
    }
}

impl fmt::Debug for Crl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crl")
            .field("issuer", &self.issuer)
            .field("this_update", &self.this_update)
            .field("next_update", &self.next_update)
            .field("bytes", &self.der.len())
            .finish()
    }
}

/// id-ce-cRLNumber and id-ce-issuingDistributionPoint as contents of an OBJECT IDENTIFIER.
const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 20];
const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1d, 28];

fn read_extensions(explicit: &der::Element<'_>) -> Option<(ListNumber, Scope)> {
    let (mut number, mut scope) = (ListNumber::Missing, Scope::default());
    let mut extensions = der::Reader::new(der::only(explicit.content, der::SEQUENCE)?);
    while !extensions.is_empty() {
        let mut extension = extensions.expect(der::SEQUENCE)?.reader();
        let oid = extension.expect(der::OID)?.content;
        let critical = extension.optional(der::BOOLEAN).is_some_and(|b| b.content != [0]);
        let value = extension.expect(der::OCTET_STRING)?.content;
        if oid == CRL_NUMBER {
            number = if critical { ListNumber::Critical } else { ListNumber::Fine };
        } else if oid == ISSUING_DISTRIBUTION_POINT {
            scope = read_scope(value)?;
        }
    }
    Some((number, scope))
}

fn read_scope(value: &[u8]) -> Option<Scope> {
    let mut scope = Scope::default();
    let mut fields = der::Reader::new(der::only(value, der::SEQUENCE)?);
    while !fields.is_empty() {
        let field = fields.next()?;
        let is_set = field.content.first().is_some_and(|b| *b != 0);
        if field.tag == der::constructed(0) {
            // DistributionPointName ::= CHOICE { fullName [0] GeneralNames, … }
            let mut urls = Vec::new();
            if let Some(names) = field.reader().optional(der::constructed(0)) {
                let mut names = names.reader();
                while !names.is_empty() {
                    let name = names.next()?;
                    if name.tag == der::primitive(6) {
                        urls.push(String::from_utf8_lossy(name.content).into_owned());
                    }
                }
            }
            scope.urls = Some(urls);
        } else if field.tag == der::primitive(1) {
            scope.only_servers = is_set;
        } else if field.tag == der::primitive(2) {
            scope.only_authorities = is_set;
        }
    }
    Some(scope)
}

fn shown_issuer(name: &[u8]) -> String {
    use x509_parser::prelude::{FromDer, X509Name};
    X509Name::from_der(name)
        .map_or_else(|_| "(unreadable name)".into(), |(_, n)| text::shown(&names::directory(&n)))
}

fn unusable(error: &webpki::Error) -> &'static str {
    match error {
        webpki::Error::UnsupportedDeltaCrl => "it lists only changes to another list (delta)",
        webpki::Error::UnsupportedIndirectCrl => "it is issued for other issuers (indirect)",
        webpki::Error::UnsupportedRevocationReasonsPartitioning => "it covers only some reasons",
        webpki::Error::UnsupportedCrlVersion => "it is of version 1",
        webpki::Error::UnsupportedCriticalExtension => "it has an unknown critical extension",
        webpki::Error::UnsupportedCrlIssuingDistributionPoint => "it does not say what it covers",
        webpki::Error::InvalidCrlNumber => "its number is malformed",
        webpki::Error::SignatureAlgorithmMismatch => "it names two different signature methods",
        _ => "it does not have the form that RFC 5280 demands",
    }
}
