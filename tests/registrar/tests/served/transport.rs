use crate::client::{Came, Client, DOMAIN, PATIENCE, code, handshake, options};
use aldis_registrar::pki::Template;
use aldis_registrar::{Close, ClosedBy, Entry, Impostor, Offline, Registrar, TlsVersions, What};
use std::io::ErrorKind;
use tokio::net::TcpStream;

fn closed(entry: &Entry) -> bool {
    matches!(entry.what, What::Closed { .. })
}

#[tokio::test]
async fn the_log_tells_what_tls_agreed_on() {
    let registrar = Registrar::start(options()).await.unwrap();
    let _alice = Client::connect(&registrar, "alice").await;
    let hello =
        |e: &Entry| matches!(&e.what, What::ClientHello { server_name: Some(name), .. } if name == DOMAIN);
    registrar.wait_for(hello, PATIENCE).await.unwrap();
    let entry = registrar.wait_for(|e| matches!(e.what, What::Handshake(_)), PATIENCE).await.unwrap();
    let What::Handshake(facts) = entry.what else { panic!() };
    assert_eq!(
        (facts.version, facts.group.as_deref(), facts.resumed),
        ("1.3", Some("X25519MLKEM768"), false)
    );
    assert_eq!(registrar.application_bytes(), 0);
}

#[tokio::test]
async fn versions_and_the_post_quantum_group_can_be_left_out() {
    let options = options().tls(TlsVersions::Tls12).post_quantum(false);
    let registrar = Registrar::start(options).await.unwrap();
    let root = registrar.root_der().unwrap();
    let refused = handshake(registrar.address(), root, DOMAIN, &[&rustls::version::TLS13]).await;
    assert!(refused.is_err());
    let _alice = Client::connect(&registrar, "alice").await;
    let entry = registrar.wait_for(|e| matches!(e.what, What::Handshake(_)), PATIENCE).await.unwrap();
    let What::Handshake(facts) = entry.what else { panic!() };
    assert_eq!((facts.version, facts.group.as_deref()), ("1.2", Some("X25519")));
}

#[tokio::test]
async fn an_impostor_shows_its_certificate_and_counts_nothing_if_it_is_refused() {
    let registrar = Registrar::start(options()).await.unwrap();
    let certificate = registrar.issue(Template::server("other.test")).unwrap();
    let impostor = Impostor::start(certificate).await.unwrap();
    let root = registrar.root_der().unwrap();
    let refused = handshake(impostor.address(), root.clone(), DOMAIN, rustls::ALL_VERSIONS).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidData);
    impostor.wait_for(closed, PATIENCE).await.unwrap();
    let failed = |e: &Entry| matches!(&e.what, What::HandshakeFailed { why } if why.contains("ertificate"));
    impostor.wait_for(failed, PATIENCE).await.unwrap();
    assert_eq!((impostor.connections(), impostor.application_bytes()), (1, 0));

    use tokio::io::AsyncWriteExt;
    let mut fooled = handshake(impostor.address(), root, "other.test", rustls::ALL_VERSIONS).await.unwrap();
    fooled.write_all(b"REGISTER").await.unwrap();
    fooled.shutdown().await.unwrap();
    impostor.wait_for(|e| closed(e) && e.connection.number() == 2, PATIENCE).await.unwrap();
    assert_eq!(impostor.application_bytes(), 8);
}

#[tokio::test]
async fn a_restart_breaks_all_and_keeps_the_port_and_what_was_stored() {
    let registrar = Registrar::start(options().offline(Offline::Store)).await.unwrap();
    let mut alice = Client::registered(&registrar, "alice").await;
    assert_eq!(code(&alice.text("bob", "x").await), 202);
    registrar.stop_listening().await;
    assert!(matches!(alice.next().await, Came::Closed));
    assert!(registrar.bindings("alice").is_empty() && registrar.open_connections().is_empty());
    let refused = TcpStream::connect(registrar.address()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    registrar.listen_again().await.unwrap();
    let mut bob = Client::registered(&registrar, "bob").await;
    assert_eq!(&bob.message().await.body()[..], b"x");
    registrar.restart().await.unwrap();
    Client::registered(&registrar, "alice").await;
}

#[tokio::test]
async fn connections_end_in_order_or_abruptly() {
    use tokio::io::AsyncReadExt;
    for how in [Close::Clean, Close::Abrupt] {
        let registrar = Registrar::start(options()).await.unwrap();
        let mut alice = Client::registered(&registrar, "alice").await;
        registrar.close_connection(registrar.open_connections()[0], how);
        let end = alice.stream.read(&mut [0; 10]).await;
        match how {
            Close::Clean => assert_eq!(end.unwrap(), 0),
            Close::Abrupt => assert!(end.is_err(), "{end:?}"),
        }
        let entry = registrar.wait_for(closed, PATIENCE).await.unwrap();
        assert!(matches!(entry.what, What::Closed { by: ClosedBy::Server }));
    }
}

#[tokio::test]
async fn dropping_the_registrar_ends_everything() {
    let registrar = Registrar::start(options()).await.unwrap();
    let address = registrar.address();
    let mut alice = Client::registered(&registrar, "alice").await;
    drop(registrar);
    assert!(matches!(alice.next().await, Came::Closed));
    assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_restart_while_connections_are_made_leaves_none_behind() {
    let registrar = Registrar::start(options()).await.unwrap();
    for _ in 0..20 {
        let address = registrar.address();
        let coming: Vec<_> = (0..5).map(|_| tokio::spawn(TcpStream::connect(address))).collect();
        tokio::task::yield_now().await;
        registrar.restart().await.unwrap();
        for task in coming {
            task.await.unwrap().ok();
        }
    }
    Client::registered(&registrar, "alice").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registrar_can_be_used_from_any_thread() {
    let registrar = std::sync::Arc::new(Registrar::start(options()).await.unwrap());
    let shared = registrar.clone();
    let waiting = tokio::spawn(async move { shared.wait_for(closed, PATIENCE).await.map(|_| ()) });
    drop(Client::registered(&registrar, "alice").await);
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_key_that_does_not_fit_is_refused_at_once() {
    let one = Registrar::start(options()).await.unwrap();
    let (mut a, b) = (one.issue(Template::server("a")).unwrap(), one.issue(Template::server("b")).unwrap());
    a.key = b.key;
    let error = Registrar::start(options().certificate(a)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn what_does_not_happen_in_time_is_shown_with_the_log() {
    let registrar = Registrar::start(options()).await.unwrap();
    let _alice = Client::registered(&registrar, "alice").await;
    tokio::time::pause();
    let error = registrar.wait_for(|_| false, PATIENCE).await.unwrap_err().to_string();
    assert!(error.contains("-> SIP/2.0 200 OK (CSeq 2 REGISTER)"), "{error}");
    assert!(!error.contains("Authorization"), "{error}");
}

#[tokio::test]
async fn an_edge_dies_and_comes_back_while_the_other_serves_the_same_registrar() {
    let registrar = Registrar::start(options().edges(2)).await.unwrap();
    let [first, second] = registrar.addresses()[..] else { panic!("two edges") };
    let root = registrar.root_der().unwrap();
    let mut alice = Client::registered(&registrar, "alice").await;
    registrar.stop_edge(0).await;
    assert!(matches!(alice.next().await, Came::Closed));
    assert!(TcpStream::connect(first).await.is_err());
    handshake(second, root.clone(), DOMAIN, rustls::ALL_VERSIONS).await.unwrap();
    registrar.start_edge(0).await.unwrap();
    handshake(first, root, DOMAIN, rustls::ALL_VERSIONS).await.unwrap();
    assert_eq!(registrar.start_edge(2).await.unwrap_err().kind(), ErrorKind::NotFound);
}
