//! Digest authentication (RFC 3261 §22, RFC 7616, RFC 8760): challenges, answers, and their proof.
//!
//! Nothing here keeps state or makes randomness: nonce counts and cnonces are arguments, and which
//! credentials go to which realm is the caller's decision. Basic is read only to be listed as
//! unsupported (RFC 8760 §2.6 forbids it).
//!
//! ```
//! use aldis_sip::Secret;
//! use aldis_sip::auth::{Answer, Challenge, Login, NonceCount, Policy, Target, select};
//!
//! let value = r#"Digest realm="example.test", nonce="n0", algorithm=SHA-256, qop="auth""#;
//! let challenges = Challenge::parse_all(value)?;
//! let selection = select(&challenges, Policy::default());
//! let login = Login { username: "alice", password: &Secret::new("builder") };
//! let target = Target { method: "REGISTER", uri: "sip:example.test", body: b"" };
//! for challenge in selection.chosen() {
//!     let answer = Answer::new(challenge, login, target, "0a4f113b", NonceCount::FIRST)?;
//!     assert!(answer.to_string().starts_with(r#"Digest username="alice", realm="example.test""#));
//! }
//! # Ok::<(), aldis_sip::auth::AuthError>(())
//! ```

mod algorithm;
mod answer;
mod challenge;
mod credentials;
mod digest;
mod info;
mod scan;
mod select;
mod text;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod vectors;

pub use algorithm::{Algorithm, NonceCount, Qop};
pub use answer::{Answer, Login, Target, bearer};
pub use challenge::{Challenge, DeclaredAlgorithm, DigestChallenge, OtherScheme, QopOffer};
pub use credentials::{Credentials, DigestCredentials, Username};
pub use digest::{Exchange, Ha1, Protection, userhash};
pub use info::{AuthenticationInfo, ServerMismatch, ServerProof};
pub use select::{Policy, Selection, Unsupported, select};
pub use text::Text;

use thiserror::Error;

/// Challenges read from one header value; forking proxies merge a handful (RFC 8760 §2.5).
pub const MAX_CHALLENGES: usize = 16;

/// Parameters read in one challenge or credentials; the RFCs together define 16.
pub const MAX_PARAMETERS: usize = 32;

/// Why an authentication header cannot be read, or cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The value does not follow RFC 3261 §25.1.
    #[error("authentication header malformed at byte {at}: expected {expected}")]
    Malformed {
        /// Bytes of the value before the fault.
        at: usize,
        /// What should have stood there.
        expected: &'static str,
    },
    /// A parameter stands twice in one challenge or credentials.
    #[error("parameter {parameter:?} given twice")]
    Duplicate {
        /// The parameter's name, as written the second time.
        parameter: String,
    },
    /// A parameter is not there although the scheme cannot work without it.
    #[error("parameter {parameter:?} is missing")]
    Missing {
        /// The parameter's name.
        parameter: &'static str,
    },
    /// A parameter's value is none that it may have.
    #[error("parameter {parameter:?} has the value {found:?}")]
    Invalid {
        /// The parameter's name.
        parameter: &'static str,
        /// Its value.
        found: String,
    },
    /// `username` and `username*` stand together (RFC 7616 §3.4).
    #[error("username and username* given together")]
    BothUsernames,
    /// More than a limit of this module.
    #[error("more than {limit} {what}")]
    TooMany {
        /// What was counted.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A value holds a character that its place in the header cannot.
    #[error("{parameter} holds {found:?}, which a header cannot carry there")]
    Unwritable {
        /// Which value.
        parameter: &'static str,
        /// The character; none if the value is empty and may not be.
        found: Option<char>,
    },
    /// The challenge cannot be answered.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
}
