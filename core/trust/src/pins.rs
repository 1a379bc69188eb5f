//! Keys that must stand on the verified path.

use sha2::{Digest, Sha256};
use std::fmt;

/// The SHA-256 of a SubjectPublicKeyInfo, written `sha256/BASE64` as in RFC 7469 §2.4.
///
/// ```
/// let pin: aldis_trust::Pin = "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".parse().unwrap();
/// assert_eq!(pin.to_string(), "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pin([u8; 32]);

/// Why a text is not a pin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a pin; it should look like sha256/ and 44 characters of base64")]
pub struct InvalidPin(String);

impl Pin {
    /// The pin of a SubjectPublicKeyInfo (DER, with its SEQUENCE header).
    pub fn of_spki(spki: &[u8]) -> Self {
        Pin(Sha256::digest(spki).into())
    }

    /// The pin of a certificate's key.
    ///
    /// # Errors
    /// [`InvalidPin`] if the certificate cannot be read.
    pub fn of_certificate(der: &[u8]) -> Result<Self, InvalidPin> {
        crate::facts::Facts::read(der)
            .map(|facts| Self::of_spki(&facts.spki))
            .map_err(|_| InvalidPin("an unreadable certificate".into()))
    }
}

impl std::str::FromStr for Pin {
    type Err = InvalidPin;

    fn from_str(text: &str) -> Result<Self, InvalidPin> {
        use base64::Engine as _;
        text.strip_prefix("sha256/")
            .and_then(|b64| base64::engine::general_purpose::STANDARD.decode(b64).ok())
            .and_then(|bytes| bytes.try_into().ok())
            .map(Pin)
            .ok_or_else(|| InvalidPin(crate::text::shown(text)))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use base64::Engine as _;
        write!(f, "sha256/{}", base64::engine::general_purpose::STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_sha_256_in_base64_is_no_pin() {
        for text in [
            "",
            "sha256/",
            "sha256/AAAA",
            "sha1/AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ] {
            assert!(text.parse::<Pin>().is_err(), "{text:?}");
        }
    }
}
