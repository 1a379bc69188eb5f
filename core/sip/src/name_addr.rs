//! Addresses with a display name: From, To, Contact, Route and their kin (RFC 3261 §20.10).

use crate::defect::{Fault, Problem};
use crate::lex::{Cursor, Quoted, class, is_wsp, quote_into, trim};
use crate::{Params, Uri};
use std::borrow::Cow;
use std::fmt;

/// `[display-name] <URI>;params`, or a bare URI with header parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// What stands before the URI, as received.
    display: Option<DisplayName<'a>>,
    /// The URI.
    pub uri: Uri<'a>,
    /// The header parameters, behind the URI.
    pub params: Params<'a>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum DisplayName<'a> {
    /// Tokens with white space between them.
    Tokens(&'a str),
    Quoted(Quoted<'a>),
    Owned(String),
}

impl<'a> NameAddr<'a> {
    /// An address without display name and parameters.
    pub fn new(uri: Uri<'a>) -> Self {
        NameAddr { display: None, uri, params: Params::none() }
    }

    /// The same address with this display name.
    ///
    /// # Errors
    /// [`Problem::ControlByte`] if the name holds a control character (it could start a line).
    pub fn with_display(mut self, name: &str) -> Result<Self, Fault> {
        if let Some(at) = name.find(char::is_control) {
            return Err(Fault::new(at, Problem::ControlByte));
        }
        self.display = (!name.is_empty()).then(|| DisplayName::Owned(name.into()));
        Ok(self)
    }

    /// The same address with these parameters.
    pub fn with_params(mut self, params: Params<'a>) -> Self {
        self.params = params;
        self
    }

    /// The display name, unquoted; `None` if there is none.
    pub fn display(&self) -> Option<Cow<'_, str>> {
        match self.display.as_ref()? {
            DisplayName::Tokens(text) => Some(Cow::Borrowed(text)),
            DisplayName::Quoted(quoted) => Some(quoted.text()),
            DisplayName::Owned(text) => Some(Cow::Borrowed(text)),
        }
    }

    /// The `tag` parameter.
    pub fn tag(&self) -> Option<Cow<'_, str>> {
        self.params.value("tag")
    }

    /// The same address, owning its text.
    pub fn into_owned(self) -> NameAddr<'static> {
        NameAddr {
            display: self.display().map(|name| DisplayName::Owned(name.into_owned())),
            uri: self.uri.into_owned(),
            params: self.params.into_owned(),
        }
    }

    /// Prints the address, past the formatter.
    pub(crate) fn append(&self, out: &mut String) {
        match &self.display {
            None => {}
            Some(DisplayName::Tokens(text)) => {
                out.push_str(text);
                out.push(' ');
            }
            Some(DisplayName::Quoted(quoted)) => {
                out.push('"');
                out.push_str(quoted.raw());
                out.push_str("\" ");
            }
            Some(DisplayName::Owned(text)) => {
                quote_into(out, text);
                out.push(' ');
            }
        }
        out.push('<');
        out.push_str(self.uri.as_str());
        out.push('>');
        out.push_str(self.params.as_str());
    }

    /// Reads one address; what follows it is left in the cursor.
    #[inline(never)] // what calls it is inlined down to here, and takes the value as it is
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Result<Self, Fault> {
        cursor.skip_wsp();
        let display = match cursor.peek() {
            Some(b'"') => {
                let at = cursor.at();
                let quoted = cursor.quoted().ok_or(Fault::new(at, Problem::QuotedString))?;
                cursor.skip_wsp();
                if cursor.peek() != Some(b'<') {
                    return Err(Fault::new(cursor.at(), Problem::AngleBracket));
                }
                Some(DisplayName::Quoted(quoted))
            }
            Some(b'<') => None,
            _ => {
                // A display name of tokens ends in `<`; a bare URI does not. Characters beyond ASCII are taken as
                // part of a name: servers send them unquoted.
                let mut ahead = *cursor;
                let name = ahead.take_while(|b| class::is(b, class::TOKEN) || is_wsp(b) || b >= 0x80);
                if ahead.peek() != Some(b'<') {
                    return Self::bare(cursor);
                }
                *cursor = ahead;
                Some(DisplayName::Tokens(trim(name)))
            }
        };
        cursor.eat(b'<');
        let at = cursor.at();
        let uri = Uri::read(cursor)?;
        if !cursor.eat(b'>') {
            let open = !cursor.rest().contains('>');
            let fault = if open {
                Fault::new(at, Problem::AngleBracket)
            } else {
                Fault::new(cursor.at(), Problem::Uri)
            };
            return Err(fault);
        }
        let params = Params::read(cursor)?;
        Ok(NameAddr { display, uri, params })
    }

    /// A URI without brackets: every `;` behind it begins a header parameter (§20.10), and it has no `?`.
    #[inline(never)]
    fn bare(cursor: &mut Cursor<'a>) -> Result<Self, Fault> {
        let at = cursor.at();
        let text = cursor.take_while(|b| !is_wsp(b) && !matches!(b, b';' | b',' | b'<' | b'>' | b'"'));
        if let Some(question) = text.find('?') {
            return Err(Fault::new(at + question, Problem::BareUri));
        }
        if text.is_empty() {
            return Err(Fault::new(at, Problem::Empty));
        }
        let uri = Uri::parse(text).map_err(|fault| Fault::new(at + fault.at, fault.problem))?;
        let params = Params::read(cursor)?;
        Ok(NameAddr { display: None, uri, params })
    }
}

impl fmt::Display for NameAddr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.append(&mut out);
        f.write_str(&out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<NameAddr<'_>, Fault> {
        let mut cursor = Cursor::new(text);
        let value = NameAddr::read(&mut cursor)?;
        cursor.skip_wsp();
        if cursor.is_end() { Ok(value) } else { Err(Fault::new(cursor.at(), Problem::Trailing)) }
    }

    #[test]
    fn all_forms_are_read() {
        for (text, display, uri, tag) in [
            (
                "\"A. G. \\\"Bell\" <sip:agb@bell.test> ;tag=a48s",
                Some("A. G. \"Bell"),
                "sip:agb@bell.test",
                Some("a48s"),
            ),
            (
                "sip:+12125551212@phone2net.test;tag=887s",
                None,
                "sip:+12125551212@phone2net.test",
                Some("887s"),
            ),
            (
                "Anonymous <sip:c8oqz84zk7z@privacy.test;x=y>",
                Some("Anonymous"),
                "sip:c8oqz84zk7z@privacy.test;x=y",
                None,
            ),
            ("The Operator<sip:op@a.test>", Some("The Operator"), "sip:op@a.test", None),
            ("<sip:a,b@c.test>", None, "sip:a,b@c.test", None),
            ("\"\"<sip:c.test>", Some(""), "sip:c.test", None),
            ("José <sip:j@c.test>", Some("José"), "sip:j@c.test", None),
        ] {
            let value = read(text).unwrap();
            assert_eq!((value.display().as_deref(), value.uri.as_str()), (display, uri), "{text}");
            assert_eq!(value.tag().as_deref(), tag, "{text}");
            let printed = value.to_string();
            assert_eq!(read(&printed).unwrap(), value, "{printed}");
        }
    }

    #[test]
    fn defects_are_refused() {
        for text in [
            "",
            "<sip:a@b",
            "sip:a@b>",
            "\"a\" sip:a@b",
            "\"a <sip:a@b>",
            "a, b <sip:a@b>",
            "sip:a@b?x=y",
            "< sip:a@b>",
            "<sip:a@b> x",
            "<sip:a@b>;",
            "a(b) <sip:a@b>",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_display_name_from_the_app_cannot_start_a_line_wire_08() {
        let address = NameAddr::new(Uri::parse("sip:a@b.test").unwrap());
        assert!(address.clone().with_display("a\r\nX: y").is_err());
        let quoted = address.with_display("a \"b\" \\").unwrap().to_string();
        assert_eq!(quoted, "\"a \\\"b\\\" \\\\\" <sip:a@b.test>");
        assert_eq!(read(&quoted).unwrap().display().unwrap(), "a \"b\" \\");
    }
}
