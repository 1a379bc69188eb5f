//! One part of a multipart body.

use super::encoding::MAX_DECODED;
use super::mime::parameters;
use super::{DecodedText, EncodingError, HeaderError, MediaType, MimeHeaders, Multipart};
use super::{decode_content, decode_text, decode_transfer};
use crate::lex::Cursor;
use bytes::Bytes;
use std::borrow::Cow;

/// A part: its header fields and what they describe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    headers: MimeHeaders,
    media_type: MediaType,
    content: Content,
}

/// What a part holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Bytes, as they were sent.
    Single(Bytes),
    /// Parts of its own.
    Multipart(Multipart),
}

/// How a part is to be handled (RFC 3261 §20.11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disposition {
    /// The type in lower case: `render`, `session`, `notification`, `icon`, …
    pub kind: String,
    /// Whether the message is refused if the part is not understood (RFC 5621 §8.1).
    pub required: bool,
}

impl Disposition {
    /// Reads a Content-Disposition value. One that cannot be read requires what nobody has: its kind is
    /// empty.
    pub fn parse(value: &str) -> Self {
        let mut cursor = Cursor::new(value);
        cursor.skip_wsp();
        let kind = cursor.token();
        let parameters = parameters(&mut cursor);
        let (Some(kind), Some(parameters)) = (kind, parameters) else {
            return Disposition { kind: String::new(), required: true };
        };
        let optional =
            |(name, value): &(String, String)| name == "handling" && value.eq_ignore_ascii_case("optional");
        Disposition { kind: kind.to_ascii_lowercase(), required: !parameters.iter().any(optional) }
    }

    /// What counts without a Content-Disposition (RFC 3261 §20.11).
    pub fn default_of(media_type: &MediaType) -> Self {
        let kind = if media_type.is("application", "sdp") { "session" } else { "render" };
        Disposition { kind: kind.to_owned(), required: true }
    }
}

impl Part {
    /// A part to be sent, binary as it is (RFC 5621 §3.2). None if `headers` call it multipart: such a
    /// part is made with [`Part::nested`].
    pub fn single(headers: MimeHeaders, content: impl Into<Bytes>) -> Option<Self> {
        let media_type = headers.media_type();
        let content = Content::Single(content.into());
        (media_type.kind() != "multipart").then_some(Part { headers, media_type, content })
    }

    /// A part made of parts, whose Content-Type is written here.
    pub fn nested(multipart: Multipart) -> Self {
        let media_type = multipart.media_type();
        // A media type that was printed by us holds no control characters.
        let headers = MimeHeaders::new().with("Content-Type", &media_type.to_string()).unwrap_or_default();
        Part { headers, media_type, content: Content::Multipart(multipart) }
    }

    /// Adds a field such as Content-Disposition.
    ///
    /// # Errors
    /// [`HeaderError`]; a second Content-Type cannot be written either.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, HeaderError> {
        if name.eq_ignore_ascii_case("Content-Type") {
            return Err(HeaderError::Unwritable { name: name.to_owned(), found: None });
        }
        self.headers = self.headers.with(name, value)?;
        Ok(self)
    }

    pub(super) fn received(headers: MimeHeaders, media_type: MediaType, content: Content) -> Self {
        Part { headers, media_type, content }
    }

    /// The header fields.
    pub fn headers(&self) -> &MimeHeaders {
        &self.headers
    }

    /// The media type, with the default of RFC 2045 §5.2 if there is none.
    pub fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// The content, still encoded.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// How it is to be handled.
    pub fn disposition(&self) -> Disposition {
        match self.headers.get("Content-Disposition") {
            Some(value) => Disposition::parse(value),
            None => Disposition::default_of(&self.media_type),
        }
    }

    /// The content with its encodings undone, at most [`MAX_DECODED`] bytes; empty for a multipart.
    ///
    /// # Errors
    /// See [`EncodingError`].
    pub fn decoded(&self) -> Result<Cow<'_, [u8]>, EncodingError> {
        let Content::Single(bytes) = &self.content else { return Ok(Cow::Borrowed(&[])) };
        let transfer = self.headers.get("Content-Transfer-Encoding").unwrap_or_default();
        let coding = self.headers.get("Content-Encoding").unwrap_or_default();
        match decode_transfer(transfer, bytes)? {
            Cow::Borrowed(bytes) => decode_content(coding, bytes, MAX_DECODED),
            Cow::Owned(bytes) => Ok(Cow::Owned(decode_content(coding, &bytes, MAX_DECODED)?.into_owned())),
        }
    }

    /// The content as text in the charset of its media type.
    ///
    /// # Errors
    /// See [`EncodingError`].
    pub fn text(&self) -> Result<DecodedText<'_>, EncodingError> {
        let charset = self.media_type.parameter("charset");
        Ok(match self.decoded()? {
            Cow::Borrowed(bytes) => decode_text(charset, bytes),
            Cow::Owned(bytes) => {
                let DecodedText { text, replaced, charset_known } = decode_text(charset, &bytes);
                DecodedText { text: Cow::Owned(text.into_owned()), replaced, charset_known }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(fields: &[(&str, &str)], content: &'static [u8]) -> Part {
        let headers = fields
            .iter()
            .fold(MimeHeaders::new(), |headers, (name, value)| headers.with(name, value).unwrap());
        Part::single(headers, content).unwrap()
    }

    /// BODY-02
    #[test]
    fn handling_is_required_unless_called_optional() {
        for (value, kind, required) in [
            ("render", "render", true),
            ("Signal; handling=OPTIONAL", "signal", false),
            ("icon;handling=required", "icon", true),
            ("icon;handling=maybe", "icon", true),
            ("attachment; filename=\"a;handling=optional\"", "attachment", true),
            ("render handling=optional", "", true),
            ("", "", true),
        ] {
            assert_eq!(Disposition::parse(value), Disposition { kind: kind.into(), required }, "{value}");
        }
    }

    /// RFC 3261 §20.11
    #[test]
    fn without_a_disposition_sdp_is_a_session_and_the_rest_is_rendered() {
        assert_eq!(part(&[("Content-Type", "application/sdp")], b"").disposition().kind, "session");
        assert_eq!(part(&[], b"").disposition(), Disposition { kind: "render".into(), required: true });
    }

    #[test]
    fn text_is_decoded_from_transfer_encoding_and_charset() {
        let fields =
            [("Content-Type", "text/plain;charset=iso-8859-1"), ("Content-Transfer-Encoding", "base64")];
        let part = part(&fields, b"Z3L832U=");
        assert_eq!(part.text().unwrap().text, "grüße");
    }

    #[test]
    fn an_unknown_content_encoding_of_a_part_is_an_error() {
        let part = part(&[("Content-Encoding", "br")], b"x");
        assert_eq!(part.text(), Err(EncodingError::Unsupported { name: "br".into() }));
    }

    /// BODY-02
    #[test]
    fn fields_can_be_added_to_a_part_but_no_second_type() {
        let part = part(&[], b"").with_header("Content-Disposition", "icon;handling=optional").unwrap();
        assert!(!part.disposition().required);
        let unwritable = HeaderError::Unwritable { name: "content-type".into(), found: None };
        assert_eq!(part.with_header("content-type", "a/b"), Err(unwritable));
    }

    #[test]
    fn a_multipart_cannot_pose_as_a_single_part() {
        let headers = MimeHeaders::new().with("Content-Type", "Multipart/Mixed;boundary=b").unwrap();
        assert_eq!(Part::single(headers, Bytes::new()), None);
    }
}
