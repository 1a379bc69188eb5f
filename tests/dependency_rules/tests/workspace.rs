//! The rules over this workspace, and over copies of it that break them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what is missing in the metadata fails the test"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use aldis_dependency_rules::{Violation, manifests, sources};
use serde_json::{Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--all-features"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn id<'a>(metadata: &'a Value, name: &str) -> &'a str {
    let packages = metadata["packages"].as_array().unwrap();
    packages.iter().find(|package| package["name"] == name).unwrap()["id"].as_str().unwrap()
}

fn package_mut<'a>(metadata: &'a mut Value, name: &str) -> &'a mut Value {
    let packages = metadata["packages"].as_array_mut().unwrap();
    packages.iter_mut().find(|package| package["name"] == name).unwrap()
}

fn list(violations: &[Violation]) -> String {
    violations.iter().map(|violation| format!("\n  {}: {}", violation.place, violation.reason)).collect()
}

#[test]
fn the_packages_keep_the_dependency_rules() {
    let violations = manifests::check(&metadata());
    assert!(violations.is_empty(), "{}", list(&violations));
}

#[test]
fn the_files_keep_the_dependency_rules() {
    let files = sources::read_tree(&root()).unwrap();
    assert!(files.iter().any(|file| file.path == "core/sip/src/lib.rs"), "the tree was read");
    let violations = sources::check(&files);
    assert!(violations.is_empty(), "{}", list(&violations));
}

#[test]
fn an_upward_dependency_is_found() {
    let mut metadata = metadata();
    let dependency = json!({"name": "aldis-agent", "kind": null});
    package_mut(&mut metadata, "aldis-sip")["dependencies"].as_array_mut().unwrap().push(dependency);
    let violations = manifests::check(&metadata);
    assert_eq!(violations.len(), 1, "{}", list(&violations));
    assert_eq!(violations[0].place, "aldis-sip");
}

#[test]
fn what_only_tests_use_is_no_upward_dependency() {
    let mut metadata = metadata();
    let dependency = json!({"name": "aldis-pki", "kind": "dev"});
    package_mut(&mut metadata, "aldis-trust")["dependencies"].as_array_mut().unwrap().push(dependency);
    let violations = manifests::check(&metadata);
    assert!(violations.is_empty(), "{}", list(&violations));
}

#[test]
fn a_runtime_far_below_a_pure_package_is_found_with_the_way_to_it() {
    let mut metadata = metadata();
    let tokio = id(&metadata, "tokio").to_owned();
    let memchr = id(&metadata, "memchr").to_owned();
    let nodes = metadata["resolve"]["nodes"].as_array_mut().unwrap();
    let node = nodes.iter_mut().find(|node| node["id"] == memchr.as_str()).unwrap();
    let edge = json!({"name": "tokio", "pkg": tokio, "dep_kinds": [{"kind": null, "target": null}]});
    node["deps"].as_array_mut().unwrap().push(edge);
    let violations = manifests::check(&metadata);
    assert!(
        violations.iter().any(|violation| violation.place == "aldis-sip"
            && violation.reason.contains("aldis-sip -> memchr -> tokio")),
        "{}",
        list(&violations)
    );
}

#[test]
fn a_source_of_randomness_in_a_pure_package_is_found() {
    let mut metadata = metadata();
    let dependency = json!({"name": "getrandom", "kind": null});
    package_mut(&mut metadata, "aldis-agent")["dependencies"].as_array_mut().unwrap().push(dependency);
    let violations = manifests::check(&metadata);
    assert_eq!(violations.len(), 1, "{}", list(&violations));
}

#[test]
fn a_package_outside_the_project_is_found() {
    let mut metadata = metadata();
    package_mut(&mut metadata, "memchr")["source"] = Value::Null;
    let violations = manifests::check(&metadata);
    assert_eq!(violations.len(), 1, "{}", list(&violations));
    assert!(violations[0].reason.contains("outside the project"), "{}", list(&violations));
}
