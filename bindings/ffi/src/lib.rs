//! Aldis for other languages: conversions between the types of [`aldis`] and what UniFFI carries, and nothing else.
//!
//! One object, [`Phone`]: a synchronous constructor from one record, commands down, events and messages up by
//! [`Phone::next_event`] and [`Phone::next_message`]. What is handed up stays queued until a later call acknowledges it,
//! so that a cancelled call loses nothing. Every call that can wait long takes a [`StopSignal`], because some languages
//! cannot abandon a call that was begun. All phones of a process share one runtime.
//!
//! Foreign code implements what the platform alone can do: [`ClientKey`], [`SecretProvider`] and [`LogSink`], all of
//! them synchronous. Secrets pass as arguments and results only; no record holds one, since records print.
//!
//! ```
//! use aldis_ffi::{Phone, PhoneConfig};
//!
//! let config = PhoneConfig::new("sip:alice@example.test".into());
//! let phone = Phone::new(config, None, None)?;
//! phone.set_credentials("alice".into(), "wonderland".into());
//! drop(phone); // from any thread
//! # Ok::<(), aldis_ffi::StartError>(())
//! ```

// Generated scaffolding is public and undocumented; what is written here is documented nevertheless.

pub mod c;
mod config;
mod content;
mod event;
mod failure;
mod history;
mod log;
mod mailbox;
mod phone;
mod platform;
mod reach;
mod runtime;
mod start;
mod stop;
mod verdict;

pub use config::{Level, PhoneConfig, Revocation, Timing, TrustConfig};
pub use content::{LinkError, LinkedContent, MessageBody, Piece, link_content, read_content};
pub use event::{
    Connected, ConnectionState, Event, IncomingMessage, OutgoingState, RegistrationState, SequencedEvent,
    SequencedMessage,
};
pub use failure::{
    CredentialsProblem, LostReason, MessageFailure, RegisterError, Registered, RegistrationFailure,
    SendError, Trouble, UnknownReason,
};
pub use history::{Conversation, HistoryEntry, Said, SentState, StorageError};
pub use log::{LogLevel, clear_log_sink, set_log_sink};
pub use phone::Phone;
pub use platform::{ClientKey, KeyError, LogError, LogSink, SecretError, SecretProvider, SignatureMethod};
pub use reach::{EventPackage, MessageCount, MessageSummary, PushState, ReachError, SubscriptionState};
pub use start::StartError;
pub use stop::StopSignal;
pub use verdict::{CertificateRole, CertificateSummary, Finding, FindingStage, Responsible, Verdict};

uniffi::setup_scaffolding!();

/// The version of the library.
#[uniffi::export]
pub fn library_version() -> String {
    env!("CARGO_PKG_VERSION").into()
}
