//! What an app hands over to be sent.

use crate::content::ReceiptsWanted;
use crate::event::MessageId;
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
    /// The receipts that are asked for.
    pub(crate) receipts: ReceiptsWanted,
    pub(crate) kind: Kind,
    /// Its identifier, if it has one already.
    pub(crate) id: Option<MessageId>,
}

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What a user says.
    Message,
    /// A receipt for a message that came: nobody is told of its fate but the store.
    Receipt,
    /// A status of typing: dropped rather than kept (COMP-05).
    Composing,
}

/// A message with all that a later attempt needs to look like the first (MSG-15).
#[derive(Clone, Debug)]
pub struct StoredMessage {
    /// The Message-ID.
    pub id: MessageId,
    /// Call-ID.
    pub call_id: String,
    /// The tag in From.
    pub from_tag: String,
    /// When the app handed it over, in seconds since 1970.
    pub date: i64,
    /// Bytes of it may have left before.
    pub may_have_left: bool,
    /// It leaves as soon as it is kept, or close behind others to the same recipient: whoever keeps it may note with the same
    /// commit that bytes of it may leave, and say so ([`crate::Agent::message_may_leave`]) with
    /// [`crate::Agent::message_stored`]. Never for an account that resends nothing, since a crash would make its fate unknown.
    pub leaves_soon: bool,
    /// The message.
    pub message: NewMessage,
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

/// Why a message of an earlier run cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreRefused {
    /// A message of this identifier is here already.
    #[error("this message is on its way already")]
    Known,
    /// The text is no Call-ID or tag.
    #[error("the stored message cannot be sent: {0:?} is not what it should be")]
    Malformed(String),
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
        Ok(NewMessage {
            to: uri.into_owned(),
            content_type,
            body: body.into(),
            expires: None,
            receipts: ReceiptsWanted::default(),
            kind: Kind::Message,
            id: None,
        })
    }

    /// Asks for receipts; the message then goes as message/cpim (IMDN-01). A recipient that is known to refuse that gets
    /// it plain, and [`crate::OutgoingState::Accepted`] says that no receipt will come.
    #[must_use]
    pub fn with_receipts(mut self, wanted: ReceiptsWanted) -> Self {
        self.receipts = wanted;
        self
    }

    /// Whether it is a receipt, whose fate concerns nobody but the store.
    pub fn is_receipt(&self) -> bool {
        self.kind == Kind::Receipt
    }

    /// Says of a message that an earlier run kept that it is a receipt.
    #[must_use]
    pub fn as_receipt(mut self) -> Self {
        self.kind = Kind::Receipt;
        self
    }

    /// The receipts that are asked for.
    pub fn receipts(&self) -> ReceiptsWanted {
        self.receipts
    }

    /// The recipient.
    pub fn to(&self) -> &Uri<'static> {
        &self.to
    }

    /// The content type.
    pub fn content_type(&self) -> &str {
        self.content_type.as_str()
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Seconds for which it is of use.
    pub fn expires(&self) -> Option<u32> {
        self.expires
    }

    /// Says that the message is of no use after so many seconds (MSG-08); whoever shows it later marks it.
    #[must_use]
    pub fn with_expires(mut self, seconds: u32) -> Self {
        self.expires = Some(seconds);
        self
    }
}

/// What counts as one recipient: the address of record, as text, whether or not the way there is to be secured.
pub(crate) fn peer_of(uri: &Uri<'_>) -> String {
    let Some(address) = uri.address_of_record() else { return uri.to_string() };
    match address.as_str().strip_prefix("sips:") {
        Some(rest) => format!("sip:{rest}"),
        None => address.to_string(),
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
            .field("receipts", &self.receipts)
            .field("kind", &self.kind)
            .finish()
    }
}
