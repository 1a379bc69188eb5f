//! The escapes of RFC 3862 §2.3, which are those of Java.

use std::borrow::Cow;
use std::fmt::Write;

/// Writes control characters and backslashes as escapes, and nothing else (§2.3.1).
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| escape_char(&mut out, c));
    out
}

/// As [`escape`], for the inside of a string in double quotes.
pub(super) fn escape_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            c => escape_char(&mut out, c),
        }
    }
    out
}

fn escape_char(out: &mut String, c: char) {
    match c {
        '\\' => out.push_str("\\\\"),
        '\u{8}' => out.push_str("\\b"),
        '\t' => out.push_str("\\t"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        c if c.is_ascii_control() => {
            // Writing to a String does not fail.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        }
        c => out.push(c),
    }
}

/// Undoes escapes. What is no escape means the character after the backslash; a backslash at the end
/// means nothing; half of a surrogate pair means U+FFFD, for it is no character.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, after)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut chars = after.chars();
        rest = match chars.next() {
            None => return Cow::Owned(out),
            Some('u') => match unit(chars.as_str()) {
                Some((unit, after)) => push_unit(&mut out, unit, after),
                None => {
                    out.push('u');
                    chars.as_str()
                }
            },
            Some(c) => {
                out.push(match c {
                    'b' => '\u{8}',
                    't' => '\t',
                    'n' => '\n',
                    'r' => '\r',
                    c => c,
                });
                chars.as_str()
            }
        };
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Four hexadecimal digits and what follows them.
fn unit(text: &str) -> Option<(u16, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    let all_hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
    all_hex.then(|| u16::from_str_radix(digits, 16).ok()).flatten().map(|unit| (unit, rest))
}

/// Adds the character of `unit`, with the second half of its pair if that follows in `after`; gives what
/// is left.
fn push_unit<'a>(out: &mut String, first: u16, after: &'a str) -> &'a str {
    if let Some((second, rest)) = after.strip_prefix("\\u").and_then(unit)
        && let Some(Ok(c)) = char::decode_utf16([first, second]).next()
        && c.len_utf16() == 2
    {
        out.push(c);
        return rest;
    }
    out.push(char::from_u32(u32::from(first)).unwrap_or(char::REPLACEMENT_CHARACTER));
    after
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CPIM-02
    #[test]
    fn what_must_be_escaped_is_and_nothing_else() {
        assert_eq!(escape("\\ \u{8}\t\n\r\0\u{b}\u{1f}\u{7f}"), r"\\ \b\t\n\r\u0000\u000b\u001f\u007f");
        assert_eq!(escape("\"it's\" <ü> \u{80}"), "\"it's\" <ü> \u{80}");
        assert_eq!(escape_quoted("\"it's\""), r#"\"it's\""#);
    }

    /// CPIM-02
    #[test]
    fn every_escape_is_read() {
        assert_eq!(unescape(r#"\\\"\'\b\t\n\r\u0041\u00fc\u20AC"#), "\\\"'\u{8}\t\n\rAü€");
    }

    /// CPIM-02, RFC 3862 §2.3.1, last paragraph
    #[test]
    fn what_is_no_escape_means_the_character_and_a_last_backslash_nothing() {
        assert_eq!(unescape(r"\x\é\u12\u00g0\"), "xéu12u00g0");
    }

    #[test]
    fn surrogates_make_one_character_in_pairs_and_none_alone() {
        assert_eq!(unescape(r"\ud83d\ude00!"), "😀!");
        assert_eq!(unescape(r"\ud83d\u0041"), "\u{fffd}A");
        assert_eq!(unescape(r"\ude00\ud83d"), "\u{fffd}\u{fffd}");
        assert_eq!(unescape(r"\ud83dx"), "\u{fffd}x");
    }
}
