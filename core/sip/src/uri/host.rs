//! Hosts and ports, as in a URI and in Via's sent-by (RFC 3261 §25.1).

use crate::block::plain_name;
use crate::defect::{Fault, Problem};
use crate::lex::{Cursor, class, run};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest host name, in bytes (RFC 1035 §2.3.4, as text without the trailing dot).
const MAX_NAME: usize = 253;

/// What the text of a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostKind {
    Name,
    Address(IpAddr),
}

/// Reads a host: a name, an IPv4 address or a bracketed IPv6 address.
pub(super) fn host_kind(text: &str) -> Option<HostKind> {
    match text.strip_prefix('[') {
        Some(inner) => ipv6(inner.strip_suffix(']')?).map(|address| HostKind::Address(address.into())),
        None => name_or_ipv4(text),
    }
}

/// A name of labels that neither begin nor end with a hyphen, or an IPv4 address if the last label is digits alone.
fn name_or_ipv4(text: &str) -> Option<HostKind> {
    match name_end(text.as_bytes(), 0) {
        Some((end, is_address)) if end == text.len() => match is_address {
            true => ipv4(text).map(|address| HostKind::Address(address.into())),
            false => Some(HostKind::Name),
        },
        _ => None,
    }
}

/// Where the name that begins at `start` ends, and whether its last label is digits alone; `None` if there is none.
#[inline(always)]
fn name_end(bytes: &[u8], start: usize) -> Option<(usize, bool)> {
    // Nearly every name is short and ends with a letter.
    if let Some(length) = bytes.get(start..)?.first_chunk().and_then(plain_name)
        && bytes.get(start + length - 1).is_some_and(u8::is_ascii_alphabetic)
    {
        return Some((start + length, false));
    }
    any_name_end(bytes, start)
}

#[inline(never)]
fn any_name_end(bytes: &[u8], start: usize) -> Option<(usize, bool)> {
    // Words with one separator between them; two in a row, or one at an end, are rare and looked at closely.
    let (mut at, mut is_plain) = (start, true);
    let end = loop {
        let word = run(bytes, at, class::WORD_OF_HOST);
        is_plain &= word > at;
        match bytes.get(word) {
            Some(b'.' | b'-') => at = word + 1,
            _ => break word,
        }
    };
    let name = bytes.get(start..end)?;
    let last = name.last()?;
    if !is_plain && !has_proper_labels(name) {
        return None;
    }
    if name.len() > MAX_NAME + usize::from(*last == b'.') {
        return None;
    }
    let is_address = !last.is_ascii_alphabetic() && {
        let name = name.strip_suffix(b".").unwrap_or(name);
        name.rsplit(|b| *b == b'.').next().is_some_and(|label| label.iter().all(u8::is_ascii_digit))
    };
    Some((end, is_address))
}

/// Whether no label is empty, and none begins or ends with a hyphen; a dot may end the name.
fn has_proper_labels(name: &[u8]) -> bool {
    name.strip_suffix(b".")
        .unwrap_or(name)
        .split(|b| *b == b'.')
        .all(|label| !label.is_empty() && !label.starts_with(b"-") && !label.ends_with(b"-"))
}

/// Four numbers to 255 without leading zeros, which some readers take for octal.
fn ipv4(text: &str) -> Option<Ipv4Addr> {
    ipv4_prefix(text.as_bytes(), 0).filter(|(_, end)| *end == text.len()).map(|(address, _)| address)
}

/// The IPv4 address that begins at `at`, and where it ends.
#[inline(always)]
fn ipv4_prefix(bytes: &[u8], at: usize) -> Option<(Ipv4Addr, usize)> {
    let (mut address, mut end) = octet(bytes, at)?;
    for _ in 1..4 {
        if bytes.get(end) != Some(&b'.') {
            return None;
        }
        let (number, next) = octet(bytes, end + 1)?;
        (address, end) = (address << 8 | number, next);
    }
    Some((address.into(), end))
}

/// The number to 255 that begins at `at`, and where it ends.
#[inline(always)]
fn octet(bytes: &[u8], at: usize) -> Option<(u32, usize)> {
    let digit =
        |at: usize| bytes.get(at).map(|b| u32::from(b.wrapping_sub(b'0'))).filter(|digit| *digit < 10);
    let first = digit(at)?;
    let Some(second) = digit(at + 1) else { return Some((first, at + 1)) };
    let Some(third) = digit(at + 2) else { return (first > 0).then_some((10 * first + second, at + 2)) };
    let number = 100 * first + 10 * second + third;
    (first > 0 && number <= 255 && digit(at + 3).is_none()).then_some((number, at + 3))
}

/// Reads an IPv6 address. The grammar of RFC 3261 put a third colon between `::` and an IPv4 address by mistake; both
/// forms must be understood (RFC 5118 §4.10, RFC 5954 §4.1).
fn ipv6(text: &str) -> Option<Ipv6Addr> {
    if let Some((before, after)) = text.split_once(":::") {
        let _: Ipv4Addr = after.parse().ok()?;
        return format!("{before}::{after}").parse().ok();
    }
    text.parse().ok()
}

/// Takes a host, as in a URI and in Via's sent-by. Underscores are allowed: networks have them.
#[inline]
pub(crate) fn take_host<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, Fault> {
    let (text, at) = (cursor.text(), cursor.at());
    let end = host_end(text, at).ok_or(Fault::new(at, Problem::Host))?;
    cursor.jump(end);
    Ok(text.get(at..end).unwrap_or_default())
}

/// Where the host that begins at `at` ends; `None` if there is none.
#[inline]
pub(super) fn host_end(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    match bytes.get(at)? {
        b'[' => return ipv6_end(text, at),
        b'0'..=b'9' => {
            if let Some((_, end)) = ipv4_prefix(bytes, at)
                && bytes.get(end).is_none_or(|b| !class::is(*b, class::HOST))
            {
                return Some(end);
            }
        }
        _ => {}
    }
    // Digits alone as the last label would be an IPv4 address, and it is none.
    name_end(bytes, at).filter(|(_, is_address)| !is_address).map(|(end, _)| end)
}

/// Where the IPv6 address in brackets that begins at `at` ends.
#[inline(never)]
fn ipv6_end(text: &str, at: usize) -> Option<usize> {
    let inside = |b: &u8| matches!(b, b':' | b'.') || class::is(*b, class::HEX);
    let rest = text.as_bytes().get(at + 1..)?;
    let length = rest.iter().position(|b| !inside(b))?;
    rest.get(length).filter(|b| **b == b']')?;
    ipv6(text.get(at + 1..at + 1 + length)?)?;
    Some(at + length + 2)
}

/// Takes a port: digits up to 65535.
#[inline]
pub(crate) fn take_port(cursor: &mut Cursor<'_>) -> Result<u16, Fault> {
    let at = cursor.at();
    cursor.number().and_then(|number| number.try_into().ok()).ok_or(Fault::new(at, Problem::Port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_and_dots_are_read_as_the_standard_library_reads_them(text in "([0-9]{1,3}[.]){3}[0-9]{1,3}|[0-9.a]{0,16}") {
            prop_assert_eq!(ipv4(&text), text.parse().ok(), "{}", text);
        }
    }

    #[test]
    fn ipv4_addresses_are_read_as_the_standard_library_reads_them() {
        for text in [
            "0.0.0.0",
            "255.255.255.255",
            "192.0.2.1",
            "1.2.3",
            "1.2.3.4.5",
            "256.1.1.1",
            "01.2.3.4",
            "1..2.3",
            ".1.2.3",
            "1.2.3.",
            "",
            "1.2.3.a",
            "00.0.0.0",
            "1.2.3.1000",
        ] {
            assert_eq!(ipv4(text), text.parse().ok(), "{text}");
        }
    }
}
