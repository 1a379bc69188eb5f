//! Media types and what else is said of a body.

use super::{At, FieldValue};
use crate::defect::{Fault, Problem};
use crate::lex::Cursor;
use crate::{Header, Params};
use std::fmt;
use std::ops::Deref;

/// `type/subtype;parameters`, compared without case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaType<'a> {
    /// `text`, `message`, …
    pub kind: &'a str,
    /// `plain`, `cpim`, …
    pub subtype: &'a str,
    /// `charset`, `boundary`, `q`, …
    pub params: Params<'a>,
}

impl<'a> MediaType<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Fault> {
        let token = |cursor: &mut Cursor<'a>| {
            let at = cursor.at();
            cursor.token().ok_or(Fault::new(at, Problem::Token))
        };
        let kind = token(cursor)?;
        if !cursor.eat_spaced(b'/') {
            return Err(Fault::new(cursor.at(), Problem::Malformed));
        }
        let subtype = token(cursor)?;
        let params = Params::read(cursor)?;
        Ok(MediaType { kind, subtype, params })
    }

    /// Whether this is `kind/subtype`, in any case, whatever the parameters.
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind) && self.subtype.eq_ignore_ascii_case(subtype)
    }
}

impl fmt::Display for MediaType<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.kind, self.subtype, self.params)
    }
}

macro_rules! media_header {
    ($($(#[$doc:meta])* $name:ident, list: $list:literal, empty: $empty:literal);* $(;)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name<'a>(pub MediaType<'a>);

        impl<'a> FieldValue<'a> for $name<'a> {
            const HEADER: Header = Header::$name;
            const LIST: bool = $list;
            const MAY_BE_EMPTY: bool = $empty;

            fn read(At(cursor): &mut At<'a>) -> Result<Self, Fault> {
                MediaType::read(cursor).map($name)
            }
        }

        impl<'a> Deref for $name<'a> {
            type Target = MediaType<'a>;
            fn deref(&self) -> &MediaType<'a> {
                &self.0
            }
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

media_header! {
    /// `Content-Type` (RFC 3261 §20.15).
    ContentType, list: false, empty: false;
    /// One range of `Accept` (RFC 3261 §20.1); `*` stands for any.
    Accept, list: true, empty: true;
}

/// `Content-Disposition` (RFC 3261 §20.11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentDisposition<'a> {
    /// `session`, `render`, `notification`, …
    pub kind: &'a str,
    /// `handling`, …
    pub params: Params<'a>,
}

impl ContentDisposition<'_> {
    /// Whether a body that is not understood must be refused: unless `handling=optional` (§20.11).
    pub fn is_required(&self) -> bool {
        !self.params.value("handling").is_some_and(|handling| handling.eq_ignore_ascii_case("optional"))
    }
}

impl<'a> FieldValue<'a> for ContentDisposition<'a> {
    const HEADER: Header = Header::ContentDisposition;

    fn read(At(cursor): &mut At<'a>) -> Result<Self, Fault> {
        let at = cursor.at();
        let kind = cursor.token().ok_or(Fault::new(at, Problem::Token))?;
        Ok(ContentDisposition { kind, params: Params::read(cursor)? })
    }
}

impl fmt::Display for ContentDisposition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.kind, self.params)
    }
}

/// One coding of `Content-Encoding` (RFC 3261 §20.12), the one applied first first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentEncoding<'a>(pub &'a str);

impl<'a> FieldValue<'a> for ContentEncoding<'a> {
    const HEADER: Header = Header::ContentEncoding;
    const LIST: bool = true;

    fn read(At(cursor): &mut At<'a>) -> Result<Self, Fault> {
        let at = cursor.at();
        cursor.token().map(ContentEncoding).ok_or(Fault::new(at, Problem::Token))
    }
}

impl fmt::Display for ContentEncoding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_compare_without_case() {
        let value = ContentType::parse("Text / Plain ; charset=\"utf-8\"").unwrap();
        assert!(value.is("text", "plain"));
        assert_eq!(value.params.value("charset").unwrap(), "utf-8");
        for text in ["", "text", "text/", "/plain", "text/plain x"] {
            assert!(ContentType::parse(text).is_err(), "{text}");
        }
    }
}
