//! What a phone tells.

use crate::{
    EventPackage, Finding, LostReason, MessageFailure, MessageSummary, PushState, RegisterError, Registered,
    RegistrationFailure, SubscriptionState, Trouble, UnknownReason, Verdict,
};
use aldis::net::Origin;
use aldis::store::Sequence;
use std::fmt;
use std::time::Duration;

/// What happened, beside messages, which come by themselves.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Event {
    /// The connection of one of the account's flows changed.
    Connection {
        /// To what.
        state: ConnectionState,
        /// Which flow, from 1; an account has one unless its configuration says otherwise.
        reg_id: u32,
    },
    /// A server was refused before it received a SIP byte.
    Untrusted {
        /// Why, in full.
        verdict: Verdict,
    },
    /// The registration over one of the account's flows changed. The account is registered while one of them is.
    Registration {
        /// To what.
        state: RegistrationState,
        /// Which flow, from 1.
        reg_id: u32,
    },
    /// A message of ours changed.
    Outgoing {
        /// Which one.
        id: String,
        /// To whom.
        to: String,
        /// Its state.
        state: OutgoingState,
    },
    /// Somebody began to write to us, or stopped.
    Composing {
        /// Who: a URI.
        from: String,
        /// Whether he is writing now.
        active: bool,
    },
    /// The message store needs attention: something could not be stored, or the file was damaged.
    Storage {
        /// What happened.
        explanation: String,
        /// What to do.
        advice: String,
    },
    /// Push on one of the account's flows changed, or was asked for.
    Push {
        /// To what.
        state: PushState,
        /// Which flow, from 1.
        reg_id: u32,
    },
    /// The server asks for an access token: get one from the authorization server and give it with `setToken`.
    TokenNeeded {
        /// The realm that it is for.
        realm: String,
        /// The authorization server, one of those that the configuration names.
        authorization_server: String,
        /// The scope that it must have, if the server names one.
        scope: Option<String>,
        /// Whether the last one was refused; another is asked for only once.
        refused: bool,
    },
    /// A subscription changed.
    Subscription {
        /// To what it is.
        package: EventPackage,
        /// To what it changed.
        state: SubscriptionState,
    },
    /// What waits in the mailbox.
    MessagesWaiting {
        /// Whose, and how many.
        summary: MessageSummary,
    },
    /// The server tells something, asked or not.
    Notify {
        /// The event package, such as `message-summary`.
        package: String,
        /// The type of the body, if there is one.
        content_type: Option<String>,
        /// The body.
        body: Vec<u8>,
    },
}

/// The state of the connection.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum ConnectionState {
    /// DNS is asked where the server is.
    Resolving,
    /// An attempt begins.
    Connecting,
    /// The server proved its identity.
    Connected {
        /// Who it is, and how that was proven.
        server: Connected,
    },
    /// The connection is gone.
    Lost {
        /// Why.
        why: LostReason,
    },
    /// The next attempt has its time.
    BackingOff {
        /// Why it is needed.
        trouble: Trouble,
        /// When it comes, from now.
        retry_in: Duration,
    },
    /// Closed by us: nobody needs it.
    Closed,
}

/// Who is at the other end, and how it was proven.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Connected {
    /// The server's address and port.
    pub address: String,
    /// The host and port that led to it.
    pub target: String,
    /// The DNS records by which it was found, from the domain on, each as a line of a zone without class and time; empty
    /// where nobody had to be asked.
    pub via: Vec<String>,
    /// Why the domain's SRV records were not looked up, if they were not although they should have been: its own addresses
    /// were tried instead, which may be another server.
    pub srv_not_asked: Option<String>,
    /// `1.2` or `1.3`.
    pub tls_version: String,
    /// The cipher suite's name in IANA's registry.
    pub cipher_suite: String,
    /// The key exchange group's name in IANA's registry.
    pub key_exchange: String,
    /// Whom the server had to prove to be.
    pub reference: String,
    /// The name in its certificate that matched.
    pub matched: String,
    /// The kind of that name: `dns`, `sip-uri`, `server-name`, `ip` or `wildcard`.
    pub matched_by: String,
    /// The first moment at which a certificate of the path expires, in seconds since 1970.
    pub expires: u64,
    /// What is worth telling of the certificates, but refuses nothing.
    pub warnings: Vec<Finding>,
}

/// The state of the registration.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum RegistrationState {
    /// A first attempt is under way.
    Registering,
    /// The registrar holds our binding.
    Registered {
        /// What it granted.
        registered: Registered,
    },
    /// The binding is being renewed.
    Refreshing,
    /// The binding is removed, or was never made.
    Unregistered,
    /// An attempt failed.
    Failed {
        /// Why.
        failure: RegistrationFailure,
        /// The same in a sentence.
        explanation: String,
        /// The status, if the registrar answered.
        status: Option<u16>,
        /// When it is tried again, from now; nil: not until the app acts.
        retry_in: Option<Duration>,
    },
}

/// The state of a message of ours.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum OutgoingState {
    /// Waits for a connection, or for another message to the same recipient.
    Queued,
    /// Bytes are under way.
    Sending,
    /// The recipient's side took it: 200, or 202 from a store. Neither means read.
    Accepted {
        /// The status.
        status: u16,
        /// Whether receipts may follow, which then are the states `Delivered` and `Displayed`.
        receipts: bool,
    },
    /// The recipient's device says that it has it.
    Delivered,
    /// The recipient's device says that it was shown.
    Displayed,
    /// Not delivered, or refused by the recipient.
    Failed {
        /// Why.
        failure: MessageFailure,
        /// The same in a sentence.
        explanation: String,
        /// The status, if there was an answer.
        status: Option<u16>,
    },
    /// It may or may not have arrived.
    Unknown {
        /// Why nobody knows.
        why: UnknownReason,
        /// The same in a sentence.
        explanation: String,
        /// 408, if the server said so.
        status: Option<u16>,
    },
}

#[uniffi::export]
impl OutgoingState {
    /// Whether it has left the outbox: receipts alone can follow.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Queued | Self::Sending)
    }
}

/// A message that came. It is stored and was answered with 200.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct IncomingMessage {
    /// The sender's identifier, or one made of Call-ID and CSeq.
    pub id: String,
    /// The sender's URI, as the server passed it on.
    pub from: String,
    /// The sender's name, a claim of the sender.
    pub display_name: Option<String>,
    /// The URI that it was sent to.
    pub to: String,
    /// The content type.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
    /// The body as text, by the charset that it declares; nil if it is not text.
    pub text: Option<String>,
    /// When the sender says that it was sent, in seconds since 1970.
    pub sent_at: Option<i64>,
    /// When it came, in seconds since 1970.
    pub received_at: i64,
    /// When it stops being of use, in seconds since 1970, if the sender says so.
    pub expires_at: Option<i64>,
    /// Who wrote it, as the message itself says, if that is somebody else than the server names: a claim.
    pub claimed_from: Option<String>,
    /// Its place in the store; that of later ones is larger.
    pub sequence: u64,
    /// Whether the sender wants to know when it was shown: tell with `displayed`, if the user consents.
    pub wants_display_receipt: bool,
}

/// An event with its number.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct SequencedEvent {
    /// What to acknowledge it by.
    pub sequence: u64,
    /// The event.
    pub event: Event,
}

/// A message with its number.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct SequencedMessage {
    /// What to acknowledge it by.
    pub sequence: u64,
    /// The message. (Not `message`: Kotlin's exceptions have that name to themselves.)
    pub incoming: IncomingMessage,
}

impl fmt::Debug for IncomingMessage {
    /// Without what was said.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncomingMessage")
            .field("id", &self.id)
            .field("from", &self.from)
            .field("to", &self.to)
            .field("content_type", &self.content_type)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish_non_exhaustive()
    }
}

/// Whether an event may go when nobody reads them: a later one takes its place, or it is a notification, of which others decide
/// how many there are.
pub(crate) fn may_go(event: &Event) -> bool {
    match event {
        Event::Connection { .. } | Event::Registration { .. } | Event::Untrusted { .. } => true,
        Event::Outgoing { state, .. } => !state.is_final(),
        Event::Composing { .. }
        | Event::Push { .. }
        | Event::Subscription { .. }
        | Event::Notify { .. }
        | Event::MessagesWaiting { .. } => true,
        Event::Storage { .. } | Event::TokenNeeded { .. } => false,
    }
}

/// What an event of the library is here.
pub(crate) enum Happened {
    Message((Sequence, IncomingMessage)),
    Other(Event),
}

impl From<aldis::Event> for Happened {
    fn from(event: aldis::Event) -> Self {
        Happened::Other(match event {
            aldis::Event::Message(message) => {
                return Happened::Message((message.sequence, (*message).into()));
            }
            aldis::Event::Connection { reg_id, state } => Event::Connection { state: state.into(), reg_id },
            aldis::Event::Untrusted { verdict, address } => {
                Event::Untrusted { verdict: Verdict::new(&verdict, address.to_string()) }
            }
            aldis::Event::Registration { reg_id, state } => {
                Event::Registration { state: state.into(), reg_id }
            }
            aldis::Event::Outgoing { id, to, state } => {
                Event::Outgoing { id: id.to_string(), to: to.to_string(), state: state.into() }
            }
            aldis::Event::Composing { from, active } => Event::Composing { from: from.to_string(), active },
            aldis::Event::Storage(storage) => {
                Event::Storage { explanation: storage.to_string(), advice: storage.advice().into() }
            }
            aldis::Event::Notify { package, content_type, body } => {
                Event::Notify { package, content_type, body: body.to_vec() }
            }
            aldis::Event::Push { reg_id, state } => Event::Push { state: state.into(), reg_id },
            aldis::Event::TokenNeeded { realm, authorization_server, scope, refused } => {
                Event::TokenNeeded { realm, authorization_server, scope, refused }
            }
            aldis::Event::Subscription { package, state } => {
                Event::Subscription { package: package.into(), state: state.into() }
            }
            aldis::Event::MessagesWaiting(summary) => Event::MessagesWaiting { summary: summary.into() },
        })
    }
}

impl From<aldis::Incoming> for IncomingMessage {
    fn from(message: aldis::Incoming) -> Self {
        IncomingMessage {
            text: message.text(),
            sequence: message.sequence.0,
            wants_display_receipt: message.wants_display_receipt(),
            id: message.id,
            from: message.from.to_string(),
            display_name: message.display_name,
            to: message.to.to_string(),
            content_type: message.content_type,
            body: message.body.to_vec(),
            sent_at: message.sent_at,
            received_at: message.received_at,
            expires_at: message.expires_at,
            claimed_from: message.claimed_from,
        }
    }
}

impl From<aldis::ConnectionState> for ConnectionState {
    fn from(state: aldis::ConnectionState) -> Self {
        match state {
            aldis::ConnectionState::Resolving => Self::Resolving,
            aldis::ConnectionState::Connecting => Self::Connecting,
            aldis::ConnectionState::Connected(server) => Self::Connected { server: server.as_ref().into() },
            aldis::ConnectionState::Lost { why } => Self::Lost { why: why.into() },
            aldis::ConnectionState::BackingOff { why, retry_in } => {
                Self::BackingOff { trouble: why.into(), retry_in }
            }
            aldis::ConnectionState::Closed => Self::Closed,
        }
    }
}

impl From<&aldis::Connected> for Connected {
    fn from(server: &aldis::Connected) -> Self {
        Connected {
            address: server.address.to_string(),
            target: server.target.to_string(),
            via: server.target.way(&server.reference, server.address),
            srv_not_asked: match &server.target.origin {
                Origin::Unasked(why) => Some(why.to_string()),
                _ => None,
            },
            tls_version: server.tls.version.to_string(),
            cipher_suite: server.tls.suite.clone(),
            key_exchange: server.tls.group.clone(),
            reference: server.reference.to_string(),
            matched: server.matched.value.clone(),
            matched_by: server.matched.by.as_str().into(),
            expires: server.expires,
            warnings: server.warnings.iter().map(Finding::from).collect(),
        }
    }
}

impl From<aldis::RegistrationState> for RegistrationState {
    fn from(state: aldis::RegistrationState) -> Self {
        match state {
            aldis::RegistrationState::Registering => Self::Registering,
            aldis::RegistrationState::Registered { expires_in, contact, outbound, .. } => Self::Registered {
                registered: Registered { expires_in, contact: contact.to_string(), outbound },
            },
            aldis::RegistrationState::Refreshing => Self::Refreshing,
            aldis::RegistrationState::Unregistered => Self::Unregistered,
            aldis::RegistrationState::Failed { why, status, retry_in } => Self::Failed {
                explanation: why.to_string(),
                failure: why.into(),
                status: status.map(|status| status.code()),
                retry_in,
            },
        }
    }
}

impl From<aldis::OutgoingState> for OutgoingState {
    fn from(state: aldis::OutgoingState) -> Self {
        match state {
            aldis::OutgoingState::Queued => Self::Queued,
            aldis::OutgoingState::Sending => Self::Sending,
            aldis::OutgoingState::Accepted { status, receipts } => {
                Self::Accepted { status: status.code(), receipts }
            }
            aldis::OutgoingState::Delivered => Self::Delivered,
            aldis::OutgoingState::Displayed => Self::Displayed,
            aldis::OutgoingState::Failed { why, status } => Self::Failed {
                explanation: why.to_string(),
                failure: why.into(),
                status: status.map(|status| status.code()),
            },
            aldis::OutgoingState::Unknown { why, status } => Self::Unknown {
                explanation: why.to_string(),
                why: why.into(),
                status: status.map(|status| status.code()),
            },
        }
    }
}

/// What an event says to somebody who waits for the registration.
pub(crate) fn outcome(event: &Event) -> Option<Result<Registered, RegisterError>> {
    match event {
        Event::Registration { state: RegistrationState::Registered { registered }, .. } => {
            Some(Ok(registered.clone()))
        }
        Event::Registration {
            state: RegistrationState::Failed { failure, explanation, status, retry_in },
            ..
        } => Some(Err(RegisterError::Refused {
            failure: failure.clone(),
            explanation: explanation.clone(),
            status: *status,
            retry_in: *retry_in,
        })),
        Event::Connection { state: ConnectionState::BackingOff { trouble, retry_in }, .. } => {
            Some(Err(RegisterError::NoConnection { trouble: trouble.clone(), retry_in: *retry_in }))
        }
        _ => None,
    }
}
