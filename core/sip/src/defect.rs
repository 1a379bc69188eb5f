//! What is wrong with a message, and where.

use crate::Header;
use std::fmt;

/// A defect of a received message: what, in which part, at which byte.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem} (byte {offset})")]
pub struct Defect {
    /// The part of the message.
    pub place: Place,
    /// Offset from the message's first byte, in bytes as received.
    pub offset: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The request line or status line.
    StartLine,
    /// A header field, by its name as received.
    Field(String),
    /// The head as a whole.
    Head,
    /// The body.
    Body,
}

impl Place {
    pub(crate) fn header(header: Header) -> Self {
        Place::Field(header.name().into())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::StartLine => f.write_str("start line"),
            Place::Field(name) => write!(f, "{} header", printable(name)),
            Place::Head => f.write_str("message head"),
            Place::Body => f.write_str("body"),
        }
    }
}

/// A name from the network, safe to print.
fn printable(name: &str) -> String {
    name.chars().take(64).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// What can be wrong.
///
/// It is as wide as a word, so that a value that shares its place in a result is moved in words and not in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(usize)]
pub enum Problem {
    /// No CR LF CR LF ends the head.
    Unterminated,
    /// A CR or LF stands alone.
    BareLineEnd,
    /// A control byte stands where RFC 3261 §25.1 allows none.
    ControlByte,
    /// The bytes are not UTF-8.
    NotUtf8,
    /// A header line has no colon or no token as its name.
    NotAHeader,
    /// The start line is neither a request line nor a status line.
    NotAStartLine,
    /// The protocol version is not SIP/2.0.
    Version,
    /// The method is not a token.
    Method,
    /// The status code is not from 100 to 699.
    StatusCode,
    /// Not a URI.
    Uri,
    /// A Request-URI must not have headers.
    UriHeaders,
    /// A `%` is not followed by two hexadecimal digits.
    Escape,
    /// Not a host name, IPv4 address or bracketed IPv6 address.
    Host,
    /// Not a port from 0 to 65535.
    Port,
    /// Not a display name.
    DisplayName,
    /// A `<` without its `>`, or the other way round.
    AngleBracket,
    /// A URI with `?`, `,` or `;` must stand in angle brackets.
    BareUri,
    /// A quoted string has no end or holds what it must not.
    QuotedString,
    /// Not a parameter.
    Parameter,
    /// A parameter that may come once comes again.
    RepeatedParameter,
    /// Not a token.
    Token,
    /// Not a number.
    Number,
    /// A number larger than the header allows.
    TooLarge,
    /// The value is empty.
    Empty,
    /// Something follows the value.
    Trailing,
    /// Not a date of RFC 1123 form in GMT.
    Date,
    /// A mandatory header is missing.
    Missing,
    /// A header or value that may come once comes again.
    Repeated,
    /// CSeq names another method than the request line.
    MethodMismatch,
    /// A `*` stands where only a REGISTER with `Expires: 0` may have it.
    Star,
    /// The body is shorter than Content-Length.
    Truncated,
    /// Content-Length is missing on a stream.
    NoContentLength,
    /// Content-Length values that differ, or one that cannot be read.
    ContentLength,
    /// Over a limit of ours.
    Limit,
    /// Not of the form that the header asks for.
    Malformed,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Problem::Unterminated => "the empty line that ends the head is missing",
            Problem::BareLineEnd => "a CR or LF stands alone",
            Problem::ControlByte => "a control byte stands here",
            Problem::NotUtf8 => "the bytes are not UTF-8",
            Problem::NotAHeader => "the line is not a header",
            Problem::NotAStartLine => "neither a request line nor a status line",
            Problem::Version => "the version is not SIP/2.0",
            Problem::Method => "the method is not a token",
            Problem::StatusCode => "the status code is not from 100 to 699",
            Problem::Uri => "not a URI",
            Problem::UriHeaders => "a Request-URI must not have headers",
            Problem::Escape => "a % is not followed by two hexadecimal digits",
            Problem::Host => "not a host name or address",
            Problem::Port => "not a port from 0 to 65535",
            Problem::DisplayName => "not a display name",
            Problem::AngleBracket => "an angle bracket has no partner",
            Problem::BareUri => "a URI with ? or , must stand in angle brackets",
            Problem::QuotedString => "not a quoted string",
            Problem::Parameter => "not a parameter",
            Problem::RepeatedParameter => "the parameter is repeated",
            Problem::Token => "not a token",
            Problem::Number => "not a number",
            Problem::TooLarge => "the number is too large",
            Problem::Empty => "the value is empty",
            Problem::Trailing => "something follows the value",
            Problem::Date => "not a date in GMT",
            Problem::Missing => "the header is missing",
            Problem::Repeated => "it may come only once",
            Problem::MethodMismatch => "the method is not that of the request line",
            Problem::Star => "* may only unregister",
            Problem::Truncated => "shorter than Content-Length says",
            Problem::NoContentLength => "a message on a stream needs it",
            Problem::ContentLength => "not one number",
            Problem::Limit => "larger than the limit",
            Problem::Malformed => "not of the right form",
        })
    }
}

/// A problem at a byte of a header's value; [`Defect`] once header and place are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Offset in the value.
    pub at: usize,
    /// What is wrong there.
    pub problem: Problem,
}

impl Fault {
    pub(crate) fn new(at: usize, problem: Problem) -> Self {
        Fault { at, problem }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (byte {})", self.problem, self.at)
    }
}

impl std::error::Error for Fault {}
