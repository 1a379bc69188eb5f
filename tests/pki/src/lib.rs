//! A throw-away certificate authority and every kind of bad certificate.
//!
//! For tests and demonstrations: an authority lives in memory, its key is gone with it, and nothing here is fit to
//! protect anything. Times are arguments (seconds since 1970); keys are random.
//!
//! ```
//! use aldis_pki::{Ca, Template};
//! let now = 1_800_000_000;
//! let root = Ca::new("Aldis Test Root", now)?;
//! let issuing = root.intermediate(Template::authority("Aldis Test Issuing CA"))?;
//! let server = issuing.issue(Template::server("example.test"))?;
//! assert_eq!(server.chain().len(), 2);
//! let expired = issuing.issue(Template::server("example.test").expired(now))?;
//! assert!(expired.chain_pem().starts_with("-----BEGIN CERTIFICATE-----"));
//! # Ok::<(), aldis_pki::PkiError>(())
//! ```

mod authority;
mod der;
mod pem;
mod revocation;
mod template;

pub use authority::{Ca, Issued, self_signed};
pub use pem::to_pem;
pub use revocation::{CertificateStatus, OcspAnswer, RevocationList};
pub use template::{KeyKind, Purpose, Template, Usage};

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PkiError {
    /// The generator refused the parameters.
    #[error("the certificate cannot be made: {0}")]
    Generator(#[from] rcgen::Error),
    /// A time that no calendar holds.
    #[error("{0} seconds since 1970 is no time that a certificate can hold")]
    Time(i64),
    /// A name with characters that certificates cannot hold.
    #[error("{0:?} cannot stand in a certificate")]
    Name(String),
}
