//! What must hold for every input. Each function is a fuzz target; the ordinary tests of `aldis-sip` replay the corpora
//! through the same functions.
//!
//! Nothing here panics unless the wire layer is wrong: what is read is printed, and what is printed is read as it was.

use aldis_sip::auth::{AuthenticationInfo, Challenge, Credentials, DeclaredAlgorithm};
use aldis_sip::body::composing::IsComposing;
use aldis_sip::body::cpim::Cpim;
use aldis_sip::body::imdn::{Imdn, Status};
use aldis_sip::body::reginfo::RegInfo;
use aldis_sip::body::summary::MessageSummary;
use aldis_sip::body::{Disposition, MediaType, Multipart, decode_content, decode_text, decode_transfer};
use aldis_sip::fields::{self, FieldValue};
use aldis_sip::{
    Capabilities, FieldText, Frame, Framer, Judgement, Message, StatusCode, Uri, Writer, judge_datagram,
    passed_over,
};
use bytes::Bytes;
use std::fmt::Write;

/// Everything that can be said of a message, as text.
pub fn account(message: &Message) -> String {
    let mut out = format!("{:?}\n", message.start_line());
    for field in message.fields() {
        let _ = writeln!(out, "{}={:?}", field.name, field.value);
    }
    let _ = writeln!(
        out,
        "{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}",
        message.request_uri().map(|uri| uri.map(|uri| uri.to_string())).map_err(|defect| defect.problem),
        message.all::<fields::Via<'_>>().map(|v| v.map_err(|d| d.problem)).collect::<Vec<_>>(),
        message.from().map_err(|defect| defect.problem),
        message.to().map_err(|defect| defect.problem),
        message.call_id().map_err(|defect| defect.problem),
        message.cseq().map_err(|defect| defect.problem),
        message.contacts().map(|c| c.map_err(|d| d.problem)).collect::<Vec<_>>(),
        message.content_length().map_err(|defect| defect.problem),
    );
    let _ = writeln!(out, "{:?}", message.body());
    out
}

fn frame_account(frame: Frame) -> String {
    match frame {
        Frame::LineEnd => "line end".into(),
        Frame::Judged(Judgement::Message(message)) => account(&message),
        Frame::Judged(Judgement::Reject(r)) => {
            format!("{} {:?}\n{}", r.status, r.defect, account(&r.request))
        }
        Frame::Judged(Judgement::Drop(defect)) => format!("drop {defect:?}"),
        Frame::Judged(Judgement::Close(defect)) => format!("close {defect:?}"),
    }
}

/// The frames that come out when the bytes arrive in these pieces.
pub fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut framer = Framer::new();
    let mut out = Vec::new();
    for piece in pieces {
        framer.push(piece);
        while let Some(frame) = framer.next() {
            out.push(frame_account(frame));
        }
    }
    out
}

/// The same frames come out however the stream is cut. The first two bytes say where.
pub fn framing(data: &[u8]) {
    let Some(([first, second], stream)) = data.split_first_chunk() else { return };
    let whole = frames([stream]);
    assert_eq!(frames(stream.chunks(usize::from(*first).max(1))), whole);
    let at = stream.len() * usize::from(*second) / 256;
    let (left, right) = stream.split_at(at);
    assert_eq!(frames([left, right]), whole);
}

/// A message means the same when it is printed and read again, and a refusal can always be written.
pub fn message(data: &[u8]) {
    let (judgement, remaining) = judge_datagram(Bytes::copy_from_slice(data));
    assert!(remaining <= data.len());
    let request = match judgement {
        Judgement::Message(message) => {
            let _ = (passed_over(&message), Capabilities::COMMON.refusal(&message));
            let printed = message.to_bytes();
            let (again, rest) = judge_datagram(printed.clone());
            let Judgement::Message(again) = again else { panic!("{printed:?}") };
            assert_eq!(rest, 0);
            assert_eq!(account(&again), account(&message));
            assert_eq!(again.to_bytes(), printed);
            if message.is_response() {
                return;
            }
            message
        }
        Judgement::Reject(rejection) => rejection.request,
        Judgement::Drop(_) | Judgement::Close(_) => return,
    };
    let tag = FieldText::new("t").unwrap();
    let peer = Some(([192, 0, 2, 1].into(), 5061));
    let answer = Writer::response_to(&request, StatusCode::OK, &tag, peer).finish(b"");
    let lines = answer.windows(2).filter(|pair| pair == b"\r\n").count();
    let line_ends = answer.iter().filter(|byte| matches!(byte, b'\r' | b'\n')).count();
    assert_eq!(line_ends, 2 * lines, "{answer:?}");
    if let (Judgement::Message(_), _) = judge_datagram(request.to_bytes()) {
        let (judged, _) = judge_datagram(answer.clone());
        assert!(matches!(judged, Judgement::Message(_)), "{answer:?} {judged:?}");
    }
}

/// A URI prints as it was, and equivalence is reflexive and symmetric.
pub fn uri(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut parts = text.splitn(2, '\n');
    let read: Vec<Uri<'_>> = parts.by_ref().filter_map(|part| Uri::parse(part).ok()).collect();
    for uri in &read {
        assert!(!uri.as_str().contains(['\r', '\n', '\0']));
        assert_eq!(Uri::parse(uri.to_string()).as_ref(), Ok(uri));
        assert_eq!(uri.clone().into_owned(), *uri);
        assert!(uri.equivalent(uri), "{uri}");
        assert_eq!(uri.is_sip(), uri.host().is_some());
        let _ = (
            uri.user(),
            uri.password(),
            uri.host_address(),
            uri.port(),
            uri.is_loose(),
            uri.param("transport"),
        );
        assert!(!uri.has_headers() || uri.raw_headers().count() > 0);
        assert!(uri.raw_params().all(|(name, _)| !name.is_empty()));
        if uri.is_sip() {
            let address = uri.address_of_record().expect("of a sip URI");
            assert_eq!(address.raw_user(), uri.raw_user());
        }
        if let Ok(with) = uri.clone().with_param("x-own", Some("a;b%")) {
            assert!(with.param("x-own").is_some());
        }
    }
    if let [a, b] = read.as_slice() {
        assert_eq!(a.equivalent(b), b.equivalent(a), "{a} {b}");
    }
}

/// What is read as one of these headers is printed, and read again as it was.
macro_rules! identities {
    ($selector:expr, $text:expr, $($header:ident),* $(,)?) => {{
        let all: &[fn(&str)] = &[$(|text| {
            let Ok(value) = fields::$header::parse(text) else { return };
            let printed = value.to_string();
            assert!(!printed.contains(['\r', '\n']), "{printed:?}");
            assert_eq!(fields::$header::parse(&printed).as_ref(), Ok(&value), "{text:?} {printed:?}");
        }),*];
        all[usize::from($selector) % all.len()]($text);
    }};
}

/// One typed header, chosen by the first byte. Control bytes that no head lets through are left out.
pub fn field(data: &[u8]) {
    let Some((selector, value)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(value) else { return };
    if text.contains(['\r', '\n']) {
        return;
    }
    identities!(
        *selector,
        text,
        Via,
        From,
        To,
        Contact,
        CSeq,
        CallId,
        Route,
        RecordRoute,
        Path,
        ServiceRoute,
        PAssertedIdentity,
        ReplyTo,
        ReferTo,
        Expires,
        MinExpires,
        FlowTimer,
        MaxForwards,
        ContentLength,
        RetryAfter,
        Date,
        Timestamp,
        Supported,
        Require,
        ProxyRequire,
        Unsupported,
        Allow,
        AllowEvents,
        Accept,
        AcceptEncoding,
        AcceptLanguage,
        ContentType,
        ContentDisposition,
        ContentEncoding,
        ContentLanguage,
        Event,
        SubscriptionState,
        FeatureCaps,
        SessionId,
        Reason,
        Warning,
        UserAgent,
        Server,
        Subject,
        Organization,
    );
}

/// Challenges, credentials and authentication info.
pub fn challenge(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for challenge in Challenge::parse_all(text).unwrap_or_default() {
        let _ = challenge.scheme();
        if let Challenge::Digest(digest) = challenge {
            // What is no token cannot be offered, and so is not written.
            let token =
                |name: &String| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b));
            let odd_qop = digest.qop().is_some_and(|offer| !offer.unknown.iter().all(token));
            let odd_algorithm = matches!(digest.algorithm(), DeclaredAlgorithm::Unknown(name) if !token(name) || name.is_empty());
            if odd_qop || odd_algorithm {
                continue;
            }
            let again = Challenge::parse_all(&digest.to_string());
            assert_eq!(again, Ok(vec![Challenge::Digest(digest)]), "{text:?}");
        }
    }
    if let Ok(Credentials::Digest(read)) = Credentials::parse(text) {
        assert_eq!(Credentials::parse(&read.to_string()), Ok(Credentials::Digest(read)));
    }
    if let Ok(info) = AuthenticationInfo::parse(text) {
        assert_eq!(AuthenticationInfo::parse(&info.to_string()), Ok(info));
    }
}

/// Bodies with boundary `b`; also encodings and charsets. The first byte chooses.
pub fn multipart(data: &[u8]) {
    let Some((selector, body)) = data.split_first() else { return };
    match selector % 8 {
        0 => drop(decode_content("deflate", body, 1 << 16)),
        1 => drop(decode_content("gzip, deflate", body, 1 << 16)),
        2 => drop(decode_transfer("base64", body)),
        3 => drop(decode_transfer("quoted-printable", body)),
        4 => drop(decode_text(Some("utf-16"), body)),
        5 => {
            let Ok(text) = std::str::from_utf8(body) else { return };
            let _ = Disposition::parse(text);
            if let Some(read) = MediaType::parse(text) {
                assert_eq!(MediaType::parse(&read.to_string()), Some(read));
            }
        }
        _ => {
            let Ok(read) = Multipart::parse("mixed", "b", &Bytes::copy_from_slice(body)) else { return };
            let _ = read.resolve(&|part| part.text().is_ok());
            let _ = read.resolve(&|_| false);
            let printed = Bytes::from(read.to_bytes());
            assert_eq!(Multipart::parse("mixed", "b", &printed).as_ref(), Ok(&read), "{printed:?}");
        }
    }
}

/// A message/cpim body.
pub fn cpim(data: &[u8]) {
    let Ok(read) = Cpim::parse(&Bytes::copy_from_slice(data)) else { return };
    let _ = (read.from(), read.to().count(), read.date_time(), read.not_understood(|_, _| true));
    for header in read.headers() {
        let _ = (header.value(), header.parameter("lang"), header.address());
    }
    assert_eq!(Cpim::parse(&read.to_bytes().into()), Ok(read));
}

/// The small documents: a receipt, a status of typing, the state of a registration, a summary of waiting messages. What is
/// read of the first two is written so that it is read as it was; of the others nothing is larger than what it was read from.
pub fn documents(data: &[u8]) {
    if let Ok(read) = Imdn::parse(data)
        && read.status != Status::Other
    {
        assert_eq!(Imdn::parse(read.to_xml().as_bytes()), Ok(read));
    }
    if let Ok(read) = IsComposing::parse(data) {
        assert_eq!(IsComposing::parse(read.to_xml().as_bytes()), Ok(read));
    }
    if let Ok(read) = RegInfo::parse(data) {
        assert!(read.contacts.len() <= data.len());
        assert!(
            read.contacts.iter().all(|contact| !contact.uri.is_empty() && contact.uri.len() <= data.len())
        );
    }
    if let Ok(read) = MessageSummary::parse(data) {
        assert!(read.counts.len() < data.len());
        assert!(read.counts.iter().all(|(name, _)| read.count(name).is_some()));
    }
}
