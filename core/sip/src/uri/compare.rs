//! Equivalence of URIs (RFC 3261 §19.1.4, RFC 5954 §4.2).

use super::{PERCENT, Scheme, Uri};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The reserved set of RFC 3261 §25.1: its members are not equivalent to their escaped form.
const RESERVED: &[u8] = b";/?:@&=+$,";

/// Parameters that must stand in both URIs or in neither. RFC 3261 names user, ttl, method and maddr; transport
/// follows from "a URI omitting any component with a default value will not match a URI explicitly containing it".
const IN_BOTH: &[&str] = &["user", "ttl", "method", "maddr", "transport"];

/// Most parameters, and most headers, that are compared by name; a URI with more is equivalent to its own text alone. No
/// URI in use has a tenth of it, and sorting more is work for whoever sends them to make.
const MAX_COMPARED: usize = 128;

/// Escapes decoded where the byte is not reserved; those that remain in upper case.
fn normal(text: &str, fold: bool) -> Cow<'_, [u8]> {
    let plain = !text.bytes().any(|b| b == PERCENT || (fold && b.is_ascii_uppercase()));
    if plain {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, escaped_byte(tail)) {
            (&PERCENT, Some((byte, tail))) => {
                rest = tail;
                if RESERVED.contains(&byte) || byte == PERCENT {
                    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                    out.push(PERCENT);
                    out.extend(
                        [byte >> 4, byte & 15].map(|d| DIGITS.get(usize::from(d)).copied().unwrap_or(b'0')),
                    );
                } else {
                    out.push(byte);
                }
            }
            _ => out.push(*first),
        }
    }
    if fold {
        out.make_ascii_lowercase();
    }
    Cow::Owned(out)
}

/// The byte that two hexadecimal digits stand for, and what follows them.
fn escaped_byte(digits: &[u8]) -> Option<(u8, &[u8])> {
    let ([high, low], tail) = digits.split_first_chunk()?;
    let digit = |b: &u8| char::from(*b).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok().map(|byte| (byte, tail))
}

/// Parameters or headers by their names, the values of a name in their order (a name may not come twice, RFC 3261
/// §19.1.1, but it does).
type ByName<'a> = BTreeMap<Cow<'a, [u8]>, Vec<Option<Cow<'a, [u8]>>>>;

fn by_name<'a>(pairs: impl Iterator<Item = (&'a str, Option<&'a str>)>, fold_values: bool) -> ByName<'a> {
    let mut out = ByName::new();
    for (name, value) in pairs {
        out.entry(normal(name, true)).or_default().push(value.map(|value| normal(value, fold_values)));
    }
    out
}

/// Whether each of ours is the same there, or may be absent there.
fn agrees(ours: &ByName<'_>, theirs: &ByName<'_>) -> bool {
    ours.iter().all(|(name, values)| match theirs.get(name) {
        Some(their) => their == values,
        None => !IN_BOTH.iter().any(|must| must.as_bytes() == name.as_ref()),
    })
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
        let is_long = |uri: &Uri<'_>| {
            uri.raw_params().nth(MAX_COMPARED).is_some() || uri.raw_headers().nth(MAX_COMPARED).is_some()
        };
        if is_long(self) || is_long(other) {
            return self.as_str() == other.as_str();
        }
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
            && self.headers_agree(other)
    }

    fn params_agree(&self, other: &Uri<'_>) -> bool {
        let (ours, theirs) = (by_name(self.raw_params(), true), by_name(other.raw_params(), true));
        agrees(&ours, &theirs) && agrees(&theirs, &ours)
    }

    /// Each header stands in both.
    fn headers_agree(&self, other: &Uri<'_>) -> bool {
        fn headers<'a>(uri: &'a Uri<'_>) -> ByName<'a> {
            by_name(uri.raw_headers().map(|(name, value)| (name, Some(value))), false)
        }
        headers(self) == headers(other)
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
            ("sip:a@b;x=1;X=2", "sip:a@b;X=1;x=2"),
            ("sip:a%3bb@c.test", "sip:a%3Bb@c.test"),
            ("sip:a@b;p=%41", "sip:a@b;p=a"),
        ] {
            assert!(equivalent(a, b), "{a} {b}");
        }
    }

    #[test]
    fn a_uri_with_too_many_parameters_equals_its_own_text_alone() {
        let long = format!("sip:a@b{}", ";x=1".repeat(MAX_COMPARED + 1));
        assert!(equivalent(&long, &long));
        assert!(!equivalent(&long, &long.to_uppercase().replacen("SIP:A", "sip:a", 1)));
        let most = format!("sip:a@b{}", ";x=1".repeat(MAX_COMPARED));
        assert!(equivalent(&most, &most.to_uppercase().replacen("SIP:A", "sip:a", 1)));
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
            ("sip:a@b;x=1;x=2", "sip:a@b;x=2;x=1"),
            ("sip:A@b", "sip:a@b"),
            ("sip:b;user=phone", "sip:b"),
            ("sip:b;maddr=192.0.2.1", "sip:b"),
            ("sip:b;ttl=1", "sip:b"),
            ("sip:a%25b@c", "sip:a%b5@c"),
            ("tel:+1", "sip:+1@b"),
        ] {
            assert!(!equivalent(a, b), "{a} {b}");
        }
    }
}
