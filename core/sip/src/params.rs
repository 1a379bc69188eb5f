//! Header parameters (`generic-param` of RFC 3261 §25.1).

use crate::block::{BLOCK, Marks};
use crate::defect::{Fault, Problem};
use crate::lex::{Cursor, Quoted, class, is_token, is_wsp, quote_into, quoted_end, run, run_wsp};
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

/// Where one parameter stands in a text.
struct Place {
    name: (usize, usize),
    /// Without the quotes, if it has some.
    value: Option<(usize, usize)>,
    is_quoted: bool,
    end: usize,
}

/// Finds the parameter that begins at `start`, behind its semicolon and white space. White space is rare, and looked for where
/// what is usual is not there.
#[inline(always)] // both loops over parameters are this and little else
fn place(bytes: &[u8], mut start: usize) -> Result<Place, Fault> {
    let mut end = run(bytes, start, class::TOKEN);
    if end == start {
        start = run_wsp(bytes, start);
        end = run(bytes, start, class::TOKEN);
        if end == start {
            return Err(Fault::new(start, Problem::Parameter));
        }
    }
    let name = (start, end);
    let Some(equals) = spaced(bytes, end, b'=') else {
        return Ok(Place { name, value: None, is_quoted: false, end });
    };
    let start = equals + 1;
    let end = run(bytes, start, class::VALUE);
    if end == start {
        return quoted_or_spaced(bytes, name, start);
    }
    Ok(Place { name, value: Some((start, end)), is_quoted: false, end })
}

/// Where the first parameters end that are written as nearly all are: `;name` or `;name=token`, without white space. What
/// comes then may be parameters too.
#[inline(always)]
fn plain_end(bytes: &[u8], from: usize) -> usize {
    if bytes.get(from) != Some(&b';') || bytes.len() < BLOCK {
        return from;
    }
    let mut marks = Marks::new(bytes, from + 1);
    // Where the parameter begins, or its value once there is one.
    let (mut end, mut start) = (from, from + 1);
    loop {
        let (mut mark, mut byte) = marks.end_of(class::TOKEN);
        if byte == Some(b'=') && mark > start {
            start = mark + 1;
            (mark, byte) = marks.end_of(class::VALUE);
        } else if byte.is_some_and(|byte| byte != b';') {
            // A name may go on behind white space.
            return end;
        }
        if mark == start {
            return end;
        }
        end = mark;
        if byte != Some(b';') {
            return end;
        }
        start = mark + 1;
    }
}

/// Where the parameters end that go on at `end`, however they are written.
#[inline(never)]
fn any_end(bytes: &[u8], mut end: usize) -> Result<usize, Fault> {
    while let Some(start) = semicolon(bytes, end) {
        end = place(bytes, start)?.end;
    }
    Ok(end)
}

/// A parameter whose value, behind the `=`, does not begin at once with a token.
#[inline(never)]
fn quoted_or_spaced(bytes: &[u8], name: (usize, usize), start: usize) -> Result<Place, Fault> {
    let start = run_wsp(bytes, start);
    if bytes.get(start) == Some(&b'"') {
        let end = quoted_end(bytes, start).ok_or(Fault::new(start, Problem::QuotedString))?;
        return Ok(Place { name, value: Some((start + 1, end - 1)), is_quoted: true, end });
    }
    let end = run(bytes, start, class::VALUE);
    if end == start {
        return Err(Fault::new(start, Problem::Parameter));
    }
    Ok(Place { name, value: Some((start, end)), is_quoted: false, end })
}

/// Where `byte` stands, at `at` or behind the white space there; `None` if it does not come next.
#[inline]
fn spaced(bytes: &[u8], at: usize, byte: u8) -> Option<usize> {
    match bytes.get(at) {
        Some(next) if *next == byte => Some(at),
        Some(next) if is_wsp(*next) => {
            let at = run_wsp(bytes, at);
            (bytes.get(at) == Some(&byte)).then_some(at)
        }
        _ => None,
    }
}

/// Behind the `;` that comes next; `None` if none comes.
#[inline]
fn semicolon(bytes: &[u8], at: usize) -> Option<usize> {
    spaced(bytes, at, b';').map(|at| at + 1)
}

impl<'a> Params<'a> {
    /// No parameters.
    pub const fn none() -> Self {
        Params { text: Cow::Borrowed("") }
    }

    /// Reads `*( SEMI generic-param )`, as far as it goes.
    #[inline(always)] // many values have none, and nearly all others are plain
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Result<Self, Fault> {
        if cursor.is_end() {
            return Ok(Params::none());
        }
        let (text, from) = (cursor.text(), cursor.at());
        let bytes = text.as_bytes();
        let mut end = plain_end(bytes, from);
        if end < bytes.len() {
            end = any_end(bytes, end)?;
        }
        cursor.jump(end);
        Ok(Params { text: Cow::Borrowed(text.get(from..end).unwrap_or_default()) })
    }

    fn places(&self) -> impl Iterator<Item = Place> {
        let bytes = self.text.as_bytes();
        let mut end = 0;
        std::iter::from_fn(move || {
            let place = place(bytes, semicolon(bytes, end)?).ok()?;
            end = place.end;
            Some(place)
        })
    }

    fn at(&self, (start, end): (usize, usize)) -> &str {
        self.text.get(start..end).unwrap_or_default()
    }

    fn value_at(&self, place: &Place) -> Option<ParamValue<'_>> {
        place.value.map(|value| match place.is_quoted {
            true => ParamValue::Quoted(Quoted::of(self.at(value))),
            false => ParamValue::Token(self.at(value)),
        })
    }

    /// All parameters, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<ParamValue<'_>>)> {
        self.places().map(|place| (self.at(place.name), self.value_at(&place)))
    }

    /// The parameter of this name (in any case): `None` if it is absent, `Some(None)` if it has no value.
    pub fn get(&self, name: &str) -> Option<Option<ParamValue<'_>>> {
        let bytes = self.text.as_bytes();
        let mut end = 0;
        while let Some(start) = semicolon(bytes, end) {
            let place = place(bytes, start).ok()?;
            if self.at(place.name).eq_ignore_ascii_case(name) {
                return Some(self.value_at(&place));
            }
            end = place.end;
        }
        None
    }

    /// The value of the parameter of this name, without quotes.
    pub fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name)?.map(|value| value.text())
    }

    /// Whether a parameter of this name is there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All of it as it will be printed.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
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
            if !value.is_empty() && value.bytes().all(|b| class::is(b, class::VALUE)) {
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
    use proptest::prelude::*;

    proptest! {
        /// The quick way through the usual parameters ends where the careful one does.
        #[test]
        fn both_ways_of_reading_read_the_same(text in "(;[ab]{0,2}[ +:]{0,1}(=[ab:]{0,20}[ \"]{0,1}){0,1}){0,5}[>, ]{0,3}") {
            let mut cursor = Cursor::new(&text);
            let read = Params::read(&mut cursor).map(|_| cursor.at());
            prop_assert_eq!(read, any_end(text.as_bytes(), 0), "{:?}", text);
        }
    }

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
