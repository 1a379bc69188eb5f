//! Authentication-Info and Proxy-Authentication-Info: the server's half (RFC 7616 §3.5).

use super::digest::same_digest;
use super::{AuthError, DigestCredentials, Exchange, Ha1, NonceCount, Protection, Qop, Text, scan};
use std::fmt;
use thiserror::Error;

/// What a server says after a request that it accepted. Its `Display` is the header value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuthenticationInfo {
    /// The nonce for the next request.
    pub nextnonce: Option<Text>,
    /// The protection applied to the response.
    pub qop: Option<Qop>,
    /// The server's own digest.
    pub rspauth: Option<Text>,
    /// The client's nonce of the request.
    pub cnonce: Option<Text>,
    /// The nonce count of the request.
    pub nc: Option<NonceCount>,
}

/// What a checked Authentication-Info proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerProof {
    /// The server knows the password.
    Given,
    /// Nothing: it sent no `rspauth`, which is optional.
    Absent,
}

/// Why an Authentication-Info proves that something is wrong. Neither digest is told.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ServerMismatch {
    /// `cnonce` is missing beside qop, or not that of the request.
    #[error("cnonce of the response is not that of the request ({expected:?}): {found:?}")]
    Cnonce {
        /// What was sent.
        expected: String,
        /// What came back.
        found: Option<String>,
    },
    /// `nc` is missing beside qop, or not that of the request.
    #[error("nonce count of the response is not that of the request ({expected}): {found:?}")]
    NonceCount {
        /// What was sent.
        expected: NonceCount,
        /// What came back.
        found: Option<NonceCount>,
    },
    /// A protection for an answer that had none.
    #[error("the response claims {found} although the request had no qop")]
    Qop {
        /// What came back.
        found: Qop,
    },
    /// The digest is wrong: the server does not know the password, or the body was changed on its way.
    #[error("the server's digest (rspauth) is wrong")]
    Response,
}

impl AuthenticationInfo {
    /// Reads a header value; parameters that RFC 7616 does not define are ignored.
    ///
    /// # Errors
    /// Malformed text, a parameter twice, a `qop` or `nc` of an impossible value.
    pub fn parse(value: &str) -> Result<Self, AuthError> {
        let mut info = AuthenticationInfo::default();
        for param in scan::params(value)? {
            let text = param.value.text().into_owned();
            match param.name.to_ascii_lowercase().as_str() {
                "nextnonce" => info.nextnonce = Some(param.value),
                "rspauth" => info.rspauth = Some(param.value),
                "cnonce" => info.cnonce = Some(param.value),
                "qop" => {
                    let qop = Qop::from_name(&text);
                    info.qop = Some(qop.ok_or(AuthError::Invalid { parameter: "qop", found: text })?);
                }
                "nc" => {
                    let nc = NonceCount::parse(&text);
                    info.nc = Some(nc.ok_or(AuthError::Invalid { parameter: "nc", found: text })?);
                }
                _ => {}
            }
        }
        Ok(info)
    }

    pub(super) fn check(
        &self,
        request: &DigestCredentials,
        ha1: &Ha1,
        body: &[u8],
    ) -> Result<ServerProof, ServerMismatch> {
        let Some(rspauth) = &self.rspauth else { return Ok(ServerProof::Absent) };
        let expected = match (request.cnonce(), request.nc()) {
            (Some(cnonce), Some(nc)) => {
                // Both must stand beside qop; without it, what is repeated must still be right.
                if (self.qop.is_some() || self.cnonce.is_some()) && self.cnonce.as_ref() != Some(cnonce) {
                    let found = self.cnonce.as_ref().map(|c| c.text().into_owned());
                    return Err(ServerMismatch::Cnonce { expected: cnonce.text().into_owned(), found });
                }
                if (self.qop.is_some() || self.nc.is_some()) && self.nc != Some(nc) {
                    return Err(ServerMismatch::NonceCount { expected: nc, found: self.nc });
                }
                request.with_exchange(|exchange| {
                    let protection =
                        exchange.protection.map(|p| Protection { qop: self.qop.unwrap_or(p.qop), ..p });
                    ha1.rspauth(&Exchange { protection, ..*exchange }, body)
                })
            }
            _ => {
                if let Some(found) = self.qop {
                    return Err(ServerMismatch::Qop { found });
                }
                request.with_exchange(|exchange| ha1.rspauth(exchange, body))
            }
        };
        if same_digest(&expected, &rspauth.text()) {
            Ok(ServerProof::Given)
        } else {
            Err(ServerMismatch::Response)
        }
    }
}

impl fmt::Display for AuthenticationInfo {
    /// Quoted as RFC 7616 §3.5 wants it: qop and nc bare, the rest in quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |name, value: &Option<Text>| value.as_ref().map(|v| format!("{name}={v}"));
        let items = [
            quoted("nextnonce", &self.nextnonce),
            self.qop.map(|qop| format!("qop={qop}")),
            quoted("rspauth", &self.rspauth),
            quoted("cnonce", &self.cnonce),
            self.nc.map(|nc| format!("nc={nc}")),
        ];
        f.write_str(&items.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;
    use crate::auth::{Algorithm, Answer, DigestChallenge, Login, Target};

    fn answer(qop: &[Qop]) -> Answer {
        let challenge =
            DigestChallenge::new("r", "n").unwrap().with_algorithm(Algorithm::Sha256).with_qop(qop);
        let login = Login { username: "alice", password: &Secret::new("pw") };
        let target = Target { method: "MESSAGE", uri: "sip:bob@example.test", body: b"hi" };
        Answer::new(&challenge, login, target, "c", NonceCount::new(2)).unwrap()
    }

    fn info(answer: &Answer, password: &str, body: &[u8]) -> AuthenticationInfo {
        let credentials = answer.credentials();
        let rspauth = credentials.rspauth("alice", &Secret::new(password), body);
        AuthenticationInfo {
            nextnonce: None,
            qop: credentials.qop(),
            rspauth: Some(Text::new("rspauth", &rspauth).unwrap()),
            cnonce: credentials.cnonce().cloned(),
            nc: credentials.nc(),
        }
    }

    /// AUTH-24
    #[test]
    fn a_server_that_knows_the_password_proves_it() {
        for qop in [&[Qop::Auth][..], &[Qop::AuthInt], &[]] {
            let answer = answer(qop);
            assert_eq!(answer.check(&info(&answer, "pw", b"ok"), b"ok"), Ok(ServerProof::Given));
            assert_eq!(answer.check(&info(&answer, "px", b"ok"), b"ok"), Err(ServerMismatch::Response));
        }
    }

    /// AUTH-24
    #[test]
    fn only_auth_int_covers_the_body_of_the_response() {
        let (auth, auth_int) = (answer(&[Qop::Auth]), answer(&[Qop::AuthInt]));
        assert_eq!(auth.check(&info(&auth, "pw", b"ok"), b"changed"), Ok(ServerProof::Given));
        assert_eq!(auth_int.check(&info(&auth_int, "pw", b"ok"), b"changed"), Err(ServerMismatch::Response));
    }

    /// AUTH-24
    #[test]
    fn a_proof_for_another_request_is_none() {
        let answer = answer(&[Qop::Auth]);
        let good = info(&answer, "pw", b"");
        let other = AuthenticationInfo { cnonce: Some(Text::new("cnonce", "d").unwrap()), ..good.clone() };
        let mismatch = ServerMismatch::Cnonce { expected: "c".into(), found: Some("d".into()) };
        assert_eq!(answer.check(&other, b""), Err(mismatch));
        let other = AuthenticationInfo { nc: Some(NonceCount::FIRST), ..good };
        let mismatch =
            ServerMismatch::NonceCount { expected: NonceCount::new(2), found: Some(NonceCount::FIRST) };
        assert_eq!(answer.check(&other, b""), Err(mismatch));
    }

    #[test]
    fn qop_demands_cnonce_and_nc_beside_rspauth() {
        let answer = answer(&[Qop::Auth]);
        let bare = AuthenticationInfo { cnonce: None, ..info(&answer, "pw", b"") };
        assert_eq!(
            answer.check(&bare, b""),
            Err(ServerMismatch::Cnonce { expected: "c".into(), found: None })
        );
    }

    #[test]
    fn a_protection_that_the_request_did_not_have_is_reported() {
        let answer = answer(&[]);
        let claimed = AuthenticationInfo { qop: Some(Qop::AuthInt), ..info(&answer, "pw", b"") };
        assert_eq!(answer.check(&claimed, b""), Err(ServerMismatch::Qop { found: Qop::AuthInt }));
    }

    /// AUTH-17
    #[test]
    fn a_next_nonce_alone_is_read_and_proves_nothing() {
        let info = AuthenticationInfo::parse(r#"nextnonce="47364c23432d2e131a5fb210812c""#).unwrap();
        assert_eq!(info.nextnonce.as_ref().unwrap(), "47364c23432d2e131a5fb210812c");
        assert_eq!(answer(&[Qop::Auth]).check(&info, b""), Ok(ServerProof::Absent));
    }

    #[test]
    fn a_written_value_is_read_as_it_was() {
        let mut info = info(&answer(&[Qop::Auth]), "pw", b"");
        info.nextnonce = Some(Text::new("nextnonce", r#"n"2"#).unwrap());
        assert_eq!(AuthenticationInfo::parse(&info.to_string()), Ok(info));
    }

    #[test]
    fn impossible_values_are_named() {
        for (value, parameter, found) in [("qop=auth-conf", "qop", "auth-conf"), ("nc=1", "nc", "1")] {
            let expected = AuthError::Invalid { parameter, found: found.into() };
            assert_eq!(AuthenticationInfo::parse(value), Err(expected));
        }
    }
}
