//! Times and spans as people say them.

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

const DAY: u64 = 86_400;

/// Seconds since 1970 as RFC 3339 in UTC.
pub(crate) fn rfc3339(seconds: i64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(seconds).ok()?.format(&Rfc3339).ok()
}

/// The same for people, to the minute; what no calendar holds is said to be so.
pub(crate) fn minute(seconds: i64) -> String {
    const FORMAT: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    shown(seconds, FORMAT)
}

/// The same, to the day.
pub(crate) fn day(seconds: i64) -> String {
    const FORMAT: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");
    shown(seconds, FORMAT)
}

fn shown(seconds: i64, format: &[BorrowedFormatItem<'_>]) -> String {
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(format).ok())
        .unwrap_or_else(|| "a time that no calendar holds".into())
}

/// How long it is from `now` to `then`: `in 3 days`, `3 days ago`.
pub(crate) fn from_now(then: i64, now: i64) -> String {
    let words = span(then.abs_diff(now));
    if then >= now { format!("in {words}") } else { format!("{words} ago") }
}

/// A span in seconds, rounded down to a unit that says something.
pub(crate) fn span(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        // Two years of days: certificates are renewed by the day.
        172_800..63_072_000 => (seconds / DAY, "day"),
        _ => (seconds / (365 * DAY), "year"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_a_unit_that_says_something() {
        for (then, words) in [
            (1, "in 1 second"),
            (3_600, "in 60 minutes"),
            (86_400, "in 24 hours"),
            (-172_800, "2 days ago"),
            (400 * 86_400, "in 400 days"),
            (-3 * 365 * 86_400, "3 years ago"),
        ] {
            assert_eq!(from_now(then, 0), words);
        }
    }

    #[test]
    fn times_beyond_the_calendar_are_said_to_be_so() {
        assert_eq!(minute(0), "1970-01-01 00:00 UTC");
        assert_eq!(day(86_400), "1970-01-02");
        assert_eq!(day(i64::MAX), "a time that no calendar holds");
        assert_eq!(rfc3339(i64::MAX), None);
    }
}
