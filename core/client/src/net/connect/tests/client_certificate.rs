//! Servers that demand a client certificate, and keys that the platform keeps.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use aldis_trust::{ClientCertificate, PlatformSigner, SignatureMethod, SignerError};
use rustls::SignatureScheme;
use rustls_pki_types::PrivateKeyDer;

use super::*;

async fn demanding(ca: &Ca, versions: &'static [&'static rustls::SupportedProtocolVersion]) -> Server {
    let issued = ca.issue(Template::server(DOMAIN)).unwrap();
    serve(Setup { versions, client_root: Some(ca.root_der().clone()), ..Setup::default() }, &issued).await
}

fn from_file(ca: &Ca) -> ClientCertificate {
    let issued = ca.issue(Template::client("Alice")).unwrap();
    ClientCertificate::from_der(issued.chain(), issued.key()).unwrap()
}

/// A keystore whose owner has to agree to every signature.
struct Keystore {
    key: PrivateKeyDer<'static>,
    asked: Mutex<Sender<()>>,
    answers: Mutex<Receiver<bool>>,
}

impl PlatformSigner for Keystore {
    fn sign(&self, message: &[u8], method: SignatureMethod) -> Result<Vec<u8>, SignerError> {
        assert_eq!(method, SignatureMethod::EcdsaP256Sha256);
        self.asked.lock().unwrap().send(()).unwrap();
        // Whoever never answers is gone.
        if !self.answers.lock().unwrap().recv().unwrap_or(false) {
            return Err(SignerError::Declined);
        }
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let key = provider.key_provider.load_private_key(self.key.clone_key()).unwrap();
        let signer = key.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]).unwrap();
        Ok(signer.sign(message).unwrap())
    }
}

/// A certificate whose key is in a keystore; what tells that it is asked, and what answers.
fn from_keystore(ca: &Ca) -> (ClientCertificate, Receiver<()>, Sender<bool>) {
    let issued = ca.issue(Template::client("Alice")).unwrap();
    let ((asked, is_asked), (answer, answers)) = (channel(), channel());
    let (asked, answers) = (Mutex::new(asked), Mutex::new(answers));
    let keystore = Keystore { key: issued.key(), asked, answers };
    let certificate = ClientCertificate::from_signer(issued.chain(), Arc::new(keystore)).unwrap();
    (certificate, is_asked, answer)
}

#[tokio::test]
async fn a_certificate_opens_a_server_that_demands_one() {
    let ca = ca();
    for (versions, own) in [(ONLY_13, from_file(&ca)), (ONLY_12, from_file(&ca).allow_in_clear())] {
        let mut server = demanding(&ca, versions).await;
        let mut request = request(&ca, &[server.address]);
        request.tls.client_certificate = Some(own);
        let mut connection = connect(&request).await.unwrap();
        assert_eq!(connection.facts.client_certificate, ClientCertificateUse::Shown);
        connection.stream.read_exact(&mut [0; 7]).await.unwrap();
        drop(connection);
        assert_eq!(server.outcome().await.handshake, Ok(HandshakeKind::Full));
    }
}

#[tokio::test]
async fn a_certificate_that_may_not_travel_in_clear_is_not_shown_to_tls_1_2() {
    let ca = ca();
    let mut server = demanding(&ca, ONLY_12).await;
    let mut request = request(&ca, &[server.address]);
    request.tls.client_certificate = Some(from_file(&ca));
    assert_eq!(request.tls.min_version(), TlsVersion::Tls13);
    let failure = connect(&request).await.unwrap_err();
    assert!(
        matches!(failure, ConnectFailure::Tls { cause: TlsCause::NoTls13 { for_own_certificate: true }, .. }),
        "{failure:?}"
    );
    assert!(server.outcome().await.handshake.is_err());
}

#[tokio::test]
async fn a_certificate_is_not_shown_to_a_server_that_does_not_ask() {
    let ca = ca();
    for versions in [ONLY_13, ONLY_12] {
        let issued = ca.issue(Template::server(DOMAIN)).unwrap();
        let server = serve(Setup { versions, ..Setup::default() }, &issued).await;
        let mut request = request(&ca, &[server.address]);
        request.tls.client_certificate = Some(from_file(&ca).allow_in_clear());
        let facts = connect(&request).await.unwrap().facts;
        assert_eq!(facts.client_certificate, ClientCertificateUse::NotAsked);
    }
}

/// The runtime of this test has one thread: if the keystore blocked it, nobody could answer.
#[tokio::test]
async fn a_keystore_that_waits_for_a_person_blocks_nothing_else() {
    let ca = ca();
    for versions in [ONLY_13, ONLY_12] {
        let server = demanding(&ca, versions).await;
        let (own, is_asked, answer) = from_keystore(&ca);
        let mut request = request(&ca, &[server.address]);
        request.tls.client_certificate = Some(own.allow_in_clear());
        let person = async {
            while is_asked.try_recv().is_err() {
                tokio::task::yield_now().await;
            }
            answer.send(true).unwrap();
        };
        let (connection, ()) = tokio::join!(connect(&request), person);
        let mut connection = connection.unwrap();
        connection.stream.read_exact(&mut [0; 7]).await.unwrap();
    }
}

#[tokio::test]
async fn a_declined_signature_is_told_as_such() {
    let ca = ca();
    let server = demanding(&ca, ONLY_13).await;
    let (own, _is_asked, answer) = from_keystore(&ca);
    answer.send(false).unwrap();
    let mut request = request(&ca, &[server.address]);
    request.tls.client_certificate = Some(own);
    let failure = connect(&request).await.unwrap_err();
    let ConnectFailure::Tls { cause: TlsCause::OwnCertificate { detail }, .. } = &failure else {
        panic!("{failure:?}")
    };
    assert!(detail.contains("declined"), "{detail}");
    assert!(failure.advice().contains("agree to the use of the key"));
}

/// A person may take longer than the half of the handshake's time after which the large ClientHello is given up.
#[tokio::test]
async fn a_person_has_the_whole_time_of_the_handshake() {
    let ca = ca();
    let server = demanding(&ca, ONLY_13).await;
    let (own, is_asked, answer) = from_keystore(&ca);
    let mut request = request(&ca, &[server.address]);
    request.tls.client_certificate = Some(own);
    request.deadlines.handshake = Duration::from_secs(4);
    let began = Instant::now();
    let person = async {
        while is_asked.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep_until(began + Duration::from_millis(2_200)).await;
        answer.send(true).unwrap();
    };
    let (connection, ()) = tokio::join!(connect(&request), person);
    assert_eq!(connection.unwrap().facts.post_quantum, PostQuantum::Negotiated);
}

/// Whoever stops waiting is rid of the connection; the thread ends with the person's answer.
#[tokio::test]
async fn giving_up_while_a_person_decides_closes_the_connection() {
    let ca = ca();
    let mut server = demanding(&ca, ONLY_13).await;
    let (own, is_asked, answer) = from_keystore(&ca);
    let mut request = request(&ca, &[server.address]);
    request.tls.client_certificate = Some(own);
    {
        let mut attempt = Box::pin(connect(&request));
        while is_asked.try_recv().is_err() {
            tokio::select! {
                ended = &mut attempt => panic!("{ended:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
    }
    answer.send(false).unwrap();
    assert!(server.outcome().await.handshake.is_err());
}
