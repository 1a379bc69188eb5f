//! REGISTER against Kamailio.

use std::time::Duration;

use aldis_interop::{ALICE, Aldis, Algorithm, Certificate, Kamailio, Options, PATIENCE, TlsSink, User};

/// REG-01, REG-13, AUTH-01, TLS-08, TLS-11
fn registers_once(algorithm: Algorithm, name: &str) {
    let kamailio = Kamailio::start(Options { algorithm, ..Options::default() });
    let finished = Aldis::new(&kamailio, ALICE).run(&["register", "--once"]);
    finished.expect_code(0);

    let connected = finished.first("connection", "connected");
    assert_eq!(connected["tls"]["version"], "1.3", "{connected}");
    assert_eq!(connected["identity"]["reference"], "example.test", "{connected}");
    assert_eq!(connected["identity"]["matched"], "sip-uri", "{connected}");

    let registered = finished.first("registration", "registered");
    assert_eq!(registered["status"], 200, "{registered}");
    assert!(
        registered["expires_in"].as_u64().is_some_and(|seconds| (1..=3600).contains(&seconds)),
        "{registered}"
    );
    assert_eq!(finished.states_of("registration").last(), Some(&"unregistered"), "{}", finished.transcript);

    let accepted = kamailio.wait_for_registered(1, ALICE.name, PATIENCE).text;
    for fact in [&format!("algorithm={name} "), "tls=TLSv1.3 ", "sni=example.test "] {
        assert!(accepted.contains(fact), "{fact:?} in {accepted:?}");
    }
    let removed = kamailio.wait_for_registered(2, ALICE.name, PATIENCE).text;
    assert!(removed.contains("expires=0"), "the second REGISTER removes the binding: {removed:?}");
}

#[test]
fn registers_with_an_md5_digest_and_leaves_no_binding() {
    // Kamailio names no algorithm, which means MD5 (AUTH-08); the answer names what the challenge named.
    registers_once(Algorithm::Md5, "");
}

#[test]
fn registers_with_a_sha_256_digest_and_leaves_no_binding() {
    registers_once(Algorithm::Sha256, "SHA-256");
}

/// AUTH-02, REG-21
#[test]
fn a_wrong_password_is_sent_once_and_ends_with_4() {
    let kamailio = Kamailio::start(Options::default());
    let mallory = User { password: "not-hers", ..ALICE };
    let finished = Aldis::new(&kamailio, mallory).run(&["register", "--once"]);
    finished.expect_code(4);
    let failed = finished.last("registration");
    assert_eq!(failed["state"], "failed", "{failed}");
    assert!(failed["why"].as_str().is_some_and(|why| !why.is_empty()), "says why: {failed}");
    // One without credentials, one with; a third would be the way to a locked account.
    assert_eq!(kamailio.requests("REGISTER", ALICE.name).len(), 2, "{}", kamailio.process().transcript());
    assert!(
        !finished.transcript.contains("not-hers"),
        "the password is in the output\n{}",
        finished.transcript
    );
}

/// REG-07, REG-10, REG-12: 60 s are granted, so the refresh is due at half of it.
#[test]
fn refreshes_before_a_granted_minute_is_over() {
    let kamailio = Kamailio::start(Options { short_expiry: true, ..Options::default() });
    let alice = Aldis::new(&kamailio, ALICE);
    let listening = alice.start(&["listen"]);
    let registered = listening.wait_for_registered();
    assert!(
        registered["expires_in"].as_u64().is_some_and(|seconds| (1..=60).contains(&seconds)),
        "{registered}"
    );

    let first = kamailio.wait_for_registered(1, ALICE.name, PATIENCE);
    let second = kamailio.wait_for_registered(2, ALICE.name, Duration::from_secs(60));
    let after = second.at.duration_since(first.at);
    assert!(after <= Duration::from_secs(28 + 4), "at least 28 s before the expiry, was after {after:?}");
    assert!(after >= Duration::from_secs(15), "no needless refresh, was after {after:?}");
    assert_eq!(
        word(&first.text, "port="),
        word(&second.text, "port="),
        "the refresh uses the flow that it refreshes"
    );

    listening.interrupt();
    let finished = listening.finish(PATIENCE);
    finished.expect_code(0);
    assert!(!finished.states_of("registration").contains(&"failed"), "{}", finished.transcript);
}

/// REG-13
#[test]
fn an_interrupt_unregisters_and_ends_with_0() {
    let kamailio = Kamailio::start(Options::default());
    let alice = Aldis::new(&kamailio, ALICE);
    let registered = alice.start(&["register"]);
    registered.wait_for_registered();
    registered.interrupt();
    let finished = registered.finish(PATIENCE);
    finished.expect_code(0);
    assert_eq!(finished.states_of("registration").last(), Some(&"unregistered"), "{}", finished.transcript);
    let removed = kamailio.wait_for_registered(2, ALICE.name, PATIENCE).text;
    assert!(removed.contains("expires=0"), "{removed:?}");
}

#[test]
fn a_refused_port_ends_with_5() {
    let kamailio = Kamailio::start(Options::default());
    let alice = Aldis::at_closed_port(&kamailio, ALICE).with_option("--timeout", "5");
    let finished = alice.run(&["register", "--once"]);
    finished.expect_code(5);
    assert!(!finished.stderr.is_empty(), "says why\n{}", finished.transcript);
    assert!(kamailio.all_requests().is_empty(), "{}", kamailio.process().transcript());
}

/// The trusted server took the request and said nothing: what became of it is unknown.
#[test]
fn a_silent_server_ends_with_7() {
    let sink = TlsSink::start(Certificate::Good);
    let alice = Aldis::at_sink(&sink, ALICE).with_option("--timeout", "3");
    let finished = alice.run(&["register", "--once"]);
    finished.expect_code(7);
    let request = sink.wait_for_sip(PATIENCE).text;
    assert!(request.contains("REGISTER sip:example.test SIP/2.0"), "{request:?}");
}

/// The value of `name=value` in a log line.
fn word<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split_whitespace().find_map(|word| word.strip_prefix(name))
}
