//! Our own certificate, for servers that ask for one (mutual TLS).

use crate::facts::{Facts, Key};
use crate::text;
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{InconsistentKeys, SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::sync::Arc;

/// A certificate with the means to sign for it: a key read from a file, or one that stays in the platform's keystore.
///
/// Under TLS 1.2 a client's certificate, and with it a person's name, travels in clear. So a connection that may show
/// it has to be limited to TLS 1.3, unless the account allows otherwise: ask [`ClientCertificate::needs_tls13`].
#[derive(Clone)]
pub struct ClientCertificate {
    certified: Arc<CertifiedKey>,
    subject: String,
    not_after: i64,
    may_travel_in_clear: bool,
}

/// A key that stays where it is: the platform's keystore, a token, another process.
///
/// It is asked during the handshake, synchronously, and may wait for a person (a fingerprint): run handshakes of
/// accounts with such a key where waiting harms nobody.
pub trait PlatformSigner: Send + Sync {
    /// Signs `message` (the message itself, not its digest) by that method. ECDSA signatures are DER
    /// (`ecdsaSignatureMessageX962SHA256` on Apple's platforms, `SHA256withECDSA` on Android).
    ///
    /// # Errors
    /// [`SignerError`] if the key cannot be used or the person has declined.
    fn sign(&self, message: &[u8], method: SignatureMethod) -> Result<Vec<u8>, SignerError>;

    /// Whether the keystore can sign by that method; of those that the certificate's key allows, all unless it says no.
    fn supports(&self, method: SignatureMethod) -> bool {
        let _ = method;
        true
    }
}

/// How a handshake is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureMethod {
    /// ECDSA on P-256 over SHA-256.
    EcdsaP256Sha256,
    /// ECDSA on P-384 over SHA-384.
    EcdsaP384Sha384,
    /// ECDSA on P-521 over SHA-512.
    EcdsaP521Sha512,
    /// Ed25519.
    Ed25519,
    /// RSASSA-PSS with SHA-256, salt of 32 octets.
    RsaPssSha256,
    /// RSASSA-PSS with SHA-384, salt of 48 octets.
    RsaPssSha384,
    /// RSASSA-PSS with SHA-512, salt of 64 octets.
    RsaPssSha512,
    /// RSASSA-PKCS1-v1_5 with SHA-256; TLS 1.2 only.
    RsaPkcs1Sha256,
}

/// Why a keystore has not signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignerError {
    /// The person has not agreed.
    #[error("the use of the key was declined")]
    Declined,
    /// The key is gone or locked.
    #[error("the key cannot be used: {0}")]
    Unavailable(String),
}

/// Why a client certificate cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientCertificateError {
    /// No certificate in the file.
    #[error("there is no certificate in it")]
    NoCertificate,
    /// No private key in the file.
    #[error("there is no private key in it")]
    NoKey,
    /// The private key is encrypted (PEM).
    #[error(
        "the private key is encrypted; convert it (openssl pkcs8 -in KEY -out NEW) or use a PKCS#12 file"
    )]
    EncryptedKey,
    /// A certificate cannot be read.
    #[error("a certificate in it cannot be read: {0}")]
    BadCertificate(String),
    /// The key cannot be read or is of an unknown kind.
    #[error("the private key cannot be used: {0}")]
    BadKey(String),
    /// The key belongs to none of the certificates.
    #[error("the private key does not belong to any certificate in it")]
    KeyMismatch,
    /// The password of a PKCS#12 file is wrong.
    #[error("the password is wrong")]
    WrongPassword,
    /// Not a PKCS#12 file, or protected in a way that is not supported.
    #[error("it is not a PKCS#12 file that can be read: {0}")]
    BadPkcs12(String),
}

impl ClientCertificate {
    /// Reads certificates and a private key from PEM. The order of the certificates does not matter: the one that the
    /// key belongs to comes first, its authorities follow.
    ///
    /// # Errors
    /// [`ClientCertificateError`] says what is missing or wrong.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, ClientCertificateError> {
        let certificates = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| ClientCertificateError::BadCertificate(e.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
            let marker = b"ENCRYPTED PRIVATE KEY";
            match error {
                _ if key.windows(marker.len()).any(|w| w == marker) => ClientCertificateError::EncryptedKey,
                rustls_pki_types::pem::Error::NoItemsFound => ClientCertificateError::NoKey,
                other => ClientCertificateError::BadKey(other.to_string()),
            }
        })?;
        Self::from_der(certificates, key)
    }

    /// Reads a PKCS#12 file (`.p12`, `.pfx`), as OpenSSL 3 and older programs, Windows and macOS write them.
    ///
    /// # Errors
    /// [`ClientCertificateError`] says what is missing or wrong; a wrong password is told from a broken file.
    #[cfg(feature = "pkcs12")]
    pub fn from_pkcs12(file: &[u8], password: &str) -> Result<Self, ClientCertificateError> {
        use p12_keystore::Pkcs12Archive;
        use p12_keystore::error::Error;
        let archive = Pkcs12Archive::from_pkcs12(file, password).map_err(|error| match error {
            Error::MacError(_) => ClientCertificateError::WrongPassword,
            // Files without a checksum fail where the wrong password leaves no sound padding or key.
            Error::UnpadError | Error::Pkcs5Error(_) => ClientCertificateError::WrongPassword,
            other => ClientCertificateError::BadPkcs12(text::shown(&other.to_string())),
        })?;
        let certificates =
            archive.certs.iter().map(|bag| CertificateDer::from(bag.cert.as_der().to_vec())).collect();
        let key = archive.keys.first().ok_or(ClientCertificateError::NoKey)?;
        let key = PrivateKeyDer::try_from(key.key.as_der().to_vec())
            .map_err(|e| ClientCertificateError::BadKey(e.to_owned()))?;
        Self::from_der(certificates, key)
    }

    /// Takes certificates (DER, any order) and a private key.
    ///
    /// # Errors
    /// [`ClientCertificateError`] says what is missing or wrong.
    pub fn from_der(
        certificates: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, ClientCertificateError> {
        let bad_key = |e: rustls::Error| ClientCertificateError::BadKey(text::shown(&e.to_string()));
        let key = provider().key_provider.load_private_key(key).map_err(bad_key)?;
        let spki = key.public_key().map(|spki| spki.as_ref().to_vec());
        let (chain, facts) = in_order(certificates, spki.as_deref())?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(rustls::Error::InconsistentKeys(_)) => return Err(ClientCertificateError::KeyMismatch),
            Err(error) => return Err(bad_key(error)),
        }
        Ok(Self::certified(certified, facts))
    }

    /// Takes certificates (DER, the client's own first) whose key stays in the platform's keystore.
    ///
    /// # Errors
    /// [`ClientCertificateError`] if there is no certificate, or its key is of a kind that TLS cannot use.
    pub fn from_signer(
        certificates: Vec<CertificateDer<'static>>,
        signer: Arc<dyn PlatformSigner>,
    ) -> Result<Self, ClientCertificateError> {
        let (chain, facts) = in_order(certificates, None)?;
        let (algorithm, candidates) = methods(&facts.key)
            .ok_or_else(|| ClientCertificateError::BadKey("a key of a kind that TLS cannot use".into()))?;
        let methods: Vec<_> = candidates.iter().copied().filter(|m| signer.supports(*m)).collect();
        if methods.is_empty() {
            return Err(ClientCertificateError::BadKey("the keystore cannot sign with it for TLS".into()));
        }
        let certificate = chain.first().cloned().ok_or(ClientCertificateError::NoCertificate)?;
        let key = PlatformKey { signer, methods, algorithm, certificate };
        Ok(Self::certified(CertifiedKey::new(chain, Arc::new(key)), facts))
    }

    /// Allows the certificate to travel in clear, under TLS 1.2.
    #[must_use]
    pub fn allow_in_clear(mut self) -> Self {
        self.may_travel_in_clear = true;
        self
    }

    /// Whether a connection that may show this certificate has to be limited to TLS 1.3.
    pub fn needs_tls13(&self) -> bool {
        !self.may_travel_in_clear
    }

    /// Its subject, made safe to show.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The last moment of its validity, in seconds since 1970.
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// For rustls' client configuration: it is shown to whatever trusted server asks for one.
    pub fn resolver(&self) -> Arc<dyn ResolvesClientCert> {
        Arc::new(Resolver { certified: self.certified.clone() })
    }

    fn certified(certified: CertifiedKey, facts: Facts) -> Self {
        ClientCertificate {
            certified: Arc::new(certified),
            subject: facts.subject,
            not_after: facts.not_after,
            may_travel_in_clear: false,
        }
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

impl SignatureMethod {
    fn scheme(self) -> SignatureScheme {
        match self {
            Self::EcdsaP256Sha256 => SignatureScheme::ECDSA_NISTP256_SHA256,
            Self::EcdsaP384Sha384 => SignatureScheme::ECDSA_NISTP384_SHA384,
            Self::EcdsaP521Sha512 => SignatureScheme::ECDSA_NISTP521_SHA512,
            Self::Ed25519 => SignatureScheme::ED25519,
            Self::RsaPssSha256 => SignatureScheme::RSA_PSS_SHA256,
            Self::RsaPssSha384 => SignatureScheme::RSA_PSS_SHA384,
            Self::RsaPssSha512 => SignatureScheme::RSA_PSS_SHA512,
            Self::RsaPkcs1Sha256 => SignatureScheme::RSA_PKCS1_SHA256,
        }
    }
}

/// Longest chain of a client.
const MAX_CHAIN: usize = 10;

/// The certificate of the key (or the first one) in front, its authorities behind it, a root left out: the server has
/// its own.
fn in_order(
    certificates: Vec<CertificateDer<'static>>,
    spki: Option<&[u8]>,
) -> Result<(Vec<CertificateDer<'static>>, Facts), ClientCertificateError> {
    let mut all = Vec::with_capacity(certificates.len());
    for der in certificates {
        let facts = Facts::read(&der)
            .map_err(|e| ClientCertificateError::BadCertificate(text::shown(&e.to_string())))?;
        all.push((der, facts));
    }
    if all.is_empty() {
        return Err(ClientCertificateError::NoCertificate);
    }
    let own = all
        .iter()
        .position(|(_, f)| spki.is_none_or(|spki| f.spki == spki))
        .ok_or(ClientCertificateError::KeyMismatch)?;
    let (der, facts) = all.swap_remove(own);
    let mut issuer = facts.issuer_raw.clone();
    let mut chain = vec![der];
    while chain.len() < MAX_CHAIN
        && let Some(next) = all.iter().position(|(_, f)| f.subject_raw == issuer && !f.is_self_issued())
    {
        let (der, facts) = all.swap_remove(next);
        issuer = facts.issuer_raw;
        chain.push(der);
    }
    Ok((chain, facts))
}

/// The methods that a key can sign by, the best first.
fn methods(key: &Key) -> Option<(SignatureAlgorithm, &'static [SignatureMethod])> {
    use SignatureMethod::{
        EcdsaP256Sha256, EcdsaP384Sha384, EcdsaP521Sha512, Ed25519, RsaPkcs1Sha256, RsaPssSha256,
        RsaPssSha384, RsaPssSha512,
    };
    match key {
        Key::Rsa { .. } => {
            Some((SignatureAlgorithm::RSA, &[RsaPssSha256, RsaPssSha384, RsaPssSha512, RsaPkcs1Sha256]))
        }
        Key::Ed25519 => Some((SignatureAlgorithm::ED25519, &[Ed25519])),
        Key::Ec { curve } => {
            let methods: &[SignatureMethod] = match curve.as_str() {
                "1.2.840.10045.3.1.7" => &[EcdsaP256Sha256],
                "1.3.132.0.34" => &[EcdsaP384Sha384],
                "1.3.132.0.35" => &[EcdsaP521Sha512],
                _ => return None,
            };
            Some((SignatureAlgorithm::ECDSA, methods))
        }
        Key::Dsa | Key::Other { .. } | Key::Broken { .. } => None,
    }
}

fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

#[derive(Debug)]
struct Resolver {
    certified: Arc<CertifiedKey>,
}

impl ResolvesClientCert for Resolver {
    fn resolve(&self, _roots: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        // Many servers send no or a wrong list of authorities; whether they like ours is theirs to say.
        self.certified.key.choose_scheme(schemes).is_some().then(|| self.certified.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

struct PlatformKey {
    signer: Arc<dyn PlatformSigner>,
    methods: Vec<SignatureMethod>,
    algorithm: SignatureAlgorithm,
    certificate: CertificateDer<'static>,
}

impl SigningKey for PlatformKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let method = self.methods.iter().copied().find(|m| offered.contains(&m.scheme()))?;
        Some(Box::new(OneSignature {
            signer: self.signer.clone(),
            method,
            certificate: self.certificate.clone(),
        }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }
}

impl fmt::Debug for PlatformKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlatformKey").field("methods", &self.methods).finish_non_exhaustive()
    }
}

struct OneSignature {
    signer: Arc<dyn PlatformSigner>,
    method: SignatureMethod,
    certificate: CertificateDer<'static>,
}

impl Signer for OneSignature {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let signature = self
            .signer
            .sign(message, self.method)
            .map_err(|e| rustls::Error::General(text::shown(&e.to_string())))?;
        // The server would answer a wrong signature with an alert that says nothing.
        let scheme = self.method.scheme();
        let provider = provider();
        let algorithms =
            provider.signature_verification_algorithms.mapping.iter().find(|(s, _)| *s == scheme);
        let certificate = webpki::EndEntityCert::try_from(&self.certificate)
            .map_err(|e| rustls::Error::General(format!("the client certificate cannot be read: {e:?}")))?;
        let is_valid = algorithms
            .into_iter()
            .flat_map(|(_, algorithms)| algorithms.iter())
            .any(|algorithm| certificate.verify_signature(*algorithm, message, &signature).is_ok());
        if is_valid {
            Ok(signature)
        } else {
            Err(rustls::Error::General("the keystore's signature does not fit the client certificate".into()))
        }
    }

    fn scheme(&self) -> SignatureScheme {
        self.method.scheme()
    }
}

impl fmt::Debug for OneSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneSignature").field("method", &self.method).finish_non_exhaustive()
    }
}
