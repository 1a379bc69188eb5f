//! The addresses of revocation lists, as they stand in certificates.

use std::fmt;

use crate::net::Host;

/// Longest address that is followed, in bytes.
const MAX_LENGTH: usize = 2_048;
/// The port of `http:` (RFC 9110 §4.2.1).
const HTTP_PORT: u16 = 80;

/// An `http:` URL (RFC 9110 §4.2.1) without user information and fragment. It is printable ASCII throughout, so that it
/// can stand in a request and in a message to people as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HttpUrl {
    pub host: Host,
    pub port: u16,
    /// Host and port as they stand in the Host header.
    authority: String,
    /// Path and query, beginning with `/`.
    target: String,
}

/// Why a URL of a certificate is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotFollowed {
    /// `ldap:`, `https:` (whose certificate would want a list in turn), `file:` and others.
    Scheme,
    /// Not a URL, or one with user information or control characters.
    Malformed,
}

impl HttpUrl {
    pub fn parse(text: &str) -> Result<HttpUrl, NotFollowed> {
        const SCHEME: &str = "http:";
        let scheme = text.get(..SCHEME.len()).ok_or(NotFollowed::Scheme)?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Err(NotFollowed::Scheme);
        }
        Self::after_scheme(text.get(SCHEME.len()..).unwrap_or_default()).ok_or(NotFollowed::Malformed)
    }

    fn after_scheme(text: &str) -> Option<HttpUrl> {
        if text.len() > MAX_LENGTH || text.bytes().any(|byte| byte.is_ascii_control()) {
            return None;
        }
        let rest = text.strip_prefix("//")?;
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(end)?;
        let (host, port) = split_port(authority)?;
        // '@', '\' and '%' are in no name that `Host` accepts.
        let host: Host = host.parse().ok()?;
        let mut encoded = String::with_capacity(target.len() + 1);
        if !target.starts_with('/') {
            encoded.push('/');
        }
        for byte in target.bytes() {
            match byte {
                b'!'..=b'~' => encoded.push(char::from(byte)),
                other => encoded.push_str(&format!("%{other:02X}")),
            }
        }
        let shown = match &host {
            Host::Address(std::net::IpAddr::V6(address)) => format!("[{address}]"),
            other => other.to_string(),
        };
        let authority = if port == HTTP_PORT { shown } else { format!("{shown}:{port}") };
        Some(HttpUrl { host, port, authority, target: encoded })
    }

    /// The request that asks for it, on a connection that serves nothing else.
    pub fn request(&self) -> String {
        format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Aldis/{}\r\nAccept: application/pkix-crl, */*\r\n\
             Accept-Encoding: identity\r\nConnection: close\r\n\r\n",
            self.target,
            self.authority,
            env!("CARGO_PKG_VERSION")
        )
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.target)
    }
}

/// Host (an IPv6 address with its brackets) and port.
fn split_port(authority: &str) -> Option<(&str, u16)> {
    let after_host = match authority.strip_prefix('[') {
        Some(_) => authority.find(']')? + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at_checked(after_host)?;
    if !host.starts_with('[') && host.contains(']') {
        return None;
    }
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => HTTP_PORT,
        None => return None,
        // RFC 3986 §3.2.3 allows an empty port.
        Some("") => HTTP_PORT,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok().filter(|port| *port > 0)?
        }
        Some(_) => return None,
    };
    Some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_followed() {
        for (text, printed) in [
            ("http://crl.example.test/ca.crl", "http://crl.example.test/ca.crl"),
            ("HTTP://CRL.Example.Test:80", "http://crl.example.test/"),
            ("http://crl.example.test:8080/a%20b?x=1#part", "http://crl.example.test:8080/a%20b?x=1"),
            ("http://crl.example.test?issuer=1", "http://crl.example.test/?issuer=1"),
            ("http://crl.example.test/Corp CA\u{e9}.crl", "http://crl.example.test/Corp%20CA%C3%A9.crl"),
            ("http://pki/CertEnroll/CA.crl", "http://pki/CertEnroll/CA.crl"),
            ("http://192.0.2.1:/x", "http://192.0.2.1/x"),
            ("http://[2001:db8::1]:81/x", "http://[2001:db8::1]:81/x"),
        ] {
            assert_eq!(HttpUrl::parse(text).unwrap().to_string(), printed, "{text}");
        }
    }

    #[test]
    fn other_schemes_are_skipped() {
        for text in
            ["ldap:///CN=CA", "https://crl.example.test/", "ftp://x/", "file:///etc/passwd", "", "http"]
        {
            assert_eq!(HttpUrl::parse(text), Err(NotFollowed::Scheme), "{text}");
        }
    }

    #[test]
    fn what_could_mean_two_things_is_not_followed() {
        for text in [
            "http:crl.example.test/",
            "http:/crl.example.test/",
            "http:///x",
            "http://user@crl.example.test/",
            "http://user:word@crl.example.test/",
            "http://crl.example.test:0/",
            "http://crl.example.test:65536/",
            "http://crl.example.test:+80/",
            "http://crl.example.test\\@evil.test/",
            "http://crl.example.test/\r\nHost: evil.test",
            "http://crl.example.test/\u{0}",
            "http://[::1/",
            "http://[::1]x/",
            "http://::1/",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://127.1/",
        ] {
            assert_eq!(HttpUrl::parse(text), Err(NotFollowed::Malformed), "{text}");
        }
        let long = format!("http://crl.example.test/{}", "x".repeat(MAX_LENGTH));
        assert_eq!(HttpUrl::parse(&long), Err(NotFollowed::Malformed));
    }

    #[test]
    fn the_request_holds_one_line_per_header_and_the_port_where_it_is_another() {
        let request = HttpUrl::parse("http://crl.example.test:8080/a b").unwrap().request();
        assert!(request.starts_with("GET /a%20b HTTP/1.1\r\nHost: crl.example.test:8080\r\n"), "{request}");
        assert!(request.ends_with("\r\nConnection: close\r\n\r\n"));
        assert_eq!(request.matches("\r\n").count(), 7);
    }
}
