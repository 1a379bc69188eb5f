//! Equivalence of URIs (RFC 3261 §19.1.4, RFC 5954 §4.2).

use super::{PERCENT, Scheme, Uri, unescape_bytes};
use std::borrow::Cow;

/// The reserved set of RFC 3261 §25.1: its members are not equivalent to their escaped form.
const RESERVED: &[u8] = b";/?:@&=+$,";

/// Parameters that must stand in both URIs or in neither. RFC 3261 names user, ttl, method and maddr; transport
/// follows from "a URI omitting any component with a default value will not match a URI explicitly containing it".
const IN_BOTH: &[&str] = &["user", "ttl", "method", "maddr", "transport"];

/// Escapes decoded where the byte is not reserved; those that remain in upper case.
fn normal(text: &str, fold: bool) -> Cow<'_, [u8]> {
    let plain = !text.bytes().any(|b| b == PERCENT || (fold && b.is_ascii_uppercase()));
    if plain {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.as_bytes().first() {
        let length = if *first == PERCENT { rest.len().min(3) } else { 1 };
        let Some((unit, tail)) = rest.as_bytes().split_at_checked(length) else { break };
        let unit = String::from_utf8_lossy(unit);
        match unescape_bytes(&unit).as_slice() {
            [byte] if length == 1 || !RESERVED.contains(byte) && *byte != PERCENT => out.push(*byte),
            _ => out.extend(unit.bytes().map(|b| b.to_ascii_uppercase())),
        }
        rest = std::str::from_utf8(tail).unwrap_or_default();
    }
    if fold {
        out.make_ascii_lowercase();
    }
    Cow::Owned(out)
}

impl Uri<'_> {
    /// Whether both mean the same (RFC 3261 §19.1.4): user with case, host and parameters without, order of
    /// parameters and headers irrelevant, defaults not implied, IPv6 by value. sip and sips are never equivalent.
    /// URIs of other schemes are compared as text, the scheme without case.
    pub fn equivalent(&self, other: &Uri<'_>) -> bool {
        if self.scheme() != other.scheme() {
            return false;
        }
        match self.scheme() {
            Scheme::Sip | Scheme::Sips => self.sip_equivalent(other),
            _ => {
                let rest = |uri: &Uri<'_>| uri.as_str().split_once(':').map(|(_, rest)| rest.to_owned());
                self.scheme_text().eq_ignore_ascii_case(other.scheme_text()) && rest(self) == rest(other)
            }
        }
    }

    fn sip_equivalent(&self, other: &Uri<'_>) -> bool {
        let user = |uri: &Uri<'_>| uri.raw_user().map(|u| normal(u, false).into_owned());
        let password = |uri: &Uri<'_>| uri.password().map(|p| normal(p, false).into_owned());
        let same_host = match (self.host_address(), other.host_address()) {
            (Some(a), Some(b)) => a == b,
            (None, None) => self.host().zip(other.host()).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b)),
            _ => false,
        };
        user(self) == user(other)
            && password(self) == password(other)
            && same_host
            && self.port() == other.port()
            && self.params_agree(other)
            && other.params_agree(self)
            && self.headers_agree(other)
            && other.headers_agree(self)
    }

    /// Whether each parameter of ours is the same there, or may be absent there.
    fn params_agree(&self, other: &Uri<'_>) -> bool {
        self.raw_params().all(|(name, value)| {
            let folded = normal(name, true);
            let mut theirs = other.raw_params().filter(|(n, _)| normal(n, true) == folded);
            match theirs.next() {
                Some((_, their)) => value.map(|v| normal(v, true)) == their.map(|v| normal(v, true)),
                None => !IN_BOTH.iter().any(|must| must.as_bytes() == folded.as_ref()),
            }
        })
    }

    /// Whether each header of ours stands there too.
    fn headers_agree(&self, other: &Uri<'_>) -> bool {
        self.raw_headers().all(|(name, value)| {
            other.raw_headers().any(|(n, v)| {
                normal(n, true) == normal(name, true) && normal(v, false) == normal(value, false)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equivalent(a: &str, b: &str) -> bool {
        let (a, b) = (Uri::parse(a).unwrap(), Uri::parse(b).unwrap());
        assert_eq!(a.equivalent(&b), b.equivalent(&a), "{a} {b}");
        a.equivalent(&b)
    }

    #[test]
    fn the_examples_of_section_19_1_4_that_are_equivalent_wire_07() {
        for (a, b) in [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
            ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
            ("sip:a@[2001:db8::1]", "sip:a@[2001:0DB8:0::1]"),
        ] {
            assert!(equivalent(a, b), "{a} {b}");
        }
    }

    #[test]
    fn the_examples_of_section_19_1_4_that_differ_wire_07() {
        for (a, b) in [
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
            ("sip:a@b.test", "sips:a@b.test"),
            ("sip:a%3Bb@c.test", "sip:a;b@c.test"),
            ("sip:a:x@c.test", "sip:a@c.test"),
        ] {
            assert!(!equivalent(a, b), "{a} {b}");
        }
    }
}
