//! A SIP client over verified TLS: register, send and receive messages.
//!
//! Three promises, in this order. **Nobody in the middle**: a server that cannot prove that it speaks for the account's
//! domain receives not one SIP byte, and nothing switches that off. **Nothing lost**: a message is answered with 200 only
//! once it is stored, and every message sent ends in a state that says what is known. **Always says why**: every refusal
//! and failure carries what was expected, what was found and what to do, in types.
//!
//! ```no_run
//! use aldis::{Config, Outgoing, OutgoingState, Phone};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let config = Config::new("sip:alice@example.test")?.password("wonderland");
//!     let phone = Phone::start(config)?;
//!     let outcome = phone.send_and_wait("sip:bob@example.test", Outgoing::text("Hello, Bob")).await?;
//!     assert!(matches!(outcome, OutgoingState::Accepted { .. }), "{outcome:?}");
//!     phone.shut_down().await;
//!     Ok(())
//! }
//! ```
//!
//! To receive, register and read the events:
//!
//! ```no_run
//! # use aldis::{Config, Event, Phone};
//! # async fn listen(config: Config) -> Result<(), aldis::StartError> {
//! let phone = Phone::start(config)?;
//! phone.register();
//! while let Some(event) = phone.next_event().await {
//!     if let Event::Message(message) = event {
//!         println!("{}: {}", message.from, message.text().unwrap_or_default());
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What is guaranteed of messages
//!
//! With [`Config::store_file`]:
//!
//! - A message is taken ([`Phone::send`] has returned): it is on disk, and is sent however often the program, the device or
//!   the connection ends, until it has a final state. That is told when it is on disk too.
//! - It is sent again when nobody knows whether it arrived, as the same message. Between clients of this library it is shown
//!   once. Another recipient may show it twice: [`Config::without_resending`] makes such a message
//!   [`OutgoingState::Unknown`] instead.
//! - A message came and was answered with 200: it is on disk. It is given to the app until it is acknowledged, at least once;
//!   the loop above acknowledges it by asking for the next event. A repetition within seven days is answered and not given.
//! - A receipt that the sender asked for, and the user consents to, is owed from the moment at which the message is on disk,
//!   and is sent however often the program ends before it has left.
//! - If the disk fails, the sender is told to keep the message (480), and the app is told why ([`Event::Storage`]).
//!
//! Without a file the same holds for as long as the phone lives. What durable means is said in [`store`].
//!
//! The map: [`Config`] says who and how, [`Phone`] does it, [`Event`] tells. Whom to trust is [`trust`], how a server is
//! reached is [`net`]. Inside, a driver task feeds a sans-IO agent; only [`net`] touches sockets.

mod config;
mod driver;
mod event;
mod keeping;
mod link;
pub mod net;
mod phone;
mod policy_file;
mod queue;
mod trace;
mod watch;
mod wires;

pub use aldis_agent::{
    Content, CredentialsProblem, File, Gruus, InvalidAccount, InvalidMessageId, InvalidPush, InvalidToken,
    LostReason, MessageFailure, MessageId, OutgoingState, Package, Piece, Push, PushChange as PushState,
    RegistrationChange as RegistrationState, RegistrationFailure, SendRefused,
    SubscriptionChange as SubscriptionState, Text, Timing, UnknownReason,
};
pub use aldis_sip as sip;
pub use aldis_sip::body::ExternalBody;
pub use aldis_sip::body::summary::MessageSummary;
pub use aldis_sip::{Defect, Domain, InvalidIdentity, ReferenceIdentity, Secret, StatusCode, Uri};
pub use aldis_store as store;
pub use aldis_store::{ReceiptRequest, Sequence};
pub use aldis_trust as trust;
pub use config::{Config, ConfigError};
pub use event::{Connected, ConnectionState, Event, Incoming, Storage, Trouble};
pub use phone::{Outgoing, Phone, SendError, StartError};
pub use policy_file::{PolicyFile, PolicyFileError};
pub use trace::{Direction, Trace, TraceEntry};
