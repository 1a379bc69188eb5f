//! What an account demands beyond a valid certificate: keys, names, versions, partners.

#![allow(missing_docs)]
// A test that cannot go on ends here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing
)]

use aldis::net::{ConnectFailure, TlsCause, TlsVersion};
use aldis::trust::{Anchors, Code, Pin, Policy, Source};
use aldis::{Config, ConnectionState, Domain, Event, PolicyFile, RegistrationState, Trouble};
use aldis_end_to_end::{DOMAIN, PATIENCE, Tester, config_at, only, options, registrar};
use aldis_pki::{Ca, Issued, Template};
use aldis_registrar::{Impostor, Registrar, ServerCertificate, TlsVersions};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

fn certificate(issued: &Issued) -> ServerCertificate {
    ServerCertificate::new(issued.chain(), issued.key())
}

async fn serve(issued: &Issued) -> Registrar {
    registrar(options().certificate(certificate(issued))).await
}

/// How the server's name matched, once alice has registered.
async fn registers(config: Config) -> String {
    let alice = Tester::start(config);
    alice.phone.register();
    let event =
        alice.wait_for(|e| matches!(e, Event::Connection { state: ConnectionState::Connected(_), .. })).await;
    let Event::Connection { state: ConnectionState::Connected(connected), .. } = event else {
        unreachable!()
    };
    alice
        .wait_for(|e| matches!(e, Event::Registration { state: RegistrationState::Registered { .. }, .. }))
        .await;
    format!("{} {}", connected.matched.by, connected.matched.value)
}

/// The code of the refusal of a server of that certificate, which has received nothing.
async fn refused(issued: &Issued, config: impl FnOnce(std::net::SocketAddr) -> Config) -> Code {
    let impostor = Impostor::start(certificate(issued)).await.unwrap();
    let alice = Tester::start(config(impostor.address()));
    alice.phone.register();
    let event = alice.wait_for(|event| matches!(event, Event::Untrusted { .. })).await;
    let Event::Untrusted { verdict, .. } = event else { unreachable!() };
    tokio::time::timeout(PATIENCE, alice.phone.shut_down()).await.unwrap();
    assert_eq!(impostor.application_bytes(), 0, "not one SIP byte (TLS-01)");
    verdict.code().unwrap()
}

/// Why no connection came up over TLS.
async fn tls_trouble(config: Config) -> TlsCause {
    let alice = Tester::start(config);
    alice.phone.register();
    let event = alice
        .wait_for(|e| matches!(e, Event::Connection { state: ConnectionState::BackingOff { .. }, .. }))
        .await;
    let Event::Connection {
        state: ConnectionState::BackingOff { why: Trouble::NoConnection(failure), .. },
        ..
    } = event
    else {
        panic!("{event:?}")
    };
    let ConnectFailure::Tls { cause, .. } = failure.as_ref() else { panic!("{failure:?}") };
    cause.clone()
}

#[tokio::test]
async fn one_of_the_pinned_keys_must_stand_on_the_path() {
    let ca = Ca::new("Corp Root", now()).unwrap();
    let issued = ca.issue(Template::server(DOMAIN)).unwrap();
    let pin = |der: &[u8]| Pin::of_certificate(der).unwrap();
    let (own, root) = (pin(&issued.certificate()), pin(ca.root_der()));
    let foreign = pin(Ca::new("Other Root", now()).unwrap().root_der());
    let pinned = |pins: &[Pin]| {
        let mut policy = only(&ca.root_pem());
        policy.pins = pins.to_vec();
        policy
    };
    let server = serve(&issued).await;
    let config = |policy| config_at("alice", "wonderland", server.address(), &ca.root_pem()).trust(policy);
    for pins in [&[own][..], &[root], &[foreign, own]] {
        registers(config(pinned(pins))).await;
    }
    let policy = pinned(&[foreign]);
    let code =
        refused(&issued, |address| config_at("alice", "wonderland", address, &ca.root_pem()).trust(policy));
    assert_eq!(code.await, Code::PinMismatch);
}

/// TLS-02, TLS-06: the trusted server list.
#[tokio::test]
async fn a_server_of_the_accounts_list_may_present_its_own_name() {
    let ca = Ca::new("Corp Root", now()).unwrap();
    let pool = ca.issue(Template::server("pool01.corp.test")).unwrap();
    let other = ca.issue(Template::server("pool02.corp.test")).unwrap();
    let mut policy = only(&ca.root_pem());
    policy.server_names = vec![Domain::new("pool01.corp.test").unwrap()];
    let server = serve(&pool).await;
    let config = |address| config_at("alice", "wonderland", address, &ca.root_pem()).trust(policy.clone());
    assert_eq!(registers(config(server.address())).await, "server-name pool01.corp.test");
    assert_eq!(refused(&other, config).await, Code::NameMismatch);
}

/// TLS-07.
#[tokio::test]
async fn a_wildcard_needs_the_accounts_exception() {
    let ca = Ca::new("Corp Root", now()).unwrap();
    let domain = "sip.example.test";
    let issued = ca.issue(Template::server("*.example.test")).unwrap();
    let config = |address: std::net::SocketAddr, allowed| {
        let mut policy = only(&ca.root_pem());
        policy.allow_wildcard = allowed;
        let config = Config::new(&format!("sip:alice@{domain}")).unwrap();
        config.address(&address.to_string()).unwrap().password("wonderland").trust(policy)
    };
    assert_eq!(refused(&issued, |address| config(address, false)).await, Code::WildcardNotAllowed);
    let server = registrar(
        aldis_registrar::Options::new(domain).user("alice", "wonderland").certificate(certificate(&issued)),
    )
    .await;
    assert_eq!(registers(config(server.address(), true)).await, "wildcard *.example.test");
}

/// TLS-11.
#[tokio::test]
async fn tls_1_3_can_be_demanded() {
    let old = registrar(options().tls(TlsVersions::Tls12)).await;
    let config = aldis_end_to_end::config(&old, "alice").min_tls(TlsVersion::Tls13);
    assert_eq!(tls_trouble(config).await, TlsCause::NoTls13 { for_own_certificate: false });
    assert_eq!(old.application_bytes(), 0);
}

/// TLS-23.
#[tokio::test]
async fn a_post_quantum_exchange_can_be_demanded() {
    let without = registrar(options().post_quantum(false)).await;
    let config = aldis_end_to_end::config(&without, "alice").require_post_quantum(true);
    assert_eq!(tls_trouble(config).await, TlsCause::NoPostQuantum);
    assert_eq!(without.application_bytes(), 0);
    let with = registrar(options()).await;
    registers(aldis_end_to_end::config(&with, "alice").require_post_quantum(true)).await;
}

/// Federation: a partner's authority speaks for the partner's domains, and for nobody else.
#[tokio::test]
async fn a_partners_authority_vouches_for_no_other_domain() {
    let (ours, theirs) = (Ca::new("Our Root", now()).unwrap(), Ca::new("Their Root", now()).unwrap());
    let partners = |domain: &str| {
        let anchors = Anchors::builder()
            .pem(ours.root_pem().as_bytes(), Source::Organisation)
            .partner_pem(theirs.root_pem().as_bytes(), &[Domain::new(domain).unwrap()]);
        Policy::new(Arc::new(anchors.build()))
    };
    let issued = theirs.issue(Template::server(DOMAIN)).unwrap();
    let config = |address, policy| config_at("alice", "wonderland", address, &ours.root_pem()).trust(policy);
    let code = refused(&issued, |address| config(address, partners("partner.test"))).await;
    assert_eq!(code, Code::RootOutOfScope);
    let server = serve(&issued).await;
    registers(config(server.address(), partners(DOMAIN))).await;
}

/// The same by the administrator's file.
#[tokio::test]
async fn a_policy_file_says_who_is_trusted_for_which_domain() {
    let (ours, theirs) = (Ca::new("Our Root", now()).unwrap(), Ca::new("Their Root", now()).unwrap());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ours.pem"), ours.root_pem()).unwrap();
    std::fs::write(folder.path().join("theirs.pem"), theirs.root_pem()).unwrap();
    let path = folder.path().join("policy.toml");
    let text = "[default]\nroots = [\"ours.pem\"]\n\n[[partner]]\ndomains = [\"partner.test\"]\nroots = [\"theirs.pem\"]\n";
    std::fs::write(&path, text).unwrap();
    let file = PolicyFile::read(&path).unwrap();
    let config = |address| config_at("alice", "wonderland", address, &theirs.root_pem()).policy_file(&file);
    let server = serve(&ours.issue(Template::server(DOMAIN)).unwrap()).await;
    registers(config(server.address())).await;
    let issued = theirs.issue(Template::server(DOMAIN)).unwrap();
    assert_eq!(refused(&issued, config).await, Code::RootOutOfScope);
}
