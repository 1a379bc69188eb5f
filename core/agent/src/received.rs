//! A message from outside, and the answer to it.

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
    /// Content-Type as text; `text/plain` if there is none.
    pub content_type: String,
    /// The body, its Content-Encoding undone.
    pub body: Bytes,
    /// Call-ID, From tag and CSeq number: the second-best key.
    pub call_id: String,
    /// See `call_id`.
    pub from_tag: Option<String>,
    /// See `call_id`.
    pub cseq: u32,
    /// Date, in seconds since 1970.
    pub date: Option<i64>,
    /// The message says that it is valid for so many seconds from its date (MSG-11).
    pub expires: Option<u32>,
}

impl ReceivedMessage {
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
