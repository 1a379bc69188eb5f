//! The judgement inside real handshakes, in memory: both sides are rustls, and no socket is opened.
//!
//! Proves TLS-01 (nothing follows a refused handshake), TLS-08 and the alerts of TLS-16.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use aldis_pki::{Ca, CertificateStatus, Issued, KeyKind, OcspAnswer, Template};
use aldis_sip::ReferenceIdentity;
use aldis_trust::{
    Anchors, ClientCertificate, ClientCertificateError, Code, PlatformSigner, Policy, RevocationMode,
    SignatureMethod, SignerError, Source, Verifier,
};
use rustls::client::danger::DangerousClientConfigBuilder;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls::time_provider::TimeProvider;
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection,
};
use rustls_pki_types::UnixTime;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{DAY, DOMAIN, HOUR, NOW, World, openssl};

/// Every clock in these handshakes stands.
#[derive(Debug)]
struct Stands;

impl TimeProvider for Stands {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(NOW.unsigned_abs())))
    }
}

/// What a handshake left behind.
struct Outcome {
    client: Result<(), rustls::Error>,
    server: Result<(), rustls::Error>,
    /// Application data that the server has decrypted.
    received: Vec<u8>,
    sni: Option<String>,
    client_chain: Option<usize>,
}

type Version = &'static rustls::SupportedProtocolVersion;
const V13: Version = &rustls::version::TLS13;
const V12: Version = &rustls::version::TLS12;

fn client(
    verifier: &Arc<Verifier>,
    version: Version,
    certificate: Option<&ClientCertificate>,
) -> ClientConfig {
    let builder = ClientConfig::builder_with_details(Arc::new(default_provider()), Arc::new(Stands))
        .with_protocol_versions(&[version])
        .unwrap();
    let builder =
        DangerousClientConfigBuilder { cfg: builder }.with_custom_certificate_verifier(verifier.clone());
    match certificate {
        Some(certificate) => builder.with_client_cert_resolver(certificate.resolver()),
        None => builder.with_no_client_auth(),
    }
}

fn server(issued: &Issued, staple: Option<Vec<u8>>, clients: Option<&Ca>) -> ServerConfig {
    let builder = ServerConfig::builder_with_details(Arc::new(default_provider()), Arc::new(Stands))
        .with_protocol_versions(&[V13, V12])
        .unwrap();
    let builder = match clients {
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(ca.root_der().clone()).unwrap();
            let provider = Arc::new(default_provider());
            builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap(),
            )
        }
        None => builder.with_no_client_auth(),
    };
    builder.with_single_cert_with_ocsp(issued.chain(), issued.key(), staple.unwrap_or_default()).unwrap()
}

/// Shakes hands, and has the client say something as soon as it may.
fn shake(verifier: &Verifier, client: ClientConfig, server: ServerConfig) -> Outcome {
    let mut c = ClientConnection::new(Arc::new(client), verifier.server_name().unwrap()).unwrap();
    let mut s = ServerConnection::new(Arc::new(server)).unwrap();
    let mut outcome =
        Outcome { client: Ok(()), server: Ok(()), received: Vec::new(), sni: None, client_chain: None };
    let mut said = false;
    for _ in 0..10 {
        let mut wire = Vec::new();
        while c.wants_write() {
            c.write_tls(&mut wire).unwrap();
        }
        while !wire.is_empty() {
            let mut rest = wire.as_slice();
            s.read_tls(&mut rest).unwrap();
            let left = rest.len();
            wire.drain(..wire.len() - left);
            if let Err(error) = s.process_new_packets() {
                outcome.server = Err(error);
            }
        }
        let _ = s.reader().read_to_end(&mut outcome.received);
        while s.wants_write() {
            s.write_tls(&mut wire).unwrap();
        }
        while !wire.is_empty() {
            let mut rest = wire.as_slice();
            c.read_tls(&mut rest).unwrap();
            let left = rest.len();
            wire.drain(..wire.len() - left);
            if let Err(error) = c.process_new_packets() {
                outcome.client = Err(error);
            }
        }
        if !c.is_handshaking() && !said && outcome.client.is_ok() {
            c.writer().write_all(b"REGISTER").unwrap();
            said = true;
        }
    }
    outcome.sni = s.server_name().map(str::to_owned);
    outcome.client_chain = s.peer_certificates().map(<[_]>::len);
    outcome
}

fn verifier(root: &Ca, change: impl FnOnce(&mut Policy)) -> Arc<Verifier> {
    let mut policy =
        Policy::new(Arc::new(Anchors::from_pem(root.root_pem().as_bytes(), Source::Organisation)));
    change(&mut policy);
    Arc::new(Verifier::new(ReferenceIdentity::new(DOMAIN).unwrap(), Arc::new(policy)))
}

#[test]
fn a_trusted_server_hears_us_and_the_verdict_is_in_the_slot() {
    let w = World::new();
    for version in [V13, V12] {
        let v = verifier(&w.root, |_| {});
        assert!(v.verdict().is_none());
        let outcome = shake(&v, client(&v, version, None), server(&w.server(), None, None));
        assert_eq!(outcome.received, b"REGISTER", "{:?}", outcome.client);
        assert_eq!(outcome.sni.as_deref(), Some(DOMAIN));
        let judged = v.judged().unwrap();
        assert!(judged.verdict.is_trusted());
        assert_eq!(judged.chain.len(), 2);
    }
}

#[test]
fn a_refused_server_hears_an_alert_and_nothing_else() {
    let w = World::new();
    let other = World::new();
    for (issued, code, alert) in [
        (w.issue(Template::server("other.test")), Code::NameMismatch, AlertDescription::BadCertificate),
        (w.issue(Template::server(DOMAIN).expired(NOW)), Code::Expired, AlertDescription::CertificateExpired),
        (other.server(), Code::ImpostorRoot, AlertDescription::UnknownCA),
        (
            aldis_pki::self_signed(Template::server(DOMAIN), NOW).unwrap(),
            Code::SelfSigned,
            AlertDescription::UnknownCA,
        ),
    ] {
        for version in [V13, V12] {
            let v = verifier(&w.root, |_| {});
            let outcome = shake(&v, client(&v, version, None), server(&issued, None, None));
            assert_eq!(outcome.received, b"", "{code}");
            assert!(
                matches!(outcome.client, Err(rustls::Error::InvalidCertificate(_))),
                "{:?}",
                outcome.client
            );
            assert_eq!(outcome.server, Err(rustls::Error::AlertReceived(alert)), "{code}");
            assert_eq!(v.verdict().unwrap().code(), Some(code));
        }
    }
}

#[test]
fn a_staple_is_verified_in_the_handshake() {
    let w = World::new();
    let issued = w.server();
    let answer = |status| OcspAnswer::new(issued.serial_number(), status, NOW - HOUR, NOW + DAY);
    let good = answer(CertificateStatus::Good).signed_by(&w.issuing).unwrap();
    let revoked = answer(CertificateStatus::Revoked(NOW - DAY)).signed_by(&w.issuing).unwrap();
    let forged = answer(CertificateStatus::Good).signed_by(&World::new().issuing).unwrap();
    for version in [V13, V12] {
        let v = verifier(&w.root, |_| {});
        let outcome = shake(&v, client(&v, version, None), server(&issued, Some(good.clone()), None));
        assert_eq!(outcome.received, b"REGISTER");
        assert_eq!(
            v.verdict().unwrap().trusted().unwrap().unproven.len(),
            1,
            "only the intermediate is left"
        );

        for (staple, code, alert) in [
            (&revoked, Code::Revoked, AlertDescription::CertificateRevoked),
            // RFC 6066 §8: alert 113.
            (&forged, Code::StapleInvalid, AlertDescription::BadCertificateStatusResponse),
        ] {
            let v = verifier(&w.root, |p| p.revocation = RevocationMode::Off);
            let outcome = shake(&v, client(&v, version, None), server(&issued, Some(staple.clone()), None));
            assert_eq!(outcome.received, b"");
            assert_eq!(outcome.server, Err(rustls::Error::AlertReceived(alert)));
            assert_eq!(v.verdict().unwrap().code(), Some(code));
        }
    }
}

#[test]
fn what_is_missing_about_revocation_is_left_to_the_gate_when_there_is_one() {
    let w = World::new();
    let require = |p: &mut Policy| p.revocation = RevocationMode::Require;
    let issued = w.issue(Template::server(DOMAIN).crl_url("http://crl.test/a.crl"));
    let v = verifier(&w.root, require);
    assert_eq!(shake(&v, client(&v, V13, None), server(&issued, None, None)).received, b"");
    assert_eq!(v.verdict().unwrap().code(), Some(Code::RevocationUnknown));

    let v = Arc::into_inner(verifier(&w.root, require)).unwrap().more_may_follow();
    let v = Arc::new(v);
    assert_eq!(shake(&v, client(&v, V13, None), server(&issued, None, None)).received, b"REGISTER");
    let verdict = v.verdict().unwrap();
    let unproven = &verdict.trusted().unwrap().unproven;
    assert_eq!(unproven.len(), 2);
    assert_eq!(unproven[0].crl_urls, ["http://crl.test/a.crl"]);
}

#[test]
fn a_client_certificate_from_files_is_shown() {
    let w = World::new();
    let alice = w.issuing.issue(Template::client("alice")).unwrap();
    let mut pem = w.issuing.certificate_pem();
    pem.push_str(&w.root.root_pem());
    pem.push_str(&alice.chain_pem());
    let from_pem = ClientCertificate::from_pem(pem.as_bytes(), alice.key_pem().as_bytes()).unwrap();
    assert_eq!(from_pem.subject(), "CN=alice");
    assert!(from_pem.needs_tls13());
    for (certificate, version) in [
        (from_pem.clone(), V13),
        (from_pem.allow_in_clear(), V12),
        (from_openssl_pkcs12(&w, &alice, ""), V13),
    ] {
        let v = verifier(&w.root, |_| {});
        let config = client(&v, version, Some(&certificate));
        let outcome = shake(&v, config, server(&w.server(), None, Some(&w.root)));
        assert_eq!(outcome.received, b"REGISTER", "{:?} {:?}", outcome.client, outcome.server);
        assert_eq!(outcome.client_chain, Some(2), "without the root");
    }
}

#[test]
fn pkcs12_files_of_old_and_new_programs_are_read() {
    let w = World::new();
    let alice = w.issuing.issue(Template::client("alice")).unwrap();
    for options in [
        "",
        "-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1",
        "-keypbe AES-256-CBC -certpbe AES-256-CBC -macalg sha256",
        "-legacy",
    ] {
        assert_eq!(from_openssl_pkcs12(&w, &alice, options).subject(), "CN=alice", "{options}");
    }
}

#[test]
fn what_is_no_client_certificate_is_told_apart() {
    let w = World::new();
    let alice = w.issuing.issue(Template::client("alice")).unwrap();
    let bob = w.issuing.issue(Template::client("bob")).unwrap();
    let (chain, key) = (alice.chain_pem(), alice.key_pem());
    let read =
        |chain: &str, key: &str| ClientCertificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap_err();
    assert_eq!(read("", &key), ClientCertificateError::NoCertificate);
    assert_eq!(read(&chain, ""), ClientCertificateError::NoKey);
    assert_eq!(read(&chain, &bob.key_pem()), ClientCertificateError::KeyMismatch);
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    assert_eq!(read(&chain, &encrypted), ClientCertificateError::EncryptedKey);
    let broken = aldis_pki::to_pem("PRIVATE KEY", &[0x30, 0]);
    assert!(matches!(read(&chain, &broken), ClientCertificateError::BadKey(_)));
    assert!(matches!(
        read(&aldis_pki::to_pem("CERTIFICATE", &[0x30, 0]), &key),
        ClientCertificateError::BadCertificate(_)
    ));
    let file = pkcs12(&w, &alice, "");
    assert_eq!(
        ClientCertificate::from_pkcs12(&file, "not it").unwrap_err(),
        ClientCertificateError::WrongPassword
    );
    assert!(matches!(
        ClientCertificate::from_pkcs12(b"PK\x03\x04", "secret").unwrap_err(),
        ClientCertificateError::BadPkcs12(_)
    ));
}

/// Signs in another process, which alone holds the key.
struct OtherProcess {
    dir: tempfile::TempDir,
    asked: Mutex<Vec<SignatureMethod>>,
}

impl PlatformSigner for OtherProcess {
    fn sign(&self, message: &[u8], method: SignatureMethod) -> Result<Vec<u8>, SignerError> {
        self.asked.lock().unwrap().push(method);
        let digest = match method {
            SignatureMethod::EcdsaP256Sha256 => "-sha256",
            SignatureMethod::EcdsaP384Sha384 => "-sha384",
            other => return Err(SignerError::Unavailable(format!("{other:?}"))),
        };
        let mut child = Command::new("openssl")
            .args(["dgst", digest, "-sign", "key.pem"])
            .current_dir(self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| SignerError::Unavailable(e.to_string()))?;
        child.stdin.take().unwrap().write_all(message).unwrap();
        Ok(child.wait_with_output().unwrap().stdout)
    }
}

#[test]
fn a_key_that_stays_in_another_process_signs_the_handshake() {
    let w = World::new();
    for (kind, method) in
        [(KeyKind::P256, SignatureMethod::EcdsaP256Sha256), (KeyKind::P384, SignatureMethod::EcdsaP384Sha384)]
    {
        for version in [V13, V12] {
            let alice = w.issuing.issue(Template::client("alice").key(kind)).unwrap();
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("key.pem"), alice.key_pem()).unwrap();
            let signer = Arc::new(OtherProcess { dir, asked: Mutex::new(Vec::new()) });
            let certificate = ClientCertificate::from_signer(alice.chain(), signer.clone()).unwrap();
            let v = verifier(&w.root, |_| {});
            let config = client(&v, version, Some(&certificate));
            let outcome = shake(&v, config, server(&w.server(), None, Some(&w.root)));
            assert_eq!(outcome.received, b"REGISTER", "{:?} {:?}", outcome.client, outcome.server);
            assert_eq!(*signer.asked.lock().unwrap(), [method]);
        }
    }
}

#[test]
fn a_keystore_with_the_wrong_key_or_that_declines_ends_the_handshake_with_the_reason() {
    struct Declines;
    impl PlatformSigner for Declines {
        fn sign(&self, _: &[u8], _: SignatureMethod) -> Result<Vec<u8>, SignerError> {
            Err(SignerError::Declined)
        }
    }
    struct Nonsense;
    impl PlatformSigner for Nonsense {
        fn sign(&self, _: &[u8], _: SignatureMethod) -> Result<Vec<u8>, SignerError> {
            Ok(vec![0; 70])
        }
    }
    let w = World::new();
    let alice = w.issuing.issue(Template::client("alice")).unwrap();
    let signers: [(Arc<dyn PlatformSigner>, &str); 2] =
        [(Arc::new(Declines), "declined"), (Arc::new(Nonsense), "does not fit")];
    for (signer, expected) in signers {
        let certificate = ClientCertificate::from_signer(alice.chain(), signer).unwrap();
        let v = verifier(&w.root, |_| {});
        let outcome =
            shake(&v, client(&v, V13, Some(&certificate)), server(&w.server(), None, Some(&w.root)));
        let error = outcome.client.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(outcome.received, b"");
    }
}

fn pkcs12(w: &World, issued: &Issued, options: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("chain.pem"), issued.chain_pem()).unwrap();
    std::fs::write(dir.path().join("root.pem"), w.root.root_pem()).unwrap();
    std::fs::write(dir.path().join("key.pem"), issued.key_pem()).unwrap();
    let command = format!(
        "pkcs12 -export -in chain.pem -certfile root.pem -inkey key.pem -passout pass:secret -out a.p12 {options}"
    );
    openssl(dir.path(), &command);
    std::fs::read(dir.path().join("a.p12")).unwrap()
}

fn from_openssl_pkcs12(w: &World, issued: &Issued, options: &str) -> ClientCertificate {
    ClientCertificate::from_pkcs12(&pkcs12(w, issued, options), "secret").unwrap()
}
