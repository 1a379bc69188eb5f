//! message/cpim (RFC 3862): a message with header fields of its own, which travel end to end.
//!
//! ```
//! use aldis_sip::body::MimeHeaders;
//! use aldis_sip::body::cpim::{Address, Cpim, IMDN};
//!
//! let text = MimeHeaders::new().with("Content-Type", "text/plain;charset=utf-8")?;
//! let mut cpim = Cpim::new(text, "hello".as_bytes())?;
//! cpim.push_address("From", &Address::new("Alice", "sip:alice@example.test")?)?;
//! cpim.declare("imdn", IMDN)?;
//! cpim.push("imdn.Message-ID", "34jk324j")?;
//!
//! let read = Cpim::parse(&cpim.to_bytes().into())?;
//! assert_eq!(read.get(IMDN, "Message-ID").map(|h| h.value()).as_deref(), Some("34jk324j"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod date_time;
mod escape;
mod header;

pub use address::Address;
pub use date_time::{read_date_time, write_date_time};
pub use header::Header;

use super::mime::line_at;
use super::{HeaderError, MediaType, MimeHeaders};
use bytes::Bytes;
use std::borrow::Cow;
use thiserror::Error;

/// The namespace of From, To, cc, DateTime, Subject, NS and Require (RFC 3862 §4), which is the default.
pub const CORE: &str = "urn:ietf:params:cpim-headers:";

/// The namespace of Message-ID, Disposition-Notification and the like (RFC 5438 §6.1).
pub const IMDN: &str = "urn:ietf:params:imdn";

/// Header fields of one message. (RFC 3862 §2.2 wants no limit on their length; the body has one.)
pub const MAX_HEADERS: usize = 64;

/// Why a message/cpim body cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CpimError {
    /// A line that is no header field.
    #[error("malformed CPIM header at byte {at}: {why}")]
    Malformed {
        /// Where the line begins.
        at: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// More than [`MAX_HEADERS`].
    #[error("more than {MAX_HEADERS} CPIM headers")]
    TooMany,
    /// The header fields of the content cannot be read.
    #[error("content: {0}")]
    Content(#[from] HeaderError),
    /// The content has no Content-Type (RFC 3862 §2.4).
    #[error("the content of the CPIM message has no Content-Type")]
    NoContentType,
    /// A name or URI that is to be written and cannot be.
    #[error("{what} {found:?} cannot be written")]
    Unwritable {
        /// What it is.
        what: &'static str,
        /// Its text.
        found: String,
    },
    /// A prefix that is used and was not declared before (RFC 3862 §3.4).
    #[error("namespace prefix {prefix:?} has not been declared")]
    UndeclaredPrefix {
        /// The prefix.
        prefix: String,
    },
}

/// A message/cpim body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cpim {
    headers: Vec<Header>,
    content_headers: MimeHeaders,
    content: Bytes,
}

impl Cpim {
    /// A message with that content and no header fields yet.
    ///
    /// # Errors
    /// [`CpimError::NoContentType`].
    pub fn new(content_headers: MimeHeaders, content: impl Into<Bytes>) -> Result<Self, CpimError> {
        if content_headers.get("Content-Type").is_none() {
            return Err(CpimError::NoContentType);
        }
        Ok(Cpim { headers: Vec::new(), content_headers, content: content.into() })
    }

    /// Reads a body. Two things are taken that RFC 3862 forbids and others send: lines that end in LF
    /// alone, and `Content-…` fields that follow the message's own without an empty line between, as in the
    /// examples of RFC 5438.
    ///
    /// # Errors
    /// See [`CpimError`].
    pub fn parse(body: &Bytes) -> Result<Self, CpimError> {
        let mut headers: Vec<Header> = Vec::new();
        let mut at = 0;
        while at < body.len() {
            let (line, next) = line_at(body, at);
            if line.is_empty() {
                at = next;
                break;
            }
            if line.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"content-")) {
                break;
            }
            let line =
                std::str::from_utf8(line).map_err(|_| CpimError::Malformed { at, why: "it is not UTF-8" })?;
            let header = Header::parse(line).map_err(|why| CpimError::Malformed { at, why })?;
            if headers.len() >= MAX_HEADERS {
                return Err(CpimError::TooMany);
            }
            headers.push(header);
            at = next;
        }
        let rest = body.get(at..).unwrap_or_default();
        let (content_headers, content_at) = MimeHeaders::parse(rest)?;
        let content = body.slice_ref(rest.get(content_at..).unwrap_or_default());
        Ok(Cpim { headers, ..Cpim::new(content_headers, content)? })
    }

    /// The body as it is sent; what was received and not changed keeps its header bytes and their order,
    /// with CRLF as line ends.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.content.len() + 256);
        for header in &self.headers {
            out.extend_from_slice(header.line().as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        self.content_headers.write_into(&mut out);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.content);
        out
    }

    /// Adds a field at the end, `name` with its prefix if it has one; `value` is escaped where it must be
    /// and loses the white space at its ends, which no line may have.
    ///
    /// # Errors
    /// [`CpimError::Unwritable`] for a name, [`CpimError::UndeclaredPrefix`], [`CpimError::TooMany`].
    pub fn push(&mut self, name: &str, value: &str) -> Result<(), CpimError> {
        self.push_header(Header::new(name, &escape::escape(value.trim()))?)
    }

    /// Adds a From, To or cc.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_address(&mut self, name: &str, address: &Address) -> Result<(), CpimError> {
        self.push_header(Header::new(name, &address.to_string())?)
    }

    /// Declares a namespace prefix for the fields after it; an empty one changes the default.
    ///
    /// # Errors
    /// [`CpimError::Unwritable`] for a prefix that is no name or a URI with spaces, brackets or control
    /// characters; [`CpimError::TooMany`].
    pub fn declare(&mut self, prefix: &str, uri: &str) -> Result<(), CpimError> {
        if !prefix.is_empty() && !header::is_name(prefix) {
            return Err(CpimError::Unwritable { what: "namespace prefix", found: prefix.to_owned() });
        }
        address::check_uri(uri)?;
        let separator = if prefix.is_empty() { "" } else { " " };
        self.push_header(Header::new("NS", &format!("{prefix}{separator}<{uri}>"))?)
    }

    /// All header fields in their order.
    pub fn headers(&self) -> &[Header] {
        &self.headers
    }

    /// The fields of a name in a namespace, whatever prefix stands for it. Names match exactly.
    pub fn all<'a>(&'a self, namespace: &'a str, name: &'a str) -> impl Iterator<Item = &'a Header> {
        self.resolved()
            .filter(move |(n, h)| h.local_name() == name && n.as_deref() == Some(namespace))
            .map(|(_, h)| h)
    }

    /// The first field of a name in a namespace.
    pub fn get(&self, namespace: &str, name: &str) -> Option<&Header> {
        self.resolved()
            .find(|(n, h)| h.local_name() == name && n.as_deref() == Some(namespace))
            .map(|(_, h)| h)
    }

    /// The sender, which is a claim: only the SIP signalling has been authenticated.
    pub fn from(&self) -> Option<Address> {
        self.get(CORE, "From").and_then(Header::address)
    }

    /// The recipients.
    pub fn to(&self) -> impl Iterator<Item = Address> {
        self.all(CORE, "To").filter_map(Header::address)
    }

    /// When the message was sent, as written (RFC 3339).
    pub fn date_time(&self) -> Option<Cow<'_, str>> {
        self.get(CORE, "DateTime").map(Header::value)
    }

    /// What a `Require` names and `understands` (namespace, name) does not know; with any of these the
    /// message is not understood (RFC 3862 §3.5). A name with an undeclared prefix is never known.
    pub fn not_understood(&self, understands: impl Fn(&str, &str) -> bool) -> Vec<String> {
        let mut unknown = Vec::new();
        let mut scope = Scope::default();
        for header in &self.headers {
            scope.see(header);
            if header.name() != "Require" {
                continue;
            }
            for required in header.raw_value().split(',').map(str::trim).filter(|name| !name.is_empty()) {
                let (prefix, name) = header::split_name(required);
                let known = scope.resolve(prefix).is_some_and(|namespace| understands(&namespace, name));
                if !known {
                    unknown.push(required.to_owned());
                }
            }
        }
        unknown
    }

    /// The header fields of the content.
    pub fn content_headers(&self) -> &MimeHeaders {
        &self.content_headers
    }

    /// The media type of the content.
    pub fn content_type(&self) -> MediaType {
        self.content_headers.media_type()
    }

    /// The content, with its encodings in place.
    pub fn content(&self) -> &Bytes {
        &self.content
    }

    /// Every field with the namespace that its prefix stands for there; none if the prefix is undeclared.
    fn resolved(&self) -> impl Iterator<Item = (Option<Cow<'_, str>>, &Header)> {
        let mut scope = Scope::default();
        self.headers.iter().map(move |header| {
            scope.see(header);
            (scope.resolve(header.prefix()), header)
        })
    }

    fn push_header(&mut self, header: Header) -> Result<(), CpimError> {
        if self.headers.len() >= MAX_HEADERS {
            return Err(CpimError::TooMany);
        }
        let mut scope = Scope::default();
        self.headers.iter().for_each(|earlier| scope.see(earlier));
        if scope.resolve(header.prefix()).is_none() {
            let prefix = header.prefix().unwrap_or_default().to_owned();
            return Err(CpimError::UndeclaredPrefix { prefix });
        }
        self.headers.push(header);
        Ok(())
    }
}

/// The namespaces declared so far: prefix (empty for the default) and URI.
#[derive(Default)]
struct Scope<'a> {
    declared: Vec<(&'a str, Cow<'a, str>)>,
}

impl<'a> Scope<'a> {
    fn see(&mut self, header: &'a Header) {
        self.declared.extend(header.declaration());
    }

    fn resolve(&self, prefix: Option<&str>) -> Option<Cow<'a, str>> {
        let prefix = prefix.unwrap_or_default();
        let declared = self.declared.iter().rev().find(|(p, _)| *p == prefix).map(|(_, uri)| uri.clone());
        declared.or_else(|| prefix.is_empty().then_some(Cow::Borrowed(CORE)))
    }
}

#[cfg(test)]
mod tests;
