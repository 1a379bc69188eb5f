//! URIs: `sip:` and `sips:` with their parts (RFC 3261 §19.1), every other scheme as it is.

mod compare;
mod host;

use host::{HostKind, host_end, host_kind};
pub(crate) use host::{take_host, take_port};

use crate::block::plain_length;
use crate::defect::{Fault, Problem};
use crate::lex::{Cursor, class, is_token, run};
use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::Range;

/// Longest URI, in bytes; all of a head's limit could be one.
const MAX_URI: usize = 65_535;

/// A URI, read once and printed as it was.
///
/// `==` compares the text. Whether two URIs mean the same is [`Uri::equivalent`] (RFC 3261 §19.1.4), which is not
/// transitive and so cannot be `==`.
///
/// ```
/// use aldis_sip::Uri;
/// let uri = Uri::parse("sip:alice@[2001:db8::1]:5061;transport=tcp").unwrap();
/// assert_eq!(uri.user().as_deref(), Some("alice"));
/// assert_eq!(uri.host(), Some("[2001:db8::1]"));
/// assert_eq!(uri.port(), Some(5061));
/// assert_eq!(uri.param("transport").flatten().as_deref(), Some("tcp"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Uri<'a> {
    text: Cow<'a, str>,
    scheme: Scheme,
    parts: Parts,
}

/// The scheme of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip`
    Sip,
    /// `sips`
    Sips,
    /// `tel` (RFC 3966)
    Tel,
    /// `urn` (RFC 8141)
    Urn,
    /// Any other; see [`Uri::scheme_text`].
    Other,
}

/// Where the parts of a sip or sips URI stand in its text. Each begins where the one before it ends, past what separates them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Parts {
    scheme_end: u16,
    /// Behind the `@` if there is a user part, with its password.
    host: u16,
    host_end: u16,
    /// Meaningful if the parameters do not begin where the host ends.
    port: u16,
    /// At the first `;`.
    params: u16,
    /// At the `?`; they go on to the end of the text.
    headers: u16,
}

/// A position in a URI. Of a longer text nothing is kept: `dissect_prefix` refuses it.
fn position(at: usize) -> u16 {
    at as u16
}

const PERCENT: u8 = b'%';

/// What makes the letters of `sip` small ones, and what the fourth byte may be then.
const FOLD: u32 = u32::from_le_bytes([0x20, 0x20, 0x20, 0]);
const SIP: u32 = u32::from_le_bytes(*b"sip:");
const SIPS: u32 = u32::from_le_bytes(*b"sips");
const SIP_S: u32 = u32::from_le_bytes(*b"sipS");

/// Where the component that begins at `at` ends: bytes of the classes in `mask`, and escapes.
#[inline(always)]
fn component(bytes: &[u8], at: usize, mask: u16) -> Result<usize, Fault> {
    let mut end = run(bytes, at, mask);
    while bytes.get(end) == Some(&PERCENT) {
        match bytes.get(end + 1..end + 3) {
            Some([a, b]) if class::is(*a, class::HEX) && class::is(*b, class::HEX) => {}
            _ => return Err(Fault::new(end, Problem::Escape)),
        }
        end = run(bytes, end + 3, mask);
    }
    Ok(end)
}

impl<'a> Uri<'a> {
    /// Reads a URI; the whole text must be one.
    ///
    /// # Errors
    /// A [`Fault`] with the byte where it stops being one.
    pub fn parse(text: impl Into<Cow<'a, str>>) -> Result<Self, Fault> {
        let text = text.into();
        let (scheme, parts) = Self::dissect(&text)?;
        Ok(Uri { text, scheme, parts })
    }

    fn dissect(text: &str) -> Result<(Scheme, Parts), Fault> {
        let (scheme, parts, end) = Self::dissect_prefix(text, 0)?;
        if end == text.len() { Ok((scheme, parts)) } else { Err(Fault::new(end, Problem::Uri)) }
    }

    /// Reads the URI that begins where the cursor stands, as far as it goes.
    #[inline(always)] // its parts stay in registers until they are where they belong
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Result<Self, Fault> {
        let (text, at) = (cursor.text(), cursor.at());
        let (scheme, parts, end) = Self::dissect_prefix(text, at)?;
        cursor.jump(end);
        Ok(Uri { text: Cow::Borrowed(text.get(at..end).unwrap_or_default()), scheme, parts })
    }

    /// The URI that begins at `from`: its parts, counted from there, and where it ends.
    #[inline(always)] // its parts stay in registers until they are where they belong
    fn dissect_prefix(text: &str, from: usize) -> Result<(Scheme, Parts, usize), Fault> {
        let bytes = text.as_bytes();
        let rest = bytes.get(from..).unwrap_or_default();
        let folded = rest.first_chunk().map(|word| u32::from_le_bytes(*word) | FOLD);
        let (scheme, colon) = match folded {
            Some(SIP) => (Scheme::Sip, 3),
            Some(SIPS | SIP_S) if rest.get(4) == Some(&b':') => (Scheme::Sips, 4),
            _ => Self::other_scheme(text, from)?,
        };
        let (mut parts, end) = match scheme {
            Scheme::Sip | Scheme::Sips => Self::sip_parts(text, from, colon + 1)?,
            _ => (Parts::default(), Self::opaque(bytes, from + colon + 1)?),
        };
        if end - from > MAX_URI {
            return Err(Fault::new(from + MAX_URI, Problem::Limit));
        }
        parts.scheme_end = position(colon);
        Ok((scheme, parts, end))
    }

    /// A scheme that is not sip or sips, and how long it is.
    fn other_scheme(text: &str, from: usize) -> Result<(Scheme, usize), Fault> {
        let rest = text.get(from..).unwrap_or_default();
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        let length = rest.bytes().position(|b| !allowed(b)).unwrap_or(rest.len());
        let name = rest.get(..length).unwrap_or_default();
        let starts_well = name.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
        if !starts_well || rest.as_bytes().get(length) != Some(&b':') {
            return Err(Fault::new(from + length, Problem::Uri));
        }
        let scheme = match name {
            s if s.eq_ignore_ascii_case("tel") => Scheme::Tel,
            s if s.eq_ignore_ascii_case("urn") => Scheme::Urn,
            _ => Scheme::Other,
        };
        Ok((scheme, length))
    }

    /// The end of `user [ ":" password ]` if an `@` follows it.
    #[inline(always)]
    fn userinfo(bytes: &[u8], start: usize) -> Result<Option<usize>, Fault> {
        // Nearly every user part is letters and digits, and short.
        if let Some(length) = bytes.get(start..).and_then(<[u8]>::first_chunk).map(plain_length)
            && length > 0
            && bytes.get(start + length) == Some(&b'@')
        {
            return Ok(Some(start + length));
        }
        Self::any_userinfo(bytes, start)
    }

    #[inline(never)]
    fn any_userinfo(bytes: &[u8], start: usize) -> Result<Option<usize>, Fault> {
        let end = component(bytes, start, class::UNRESERVED | class::USER_EXTRA)?;
        match bytes.get(end) {
            Some(b'@') if end > start => Ok(Some(end)),
            Some(b':') if end > start => {
                // A password, or a host and a port.
                let end = component(bytes, end + 1, class::UNRESERVED | class::PASSWORD_EXTRA)?;
                Ok((bytes.get(end) == Some(&b'@')).then_some(end))
            }
            _ => Ok(None),
        }
    }

    /// `[ userinfo "@" ] hostport uri-parameters [ headers ]` behind the scheme of the URI that begins at `from`.
    #[inline(always)] // its parts stay in registers until they are where they belong
    fn sip_parts(text: &str, from: usize, scheme: usize) -> Result<(Parts, usize), Fault> {
        let bytes = text.as_bytes();
        let start = from + scheme;
        let host = Self::userinfo(bytes, start)?.map_or(start, |end| end + 1);
        let host_end = host_end(text, host).ok_or(Fault::new(host, Problem::Host))?;
        let (mut at, mut port) = (host_end, 0);
        if bytes.get(at) == Some(&b':') {
            let mut cursor = Cursor::new(text);
            cursor.jump(at + 1);
            port = take_port(&mut cursor)?;
            at = cursor.at();
        }
        let params = at;
        while bytes.get(at) == Some(&b';') {
            const MASK: u16 = class::UNRESERVED | class::PARAM_EXTRA;
            let name = at + 1;
            at = component(bytes, name, MASK)?;
            if at == name {
                return Err(Fault::new(name, Problem::Parameter));
            }
            if bytes.get(at) == Some(&b'=') {
                let value = at + 1;
                at = component(bytes, value, MASK)?;
                if at == value {
                    return Err(Fault::new(value, Problem::Parameter));
                }
            }
        }
        let headers = at;
        if bytes.get(at) == Some(&b'?') {
            at = Self::headers(bytes, at)?;
        }
        let [host, host_end, params, headers] =
            [host, host_end, params, headers].map(|at| position(at - from));
        Ok((Parts { scheme_end: 0, host, host_end, port, params, headers }, at))
    }

    /// `? hname = hvalue *( & hname = hvalue )`; where it ends.
    fn headers(bytes: &[u8], mut at: usize) -> Result<usize, Fault> {
        const MASK: u16 = class::UNRESERVED | class::HEADER_EXTRA;
        loop {
            let name = at + 1;
            let equals = component(bytes, name, MASK)?;
            if equals == name || bytes.get(equals) != Some(&b'=') {
                return Err(Fault::new(name, Problem::Uri));
            }
            at = component(bytes, equals + 1, MASK)?;
            if bytes.get(at) != Some(&b'&') {
                return Ok(at);
            }
        }
    }

    /// Any other scheme: what RFC 3986 lets a URI hold, kept as it is. Where it ends.
    fn opaque(bytes: &[u8], at: usize) -> Result<usize, Fault> {
        let end = component(bytes, at, class::URI)?;
        if end == at { Err(Fault::new(at, Problem::Uri)) } else { Ok(end) }
    }

    /// Builds `sip:user@host` (or `sips:`) from plain values; the user part is escaped where it must be, the host is
    /// checked, an IPv6 address gets its brackets.
    ///
    /// # Errors
    /// A [`Fault`] if the host is none.
    pub fn sip(
        scheme: SipScheme,
        user: Option<&str>,
        host: &str,
        port: Option<u16>,
    ) -> Result<Uri<'static>, Fault> {
        let mut text = String::from(match scheme {
            SipScheme::Sip => "sip:",
            SipScheme::Sips => "sips:",
        });
        if let Some(user) = user {
            escape_into(&mut text, user, class::UNRESERVED | class::USER_EXTRA);
            text.push('@');
        }
        if host.parse::<Ipv6Addr>().is_ok() {
            text.push('[');
            text.push_str(host);
            text.push(']');
        } else {
            text.push_str(host);
        }
        if let Some(port) = port {
            text.push(':');
            text.push_str(&port.to_string());
        }
        Uri::parse(text)
    }

    /// Adds `;name` or `;name=value` to a sip or sips URI, escaped where it must be.
    ///
    /// # Errors
    /// A [`Fault`] if this is another scheme's URI, has headers, or the name is no token.
    pub fn with_param(self, name: &str, value: Option<&str>) -> Result<Uri<'static>, Fault> {
        if !self.is_sip() || self.has_headers() || !is_token(name) || value == Some("") {
            return Err(Fault::new(self.text.len(), Problem::Parameter));
        }
        let mut text = self.text.into_owned();
        text.push(';');
        text.push_str(name);
        if let Some(value) = value {
            text.push('=');
            escape_into(&mut text, value, class::UNRESERVED | class::PARAM_EXTRA);
        }
        Uri::parse(text)
    }

    fn slice(&self, start: u16, end: u16) -> &str {
        self.text.get(Range { start: usize::from(start), end: usize::from(end) }).unwrap_or_default()
    }

    /// The user part with its password, if there is one.
    fn userinfo_text(&self) -> Option<&str> {
        let (start, end) = (self.parts.scheme_end + 1, self.parts.host.checked_sub(1)?);
        (self.is_sip() && start <= end).then(|| self.slice(start, end))
    }

    /// The URI as it was read.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The scheme as it was read.
    pub fn scheme_text(&self) -> &str {
        self.slice(0, self.parts.scheme_end)
    }

    /// Whether this is a sip or sips URI.
    pub fn is_sip(&self) -> bool {
        matches!(self.scheme, Scheme::Sip | Scheme::Sips)
    }

    /// The user part without its password, as it was read.
    pub fn raw_user(&self) -> Option<&str> {
        self.userinfo_text().map(|text| text.split_once(':').map_or(text, |(user, _)| user))
    }

    /// The user part, escapes decoded; bytes that are not UTF-8 become U+FFFD.
    pub fn user(&self) -> Option<Cow<'_, str>> {
        self.raw_user().map(unescape)
    }

    /// The password in the user part, which RFC 3261 §19.1.1 advises against.
    pub fn password(&self) -> Option<&str> {
        self.userinfo_text()?.split_once(':').map(|(_, password)| password)
    }

    /// The host of a sip or sips URI as it was read, an IPv6 address in its brackets.
    pub fn host(&self) -> Option<&str> {
        self.is_sip().then(|| self.slice(self.parts.host, self.parts.host_end))
    }

    /// The host as an address, if it is one.
    pub fn host_address(&self) -> Option<IpAddr> {
        match host_kind(self.host()?) {
            Some(HostKind::Address(address)) => Some(address),
            _ => None,
        }
    }

    /// The port, if one was given.
    pub fn port(&self) -> Option<u16> {
        (self.parts.params != self.parts.host_end).then_some(self.parts.port)
    }

    /// The URI parameters, in their order, names and values as read.
    pub fn raw_params(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.slice(self.parts.params, self.parts.headers).split(';').skip(1).map(|parameter| match parameter
            .split_once('=')
        {
            Some((name, value)) => (name, Some(value)),
            None => (parameter, None),
        })
    }

    /// The parameter of this name (in any case), escapes decoded: `None` if it is absent, `Some(None)` if it has no value.
    pub fn param(&self, name: &str) -> Option<Option<Cow<'_, str>>> {
        self.raw_params()
            .find(|(n, _)| unescape(n).eq_ignore_ascii_case(name))
            .map(|(_, value)| value.map(unescape))
    }

    /// Whether the URI asks for headers (`?…`).
    pub fn has_headers(&self) -> bool {
        self.is_sip() && usize::from(self.parts.headers) != self.text.len()
    }

    /// The URI headers, in their order, names and values as read.
    pub fn raw_headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let text = self.text.get(usize::from(self.parts.headers)..).filter(|_| self.is_sip());
        let headers = text.and_then(|text| text.strip_prefix('?')).unwrap_or_default();
        headers.split('&').filter_map(|header| header.split_once('='))
    }

    /// Whether a proxy of this URI is a loose router: `lr` in any form (I-26).
    pub fn is_loose(&self) -> bool {
        self.param("lr").is_some()
    }

    /// Scheme, user and host alone, as an address of record is compared and shown: no port, parameters or headers.
    /// `None` for a URI that is not sip or sips.
    pub fn address_of_record(&self) -> Option<Uri<'static>> {
        let scheme = match self.scheme {
            Scheme::Sip => "sip:",
            Scheme::Sips => "sips:",
            _ => return None,
        };
        let host = self.host()?.to_ascii_lowercase();
        Uri::parse(match self.raw_user() {
            Some(user) => format!("{scheme}{user}@{host}"),
            None => format!("{scheme}{host}"),
        })
        .ok()
    }

    /// The same URI, owning its text.
    pub fn into_owned(self) -> Uri<'static> {
        Uri { text: Cow::Owned(self.text.into_owned()), scheme: self.scheme, parts: self.parts }
    }
}

/// The two schemes that [`Uri::sip`] builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SipScheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
}

impl fmt::Display for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::str::FromStr for Uri<'static> {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        Uri::parse(text.to_owned())
    }
}

/// Decodes `%HH`; bytes that are not UTF-8 become U+FFFD.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(String::from_utf8_lossy(&unescape_bytes(text)).into_owned())
}

fn unescape_bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
        match (byte, digit(ahead.next()), digit(ahead.next())) {
            (PERCENT, Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                bytes = ahead;
            }
            _ => out.push(byte),
        }
    }
    out
}

/// Writes `text` with `%HH` for every byte outside the classes of `mask`.
fn escape_into(out: &mut String, text: &str, mask: u16) {
    use std::fmt::Write;
    for byte in text.bytes() {
        if class::is(byte, mask) {
            out.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_and_the_text_is_kept() {
        let text = "sips:alice;day=tu%20e:pw@Atlanta.example:5061;lr;x=%41?subject=a%20b&to=c";
        let uri = Uri::parse(text).unwrap();
        assert_eq!(uri.to_string(), text);
        assert_eq!(uri.scheme(), Scheme::Sips);
        assert_eq!(uri.user().as_deref(), Some("alice;day=tu e"));
        assert_eq!(uri.password(), Some("pw"));
        assert_eq!((uri.host(), uri.port()), (Some("Atlanta.example"), Some(5061)));
        assert!(uri.is_loose());
        assert_eq!(uri.param("X").flatten().as_deref(), Some("A"));
        assert_eq!(uri.raw_headers().collect::<Vec<_>>(), [("subject", "a%20b"), ("to", "c")]);
        assert_eq!(uri.address_of_record().unwrap().as_str(), "sips:alice;day=tu%20e@atlanta.example");
    }

    #[test]
    fn other_schemes_are_opaque() {
        for (text, scheme) in [
            ("tel:+358-555-1234567;postd=pp22", Scheme::Tel),
            ("urn:service:sos", Scheme::Urn),
            ("soap.beep://192.0.2.103:3002", Scheme::Other),
            ("nobodyKnowsThisScheme:totallyopaquecontent", Scheme::Other),
        ] {
            let uri = Uri::parse(text).unwrap();
            assert_eq!((uri.scheme(), uri.as_str(), uri.host()), (scheme, text, None));
        }
    }

    #[test]
    fn what_is_no_uri_is_refused() {
        for text in [
            "",
            "sip",
            "sip:",
            ":x",
            "1sip:a@b",
            "sip:a b@c",
            "sip:@host",
            "sip:a@",
            "sip:a@b:",
            "sip:a@b:65536",
            "sip:a@b:x",
            "sip:a@b;",
            "sip:a@b;=x",
            "sip:a@b?",
            "sip:a@b?x",
            "sip:a%4@b",
            "sip:a%zz@b",
            "sip:a@b@c",
            "sip:a@[::1",
            "sip:a@::1",
            "sip:a@[1.2.3.4]",
            "sip:a@300.1.1.1",
            "sip:a@b..c",
            "sip:a@-b",
            "sip:a@b c",
            "sip:<a@b>",
            "sip:a@b\"",
            "tel:",
            "urn:a b",
            "sip:a@b;x=",
            "sip:a@b%41",
        ] {
            assert!(Uri::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn built_uris_are_escaped_and_bracketed() {
        let uri = Uri::sip(SipScheme::Sip, Some("a b@c"), "2001:db8::1", Some(5061)).unwrap();
        assert_eq!(uri.as_str(), "sip:a%20b%40c@[2001:db8::1]:5061");
        assert_eq!(uri.user().as_deref(), Some("a b@c"));
        let uri = uri.with_param("pn-prid", Some("a;b=c")).unwrap();
        assert_eq!(uri.as_str(), "sip:a%20b%40c@[2001:db8::1]:5061;pn-prid=a%3Bb%3Dc");
        assert!(Uri::sip(SipScheme::Sip, None, "a b", None).is_err());
    }
}
