//! The embedded registrar as a program, for the tests of the bindings in other languages.
//!
//! It prints what a test needs to know, one `name value` per line, then `ready`; after that it answers each line of
//! standard input with one of its own, and ends with the input. New lines in values are written as `|`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a test's helper: what fails ends it

use aldis_registrar::pki::{Ca, Issued, Template};
use aldis_registrar::{Fault, Impostor, Options, Outgoing, Registrar, Requests, Times};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SignatureScheme};
use std::io::BufRead;
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const DOMAIN: &str = "example.test";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let registrar = Registrar::start(
        Options::new(DOMAIN).user("alice", "wonderland").user("bob", "builder").min_expires(1),
    )
    .await
    .expect("a registrar");
    // One with what not every registrar has: push, subscriptions, two places to reach it.
    let generous = Registrar::start(
        Options::new(DOMAIN)
            .user("alice", "wonderland")
            .push(&["apns", "fcm"], Some(120))
            .subscriptions(true)
            .edges(2),
    )
    .await
    .expect("a registrar");
    let impostor = Impostor::start(registrar.issue(Template::server("other.test")).expect("a certificate"))
        .await
        .expect("an impostor");
    let vault = Vault::start().await;
    // Free a moment ago, and of no interest to anybody: nothing listens there.
    let closed = StdListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");

    println!("domain {DOMAIN}");
    println!("registrar {}", registrar.address());
    println!("generous {}", generous.address());
    println!("generous-second {}", generous.addresses().get(1).expect("two edges"));
    println!("generous-root {}", line(generous.root_pem().expect("a CA of its own")));
    println!("impostor {}", impostor.address());
    println!("vault {}", vault.address);
    println!("closed {closed}");
    println!("root {}", line(registrar.root_pem().expect("a CA of its own")));
    println!("vault-root {}", line(&vault.root_pem));
    println!("client-certificate {}", line(&vault.client.chain_pem()));
    println!("client-key {}", line(&vault.client.key_pem()));
    println!("ready");

    let (lines, mut asked) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
    while let Some(line) = asked.recv().await {
        // generous COMMAND…: to that one
        let (registrar, line) = match line.strip_prefix("generous ") {
            Some(rest) => (&generous, rest),
            None => (&registrar, line.as_str()),
        };
        let words: Vec<&str> = line.split(' ').collect();
        println!("{}", answer(&words, registrar, &impostor, &vault).await);
    }
}

fn line(text: &str) -> String {
    text.trim_end().replace('\n', "|")
}

/// Does what a line asks for.
async fn answer(words: &[&str], registrar: &Registrar, impostor: &Impostor, vault: &Vault) -> String {
    match words {
        // fault REQUESTS STATUS [RETRY-AFTER | accept TYPE]
        ["fault", requests, status, rest @ ..] => {
            let mut fault = Fault::answer(requests_of(requests), status.parse().expect("a status"));
            match rest {
                ["accept", media_type] => fault = fault.header("Accept", *media_type),
                [seconds] => fault = fault.retry_after(seconds.parse().expect("seconds")),
                _ => {}
            }
            registrar.set_fault(fault, Times::Always);
        }
        ["without-binding"] => registrar.set_fault(Fault::WithoutBinding, Times::Always),
        ["silence"] => registrar.set_fault(Fault::Silence, Times::Always),
        ["loop"] => registrar.set_fault(Fault::ChallengeLoop { stale: true }, Times::Always),
        ["clear"] => registrar.clear_faults(),
        ["drop-connections"] => registrar.close_connections(aldis_registrar::Close::Clean),
        // notify USER FIRST [LAST]: NOTIFYs with these numbers, at once
        ["notify", user, first, rest @ ..] => {
            let first = first.parse::<u32>().expect("a number");
            let last = rest.first().map_or(first, |last| last.parse().expect("a number"));
            for number in first..=last {
                let notify = Outgoing::new("NOTIFY").header("Event", "message-summary");
                registrar.send_request(user, &notify.body("text/plain", number.to_string()));
            }
        }
        // voicemail USER COUNT: that many new messages wait
        ["voicemail", user, count] => {
            let body = format!("Messages-Waiting: yes\r\nVoice-Message: {count}/0\r\n");
            let notify = Outgoing::new("NOTIFY").header("Event", "message-summary");
            registrar.send_request(user, &notify.body("application/simple-message-summary", body));
        }
        // receipt USER FROM ID STATUS: what FROM's device says of that message
        ["receipt", user, from, id, status] => {
            let body = format!(
                "<?xml version=\"1.0\"?><imdn xmlns=\"urn:ietf:params:xml:ns:imdn\"><message-id>{id}</message-id>\
                 <delivery-notification><status><{status}/></status></delivery-notification></imdn>"
            );
            let message = Outgoing::new("MESSAGE").from(format!("sip:{from}@{DOMAIN}"));
            registrar.send_request(user, &message.body("message/imdn+xml", body));
        }
        // summary USER COUNT: what subscribers are told from now on
        ["summary", user, count] => {
            registrar.set_summary(user, format!("Messages-Waiting: yes\r\nVoice-Message: {count}/0\r\n"));
        }
        ["bindings", user] => return format!("{}", registrar.bindings(user).len()),
        ["impostor-bytes"] => return format!("{}", impostor.application_bytes()),
        ["vault-clients"] => return format!("{}", vault.clients.load(Ordering::SeqCst)),
        // sign HEX: what a keystore would do with the client's key, by ECDSA on P-256 over SHA-256.
        ["sign", message] => return hex(&vault.sign(&bytes(message))),
        _ => return "unknown".into(),
    }
    "ok".into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).expect("hexadecimal") as u8;
    hex.as_bytes()
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |value, byte| value << 4 | digit(*byte)))
        .collect()
}

fn requests_of(word: &str) -> Requests {
    match word {
        "register" => Requests::Register,
        "message" => Requests::Message,
        _ => Requests::Any,
    }
}

/// A TLS server that lets nobody in who has no certificate of its CA, and says nothing.
struct Vault {
    address: std::net::SocketAddr,
    root_pem: String,
    client: Issued,
    clients: Arc<AtomicU64>,
}

impl Vault {
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let key = provider.key_provider.load_private_key(self.client.key()).expect("a key");
        let signer = key.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]).expect("a key on P-256");
        signer.sign(message).expect("a signature")
    }

    async fn start() -> Vault {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs() as i64;
        let ca = Ca::new("Vault", now).expect("a CA");
        let server = ca.issue(Template::server(DOMAIN)).expect("a certificate");
        let client = ca.issue(Template::client("alice")).expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(ca.root_der().clone()).expect("a root");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(verifier.build().expect("a verifier"))
            .with_single_cert(server.chain(), server.key())
            .expect("a certificate with its key");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let clients = Arc::new(AtomicU64::new(0));
        let count = clients.clone();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, count) = (acceptor.clone(), count.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    if stream.get_ref().1.peer_certificates().is_some() {
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                    let mut rest = [0; 1024];
                    while stream.read(&mut rest).await.is_ok_and(|count| count > 0) {}
                });
            }
        });
        Vault { address, root_pem: ca.root_pem(), client, clients }
    }
}
