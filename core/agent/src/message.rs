//! What an app hands over to be sent.

use aldis_sip::fields::{ContentType, FieldValue};
use aldis_sip::{FieldText, Uri};
use bytes::Bytes;
use std::fmt;

/// A message that the app wants to send.
#[derive(Clone)]
pub struct NewMessage {
    /// The recipient: a sip or sips URI without headers.
    pub(crate) to: Uri<'static>,
    pub(crate) content_type: FieldText<'static>,
    pub(crate) body: Bytes,
    /// Seconds for which it is of use.
    pub(crate) expires: Option<u32>,
}

/// Why a message cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendRefused {
    /// The recipient is no sip or sips URI.
    #[error("{to:?} is not a SIP address; it has the form sip:user@domain")]
    Recipient {
        /// What was given.
        to: String,
    },
    /// The content type is none.
    #[error("{0:?} is not a content type such as text/plain")]
    ContentType(String),
    /// The request would be larger than the account, or the recipient's server as far as it told, allows (MSG-04).
    #[error("the message makes a request of {size} bytes; the limit is {limit}")]
    TooLarge {
        /// The size of the request, in bytes, with room for authentication.
        size: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// Too many messages wait already.
    #[error("{0} messages wait already")]
    QueueFull(usize),
    /// The agent is shutting down.
    #[error("the phone is shutting down")]
    Stopped,
}

impl NewMessage {
    /// A message of this content type.
    ///
    /// # Errors
    /// [`SendRefused`] if the recipient is no sip or sips URI, or the content type none.
    pub fn new(to: &str, content_type: &str, body: impl Into<Bytes>) -> Result<Self, SendRefused> {
        let wrong = || SendRefused::Recipient { to: to.into() };
        let uri = Uri::parse(to).map_err(|_| wrong())?;
        if !may_be_target(&uri) {
            return Err(wrong());
        }
        let none = || SendRefused::ContentType(content_type.into());
        let parsed = ContentType::parse(content_type).map_err(|_| none())?;
        // What is read leniently is written strictly: a parameter of a media type has a value (RFC 3261 §25.1).
        if parsed.0.params.iter().any(|(_, value)| value.is_none()) {
            return Err(none());
        }
        let content_type = FieldText::new(content_type.to_owned()).map_err(|_| none())?;
        Ok(NewMessage { to: uri.into_owned(), content_type, body: body.into(), expires: None })
    }

    /// Says that the message is of no use after so many seconds (MSG-08); whoever shows it later marks it.
    #[must_use]
    pub fn with_expires(mut self, seconds: u32) -> Self {
        self.expires = Some(seconds);
        self
    }
}

/// Whether a request may go to this URI: `method` and headers in a URI from outside have no say in it (GEN-09).
pub(crate) fn may_be_target(uri: &Uri<'_>) -> bool {
    uri.is_sip() && !uri.has_headers() && uri.param("method").is_none()
}

impl fmt::Debug for NewMessage {
    /// Without the body, which is nobody's but the recipient's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewMessage")
            .field("to", &self.to.as_str())
            .field("content_type", &self.content_type.as_str())
            .field("body", &format_args!("{} bytes", self.body.len()))
            .field("expires", &self.expires)
            .finish()
    }
}
