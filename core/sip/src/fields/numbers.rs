//! Headers that hold numbers and times.

use super::calendar::{LAST, civil_from_days, days_from_civil};
use super::{At, FieldValue};
use crate::defect::{Fault, Problem};
use crate::lex::{Cursor, class};
use crate::{Header, Params};
use std::fmt;

/// Digits as a number, larger ones as the largest: an expiry of 10^12 seconds is "very long" (RFC 3261 §10.2, §20.19).
fn saturating(cursor: &mut Cursor<'_>) -> Result<u32, Fault> {
    let at = cursor.at();
    let number = cursor.number().ok_or(Fault::new(at, Problem::Number))?;
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}

macro_rules! seconds {
    ($($(#[$doc:meta])* $name:ident);* $(;)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(pub u32);

        impl<'a> FieldValue<'a> for $name {
            const HEADER: Header = Header::$name;

            fn read(At(cursor): &mut At<'a>) -> Result<Self, Fault> {
                saturating(cursor).map($name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

seconds! {
    /// `Expires` in seconds (RFC 3261 §20.19); above 2^32-1 as that.
    Expires;
    /// `Min-Expires` in seconds (RFC 3261 §20.23).
    MinExpires;
    /// `Flow-Timer` in seconds (RFC 5626 §10).
    FlowTimer;
}

/// `Max-Forwards`, 0 to 255 (RFC 3261 §20.22).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MaxForwards(pub u8);

impl<'a> FieldValue<'a> for MaxForwards {
    const HEADER: Header = Header::MaxForwards;

    fn read(At(cursor): &mut At<'a>) -> Result<Self, Fault> {
        let at = cursor.at();
        let number = saturating(cursor)?;
        u8::try_from(number).map(MaxForwards).map_err(|_| Fault::new(at, Problem::TooLarge))
    }
}

impl fmt::Display for MaxForwards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `Content-Length` in bytes (RFC 3261 §20.14), below 2^64-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContentLength(pub u64);

impl<'a> FieldValue<'a> for ContentLength {
    const HEADER: Header = Header::ContentLength;

    #[inline]
    fn read(At(cursor): &mut At<'a>) -> Result<Self, Fault> {
        let at = cursor.at();
        match cursor.number() {
            None => Err(Fault::new(at, Problem::Number)),
            Some(u64::MAX) => Err(Fault::new(at, Problem::TooLarge)),
            Some(length) => Ok(ContentLength(length)),
        }
    }
}

impl fmt::Display for ContentLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `Retry-After` (RFC 3261 §20.33).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryAfter<'a> {
    /// Seconds to wait.
    pub seconds: u32,
    /// The comment in parentheses, as received and without them.
    pub comment: Option<&'a str>,
    /// Parameters; `duration` is how long the called party will be available.
    pub params: Params<'a>,
}

impl<'a> FieldValue<'a> for RetryAfter<'a> {
    const HEADER: Header = Header::RetryAfter;

    fn read(At(cursor): &mut At<'a>) -> Result<Self, Fault> {
        let seconds = saturating(cursor)?;
        cursor.skip_wsp();
        let comment = if cursor.peek() == Some(b'(') { Some(comment(cursor)?) } else { None };
        let params = Params::read(cursor)?;
        Ok(RetryAfter { seconds, comment, params })
    }
}

impl fmt::Display for RetryAfter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.seconds.fmt(f)?;
        if let Some(comment) = self.comment {
            write!(f, " ({comment})")?;
        }
        self.params.fmt(f)
    }
}

/// A comment with its nested ones and quoted pairs; the cursor stands on the parenthesis.
fn comment<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, Fault> {
    let (at, rest) = (cursor.at(), cursor.rest());
    let mut depth = 0usize;
    let mut escaped = false;
    for (position, byte) in rest.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'(' => depth += 1,
            b')' => {
                depth -= 1;
                if depth == 0 {
                    cursor.advance(position + 1);
                    return Ok(rest.get(1..position).unwrap_or_default());
                }
            }
            _ => {}
        }
    }
    Err(Fault::new(at, Problem::Malformed))
}

/// `Timestamp` (RFC 3261 §20.38): when a request was sent, on the sender's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp<'a> {
    /// Digits, which may have a point: seconds.
    pub sent: &'a str,
    /// How long the answer was held back, in seconds.
    pub delay: Option<&'a str>,
}

/// `1*DIGIT ["." *DIGIT]`, as it stands there.
fn decimal<'a>(cursor: &mut Cursor<'a>) -> Option<&'a str> {
    let (at, rest) = (cursor.at(), cursor.rest());
    if cursor.take_class(class::DIGIT).is_empty() {
        return None;
    }
    if cursor.eat(b'.') {
        cursor.take_class(class::DIGIT);
    }
    rest.get(..cursor.at() - at)
}

impl<'a> FieldValue<'a> for Timestamp<'a> {
    const HEADER: Header = Header::Timestamp;

    fn read(At(cursor): &mut At<'a>) -> Result<Self, Fault> {
        let sent = decimal(cursor).ok_or(Fault::new(cursor.at(), Problem::Number))?;
        let gap = cursor.at();
        cursor.skip_wsp();
        let delay = if cursor.at() == gap { None } else { decimal(cursor) };
        Ok(Timestamp { sent, delay })
    }
}

impl fmt::Display for Timestamp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sent)?;
        self.delay.map_or(Ok(()), |delay| write!(f, " {delay}"))
    }
}

/// `Date` (RFC 3261 §20.17), in seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(pub i64);

const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY: i64 = 86_400;

impl<'a> FieldValue<'a> for Date {
    const HEADER: Header = Header::Date;

    /// `Sat, 13 Nov 2010 23:29:00 GMT`, and nothing else: RFC 3261 §20.17 knows no other zone.
    fn read(At(cursor): &mut At<'a>) -> Result<Self, Fault> {
        let at = cursor.at();
        let wrong = Fault::new(at, Problem::Date);
        let text = cursor.rest();
        cursor.advance(text.len());
        let text = text.trim_end_matches([' ', '\t']);
        let mut words = text.split(' ');
        let mut word = || words.next().ok_or(wrong);
        let number = |text: &str, digits: usize| -> Result<i64, Fault> {
            let whole = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
            text.parse().ok().filter(|_| whole).ok_or(wrong)
        };
        let position =
            |list: &[&str], text: &str| list.iter().position(|l| l.eq_ignore_ascii_case(text)).ok_or(wrong);

        let weekday = position(&WEEKDAYS, word()?.strip_suffix(',').ok_or(wrong)?)?;
        let day = number(word()?, 2)?;
        let month = position(&MONTHS, word()?)? as i64 + 1;
        let year = number(word()?, 4)?;
        let mut clock = word()?.split(':');
        let mut unit = |limit: i64| -> Result<i64, Fault> {
            number(clock.next().ok_or(wrong)?, 2).and_then(|n| if n <= limit { Ok(n) } else { Err(wrong) })
        };
        let (hour, minute, second) = (unit(23)?, unit(59)?, unit(60)?);
        if clock.next().is_some() || word()? != "GMT" || words.next().is_some() {
            return Err(wrong);
        }
        let days = days_from_civil(year, month, day);
        // A leap second is the next minute; behind the last year of four digits there is none.
        let seconds = days * DAY + hour * 3600 + minute * 60 + second;
        // A day that the month does not have comes back as another.
        if seconds > LAST
            || civil_from_days(days) != (year, month, day)
            || days.rem_euclid(7) != weekday as i64
        {
            return Err(wrong);
        }
        Ok(Date(seconds))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0.div_euclid(DAY), self.0.rem_euclid(DAY));
        let (year, month, day) = civil_from_days(days);
        let name = |list: &[&'static str], at: i64| {
            usize::try_from(at).ok().and_then(|at| list.get(at).copied()).unwrap_or("")
        };
        let (weekday, month) = (name(&WEEKDAYS, days.rem_euclid(7)), name(&MONTHS, month - 1));
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_and_written_in_gmt() {
        for (text, seconds) in [
            ("Sat, 13 Nov 2010 23:29:00 GMT", 1_289_690_940),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Thu, 29 Feb 2024 12:00:01 GMT", 1_709_208_001),
        ] {
            assert_eq!(Date::parse(text).unwrap(), Date(seconds));
            assert_eq!(Date(seconds).to_string(), text);
        }
        for text in [
            "Fri, 01 Jan 2010 16:00:00 EST",
            "Sat, 13 Nov 2010 24:00:00 GMT",
            "Fri, 13 Nov 2010 23:29:00 GMT",
            "Fri, 31 Dec 9999 23:59:60 GMT",
            "Thu, 30 Feb 2024 12:00:00 GMT",
            "Sat, 13 Nov 10 23:29:00 GMT",
            "",
            "Sat,",
        ] {
            assert!(Date::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn retry_after_has_comment_and_duration() {
        let value = RetryAfter::parse("18000 (in \\) (a) meeting);duration=3600").unwrap();
        assert_eq!((value.seconds, value.comment), (18_000, Some("in \\) (a) meeting")));
        assert_eq!(value.params.value("duration").unwrap(), "3600");
        assert!(RetryAfter::parse("120 (open").is_err());
    }

    #[test]
    fn a_timestamp_may_have_a_point_and_a_delay() {
        assert_eq!(Timestamp::parse("54.21 .5"), Err(Fault::new(6, Problem::Trailing)));
        for (text, sent, delay) in
            [("54", "54", None), ("54.", "54.", None), ("54.21 0.5", "54.21", Some("0.5"))]
        {
            let value = Timestamp::parse(text).unwrap();
            assert_eq!((value.sent, value.delay, value.to_string().as_str()), (sent, delay, text));
        }
    }

    #[test]
    fn numbers_have_their_ranges() {
        assert_eq!(Expires::parse("1000000000000").unwrap(), Expires(u32::MAX));
        assert_eq!(MaxForwards::parse("0255").unwrap(), MaxForwards(255));
        assert!(MaxForwards::parse("256").is_err());
        assert!(ContentLength::parse("-999").is_err());
        assert!(ContentLength::parse("99999999999999999999").is_err());
        assert!(Expires::parse("1 2").is_err());
    }
}
