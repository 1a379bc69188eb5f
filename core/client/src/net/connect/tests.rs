//! Connections to real servers on loopback: good ones, bad ones, and what only looks like one.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aldis_pki::{Ca, Issued, Template};
use aldis_sip::ReferenceIdentity;
use aldis_trust::{Anchors, MatchedBy, Policy, Source};
use rustls::HandshakeKind;
use rustls::server::Acceptor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::Instant;

use crate::net::clock::wall_now;
use crate::net::testing::dns_server::{DnsServer, Zone};
use crate::net::testing::tls_server::{Behaviour, ONLY_12, ONLY_13, Server, Setup};
use crate::net::*;

mod client_certificate;
mod failover;

const DOMAIN: &str = "example.test";

fn now() -> i64 {
    wall_now().as_secs().try_into().unwrap()
}

fn ca() -> Ca {
    Ca::new("Test Root", now()).unwrap()
}

fn tls(setup: &Setup, issued: &Issued) -> Behaviour {
    Behaviour::Tls(setup.config(issued.chain(), issued.key()))
}

async fn serve(setup: Setup, issued: &Issued) -> Server {
    Server::start(tls(&setup, issued)).await
}

fn request(ca: &Ca, places: &[SocketAddr]) -> ConnectRequest {
    let anchors = Anchors::from_pem(ca.root_pem().as_bytes(), Source::Organisation);
    let policy = Arc::new(Policy::new(Arc::new(anchors)));
    let mut request = ConnectRequest::new(ReferenceIdentity::new(DOMAIN).unwrap(), policy);
    request.route =
        Route::Given(places.iter().map(|place| (Host::Address(place.ip()), place.port())).collect());
    request.resolver = Resolver::servers([]);
    request
}

/// An address that refuses, kept from others while the socket lives.
fn refusing() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// The code of the refusal, after making sure that the server got nothing above TLS.
async fn refusal(issued: &Issued, ca: &Ca) -> String {
    let mut server = serve(Setup::default(), issued).await;
    let failure = connect(&request(ca, &[server.address])).await.unwrap_err();
    let ConnectFailure::Untrusted(untrusted) = &failure else { panic!("{failure:?}") };
    assert_eq!(untrusted.address, server.address);
    assert!(!failure.advice().is_empty());
    let outcome = server.outcome().await;
    assert!(outcome.handshake.is_err() && outcome.received.is_empty(), "{outcome:?}");
    assert!(server.is_quiet(), "a refusal is no reason to try again");
    untrusted.verdict.code().unwrap().as_str().to_owned()
}

/// TLS-23, TLS-11: the best that both have.
#[tokio::test]
async fn a_server_that_proves_the_domain_is_connected_to() {
    let ca = ca();
    let issued = ca.issue(Template::server(DOMAIN)).unwrap();
    let mut server = serve(Setup::default(), &issued).await;
    let mut connection = connect(&request(&ca, &[server.address])).await.unwrap();
    assert_eq!(
        connection.facts,
        TlsFacts {
            version: TlsVersion::Tls13,
            suite: "TLS_AES_256_GCM_SHA384".into(),
            group: "X25519MLKEM768".into(),
            alpn: None,
            address: server.address,
            post_quantum: PostQuantum::Negotiated,
            client_certificate: ClientCertificateUse::NotAsked,
        }
    );
    assert_eq!(connection.trusted.matched.by, MatchedBy::Dns);
    assert!(connection.refused.is_empty());
    let mut greeting = [0; 7];
    connection.stream.read_exact(&mut greeting).await.unwrap();
    connection.stream.write_all(b"OPTIONS").await.unwrap();
    connection.stream.shutdown().await.unwrap();
    drop(connection);
    assert_eq!(server.outcome().await.received, b"OPTIONS");
}

/// TLS-01.
#[tokio::test]
async fn an_expired_certificate_is_refused_before_any_byte() {
    let ca = ca();
    let issued = ca.issue(Template::server(DOMAIN).expired(now())).unwrap();
    assert_eq!(refusal(&issued, &ca).await, "expired");
}

/// TLS-01, TLS-06.
#[tokio::test]
async fn a_certificate_for_another_name_is_refused_before_any_byte() {
    let ca = ca();
    let issued = ca.issue(Template::server("sip.example.test")).unwrap();
    assert_eq!(refusal(&issued, &ca).await, "name-mismatch");
}

/// TLS-01, TLS-09.
#[tokio::test]
async fn an_unknown_authority_is_refused_before_any_byte() {
    let other = Ca::new("Another Root", now()).unwrap();
    let issued = other.issue(Template::server(DOMAIN)).unwrap();
    assert_eq!(refusal(&issued, &ca()).await, "unknown-ca");
}

/// TLS-01, TLS-09.
#[tokio::test]
async fn a_self_signed_certificate_is_refused_before_any_byte() {
    let issued = aldis_pki::self_signed(Template::server(DOMAIN), now()).unwrap();
    assert_eq!(refusal(&issued, &ca()).await, "self-signed");
}

/// A copied certificate without its key.
#[tokio::test]
async fn a_server_without_the_certificates_key_is_refused() {
    let ca = ca();
    let (issued, other) =
        (ca.issue(Template::server(DOMAIN)).unwrap(), ca.issue(Template::server("other.test")).unwrap());
    for versions in [ONLY_13, ONLY_12] {
        let setup = Setup { versions, ..Setup::default() };
        let mut server = Server::start(Behaviour::Tls(setup.config(issued.chain(), other.key()))).await;
        let failure = connect(&request(&ca, &[server.address])).await.unwrap_err();
        assert!(matches!(failure, ConnectFailure::Tls { cause: TlsCause::KeyNotProven, .. }), "{failure:?}");
        assert!(server.outcome().await.received.is_empty());
        assert!(server.is_quiet());
    }
}

/// TLS-02: SRV says where, never whom.
#[tokio::test]
async fn the_srv_targets_own_certificate_does_not_prove_the_domain() {
    let ca = ca();
    let issued = ca.issue(Template::server("sip.hoster.test")).unwrap();
    let mut server = serve(Setup::default(), &issued).await;
    let zone = Zone::default()
        .srv("_sips._tcp.example.test", &format!("0 0 {} sip.hoster.test", server.address.port()))
        .address("sip.hoster.test", "127.0.0.1");
    let dns = DnsServer::start(zone).await;
    let mut request = request(&ca, &[]);
    request.route = Route::Discover { port: None };
    request.resolver = dns.resolver();
    let failure = connect(&request).await.unwrap_err();
    let ConnectFailure::Untrusted(untrusted) = failure else { panic!("{failure:?}") };
    assert_eq!(untrusted.target.host.to_string(), "sip.hoster.test");
    assert_eq!(sni(&server.outcome().await.hello).as_deref(), Some(DOMAIN));
}

/// TLS-02, DNS-04: the same place with a certificate for the domain.
#[tokio::test]
async fn a_server_found_by_srv_that_proves_the_domain_is_connected_to() {
    let ca = ca();
    let issued = ca.issue(Template::server(DOMAIN)).unwrap();
    let server = serve(Setup::default(), &issued).await;
    let zone = Zone::default()
        .srv("_sips._tcp.example.test", &format!("0 0 {} sip.hoster.test", server.address.port()))
        .cname("sip.hoster.test", "host.hoster.test")
        .address("host.hoster.test", "127.0.0.1");
    let dns = DnsServer::start(zone).await;
    let mut request = request(&ca, &[]);
    request.route = Route::Discover { port: None };
    request.resolver = dns.resolver();
    let connection = connect(&request).await.unwrap();
    assert!(matches!(connection.target.origin, Origin::Srv { naptr: false, .. }));
}

#[tokio::test]
async fn a_domain_without_any_record_is_a_dns_failure_that_tells_what_was_asked() {
    let dns = DnsServer::start(Zone::default()).await;
    let mut request = request(&ca(), &[]);
    request.route = Route::Discover { port: None };
    request.resolver = dns.resolver();
    let failure = connect(&request).await.unwrap_err();
    let ConnectFailure::Dns(ResolveError::NoRecords { asked, domain_exists: false }) = &failure else {
        panic!("{failure:?}");
    };
    let mut asked: Vec<String> = asked.iter().map(Question::to_string).collect();
    asked.sort();
    assert_eq!(
        asked,
        ["A example.test", "AAAA example.test", "NAPTR example.test", "SRV _sips._tcp.example.test"]
    );
    assert!(!failure.may_pass());
}

#[tokio::test]
async fn an_srv_record_that_names_a_missing_host_is_told_from_a_missing_domain() {
    let dns = DnsServer::start(Zone::default().srv("_sips._tcp.example.test", "0 0 5061 gone.test")).await;
    let mut request = request(&ca(), &[]);
    request.route = Route::Discover { port: None };
    request.resolver = dns.resolver();
    let failure = connect(&request).await.unwrap_err();
    let ConnectFailure::Dns(ResolveError::NoRecords { asked, domain_exists: true }) = failure else {
        panic!("{failure:?}");
    };
    assert!(asked.iter().any(|question| question.to_string() == "A gone.test"), "{asked:?}");
}

/// DNS-08: a refused target gives way to the next, and is reported.
#[tokio::test]
async fn the_next_target_is_tried_after_an_untrusted_one() {
    let ca = ca();
    let bad = serve(Setup::default(), &ca.issue(Template::server("other.test")).unwrap()).await;
    let good = serve(Setup::default(), &ca.issue(Template::server(DOMAIN)).unwrap()).await;
    let (_socket, refused) = refusing();
    let connection = connect(&request(&ca, &[refused, bad.address, good.address])).await.unwrap();
    assert_eq!(connection.facts.address, good.address);
    assert_eq!(connection.refused.iter().map(|u| u.address).collect::<Vec<_>>(), [bad.address]);
}

#[tokio::test]
async fn when_all_fail_the_first_untrusted_server_is_what_is_reported() {
    let ca = ca();
    let bad = serve(Setup::default(), &ca.issue(Template::server("other.test")).unwrap()).await;
    let plain = Server::start(Behaviour::Says(b"SIP/2.0 400 Bad Request\r\n\r\n")).await;
    let (_socket, refused) = refusing();
    let failure = connect(&request(&ca, &[refused, plain.address, bad.address])).await.unwrap_err();
    let ConnectFailure::Untrusted(untrusted) = failure else { panic!("{failure:?}") };
    assert_eq!(untrusted.address, bad.address);
}

/// DNS-08: what failed above TLS is tried last.
#[tokio::test]
async fn an_avoided_address_is_tried_after_all_others() {
    let ca = ca();
    let issued = ca.issue(Template::server(DOMAIN)).unwrap();
    let (one, two) = (serve(Setup::default(), &issued).await, serve(Setup::default(), &issued).await);
    let mut request = request(&ca, &[one.address, two.address]);
    request.avoid = vec![one.address];
    assert_eq!(connect(&request).await.unwrap().facts.address, two.address);
    request.avoid = vec![one.address, two.address];
    assert_eq!(connect(&request).await.unwrap().facts.address, one.address);
}

#[tokio::test]
async fn a_refused_port_names_the_address() {
    let (_socket, address) = refusing();
    let failure = connect(&request(&ca(), &[address])).await.unwrap_err();
    let ConnectFailure::Connect(error) = &failure else { panic!("{failure:?}") };
    assert_eq!(error.attempts, [AttemptError { address, reason: Reason::Refused }]);
}

/// DNS-11.
#[tokio::test]
async fn a_port_that_speaks_plain_text_is_recognised() {
    for words in
        [&b"SIP/2.0 400 Bad Request\r\n\r\n"[..], b"HTTP/1.1 400 Bad Request\r\n\r\n", b"220 mail\r\n"]
    {
        let server = Server::start(Behaviour::Says(words)).await;
        let failure = connect(&request(&ca(), &[server.address])).await.unwrap_err();
        assert!(matches!(failure, ConnectFailure::Tls { cause: TlsCause::NotTls, .. }), "{failure:?}");
    }
}

/// The clock is virtual: it leaps to the deadline because nothing else can happen.
#[tokio::test(start_paused = true)]
async fn silence_ends_at_the_handshakes_deadline() {
    let mut server = Server::start(Behaviour::Silent).await;
    let began = Instant::now();
    let failure = connect(&request(&ca(), &[server.address])).await.unwrap_err();
    assert!(matches!(failure, ConnectFailure::Tls { cause: TlsCause::Silent, .. }), "{failure:?}");
    assert!(began.elapsed() <= Deadlines::default().handshake + Duration::from_millis(2));
    // The second attempt did without the post-quantum group.
    let lengths = [server.outcome().await.hello.len(), server.outcome().await.hello.len()];
    assert!(lengths[0] > 1_400 && lengths[1] < 500, "{lengths:?}");
}

#[tokio::test(start_paused = true)]
async fn the_total_deadline_ends_a_row_of_silent_servers() {
    let (one, two) = (Server::start(Behaviour::Silent).await, Server::start(Behaviour::Silent).await);
    let mut request = request(&ca(), &[one.address, two.address, one.address, two.address]);
    request.deadlines.total = Duration::from_secs(13);
    let began = Instant::now();
    connect(&request).await.unwrap_err();
    assert_eq!(began.elapsed().as_secs(), 13);
}

#[tokio::test]
async fn a_server_that_closes_is_told_from_one_that_is_silent() {
    let server = Server::start(Behaviour::Closes).await;
    let failure = connect(&request(&ca(), &[server.address])).await.unwrap_err();
    let ConnectFailure::Tls { cause, .. } = failure else { panic!("{failure:?}") };
    assert!(matches!(cause, TlsCause::Closed | TlsCause::Broken(_)), "{cause:?}");
}

/// TLS-11.
#[tokio::test]
async fn tls_1_2_is_spoken_unless_the_account_wants_more() {
    let ca = ca();
    let issued = ca.issue(Template::server(DOMAIN)).unwrap();
    let server = serve(Setup { versions: ONLY_12, ..Setup::default() }, &issued).await;
    let mut request = request(&ca, &[server.address]);
    let facts = connect(&request).await.unwrap().facts;
    assert_eq!(facts.version, TlsVersion::Tls12);
    assert!(facts.suite.starts_with("TLS_ECDHE_ECDSA_WITH_"), "{}", facts.suite);
    assert_eq!(facts.post_quantum, PostQuantum::NotSupported);
    request.tls.min_version = TlsVersion::Tls13;
    let failure = connect(&request).await.unwrap_err();
    assert!(
        matches!(
            failure,
            ConnectFailure::Tls { cause: TlsCause::NoTls13 { for_own_certificate: false }, .. }
        ),
        "{failure:?}"
    );
}

/// TLS-11: what a server limited to TLS 1.0 answers (OpenSSL: alert 70; others: a ServerHello of version 3.1).
#[tokio::test]
async fn a_server_that_knows_only_old_versions_is_refused_with_that_reason() {
    let mut old_hello = vec![0x16, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
    old_hello.extend([7; 32]);
    old_hello.extend([0, 0, 0x2f, 0]);
    for answer in [vec![0x15, 3, 1, 0, 2, 2, 70], old_hello] {
        let server = Server::start(Behaviour::Says(answer.leak())).await;
        let failure = connect(&request(&ca(), &[server.address])).await.unwrap_err();
        assert!(matches!(failure, ConnectFailure::Tls { cause: TlsCause::Version, .. }), "{failure:?}");
    }
}

/// TLS-23.
#[tokio::test]
async fn a_server_without_the_post_quantum_group_is_reported_and_can_be_refused() {
    let ca = ca();
    let issued = ca.issue(Template::server(DOMAIN)).unwrap();
    for versions in [ONLY_13, ONLY_12] {
        let server = serve(Setup { post_quantum: false, versions, ..Setup::default() }, &issued).await;
        let mut request = request(&ca, &[server.address]);
        let facts = connect(&request).await.unwrap().facts;
        assert_eq!((facts.group.as_str(), facts.post_quantum), ("x25519", PostQuantum::NotSupported));
        request.tls.require_post_quantum = true;
        let failure = connect(&request).await.unwrap_err();
        assert!(matches!(failure, ConnectFailure::Tls { cause: TlsCause::NoPostQuantum, .. }), "{failure:?}");
    }
}

/// TLS-23.
#[tokio::test]
async fn a_large_hello_that_is_dropped_is_followed_by_a_small_one_and_reported() {
    let ca = ca();
    let issued = ca.issue(Template::server(DOMAIN)).unwrap();
    let config = Setup::default().config(issued.chain(), issued.key());
    let mut server = Server::start(Behaviour::DropsLargeHello(config)).await;
    let mut request = request(&ca, &[server.address]);
    let connection = connect(&request).await.unwrap();
    assert!(matches!(connection.facts.post_quantum, PostQuantum::GivenUp(_)), "{:?}", connection.facts);
    assert_eq!(connection.facts.group, "x25519");
    drop(connection);
    assert!(server.outcome().await.hello.len() > 1_400);
    assert!(server.outcome().await.hello.len() < 500);
    // Where the account demands it, nothing is given up.
    request.tls.require_post_quantum = true;
    connect(&request).await.unwrap_err();
    server.outcome().await;
    assert!(server.is_quiet());
}

/// TLS-23. The clock is virtual.
#[tokio::test(start_paused = true)]
async fn a_large_hello_that_is_lost_leaves_time_for_a_small_one() {
    let ca = ca();
    let issued = ca.issue(Template::server(DOMAIN)).unwrap();
    let config = Setup::default().config(issued.chain(), issued.key());
    let server = Server::start(Behaviour::IgnoresLargeHello(config)).await;
    let connection = connect(&request(&ca, &[server.address])).await.unwrap();
    assert_eq!(connection.facts.post_quantum, PostQuantum::GivenUp(TlsCause::Silent));
}

/// TLS-23: once the certificate is here, the ClientHello was not too large.
#[tokio::test]
async fn a_server_that_leaves_after_its_certificate_is_not_tried_again() {
    let ca = ca();
    let issued = ca.issue(Template::server(DOMAIN)).unwrap();
    let setup = Setup { versions: ONLY_12, ..Setup::default() };
    let config = setup.config(issued.chain(), issued.key());
    let mut server = Server::start(Behaviour::LeavesAfterFirstFlight(config)).await;
    let failure = connect(&request(&ca, &[server.address])).await.unwrap_err();
    let ConnectFailure::Tls { cause, .. } = failure else { panic!("{failure:?}") };
    assert!(matches!(cause, TlsCause::Closed | TlsCause::Broken(_)), "{cause:?}");
    server.outcome().await;
    assert!(server.is_quiet());
}

/// TLS-22: each connection is judged; the server's tickets are not used.
#[tokio::test]
async fn no_session_is_ever_resumed() {
    let ca = ca();
    let issued = ca.issue(Template::server(DOMAIN)).unwrap();
    for versions in [ONLY_13, ONLY_12] {
        let mut server = serve(Setup { versions, ..Setup::default() }, &issued).await;
        let request = request(&ca, &[server.address]);
        for _ in 0..2 {
            let mut connection = connect(&request).await.unwrap();
            // The tickets come before the server's first bytes.
            connection.stream.read_exact(&mut [0; 7]).await.unwrap();
            drop(connection);
            assert_eq!(server.outcome().await.handshake, Ok(HandshakeKind::Full));
        }
    }
}

/// TLS-19.
#[tokio::test]
async fn alpn_is_offered_only_where_the_account_asks() {
    let ca = ca();
    let issued = ca.issue(Template::server(DOMAIN)).unwrap();
    let server = serve(Setup { alpn: &[b"sip/2"], ..Setup::default() }, &issued).await;
    let mut request = request(&ca, &[server.address]);
    assert_eq!(connect(&request).await.unwrap().facts.alpn, None);
    request.tls.alpn = true;
    assert_eq!(connect(&request).await.unwrap().facts.alpn.as_deref(), Some("sip/2"));
    let web = serve(Setup { alpn: &[b"h2"], ..Setup::default() }, &issued).await;
    request.route = Route::Given(vec![(Host::Address(web.address.ip()), web.address.port())]);
    let failure = connect(&request).await.unwrap_err();
    assert!(matches!(failure, ConnectFailure::Tls { cause: TlsCause::Alpn, .. }), "{failure:?}");
}

/// TLS-08.
#[tokio::test]
async fn an_address_as_identity_sends_no_server_name() {
    let ca = ca();
    let issued = ca.issue(Template::server("x.test").no_names().ip("127.0.0.1".parse().unwrap())).unwrap();
    let mut server = serve(Setup::default(), &issued).await;
    let mut request = request(&ca, &[]);
    request.identity = ReferenceIdentity::new("127.0.0.1").unwrap();
    request.route = Route::Discover { port: Some(server.address.port()) };
    let connection = connect(&request).await.unwrap();
    assert_eq!(connection.trusted.matched.by, MatchedBy::Ip);
    drop(connection);
    assert_eq!(sni(&server.outcome().await.hello), None);
}

/// A server that demands a client certificate says so only on the first read (TLS 1.3) or in the handshake (1.2).
#[tokio::test]
async fn a_demanded_client_certificate_is_told_as_such() {
    let ca = ca();
    let issued = ca.issue(Template::server(DOMAIN)).unwrap();
    let setup = |versions| Setup { versions, client_root: Some(ca.root_der().clone()), ..Setup::default() };
    let server = serve(setup(ONLY_13), &issued).await;
    let mut connection = connect(&request(&ca, &[server.address])).await.unwrap();
    let error = connection.stream.read(&mut [0; 7]).await.unwrap_err();
    assert_eq!(TlsCause::of(&error), TlsCause::ClientCertificate { alert: Alert(116) });
    let server = serve(setup(ONLY_12), &issued).await;
    let failure = connect(&request(&ca, &[server.address])).await.unwrap_err();
    let ConnectFailure::Tls { cause, .. } = failure else { panic!("{failure:?}") };
    assert!(matches!(cause, TlsCause::ClientCertificate { .. } | TlsCause::NothingInCommon), "{cause:?}");
}

/// Whoever stops waiting leaves no connection behind.
#[tokio::test]
async fn dropping_the_attempt_closes_the_connection() {
    let mut server = Server::start(Behaviour::Silent).await;
    let request = request(&ca(), &[server.address]);
    let metrics = tokio::runtime::Handle::current().metrics();
    let before = metrics.num_alive_tasks();
    {
        let mut attempt = Box::pin(connect(&request));
        while metrics.num_alive_tasks() == before {
            tokio::select! {
                ended = &mut attempt => panic!("{ended:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
    }
    // The server's task ends when its peer has gone.
    server.outcome().await;
}

/// TLS-12, TLS-13, TLS-23: what the ClientHello offers.
#[tokio::test]
async fn the_client_offers_only_what_is_strong() {
    let mut server = Server::start(Behaviour::Closes).await;
    connect(&request(&ca(), &[server.address])).await.unwrap_err();
    let hello = server.outcome().await.hello;
    let accepted = accept(&hello);
    let hello = accepted.client_hello();
    let suites: BTreeSet<String> = hello.cipher_suites().iter().map(|s| format!("{s:?}")).collect();
    for suite in &suites {
        let strong = suite.starts_with("TLS13_") || suite.starts_with("TLS_ECDHE_");
        let authenticated = suite.contains("_GCM_") || suite.contains("CHACHA20_POLY1305");
        assert!((strong && authenticated) || suite == "TLS_EMPTY_RENEGOTIATION_INFO_SCSV", "{suite}");
    }
    // RFC 9325 §3.5: renegotiation_info, by extension or by this suite.
    assert!(suites.contains("TLS_EMPTY_RENEGOTIATION_INFO_SCSV"));
    let groups: Vec<String> = hello.named_groups().unwrap().iter().map(|g| format!("{g:?}")).collect();
    assert_eq!(groups, ["X25519MLKEM768", "X25519", "secp256r1", "secp384r1"]);
    for scheme in hello.signature_schemes() {
        let name = format!("{scheme:?}");
        assert!(!name.contains("SHA1") && !name.contains("MD5"), "{name}");
    }
}

/// TLS-13, TLS-16, TLS-19, TLS-22.
#[tokio::test]
async fn the_client_asks_for_a_staple_and_for_no_way_to_resume() {
    const STATUS_REQUEST: u16 = 5;
    const ALPN: u16 = 16;
    const EXTENDED_MASTER_SECRET: u16 = 23;
    const SESSION_TICKET: u16 = 35;
    const PRE_SHARED_KEY: u16 = 41;
    const EARLY_DATA: u16 = 42;
    let mut server = Server::start(Behaviour::Closes).await;
    connect(&request(&ca(), &[server.address])).await.unwrap_err();
    let sent = extensions(&server.outcome().await.hello);
    assert!(sent.contains(&STATUS_REQUEST) && sent.contains(&EXTENDED_MASTER_SECRET), "{sent:?}");
    for absent in [ALPN, SESSION_TICKET, PRE_SHARED_KEY, EARLY_DATA] {
        assert!(!sent.contains(&absent), "{absent} in {sent:?}");
    }
}

/// The types of the extensions of a ClientHello in one record (RFC 8446 §4.1.2).
fn extensions(record: &[u8]) -> Vec<u16> {
    let length = |at: usize| usize::from(u16::from_be_bytes([record[at], record[at + 1]]));
    // Record header 5, handshake header 4, version 2, random 32.
    let mut at = 43;
    at += 1 + usize::from(record[at]);
    at += 2 + length(at);
    at += 1 + usize::from(record[at]);
    let end = at + 2 + length(at);
    at += 2;
    let mut types = Vec::new();
    while at < end {
        types.push(u16::from_be_bytes([record[at], record[at + 1]]));
        at += 4 + length(at + 2);
    }
    types
}

fn accept(hello: &[u8]) -> rustls::server::Accepted {
    let mut acceptor = Acceptor::default();
    acceptor.read_tls(&mut &hello[..]).unwrap();
    acceptor.accept().map_err(|(error, _)| error).unwrap().unwrap()
}

fn sni(hello: &[u8]) -> Option<String> {
    accept(hello).client_hello().server_name().map(str::to_owned)
}
