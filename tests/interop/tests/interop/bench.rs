//! The bench itself, without Aldis: the server serves, the other clients reach each other, the bad certificates are bad
//! in the way that they say. When one of these fails, the others say nothing about Aldis.

use aldis_interop::{
    ALICE, Algorithm, BOB, Baresip, Certificate, Kamailio, Linphone, Options, PATIENCE, Process, TlsSink,
};

#[test]
fn baresip_and_linphone_exchange_messages() {
    let kamailio = Kamailio::start(Options::default());
    let mut baresip = Baresip::start(&kamailio, BOB, ALICE);
    let mut linphone = Linphone::start(&kamailio, ALICE);
    baresip.message("hello from baresip");
    linphone.wait_for_message("hello from baresip", PATIENCE);
    linphone.message(&BOB.address(), "hello from linphone");
    baresip.wait_for_message("hello from linphone", PATIENCE);
}

#[test]
fn linphone_registers_with_a_sha_256_digest() {
    let kamailio = Kamailio::start(Options { algorithm: Algorithm::Sha256, ..Options::default() });
    let _linphone = Linphone::start(&kamailio, BOB);
    let registered = kamailio.wait_for_registered(1, BOB.name, PATIENCE).text;
    assert!(registered.contains("algorithm=SHA-256 "), "{registered:?}");
}

#[test]
fn a_message_of_baresip_waits_for_linphone() {
    let kamailio = Kamailio::start(Options { store_offline: true, ..Options::default() });
    let mut baresip = Baresip::start(&kamailio, BOB, ALICE);
    baresip.message("read this later");
    kamailio.wait_for_request(1, "MESSAGE", BOB.name, PATIENCE);
    let linphone = Linphone::start(&kamailio, ALICE);
    linphone.wait_for_message("read this later", PATIENCE);
}

/// A client that verifies (OpenSSL's), speaks one line of SIP to a server with this certificate, and says what it thinks.
fn openssl_tells(certificate: Certificate) -> (TlsSink, Process) {
    let sink = TlsSink::start(certificate);
    let mut command = sink.namespace().command("openssl");
    command.args(["s_client", "-quiet", "-verify_return_error", "-verify_hostname", "example.test"]);
    command.args(["-connect", &sink.address().to_string(), "-servername", "example.test"]);
    command.arg("-CAfile").arg(sink.roots());
    let mut client = Process::spawn("openssl s_client", &mut command);
    // A client that has refused reads no more.
    if certificate == Certificate::Good {
        client.say("REGISTER sip:example.test SIP/2.0");
    }
    (sink, client)
}

#[test]
fn a_trusted_sink_shows_what_it_is_told() {
    let (sink, _client) = openssl_tells(Certificate::Good);
    sink.wait_for_sip(PATIENCE);
}

fn is_bad(certificate: Certificate, reason: &str) {
    let (sink, client) = openssl_tells(certificate);
    client.wait_for(&["verify error", reason], PATIENCE);
    sink.wait_for_alert(PATIENCE);
}

#[test]
fn the_expired_certificate_is_expired() {
    is_bad(Certificate::Expired, "certificate has expired");
}

#[test]
fn the_other_name_is_another_name() {
    is_bad(Certificate::OtherName, "hostname mismatch");
}

#[test]
fn the_unknown_authority_is_unknown() {
    is_bad(Certificate::UnknownAuthority, "unable to get local issuer certificate");
}

#[test]
fn the_self_signed_certificate_is_self_signed() {
    is_bad(Certificate::SelfSigned, "self-signed certificate");
}
