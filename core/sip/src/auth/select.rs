//! Which challenges to answer (RFC 8760 §2.4, RFC 3261 §22.3).

use super::{Algorithm, Challenge, DigestChallenge, MAX_CHALLENGES};
use thiserror::Error;

/// What the account allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Whether MD5 may be used, which RFC 8760 §3 does not recommend. On by default, because most
    /// registrars know nothing else.
    pub allow_md5: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Policy { allow_md5: true }
    }
}

/// Why a challenge is not answered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Unsupported {
    /// A scheme that is not Digest.
    #[error("authentication scheme {scheme:?} is not supported")]
    Scheme {
        /// Its name as written.
        scheme: String,
        /// Its realm, if it has one.
        realm: Option<String>,
    },
    /// An algorithm that we do not know.
    #[error("digest algorithm {name:?} of realm {realm:?} is not supported")]
    Algorithm {
        /// The realm.
        realm: String,
        /// The algorithm.
        name: String,
    },
    /// Protections of which we know none.
    #[error("realm {realm:?} offers no protection (qop) that is supported, only {offered:?}")]
    Qop {
        /// The realm.
        realm: String,
        /// The protections.
        offered: Vec<String>,
    },
    /// MD5, which the policy forbids.
    #[error("realm {realm:?} asks for MD5, which the account forbids")]
    Md5Forbidden {
        /// The realm.
        realm: String,
    },
    /// A `-sess` algorithm without qop: its key needs a cnonce, which RFC 3261 §22.4 forbids to send then.
    #[error("realm {realm:?} asks for {algorithm} without qop, which cannot be computed")]
    SessionWithoutQop {
        /// The realm.
        realm: String,
        /// The algorithm.
        algorithm: Algorithm,
    },
}

/// What [`select`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection<'a> {
    chosen: Vec<&'a DigestChallenge>,
    ignored: Vec<Unsupported>,
}

impl<'a> Selection<'a> {
    /// One challenge for each realm that has a usable one, in the order of the header fields. All are
    /// answered for whose realm there are credentials.
    pub fn chosen(&self) -> &[&'a DigestChallenge] {
        &self.chosen
    }

    /// The challenges that were passed over, with the reason. If nothing was chosen, this says why.
    pub fn ignored(&self) -> &[Unsupported] {
        &self.ignored
    }
}

/// Chooses, for every realm, the topmost challenge that we support and `policy` permits. `challenges` are
/// those of all header fields of one name in their order; 401 and 407 are looked at apart.
pub fn select<'a>(challenges: impl IntoIterator<Item = &'a Challenge>, policy: Policy) -> Selection<'a> {
    let mut selection = Selection { chosen: Vec::new(), ignored: Vec::new() };
    for challenge in challenges {
        match challenge {
            Challenge::Digest(digest) => match digest.usable(policy) {
                Err(unsupported) => selection.ignored.push(unsupported),
                Ok(_) if selection.chosen.iter().any(|c| c.realm() == digest.realm()) => {}
                // Nobody has credentials for more realms than one header value may name.
                Ok(_) if selection.chosen.len() >= MAX_CHALLENGES => {}
                Ok(_) => selection.chosen.push(digest),
            },
            Challenge::Other(other) => {
                let realm = other.parameter("realm").map(|realm| realm.text().into_owned());
                selection.ignored.push(Unsupported::Scheme { scheme: other.scheme().to_owned(), realm });
            }
        }
    }
    selection
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonces(value: &str, policy: Policy) -> (Vec<String>, Vec<Unsupported>) {
        let challenges = Challenge::parse_all(value).unwrap();
        let selection = select(&challenges, policy);
        let nonces = selection.chosen().iter().map(|c| c.nonce().text().into_owned()).collect();
        (nonces, selection.ignored().to_vec())
    }

    /// AUTH-05
    #[test]
    fn the_topmost_supported_challenge_of_a_realm_is_chosen() {
        let value = r#"Digest realm="r", nonce="1", algorithm=SHA3-256, Digest realm="r", nonce="2", algorithm=SHA-256, Digest realm="r", nonce="3", algorithm=MD5"#;
        let (chosen, ignored) = nonces(value, Policy::default());
        assert_eq!(chosen, ["2"]);
        assert_eq!(ignored, [Unsupported::Algorithm { realm: "r".into(), name: "SHA3-256".into() }]);
    }

    /// AUTH-05: the server's order counts, not our opinion of the algorithms.
    #[test]
    fn md5_above_sha_256_is_chosen_unless_forbidden() {
        let value = r#"Digest realm="r", nonce="1", Digest realm="r", nonce="2", algorithm=SHA-256"#;
        assert_eq!(nonces(value, Policy::default()).0, ["1"]);
        let (chosen, ignored) = nonces(value, Policy { allow_md5: false });
        assert_eq!(chosen, ["2"]);
        assert_eq!(ignored, [Unsupported::Md5Forbidden { realm: "r".into() }]);
    }

    /// AUTH-23
    #[test]
    fn md5_sess_is_forbidden_with_md5() {
        let value = r#"Digest realm="r", nonce="1", algorithm=MD5-sess, qop="auth""#;
        let (chosen, ignored) = nonces(value, Policy { allow_md5: false });
        assert!(chosen.is_empty());
        assert_eq!(ignored, [Unsupported::Md5Forbidden { realm: "r".into() }]);
    }

    /// AUTH-06
    #[test]
    fn every_realm_has_its_own_choice_in_the_order_of_the_header() {
        let value = r#"Digest realm="b", nonce="1", Digest realm="a", nonce="2", Digest realm="b", nonce="3", Digest realm="B", nonce="4""#;
        assert_eq!(nonces(value, Policy::default()).0, ["1", "2", "4"]);
    }

    #[test]
    fn realms_are_limited() {
        let challenge = |n| Challenge::Digest(DigestChallenge::new(&format!("r{n}"), "n").unwrap());
        let challenges: Vec<_> = (0..=MAX_CHALLENGES).map(challenge).collect();
        assert_eq!(select(&challenges, Policy::default()).chosen().len(), MAX_CHALLENGES);
    }

    /// AUTH-03, I-29
    #[test]
    fn schemes_that_are_not_digest_are_listed() {
        let (chosen, ignored) = nonces(r#"NTLM realm="x", TLS-DSK, Basic realm="y""#, Policy::default());
        assert!(chosen.is_empty());
        let scheme = |scheme: &str, realm: Option<&str>| Unsupported::Scheme {
            scheme: scheme.into(),
            realm: realm.map(Into::into),
        };
        assert_eq!(ignored, [scheme("NTLM", Some("x")), scheme("TLS-DSK", None), scheme("Basic", Some("y"))]);
    }
}
