//! Just enough DER to write revocation lists and OCSP answers of every kind.

use crate::{KeyKind, PkiError};
use time::OffsetDateTime;

pub(crate) const OCTETS: u8 = 0x04;
pub(crate) const SEQUENCE: u8 = 0x30;

/// One element.
pub(crate) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let length: Vec<u8> = content.len().to_be_bytes().into_iter().skip_while(|b| *b == 0).collect();
            out.push(0x80 | u8::try_from(length.len()).unwrap_or(0));
            out.extend(length);
        }
    }
    out.extend_from_slice(content);
    out
}

pub(crate) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    element(SEQUENCE, &parts.concat())
}

/// A context-specific constructed element.
pub(crate) fn tagged(number: u8, content: &[u8]) -> Vec<u8> {
    element(0xa0 | number, content)
}

/// An INTEGER from big-endian octets that are not negative.
pub(crate) fn integer(octets: &[u8]) -> Vec<u8> {
    let start = octets.iter().take_while(|b| **b == 0).count();
    let significant = octets.get(start..).unwrap_or_default();
    let mut content = Vec::new();
    if significant.first().is_none_or(|b| b & 0x80 != 0) {
        content.push(0);
    }
    content.extend_from_slice(significant);
    element(0x02, &content)
}

/// An OBJECT IDENTIFIER.
pub(crate) fn oid(numbers: &[u64]) -> Vec<u8> {
    let (first, rest) = match numbers {
        [a, b, rest @ ..] => (a * 40 + b, rest),
        _ => (0, numbers),
    };
    let mut content = Vec::new();
    for number in std::iter::once(&first).chain(rest) {
        let mut septets = vec![u8::try_from(number & 0x7f).unwrap_or(0)];
        let mut left = number >> 7;
        while left > 0 {
            septets.push(0x80 | u8::try_from(left & 0x7f).unwrap_or(0));
            left >>= 7;
        }
        content.extend(septets.into_iter().rev());
    }
    element(0x06, &content)
}

/// A BIT STRING of whole octets.
pub(crate) fn bits(octets: &[u8]) -> Vec<u8> {
    let mut content = vec![0];
    content.extend_from_slice(octets);
    element(0x03, &content)
}

/// A GeneralizedTime.
pub(crate) fn generalized_time(seconds: i64) -> Result<Vec<u8>, PkiError> {
    let t = moment(seconds)?;
    let text = format!("{:04}{}", t.year(), rest_of_time(t));
    Ok(element(0x18, text.as_bytes()))
}

/// A UTCTime, or from 2050 on a GeneralizedTime (RFC 5280 §4.1.2.5).
pub(crate) fn time(seconds: i64) -> Result<Vec<u8>, PkiError> {
    let t = moment(seconds)?;
    if t.year() >= 2050 {
        return generalized_time(seconds);
    }
    let text = format!("{:02}{}", t.year() % 100, rest_of_time(t));
    Ok(element(0x17, text.as_bytes()))
}

fn rest_of_time(t: OffsetDateTime) -> String {
    format!("{:02}{:02}{:02}{:02}{:02}Z", u8::from(t.month()), t.day(), t.hour(), t.minute(), t.second())
}

fn moment(seconds: i64) -> Result<OffsetDateTime, PkiError> {
    crate::template::moment(seconds)
}

/// Extension ::= SEQUENCE { extnID, critical DEFAULT FALSE, extnValue }.
pub(crate) fn extension(id: &[u64], critical: bool, content: &[u8]) -> Vec<u8> {
    let mut parts = vec![oid(id)];
    if critical {
        parts.push(element(0x01, &[0xff]));
    }
    parts.push(element(OCTETS, content));
    sequence(&parts)
}

/// The AlgorithmIdentifier with which a key of that kind signs.
pub(crate) fn signature_algorithm(kind: KeyKind) -> Vec<u8> {
    match kind {
        KeyKind::P256 => sequence(&[oid(&[1, 2, 840, 10045, 4, 3, 2])]),
        KeyKind::P384 => sequence(&[oid(&[1, 2, 840, 10045, 4, 3, 3])]),
        KeyKind::P521 => sequence(&[oid(&[1, 2, 840, 10045, 4, 3, 4])]),
        KeyKind::Ed25519 => sequence(&[oid(&[1, 3, 101, 112])]),
        KeyKind::Rsa2048 => sequence(&[oid(&[1, 2, 840, 113_549, 1, 1, 11]), element(0x05, &[])]),
    }
}

/// The elements of a SEQUENCE, each with its header; for what this crate has written itself.
pub(crate) fn parts(sequence: &[u8]) -> Vec<&[u8]> {
    let mut out = Vec::new();
    let mut rest = split(sequence).map_or(&[][..], |(header, whole)| whole.get(header..).unwrap_or_default());
    while let Some((_, whole)) = split(rest) {
        out.push(whole);
        rest = rest.get(whole.len()..).unwrap_or_default();
    }
    out
}

/// Length of the header, and the first element whole.
fn split(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let first = usize::from(*bytes.get(1)?);
    let (header, length) = if first < 0x80 {
        (2, first)
    } else {
        let octets = bytes.get(2..2 + (first & 0x7f))?;
        (2 + octets.len(), octets.iter().fold(0, |n, b| (n << 8) | usize::from(*b)))
    };
    bytes.get(..header + length).map(|whole| (header, whole))
}
