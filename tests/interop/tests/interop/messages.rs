//! MESSAGE between two `aldis` commands through Kamailio.

use aldis_interop::{ALICE, Aldis, BOB, CAROL, Finished, Kamailio, Options, PATIENCE};
use serde_json::Value;

/// The single incoming message of a `listen --count 1`.
fn only_message(finished: &Finished) -> &Value {
    finished.expect_code(0);
    let messages = finished.events_of("message");
    assert_eq!(messages.len(), 1, "one message\n{}", finished.transcript);
    finished.last("message")
}

/// MSG-01, MSG-09; the one-shot `send` leaves the running `listen` of the same account alone.
#[test]
fn messages_go_both_ways() {
    let kamailio = Kamailio::start(Options::default());
    let (alice, bob) = (Aldis::new(&kamailio, ALICE), Aldis::new(&kamailio, BOB));
    let at_alice = alice.start(&["listen", "--count", "1"]);
    let at_bob = bob.start(&["listen", "--count", "1"]);
    at_alice.wait_for_registered();
    at_bob.wait_for_registered();

    let sent = alice.run(&["send", "bob", "hello bob"]);
    sent.expect_code(0);
    assert_eq!(sent.last("outgoing")["state"], "accepted", "{}", sent.transcript);
    assert_eq!(sent.last("outgoing")["status"], 200, "{}", sent.transcript);
    let sent = bob.run(&["send", "sip:alice@example.test", "hello alice"]);
    sent.expect_code(0);

    let at_bob = at_bob.finish(PATIENCE);
    let message = only_message(&at_bob);
    assert_eq!(message["body"], "hello bob", "{message}");
    assert_eq!(message["from"], ALICE.address(), "{message}");
    assert_eq!(message["to"], BOB.address(), "{message}");
    assert!(message["content_type"].as_str().is_some_and(|it| it.starts_with("text/plain")), "{message}");
    let at_alice = at_alice.finish(PATIENCE);
    assert_eq!(only_message(&at_alice)["body"], "hello alice", "{}", at_alice.transcript);
}

#[test]
fn a_text_of_several_lines_and_scripts_from_stdin_arrives_as_it_was() {
    let text = "Grüße, 日本語, 🚨\r\n\tsecond line\n\nfourth";
    let kamailio = Kamailio::start(Options::default());
    let bob = Aldis::new(&kamailio, BOB);
    let listening = bob.start(&["listen", "--count", "1"]);
    listening.wait_for_registered();
    Aldis::new(&kamailio, ALICE).run_with_input(&["send", "bob"], text).expect_code(0);
    let finished = listening.finish(PATIENCE);
    assert_eq!(only_message(&finished)["body"], text, "{}", finished.transcript);
}

#[test]
fn an_echo_comes_back_to_the_sender() {
    let kamailio = Kamailio::start(Options::default());
    let (alice, bob) = (Aldis::new(&kamailio, ALICE), Aldis::new(&kamailio, BOB));
    let echo = bob.start(&["listen", "--echo"]);
    let listening = alice.start(&["listen", "--count", "1"]);
    echo.wait_for_registered();
    listening.wait_for_registered();
    alice.run(&["send", "bob", "is there an echo?"]).expect_code(0);
    let finished = listening.finish(PATIENCE);
    let message = only_message(&finished);
    assert_eq!(message["body"], "is there an echo?", "{message}");
    assert_eq!(message["from"], BOB.address(), "{message}");
}

/// MSG-06: a final refusal, with the status and exit 6.
fn is_rejected(recipient: &str, status: u16) {
    let kamailio = Kamailio::start(Options::default());
    let finished = Aldis::new(&kamailio, ALICE).run(&["send", recipient, "anybody there?"]);
    finished.expect_code(6);
    let failed = finished.last("outgoing");
    assert_eq!(failed["state"], "failed", "{failed}");
    assert_eq!(failed["status"], status, "{failed}");
    assert!(failed["why"].as_str().is_some_and(|why| !why.is_empty()), "says why: {failed}");
}

#[test]
fn an_unknown_user_is_404_and_ends_with_6() {
    is_rejected("nobody", 404);
}

#[test]
fn an_offline_user_is_480_and_ends_with_6() {
    is_rejected(CAROL.name, 480);
}

/// MSG-05, I-05: 202 is accepted, not delivered; the server puts its date before the text.
#[test]
fn a_message_for_an_offline_user_is_stored_and_delivered_when_he_comes() {
    let kamailio = Kamailio::start(Options { store_offline: true, ..Options::default() });
    let sent = Aldis::new(&kamailio, ALICE).run(&["send", "bob", "read this later"]);
    sent.expect_code(0);
    assert_eq!(sent.last("outgoing")["state"], "accepted", "{}", sent.transcript);
    assert_eq!(sent.last("outgoing")["status"], 202, "{}", sent.transcript);

    let finished = Aldis::new(&kamailio, BOB).run(&["listen", "--count", "1"]);
    let message = only_message(&finished);
    assert!(message["body"].as_str().is_some_and(|body| body.ends_with("read this later")), "{message}");
    assert_eq!(message["from"], ALICE.address(), "{message}");
}

/// An invalid recipient is a usage error, and nothing is sent.
#[test]
fn an_invalid_recipient_ends_with_2_before_any_connection() {
    let kamailio = Kamailio::start(Options::default());
    let finished = Aldis::new(&kamailio, ALICE).run(&["send", "sip:bob@", "hello"]);
    finished.expect_code(2);
    assert!(finished.events_of("connection").is_empty(), "{}", finished.transcript);
}

/// The trace keeps every header, no secret, and no body unless asked for.
#[test]
fn a_trace_keeps_the_headers_and_no_secret() {
    let kamailio = Kamailio::start(Options::default());
    let alice = Aldis::new(&kamailio, ALICE);
    let folder = tempfile::tempdir().expect("a folder");
    for (option, shown) in [(None, false), (Some("--trace-bodies"), true)] {
        let file = folder.path().join(format!("trace-{shown}"));
        let name = file.to_str().expect("a path in UTF-8");
        let mut arguments = vec!["send", "bob", "the text of the message", "--trace", name];
        arguments.extend(option);
        // Nobody is there: the trace holds the refusal as well.
        alice.run(&arguments).expect_code(6);
        let trace = std::fs::read_to_string(&file).expect("the trace");
        assert!(trace.contains("sent\nMESSAGE sip:bob@example.test SIP/2.0\n"), "{trace}");
        assert!(trace.contains("received\nSIP/2.0 480 "), "{trace}");
        assert_eq!(trace.contains("the text of the message"), shown, "{trace}");
        assert!(!trace.contains("wonderland"), "{trace}");
    }
    let file = folder.path().join("register");
    let name = file.to_str().expect("a path in UTF-8");
    alice.run(&["register", "--once", "--trace", name]).expect_code(0);
    let trace = std::fs::read_to_string(&file).expect("the trace");
    assert!(trace.contains("Authorization: Digest username=\"alice\""), "{trace}");
    assert!(trace.contains("response=…"), "{trace}");
}
