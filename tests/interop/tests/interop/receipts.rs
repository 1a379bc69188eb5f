//! Receipts, who is writing and conversations through Kamailio.

use aldis_interop::{ALICE, Aldis, BOB, Baresip, Kamailio, Linphone, Options, PATIENCE};

/// IMDN-01, IMDN-05: `send` waits until the other side says that it has the message.
#[test]
fn a_message_that_asks_is_delivered() {
    let kamailio = Kamailio::start(Options::default());
    let (alice, bob) = (Aldis::new(&kamailio, ALICE), Aldis::new(&kamailio, BOB));
    let listening = bob.start(&["listen", "--count", "1"]);
    listening.wait_for_registered();
    let sent = alice.run(&["send", "bob", "do you read me?", "--request-receipts"]);
    sent.expect_code(0);
    assert_eq!(sent.last("outgoing")["state"], "delivered", "{}", sent.transcript);
    let message = listening.wait_for_message("do you read me?");
    assert!(message["content_type"].as_str().is_some_and(|kind| kind.starts_with("text/plain")), "{message}");
    listening.finish(PATIENCE).expect_code(0);
}

/// IMDN-07: what was shown is told with consent alone.
#[test]
fn a_conversation_is_delivered_and_displayed() {
    let kamailio = Kamailio::start(Options::default());
    let (alice, bob) = (Aldis::new(&kamailio, ALICE), Aldis::new(&kamailio, BOB));
    let listening = bob.start(&["listen", "--display-receipts", "--echo"]);
    listening.wait_for_registered();
    let mut chat = alice.start(&["chat", "bob"]);
    chat.wait_for_registered();
    chat.say("can you see this?");
    listening.wait_for_message("can you see this?");
    chat.wait_for_outgoing("delivered");
    chat.wait_for_outgoing("displayed");
    chat.wait_for_message("can you see this?");
    chat.end_input();
    chat.finish(PATIENCE).expect_code(0);
}

/// COMP-01, COMP-03: keys on a terminal are told, and the message ends it.
#[test]
fn who_types_in_a_conversation_is_seen_to_write() {
    let kamailio = Kamailio::start(Options::default());
    let (alice, bob) = (Aldis::new(&kamailio, ALICE), Aldis::new(&kamailio, BOB));
    let listening = bob.start(&["listen"]);
    listening.wait_for_registered();
    let mut chat = alice.start_at_terminal(&["chat", "bob"]);
    kamailio.wait_for_registered(1, "alice", PATIENCE);
    chat.wait_for(&["connected"], PATIENCE);
    chat.say("typed by hand");
    let composing = |active: bool| {
        listening.wait_for_event("composing", PATIENCE, move |event| {
            event["event"] == "composing" && event["active"] == active && event["from"] == ALICE.address()
        })
    };
    composing(true);
    composing(false);
    listening.wait_for_message("typed by hand");
    chat.wait_for(&["delivered"], PATIENCE);
    // Ctrl-D
    chat.say("\u{4}");
    assert!(chat.wait_exit(PATIENCE).success(), "{}", chat.transcript());
}

/// IMDN-08 with somebody else's receipt; I-07: linphone's comes deflated.
#[test]
fn linphone_says_that_it_has_a_message() {
    let kamailio = Kamailio::start(Options::default());
    let linphone = Linphone::start(&kamailio, BOB);
    let sent =
        Aldis::new(&kamailio, ALICE).run(&["send", "bob", "from aldis, in CPIM", "--request-receipts"]);
    linphone.wait_for_message("from aldis, in CPIM", PATIENCE);
    sent.expect_code(0);
    assert_eq!(sent.last("outgoing")["state"], "delivered", "{}", sent.transcript);
}

/// GEN-14, I-01: who takes no message/cpim gets the text, and no receipt is waited for.
#[test]
fn baresip_gets_the_text_when_it_refuses_the_rest() {
    let kamailio = Kamailio::start(Options::default());
    let baresip = Baresip::start(&kamailio, BOB, ALICE);
    let sent = Aldis::new(&kamailio, ALICE).run(&["send", "bob", "from aldis, plain", "--request-receipts"]);
    baresip.wait_for_message("from aldis, plain", PATIENCE);
    assert_eq!(sent.last("outgoing")["state"], "accepted", "{}", sent.transcript);
    sent.expect_code(7);
}

/// I-05: what msilo kept is shown as it is, its date before the text.
#[test]
fn what_msilo_kept_is_shown_as_it_is() {
    let kamailio = Kamailio::start(Options { store_offline: true, ..Options::default() });
    Aldis::new(&kamailio, ALICE).run(&["send", "bob", "read this later"]).expect_code(0);
    let finished = Aldis::new(&kamailio, BOB).run(&["listen", "--count", "1"]);
    finished.expect_code(0);
    let message = finished.last("message");
    let body = message["body"].as_str().unwrap_or_default();
    assert!(body.starts_with("[Offline message - ") && body.ends_with("] read this later"), "{message}");
    assert!(message["sent_at"].is_string(), "{message}");
}

/// I-05: so is what it wrote before a message/cpim, whose receipt comes all the same.
#[test]
fn a_message_that_msilo_kept_is_delivered_with_its_receipt() {
    let kamailio = Kamailio::start(Options { store_offline: true, ..Options::default() });
    let (alice, bob) = (Aldis::new(&kamailio, ALICE), Aldis::new(&kamailio, BOB));
    let sending = alice.start(&["send", "bob", "tell me when you have it", "--request-receipts"]);
    sending.wait_for_outgoing("accepted");
    let listening = bob.start(&["listen"]);
    listening.wait_for_message("tell me when you have it");
    let sent = sending.finish(PATIENCE);
    sent.expect_code(0);
    assert_eq!(sent.last("outgoing")["state"], "delivered", "{}", sent.transcript);
}
