//! Whatever comes in, nothing panics; whatever is written is read back as it was.

use super::cpim::{Address, Cpim};
use super::*;
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

fn like(pieces: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![9 => proptest::sample::select(pieces).prop_map(|p| p.as_bytes().to_vec()), 1 => vec(any::<u8>(), 0..3)], 0..24)
        .prop_map(|pieces| pieces.concat())
}

fn multipart_like() -> impl Strategy<Value = Vec<u8>> {
    like(&[
        "--b",
        "--",
        "\r\n",
        "\n",
        "\r",
        "--b\r\n",
        "\r\n--b--",
        "--c\r\n",
        "--c--\r\n",
        "Content-Type: ",
        "multipart/mixed;boundary=c",
        "multipart/alternative;boundary=\"b\"",
        "text/plain",
        ":",
        " ",
        "x",
        "Content-Encoding: gzip",
        "Content-Disposition: x;handling=optional",
    ])
}

fn cpim_like() -> impl Strategy<Value = Vec<u8>> {
    like(&[
        "From",
        "Subject",
        ": ",
        ":",
        ";lang=fr",
        ";x=\"",
        "\"",
        "\\",
        "\\u00",
        "\\ud83d",
        "NS: p <urn:x>",
        "p.a",
        "Require: p.a",
        "<sip:a>",
        "\r\n",
        "\n",
        "\r\n\r\n",
        "Content-Type: text/plain",
        " ",
        "é",
    ])
}

fn read_multipart(body: &[u8]) {
    let body = Bytes::copy_from_slice(body);
    if let Ok(multipart) = Multipart::parse("mixed", "b", &body) {
        let _ = multipart.resolve(&|part| part.text().is_ok());
        let _ = multipart.resolve(&|_| false);
    }
}

fn read_cpim(body: &[u8]) {
    if let Ok(cpim) = Cpim::parse(&Bytes::copy_from_slice(body)) {
        let _ = (cpim.from(), cpim.to().count(), cpim.not_understood(|_, _| true));
        for header in cpim.headers() {
            let _ = (header.value(), header.parameter("lang"), header.address());
        }
        // What was read is read again as it was, however it was spaced.
        assert_eq!(Cpim::parse(&cpim.to_bytes().into()), Ok(cpim));
    }
}

fn field() -> impl Strategy<Value = (String, String)> {
    ("X-[a-z]{1,6}", "[^\\p{Cc}]{0,12}")
}

fn single() -> impl Strategy<Value = Part> {
    (vec(field(), 0..3), vec(any::<u8>(), 0..40)).prop_map(|(fields, content)| {
        let headers = fields
            .iter()
            .fold(MimeHeaders::new(), |headers, (name, value)| headers.with(name, value).unwrap());
        Part::single(headers, content).unwrap()
    })
}

fn multipart() -> impl Strategy<Value = Multipart> {
    let part = prop_oneof![
        3 => single().boxed(),
        1 => vec(single(), 1..4).prop_map(|parts| {
            Part::nested(Multipart::new("alternative", "inner-5b1f ?", parts).unwrap())
        }).boxed(),
    ];
    vec(part, 1..5).prop_map(|parts| Multipart::new("mixed", "outer(7c2e)", parts).unwrap())
}

const SUMMARY_PIECES: &[&str] = &[
    "Messages-Waiting",
    "Message-Account",
    "Voice-Message",
    ":",
    " yes",
    " no",
    "\r\n",
    "\n",
    "1",
    "/",
    "(",
    ")",
    "99999999999999999999",
    " ",
];

const XML_PIECES: &[&str] = &[
    "<imdn>",
    "</imdn>",
    "<isComposing>",
    "</isComposing>",
    "<message-id>",
    "</message-id>",
    "<state>",
    "</state>",
    "<status>",
    "</status>",
    "<delivery-notification>",
    "</delivery-notification>",
    "<delivered/>",
    " xmlns='urn:x'",
    "active",
    "&lt;",
    "&#x0;",
    "&#xD800;",
    "&x;",
    "<!DOCTYPE",
    "[",
    "]>",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<?xml",
    "?>",
    "<",
    ">",
    "\u{0}",
    "é",
    "<reginfo xmlns='urn:ietf:params:xml:ns:reginfo'>",
    "</reginfo>",
    "<registration aor='a'>",
    "</registration>",
    "<contact event='shortened' expires='1'>",
    "</contact>",
    "<uri>sip:a</uri>",
];

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(body in vec(any::<u8>(), 0..200)) {
        read_multipart(&body);
        read_cpim(&body);
        for coding in ["deflate", "gzip", "gzip,deflate"] {
            let _ = decode_content(coding, &body, 4096);
        }
        for encoding in ["base64", "quoted-printable"] {
            let _ = decode_transfer(encoding, &body);
        }
        for charset in [None, Some("utf-16"), Some("iso-2022-jp"), Some("gb18030")] {
            let _ = decode_text(charset, &body);
        }
        let _ = (imdn::Imdn::parse(&body), composing::IsComposing::parse(&body));
        let _ = (reginfo::RegInfo::parse(&body), summary::MessageSummary::parse(&body));
    }

    #[test]
    fn bytes_like_a_message_summary_are_read_without_panic(body in like(SUMMARY_PIECES)) {
        let _ = summary::MessageSummary::parse(&body);
    }

    #[test]
    fn anything_like_xml_is_read_without_panic(body in like(XML_PIECES)) {
        let _ = (imdn::Imdn::parse(&body), composing::IsComposing::parse(&body));
        let _ = reginfo::RegInfo::parse(&body);
    }

    #[test]
    fn any_text_is_read_without_panic_as_media_type_and_disposition(text in any::<String>()) {
        let _ = Disposition::parse(&text);
        if let Some(read) = MediaType::parse(&text) {
            prop_assert_eq!(MediaType::parse(&read.to_string()), Some(read));
        }
    }

    #[test]
    fn bytes_like_a_multipart_are_read_without_panic(body in multipart_like()) {
        read_multipart(&body);
    }

    #[test]
    fn bytes_like_a_cpim_message_are_read_without_panic_and_rewritten_alike(body in cpim_like()) {
        read_cpim(&body);
    }

    #[test]
    fn a_written_multipart_is_read_as_it_was(multipart in multipart()) {
        let media_type = multipart.media_type();
        let boundary = media_type.parameter("boundary").unwrap();
        let read = Multipart::parse(media_type.subtype(), boundary, &multipart.to_bytes().into());
        prop_assert_eq!(read, Ok(multipart));
    }

    #[test]
    fn a_written_cpim_message_is_read_as_it_was(
        name in any::<String>(),
        values in vec(any::<String>(), 0..4),
        content in vec(any::<u8>(), 0..60),
    ) {
        let headers = MimeHeaders::new().with("Content-Type", "text/plain").unwrap();
        let mut cpim = Cpim::new(headers, content).unwrap();
        let from = Address::new(&name, "sip:alice@example.test").unwrap();
        cpim.push_address("From", &from).unwrap();
        cpim.declare("p", "urn:x").unwrap();
        for value in &values {
            cpim.push("p.Value", value).unwrap();
        }
        let read = Cpim::parse(&cpim.to_bytes().into()).unwrap();
        prop_assert_eq!(&read, &cpim);
        prop_assert_eq!(read.from(), Some(from));
        let read: Vec<_> = read.all("urn:x", "Value").map(|h| h.value().into_owned()).collect();
        prop_assert_eq!(read, values.iter().map(|v| v.trim().to_owned()).collect::<Vec<_>>());
    }
}
