//! The SIP wire layer of Aldis: framing, parsing, typed headers, URIs, digest.

mod identity;
mod lex;
mod secret;

pub use identity::{Domain, InvalidIdentity, ReferenceIdentity};
pub use lex::Quoted;
pub use secret::Secret;
