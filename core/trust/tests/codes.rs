//! Every code of the closed list has a chain that brings it about: a new code does not compile without one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use aldis_pki::{
    Ca, CertificateStatus, KeyKind, OcspAnswer, Purpose, RevocationList, Template, Usage, self_signed,
};
use aldis_trust::{Anchors, Code, Level, Pin, Profile, RevocationMode, Source};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::sync::Arc;
use support::{DAY, DOMAIN, HOUR, NOW, Question, World, YEAR, line, openssl};

fn server() -> Template {
    Template::server(DOMAIN)
}

fn anonymous() -> Template {
    server().no_names()
}

/// A question whose verdict mentions that code, as a reason or (where it is none) as a warning.
fn question(code: Code) -> Question {
    let w = World::new();
    let strict = |template| World::new().question(template).policy(|p| p.level = Level::Strict);
    let under = |ca: Ca, template| Question::about(&w.root, ca.issue(template).unwrap().chain());
    let below = |template: Template| w.root.intermediate(template).unwrap();
    let listed =
        |list: Vec<u8>| w.question(server()).policy(|p| p.revocation = RevocationMode::Require).crl(&list);
    let stapled = |status, from, to| {
        let issued = w.server();
        let answer = OcspAnswer::new(issued.serial_number(), status, from, to).signed_by(&w.issuing).unwrap();
        Question::about(&w.root, issued.chain()).staple(answer)
    };
    match code {
        Code::NoCertificate => Question::about(&w.root, Vec::new()),
        Code::MalformedCertificate => Question::about(&w.root, vec![CertificateDer::from(vec![0x30, 0])]),
        Code::TrailingData => {
            let mut der = w.server().certificate().to_vec();
            der.push(0);
            Question::about(&w.root, vec![der.into()])
        }
        Code::MalformedExtension => w.question(server().extension(&[2, 5, 29, 31], false, vec![0x04, 0])),
        Code::DuplicateExtension => w.question(server().extension(&[2, 5, 29, 37], false, vec![0x30, 0])),
        Code::UnsupportedVersion => version_1(),
        Code::UnusableRoot => {
            let pem = format!("{}{}", w.root.root_pem(), aldis_pki::to_pem("CERTIFICATE", &[0x30, 0]));
            Question::with_roots(&pem, w.server().chain())
        }
        Code::ClockWrong => w.question(server()).at(NOW - 5 * YEAR),
        Code::NoTrustedRoots => Question::with_roots("", w.server().chain()),
        Code::SelfSigned => Question::about(&w.root, self_signed(server(), NOW).unwrap().chain()),
        Code::ImpostorRoot => Question::about(&w.root, World::new().root.issue(server()).unwrap().chain()),
        Code::MissingIntermediate => Question::about(&w.root, vec![w.server().certificate()]),
        Code::UnknownCa => {
            let foreign = Ca::new("Unknown Corporation", NOW).unwrap();
            Question::about(&w.root, foreign.issue(server()).unwrap().chain())
        }
        Code::AlteredCertificate => {
            let mut chain = w.server().chain();
            let mut der = chain[0].to_vec();
            *der.last_mut().unwrap() ^= 1;
            chain[0] = der.into();
            Question::about(&w.root, chain)
        }
        Code::Expired => w.question(server().expired(NOW)),
        Code::NotYetValid => w.question(server().not_yet(NOW)),
        Code::InvertedValidity => w.question(server().valid(NOW + DAY, NOW - DAY)),
        Code::NotAnAuthority => under(below(Template::authority("x").is_authority(false)), server()),
        Code::MayNotSignCertificates => {
            under(below(Template::authority("x").usages(&[Usage::ListSign])), server())
        }
        Code::AuthorityAsServer => w.question(server().is_authority(true)),
        Code::ServerMaySign => w.question(server().usages(&[Usage::CertificateSign])),
        Code::PathLengthExceeded => {
            let short = below(Template::authority("x").path_length(0));
            under(short.intermediate(Template::authority("y")).unwrap(), server())
        }
        Code::PathTooComplex => {
            Question::about(&w.root, vec![w.server().certificate(); aldis_trust::MAX_PRESENTED + 1])
        }
        Code::NameNotPermitted => under(below(Template::authority("x").permit_dns("corp.test")), server()),
        Code::NameConstraintEscape => under(
            below(Template::authority("x").permit_dns("corp.test")),
            anonymous().uri("sip:example.test"),
        ),
        Code::UnusableNameConstraints => {
            under(below(Template::authority("x").extension(&[2, 5, 29, 30], true, vec![0x30, 0])), server())
        }
        Code::UnknownCriticalExtension => w.question(server().extension(&[1, 2, 3], true, vec![5, 0])),
        Code::NamelessAuthority => under(below(Template::authority("x").no_subject()), server()),
        Code::WrongPurpose => w.question(server().purposes(&[Purpose::Client])),
        Code::AnyPurpose => w.question(server().purposes(&[Purpose::Any])),
        Code::WeakKey => {
            by_openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out key.pem", "-sha256")
        }
        Code::UnsupportedKey => by_openssl("ecparam -name secp256k1 -genkey -noout -out key.pem", "-sha256"),
        Code::WeakSignature => by_openssl("ecparam -name prime256v1 -genkey -noout -out key.pem", "-sha1"),
        Code::UnsupportedSignature => {
            by_openssl("ecparam -name prime256v1 -genkey -noout -out key.pem", "-sha3-256")
        }
        Code::SignatureMismatch => {
            // The inner algorithm becomes ECDSA with SHA-384, the outer one stays.
            let mut chain = w.server().chain();
            let mut der = chain[0].to_vec();
            let sha256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
            let at = der.windows(8).position(|b| b == sha256).unwrap();
            der[at + 7] = 3;
            chain[0] = der.into();
            Question::about(&w.root, chain)
        }
        Code::NegativeSerial => {
            let mut chain = w.issue(server().serial(&[0x12, 0x34, 0x56, 0x78])).chain();
            let mut der = chain[0].to_vec();
            let at = der.windows(6).position(|b| b == [2, 4, 0x12, 0x34, 0x56, 0x78]).unwrap();
            der[at + 2] = 0x92;
            chain[0] = der.into();
            Question::about(&w.root, chain)
        }
        Code::PathRefused => unreachable_code(),
        Code::Revoked => {
            let issued = w.server();
            Question::about(&w.root, issued.chain()).crl(&World::list(&w.issuing, &[issued.serial_number()]))
        }
        Code::RevocationUnknown => w.question(server()).policy(|p| p.revocation = RevocationMode::Require),
        Code::ListExpired => {
            listed(RevocationList::new(NOW - DAY, NOW - HOUR).signed_by(&w.issuing).unwrap())
        }
        Code::ListFromFuture => {
            listed(RevocationList::new(NOW + HOUR, NOW + DAY).signed_by(&w.issuing).unwrap())
        }
        Code::ListForged => {
            let list = RevocationList::new(NOW - HOUR, NOW + DAY);
            listed(list.signed_in_the_name_of(&w.issuing, &w.root).unwrap())
        }
        Code::ListIssuerNotAllowed => {
            let ca = below(Template::authority("x").usages(&[Usage::CertificateSign]));
            let list = World::list(&ca, &[]);
            under(ca, server()).policy(|p| p.revocation = RevocationMode::Require).crl(&list)
        }
        Code::ListUnusable => {
            let delta =
                RevocationList::new(NOW - HOUR, NOW + DAY).extension(&[2, 5, 29, 27], true, vec![2, 1, 1]);
            listed(delta.signed_by(&w.issuing).unwrap())
        }
        Code::StapleInvalid => w.question(server()).staple(vec![0x30, 0]),
        Code::StapleExpired => stapled(CertificateStatus::Good, NOW - DAY, NOW - HOUR),
        Code::StapleFromFuture => stapled(CertificateStatus::Good, NOW + HOUR, NOW + DAY),
        Code::StapleUnknown => stapled(CertificateStatus::Unknown, NOW - HOUR, NOW + DAY),
        Code::StapleMissing => w.question(server().must_staple()),
        Code::NameMismatch => w.question(anonymous().dns("other.test")),
        Code::NameOfTargetOnly => {
            let mut q = w.question(anonymous().dns("sip1.hoster.test"));
            q.connected_to = Some("SIP1.hoster.test".into());
            q
        }
        Code::CommonNameOnly => w.question(anonymous().common_name(DOMAIN)),
        Code::WildcardNotAllowed => w.question(anonymous().dns("*.example.test")).identity("a.example.test"),
        Code::WildcardTooBroad => w.question(anonymous().dns("*.test")),
        Code::UriFromPublicCa => public_uri(),
        Code::UriTakesPrecedence => w.question(server().uri("sip:other.test")),
        Code::NoUsableName => w.question(anonymous().no_subject()),
        Code::PinMismatch => w.question(server()).policy(|p| p.pins = vec![Pin::of_spki(b"another key")]),
        Code::RootOutOfScope => {
            let partner = [aldis_sip::Domain::new("partner.test").unwrap()];
            let pem = w.root.root_pem();
            w.question(server()).policy(|p| {
                p.anchors = Arc::new(Anchors::builder().partner_pem(pem.as_bytes(), &partner).build())
            })
        }
        Code::TooDeep => w.question(server()).policy(|p| p.max_depth = Some(0)),
        Code::WildcardUsed => w
            .question(anonymous().dns("*.example.test"))
            .identity("a.example.test")
            .policy(|p| p.allow_wildcard = true),
        Code::CommonNameDiffers => w.question(server().common_name("other.test")),
        Code::OddSerial => strict(server().serial(&[0])),
        Code::OddKeySize => {
            by_openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2052 -out key.pem", "-sha256")
                .policy(|p| p.level = Level::Strict)
        }
        Code::PurposeMissing => strict(server().no_purposes()),
        Code::OddPurpose => {
            let eku = vec![0x30, 0x0a, 0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 3, 1];
            strict(server().no_purposes().extension(&[2, 5, 29, 37], true, eku))
        }
        Code::OddName => strict(server().dns("a_b.test")),
        Code::OddCriticality => {
            let mut san = vec![0x30, 14, 0x82, 12];
            san.extend_from_slice(DOMAIN.as_bytes());
            strict(anonymous().extension(&[2, 5, 29, 17], true, san))
        }
        Code::OddKeyIdentifier => strict(server().no_authority_key_identifier()),
        Code::OddNameConstraints => strict(server().permit_dns(DOMAIN)),
        Code::OddExtension => strict(server().extension(&[1, 3, 6, 1, 5, 5, 7, 1, 1], false, vec![0x30, 0])),
        Code::OddListNumber => {
            let aki = vec![0x30, 0];
            let list = RevocationList::new(NOW - HOUR, NOW + DAY).without_number();
            let list = list.extension(&[2, 5, 29, 35], false, aki).signed_by(&w.issuing).unwrap();
            strict(server());
            w.question(server()).policy(|p| p.level = Level::Strict).crl(&list)
        }
    }
}

/// The only code without a chain of its own: it stands for errors that a later version of webpki may add.
fn unreachable_code() -> Question {
    World::new().question(server().expired(NOW))
}

#[test]
fn every_code_is_brought_about_by_some_chain() {
    for code in Code::ALL.iter().copied().filter(|c| *c != Code::PathRefused) {
        let verdict = question(code).ask();
        assert!(verdict.mentions(code), "{code}: {}", line(&verdict));
        let all = verdict.findings().iter().chain(verdict.warnings());
        let finding = all.clone().find(|f| f.code == code).unwrap();
        assert!(!finding.advice.is_empty() && !finding.expected.is_empty(), "{code}: {finding:?}");
        assert!(!finding.found.is_empty() && !finding.field.is_empty(), "{code}: {finding:?}");
        for finding in all {
            let text = finding.to_string();
            assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        }
    }
}

#[test]
fn the_same_question_gets_the_same_answer() {
    for code in [Code::NameMismatch, Code::UnknownCa, Code::Revoked, Code::ClockWrong] {
        let q = question(code);
        assert_eq!(format!("{:?}", q.ask()), format!("{:?}", q.ask()));
    }
}

/// A leaf under a bundled root cannot be made here; so the test makes its own root "public" by profile: a URI that
/// matches, where URIs do not count.
fn public_uri() -> Question {
    let root = Ca::new("Public", NOW).unwrap();
    let chain = root.issue(anonymous().uri("sip:example.test")).unwrap().chain();
    let anchors = Anchors::builder().certificate(root.root_der().clone(), Source::Bundled).build();
    Question::about(&root, chain).policy(|p| p.anchors = Arc::new(anchors))
}

fn version_1() -> Question {
    signed_by_openssl("ecparam -name prime256v1 -genkey -noout -out key.pem", "-sha256", KeyKind::P256)
}

fn by_openssl(key: &str, digest: &str) -> Question {
    signed_by_openssl(key, &format!("{digest} -extfile ext"), KeyKind::P256)
}

/// What rcgen does not make: a leaf by the openssl command, which knows no time but today's.
fn signed_by_openssl(key: &str, sign: &str, kind: KeyKind) -> Question {
    let dir = tempfile::tempdir().unwrap();
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let now = i64::try_from(now).unwrap();
    let root = Ca::root(Template::authority("Aldis Test Root").key(kind), now - DAY).unwrap();
    std::fs::write(dir.path().join("ca.pem"), root.root_pem()).unwrap();
    std::fs::write(dir.path().join("ca.key"), root.key_pem()).unwrap();
    let extensions =
        "subjectAltName=DNS:example.test\nextendedKeyUsage=serverAuth\nauthorityKeyIdentifier=keyid\n";
    std::fs::write(dir.path().join("ext"), extensions).unwrap();
    openssl(dir.path(), key);
    openssl(dir.path(), "req -new -key key.pem -subj /CN=server -out csr.pem");
    let command = "x509 -req -in csr.pem -CA ca.pem -CAkey ca.key -days 30 -set_serial 77 -out leaf.pem";
    openssl(dir.path(), &format!("{command} {sign}"));
    let leaf = CertificateDer::from_pem_file(dir.path().join("leaf.pem")).unwrap();
    Question::about(&root, vec![leaf]).at(now + 60)
}

#[test]
fn profile_web_accepts_a_whole_leftmost_label_and_no_uri() {
    let w = World::new();
    let web = |template| w.question(template).policy(|p| p.profile = Profile::Web);
    let verdict = web(anonymous().dns("*.example.test")).identity("a.example.test").ask();
    assert!(verdict.is_trusted() && !verdict.mentions(Code::WildcardUsed), "{}", line(&verdict));
    assert_eq!(web(anonymous().uri("sip:example.test")).ask().code(), Some(Code::NameMismatch));
    assert!(web(server().uri("sip:other.test")).ask().is_trusted());
    assert_eq!(web(server().dns("*.co.uk")).ask().code(), Some(Code::WildcardTooBroad));
    assert_eq!(web(server().purposes(&[Purpose::SipDomain])).ask().code(), Some(Code::WrongPurpose));
}
