//! What another TLS library answers, and what is made of it.

#![allow(missing_docs)]
// A test that cannot go on ends here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing
)]

use aldis::net::{
    ClientCertificateUse, ConnectFailure, ConnectRequest, Host, PostQuantum, Route, TlsCause, TlsVersion,
    connect,
};
use aldis::trust::{ClientCertificate, Code, Policy, RevocationMode, RevocationStatus};
use aldis::{Config, ConnectionState, Event, ReferenceIdentity};
use aldis_end_to_end::{DOMAIN, OpensslServer, Tester, config_at, only};
use aldis_pki::{Ca, CertificateStatus, Issued, KeyKind, OcspAnswer, Template};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::AsyncWriteExt;

const HOUR: i64 = 3_600;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

fn ca() -> Ca {
    Ca::new("Test Root", now()).unwrap()
}

fn request(policy: Policy, address: SocketAddr) -> ConnectRequest {
    let mut request = ConnectRequest::new(ReferenceIdentity::new(DOMAIN).unwrap(), Arc::new(policy));
    request.route = Route::Given(vec![(Host::Address(address.ip()), address.port())]);
    request
}

fn start(ca: &Ca, switches: &[&str]) -> OpensslServer {
    OpensslServer::start(&ca.issue(Template::server(DOMAIN)).unwrap(), switches, &[])
}

/// Why there is no TLS, with the words for people.
async fn tls_failure(request: &ConnectRequest) -> (TlsCause, String) {
    let failure = connect(request).await.unwrap_err();
    let words = format!("{failure}. {}", failure.advice());
    let ConnectFailure::Tls { cause, .. } = failure else { panic!("{failure:?}") };
    (cause, words)
}

fn client(ca: &Ca) -> ClientCertificate {
    let issued = ca.issue(Template::client("Alice")).unwrap();
    ClientCertificate::from_pem(issued.chain_pem().as_bytes(), issued.key_pem().as_bytes()).unwrap()
}

/// TLS-11, TLS-12, TLS-23.
#[tokio::test]
async fn both_versions_are_spoken() {
    let ca = ca();
    for (switch, version, suites) in
        [("-tls1_2", TlsVersion::Tls12, "TLS_ECDHE_ECDSA_WITH_"), ("-tls1_3", TlsVersion::Tls13, "TLS_AES_")]
    {
        // This one group is in every release, which the post-quantum one is not.
        let server = start(&ca, &[switch, "-groups", "X25519"]);
        let facts = connect(&request(only(&ca.root_pem()), server.address)).await.unwrap().facts;
        assert_eq!((facts.version, facts.post_quantum), (version, PostQuantum::NotSupported));
        assert!(facts.suite.starts_with(suites), "{}", facts.suite);
        assert_eq!(
            (facts.group.as_str(), facts.client_certificate),
            ("x25519", ClientCertificateUse::NotAsked)
        );
    }
}

/// TLS-11: no fallback, and the reason is said.
#[tokio::test]
async fn an_old_version_is_named_as_the_reason() {
    let ca = ca();
    for switch in ["-tls1", "-tls1_1"] {
        let server = start(&ca, &[switch, "-cipher", "DEFAULT@SECLEVEL=0"]);
        let (cause, words) = tls_failure(&request(only(&ca.root_pem()), server.address)).await;
        assert_eq!(cause, TlsCause::Version, "{switch}");
        assert!(words.contains("no version of TLS that is acceptable"), "{words}");
        assert!(words.contains("has to enable TLS 1.2 or 1.3"), "{words}");
    }
}

/// TLS-11.
#[tokio::test]
async fn a_server_of_tls_1_2_is_refused_where_1_3_is_the_least() {
    let ca = ca();
    let server = start(&ca, &["-tls1_2"]);
    let mut request = request(only(&ca.root_pem()), server.address);
    request.tls.min_version = TlsVersion::Tls13;
    assert_eq!(tls_failure(&request).await.0, TlsCause::NoTls13 { for_own_certificate: false });
}

/// TLS-12: old OCS and Lync servers answer so.
#[tokio::test]
async fn weak_ciphers_alone_are_named_as_the_reason() {
    let ca = ca();
    let rsa = ca.issue(Template::server(DOMAIN).key(KeyKind::Rsa2048)).unwrap();
    for (what, cipher) in [
        ("CBC only", "ECDHE-RSA-AES128-SHA256:ECDHE-RSA-AES128-SHA"),
        ("RSA key exchange only", "AES128-GCM-SHA256:AES256-GCM-SHA384"),
        ("finite field groups only", "DHE-RSA-AES128-GCM-SHA256"),
    ] {
        let server = OpensslServer::start(&rsa, &["-tls1_2", "-cipher", cipher], &[]);
        let (cause, words) = tls_failure(&request(only(&ca.root_pem()), server.address)).await;
        assert_eq!(cause, TlsCause::NothingInCommon, "{what}");
        assert!(words.contains("CBC suites and RSA key exchange are not offered"), "{words}");
    }
}

/// TLS-23.
#[tokio::test]
async fn a_demanded_post_quantum_exchange_is_not_done_without() {
    let ca = ca();
    for switches in [&["-tls1_3", "-groups", "X25519"][..], &["-tls1_2"]] {
        let server = start(&ca, switches);
        let mut request = request(only(&ca.root_pem()), server.address);
        request.tls.require_post_quantum = true;
        let (cause, words) = tls_failure(&request).await;
        assert_eq!(cause, TlsCause::NoPostQuantum, "{switches:?}");
        assert!(words.contains("no post-quantum key exchange, which is demanded"), "{words}");
    }
}

/// TLS-01, proven on the server's side.
#[tokio::test]
async fn a_wrong_name_gets_no_sip_byte_over_either_version() {
    let ca = ca();
    for switch in ["-tls1_2", "-tls1_3"] {
        let issued = ca.issue(Template::server("other.test")).unwrap();
        let server = OpensslServer::start(&issued, &[switch], &[]);
        let alice = Tester::start(config_at("alice", "wonderland", server.address, &ca.root_pem()));
        alice.phone.register();
        let event = alice.wait_for(|event| matches!(event, Event::Untrusted { .. })).await;
        let Event::Untrusted { verdict, .. } = event else { unreachable!() };
        assert_eq!(verdict.code(), Some(Code::NameMismatch));
        alice.phone.shut_down().await;
        let output = server.output();
        assert!(!output.contains("REGISTER") && !output.contains("SIP/2.0"), "{output}");
    }
}

/// The counterpart of the above: had a byte been sent, the server would show it.
#[tokio::test]
async fn a_trusted_server_shows_the_bytes_that_it_gets() {
    let ca = ca();
    let server = start(&ca, &[]);
    let alice = Tester::start(config_at("alice", "wonderland", server.address, &ca.root_pem()));
    alice.phone.register();
    alice.wait_for(|e| matches!(e, Event::Connection { state: ConnectionState::Connected(_), .. })).await;
    alice.phone.shut_down().await;
    assert!(server.output().contains("REGISTER sip:example.test SIP/2.0"));
}

fn staple(ca: &Ca, issued: &Issued, status: CertificateStatus) -> Vec<u8> {
    OcspAnswer::new(issued.serial_number(), status, now() - HOUR, now() + HOUR).signed_by(ca).unwrap()
}

/// TLS-15, TLS-16, TLS-17, TLS-18.
#[tokio::test]
async fn staples_are_verified_over_both_versions() {
    let ca = ca();
    let mut policy = only(&ca.root_pem());
    policy.revocation = RevocationMode::Require;
    let issued = ca.issue(Template::server(DOMAIN).must_staple()).unwrap();
    let good = staple(&ca, &issued, CertificateStatus::Good);
    let mut altered = good.clone();
    *altered.last_mut().unwrap() ^= 1;
    for version in ["-tls1_2", "-tls1_3"] {
        let started = |answer: &[u8]| {
            OpensslServer::start(&issued, &[version, "-status_file", "@staple"], &[("staple", answer)])
        };
        let server = started(&good);
        let trusted = connect(&request(policy.clone(), server.address)).await.unwrap().trusted;
        assert_eq!(trusted.revocation, RevocationStatus::Proven);
        for (answer, expected) in [
            (staple(&ca, &issued, CertificateStatus::Revoked(now() - HOUR)), Code::Revoked),
            (staple(&ca, &issued, CertificateStatus::Unknown), Code::StapleUnknown),
            (altered.clone(), Code::StapleInvalid),
        ] {
            let server = started(&answer);
            let failure = connect(&request(policy.clone(), server.address)).await.unwrap_err();
            let ConnectFailure::Untrusted(untrusted) = failure else { panic!("{failure:?}") };
            assert_eq!(untrusted.verdict.code(), Some(expected), "{version}");
        }
        let without = OpensslServer::start(&issued, &[version], &[]);
        let failure = connect(&request(policy.clone(), without.address)).await.unwrap_err();
        let ConnectFailure::Untrusted(untrusted) = failure else { panic!("{failure:?}") };
        assert!(untrusted.verdict.mentions(Code::StapleMissing), "{:?}", untrusted.verdict.findings());
    }
}

/// A server that demands a certificate from clients of `ca`.
fn demanding(ca: &Ca, switches: &[&str]) -> OpensslServer {
    let issued = ca.issue(Template::server(DOMAIN)).unwrap();
    let all = [switches, &["-Verify", "1", "-verify_return_error", "-CAfile", "@ca.pem"]].concat();
    OpensslServer::start(&issued, &all, &[("ca.pem", ca.root_pem().as_bytes())])
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_a_server_that_asks() {
    let ca = ca();
    for (version, own) in [("-tls1_3", client(&ca)), ("-tls1_2", client(&ca).allow_in_clear())] {
        let server = demanding(&ca, &[version, "-naccept", "1"]);
        let mut request = request(only(&ca.root_pem()), server.address);
        request.tls.client_certificate = Some(own);
        let mut connection = connect(&request).await.unwrap();
        assert_eq!(connection.facts.client_certificate, ClientCertificateUse::Shown);
        connection.stream.shutdown().await.unwrap();
        drop(connection);
        assert!(server.output_at_its_end().contains("Alice"), "{version}");
    }
}

/// Under TLS 1.2 it would travel in clear.
#[tokio::test]
async fn a_client_certificate_keeps_tls_1_2_away_unless_it_may_travel_in_clear() {
    let ca = ca();
    let server = demanding(&ca, &["-tls1_2"]);
    let mut request = request(only(&ca.root_pem()), server.address);
    request.tls.client_certificate = Some(client(&ca));
    assert_eq!(tls_failure(&request).await.0, TlsCause::NoTls13 { for_own_certificate: true });
}

#[tokio::test]
async fn under_tls_1_2_a_missing_client_certificate_ends_the_handshake_with_that_reason() {
    let ca = ca();
    let server = demanding(&ca, &["-tls1_2"]);
    let (cause, words) = tls_failure(&request(only(&ca.root_pem()), server.address)).await;
    assert!(matches!(cause, TlsCause::ClientCertificate { .. }), "{cause:?}");
    assert!(words.contains("demands a client certificate"), "{words}");
}

/// Why a phone's first connection to `server` was lost.
async fn lost(server: &OpensslServer, config: impl FnOnce(Config) -> Config, root: &str) -> String {
    let alice = Tester::start(config(config_at("alice", "wonderland", server.address, root)));
    alice.phone.register();
    let event =
        alice.wait_for(|e| matches!(e, Event::Connection { state: ConnectionState::Lost { .. }, .. })).await;
    let Event::Connection { state: ConnectionState::Lost { why }, .. } = event else { unreachable!() };
    why.to_string()
}

/// In TLS 1.3 the server says so only after our side of the handshake has ended.
#[tokio::test]
async fn under_tls_1_3_a_missing_client_certificate_is_told_when_the_connection_is_lost() {
    let ca = ca();
    let server = demanding(&ca, &["-tls1_3"]);
    let why = lost(&server, |config| config, &ca.root_pem()).await;
    assert!(why.contains("client certificate"), "{why}");
}

#[tokio::test]
async fn under_tls_1_3_a_client_certificate_of_the_wrong_issuer_is_told_when_the_connection_is_lost() {
    let (ca, other) = (ca(), Ca::new("Other Root", now()).unwrap());
    let server = demanding(&ca, &["-tls1_3"]);
    let own = client(&other);
    let why = lost(&server, |config| config.client_certificate(&own), &ca.root_pem()).await;
    assert!(why.contains("client certificate"), "{why}");
}
