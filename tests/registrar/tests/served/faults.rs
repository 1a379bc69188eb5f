use crate::client::{Came, Client, DOMAIN, PATIENCE, code, options, values};
use aldis_registrar::{Fault, Registrar, Requests, Times, What};
use aldis_sip::Header;
use aldis_sip::auth::AuthenticationInfo;
use std::time::Duration;

async fn server(fault: Fault, times: Times) -> (Registrar, Client) {
    let registrar = Registrar::start(options()).await.unwrap();
    let client = Client::connect(&registrar, "alice").await;
    // The server's side of the handshake ends after the client's.
    registrar.wait_for(|e| matches!(e.what, What::Handshake(_)), PATIENCE).await.unwrap();
    registrar.set_fault(fault, times);
    (registrar, client)
}

#[tokio::test]
async fn silence_reads_and_says_nothing_until_it_is_cleared() {
    let (registrar, mut alice) = server(Fault::Silence, Times::Always).await;
    alice.text_unanswered("bob", "x").await;
    alice.send("\r\n\r\n").await;
    registrar.wait_for(|e| matches!(e.what, What::Ping), PATIENCE).await.unwrap();
    assert!(registrar.log().iter().all(|e| e.sent().is_none()));
    registrar.clear_fault(&Fault::Silence);
    assert_eq!(code(&alice.register("").await), 200);
}

#[tokio::test]
async fn silence_before_the_handshake_sends_no_byte() {
    let registrar = Registrar::start(options()).await.unwrap();
    registrar.set_fault(Fault::SilenceBeforeHandshake, Times::Once);
    let mut tcp = tokio::net::TcpStream::connect(registrar.address()).await.unwrap();
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    tcp.write_all(b"\x16\x03\x01\x00\x05hello").await.unwrap();
    registrar.wait_for(|e| matches!(e.what, What::Accepted { .. }), PATIENCE).await.unwrap();
    let mut buffer = [0; 10];
    let silent = tokio::time::timeout(Duration::from_millis(100), tcp.read(&mut buffer)).await;
    assert!(silent.is_err(), "{silent:?}");
    drop(tcp);
    registrar.wait_for(|e| matches!(e.what, What::Closed { .. }), PATIENCE).await.unwrap();
    assert_eq!(registrar.application_bytes(), 0);
    Client::registered(&registrar, "alice").await;
}

#[tokio::test]
async fn connections_close_after_the_handshake_or_after_a_request() {
    let (registrar, mut alice) = server(Fault::CloseAfterHandshake, Times::Once).await;
    let mut other = Client::connect(&registrar, "alice").await;
    assert!(matches!(other.next().await, Came::Closed));
    registrar.set_fault(Fault::CloseAfter(Requests::Register), Times::Once);
    assert_eq!(code(&alice.text("nobody", "x").await), 404);
    alice.text_unanswered("nobody", "x").await;
    assert_eq!(code(&alice.message().await), 404);
    let lines = alice.lines("REGISTER", "sip:alice@example.test");
    alice.send(format!("REGISTER sip:{DOMAIN} SIP/2.0\r\n{lines}Content-Length: 0\r\n\r\n")).await;
    assert!(matches!(alice.next().await, Came::Closed));
}

#[tokio::test]
async fn garbage_comes_instead_of_an_answer() {
    let (_registrar, mut alice) = server(Fault::garbage(Requests::Register), Times::Once).await;
    let lines = alice.lines("REGISTER", "sip:alice@example.test");
    alice.send(format!("REGISTER sip:{DOMAIN} SIP/2.0\r\n{lines}Content-Length: 0\r\n\r\n")).await;
    assert!(matches!(alice.next().await, Came::Garbage));
}

#[tokio::test]
async fn the_next_requests_get_the_status_that_was_ordered() {
    let fault = Fault::answer(Requests::Register, 503).retry_after(7).header("X-Why", "test");
    let (registrar, mut alice) = server(fault, Times::Next(2)).await;
    for _ in 0..2 {
        let answer = alice.register("").await;
        assert_eq!((code(&answer), answer.value(Header::RetryAfter)), (503, Some("7")));
        assert_eq!(answer.value_of("x-why"), Some("test"));
    }
    assert_eq!(code(&alice.register("").await), 200);
    registrar.set_fault(Fault::answer(Requests::Message, 606).after_authentication(), Times::Once);
    assert_eq!(code(&alice.text("bob", "x").await), 606);
    let asked = registrar.log().iter().filter(|e| e.is_response(407, "MESSAGE")).count();
    assert_eq!(asked, 1, "the order waits for good credentials");
}

#[tokio::test]
async fn a_response_is_dropped_though_the_binding_is_made() {
    let (registrar, mut alice) = server(Fault::NoPong, Times::Once).await;
    alice.register("Expires: 100\r\n").await;
    registrar.set_fault(Fault::DropResponse(Requests::Register), Times::Once);
    let lines = "Contact: <sip:alice@client.invalid;transport=tls>\r\nExpires: 200\r\n";
    let lost = tokio::time::timeout(Duration::from_millis(300), alice.register_with(lines)).await;
    assert!(lost.is_err(), "{lost:?}");
    assert_eq!(registrar.bindings("alice")[0].expires_in, 200);
}

#[tokio::test]
async fn a_response_comes_late() {
    let (_registrar, mut alice) =
        server(Fault::Delay(Requests::Any, Duration::from_secs(5)), Times::Once).await;
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    let uri = format!("sip:{DOMAIN}");
    assert_eq!(code(&alice.once("OPTIONS", &uri, &uri, "", "").await), 200);
    assert!(begun.elapsed() >= Duration::from_secs(5));
}

#[tokio::test]
async fn responses_come_with_a_wrong_cseq_or_branch_txn_03() {
    let (registrar, mut alice) = server(Fault::WrongCSeq(Requests::Any), Times::Once).await;
    let uri = format!("sip:{DOMAIN}");
    let wrong = alice.once("OPTIONS", &uri, &uri, "", "").await;
    assert_eq!((code(&wrong), wrong.cseq().unwrap().number), (200, 2));
    registrar.set_fault(Fault::WrongBranch(Requests::Any), Times::Once);
    let wrong = alice.once("OPTIONS", &uri, &uri, "", "").await;
    assert_eq!(wrong.cseq().unwrap().number, 2);
    assert_eq!(wrong.via().unwrap().branch().unwrap(), "z9hG4bKnobodys");
}

#[tokio::test]
async fn responses_come_huge() {
    let fault = Fault::Huge { to: Requests::Any, head: 20_000, body: 500_000 };
    let (_registrar, mut alice) = server(fault, Times::Once).await;
    let uri = format!("sip:{DOMAIN}");
    let huge = alice.once("OPTIONS", &uri, &uri, "", "").await;
    assert_eq!(huge.body().len(), 500_000);
    assert!(huge.head_length() > 20_000);
}

#[tokio::test]
async fn the_list_of_contacts_is_wrong_in_three_ways_reg_07_reg_09() {
    let own = "<sip:alice@client.invalid;transport=tls>;expires=";
    for (fault, expected) in [
        (Fault::WithoutBinding, vec![]),
        (Fault::ExpiresZero, vec![format!("{own}0")]),
        (
            Fault::OthersFirst,
            vec![
                "<sip:alice@192.0.2.1:5061;transport=tls>;expires=7200".into(),
                "<sip:alice@192.0.2.2:5061;transport=tls>;expires=7200".into(),
                format!("{own}900"),
            ],
        ),
    ] {
        let (_registrar, mut alice) = server(fault, Times::Once).await;
        let done = alice.register("Expires: 900\r\n").await;
        assert_eq!((code(&done), values(&done, Header::Contact)), (200, expected));
    }
}

#[tokio::test]
async fn challenges_never_end_auth_22() {
    let (registrar, mut alice) = server(Fault::ChallengeLoop { stale: true }, Times::Always).await;
    let mut nonces = Vec::new();
    for _ in 0..3 {
        let refused = alice.register("").await;
        let challenge = refused.value(Header::WwwAuthenticate).unwrap().to_owned();
        assert!(code(&refused) == 401 && challenge.contains("stale=true"));
        assert!(!nonces.contains(&challenge));
        nonces.push(challenge);
    }
    registrar.clear_faults();
    assert_eq!(code(&alice.register("").await), 200);
}

#[tokio::test]
async fn a_next_nonce_spends_the_old_one_auth_17() {
    let (_registrar, mut alice) = server(Fault::NextNonce, Times::Once).await;
    let done = alice.register("").await;
    let info = AuthenticationInfo::parse(done.value(Header::AuthenticationInfo).unwrap()).unwrap();
    assert!(info.nextnonce.is_some() && info.rspauth.is_some());
    let uri = format!("sip:{DOMAIN}");
    let refused = alice.once("REGISTER", &uri, "sip:alice@example.test", "", "").await;
    assert!(refused.value(Header::WwwAuthenticate).unwrap().contains("stale=true"));
}

#[tokio::test]
async fn the_rspauth_is_wrong_auth_24() {
    let (_registrar, mut alice) = server(Fault::WrongRspauth, Times::Once).await;
    let done = alice.register("").await;
    let info = AuthenticationInfo::parse(done.value(Header::AuthenticationInfo).unwrap()).unwrap();
    assert_eq!(info.rspauth.unwrap(), "0".repeat(64).as_str());
}

#[tokio::test]
async fn a_message_is_delivered_twice_in_one_transaction_or_two() {
    for same_transaction in [true, false] {
        let (registrar, mut alice) = server(Fault::DeliverTwice { same_transaction }, Times::Once).await;
        let mut bob = Client::registered(&registrar, "bob").await;
        let (answer, ()) = tokio::join!(alice.text("bob", "x"), async {
            let (first, second) = (bob.message().await, bob.message().await);
            assert_eq!(first.call_id().unwrap(), second.call_id().unwrap());
            let same = first.via().unwrap().branch() == second.via().unwrap().branch();
            assert_eq!(same, same_transaction);
            bob.answer(&second, "486 Not This").await;
            bob.answer(&first, "200 OK").await;
        });
        assert_eq!(code(&answer), if same_transaction { 486 } else { 200 });
    }
}

#[tokio::test]
async fn pings_get_no_pong() {
    let (_registrar, mut alice) = server(Fault::NoPong, Times::Once).await;
    alice.send("\r\n\r\n\r\n\r\n").await;
    assert!(matches!(alice.next().await, Came::LineEnd));
    let uri = format!("sip:{DOMAIN}");
    let answer = alice.once("OPTIONS", &uri, &uri, "", "").await;
    assert_eq!(code(&answer), 200, "one pong for two pings");
}
