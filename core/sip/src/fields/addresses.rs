//! Headers that hold addresses: From, To, Contact, Route and their kin.

use super::{At, FieldValue};
use crate::defect::{Fault, Problem};
use crate::{Header, NameAddr};
use std::fmt;
use std::ops::Deref;

macro_rules! address_header {
    ($(#[$doc:meta])* $name:ident, list: $list:literal, brackets: $brackets:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name<'a>(pub NameAddr<'a>);

        impl<'a> FieldValue<'a> for $name<'a> {
            const HEADER: Header = Header::$name;
            const LIST: bool = $list;

            #[inline(always)]
            fn read(at: &mut At<'a>) -> Result<Self, Fault> {
                let (start, from) = (at.0.at(), at.0.rest());
                let address = NameAddr::read(&mut at.0)?;
                let length = at.0.at() - start;
                if $brackets && !from.get(..length).is_some_and(|text| text.contains('<')) {
                    return Err(Fault::new(start, Problem::AngleBracket));
                }
                Ok($name(address))
            }
        }

        impl<'a> Deref for $name<'a> {
            type Target = NameAddr<'a>;
            fn deref(&self) -> &NameAddr<'a> {
                &self.0
            }
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

address_header!(/// `From` (RFC 3261 §20.20).
    From, list: false, brackets: false);
address_header!(/// `To` (RFC 3261 §20.39).
    To, list: false, brackets: false);
address_header!(/// One value of `Route` (RFC 3261 §20.34).
    Route, list: true, brackets: true);
address_header!(/// One value of `Record-Route` (RFC 3261 §20.30).
    RecordRoute, list: true, brackets: true);
address_header!(/// One value of `Path` (RFC 3327 §4).
    Path, list: true, brackets: true);
address_header!(/// One value of `Service-Route` (RFC 3608 §5).
    ServiceRoute, list: true, brackets: true);
address_header!(/// One value of `P-Asserted-Identity` (RFC 3325 §9.1).
    PAssertedIdentity, list: true, brackets: false);
address_header!(/// `Reply-To` (RFC 3261 §20.31).
    ReplyTo, list: false, brackets: false);
address_header!(/// `Refer-To` (RFC 3515 §2.1).
    ReferTo, list: false, brackets: false);

/// One value of `Contact` (RFC 3261 §20.10): `*` or an address.
pub type Contact<'a> = StarOr<'a>;

/// `*` or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StarOr<'a> {
    /// `*`: all bindings, in a REGISTER that removes them.
    Star,
    /// An address.
    Address(NameAddr<'a>),
}

impl<'a> StarOr<'a> {
    /// The address; `None` for `*`.
    pub fn address(&self) -> Option<&NameAddr<'a>> {
        match self {
            StarOr::Star => None,
            StarOr::Address(address) => Some(address),
        }
    }

    /// The `expires` parameter in seconds, if it is there. A malformed one counts as 3600, one above 2^32-1 as that
    /// (RFC 3261 §10.2).
    pub fn expires(&self) -> Option<u32> {
        let text = self.address()?.params.value("expires")?;
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Some(3600);
        }
        Some(text.parse().unwrap_or(u32::MAX))
    }
}

impl<'a> FieldValue<'a> for StarOr<'a> {
    const HEADER: Header = Header::Contact;
    const LIST: bool = true;

    #[inline]
    fn read(at: &mut At<'a>) -> Result<Self, Fault> {
        let mut ahead = at.0;
        if ahead.eat(b'*') {
            ahead.skip_wsp();
            if ahead.is_end() || ahead.peek() == Some(b',') {
                at.0 = ahead;
                return Ok(StarOr::Star);
            }
        }
        NameAddr::read(&mut at.0).map(StarOr::Address)
    }
}

impl fmt::Display for StarOr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StarOr::Star => f.write_str("*"),
            StarOr::Address(address) => address.fmt(f),
        }
    }
}
