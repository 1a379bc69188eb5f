//! What is kept.

use aldis_sip::Uri;
use aldis_sip::body::decode_text;
use aldis_sip::fields::{ContentType, FieldValue};
use std::fmt;

/// The place of a message in the store; later ones have larger numbers, and no number is given twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

/// A message that came.
#[derive(Clone, PartialEq, Eq)]
pub struct Incoming {
    /// What a repetition is known by: sender and message identifier, or Call-ID, From tag and CSeq (MSG-16).
    /// Empty in what a store gives back.
    pub key: String,
    /// The sender's identifier of it.
    pub id: String,
    /// The sender's URI.
    pub from: String,
    /// The sender's display name, a claim.
    pub display_name: Option<String>,
    /// Who wrote it, as the message itself says, if that is somebody else: a claim (CPIM-05).
    pub claimed_from: Option<String>,
    /// The URI that it was sent to.
    pub to: String,
    /// The content type.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
    /// When the sender says that it was sent, in seconds since 1970.
    pub sent_at: Option<i64>,
    /// When it came, in seconds since 1970.
    pub received_at: i64,
    /// When it stops being of use, in seconds since 1970 (MSG-11).
    pub expires_at: Option<i64>,
    /// The receipts that the sender asks for, if any (RFC 5438).
    pub wants: Option<ReceiptRequest>,
    /// Whether a receipt of delivery is owed: the sender asks for it, and the user consents. It is owed until it is in the
    /// outbox ([`crate::Store::put_owed`]), over crashes too.
    pub owes_receipt: bool,
}

/// Which receipts somebody asks for (RFC 5438 §6.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiptRequest {
    /// `positive-delivery`.
    pub delivered: bool,
    /// `display`.
    pub displayed: bool,
    /// `negative-delivery`.
    pub failed: bool,
    /// The message's DateTime, as it stood there.
    pub date_time: Option<String>,
    /// To whom it says that it was sent.
    pub recipient: Option<String>,
    /// To whom a list sent it at first.
    pub original_recipient: Option<String>,
    /// The values of IMDN-Record-Route, in their order; a receipt carries them as IMDN-Route (IMDN-06).
    pub route: Vec<String>,
}

/// A message on its way out, with all that a second attempt needs to look like the first (MSG-15).
#[derive(Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The Message-ID that receivers know it by.
    pub id: String,
    /// Call-ID.
    pub call_id: String,
    /// The tag in From.
    pub from_tag: String,
    /// The recipient's URI.
    pub to: String,
    /// What it is.
    pub kind: Kind,
    /// The content type.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
    /// Seconds for which it is of use, counted from `created_at` (MSG-08).
    pub expires: Option<u32>,
    /// When the app handed it over, in seconds since 1970.
    pub created_at: i64,
    /// The receipts that are asked for, if any.
    pub wants: Option<ReceiptRequest>,
}

/// What an outgoing message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// What a user wrote. It stays in the conversation.
    #[default]
    Message,
    /// A receipt for a message of another (RFC 5438). It is forgotten once it has its final state.
    Receipt,
}

/// What is known of an outgoing message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// No byte has left.
    Queued,
    /// Bytes may have left.
    Sending,
    /// A 2xx came.
    Accepted {
        /// The status.
        status: u16,
    },
    /// Not delivered, or refused.
    Failed {
        /// The status, if there was an answer.
        status: Option<u16>,
        /// Why, in words.
        why: String,
    },
    /// It may or may not have arrived.
    Unknown {
        /// 408, if the server said so.
        status: Option<u16>,
        /// Why nobody knows, in words.
        why: String,
    },
}

impl State {
    /// Whether it is still to be sent, or its answer awaited.
    pub fn is_pending(&self) -> bool {
        matches!(self, State::Queued | State::Sending)
    }
}

/// Who works on messages of the outbox: one number for each run of a program, random so that no two are the same. What it
/// holds is free for others once it releases it or its process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner(pub u32);

/// A message of the outbox that is still to be sent, or of which nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Its place.
    pub sequence: Sequence,
    /// The message.
    pub message: Outgoing,
    /// [`State::Queued`], or [`State::Sending`] if bytes of it may have left before a crash.
    pub state: State,
}

/// What became of a received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is new, and kept until it is acknowledged.
    New(Sequence),
    /// It was seen before; nothing was stored.
    Repeated,
}

/// What became of a message that was put into the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is kept, and its owner may send it.
    Ours(Sequence),
    /// It is kept; another process is sending to the same recipient and has to end first (MSG-03). It becomes ours, or
    /// another's, by [`crate::Store::claim`].
    Waits(Sequence),
}

/// A receipt that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The Message-ID that it speaks of.
    pub message_id: String,
    /// Who sent it: a URI.
    pub from: String,
    /// What it says.
    pub kind: ReceiptKind,
    /// When it came, in seconds since 1970.
    pub at: i64,
}

/// What a receipt says (RFC 5438 §7.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReceiptKind {
    /// A device has it.
    Delivered,
    /// A user has seen it.
    Displayed,
    /// It was not delivered after all.
    Failed,
}

/// What is known of one correspondent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// The address: [`peer_of`] a URI.
    pub address: String,
    /// Whether message/cpim is understood there; `None` if nobody knows.
    pub reads_cpim: Option<bool>,
    /// The largest request that arrives there, in bytes, where a larger one was refused.
    pub largest: Option<u32>,
    /// Media types that were refused with 415, lower case.
    pub refuses: Vec<String>,
    /// When this was learned last, in seconds since 1970.
    pub learned_at: i64,
}

/// All messages with one correspondent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// The correspondent: [`peer_of`] the URI.
    pub peer: String,
    /// The newest message's place.
    pub last: Sequence,
    /// How many messages came since [`crate::Store::mark_read`], counted up to 1000.
    pub unread: u32,
}

/// A message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub sequence: Sequence,
    /// The correspondent.
    pub peer: String,
    /// The message.
    pub message: Message,
}

/// One of either direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// It came.
    Incoming(Incoming),
    /// It was sent, or is to be.
    Outgoing {
        /// The message.
        message: Outgoing,
        /// What is known of it.
        state: State,
        /// When the first receipt said that it was delivered, in seconds since 1970.
        delivered_at: Option<i64>,
        /// When the first receipt said that it was displayed.
        displayed_at: Option<i64>,
    },
}

impl fmt::Debug for Incoming {
    /// Without what was said.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("id", &self.id)
            .field("from", &self.from)
            .field("to", &self.to)
            .field("content_type", &self.content_type)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .field("received_at", &self.received_at)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Outgoing {
    /// Without what was said.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("id", &self.id)
            .field("to", &self.to)
            .field("kind", &self.kind)
            .field("content_type", &self.content_type)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}

/// Who a URI stands for: user and domain, whatever parameters, port and display name a server put around them (I-04), and
/// whether or not the way there is secured. Anything that is no sip or sips URI stands for itself.
pub fn peer_of(uri: &str) -> String {
    let Ok(parsed) = Uri::parse(uri) else { return uri.to_owned() };
    match parsed.address_of_record() {
        Some(address) => match address.as_str().strip_prefix("sips:") {
            Some(rest) => format!("sip:{rest}"),
            None => address.to_string(),
        },
        None => uri.to_owned(),
    }
}

/// The words of a body, as a search finds them: of text in the charset that it declares, nothing of anything else.
pub(crate) fn text_of(content_type: &str, body: &[u8]) -> Option<String> {
    let kind = ContentType::parse(content_type).ok()?;
    if !kind.kind.eq_ignore_ascii_case("text") {
        return None;
    }
    Some(decode_text(kind.params.value("charset").as_deref(), body).text.into_owned())
}
