//! DateTime (RFC 3862 §4.4): the profile of RFC 3339.

use crate::fields::calendar::{LAST, civil_from_days, days_from_civil};

const DAY: i64 = 86_400;

/// Seconds since 1970 as RFC 3339 in UTC. What has no year of four digits becomes the nearest that has.
pub fn write_date_time(seconds: i64) -> String {
    let seconds = seconds.clamp(days_from_civil(0, 1, 1) * DAY, LAST);
    let (days, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Reads a date of RFC 3339, of any zone, as seconds since 1970; fractions are cut off.
pub fn read_date_time(text: &str) -> Option<i64> {
    let (date, clock) = text.trim().split_once(['T', 't', ' '])?;
    let mut date = date.split('-').map(digits);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let zone_at = clock.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = clock.split_at_checked(zone_at)?;
    let clock = clock.split_once('.').map_or(clock, |(whole, _)| whole);
    let mut clock = clock.split(':').map(digits);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let offset = match zone.split_at_checked(1)? {
        ("Z" | "z", "") => 0,
        (sign, zone) => {
            let (hours, minutes) = zone.split_once(':')?;
            let offset = digits(hours)? * 3600 + digits(minutes)? * 60;
            if sign == "-" { -offset } else { offset }
        }
    };
    let days = days_from_civil(year, month, day);
    let whole =
        date.next().is_none() && clock.next().is_none() && civil_from_days(days) == (year, month, day);
    let in_range = hour <= 23 && minute <= 59 && second <= 60 && offset.abs() < DAY;
    (whole && in_range).then(|| days * DAY + hour * 3600 + minute * 60 + second - offset)
}

/// A number of two or four digits.
fn digits(text: &str) -> Option<i64> {
    let good = matches!(text.len(), 2 | 4) && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_in_any_zone_and_written_in_utc() {
        for (text, seconds, written) in [
            ("2000-12-13T21:13:00Z", 976_741_980, "2000-12-13T21:13:00Z"),
            ("2000-12-13T13:40:00-08:00", 976_743_600, "2000-12-13T21:40:00Z"),
            ("2026-11-27T18:01:42.123+01:00", 1_795_798_902, "2026-11-27T17:01:42Z"),
            ("1969-12-31t23:59:59z", -1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(read_date_time(text), Some(seconds), "{text}");
            assert_eq!(write_date_time(seconds), written);
        }
        assert_eq!(write_date_time(i64::MAX), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn what_is_no_date_is_not_read() {
        for text in [
            "",
            "2000-12-13",
            "2000-12-13T21:13:00",
            "2000-13-13T21:13:00Z",
            "2000-02-30T21:13:00Z",
            "+200-12-13T21:13:00Z",
            "2000-12-13T24:13:00Z",
            "2000-12-13T21:13Z",
            "2000-12-13T21:13:00+1",
            "2000-12-13T21:13:00Zx",
            "é",
        ] {
            assert_eq!(read_date_time(text), None, "{text}");
        }
    }
}
