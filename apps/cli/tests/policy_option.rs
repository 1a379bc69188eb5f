//! `--policy FILE`: the administrator's file in place of the trust options.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used)] // a test that cannot go on ends here

use std::process::{Command, Output};

fn aldis(policy: &str, more: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("policy.toml");
    std::fs::write(&file, policy).unwrap();
    Command::new(env!("CARGO_BIN_EXE_aldis"))
        .args([
            "register",
            "--once",
            "--account",
            "sip:alice@example.test",
            "--address",
            "127.0.0.1:1",
            "--timeout",
            "2",
        ])
        .arg("--policy")
        .arg(&file)
        .args(more)
        .env("ALDIS_PASSWORD", "x")
        .env("HOME", home.path())
        .env("XDG_DATA_HOME", home.path())
        .env("XDG_CACHE_HOME", home.path())
        .output()
        .unwrap()
}

#[test]
fn a_mistake_is_named_with_file_and_line_and_nothing_is_sent() {
    for (policy, words) in [
        ("[default]\nlevel = \"lax\"\n", "line 2: \"lax\" is not possible here"),
        ("[default]\nroot = [\"a.pem\"]\n", "line 2"),
        ("[domain.\"example.test\"]\nroots = [\"missing.pem\"]\n", "line 2: missing.pem"),
    ] {
        let output = aldis(policy, &[]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("policy.toml") && text.contains(words), "{text}");
    }
}

#[test]
fn a_policy_goes_with_no_trust_option_and_connects() {
    assert_eq!(aldis("[default]\nlevel = \"strict\"\n", &["--allow-wildcard"]).status.code(), Some(2));
    assert_eq!(aldis("[default]\nlevel = \"strict\"\n", &[]).status.code(), Some(5));
}
