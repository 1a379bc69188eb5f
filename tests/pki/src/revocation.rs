//! Revocation lists and OCSP answers, sound and bad.

use crate::{Ca, PkiError, der, to_pem};
use sha1::Digest as _;

/// A revocation list (RFC 5280 §5) to be signed.
#[derive(Clone, Debug)]
pub struct RevocationList {
    this_update: i64,
    next_update: Option<i64>,
    revoked: Vec<Vec<u8>>,
    number: Option<Vec<u8>>,
    extensions: Vec<(Vec<u64>, bool, Vec<u8>)>,
}

/// What an OCSP responder says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateStatus {
    /// In force.
    Good,
    /// Withdrawn, at that time (seconds since 1970).
    Revoked(i64),
    /// Not known.
    Unknown,
}

/// An OCSP answer (RFC 6960) to be signed.
#[derive(Clone, Debug)]
pub struct OcspAnswer {
    serial: Vec<u8>,
    status: CertificateStatus,
    this_update: i64,
    next_update: Option<i64>,
    by_name: bool,
}

impl RevocationList {
    /// A list with number 1 and nothing on it.
    pub fn new(this_update: i64, next_update: i64) -> Self {
        RevocationList {
            this_update,
            next_update: Some(next_update),
            revoked: Vec::new(),
            number: Some(vec![1]),
            extensions: Vec::new(),
        }
    }

    /// Puts a certificate on it, as withdrawn when the list was made.
    #[must_use]
    pub fn revoke(mut self, serial: &[u8]) -> Self {
        self.revoked.push(serial.to_vec());
        self
    }

    /// Leaves nextUpdate out.
    #[must_use]
    pub fn without_end(mut self) -> Self {
        self.next_update = None;
        self
    }

    /// Leaves cRLNumber out.
    #[must_use]
    pub fn without_number(mut self) -> Self {
        self.number = None;
        self
    }

    /// Adds an extension with these contents (DER).
    #[must_use]
    pub fn extension(mut self, oid: &[u64], critical: bool, content: Vec<u8>) -> Self {
        self.extensions.push((oid.to_vec(), critical, content));
        self
    }

    /// Limits it to certificates with that distribution point (issuingDistributionPoint).
    #[must_use]
    pub fn only_for(self, url: &str) -> Self {
        let uri = der::element(0x86, url.as_bytes());
        let point = der::tagged(0, &der::tagged(0, &uri));
        self.extension(&[2, 5, 29, 28], true, der::element(der::SEQUENCE, &point))
    }

    /// Signs it as that authority.
    ///
    /// # Errors
    /// [`PkiError`] if a time cannot be written.
    pub fn signed_by(&self, ca: &Ca) -> Result<Vec<u8>, PkiError> {
        self.signed_in_the_name_of(ca, ca)
    }

    /// Signs it with one authority's key and another one's name: a forgery.
    ///
    /// # Errors
    /// [`PkiError`] if a time cannot be written.
    pub fn signed_in_the_name_of(&self, named: &Ca, signer: &Ca) -> Result<Vec<u8>, PkiError> {
        let mut tbs = vec![
            der::integer(&[1]),
            signer.signature_algorithm(),
            named.subject(),
            der::time(self.this_update)?,
        ];
        if let Some(next) = self.next_update {
            tbs.push(der::time(next)?);
        }
        if !self.revoked.is_empty() {
            let entries = self
                .revoked
                .iter()
                .map(|serial| Ok(der::sequence(&[der::integer(serial), der::time(self.this_update)?])))
                .collect::<Result<Vec<_>, PkiError>>()?;
            tbs.push(der::sequence(&entries));
        }
        let mut extensions: Vec<_> = self
            .extensions
            .iter()
            .map(|(oid, critical, content)| der::extension(oid, *critical, content))
            .collect();
        if let Some(number) = &self.number {
            extensions.push(der::extension(&[2, 5, 29, 20], false, &der::integer(number)));
        }
        if !extensions.is_empty() {
            tbs.push(der::tagged(0, &der::sequence(&extensions)));
        }
        signer.sign(&der::sequence(&tbs), &[])
    }

    /// A list (DER) as PEM.
    pub fn to_pem(list: &[u8]) -> String {
        to_pem("X509 CRL", list)
    }
}

impl OcspAnswer {
    /// An answer about the certificate with that serial number.
    pub fn new(serial: &[u8], status: CertificateStatus, this_update: i64, next_update: i64) -> Self {
        OcspAnswer {
            serial: serial.to_vec(),
            status,
            this_update,
            next_update: Some(next_update),
            by_name: false,
        }
    }

    /// Leaves nextUpdate out.
    #[must_use]
    pub fn without_end(mut self) -> Self {
        self.next_update = None;
        self
    }

    /// Names the responder by its subject instead of its key.
    #[must_use]
    pub fn by_name(mut self) -> Self {
        self.by_name = true;
        self
    }

    /// Signs it as the issuer itself.
    ///
    /// # Errors
    /// [`PkiError`] if a time cannot be written.
    pub fn signed_by(&self, issuer: &Ca) -> Result<Vec<u8>, PkiError> {
        self.sign(issuer, issuer, &[])
    }

    /// Signs it with another key, whose certificate goes along (a responder that the issuer may or may not have
    /// appointed).
    ///
    /// # Errors
    /// [`PkiError`] if a time cannot be written.
    pub fn signed_by_responder(&self, issuer: &Ca, responder: &Ca) -> Result<Vec<u8>, PkiError> {
        let certificates = der::tagged(0, &der::sequence(&[responder.certificate().to_vec()]));
        self.sign(issuer, responder, &certificates)
    }

    fn sign(&self, issuer: &Ca, signer: &Ca, certificates: &[u8]) -> Result<Vec<u8>, PkiError> {
        let sha1 = |bytes: &[u8]| der::element(der::OCTETS, &sha1::Sha1::digest(bytes));
        let id = der::sequence(&[
            der::sequence(&[der::oid(&[1, 3, 14, 3, 2, 26]), der::element(0x05, &[])]),
            sha1(&issuer.subject()),
            sha1(issuer.public_key()),
            der::integer(&self.serial),
        ]);
        let status = match self.status {
            CertificateStatus::Good => der::element(0x80, &[]),
            CertificateStatus::Revoked(at) => der::tagged(1, &der::generalized_time(at)?),
            CertificateStatus::Unknown => der::element(0x82, &[]),
        };
        let mut single = vec![id, status, der::generalized_time(self.this_update)?];
        if let Some(next) = self.next_update {
            single.push(der::tagged(0, &der::generalized_time(next)?));
        }
        let responder = if self.by_name {
            der::tagged(1, &signer.subject())
        } else {
            der::tagged(2, &sha1(signer.public_key()))
        };
        let answers = der::sequence(&[der::sequence(&single)]);
        let tbs = der::sequence(&[responder, der::generalized_time(self.this_update)?, answers]);
        let basic = signer.sign(&tbs, certificates)?;
        let bytes =
            der::sequence(&[der::oid(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 1]), der::element(der::OCTETS, &basic)]);
        Ok(der::sequence(&[der::element(0x0a, &[0]), der::tagged(0, &bytes)]))
    }
}
