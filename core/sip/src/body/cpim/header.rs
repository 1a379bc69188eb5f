//! One header field of a message/cpim (RFC 3862 §3.6).

use super::{Address, CpimError, address, escape};
use std::borrow::Cow;

/// A header field, kept byte for byte as it was written (RFC 3862 §2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    line: String,
    /// Bytes of the name, prefix included.
    name_length: usize,
    /// Where the value begins.
    value_at: usize,
}

impl Header {
    /// The line without its end.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// The name with its prefix.
    pub fn name(&self) -> &str {
        self.line.get(..self.name_length).unwrap_or_default()
    }

    /// The namespace prefix, if there is one.
    pub fn prefix(&self) -> Option<&str> {
        split_name(self.name()).0
    }

    /// The name within its namespace.
    pub fn local_name(&self) -> &str {
        split_name(self.name()).1
    }

    /// The value, escapes undone.
    pub fn value(&self) -> Cow<'_, str> {
        escape::unescape(self.raw_value())
    }

    /// The value as written.
    pub fn raw_value(&self) -> &str {
        self.line.get(self.value_at..).unwrap_or_default()
    }

    /// A parameter such as `lang`, as written: quotes and escapes undone (RFC 3862 §3.3).
    pub fn parameter(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut rest = self.line.get(self.name_length..self.value_at)?.trim().strip_prefix(':')?;
        while let Some(after) = rest.strip_prefix(';') {
            let length = parameter_length(after);
            let (parameter, next) = after.split_at_checked(length)?;
            if let Some((found, value)) = parameter.split_once('=')
                && found == name
            {
                let quoted = value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"'));
                return Some(escape::unescape(quoted.unwrap_or(value)));
            }
            rest = next;
        }
        None
    }

    /// The value as an address (From, To, cc). None if it is not one.
    pub fn address(&self) -> Option<Address> {
        address::parse(self.raw_value())
    }

    /// Prefix and URI that an NS field declares.
    pub(super) fn declaration(&self) -> Option<(&str, Cow<'_, str>)> {
        if self.name() != "NS" {
            return None;
        }
        let (prefix, rest) = self.raw_value().split_once('<')?;
        let (uri, after) = rest.split_once('>')?;
        let prefix = prefix.trim();
        let good = after.trim().is_empty() && (prefix.is_empty() || is_name(prefix));
        good.then(|| (prefix, escape::unescape(uri)))
    }

    /// `value` is already escaped and has no control characters.
    pub(super) fn new(name: &str, value: &str) -> Result<Self, CpimError> {
        let (prefix, local) = split_name(name);
        if !prefix.is_none_or(is_name) || !is_name(local) || is_content_name(name) {
            return Err(CpimError::Unwritable { what: "header name", found: name.to_owned() });
        }
        let line = format!("{name}: {value}");
        // No line ends in white space (§2.2): an empty value stands directly behind the colon.
        let line = line.trim_end_matches(' ').to_owned();
        let value_at = line.len().min(name.len() + 2);
        Ok(Header { line, name_length: name.len(), value_at })
    }

    /// Reads a line that is not empty; the error says what is wrong.
    pub(super) fn parse(line: &str) -> Result<Self, &'static str> {
        if line.starts_with(' ') {
            return Err("it begins with a space");
        }
        if line.chars().any(|c| c.is_ascii_control()) {
            return Err("it holds a control character");
        }
        let line = line.trim_end_matches(' ');
        let (name, mut rest) = line.split_once(':').ok_or("it has no colon")?;
        let (prefix, local) = split_name(name);
        if !prefix.is_none_or(is_name) || !is_name(local) {
            return Err("its name is none");
        }
        while let Some(after) = rest.strip_prefix(';') {
            let length = parameter_length(after);
            let (parameter, next) = after.split_at_checked(length).ok_or("a parameter is malformed")?;
            let (name, value) = parameter.split_once('=').ok_or("a parameter is malformed")?;
            if !is_name(name) || value.is_empty() {
                return Err("a parameter is malformed");
            }
            rest = next;
        }
        // One space, says §2.2; none or several are taken, and kept in the line.
        let value = rest.trim_start_matches(' ');
        Ok(Header { line: line.to_owned(), name_length: name.len(), value_at: line.len() - value.len() })
    }
}

/// Prefix and local name: the prefix ends at the first period (RFC 3862 §3.6).
pub(super) fn split_name(name: &str) -> (Option<&str>, &str) {
    match name.split_once('.') {
        Some((prefix, local)) => (Some(prefix), local),
        None => (None, name),
    }
}

/// `Name` of RFC 3862 §3.6.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(allowed)
}

/// A name that readers may take for the first field of the content.
fn is_content_name(name: &str) -> bool {
    name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("content-"))
}

/// Bytes up to the semicolon or space that ends a parameter; within quotes neither does.
fn parameter_length(text: &str) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' | b' ' if !quoted => return at,
            _ => {}
        }
    }
    text.len()
}
