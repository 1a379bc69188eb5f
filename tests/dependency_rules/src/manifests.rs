//! What the packages depend on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::Violation;

/// Which packages of the workspace each layer may use at run time. A package that is not listed is a test crate.
const LAYERS: &[(&str, &[&str])] = &[
    ("aldis-sip", &[]),
    ("aldis-trust", &["aldis-sip"]),
    ("aldis-agent", &["aldis-sip"]),
    ("aldis-store", &["aldis-sip"]),
    ("aldis", &["aldis-sip", "aldis-trust", "aldis-agent", "aldis-store"]),
    ("aldis-ffi", &["aldis", "aldis-sip", "aldis-trust", "aldis-agent", "aldis-store"]),
    // The embedded registrar is the command's, for its feature `demo`.
    (
        "aldis-cli",
        &["aldis", "aldis-sip", "aldis-trust", "aldis-agent", "aldis-store", "aldis-registrar", "aldis-pki"],
    ),
    // The oracle is not the thing tested: it knows the wire and nothing above it.
    ("aldis-registrar", &["aldis-sip", "aldis-pki"]),
    ("aldis-pki", &[]),
];

/// Packages that are given bytes, time and randomness.
pub(crate) const PURE: &[&str] = &["aldis-sip", "aldis-trust", "aldis-agent"];

/// What they may not have below them, however far down.
const NO_RUNTIME: &[&str] =
    &["tokio", "tokio-rustls", "tokio-util", "async-std", "smol", "mio", "socket2", "hickory-resolver"];

/// What they may not name themselves: sources of randomness, clocks and system calls.
const NOT_DIRECTLY: &[&str] =
    &["getrandom", "rand", "fastrand", "libc", "nix", "rustix", "chrono", "jiff", "uniffi"];

/// Checks what `cargo metadata --format-version 1` says.
#[must_use]
pub fn check(metadata: &Value) -> Vec<Violation> {
    let mut violations = Vec::new();
    let root = metadata["workspace_root"].as_str().unwrap_or_default();
    let members = strings(&metadata["workspace_members"]);
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names: BTreeMap<&str, &str> = packages
        .iter()
        .filter_map(|package| Some((package["id"].as_str()?, package["name"].as_str()?)))
        .collect();
    let graph = runtime_graph(metadata);

    for package in packages {
        let (Some(id), Some(name)) = (package["id"].as_str(), package["name"].as_str()) else { continue };
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        if package["source"].is_null() && !Path::new(manifest).starts_with(root) {
            violations.push(Violation::new(name, format!("a path outside the project: {manifest}")));
        }
        if !members.contains(id) {
            continue;
        }
        violations.extend(check_layer(package, name));
        if PURE.contains(&name) {
            violations.extend(check_below(id, name, &graph, &names));
        }
    }
    violations
}

/// The layers, and what a pure package names itself.
fn check_layer(package: &Value, name: &str) -> Vec<Violation> {
    let allowed = LAYERS.iter().find(|(layer, _)| *layer == name).map(|(_, allowed)| *allowed);
    let mut violations = Vec::new();
    for dependency in package["dependencies"].as_array().into_iter().flatten() {
        let Some(used) = dependency["name"].as_str() else { continue };
        // What only tests use may come from test crates, which stand above everything.
        if dependency["kind"] == "dev" {
            continue;
        }
        let ours = used == "aldis" || used.starts_with("aldis-");
        if ours && allowed.is_some_and(|allowed| !allowed.contains(&used)) {
            violations
                .push(Violation::new(name, format!("may not depend on {used}: dependencies run one way")));
        }
        if PURE.contains(&name) && NOT_DIRECTLY.contains(&used) {
            violations.push(Violation::new(
                name,
                format!("may not name {used}: time and randomness are arguments"),
            ));
        }
        if used == "uniffi" && name != "aldis-ffi" && name != "aldis-bindgen" {
            violations.push(Violation::new(name, "may not depend on uniffi: that is bindings/ffi's"));
        }
    }
    violations
}

/// Looks for a runtime anywhere below a pure package.
fn check_below(
    id: &str,
    name: &str,
    graph: &BTreeMap<&str, Vec<&str>>,
    names: &BTreeMap<&str, &str>,
) -> Vec<Violation> {
    let mut seen = BTreeSet::from([id]);
    let mut open = vec![(id, name.to_owned())];
    let mut violations = Vec::new();
    while let Some((id, way)) = open.pop() {
        for below in graph.get(id).into_iter().flatten().copied() {
            let Some(used) = names.get(below) else { continue };
            let way = format!("{way} -> {used}");
            if NO_RUNTIME.contains(used) {
                violations.push(Violation::new(name, format!("may not have {used} below it: {way}")));
            } else if seen.insert(below) {
                open.push((below, way));
            }
        }
    }
    violations
}

/// Package id to the ids of what it uses at run or build time.
fn runtime_graph(metadata: &Value) -> BTreeMap<&str, Vec<&str>> {
    let nodes = metadata["resolve"]["nodes"].as_array().into_iter().flatten();
    nodes
        .filter_map(|node| {
            let below = node["deps"].as_array().into_iter().flatten().filter(|dependency| {
                dependency["dep_kinds"].as_array().into_iter().flatten().any(|kind| kind["kind"] != "dev")
            });
            Some((node["id"].as_str()?, below.filter_map(|dependency| dependency["pkg"].as_str()).collect()))
        })
        .collect()
}

fn strings(list: &Value) -> BTreeSet<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}
