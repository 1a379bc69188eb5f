//! The header fields of a body part, and the media type among them (RFC 2045, RFC 2046 §5.1).

use crate::lex::{Cursor, is_token, quote_into, trim};
use memchr::memchr;
use std::fmt;
use thiserror::Error;

/// Header fields read in one part; real parts have two or three.
pub const MAX_PART_HEADERS: usize = 64;

/// Characters of the name of a file.
pub const MAX_FILE_NAME: usize = 120;

/// Parameters read of one media type or disposition.
pub const MAX_TYPE_PARAMETERS: usize = 16;

/// Why header fields of a part cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// A line that is neither a field nor the continuation of one, or holds control characters.
    #[error("malformed header line at byte {at} of the part")]
    Malformed {
        /// Where the line begins.
        at: usize,
    },
    /// More fields than [`MAX_PART_HEADERS`].
    #[error("more than {MAX_PART_HEADERS} header fields in one part")]
    TooMany,
    /// A name that is no token, or a value with control characters.
    #[error("header field {name:?} cannot be written: {found:?} is not allowed in it")]
    Unwritable {
        /// The field's name.
        name: String,
        /// The first character that is not allowed; none if the name is empty.
        found: Option<char>,
    },
}

/// The header fields of one part, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MimeHeaders {
    fields: Vec<(String, String)>,
}

impl MimeHeaders {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field at the end; white space around the value is dropped.
    ///
    /// # Errors
    /// [`HeaderError::Unwritable`], [`HeaderError::TooMany`].
    pub fn with(mut self, name: &str, value: &str) -> Result<Self, HeaderError> {
        let value = trim(value);
        let bad_in_name = name.chars().find(|c| !is_token(c.encode_utf8(&mut [0; 4])));
        let found = bad_in_name.or_else(|| value.chars().find(|c| is_forbidden(*c)));
        if name.is_empty() || found.is_some() {
            return Err(HeaderError::Unwritable { name: name.to_owned(), found });
        }
        self.push(name.to_owned(), value.to_owned())?;
        Ok(self)
    }

    /// The value of the first field of that name, in any case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All fields: name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The media type: `text/plain` if none is given, `application/octet-stream` if what is given cannot
    /// be read (RFC 2045 §5.2; RFC 2049 §2).
    pub fn media_type(&self) -> MediaType {
        match self.get("Content-Type") {
            None => MediaType::new("text", "plain"),
            Some(value) => MediaType::parse(value).unwrap_or_else(MediaType::octets),
        }
    }

    /// The name that a file of this content could have: `filename` of Content-Disposition, else `name` of Content-Type.
    /// It is the sender's wish: only the part behind the last separator of folders is given, without control characters,
    /// and nothing that would name a folder.
    pub fn file_name(&self) -> Option<String> {
        let disposition = self.get("Content-Disposition").and_then(|value| {
            let mut cursor = Cursor::new(value);
            cursor.skip_wsp();
            cursor.token()?;
            let parameters = parameters(&mut cursor)?;
            parameters.into_iter().find(|(name, _)| name == "filename").map(|(_, value)| value)
        });
        let wish = disposition.or_else(|| self.media_type().parameter("name").map(str::to_owned))?;
        let last = wish.rsplit(['/', '\\', ':']).next().unwrap_or_default();
        let name: String = last.chars().filter(|c| !c.is_control()).take(MAX_FILE_NAME).collect();
        let name = name.trim_matches([' ', '.']).to_owned();
        (!name.is_empty()).then_some(name)
    }

    /// Reads fields up to and with an empty line, or to the end; gives also where the content begins.
    pub(super) fn parse(block: &[u8]) -> Result<(Self, usize), HeaderError> {
        let mut headers = MimeHeaders::new();
        let mut at = 0;
        while at < block.len() {
            let (line, next) = line_at(block, at);
            if line.is_empty() {
                return Ok((headers, next));
            }
            let malformed = HeaderError::Malformed { at };
            let line = String::from_utf8_lossy(line);
            if line.chars().any(is_forbidden) {
                return Err(malformed);
            }
            if line.starts_with([' ', '\t']) {
                let (_, value) = headers.fields.last_mut().ok_or(malformed)?;
                let more = trim(&line);
                if !value.is_empty() && !more.is_empty() {
                    value.push(' ');
                }
                value.push_str(more);
            } else {
                let (name, value) = line.split_once(':').ok_or_else(|| malformed.clone())?;
                let name = name.trim_end_matches([' ', '\t']);
                if !is_token(name) {
                    return Err(malformed);
                }
                headers.push(name.to_owned(), trim(value).to_owned())?;
            }
            at = next;
        }
        Ok((headers, at))
    }

    /// Each field on its line, without the empty line after them.
    pub(super) fn write_into(&self, out: &mut Vec<u8>) {
        for (name, value) in self.iter() {
            for piece in [name, ": ", value, "\r\n"] {
                out.extend_from_slice(piece.as_bytes());
            }
        }
    }

    fn push(&mut self, name: String, value: String) -> Result<(), HeaderError> {
        if self.fields.len() >= MAX_PART_HEADERS {
            return Err(HeaderError::TooMany);
        }
        self.fields.push((name, value));
        Ok(())
    }
}

/// The line that begins at `at` without its end, and where the next begins. Lines end in CRLF; LF alone
/// is taken too, for gateways write it.
pub(super) fn line_at(bytes: &[u8], at: usize) -> (&[u8], usize) {
    let rest = bytes.get(at..).unwrap_or_default();
    let (line, length) = match memchr(b'\n', rest) {
        Some(end) => (rest.get(..end).unwrap_or_default(), end + 1),
        None => (rest, rest.len()),
    };
    (line.strip_suffix(b"\r").unwrap_or(line), at + length)
}

fn is_forbidden(c: char) -> bool {
    c.is_ascii_control() && c != '\t'
}

/// A media type with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType {
    kind: String,
    subtype: String,
    parameters: Vec<(String, String)>,
}

impl MediaType {
    /// Reads `type/subtype;name=value;…`. None if it is not that, names a parameter twice, or has more
    /// than [`MAX_TYPE_PARAMETERS`].
    pub fn parse(value: &str) -> Option<Self> {
        let mut cursor = Cursor::new(trim(value));
        let kind = cursor.token()?;
        if !cursor.eat_spaced(b'/') {
            return None;
        }
        let subtype = cursor.token()?;
        let parameters = parameters(&mut cursor)?;
        Some(MediaType { parameters, ..MediaType::new(kind, subtype) })
    }

    /// The type, in lower case: `text`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The subtype, in lower case: `plain`.
    pub fn subtype(&self) -> &str {
        &self.subtype
    }

    /// Whether it is that type, given in lower case.
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind == kind && self.subtype == subtype
    }

    /// A parameter's value, escapes undone; its name is compared in any case.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(n, _)| n == &name.to_ascii_lowercase()).map(|(_, v)| v.as_str())
    }

    /// `application/octet-stream`: bytes of which nothing is known.
    pub(super) fn octets() -> Self {
        MediaType::new("application", "octet-stream")
    }

    fn new(kind: &str, subtype: &str) -> Self {
        let (kind, subtype) = (kind.to_ascii_lowercase(), subtype.to_ascii_lowercase());
        MediaType { kind, subtype, parameters: Vec::new() }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.subtype)?;
        for (name, value) in &self.parameters {
            if is_token(value) {
                write!(f, ";{name}={value}")?;
            } else {
                let mut quoted = String::new();
                quote_into(&mut quoted, value);
                write!(f, ";{name}={quoted}")?;
            }
        }
        Ok(())
    }
}

/// `;name=value` up to the end, names in lower case. A name alone is taken with an empty value, stray
/// semicolons are skipped.
pub(super) fn parameters(cursor: &mut Cursor<'_>) -> Option<Vec<(String, String)>> {
    let mut parameters: Vec<(String, String)> = Vec::new();
    while cursor.eat_spaced(b';') {
        if cursor.is_end() || cursor.peek() == Some(b';') {
            continue;
        }
        let name = cursor.token()?.to_ascii_lowercase();
        let value = match cursor.eat_spaced(b'=') {
            false => String::new(),
            true if cursor.peek() == Some(b'"') => cursor.quoted()?.text().into_owned(),
            // More than a token: boundaries come without the quotes that their characters ask for.
            true => cursor.take_while(|b| b > b' ' && !matches!(b, b';' | b'"' | 0x7f)).to_owned(),
        };
        if parameters.len() >= MAX_TYPE_PARAMETERS || parameters.iter().any(|(n, _)| *n == name) {
            return None;
        }
        parameters.push((name, value));
    }
    cursor.skip_wsp();
    cursor.is_end().then_some(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_read_in_any_case_and_spacing() {
        let read = MediaType::parse(r#" Text / PLAIN ; Charset = "utf-8" ; x=a\b;; format "#).unwrap();
        assert!(read.is("text", "plain"));
        assert_eq!(read.parameter("CHARSET"), Some("utf-8"));
        assert_eq!(read.parameter("format"), Some(""));
        assert_eq!(read.parameter("delsp"), None);
    }

    #[test]
    fn what_is_no_media_type_is_not_read() {
        for bad in [
            "",
            "text",
            "text/",
            "/plain",
            "text/plain;a=1;A=2",
            "text/plain junk",
            "text/plain;a=\"x",
            "é/x",
        ] {
            assert_eq!(MediaType::parse(bad), None, "{bad}");
        }
        let many: String = (0..=MAX_TYPE_PARAMETERS).map(|n| format!(";p{n}=1")).collect();
        assert_eq!(MediaType::parse(&format!("a/b{many}")), None);
    }

    #[test]
    fn a_media_type_is_written_with_quotes_where_they_are_needed() {
        let written = MediaType::parse(r#"multipart/mixed;boundary="a b";type=x"#).unwrap().to_string();
        assert_eq!(written, r#"multipart/mixed;boundary="a b";type=x"#);
    }

    #[test]
    fn fields_are_unfolded_and_looked_up_in_any_case() {
        let block = b"Content-Type : text/plain;\r\n\tcharset=utf-8\r\nX-A:\r\n b\n\r\nbody";
        let (headers, at) = MimeHeaders::parse(block).unwrap();
        assert_eq!(headers.get("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(headers.get("x-a"), Some("b"));
        assert_eq!(&block[at..], b"body");
    }

    #[test]
    fn a_malformed_line_is_told_by_its_place() {
        for (block, at) in [
            (&b"a: b\r\nno colon\r\n\r\n"[..], 6),
            (b" folded first\r\n", 0),
            (b"a b: c\r\n", 0),
            (b"a: b\0\r\n", 0),
            (b"a: b\rX: y\r\n", 0),
            (b": c\r\n", 0),
        ] {
            assert_eq!(MimeHeaders::parse(block), Err(HeaderError::Malformed { at }), "{block:?}");
        }
    }

    #[test]
    fn fields_are_limited() {
        let full = "a: b\r\n".repeat(MAX_PART_HEADERS);
        assert!(MimeHeaders::parse(full.as_bytes()).is_ok());
        assert_eq!(MimeHeaders::parse(format!("{full}a: b\r\n").as_bytes()), Err(HeaderError::TooMany));
    }

    #[test]
    fn nothing_that_would_break_the_lines_is_written() {
        for (name, value, found) in [
            ("", "x", None),
            ("a b", "x", Some(' ')),
            ("a:", "x", Some(':')),
            ("a", "x\r\nb: c", Some('\r')),
            ("a", "\0", Some('\0')),
        ] {
            let unwritable = HeaderError::Unwritable { name: name.into(), found };
            assert_eq!(MimeHeaders::new().with(name, value), Err(unwritable));
        }
    }

    #[test]
    fn the_name_of_a_file_is_a_name_and_no_path() {
        let name = |disposition: &str, kind: &str| {
            let headers = MimeHeaders::new().with("Content-Disposition", disposition).unwrap();
            headers.with("Content-Type", kind).unwrap().file_name()
        };
        for (disposition, kind, expected) in [
            ("attachment; filename=\"a b.png\"", "image/png", Some("a b.png")),
            ("attachment", "image/png;name=c.png", Some("c.png")),
            ("attachment; filename=\"../../etc/passwd\"", "a/b", Some("passwd")),
            (r#"attachment; filename="C:\\x\\y.exe""#, "a/b", Some("y.exe")),
            ("attachment; filename=\"..\"", "a/b", None),
            ("attachment; filename=\".profile\"", "a/b", Some("profile")),
            ("render", "a/b", None),
        ] {
            assert_eq!(name(disposition, kind).as_deref(), expected, "{disposition} {kind}");
        }
    }

    #[test]
    fn the_type_of_a_part_without_one_is_plain_text_and_of_a_broken_one_unknown() {
        assert!(MimeHeaders::new().media_type().is("text", "plain"));
        let broken = MimeHeaders::new().with("Content-Type", "what?").unwrap();
        assert!(broken.media_type().is("application", "octet-stream"));
    }
}
