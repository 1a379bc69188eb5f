//! The list of registries is that of the crate `psl`, at the version that Cargo.lock names.
//!
//! `ALDIS_UPDATE=1 cargo test -p aldis-trust --test registries` writes it anew.
#![allow(clippy::expect_used, clippy::indexing_slicing)] // what fails ends the test

use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn the_list_is_that_of_the_crate_psl() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/registries.txt");
    let made = registries(&std::fs::read_to_string(rules()).expect("the rules of psl"));
    if std::env::var_os("ALDIS_UPDATE").is_some() {
        std::fs::write(&kept, &made).expect("the list can be written");
    }
    let kept = std::fs::read_to_string(kept).unwrap_or_default();
    assert!(kept == made, "src/registries.txt is out of date: run this test with ALDIS_UPDATE=1");
}

/// The rules that are ICANN's, as certificates write names, sorted.
fn registries(rules: &str) -> String {
    let mut lines: Vec<String> = rules.lines().filter(|rule| is_icann(rule)).map(ascii).collect();
    lines.sort_unstable();
    lines.dedup();
    lines.into_iter().map(|line| line + "\n").collect()
}

fn is_icann(rule: &str) -> bool {
    let (name, wanted) = match rule.strip_prefix('!') {
        // The rule that it is an exception to is the one to ask.
        Some(name) => (format!("q9-z.{}", name.split_once('.').expect("two labels").1), None),
        None => (rule.replacen('*', "q9-z", 1), Some(())),
    };
    psl::suffix(name.as_bytes()).is_some_and(|suffix| {
        suffix.typ() == Some(psl::Type::Icann) && (wanted.is_none() || suffix.as_bytes() == name.as_bytes())
    })
}

fn ascii(rule: &str) -> String {
    let (mark, name) = match rule {
        rule if rule.starts_with('!') => rule.split_at(1),
        rule if rule.starts_with("*.") => rule.split_at(2),
        rule => ("", rule),
    };
    mark.to_owned() + &idna::domain_to_ascii(name).expect("a name")
}

/// The file of rules in the sources of psl.
fn rules() -> PathBuf {
    let told = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .output()
        .expect("cargo metadata");
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).expect("JSON");
    let packages = told["packages"].as_array().expect("packages");
    let psl = packages.iter().find(|package| package["name"] == "psl").expect("psl");
    Path::new(psl["manifest_path"].as_str().expect("a path")).with_file_name("data").join("rules.txt")
}
