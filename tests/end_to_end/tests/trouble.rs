//! Servers that are not there, do not answer, or answer nonsense.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::unreachable, clippy::indexing_slicing)] // a test that cannot go on ends here

use aldis::net::ConnectFailure;
use aldis::{ConnectionState, Event, LostReason, RegistrationState, Trouble};
use aldis_end_to_end::{PATIENCE, Tester, config, config_at, options, registrar};
use aldis_registrar::{Fault, Requests, Times};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn backing_off(event: &Event) -> bool {
    matches!(event, Event::Connection { state: ConnectionState::BackingOff { .. }, .. })
}

fn registered(event: &Event) -> bool {
    matches!(event, Event::Registration { state: RegistrationState::Registered { .. }, .. })
}

/// Why the phone backs off first when it registers at `address`.
async fn trouble_at(address: std::net::SocketAddr) -> Trouble {
    let ca = aldis_pki::Ca::new("Nobody's", 1_790_000_000).unwrap();
    let alice = Tester::start(config_at("alice", "wonderland", address, &ca.root_pem()));
    alice.phone.register();
    let event = alice.wait_for(backing_off).await;
    let Event::Connection { state: ConnectionState::BackingOff { why, .. }, .. } = event else {
        unreachable!()
    };
    why
}

#[tokio::test]
async fn a_refused_port_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let why = trouble_at(address).await;
    assert!(
        matches!(&why, Trouble::NoConnection(failure) if matches!(**failure, ConnectFailure::Connect(_))),
        "{why:?}"
    );
    assert!(why.to_string().contains("refused"), "{why}");
    assert!(!why.advice().is_empty());
}

#[tokio::test]
async fn a_server_without_tls_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut hello = [0; 2048];
        let read = stream.read(&mut hello).await.unwrap();
        stream.write_all(b"SIP/2.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        hello.get(..read).unwrap_or_default().to_vec()
    });
    let why = trouble_at(address).await;
    assert!(
        matches!(&why, Trouble::NoConnection(failure) if matches!(**failure, ConnectFailure::Tls { .. })),
        "{why:?}"
    );
    let received = server.await.unwrap();
    assert!(!received.windows(3).any(|window| window == b"SIP"), "no SIP byte without trust (TLS-01)");
}

#[tokio::test]
async fn garbage_closes_the_connection_and_the_phone_comes_back() {
    let registrar = registrar(options()).await;
    let garbage = Fault::Garbage {
        to: Requests::Register,
        bytes: bytes::Bytes::from_static(b"\x16\x03\x01 what? \r\n\r\n"),
    };
    registrar.set_fault(garbage, Times::Once);
    let alice = Tester::start(config(&registrar, "alice"));
    alice.phone.register();
    let event = alice
        .wait_for(|event| matches!(event, Event::Connection { state: ConnectionState::Lost { .. }, .. }))
        .await;
    let Event::Connection { state: ConnectionState::Lost { why }, .. } = event else { unreachable!() };
    assert!(matches!(why, LostReason::NotSip(_)), "{why:?}");
    alice.wait_for(registered).await;
    assert_eq!(registrar.connections(), 2);
}

#[tokio::test]
async fn a_server_that_closes_is_found_again_out_11() {
    let registrar = registrar(options()).await;
    registrar.set_fault(Fault::CloseAfterHandshake, Times::Once);
    let alice = Tester::start(config(&registrar, "alice"));
    alice.phone.register();
    alice.wait_for(backing_off).await;
    alice.wait_for(registered).await;

    registrar.restart().await.unwrap();
    alice
        .wait_for(|event| matches!(event, Event::Connection { state: ConnectionState::Lost { .. }, .. }))
        .await;
    alice.wait_for(registered).await;
    assert_eq!(registrar.bindings("alice").len(), 1);
}

#[tokio::test]
async fn a_message_larger_than_the_limit_does_no_harm_wire_05() {
    let registrar = registrar(options()).await;
    let alice = Tester::registered(config(&registrar, "alice")).await;
    let connection = registrar.open_connections()[0];
    let head = "MESSAGE sip:alice@example.test SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bKbig\r\nFrom: <sip:x@example.test>;tag=1\r\n\
                To: <sip:alice@example.test>\r\nCall-ID: big\r\nCSeq: 1 MESSAGE\r\nContent-Length: 2000000\r\n\r\n";
    let mut bytes = head.as_bytes().to_vec();
    bytes.resize(bytes.len() + 2_000_000, b'x');
    let mark = registrar.mark();
    assert!(registrar.send_raw(connection, bytes));
    let refused = |entry: &aldis_registrar::Entry| entry.is_received_response(413, "MESSAGE");
    registrar.wait_after(mark, refused, PATIENCE).await.unwrap();
    // And the connection goes on.
    assert!(matches!(alice.send("sip:nobody@example.test", "x").await, aldis::OutgoingState::Failed { .. }));
    assert_eq!(registrar.connections(), 1);
}

#[tokio::test]
async fn shutting_down_ends_whatever_the_server_does() {
    let registrar = registrar(options()).await;
    let alice = Tester::registered(config(&registrar, "alice")).await;
    registrar.set_fault(Fault::Silence, Times::Always);
    registrar.set_fault(Fault::DropResponse(Requests::Any), Times::Always);
    let began = std::time::Instant::now();
    tokio::time::timeout(PATIENCE, alice.phone.shut_down()).await.unwrap();
    alice.phone.shut_down().await;
    assert!(began.elapsed().as_secs() < 8, "{:?}", began.elapsed());
    while alice.phone.next_event().await.is_some() {}
}

#[tokio::test]
async fn an_unknown_host_is_said() {
    let registrar = registrar(options()).await;
    let config = aldis::Config::new("sip:alice@nosuchhost.invalid")
        .unwrap()
        .resolver(registrar.address())
        .trust(aldis_end_to_end::only(registrar.root_pem().unwrap()));
    let alice = Tester::start(config);
    alice.phone.register();
    let event = alice.wait_for(backing_off).await;
    let Event::Connection { state: ConnectionState::BackingOff { why, .. }, .. } = event else {
        unreachable!()
    };
    assert!(
        matches!(&why, Trouble::NoConnection(failure) if matches!(**failure, ConnectFailure::Dns(_))),
        "{why:?}"
    );
    assert!(why.to_string().contains("nosuchhost.invalid"), "{why}");
}
