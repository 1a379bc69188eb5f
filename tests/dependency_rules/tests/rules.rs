//! Each rule about files, broken on purpose, and its neighbour that breaks nothing.

use aldis_dependency_rules::Violation;
use aldis_dependency_rules::sources::{SourceFile, check};

fn violations(path: &str, text: &str) -> Vec<Violation> {
    check(&[SourceFile::new(path, text)])
}

#[track_caller]
fn breaks(path: &str, text: &str) {
    assert!(!violations(path, text).is_empty(), "{path}: {text:?} passes");
}

#[track_caller]
fn keeps(path: &str, text: &str) {
    let found = violations(path, text);
    assert!(found.is_empty(), "{path}: {text:?} is refused: {found:?}");
}

#[test]
fn pure_packages_name_no_runtime_socket_clock_randomness_or_environment() {
    for code in [
        "use tokio::time;",
        "use std::net::TcpStream;",
        "use std::net::{IpAddr, UdpSocket};",
        "let now = std::time::Instant::now();",
        "use std::time::{Duration, SystemTime};",
        "use std::time; fn f() { time::Instant::now(); }",
        "std::env::var(\"HOME\")",
        "use std::{collections::BTreeMap, env};",
        "use std::{io::{self, stdin}, fmt};",
        "std :: fs :: read(path)",
        "getrandom::fill(&mut seed)",
        "rand::thread_rng()",
        "Uuid::new_v4()",
        "UnixTime::now()",
        "std::thread::sleep(time)",
    ] {
        for package in ["sip", "trust", "agent"] {
            breaks(&format!("core/{package}/src/deep/file.rs"), code);
        }
        keeps("core/store/src/file.rs", code);
    }
}

#[test]
fn pure_packages_may_name_addresses_durations_and_manifests() {
    for code in [
        "use std::net::{IpAddr, SocketAddr};",
        "use std::time::Duration;",
        "env!(\"CARGO_PKG_VERSION\")",
        "use std::{collections::BTreeMap, fmt};",
        "fn process(environment: u8, instantly: u8) {}",
        "// tokio, TcpStream, Instant and std::env belong to the driver",
        "const TEXT: &str = \"std::env TcpStream\";",
        "#[cfg(test)]\nmod tests { use std::fs::read; fn f() { std::time::Instant::now(); } }",
    ] {
        keeps("core/agent/src/file.rs", code);
    }
    keeps("core/agent/tests/file.rs", "use std::time::Instant;");
    keeps("core/agent/src/flow/tests.rs", "use std::fs;");
}

#[test]
fn the_agent_has_no_randomly_seeded_map() {
    breaks("core/agent/src/lib.rs", "use std::collections::HashMap;");
    keeps("core/trust/src/lib.rs", "use std::collections::HashMap;");
}

#[test]
fn the_client_opens_sockets_in_net_alone() {
    breaks("core/client/src/driver.rs", "use tokio::net::TcpStream;");
    keeps("core/client/src/net/connect.rs", "use tokio::net::TcpStream;");
}

#[test]
fn dangerous_stands_in_one_file_of_the_clients_net() {
    let code = "let config = builder.dangerous().with_custom_certificate_verifier(verifier);";
    keeps("core/client/src/net/tls.rs", code);
    breaks("core/client/src/driver.rs", code);
    breaks("core/trust/src/verifier.rs", code);
    breaks("apps/cli/src/main.rs", "ConfigBuilder::dangerous(builder)");
    let (one, other) = ("core/client/src/net/a.rs", "core/client/src/net/b.rs");
    assert_eq!(check(&[SourceFile::new(one, code), SourceFile::new(other, code)]).len(), 1);
    keeps("core/client/src/lib.rs", "/// `.dangerous()` is net's.\nfn dangerously_named() {}");
}

#[test]
fn a_server_is_asserted_once_and_in_trust() {
    let code = "Ok(ServerCertVerified::assertion())";
    keeps("core/trust/src/verifier.rs", code);
    breaks("core/client/src/net/tls.rs", code);
    breaks("core/trust/src/verifier.rs", &format!("{code}\n{code}"));
    breaks("core/trust/src/verifier.rs", "Ok(HandshakeSignatureValid::assertion())");
}

#[test]
fn uniffi_stays_in_bindings() {
    breaks("core/client/src/lib.rs", "#[derive(uniffi::Record)] struct A;");
    breaks("apps/cli/src/main.rs", "uniffi::setup_scaffolding!();");
    keeps("bindings/ffi/src/lib.rs", "uniffi::setup_scaffolding!();");
}

#[test]
fn nothing_refers_to_a_path_outside_the_project() {
    let machine = concat!("/", "home/somebody/notes.md");
    breaks("README.md", machine);
    breaks("core/sip/src/lib.rs", &format!("// see {machine}"));
    breaks("tests/run", concat!("cp x /", "work/y"));
    keeps("README.md", "https://example.org/home/page and $HOME/x");
    breaks("README.md", "see ../notes/wire.md");
    breaks("core/sip/Cargo.toml", "path = \"../../../elsewhere\"");
    keeps("core/sip/Cargo.toml", "path = \"../../tests/pki\"");
}

#[test]
fn a_violation_names_its_line() {
    let found = violations("core/sip/src/lib.rs", "//! Crate.\n\nfn f() {\n    tokio::spawn(g);\n}\n");
    assert_eq!(
        found.iter().map(|violation| violation.place.as_str()).collect::<Vec<_>>(),
        ["core/sip/src/lib.rs:4"]
    );
}
