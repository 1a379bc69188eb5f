//! Event, Subscription-State, and headers that explain.

use super::{At, FieldValue};
use crate::defect::{Fault, Problem};
use crate::lex::{Quoted, class};
use crate::{Header, Params};
use std::fmt;

macro_rules! token_and_params {
    ($($(#[$doc:meta])* $name:ident, list: $list:literal, empty: $empty:literal);* $(;)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name<'a> {
            /// The value before the parameters.
            pub value: &'a str,
            /// Parameters.
            pub params: Params<'a>,
        }

        impl<'a> FieldValue<'a> for $name<'a> {
            const HEADER: Header = Header::$name;
            const LIST: bool = $list;
            const MAY_BE_EMPTY: bool = $empty;

            fn read(At(cursor): &mut At<'a>) -> Result<Self, Fault> {
                let at = cursor.at();
                let value = cursor.token().ok_or(Fault::new(at, Problem::Token))?;
                Ok($name { value, params: Params::read(cursor)? })
            }
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", self.value, self.params)
            }
        }
    )*};
}

token_and_params! {
    /// `Event` (RFC 6665 §8.2.1): package with `id`.
    Event, list: false, empty: false;
    /// `Subscription-State` (RFC 6665 §8.2.3): `active`, `pending`, `terminated` with `reason`, `expires`, `retry-after`.
    SubscriptionState, list: false, empty: false;
    /// One value of `Reason` (RFC 3326): protocol with `cause` and `text`.
    Reason, list: true, empty: false;
    /// One coding of `Accept-Encoding` (RFC 3261 §20.2), with `q`; `*` stands for any.
    AcceptEncoding, list: true, empty: true;
    /// One language range of `Accept-Language` (RFC 3261 §20.3), with `q`; `*` stands for any.
    AcceptLanguage, list: true, empty: true;
}

/// One feature set of `Feature-Caps` (RFC 6809 §6.1): `*;+sip.pns="apns"…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureCaps<'a> {
    /// The capabilities, names with their `+`.
    pub params: Params<'a>,
}

impl<'a> FieldValue<'a> for FeatureCaps<'a> {
    const HEADER: Header = Header::FeatureCaps;
    const LIST: bool = true;

    fn read(At(cursor): &mut At<'a>) -> Result<Self, Fault> {
        if !cursor.eat(b'*') {
            return Err(Fault::new(cursor.at(), Problem::Malformed));
        }
        Ok(FeatureCaps { params: Params::read(cursor)? })
    }
}

impl fmt::Display for FeatureCaps<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "*{}", self.params)
    }
}

/// `Session-ID` (RFC 7989 §5): 32 lower-case hexadecimal digits, with the `remote` one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionId<'a> {
    /// The sender's identifier.
    pub local: &'a str,
    /// `remote` and others.
    pub params: Params<'a>,
}

impl<'a> FieldValue<'a> for SessionId<'a> {
    const HEADER: Header = Header::SessionId;

    fn read(At(cursor): &mut At<'a>) -> Result<Self, Fault> {
        let at = cursor.at();
        let local = cursor.take_while(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if local.len() != 32 {
            return Err(Fault::new(at, Problem::Malformed));
        }
        Ok(SessionId { local, params: Params::read(cursor)? })
    }
}

impl fmt::Display for SessionId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.local, self.params)
    }
}

/// One value of `Warning` (RFC 3261 §20.43).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning<'a> {
    /// Three digits.
    pub code: u16,
    /// Who warns: host and port, or a pseudonym.
    pub agent: &'a str,
    /// The text.
    pub text: Quoted<'a>,
}

impl<'a> FieldValue<'a> for Warning<'a> {
    const HEADER: Header = Header::Warning;
    const LIST: bool = true;

    fn read(At(cursor): &mut At<'a>) -> Result<Self, Fault> {
        let at = cursor.at();
        let digits = cursor.take_class(class::DIGIT);
        let code =
            digits.parse().ok().filter(|_| digits.len() == 3).ok_or(Fault::new(at, Problem::Number))?;
        cursor.skip_wsp();
        let at = cursor.at();
        let agent = cursor.take_while(|b| class::is(b, class::TOKEN) || matches!(b, b':' | b'[' | b']'));
        if agent.is_empty() {
            return Err(Fault::new(at, Problem::Token));
        }
        cursor.skip_wsp();
        let at = cursor.at();
        let text = cursor.quoted().ok_or(Fault::new(at, Problem::QuotedString))?;
        Ok(Warning { code, agent, text })
    }
}

impl fmt::Display for Warning<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03} {} \"{}\"", self.code, self.agent, self.text.raw())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_print_as_they_were_read() {
        fn check<'a, V: FieldValue<'a> + fmt::Display + PartialEq + fmt::Debug>(text: &'a str) {
            assert_eq!(V::parse(text).unwrap().to_string(), text);
        }
        check::<Event<'_>>("message-summary;id=1");
        check::<SubscriptionState<'_>>("terminated;reason=noresource;retry-after=5");
        check::<Reason<'_>>("SIP;cause=600;text=\"Busy, everywhere\"");
        check::<FeatureCaps<'_>>("*;+sip.pns=\"apns\";+sip.pnsreg=\"121\"");
        check::<AcceptEncoding<'_>>("*;q=0.5");
        check::<AcceptLanguage<'_>>("en-gb;q=0.8");
        check::<SessionId<'_>>("ab30317f1a784dc48ff824d0d3715d86;remote=00000000000000000000000000000000");
        check::<Warning<'_>>("307 isi.edu:5060 \"Session parameter 'foo' not \\\"understood\\\"\"");
    }

    #[test]
    fn defects_are_refused() {
        assert!(SessionId::parse("AB30317f1a784dc48ff824d0d3715d86").is_err());
        assert!(Warning::parse("30 a \"b\"").is_err());
        assert!(Warning::parse("307 a b").is_err());
        assert!(Event::parse("").is_err());
    }
}
