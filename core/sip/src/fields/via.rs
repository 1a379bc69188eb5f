//! Via (RFC 3261 §20.42).

use super::{At, FieldValue};
use crate::defect::{Fault, Problem};
use crate::lex::Cursor;
use crate::uri::{take_host, take_port};
use crate::writer::push_number;
use crate::{Header, Params};
use std::borrow::Cow;
use std::fmt;

/// The cookie at the beginning of a branch that is unique in space and time (RFC 3261 §8.1.1.7).
const MAGIC_COOKIE: &str = "z9hG4bK";

/// One value of `Via`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// `TLS`, `TCP`, … as received.
    pub transport: Cow<'a, str>,
    /// Where responses go.
    pub sent_by: SentBy<'a>,
    /// Parameters.
    pub params: Params<'a>,
}

/// The host and port of a Via.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentBy<'a> {
    /// A host name or address, an IPv6 address in its brackets.
    pub host: Cow<'a, str>,
    /// The port, if given.
    pub port: Option<u16>,
}

impl Via<'static> {
    /// The Via of a request that leaves over TLS from `local`.
    pub fn tls(local: std::net::SocketAddr, params: Params<'static>) -> Self {
        let host = match local.ip().to_canonical() {
            std::net::IpAddr::V4(address) => address.to_string(),
            std::net::IpAddr::V6(address) => format!("[{address}]"),
        };
        Via {
            transport: "TLS".into(),
            sent_by: SentBy { host: host.into(), port: Some(local.port()) },
            params,
        }
    }
}

impl Via<'_> {
    /// The `branch` parameter.
    pub fn branch(&self) -> Option<Cow<'_, str>> {
        self.params.value("branch")
    }

    /// The branch if it identifies the transaction: it begins with the magic cookie, in any case, and goes on
    /// (RFC 3261 §17.2.3; one that ends with the cookie says nothing, RFC 4475 §3.2.1).
    pub fn transaction_branch(&self) -> Option<Cow<'_, str>> {
        let branch = self.branch()?;
        let (cookie, rest) = branch.split_at_checked(MAGIC_COOKIE.len())?;
        (cookie.eq_ignore_ascii_case(MAGIC_COOKIE) && !rest.is_empty()).then_some(branch)
    }

    /// Whether the branch is the magic cookie and nothing else: it promises to be unique and is not (RFC 4475 §3.2.1).
    pub fn branch_is_bare_cookie(&self) -> bool {
        self.branch().is_some_and(|branch| branch.eq_ignore_ascii_case(MAGIC_COOKIE))
    }

    /// Prints the value, past the formatter.
    pub(crate) fn append(&self, out: &mut String) {
        for part in ["SIP/2.0/", &self.transport, " ", &self.sent_by.host] {
            out.push_str(part);
        }
        if let Some(port) = self.sent_by.port {
            out.push(':');
            push_number(out, port.into());
        }
        out.push_str(self.params.as_str());
    }

    /// The same value, owning its text.
    pub fn into_owned(self) -> Via<'static> {
        Via {
            transport: Cow::Owned(self.transport.into_owned()),
            sent_by: SentBy { host: Cow::Owned(self.sent_by.host.into_owned()), port: self.sent_by.port },
            params: self.params.into_owned(),
        }
    }
}

/// `protocol-name SLASH protocol-version SLASH`.
fn protocol(cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    let at = cursor.at();
    let protocol = cursor.token().ok_or(Fault::new(at, Problem::Token))?;
    let slash = cursor.eat_spaced(b'/');
    let version = cursor.token();
    if !slash || !protocol.eq_ignore_ascii_case("SIP") || version != Some("2.0") {
        return Err(Fault::new(at, Problem::Version));
    }
    if cursor.eat_spaced(b'/') { Ok(()) } else { Err(Fault::new(cursor.at(), Problem::Malformed)) }
}

impl<'a> FieldValue<'a> for Via<'a> {
    const HEADER: Header = Header::Via;
    const LIST: bool = true;

    #[inline(always)]
    fn read(At(cursor): &mut At<'a>) -> Result<Self, Fault> {
        // As nearly everybody writes it; else with white space, and in any case.
        if cursor.rest().starts_with("SIP/2.0/") {
            cursor.advance("SIP/2.0/".len());
        } else {
            protocol(cursor)?;
        }
        let transport = cursor.token().ok_or(Fault::new(cursor.at(), Problem::Token))?;
        let before = cursor.at();
        cursor.skip_wsp();
        if cursor.at() == before {
            return Err(Fault::new(before, Problem::Malformed));
        }
        let host = take_host(cursor)?;
        let port = if cursor.eat_spaced(b':') { Some(take_port(cursor)?) } else { None };
        let params = Params::read(cursor)?;
        Ok(Via { transport: transport.into(), sent_by: SentBy { host: host.into(), port }, params })
    }
}

impl fmt::Display for SentBy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

impl fmt::Display for Via<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.append(&mut out);
        f.write_str(&out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_may_stand_anywhere_it_may() {
        let via = Via::parse("SIP  / 2.0 / TLS    [2001:db8::9:1] : 5061 ;rport; branch = z9hG4bKa").unwrap();
        assert_eq!(via.to_string(), "SIP/2.0/TLS [2001:db8::9:1]:5061 ;rport; branch = z9hG4bKa");
        assert_eq!(via.transaction_branch().unwrap(), "z9hG4bKa");
        assert_eq!(via.params.get("rport"), Some(None));
    }

    #[test]
    fn a_branch_that_is_only_the_cookie_names_no_transaction() {
        assert_eq!(Via::parse("SIP/2.0/UDP a;branch=z9hG4bK").unwrap().transaction_branch(), None);
    }

    #[test]
    fn defects_are_refused() {
        for text in [
            "SIP/2.0/UDP",
            "SIP/3.0/UDP a",
            "HTTP/2.0/TCP a",
            "SIP/2.0 a",
            "SIP/2.0/UDP a b",
            "SIP/2.0/UDP ::1",
        ] {
            assert!(Via::parse(text).is_err(), "{text}");
        }
    }
}
