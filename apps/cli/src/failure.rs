//! How a command ends.

use std::fmt;
use std::process::ExitCode;

/// The exit status, as the contract numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what it was asked to.
    Done = 0,
    /// A judgement refuses: `inspect`, `trust`.
    Refused = 1,
    /// Wrong usage or unreadable input; nothing was sent.
    Usage = 2,
    /// The server is not trusted; it was told nothing.
    Untrusted = 3,
    /// The server refused the credentials.
    Credentials = 4,
    /// No trusted connection: DNS, TCP, or TLS before there was anything to judge.
    Unreachable = 5,
    /// The server answered with a refusal.
    Rejected = 6,
    /// Nobody knows whether the request did what it should.
    Unknown = 7,
    /// The outbox, the inbox or standard output cannot be written.
    Storage = 8,
    /// A bug.
    Internal = 70,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// A command that did not do what it was asked to: the status, and what to tell the person who typed it.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The status.
    pub exit: Exit,
    /// What happened, what was expected, what to do. Empty when it has been said already.
    pub advice: String,
}

impl Failure {
    /// A failure with this status and advice.
    pub fn new(exit: Exit, advice: impl fmt::Display) -> Self {
        Failure { exit, advice: advice.to_string() }
    }

    /// Wrong usage or unreadable input.
    pub fn usage(advice: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, advice)
    }

    /// A failure of which everything has been said.
    pub fn silent(exit: Exit) -> Self {
        Failure { exit, advice: String::new() }
    }
}

impl From<std::io::Error> for Failure {
    /// Of standard output: whoever read it may have left, which is no fault.
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Failure::silent(Exit::Done);
        }
        Failure::new(Exit::Storage, format_args!("Standard output cannot be written: {error}."))
    }
}

/// What a command comes to.
pub(crate) type Outcome = Result<Exit, Failure>;
