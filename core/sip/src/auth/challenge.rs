//! WWW-Authenticate and Proxy-Authenticate (RFC 3261 §20.27, §20.44; RFC 7616 §3.3).

use super::scan::{self, Entry};
use super::{Algorithm, AuthError, Policy, Qop, Text, Unsupported};
use std::fmt;

/// One challenge of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// Digest, which may still turn out unusable: see [`super::select`].
    Digest(DigestChallenge),
    /// Any other scheme: to be listed as unsupported, or a Bearer challenge (RFC 8898).
    Other(OtherScheme),
}

impl Challenge {
    /// Reads all challenges of one header value, in their order.
    ///
    /// # Errors
    /// Malformed text, a parameter given twice, a Digest challenge without realm or nonce, or more than
    /// [`super::MAX_CHALLENGES`] or [`super::MAX_PARAMETERS`]. A client goes on with the other header
    /// fields of that name: a challenge not understood is ignored (RFC 8760 §2.4).
    pub fn parse_all(value: &str) -> Result<Vec<Challenge>, AuthError> {
        scan::entries(value)?.into_iter().map(Challenge::from_entry).collect()
    }

    /// The scheme as written.
    pub fn scheme(&self) -> &str {
        match self {
            Challenge::Digest(_) => "Digest",
            Challenge::Other(other) => other.scheme(),
        }
    }

    fn from_entry(entry: Entry) -> Result<Self, AuthError> {
        if entry.is_digest() {
            DigestChallenge::from_entry(entry).map(Challenge::Digest)
        } else {
            Ok(Challenge::Other(OtherScheme { entry }))
        }
    }
}

/// A scheme that is not Digest, with its parameters as they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherScheme {
    entry: Entry,
}

impl OtherScheme {
    pub(super) fn new(entry: Entry) -> Self {
        OtherScheme { entry }
    }

    /// The scheme's name as written.
    pub fn scheme(&self) -> &str {
        &self.entry.scheme
    }

    /// Whether the scheme is `name`, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.entry.scheme.eq_ignore_ascii_case(name)
    }

    /// The value of a parameter, whose name is compared in any case.
    pub fn parameter(&self, name: &str) -> Option<&Text> {
        self.parameters().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All parameters in their order.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &Text)> {
        self.entry.params.iter().map(|p| (p.name.as_str(), &p.value))
    }

    /// The single value that stands instead of parameters (`Negotiate YII…==`).
    pub fn token68(&self) -> Option<&str> {
        self.entry.token68.as_deref()
    }
}

/// What a challenge says about its algorithm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeclaredAlgorithm {
    /// Nothing: MD5 (RFC 7616 §3.3).
    Absent,
    /// One that we know.
    Known {
        /// Which.
        algorithm: Algorithm,
        /// Its name as the server wrote it, which the answer repeats without quotes.
        spelling: String,
        /// Whether the server wrote it in quotes, which it must not.
        quoted: bool,
    },
    /// One that we do not know: the challenge is ignored.
    Unknown(String),
}

/// The `qop` values of a challenge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QopOffer {
    /// `auth` is among them.
    pub auth: bool,
    /// `auth-int` is among them.
    pub auth_int: bool,
    /// Those that RFC 7616 does not define, which are ignored.
    pub unknown: Vec<String>,
}

impl QopOffer {
    /// The protection to use: `auth` before `auth-int`, which breaks at every proxy that touches the body.
    pub fn choose(&self) -> Option<Qop> {
        match (self.auth, self.auth_int) {
            (true, _) => Some(Qop::Auth),
            (false, true) => Some(Qop::AuthInt),
            (false, false) => None,
        }
    }

    fn parse(list: &str) -> Option<Self> {
        let mut offer = QopOffer::default();
        let mut any = false;
        for item in list.split([',', ' ', '\t']).filter(|item| !item.is_empty()) {
            any = true;
            match Qop::from_name(item) {
                Some(Qop::Auth) => offer.auth = true,
                Some(Qop::AuthInt) => offer.auth_int = true,
                None => offer.unknown.push(item.to_owned()),
            }
        }
        any.then_some(offer)
    }
}

/// A Digest challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestChallenge {
    realm: Text,
    nonce: Text,
    session_nonce: Option<Text>,
    opaque: Option<Text>,
    domain: Option<Text>,
    algorithm: DeclaredAlgorithm,
    qop: Option<QopOffer>,
    stale: bool,
    userhash: bool,
    utf8: bool,
}

impl DigestChallenge {
    /// A challenge with nothing but what every challenge must have: MD5 without qop.
    ///
    /// # Errors
    /// [`AuthError::Unwritable`] for control characters.
    pub fn new(realm: &str, nonce: &str) -> Result<Self, AuthError> {
        Ok(DigestChallenge {
            realm: Text::new("realm", realm)?,
            nonce: Text::new("nonce", nonce)?,
            session_nonce: None,
            opaque: None,
            domain: None,
            algorithm: DeclaredAlgorithm::Absent,
            qop: None,
            stale: false,
            userhash: false,
            utf8: false,
        })
    }

    /// Names the algorithm.
    #[must_use]
    pub fn with_algorithm(mut self, algorithm: Algorithm) -> Self {
        let spelling = algorithm.name().to_owned();
        self.algorithm = DeclaredAlgorithm::Known { algorithm, spelling, quoted: false };
        self
    }

    /// Offers protections; none at all removes the parameter.
    #[must_use]
    pub fn with_qop(mut self, offered: &[Qop]) -> Self {
        let (auth, auth_int) = (offered.contains(&Qop::Auth), offered.contains(&Qop::AuthInt));
        self.qop = (auth || auth_int).then(|| QopOffer { auth, auth_int, unknown: Vec::new() });
        self
    }

    /// Says whether only the nonce was refused.
    #[must_use]
    pub fn with_stale(mut self, stale: bool) -> Self {
        self.stale = stale;
        self
    }

    /// Asks for hashed user names (RFC 7616 §3.4.4).
    #[must_use]
    pub fn with_userhash(mut self, userhash: bool) -> Self {
        self.userhash = userhash;
        self
    }

    /// Asks for NFC and UTF-8 (`charset=UTF-8`, RFC 7616 §4).
    #[must_use]
    pub fn with_utf8(mut self, utf8: bool) -> Self {
        self.utf8 = utf8;
        self
    }

    /// Adds what the client must return.
    ///
    /// # Errors
    /// [`AuthError::Unwritable`] for control characters.
    pub fn with_opaque(mut self, opaque: &str) -> Result<Self, AuthError> {
        self.opaque = Some(Text::new("opaque", opaque)?);
        Ok(self)
    }

    /// The same challenge with the nonce of an Authentication-Info, counted from 1 again (RFC 7616
    /// §3.5). The session of a `-sess` algorithm goes on: its key keeps the first nonce (§3.4.2), and the
    /// caller keeps the cnonce.
    #[must_use]
    pub fn with_next_nonce(mut self, nonce: Text) -> Self {
        let old = std::mem::replace(&mut self.nonce, nonce);
        self.session_nonce.get_or_insert(old);
        self.stale = false;
        self
    }

    /// The protection space: credentials are kept per realm, compared exactly (RFC 3261 §22.1).
    pub fn realm(&self) -> &Text {
        &self.realm
    }

    /// The nonce.
    pub fn nonce(&self) -> &Text {
        &self.nonce
    }

    /// The nonce that goes into the key of a `-sess` algorithm.
    pub fn session_nonce(&self) -> &Text {
        self.session_nonce.as_ref().unwrap_or(&self.nonce)
    }

    /// What goes back unchanged.
    pub fn opaque(&self) -> Option<&Text> {
        self.opaque.as_ref()
    }

    /// The URIs of the protection space: informative, in SIP the realm alone counts (RFC 3261 §22.1).
    pub fn domain(&self) -> Option<&Text> {
        self.domain.as_ref()
    }

    /// The algorithm as declared.
    pub fn algorithm(&self) -> &DeclaredAlgorithm {
        &self.algorithm
    }

    /// The protections offered; none in the old form of RFC 2069.
    pub fn qop(&self) -> Option<&QopOffer> {
        self.qop.as_ref()
    }

    /// Whether only the nonce was refused, so that the same credentials may go again (RFC 7616 §3.3).
    pub fn stale(&self) -> bool {
        self.stale
    }

    /// Whether the server understands hashed user names.
    pub fn userhash(&self) -> bool {
        self.userhash
    }

    /// Whether the server asked for NFC and UTF-8.
    pub fn utf8(&self) -> bool {
        self.utf8
    }

    /// How this challenge would be answered.
    ///
    /// # Errors
    /// Why it cannot be: see [`Unsupported`].
    pub fn usable(&self, policy: Policy) -> Result<(Algorithm, Option<Qop>), Unsupported> {
        let realm = || self.realm.text().into_owned();
        let algorithm = match &self.algorithm {
            DeclaredAlgorithm::Absent => Algorithm::Md5,
            DeclaredAlgorithm::Known { algorithm, .. } => *algorithm,
            DeclaredAlgorithm::Unknown(name) => {
                return Err(Unsupported::Algorithm { realm: realm(), name: name.clone() });
            }
        };
        if algorithm.is_md5() && !policy.allow_md5 {
            return Err(Unsupported::Md5Forbidden { realm: realm() });
        }
        let Some(offer) = &self.qop else {
            return if algorithm.is_session() {
                Err(Unsupported::SessionWithoutQop { realm: realm(), algorithm })
            } else {
                Ok((algorithm, None))
            };
        };
        match offer.choose() {
            Some(qop) => Ok((algorithm, Some(qop))),
            None => Err(Unsupported::Qop { realm: realm(), offered: offer.unknown.clone() }),
        }
    }

    fn from_entry(entry: Entry) -> Result<Self, AuthError> {
        let (mut realm, mut nonce, mut opaque, mut domain, mut qop) = (None, None, None, None, None);
        let (mut stale, mut userhash, mut utf8) = (false, false, false);
        let mut algorithm = DeclaredAlgorithm::Absent;
        for param in entry.params {
            let is = |word: &str| param.value.text().eq_ignore_ascii_case(word);
            match param.name.to_ascii_lowercase().as_str() {
                "stale" => stale = is("true"),
                "userhash" => userhash = is("true"),
                "charset" => utf8 = is("UTF-8"),
                "qop" => qop = QopOffer::parse(&param.value.text()),
                "algorithm" => {
                    let spelling = param.value.text().into_owned();
                    algorithm = match Algorithm::from_name(&spelling) {
                        Some(algorithm) => {
                            DeclaredAlgorithm::Known { algorithm, spelling, quoted: param.quoted }
                        }
                        None => DeclaredAlgorithm::Unknown(spelling),
                    };
                }
                "realm" => realm = Some(param.value),
                "nonce" => nonce = Some(param.value),
                "opaque" => opaque = Some(param.value),
                "domain" => domain = Some(param.value),
                _ => {}
            }
        }
        Ok(DigestChallenge {
            realm: realm.ok_or(AuthError::Missing { parameter: "realm" })?,
            nonce: nonce.ok_or(AuthError::Missing { parameter: "nonce" })?,
            session_nonce: None,
            opaque,
            domain,
            algorithm,
            qop,
            stale,
            userhash,
            utf8,
        })
    }
}

impl fmt::Display for DigestChallenge {
    /// The header value, quoted as RFC 7616 §3.3 wants it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest realm={}, nonce={}", self.realm, self.nonce)?;
        if let Some(domain) = &self.domain {
            write!(f, ", domain={domain}")?;
        }
        match &self.algorithm {
            DeclaredAlgorithm::Known { spelling, .. } => write!(f, ", algorithm={spelling}")?,
            // Only one that is a token can be written without quotes; others were never valid.
            DeclaredAlgorithm::Unknown(name) if crate::lex::is_token(name) => {
                write!(f, ", algorithm={name}")?;
            }
            DeclaredAlgorithm::Unknown(_) | DeclaredAlgorithm::Absent => {}
        }
        if let Some(offer) = &self.qop {
            let known = [(offer.auth, "auth"), (offer.auth_int, "auth-int")];
            let known = known.into_iter().filter(|(offered, _)| *offered).map(|(_, name)| name);
            let unknown = offer.unknown.iter().map(String::as_str).filter(|name| crate::lex::is_token(name));
            let list: Vec<&str> = known.chain(unknown).collect();
            write!(f, ", qop=\"{}\"", list.join(","))?;
        }
        if let Some(opaque) = &self.opaque {
            write!(f, ", opaque={opaque}")?;
        }
        for (set, text) in
            [(self.stale, ", stale=true"), (self.utf8, ", charset=UTF-8"), (self.userhash, ", userhash=true")]
        {
            if set {
                f.write_str(text)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
