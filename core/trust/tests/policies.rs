//! What accounts and domains decide: pins, partners, trusted server lists, staples, revocation modes; and the verdict
//! that comes out of it.
//!
//! Proves TLS-15, TLS-17, TLS-18.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use aldis_pki::{Ca, CertificateStatus, OcspAnswer, Purpose, Template};
use aldis_sip::Domain;
use aldis_trust::{
    Anchors, Code, Evidence, Level, MatchedBy, Pin, Policy, RevocationMode, RevocationStatus, Role, Source,
    judge,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::sync::Arc;
use std::time::Duration;
use support::{DAY, DOMAIN, HOUR, NOW, Question, World, YEAR, line, openssl};

fn server() -> Template {
    Template::server(DOMAIN)
}

#[test]
fn trust_says_by_which_path_root_and_name_and_until_when() {
    let w = World::new();
    let verdict = w.question(server().valid(NOW - DAY, NOW + 7 * DAY)).ask();
    let trusted = verdict.trusted().unwrap();
    let roles: Vec<_> = trusted.path.iter().map(|c| (c.role, c.subject.as_str())).collect();
    assert_eq!(
        roles,
        [
            (Role::Server, "CN=Aldis test server"),
            (Role::Intermediate, "CN=Aldis Test Issuing CA"),
            (Role::Root, "CN=Aldis Test Root"),
        ]
    );
    assert_eq!(trusted.path_der.len(), 3);
    assert_eq!((trusted.root_source, trusted.public_root), (Source::Organisation, false));
    assert_eq!((trusted.matched.by, trusted.matched.value.as_str()), (MatchedBy::Dns, DOMAIN));
    assert_eq!(trusted.expires.as_secs(), u64::try_from(NOW + 7 * DAY).unwrap());
    assert_eq!(trusted.revocation, RevocationStatus::Unproven);
}

#[test]
fn trust_ends_with_the_certificate_that_ends_first() {
    let root = Ca::root(Template::authority("Short").valid(NOW - DAY, NOW + DAY), NOW).unwrap();
    let verdict = Question::about(&root, root.issue(server()).unwrap().chain()).ask();
    assert_eq!(verdict.trusted().unwrap().expires.as_secs(), u64::try_from(NOW + DAY).unwrap());
}

#[test]
fn all_stages_are_reported_also_after_the_first_refusal() {
    let w = World::new();
    let issued = w.issue(server().no_names().dns("other.test").purposes(&[Purpose::Client]).expired(NOW));
    let question = Question::about(&w.root, issued.chain()).policy(|p| p.pins = vec![Pin::of_spki(b"x")]);
    let verdict = question.ask();
    for code in [Code::Expired, Code::WrongPurpose, Code::NameMismatch] {
        assert!(verdict.mentions(code), "{code}: {}", line(&verdict));
    }
    let issued = w.issue(server().no_names().dns("other.test"));
    let verdict = Question::about(&w.root, issued.chain())
        .policy(|p| p.pins = vec![Pin::of_spki(b"x")])
        .crl(&World::list(&w.issuing, &[issued.serial_number()]))
        .ask();
    assert_eq!(line(&verdict), "refused: revoked name-mismatch pin-mismatch; warnings: revocation-unknown");
}

#[test]
fn a_certificate_with_a_thousand_faults_makes_no_endless_report() {
    let w = World::new();
    let faulty = (0..1_000).fold(server(), |t, n| t.extension(&[1, 3, 6, 1, 4, 1, n], true, vec![0x05, 0]));
    let verdict = w.question(faulty).ask();
    assert_eq!(verdict.code(), Some(Code::UnknownCriticalExtension));
    assert_eq!(verdict.findings().len(), 32);
}

#[test]
fn a_pin_may_be_of_any_key_on_the_verified_path_and_only_there() {
    let w = World::new();
    let issued = w.server();
    let pin = |der: &[u8]| Pin::of_certificate(der).unwrap();
    let ask = |pins: Vec<Pin>, chain: Vec<CertificateDer<'static>>| {
        Question::about(&w.root, chain).policy(|p| p.pins = pins).ask()
    };
    for der in [&issued.chain()[0], w.issuing.certificate(), w.root.root_der()] {
        let verdict = ask(vec![Pin::of_spki(b"backup"), pin(der)], issued.chain());
        assert!(verdict.is_trusted(), "{}", line(&verdict));
    }
    // Sent along, but not on the path.
    let bystander = World::new().issuing.certificate().clone();
    let mut chain = issued.chain();
    chain.push(bystander.clone());
    assert_eq!(ask(vec![pin(&bystander)], chain).code(), Some(Code::PinMismatch));
}

#[test]
fn a_pin_is_the_digest_that_openssl_prints() {
    let w = World::new();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("c.pem"), w.root.root_pem()).unwrap();
    openssl(dir.path(), "x509 -in c.pem -pubkey -noout -out key.pem");
    openssl(dir.path(), "pkey -pubin -in key.pem -outform der -out key.der");
    let digest = openssl(dir.path(), "dgst -sha256 -hex -r key.der");
    let pin = Pin::of_certificate(w.root.root_der()).unwrap();
    use base64::Engine as _;
    let text = pin.to_string();
    let bytes =
        base64::engine::general_purpose::STANDARD.decode(text.strip_prefix("sha256/").unwrap()).unwrap();
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    assert!(String::from_utf8(digest).unwrap().starts_with(&hex));
}

#[test]
fn a_partners_root_vouches_for_its_own_domains_only() {
    let home = World::new();
    let partner = Ca::new("Partner Root", NOW).unwrap();
    let domains = [Domain::new("partner.test").unwrap()];
    let anchors = Anchors::builder()
        .pem(home.root.root_pem().as_bytes(), Source::Organisation)
        .partner_pem(partner.root_pem().as_bytes(), &domains)
        .build();
    let anchors = Arc::new(anchors);
    let ask = |ca: &Ca, name: &str| {
        let template = match name.parse() {
            Ok(address) => server().no_names().ip(address),
            Err(_) => Template::server(name),
        };
        let chain = ca.issue(template).unwrap().chain();
        Question::about(ca, chain).policy(|p| p.anchors = anchors.clone()).identity(name).ask()
    };
    assert!(ask(&partner, "partner.test").is_trusted());
    assert!(ask(&partner, "sip.partner.test").is_trusted());
    assert_eq!(ask(&partner, DOMAIN).code(), Some(Code::RootOutOfScope));
    assert_eq!(ask(&partner, "notpartner.test").code(), Some(Code::RootOutOfScope));
    assert_eq!(ask(&partner, "192.0.2.1").code(), Some(Code::RootOutOfScope));
    assert!(ask(&home.issuing, "partner.test").is_trusted(), "the organisation's own root is not limited");
}

#[test]
fn a_root_of_the_public_set_stays_public_when_it_comes_from_a_file() {
    let der = webpki_root_certs::TLS_SERVER_ROOT_CERTS[0].clone();
    let anchors = Anchors::builder().certificate(der, Source::Organisation).build();
    let anchor = anchors.iter().next().unwrap();
    assert!(anchor.is_public());
    assert_eq!(anchor.source(), Source::Organisation);
    let own = Ca::new("Own", NOW).unwrap();
    let anchors = Anchors::from_pem(own.root_pem().as_bytes(), Source::System);
    assert!(!anchors.iter().next().unwrap().is_public());
}

#[test]
fn every_bundled_root_is_usable_at_level_default() {
    let anchors = Anchors::bundled();
    assert!(anchors.len() > 100 && anchors.unusable().is_empty(), "{anchors:?}");
    assert!(anchors.iter().all(|a| a.is_public() && a.source() == Source::Bundled));
}

#[test]
fn a_name_of_the_trusted_server_list_proves_the_domain() {
    let w = World::new();
    let listed = |p: &mut Policy| p.server_names = vec![Domain::new("pool.corp.test").unwrap()];
    let verdict = w.question(Template::server("pool.corp.test")).policy(listed).ask();
    assert_eq!(verdict.trusted().unwrap().matched.by, MatchedBy::ServerName);
    let verdict = w.question(Template::server("pool2.corp.test")).policy(listed).ask();
    assert_eq!(verdict.code(), Some(Code::NameMismatch));
    let verdict = w.question(Template::server("*.corp.test")).policy(listed).ask();
    assert_eq!(verdict.code(), Some(Code::NameMismatch), "a listed name is no wildcard exception");
}

#[test]
fn another_path_is_tried_when_our_rules_refuse_the_first() {
    let old = Ca::root(Template::authority("Aldis Test Root").expired(NOW), NOW).unwrap();
    let renewed = old.renewed(Template::authority("Aldis Test Root")).unwrap();
    let chain = old.issue(server()).unwrap().chain();
    for pem in [
        format!("{}{}", old.root_pem(), renewed.root_pem()),
        format!("{}{}", renewed.root_pem(), old.root_pem()),
    ] {
        let verdict = Question::with_roots(&pem, chain.clone()).ask();
        assert!(verdict.is_trusted(), "{}", line(&verdict));
    }
    assert_eq!(Question::about(&old, chain).ask().code(), Some(Code::Expired));
}

#[test]
fn an_intermediate_that_one_root_has_withdrawn_does_not_spoil_another_path() {
    let w = World::new();
    let other = Ca::new("Other Root", NOW).unwrap();
    let crossed = other.cross_certify(&w.issuing, Template::authority("Aldis Test Issuing CA")).unwrap();
    let mut chain = w.server().chain();
    chain.push(crossed.certificate().clone());
    let revoked = World::list(&w.root, &[w.issuing.serial_number()]);
    let both = format!("{}{}", w.root.root_pem(), other.root_pem());
    assert!(Question::with_roots(&both, chain.clone()).crl(&revoked).ask().is_trusted());
    assert_eq!(Question::about(&w.root, chain).crl(&revoked).ask().code(), Some(Code::Revoked));
}

#[test]
fn a_staple_needs_the_right_certificate_signer_and_time() {
    let w = World::new();
    let issued = w.server();
    let answer = |status| OcspAnswer::new(issued.serial_number(), status, NOW - HOUR, NOW + DAY);
    let good = answer(CertificateStatus::Good);
    let appointed =
        w.issuing.intermediate(Template::client("ocsp").purposes(&[Purpose::OcspSigning])).unwrap();
    let for_clients = w.issuing.intermediate(Template::client("client")).unwrap();
    let silent = w.issuing.intermediate(Template::client("silent").no_purposes()).unwrap();
    let old = w
        .issuing
        .intermediate(Template::client("old").purposes(&[Purpose::OcspSigning]).expired(NOW))
        .unwrap();
    let foreign = w.root.intermediate(Template::client("ocsp").purposes(&[Purpose::OcspSigning])).unwrap();
    let someone = World::new();
    let about_another = OcspAnswer::new(&[99], CertificateStatus::Good, NOW - HOUR, NOW + DAY);
    for (name, staple, refused) in [
        ("direct", good.signed_by(&w.issuing), None),
        ("direct, by name", good.clone().by_name().signed_by(&w.issuing), None),
        ("appointed", good.signed_by_responder(&w.issuing, &appointed), None),
        ("appointed, by name", good.clone().by_name().signed_by_responder(&w.issuing, &appointed), None),
        ("for clients", good.signed_by_responder(&w.issuing, &for_clients), Some(Code::StapleInvalid)),
        ("without a purpose", good.signed_by_responder(&w.issuing, &silent), Some(Code::StapleInvalid)),
        ("an old responder", good.signed_by_responder(&w.issuing, &old), Some(Code::StapleInvalid)),
        ("the root's responder", good.signed_by_responder(&w.issuing, &foreign), Some(Code::StapleInvalid)),
        ("someone's", good.signed_by(&someone.issuing), Some(Code::StapleInvalid)),
        ("another certificate", about_another.signed_by(&w.issuing), Some(Code::StapleInvalid)),
        ("unknown", answer(CertificateStatus::Unknown).signed_by(&w.issuing), Some(Code::StapleUnknown)),
        (
            "revoked",
            answer(CertificateStatus::Revoked(NOW - YEAR)).signed_by(&w.issuing),
            Some(Code::Revoked),
        ),
        ("endless", good.clone().without_end().signed_by(&w.issuing), Some(Code::StapleExpired)),
    ] {
        for mode in [RevocationMode::Require, RevocationMode::Prefer, RevocationMode::Off] {
            let question = Question::about(&w.root, issued.chain())
                .policy(|p| p.revocation = mode)
                .staple(staple.as_ref().unwrap().clone())
                .crl(&World::list(&w.root, &[]));
            let verdict = question.ask();
            assert_eq!(verdict.code(), refused, "{name}, {mode:?}: {}", line(&verdict));
        }
    }
}

#[test]
fn an_answer_of_openssl_is_understood() {
    let now = i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    let w = World::at(now - DAY);
    let issued = w.issuing.issue(server().serial(&[0x12, 0x34])).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("ca.pem", &w.issuing.certificate_pem());
    write("ca.key", &w.issuing.key_pem());
    write("leaf.pem", &aldis_pki::to_pem("CERTIFICATE", &issued.certificate()));
    for (entry, refused) in [
        ("V\t401231235959Z\t\t1234\tunknown\t/CN=server\n", None),
        ("R\t401231235959Z\t260101000000Z,keyCompromise\t1234\tunknown\t/CN=server\n", Some(Code::Revoked)),
        ("V\t401231235959Z\t\t4321\tunknown\t/CN=another\n", Some(Code::StapleUnknown)),
    ] {
        write("index.txt", entry);
        openssl(dir.path(), "ocsp -issuer ca.pem -cert leaf.pem -no_nonce -reqout request.der");
        let answer =
            "ocsp -index index.txt -CA ca.pem -rsigner ca.pem -rkey ca.key -reqin request.der -ndays 7";
        openssl(dir.path(), &format!("{answer} -respout answer.der"));
        let staple = std::fs::read(dir.path().join("answer.der")).unwrap();
        let verdict = Question::about(&w.root, issued.chain()).staple(staple).at(now + 60).ask();
        assert_eq!(verdict.code(), refused, "{}", line(&verdict));
    }
}

#[test]
fn must_staple_is_satisfied_by_a_staple_or_by_another_proof() {
    let w = World::new();
    let issued = w.issue(server().must_staple());
    let ask = || Question::about(&w.root, issued.chain());
    assert_eq!(ask().ask().code(), Some(Code::StapleMissing));
    let off = ask().policy(|p| p.revocation = RevocationMode::Off).ask();
    assert_eq!(off.code(), Some(Code::StapleMissing));
    let answer = OcspAnswer::new(issued.serial_number(), CertificateStatus::Good, NOW - HOUR, NOW + DAY);
    let answer = answer.signed_by(&w.issuing).unwrap();
    assert!(ask().staple(answer.clone()).ask().is_trusted());
    let mut fetched = ask();
    fetched.ocsp = vec![answer];
    assert!(fetched.ask().is_trusted());
    let by_list = ask().crl(&World::list(&w.issuing, &[])).ask();
    assert!(by_list.is_trusted() && by_list.mentions(Code::StapleMissing), "{}", line(&by_list));
    let mut gate = ask();
    gate.more_may_follow = true;
    assert!(gate.ask().is_trusted(), "the gate may still find a proof");
}

#[test]
fn a_fetched_answer_proves_or_counts_as_absent() {
    let w = World::new();
    let issued = w.server();
    let ask = |ocsp: Vec<Vec<u8>>| {
        let mut q =
            Question::about(&w.root, issued.chain()).policy(|p| p.revocation = RevocationMode::Require);
        q.ocsp = ocsp;
        q.ask()
    };
    let about = |serial: &[u8], status, by: &Ca| {
        OcspAnswer::new(serial, status, NOW - HOUR, NOW + DAY).signed_by(by).unwrap()
    };
    let leaf = about(issued.serial_number(), CertificateStatus::Good, &w.issuing);
    let sub = about(w.issuing.serial_number(), CertificateStatus::Good, &w.root);
    let verdict = ask(vec![leaf.clone(), sub.clone()]);
    let trusted = verdict.trusted().unwrap();
    assert_eq!(trusted.revocation, RevocationStatus::Proven);
    assert_eq!(trusted.revocation_until.unwrap().as_secs(), u64::try_from(NOW + DAY).unwrap());
    assert_eq!(ask(vec![leaf.clone()]).code(), Some(Code::RevocationUnknown));
    assert_eq!(ask(vec![sub.clone(), b"nonsense".to_vec()]).code(), Some(Code::RevocationUnknown));
    let gone = about(w.issuing.serial_number(), CertificateStatus::Revoked(NOW - DAY), &w.root);
    assert_eq!(ask(vec![leaf, gone]).code(), Some(Code::Revoked));
}

#[test]
fn a_time_before_every_calendar_is_judged_like_any_other() {
    let w = World::new();
    let chain = w.server().chain();
    let policy = Question::about(&w.root, chain.clone()).policy;
    let identity = aldis_sip::ReferenceIdentity::new(DOMAIN).unwrap();
    for seconds in [0, u64::MAX] {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        assert_eq!(
            judge(&chain, &identity, time, &policy, &Evidence::default()).code(),
            Some(Code::ClockWrong)
        );
    }
}

#[test]
fn level_strict_refuses_no_sound_chain() {
    let w = World::new();
    let verdict = w.question(server()).policy(|p| p.level = Level::Strict).ask();
    assert!(verdict.is_trusted(), "{}", line(&verdict));
}

#[test]
fn names_that_could_fool_a_reader_are_shown_with_escapes() {
    let w = World::new();
    let verdict = w.question(server().no_names().common_name("a\u{202e}tset.elpmaxe\x1b[2J.test")).ask();
    let text = verdict.findings()[0].to_string();
    assert!(text.contains("\\u{202e}") && text.contains("\\u{1b}"), "{text}");
}

#[test]
fn a_verdict_as_json_has_the_documented_fields() {
    let w = World::new();
    let json = serde_json::to_value(w.question(server().expired(NOW)).ask()).unwrap();
    assert_eq!(json["verdict"], "reject");
    assert_eq!(json["code"], "expired");
    assert_eq!(json["stage"], "path");
    assert_eq!(json["certificate"]["position"], 0);
    assert_eq!(json["certificate"]["role"], "server");
    assert_eq!(json["certificate"]["subject"], "CN=Aldis test server");
    assert_eq!(json["certificate"]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(json["field"], "notAfter");
    assert_eq!(json["who"], "administrator");
    for field in ["expected", "found", "advice"] {
        assert!(json[field].is_string(), "{field}");
    }
    assert_eq!(json["identity"]["reference"], DOMAIN);
    assert_eq!(json["identity"]["matched"], serde_json::Value::Null);
    assert_eq!(json["path"].as_array().unwrap().len(), 2);
    assert_eq!(json["findings"][0]["code"], "expired");

    let json = serde_json::to_value(w.question(server()).ask()).unwrap();
    assert_eq!(json["verdict"], "accept");
    assert_eq!(json["identity"]["matched"], "dns");
    assert_eq!(json["identity"]["value"], DOMAIN);
    assert_eq!(json["path"].as_array().unwrap().len(), 3);
    assert_eq!(json["warnings"][0]["code"], "revocation-unknown");
    assert_eq!(json["findings"], serde_json::json!([]));
}
