//! multipart/mixed, multipart/alternative and their kin (RFC 2046 §5.1, RFC 5621 §4).

use super::mime::line_at;
use super::{Content, Disposition, HeaderError, MediaType, MimeHeaders, Part};
use crate::lex::{is_token, quote_into};
use bytes::Bytes;
use memchr::memmem;
use thiserror::Error;

/// How deep parts may be nested; the deepest use in SIP is an alternative in a mixed in a signed body.
pub const MAX_DEPTH: usize = 4;

/// Parts in one body, those of all depths together.
pub const MAX_PARTS: usize = 64;

/// Bytes of a multipart body.
pub const MAX_SIZE: usize = 1 << 20;

/// Characters of a boundary (RFC 2046 §5.1.1).
pub const MAX_BOUNDARY: usize = 70;

/// Why a multipart body cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MultipartError {
    /// The boundary is empty, too long, ends in a space, or has characters that RFC 2046 §5.1.1 forbids.
    #[error("{found:?} is no boundary")]
    Boundary {
        /// What stands as boundary; empty if there is none.
        found: String,
    },
    /// The body never begins: no line is the boundary.
    #[error("the boundary stands on no line of the body")]
    NoParts,
    /// The closing boundary is missing: the body may have been cut.
    #[error("the closing boundary is missing")]
    Unterminated,
    /// The header fields of a part cannot be read.
    #[error("part {index}: {source}")]
    Headers {
        /// The part, counted from 0 within its multipart.
        index: usize,
        /// What is wrong.
        source: HeaderError,
    },
    /// More than [`MAX_PARTS`].
    #[error("more than {MAX_PARTS} parts")]
    TooManyParts,
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// Larger than [`MAX_SIZE`].
    #[error("{size} bytes are more than {MAX_SIZE}")]
    TooLarge {
        /// Bytes of the body.
        size: usize,
    },
    /// The boundary occurs in a part that is to be written: choose another.
    #[error("the boundary occurs in part {index}")]
    BoundaryInPart {
        /// The part, counted from 0.
        index: usize,
    },
    /// The subtype is no token.
    #[error("{found:?} is no subtype")]
    Subtype {
        /// What it is.
        found: String,
    },
}

/// A part that must be handled and is not understood: 415 (RFC 5621 §8.4).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{media_type} with disposition {:?} is not understood", .disposition.kind)]
pub struct NotUnderstood {
    /// Its media type; that of the whole if no alternative was understood.
    pub media_type: MediaType,
    /// Its disposition.
    pub disposition: Disposition,
}

/// A body made of parts, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multipart {
    subtype: String,
    boundary: String,
    parts: Vec<Part>,
}

impl Multipart {
    /// Reads a body whose Content-Type is `multipart/SUBTYPE` with that boundary. Contents are slices of
    /// `body`, not copies.
    ///
    /// # Errors
    /// See [`MultipartError`]; a nested multipart that cannot be read fails the whole.
    pub fn parse(subtype: &str, boundary: &str, body: &Bytes) -> Result<Self, MultipartError> {
        if body.len() > MAX_SIZE {
            return Err(MultipartError::TooLarge { size: body.len() });
        }
        Reader { parts_left: MAX_PARTS }.multipart(subtype, boundary, body, 1)
    }

    /// A body to be sent. The caller draws the boundary at random, so that it occurs in no part.
    ///
    /// # Errors
    /// See [`MultipartError`].
    pub fn new(subtype: &str, boundary: &str, parts: Vec<Part>) -> Result<Self, MultipartError> {
        check_subtype(subtype)?;
        check_boundary(boundary)?;
        if parts.is_empty() {
            return Err(MultipartError::NoParts);
        }
        let multipart =
            Multipart { subtype: subtype.to_ascii_lowercase(), boundary: boundary.to_owned(), parts };
        if multipart.count() > MAX_PARTS {
            return Err(MultipartError::TooManyParts);
        }
        if multipart.depth() > MAX_DEPTH {
            return Err(MultipartError::TooDeep);
        }
        let delimiter = format!("--{boundary}");
        let mut size = 0;
        for (index, part) in multipart.parts.iter().enumerate() {
            let mut written = Vec::new();
            write_part(part, &mut written);
            if memmem::find(&written, delimiter.as_bytes()).is_some() {
                return Err(MultipartError::BoundaryInPart { index });
            }
            size += written.len() + delimiter.len() + 4;
        }
        size += delimiter.len() + 4;
        if size > MAX_SIZE { Err(MultipartError::TooLarge { size }) } else { Ok(multipart) }
    }

    /// The subtype in lower case: `mixed`, `alternative`, …
    pub fn subtype(&self) -> &str {
        &self.subtype
    }

    /// Whether the parts are versions of one thing, the best last (RFC 2046 §5.1.4). Everything else is
    /// read as mixed (RFC 5621 §4.2).
    pub fn is_alternative(&self) -> bool {
        self.subtype == "alternative"
    }

    /// The parts, at least one.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The media type with the boundary, for Content-Type.
    pub fn media_type(&self) -> MediaType {
        let mut quoted = String::new();
        quote_into(&mut quoted, &self.boundary);
        let text = format!("multipart/{};boundary={quoted}", self.subtype);
        MediaType::parse(&text).unwrap_or_else(|| MimeHeaders::new().media_type())
    }

    /// The body as it is sent.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for part in &self.parts {
            out.extend_from_slice(format!("--{}\r\n", self.boundary).as_bytes());
            write_part(part, &mut out);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        out
    }

    /// The parts that are to be handled, in their order, when `understands` says of each single part
    /// whether its type and disposition are understood here: of a mixed body all that are understood, of
    /// alternatives the last that is (RFC 5621 §6.1), through all depths.
    ///
    /// # Errors
    /// [`NotUnderstood`] for the first part that is required (which it is by default) and not understood.
    /// The body itself may be optional (its own Content-Disposition in the message): then it is ignored.
    pub fn resolve<'a>(
        &'a self,
        understands: &dyn Fn(&Part) -> bool,
    ) -> Result<Vec<&'a Part>, NotUnderstood> {
        let mut handled = Vec::new();
        if self.is_alternative() {
            for part in self.parts.iter().rev() {
                // A part's own handling does not count here (RFC 5621 §8.3).
                match resolve_part(part, understands) {
                    Ok(parts) if !parts.is_empty() => return Ok(parts),
                    Ok(_) | Err(_) => {}
                }
            }
            let media_type = self.media_type();
            let disposition = Disposition::default_of(&media_type);
            return Err(NotUnderstood { media_type, disposition });
        }
        for part in &self.parts {
            match resolve_part(part, understands) {
                Ok(parts) => handled.extend(parts),
                Err(why) if part.disposition().required => return Err(why),
                Err(_) => {}
            }
        }
        Ok(handled)
    }

    fn count(&self) -> usize {
        let nested = |part: &Part| match part.content() {
            Content::Single(_) => 1,
            Content::Multipart(multipart) => 1 + multipart.count(),
        };
        self.parts.iter().map(nested).sum()
    }

    fn depth(&self) -> usize {
        let nested = |part: &Part| match part.content() {
            Content::Single(_) => 0,
            Content::Multipart(multipart) => multipart.depth(),
        };
        1 + self.parts.iter().map(nested).max().unwrap_or(0)
    }
}

fn resolve_part<'a>(
    part: &'a Part,
    understands: &dyn Fn(&Part) -> bool,
) -> Result<Vec<&'a Part>, NotUnderstood> {
    match part.content() {
        Content::Multipart(multipart) => multipart.resolve(understands),
        Content::Single(_) if understands(part) => Ok(vec![part]),
        Content::Single(_) => {
            Err(NotUnderstood { media_type: part.media_type().clone(), disposition: part.disposition() })
        }
    }
}

fn write_part(part: &Part, out: &mut Vec<u8>) {
    part.headers().write_into(out);
    out.extend_from_slice(b"\r\n");
    match part.content() {
        Content::Single(bytes) => out.extend_from_slice(bytes),
        Content::Multipart(multipart) => out.extend_from_slice(&multipart.to_bytes()),
    }
}

fn check_subtype(subtype: &str) -> Result<(), MultipartError> {
    if is_token(subtype) { Ok(()) } else { Err(MultipartError::Subtype { found: subtype.to_owned() }) }
}

/// `bchars` of RFC 2046 §5.1.1.
fn check_boundary(boundary: &str) -> Result<(), MultipartError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&b);
    let good = (1..=MAX_BOUNDARY).contains(&boundary.len())
        && boundary.bytes().all(allowed)
        && !boundary.ends_with(' ');
    if good { Ok(()) } else { Err(MultipartError::Boundary { found: boundary.to_owned() }) }
}

struct Reader {
    parts_left: usize,
}

impl Reader {
    fn multipart(
        &mut self,
        subtype: &str,
        boundary: &str,
        body: &Bytes,
        depth: usize,
    ) -> Result<Multipart, MultipartError> {
        if depth > MAX_DEPTH {
            return Err(MultipartError::TooDeep);
        }
        check_subtype(subtype)?;
        check_boundary(boundary)?;
        let delimiter = format!("--{boundary}");
        let mut parts = Vec::new();
        let mut begin = None;
        for at in memmem::find_iter(body, delimiter.as_bytes()) {
            let Some(line) = delimiter_line(body, at, delimiter.len()) else { continue };
            if let Some(begin) = begin {
                let segment = segment(body, begin, at);
                let part = self.part(&segment, parts.len(), depth)?;
                parts.push(part);
            }
            if line.closes {
                if parts.is_empty() {
                    return Err(MultipartError::NoParts);
                }
                let (subtype, boundary) = (subtype.to_ascii_lowercase(), boundary.to_owned());
                return Ok(Multipart { subtype, boundary, parts });
            }
            begin = Some(line.next);
        }
        Err(if begin.is_some() { MultipartError::Unterminated } else { MultipartError::NoParts })
    }

    fn part(&mut self, segment: &Bytes, index: usize, depth: usize) -> Result<Part, MultipartError> {
        self.parts_left = self.parts_left.checked_sub(1).ok_or(MultipartError::TooManyParts)?;
        let (headers, at) =
            MimeHeaders::parse(segment).map_err(|source| MultipartError::Headers { index, source })?;
        let content = slice(segment, at, segment.len());
        let media_type = headers.media_type();
        let plain = |name| match headers.get(name) {
            None => true,
            Some(value) => {
                ["", "identity", "7bit", "8bit", "binary"].iter().any(|p| p.eq_ignore_ascii_case(value))
            }
        };
        // A compressed multipart stays one part, for the caller to refuse or decode.
        let nested = media_type.kind() == "multipart"
            && plain("Content-Encoding")
            && plain("Content-Transfer-Encoding");
        let content = if nested {
            let boundary = media_type.parameter("boundary").unwrap_or_default();
            Content::Multipart(self.multipart(media_type.subtype(), boundary, &content, depth + 1)?)
        } else {
            Content::Single(content)
        };
        Ok(Part::received(headers, media_type, content))
    }
}

struct DelimiterLine {
    closes: bool,
    /// Where the line after it begins.
    next: usize,
}

/// Judges an occurrence of the delimiter: it must begin a line, and nothing but `--` and white space may
/// follow on it. So a boundary that begins like another is not taken for it.
fn delimiter_line(body: &[u8], at: usize, length: usize) -> Option<DelimiterLine> {
    let begins_line = at == 0 || body.get(at - 1) == Some(&b'\n');
    let (rest, next) = line_at(body, at + length);
    let (padding, closes) = match rest.strip_prefix(b"--") {
        Some(padding) => (padding, true),
        None => (rest, false),
    };
    let blank = padding.iter().all(|b| matches!(b, b' ' | b'\t'));
    // A part begins on the next line, so there must be one.
    let ended = closes || body.get(next.wrapping_sub(1)) == Some(&b'\n') && next > at + length;
    (begins_line && blank && ended).then_some(DelimiterLine { closes, next })
}

/// What stands between two delimiter lines. The line end before the second belongs to it.
fn segment(body: &Bytes, begin: usize, end: usize) -> Bytes {
    let bytes = body.get(begin..end).unwrap_or_default();
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    slice(body, begin, begin + bytes.len())
}

/// [`Bytes::slice`] that gives nothing instead of panicking.
fn slice(bytes: &Bytes, begin: usize, end: usize) -> Bytes {
    bytes.get(begin..end).map(|part| bytes.slice_ref(part)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
