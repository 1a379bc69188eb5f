//! Why a name could not be resolved, with the questions that were asked.

use std::fmt;

use super::dns::Failure;

/// A question to DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The kind of record.
    pub record: RecordType,
    /// The name asked, without a trailing dot.
    pub name: String,
}

/// The kinds of record that finding a SIP server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordType {
    /// Which services a domain offers (RFC 3263 §4.1).
    Naptr,
    /// Which hosts offer a service (RFC 2782).
    Srv,
    /// IPv6 addresses.
    Aaaa,
    /// IPv4 addresses.
    A,
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RecordType::Naptr => "NAPTR",
            RecordType::Srv => "SRV",
            RecordType::Aaaa => "AAAA",
            RecordType::A => "A",
        })
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.record, self.name)
    }
}

/// Why no server was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// DNS answered, and has no address. Mostly a misspelt domain.
    #[error("{} (asked {})", missing(.domain_exists), list(.asked))]
    NoRecords {
        /// Everything asked.
        asked: Vec<Question>,
        /// Whether some name asked exists, with records of other kinds.
        domain_exists: bool,
    },
    /// No DNS server answered in time.
    #[error("no DNS server answered in time (asked {})", list(.asked))]
    Timeout {
        /// What was asked without an answer.
        asked: Vec<Question>,
    },
    /// The domain says that it does not offer this service: its only SRV record has the target `.` (RFC 2782). There
    /// is nothing to fall back to.
    #[error("the domain says that it offers no SIP over TLS (SRV {service} is \".\")")]
    ServiceOff {
        /// The name of the service asked.
        service: String,
    },
    /// Not a name that DNS could know.
    #[error("{name:?} is not a name that DNS could know")]
    InvalidName {
        /// The name, as given.
        name: String,
    },
    /// The DNS server answered that it failed or refuses.
    #[error("the DNS server answered {code} to {question}")]
    ServerFailure {
        /// The question.
        question: Question,
        /// The response code (RFC 1035 §4.1.1, RFC 6895 §2.3), such as 2 for SERVFAIL.
        code: ServerCode,
    },
    /// The DNS server's answer is no DNS message, too long, or belongs to another question.
    #[error("the DNS server's answer to {question} cannot be used: {detail}")]
    BadAnswer {
        /// The question.
        question: Question,
        /// What is wrong with the answer.
        detail: String,
    },
    /// No DNS server is known or none can be reached: mostly a device without a network.
    #[error("no DNS server can be reached: {detail}")]
    NoServer {
        /// What the system said, and what was asked.
        detail: String,
    },
    /// The platform's own resolver failed; it does not say whether the name or the network is to blame.
    #[error("the system could not resolve {name:?}: {detail}")]
    Platform {
        /// The name asked.
        name: String,
        /// What the system said.
        detail: String,
    },
}

/// The response code of a DNS answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerCode(pub u16);

impl fmt::Display for ServerCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("FORMERR"),
            2 => f.write_str("SERVFAIL"),
            4 => f.write_str("NOTIMP"),
            5 => f.write_str("REFUSED"),
            code => write!(f, "error {code}"),
        }
    }
}

fn list(questions: &[Question]) -> String {
    questions.iter().map(Question::to_string).collect::<Vec<_>>().join(", ")
}

fn missing(domain_exists: &bool) -> &'static str {
    if *domain_exists {
        "the domain exists but names no server that has an address"
    } else {
        "there is no such domain"
    }
}

impl ResolveError {
    /// Whether trying again later may succeed without anybody changing a record or a setting.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Timeout { .. }
            | Self::ServerFailure { .. }
            | Self::BadAnswer { .. }
            | Self::NoServer { .. }
            | Self::Platform { .. } => true,
            Self::NoRecords { .. } | Self::ServiceOff { .. } | Self::InvalidName { .. } => false,
        }
    }

    /// What the user can do about it, in a sentence.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::NoRecords { domain_exists: false, .. } => "Check the spelling of the domain.",
            Self::NoRecords { .. } => {
                "Ask the domain's administrator for the server's name, and give it as address or proxy."
            }
            Self::Timeout { .. } | Self::NoServer { .. } | Self::Platform { .. } => {
                "Check the network connection and its DNS server."
            }
            Self::ServiceOff { .. } => {
                "Ask the domain's administrator whether SIP over TLS is offered elsewhere."
            }
            Self::InvalidName { .. } => "Check the spelling of the name.",
            Self::ServerFailure { .. } | Self::BadAnswer { .. } => {
                "Try again later, or ask another DNS server; the domain's own servers may be at fault."
            }
        }
    }

    /// Why a question was not answered.
    pub(super) fn of(failure: Failure, question: Question) -> Self {
        match failure {
            Failure::NoServer(detail) => Self::NoServer { detail: format!("{detail} (asked {question})") },
            Failure::BadAnswer(detail) => Self::BadAnswer { question, detail },
            Failure::Code(code) => Self::ServerFailure { question, code: ServerCode(code) },
        }
    }

    /// One error for the two address families, after both have failed: the one that says more about what to do.
    pub(super) fn merge(self, other: ResolveError) -> ResolveError {
        use ResolveError::{NoRecords, Timeout};
        match (self, other) {
            (NoRecords { mut asked, domain_exists: one }, NoRecords { asked: more, domain_exists: two }) => {
                asked.extend(more);
                NoRecords { asked, domain_exists: one || two }
            }
            (Timeout { mut asked }, Timeout { asked: more }) => {
                asked.extend(more);
                Timeout { asked }
            }
            // "No records" for one family says nothing while the other is unknown.
            (NoRecords { .. }, unknown) | (unknown, _) => unknown,
        }
    }

    /// Where an SRV record was found, the domain exists, even if the host that the record names does not.
    pub(super) fn domain_is_known(mut self, known: bool) -> ResolveError {
        if let Self::NoRecords { domain_exists, .. } = &mut self {
            *domain_exists |= known;
        }
        self
    }

    /// Puts what was asked before in front, where the error tells everything that was asked.
    pub(super) fn asked_before(mut self, before: &[Question]) -> ResolveError {
        if let Self::NoRecords { asked, .. } = &mut self {
            asked.splice(0..0, before.iter().cloned());
        }
        self
    }
}
