//! Sixteen times the input takes at most twenty times as long, whatever it is made of.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, clippy::panic)] // a test crate

use aldis_sip::fields::{Contact, FieldValue, From, RetryAfter, Supported, Via, Warning};
use aldis_sip::{Frame, Framer, Judgement, Uri, judge_datagram, passed_over};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const SMALL: usize = 64 << 10;
const LARGE: usize = 1 << 20;
/// The fastest of so many runs counts: what else the machine does only adds.
const RUNS: usize = 30;

/// Time that this thread has had a processor, so that others on the machine do not count.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

fn measured(work: &dyn Fn()) -> Duration {
    let start = processor_time();
    work();
    processor_time() - start
}

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// 1 MiB may cost 20 times what 64 KiB cost: a byte 1.25 times as much.
const GOAL: f64 = 20.0 / 16.0;
/// What a byte may cost before this fails. A machine that is shared adds to the larger input more than to the smaller
/// one (caches, page faults); what grows faster than its input is far beyond: squared, a byte costs 16 times as much.
const BOUND: f64 = 2.0;

/// Asserts that a byte of `LARGE` input costs about what a byte of `SMALL` input does, or what a clock cannot tell from
/// nothing.
fn assert_linear(name: &str, make: &dyn Fn(usize) -> String, work: &dyn Fn(&str)) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (small, large) = (make(SMALL), make(LARGE));
    let lengths = large.len() as f64 / small.len() as f64;
    // Caches and clocks change from moment to moment: the two are measured in turns.
    let (mut short, mut long) = (Duration::MAX, Duration::MAX);
    for _ in 0..RUNS {
        short = short.min((0..4).map(|_| measured(&|| work(&small))).min().unwrap());
        long = long.min(measured(&|| work(&large)));
        if long <= short.mul_f64(lengths * GOAL) {
            return;
        }
    }
    let allowed = short.mul_f64(lengths * BOUND) + Duration::from_millis(1);
    assert!(long <= allowed, "{name}: {short:?} for {} bytes, {long:?} for {}", small.len(), large.len());
}

fn fill(unit: &str, size: usize) -> String {
    unit.repeat(size / unit.len())
}

fn message(more: &str) -> String {
    format!(
        "OPTIONS sip:a SIP/2.0\r\n{more}Via: SIP/2.0/TLS a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n\
         Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

/// All that a receiver would look at.
fn read_all(judgement: &Judgement) {
    let message = match judgement {
        Judgement::Message(message) => message,
        Judgement::Reject(rejection) => &rejection.request,
        _ => return,
    };
    let _ = passed_over(message);
    let _ = (message.via(), message.from(), message.to(), message.cseq(), message.contacts().count());
    let _ = (message.all::<Via<'_>>().count(), message.all::<Supported<'_>>().count(), message.to_bytes());
}

fn stream(text: &str) {
    let mut framer = Framer::new();
    for piece in text.as_bytes().chunks(1400) {
        framer.push(piece);
        while let Some(frame) = framer.next() {
            if let Frame::Judged(judgement) = frame {
                read_all(&judgement);
            }
        }
    }
}

/// Header lines of hostile shapes, about `size` bytes of them.
fn lines(family: &str, size: usize) -> String {
    match family {
        "many headers" => fill("X: y\r\n", size),
        "many distinct names" => (0..size / 12).map(|n| format!("X-{n:06}: y\r\n")).collect(),
        "deep folds" => format!("X: y{}\r\n", fill("\r\n x", size)),
        "folds of nothing" => format!("X: y{}\r\n", fill("\r\n ", size)),
        "commas" => format!("Supported: a{}\r\n", fill(",a", size)),
        "contacts" => format!("Contact: <sip:a@b>{}\r\n", fill(", <sip:a@b>;q=1", size)),
        "quotes" => format!("Contact: \"{}\" <sip:a@b>\r\n", fill("\\\"", size)),
        "quotes not closed" => format!("Contact: {}\r\n", fill("\"a\\", size)),
        "parameters" => format!("Contact: <sip:a@b>{}\r\n", fill(";a=b", size)),
        "escapes" => format!("Contact: <sip:{}@b>\r\n", fill("%41", size)),
        "via list" => format!("Via: SIP/2.0/TLS a{}\r\n", fill(", SIP/2.0/TLS a;branch=z9hG4bK2", size)),
        "via rows" => fill("v:SIP/2.0/UDP a\r\n", size),
        "angle brackets" => format!("Contact: {}\r\n", fill("<", size)),
        "pairs of angle brackets" => format!("Route: {}\r\n", fill("<sip:a>,", size)),
        "content lengths" => fill("l: 0\r\n", size),
        "spaces before the colon" => format!("Contact{}: <sip:a@b>\r\n", fill(" ", size)),
        "comments" => format!("Retry-After: 5 {}\r\n", fill("(", size)),
        "lines without a colon" => fill("abc\r\n", size),
        "lone carriage returns" => format!("X: {}\r\n", fill("\r", size)),
        "lone line feeds" => format!("X: {}\r\n", fill("\n", size)),
        other => panic!("{other}"),
    }
}

const FAMILIES: &[&str] = &[
    "many headers",
    "many distinct names",
    "deep folds",
    "folds of nothing",
    "commas",
    "contacts",
    "quotes",
    "quotes not closed",
    "parameters",
    "escapes",
    "via list",
    "via rows",
    "angle brackets",
    "pairs of angle brackets",
    "content lengths",
    "spaces before the colon",
    "comments",
    "lines without a colon",
    "lone carriage returns",
    "lone line feeds",
];

/// How much of a hostile shape still fits a head.
const IN_A_HEAD: usize = 60_000;

#[test]
fn streams_of_hostile_heads_cost_what_their_length_costs_wire_05() {
    for family in FAMILIES {
        // Each message close to the limit of a head, and as many of them as there is room for.
        assert_linear(
            family,
            &|size| fill(&message(&lines(family, IN_A_HEAD.min(size))), size.max(SMALL + 2000)),
            &stream,
        );
    }
}

#[test]
fn one_hostile_head_costs_no_more_than_its_length_wire_05() {
    for family in FAMILIES {
        // 64 KiB and 1 MiB in one piece: the larger one is over the limit and may cost less, never more.
        assert_linear(family, &|size| message(&lines(family, size)), &|text| {
            let (judgement, _) = judge_datagram(text.to_owned().into());
            read_all(&judgement);
            stream(text);
        });
    }
}

#[test]
fn a_head_within_the_limit_costs_what_its_length_costs() {
    for family in FAMILIES {
        // 3.5 KiB and 56 KiB, often enough for the clock.
        assert_linear(family, &|size| message(&lines(family, size * 56 / 1024)), &|text| {
            for _ in 0..16 {
                read_all(&judge_datagram(text.to_owned().into()).0);
            }
        });
    }
}

#[test]
fn floods_of_line_ends_cost_what_their_length_costs() {
    for unit in ["\r\n", "\r\n\r\n", "\n", "\r", "\r\r\n"] {
        assert_linear("line ends", &|size| fill(unit, size), &stream);
    }
}

#[test]
fn a_body_that_is_passed_over_costs_what_its_length_costs() {
    assert_linear(
        "body",
        &|size| message("").replace("Length: 0", &format!("Length: {}", 2 << 20)) + &fill("x", size),
        &stream,
    );
}

#[test]
fn header_values_cost_what_their_length_costs_outside_a_message_too() {
    assert_linear("parameters", &|size| format!("<sip:a@b>{}", fill(";a=\"\\\"\"", size)), &|text| {
        let from = From::parse(text).unwrap();
        assert!(from.params.value("z").is_none() && from.params.iter().count() > 1);
    });
    assert_linear("quotes", &|size| format!("\"{}\" <sip:a@b>", fill("\\\"", size)), &|text| {
        assert!(From::parse(text).unwrap().display().unwrap().len() > 1000);
    });
    assert_linear("brackets", &|size| fill("<", size), &|text| drop(Contact::parse(text)));
    assert_linear("comments", &|size| format!("1 {}{}", fill("(", size / 2), fill(")", size / 2)), &|text| {
        drop(RetryAfter::parse(text))
    });
    assert_linear("backslashes", &|size| format!("1 ({}", fill("\\", size)), &|text| {
        drop(RetryAfter::parse(text))
    });
    assert_linear("warning", &|size| format!("300 a \"{}", fill("\\a", size)), &|text| {
        drop(Warning::parse(text))
    });
}

#[test]
fn uris_cost_what_their_length_costs() {
    // Beyond the longest URI they are refused; below, 4 KiB and 60 KiB.
    let families: &[(&str, &dyn Fn(usize) -> String)] = &[
        ("same parameter", &|size| format!("sip:a@b{}", fill(";a=1", size))),
        ("distinct parameters", &|size| {
            format!("sip:a@b{}", (0..size / 8).map(|n| format!(";p{n:06}")).collect::<String>())
        }),
        ("escapes", &|size| format!("sip:{}@b", fill("%41", size))),
        ("headers", &|size| format!("sip:a@b?{}a=1", fill("a=1&", size))),
        ("labels", &|size| format!("sip:{}a", fill("a.", size))),
        ("colons", &|size| format!("sip:a@[{}]", fill(":", size))),
        ("user as parameters", &|size| format!("sip:a{}", fill(";a", size))),
    ];
    for (name, make) in families {
        assert_linear(name, &|size| make(size * 60 / 1024), &|text| {
            for _ in 0..16 {
                if let Ok(uri) = Uri::parse(text) {
                    assert!(uri.equivalent(&uri.clone()));
                    let _ = (uri.user(), uri.param("zzz"), uri.address_of_record());
                }
            }
        });
    }
}
