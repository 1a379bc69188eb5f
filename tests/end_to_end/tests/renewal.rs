//! Nobody is trusted for longer than the proofs last: connections that are up when a list or a certificate ends.

#![allow(missing_docs)]
// A test that cannot go on ends here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing
)]

use aldis::trust::{Code, RevocationMode};
use aldis::{ConnectionState, Event, LostReason, OutgoingState, RegistrationState};
use aldis_end_to_end::{Answer, DOMAIN, DistributionPoint, Tester, config_at, only, options, registrar};
use aldis_pki::{Ca, Issued, RevocationList, Template};
use aldis_registrar::{Registrar, ServerCertificate};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const HOUR: i64 = 3_600;
/// How long a proof lasts that ends during a test, in seconds; calendars know no less than one.
const SHORT: i64 = 3;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

async fn serve(issued: &Issued) -> Registrar {
    registrar(options().certificate(ServerCertificate::new(issued.chain(), issued.key()))).await
}

fn config(user: &str, ca: &Ca, mode: RevocationMode, servers: &[&Registrar]) -> aldis::Config {
    let password = if user == "bob" { "builder" } else { "wonderland" };
    let mut policy = only(&ca.root_pem());
    policy.revocation = mode;
    let (first, others) = servers.split_first().unwrap();
    let config = config_at(user, password, first.address(), &ca.root_pem()).trust(policy);
    others.iter().fold(config, |config, server| config.address(&server.address().to_string()).unwrap())
}

/// The code with which the server of a connection that is up is refused, and how that connection ended.
async fn fell_from_grace(alice: &Tester) -> (Code, String) {
    let event = alice.wait_for(|event| matches!(event, Event::Untrusted { .. })).await;
    let Event::Untrusted { verdict, .. } = event else { unreachable!() };
    let event =
        alice.wait_for(|e| matches!(e, Event::Connection { state: ConnectionState::Lost { .. }, .. })).await;
    let Event::Connection { state: ConnectionState::Lost { why }, .. } = event else { unreachable!() };
    assert!(matches!(why, LostReason::NoLongerTrusted(_)), "{why:?}");
    (verdict.code().unwrap(), why.to_string())
}

/// TLS-15.
#[tokio::test]
async fn a_connection_ends_when_the_next_list_revokes_its_server() {
    let (ca, point) = (Ca::new("Corp Root", now()).unwrap(), DistributionPoint::start().await);
    let issued = ca.issue(Template::server(DOMAIN).crl_url(&point.url("/"))).unwrap();
    let short = RevocationList::new(now() - HOUR, now() + SHORT).signed_by(&ca).unwrap();
    point.publish("/", Answer::List(short));
    let server = serve(&issued).await;
    let alice = Tester::registered(config("alice", &ca, RevocationMode::Require, &[&server])).await;
    let next = RevocationList::new(now(), now() + HOUR).revoke(issued.serial_number());
    point.publish("/", Answer::List(next.signed_by(&ca).unwrap()));
    let (code, why) = fell_from_grace(&alice).await;
    assert_eq!(code, Code::Revoked);
    assert!(why.contains("the server is no longer trusted: "), "{why}");
    // The next attempt is refused at once, by what is known now.
    let event = alice.wait_for(|event| matches!(event, Event::Untrusted { .. })).await;
    let Event::Untrusted { verdict, .. } = event else { unreachable!() };
    assert_eq!(verdict.code(), Some(Code::Revoked));
    assert_eq!(point.requests().len(), 2);
}

/// TLS-15.
#[tokio::test]
async fn a_connection_stays_when_its_list_is_renewed() {
    let (ca, point) = (Ca::new("Corp Root", now()).unwrap(), DistributionPoint::start().await);
    let issued = ca.issue(Template::server(DOMAIN).crl_url(&point.url("/"))).unwrap();
    let list = |ends| RevocationList::new(now() - HOUR, now() + ends).signed_by(&ca).unwrap();
    point.publish("/", Answer::List(list(SHORT)));
    let server = serve(&issued).await;
    let alice = Tester::registered(config("alice", &ca, RevocationMode::Require, &[&server])).await;
    point.publish("/", Answer::List(list(HOUR)));
    let renewed = async {
        while point.requests().len() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(aldis_end_to_end::PATIENCE, renewed).await.unwrap();
    // A message goes and comes over the same connection.
    let state = alice.send(&format!("sip:alice@{DOMAIN}"), "still here").await;
    assert!(matches!(state, OutgoingState::Accepted { .. }), "{state:?}");
    assert_eq!(alice.text().await, "still here");
    assert_eq!(server.connections(), 1);
}

/// With `require` a list that cannot be renewed ends the trust; with `prefer` it is a matter for the next hour.
#[tokio::test]
async fn a_list_that_cannot_be_renewed_counts_as_absent() {
    let (ca, point) = (Ca::new("Corp Root", now()).unwrap(), DistributionPoint::start().await);
    let issued = ca.issue(Template::server(DOMAIN).crl_url(&point.url("/"))).unwrap();
    let short = RevocationList::new(now() - HOUR, now() + SHORT).signed_by(&ca).unwrap();
    point.publish("/", Answer::List(short));
    let server = serve(&issued).await;
    let alice = Tester::registered(config("alice", &ca, RevocationMode::Require, &[&server])).await;
    let bob = Tester::registered(config("bob", &ca, RevocationMode::Prefer, &[&server])).await;
    point.publish("/", Answer::Raw(Vec::new()));
    assert_eq!(fell_from_grace(&alice).await.0, Code::ListExpired);
    let asked = async {
        // Two at first, one renewal each.
        while point.requests().len() < 4 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(aldis_end_to_end::PATIENCE, asked).await.unwrap();
    let state = bob.send(&format!("sip:bob@{DOMAIN}"), "still here").await;
    assert!(matches!(state, OutgoingState::Accepted { .. }), "{state:?}");
}

/// The flow is replaced by one to a server that can prove itself, and messages go over it.
#[tokio::test]
async fn a_connection_is_replaced_when_its_certificate_expires() {
    let ca = Ca::new("Corp Root", now()).unwrap();
    let expiring = ca.issue(Template::server(DOMAIN).valid(now() - HOUR, now() + SHORT)).unwrap();
    let renewed = ca.issue(Template::server(DOMAIN)).unwrap();
    let (old, new) = (serve(&expiring).await, serve(&renewed).await);
    let alice = Tester::registered(config("alice", &ca, RevocationMode::Off, &[&old, &new])).await;
    assert_eq!(new.connections(), 0);
    assert_eq!(fell_from_grace(&alice).await.0, Code::Expired);
    let sent = old.application_bytes();
    alice
        .wait_for(|event| {
            matches!(event, Event::Registration { state: RegistrationState::Registered { .. }, .. })
        })
        .await;
    let state = alice.send(&format!("sip:alice@{DOMAIN}"), "elsewhere").await;
    assert!(matches!(state, OutgoingState::Accepted { .. }), "{state:?}");
    assert_eq!(alice.text().await, "elsewhere");
    assert_eq!(old.application_bytes(), sent, "nothing more was said to the expired one");
}
