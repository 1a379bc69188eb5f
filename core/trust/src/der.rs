//! A reader of DER for the few places where the bytes themselves matter: what a signature covers, revocation lists
//! and OCSP answers. It never copies and never panics; anything odd is `None`.

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OID: u8 = 0x06;
pub(crate) const ENUMERATED: u8 = 0x0a;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;

/// The tag of a context-specific constructed element.
pub(crate) const fn constructed(number: u8) -> u8 {
    0xa0 | number
}

/// The tag of a context-specific primitive element.
pub(crate) const fn primitive(number: u8) -> u8 {
    0x80 | number
}

/// What is left to read.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

/// One element.
#[derive(Clone, Copy)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    /// With its header.
    pub(crate) whole: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next element. Tags above 30 and indefinite, overlong or non-minimal lengths are not DER that we know.
    pub(crate) fn next(&mut self) -> Option<Element<'a>> {
        let start = self.0;
        let (&tag, rest) = start.split_first()?;
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (&first, mut rest) = rest.split_first()?;
        let length = if first < 0x80 {
            usize::from(first)
        } else {
            let octets = usize::from(first & 0x7f);
            if octets == 0 || octets > 4 {
                return None;
            }
            let (bytes, after) = rest.split_at_checked(octets)?;
            rest = after;
            let length = bytes.iter().fold(0usize, |n, b| (n << 8) | usize::from(*b));
            if length < 0x80 || bytes.first() == Some(&0) {
                return None;
            }
            length
        };
        let (content, after) = rest.split_at_checked(length)?;
        let whole = start.get(..start.len() - after.len())?;
        self.0 = after;
        Some(Element { tag, content, whole })
    }

    /// The next element if it has this tag, else nothing is read.
    pub(crate) fn optional(&mut self, tag: u8) -> Option<Element<'a>> {
        if self.0.first() != Some(&tag) {
            return None;
        }
        self.next()
    }

    /// The next element, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Option<Element<'a>> {
        self.next().filter(|e| e.tag == tag)
    }
}

impl<'a> Element<'a> {
    pub(crate) fn reader(&self) -> Reader<'a> {
        Reader::new(self.content)
    }
}

/// The contents of the one element that these bytes are.
pub(crate) fn only(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let mut reader = Reader::new(bytes);
    let element = reader.expect(tag)?;
    reader.is_empty().then_some(element.content)
}

/// The octets of a BIT STRING without unused bits.
pub(crate) fn bits<'a>(element: &Element<'a>) -> Option<&'a [u8]> {
    element.content.split_first().filter(|(unused, _)| **unused == 0).map(|(_, octets)| octets)
}

/// The three parts of everything that is signed in X.509: what is signed (with its header), the contents of the
/// algorithm identifier, and the signature.
pub(crate) struct Signed<'a> {
    pub(crate) content: &'a [u8],
    pub(crate) algorithm: &'a [u8],
    pub(crate) signature: &'a [u8],
    /// What follows (an OCSP answer carries certificates there).
    pub(crate) rest: Reader<'a>,
}

/// Splits `SEQUENCE { signed, algorithm, BIT STRING, … }`.
pub(crate) fn signed(bytes: &[u8]) -> Option<Signed<'_>> {
    let mut reader = Reader::new(only(bytes, SEQUENCE)?);
    let content = reader.expect(SEQUENCE)?.whole;
    let algorithm = reader.expect(SEQUENCE)?.content;
    let signature = bits(&reader.expect(BIT_STRING)?)?;
    Some(Signed { content, algorithm, signature, rest: reader })
}

/// A UTCTime or GeneralizedTime in the one form that RFC 5280 §4.1.2.5 allows, as seconds since 1970.
pub(crate) fn time(element: &Element<'_>) -> Option<i64> {
    let (year_digits, text) = match element.tag {
        UTC_TIME => (2, element.content),
        GENERALIZED_TIME => (4, element.content),
        _ => return None,
    };
    let (year, rest) = text.split_at_checked(year_digits)?;
    let year = number(year)?;
    // RFC 5280 §4.1.2.5.1: two digits from 50 on are of the twentieth century.
    let year = match (element.tag, year) {
        (UTC_TIME, 50..) => 1900 + year,
        (UTC_TIME, _) => 2000 + year,
        _ => year,
    };
    let (digits, zone) = rest.split_at_checked(10)?;
    if zone != b"Z" {
        return None;
    }
    let mut pairs = digits.chunks_exact(2).map(number);
    let mut pair = || pairs.next().flatten().and_then(|n| u8::try_from(n).ok());
    let month = time::Month::try_from(pair()?).ok()?;
    let date = time::Date::from_calendar_date(i32::try_from(year).ok()?, month, pair()?).ok()?;
    let clock = time::Time::from_hms(pair()?, pair()?, pair()?).ok()?;
    Some(time::PrimitiveDateTime::new(date, clock).assume_utc().unix_timestamp())
}

/// Decimal digits and nothing else.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0u32, |n, b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_that_are_not_minimal_are_refused() {
        assert!(Reader::new(&[0x04, 0x81, 0x01, 0x00]).next().is_none());
        assert!(Reader::new(&[0x04, 0x80, 0x00, 0x00]).next().is_none());
        assert!(Reader::new(&[0x04, 0x82, 0x00, 0x80]).next().is_none());
        assert!(Reader::new(&[0x04, 0x02, 0x00]).next().is_none());
        assert_eq!(Reader::new(&[0x04, 0x01, 0x07]).next().unwrap().content, [7]);
    }

    #[test]
    fn times_have_seconds_and_are_utc() {
        let read = |tag, text: &str| {
            let content = text.as_bytes();
            time(&Element { tag, content, whole: content })
        };
        assert_eq!(read(UTC_TIME, "700101000000Z"), Some(0));
        assert_eq!(read(UTC_TIME, "491231235959Z"), Some(2_524_607_999));
        assert_eq!(read(GENERALIZED_TIME, "20500101000000Z"), Some(2_524_608_000));
        for text in
            ["7001010000Z", "700101000000+0100", "701301000000Z", "700101000000Z0", "7x0101000000Z", ""]
        {
            assert_eq!(read(UTC_TIME, text), None, "{text}");
        }
    }
}
