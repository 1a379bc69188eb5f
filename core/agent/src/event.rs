//! What the agent tells.

use crate::message::StoredMessage;
use crate::peers::PeerFacts;
use crate::push::PushChange;
use crate::receipts::Receipt;
use crate::received::ReceivedMessage;
use crate::subscriptions::{Package, SubscriptionChange};
use aldis_sip::body::summary::MessageSummary;
use aldis_sip::{Defect, StatusCode, Uri};
use bytes::Bytes;
use std::fmt;
use std::time::Duration;

/// One connection attempt, and the connection that it became.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(pub(crate) u64);

/// A request from outside that waits for [`crate::Agent::answer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(crate) u64);

/// A message of ours, by an identifier that the receiver sees too and knows repetitions by (MSG-15): when it was handed over,
/// in milliseconds since 1970, in 48 bits, so that a store finds what is recent in one place, then 80 random ones (RFC 5438
/// §6.3 recommends 64). Printed and read as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub(crate) [u8; 16]);

/// The text is not a message's identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message's identifier has 32 hexadecimal digits")]
pub struct InvalidMessageId;

impl std::str::FromStr for MessageId {
    type Err = InvalidMessageId;

    fn from_str(text: &str) -> Result<Self, InvalidMessageId> {
        let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let value = u128::from_str_radix(text, 16).map_err(|_| InvalidMessageId)?;
        if digits { Ok(MessageId(value.to_be_bytes())) } else { Err(InvalidMessageId) }
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What happened.
#[derive(Clone)]
pub enum Event {
    /// The connection of one of the account's flows changed.
    Connection {
        /// Which flow, from 1 (RFC 5626 §4.2.1).
        reg_id: u32,
        /// How.
        change: ConnectionChange,
    },
    /// The registration over one of the account's flows changed.
    Registration {
        /// Which flow, from 1 (RFC 5626 §4.2.1).
        reg_id: u32,
        /// How.
        change: RegistrationChange,
    },
    /// A message came; nobody has answered it yet.
    MessageReceived {
        /// To answer with.
        ticket: Ticket,
        /// What came.
        message: Box<ReceivedMessage>,
    },
    /// A message was taken over and has to be kept before it leaves (MSG-15): [`crate::Agent::message_stored`] or
    /// [`crate::Agent::forget_message`] says what came of it.
    StoreMessage(Box<StoredMessage>),
    /// It is a message's turn: once it is noted that bytes of it may have left, and nobody else is at it,
    /// [`crate::Agent::message_may_leave`] lets it go. It is then known after a crash which messages nobody can have (MSG-16).
    MessageLeaving {
        /// Which one.
        id: MessageId,
    },
    /// A message of ours changed.
    Outgoing {
        /// Which one.
        id: MessageId,
        /// To whom.
        to: Uri<'static>,
        /// Its state.
        state: OutgoingState,
    },
    /// A receipt of ours changed: the same as `Outgoing`, for the store alone.
    ReceiptOutgoing {
        /// Which one.
        id: MessageId,
        /// Its state.
        state: OutgoingState,
    },
    /// A receipt came; nobody has answered it yet. Whoever keeps the messages knows whether it is about one of them and says
    /// something new (IMDN-08), stores that, and answers with [`crate::AnswerWith::Accept`].
    ReceiptReceived {
        /// To answer with.
        ticket: Ticket,
        /// What it says.
        receipt: Receipt,
    },
    /// Somebody began to write to us, or stopped (RFC 3994).
    Composing {
        /// Who.
        from: Uri<'static>,
        /// Whether he is writing now.
        active: bool,
    },
    /// Something was learned of a recipient, which is worth keeping for [`crate::Agent::remember_peer`].
    PeerLearned {
        /// Its address of record.
        peer: String,
        /// All that is known of it now.
        facts: PeerFacts,
    },
    /// Push on one of the account's flows changed, or was asked for.
    Push {
        /// Which flow, from 1 (RFC 5626 §4.2.1).
        reg_id: u32,
        /// How.
        change: PushChange,
    },
    /// The server asks for an access token (RFC 8898): get one for the user from this authorization server, which the
    /// account trusts, and give it with [`crate::Agent::set_token`]. What waits for it is tried again then.
    TokenNeeded {
        /// The realm that the token is for.
        realm: String,
        /// The authorization server, an https URI.
        authz_server: String,
        /// The scope that the token must have, if the server names one.
        scope: Option<String>,
        /// Whether the token that was given last was refused; it is asked for another only once (AUTH-28).
        refused: bool,
    },
    /// A subscription changed.
    Subscription {
        /// To what.
        package: Package,
        /// How.
        change: SubscriptionChange,
    },
    /// What waits in the mailbox; comes behind the [`Event::Notify`] that says so, subscribed or not.
    MessagesWaiting(MessageSummary),
    /// A notification: of a subscription, or `message-summary` or `check-sync`, which need none (NOT-02).
    Notify {
        /// The event package.
        package: String,
        /// Content-Type, if there is a body.
        content_type: Option<String>,
        /// The body.
        body: Bytes,
    },
}

impl fmt::Debug for Event {
    /// Without bodies.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Connection { reg_id, change } => {
                f.debug_struct("Connection").field("reg_id", reg_id).field("change", change).finish()
            }
            Event::Registration { reg_id, change } => {
                f.debug_struct("Registration").field("reg_id", reg_id).field("change", change).finish()
            }
            Event::Subscription { package, change } => {
                f.debug_struct("Subscription").field("package", package).field("change", change).finish()
            }
            Event::MessagesWaiting(summary) => {
                f.debug_struct("MessagesWaiting").field("waiting", &summary.waiting).finish_non_exhaustive()
            }
            Event::Push { reg_id, change } => {
                f.debug_struct("Push").field("reg_id", reg_id).field("change", change).finish()
            }
            Event::TokenNeeded { realm, refused, .. } => f
                .debug_struct("TokenNeeded")
                .field("realm", realm)
                .field("refused", refused)
                .finish_non_exhaustive(),
            Event::MessageReceived { ticket, message } => {
                f.debug_struct("MessageReceived").field("ticket", ticket).field("message", message).finish()
            }
            Event::StoreMessage(message) => f.debug_tuple("StoreMessage").field(message).finish(),
            Event::MessageLeaving { id } => f.debug_struct("MessageLeaving").field("id", id).finish(),
            Event::Outgoing { id, to, state } => f
                .debug_struct("Outgoing")
                .field("id", id)
                .field("to", &to.as_str())
                .field("state", state)
                .finish(),
            Event::ReceiptOutgoing { id, state } => {
                f.debug_struct("ReceiptOutgoing").field("id", id).field("state", state).finish()
            }
            Event::ReceiptReceived { ticket, receipt } => {
                f.debug_struct("ReceiptReceived").field("ticket", ticket).field("receipt", receipt).finish()
            }
            Event::Composing { from, active } => {
                f.debug_struct("Composing").field("from", &from.as_str()).field("active", active).finish()
            }
            Event::PeerLearned { peer, facts } => {
                f.debug_struct("PeerLearned").field("peer", peer).field("facts", facts).finish()
            }
            Event::Notify { package, content_type, body } => f
                .debug_struct("Notify")
                .field("package", package)
                .field("content_type", content_type)
                .field("body", &format_args!("{} bytes", body.len()))
                .finish(),
        }
    }
}

/// How the connection changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionChange {
    /// An attempt begins.
    Connecting,
    /// The server proved its identity and the connection is up; or the one that was to be replaced is the flow's again,
    /// because no other came up and this one still answers.
    Connected {
        /// Which connection.
        flow: FlowId,
    },
    /// The connection is gone.
    Lost {
        /// Why.
        why: LostReason,
    },
    /// The next attempt has its time.
    BackingOff {
        /// Why it is needed.
        why: BackOffReason,
        /// When it comes, from now.
        retry_in: Duration,
    },
    /// Closed by us, because nobody needs it.
    Closed,
}

/// Why a connection is gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LostReason {
    /// The server closed it.
    #[error("the server closed the connection")]
    ClosedByServer,
    /// The operating system reported an error.
    #[error("the connection failed: {0}")]
    Failed(String),
    /// The server misses a client certificate, or does not accept the one that it was shown. In TLS 1.3 it says so only
    /// when our side of the handshake has ended (RFC 8446 §4.4.2.4); it has read nothing of what was sent.
    #[error("{0}")]
    ClientCertificate(String),
    /// No pong came (OUT-18).
    #[error("the server no longer answers keep-alives")]
    NoPong,
    /// A REGISTER was not answered within 32 s.
    #[error("the server does not answer")]
    NoAnswer,
    /// Nobody knows where the next message begins.
    #[error("the server sent what is not SIP: {0}")]
    NotSip(Defect),
    /// The system says that the network changed, and nobody needs the connection.
    #[error("the network changed")]
    NetworkChanged,
    /// The server of a connection that was up no longer proves its identity: revoked, or expired.
    #[error("the server is no longer trusted: {0}")]
    NoLongerTrusted(String),
}

/// Why the agent waits before it connects again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackOffReason {
    /// The attempt failed; the driver knows the details.
    #[error("no trusted connection")]
    ConnectFailed,
    /// The connection was lost.
    #[error(transparent)]
    Lost(LostReason),
}

/// How the registration changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationChange {
    /// A first REGISTER is under way.
    Registering,
    /// The registrar holds our binding.
    Registered {
        /// The time granted.
        expires_in: Duration,
        /// Our Contact.
        contact: Uri<'static>,
        /// Whether RFC 5626 is active (OUT-05).
        outbound: bool,
        /// URIs that reach this device from anywhere, if the registrar gives them.
        gruus: Gruus,
    },
    /// The binding is being renewed.
    Refreshing,
    /// The binding is removed, or was never made.
    Unregistered,
    /// A REGISTER failed.
    Failed {
        /// Why.
        why: RegistrationFailure,
        /// The status, if the registrar answered.
        status: Option<StatusCode>,
        /// When it is tried again, from now; `None`: not until the app acts.
        retry_in: Option<Duration>,
    },
}

/// The URIs that reach this very device from anywhere (RFC 5627), as the registrar gave them with the latest 200. They are
/// used unaltered and only while the registration lasts (RT-04); their `gr` is not for people (RT-05).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gruus {
    /// The public one, which contains the address of record.
    pub public: Option<Uri<'static>>,
    /// The latest temporary one, which hides it.
    pub temporary: Option<Uri<'static>>,
}

/// Why a REGISTER failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationFailure {
    /// The digest was refused, or there is nothing to answer with.
    #[error(transparent)]
    Credentials(#[from] CredentialsProblem),
    /// 403: the registrar knows the user and does not let him (GEN-17).
    #[error("the registrar refuses this user: {reason}")]
    Forbidden {
        /// The reason phrase.
        reason: String,
    },
    /// 404: the registrar does not know the user.
    #[error("the registrar does not know this user: {reason}")]
    UnknownUser {
        /// The reason phrase.
        reason: String,
    },
    /// 423 without a usable Min-Expires, or twice.
    #[error("the registrar accepts no expiry that was asked for")]
    Interval,
    /// 503, or another failure that can pass.
    #[error("the registrar cannot serve now: {status} {reason}")]
    Unavailable {
        /// The status.
        status: StatusCode,
        /// The reason phrase.
        reason: String,
    },
    /// 3xx that leads nowhere new: in a circle, through too many places, or to none that may be gone to (GEN-18).
    #[error("the registrar redirects ({status} {reason}) {}", where_to(.to.as_deref()))]
    Redirected {
        /// The status.
        status: StatusCode,
        /// The reason phrase.
        reason: String,
        /// The place that was named a second time, or once too often.
        to: Option<String>,
    },
    /// The registrar removed the binding of its own accord (RFC 3680, NOT-06).
    #[error("the registrar has removed the registration of this device: {event}")]
    TakenAway {
        /// `probation` (to be tried again) or `rejected` (not to be).
        event: &'static str,
    },
    /// The response has no binding of ours (REG-09).
    #[error("the registrar answered 200 but holds no binding of this device")]
    NoBinding,
    /// No final response within 32 s.
    #[error("the registrar did not answer")]
    Timeout,
}

fn where_to(to: Option<&str>) -> String {
    match to {
        Some(to) => format!("in a circle: to {to}, where this device has been with the same request"),
        None => "and names no place to which this account may go".into(),
    }
}

impl RegistrationFailure {
    /// Whether other credentials could help.
    pub fn is_credentials(&self) -> bool {
        matches!(self, RegistrationFailure::Credentials(_))
    }

    /// Whether it fails the same way until the app acts (REG-21).
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            RegistrationFailure::Credentials(_)
                | RegistrationFailure::Forbidden { .. }
                | RegistrationFailure::UnknownUser { .. }
                | RegistrationFailure::TakenAway { event: "rejected" }
        )
    }
}

/// Why a challenge could not be answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsProblem {
    /// The server refused the answer.
    #[error("the server refuses the user name or password for the realm {realm:?}")]
    Rejected {
        /// The realm.
        realm: String,
    },
    /// No password is known.
    #[error("the server asks for a password for the realm {realm:?}, and none was given")]
    Missing {
        /// The realm.
        realm: String,
    },
    /// No challenge is one that we answer.
    #[error("the server asks for authentication that is not supported: {offered}")]
    Unsupported {
        /// What it offers.
        offered: String,
    },
    /// The account does not answer this realm (AUTH-04).
    #[error("the account gives no credentials to the realm {realm:?}")]
    RealmNotAllowed {
        /// The realm.
        realm: String,
    },
    /// The server asks for a token of an authorization server (RFC 8898), and the app has been asked for it.
    #[error("the server asks for an access token for the realm {realm:?}")]
    TokenNeeded {
        /// The realm.
        realm: String,
    },
    /// More challenges for one request than anybody needs (AUTH-22).
    #[error("the server keeps asking for authentication without end")]
    Loop,
}

/// The state of a message of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutgoingState {
    /// Waits for a connection, or for another message to the same recipient (MSG-03).
    Queued,
    /// Bytes are under way.
    Sending,
    /// A 2xx came: 200, or 202 from a store. Neither means read (MSG-05).
    Accepted {
        /// The status.
        status: StatusCode,
        /// Whether receipts may follow: they were asked for, in a form that the recipient did not refuse.
        receipts: bool,
    },
    /// The recipient's device says that it has it (RFC 5438). Told by whoever keeps the messages, as is the next.
    Delivered,
    /// The recipient's device says that it was shown.
    Displayed,
    /// Not delivered, or refused by the recipient.
    Failed {
        /// Why.
        why: MessageFailure,
        /// The status, if there was an answer.
        status: Option<StatusCode>,
    },
    /// Bytes may have left and no answer came: it may or may not have arrived (MSG-07).
    Unknown {
        /// Why nobody knows.
        why: UnknownReason,
        /// 408, if the server said so.
        status: Option<StatusCode>,
    },
}

impl OutgoingState {
    /// Whether it has left the outbox: receipts alone can follow.
    pub fn is_final(&self) -> bool {
        !matches!(self, OutgoingState::Queued | OutgoingState::Sending)
    }
}

/// Why a message failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageFailure {
    /// The digest was refused, or there is nothing to answer with.
    #[error(transparent)]
    Credentials(#[from] CredentialsProblem),
    /// The server said no (4xx, 5xx) or pointed elsewhere (3xx).
    #[error("{}", rejected(.status, .reason))]
    Rejected {
        /// The status.
        status: StatusCode,
        /// The reason phrase.
        reason: String,
        /// When the server wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// It reached the recipient, who refused it (6xx, MSG-06).
    #[error("the recipient refused the message: {status} {reason}")]
    Declined {
        /// The status.
        status: StatusCode,
        /// The reason phrase.
        reason: String,
        /// When the recipient wants to be asked again (MSG-18).
        retry_after: Option<Duration>,
    },
    /// Its type, or that of every form of it that could be sent, is not taken (415).
    #[error("the recipient does not take this type of content: {reason}{}", takes(.accepts))]
    ContentType {
        /// The types that are taken, as far as the server names them: `text/plain`, `image/*`, …
        accepts: Vec<String>,
        /// The reason phrase.
        reason: String,
    },
    /// It was accepted, and a receipt says that it did not arrive (RFC 5438 `failed`).
    #[error("it was accepted, and reported as not delivered later")]
    NotDelivered,
    /// Taken back before any byte was sent.
    #[error("withdrawn before it was sent")]
    Withdrawn,
    /// Another process that shares the store sent it, and recorded this.
    #[error("another program sent it, and recorded: {0}")]
    Elsewhere(String),
    /// The time for which it was of use ended before it could be sent.
    #[error("it could not be sent before the time for which it was of use was over")]
    Expired,
    /// The registration that it waited for is refused until the app acts.
    #[error("not sent, because the account is not registered: {0}")]
    NotRegistered(RegistrationFailure),
}

/// The words for a refusal, by what the sender can do.
fn rejected(status: &StatusCode, reason: &str) -> String {
    let meaning = match status.code() {
        404 | 604 => "the server knows no such user",
        480 | 410 => "the recipient cannot be reached now",
        413 | 513 => "the message is too large for the server",
        415 => "the recipient does not take this type of content",
        403 => "the server does not allow it",
        488 | 606 => "the recipient does not accept it",
        503 => "the server cannot serve now",
        300..=399 => "the recipient is elsewhere",
        500..=599 => "the server failed",
        _ => "the server refused the message",
    };
    format!("{meaning} ({status} {reason})")
}

fn takes(accepts: &[String]) -> String {
    if accepts.is_empty() { String::new() } else { format!("; it takes {}", accepts.join(", ")) }
}

/// Why nobody knows what became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownReason {
    /// No final response within 32 s, or a 408.
    #[error("no answer came; the message may or may not have arrived")]
    NoAnswer,
    /// The connection was lost while the answer was awaited.
    #[error("the connection was lost before the answer came; the message may or may not have arrived")]
    ConnectionLost,
    /// We stopped waiting.
    #[error("stopped before the answer came; the message may or may not have arrived")]
    Stopped,
}
