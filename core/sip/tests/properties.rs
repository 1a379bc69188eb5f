//! What holds for every input: the invariants of the fuzz targets, over the vectors, over what resembles them, and over the
//! committed corpora.
#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic
)]
// a test crate

mod common;
#[path = "../../../tests/fuzz/src/lib.rs"]
mod invariants;

use aldis_sip::{Frame, Framer, Judgement};
use common::all_vectors;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::path::Path;
use std::sync::LazyLock;

static VECTORS: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| all_vectors().into_iter().map(|v| v.bytes).collect());

/// What came out of a stream, short enough to compare it for every cut.
fn outline<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<(String, Vec<u8>)> {
    let mut framer = Framer::new();
    let mut out = Vec::new();
    for piece in pieces {
        framer.push(piece);
        while let Some(frame) = framer.next() {
            out.push(match frame {
                Frame::LineEnd => ("line end".into(), Vec::new()),
                Frame::Judged(Judgement::Message(message)) => ("message".into(), message.to_bytes().to_vec()),
                Frame::Judged(Judgement::Reject(r)) => {
                    (format!("{} {}", r.status, r.defect), r.request.to_bytes().to_vec())
                }
                Frame::Judged(Judgement::Drop(defect)) => (format!("drop {defect}"), Vec::new()),
                Frame::Judged(Judgement::Close(defect)) => (format!("close {defect}"), Vec::new()),
            });
        }
    }
    out
}

#[test]
fn every_cut_of_every_vector_gives_the_same_frames_wire_02() {
    const PING: &[u8] = b"\r\n\r\n";
    for bytes in VECTORS.iter().filter(|bytes| bytes.len() < 4096) {
        let stream = [PING, bytes, PING].concat();
        let whole = outline([stream.as_slice()]);
        for at in 0..stream.len() {
            let (left, right) = stream.split_at(at);
            assert_eq!(outline([left, right]), whole, "{:?} cut at {at}", String::from_utf8_lossy(bytes));
        }
        assert_eq!(outline(stream.chunks(1)), whole);
    }
}

#[test]
fn every_vector_keeps_its_meaning_when_printed_and_read_again() {
    for bytes in VECTORS.iter() {
        invariants::message(bytes);
    }
}

/// The committed inputs of a fuzz target.
fn replay(target: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(target);
    let mut paths: Vec<_> =
        std::fs::read_dir(&folder).expect("a corpus").map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{target} has no corpus");
    for path in paths {
        check(&std::fs::read(path).unwrap());
    }
}

macro_rules! replays {
    ($($name:ident $target:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            replay(stringify!($target), invariants::$target);
        }
    )*};
}

replays! {
    the_corpus_of_framing_holds framing,
    the_corpus_of_message_holds message,
    the_corpus_of_uri_holds uri,
    the_corpus_of_field_holds field,
    the_corpus_of_challenge_holds challenge,
    the_corpus_of_multipart_holds multipart,
    the_corpus_of_cpim_holds cpim,
    the_corpus_of_documents_holds documents,
}

/// A vector with some bytes changed, taken out or put in, at random and by what breaks parsers.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        vec(any::<u8>(), 0..3),
        select(
            &[
                "\r\n",
                "\r",
                "\n",
                "\r\n ",
                "\r\n\t\r\n",
                ",",
                ";",
                ":",
                "\"",
                "\\",
                "<",
                ">",
                "%",
                "%00",
                "@",
                "[",
                "]",
                "=",
                "*",
                " ",
                "\0",
                "l: 5\r\n",
                "Content-Length: 1\r\n",
                "\u{e9}",
                "?",
                "SIP/2.0",
                "v:",
                "99999999999999999999",
            ][..]
        )
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    (any::<Index>(), vec((any::<Index>(), 0usize..4, piece), 0..6)).prop_map(|(which, changes)| {
        let mut bytes = VECTORS[which.index(VECTORS.len())].clone();
        for (at, remove, insert) in changes {
            let at = at.index(bytes.len() + 1);
            let end = (at + remove).min(bytes.len());
            bytes.splice(at..end, insert);
        }
        bytes
    })
}

/// Text in which the delimiters of SIP are as likely as anything else.
fn sip_like() -> impl Strategy<Value = String> {
    let piece = select(
        &[
            "sip:",
            "sips:",
            "tel:+1-2",
            "urn:x:y",
            "a",
            "B.test",
            "host",
            "[2001:db8::1]",
            "[::ffff:1.2.3.4]",
            "1.2.3.4",
            ":5061",
            "@",
            ";",
            "=",
            "?",
            "&",
            ",",
            " ",
            "\t",
            "\"",
            "\\",
            "<",
            ">",
            "%41",
            "%3b",
            "%",
            "*",
            "/",
            "(",
            ")",
            "tag",
            "branch",
            "lr",
            "q=0.5",
            "expires",
            "0",
            "9",
            "SIP/2.0/TLS",
            "z9hG4bK",
            "INVITE",
            "\u{e9}",
            "-",
            ".",
            "'",
            "MESSAGE 1",
            "1 MESSAGE",
            "Sat, 13 Nov 2010 23:29:00 GMT",
            "text/plain",
            "+sip.instance",
            "\"<urn:uuid:1>\"",
        ][..],
    );
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_are_judged_without_panic(bytes in vec(any::<u8>(), 0..300)) {
        invariants::message(&bytes);
        invariants::framing(&bytes);
    }

    #[test]
    fn mutated_vectors_are_judged_without_panic_and_print_as_they_were(bytes in mutated()) {
        invariants::message(&bytes);
    }

    #[test]
    fn streams_of_mutated_vectors_come_out_alike_however_they_are_cut(
        first in mutated(), second in mutated(), cuts in vec(any::<Index>(), 0..8),
    ) {
        let stream = [first, second].concat();
        let mut cuts: Vec<usize> = cuts.iter().map(|at| at.index(stream.len() + 1)).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for at in cuts {
            pieces.push(&stream[from..at]);
            from = at;
        }
        pieces.push(&stream[from..]);
        prop_assert_eq!(invariants::frames(pieces), invariants::frames([stream.as_slice()]));
    }

    #[test]
    fn a_uri_prints_as_it_was_and_equals_itself(text in sip_like(), other in sip_like()) {
        invariants::uri(format!("sip:{text}\nsip:{other}").as_bytes());
        invariants::uri(format!("{text}\n{other}").as_bytes());
    }

    #[test]
    fn every_typed_header_prints_what_it_read(selector in any::<u8>(), text in sip_like()) {
        invariants::field(&[&[selector], text.as_bytes()].concat());
    }

    #[test]
    fn any_text_is_read_as_any_header_without_panic(selector in any::<u8>(), text in any::<String>()) {
        invariants::field(&[&[selector], text.as_bytes()].concat());
    }
}
