//! Who is at the other end of a SIP over TLS connection: chain, identity, verdict.
//!
//! [`judge`] answers one question: does this chain prove, at this time and under this policy, that the server speaks
//! for this domain? [`Verdict::Trusted`] says by which path, root and name, and until when; [`Verdict::Refused`] lists
//! every reason with the certificate, the field, what was expected and found, and what to do. The same function serves
//! the handshake (through [`Verifier`]), the `aldis trust` command and the tests. Nothing switches it off, and no
//! finding overrules a refusal.
//!
//! The crate opens no socket and reads no clock, environment or randomness: time and evidence are arguments.
//!
//! ```
//! use aldis_sip::ReferenceIdentity;
//! use aldis_trust::{Anchors, Code, Evidence, Policy, judge};
//! use rustls_pki_types::UnixTime;
//! use std::time::Duration;
//!
//! let policy = Policy::new(Anchors::bundled());
//! let identity = ReferenceIdentity::new("example.test").unwrap();
//! let now = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
//! let verdict = judge(&[], &identity, now, &policy, &Evidence::default());
//! assert_eq!(verdict.code(), Some(Code::NoCertificate));
//! ```

mod client_auth;
mod code;
mod der;
mod explain;
mod facts;
mod finding;
mod identity;
mod judge;
mod names;
mod packed;
mod path;
mod pins;
mod policy;
#[cfg(feature = "policy-file")]
mod policy_file;
mod registries;
#[cfg(feature = "serde")]
mod report;
mod revocation;
mod roots;
mod rules;
mod show;
mod signature;
mod text;
mod verdict;
mod verifier;

pub use client_auth::{
    ClientCertificate, ClientCertificateError, PlatformSigner, SignatureMethod, SignerError,
};
pub use code::{Code, Stage, Who};
pub use judge::{MAX_PRESENTED, judge};
pub use pins::{InvalidPin, Pin};
pub use policy::{Evidence, Level, Policy, Profile, RevocationMode};
#[cfg(feature = "policy-file")]
pub use policy_file::{DomainPolicy, PolicyBook, PolicyFile, PolicyFileError, PolicyFileProblem};
pub use revocation::crl::{Crl, CrlError};
pub use roots::{Anchor, Anchors, AnchorsBuilder, Source, UnusableRoot};
pub use show::{CertificateDetails, UnreadableCertificate};
pub use verdict::{
    CertificateSummary, Finding, Matched, MatchedBy, Refused, RevocationStatus, Role, Trusted, Unproven,
    Verdict,
};
pub use verifier::{Judged, Verifier};
