//! Which hash, which protection, and how often: `algorithm`, `qop` and `nc`.

use std::fmt;

/// A digest algorithm of the registry of RFC 7616 §6.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// MD5: the default when none is named; not recommended (RFC 8760 §3).
    Md5,
    /// MD5 with a session key.
    Md5Sess,
    /// SHA-256.
    Sha256,
    /// SHA-256 with a session key.
    Sha256Sess,
    /// SHA-512/256.
    Sha512_256,
    /// SHA-512/256 with a session key.
    Sha512_256Sess,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Algorithm; 6] = [
        Algorithm::Md5,
        Algorithm::Md5Sess,
        Algorithm::Sha256,
        Algorithm::Sha256Sess,
        Algorithm::Sha512_256,
        Algorithm::Sha512_256Sess,
    ];

    /// The name on the wire (RFC 8760 §2.7).
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Md5Sess => "MD5-sess",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha256Sess => "SHA-256-sess",
            Algorithm::Sha512_256 => "SHA-512-256",
            Algorithm::Sha512_256Sess => "SHA-512-256-sess",
        }
    }

    /// The algorithm of that name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.name().eq_ignore_ascii_case(name))
    }

    /// Whether A1 takes in the nonce and cnonce (RFC 7616 §3.4.2).
    pub fn is_session(self) -> bool {
        matches!(self, Algorithm::Md5Sess | Algorithm::Sha256Sess | Algorithm::Sha512_256Sess)
    }

    /// Whether the hash is MD5, which a policy may forbid.
    pub fn is_md5(self) -> bool {
        matches!(self, Algorithm::Md5 | Algorithm::Md5Sess)
    }

    /// Hexadecimal digits of a response: 32 or 64 (RFC 7616 §3.2).
    pub fn response_length(self) -> usize {
        if self.is_md5() { 32 } else { 64 }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Quality of protection (RFC 7616 §3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Qop {
    /// The method and the Request-URI are covered.
    Auth,
    /// The body is covered too.
    AuthInt,
}

impl Qop {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Qop::Auth => "auth",
            Qop::AuthInt => "auth-int",
        }
    }

    /// The protection of that name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        [Qop::Auth, Qop::AuthInt].into_iter().find(|q| q.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Qop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How many requests have been sent with one nonce, this one included (`nc`, RFC 7616 §3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NonceCount(u32);

impl NonceCount {
    /// The count of the first request with a nonce.
    pub const FIRST: NonceCount = NonceCount(1);

    /// A count read from elsewhere.
    pub fn new(count: u32) -> Self {
        NonceCount(count)
    }

    /// The count as a number.
    pub fn get(self) -> u32 {
        self.0
    }

    /// The count of the next request; none when eight digits no longer hold it and the nonce is spent.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(NonceCount)
    }

    /// Reads exactly eight hexadecimal digits, of either case.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
        digits.then(|| u32::from_str_radix(text, 16).ok()).flatten().map(NonceCount)
    }
}

impl fmt::Display for NonceCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AUTH-12
    #[test]
    fn a_nonce_count_is_eight_lower_case_hexadecimal_digits() {
        assert_eq!(NonceCount::FIRST.to_string(), "00000001");
        assert_eq!(NonceCount::new(10).to_string(), "0000000a");
        assert_eq!(NonceCount::new(u32::MAX).to_string(), "ffffffff");
    }

    /// AUTH-12
    #[test]
    fn a_nonce_count_ends_instead_of_wrapping() {
        assert_eq!(NonceCount::new(0xff).next(), Some(NonceCount::new(0x100)));
        assert_eq!(NonceCount::new(u32::MAX).next(), None);
    }

    #[test]
    fn a_nonce_count_of_any_other_length_or_sign_is_not_read() {
        assert_eq!(NonceCount::parse("0000000A"), Some(NonceCount::new(10)));
        for bad in ["", "1", "000000001", "+0000001", "0000000g", "0000000é"] {
            assert_eq!(NonceCount::parse(bad), None, "{bad}");
        }
    }

    /// AUTH-07
    #[test]
    fn every_algorithm_is_found_by_its_name_in_any_case() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
            assert_eq!(Algorithm::from_name(&algorithm.name().to_lowercase()), Some(algorithm));
        }
        assert_eq!(Algorithm::from_name("SHA-1"), None);
    }
}
