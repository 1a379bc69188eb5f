//! Typed header values. Each is read when it is asked for, borrows from the message, and prints what it means.
//!
//! A type says which header it stands for and whether the header is a comma-separated list; [`crate::Message::get`] and
//! [`crate::Message::all`] do the rest.

mod addresses;
pub(crate) mod calendar;
mod event;
mod media;
mod names;
mod numbers;
mod via;

pub use addresses::{
    Contact, From, PAssertedIdentity, Path, RecordRoute, ReferTo, ReplyTo, Route, ServiceRoute, StarOr, To,
};
pub use event::{
    AcceptEncoding, AcceptLanguage, Event, FeatureCaps, Reason, SessionId, SubscriptionState, Warning,
};
pub use media::{Accept, ContentDisposition, ContentEncoding, ContentType, MediaType};
pub use names::{
    Allow, AllowEvents, CSeq, CallId, ContentLanguage, OptionTag, Organization, ProxyRequire, Require,
    Server, Subject, Supported, Unsupported, UserAgent,
};
pub use numbers::{ContentLength, Date, Expires, FlowTimer, MaxForwards, MinExpires, RetryAfter, Timestamp};
pub use via::{SentBy, Via};

use crate::Header;
use crate::defect::{Fault, Problem};
use crate::lex::Cursor;

/// A typed header value.
pub trait FieldValue<'a>: Sized {
    /// The header.
    const HEADER: Header;
    /// Whether one line may hold several values, separated by commas.
    const LIST: bool = false;
    /// Whether a line may hold no value at all (`Supported:` may, RFC 3261 §25.1).
    const MAY_BE_EMPTY: bool = false;

    /// Reads one value from where `at` stands.
    #[doc(hidden)]
    fn read(at: &mut At<'a>) -> Result<Self, Fault>;

    /// Reads a value that is all of `text`. What comes from a message is read by [`crate::Message::get`]; this is for text
    /// from elsewhere, and takes no CR, LF or NUL, not even the NUL that a quoted string may hold behind a backslash.
    ///
    /// # Errors
    /// A [`Fault`] with the byte that is wrong.
    fn parse(text: &'a str) -> Result<Self, Fault> {
        if let Some(at) = memchr::memchr3(b'\r', b'\n', b'\0', text.as_bytes()) {
            return Err(Fault::new(at, Problem::ControlByte));
        }
        let mut at = At(Cursor::new(text));
        at.0.skip_wsp();
        let value = Self::read(&mut at)?;
        at.0.skip_wsp();
        if at.0.is_end() { Ok(value) } else { Err(Fault::new(at.0.at(), Problem::Trailing)) }
    }
}

/// Where the reading of a header value stands.
#[derive(Clone, Copy, Debug)]
pub struct At<'a>(pub(crate) Cursor<'a>);

/// The values of one header line.
#[derive(Clone, Debug)]
pub struct Values<'a, V> {
    at: At<'a>,
    state: State,
    value: std::marker::PhantomData<V>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    First,
    Next,
    Ended,
}

impl<'a, V: FieldValue<'a>> Values<'a, V> {
    pub(crate) fn new(text: &'a str) -> Self {
        Values { at: At(Cursor::new(text)), state: State::First, value: std::marker::PhantomData }
    }
}

impl<'a, V: FieldValue<'a>> Iterator for Values<'a, V> {
    type Item = Result<V, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Ended {
            return None;
        }
        self.at.0.skip_wsp();
        if self.state == State::First && V::MAY_BE_EMPTY && self.at.0.is_end() {
            self.state = State::Ended;
            return None;
        }
        let value = V::read(&mut self.at);
        self.at.0.skip_wsp();
        self.state = match &value {
            Ok(_) if V::LIST && self.at.0.eat(b',') => State::Next,
            Ok(_) if !self.at.0.is_end() => {
                self.state = State::Ended;
                return Some(Err(Fault::new(self.at.0.at(), Problem::Trailing)));
            }
            _ => State::Ended,
        };
        Some(value)
    }
}
