//! The sans-IO SIP user agent of Aldis: registration, messages, transactions and authentication of one account.
//!
//! [`Agent`] opens no socket and reads no clock. Four kinds of method and no fifth:
//!
//! - getters;
//! - commands: [`Agent::register`], [`Agent::send_message`], [`Agent::answer`], [`Agent::network_changed`], …;
//! - what the world did: [`Agent::handle_connected`], [`Agent::handle_bytes`], [`Agent::handle_timeout`], …;
//! - [`Agent::poll_output`], to be drained after every one of them, until it ends in [`Output::Wait`].
//!
//! Time and randomness are arguments, so that the same calls give the same outputs.
//!
//! An account has one to four *flows* (RFC 5626): each has a reg-id, a registration with its own Call-ID, and connections that
//! come and go. The first flow registers, the others follow once it is known that the registrar speaks outbound. A message
//! leaves on any flow that is registered; if the connection is lost before the answer came, it leaves on another with the same
//! Message-ID, Call-ID and From tag. A new connection takes the place of an old one only once it is registered. What each call
//! of an app's life costs, and within what time it is known, stands at the call: [`Agent::network_changed`],
//! [`Agent::enter_background`], [`Agent::enter_foreground`], [`Agent::wake`], [`Agent::handle_sleep`], [`Agent::shut_down`].
//!
//! ```
//! use aldis_agent::{Account, Agent, Now, Output};
//! use std::time::Duration;
//!
//! let account = Account::new("sip:alice@example.test", "00000000-0000-1000-8000-000a95a0e128").unwrap();
//! let mut agent = Agent::new(account, [7; 32]);
//! agent.register(Now { mono: Duration::ZERO, wall: Duration::from_secs(1_800_000_000) });
//! assert!(matches!(agent.poll_output(), Output::Event(_)));
//! assert!(matches!(agent.poll_output(), Output::Connect(_)));
//! assert!(matches!(agent.poll_output(), Output::Wait(None)));
//! ```

mod account;
mod agent;
mod composing;
mod content;
mod event;
mod keepalive;
mod message;
mod outbox;
mod peers;
mod push;
mod random;
mod receipts;
mod received;
mod redirects;
mod registration;
mod request;
mod server;
mod spaces;
mod subscriptions;
mod time;
mod timing;
mod transactions;

pub use account::{Account, InvalidAccount};
pub use agent::{Agent, Connect, InvalidToken, Output};
pub use content::{Content, Envelope, File, Piece, ReceiptsWanted, Text};
pub use event::{
    BackOffReason, ConnectionChange, CredentialsProblem, Event, FlowId, Gruus, InvalidMessageId, LostReason,
    MessageFailure, MessageId, OutgoingState, RegistrationChange, RegistrationFailure, Ticket, UnknownReason,
};
pub use message::{NewMessage, RestoreRefused, SendRefused, StoredMessage};
pub use peers::PeerFacts;
pub use push::{InvalidPush, Push, PushChange};
pub use receipts::{Receipt, ReceiptFor, ReceiptKind};
pub use received::{AnswerWith, ReceivedMessage};
pub use subscriptions::{Package, SubscriptionChange};
pub use time::{Deadline, Now, Reason};
pub use timing::Timing;
