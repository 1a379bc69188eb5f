//! From, To and cc: an optional name and a URI (RFC 3862 §4.1).

use super::{CpimError, escape};
use crate::lex::trim;
use std::fmt;

/// An address with the name that goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    name: String,
    uri: String,
}

impl Address {
    /// An address; an empty name is none.
    ///
    /// # Errors
    /// [`CpimError::Unwritable`] for a URI that is empty or has spaces, angle brackets, a backslash or
    /// control characters.
    pub fn new(name: &str, uri: &str) -> Result<Self, CpimError> {
        check_uri(uri)?;
        Ok(Address { name: name.to_owned(), uri: uri.to_owned() })
    }

    /// The name, empty if there is none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URI as written.
    pub fn uri(&self) -> &str {
        &self.uri
    }
}

impl fmt::Display for Address {
    /// The header value, escaped; the name in quotes unless it is tokens with single spaces between.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.name.is_empty() {
            if self.name.split(' ').all(is_token) {
                write!(f, "{} ", self.name)?;
            } else {
                write!(f, "\"{}\" ", escape::escape_quoted(&self.name))?;
            }
        }
        write!(f, "<{}>", self.uri)
    }
}

/// Reads a raw header value; None if it is no address.
pub(super) fn parse(value: &str) -> Option<Address> {
    let value = trim(value);
    let (name, rest) = match value.strip_prefix('"') {
        Some(quoted) => {
            let (inner, rest) = quoted.split_at_checked(closing_quote(quoted)?)?;
            (inner, trim(rest.strip_prefix('"')?).strip_prefix('<')?)
        }
        None => {
            let (name, rest) = value.split_once('<')?;
            (trim(name), rest)
        }
    };
    let uri = escape::unescape(rest.strip_suffix('>')?);
    Address::new(&escape::unescape(name), &uri).ok()
}

/// Whether a URI may stand between angle brackets on a line.
pub(super) fn check_uri(uri: &str) -> Result<(), CpimError> {
    let bad = |c: char| c.is_control() || matches!(c, ' ' | '<' | '>' | '\\' | '"');
    if uri.is_empty() || uri.chars().any(bad) {
        return Err(CpimError::Unwritable { what: "URI", found: uri.to_owned() });
    }
    Ok(())
}

/// `Token` of RFC 3862 §3.6: no control characters, no separators.
fn is_token(text: &str) -> bool {
    let separator = |c: char| c.is_ascii_control() || "()<>@,;:\\\"/[]?={} ".contains(c);
    !text.is_empty() && !text.chars().any(separator)
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<(String, String)> {
        parse(value).map(|Address { name, uri }| (name, uri))
    }

    /// RFC 3862 §4.1
    #[test]
    fn names_are_read_bare_quoted_and_missing() {
        let uri = "im:pooh@100akerwood.com";
        for (value, name) in [
            ("Winnie the Pooh <im:pooh@100akerwood.com>", "Winnie the Pooh"),
            ("<im:pooh@100akerwood.com>", ""),
            (r#""Pooh, \"the\" < Bear\\" <im:pooh@100akerwood.com>"#, r#"Pooh, "the" < Bear\"#),
            (r"P\u00f6\\h<im:pooh@100akerwood.com>", r"Pö\h"),
        ] {
            assert_eq!(read(value), Some((name.into(), uri.into())), "{value}");
        }
    }

    #[test]
    fn what_is_no_address_is_not_read() {
        for value in
            ["", "im:a@b", "<im:a@b", "<>", "<a b>", "\"x <a:b>", "\"x\" y <a:b>", "x <a:b> y", r"<a\u000db>"]
        {
            assert_eq!(read(value), None, "{value}");
        }
    }

    /// CPIM-02
    #[test]
    fn a_name_is_quoted_only_if_it_must_be() {
        for (name, written) in [
            ("MR SANDERS", "MR SANDERS <sip:a>"),
            ("", "<sip:a>"),
            ("Jörg", "Jörg <sip:a>"),
            ("O'Hara", "O'Hara <sip:a>"),
            ("a  b", "\"a  b\" <sip:a>"),
            ("Doe, \"J\"\t\\", r#""Doe, \"J\"\t\\" <sip:a>"#),
        ] {
            let address = Address::new(name, "sip:a").unwrap();
            assert_eq!(address.to_string(), written);
            assert_eq!(parse(written), Some(address));
        }
    }

    #[test]
    fn a_uri_cannot_leave_its_brackets() {
        for uri in ["", "a b", "a>", "<a", "a\r\nX: y", "a\\u000a"] {
            let unwritable = CpimError::Unwritable { what: "URI", found: uri.into() };
            assert_eq!(Address::new("", uri), Err(unwritable));
        }
    }
}
