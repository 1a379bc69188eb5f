//! Messages into bytes.

use crate::defect::{Fault, Problem};
use crate::fields::{
    CSeq, CallId, Contact, Date, Expires, From, MaxForwards, MediaType, MinExpires, PAssertedIdentity, Path,
    RecordRoute, Route, ServiceRoute, To, Via,
};
use crate::lex::is_token;
use crate::{Field, Header, Message, Method, NameAddr, StatusCode, Uri};
use bytes::Bytes;
use std::borrow::Cow;
use std::fmt::{self, Write};
use std::net::IpAddr;

/// Where a control byte other than a tab stands.
fn control_byte(text: &str) -> Option<usize> {
    text.bytes().position(|b| (b < 0x20 && b != b'\t') || b == 0x7f)
}

/// Whether the text can stand as a header value without leaving its line.
#[cfg(feature = "rsip")]
pub(crate) fn is_line(text: &str) -> bool {
    control_byte(text).is_none()
}

/// A header value that cannot leave its line: text without control characters.
///
/// ```
/// use aldis_sip::FieldText;
/// assert!(FieldText::new("Aldis/0.1").is_ok());
/// assert!(FieldText::new("x\r\nRoute: <sip:evil.test>").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldText<'a>(Cow<'a, str>);

impl<'a> FieldText<'a> {
    /// Takes a text as a header value.
    ///
    /// # Errors
    /// [`Problem::ControlByte`] if it holds CR, LF, NUL or another control character but a tab.
    pub fn new(text: impl Into<Cow<'a, str>>) -> Result<Self, Fault> {
        let text = text.into();
        match control_byte(&text) {
            Some(at) => Err(Fault::new(at, Problem::ControlByte)),
            None => Ok(FieldText(text)),
        }
    }

    /// Bytes as hexadecimal digits, as random tags and identifiers are written.
    pub fn hex(bytes: &[u8]) -> FieldText<'static> {
        FieldText(Cow::Owned(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FieldText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What may stand as a header value: types that are right by construction. Sealed.
pub trait Value: fmt::Display + sealed::Sealed {}

mod sealed {
    pub trait Sealed {
        /// Prints the value as `Display` does, past the formatter.
        fn append(&self, out: &mut String);
    }
}

macro_rules! values {
    ($(|$value:ident: $name:ty, $out:ident| $append:expr;)*) => {$(
        impl sealed::Sealed for $name {
            fn append(&self, $out: &mut String) {
                let $value = self;
                $append
            }
        }
        impl Value for $name {}
    )*};
}

values! {
    |value: FieldText<'_>, out| out.push_str(&value.0);
    |value: Uri<'_>, out| out.push_str(value.as_str());
    |value: NameAddr<'_>, out| value.append(out);
    |value: Via<'_>, out| value.append(out);
    |value: CSeq<'_>, out| {
        push_number(out, value.number.into());
        out.push(' ');
        out.push_str(value.method.as_str());
    };
    |value: CallId<'_>, out| out.push_str(value.as_str());
    |value: From<'_>, out| value.0.append(out);
    |value: To<'_>, out| value.0.append(out);
    |value: Contact<'_>, out| match value {
        Contact::Star => out.push('*'),
        Contact::Address(address) => address.append(out),
    };
    |value: Route<'_>, out| value.0.append(out);
    |value: RecordRoute<'_>, out| value.0.append(out);
    |value: Path<'_>, out| value.0.append(out);
    |value: ServiceRoute<'_>, out| value.0.append(out);
    |value: PAssertedIdentity<'_>, out| value.0.append(out);
    |value: MediaType<'_>, out| push_display(out, value);
    |value: Date, out| push_display(out, value);
    |value: Expires, out| push_number(out, value.0.into());
    |value: MinExpires, out| push_number(out, value.0.into());
    |value: MaxForwards, out| push_number(out, value.0.into());
    |value: u32, out| push_number(out, (*value).into());
}

fn push_display(out: &mut String, value: &impl fmt::Display) {
    // Writing to a String does not fail.
    let _ = write!(out, "{value}");
}

/// Prints a number in decimal.
pub(crate) fn push_number(out: &mut String, number: u64) {
    let mut unit = 1;
    while number / unit >= 10 {
        unit *= 10;
    }
    while unit > 0 {
        // One digit, which fits.
        out.push(char::from(b'0' + (number / unit % 10) as u8));
        unit /= 10;
    }
}

/// Writes one message, line by line.
///
/// ```
/// use aldis_sip::{Header, Method, Uri, Writer, fields::CSeq};
/// let uri = Uri::parse("sip:example.test").unwrap();
/// let bytes = Writer::request(&Method::Options, &uri)
///     .field(Header::CSeq, &CSeq { number: 1, method: Method::Options })
///     .finish(b"");
/// assert_eq!(&bytes[..], b"OPTIONS sip:example.test SIP/2.0\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n");
/// ```
#[derive(Clone, Debug)]
pub struct Writer {
    out: String,
}

/// Room for a usual head, in bytes.
const USUAL_HEAD: usize = 1024;

impl Writer {
    fn start() -> Self {
        Writer { out: String::with_capacity(USUAL_HEAD) }
    }

    /// Begins a request.
    pub fn request(method: &Method<'_>, uri: &Uri<'_>) -> Self {
        let mut writer = Self::start();
        for part in [method.as_str(), " ", uri.as_str(), " SIP/2.0\r\n"] {
            writer.out.push_str(part);
        }
        writer
    }

    /// Begins a response with the usual reason phrase.
    pub fn response(status: StatusCode) -> Self {
        let mut writer = Self::start();
        writer.out.push_str("SIP/2.0 ");
        push_number(&mut writer.out, status.code().into());
        for part in [" ", status.reason(), "\r\n"] {
            writer.out.push_str(part);
        }
        writer
    }

    /// Begins the response to a request: Via lines in their order, From, To, Call-ID and CSeq are copied (RFC 3261
    /// §8.2.6.2), To gets `to_tag` if it has none, the topmost Via gets `received` and `rport` for a request that came
    /// from `peer` (§18.2.1, RFC 3581 §4).
    pub fn response_to(
        request: &Message,
        status: StatusCode,
        to_tag: &FieldText<'_>,
        peer: Option<(IpAddr, u16)>,
    ) -> Self {
        let mut writer = Self::response(status);
        let mut top = request.via().ok().zip(peer).and_then(|(via, peer)| with_received(via, peer));
        for field in request.fields() {
            match field.header {
                Header::Via => match top.take() {
                    Some(via) => {
                        let first = via.to_string();
                        let rest = after_first_via(field.value);
                        writer.push(Header::Via, &first);
                        if !rest.is_empty() {
                            writer.push(Header::Via, &one_line(rest.as_bytes()));
                        }
                    }
                    None => writer.copy_field(&field),
                },
                Header::From | Header::CallId | Header::CSeq => writer.copy_field(&field),
                Header::To => {
                    writer.copy_field(&field);
                    if request.to().is_ok_and(|to| to.tag().is_none()) && status != StatusCode::TRYING {
                        writer.out.truncate(writer.out.len() - 2);
                        let _ = write!(writer.out, ";tag={to_tag}\r\n");
                    }
                }
                _ => {}
            }
        }
        writer
    }

    fn push(&mut self, header: Header, value: &str) {
        for part in [header.name(), ": ", value, "\r\n"] {
            self.out.push_str(part);
        }
    }

    fn copy_field(&mut self, field: &Field<'_>) {
        let name = if field.header == Header::Other { field.name } else { field.header.name() };
        for part in [name, ": ", one_line(field.value).as_ref(), "\r\n"] {
            self.out.push_str(part);
        }
    }

    /// Adds a header line.
    pub fn field(mut self, header: Header, value: &impl Value) -> Self {
        self.out.push_str(header.name());
        self.out.push_str(": ");
        value.append(&mut self.out);
        self.out.push_str("\r\n");
        self
    }

    /// Adds a header line with a name that this crate does not know.
    ///
    /// # Errors
    /// [`Problem::Token`] if the name is not a token.
    pub fn extension(mut self, name: &str, value: &FieldText<'_>) -> Result<Self, Fault> {
        if !is_token(name) {
            return Err(Fault::new(0, Problem::Token));
        }
        let _ = write!(self.out, "{name}: {value}\r\n");
        Ok(self)
    }

    /// Adds a header line with fixed text.
    pub fn literal(mut self, header: Header, value: &'static str) -> Self {
        self.push(header, value);
        self
    }

    /// Copies all lines of a header from a message that was received.
    pub fn copy(mut self, from: &Message, header: Header) -> Self {
        for field in from.fields().filter(|field| field.header == header) {
            self.copy_field(&field);
        }
        self
    }

    /// Adds Content-Length, ends the head and adds the body (WIRE-01: always, 0 without a body).
    pub fn finish(mut self, body: &[u8]) -> Bytes {
        self.out.push_str("Content-Length: ");
        push_number(&mut self.out, body.len() as u64);
        self.out.push_str("\r\n\r\n");
        let mut out = self.out.into_bytes();
        out.extend_from_slice(body);
        out.into()
    }
}

/// A value as it was received. A CR or LF that stood alone in a message that is refused becomes a space: whoever reads the
/// answer could take it for the end of the line.
fn one_line(value: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(value);
    if text.contains(['\r', '\n']) { text.replace(['\r', '\n'], " ").into() } else { text }
}

/// The rest of a Via line behind its first value and comma.
fn after_first_via(value: &[u8]) -> &str {
    use crate::fields::{At, FieldValue};
    let text = std::str::from_utf8(value).unwrap_or_default();
    let mut at = At(crate::lex::Cursor::new(text));
    if Via::read(&mut at).is_ok() && at.0.eat_spaced(b',') { at.0.rest() } else { "" }
}

/// The Via as it goes back: `received` if sent-by is a name or another address, or if the client asked with an empty
/// `rport`, which is then filled.
fn with_received(via: Via<'_>, (address, port): (IpAddr, u16)) -> Option<Via<'static>> {
    let asked = via.params.get("rport") == Some(None);
    let host = via.sent_by.host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    if !asked && host == Some(address) {
        return None;
    }
    let mut params = crate::Params::none();
    for (name, value) in via.params.iter() {
        let value = value.map(|value| value.text());
        if name.eq_ignore_ascii_case("received") || (asked && name.eq_ignore_ascii_case("rport")) {
            continue;
        }
        params = params.with(name, value.as_deref()).ok()?;
    }
    params = params.with("received", Some(&address.to_string())).ok()?;
    if asked {
        params = params.with("rport", Some(&port.to_string())).ok()?;
    }
    Some(Via { params, ..via.into_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(via: &str) -> Message {
        let text = format!(
            "MESSAGE sip:b@t SIP/2.0\r\n{via}f: <sip:a@t>;tag=1\r\nt: <sip:b@t>\r\ni: c1\r\nCSeq: 7 MESSAGE\r\n\
             X: no\r\nl: 0\r\n\r\n"
        );
        Message::parse(text.into()).unwrap().0
    }

    #[test]
    fn a_response_repeats_what_it_must_uas_03_txn_10() {
        let request = request(
            "v: SIP/2.0/TLS a.test:5061;rport;branch=z9hG4bK1, SIP/2.0/TCP b.test\r\nVia: SIP/2.0/UDP c\r\n",
        );
        let tag = FieldText::new("T").unwrap();
        let peer = Some(("192.0.2.9".parse().unwrap(), 4711));
        let bytes = Writer::response_to(&request, StatusCode::OK, &tag, peer).finish(b"");
        assert_eq!(
            std::str::from_utf8(&bytes).unwrap(),
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/TLS a.test:5061;branch=z9hG4bK1;received=192.0.2.9;rport=4711\r\n\
             Via: SIP/2.0/TCP b.test\r\nVia: SIP/2.0/UDP c\r\nFrom: <sip:a@t>;tag=1\r\nTo: <sip:b@t>;tag=T\r\n\
             Call-ID: c1\r\nCSeq: 7 MESSAGE\r\nContent-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn received_is_added_only_where_it_says_something_txn_10() {
        let tag = FieldText::new("T").unwrap();
        let peer = Some(("192.0.2.9".parse().unwrap(), 4711));
        let via = |text: &str| {
            let bytes = Writer::response_to(&request(text), StatusCode::OK, &tag, peer).finish(b"");
            let (response, _) = Message::parse(bytes).unwrap();
            response.via().unwrap().to_string()
        };
        assert_eq!(via("Via: SIP/2.0/TLS 192.0.2.9;branch=z\r\n"), "SIP/2.0/TLS 192.0.2.9;branch=z");
        assert_eq!(via("Via: SIP/2.0/TLS 192.0.2.8\r\n"), "SIP/2.0/TLS 192.0.2.8;received=192.0.2.9");
        assert_eq!(via("Via: SIP/2.0/TLS h;received=1.1.1.1\r\n"), "SIP/2.0/TLS h;received=192.0.2.9");
    }

    #[test]
    fn what_is_appended_is_what_is_displayed() {
        for number in [0, 1, 9, 10, 99, 100, 4_294_967_295, u64::MAX] {
            let mut out = String::new();
            push_number(&mut out, number);
            assert_eq!(out, number.to_string());
        }
        let (message, _) = Message::parse(
            "REGISTER sip:t SIP/2.0\r\nVia: SIP/2.0/TLS [::1]:5061 ; rport\r\nFrom: \"A\\\"\" <sip:a@t>;tag=1\r\nTo: B C <sip:b@t>\r\n\
             Contact: <sip:c@t>;q=1, *\r\n\r\n".into(),
        )
        .unwrap();
        fn same(value: &impl Value) {
            let mut out = String::new();
            value.append(&mut out);
            assert_eq!(out, value.to_string());
        }
        same(&message.via().unwrap());
        same(&message.from().unwrap());
        same(&message.to().unwrap());
        message.contacts().for_each(|contact| same(&contact.unwrap()));
        same(&CSeq { number: 4_294_967_295, method: Method::Message });
        same(&Expires(0));
        same(&NameAddr::new(Uri::parse("sip:a").unwrap()).with_display("x \\ \"y\"").unwrap());
    }

    #[test]
    fn no_value_can_start_a_line_wire_08() {
        for text in ["a\r\nb", "a\nb", "a\rb", "a\0b", "a\x7fb"] {
            assert!(FieldText::new(text).is_err(), "{text:?}");
        }
        let writer = Writer::response(StatusCode::OK);
        assert!(writer.extension("X\r\nY", &FieldText::new("z").unwrap()).is_err());
    }
}
