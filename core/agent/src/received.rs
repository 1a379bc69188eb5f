//! A message from outside, and the answer to it.

use crate::content::{Content, Envelope};
use crate::receipts::{ReceiptFor, can_be_told};
use aldis_sip::Uri;
use bytes::Bytes;
use std::fmt;
use std::time::Duration;

/// A message as it came.
#[derive(Clone)]
pub struct ReceivedMessage {
    /// The sender's identifier of the message, if it has one: the key that a repetition is known by (MSG-16).
    pub message_id: Option<String>,
    /// From, without parameters.
    pub from: Uri<'static>,
    /// The display name in From: a claim of the sender.
    pub display_name: Option<String>,
    /// To.
    pub to: Uri<'static>,
    /// The type of the content, `text/plain` if none is named; of what stood in a message/cpim, if it came in one.
    pub content_type: String,
    /// The content, encodings undone.
    pub body: Bytes,
    /// What it says: read from the two before.
    pub content: Content,
    /// What stood around it, if it came as message/cpim (RFC 3862).
    pub envelope: Option<Box<Envelope>>,
    /// Call-ID, From tag and CSeq number: the second-best key.
    pub call_id: String,
    /// See `call_id`.
    pub from_tag: Option<String>,
    /// See `call_id`.
    pub cseq: u32,
    /// Date of the request, in seconds since 1970.
    pub date: Option<i64>,
    /// The message says that it is valid for so many seconds from its date (MSG-11).
    pub expires: Option<u32>,
}

impl ReceivedMessage {
    /// What a receipt for it needs to say; `None` if its sender asks for none, gave it nothing to be named by, or has no
    /// address. A message
    /// that was signed or encrypted gets none either: its receipt would need the same protection (IMDN-09).
    pub fn receipt_for(&self) -> Option<ReceiptFor> {
        let kind = self.content_type.to_ascii_lowercase();
        if ["multipart/signed", "multipart/encrypted", "application/pkcs7"]
            .iter()
            .any(|it| kind.starts_with(it))
        {
            return None;
        }
        let envelope = self.envelope.as_deref().filter(|envelope| envelope.receipts.any())?;
        if !can_be_told(&self.from) {
            return None;
        }
        Some(ReceiptFor {
            from: self.from.clone(),
            message_id: envelope.message_id.clone()?,
            date_time: envelope.date_time.clone(),
            recipient: envelope.to.first().map(|address| address.uri().to_owned()),
            original_recipient: envelope.original_to.as_ref().map(|address| address.uri().to_owned()),
            route: envelope.record_route.clone(),
        })
    }

    /// When it stops being of use, in seconds since 1970: `expires` counts from its date, without one from its receipt
    /// (MSG-11). `None` if it does not say so, or says 0.
    pub fn expires_at(&self, received_at: i64) -> Option<i64> {
        let seconds = self.expires.filter(|seconds| *seconds > 0)?;
        Some(self.date.unwrap_or(received_at).saturating_add(i64::from(seconds)))
    }
}

impl fmt::Debug for ReceivedMessage {
    /// Without the body, which is the user's alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedMessage")
            .field("message_id", &self.message_id)
            .field("from", &self.from.as_str())
            .field("display_name", &self.display_name)
            .field("to", &self.to.as_str())
            .field("content_type", &self.content_type)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .field("content", &self.content)
            .field("envelope", &self.envelope)
            .field("call_id", &self.call_id)
            .field("from_tag", &self.from_tag)
            .field("cseq", &self.cseq)
            .field("date", &self.date)
            .field("expires", &self.expires)
            .finish()
    }
}

/// How a received message is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerWith {
    /// It is stored: 200.
    Accept,
    /// It cannot be stored now: 480 with Retry-After, and the sender keeps it (MSG-09).
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
}
