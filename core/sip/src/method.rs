//! Request methods.

use crate::lex::is_token;
use std::borrow::Cow;
use std::fmt;

macro_rules! methods {
    ($($variant:ident $name:literal),* $(,)?) => {
        /// A request method (RFC 3261 §7.1): compared with case, open to unknown ones.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Method<'a> {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
            /// A method that this crate does not name; a token.
            Other(Extension<'a>),
        }

        impl<'a> Method<'a> {
            /// Reads a method; `None` if the text is not a token.
            pub fn new(text: impl Into<Cow<'a, str>>) -> Option<Self> {
                let text = text.into();
                match text.as_ref() {
                    $($name => Some(Method::$variant),)*
                    other if is_token(other) => Some(Method::Other(Extension(text))),
                    _ => None,
                }
            }

            /// The method as it stands on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Method::$variant => $name,)*
                    Method::Other(Extension(text)) => text,
                }
            }

            /// The same method, owning its text.
            pub fn into_owned(self) -> Method<'static> {
                match self {
                    $(Method::$variant => Method::$variant,)*
                    Method::Other(Extension(text)) => Method::Other(Extension(Cow::Owned(text.into_owned()))),
                }
            }
        }
    };
}

methods! {
    Ack "ACK", Bye "BYE", Cancel "CANCEL", Info "INFO", Invite "INVITE", Message "MESSAGE", Notify "NOTIFY",
    Options "OPTIONS", Prack "PRACK", Publish "PUBLISH", Refer "REFER", Register "REGISTER", Subscribe "SUBSCRIBE",
    Update "UPDATE",
}

/// The name of a method outside the known ones; only [`Method::new`] makes it, so that it is a token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Extension<'a>(Cow<'a, str>);

impl fmt::Display for Method<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
