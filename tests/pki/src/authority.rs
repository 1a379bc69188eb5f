//! Authorities and what they issue.

use crate::{KeyKind, PkiError, Template, der, to_pem};
use rcgen::{CertificateParams, Issuer, KeyPair, PublicKeyData as _, SigningKey as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::atomic::{AtomicU64, Ordering};

/// An authority: a root, or one below a root.
pub struct Ca {
    params: CertificateParams,
    key: KeyPair,
    kind: KeyKind,
    certificate: CertificateDer<'static>,
    serial: Vec<u8>,
    /// This one and those above it, without the root. Empty for a root.
    path: Vec<CertificateDer<'static>>,
    root: CertificateDer<'static>,
    now: i64,
    next_serial: AtomicU64,
}

/// A certificate with its key and the path above it.
pub struct Issued {
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
    serial: Vec<u8>,
}

/// Where serial numbers start.
const FIRST_SERIAL: u64 = 0x01_0000;

impl Ca {
    /// A root of that name, valid from a day before `now` (seconds since 1970) for ten years. Another call makes
    /// another one with the same name and another key.
    ///
    /// # Errors
    /// [`PkiError`] if it cannot be made.
    pub fn new(name: &str, now: i64) -> Result<Ca, PkiError> {
        Self::root(Template::authority(name), now)
    }

    /// A root as the template says, valid around `now` where the template does not say.
    ///
    /// # Errors
    /// [`PkiError`] if it cannot be made.
    pub fn root(template: Template, now: i64) -> Result<Ca, PkiError> {
        let key = new_key(template.key)?;
        Self::root_with_key(template, key, now)
    }

    /// Another root with this one's key, as the template says: a renewed root.
    ///
    /// # Errors
    /// [`PkiError`] if it cannot be made.
    pub fn renewed(&self, template: Template) -> Result<Ca, PkiError> {
        let key = KeyPair::try_from(self.key.serialized_der())?;
        Self::root_with_key(template.key(self.kind), key, self.now)
    }

    fn root_with_key(template: Template, key: KeyPair, now: i64) -> Result<Ca, PkiError> {
        let serial = vec![1];
        let mut params = template.parameters(now, serial.clone())?;
        // A root's own identifier says nothing (RFC 5280 §4.2.1.1).
        params.use_authority_key_identifier_extension = false;
        let certificate: CertificateDer<'static> = params.self_signed(&key)?.into();
        Ok(Ca {
            params,
            key,
            kind: template.key,
            root: certificate.clone(),
            certificate,
            serial,
            path: Vec::new(),
            now,
            next_serial: AtomicU64::new(FIRST_SERIAL),
        })
    }

    /// An authority below this one.
    ///
    /// # Errors
    /// [`PkiError`] if it cannot be made.
    pub fn intermediate(&self, template: Template) -> Result<Ca, PkiError> {
        let key = new_key(template.key)?;
        self.certify(template, key)
    }

    /// A certificate by this authority for the key of another one, under the template's name: a cross-certificate.
    /// What the result issues has a path to this authority's root.
    ///
    /// # Errors
    /// [`PkiError`] if it cannot be made.
    pub fn cross_certify(&self, other: &Ca, template: Template) -> Result<Ca, PkiError> {
        let key = KeyPair::try_from(other.key.serialized_der())?;
        self.certify(template.key(other.kind), key)
    }

    fn certify(&self, template: Template, key: KeyPair) -> Result<Ca, PkiError> {
        let serial = self.serial();
        let params = template.parameters(self.now, serial.clone())?;
        let certificate: CertificateDer<'static> = params.signed_by(&key, &self.issuer())?.into();
        let mut path = vec![certificate.clone()];
        path.extend(self.path.iter().cloned());
        Ok(Ca {
            serial: template.said_serial().unwrap_or(serial),
            params,
            key,
            kind: template.key,
            certificate,
            path,
            root: self.root.clone(),
            now: self.now,
            next_serial: AtomicU64::new(FIRST_SERIAL),
        })
    }

    /// A certificate with a new key, as the template says.
    ///
    /// # Errors
    /// [`PkiError`] if it cannot be made.
    pub fn issue(&self, template: Template) -> Result<Issued, PkiError> {
        let key = new_key(template.key)?;
        let serial = self.serial();
        let params = template.parameters(self.now, serial.clone())?;
        let mut chain = vec![params.signed_by(&key, &self.issuer())?.into()];
        chain.extend(self.path.iter().cloned());
        Ok(Issued {
            chain,
            key: key.serialized_der().to_vec(),
            serial: template.said_serial().unwrap_or(serial),
        })
    }

    /// Its certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Its serial number, big-endian.
    pub fn serial_number(&self) -> &[u8] {
        &self.serial
    }

    /// Its certificate as PEM.
    pub fn certificate_pem(&self) -> String {
        to_pem("CERTIFICATE", &self.certificate)
    }

    /// The root above it (or itself).
    pub fn root_der(&self) -> &CertificateDer<'static> {
        &self.root
    }

    /// The root above it (or itself) as PEM.
    pub fn root_pem(&self) -> String {
        to_pem("CERTIFICATE", &self.root)
    }

    /// Its key, PKCS#8.
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialized_der().to_vec()).into()
    }

    /// Its key as PEM.
    pub fn key_pem(&self) -> String {
        to_pem("PRIVATE KEY", self.key.serialized_der())
    }

    /// Its subject (DER).
    pub(crate) fn subject(&self) -> Vec<u8> {
        subject_of(&self.certificate)
    }

    /// Its public key as OCSP hashes it: the contents of the BIT STRING.
    pub(crate) fn public_key(&self) -> &[u8] {
        self.key.der_bytes()
    }

    /// `SEQUENCE { tbs, algorithm, signature, … }`.
    pub(crate) fn sign(&self, tbs: &[u8], and: &[u8]) -> Result<Vec<u8>, PkiError> {
        let signature = self.key.sign(tbs)?;
        Ok(der::sequence(&[tbs.to_vec(), self.signature_algorithm(), der::bits(&signature), and.to_vec()]))
    }

    pub(crate) fn signature_algorithm(&self) -> Vec<u8> {
        der::signature_algorithm(self.kind)
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    fn serial(&self) -> Vec<u8> {
        let number = self.next_serial.fetch_add(1, Ordering::Relaxed);
        number.to_be_bytes().into_iter().skip_while(|b| *b == 0).collect()
    }
}

impl Issued {
    /// The certificate, and those of the authorities above it without the root.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain.clone()
    }

    /// The certificate alone.
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.chain.first().cloned().unwrap_or_else(|| CertificateDer::from(Vec::new()))
    }

    /// The whole chain as PEM.
    pub fn chain_pem(&self) -> String {
        self.chain.iter().map(|c| to_pem("CERTIFICATE", c)).collect()
    }

    /// The key, PKCS#8.
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }

    /// The key as PEM.
    pub fn key_pem(&self) -> String {
        to_pem("PRIVATE KEY", &self.key)
    }

    /// The serial number, big-endian.
    pub fn serial_number(&self) -> &[u8] {
        &self.serial
    }
}

/// A certificate that nobody but itself vouches for.
///
/// # Errors
/// [`PkiError`] if it cannot be made.
pub fn self_signed(template: Template, now: i64) -> Result<Issued, PkiError> {
    let key = new_key(template.key)?;
    let serial = template.said_serial().unwrap_or_else(|| vec![1]);
    let params = template.parameters(now, serial.clone())?;
    let certificate = params.self_signed(&key)?;
    Ok(Issued { chain: vec![certificate.into()], key: key.serialized_der().to_vec(), serial })
}

/// The subject (DER) of a certificate that this crate has made: version, serial number, signature, issuer, validity,
/// subject.
pub(crate) fn subject_of(certificate: &[u8]) -> Vec<u8> {
    let tbs = der::parts(certificate).first().copied().unwrap_or_default();
    der::parts(tbs).get(5).map(|s| s.to_vec()).unwrap_or_default()
}

pub(crate) fn new_key(kind: KeyKind) -> Result<KeyPair, PkiError> {
    Ok(KeyPair::generate_for(match kind {
        KeyKind::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        KeyKind::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
        KeyKind::P521 => &rcgen::PKCS_ECDSA_P521_SHA512,
        KeyKind::Ed25519 => &rcgen::PKCS_ED25519,
        KeyKind::Rsa2048 => &rcgen::PKCS_RSA_SHA256,
    })?)
}
