//! What went wrong, in types that can be asked what to do.

use crate::Verdict;
use aldis::SendRefused;
use aldis::net::ConnectFailure;
use std::fmt;
use std::time::Duration;

/// Why a challenge could not be answered.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum CredentialsProblem {
    /// The server refused user name or password.
    Rejected {
        /// The realm.
        realm: String,
    },
    /// No password is known.
    Missing {
        /// The realm.
        realm: String,
    },
    /// No challenge is one that is answered.
    Unsupported {
        /// What the server offers.
        offered: String,
    },
    /// The account does not answer this realm.
    RealmNotAllowed {
        /// The realm.
        realm: String,
    },
    /// The server asks for an access token, and the app has been asked for it.
    TokenNeeded {
        /// The realm.
        realm: String,
    },
    /// The server keeps asking without end.
    Loop,
}

/// Why the registrar refused.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum RegistrationFailure {
    /// User name or password were refused, or there is none.
    Credentials {
        /// In what way.
        problem: CredentialsProblem,
    },
    /// 403: the registrar knows the user and does not let him.
    Forbidden {
        /// The reason phrase.
        reason: String,
    },
    /// 404: the registrar does not know the user.
    UnknownUser {
        /// The reason phrase.
        reason: String,
    },
    /// The registrar accepts no expiry that was asked for.
    Interval,
    /// The registrar cannot serve now.
    Unavailable {
        /// The status.
        status: u16,
        /// The reason phrase.
        reason: String,
    },
    /// The registrar redirects in a circle, or to no place to which the account may go.
    Redirected {
        /// The status.
        status: u16,
        /// The reason phrase.
        reason: String,
        /// The place that was named a second time, if that is it.
        to: Option<String>,
    },
    /// The registrar removed the registration of its own accord.
    TakenAway {
        /// `probation` (tried again) or `rejected` (not).
        event: String,
    },
    /// The registrar answered 200 but holds no binding of this device.
    NoBinding,
    /// The registrar did not answer.
    Timeout,
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Trouble {
    /// The server did not prove its identity.
    Untrusted {
        /// Why, in full.
        verdict: Verdict,
    },
    /// No TLS came about, for another reason than the certificate.
    Tls {
        /// What happened.
        explanation: String,
        /// What to do.
        advice: String,
    },
    /// No address could be connected to.
    Unreachable {
        /// What happened.
        explanation: String,
        /// What to do.
        advice: String,
    },
    /// DNS named no address.
    NotFound {
        /// What happened.
        explanation: String,
        /// What to do.
        advice: String,
    },
    /// It was there and was lost.
    Lost {
        /// Why.
        why: LostReason,
        /// What happened.
        explanation: String,
    },
}

/// Why a connection is gone.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum LostReason {
    /// The server closed it.
    ClosedByServer,
    /// The operating system reported an error.
    Failed {
        /// The system's words.
        explanation: String,
    },
    /// The server misses a client certificate, or does not accept the one that it was shown.
    ClientCertificate {
        /// What it said or did.
        explanation: String,
    },
    /// The server no longer answers keep-alives.
    NoPong,
    /// The server does not answer requests.
    NoAnswer,
    /// The server sent what is not SIP.
    NotSip {
        /// In what way.
        explanation: String,
    },
    /// The system said that the network changed.
    NetworkChanged,
    /// The server's certificate expired or was withdrawn while it was connected.
    NoLongerTrusted {
        /// In what way.
        explanation: String,
    },
}

/// What the registrar granted.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Registered {
    /// For how long; it is renewed by itself.
    pub expires_in: Duration,
    /// The address of this device.
    pub contact: String,
    /// Whether the registrar keeps the connection for incoming requests (RFC 5626).
    pub outbound: bool,
}

/// Why a phone is not registered. Where [`RegisterError::will_retry`] says so, it is tried again by itself.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Error)]
#[uniffi::export(Display)]
pub enum RegisterError {
    /// The registrar answered, and refused.
    Refused {
        /// Why.
        failure: RegistrationFailure,
        /// The same in a sentence.
        explanation: String,
        /// The status, if there was an answer.
        status: Option<u16>,
        /// When it is tried again, from now; nil: not until the app acts.
        retry_in: Option<Duration>,
    },
    /// There is no connection that can be trusted.
    NoConnection {
        /// Why.
        trouble: Trouble,
        /// When it is tried again, from now.
        retry_in: Duration,
    },
    /// The phone was shut down.
    ShutDown,
    /// The wait was stopped; the phone goes on registering.
    Stopped,
}

#[uniffi::export]
impl RegisterError {
    /// Whether another user name or password could help.
    pub fn needs_credentials(&self) -> bool {
        matches!(self, Self::Refused { failure: RegistrationFailure::Credentials { .. }, .. })
    }

    /// Whether it is tried again without anybody doing anything.
    pub fn will_retry(&self) -> bool {
        match self {
            Self::Refused { retry_in, .. } => retry_in.is_some(),
            Self::NoConnection { .. } | Self::Stopped => true,
            Self::ShutDown => false,
        }
    }

    /// Why the server is not trusted, if that is the reason.
    pub fn verdict(&self) -> Option<Verdict> {
        match self {
            Self::NoConnection { trouble: Trouble::Untrusted { verdict }, .. } => Some(verdict.clone()),
            _ => None,
        }
    }

    /// What to do about it, in a sentence for people.
    pub fn advice(&self) -> String {
        match self {
            Self::NoConnection { trouble, .. } => trouble.advice(),
            error if error.needs_credentials() => "Check the user name and the password.".into(),
            error if error.will_retry() => "It is tried again by itself.".into(),
            Self::Refused { .. } => "Ask whoever runs the server.".into(),
            Self::ShutDown | Self::Stopped => "Start again.".into(),
        }
    }
}

#[uniffi::export]
impl Trouble {
    /// What to do about it, in a sentence for people.
    pub fn advice(&self) -> String {
        match self {
            Self::Untrusted { verdict } => {
                verdict.findings.first().map(|finding| finding.advice.clone()).unwrap_or_default()
            }
            Self::Tls { advice, .. } | Self::Unreachable { advice, .. } | Self::NotFound { advice, .. } => {
                advice.clone()
            }
            Self::Lost { .. } => "It is tried again by itself.".into(),
        }
    }

    /// What happened, in a sentence for people.
    pub fn explanation(&self) -> String {
        self.to_string()
    }
}

/// Why a message was not taken. Nothing of it was sent or kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, uniffi::Error)]
#[uniffi::export(Display)]
pub enum SendError {
    /// The recipient is no SIP address.
    #[error("{to:?} is not a SIP address; it has the form sip:user@domain")]
    Recipient {
        /// What was given.
        to: String,
    },
    /// The content type is none.
    #[error("{given:?} is not a content type such as text/plain")]
    ContentType {
        /// What was given.
        given: String,
    },
    /// The request would be too large.
    #[error("the message makes a request of {size} bytes; the limit is {limit}")]
    TooLarge {
        /// Its size, in bytes.
        size: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// Too many messages wait already.
    #[error("{waiting} messages wait already")]
    QueueFull {
        /// How many.
        waiting: u64,
    },
    /// It cannot be kept, and so was not sent.
    #[error("the message cannot be kept: {explanation}. {advice}")]
    Storage {
        /// Why.
        explanation: String,
        /// What to do.
        advice: String,
    },
    /// The identifier is none of a message.
    #[error("{given:?} is not a message's identifier")]
    Identifier {
        /// What was given.
        given: String,
    },
    /// The phone was shut down.
    #[error("the phone is shut down")]
    ShutDown,
}

/// Why a message failed.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum MessageFailure {
    /// User name or password were refused, or there is none.
    Credentials {
        /// In what way.
        problem: CredentialsProblem,
    },
    /// The server said no, or pointed elsewhere.
    Rejected {
        /// The status.
        status: u16,
        /// The reason phrase.
        reason: String,
        /// When the server wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// It reached the recipient, who refused it.
    Declined {
        /// The status.
        status: u16,
        /// The reason phrase.
        reason: String,
        /// When the recipient wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The recipient takes no content of this type, nor of one that it could be sent as.
    ContentType {
        /// The types that it takes, as far as its server names them.
        accepts: Vec<String>,
        /// The reason phrase.
        reason: String,
    },
    /// It was accepted, and a receipt says that it did not arrive.
    NotDelivered,
    /// Taken back before any byte was sent.
    Withdrawn,
    /// Another process that shares the store sent it.
    Elsewhere {
        /// What it recorded.
        explanation: String,
    },
    /// The time for which it was of use ended before it could be sent.
    Expired,
    /// The registration that it waited for is refused until the app acts.
    NotRegistered {
        /// Why.
        failure: RegistrationFailure,
    },
}

/// Why nobody knows what became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum UnknownReason {
    /// No answer came.
    NoAnswer,
    /// The connection was lost before the answer came.
    ConnectionLost,
    /// We stopped waiting.
    Stopped,
}

#[uniffi::export]
impl MessageFailure {
    /// Whether another user name or password could help.
    pub fn needs_credentials(&self) -> bool {
        matches!(
            self,
            Self::Credentials { .. }
                | Self::NotRegistered { failure: RegistrationFailure::Credentials { .. } }
        )
    }
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { explanation, .. } => f.write_str(explanation),
            Self::NoConnection { trouble, .. } => trouble.fmt(f),
            Self::ShutDown => f.write_str("the phone is shut down"),
            Self::Stopped => f.write_str("the wait was stopped"),
        }
    }
}

impl std::error::Error for RegisterError {}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untrusted { verdict } => {
                write!(f, "the server at {} is not trusted to be {}", verdict.address, verdict.reference)?;
                match verdict.findings.first() {
                    Some(finding) => write!(
                        f,
                        ": {} ({}; expected {}, found {})",
                        finding.meaning, finding.code, finding.expected, finding.found
                    ),
                    None => Ok(()),
                }
            }
            Self::Tls { explanation, .. }
            | Self::Unreachable { explanation, .. }
            | Self::NotFound { explanation, .. }
            | Self::Lost { explanation, .. } => f.write_str(explanation),
        }
    }
}

impl From<aldis::CredentialsProblem> for CredentialsProblem {
    fn from(problem: aldis::CredentialsProblem) -> Self {
        match problem {
            aldis::CredentialsProblem::Rejected { realm } => Self::Rejected { realm },
            aldis::CredentialsProblem::Missing { realm } => Self::Missing { realm },
            aldis::CredentialsProblem::Unsupported { offered } => Self::Unsupported { offered },
            aldis::CredentialsProblem::RealmNotAllowed { realm } => Self::RealmNotAllowed { realm },
            aldis::CredentialsProblem::TokenNeeded { realm } => Self::TokenNeeded { realm },
            aldis::CredentialsProblem::Loop => Self::Loop,
        }
    }
}

impl From<aldis::RegistrationFailure> for RegistrationFailure {
    fn from(failure: aldis::RegistrationFailure) -> Self {
        match failure {
            aldis::RegistrationFailure::Credentials(problem) => Self::Credentials { problem: problem.into() },
            aldis::RegistrationFailure::Forbidden { reason } => Self::Forbidden { reason },
            aldis::RegistrationFailure::UnknownUser { reason } => Self::UnknownUser { reason },
            aldis::RegistrationFailure::Interval => Self::Interval,
            aldis::RegistrationFailure::Unavailable { status, reason } => {
                Self::Unavailable { status: status.code(), reason }
            }
            aldis::RegistrationFailure::Redirected { status, reason, to } => {
                Self::Redirected { status: status.code(), reason, to }
            }
            aldis::RegistrationFailure::TakenAway { event } => Self::TakenAway { event: event.into() },
            aldis::RegistrationFailure::NoBinding => Self::NoBinding,
            aldis::RegistrationFailure::Timeout => Self::Timeout,
        }
    }
}

impl From<aldis::LostReason> for LostReason {
    fn from(why: aldis::LostReason) -> Self {
        match why {
            aldis::LostReason::ClosedByServer => Self::ClosedByServer,
            aldis::LostReason::Failed(explanation) => Self::Failed { explanation },
            aldis::LostReason::ClientCertificate(explanation) => Self::ClientCertificate { explanation },
            aldis::LostReason::NoPong => Self::NoPong,
            aldis::LostReason::NoAnswer => Self::NoAnswer,
            aldis::LostReason::NotSip(defect) => Self::NotSip { explanation: defect.to_string() },
            aldis::LostReason::NetworkChanged => Self::NetworkChanged,
            aldis::LostReason::NoLongerTrusted(explanation) => Self::NoLongerTrusted { explanation },
        }
    }
}

impl From<aldis::Trouble> for Trouble {
    fn from(trouble: aldis::Trouble) -> Self {
        let (explanation, advice) = (trouble.to_string(), trouble.advice());
        match trouble {
            aldis::Trouble::Lost(why) => Self::Lost { why: why.into(), explanation },
            aldis::Trouble::NoConnection(failure) => match failure.as_ref() {
                ConnectFailure::Untrusted(untrusted) => Self::Untrusted {
                    verdict: Verdict::new(&untrusted.verdict, untrusted.address.to_string()),
                },
                ConnectFailure::Tls { .. } => Self::Tls { explanation, advice },
                ConnectFailure::Connect(_) => Self::Unreachable { explanation, advice },
                ConnectFailure::Dns(_) => Self::NotFound { explanation, advice },
            },
        }
    }
}

impl From<aldis::SendError> for SendError {
    fn from(error: aldis::SendError) -> Self {
        let refused = match error {
            aldis::SendError::Storage(error) => {
                return Self::Storage { explanation: error.to_string(), advice: error.advice().into() };
            }
            aldis::SendError::Refused(refused) => refused,
        };
        match refused {
            SendRefused::Recipient { to } => Self::Recipient { to },
            SendRefused::ContentType(given) => Self::ContentType { given },
            SendRefused::TooLarge { size, limit } => {
                Self::TooLarge { size: size as u64, limit: limit as u64 }
            }
            SendRefused::QueueFull(waiting) => Self::QueueFull { waiting: waiting as u64 },
            SendRefused::Stopped => Self::ShutDown,
        }
    }
}

impl From<aldis::MessageFailure> for MessageFailure {
    fn from(failure: aldis::MessageFailure) -> Self {
        match failure {
            aldis::MessageFailure::Credentials(problem) => Self::Credentials { problem: problem.into() },
            aldis::MessageFailure::Rejected { status, reason, retry_after } => {
                Self::Rejected { status: status.code(), reason, retry_after }
            }
            aldis::MessageFailure::Declined { status, reason, retry_after } => {
                Self::Declined { status: status.code(), reason, retry_after }
            }
            aldis::MessageFailure::ContentType { accepts, reason } => Self::ContentType { accepts, reason },
            aldis::MessageFailure::NotDelivered => Self::NotDelivered,
            aldis::MessageFailure::Withdrawn => Self::Withdrawn,
            aldis::MessageFailure::Elsewhere(explanation) => Self::Elsewhere { explanation },
            aldis::MessageFailure::Expired => Self::Expired,
            aldis::MessageFailure::NotRegistered(failure) => Self::NotRegistered { failure: failure.into() },
        }
    }
}

impl From<aldis::UnknownReason> for UnknownReason {
    fn from(why: aldis::UnknownReason) -> Self {
        match why {
            aldis::UnknownReason::NoAnswer => Self::NoAnswer,
            aldis::UnknownReason::ConnectionLost => Self::ConnectionLost,
            aldis::UnknownReason::Stopped => Self::Stopped,
        }
    }
}
