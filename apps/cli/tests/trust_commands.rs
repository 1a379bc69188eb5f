//! `aldis trust` seen from outside, with certificates of a throw-away authority.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test that cannot go on ends here

use aldis_pki::{Ca, CertificateStatus, Issued, OcspAnswer, RevocationList, Template, self_signed, to_pem};
use base64::Engine;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const NOW: i64 = 1_800_000_000;
/// [`NOW`] as people and options write it.
const TIME: &str = "2027-01-15T08:00:00Z";
const DAY: i64 = 86_400;
const DOMAIN: &str = "example.test";

/// A folder with an authority: `root.pem`, and `server.pem` with a good chain.
struct World {
    home: tempfile::TempDir,
    root: Ca,
    issuing: Ca,
}

impl World {
    fn new() -> World {
        let root = Ca::new("Aldis Test Root", NOW).unwrap();
        let issuing = root.intermediate(Template::authority("Aldis Test Issuing CA")).unwrap();
        let world = World { home: tempfile::tempdir().unwrap(), root, issuing };
        world.write("root.pem", world.root.root_pem());
        world.write("server.pem", world.server().chain_pem());
        world
    }

    fn server(&self) -> Issued {
        self.issuing.issue(Template::server(DOMAIN)).unwrap()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.home.path().join(name), content).unwrap();
    }

    fn aldis(&self, arguments: &[&str]) -> Output {
        command(self.home.path()).args(arguments).output().unwrap()
    }

    /// `trust check` with what every check has.
    fn check(&self, more: &[&str]) -> Output {
        self.aldis(&[&["trust", "check", "--time", TIME][..], more].concat())
    }

    /// The verdict on `chain` for the domain, with more options.
    fn verdict(&self, more: &[&str]) -> Value {
        let output = self.check(&[&["--roots", "root.pem", "--json"][..], more].concat());
        let verdict: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        let expected = if verdict["verdict"] == "accept" { 0 } else { 1 };
        assert_eq!(output.status.code(), Some(expected), "{verdict}");
        verdict
    }

    /// What `trust batch` answers to these lines.
    fn batch(&self, input: &[u8]) -> Vec<Value> {
        let mut child = command(self.home.path())
            .args(["trust", "batch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        assert_eq!(output.status.code(), Some(0));
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aldis"));
    command.current_dir(home).env("HOME", home).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Digests and keys differ from run to run.
fn without_digests(text: &str) -> String {
    let is_digest = |word: &str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let line = |line: &str| match line.rsplit_once(' ') {
        Some((before, word)) if is_digest(word) => format!("{before} [SHA-256]"),
        Some((before, word)) if word.starts_with("sha256/") => format!("{before} [pin]"),
        _ => line.to_owned(),
    };
    text.lines().map(|text| line(text) + "\n").collect()
}

const CHECK: [&str; 4] = ["--chain", "server.pem", "--host", DOMAIN];

#[test]
fn a_good_chain_is_accepted_with_its_path() {
    let world = World::new();
    let verdict = world.verdict(&CHECK);
    assert_eq!(verdict["verdict"], "accept");
    assert_eq!(verdict["identity"]["matched"], "dns");
    assert_eq!(verdict["path"].as_array().unwrap().len(), 3);
    let output = world.check(&["--roots", "root.pem", "--chain", "server.pem", "--host", DOMAIN]);
    insta::assert_snapshot!("accepted", without_digests(&text(&output.stdout)));
}

/// The classic troubles, as the command shows them.
#[test]
fn each_classic_trouble_is_explained() {
    let world = World::new();
    let foreign = Ca::new("Corp Root CA", NOW).unwrap();
    let foreign_issuing = foreign.intermediate(Template::authority("Corp Issuing CA 2")).unwrap();
    let lookalike = Ca::new("Aldis Test Root", NOW).unwrap();
    let server = || Template::server(DOMAIN);
    let issue = |template: Template| world.issuing.issue(template).unwrap();
    let mut shown = String::new();
    let wildcard = issue(server().no_names().dns("*.example.test")).chain_pem();
    for (name, chain, host, time) in [
        ("expired", issue(server().valid(NOW - 365 * DAY, NOW - 3 * DAY)).chain_pem(), DOMAIN, TIME),
        ("wrong host", issue(server().no_names().dns("www.other.test")).chain_pem(), DOMAIN, TIME),
        ("unknown CA", foreign.issue(server()).unwrap().chain_pem() + &foreign.root_pem(), DOMAIN, TIME),
        ("missing intermediate", to_pem("CERTIFICATE", &world.server().certificate()), DOMAIN, TIME),
        ("self-signed", self_signed(server(), NOW).unwrap().chain_pem(), DOMAIN, TIME),
        ("clock wrong by years", world.server().chain_pem(), DOMAIN, "2019-01-15T08:00:00Z"),
        (
            "impostor root",
            lookalike.issue(server()).unwrap().chain_pem() + &lookalike.root_pem(),
            DOMAIN,
            TIME,
        ),
        ("enterprise CA not installed", foreign_issuing.issue(server()).unwrap().chain_pem(), DOMAIN, TIME),
        ("wildcard only", wildcard, "sip.example.test", TIME),
    ] {
        world.write("chain.pem", chain);
        let output = world.aldis(&[
            "trust",
            "check",
            "--roots",
            "root.pem",
            "--chain",
            "chain.pem",
            "--host",
            host,
            "--time",
            time,
        ]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        let text = text(&output.stdout);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        shown.push_str(&format!("## {name}\n{}\n", without_digests(&text)));
    }
    insta::assert_snapshot!("troubles", shown);
}

#[test]
fn the_rest_of_the_chain_may_come_in_any_order_and_from_several_files() {
    let world = World::new();
    let deeper = world.issuing.intermediate(Template::authority("Deeper")).unwrap();
    let chain = deeper.issue(Template::server(DOMAIN)).unwrap().chain();
    world.write("leaf.der", &chain[0]);
    world.write("rest.pem", to_pem("CERTIFICATE", &chain[2]) + &to_pem("CERTIFICATE", &chain[1]));
    world.write("root.der", world.root.root_der());
    let verdict = world.verdict(&["--chain", "leaf.der", "--chain", "rest.pem", "--host", DOMAIN]);
    assert_eq!(verdict["verdict"], "accept");
    let output =
        world.check(&["--roots", "root.der", "--chain", "leaf.der", "--chain", "rest.pem", "--host", DOMAIN]);
    assert_eq!(output.status.code(), Some(0));
    let verdict =
        world.verdict(&["--chain", "leaf.der", "--chain", "rest.pem", "--host", DOMAIN, "--max-depth", "1"]);
    assert_eq!(verdict["code"], "too-deep");
}

#[test]
fn a_chain_that_cannot_be_read_is_a_judgement() {
    let world = World::new();
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (content, code) in [
        (String::new(), "no-certificate"),
        ("junk".to_owned(), "malformed-certificate"),
        (broken.to_owned(), "malformed-certificate"),
        (world.server().chain_pem() + broken, "malformed-certificate"),
        ("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n".to_owned(), "malformed-certificate"),
    ] {
        world.write("chain.pem", content);
        assert_eq!(world.verdict(&["--chain", "chain.pem", "--host", DOMAIN])["code"], code);
    }
}

#[test]
fn a_root_that_cannot_be_read_is_skipped_and_none_left_refuses() {
    let world = World::new();
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    world.write("mixed.pem", broken.to_owned() + &world.root.root_pem());
    world.write("none.pem", broken);
    let check = |roots: &str| {
        let output = world.check(&["--roots", roots, "--chain", "server.pem", "--host", DOMAIN]);
        assert!(text(&output.stderr).contains("warning: a root is skipped"), "{output:?}");
        output
    };
    assert_eq!(check("mixed.pem").status.code(), Some(0));
    let output = check("none.pem");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("no-trusted-roots"));
}

#[test]
fn usage_and_files_that_cannot_be_read_end_with_2() {
    let world = World::new();
    world.write("text", "hello");
    for (arguments, words) in [
        (
            &["--roots", "missing", "--chain", "server.pem", "--host", DOMAIN][..],
            "--roots: missing cannot be read",
        ),
        (&["--chain", "missing", "--host", DOMAIN], "--chain: missing cannot be read"),
        (
            &["--chain", "server.pem", "--host", "example.test:5061"],
            "--host: \"example.test:5061\" has a port",
        ),
        (&["--chain", "server.pem", "--host", "[::1]:5061"], "has a port"),
        (&["--chain", "server.pem", "--host", "192.0.2.1:5061"], "has a port"),
        (&["--chain", "server.pem", "--host", "a..b"], "--host: \"a..b\" is neither"),
        (&["--chain", "server.pem", "--host", DOMAIN, "--crl", "text"], "--crl: text is no revocation list"),
        (&["--chain", "server.pem", "--host", DOMAIN, "--crl", "missing"], "--crl: missing cannot be read"),
        (&["--chain", "server.pem", "--host", DOMAIN, "--ocsp", "missing"], "--ocsp: missing cannot be read"),
        (&["--chain", "server.pem", "--host", DOMAIN, "--pin", "sha256/x"], "--pin: "),
        (&["--chain", "server.pem", "--host", DOMAIN, "--server-name", "a b"], "--server-name: "),
        (&["--chain", "server.pem", "--host", DOMAIN, "--profile", "mail"], "--profile"),
        (&["--chain", "server.pem"], "--host"),
    ] {
        let output = world.check(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(text(&output.stdout), "");
        assert!(text(&output.stderr).contains(words), "{words}: {}", text(&output.stderr));
    }
    let output =
        world.aldis(&["trust", "check", "--chain", "server.pem", "--host", DOMAIN, "--time", "yesterday"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn hosts_may_be_names_and_addresses() {
    let world = World::new();
    let template = Template::server("bücher.example").no_names().dns("xn--bcher-kva.example");
    let template = template.ip("192.0.2.1".parse().unwrap()).ip("2001:db8::1".parse().unwrap());
    world.write("chain.pem", world.issuing.issue(template).unwrap().chain_pem());
    for (host, matched) in [
        ("BÜCHER.example", "dns"),
        ("xn--bcher-kva.example.", "dns"),
        ("192.0.2.1", "ip"),
        ("2001:db8::1", "ip"),
        ("[2001:DB8::1]", "ip"),
    ] {
        let verdict = world.verdict(&["--chain", "chain.pem", "--host", host]);
        assert_eq!(
            (&verdict["verdict"], &verdict["identity"]["matched"]),
            (&json!("accept"), &json!(matched)),
            "{host}"
        );
    }
}

#[test]
fn revocation_is_judged_in_every_mode() {
    let world = World::new();
    let server = world.server();
    world.write("chain.pem", server.chain_pem());
    let list = |revoked: bool, from: i64, to: i64| {
        let list = RevocationList::new(from, to);
        let list = if revoked { list.revoke(server.serial_number()) } else { list };
        list.signed_by(&world.issuing).unwrap()
    };
    let root_list = RevocationList::new(NOW - DAY, NOW + DAY).signed_by(&world.root).unwrap();
    world.write("root.crl", RevocationList::to_pem(&root_list));
    world.write("good.crl", list(false, NOW - DAY, NOW + DAY));
    world.write("bad.crl", list(true, NOW - DAY, NOW + DAY));
    world.write("old.crl", list(false, NOW - 9 * DAY, NOW - 2 * DAY));
    let verdict = |crl: &str, mode: &str| {
        let arguments = [
            "--chain",
            "chain.pem",
            "--host",
            DOMAIN,
            "--crl",
            "root.crl",
            "--crl",
            crl,
            "--revocation",
            mode,
        ];
        world.verdict(&arguments)
    };
    assert_eq!(verdict("good.crl", "require")["verdict"], "accept");
    for mode in ["require", "prefer", "off"] {
        assert_eq!(verdict("bad.crl", mode)["code"], "revoked", "{mode}");
    }
    assert_eq!(verdict("old.crl", "require")["verdict"], "reject");
    assert_eq!(verdict("old.crl", "prefer")["verdict"], "accept");

    let staple = |status| {
        OcspAnswer::new(server.serial_number(), status, NOW - DAY, NOW + DAY)
            .signed_by(&world.issuing)
            .unwrap()
    };
    let stapled = ["--chain", "chain.pem", "--host", DOMAIN, "--ocsp", "staple.der"];
    world.write("staple.der", staple(CertificateStatus::Good));
    assert_eq!(world.verdict(&stapled)["verdict"], "accept");
    world.write("staple.der", staple(CertificateStatus::Unknown));
    assert_eq!(world.verdict(&stapled)["code"], "staple-unknown");
    world.write("staple.der", "junk");
    assert_eq!(world.verdict(&stapled)["code"], "staple-invalid");
}

#[test]
fn options_of_the_policy_reach_the_judgement() {
    let world = World::new();
    let chain =
        |template: Template| world.write("chain.pem", world.issuing.issue(template).unwrap().chain_pem());
    let verdict = |host: &str, more: &[&str]| {
        world.verdict(&[&["--chain", "chain.pem", "--host", host][..], more].concat())
    };
    chain(Template::server(DOMAIN).no_names().dns("*.example.test"));
    assert_eq!(verdict("sip.example.test", &[])["code"], "wildcard-not-allowed");
    assert_eq!(verdict("sip.example.test", &["--allow-wildcard"])["identity"]["matched"], "wildcard");
    assert_eq!(verdict("sip.example.test", &["--profile", "web"])["verdict"], "accept");
    chain(Template::server("pool.example.test"));
    assert_eq!(
        verdict(DOMAIN, &["--server-name", "pool.example.test"])["identity"]["matched"],
        "server-name"
    );
    chain(Template::server(DOMAIN).no_purposes());
    assert_eq!(verdict(DOMAIN, &[])["verdict"], "accept");
    assert_eq!(verdict(DOMAIN, &["--level", "strict"])["verdict"], "reject");
    let wrong = format!("sha256/{}", base64::engine::general_purpose::STANDARD.encode([0; 32]));
    assert_eq!(verdict(DOMAIN, &["--pin", &wrong])["code"], "pin-mismatch");
    let shown = world.aldis(&["trust", "show", "--json", "chain.pem"]);
    let first: Value = serde_json::from_str(text(&shown.stdout).lines().next().unwrap()).unwrap();
    assert_eq!(
        verdict(DOMAIN, &["--pin", &wrong, "--pin", first["pin"].as_str().unwrap()])["verdict"],
        "accept"
    );
}

#[test]
fn a_batch_answers_every_line_in_its_order_and_goes_on_after_bad_ones() {
    let world = World::new();
    let (root, chain) = (world.root.root_pem(), world.server().chain_pem());
    let good = |id: Value| json!({"id": id, "roots": [root], "chain": [chain], "host": DOMAIN, "time": TIME});
    let mut lines = vec![
        good(json!("first")).to_string(),
        "not json".to_owned(),
        "[1]".to_owned(),
        String::new(),
        json!({"id": 7, "roots": [root], "chain": [chain]}).to_string(),
        json!({"id": 8, "roots": [root], "chain": [chain], "host": "example.test:5061"}).to_string(),
        json!({"id": 9, "roots": [root], "chain": [], "host": DOMAIN, "time": null}).to_string(),
        json!({"id": {"a": 1}, "roots": [null, "junk", root], "chain": chain, "host": DOMAIN, "time": NOW})
            .to_string(),
        json!({"id": 11, "roots": [], "chain": ["junk"], "host": DOMAIN}).to_string(),
        json!({"id": 12, "roots": [root], "chain": [chain], "host": DOMAIN, "crls": ["junk"]}).to_string(),
        json!({"id": 13, "roots": [root], "chain": [chain], "host": DOMAIN, "level": "lax"}).to_string(),
    ];
    lines.extend((100..400).map(|id| good(json!(id)).to_string()));
    let answers = world.batch(lines.join("\n").as_bytes());
    assert_eq!(answers.len(), lines.len());
    let (first, rest) = answers.split_at(11);
    let said: Vec<(Value, Value)> = first
        .iter()
        .map(|answer| {
            let said =
                answer.get("verdict").cloned().unwrap_or_else(|| json!(answer["error"].as_str().is_some()));
            (answer["id"].clone(), said)
        })
        .collect();
    assert_eq!(
        said,
        [
            (json!("first"), json!("accept")),
            (json!(null), json!(true)),
            (json!(null), json!(true)),
            (json!(null), json!(true)),
            (json!(7), json!(true)),
            (json!(8), json!(true)),
            (json!(9), json!("reject")),
            (json!({"a": 1}), json!("accept")),
            (json!(11), json!("reject")),
            (json!(12), json!(true)),
            (json!(13), json!(true)),
        ]
    );
    for (answer, id) in rest.iter().zip(100..) {
        assert_eq!((&answer["id"], &answer["verdict"]), (&json!(id), &json!("accept")));
    }
}

#[test]
fn a_batch_takes_every_option_of_a_check() {
    let world = World::new();
    let server = world.issuing.issue(Template::server(DOMAIN).no_names().dns("*.example.test")).unwrap();
    let deep = world.issuing.intermediate(Template::authority("Deeper")).unwrap();
    let list =
        RevocationList::new(NOW - DAY, NOW + DAY).revoke(server.serial_number()).signed_by(&world.issuing);
    let staple = OcspAnswer::new(server.serial_number(), CertificateStatus::Unknown, NOW - DAY, NOW + DAY)
        .signed_by(&world.issuing)
        .unwrap();
    let staple = base64::engine::general_purpose::STANDARD.encode(staple);
    let base = json!({"roots": [world.root.root_pem()], "chain": [server.chain_pem()], "host": "a.example.test",
                      "time": TIME, "allow_wildcard": true});
    let with = |members: Value| {
        let mut line = base.clone();
        line.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        line.to_string()
    };
    let lines = [
        with(json!({})),
        with(json!({"allow_wildcard": false})),
        with(json!({"allow_wildcard": null, "profile": "web"})),
        with(json!({"crls": [RevocationList::to_pem(&list.unwrap())]})),
        with(json!({"revocation": "require"})),
        with(json!({"ocsp": staple})),
        with(json!({"pins": ["sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]})),
        with(
            json!({"chain": deep.issue(Template::server("a.example.test")).unwrap().chain_pem(), "max_depth": 1}),
        ),
        with(
            json!({"host": DOMAIN, "chain": world.issuing.issue(Template::server("p.test")).unwrap().chain_pem(),
                    "server_names": ["p.test"]}),
        ),
    ];
    let answers = world.batch(lines.join("\n").as_bytes());
    let codes: Vec<&str> = answers
        .iter()
        .map(|answer| answer["code"].as_str().or_else(|| answer["verdict"].as_str()).unwrap_or("error"))
        .collect();
    assert_eq!(
        codes,
        [
            "accept",
            "wildcard-not-allowed",
            "accept",
            "revoked",
            "revocation-unknown",
            "staple-unknown",
            "pin-mismatch",
            "too-deep",
            "accept"
        ]
    );
}

#[test]
fn a_line_gets_its_verdict_before_the_next_one_is_there() {
    let world = World::new();
    let mut child = command(world.home.path())
        .args(["trust", "batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    for id in 0..3 {
        writeln!(stdin, "{}", json!({"id": id, "host": DOMAIN, "chain": [], "roots": []})).unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["id"], id);
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_line_without_end_is_passed_over() {
    let world = World::new();
    let mut input = vec![b'x'; 33 << 20];
    input.extend(format!("\n{}\n", json!({"id": 1, "host": DOMAIN})).bytes());
    let answers = world.batch(&input);
    assert_eq!(answers.len(), 2);
    assert!(answers[0]["error"].as_str().unwrap().contains("longer than 32 MiB"));
    assert_eq!((&answers[0]["id"], &answers[1]["id"]), (&json!(null), &json!(1)));
}

#[test]
fn certificates_and_lists_are_shown_as_a_person_reads_them() {
    let world = World::new();
    let template = Template::server(DOMAIN)
        .uri("sip:example.test")
        .dns("*.example.test")
        .crl_url("http://ca.test/a.crl");
    let server = world.issuing.issue(template.must_staple().valid(NOW - 300 * DAY, NOW + 5 * DAY)).unwrap();
    let expired = world.issuing.issue(Template::server(DOMAIN).expired(NOW)).unwrap();
    let list = RevocationList::new(NOW - DAY, NOW + 6 * DAY).revoke(server.serial_number());
    let bundle = server.chain_pem()
        + &to_pem("CERTIFICATE", &expired.certificate())
        + &RevocationList::to_pem(&list.signed_by(&world.issuing).unwrap())
        + &server.key_pem();
    world.write("bundle.pem", bundle);
    let output = world.aldis(&["trust", "show", "bundle.pem", "root.pem", "--time", TIME]);
    assert_eq!(output.status.code(), Some(0));
    let shown = text(&output.stdout);
    assert!(!shown.contains("PRIVATE KEY") && !shown.contains('\x1b'));
    insta::assert_snapshot!("shown", without_digests(&shown));

    let output = world.aldis(&["trust", "show", "bundle.pem", "--json", "--time", TIME]);
    let lines: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["certificate", "certificate", "certificate", "revocation-list", "other"]);
    assert_eq!(lines[0]["expires_in_days"], 5);
    assert_eq!(lines[0]["crl_urls"], json!(["http://ca.test/a.crl"]));
}

#[test]
fn what_a_stranger_wrote_into_a_certificate_moves_no_cursor() {
    let world = World::new();
    let name = "evil\u{1b}[2J\u{202e}\r\nsubject: good";
    let server = world.issuing.issue(Template::server(DOMAIN).common_name(name)).unwrap();
    world.write("chain.pem", server.chain_pem());
    for arguments in [
        &["trust", "show", "chain.pem"][..],
        &["trust", "check", "--chain", "chain.pem", "--host", DOMAIN, "--roots", "root.pem"],
        &["trust", "check", "--chain", "chain.pem", "--host", "other.test", "--roots", "root.pem", "--json"],
    ] {
        let shown = text(&world.aldis(arguments).stdout);
        assert!(shown.contains("evil"), "{shown}");
        assert!(!shown.contains(['\u{1b}', '\u{202e}', '\r']), "{shown:?}");
    }
}

#[test]
fn files_that_hold_nothing_to_show_end_with_2() {
    let world = World::new();
    world.write("empty", "");
    world.write("text", "hello");
    world.write("bad.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    for file in ["missing", "empty", "text", "bad.pem"] {
        let output = world.aldis(&["trust", "show", file, "root.pem"]);
        assert_eq!(output.status.code(), Some(2), "{file}");
        assert!(text(&output.stdout).contains("Aldis Test Root"), "the others are shown all the same");
    }
}

#[test]
fn every_code_is_listed_with_its_meaning() {
    let world = World::new();
    let output = world.aldis(&["trust", "codes", "--json"]);
    let listed: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected: Vec<&str> = aldis_trust::Code::ALL.iter().map(|code| code.as_str()).collect();
    let found: Vec<&str> = listed.iter().map(|line| line["code"].as_str().unwrap()).collect();
    assert_eq!(found, expected);
    let words = text(&world.aldis(&["trust", "codes"]).stdout);
    assert!(words.lines().all(|line| line.chars().count() <= 80), "{words}");
    for line in &listed {
        assert!(line["meaning"].as_str().unwrap().ends_with('.') && line["who"].is_string(), "{line}");
        assert!(words.contains(line["code"].as_str().unwrap()), "{line}");
    }
}
