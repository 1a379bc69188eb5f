//! What a received body says: text, files, a status of typing, a receipt.

mod envelope;

pub use envelope::{Envelope, ReceiptsWanted};

use aldis_sip::body::composing::IsComposing;
use aldis_sip::body::cpim::{Cpim, CpimError, read_date_time};
use aldis_sip::body::imdn::Imdn;
use aldis_sip::body::{
    DecodedText, EncodingError, ExternalBody, ExternalBodyError, HeaderError, MediaType, MimeHeaders,
    Multipart, MultipartError, NotUnderstood, Part, XmlError,
};
use bytes::Bytes;
use std::borrow::Cow;
use std::fmt;

/// What an app shows of a message. Made from content type and body alone, so that a stored message says the same again.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// What there is to show, in its order: of alternatives the best that is understood.
    pub pieces: Vec<Piece>,
    /// When a server took it in to keep it, in seconds since 1970, as it wrote into the body (Kamailio's msilo; its clock
    /// need not run in UTC): a hint, and a sign that the body is not what the sender wrote.
    pub kept_since: Option<i64>,
}

/// A piece of a message.
#[derive(Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text to show.
    Text(Text),
    /// A file, or what else is no text.
    File(File),
    /// Something that lies elsewhere (RFC 4483). It is never fetched here: a stranger's URL is the user's to judge.
    Elsewhere(ExternalBody),
}

/// Text in any charset, decoded.
#[derive(Clone, PartialEq, Eq)]
pub struct Text {
    /// The text; U+FFFD where bytes could not be read.
    pub text: String,
    /// Its media type, such as `text/plain;charset=utf-8`.
    pub content_type: String,
    /// Whether some bytes could not be read.
    pub replaced: bool,
}

/// What is no text.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// Its media type, such as `image/png`.
    pub content_type: String,
    /// The name that the sender gave it: a name, never a path.
    pub name: Option<String>,
    /// Its bytes, encodings undone.
    pub bytes: Bytes,
}

/// What a body turned out to be.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Reading {
    Content(Unwrapped),
    Composing(IsComposing),
    Receipt(Imdn),
}

/// Content, taken out of the message/cpim that it may have come in.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Unwrapped {
    pub content: Content,
    /// Its own type.
    pub content_type: String,
    /// Its own bytes, encodings undone.
    pub body: Bytes,
    /// What stood around it (RFC 3862).
    pub envelope: Option<Box<Envelope>>,
}

/// Why a body cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    /// 415.
    #[error("not understood: {0}")]
    NotUnderstood(String),
    /// 400.
    #[error("malformed: {0}")]
    Malformed(String),
    /// 413.
    #[error("too large")]
    TooLarge,
}

impl Content {
    /// Reads a body of that Content-Type. What cannot be read, or is no content, comes as a file with its type: nothing
    /// that was stored is hidden.
    pub fn read(content_type: &str, body: &Bytes) -> Self {
        match read(content_type, body) {
            Ok(Reading::Content(unwrapped)) => unwrapped.content,
            Ok(Reading::Composing(_) | Reading::Receipt(_)) | Err(_) => {
                let file = File { content_type: content_type.to_owned(), name: None, bytes: body.clone() };
                Content { pieces: vec![Piece::File(file)], ..Content::default() }
            }
        }
    }

    /// All its text, pieces separated by an empty line; `None` if there is none.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        let mut texts = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.text.as_str()),
            Piece::File(_) | Piece::Elsewhere(_) => None,
        });
        let first = texts.next()?;
        let rest: Vec<_> = texts.collect();
        if rest.is_empty() {
            return Some(Cow::Borrowed(first));
        }
        Some(Cow::Owned(std::iter::once(first).chain(rest).collect::<Vec<_>>().join("\n\n")))
    }
}

/// What stands before a message that Kamailio's msilo kept (I-05).
const KEPT: &str = "[Offline message - ";

/// Reads a body, its Content-Encoding undone.
pub(crate) fn read(content_type: &str, body: &Bytes) -> Result<Reading, Unreadable> {
    let media_type = MediaType::parse(content_type)
        .ok_or_else(|| Unreadable::Malformed(format!("{content_type:?} is no media type")))?;
    let kept = kept_since(body);
    let behind = kept.map(|(_, length)| body.slice(length.min(body.len())..));
    let is_cpim = media_type.is("message", "cpim");
    // Kamailio's msilo gives a message/cpim back as text/plain, and writes its date before the first header (I-05).
    let is_kept_cpim = media_type.is("text", "plain")
        && behind.as_ref().is_some_and(|body| Cpim::parse(body).is_ok_and(|cpim| cpim.from().is_some()));
    if !is_cpim && !is_kept_cpim {
        let headers = MimeHeaders::new().with("Content-Type", content_type)?;
        let mut reading = inner(&media_type, headers, body)?;
        if let (Reading::Content(unwrapped), Some((since, _))) = (&mut reading, kept) {
            unwrapped.content.kept_since = Some(since);
        }
        return Ok(reading);
    }
    let body = behind.unwrap_or_else(|| body.clone());
    let cpim = Cpim::parse(&body)?;
    let unknown = cpim.not_understood(envelope::understands);
    if !unknown.is_empty() {
        return Err(Unreadable::NotUnderstood(format!("CPIM Require: {}", unknown.join(", "))));
    }
    let mut reading = inner(&cpim.content_type(), cpim.content_headers().clone(), cpim.content())?;
    if let Reading::Content(unwrapped) = &mut reading {
        unwrapped.content.kept_since = kept.map(|(since, _)| since);
        unwrapped.envelope = Some(Box::new(Envelope::of(&cpim)));
    }
    Ok(reading)
}

/// A body that is no message/cpim, or what stands in one.
fn inner(media_type: &MediaType, headers: MimeHeaders, body: &Bytes) -> Result<Reading, Unreadable> {
    if media_type.kind() == "multipart" {
        let boundary = media_type.parameter("boundary").unwrap_or_default();
        let multipart = Multipart::parse(media_type.subtype(), boundary, body)?;
        let content_type = headers.get("Content-Type").unwrap_or_default().to_owned();
        return Ok(Reading::Content(Unwrapped {
            content: Content { pieces: of_multipart(&multipart)?, kept_since: None },
            content_type,
            body: body.clone(),
            envelope: None,
        }));
    }
    let part = Part::single(headers, body.clone())
        .ok_or_else(|| Unreadable::Malformed("a multipart within a part".into()))?;
    if media_type.is("application", "im-iscomposing+xml") {
        return Ok(Reading::Composing(IsComposing::parse(&part.decoded()?)?));
    }
    if media_type.is("message", "imdn+xml") {
        return Ok(Reading::Receipt(Imdn::parse(&part.decoded()?)?));
    }
    let decoded = match part.decoded()? {
        Cow::Borrowed(_) => body.clone(),
        Cow::Owned(bytes) => bytes.into(),
    };
    Ok(Reading::Content(Unwrapped {
        content: Content { pieces: vec![of_part(&part)?], kept_since: None },
        content_type: part
            .headers()
            .get("Content-Type")
            .map_or_else(|| media_type.to_string(), str::to_owned),
        body: decoded,
        envelope: None,
    }))
}

/// The parts that are to be shown. Of alternatives one that is shown as it is before one in a markup that must be rendered;
/// that one rather than none.
fn of_multipart(multipart: &Multipart) -> Result<Vec<Piece>, Unreadable> {
    let parts = multipart
        .resolve(&|part| is_understood(part) && !is_markup(part))
        .or_else(|_| multipart.resolve(&is_understood))?;
    parts.into_iter().map(of_part).collect()
}

/// Whether a part can be given to an app: what is to be rendered if its type is one that people see or hear, an attachment
/// whatever it is.
fn is_understood(part: &Part) -> bool {
    let kind = part.media_type();
    match part.disposition().kind.as_str() {
        "attachment" | "inline" => true,
        "render" => {
            matches!(kind.kind(), "text" | "image" | "audio" | "video")
                || kind.is("application", "octet-stream")
                || kind.is("message", "external-body")
        }
        _ => false,
    }
}

fn is_markup(part: &Part) -> bool {
    let kind = part.media_type();
    kind.kind() == "text" && matches!(kind.subtype(), "html" | "enriched" | "richtext" | "rtf" | "xml")
}

fn of_part(part: &Part) -> Result<Piece, Unreadable> {
    let kind = part.media_type();
    let content_type = part.headers().get("Content-Type").map_or_else(|| kind.to_string(), str::to_owned);
    if kind.is("message", "external-body") {
        let bytes = Bytes::from(part.decoded()?.into_owned());
        return Ok(Piece::Elsewhere(ExternalBody::parse(kind, &bytes)?));
    }
    if kind.kind() == "text" && part.disposition().kind != "attachment" {
        let DecodedText { text, replaced, .. } = part.text()?;
        return Ok(Piece::Text(Text { text: text.into_owned(), content_type, replaced }));
    }
    let bytes = Bytes::from(part.decoded()?.into_owned());
    Ok(Piece::File(File { content_type, name: part.headers().file_name(), bytes }))
}

/// The moment that msilo wrote before a body, and how long what it wrote is. Its form is that of `ctime`:
/// `Fri Nov 27 17:01:42 2026`.
fn kept_since(body: &[u8]) -> Option<(i64, usize)> {
    let start = body.strip_prefix(KEPT.as_bytes())?;
    let end = start.iter().take(64).position(|byte| *byte == b']')?;
    let date = std::str::from_utf8(start.get(..end)?).ok()?;
    let mut words = date.split_ascii_whitespace().skip(1);
    let (month, day, clock, year) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|name| *name == month)? + 1;
    let day: u8 = day.parse().ok()?;
    let seconds = read_date_time(&format!("{year}-{month:02}-{day:02}T{clock}Z"))?;
    Some((seconds, KEPT.len() + end + "] ".len()))
}

impl From<EncodingError> for Unreadable {
    fn from(error: EncodingError) -> Self {
        match error {
            EncodingError::Corrupt { .. } | EncodingError::Trailing { .. } => {
                Unreadable::Malformed(error.to_string())
            }
            EncodingError::TooLarge { .. } => Unreadable::TooLarge,
            _ => Unreadable::NotUnderstood(error.to_string()),
        }
    }
}

impl From<ExternalBodyError> for Unreadable {
    fn from(error: ExternalBodyError) -> Self {
        match error {
            ExternalBodyError::AccessType { .. } => Unreadable::NotUnderstood(error.to_string()),
            _ => Unreadable::Malformed(error.to_string()),
        }
    }
}

impl From<NotUnderstood> for Unreadable {
    fn from(error: NotUnderstood) -> Self {
        Unreadable::NotUnderstood(error.to_string())
    }
}

macro_rules! malformed {
    ($($error:ty),*) => {$(
        impl From<$error> for Unreadable {
            fn from(error: $error) -> Self {
                Unreadable::Malformed(error.to_string())
            }
        }
    )*};
}

malformed!(CpimError, HeaderError, MultipartError, XmlError);

impl fmt::Debug for Content {
    /// Without what it says, which is the user's alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("pieces", &self.pieces).field("kept_since", &self.kept_since).finish()
    }
}

impl fmt::Debug for Piece {
    /// Type and size.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Piece::Text(text) => write!(f, "Text({}, {} bytes)", text.content_type, text.text.len()),
            Piece::File(file) => write!(f, "File({}, {} bytes)", file.content_type, file.bytes.len()),
            Piece::Elsewhere(body) => write!(f, "Elsewhere({})", body.content_type()),
        }
    }
}

#[cfg(test)]
mod tests;
