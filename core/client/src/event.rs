//! What a phone tells.

use crate::net::{ConnectFailure, Target, TlsFacts};
use aldis_agent::{
    Content, LostReason, MessageId, OutgoingState, Package, PushChange, RegistrationChange,
    SubscriptionChange,
};
use aldis_sip::body::summary::MessageSummary;
use aldis_sip::{Fault, ReferenceIdentity, Uri};
use aldis_store::{ReceiptRequest, Recovered, Sequence, StoreError};
use aldis_trust::{Finding, Matched, Verdict};
use bytes::Bytes;
use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What happened, in order.
#[derive(Clone, Debug)]
pub enum Event {
    /// The connection of one of the account's flows changed.
    Connection {
        /// Which flow, from 1 (RFC 5626 §4.2.1); an account has one unless [`Config::flows`](crate::Config::flows) or
        /// several proxies say otherwise.
        reg_id: u32,
        /// How it is now.
        state: ConnectionState,
    },
    /// A server was refused before it received a SIP byte, or lost its trust while it was connected, because its certificate
    /// expired or was withdrawn. [`ConnectionState::BackingOff`] or [`ConnectionState::Lost`] follows.
    Untrusted {
        /// Why, in full.
        verdict: Arc<Verdict>,
        /// Where that server is.
        address: SocketAddr,
    },
    /// The registration over one of the account's flows changed. The account is registered while one of them is.
    Registration {
        /// Which flow, from 1.
        reg_id: u32,
        /// How it is now.
        state: RegistrationChange,
    },
    /// A message came. It is stored and was answered with 200.
    Message(Box<Incoming>),
    /// The message store needs attention.
    Storage(Storage),
    /// A message of ours changed.
    Outgoing {
        /// Which one.
        id: MessageId,
        /// To whom.
        to: Uri<'static>,
        /// Its state.
        state: OutgoingState,
    },
    /// Somebody began to write to us, or stopped (RFC 3994).
    Composing {
        /// Who.
        from: Uri<'static>,
        /// Whether he is writing now.
        active: bool,
    },
    /// Push on one of the account's flows changed, or was asked for (RFC 8599).
    Push {
        /// Which flow, from 1.
        reg_id: u32,
        /// How.
        state: PushChange,
    },
    /// The server asks for an access token (RFC 8898): get one from this authorization server, and give it with
    /// [`crate::Phone::set_token`].
    TokenNeeded {
        /// The realm that it is for.
        realm: String,
        /// The authorization server, one of those that the account trusts.
        authorization_server: String,
        /// The scope that it must have, if the server names one.
        scope: Option<String>,
        /// Whether the last one was refused; another is asked for only once.
        refused: bool,
    },
    /// A subscription changed.
    Subscription {
        /// To what.
        package: Package,
        /// How.
        state: SubscriptionChange,
    },
    /// What waits in the mailbox; comes behind the [`Event::Notify`] that says so, subscribed or not.
    MessagesWaiting(MessageSummary),
    /// A notification: of a subscription, or one that needs none. Of an app that lets 4096 events lie the oldest are forgotten.
    Notify {
        /// The event package, such as `message-summary`.
        package: String,
        /// Content-Type, if there is a body.
        content_type: Option<String>,
        /// The body.
        body: Bytes,
    },
}

/// What is to be told of the message store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Storage {
    /// Something could not be stored or read. It is told once, until something succeeds again; a message that came meanwhile
    /// was refused, so that its sender keeps it.
    #[error("{0}")]
    Failed(StoreError),
    /// The file was damaged when it was opened: it was set aside, and what could be read is in a new one.
    #[error("the message store was damaged ({}); {} messages could be kept, and the old file is {}", .0.why, .0.messages, .0.set_aside.display())]
    Recovered(Recovered),
}

impl Storage {
    /// What to do, in a sentence for people.
    pub fn advice(&self) -> &'static str {
        match self {
            Storage::Failed(error) => error.advice(),
            Storage::Recovered(_) => "Keep the old file until nothing is missed.",
        }
    }
}

/// The state of the connection.
#[derive(Clone, Debug)]
pub enum ConnectionState {
    /// DNS is asked where the server is.
    Resolving,
    /// An attempt begins.
    Connecting,
    /// The server proved its identity; or a connection that was to be replaced goes on, because no other came up.
    Connected(Arc<Connected>),
    /// The connection is gone.
    Lost {
        /// Why.
        why: LostReason,
    },
    /// The next attempt has its time.
    BackingOff {
        /// Why it is needed.
        why: Trouble,
        /// From now.
        retry_in: Duration,
    },
    /// Closed by us: nobody needs it.
    Closed,
}

/// Who is at the other end, and how it was proven.
#[derive(Clone, Debug)]
pub struct Connected {
    /// The server's address.
    pub address: SocketAddr,
    /// The place that led to it. [`Target::way`] tells by which records.
    pub target: Target,
    /// Version, cipher suite and key exchange.
    pub tls: TlsFacts,
    /// Whom the server had to prove to be.
    pub reference: ReferenceIdentity,
    /// The name in its certificate that matched.
    pub matched: Matched,
    /// The first moment at which a certificate of the path expires, in seconds since 1970.
    pub expires: u64,
    /// What is worth telling of the certificates, but refuses nothing.
    pub warnings: Vec<Finding>,
}

/// Why there is no connection.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Trouble {
    /// None came up.
    #[error("{0}")]
    NoConnection(Arc<ConnectFailure>),
    /// It was lost.
    #[error(transparent)]
    Lost(LostReason),
}

impl Trouble {
    /// What to do, in a sentence for people.
    pub fn advice(&self) -> String {
        match self {
            Trouble::NoConnection(failure) => failure.advice(),
            Trouble::Lost(LostReason::ClientCertificate(_)) => {
                "Give the account the client certificate that the server's administrator issued, or a current one.".into()
            }
            Trouble::Lost(_) => "It is tried again by itself.".into(),
        }
    }
}

/// A message that came.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Its place in the store, to be acknowledged by ([`crate::Phone::acknowledge`]).
    pub sequence: Sequence,
    /// The sender's identifier, or one made of Call-ID and CSeq.
    pub id: String,
    /// The sender, as the server passed it on.
    pub from: Uri<'static>,
    /// The display name, a claim of the sender.
    pub display_name: Option<String>,
    /// To whom it was sent.
    pub to: Uri<'static>,
    /// The content type.
    pub content_type: String,
    /// The body.
    pub body: Bytes,
    /// When the sender says that it was sent, in seconds since 1970.
    pub sent_at: Option<i64>,
    /// When it came, in seconds since 1970.
    pub received_at: i64,
    /// When it stops being of use, in seconds since 1970, if the sender says so (MSG-11).
    pub expires_at: Option<i64>,
    /// Who wrote it, as the message itself says, if that is somebody else than the server names: a claim (CPIM-05).
    pub claimed_from: Option<String>,
    /// The receipts that its sender wants, if any.
    pub wants: Option<ReceiptRequest>,
}

impl Incoming {
    /// What there is to show of it: text in its charset, files, content that lies elsewhere. Of alternatives the best that is
    /// understood.
    pub fn content(&self) -> Content {
        Content::read(&self.content_type, &self.body)
    }

    /// Whether its sender wants to know when it was shown: [`crate::Phone::displayed`] tells him, if the user consents.
    pub fn wants_display_receipt(&self) -> bool {
        self.wants.as_ref().is_some_and(|wants| wants.displayed)
    }

    /// A message as the store has it.
    ///
    /// # Errors
    /// A [`Fault`] if one of its addresses is none, which a damaged file may hold.
    pub fn from_stored(sequence: Sequence, stored: aldis_store::Incoming) -> Result<Self, Fault> {
        Ok(Incoming {
            sequence,
            id: stored.id,
            from: Uri::parse(stored.from)?,
            display_name: stored.display_name,
            to: Uri::parse(stored.to)?,
            content_type: stored.content_type,
            body: stored.body.into(),
            sent_at: stored.sent_at,
            received_at: stored.received_at,
            expires_at: stored.expires_at,
            claimed_from: stored.claimed_from,
            wants: stored.wants,
        })
    }

    /// All its text; `None` if there is none. What cannot be read is replaced; the bytes stay in `body`.
    pub fn text(&self) -> Option<String> {
        self.content().text().map(Cow::into_owned)
    }
}
