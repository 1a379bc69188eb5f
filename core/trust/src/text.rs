//! Making what strangers wrote safe to show, and numbers readable.

use std::fmt::Write;

/// Longest text taken from a certificate into a message, in characters.
const MAX_SHOWN: usize = 200;
/// Most items of a list in a message.
const MAX_ITEMS: usize = 8;

/// Text from a certificate, safe on a terminal and in a log: control characters, directional overrides and other
/// invisible ones become visible escapes, and what is too long is cut.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_SHOWN));
    for (count, c) in text.chars().enumerate() {
        if count == MAX_SHOWN {
            out.push('…');
            break;
        }
        if is_invisible(c) {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// A directory name in a sentence: a common name that stands alone needs no label, every other name stays whole.
pub(crate) fn called(name: &str) -> &str {
    name.strip_prefix("CN=").filter(|cn| !cn.contains(['=', ',', '+'])).unwrap_or(name)
}

/// A list for a sentence, cut when it is long.
pub(crate) fn list<S: AsRef<str>>(items: &[S]) -> String {
    list_as_is(&items.iter().map(|s| shown(s.as_ref())).collect::<Vec<_>>())
}

/// The same for items that are safe already.
pub(crate) fn list_as_is(items: &[String]) -> String {
    let mut out = items.iter().take(MAX_ITEMS).map(String::as_str).collect::<Vec<_>>().join(", ");
    if items.len() > MAX_ITEMS {
        let _ = write!(out, " and {} more", items.len() - MAX_ITEMS);
    }
    out
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

/// Seconds since 1970 as RFC 3339 in UTC; what no calendar holds stays a number.
pub(crate) fn time(seconds: i64) -> String {
    time::OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|t| t.format(&time::format_description::well_known::Rfc3339).ok())
        .unwrap_or_else(|| format!("{seconds} s since 1970"))
}

/// The same for people, to the minute.
pub(crate) fn when(seconds: i64) -> String {
    const FORMAT: &[time::format_description::BorrowedFormatItem<'_>] =
        time::macros::format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    time::OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|t| t.format(FORMAT).ok())
        .unwrap_or_else(|| time(seconds))
}

/// A span of time as people say it, rounded down.
pub(crate) fn span(seconds: u64) -> String {
    let (n, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..86_400 => (seconds / 3_600, "hour"),
        86_400..63_072_000 => (seconds / 86_400, "day"),
        _ => (seconds / 31_536_000, "year"),
    };
    format!("{n} {unit}{}", if n == 1 { "" } else { "s" })
}

fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_fool_a_reader_is_made_visible() {
        assert_eq!(shown("a\u{202e}b\0c\x1b[2J"), "a\\u{202e}b\\u{0}c\\u{1b}[2J");
        assert_eq!(shown(&"x".repeat(5000)).chars().count(), MAX_SHOWN + 1);
    }

    #[test]
    fn times_are_rfc_3339_and_never_fail() {
        assert_eq!(time(0), "1970-01-01T00:00:00Z");
        assert_eq!(when(86_399), "1970-01-01 23:59 UTC");
        assert_eq!(time(i64::MAX), format!("{} s since 1970", i64::MAX));
    }

    #[test]
    fn spans_are_rounded_to_a_unit_that_says_something() {
        assert_eq!(span(1), "1 second");
        assert_eq!(span(86_400), "1 day");
        assert_eq!(span(86_400 * 3), "3 days");
        assert_eq!(span(31_536_000 * 3), "3 years");
    }
}
