//! How much memory a message costs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, clippy::panic)] // a test crate

use aldis_sip::{Frame, Framer, Judgement, Message, judge, judge_datagram};
use allocation_counter::{AllocationInfo, measure};
use bytes::Bytes;

const REGISTER: &str = "REGISTER sip:example.test SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.7:49152;rport;branch=z9hG4bKa\r\n\
    Max-Forwards: 70\r\nFrom: \"Alice\" <sip:alice@example.test>;tag=pf8K2\r\nTo: <sip:alice@example.test>\r\n\
    Call-ID: v9qk3\r\nCSeq: 21 REGISTER\r\nContact: <sip:alice@192.0.2.7:49152;transport=tls>;expires=3600\r\n\
    Supported: path, outbound, gruu\r\nContent-Length: 0\r\n\r\n";

fn cost<T>(work: impl FnOnce() -> T) -> (AllocationInfo, T) {
    let mut result = None;
    let info = measure(|| result = Some(work()));
    (info, result.unwrap())
}

/// A request with this many more headers.
fn with_headers(count: usize) -> Bytes {
    let more: String = (0..count).map(|n| format!("X-{n}: {n}\r\n")).collect();
    REGISTER.replace("Max-Forwards", &format!("{more}Max-Forwards")).into()
}

#[test]
fn parsing_allocates_once_and_not_per_header() {
    for headers in [0, 1, 10] {
        let bytes = with_headers(headers);
        let (info, message) = cost(|| Message::parse(bytes.clone()).unwrap().0);
        assert!(message.fields().count() >= headers);
        // The head with its lines; taking a slice of shared bytes may allocate the count of owners.
        assert!(info.count_total <= 2, "{headers} headers: {info:?}");
    }
    let (info, _) = cost(|| Message::parse(with_headers(0)));
    let bytes = with_headers(400);
    let (many, _) = cost(|| Message::parse(bytes.clone()).unwrap().0);
    assert!(many.count_total <= info.count_total + 5, "the list doubles a few times: {many:?}");
}

#[test]
fn typed_access_and_judging_allocate_nothing() {
    let (message, _) = Message::parse(REGISTER.into()).unwrap();
    let (info, sum) = cost(|| {
        message.via().unwrap().branch().unwrap().len()
            + message.from().unwrap().tag().unwrap().len()
            + message.to().unwrap().uri.host().unwrap().len()
            + message.cseq().unwrap().number as usize
            + message.call_id().unwrap().as_str().len()
            + message.contacts().map(|contact| contact.unwrap().expires().unwrap() as usize).sum::<usize>()
            + message.content_length().unwrap().unwrap() as usize
            + message.request_uri().unwrap().unwrap().as_str().len()
            + message.all::<aldis_sip::fields::Supported<'_>>().count()
    });
    assert!(sum > 0);
    assert_eq!(info.count_total, 0, "{info:?}");
    let (info, judgement) = cost(|| judge(message));
    assert!(matches!(judgement, Judgement::Message(_)));
    assert_eq!(info.count_total, 0, "{info:?}");
}

#[test]
fn a_message_out_of_a_stream_costs_a_few_allocations() {
    let mut framer = Framer::new();
    framer.push(REGISTER.as_bytes());
    while framer.next().is_some() {}
    let (info, frame) = cost(|| {
        framer.push(REGISTER.as_bytes());
        framer.next()
    });
    assert!(matches!(frame, Some(Frame::Judged(Judgement::Message(_)))));
    assert!(info.count_total <= 6, "{info:?}");
}

/// Small lists have a first size that does not depend on the input.
const FIXED: u64 = 16 * 1024;

fn hostile() -> Vec<(&'static str, String)> {
    let fill = |unit: &str| unit.repeat(60_000 / unit.len());
    let via = "Via: SIP/2.0/TLS a;branch=z9hG4bK1\r\n";
    let rest = "From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nl: 0\r\n\r\n";
    [
        ("folds", fill("\r\n x")),
        ("folds of nothing", fill("\r\n ")),
        ("commas", fill("a,")),
        ("quotes", fill("\"\\\"\"")),
        ("parameters", fill(";a=b")),
        ("short headers", fill("\r\na:")),
        ("long value", fill("aaaa")),
    ]
    .into_iter()
    .map(|(name, middle)| (name, format!("OPTIONS sip:a SIP/2.0\r\n{via}X: y{middle}\r\n{rest}")))
    .collect()
}

#[test]
fn memory_is_at_most_four_times_the_input_wire_05() {
    for (name, text) in hostile() {
        let size = text.len() as u64;
        let bytes = Bytes::from(text.clone());
        let (info, _) = cost(|| judge_datagram(bytes.clone()));
        assert!(info.bytes_max <= 4 * size + FIXED, "{name}: {info:?}");
        let (info, _) = cost(|| {
            let mut framer = Framer::new();
            let mut frames = Vec::new();
            for piece in text.as_bytes().chunks(1400) {
                framer.push(piece);
                frames.extend(std::iter::from_fn(|| framer.next()));
            }
            frames
        });
        assert!(info.bytes_max <= 4 * size + FIXED, "{name} as a stream: {info:?}");
    }
}
