//! What the command does with what people type, seen from outside: no network is touched by any of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test: what cannot be had fails it"
)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A home of its own: nothing of the one who runs the tests is read or written.
fn aldis(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aldis"));
    command.current_dir(home).env("HOME", home).env("NO_COLOR", "1").stdin(Stdio::null());
    for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "ALDIS_PASSWORD", "RUST_LOG"] {
        command.env_remove(name);
    }
    command
}

#[track_caller]
fn fails_with(code: i32, output: &Output, words: &str) {
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert_eq!(stdout, "", "results only on standard output");
    assert!(stderr.contains(words), "{words:?} in {stderr:?}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[track_caller]
fn refused(arguments: &[&str], words: &str) {
    let home = tempfile::tempdir().unwrap();
    fails_with(2, &aldis(home.path()).args(arguments).output().unwrap(), words);
}

const ALICE: [&str; 4] = ["--account", "sip:alice@example.test", "--address", "127.0.0.1:1"];

#[track_caller]
fn refused_for_alice(arguments: &[&str], words: &str) {
    refused(&[&arguments[..1], &ALICE[..], &arguments[1..]].concat(), words);
}

#[test]
fn wrong_usage_ends_with_2() {
    refused(&[], "Usage");
    refused(&["frobnicate"], "unrecognized subcommand");
    refused(&["send"], "<TO>");
    refused(&["chat"], "<TO>");
    refused(&["listen", "--count", "0"], "--count");
    refused(&["register", "--password", "builder"], "unexpected argument");
    refused(&["register", "--roots", "a", "--add-roots", "b"], "cannot be used with");
}

#[test]
fn nobody_in_particular_cannot_register() {
    refused(&["register"], "--account sip:alice@example.test");
}

#[test]
fn an_account_that_is_none_ends_with_2() {
    for account in ["alice", "sip:example.test", "tel:+1", "sip:a@b..c", "sip:alice@example.test:5061"] {
        refused(&["register", "--once", "--account", account], "--account:");
    }
}

#[test]
fn a_recipient_that_is_none_ends_with_2_and_nothing_is_sent() {
    for to in ["", "sip:bob@", "tel:+1", "bob smith", "sip:example.test"] {
        refused_for_alice(&["send", to, "hello"], "sip:");
    }
}

#[test]
fn values_that_are_none_name_their_option() {
    for (option, value) in [
        ("--address", "nowhere"),
        ("--address", "127.0.0.1"),
        ("--proxy", "a b"),
        ("--server-name", "sip.example.test:5061"),
        ("--pin", "sha256/short"),
        ("--instance", "1234"),
        ("--max-message", "10"),
        ("--display-name", "a\r\nX: y"),
    ] {
        refused_for_alice(&["register", "--once", option, value], &format!("{option}: "));
    }
}

#[test]
fn roots_that_cannot_be_read_are_named_with_the_reason() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("empty.pem"), "").unwrap();
    std::fs::write(
        home.path().join("bad.pem"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    for (option, file, words) in [
        ("--roots", "missing.pem", "No such file"),
        ("--roots", "empty.pem", "no certificate"),
        ("--add-roots", "bad.pem", "no root that can be used"),
    ] {
        let output =
            aldis(home.path()).arg("register").args(ALICE).args(["--once", option, file]).output().unwrap();
        fails_with(2, &output, words);
        fails_with(2, &output, file);
        fails_with(2, &output, option);
    }
}

#[test]
fn files_that_are_not_what_they_should_be_are_named_with_the_reason() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("empty"), "").unwrap();
    std::fs::write(home.path().join("text"), "hello").unwrap();
    std::fs::write(home.path().join("bad.crl"), "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")
        .unwrap();
    for (options, words) in [
        (&["--crl", "missing"][..], "--crl: missing cannot be read"),
        (&["--crl", "empty"], "--crl: empty"),
        (&["--crl", "bad.crl"], "--crl: bad.crl is no revocation list"),
        (&["--client-cert", "missing", "--client-key", "text"], "--client-cert: missing cannot be read"),
        (&["--client-cert", "text", "--client-key", "missing"], "--client-key: missing cannot be read"),
        (&["--client-cert", "text", "--client-key", "text"], "--client-cert: text"),
        (&["--pkcs12", "missing"], "--pkcs12: missing cannot be read"),
        (&["--pkcs12", "text"], "--pkcs12: text"),
    ] {
        let output =
            aldis(home.path()).arg("register").args(ALICE).arg("--once").args(options).output().unwrap();
        fails_with(2, &output, words);
    }
}

#[test]
fn the_environment_does_not_choose_the_systems_roots() {
    let home = tempfile::tempdir().unwrap();
    let output = aldis(home.path())
        .arg("register")
        .args(ALICE)
        .args(["--once", "--system-roots"])
        .env("SSL_CERT_FILE", "/nonexistent/evil.pem")
        .output()
        .unwrap();
    fails_with(2, &output, "--system-roots: the variable SSL_CERT_FILE");
}

#[test]
fn passwords_that_cannot_be_used_are_refused_and_never_shown() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("two"), "builder\nsinger\n").unwrap();
    std::fs::write(home.path().join("empty"), "\n").unwrap();
    for (file, words) in [("missing", "cannot be read"), ("two", "several lines"), ("empty", "is empty")] {
        let output = aldis(home.path())
            .arg("register")
            .args(ALICE)
            .args(["--once", "--password-file", file])
            .output()
            .unwrap();
        fails_with(2, &output, words);
        assert!(!text(&output.stderr).contains("builder"));
    }
    let output = aldis(home.path())
        .arg("register")
        .args(ALICE)
        .arg("--once")
        .env("ALDIS_PASSWORD", "")
        .output()
        .unwrap();
    fails_with(2, &output, "ALDIS_PASSWORD is set but empty");
}

#[test]
fn a_configuration_file_that_is_wrong_is_named_with_line_and_key() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("aldis.toml");
    std::fs::write(&file, "[accounts.home]\naccount = \"sip:alice@example.test\"\nproxy = \"a b\"\n")
        .unwrap();
    let output = aldis(home.path()).args(["register", "--once", "--config", "aldis.toml"]).output().unwrap();
    fails_with(2, &output, "aldis.toml, line 3, key `proxy`:");
    std::fs::write(&file, "[accounts.home]\naccuont = \"sip:alice@example.test\"\n").unwrap();
    let output = aldis(home.path()).args(["register", "--once", "--config", "aldis.toml"]).output().unwrap();
    fails_with(2, &output, "line 2");
    fails_with(2, &output, "unknown field `accuont`");
    let output = aldis(home.path()).args(["register", "--use", "home"]).output().unwrap();
    fails_with(2, &output, "there is no configuration file");
}

#[cfg(target_os = "linux")]
#[test]
fn the_configuration_file_of_the_platform_is_found() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("xdg/aldis");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.toml"), "[accounts.home]\naccount = \"nobody\"\n").unwrap();
    let output = aldis(home.path())
        .args(["register", "--once"])
        .env("XDG_CONFIG_HOME", home.path().join("xdg"))
        .output();
    fails_with(2, &output.unwrap(), "aldis/config.toml, line 2, key `account`: \"nobody\"");
}

#[test]
fn messages_that_cannot_be_sent_end_with_2() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("binary"), [0xff, 0xfe]).unwrap();
    std::fs::write(home.path().join("large"), vec![b'x'; 100 << 10]).unwrap();
    let send =
        |more: &[&str]| aldis(home.path()).args(["send", "bob"]).args(ALICE).args(more).output().unwrap();
    fails_with(2, &send(&["--file", "missing"]), "missing cannot be read");
    fails_with(2, &send(&["--file", "binary"]), "not UTF-8");
    fails_with(2, &send(&["--file", "large"]), "too large");
    fails_with(2, &send(&[]), "nothing to send");
    fails_with(2, &send(&["hello", "--content-type", "nonsense"]), "--content-type");
    fails_with(2, &send(&[&"x".repeat(8000)]), "too large");
}

#[test]
fn a_huge_standard_input_is_refused_before_it_is_read() {
    let home = tempfile::tempdir().unwrap();
    let mut child = aldis(home.path())
        .args(["send", "bob"])
        .args(ALICE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let piece = vec![b'x'; 1 << 20];
    let written = (0..100).take_while(|_| stdin.write_all(&piece).is_ok()).count();
    assert!(written < 100, "it stopped reading");
    drop(stdin);
    fails_with(2, &child.wait_with_output().unwrap(), "too large");
}

#[test]
fn completions_are_printed_for_every_shell() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = aldis(home.path()).args(["completions", shell]).output().unwrap();
        assert!(output.status.success());
        assert!(text(&output.stdout).contains("inspect"), "{shell}");
    }
}

#[test]
fn help_and_version_are_results() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [&["--help"][..], &["help", "send"], &["listen", "--help"], &["--version"]] {
        let output = aldis(home.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        assert!(text(&output.stdout).contains("aldis"), "{arguments:?}");
        assert_eq!(text(&output.stderr), "");
    }
}
