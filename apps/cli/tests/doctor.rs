//! `aldis doctor` against servers of every kind, on loopback.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test that cannot go on ends here

mod dns;

use aldis_pki::{Ca, Issued, Template, self_signed};
use aldis_registrar::{Impostor, Options, Registrar, ServerCertificate};
use dns::Dns;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Output, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::process::Command;

const DOMAIN: &str = "example.test";
const DAY: i64 = 86_400;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

/// A folder with `root.pem`, and its authority.
struct World {
    home: tempfile::TempDir,
    root: Ca,
}

impl World {
    fn new() -> World {
        let root = Ca::new("Aldis Test Root", now()).unwrap();
        let world = World { home: tempfile::tempdir().unwrap(), root };
        world.write("root.pem", &world.root.root_pem());
        world
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.home.path().join(name), text).unwrap();
    }

    fn issue(&self, template: Template) -> Issued {
        self.root.issue(template).unwrap()
    }

    async fn doctor(&self, arguments: &[&str]) -> Output {
        self.aldis(&[&["doctor"], arguments].concat()).await
    }

    async fn aldis(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aldis"));
        command
            .current_dir(self.home.path())
            .env("HOME", self.home.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "ALDIS_PASSWORD", "RUST_LOG"] {
            command.env_remove(name);
        }
        command.args(arguments).output().await.unwrap()
    }

    /// Examines the domain at an address, and gives exit status and words.
    async fn at(&self, address: &str, more: &[&str]) -> (i32, String) {
        let arguments = [DOMAIN, "--roots", "root.pem", "--address", address, "--timeout", "20"];
        let output = self.doctor(&[&arguments[..], more].concat()).await;
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(!shown.contains('\u{1b}'), "no colour where nobody looks: {shown:?}");
        let is_laid_out = |line: &str| line.chars().count() <= 80 || !line.trim().contains(' ');
        assert!(shown.lines().all(is_laid_out), "{shown}");
        (output.status.code().unwrap(), one_line(&shown))
    }
}

/// Words as they follow each other, however the lines were broken.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn says(found: &(i32, String), exit: i32, words: &[&str]) {
    assert_eq!(found.0, exit, "{}", found.1);
    for words in words {
        assert!(found.1.contains(words), "{words:?} in {}", found.1);
    }
}

async fn impostor(issued: &Issued) -> Impostor {
    Impostor::start(ServerCertificate::new(issued.chain(), issued.key())).await.unwrap()
}

/// A server that does `serve` with every connection; it ends with the test's process.
fn plain(serve: impl Fn(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            serve(stream);
        }
    });
    address
}

/// One TLS record's content, if a whole one came.
fn record(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = [0; 5];
    stream.read_exact(&mut head).ok()?;
    let mut content = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    stream.read_exact(&mut content).ok()?;
    Some(content)
}

#[tokio::test]
async fn a_good_server_is_found_trusted_and_told_nothing() {
    let world = World::new();
    let server = impostor(&world.issue(Template::server(DOMAIN))).await;
    let found = world.at(&server.address().to_string(), &[]).await;
    says(
        &found,
        0,
        &[
            "ok whom The server must prove to be example.test, the domain that you named.",
            "One authority is trusted.",
            "speaks TLS 1.3",
            "key exchange: X25519MLKEM768, which a quantum computer does not break",
            "presents one certificate.",
            "ok trust The server proves to be example.test, by the DNS name example.test in the certificate.",
            "warn revocation",
            "ok result example.test can be reached, and is trusted.",
        ],
    );
    assert_eq!(server.application_bytes(), 0, "there is no account to ask for");
}

/// Each classic trouble: what is said, and that the server was told nothing.
#[tokio::test]
async fn an_untrusted_server_is_refused_with_its_reason_and_told_nothing() {
    let world = World::new();
    let issuing = world.root.intermediate(Template::authority("Aldis Test Issuing CA")).unwrap();
    let server = || Template::server(DOMAIN);
    let foreign = Ca::new("Corp Root CA", now()).unwrap();
    let lookalike = Ca::new("Aldis Test Root", now()).unwrap();
    let missing = issuing.issue(server()).unwrap();
    for (issued, chain, code) in [
        (world.issue(server().valid(now() - 99 * DAY, now() - 3 * DAY)), None, "expired"),
        (world.issue(server().valid(now() + 3000 * DAY, now() + 3090 * DAY)), None, "not-yet-valid"),
        (world.issue(Template::server("www.other.test")), None, "name-mismatch"),
        (world.issue(Template::server(DOMAIN).no_names().common_name(DOMAIN)), None, "common-name-only"),
        (self_signed(server(), now()).unwrap(), None, "self-signed"),
        (foreign.issue(server()).unwrap(), None, "unknown-ca"),
        (lookalike.issue(server()).unwrap(), None, "impostor-root"),
        (missing, Some(1), "missing-intermediate"),
    ] {
        let mut chain_sent = issued.chain();
        chain_sent.truncate(chain.unwrap_or(9));
        let server = Impostor::start(ServerCertificate::new(chain_sent, issued.key())).await.unwrap();
        let address = server.address().to_string();
        let arguments = [DOMAIN, "--roots", "root.pem", "--address", &address, "--json"];
        let output = world.doctor(&arguments).await;
        assert_eq!(output.status.code(), Some(3), "{code}: {output:?}");
        let lines: Vec<Value> = String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let untrusted = lines.iter().find(|line| line["event"] == "untrusted").unwrap();
        let verdict = &untrusted["verdict"];
        assert_eq!(verdict["code"], code);
        assert_eq!(server.application_bytes(), 0, "{code}");
        let found = world.at(&address, &[]).await;
        says(
            &found,
            3,
            &[
                &one_line(&format!(
                    "fail trust {address} is refused. {}",
                    verdict["meaning"].as_str().unwrap()
                )),
                &one_line(&format!("what to do {}", verdict["advice"].as_str().unwrap())),
                "fail result No server proved to be example.test.",
            ],
        );
        assert_eq!(server.application_bytes(), 0, "{code}");
    }
}

#[tokio::test]
async fn a_wildcard_is_refused_and_accepted_as_the_accounts_exception() {
    let world = World::new();
    let server = impostor(&world.issue(Template::server(DOMAIN).no_names().dns("*.example.test"))).await;
    let address = server.address().to_string();
    let arguments = ["sip.example.test", "--roots", "root.pem", "--address", &address];
    let output = world.doctor(&arguments).await;
    let words = one_line(&String::from_utf8(output.stdout).unwrap());
    says(
        &(output.status.code().unwrap(), words),
        3,
        &["The certificate covers the name only by a wildcard."],
    );
    let output = world.doctor(&[&arguments[..], &["--allow-wildcard"]].concat()).await;
    let words = one_line(&String::from_utf8(output.stdout).unwrap());
    says(&(output.status.code().unwrap(), words), 0, &["the wildcard *.example.test", "warn trust"]);
}

#[tokio::test]
async fn what_dns_says_is_told_and_never_trusted() {
    let world = World::new();
    let hoster = impostor(&world.issue(Template::server("sip1.hoster.test"))).await;
    let good = impostor(&world.issue(Template::server(DOMAIN))).await;
    let mut dns = Dns::start();
    dns.srv("_sips._tcp.example.test", 10, hoster.address().port(), "sip1.hoster.test");
    dns.address("sip1.hoster.test", [127, 0, 0, 1]);
    let resolver = dns.address_of_server();
    let arguments = [DOMAIN, "--roots", "root.pem", "--resolver", &resolver];
    let output = world.doctor(&arguments).await;
    let found = (output.status.code().unwrap(), one_line(&String::from_utf8(output.stdout).unwrap()));
    let place = format!("sip1.hoster.test:{} (priority 10, weight 1)", hoster.address().port());
    says(
        &found,
        3,
        &[
            "ok dns _sips._tcp.example.test leads to one place.",
            "asked: NAPTR example.test, SRV _sips._tcp.example.test",
            &place,
            "ok addresses sip1.hoster.test is 127.0.0.1.",
            "The certificate names only the host that DNS pointed to, not the domain.",
        ],
    );
    assert_eq!(hoster.application_bytes(), 0);

    // A second place that would do is what a client takes.
    dns.srv("_sips._tcp.example.test", 20, good.address().port(), "sip2.hoster.test");
    dns.address("sip2.hoster.test", [127, 0, 0, 1]);
    let output = world.doctor(&arguments).await;
    let found = (output.status.code().unwrap(), one_line(&String::from_utf8(output.stdout).unwrap()));
    says(&found, 0, &["leads to 2 places, tried in this order.", "is refused.", "ok result"]);
}

#[tokio::test]
async fn a_domain_that_does_not_exist_is_said_to_be_so() {
    let world = World::new();
    let resolver = Dns::start().address_of_server();
    let output = world.doctor(&["nowhere.test", "--roots", "root.pem", "--resolver", &resolver]).await;
    let found = (output.status.code().unwrap(), one_line(&String::from_utf8(output.stdout).unwrap()));
    says(
        &found,
        5,
        &["There is no such domain", "Check the spelling of the domain.", "No server for nowhere.test"],
    );
}

#[tokio::test]
async fn a_port_that_refuses_is_said_to_refuse() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let found = World::new().at(&address.to_string(), &[]).await;
    says(
        &found,
        5,
        &["fail tcp", "refused (nothing listens there)", "No server for example.test could be reached."],
    );
}

#[tokio::test]
async fn what_speaks_something_else_than_tls_is_named() {
    let world = World::new();
    let web = plain(|mut stream| {
        let mut request = [0; 64];
        let _ = stream.read(&mut request);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    });
    let found = world.at(&web.to_string(), &[]).await;
    says(
        &found,
        5,
        &["does not speak TLS: it is a web server. It said: HTTP/1.1 400 Bad Request", "mostly on 5061"],
    );
    let ssh = plain(|mut stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n");
        let _ = stream.read(&mut [0; 2048]);
    });
    says(
        &world.at(&ssh.to_string(), &[]).await,
        5,
        &["it is an SSH server", "Something answers, but not with TLS"],
    );
}

#[tokio::test]
async fn a_server_that_closes_or_says_nothing_is_said_to_do_so() {
    let world = World::new();
    let closing = plain(|mut stream| drop(record(&mut stream)));
    says(
        &world.at(&closing.to_string(), &[]).await,
        5,
        &["the server closed the connection during the handshake"],
    );
    let (silent, _held) = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        (listener.local_addr().unwrap(), listener)
    };
    let begun = std::time::Instant::now();
    let output = world
        .doctor(&[DOMAIN, "--roots", "root.pem", "--address", &silent.to_string(), "--timeout", "1"])
        .await;
    assert!(begun.elapsed() < Duration::from_secs(8));
    let words = one_line(&String::from_utf8(output.stdout).unwrap());
    says(
        &(output.status.code().unwrap(), words),
        5,
        &["the server accepted the connection and then said nothing"],
    );
}

/// A server that knows TLS 1.1 and nothing newer: it refuses our ClientHello, and answers an older one.
#[tokio::test]
async fn a_server_of_another_age_is_told_apart_by_its_version() {
    let old = plain(|mut stream| {
        let Some(hello) = record(&mut stream) else { return };
        if hello[4..6] == [3, 3] {
            // Alert: protocol_version.
            let _ = stream.write_all(&[21, 3, 2, 0, 2, 2, 70]);
        } else {
            let mut answer = vec![22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
            answer.extend([9; 32]);
            answer.extend([0, 0xc0, 0x13, 0]);
            let _ = stream.write_all(&answer);
        }
        let _ = stream.read(&mut [0; 64]);
    });
    let found = World::new().at(&old.to_string(), &[]).await;
    says(
        &found,
        5,
        &["speaks nothing newer than TLS 1.1, which is not secure any more.", "enable TLS 1.2 or 1.3"],
    );
}

/// In TLS 1.3 a server says only after the handshake that it wants a certificate: whoever registers is told so too, and
/// not that nobody knows what became of it.
#[tokio::test]
async fn a_server_that_demands_a_client_certificate_is_said_to_do_so() {
    let world = World::new();
    let issued = world.issue(Template::server(DOMAIN));
    world.write("server.pem", &issued.chain_pem());
    world.write("server.key", &issued.key_pem());
    let mut server = std::process::Command::new("openssl")
        .current_dir(world.home.path())
        .args(["s_server", "-accept", "127.0.0.1:0", "-cert", "server.pem", "-key", "server.key"])
        .args(["-CAfile", "root.pem", "-Verify", "1", "-verify_return_error"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let address = lines.find_map(|line| line.ok()?.strip_prefix("ACCEPT ").map(str::to_owned)).unwrap();
    let found = world.at(&address, &[]).await;
    world.write("password", "secret");
    let account = ["--account", "sip:alice@example.test", "--password-file", "password", "--store", "none"];
    let place = ["register", "--once", "--roots", "root.pem", "--address", &address];
    let registered = world.aldis(&[&place[..], &account].concat()).await;
    server.kill().unwrap();
    server.wait().unwrap();
    let said = one_line(&String::from_utf8(registered.stderr).unwrap());
    assert_eq!(registered.status.code(), Some(5), "{said}");
    assert!(said.contains("Give the account the client certificate"), "{said}");
    says(
        &found,
        5,
        &[
            "client certificate: asked for, and there is none to show",
            "demands a client certificate, and there is none to show.",
            "--client-cert",
        ],
    );
}

/// OPTIONS and REGISTER, and nothing of anybody else's is touched.
#[tokio::test]
async fn an_account_is_asked_for_and_registered_and_removed_again() {
    let world = World::new();
    let registrar = Registrar::start(Options::new(DOMAIN).user("alice", "wonderland")).await.unwrap();
    world.write("root.pem", registrar.root_pem().unwrap());
    world.write("password", "wonderland\n");
    world.write("wrong", "drink me\n");
    let address = registrar.address().to_string();
    let account = ["--account", "sip:alice@example.test", "--roots", "root.pem", "--address", &address];
    let output = world.doctor(&[&account[..], &["--password-file", "password"]].concat()).await;
    let words = one_line(&String::from_utf8(output.stdout).unwrap());
    says(
        &(output.status.code().unwrap(), words),
        0,
        &[
            "the domain of the account.",
            "ok options The server speaks SIP: it answers OPTIONS with 200",
            "ok register Registered for",
            "Unregistered again",
            "ok result",
        ],
    );
    assert!(registrar.bindings("alice").is_empty());

    let output = world.doctor(&[&account[..], &["--password-file", "password", "--json"]].concat()).await;
    let lines: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.iter().all(|line| line.as_object().unwrap().keys().next().unwrap() == "event"));
    let steps: Vec<&str> = lines
        .iter()
        .filter(|line| line["event"] == "doctor")
        .map(|line| line["step"].as_str().unwrap())
        .collect();
    assert_eq!(
        steps,
        [
            "whom",
            "dns",
            "tcp",
            "tls",
            "chain",
            "trust",
            "revocation",
            "options",
            "register",
            "register",
            "result"
        ]
    );
    let registered = |line: &Value| line["event"] == "registration" && line["state"] == "registered";
    let connected = |line: &Value| line["event"] == "connection" && line["state"] == "connected";
    assert!(lines.iter().any(registered) && lines.iter().any(connected));

    let output = world.doctor(&[&account[..], &["--password-file", "wrong"]].concat()).await;
    let words = one_line(&String::from_utf8(output.stdout).unwrap());
    says(
        &(output.status.code().unwrap(), words),
        4,
        &["fail register Not registered:", "example.test is trusted, and refuses the credentials."],
    );
}

#[tokio::test]
async fn what_cannot_be_meant_ends_with_2_before_anybody_is_asked() {
    let world = World::new();
    let account = ["--account", "sip:alice@example.test", "--address", "127.0.0.1:1"];
    for (arguments, words) in [
        (&[][..], "There is nothing to examine."),
        (&["example.test:5061"], "DOMAIN: \"example.test:5061\" has a port"),
        (&["a..b"], "DOMAIN: "),
        (&["example.test", "--roots", "missing"], "--roots: "),
        (&["example.test", "--address", "nowhere"], "--address: "),
        (
            &[&["other.test"][..], &account].concat(),
            "DOMAIN is other.test, and the account's is example.test.",
        ),
    ] {
        let output = world.doctor(arguments).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(words), "{stderr}");
    }
}
