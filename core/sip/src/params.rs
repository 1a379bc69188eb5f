//! Header parameters (`generic-param` of RFC 3261 §25.1).

use crate::defect::{Fault, Problem};
use crate::lex::{Cursor, Quoted, class, is_token, quote_into};
use std::borrow::Cow;
use std::fmt;

/// The parameters behind a header value, in their order. Read when asked for; the syntax was checked before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params<'a> {
    /// `;name=value…` as received; empty for none.
    text: Cow<'a, str>,
}

/// The value of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamValue<'a> {
    /// A token, host name or address.
    Token(&'a str),
    /// A quoted string.
    Quoted(Quoted<'a>),
}

impl<'a> ParamValue<'a> {
    /// What the value means, without quotes and escapes.
    pub fn text(&self) -> Cow<'a, str> {
        match self {
            ParamValue::Token(text) => Cow::Borrowed(text),
            ParamValue::Quoted(quoted) => quoted.text(),
        }
    }
}

/// What an unquoted value may hold: a token or a host, which may be a bracketed IPv6 address.
fn is_value_byte(byte: u8) -> bool {
    class::is(byte, class::TOKEN) || matches!(byte, b'[' | b']' | b':')
}

/// One `name[=value]`; `None` if it is none.
fn parameter<'a>(cursor: &mut Cursor<'a>) -> Result<(&'a str, Option<ParamValue<'a>>), Fault> {
    let name = cursor.token().ok_or(Fault::new(cursor.at(), Problem::Parameter))?;
    if !cursor.eat_spaced(b'=') {
        return Ok((name, None));
    }
    if cursor.peek() == Some(b'"') {
        let at = cursor.at();
        let quoted = cursor.quoted().ok_or(Fault::new(at, Problem::QuotedString))?;
        return Ok((name, Some(ParamValue::Quoted(quoted))));
    }
    let value = cursor.take_while(is_value_byte);
    if value.is_empty() {
        return Err(Fault::new(cursor.at(), Problem::Parameter));
    }
    Ok((name, Some(ParamValue::Token(value))))
}

impl<'a> Params<'a> {
    /// No parameters.
    pub const fn none() -> Self {
        Params { text: Cow::Borrowed("") }
    }

    /// Reads `*( SEMI generic-param )`, as far as it goes.
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Result<Self, Fault> {
        let rest = cursor.rest();
        let from = cursor.at();
        let mut end = from;
        while cursor.eat_spaced(b';') {
            parameter(cursor)?;
            end = cursor.at();
        }
        Ok(Params { text: Cow::Borrowed(rest.get(..end - from).unwrap_or_default()) })
    }

    /// All parameters, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<ParamValue<'_>>)> {
        let mut cursor = Cursor::new(&self.text);
        std::iter::from_fn(move || {
            cursor.eat_spaced(b';');
            parameter(&mut cursor).ok()
        })
    }

    /// The parameter of this name (in any case): `None` if it is absent, `Some(None)` if it has no value.
    pub fn get(&self, name: &str) -> Option<Option<ParamValue<'_>>> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The value of the parameter of this name, without quotes.
    pub fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name)?.map(|value| value.text())
    }

    /// Whether a parameter of this name is there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Adds `;name` or `;name=value`; the value is written as a token where it is one, else quoted.
    ///
    /// # Errors
    /// [`Problem::Parameter`] if the name is not a token or the value holds a control character.
    pub fn with(mut self, name: &str, value: Option<&str>) -> Result<Self, Fault> {
        let bad = |text: &str| text.bytes().any(|b| b < 0x20 || b == 0x7f);
        if !is_token(name) || value.is_some_and(bad) {
            return Err(Fault::new(self.text.len(), Problem::Parameter));
        }
        let text = self.text.to_mut();
        text.push(';');
        text.push_str(name);
        if let Some(value) = value {
            text.push('=');
            if !value.is_empty() && value.bytes().all(is_value_byte) {
                text.push_str(value);
            } else {
                quote_into(text, value);
            }
        }
        Ok(self)
    }

    /// The same parameters, owning their text.
    pub fn into_owned(self) -> Params<'static> {
        Params { text: Cow::Owned(self.text.into_owned()) }
    }
}

impl fmt::Display for Params<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_keep_their_order_quotes_and_spaces() {
        let text = ";tag=a ; expires = \"36\\\"00\";lr;x=[::1] tail";
        let mut cursor = Cursor::new(text);
        let params = Params::read(&mut cursor).unwrap();
        assert_eq!(cursor.rest(), " tail");
        assert_eq!(params.value("TAG").unwrap(), "a");
        assert_eq!(params.value("expires").unwrap(), "36\"00");
        assert_eq!(params.get("lr"), Some(None));
        assert_eq!(params.value("x").unwrap(), "[::1]");
        assert!(!params.has("y"));
        assert_eq!(params.iter().count(), 4);
    }

    #[test]
    fn what_the_app_adds_cannot_leave_its_parameter_wire_08() {
        let params = Params::none().with("a", Some("b\"c;d")).unwrap();
        assert_eq!(params.to_string(), ";a=\"b\\\"c;d\"");
        assert!(Params::none().with("a", Some("b\r\nX: y")).is_err());
        assert!(Params::none().with("a;b", None).is_err());
    }

    #[test]
    fn defects_are_found_where_they_are() {
        for (text, at) in [(";", 1), (";a=", 3), (";a=\"b", 3), (";;a", 1)] {
            assert_eq!(Params::read(&mut Cursor::new(text)).unwrap_err().at, at, "{text}");
        }
    }
}
