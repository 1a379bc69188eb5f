//! The matrix of chains that must get their verdict at both levels: every row is printed with what was expected and
//! found.
//!
//! Proves TLS-02 to TLS-07, TLS-09, TLS-10, TLS-14, TLS-15.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;
#[path = "matrix/table.rs"]
mod table;

use aldis_pki::{Ca, KeyKind, Purpose, RevocationList, Template, Usage, self_signed};
use aldis_trust::{Code, RevocationMode};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::net::IpAddr;
use std::time::SystemTime;
use support::{DAY, DOMAIN, HOUR, NOW, Question, World, YEAR, openssl};
use table::Table;

fn server() -> Template {
    Template::server(DOMAIN)
}

fn anonymous() -> Template {
    Template::server(DOMAIN).no_names()
}

#[test]
fn what_must_be_accepted() {
    let w = World::new();
    let mut t = Table::default();
    t.accept("ok-dns", w.question(server()));
    t.accept("ok-direct", Question::about(&w.root, w.root.issue(server()).unwrap().chain()));
    t.accept("ok-sip-uri", w.question(anonymous().uri("sip:example.test")));
    t.accept("ok-sip-uri-upper", w.question(anonymous().uri("SIP:EXAMPLE.TEST")));
    t.accept("ok-dns-upper", w.question(anonymous().dns("EXAMPLE.Test")));
    t.accept("ok-second-san", w.question(anonymous().dns("other.test").dns(DOMAIN)));
    t.accept("ok-web-uri-plus-dns", w.question(server().uri("https://example.test/")));
    let extra = World::new();
    let issued = w.server().chain();
    let unordered = vec![
        issued[0].clone(),
        extra.server().certificate(),
        extra.issuing.certificate().clone(),
        issued[1].clone(),
    ];
    t.accept("ok-unordered-extra", Question::about(&w.root, unordered));
    t.accept("ok-eku-plus-sipdomain", w.question(server().purposes(&[Purpose::Server, Purpose::SipDomain])));
    t.accept("ok-eku-sipdomain-only", w.question(server().purposes(&[Purpose::SipDomain])));
    t.refuse_at_strict("ok-eku-absent", Code::PurposeMissing, w.question(server().no_purposes()));
    let limited = w.root.intermediate(Template::authority("Limited CA").permit_dns(DOMAIN)).unwrap();
    t.accept("ok-nc-inside", Question::about(&w.root, limited.issue(server()).unwrap().chain()));
    let by_uri = limited.issue(anonymous().uri("sip:example.test")).unwrap();
    t.accept("ok-nc-uri-inside", Question::about(&w.root, by_uri.chain()));
    let address: IpAddr = "192.0.2.7".parse().unwrap();
    t.accept("ok-ip", w.question(anonymous().ip(address)).identity("192.0.2.7"));
    let v6: IpAddr = "2001:db8::7".parse().unwrap();
    t.accept("ok-ip-6", w.question(anonymous().ip(v6)).identity("[2001:db8::7]"));
    t.accept(
        "ok-crl",
        require(w.question(server())).crl(&World::list(&w.issuing, &[&[9]])).crl(&World::list(&w.root, &[])),
    );
    t.accept("ok-p384", w.question(server().key(KeyKind::P384)));
    t.accept("ok-p521", w.question(server().key(KeyKind::P521)));
    t.accept("ok-ed25519", w.question(server().key(KeyKind::Ed25519)));
    t.accept("uri-params", w.question(anonymous().uri("sip:example.test;transport=tls")));
    t.accept(
        "ok-wildcard-exception",
        w.question(anonymous().dns("*.example.test"))
            .identity("sip.example.test")
            .policy(|p| p.allow_wildcard = true),
    );
    t.accept(
        "ok-server-name",
        w.question(anonymous().dns("pool.corp.test"))
            .policy(|p| p.server_names = vec![aldis_sip::Domain::new("pool.corp.test").unwrap()]),
    );
    let cross = Ca::new("Aldis Other Root", NOW).unwrap();
    let over = cross.cross_certify(&w.root, Template::authority("Aldis Test Root")).unwrap();
    let mut crossed = w.server().chain();
    crossed.push(over.certificate().clone());
    t.accept("ok-cross-certified", Question::about(&cross, crossed));
    t.check();
}

#[test]
fn paths_that_must_be_refused() {
    let w = World::new();
    let mut t = Table::default();
    let other = Ca::new("Someone Else", NOW).unwrap();
    let foreign = Ca::new("Unknown Corporation CA", NOW).unwrap();
    t.refuse(
        "untrusted-root",
        Code::UnknownCa,
        Question::about(&other, foreign.issue(server()).unwrap().chain()),
    );
    let mut with_root = foreign.issue(server()).unwrap().chain();
    with_root.push(foreign.root_der().clone());
    t.refuse("untrusted-root-sent", Code::UnknownCa, Question::about(&other, with_root));
    let lookalike = Ca::new("Aldis Test Root", NOW).unwrap();
    t.refuse(
        "lookalike-root",
        Code::ImpostorRoot,
        Question::about(&w.root, lookalike.issue(server()).unwrap().chain()),
    );
    let mut sent = lookalike.issue(server()).unwrap().chain();
    sent.push(lookalike.root_der().clone());
    t.refuse("lookalike-root-sent", Code::ImpostorRoot, Question::about(&w.root, sent));
    t.refuse(
        "self-signed",
        Code::SelfSigned,
        Question::about(&w.root, self_signed(server(), NOW).unwrap().chain()),
    );
    t.refuse(
        "missing-intermediate",
        Code::MissingIntermediate,
        Question::about(&w.root, vec![w.server().certificate()]),
    );
    t.refuse(
        "bad-signature",
        Code::AlteredCertificate,
        Question::about(&w.root, changed(&w, |der| *der.last_mut().unwrap() ^= 1)),
    );
    t.refuse(
        "tampered-tbs",
        Code::AlteredCertificate,
        Question::about(&w.root, changed(&w, |der| replace(der, b"Aldis test server", b"Bldis test server"))),
    );
    t.refuse("trailing-bytes", Code::TrailingData, Question::about(&w.root, changed(&w, |der| der.push(0))));
    t.refuse(
        "not-a-certificate",
        Code::MalformedCertificate,
        Question::about(&w.root, changed(&w, |der| der.truncate(40))),
    );
    t.refuse("nothing", Code::NoCertificate, Question::about(&w.root, Vec::new()));

    let no_ca = w.root.intermediate(Template::authority("A Leaf").is_authority(false)).unwrap();
    t.refuse(
        "leaf-as-ca",
        Code::NotAnAuthority,
        Question::about(&w.root, no_ca.issue(server()).unwrap().chain()),
    );
    let unsaid = w.root.intermediate(Template::authority("Unsaid").no_basic_constraints()).unwrap();
    t.refuse(
        "ca-no-basicconstraints",
        Code::NotAnAuthority,
        Question::about(&w.root, unsaid.issue(server()).unwrap().chain()),
    );
    let cannot =
        w.root.intermediate(Template::authority("Cannot").usages(&[Usage::DigitalSignature])).unwrap();
    t.refuse(
        "ca-ku-no-certsign",
        Code::MayNotSignCertificates,
        Question::about(&w.root, cannot.issue(server()).unwrap().chain()),
    );
    let short = w.root.intermediate(Template::authority("Short").path_length(0)).unwrap();
    let below = short.intermediate(Template::authority("Below")).unwrap();
    t.refuse(
        "pathlen",
        Code::PathLengthExceeded,
        Question::about(&w.root, below.issue(server()).unwrap().chain()),
    );
    let mut deep = w.root.intermediate(Template::authority("Deep 1")).unwrap();
    for n in 2..=8 {
        deep = deep.intermediate(Template::authority(&format!("Deep {n}"))).unwrap();
    }
    t.refuse("deep", Code::PathTooComplex, Question::about(&w.root, deep.issue(server()).unwrap().chain()));
    t.refuse("max-depth", Code::TooDeep, w.question(server()).policy(|p| p.max_depth = Some(0)));
    t.refuse("ca-as-leaf", Code::AuthorityAsServer, w.question(server().is_authority(true)));
    let limited = w.root.intermediate(Template::authority("Limited CA").permit_dns("corp.test")).unwrap();
    t.refuse(
        "nc-outside",
        Code::NameNotPermitted,
        Question::about(&w.root, limited.issue(server()).unwrap().chain()),
    );
    let escape = limited.issue(anonymous().uri("sip:example.test")).unwrap();
    t.refuse("nc-uri-escape", Code::NameConstraintEscape, Question::about(&w.root, escape.chain()));
    let excluding = w.root.intermediate(Template::authority("Excluding CA").exclude_dns(DOMAIN)).unwrap();
    let escape = excluding.issue(anonymous().uri("sip:example.test")).unwrap();
    t.refuse("nc-uri-excluded", Code::NameConstraintEscape, Question::about(&w.root, escape.chain()));
    let null = vec![0x05, 0x00];
    t.refuse(
        "unknown-critical",
        Code::UnknownCriticalExtension,
        w.question(server().extension(&[1, 2, 3, 4], true, null.clone())),
    );
    t.refuse(
        "duplicate-san",
        Code::DuplicateExtension,
        w.question(server().extension(&[2, 5, 29, 17], false, san("evil.test"))),
    );
    let empty = w
        .root
        .intermediate(Template::authority("Empty").extension(&[2, 5, 29, 30], true, vec![0x30, 0]))
        .unwrap();
    t.refuse(
        "nc-empty",
        Code::UnusableNameConstraints,
        Question::about(&w.root, empty.issue(server()).unwrap().chain()),
    );
    let nameless = w.root.intermediate(Template::authority("x").no_subject()).unwrap();
    t.refuse(
        "ca-without-name",
        Code::NamelessAuthority,
        Question::about(&w.root, nameless.issue(server()).unwrap().chain()),
    );

    for (name, code, template) in [
        ("root-no-basicconstraints", Code::NotAnAuthority, Template::authority("R").no_basic_constraints()),
        ("root-not-ca", Code::NotAnAuthority, Template::authority("R").is_authority(false)),
        (
            "root-no-certsign",
            Code::MayNotSignCertificates,
            Template::authority("R").usages(&[Usage::ListSign]),
        ),
        ("root-without-name", Code::NamelessAuthority, Template::authority("R").no_subject()),
        (
            "root-unknown-critical",
            Code::UnknownCriticalExtension,
            Template::authority("R").extension(&[1, 2, 3, 4], true, null),
        ),
        ("root-nc-escape", Code::NameConstraintEscape, Template::authority("R").permit_dns("corp.test")),
    ] {
        let root = Ca::root(template, NOW).unwrap();
        let leaf = if name == "root-nc-escape" { anonymous().uri("sip:example.test") } else { server() };
        t.refuse(name, code, Question::about(&root, root.issue(leaf).unwrap().chain()));
    }
    t.refuse("no-roots", Code::NoTrustedRoots, Question::with_roots("", w.server().chain()));
    t.check();
}

#[test]
fn times_that_must_be_refused() {
    let w = World::new();
    let mut t = Table::default();
    t.refuse("expired", Code::Expired, w.question(server().expired(NOW)));
    t.refuse("not-yet", Code::NotYetValid, w.question(server().not_yet(NOW)));
    t.refuse("inverted", Code::InvertedValidity, w.question(server().valid(NOW + DAY, NOW - DAY)));
    let old = w.root.intermediate(Template::authority("Old").expired(NOW)).unwrap();
    t.refuse("expired-int", Code::Expired, Question::about(&w.root, old.issue(server()).unwrap().chain()));
    let root = Ca::root(Template::authority("Old Root").expired(NOW), NOW).unwrap();
    t.refuse("expired-root", Code::Expired, Question::about(&root, root.issue(server()).unwrap().chain()));
    let root = Ca::root(Template::authority("New Root").not_yet(NOW), NOW).unwrap();
    t.refuse(
        "root-not-yet",
        Code::NotYetValid,
        Question::about(&root, root.issue(server()).unwrap().chain()),
    );
    t.refuse("clock-years-behind", Code::ClockWrong, w.question(server()).at(NOW - 5 * YEAR));
    t.refuse("clock-years-ahead", Code::ClockWrong, w.question(server()).at(NOW + 20 * YEAR));
    t.check();
}

#[test]
fn names_that_must_be_refused() {
    let w = World::new();
    let mut t = Table::default();
    let dns = |name: &str| w.question(anonymous().dns(name));
    let uri = |uri: &str| w.question(anonymous().uri(uri));
    t.refuse("wrong-name", Code::NameMismatch, dns("other.test"));
    t.refuse("subdomain", Code::NameMismatch, dns("sip.example.test"));
    t.refuse("suffix", Code::NameMismatch, dns("evilexample.test"));
    t.refuse("parent", Code::NameMismatch, dns("test"));
    t.refuse("trailing-dot", Code::NameMismatch, dns("example.test."));
    t.refuse("cn-only", Code::CommonNameOnly, w.question(anonymous().common_name(DOMAIN)));
    t.refuse(
        "cn-with-other-san",
        Code::NameMismatch,
        w.question(anonymous().common_name(DOMAIN).dns("other.test")),
    );
    t.refuse("wildcard", Code::WildcardNotAllowed, dns("*.example.test").identity("sip.example.test"));
    t.refuse("wildcard-parent", Code::NameMismatch, dns("*.example.test"));
    t.refuse("wildcard-tld", Code::WildcardTooBroad, dns("*.test"));
    t.refuse(
        "wildcard-tld-exception",
        Code::WildcardTooBroad,
        dns("*.test").policy(|p| p.allow_wildcard = true),
    );
    t.refuse(
        "wildcard-registry",
        Code::WildcardTooBroad,
        dns("*.co.uk").identity("provider.co.uk").policy(|p| p.allow_wildcard = true),
    );
    t.refuse(
        "partial-wildcard",
        Code::NameMismatch,
        dns("s*.example.test").identity("sip.example.test").policy(|p| p.allow_wildcard = true),
    );
    t.refuse("uri-userinfo", Code::NameMismatch, uri("sip:alice@example.test"));
    t.refuse("uri-sips", Code::NameMismatch, uri("sips:example.test"));
    t.refuse("uri-port", Code::NameMismatch, uri("sip:example.test:5061"));
    t.refuse("uri-percent", Code::NameMismatch, uri("sip:ex%61mple.test"));
    t.refuse("uri-wins-over-dns", Code::UriTakesPrecedence, w.question(server().uri("sip:other.test")));
    t.refuse("uri-https-only", Code::NameMismatch, uri("https://example.test"));
    t.refuse("nul-in-dns", Code::NameMismatch, dns("example.test\0.evil.test"));
    t.refuse("nul-in-uri", Code::NameMismatch, uri("sip:example.test\0.evil.test"));
    t.refuse("ip-in-dns", Code::NameMismatch, dns("192.0.2.7").identity("192.0.2.7"));
    t.refuse("email-san", Code::NoUsableName, w.question(anonymous().email("admin@example.test")));
    let odd = |tag: u8| {
        let mut content = san(DOMAIN);
        content[2] = tag;
        w.question(anonymous().extension(&[2, 5, 29, 17], false, content))
    };
    t.accept("name-with-its-tag", odd(0x82));
    t.refuse("name-with-a-tag-that-only-some-read", Code::MalformedExtension, odd(0xa2));
    t.refuse("no-name", Code::NoUsableName, w.question(anonymous().no_subject()));
    let mut target = dns("sip1.hoster.test");
    target.connected_to = Some("sip1.hoster.test".into());
    t.refuse("srv-target-only", Code::NameOfTargetOnly, target);
    t.check();
}

#[test]
fn purposes_and_keys_that_must_be_refused() {
    let w = World::new();
    let mut t = Table::default();
    t.refuse("eku-client", Code::WrongPurpose, w.question(server().purposes(&[Purpose::Client])));
    t.refuse("eku-any", Code::AnyPurpose, w.question(server().purposes(&[Purpose::Any])));
    t.refuse(
        "eku-any-and-server",
        Code::AnyPurpose,
        w.question(server().purposes(&[Purpose::Any, Purpose::Server])),
    );
    let clients =
        w.root.intermediate(Template::authority("For clients").purposes(&[Purpose::Client])).unwrap();
    t.refuse(
        "eku-int-client",
        Code::WrongPurpose,
        Question::about(&w.root, clients.issue(server()).unwrap().chain()),
    );
    t.refuse("leaf-certsign", Code::ServerMaySign, w.question(server().usages(&[Usage::CertificateSign])));
    for (name, code, key, sign) in [
        (
            "rsa1024",
            Code::WeakKey,
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out key.pem",
            "-sha256 -extfile ext",
        ),
        (
            "p192",
            Code::WeakKey,
            "ecparam -name prime192v1 -genkey -noout -out key.pem",
            "-sha256 -extfile ext",
        ),
        (
            "secp256k1",
            Code::UnsupportedKey,
            "ecparam -name secp256k1 -genkey -noout -out key.pem",
            "-sha256 -extfile ext",
        ),
        (
            "sha1-sig",
            Code::WeakSignature,
            "ecparam -name prime256v1 -genkey -noout -out key.pem",
            "-sha1 -extfile ext",
        ),
        (
            "v1-leaf",
            Code::UnsupportedVersion,
            "ecparam -name prime256v1 -genkey -noout -out key.pem",
            "-sha256",
        ),
    ] {
        t.refuse(name, code, by_openssl(key, sign));
    }
    t.check();
}

#[test]
fn revocations_that_must_be_refused() {
    let w = World::new();
    let mut t = Table::default();
    let issued = w.server();
    let serial = issued.serial_number();
    let ask = || Question::about(&w.root, issued.chain());
    let good_root = World::list(&w.root, &[]);
    let list = |from: i64, to: i64| RevocationList::new(from, to).signed_by(&w.issuing).unwrap();
    let forged = || {
        let other = World::new();
        RevocationList::new(NOW - HOUR, NOW + DAY).signed_in_the_name_of(&w.issuing, &other.issuing).unwrap()
    };
    for (name, mode) in [
        ("require", RevocationMode::Require),
        ("prefer", RevocationMode::Prefer),
        ("off", RevocationMode::Off),
    ] {
        let in_mode = || ask().policy(|p| p.revocation = mode);
        t.refuse(
            leak(format!("revoked-{name}")),
            Code::Revoked,
            in_mode().crl(&World::list(&w.issuing, &[serial])).crl(&good_root),
        );
        t.refuse(
            leak(format!("revoked-int-{name}")),
            Code::Revoked,
            in_mode()
                .crl(&World::list(&w.issuing, &[]))
                .crl(&World::list(&w.root, &[w.issuing.serial_number()])),
        );
        let old = RevocationList::new(NOW - 9 * DAY, NOW - DAY).revoke(serial).signed_by(&w.issuing).unwrap();
        t.refuse(leak(format!("revoked-by-old-list-{name}")), Code::Revoked, in_mode().crl(&old));
    }
    t.refuse(
        "crl-expired",
        Code::ListExpired,
        require(ask()).crl(&list(NOW - 9 * DAY, NOW - DAY)).crl(&good_root),
    );
    t.refuse(
        "crl-without-end",
        Code::ListUnusable,
        require(ask())
            .crl(&RevocationList::new(NOW - DAY, 0).without_end().signed_by(&w.issuing).unwrap())
            .crl(&good_root),
    );
    t.refuse("crl-forged", Code::ListForged, require(ask()).crl(&forged()).crl(&good_root));
    t.refuse("crl-missing", Code::RevocationUnknown, require(ask()).crl(&good_root));
    t.refuse(
        "crl-future",
        Code::ListFromFuture,
        require(ask()).crl(&list(NOW + DAY, NOW + 9 * DAY)).crl(&good_root),
    );
    let delta = RevocationList::new(NOW - HOUR, NOW + DAY)
        .extension(&[2, 5, 29, 27], true, vec![2, 1, 1])
        .signed_by(&w.issuing)
        .unwrap();
    t.refuse("crl-delta", Code::ListUnusable, require(ask()).crl(&delta).crl(&good_root));
    let cannot =
        w.root.intermediate(Template::authority("No lists").usages(&[Usage::CertificateSign])).unwrap();
    let by_cannot = Question::about(&w.root, cannot.issue(server()).unwrap().chain());
    t.refuse(
        "crl-issuer-no-crlsign",
        Code::ListIssuerNotAllowed,
        require(by_cannot).crl(&World::list(&cannot, &[])).crl(&good_root),
    );
    t.accept("crl-expired-prefer", ask().crl(&list(NOW - 9 * DAY, NOW - DAY)));
    t.accept("crl-forged-prefer", ask().crl(&forged()));
    t.accept(
        "crl-future-off",
        ask().policy(|p| p.revocation = RevocationMode::Off).crl(&list(NOW + DAY, NOW + 9 * DAY)),
    );
    t.accept(
        "crl-old-and-new",
        require(ask()).crl(&list(NOW - 9 * DAY, NOW - DAY)).crl(&list(NOW - HOUR, NOW + DAY)).crl(&good_root),
    );
    let sharded = w.issue(server().crl_url("http://crl.test/7.crl"));
    let shard =
        |url: &str| RevocationList::new(NOW - HOUR, NOW + DAY).only_for(url).signed_by(&w.issuing).unwrap();
    let ask_sharded = || require(Question::about(&w.root, sharded.chain())).crl(&good_root);
    t.accept("crl-of-its-shard", ask_sharded().crl(&shard("http://crl.test/7.crl")));
    t.refuse(
        "crl-of-another-shard",
        Code::RevocationUnknown,
        ask_sharded().crl(&shard("http://crl.test/8.crl")),
    );
    t.check();
}

#[test]
fn hygiene_is_refused_at_level_strict_only() {
    let w = World::new();
    let mut t = Table::default();
    t.accept("sound", w.question(server()));
    t.refuse_at_strict("eku-absent", Code::PurposeMissing, w.question(server().no_purposes()));
    let server_auth = vec![0x30, 0x0a, 0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 3, 1];
    t.refuse_at_strict(
        "eku-critical",
        Code::OddPurpose,
        w.question(server().no_purposes().extension(&[2, 5, 29, 37], true, server_auth)),
    );
    t.refuse_at_strict("underscore", Code::OddName, w.question(server().dns("a_b.test")));
    t.refuse_at_strict("serial-zero", Code::OddSerial, w.question(server().serial(&[0])));
    t.refuse_at_strict("serial-long", Code::OddSerial, w.question(server().serial(&[7; 21])));
    t.refuse_at_strict("no-aki", Code::OddKeyIdentifier, w.question(server().no_authority_key_identifier()));
    let dotted = w.root.intermediate(Template::authority("Dotted").permit_dns(".test")).unwrap();
    t.refuse_at_strict(
        "nc-dotted",
        Code::OddNameConstraints,
        Question::about(&dotted, dotted.issue(server()).unwrap().chain()),
    );
    t.refuse_at_strict(
        "aia-empty",
        Code::OddExtension,
        w.question(server().extension(&[1, 3, 6, 1, 5, 5, 7, 1, 1], false, vec![0x30, 0])),
    );
    t.refuse_at_strict(
        "san-critical",
        Code::OddCriticality,
        w.question(anonymous().extension(&[2, 5, 29, 17], true, san(DOMAIN))),
    );
    let no_number = RevocationList::new(NOW - HOUR, NOW + DAY).without_number().extension(
        &[2, 5, 29, 35],
        false,
        vec![0x30, 0],
    );
    t.refuse_at_strict(
        "crl-no-number",
        Code::OddListNumber,
        w.question(server()).crl(&no_number.signed_by(&w.issuing).unwrap()),
    );
    let root = Ca::root(Template::authority("R").purposes(&[Purpose::Server]), NOW).unwrap();
    t.refuse_at_strict(
        "root-eku",
        Code::OddPurpose,
        Question::about(&root, root.issue(server()).unwrap().chain()),
    );
    t.check();
}

fn require(question: Question) -> Question {
    question.policy(|p| p.revocation = RevocationMode::Require)
}

fn leak(text: String) -> &'static str {
    text.leak()
}

fn changed(w: &World, change: impl FnOnce(&mut Vec<u8>)) -> Vec<CertificateDer<'static>> {
    let mut chain = w.server().chain();
    let mut der = chain[0].to_vec();
    change(&mut der);
    chain[0] = der.into();
    chain
}

fn replace(der: &mut [u8], from: &[u8], to: &[u8]) {
    let at = der.windows(from.len()).position(|w| w == from).unwrap();
    der[at..at + to.len()].copy_from_slice(to);
}

/// subjectAltName with one dNSName.
fn san(name: &str) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap();
    let mut out = vec![0x30, length + 2, 0x82, length];
    out.extend_from_slice(name.as_bytes());
    out
}

/// What rcgen does not make: a leaf by the openssl command, which knows no time but today's.
fn by_openssl(key: &str, sign: &str) -> Question {
    let dir = tempfile::tempdir().unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let now = i64::try_from(now).unwrap();
    let root = Ca::new("Aldis Test Root", now - DAY).unwrap();
    std::fs::write(dir.path().join("ca.pem"), root.root_pem()).unwrap();
    std::fs::write(dir.path().join("ca.key"), root.key_pem()).unwrap();
    std::fs::write(dir.path().join("ext"), "subjectAltName=DNS:example.test\nextendedKeyUsage=serverAuth\n")
        .unwrap();
    openssl(dir.path(), key);
    openssl(dir.path(), "req -new -key key.pem -subj /CN=server -out csr.pem");
    openssl(
        dir.path(),
        &format!(
            "x509 -req -in csr.pem -CA ca.pem -CAkey ca.key -days 30 -set_serial 77 {sign} -out leaf.pem"
        ),
    );
    let leaf = CertificateDer::from_pem_file(dir.path().join("leaf.pem")).unwrap();
    Question::about(&root, vec![leaf]).at(now + 60)
}
