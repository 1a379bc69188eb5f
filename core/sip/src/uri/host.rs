//! Hosts and ports, as in a URI and in Via's sent-by (RFC 3261 §25.1).

use crate::defect::{Fault, Problem};
use crate::lex::{Cursor, class};
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
        Some((end, last_is_digits)) if end == text.len() => match last_is_digits {
            true => ipv4(text).map(|address| HostKind::Address(address.into())),
            false => Some(HostKind::Name),
        },
        _ => None,
    }
}

/// Where the name that begins at `start` ends, and whether its last label is digits alone; `None` if there is none.
#[inline]
fn name_end(bytes: &[u8], start: usize) -> Option<(usize, bool)> {
    let rest = bytes.get(start..)?;
    // Two separators in a row, or one at an end, are rare and looked at closely; digits at the end, too.
    let (mut before, mut doubled, mut length) = (class::SEPARATOR, 0, 0);
    for byte in rest {
        let classes = class::of(*byte);
        if classes & class::HOST == 0 {
            break;
        }
        doubled |= classes & before;
        before = classes;
        length += 1;
    }
    let (name, end) = (rest.get(..length)?, start + length);
    let last = name.last()?;
    if (doubled | before) & class::SEPARATOR != 0 && !has_proper_labels(name) {
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
    let mut groups = [0u8; 4];
    let mut filled = groups.iter_mut();
    let mut group = filled.next()?;
    let mut digits = 0;
    for byte in text.bytes() {
        if byte == b'.' {
            group = filled.next().filter(|_| digits > 0)?;
            digits = 0;
            continue;
        }
        if !byte.is_ascii_digit() || (digits > 0 && *group == 0) {
            return None;
        }
        *group = group.checked_mul(10)?.checked_add(byte - b'0')?;
        digits += 1;
    }
    (digits > 0 && filled.next().is_none()).then(|| groups.into())
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
pub(crate) fn take_host<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, Fault> {
    let (text, at) = (cursor.text(), cursor.at());
    let bytes = text.as_bytes();
    let wrong = Fault::new(at, Problem::Host);
    let end = if bytes.get(at) == Some(&b'[') {
        let inside = |b: &u8| matches!(b, b':' | b'.') || class::is(*b, class::HEX);
        let rest = bytes.get(at + 1..).unwrap_or_default();
        let length = rest.iter().position(|b| !inside(b)).unwrap_or(rest.len());
        rest.get(length).filter(|b| **b == b']').ok_or(wrong)?;
        ipv6(text.get(at + 1..at + 1 + length).unwrap_or_default()).ok_or(wrong)?;
        at + length + 2
    } else {
        let (end, last_is_digits) = name_end(bytes, at).ok_or(wrong)?;
        if last_is_digits {
            ipv4(text.get(at..end).unwrap_or_default()).ok_or(wrong)?;
        }
        end
    };
    cursor.jump(end);
    Ok(text.get(at..end).unwrap_or_default())
}

/// Takes a port: digits up to 65535.
pub(crate) fn take_port(cursor: &mut Cursor<'_>) -> Result<u16, Fault> {
    let at = cursor.at();
    let wrong = Fault::new(at, Problem::Port);
    let digits = cursor.take_class(class::DIGIT);
    let number =
        digits.bytes().try_fold(0u16, |n, digit| n.checked_mul(10)?.checked_add(u16::from(digit - b'0')));
    number.filter(|_| !digits.is_empty()).ok_or(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

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
