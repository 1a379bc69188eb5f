//! Nothing that an app hands over can end a line: CR, LF and NUL are refused by every way in (WIRE-08).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::expect_used,
    clippy::panic
)] // a test crate

use aldis_sip::fields::{
    Accept, AcceptEncoding, AcceptLanguage, Allow, AllowEvents, CSeq, CallId, Contact, ContentDisposition,
    ContentEncoding, ContentLanguage, ContentType, Date, Event, Expires, FeatureCaps, FieldValue, From,
    Organization, PAssertedIdentity, Path, Reason, RecordRoute, ReplyTo, Require, RetryAfter, Route, Server,
    ServiceRoute, SessionId, Subject, SubscriptionState, Supported, Timestamp, To, UserAgent, Via, Warning,
};
use aldis_sip::{
    Domain, FieldText, Header, Message, Method, NameAddr, Params, ReferenceIdentity, SipScheme, StatusCode,
    Uri, Writer,
};
use proptest::prelude::*;

/// What must not get through, alone and with a header behind it.
const HOSTILE: &[&str] = &[
    "\r",
    "\n",
    "\0",
    "\r\n",
    "\r\nRoute: <sip:evil.test>",
    "\n\n",
    "\r\n\r\nOPTIONS sip:x SIP/2.0",
    "\\\0",
    "\"\\\0\"",
];

/// `text` with a hostile piece at each of its places.
fn poisoned(text: &str) -> impl Iterator<Item = String> {
    let places = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    places.flat_map(move |at| HOSTILE.iter().map(move |bad| format!("{}{bad}{}", &text[..at], &text[at..])))
}

fn harmless(text: &str) -> bool {
    !text.contains(['\r', '\n', '\0'])
}

/// Each constructor: a good input, and what it makes of one (`None` if it refuses).
type Constructor = (&'static str, &'static str, fn(&str) -> Option<String>);

/// Reading a header value of this type.
macro_rules! read {
    ($header:ident) => {
        |text| $header::parse(text).ok().map(|value| value.to_string())
    };
}

fn constructors() -> Vec<Constructor> {
    vec![
        ("Uri::parse", "sip:a@b.test;x=y?s=t", |t| Uri::parse(t).ok().map(|u| u.to_string())),
        ("Uri::parse tel", "tel:+1-2;x=y", |t| Uri::parse(t).ok().map(|u| u.to_string())),
        ("Uri from_str", "urn:service:sos", |t| t.parse::<Uri<'static>>().ok().map(|u| u.to_string())),
        ("Uri::sip user", "alice", |t| {
            Uri::sip(SipScheme::Sip, Some(t), "b.test", None).ok().map(|u| u.to_string())
        }),
        ("Uri::sip host", "b.test", |t| {
            Uri::sip(SipScheme::Sips, None, t, Some(1)).ok().map(|u| u.to_string())
        }),
        ("Uri::with_param name", "x", |t| {
            Uri::parse("sip:b").unwrap().with_param(t, None).ok().map(|u| u.to_string())
        }),
        ("Uri::with_param value", "y", |t| {
            Uri::parse("sip:b").unwrap().with_param("x", Some(t)).ok().map(|u| u.to_string())
        }),
        ("NameAddr::with_display", "Alice \"A\"", |t| {
            NameAddr::new(Uri::parse("sip:b").unwrap()).with_display(t).ok().map(|a| a.to_string())
        }),
        ("Params::with name", "x", |t| Params::none().with(t, None).ok().map(|p| p.to_string())),
        ("Params::with value", "y;z", |t| Params::none().with("x", Some(t)).ok().map(|p| p.to_string())),
        ("Method::new", "NEW", |t| Method::new(t).map(|m| m.to_string())),
        ("FieldText::new", "a value", |t| FieldText::new(t).ok().map(|v| v.to_string())),
        ("Domain::new", "b.test", |t| Domain::new(t).ok().map(|d| d.to_string())),
        ("ReferenceIdentity::new", "b.test", |t| ReferenceIdentity::new(t).ok().map(|d| d.to_string())),
        ("Writer::extension name", "X-Own", |t| {
            let writer = Writer::response(StatusCode::OK).extension(t, &FieldText::new("v").unwrap()).ok()?;
            let text = String::from_utf8(writer.finish(b"").to_vec()).unwrap();
            // Without the line ends that belong there.
            let (start, rest) = text.split_once("\r\n").unwrap();
            Some(start.to_owned() + rest.split_once("\r\nContent-Length: 0\r\n\r\n").unwrap().0)
        }),
        ("CallId", "a@b", read!(CallId)),
        ("CSeq", "1 OPTIONS", read!(CSeq)),
        ("Via", "SIP/2.0/TLS a:1;branch=z9hG4bK;x=\"y\"", read!(Via)),
        ("From", "\"A\" <sip:a@b>;tag=\"1\"", read!(From)),
        ("To", "A <sip:a@b>", read!(To)),
        ("Contact", "<sip:a@b>;+x=\"<urn:a>\"", read!(Contact)),
        ("Route", "<sip:a;lr>", read!(Route)),
        ("Record-Route", "<sip:a;lr>", read!(RecordRoute)),
        ("Path", "<sip:a;lr>", read!(Path)),
        ("Service-Route", "<sip:a;lr>", read!(ServiceRoute)),
        ("P-Asserted-Identity", "\"A\" <sip:a@b>", read!(PAssertedIdentity)),
        ("Reply-To", "<sip:a@b>", read!(ReplyTo)),
        ("Content-Type", "text/plain;charset=\"utf-8\"", read!(ContentType)),
        ("Accept", "text/*", read!(Accept)),
        ("Accept-Encoding", "gzip;q=1", read!(AcceptEncoding)),
        ("Accept-Language", "en", read!(AcceptLanguage)),
        ("Content-Disposition", "render;handling=optional", read!(ContentDisposition)),
        ("Content-Encoding", "gzip", read!(ContentEncoding)),
        ("Content-Language", "en", read!(ContentLanguage)),
        ("Allow", "INVITE", read!(Allow)),
        ("Allow-Events", "reg", read!(AllowEvents)),
        ("Supported", "path", read!(Supported)),
        ("Require", "path", read!(Require)),
        ("Event", "reg;id=1", read!(Event)),
        ("Subscription-State", "active;expires=1", read!(SubscriptionState)),
        ("Feature-Caps", "*;+x=\"y\"", read!(FeatureCaps)),
        ("Session-ID", "ab30317f1a784dc48ff824d0d3715d86", read!(SessionId)),
        ("Reason", "SIP;text=\"a\"", read!(Reason)),
        ("Warning", "300 a \"text\"", read!(Warning)),
        ("Retry-After", "5 (a comment);duration=1", read!(RetryAfter)),
        ("Timestamp", "1.5 2", read!(Timestamp)),
        ("Date", "Sat, 13 Nov 2010 23:29:00 GMT", read!(Date)),
        ("Expires", "5", read!(Expires)),
        ("User-Agent", "Aldis/0.1 (x)", read!(UserAgent)),
        ("Server", "Aldis", read!(Server)),
        ("Subject", "hello there", read!(Subject)),
        ("Organization", "Aldis", read!(Organization)),
    ]
}

#[test]
fn no_constructor_lets_a_line_end_or_nul_through_wire_08() {
    for (name, good, construct) in constructors() {
        assert!(construct(good).is_some(), "{name} refuses {good:?}");
        for bad in poisoned(good) {
            if let Some(made) = construct(&bad) {
                assert!(harmless(&made), "{name}: {bad:?} became {made:?}");
            }
        }
    }
}

#[test]
fn lines_of_a_refused_request_are_echoed_on_one_line_wire_08() {
    for bad in ["\r", "\n", "\0", "\rRoute: <sip:evil.test>", "\nRoute: <sip:evil.test>"] {
        let text = format!(
            "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TLS a;branch=z9hG4bK1, SIP/2.0/TLS b{bad}\r\nFrom: <sip:a@b>;tag=1{bad}\r\n\
             To: <sip:a@b>{bad}\r\nCall-ID: 1{bad}\r\nCSeq: 1 OPTIONS{bad}\r\nl: 0\r\n\r\n"
        );
        let (request, _) = Message::parse(text.into()).unwrap();
        let tag = FieldText::new("t").unwrap();
        for peer in [None, Some(([192, 0, 2, 1].into(), 5061))] {
            let answer = Writer::response_to(&request, StatusCode::BAD_REQUEST, &tag, peer).finish(b"");
            let answer = std::str::from_utf8(&answer).unwrap();
            assert!(!answer.replace("\r\n", "").contains(['\r', '\n']), "{answer:?}");
            assert!(!answer.lines().any(|line| line.starts_with("Route")), "{answer:?}");
        }
    }
}

proptest! {
    #[test]
    fn what_a_constructor_makes_of_any_text_stays_on_its_line_wire_08(which in any::<usize>(), text in any::<String>()) {
        let all = constructors();
        let (name, _, construct) = &all[which % all.len()];
        if let Some(made) = construct(&text) {
            prop_assert!(harmless(&made), "{}: {:?} became {:?}", name, text, made);
        }
    }

    #[test]
    fn a_written_message_has_the_lines_that_were_written_wire_08(display in any::<String>(), value in any::<String>(), body in any::<Vec<u8>>()) {
        let Ok(address) = NameAddr::new(Uri::parse("sip:a@b").unwrap()).with_display(&display) else { return Ok(()) };
        let Ok(params) = Params::none().with("x", Some(&value)) else { return Ok(()) };
        let address = Contact::Address(address.with_params(params));
        let bytes = Writer::response(StatusCode::OK).field(Header::Contact, &address).finish(&body);
        let (message, rest) = Message::parse(bytes).unwrap();
        prop_assert_eq!((message.fields().count(), rest, &message.body()[..]), (2, 0, &body[..]));
        let read = message.contacts().next().unwrap().unwrap();
        let read = read.address().unwrap();
        prop_assert_eq!(read.display().unwrap_or_default().into_owned(), display);
        prop_assert_eq!(read.params.value("x").unwrap().into_owned(), value);
    }
}
