//! What only an endpoint refuses (RFC 3261 §8.2): a method, scheme, extension or body type that it does not know.

use crate::body::is_known_coding;
use crate::fields::{ContentDisposition, ContentEncoding, ContentType, Require};
use crate::{Message, Method, Scheme, StatusCode};

/// What an endpoint understands.
#[derive(Clone, Copy, Debug)]
pub struct Capabilities {
    /// Option tags that a Require may name.
    pub option_tags: &'static [&'static str],
    /// Body types, as type and subtype; the subtype `*` stands for any.
    pub body_types: &'static [(&'static str, &'static str)],
}

impl Capabilities {
    /// What an endpoint on this crate can be expected to read.
    pub const COMMON: Capabilities = Capabilities {
        option_tags: &["outbound", "path", "gruu"],
        body_types: &[
            ("text", "*"),
            ("message", "*"),
            ("multipart", "*"),
            ("application", "sdp"),
            ("application", "im-iscomposing+xml"),
            ("application", "simple-message-summary"),
            ("application", "reginfo+xml"),
            ("application", "pidf+xml"),
            ("application", "pkcs7-mime"),
        ],
    };

    /// The option tags of a Require that are not understood, in their order.
    pub fn unsupported<'a>(&self, request: &'a Message) -> Vec<&'a str> {
        request
            .all::<Require<'_>>()
            .flatten()
            .map(|tag| tag.as_str())
            .filter(|tag| !self.option_tags.iter().any(|known| known.eq_ignore_ascii_case(tag)))
            .collect()
    }

    /// Whether the body, if there is one, has a type and codings that are understood, or may be ignored.
    pub fn understands_body(&self, request: &Message) -> bool {
        let optional = matches!(request.get::<ContentDisposition<'_>>(), Ok(Some(how)) if !how.is_required());
        if request.body().is_empty() || optional {
            return true;
        }
        if !request.all::<ContentEncoding<'_>>().flatten().all(|coding| is_known_coding(coding.0)) {
            return false;
        }
        match request.get::<ContentType<'_>>() {
            Ok(Some(kind)) => self.body_types.iter().any(|(known, sub)| {
                kind.kind.eq_ignore_ascii_case(known) && (*sub == "*" || kind.is(known, sub))
            }),
            _ => true,
        }
    }

    /// The status with which an endpoint refuses this request: 501 for a method that nobody knows (§8.2.1), 416 for a
    /// scheme (§8.2.2.1), 420 for an extension (§8.2.2.3; not for ACK and CANCEL), 415 for the type
    /// or a coding of a body (§8.2.3).
    /// `None` for a request that it takes, and for responses.
    pub fn refusal(&self, request: &Message) -> Option<StatusCode> {
        let method = request.method()?;
        let uri = request.request_uri().ok()??;
        if matches!(method, Method::Other(_)) {
            return Some(StatusCode::NOT_IMPLEMENTED);
        }
        if !matches!(uri.scheme(), Scheme::Sip | Scheme::Sips) {
            return Some(StatusCode::UNSUPPORTED_URI_SCHEME);
        }
        if !matches!(method, Method::Ack | Method::Cancel) && !self.unsupported(request).is_empty() {
            return Some(StatusCode::BAD_EXTENSION);
        }
        if !self.understands_body(request) {
            return Some(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
        None
    }
}
