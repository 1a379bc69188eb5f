//! What the body of a message says: text, files, and content that lies elsewhere.

use aldis::ExternalBody;
use aldis::sip::body::MediaType;
use std::fmt;

/// A piece of a message.
#[derive(Clone, PartialEq, Eq, uniffi::Enum)]
pub enum Piece {
    /// Text to show.
    Text {
        /// The text; U+FFFD where bytes could not be read.
        text: String,
        /// Its type.
        content_type: String,
        /// Whether some bytes could not be read.
        replaced: bool,
    },
    /// A file, or what else is no text.
    File {
        /// Its type, such as `image/png`.
        content_type: String,
        /// The name that the sender gave it: a name, never a path.
        name: Option<String>,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// Content that lies elsewhere (RFC 4483). It is never fetched here: a stranger's URL is the user's to judge.
    Elsewhere {
        /// Where, and what.
        linked: LinkedContent,
    },
}

/// Content that lies elsewhere, as its sender says.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct LinkedContent {
    /// Where it is: whatever the sender wrote, of any scheme.
    pub url: String,
    /// Its type, such as `image/png`.
    pub content_type: String,
    /// Until when it is there, in seconds since 1970. Who sends it has to say so.
    #[uniffi(default)]
    pub expires: Option<i64>,
    /// Its size, in bytes.
    #[uniffi(default)]
    pub size: Option<u64>,
    /// Its SHA-1 in hexadecimal digits: it finds damage, and no forgery.
    #[uniffi(default)]
    pub sha1: Option<String>,
}

/// A body, to be sent as it is.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct MessageBody {
    /// The content type.
    pub content_type: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Why a link cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, uniffi::Error)]
#[uniffi::export(Display)]
pub enum LinkError {
    /// A field is not of its form.
    #[error("{field} cannot be used: {explanation}")]
    Field {
        /// Which one.
        field: String,
        /// What is wrong.
        explanation: String,
    },
}

/// What a body says, in its order, of alternatives the best that is understood. What cannot be read is a file.
#[uniffi::export]
pub fn read_content(content_type: String, body: Vec<u8>) -> Vec<Piece> {
    let content = aldis::Content::read(&content_type, &body.into());
    content.pieces.into_iter().map(Piece::from).collect()
}

/// A message's body that says where content lies which the app has put there (RFC 4483); nothing is uploaded here.
///
/// # Errors
/// [`LinkError`] says which field cannot be used.
#[uniffi::export]
pub fn link_content(linked: LinkedContent) -> Result<MessageBody, LinkError> {
    let wrong = |field: &str, explanation: String| LinkError::Field { field: field.into(), explanation };
    let expires = linked.expires.ok_or_else(|| wrong("expires", "it has to be said".into()))?;
    let mut body = ExternalBody::new(&linked.url, &linked.content_type, expires)
        .map_err(|error| wrong("url or content type", error.to_string()))?;
    if let Some(size) = linked.size {
        body = body.with_size(size);
    }
    if let Some(sha1) = &linked.sha1 {
        let digest = digest(sha1).ok_or_else(|| wrong("sha1", "it takes 40 hexadecimal digits".into()))?;
        body = body.with_sha1(digest);
    }
    Ok(MessageBody { content_type: body.media_type().to_string(), bytes: body.to_bytes() })
}

fn digest(hex: &str) -> Option<[u8; 20]> {
    let mut digits = hex.chars().map(|digit| digit.to_digit(16));
    let mut bytes = [0; 20];
    for byte in &mut bytes {
        let value = digits.next()?? << 4 | digits.next()??;
        *byte = value.try_into().ok()?;
    }
    digits.next().is_none().then_some(bytes)
}

impl From<aldis::Piece> for Piece {
    fn from(piece: aldis::Piece) -> Self {
        match piece {
            aldis::Piece::Text(text) => {
                Self::Text { text: text.text, content_type: text.content_type, replaced: text.replaced }
            }
            aldis::Piece::File(file) => {
                Self::File { content_type: file.content_type, name: file.name, bytes: file.bytes.to_vec() }
            }
            aldis::Piece::Elsewhere(body) => Self::Elsewhere { linked: LinkedContent::from(&body) },
        }
    }
}

impl From<&ExternalBody> for LinkedContent {
    fn from(body: &ExternalBody) -> Self {
        LinkedContent {
            url: body.url().into(),
            content_type: MediaType::to_string(&body.content_type()),
            expires: body.expires(),
            size: body.size(),
            sha1: body.hash().map(Into::into),
        }
    }
}

impl fmt::Debug for Piece {
    /// Without what was said.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { text, .. } => write!(f, "Text({} bytes)", text.len()),
            Self::File { content_type, bytes, .. } => {
                write!(f, "File({content_type}, {} bytes)", bytes.len())
            }
            Self::Elsewhere { .. } => f.write_str("Elsewhere"),
        }
    }
}

impl fmt::Debug for MessageBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageBody({}, {} bytes)", self.content_type, self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that fails says so

    use super::*;

    #[test]
    fn a_link_is_read_as_it_was_written() {
        let linked = LinkedContent {
            url: "https://files.example.test/a%20b.png".into(),
            content_type: "image/png".into(),
            expires: Some(1_800_000_000),
            size: Some(7),
            sha1: Some("00112233445566778899AABBCCDDEEFF00112233".into()),
        };
        let body = link_content(linked.clone()).unwrap();
        assert_eq!(read_content(body.content_type, body.bytes), [Piece::Elsewhere { linked }]);
    }

    #[test]
    fn a_link_that_cannot_be_sent_says_why() {
        let good = LinkedContent {
            url: "https://files.example.test/a.png".into(),
            content_type: "image/png".into(),
            expires: Some(1_800_000_000),
            size: None,
            sha1: None,
        };
        for (wrong, what) in [
            (LinkedContent { expires: None, ..good.clone() }, "expires"),
            (LinkedContent { url: "no url".into(), ..good.clone() }, "url or content type"),
            (LinkedContent { content_type: "image".into(), ..good.clone() }, "url or content type"),
            (LinkedContent { sha1: Some("00".into()), ..good.clone() }, "sha1"),
            (LinkedContent { sha1: Some("x".repeat(40)), ..good.clone() }, "sha1"),
        ] {
            let LinkError::Field { field, .. } = link_content(wrong).unwrap_err();
            assert_eq!(field, what);
        }
    }
}
