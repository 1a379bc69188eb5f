//! What foreign code does for a phone, because the platform alone can do it. All of it is synchronous.

use crate::LogLevel;
use aldis::trust;
use std::fmt;
use std::sync::Arc;

/// How a handshake is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum SignatureMethod {
    /// ECDSA on P-256 over SHA-256 (`SHA256withECDSA`).
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
    /// A method that this version has no name for; decline it.
    Other,
}

/// Why a key has not signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum KeyError {
    /// The person has not agreed.
    #[error("the use of the key was declined")]
    Declined,
    /// The key is gone or locked, or the implementation failed.
    #[error("the key cannot be used: {explanation}")]
    Unavailable {
        /// Why, for a log.
        explanation: String,
    },
}

/// Why a secret was not given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum SecretError {
    /// The platform's store is locked or failed. Put no secret into the explanation: it is printed.
    #[error("the secret cannot be had: {explanation}")]
    Unavailable {
        /// Why, for a log.
        explanation: String,
    },
}

/// Why a line was not logged. Nothing comes of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum LogError {
    /// The sink failed.
    #[error("the line was not logged: {explanation}")]
    Failed {
        /// Why.
        explanation: String,
    },
}

/// A private key that stays where it is: in the platform's keystore, on a token.
#[uniffi::export(with_foreign)]
pub trait ClientKey: Send + Sync {
    /// Signs the bytes themselves, not their digest. ECDSA signatures are DER. It is called during a handshake, on a
    /// thread that may wait for a person; the phone waits with it.
    fn sign(&self, bytes: Vec<u8>, method: SignatureMethod) -> Result<Vec<u8>, KeyError>;

    /// Whether the keystore can sign by that method; asked for those only that the certificate's key allows.
    fn supports(&self, method: SignatureMethod) -> Result<bool, KeyError>;
}

/// Where passwords are kept.
#[uniffi::export(with_foreign)]
pub trait SecretProvider: Send + Sync {
    /// The password for the user of this address of record; nil if there is none. Asked once, when the phone starts.
    fn password(&self, address_of_record: String) -> Result<Option<String>, SecretError>;
}

/// Where log lines go.
#[uniffi::export(with_foreign)]
pub trait LogSink: Send + Sync {
    /// Takes one line. It is called on the phone's own threads: be quick, and call no phone.
    fn log(&self, level: LogLevel, target: String, line: String) -> Result<(), LogError>;
}

impl From<uniffi::UnexpectedUniFFICallbackError> for KeyError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        KeyError::Unavailable { explanation: error.reason }
    }
}

impl From<uniffi::UnexpectedUniFFICallbackError> for SecretError {
    /// The foreign text is left out: nobody knows what is in it.
    fn from(_: uniffi::UnexpectedUniFFICallbackError) -> Self {
        SecretError::Unavailable {
            explanation: "the secret provider failed in a way that it does not declare".into(),
        }
    }
}

impl From<uniffi::UnexpectedUniFFICallbackError> for LogError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        LogError::Failed { explanation: error.reason }
    }
}

impl From<trust::SignatureMethod> for SignatureMethod {
    fn from(method: trust::SignatureMethod) -> Self {
        match method {
            trust::SignatureMethod::EcdsaP256Sha256 => Self::EcdsaP256Sha256,
            trust::SignatureMethod::EcdsaP384Sha384 => Self::EcdsaP384Sha384,
            trust::SignatureMethod::EcdsaP521Sha512 => Self::EcdsaP521Sha512,
            trust::SignatureMethod::Ed25519 => Self::Ed25519,
            trust::SignatureMethod::RsaPssSha256 => Self::RsaPssSha256,
            trust::SignatureMethod::RsaPssSha384 => Self::RsaPssSha384,
            trust::SignatureMethod::RsaPssSha512 => Self::RsaPssSha512,
            trust::SignatureMethod::RsaPkcs1Sha256 => Self::RsaPkcs1Sha256,
            _ => Self::Other,
        }
    }
}

/// A foreign key as `aldis` wants it.
pub(crate) struct Signer(pub Arc<dyn ClientKey>);

impl trust::PlatformSigner for Signer {
    fn sign(&self, message: &[u8], method: trust::SignatureMethod) -> Result<Vec<u8>, trust::SignerError> {
        // Another thread takes this one's work over while it waits for a person.
        tokio::task::block_in_place(|| self.0.sign(message.to_vec(), method.into())).map_err(|error| {
            match error {
                KeyError::Declined => trust::SignerError::Declined,
                KeyError::Unavailable { explanation } => trust::SignerError::Unavailable(explanation),
            }
        })
    }

    fn supports(&self, method: trust::SignatureMethod) -> bool {
        self.0.supports(method.into()).unwrap_or(false)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}
