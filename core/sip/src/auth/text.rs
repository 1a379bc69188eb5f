//! A parameter's value, kept as it was written.

use super::AuthError;
use crate::lex::{Quoted, quote_into, unescape};
use std::borrow::Cow;
use std::fmt;

/// The inside of a quoted string as it stood on the wire, so that it can be returned byte for byte
/// (RFC 7616 §3.4: realm, nonce and opaque as received). Two are equal if they mean the same.
#[derive(Clone)]
pub struct Text {
    raw: Box<str>,
}

impl Text {
    /// What `text` looks like inside a quoted string.
    ///
    /// # Errors
    /// [`AuthError::Unwritable`] naming `parameter`, for a control character.
    pub fn new(parameter: &'static str, text: &str) -> Result<Self, AuthError> {
        writable(parameter, text)?;
        let mut quoted = String::with_capacity(text.len() + 2);
        quote_into(&mut quoted, text);
        let raw = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
        Ok(Text { raw: raw.into() })
    }

    /// What stands between the quotes, escapes in place.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// What it means: `unq()` of RFC 7616 §3.3.
    pub fn text(&self) -> Cow<'_, str> {
        unescape(&self.raw)
    }

    pub(super) fn from_quoted(quoted: Quoted<'_>) -> Self {
        Text { raw: quoted.raw().into() }
    }

    /// `bare` must hold neither a quote nor a backslash.
    pub(super) fn from_bare(bare: &str) -> Self {
        Text { raw: bare.into() }
    }
}

/// Whether `text` may stand in a quoted string: no control characters.
pub(super) fn writable(parameter: &'static str, text: &str) -> Result<(), AuthError> {
    match text.chars().find(char::is_ascii_control) {
        None => Ok(()),
        found => Err(AuthError::Unwritable { parameter, found }),
    }
}

impl fmt::Display for Text {
    /// With its quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.raw)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.text() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.text() == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_are_escaped_and_read_back() {
        let text = Text::new("realm", r#"a "b" \c"#).unwrap();
        assert_eq!(text.raw(), r#"a \"b\" \\c"#);
        assert_eq!(text, r#"a "b" \c"#);
    }

    #[test]
    fn control_characters_are_refused() {
        for bad in ['\r', '\n', '\0', '\t', '\u{7f}'] {
            let error = Text::new("nonce", &format!("a{bad}b")).unwrap_err();
            assert_eq!(error, AuthError::Unwritable { parameter: "nonce", found: Some(bad) });
        }
    }

    #[test]
    fn two_spellings_of_one_text_are_equal() {
        let plain = Text::from_bare("abc");
        let escaped = Text { raw: r"a\bc".into() };
        assert_eq!(plain, escaped);
        assert_ne!(plain.raw(), escaped.raw());
    }
}
