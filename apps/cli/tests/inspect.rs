//! `aldis inspect` beyond the vectors: streams, files that are none, and what a person sees.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test: what cannot be had fails it"
)]

use serde_json::Value;
use std::io::Write;
use std::process::{Command, Output, Stdio};

const OPTIONS: &str = "OPTIONS sip:a.test SIP/2.0\r\nVia: SIP/2.0/TLS a.test;branch=z9hG4bK1\r\nFrom: <sip:a@a.test>;tag=1\r\n\
    To: <sip:b@a.test>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n";

fn inspect(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_aldis"))
        .arg("inspect")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn objects(output: &Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The judgements of a stream, and the exit status.
fn stream(text: &str) -> (Vec<String>, Option<i32>) {
    let output = inspect(&["--stream", "--json", "-"], text.as_bytes());
    let judgements =
        objects(&output).into_iter().map(|object| object["judgement"].as_str().unwrap().to_owned());
    (judgements.collect(), output.status.code())
}

#[test]
fn a_stream_gives_an_object_for_each_message() {
    let message = format!("{OPTIONS}Content-Length: 0\r\n\r\n");
    assert_eq!(stream(&format!("\r\n{message}\r\n\r\n{message}")), (vec!["message".into(); 2], Some(0)));
    assert_eq!(stream(""), (vec![], Some(0)));
    let bad = message.replace("CSeq: 1 OPTIONS", "CSeq: 1 INVITE");
    let expected = ["message", "reject", "message"].map(String::from).to_vec();
    assert_eq!(stream(&format!("{message}{bad}{message}")), (expected, Some(1)));
}

#[test]
fn a_stream_whose_framing_is_lost_closes() {
    let without_length = format!("{OPTIONS}\r\n{OPTIONS}Content-Length: 0\r\n\r\n");
    assert_eq!(stream(&without_length), (vec!["close".into()], Some(1)));
}

#[test]
fn a_stream_that_ends_inside_a_message_says_so() {
    let message = format!("{OPTIONS}Content-Length: 5\r\n\r\nhello");
    for cut in [1, 20, message.len() - 7, message.len() - 6, message.len() - 5, message.len() - 1] {
        let output =
            inspect(&["--stream", "--json", "-"], format!("{message}{}", &message[..cut]).as_bytes());
        let objects = objects(&output);
        assert_eq!(objects.len(), 2, "cut at {cut}");
        assert_eq!(objects[1]["judgement"], "close", "cut at {cut}");
        assert_eq!(objects[1]["why"], "the stream ends inside a message");
        assert_eq!(objects[1]["byte"], message.len() + cut);
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn a_file_that_cannot_be_read_ends_with_2_and_the_others_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("options.sip");
    std::fs::write(&file, format!("{OPTIONS}\r\n")).unwrap();
    let missing = folder.path().join("missing.sip");
    let output = inspect(&["--json", missing.to_str().unwrap(), file.to_str().unwrap()], b"");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(objects(&output).len(), 1);
    assert!(String::from_utf8_lossy(&output.stderr).contains("missing.sip cannot be read"));
}

#[test]
fn what_is_absent_is_null_and_bytes_that_are_no_text_are_base64() {
    let message = format!("{OPTIONS}Subject: \u{0}\r\n\r\nbody").replace('\u{0}', "é");
    let mut bytes = message.into_bytes();
    let at = bytes.iter().position(|byte| *byte == 0xc3).unwrap();
    bytes.remove(at);
    let objects = objects(&inspect(&["--json", "-"], &bytes));
    let object = &objects[0];
    assert_eq!(object["judgement"], "message");
    for name in ["max_forwards", "content_length", "status", "reason_phrase", "endpoint_status"] {
        assert_eq!(object.get(name), Some(&Value::Null), "{name}");
    }
    assert_eq!(object["contacts"], Value::Array(vec![]));
    assert_eq!(object["body_length"], 4);
    assert_eq!(object["headers"][5], serde_json::json!(["Subject", {"base64": "qQ=="}]));
}

#[test]
fn a_person_sees_the_parts_and_no_control_sequence() {
    let message = format!("{OPTIONS}Subject: \u{9b}31mred\u{202e}\r\nContent-Length: 2\r\n\r\nhi and more");
    let output = inspect(&["-"], message.as_bytes());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("OPTIONS        sip:a.test"), "{text}");
    assert!(text.contains("\\u{9b}31mred\\u{202e}"), "{text}");
    assert!(text.contains("9 more stand behind it"), "{text}");
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    let refused = inspect(&["-"], message.replace("1 OPTIONS", "1 INVITE").as_bytes());
    let text = String::from_utf8(refused.stdout).unwrap();
    assert!(text.contains("to be refused with 400 Bad Request") && text.contains("CSeq, byte"), "{text}");
}
