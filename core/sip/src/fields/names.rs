//! CSeq, Call-ID, and lists of tokens.

use super::{At, FieldValue};
use crate::defect::{Fault, Problem};
use crate::lex::class;
use crate::{Header, Method};
use std::borrow::Cow;
use std::fmt;

/// `CSeq` (RFC 3261 §20.16).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// Who sends it keeps it below 2^31 (§8.1.1.5); who receives it takes all that fits into 32 bits (§20.16).
    pub number: u32,
    /// The method of the request.
    pub method: Method<'a>,
}

impl<'a> FieldValue<'a> for CSeq<'a> {
    const HEADER: Header = Header::CSeq;

    #[inline]
    fn read(At(cursor): &mut At<'a>) -> Result<Self, Fault> {
        let at = cursor.at();
        let number = cursor.number().ok_or(Fault::new(at, Problem::Number))?;
        let number = u32::try_from(number).map_err(|_| Fault::new(at, Problem::TooLarge))?;
        let gap = cursor.at();
        cursor.skip_wsp();
        if cursor.at() == gap {
            return Err(Fault::new(gap, Problem::Malformed));
        }
        let at = cursor.at();
        let method = cursor.token().and_then(Method::new).ok_or(Fault::new(at, Problem::Method))?;
        Ok(CSeq { number, method })
    }
}

impl fmt::Display for CSeq<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

/// `Call-ID` (RFC 3261 §20.8); compared with case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CallId<'a>(Cow<'a, str>);

impl CallId<'static> {
    /// An identifier of these bytes, which should be random (RFC 3261 §8.1.1.4), as hexadecimal digits.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        CallId(Cow::Owned(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }
}

impl CallId<'_> {
    /// The identifier.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same identifier, owning its text.
    pub fn into_owned(self) -> CallId<'static> {
        CallId(Cow::Owned(self.0.into_owned()))
    }
}

impl<'a> FieldValue<'a> for CallId<'a> {
    const HEADER: Header = Header::CallId;

    #[inline]
    fn read(At(cursor): &mut At<'a>) -> Result<Self, Fault> {
        let (at, rest) = (cursor.at(), cursor.rest());
        let first = cursor.take_class(class::WORD);
        let whole = !first.is_empty() && (!cursor.eat(b'@') || !cursor.take_class(class::WORD).is_empty());
        let text = rest.get(..cursor.at() - at).unwrap_or_default();
        if whole { Ok(CallId(text.into())) } else { Err(Fault::new(cursor.at(), Problem::Malformed)) }
    }
}

impl fmt::Display for CallId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! token_list {
    ($($(#[$doc:meta])* $name:ident, empty: $empty:literal);* $(;)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name<'a>(&'a str);

        impl<'a> $name<'a> {
            /// The token.
            pub fn as_str(&self) -> &'a str {
                self.0
            }
        }

        impl<'a> FieldValue<'a> for $name<'a> {
            const HEADER: Header = Header::$name;
            const LIST: bool = true;
            const MAY_BE_EMPTY: bool = $empty;

            fn read(At(cursor): &mut At<'a>) -> Result<Self, Fault> {
                let at = cursor.at();
                cursor.token().map($name).ok_or(Fault::new(at, Problem::Token))
            }
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0)
            }
        }
    )*};
}

token_list! {
    /// One method of `Allow` (RFC 3261 §20.5).
    Allow, empty: true;
    /// One option tag of `Supported` (RFC 3261 §20.37).
    Supported, empty: true;
    /// One option tag of `Require` (RFC 3261 §20.32).
    Require, empty: false;
    /// One option tag of `Proxy-Require` (RFC 3261 §20.29).
    ProxyRequire, empty: false;
    /// One option tag of `Unsupported` (RFC 3261 §20.40).
    Unsupported, empty: false;
    /// One event package of `Allow-Events` (RFC 6665 §8.2.2).
    AllowEvents, empty: false;
    /// One language tag of `Content-Language` (RFC 3261 §20.13).
    ContentLanguage, empty: false;
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident);* $(;)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name<'a>(&'a str);

        impl<'a> $name<'a> {
            /// The text.
            pub fn as_str(&self) -> &'a str {
                self.0
            }
        }

        impl<'a> FieldValue<'a> for $name<'a> {
            const HEADER: Header = Header::$name;

            fn read(At(cursor): &mut At<'a>) -> Result<Self, Fault> {
                let (at, text) = (cursor.at(), cursor.rest());
                // Control bytes stand nowhere but behind a backslash (§25.1), and those are no names of products.
                if let Some(bad) = text.bytes().position(|b| (b < 0x20 && b != b'\t') || b == 0x7f) {
                    return Err(Fault::new(at + bad, Problem::ControlByte));
                }
                cursor.advance(text.len());
                Ok($name(text.trim_end_matches([' ', '\t'])))
            }
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0)
            }
        }
    )*};
}

texts! {
    /// `User-Agent` (RFC 3261 §20.41): products and comments, for people and logs.
    UserAgent;
    /// `Server` (RFC 3261 §20.35).
    Server;
    /// `Subject` (RFC 3261 §20.36).
    Subject;
    /// `Organization` (RFC 3261 §20.25).
    Organization;
}

/// Option tags that this crate's users know.
pub struct OptionTag;

impl OptionTag {
    /// Client-initiated connections (RFC 5626).
    pub const OUTBOUND: &'static str = "outbound";
    /// Path (RFC 3327).
    pub const PATH: &'static str = "path";
    /// Globally routable user agent URIs (RFC 5627).
    pub const GRUU: &'static str = "gruu";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_number_has_32_bits() {
        assert_eq!(CSeq::parse("4294967295 REGISTER").unwrap().number, u32::MAX);
        for text in
            ["4294967296 REGISTER", "36893488147419103232 REGISTER", "-1 REGISTER", "1", "1REGISTER", "1 a b"]
        {
            assert!(CSeq::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_call_id_is_one_or_two_words() {
        assert_eq!(CallId::parse("a84b4c76e66710@pc33").unwrap().as_str(), "a84b4c76e66710@pc33");
        assert!(CallId::parse("{}<>[]()\\\"?:/").is_ok());
        for text in ["", "a b", "a@b@c", "a@", "@b", "a;b"] {
            assert!(CallId::parse(text).is_err(), "{text}");
        }
    }
}
