//! From bytes to text.

use encoding_rs::{Encoding, UTF_8, UTF_16BE};
use std::borrow::Cow;

/// Text with what was lost on the way. The bytes stay with the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodedText<'a> {
    /// The text, U+FFFD where bytes could not be read.
    pub text: Cow<'a, str>,
    /// Whether some could not.
    pub replaced: bool,
    /// Whether the declared charset is one that we know; if not, UTF-8 was tried.
    pub charset_known: bool,
}

/// Decodes `body` in the declared charset, UTF-8 if there is none (RFC 3261 §7.4.1). Names are those of
/// the WHATWG encoding standard, hence `iso-8859-1` gives the characters of windows-1252; `us-ascii` is
/// read as UTF-8, which it is a part of and is often meant. A byte order mark outranks the declaration.
pub fn decode_text<'a>(charset: Option<&str>, body: &'a [u8]) -> DecodedText<'a> {
    let label = charset.map(str::trim).filter(|label| !label.is_empty());
    let declared = match label {
        None => Some(UTF_8),
        Some(label) if is_ascii_label(label) => Some(UTF_8),
        // Without a byte order mark RFC 2781 §4.3 means big-endian, the WHATWG little-endian.
        Some(label) if label.eq_ignore_ascii_case("utf-16") => Some(UTF_16BE),
        Some(label) => Encoding::for_label_no_replacement(label.as_bytes()),
    };
    let (text, _, replaced) = declared.unwrap_or(UTF_8).decode(body);
    DecodedText { text, replaced, charset_known: declared.is_some() }
}

fn is_ascii_label(label: &str) -> bool {
    ["us-ascii", "ascii", "ansi_x3.4-1968"].iter().any(|ascii| ascii.eq_ignore_ascii_case(label))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(charset: Option<&str>, body: &[u8]) -> (String, bool, bool) {
        let DecodedText { text, replaced, charset_known } = decode_text(charset, body);
        (text.into_owned(), replaced, charset_known)
    }

    /// BODY-04, I-06
    #[test]
    fn text_without_charset_is_utf_8() {
        assert_eq!(decoded(None, "grüße".as_bytes()), ("grüße".into(), false, true));
        assert_eq!(decoded(Some(""), "grüße".as_bytes()), ("grüße".into(), false, true));
    }

    /// I-06
    #[test]
    fn a_declared_charset_is_decoded() {
        assert_eq!(decoded(Some("iso-8859-1"), b"gr\xfc\xdfe"), ("grüße".into(), false, true));
        assert_eq!(decoded(Some("ISO-8859-15"), b"\xa4"), ("€".into(), false, true));
        assert_eq!(decoded(Some("shift_jis"), b"\x82\xa0"), ("あ".into(), false, true));
    }

    /// I-06
    #[test]
    fn bytes_that_are_wrong_in_their_charset_are_replaced_and_flagged() {
        assert_eq!(decoded(None, b"a\xffb"), ("a\u{fffd}b".into(), true, true));
        assert_eq!(decoded(Some("utf-8"), b"gr\xfc"), ("gr\u{fffd}".into(), true, true));
    }

    #[test]
    fn an_unknown_charset_is_tried_as_utf_8_and_flagged() {
        assert_eq!(decoded(Some("klingon"), "ü".as_bytes()), ("ü".into(), false, false));
        // An encoding that the standard replaces as a whole is as good as unknown.
        assert_eq!(decoded(Some("iso-2022-kr"), b"a"), ("a".into(), false, false));
    }

    #[test]
    fn ascii_with_utf_8_in_it_is_utf_8() {
        assert_eq!(decoded(Some("US-ASCII"), "ü".as_bytes()), ("ü".into(), false, true));
    }

    #[test]
    fn utf_16_follows_its_byte_order_mark_and_is_big_endian_without() {
        for bytes in [&b"\xfe\xff\0a"[..], b"\xff\xfea\0", b"\0a"] {
            assert_eq!(decoded(Some("UTF-16"), bytes), ("a".into(), false, true));
        }
        assert_eq!(decoded(Some("utf-16le"), b"a\0"), ("a".into(), false, true));
    }

    #[test]
    fn utf_8_is_not_copied() {
        assert!(matches!(decode_text(None, b"abc").text, Cow::Borrowed("abc")));
    }
}
