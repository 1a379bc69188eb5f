//! Why a phone cannot start.

use aldis::trust::{ClientCertificateError, CrlError};
use aldis::{ConfigError, InvalidAccount};

/// Why a phone cannot start. All but the last two are for the app to put right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, uniffi::Error)]
#[uniffi::export(Display)]
pub enum StartError {
    /// The address of record is none.
    #[error("{explanation}")]
    AddressOfRecord {
        /// What is wrong.
        explanation: String,
    },
    /// The domain, or the proxy's host, cannot be proven by a certificate.
    #[error("{explanation}")]
    Identity {
        /// What is wrong.
        explanation: String,
    },
    /// An address or the proxy is not of its form.
    #[error("{given:?} is not {expected}")]
    Address {
        /// What was given.
        given: String,
        /// What it should be.
        expected: String,
    },
    /// A text holds a control character.
    #[error("{field} must not contain control characters")]
    ControlCharacter {
        /// Which one.
        field: String,
    },
    /// The instance is no UUID.
    #[error("{given:?} is not a UUID")]
    Instance {
        /// What was given.
        given: String,
    },
    /// An authorization server has no https address.
    #[error("{given:?} is not an https address of an authorization server")]
    AuthorizationServer {
        /// What was given.
        given: String,
    },
    /// A number is outside its range.
    #[error("{field} is {given}; it must be from {least} to {most}")]
    Range {
        /// Which one.
        field: String,
        /// What was given.
        given: u64,
        /// The smallest allowed.
        least: u64,
        /// The largest allowed.
        most: u64,
    },
    /// The roots that were given cannot be used.
    #[error("the roots cannot be used: {explanation}")]
    Roots {
        /// What is wrong.
        explanation: String,
    },
    /// A server name that was given is none.
    #[error("the server name {given:?} cannot be used: {explanation}")]
    ServerName {
        /// What was given.
        given: String,
        /// What is wrong.
        explanation: String,
    },
    /// A pin cannot be read.
    #[error("the pin {given:?} cannot be used: {explanation}")]
    Pin {
        /// What was given.
        given: String,
        /// What is wrong.
        explanation: String,
    },
    /// A revocation list cannot be read.
    #[error("a revocation list cannot be used: {explanation}")]
    RevocationList {
        /// What is wrong.
        explanation: String,
    },
    /// The client certificate cannot be used, or comes without a key, or a key without it.
    #[error("the client certificate cannot be used: {explanation}")]
    ClientCertificate {
        /// What is wrong.
        explanation: String,
    },
    /// The secret provider gave no answer.
    #[error("{explanation}")]
    Secrets {
        /// Why.
        explanation: String,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {explanation}")]
    Random {
        /// The system's words.
        explanation: String,
    },
    /// The message store cannot be opened.
    #[error("{explanation}")]
    Storage {
        /// Why, and what to do.
        explanation: String,
    },
    /// The system gives no threads or timers.
    #[error("the system gives no threads: {explanation}")]
    Runtime {
        /// The system's words.
        explanation: String,
    },
}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        let explanation = error.to_string();
        match error {
            ConfigError::Address { text, expected } => {
                Self::Address { given: text, expected: expected.into() }
            }
            ConfigError::Random(explanation) => Self::Random { explanation },
            ConfigError::Account(account) => match account {
                InvalidAccount::NotAUri { .. } | InvalidAccount::NotAnAddressOfRecord(_) => {
                    Self::AddressOfRecord { explanation }
                }
                InvalidAccount::Identity(_) => Self::Identity { explanation },
                InvalidAccount::ControlCharacter { what } => Self::ControlCharacter { field: what.into() },
                InvalidAccount::Instance(given) => Self::Instance { given },
                InvalidAccount::AuthorizationServer(given) => Self::AuthorizationServer { given },
                InvalidAccount::Range { what, found, least, most } => {
                    Self::Range { field: what.into(), given: found, least, most }
                }
            },
        }
    }
}

impl From<aldis::StartError> for StartError {
    fn from(error: aldis::StartError) -> Self {
        match error {
            aldis::StartError::NoRuntime => Self::Runtime { explanation: error.to_string() },
            aldis::StartError::Random(explanation) => Self::Random { explanation },
            aldis::StartError::Storage(_) => Self::Storage { explanation: error.to_string() },
            aldis::StartError::Thread(explanation) => Self::Runtime { explanation },
        }
    }
}

impl From<ClientCertificateError> for StartError {
    fn from(error: ClientCertificateError) -> Self {
        Self::ClientCertificate { explanation: error.to_string() }
    }
}

impl From<CrlError> for StartError {
    fn from(error: CrlError) -> Self {
        Self::RevocationList { explanation: error.to_string() }
    }
}
