//! `aldis inspect --json` over every vector of `tests/vectors`, seen from outside: the binary, its output, its status.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test: what cannot be had fails it"
)]

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Keys of a vector that are about the vector, not about the output.
const OURS: &[&str] = &["section", "reading", "about", "also_allowed"];

fn vectors(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors").join(folder);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "sip"));
    files.sort();
    files
}

fn expectation(sip: &Path) -> Value {
    let json = std::fs::read(sip.with_extension("json")).unwrap();
    serde_json::from_slice(&json).unwrap_or_else(|error| panic!("{}: {error}", sip.display()))
}

/// What the binary prints for these files, by file, and its status.
fn inspect(files: &[PathBuf]) -> (BTreeMap<PathBuf, Value>, Option<i32>) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_aldis")).args(["inspect", "--json"]).args(files).output().unwrap();
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let found = text.lines().map(|line| {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        (PathBuf::from(value["file"].as_str().unwrap()), value)
    });
    (found.collect(), output.status.code())
}

/// One line for each field that is not as expected.
fn differences(expected: &Value, found: &Value) -> Vec<(String, String, String)> {
    let mut out = Vec::new();
    for (key, value) in expected.as_object().unwrap() {
        let is = &found[key];
        if !OURS.contains(&key.as_str()) && is != value {
            out.push((key.clone(), value.to_string(), is.to_string()));
        }
    }
    if let Some(about) = expected.get("about") {
        let fits = about.as_array().unwrap().contains(&found["about"]);
        let why = found["why"].as_str().unwrap_or_default();
        if !fits || why.is_empty() {
            out.push(("about".into(), about.to_string(), format!("{} ({why})", found["about"])));
        }
    }
    if expected["judgement"] == "message" && found.get("warnings").and_then(Value::as_array).is_none() {
        out.push(("warnings".into(), "a list".into(), found["warnings"].to_string()));
    }
    out
}

fn all_are_read_as_they_must(folder: &str, count: impl Fn(usize) -> bool) {
    let files = vectors(folder);
    assert!(count(files.len()), "{} vectors in {folder}", files.len());
    let (found, _) = inspect(&files);
    assert_eq!(found.len(), files.len(), "one object a message");
    let mut table = String::new();
    for file in &files {
        let name = file.file_stem().unwrap().to_string_lossy();
        for (field, expected, is) in differences(&expectation(file), &found[file]) {
            let _ = writeln!(table, "{name:40} {field:16} expected {expected}\n{:57} found    {is}", "");
        }
    }
    assert!(table.is_empty(), "{folder}: fields that are not as they must be\n{table}");
}

#[test]
fn every_message_of_rfc_4475_is_read_as_its_section_says_wire_06() {
    all_are_read_as_they_must("rfc4475", |count| count == 49);
}

#[test]
fn every_message_of_rfc_5118_is_read_as_its_section_says_wire_06() {
    all_are_read_as_they_must("rfc5118", |count| count == 12);
}

#[test]
fn every_message_of_our_own_is_read_as_its_section_says_wire_06() {
    all_are_read_as_they_must("own", |count| count > 100);
}

#[test]
fn the_status_is_0_if_every_one_is_a_message_and_else_1_wire_06() {
    let (messages, others): (Vec<_>, Vec<_>) =
        vectors("rfc4475").into_iter().partition(|file| expectation(file)["judgement"] == "message");
    assert!(!messages.is_empty() && !others.is_empty());
    assert_eq!(inspect(&messages).1, Some(0));
    assert_eq!(inspect(&[&messages[..], &others[..1]].concat()).1, Some(1));
}
