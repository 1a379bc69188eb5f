//! From a challenge to the credentials that answer it, and back to the server's own proof.

use super::credentials::Protected;
use super::digest::nfc;
use super::info::{AuthenticationInfo, ServerMismatch, ServerProof};
use super::text::writable;
use super::{AuthError, DeclaredAlgorithm, DigestChallenge, DigestCredentials, Exchange, Ha1, NonceCount};
use super::{Policy, Protection, Text, Username, userhash};
use crate::Secret;
use crate::lex::is_token;
use std::fmt;
use zeroize::Zeroizing;

/// Who answers a challenge.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// The name in the server's realm.
    pub username: &'a str,
    /// The password.
    pub password: &'a Secret,
}

/// The request for which a challenge is answered.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The method.
    pub method: &'a str,
    /// The Request-URI, byte for byte as it is sent.
    pub uri: &'a str,
    /// The body, empty if there is none.
    pub body: &'a [u8],
}

/// An answered challenge: its `Display` is the value of Authorization (for 401) or Proxy-Authorization
/// (for 407), and [`Answer::check`] judges what the server says in return.
#[derive(Debug, Clone)]
pub struct Answer {
    credentials: DigestCredentials,
    ha1: Ha1,
}

impl Answer {
    /// Answers `challenge`. Whether its realm may have these credentials, and whether MD5 is allowed, has
    /// been decided before (see [`super::select`]).
    ///
    /// `cnonce` is fresh and cannot be guessed; with a `-sess` algorithm it stays the same for as long as
    /// the challenge is used (RFC 7616 §3.4.2). `nc` counts the requests with this nonce. Neither is used
    /// if the challenge has no `qop`.
    ///
    /// # Errors
    /// [`AuthError::Unsupported`] for a challenge that cannot be answered, [`AuthError::Unwritable`] for a
    /// value that a header cannot carry: control characters, a space in the URI, a method that is no token,
    /// a cnonce that is empty or not ASCII.
    pub fn new(
        challenge: &DigestChallenge,
        login: Login<'_>,
        target: Target<'_>,
        cnonce: &str,
        nc: NonceCount,
    ) -> Result<Self, AuthError> {
        let (algorithm, qop) = challenge.usable(Policy { allow_md5: true })?;
        let Target { method, uri, body } = target;
        check_target(method, uri, cnonce)?;
        let (realm, nonce) = (challenge.realm().text(), challenge.nonce().text());
        let normalized: Option<(Zeroizing<String>, Secret)> = challenge
            .utf8()
            .then(|| (nfc(login.username), Secret::new(std::mem::take(&mut *nfc(login.password.expose())))));
        let (username, password) = match &normalized {
            Some((username, password)) => (username.as_str(), password),
            None => (login.username, login.password),
        };
        writable("username", username)?;
        let ha1 = Ha1::new(algorithm, username, &realm, password)
            .into_session(&challenge.session_nonce().text(), cnonce);
        let nc = nc.to_string();
        let protection = qop.map(|qop| Protection { qop, cnonce, nc: &nc });
        let response = ha1.response(&Exchange { nonce: &nonce, uri, protection }, method, body);
        let username = if challenge.userhash() {
            Username::Hashed(Text::new("username", &userhash(algorithm, username, &realm))?)
        } else {
            Username::Plain(Text::new("username", username)?)
        };
        let protected = match qop {
            Some(qop) => Some(Protected { qop, cnonce: Text::new("cnonce", cnonce)?, nc }),
            None => None,
        };
        let algorithm = match challenge.algorithm() {
            DeclaredAlgorithm::Known { algorithm, spelling, .. } => Some((*algorithm, spelling.clone())),
            DeclaredAlgorithm::Absent | DeclaredAlgorithm::Unknown(_) => None,
        };
        let credentials = DigestCredentials {
            username,
            realm: challenge.realm().clone(),
            nonce: challenge.nonce().clone(),
            uri: Text::new("uri", uri)?,
            response: Text::new("response", &response)?,
            algorithm,
            protected,
            opaque: challenge.opaque().cloned(),
        };
        Ok(Answer { credentials, ha1 })
    }

    /// What is sent.
    pub fn credentials(&self) -> &DigestCredentials {
        &self.credentials
    }

    /// Whether the server of a response with `body` proved that it knows the password (RFC 7616 §3.5).
    ///
    /// # Errors
    /// What in `info` does not belong to this answer, or that its `rspauth` is wrong.
    pub fn check(&self, info: &AuthenticationInfo, body: &[u8]) -> Result<ServerProof, ServerMismatch> {
        info.check(&self.credentials, &self.ha1, body)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.credentials.fmt(f)
    }
}

/// The value of Authorization with which a token answers a Bearer challenge (RFC 8898 §2.1.4).
///
/// # Errors
/// [`AuthError::Unwritable`] for a token that is empty or holds a character that RFC 6750 §2.1 does not
/// allow; the character is not told, for it is part of a secret.
pub fn bearer(token: &Secret) -> Result<Zeroizing<String>, AuthError> {
    let bytes = token.expose().trim_end_matches('=').as_bytes();
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"-._~+/".contains(b);
    if bytes.is_empty() || !bytes.iter().all(allowed) {
        return Err(AuthError::Unwritable { parameter: "token", found: None });
    }
    let mut value = String::with_capacity(7 + token.expose().len());
    value.push_str("Bearer ");
    value.push_str(token.expose());
    Ok(Zeroizing::new(value))
}

fn check_target(method: &str, uri: &str, cnonce: &str) -> Result<(), AuthError> {
    let unwritable = |parameter, found| Err(AuthError::Unwritable { parameter, found });
    if !is_token(method) {
        return unwritable("method", method.chars().find(|c| !is_token(c.encode_utf8(&mut [0; 4]))));
    }
    let bad_in_uri = |c: &char| c.is_ascii_control() || matches!(c, ' ' | '"' | '\\' | '<' | '>');
    if uri.is_empty() || uri.chars().any(|c| bad_in_uri(&c)) {
        return unwritable("uri", uri.chars().find(bad_in_uri));
    }
    if cnonce.is_empty() || !cnonce.is_ascii() {
        return unwritable("cnonce", cnonce.chars().find(|c| !c.is_ascii()));
    }
    writable("cnonce", cnonce)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Algorithm, Challenge, Credentials, Qop, Unsupported};

    const TARGET: Target<'static> = Target { method: "REGISTER", uri: "sip:example.test", body: b"" };

    fn answer(challenge: &str, username: &str, target: Target<'_>) -> Result<Answer, AuthError> {
        let challenges = Challenge::parse_all(challenge).unwrap();
        let [Challenge::Digest(challenge)] = &challenges[..] else { panic!("{challenges:?}") };
        let login = Login { username, password: &Secret::new("pw") };
        Answer::new(challenge, login, target, "c0", NonceCount::new(10))
    }

    fn value(challenge: &str) -> String {
        answer(challenge, "alice", TARGET).unwrap().to_string()
    }

    /// AUTH-12, AUTH-13, AUTH-15
    #[test]
    fn what_must_be_quoted_is_and_what_must_not_is_not() {
        let value = value(r#"Digest realm="r", nonce="n", qop=auth, algorithm=SHA-256, opaque="o""#);
        let response = value.split("response=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(
            value,
            format!(
                "Digest username=\"alice\", realm=\"r\", nonce=\"n\", uri=\"sip:example.test\", \
                 response=\"{response}\", algorithm=SHA-256, cnonce=\"c0\", qop=auth, nc=0000000a, opaque=\"o\""
            )
        );
        assert_eq!(response.len(), 64);
    }

    /// AUTH-08, I-28
    #[test]
    fn the_algorithm_is_written_bare_as_the_challenge_spelt_it_and_only_if_it_did() {
        assert!(value(r#"Digest realm="r", nonce="n", algorithm="md5""#).contains(", algorithm=md5"));
        assert!(!value(r#"Digest realm="r", nonce="n""#).contains("algorithm"));
    }

    /// AUTH-11
    #[test]
    fn without_qop_the_old_form_is_sent() {
        let value = value(r#"Digest realm="r", nonce="n""#);
        for absent in ["qop", "nc=", "cnonce"] {
            assert!(!value.contains(absent), "{value}");
        }
    }

    /// AUTH-09
    #[test]
    fn auth_goes_before_auth_int() {
        assert!(value(r#"Digest realm="r", nonce="n", qop="auth-int,auth""#).contains(", qop=auth,"));
        assert!(value(r#"Digest realm="r", nonce="n", qop="auth-int""#).contains(", qop=auth-int,"));
    }

    /// AUTH-15: escapes go back as they came, and are hashed without their backslashes.
    #[test]
    fn escapes_in_realm_nonce_and_opaque_are_echoed_byte_for_byte() {
        let value = value(r#"Digest realm="a \"b\" \c", nonce="\n", opaque="\\""#);
        for kept in [r#"realm="a \"b\" \c""#, r#"nonce="\n""#, r#"opaque="\\""#] {
            assert!(value.contains(kept), "{value}");
        }
        let Credentials::Digest(credentials) = Credentials::parse(&value).unwrap() else { panic!() };
        let ha1 = Ha1::new(Algorithm::Md5, "alice", r#"a "b" c"#, &Secret::new("pw"));
        let exchange = Exchange { nonce: "n", uri: TARGET.uri, protection: None };
        assert_eq!(credentials.response().text(), ha1.response(&exchange, "REGISTER", b""));
    }

    /// AUTH-10
    #[test]
    fn auth_int_covers_the_body() {
        let challenge = r#"Digest realm="r", nonce="n", qop="auth-int", algorithm=SHA-512-256"#;
        let target = Target { method: "MESSAGE", uri: "sip:bob@example.test", body: b"hello\0\xff" };
        let answer = answer(challenge, "alice", target).unwrap();
        let credentials = answer.credentials();
        let password = Secret::new("pw");
        assert!(credentials.verify("alice", &password, "MESSAGE", b"hello\0\xff"));
        assert!(!credentials.verify("alice", &password, "MESSAGE", b"hello\0\xfe"));
        assert!(!credentials.verify("alice", &password, "MESSAGE", b""));
    }

    #[test]
    fn credentials_prove_user_password_and_method_for_every_algorithm_and_protection() {
        for algorithm in Algorithm::ALL {
            for qop in [Some(Qop::Auth), Some(Qop::AuthInt), None] {
                if algorithm.is_session() && qop.is_none() {
                    continue;
                }
                let challenge = DigestChallenge::new("r", "n").unwrap().with_algorithm(algorithm);
                let challenge = challenge.with_qop(qop.as_slice());
                let value = answer(&challenge.to_string(), "alice", TARGET).unwrap().to_string();
                let Credentials::Digest(read) = Credentials::parse(&value).unwrap() else { panic!() };
                let password = Secret::new("pw");
                assert!(read.verify("alice", &password, "REGISTER", b""), "{value}");
                assert!(!read.verify("bob", &password, "REGISTER", b""));
                assert!(!read.verify("alice", &Secret::new("pW"), "REGISTER", b""));
                assert!(!read.verify("alice", &password, "MESSAGE", b""));
            }
        }
    }

    #[test]
    fn credentials_that_name_another_user_are_not_those_of_the_one_who_made_them() {
        let value = value(r#"Digest realm="r", nonce="n", qop="auth""#).replace("alice", "bob");
        let Credentials::Digest(read) = Credentials::parse(&value).unwrap() else { panic!() };
        for username in ["alice", "bob"] {
            assert!(!read.verify(username, &Secret::new("pw"), "REGISTER", b""), "{username}");
        }
    }

    /// AUTH-18
    #[test]
    fn a_hashed_user_name_replaces_the_name() {
        let value = value(r#"Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256, userhash=true"#);
        assert!(value.ends_with(", userhash=true") && !value.contains("alice"), "{value}");
        let Credentials::Digest(read) = Credentials::parse(&value).unwrap() else { panic!() };
        assert!(read.verify("alice", &Secret::new("pw"), "REGISTER", b""));
        assert!(!read.is_for("bob"));
    }

    /// AUTH-19
    #[test]
    fn names_and_passwords_are_composed_only_if_the_server_asks() {
        let (composed, decomposed) = ("J\u{e4}s", "Ja\u{308}s");
        let asked = answer(r#"Digest realm="r", nonce="n", charset=UTF-8"#, decomposed, TARGET).unwrap();
        assert!(asked.credentials().is_for(composed));
        let not_asked = answer(r#"Digest realm="r", nonce="n""#, decomposed, TARGET).unwrap();
        assert!(not_asked.credentials().is_for(decomposed) && !not_asked.credentials().is_for(composed));
        let challenge = DigestChallenge::new("r", "n").unwrap().with_utf8(true);
        let login = Login { username: "u", password: &Secret::new(decomposed) };
        let answer = Answer::new(&challenge, login, TARGET, "c", NonceCount::FIRST).unwrap();
        assert!(answer.credentials().verify("u", &Secret::new(composed), "REGISTER", b""));
    }

    /// AUTH-17
    #[test]
    fn the_key_of_a_session_survives_the_next_nonce() {
        let challenge = DigestChallenge::new("r", "n1").unwrap().with_algorithm(Algorithm::Sha256Sess);
        let challenge =
            challenge.with_qop(&[Qop::Auth]).with_next_nonce(Text::new("nextnonce", "n2").unwrap());
        let password = Secret::new("pw");
        let login = Login { username: "alice", password: &password };
        let answer = Answer::new(&challenge, login, TARGET, "c", NonceCount::FIRST).unwrap();
        let session = Ha1::new(Algorithm::Sha256Sess, "alice", "r", &password).into_session("n1", "c");
        assert_eq!(answer.credentials().nonce(), &"n2");
        assert!(answer.credentials().verify_with(&session, "REGISTER", b""));
        assert!(!answer.credentials().verify("alice", &password, "REGISTER", b""));
    }

    #[test]
    fn a_session_algorithm_without_qop_cannot_be_answered() {
        let unsupported = Unsupported::SessionWithoutQop { realm: "r".into(), algorithm: Algorithm::Md5Sess };
        let error = answer(r#"Digest realm="r", nonce="n", algorithm=MD5-sess"#, "a", TARGET).unwrap_err();
        assert_eq!(error, AuthError::Unsupported(unsupported));
    }

    #[test]
    fn nothing_that_would_break_the_header_is_written() {
        let challenge = r#"Digest realm="r", nonce="n", qop=auth"#;
        let refused = |result: Result<Answer, AuthError>| match result.unwrap_err() {
            AuthError::Unwritable { parameter, found } => (parameter, found),
            other => panic!("{other}"),
        };
        assert_eq!(refused(answer(challenge, "a\r\nVia: x", TARGET)), ("username", Some('\r')));
        let hashed = format!("{challenge}, userhash=true");
        assert_eq!(refused(answer(&hashed, "a\0", TARGET)), ("username", Some('\0')));
        for (uri, found) in
            [("sip:a b", Some(' ')), ("sip:a\"", Some('"')), ("", None), ("sip:\n", Some('\n'))]
        {
            assert_eq!(refused(answer(challenge, "a", Target { uri, ..TARGET })), ("uri", found));
        }
        for (method, found) in [("", None), ("A B", Some(' ')), ("A:", Some(':'))] {
            assert_eq!(refused(answer(challenge, "a", Target { method, ..TARGET })), ("method", found));
        }
        let digest = DigestChallenge::new("r", "n").unwrap().with_qop(&[Qop::Auth]);
        let login = Login { username: "a", password: &Secret::new("p") };
        for (cnonce, found) in [("", None), ("é", Some('é')), ("a\n", Some('\n'))] {
            let result = Answer::new(&digest, login, TARGET, cnonce, NonceCount::FIRST);
            assert_eq!(refused(result), ("cnonce", found));
        }
    }

    /// AUTH-26
    #[test]
    fn a_bearer_token_is_written_whole_or_not_at_all() {
        assert_eq!(*bearer(&Secret::new("eyJ.a-b_c~/+==")).unwrap(), "Bearer eyJ.a-b_c~/+==");
        for bad in ["", "=", "a b", "a\r\n", "a=b", "é"] {
            let unwritable = AuthError::Unwritable { parameter: "token", found: None };
            assert_eq!(bearer(&Secret::new(bad)), Err(unwritable), "{bad:?}");
        }
    }

    #[test]
    fn no_secret_is_printed() {
        let answer = answer(r#"Digest realm="r", nonce="n""#, "alice", TARGET).unwrap();
        // md5("alice:r:pw"), as good as the password.
        let ha1 = userhash(Algorithm::Md5, "alice", "r:pw");
        let printed = format!("{answer:?}");
        assert!(printed.contains('…') && !printed.contains("pw") && !printed.contains(&ha1), "{printed}");
    }
}
