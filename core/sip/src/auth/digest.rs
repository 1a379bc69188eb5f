//! The arithmetic of RFC 7616 §3.4.1-3.4.4, as pure functions.

use super::{Algorithm, Qop};
use crate::Secret;
use icu_normalizer::ComposingNormalizerBorrowed;
use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// H(A1), from which everything else follows: as good as the password within its realm, so it is wiped
/// when dropped and printed as `…`.
#[derive(Clone)]
pub struct Ha1 {
    algorithm: Algorithm,
    hex: Zeroizing<String>,
}

/// What a request and its response have in common besides the password.
#[derive(Debug, Clone, Copy)]
pub struct Exchange<'a> {
    /// The nonce, without quotes or escapes.
    pub nonce: &'a str,
    /// The `uri` parameter.
    pub uri: &'a str,
    /// What `qop` adds; none in the old form of RFC 2069.
    pub protection: Option<Protection<'a>>,
}

/// The part of the arithmetic that exists only with `qop`.
#[derive(Debug, Clone, Copy)]
pub struct Protection<'a> {
    /// The protection applied.
    pub qop: Qop,
    /// The client's nonce, without quotes or escapes.
    pub cnonce: &'a str,
    /// The nonce count as it is written.
    pub nc: &'a str,
}

impl Ha1 {
    /// H(username:realm:password): H(A1) itself unless the algorithm is a `-sess` one.
    pub fn new(algorithm: Algorithm, username: &str, realm: &str, password: &Secret) -> Self {
        let parts = [username.as_bytes(), realm.as_bytes(), password.expose().as_bytes()];
        Ha1 { algorithm, hex: Zeroizing::new(hash(algorithm, &parts)) }
    }

    /// With a `-sess` algorithm, the key of the session that began with these two nonces (RFC 7616
    /// §3.4.2); with any other, unchanged.
    #[must_use]
    pub fn into_session(self, nonce: &str, cnonce: &str) -> Self {
        if !self.algorithm.is_session() {
            return self;
        }
        let parts = [self.hex.as_bytes(), nonce.as_bytes(), cnonce.as_bytes()];
        Ha1 { algorithm: self.algorithm, hex: Zeroizing::new(hash(self.algorithm, &parts)) }
    }

    /// The `response` of a request (RFC 7616 §3.4.1).
    pub fn response(&self, exchange: &Exchange<'_>, method: &str, body: &[u8]) -> String {
        let (uri, nonce) = (exchange.uri.as_bytes(), exchange.nonce.as_bytes());
        let ha2 = match exchange.protection {
            Some(Protection { qop: Qop::AuthInt, .. }) => {
                let body = hash(self.algorithm, &[body]);
                hash(self.algorithm, &[method.as_bytes(), uri, body.as_bytes()])
            }
            _ => hash(self.algorithm, &[method.as_bytes(), uri]),
        };
        let (ha1, ha2) = (self.hex.as_bytes(), ha2.as_bytes());
        match exchange.protection {
            None => hash(self.algorithm, &[ha1, nonce, ha2]),
            Some(Protection { qop, cnonce, nc }) => {
                let qop = qop.name().as_bytes();
                hash(self.algorithm, &[ha1, nonce, nc.as_bytes(), cnonce.as_bytes(), qop, ha2])
            }
        }
    }

    /// The `rspauth` of a response with that body (RFC 7616 §3.5): as if the method were empty.
    pub fn rspauth(&self, exchange: &Exchange<'_>, body: &[u8]) -> String {
        self.response(exchange, "", body)
    }

    /// The algorithm it was made with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl fmt::Debug for Ha1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ha1").field("algorithm", &self.algorithm).field("hex", &"…").finish()
    }
}

/// The hashed user name of RFC 7616 §3.4.4.
pub fn userhash(algorithm: Algorithm, username: &str, realm: &str) -> String {
    hash(algorithm, &[username.as_bytes(), realm.as_bytes()])
}

/// Normalization Form C, which `charset=UTF-8` asks for (RFC 7616 §4); wiped when dropped.
pub(super) fn nfc(text: &str) -> Zeroizing<String> {
    // NFC at most triples UTF-8 (Unicode Annex 15, table 11); growing would leave a copy behind.
    let mut out = String::with_capacity(text.len().saturating_mul(3));
    out.extend(ComposingNormalizerBorrowed::new_nfc().normalize_iter(text.chars()));
    Zeroizing::new(out)
}

/// Whether two hexadecimal digests are the same, whatever their case, in a time that does not tell where
/// they differ.
pub(super) fn same_digest(left: &str, right: &str) -> bool {
    let differing = left
        .bytes()
        .zip(right.bytes())
        .fold(0, |acc, (l, r)| acc | (l.to_ascii_lowercase() ^ r.to_ascii_lowercase()));
    left.len() == right.len() && std::hint::black_box(differing) == 0
}

/// The hash of the parts with a colon between each two, in lower-case hexadecimal.
fn hash(algorithm: Algorithm, parts: &[&[u8]]) -> String {
    match algorithm {
        Algorithm::Md5 | Algorithm::Md5Sess => hash_with::<Md5>(parts),
        Algorithm::Sha256 | Algorithm::Sha256Sess => hash_with::<Sha256>(parts),
        Algorithm::Sha512_256 | Algorithm::Sha512_256Sess => hash_with::<Sha512_256>(parts),
    }
}

fn hash_with<D: Digest>(parts: &[&[u8]]) -> String {
    let mut hasher = D::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            hasher.update(b":");
        }
        hasher.update(part);
    }
    let mut out = hasher.finalize();
    // Of its final size from the start, so that no copy of a secret stays behind.
    let mut hex = String::with_capacity(out.len() * 2);
    for byte in &out {
        for digit in [byte >> 4, byte & 15] {
            hex.extend(char::from_digit(u32::from(digit), 16));
        }
    }
    out.as_mut_slice().zeroize();
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8760 §2.6, item 7 gives SHA-256(""). AUTH-10
    #[test]
    fn the_hash_of_an_empty_body_is_the_hash_of_the_empty_string() {
        assert_eq!(
            hash(Algorithm::Sha256, &[b""]),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(hash(Algorithm::Md5, &[b""]), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(
            hash(Algorithm::Sha512_256, &[b""]),
            "c672b8d1ef56ed28ab87c3622c5114069bdd3ad7b8f9737498d0c01ecef0967a"
        );
    }

    /// AUTH-07
    #[test]
    fn a_response_has_the_length_of_its_algorithm() {
        for algorithm in Algorithm::ALL {
            let ha1 = Ha1::new(algorithm, "u", "r", &Secret::new("p"));
            let response = ha1.response(&Exchange { nonce: "n", uri: "sip:x", protection: None }, "M", b"");
            assert_eq!(response.len(), algorithm.response_length());
            assert!(response.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
        }
    }

    #[test]
    fn h_of_a1_is_not_printed() {
        let ha1 = Ha1::new(Algorithm::Md5, "u", "r", &Secret::new("p"));
        assert_eq!(format!("{ha1:?}"), r#"Ha1 { algorithm: Md5, hex: "…" }"#);
    }

    #[test]
    fn digests_are_compared_whole_and_in_any_case() {
        assert!(same_digest("0aF", "0Af"));
        for (left, right) in [("0af", "0a"), ("", "0"), ("0af", "0ae"), ("1af", "0af")] {
            assert!(!same_digest(left, right));
        }
    }

    /// AUTH-19
    #[test]
    fn decomposed_text_is_composed() {
        assert_eq!(*nfc("Ja\u{308}s"), "J\u{e4}s");
    }

    #[test]
    fn the_worst_expansion_of_nfc_needs_no_second_allocation() {
        // U+1D160 is the worst case of UTF-8: four bytes become twelve.
        let text = "\u{1d160}".repeat(7);
        let out = nfc(&text);
        assert!(out.len() <= text.len() * 3 && out.capacity() < text.len() * 6);
    }
}
