//! message/external-body with a URL (RFC 4483): content that lies elsewhere. Nothing here fetches it.
//!
//! ```
//! use aldis_sip::body::ExternalBody;
//!
//! let picture = ExternalBody::new("https://files.example.test/1", "image/jpeg", 1_800_000_000)?.with_size(52_723);
//! let read = ExternalBody::parse(&picture.media_type(), &picture.to_bytes().into())?;
//! assert_eq!(read, picture);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::{Disposition, HeaderError, MediaType, MimeHeaders};
use crate::fields::{Date, FieldValue};
use crate::lex::quote_into;
use bytes::Bytes;
use thiserror::Error;

/// Characters of a URL that are read.
pub const MAX_URL: usize = 2048;

/// Why a body is no reference to content elsewhere, or none can be written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ExternalBodyError {
    /// The content is reached in another way than by a URL (RFC 2017).
    #[error("access-type {found:?} is not URL")]
    AccessType {
        /// What it is; empty if it is missing.
        found: String,
    },
    /// The URL is missing, too long, or holds what no URL holds.
    #[error("{found:?} is no URL of {MAX_URL} printable characters at most")]
    Url {
        /// Its text.
        found: String,
    },
    /// The media type of the content is none.
    #[error("{found:?} is no media type")]
    MediaType {
        /// What it is.
        found: String,
    },
    /// The header fields of the content cannot be read.
    #[error(transparent)]
    Headers(#[from] HeaderError),
}

/// A reference to content that lies elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalBody {
    url: String,
    expires: Option<i64>,
    size: Option<u64>,
    hash: Option<String>,
    headers: MimeHeaders,
}

impl ExternalBody {
    /// Content of that media type at `url`, to be had until `expires` (seconds since 1970; RFC 4483 §5.7 demands one).
    ///
    /// # Errors
    /// [`ExternalBodyError::Url`], [`ExternalBodyError::MediaType`].
    pub fn new(url: &str, media_type: &str, expires: i64) -> Result<Self, ExternalBodyError> {
        check_url(url)?;
        let none = || ExternalBodyError::MediaType { found: media_type.to_owned() };
        let headers = MimeHeaders::new()
            .with("Content-Type", &MediaType::parse(media_type).ok_or_else(none)?.to_string())?
            // RFC 4483 §5.10: always there.
            .with("Content-Disposition", "render")?;
        Ok(ExternalBody { url: url.to_owned(), expires: Some(expires), size: None, hash: None, headers })
    }

    /// Says how large the content is, in bytes.
    #[must_use]
    pub fn with_size(mut self, bytes: u64) -> Self {
        self.size = Some(bytes);
        self
    }

    /// Says the SHA-1 of the content (RFC 4483 §5.12).
    #[must_use]
    pub fn with_sha1(mut self, digest: [u8; 20]) -> Self {
        self.hash = Some(digest.iter().map(|byte| format!("{byte:02X}")).collect());
        self
    }

    /// Reads a body whose Content-Type is `media_type`, a message/external-body.
    ///
    /// # Errors
    /// See [`ExternalBodyError`].
    pub fn parse(media_type: &MediaType, body: &Bytes) -> Result<Self, ExternalBodyError> {
        let access = media_type.parameter("access-type").unwrap_or_default();
        if !access.eq_ignore_ascii_case("url") {
            return Err(ExternalBodyError::AccessType { found: access.to_owned() });
        }
        // RFC 2017 §3: white space in it is an artefact of folding.
        let url: String = media_type.parameter("url").unwrap_or_default().split_ascii_whitespace().collect();
        check_url(&url)?;
        let expires = media_type.parameter("expiration").and_then(|date| Date::parse(date).ok());
        let hash = media_type.parameter("hash").filter(|hash| is_hex(hash)).map(str::to_owned);
        let (headers, _) = MimeHeaders::parse(body)?;
        Ok(ExternalBody {
            url,
            expires: expires.map(|Date(seconds)| seconds),
            size: media_type.parameter("size").and_then(|size| size.parse().ok()),
            hash,
            headers,
        })
    }

    /// Where the content is: whatever the sender wrote, of any scheme.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Until when it is there, in seconds since 1970, if the sender said so in a way that can be read.
    pub fn expires(&self) -> Option<i64> {
        self.expires
    }

    /// Its size, in bytes, as the sender says.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// Its SHA-1 in hexadecimal digits, as the sender says: it finds damage, and no forgery.
    pub fn hash(&self) -> Option<&str> {
        self.hash.as_deref()
    }

    /// The media type of the content.
    pub fn content_type(&self) -> MediaType {
        match self.headers.get("Content-Type") {
            Some(_) => self.headers.media_type(),
            None => MediaType::octets(),
        }
    }

    /// What the content is for.
    pub fn disposition(&self) -> Disposition {
        match self.headers.get("Content-Disposition") {
            Some(value) => Disposition::parse(value),
            None => Disposition::default_of(&self.content_type()),
        }
    }

    /// The header fields of the content: Content-ID, Content-Description, …
    pub fn headers(&self) -> &MimeHeaders {
        &self.headers
    }

    /// The Content-Type of the reference.
    pub fn media_type(&self) -> MediaType {
        let mut text = String::from("message/external-body;access-type=\"URL\";URL=");
        quote_into(&mut text, &self.url);
        if let Some(expires) = self.expires {
            text.push_str(&format!(";expiration=\"{}\"", Date(expires)));
        }
        if let Some(size) = self.size {
            text.push_str(&format!(";size={size}"));
        }
        if let Some(hash) = &self.hash {
            text.push_str(&format!(";hash={hash}"));
        }
        MediaType::parse(&text).unwrap_or_else(MediaType::octets)
    }

    /// The body as it is sent.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.headers.write_into(&mut out);
        out.extend_from_slice(b"\r\n");
        out
    }
}

fn check_url(url: &str) -> Result<(), ExternalBodyError> {
    let good = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b'<' | b'>');
    let has_scheme = url.split_once(':').is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty());
    if url.len() > MAX_URL || !has_scheme || !url.bytes().all(good) {
        return Err(ExternalBodyError::Url { found: url.chars().take(MAX_URL).collect() });
    }
    Ok(())
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.len() <= 128 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content_type: &str, body: &'static [u8]) -> Result<ExternalBody, ExternalBodyError> {
        ExternalBody::parse(&MediaType::parse(content_type).unwrap(), &Bytes::from_static(body))
    }

    #[test]
    fn the_example_of_the_rfc_is_read() {
        let read = read(
            "message/external-body; ACCESS-TYPE=URL; URL=\"http://www.example.net/party/06/2002/announcement\"; \
             EXPIRATION=\"Thu, 20 Jun 2002 12:00:00 GMT\"; size=231; hash=10AB568E91245681AC1B",
            b"Content-Type: application/sdp\r\nContent-Disposition: session\r\nContent-ID: <4e5@example.net>\r\n",
        )
        .unwrap();
        assert_eq!(read.url(), "http://www.example.net/party/06/2002/announcement");
        assert_eq!((read.expires(), read.size()), (Some(1_024_574_400), Some(231)));
        assert_eq!(read.hash(), Some("10AB568E91245681AC1B"));
        assert!(read.content_type().is("application", "sdp"));
        assert_eq!(read.disposition().kind, "session");
        assert_eq!(read.headers().get("content-id"), Some("<4e5@example.net>"));
    }

    #[test]
    fn what_is_written_is_read() {
        let written = ExternalBody::new("https://files.example.test/a?b=c;d", "image/jpeg", 1_800_000_000)
            .unwrap()
            .with_size(7)
            .with_sha1([0xab; 20]);
        let again = ExternalBody::parse(&written.media_type(), &written.to_bytes().into()).unwrap();
        assert_eq!(again, written);
        assert_eq!(again.hash(), Some("AB".repeat(20).as_str()));
    }

    #[test]
    fn a_reference_without_a_usable_url_is_none_body_06() {
        for kind in [
            "message/external-body",
            "message/external-body;access-type=anon-ftp;site=x;name=y",
            "message/external-body;access-type=URL",
            "message/external-body;access-type=URL;URL=\"no scheme\"",
            "message/external-body;access-type=URL;URL=\"http://a/<b>\"",
            "message/external-body;access-type=URL;URL=\"http:\"",
        ] {
            assert!(read(kind, b"").is_err(), "{kind}");
        }
        let long = format!("http://example.test/{}", "x".repeat(MAX_URL));
        assert!(ExternalBody::new(&long, "image/png", 0).is_err());
        assert!(ExternalBody::new("http://a/b\r\nX: y", "image/png", 0).is_err());
        assert!(ExternalBody::new("http://a/b", "png", 0).is_err());
    }

    #[test]
    fn what_is_not_said_is_not_known() {
        let read =
            read("message/external-body;access-type=url;url=\"x:y\";expiration=\"soon\";size=many", b"")
                .unwrap();
        assert_eq!((read.expires(), read.size(), read.hash()), (None, None, None));
        assert!(read.content_type().is("application", "octet-stream"));
        assert_eq!(read.disposition().kind, "render");
    }
}
