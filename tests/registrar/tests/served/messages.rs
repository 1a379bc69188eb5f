use crate::client::{Came, Client, DOMAIN, PATIENCE, code, options, values};
use aldis_registrar::{MessageChallenge, Offline, Outgoing, Registrar, What};
use aldis_sip::Header;
use aldis_sip::fields::Via;
use tokio::time::{Duration, Instant};

#[tokio::test]
async fn a_message_reaches_its_recipient_and_the_answer_its_sender_msg_01() {
    let registrar = Registrar::start(options()).await.unwrap();
    let mut bob = Client::registered(&registrar, "bob").await;
    let mut alice = Client::registered(&registrar, "alice").await;
    let (answer, request) = tokio::join!(alice.text("bob", "hello"), async {
        let request = bob.message().await;
        bob.answer(&request, "200 OK").await;
        request
    });
    assert_eq!(code(&answer), 200);
    assert_eq!(request.request_uri().unwrap().unwrap().as_str(), "sip:bob@client.invalid;transport=tls");
    assert_eq!(&request.body()[..], b"hello");
    assert_eq!(request.value(Header::MaxForwards), Some("69"));
    assert!(!request.has(Header::ProxyAuthorization) && !request.has(Header::RecordRoute));
    let vias: Vec<_> = request.all::<Via<'_>>().map(Result::unwrap).collect();
    assert_eq!(vias.len(), 2);
    assert_eq!(vias[0].sent_by.to_string(), registrar.address().to_string());
    assert_eq!(vias[1].params.value("received").as_deref(), Some("127.0.0.1"), "TXN-10");
    assert!(vias[1].params.value("rport").is_some());
    assert_eq!(answer.all::<Via<'_>>().count(), 1);
}

#[tokio::test]
async fn the_sender_must_prove_who_it_is_with_407_401_or_not_at_all() {
    for (challenge, first) in
        [(MessageChallenge::Proxy, 407), (MessageChallenge::Registrar, 401), (MessageChallenge::None, 480)]
    {
        let registrar = Registrar::start(options().message_challenge(challenge)).await.unwrap();
        let mut alice = Client::connect(&registrar, "alice").await;
        let uri = format!("sip:bob@{DOMAIN}");
        assert_eq!(code(&alice.once("MESSAGE", &uri, &uri, "", "").await), first);
    }
    let registrar = Registrar::start(options()).await.unwrap();
    let mut alice = Client::connect(&registrar, "alice").await;
    alice.password = "butcher".into();
    assert_eq!(code(&alice.text("bob", "x").await), 407);
}

#[tokio::test]
async fn nobody_speaks_for_another() {
    let registrar = Registrar::start(options()).await.unwrap();
    let mut alice = Client::registered(&registrar, "alice").await;
    assert_eq!(code(&alice.text("bob", "").await), 480);
    let uri = format!("sip:bob@{DOMAIN}");
    let lines = alice.lines("MESSAGE", &uri).replace("sip:alice@", "sip:carol@");
    let authorization = alice.authorization("MESSAGE", &uri, "");
    alice.send(format!("MESSAGE {uri} SIP/2.0\r\n{lines}{authorization}Content-Length: 0\r\n\r\n")).await;
    assert_eq!(code(&alice.message().await), 403);
}

#[tokio::test]
async fn routes_to_this_server_are_taken_off_and_others_stay() {
    let registrar = Registrar::start(options()).await.unwrap();
    let mut bob = Client::registered(&registrar, "bob").await;
    let mut alice = Client::registered(&registrar, "alice").await;
    let uri = format!("sip:bob@{DOMAIN}");
    let here = registrar.address();
    let routes = format!("Route: <sip:{here};lr>, <sip:{DOMAIN};lr>\r\nRoute: <sip:far.test;lr>\r\n");
    let (answer, ()) = tokio::join!(alice.ask("MESSAGE", &uri, &uri, &routes, ""), async {
        let request = bob.message().await;
        assert_eq!(values(&request, Header::Route), ["<sip:far.test;lr>"]);
        bob.answer(&request, "200 OK").await;
    });
    assert_eq!(code(&answer), 200);
}

#[tokio::test]
async fn a_408_of_the_recipient_is_no_answer_txn_08() {
    let registrar = Registrar::start(options()).await.unwrap();
    let mut bob = Client::registered(&registrar, "bob").await;
    let mut alice = Client::registered(&registrar, "alice").await;
    let uri = format!("sip:bob@{DOMAIN}");
    let refused = alice.once("MESSAGE", &uri, &uri, "", "").await;
    alice.take_challenge(&refused);
    alice.text_unanswered("bob", "x").await;
    let request = bob.message().await;
    bob.answer(&request, "408 Request Timeout").await;
    let came = |e: &aldis_registrar::Entry| e.is_received_response(408, "MESSAGE");
    registrar.wait_for(came, PATIENCE).await.unwrap();
    tokio::time::pause();
    let nothing = tokio::time::timeout(Duration::from_secs(50), alice.next()).await;
    assert!(nothing.is_err(), "{nothing:?}");
}

#[tokio::test]
async fn a_cancel_finds_its_request_and_changes_nothing() {
    let registrar = Registrar::start(options()).await.unwrap();
    let mut alice = Client::connect(&registrar, "alice").await;
    let uri = format!("sip:{DOMAIN}");
    let lines = alice.lines("OPTIONS", &uri);
    let request = format!("OPTIONS {uri} SIP/2.0\r\n{lines}Content-Length: 0\r\n\r\n");
    alice.send(&request).await;
    assert_eq!(code(&alice.message().await), 200);
    alice.send(request.replace("OPTIONS", "CANCEL")).await;
    let answer = alice.message().await;
    assert_eq!((code(&answer), answer.cseq().unwrap().method.as_str()), (200, "CANCEL"));
}

#[tokio::test]
async fn whom_nobody_knows_is_404_and_who_is_away_480_msg_18() {
    let registrar = Registrar::start(options()).await.unwrap();
    let mut alice = Client::registered(&registrar, "alice").await;
    assert_eq!(code(&alice.text("nobody", "x").await), 404);
    assert_eq!(code(&alice.text("bob", "x").await), 480);
    let far = "sip:bob@example.com";
    assert_eq!(code(&alice.ask("MESSAGE", far, far, "", "").await), 403);
    let tel = "tel:+15551234";
    assert_eq!(code(&alice.ask("MESSAGE", tel, tel, "", "").await), 416);
}

#[tokio::test]
async fn a_message_that_has_come_too_far_or_nobody_knows_how_far_goes_no_further() {
    let registrar = Registrar::start(options()).await.unwrap();
    let mut alice = Client::registered(&registrar, "alice").await;
    let uri = format!("sip:bob@{DOMAIN}");
    for (hops, status) in [("0", 483), ("many", 400), ("1", 407)] {
        let lines =
            alice.lines("MESSAGE", &uri).replace("Max-Forwards: 70", &format!("Max-Forwards: {hops}"));
        alice.send(format!("MESSAGE {uri} SIP/2.0\r\n{lines}Content-Length: 0\r\n\r\n")).await;
        assert_eq!(code(&alice.message().await), status);
    }
}

#[tokio::test]
async fn a_retransmission_gets_the_same_answer_and_goes_no_further_txn_05() {
    let registrar = Registrar::start(options().message_challenge(MessageChallenge::None)).await.unwrap();
    let mut bob = Client::registered(&registrar, "bob").await;
    let mut alice = Client::connect(&registrar, "alice").await;
    let uri = format!("sip:bob@{DOMAIN}");
    let lines = alice.lines("MESSAGE", &uri);
    let request = format!("MESSAGE {uri} SIP/2.0\r\n{lines}Content-Length: 0\r\n\r\n");
    alice.send(format!("{request}{request}")).await;
    let received = bob.message().await;
    bob.answer(&received, "200 OK").await;
    let first = alice.message().await;
    alice.send(&request).await;
    assert_eq!(alice.message().await.to_bytes(), first.to_bytes());
    let forwarded = registrar.log().iter().filter(|e| e.is_sent_request("MESSAGE")).count();
    assert_eq!(forwarded, 1);
}

#[tokio::test]
async fn all_devices_get_a_message_and_the_first_success_is_the_answer() {
    let registrar = Registrar::start(options()).await.unwrap();
    let mut one = Client::registered(&registrar, "bob").await;
    let mut two = Client::connect(&registrar, "bob").await;
    two.call_id = "second".into();
    two.register_with("Contact: <sip:bob@second.invalid>\r\n").await;
    let mut alice = Client::registered(&registrar, "alice").await;
    let (answer, ()) = tokio::join!(alice.text("bob", "x"), async {
        let (a, b) = (one.message().await, two.message().await);
        one.answer(&a, "486 Busy Here").await;
        two.answer(&b, "200 OK").await;
    });
    assert_eq!(code(&answer), 200);
}

#[tokio::test]
async fn of_refusals_the_best_goes_back_and_a_503_becomes_a_500() {
    for (first, second, expected) in [("404 Not Found", "603 Decline", 603), ("503 Full", "500 Oops", 500)] {
        let registrar = Registrar::start(options()).await.unwrap();
        let mut one = Client::registered(&registrar, "bob").await;
        let mut two = Client::connect(&registrar, "bob").await;
        two.call_id = "second".into();
        two.register_with("Contact: <sip:bob@second.invalid>\r\n").await;
        let mut alice = Client::registered(&registrar, "alice").await;
        let (answer, ()) = tokio::join!(alice.text("bob", "x"), async {
            let (a, b) = (one.message().await, two.message().await);
            one.answer(&a, first).await;
            two.answer(&b, second).await;
        });
        assert_eq!(code(&answer), expected);
    }
}

#[tokio::test]
async fn one_instance_gets_a_message_on_its_newest_flow_and_on_the_other_when_that_breaks() {
    let registrar = Registrar::start(options()).await.unwrap();
    let mut flows = Vec::new();
    for id in 1..=2 {
        let mut flow = Client::connect(&registrar, "bob").await;
        flow.call_id = format!("flow {id}").replace(' ', "-");
        flow.contact = format!(";+sip.instance=\"<urn:uuid:1>\";reg-id={id}");
        assert_eq!(code(&flow.register("Supported: outbound\r\n").await), 200);
        flows.push(flow);
    }
    let mut newest = flows.pop().unwrap();
    let mut other = flows.pop().unwrap();
    let mut alice = Client::registered(&registrar, "alice").await;
    let (answer, ()) = tokio::join!(alice.text("bob", "x"), async move {
        newest.message().await;
        drop(newest);
        let request = other.message().await;
        other.answer(&request, "200 OK").await;
    });
    assert_eq!(code(&answer), 200);
}

#[tokio::test]
async fn a_recipient_that_is_silent_gives_100_and_then_nothing_txn_07_txn_08() {
    let registrar = Registrar::start(options()).await.unwrap();
    let mut bob = Client::registered(&registrar, "bob").await;
    let mut alice = Client::registered(&registrar, "alice").await;
    let uri = format!("sip:bob@{DOMAIN}");
    let refused = alice.once("MESSAGE", &uri, &uri, "", "").await;
    alice.take_challenge(&refused);
    alice.text_unanswered("bob", "x").await;
    bob.message().await;
    tokio::time::pause();
    let begun = Instant::now();
    let trying = alice.message().await;
    assert_eq!((code(&trying), trying.to().unwrap().tag()), (100, None));
    assert!(begun.elapsed() >= Duration::from_millis(3400), "{:?}", begun.elapsed());
    let nothing = tokio::time::timeout(Duration::from_secs(50), alice.next()).await;
    assert!(nothing.is_err(), "{nothing:?}");
}

#[tokio::test]
async fn stored_messages_come_in_order_with_their_date_when_the_recipient_registers() {
    let registrar = Registrar::start(options().offline(Offline::Store)).await.unwrap();
    let mut alice = Client::registered(&registrar, "alice").await;
    for text in ["one", "two"] {
        assert_eq!(code(&alice.text("bob", text).await), 202);
    }
    assert_eq!(registrar.stored("bob"), 2);
    let mut bob = Client::registered(&registrar, "bob").await;
    for text in ["one", "two"] {
        let request = bob.message().await;
        assert_eq!(&request.body()[..], text.as_bytes());
        assert!(request.has(Header::Date));
        assert_eq!(request.from().unwrap().uri.as_str(), "sip:alice@example.test");
        assert_eq!(request.all::<Via<'_>>().count(), 1);
        bob.answer(&request, "200 OK").await;
    }
    let done = |e: &aldis_registrar::Entry| e.is_received_response(200, "MESSAGE");
    registrar.wait_for(done, PATIENCE).await.unwrap();
    bob.register("").await;
    assert_eq!(registrar.stored("bob"), 0);
}

#[tokio::test]
async fn a_stored_message_that_cannot_be_taken_now_waits_for_the_next_registration() {
    let registrar = Registrar::start(options().offline(Offline::Store)).await.unwrap();
    let mut alice = Client::registered(&registrar, "alice").await;
    alice.text("bob", "x").await;
    let mut bob = Client::registered(&registrar, "bob").await;
    let first = bob.message().await;
    bob.answer(&first, "480 Inbox Full").await;
    bob.register("").await;
    let again = bob.message().await;
    assert_eq!(again.call_id().unwrap(), first.call_id().unwrap());
    assert_ne!(again.via().unwrap().branch(), first.via().unwrap().branch());
    assert_eq!(registrar.stored("bob"), 1);
}

#[tokio::test]
async fn a_message_whose_recipient_breaks_off_is_stored() {
    let registrar = Registrar::start(options().offline(Offline::Store)).await.unwrap();
    let mut bob = Client::registered(&registrar, "bob").await;
    let mut alice = Client::registered(&registrar, "alice").await;
    let (answer, ()) = tokio::join!(alice.text("bob", "x"), async move {
        bob.message().await;
        drop(bob);
    });
    assert_eq!((code(&answer), registrar.stored("bob")), (202, 1));
}

#[tokio::test]
async fn other_methods_get_their_answers() {
    let registrar = Registrar::start(options()).await.unwrap();
    let mut alice = Client::connect(&registrar, "alice").await;
    let uri = format!("sip:{DOMAIN}");
    for (method, status) in
        [("OPTIONS", 200), ("INVITE", 405), ("SUBSCRIBE", 405), ("NEWMETHOD", 501), ("CANCEL", 481)]
    {
        let answer = alice.once(method, &uri, &uri, "", "").await;
        assert_eq!(code(&answer), status, "{method}");
        assert_eq!(values(&answer, Header::Allow), ["REGISTER, MESSAGE, OPTIONS"]);
        assert!(answer.to().unwrap().tag().is_some());
    }
}

#[tokio::test]
async fn malformed_requests_are_refused_and_the_connection_goes_on() {
    let registrar = Registrar::start(options()).await.unwrap();
    let mut alice = Client::connect(&registrar, "alice").await;
    let lines = alice.lines("OPTIONS", "sip:example.test");
    let whole = format!("OPTIONS sip:example.test SIP/2.0\r\n{lines}Content-Length: 0\r\n\r\n");
    for (broken, status) in [
        (whole.replace("SIP/2.0\r\n", "SIP/3.0\r\n"), 505),
        (whole.replace(" OPTIONS\r\n", " INVITE\r\n"), 400),
        (whole.replace("Max-Forwards: 70", "Content-Type: nonsense"), 400),
        (format!("{}{}", whole.replace("Length: 0", "Length: 1100000"), "x".repeat(1_100_000)), 413),
        (whole.clone(), 200),
    ] {
        alice.send(&broken).await;
        assert_eq!(code(&alice.message().await), status);
    }
    let received = registrar.log().into_iter().rfind(|e| e.received().is_some()).unwrap();
    assert_eq!(received.received().unwrap().text(), whole, "the log has the bytes as they came");
    alice.send("OPTIONS x SIP/2.0\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n").await;
    assert!(matches!(alice.next().await, Came::Closed));
}

#[tokio::test]
async fn requests_of_the_server_reach_every_binding_and_their_answers_the_log() {
    let registrar = Registrar::start(options()).await.unwrap();
    let mut alice = Client::registered(&registrar, "alice").await;
    let notify = Outgoing::new("NOTIFY")
        .header("Event", "message-summary")
        .header("Subscription-State", "active")
        .body("application/simple-message-summary", "Messages-Waiting: yes\r\n");
    let sent = registrar.send_request("alice", &notify);
    let request = alice.message().await;
    assert_eq!(sent.len(), 1);
    assert_eq!(request.call_id().unwrap().as_str(), sent[0].call_id);
    assert!(request.has(Header::Contact) && request.value(Header::Event) == Some("message-summary"));
    alice.answer(&request, "481 No").await;
    let answered = |e: &aldis_registrar::Entry| e.is_received_response(481, "NOTIFY");
    assert_eq!(
        registrar.wait_for(answered, PATIENCE).await.unwrap().call_id(),
        Some(sent[0].call_id.clone())
    );
    assert!(registrar.send_request("bob", &Outgoing::new("NEWMETHOD")).is_empty());
}

#[tokio::test]
async fn a_ping_gets_a_pong_out_15() {
    let registrar = Registrar::start(options()).await.unwrap();
    let mut alice = Client::connect(&registrar, "alice").await;
    alice.send("\r\n\r\n").await;
    assert!(matches!(alice.next().await, Came::LineEnd));
    registrar.wait_for(|e| matches!(e.what, What::Pong), PATIENCE).await.unwrap();
    assert_eq!(registrar.application_bytes(), 4);
}
