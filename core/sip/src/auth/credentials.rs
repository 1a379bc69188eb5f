//! Authorization and Proxy-Authorization (RFC 3261 §20.7, §20.28; RFC 7616 §3.4).

use super::challenge::OtherScheme;
use super::digest::same_digest;
use super::scan::{self, Entry};
use super::{Algorithm, AuthError, Exchange, Ha1, NonceCount, Protection, Qop, Text, userhash};
use crate::Secret;
use std::fmt;

/// What a client sent to prove who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Digest.
    Digest(DigestCredentials),
    /// Any other scheme.
    Other(OtherScheme),
}

impl Credentials {
    /// Reads one header value, which holds one scheme.
    ///
    /// # Errors
    /// Malformed text, a second scheme, a parameter twice, missing or of an impossible value; `username`
    /// together with `username*`. A server answers 400 (RFC 7616 §3.4).
    pub fn parse(value: &str) -> Result<Self, AuthError> {
        let mut entries = scan::entries(value)?.into_iter();
        let first = entries.next().ok_or(AuthError::Malformed { at: 0, expected: "a scheme" })?;
        if entries.next().is_some() {
            return Err(AuthError::TooMany { what: "schemes", limit: 1 });
        }
        if first.is_digest() {
            DigestCredentials::from_entry(first).map(Credentials::Digest)
        } else {
            Ok(Credentials::Other(OtherScheme::new(first)))
        }
    }
}

/// How the user is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Username {
    /// By name.
    Plain(Text),
    /// By the hash of name and realm (RFC 7616 §3.4.4).
    Hashed(Text),
}

/// Digest credentials. Their `Display` is the header value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestCredentials {
    pub(super) username: Username,
    pub(super) realm: Text,
    pub(super) nonce: Text,
    pub(super) uri: Text,
    pub(super) response: Text,
    /// With its spelling on the wire; none stands for MD5.
    pub(super) algorithm: Option<(Algorithm, String)>,
    pub(super) protected: Option<Protected>,
    pub(super) opaque: Option<Text>,
}

/// What comes with `qop`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Protected {
    pub qop: Qop,
    pub cnonce: Text,
    /// As written: the case of its digits goes into the hash.
    pub nc: String,
}

impl DigestCredentials {
    /// The user's name or its hash.
    pub fn username(&self) -> &Username {
        &self.username
    }

    /// Whether the credentials name that user, in the clear or hashed. Names are compared exactly: give
    /// it in NFC if the challenge said `charset=UTF-8`.
    pub fn is_for(&self, username: &str) -> bool {
        match &self.username {
            Username::Plain(name) => name == username,
            Username::Hashed(hash) => {
                same_digest(&hash.text(), &userhash(self.algorithm(), username, &self.realm.text()))
            }
        }
    }

    /// The realm.
    pub fn realm(&self) -> &Text {
        &self.realm
    }

    /// The nonce.
    pub fn nonce(&self) -> &Text {
        &self.nonce
    }

    /// The Request-URI as the client wrote it.
    pub fn uri(&self) -> &Text {
        &self.uri
    }

    /// The digest; empty from a client that has seen no challenge yet (RFC 8760 §2.7).
    pub fn response(&self) -> &Text {
        &self.response
    }

    /// The algorithm, MD5 if none is named.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm.as_ref().map_or(Algorithm::Md5, |(algorithm, _)| *algorithm)
    }

    /// The protection; none in the old form of RFC 2069.
    pub fn qop(&self) -> Option<Qop> {
        self.protected.as_ref().map(|p| p.qop)
    }

    /// The client's nonce.
    pub fn cnonce(&self) -> Option<&Text> {
        self.protected.as_ref().map(|p| &p.cnonce)
    }

    /// The nonce count: a server accepts each only once for a nonce.
    pub fn nc(&self) -> Option<NonceCount> {
        self.protected.as_ref().and_then(|p| NonceCount::parse(&p.nc))
    }

    /// What the challenge asked to have back.
    pub fn opaque(&self) -> Option<&Text> {
        self.opaque.as_ref()
    }

    /// Whether this user with this password made these credentials for a request of that method and body.
    /// Whether realm, nonce, nonce count, algorithm and URI are acceptable is the server's own question.
    ///
    /// A `-sess` key is taken to begin with these credentials; a server that gave a `nextnonce` keeps the
    /// [`Ha1`] of the session and asks [`Self::verify_with`].
    pub fn verify(&self, username: &str, password: &Secret, method: &str, body: &[u8]) -> bool {
        let ha1 = self.session_key(Ha1::new(self.algorithm(), username, &self.realm.text(), password));
        self.is_for(username) && self.verify_with(&ha1, method, body)
    }

    /// [`Self::verify`] with a key that the server keeps, the user's name left to the caller.
    pub fn verify_with(&self, ha1: &Ha1, method: &str, body: &[u8]) -> bool {
        let expected = self.with_exchange(|exchange| ha1.response(exchange, method, body));
        ha1.algorithm() == self.algorithm() && same_digest(&expected, &self.response.text())
    }

    /// The `rspauth` with which a server proves that it knows the password too (RFC 7616 §3.5).
    pub fn rspauth(&self, username: &str, password: &Secret, body: &[u8]) -> String {
        let ha1 = self.session_key(Ha1::new(self.algorithm(), username, &self.realm.text(), password));
        self.with_exchange(|exchange| ha1.rspauth(exchange, body))
    }

    fn session_key(&self, ha1: Ha1) -> Ha1 {
        let cnonce = self.protected.as_ref().map(|p| p.cnonce.text()).unwrap_or_default();
        ha1.into_session(&self.nonce.text(), &cnonce)
    }

    pub(super) fn with_exchange<R>(&self, use_it: impl FnOnce(&Exchange<'_>) -> R) -> R {
        let (nonce, uri) = (self.nonce.text(), self.uri.text());
        let cnonce = self.protected.as_ref().map(|p| p.cnonce.text()).unwrap_or_default();
        let protection =
            self.protected.as_ref().map(|p| Protection { qop: p.qop, cnonce: &cnonce, nc: &p.nc });
        use_it(&Exchange { nonce: &nonce, uri: &uri, protection })
    }

    fn from_entry(entry: Entry) -> Result<Self, AuthError> {
        let mut found: [Option<Text>; 11] = Default::default();
        const NAMES: [&str; 11] = [
            "username",
            "username*",
            "realm",
            "nonce",
            "uri",
            "response",
            "algorithm",
            "qop",
            "cnonce",
            "nc",
            "opaque",
        ];
        let mut hashed = false;
        for param in entry.params {
            if param.name.eq_ignore_ascii_case("userhash") {
                hashed = param.value.text().eq_ignore_ascii_case("true");
                continue;
            }
            let slot = NAMES.iter().zip(&mut found).find(|(n, _)| param.name.eq_ignore_ascii_case(n));
            if let Some((_, slot)) = slot {
                *slot = Some(param.value);
            }
        }
        let [username, extended, realm, nonce, uri, response, algorithm, qop, cnonce, nc, opaque] = found;
        let need = |value: Option<Text>, parameter| value.ok_or(AuthError::Missing { parameter });
        let username = match (username, extended) {
            (Some(_), Some(_)) => return Err(AuthError::BothUsernames),
            (None, Some(extended)) => decode_extended(&extended)?,
            (username, None) => need(username, "username")?,
        };
        let username = if hashed { Username::Hashed(username) } else { Username::Plain(username) };
        let algorithm = match algorithm {
            None => None,
            Some(name) => {
                let spelling = name.text().into_owned();
                let known = Algorithm::from_name(&spelling)
                    .ok_or(AuthError::Invalid { parameter: "algorithm", found: spelling.clone() })?;
                Some((known, spelling))
            }
        };
        let protected = match qop {
            None => None,
            Some(qop) => {
                let name = qop.text().into_owned();
                let qop =
                    Qop::from_name(&name).ok_or(AuthError::Invalid { parameter: "qop", found: name })?;
                let nc = need(nc, "nc")?.text().into_owned();
                if NonceCount::parse(&nc).is_none() {
                    return Err(AuthError::Invalid { parameter: "nc", found: nc });
                }
                Some(Protected { qop, cnonce: need(cnonce, "cnonce")?, nc })
            }
        };
        Ok(DigestCredentials {
            username,
            realm: need(realm, "realm")?,
            nonce: need(nonce, "nonce")?,
            uri: need(uri, "uri")?,
            response: need(response, "response")?,
            algorithm,
            protected,
            opaque,
        })
    }
}

/// `UTF-8''J%C3%A4s` of RFC 5987 §3.2.
fn decode_extended(value: &Text) -> Result<Text, AuthError> {
    let written = value.text();
    let invalid = || AuthError::Invalid { parameter: "username*", found: written.clone().into_owned() };
    let (charset, rest) = written.split_once('\'').ok_or_else(invalid)?;
    let (_language, encoded) = rest.split_once('\'').ok_or_else(invalid)?;
    if !charset.eq_ignore_ascii_case("UTF-8") {
        return Err(invalid());
    }
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut input = encoded.bytes();
    while let Some(byte) = input.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || input.next().and_then(|b| char::from(b).to_digit(16));
        let (high, low) = digit().zip(digit()).ok_or_else(invalid)?;
        bytes.push(u8::try_from(high << 4 | low).unwrap_or_default());
    }
    let name = String::from_utf8(bytes).map_err(|_| invalid())?;
    Text::new("username*", &name)
}

impl fmt::Display for DigestCredentials {
    /// Quoted as RFC 7616 §3.4 wants it: algorithm, qop and nc bare, the rest in quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, hashed) = match &self.username {
            Username::Plain(name) => (name, false),
            Username::Hashed(name) => (name, true),
        };
        write!(f, "Digest username={name}, realm={}, nonce={}", self.realm, self.nonce)?;
        write!(f, ", uri={}, response={}", self.uri, self.response)?;
        if let Some((_, spelling)) = &self.algorithm {
            write!(f, ", algorithm={spelling}")?;
        }
        if let Some(Protected { qop, cnonce, nc }) = &self.protected {
            write!(f, ", cnonce={cnonce}, qop={qop}, nc={nc}")?;
        }
        if let Some(opaque) = &self.opaque {
            write!(f, ", opaque={opaque}")?;
        }
        if hashed {
            f.write_str(", userhash=true")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = r#"Digest username="u", realm="r", nonce="n", uri="sip:x", response="00""#;

    fn digest(value: &str) -> Result<DigestCredentials, AuthError> {
        match Credentials::parse(value)? {
            Credentials::Digest(digest) => Ok(digest),
            Credentials::Other(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_required_parameter_is_missed_by_its_name() {
        for parameter in ["username", "realm", "nonce", "uri", "response"] {
            let renamed = BASE.replace(&format!("{parameter}="), "x=");
            assert_eq!(digest(&renamed), Err(AuthError::Missing { parameter }));
        }
    }

    #[test]
    fn qop_needs_cnonce_and_nc() {
        let missing = |parameter| Err(AuthError::Missing { parameter });
        assert_eq!(digest(&format!("{BASE}, qop=auth, cnonce=\"c\"")), missing("nc"));
        assert_eq!(digest(&format!("{BASE}, qop=auth, nc=00000001")), missing("cnonce"));
    }

    #[test]
    fn values_that_a_parameter_cannot_have_are_named() {
        for (added, parameter, found) in [
            ("qop=auth-conf, cnonce=\"c\", nc=00000001", "qop", "auth-conf"),
            ("qop=auth, cnonce=\"c\", nc=1", "nc", "1"),
            ("algorithm=SHA-1", "algorithm", "SHA-1"),
        ] {
            let expected = AuthError::Invalid { parameter, found: found.into() };
            assert_eq!(digest(&format!("{BASE}, {added}")), Err(expected));
        }
    }

    /// AUTH-18
    #[test]
    fn username_and_its_extended_form_together_are_an_error() {
        let both = format!("{BASE}, username*=UTF-8''u");
        assert_eq!(digest(&both), Err(AuthError::BothUsernames));
    }

    /// RFC 7616 §3.9.2, last example
    #[test]
    fn the_extended_username_is_decoded() {
        let value = BASE.replace(r#"username="u""#, "username*=UTF-8''J%C3%A4s%C3%B8n%20Doe");
        assert!(digest(&value).unwrap().is_for("Jäsøn Doe"));
        for bad in ["u", "UTF-8'u", "latin1''u", "UTF-8''%C3", "UTF-8''%4", "UTF-8''%zz"] {
            let value = BASE.replace(r#"username="u""#, &format!("username*={bad}"));
            let invalid = AuthError::Invalid { parameter: "username*", found: bad.into() };
            assert_eq!(digest(&value), Err(invalid));
        }
    }

    #[test]
    fn an_extended_username_cannot_smuggle_a_line_break() {
        let value = BASE.replace(r#"username="u""#, "username*=UTF-8''a%0D%0AVia:%20x");
        let unwritable = AuthError::Unwritable { parameter: "username*", found: Some('\r') };
        assert_eq!(digest(&value), Err(unwritable));
    }

    #[test]
    fn two_schemes_in_one_value_are_refused() {
        let error = Credentials::parse(&format!("{BASE}, NTLM")).unwrap_err();
        assert_eq!(error, AuthError::TooMany { what: "schemes", limit: 1 });
    }

    /// AUTH-03
    #[test]
    fn basic_credentials_are_no_digest() {
        let Credentials::Other(basic) = Credentials::parse("Basic YWxpY2U6cHc=").unwrap() else { panic!() };
        assert_eq!((basic.scheme(), basic.token68()), ("Basic", Some("YWxpY2U6cHc=")));
    }
}
