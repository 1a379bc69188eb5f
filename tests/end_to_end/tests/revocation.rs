//! Whether a certificate was withdrawn: lists given, fetched and kept, stapled answers, and what their absence means.

#![allow(missing_docs)]
// A test that cannot go on ends here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing
)]

use aldis::net::{ConnectFailure, ConnectRequest, Connection, Host, Revocation, Route, connect};
use aldis::trust::{Anchors, Code, Crl, Policy, RevocationMode, RevocationStatus};
use aldis::{ConnectionState, Event, ReferenceIdentity};
use aldis_end_to_end::{
    Answer, DOMAIN, DistributionPoint, PATIENCE, Tester, config_at, only, options, registrar,
};
use aldis_pki::{Ca, CertificateStatus, Issued, OcspAnswer, RevocationList, Template};
use aldis_registrar::{Impostor, Registrar, ServerCertificate};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

const HOUR: i64 = 3_600;
const PATH: &str = "/ca.crl";

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

/// An organisation's root, whose lists are published on loopback, and a server's certificate.
struct Organisation {
    ca: Ca,
    point: DistributionPoint,
    issued: Issued,
}

impl Organisation {
    async fn new() -> Self {
        let point = DistributionPoint::start().await;
        let template = Template::server(DOMAIN).crl_url(&point.url(PATH));
        Self::with(point, template)
    }

    fn with(point: DistributionPoint, template: Template) -> Self {
        let ca = Ca::new("Corp Root", now()).unwrap();
        let issued = ca.issue(template).unwrap();
        Organisation { ca, point, issued }
    }

    fn good(&self) -> Vec<u8> {
        RevocationList::new(now() - HOUR, now() + HOUR).signed_by(&self.ca).unwrap()
    }

    fn revoking(&self) -> Vec<u8> {
        let list = RevocationList::new(now() - HOUR, now() + HOUR);
        list.revoke(self.issued.serial_number()).signed_by(&self.ca).unwrap()
    }

    fn publish(&self, list: Vec<u8>) {
        self.point.publish(PATH, Answer::List(list));
    }

    fn policy(&self, mode: RevocationMode) -> Policy {
        let mut policy = only(&self.ca.root_pem());
        policy.revocation = mode;
        policy
    }

    fn certificate(&self) -> ServerCertificate {
        ServerCertificate::new(self.issued.chain(), self.issued.key())
    }

    async fn impostor(&self) -> Impostor {
        Impostor::start(self.certificate()).await.unwrap()
    }

    async fn registrar(&self) -> Registrar {
        registrar(options().certificate(self.certificate())).await
    }

    fn config(&self, address: SocketAddr, mode: RevocationMode) -> aldis::Config {
        config_at("alice", "wonderland", address, &self.ca.root_pem()).trust(self.policy(mode))
    }

    /// A request to `address` with a cache of its own.
    fn request(&self, address: SocketAddr, mode: RevocationMode) -> ConnectRequest {
        let identity = ReferenceIdentity::new(DOMAIN).unwrap();
        let mut request = ConnectRequest::new(identity, Arc::new(self.policy(mode)));
        request.route = Route::Given(vec![(Host::Address(address.ip()), address.port())]);
        request.revocation = Some(Arc::new(Revocation::new()));
        request
    }
}

/// The first reason of a refusal: its code and what was found.
fn refusal(result: Result<Connection, ConnectFailure>) -> (Code, String) {
    let failure = result.expect_err("refused");
    let ConnectFailure::Untrusted(untrusted) = failure else { panic!("{failure:?}") };
    let finding = untrusted.verdict.findings()[0].clone();
    (finding.code, finding.found)
}

/// What a phone says of a server that is refused; the server has received nothing.
async fn refused_phone(organisation: &Organisation, impostor: &Impostor, config: aldis::Config) -> Code {
    let alice = Tester::start(config);
    alice.phone.register();
    let event = alice.wait_for(|event| matches!(event, Event::Untrusted { .. })).await;
    let Event::Untrusted { verdict, address } = event else { unreachable!() };
    assert_eq!(address, impostor.address());
    alice
        .wait_for(|event| {
            matches!(event, Event::Connection { state: ConnectionState::BackingOff { .. }, .. })
        })
        .await;
    tokio::time::timeout(PATIENCE, alice.phone.shut_down()).await.unwrap();
    assert!(impostor.connections() >= 1);
    assert_eq!(impostor.application_bytes(), 0, "not one SIP byte (TLS-01)");
    assert!(organisation.point.requests().iter().all(|path| path == PATH));
    verdict.code().unwrap()
}

/// The warnings of the connection of a phone that registers.
async fn connected_phone(config: aldis::Config) -> Vec<(Code, String)> {
    let alice = Tester::start(config);
    alice.phone.register();
    let event =
        alice.wait_for(|e| matches!(e, Event::Connection { state: ConnectionState::Connected(_), .. })).await;
    let Event::Connection { state: ConnectionState::Connected(connected), .. } = event else {
        unreachable!()
    };
    alice
        .wait_for(|e| {
            matches!(e, Event::Registration { state: aldis::RegistrationState::Registered { .. }, .. })
        })
        .await;
    tokio::time::timeout(PATIENCE, alice.phone.shut_down()).await.unwrap();
    connected.warnings.iter().map(|finding| (finding.code, finding.found.clone())).collect()
}

/// TLS-01, TLS-15.
#[tokio::test]
async fn a_revocation_in_a_fetched_list_is_fatal_before_any_sip_byte() {
    for mode in [RevocationMode::Prefer, RevocationMode::Require] {
        let organisation = Organisation::new().await;
        organisation.publish(organisation.revoking());
        let impostor = organisation.impostor().await;
        let config = organisation.config(impostor.address(), mode);
        assert_eq!(refused_phone(&organisation, &impostor, config).await, Code::Revoked, "{mode:?}");
        assert!(!organisation.point.requests().is_empty());
    }
}

/// TLS-15.
#[tokio::test]
async fn a_good_list_is_proof_in_every_form_that_http_has() {
    let organisation = Organisation::new().await;
    let registrar = organisation.registrar().await;
    let list = organisation.good();
    let pem = RevocationList::to_pem(&list).into_bytes();
    for answer in [
        Answer::List(list.clone()),
        Answer::Chunked(list.clone()),
        Answer::UntilClosed(list.clone()),
        Answer::List(pem),
    ] {
        organisation.point.publish(PATH, answer);
        let config = organisation.config(registrar.address(), RevocationMode::Require);
        assert_eq!(connected_phone(config).await, []);
    }
    assert_eq!(organisation.point.requests().len(), 4);
}

/// TLS-15: mode `off` looks for nothing; what is given still proves.
#[tokio::test]
async fn mode_off_asks_nobody_and_believes_a_given_list() {
    let organisation = Organisation::new().await;
    organisation.publish(organisation.revoking());
    let registrar = organisation.registrar().await;
    let config = organisation.config(registrar.address(), RevocationMode::Off);
    connected_phone(config.clone()).await;
    let impostor = organisation.impostor().await;
    let list = Arc::new(Crl::from_der(&organisation.revoking()).unwrap());
    let config = organisation.config(impostor.address(), RevocationMode::Off).revocation_lists(vec![list]);
    assert_eq!(refused_phone(&organisation, &impostor, config).await, Code::Revoked);
    assert!(organisation.point.requests().is_empty());
}

/// TLS-15.
#[tokio::test]
async fn a_given_list_spares_the_question() {
    let organisation = Organisation::new().await;
    let given = |der: Vec<u8>| vec![Arc::new(Crl::from_der(&der).unwrap())];
    let registrar = organisation.registrar().await;
    let config = organisation.config(registrar.address(), RevocationMode::Require);
    assert_eq!(connected_phone(config.revocation_lists(given(organisation.good()))).await, []);
    let impostor = organisation.impostor().await;
    let config = organisation.config(impostor.address(), RevocationMode::Prefer);
    let config = config.revocation_lists(given(organisation.revoking()));
    assert_eq!(refused_phone(&organisation, &impostor, config).await, Code::Revoked);
    assert!(organisation.point.requests().is_empty());
}

/// TLS-15.
#[tokio::test]
async fn absence_is_reported_with_prefer_and_refused_with_require() {
    let organisation = Organisation::new().await;
    let registrar = organisation.registrar().await;
    let config = organisation.config(registrar.address(), RevocationMode::Prefer);
    let warnings = connected_phone(config).await;
    let [(Code::RevocationUnknown, found)] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert_eq!(*found, format!("nothing: {}: the answer was 404", organisation.point.url(PATH)));

    let impostor = organisation.impostor().await;
    let config = organisation.config(impostor.address(), RevocationMode::Require);
    assert_eq!(refused_phone(&organisation, &impostor, config).await, Code::RevocationUnknown);
}

/// TLS-15: whatever goes wrong is told, and is no proof.
#[tokio::test]
async fn what_is_no_list_says_what_it_is() {
    let organisation = Organisation::new().await;
    let impostor = organisation.impostor().await;
    let good = organisation.good();
    let other = Ca::new("Corp Root", now()).unwrap();
    let expired = RevocationList::new(now() - 2 * HOUR, now() - HOUR).signed_by(&organisation.ca).unwrap();
    let future = RevocationList::new(now() + HOUR, now() + 2 * HOUR).signed_by(&organisation.ca).unwrap();
    let forged = RevocationList::new(now() - HOUR, now() + HOUR);
    let forged = forged.signed_in_the_name_of(&organisation.ca, &other).unwrap();
    let raw = |text: &str| Answer::Raw(text.as_bytes().to_vec());
    let elsewhere = organisation.point.url("/elsewhere.crl");
    organisation.point.publish("/elsewhere.crl", Answer::List(good.clone()));
    for (answer, code, words) in [
        (
            raw("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"),
            Code::RevocationUnknown,
            "longer than 10 megabytes",
        ),
        (
            raw(&format!("HTTP/1.1 302 Found\r\nLocation: {elsewhere}\r\n\r\n")),
            Code::RevocationUnknown,
            "(302), which is not followed",
        ),
        (raw("SIP/2.0 400 Bad Request\r\n\r\n"), Code::RevocationUnknown, "does not speak HTTP"),
        (raw("HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\nabc"), Code::RevocationUnknown, "broke off"),
        (
            Answer::List(b"<html>Welcome to the hotel</html>".to_vec()),
            Code::RevocationUnknown,
            "not a revocation list",
        ),
        (Answer::List(Vec::new()), Code::RevocationUnknown, "not a revocation list"),
        (Answer::List(good[..good.len() - 1].to_vec()), Code::RevocationUnknown, "not a revocation list"),
        (Answer::List(expired), Code::ListExpired, "ended on"),
        (Answer::List(future), Code::ListFromFuture, "is dated"),
        (Answer::List(forged), Code::ListForged, "key did not make"),
    ] {
        organisation.point.publish(PATH, answer.clone());
        let request = organisation.request(impostor.address(), RevocationMode::Require);
        let (found_code, found) = refusal(connect(&request).await);
        assert_eq!(found_code, code, "{answer:?}: {found}");
        assert!(found.contains(words), "{answer:?}: {found}");
        let request = organisation.request(impostor.address(), RevocationMode::Prefer);
        let trusted = connect(&request).await.unwrap().trusted;
        assert_eq!(trusted.revocation, RevocationStatus::Unproven);
        assert!(trusted.warnings.iter().any(|finding| finding.code == code && finding.found == found));
    }
    assert_eq!(impostor.application_bytes(), 0);
    assert!(!organisation.point.requests().contains(&"/elsewhere.crl".to_owned()), "a redirect was followed");
}

/// TLS-15: the clock is virtual.
#[tokio::test(start_paused = true)]
async fn a_place_that_says_nothing_costs_five_or_ten_seconds() {
    let organisation = Organisation::new().await;
    organisation.point.publish(PATH, Answer::Silence);
    let impostor = organisation.impostor().await;
    let request = organisation.request(impostor.address(), RevocationMode::Prefer);
    let began = tokio::time::Instant::now();
    let trusted = connect(&request).await.unwrap().trusted;
    assert_eq!(began.elapsed().as_secs(), 5);
    assert!(trusted.warnings[0].found.ends_with("no answer in time"), "{:?}", trusted.warnings);
    // It failed a moment ago: whoever reconnects does not wait for it again.
    let began = tokio::time::Instant::now();
    let trusted = connect(&request).await.unwrap().trusted;
    assert_eq!(began.elapsed().as_secs(), 0);
    assert!(
        trusted.warnings[0].found.ends_with("no answer in time (a moment ago)"),
        "{:?}",
        trusted.warnings
    );
    assert_eq!(organisation.point.requests().len(), 1);

    let request = organisation.request(impostor.address(), RevocationMode::Require);
    let began = tokio::time::Instant::now();
    let (code, found) = refusal(connect(&request).await);
    assert_eq!(began.elapsed().as_secs(), 10);
    assert_eq!(code, Code::RevocationUnknown);
    assert!(found.ends_with("no answer in time"), "{found}");
}

/// AD CS names its directory first; an authority may name several places.
#[tokio::test(start_paused = true)]
async fn ldap_is_skipped_and_a_dead_place_leaves_time_for_the_next() {
    let point = DistributionPoint::start().await;
    let template = Template::server(DOMAIN)
        .crl_url("ldap:///CN=Corp%20Root,DC=corp?certificateRevocationList?base")
        .crl_url(&point.url("/dead.crl"))
        .crl_url(&point.url(PATH));
    let organisation = Organisation::with(point, template);
    organisation.point.publish("/dead.crl", Answer::Silence);
    organisation.publish(organisation.revoking());
    let impostor = organisation.impostor().await;
    let request = organisation.request(impostor.address(), RevocationMode::Prefer);
    assert_eq!(refusal(connect(&request).await).0, Code::Revoked);
    assert_eq!(organisation.point.requests(), ["/dead.crl", PATH]);
}

#[tokio::test]
async fn an_issuer_that_publishes_by_ldap_alone_is_told_as_such() {
    let point = DistributionPoint::start().await;
    let template = Template::server(DOMAIN).crl_url("ldap:///CN=Corp%20Root");
    let organisation = Organisation::with(point, template);
    let impostor = organisation.impostor().await;
    let request = organisation.request(impostor.address(), RevocationMode::Require);
    let (code, found) = refusal(connect(&request).await);
    assert_eq!(code, Code::RevocationUnknown);
    assert!(found.contains("no list over plain HTTP"), "{found}");
}

/// The URL is written by whoever issued the certificate: a partner may not send this device to itself.
#[tokio::test]
async fn a_partners_authority_cannot_send_us_to_this_device() {
    let organisation = Organisation::new().await;
    organisation.publish(organisation.good());
    let impostor = organisation.impostor().await;
    let domain = aldis::Domain::new(DOMAIN).unwrap();
    let anchors = Anchors::builder().partner_pem(organisation.ca.root_pem().as_bytes(), &[domain]);
    let mut policy = Policy::new(Arc::new(anchors.build()));
    policy.revocation = RevocationMode::Require;
    let mut request = organisation.request(impostor.address(), RevocationMode::Require);
    request.policy = Arc::new(policy);
    let (code, found) = refusal(connect(&request).await);
    assert_eq!(code, Code::RevocationUnknown);
    assert!(found.contains("may not send this device to 127.0.0.1"), "{found}");
    assert!(organisation.point.requests().is_empty());
}

/// TLS-15: every certificate of the path but the root, each at its own issuer's place.
#[tokio::test]
async fn an_authority_can_be_withdrawn_too() {
    let point = DistributionPoint::start().await;
    let root = Ca::new("Corp Root", now()).unwrap();
    let template = Template::authority("Corp Issuing CA").crl_url(&point.url("/root.crl"));
    let issuing = root.intermediate(template).unwrap();
    let issued = issuing.issue(Template::server(DOMAIN).crl_url(&point.url("/issuing.crl"))).unwrap();
    let list = || RevocationList::new(now() - HOUR, now() + HOUR);
    point.publish("/issuing.crl", Answer::List(list().signed_by(&issuing).unwrap()));
    point.publish("/root.crl", Answer::List(list().signed_by(&root).unwrap()));
    let revoking = list().revoke(issuing.serial_number()).signed_by(&root).unwrap();
    let organisation = Organisation { ca: root, point, issued };
    let impostor = organisation.impostor().await;
    let request = organisation.request(impostor.address(), RevocationMode::Require);
    let trusted = connect(&request).await.unwrap().trusted;
    assert_eq!(trusted.revocation, RevocationStatus::Proven);
    let mut requests = organisation.point.requests();
    requests.sort();
    assert_eq!(requests, ["/issuing.crl", "/root.crl"]);

    organisation.point.publish("/root.crl", Answer::List(revoking));
    let request = organisation.request(impostor.address(), RevocationMode::Prefer);
    assert_eq!(refusal(connect(&request).await).0, Code::Revoked);
}

/// TLS-16, TLS-17.
#[tokio::test]
async fn a_staple_is_proof_and_spares_the_question() {
    let organisation = Organisation::new().await;
    let staple = |status| {
        let serial = organisation.issued.serial_number();
        OcspAnswer::new(serial, status, now() - HOUR, now() + HOUR).signed_by(&organisation.ca).unwrap()
    };
    let certificate = |status| organisation.certificate().with_ocsp(staple(status));
    let good = registrar(options().certificate(certificate(CertificateStatus::Good))).await;
    let config = organisation.config(good.address(), RevocationMode::Require);
    assert_eq!(connected_phone(config).await, []);
    for mode in [RevocationMode::Off, RevocationMode::Prefer, RevocationMode::Require] {
        let revoked = Impostor::start(certificate(CertificateStatus::Revoked(now() - HOUR))).await.unwrap();
        let config = organisation.config(revoked.address(), mode);
        assert_eq!(refused_phone(&organisation, &revoked, config).await, Code::Revoked, "{mode:?}");
    }
    assert!(organisation.point.requests().is_empty());
}

#[tokio::test]
async fn a_list_is_fetched_once() {
    let organisation = Organisation::new().await;
    organisation.publish(organisation.good());
    let impostor = organisation.impostor().await;
    let request = organisation.request(impostor.address(), RevocationMode::Require);
    for _ in 0..3 {
        assert_eq!(connect(&request).await.unwrap().trusted.revocation, RevocationStatus::Proven);
    }
    assert_eq!(organisation.point.requests().len(), 1);
}

#[tokio::test]
async fn a_kept_list_that_proves_a_revocation_counts_without_the_network() {
    let organisation = Organisation::new().await;
    organisation.publish(organisation.revoking());
    let impostor = organisation.impostor().await;
    let request = organisation.request(impostor.address(), RevocationMode::Prefer);
    assert_eq!(refusal(connect(&request).await).0, Code::Revoked);
    organisation.point.publish(PATH, Answer::Raw(Vec::new()));
    assert_eq!(refusal(connect(&request).await).0, Code::Revoked);
    assert_eq!(organisation.point.requests().len(), 1);
}

/// Whoever slips in a list once, on a path without TLS, must not have done so for good.
#[tokio::test]
async fn a_forged_list_is_not_kept() {
    let organisation = Organisation::new().await;
    let other = Ca::new("Corp Root", now()).unwrap();
    let forged = RevocationList::new(now() - HOUR, now() + 1_000 * HOUR);
    organisation.publish(forged.signed_in_the_name_of(&organisation.ca, &other).unwrap());
    let impostor = organisation.impostor().await;
    let folder = tempfile::tempdir().unwrap();
    let mut request = organisation.request(impostor.address(), RevocationMode::Require);
    request.revocation = Some(Arc::new(Revocation::in_folder(folder.path().into())));
    assert_eq!(refusal(connect(&request).await).0, Code::ListForged);
    assert_eq!(files(folder.path()), [] as [std::path::PathBuf; 0]);
    organisation.publish(organisation.good());
    assert_eq!(connect(&request).await.unwrap().trusted.revocation, RevocationStatus::Proven);
}

/// The files of a folder.
fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn kept_lists_survive_a_restart_of_the_phone() {
    let organisation = Organisation::new().await;
    organisation.publish(organisation.good());
    let registrar = organisation.registrar().await;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("not").join("there");
    for _ in 0..2 {
        let config = organisation.config(registrar.address(), RevocationMode::Require).cache_folder(&folder);
        assert_eq!(connected_phone(config).await, []);
    }
    assert_eq!(organisation.point.requests().len(), 1);
    assert_eq!(files(&folder).len(), 1);
}

/// What is on disk is evidence, and checked like what comes from the network.
#[tokio::test]
async fn a_changed_file_of_the_folder_proves_nothing() {
    let organisation = Organisation::new().await;
    organisation.publish(organisation.good());
    let impostor = organisation.impostor().await;
    let folder = tempfile::tempdir().unwrap();
    let restarted = || {
        let mut request = organisation.request(impostor.address(), RevocationMode::Require);
        request.revocation = Some(Arc::new(Revocation::in_folder(folder.path().into())));
        request
    };
    connect(&restarted()).await.unwrap();
    let file = files(folder.path()).remove(0);
    let other = Ca::new("Corp Root", now()).unwrap();
    let forged = RevocationList::new(now() - HOUR, now() + HOUR);
    let forged = forged.signed_in_the_name_of(&organisation.ca, &other).unwrap();
    for (count, bytes) in [(2, b"corrupt".to_vec()), (3, forged), (4, Vec::new())] {
        std::fs::write(&file, bytes).unwrap();
        assert_eq!(connect(&restarted()).await.unwrap().trusted.revocation, RevocationStatus::Proven);
        assert_eq!(organisation.point.requests().len(), count);
    }
    // One that has ended can still prove a revocation: nobody is taken back.
    let ended = RevocationList::new(now() - 2 * HOUR, now() - HOUR);
    let ended = ended.revoke(organisation.issued.serial_number()).signed_by(&organisation.ca).unwrap();
    std::fs::write(&file, ended).unwrap();
    assert_eq!(refusal(connect(&restarted()).await).0, Code::Revoked);
    assert_eq!(organisation.point.requests().len(), 4);
}

/// A farm: one server of it has a certificate that was withdrawn, the next one serves.
#[tokio::test]
async fn a_revoked_server_is_passed_over_for_the_next_and_reported() {
    let organisation = Organisation::new().await;
    organisation.publish(organisation.revoking());
    let revoked = organisation.impostor().await;
    let template = Template::server(DOMAIN).crl_url(&organisation.point.url(PATH));
    let renewed = organisation.ca.issue(template).unwrap();
    let renewed = ServerCertificate::new(renewed.chain(), renewed.key());
    let sound = registrar(options().certificate(renewed)).await;
    let mut request = organisation.request(revoked.address(), RevocationMode::Require);
    let places = [revoked.address(), sound.address()];
    request.route = Route::Given(places.iter().map(|a| (Host::Address(a.ip()), a.port())).collect());
    let connection = connect(&request).await.unwrap();
    assert_eq!(connection.facts.address, sound.address());
    let [refused] = connection.refused.as_slice() else { panic!("{:?}", connection.refused) };
    assert_eq!((refused.address, refused.verdict.code()), (revoked.address(), Some(Code::Revoked)));
    assert_eq!(revoked.application_bytes(), 0);
}
