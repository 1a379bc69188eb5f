//! A server that cannot prove that it speaks for the domain is told nothing (TLS-01).

use aldis_interop::{ALICE, Aldis, Certificate, Kamailio, Options, PATIENCE, TlsSink};

/// The witness is another implementation's server: what it deciphers, it prints. That it would, is proven by
/// `registration::a_silent_server_ends_with_7`.
fn is_refused(certificate: Certificate, stage: &str) -> String {
    let sink = TlsSink::start(certificate);
    let finished = Aldis::at_sink(&sink, ALICE).run(&["register", "--once"]);
    finished.expect_code(3);
    sink.wait_for_alert(PATIENCE);
    assert!(sink.sip_lines().is_empty(), "a SIP byte went out\n{}", sink.process().transcript());

    let verdict = &finished.last("untrusted")["verdict"];
    assert_eq!(verdict["verdict"], "reject", "{verdict}");
    assert_eq!(verdict["stage"], stage, "{verdict}");
    assert!(
        verdict["advice"].as_str().is_some_and(|advice| !advice.is_empty()),
        "says what to do: {verdict}"
    );
    assert!(!finished.states_of("registration").contains(&"registered"), "{}", finished.transcript);
    verdict["code"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn an_expired_certificate_is_refused_before_any_sip_byte() {
    assert_eq!(is_refused(Certificate::Expired, "path"), "expired");
}

#[test]
fn a_valid_certificate_for_another_name_is_refused_before_any_sip_byte() {
    is_refused(Certificate::OtherName, "identity");
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused_before_any_sip_byte() {
    is_refused(Certificate::UnknownAuthority, "path");
}

#[test]
fn a_self_signed_certificate_is_refused_before_any_sip_byte() {
    is_refused(Certificate::SelfSigned, "path");
}

#[test]
fn kamailio_as_an_impostor_sees_no_request() {
    let kamailio = Kamailio::start(Options { certificate: Certificate::OtherName, ..Options::default() });
    let finished = Aldis::new(&kamailio, ALICE).run(&["send", "bob", "a secret"]);
    finished.expect_code(3);
    let log = kamailio.stop();
    let requests = log.iter().filter(|line| line.text.contains("interop request"));
    assert_eq!(requests.count(), 0, "{log:#?}");
    assert!(!finished.transcript.contains("a secret"), "the text is in the output\n{}", finished.transcript);
}
