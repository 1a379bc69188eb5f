//! The server's side of digest authentication.

use aldis_sip::auth::{Credentials, DigestCredentials};
use aldis_sip::{Header, Message, Secret};

pub const REALM: &str = "example.test";

/// A challenge of the domain's realm.
pub fn challenge(nonce: &str, more: &str) -> String {
    challenge_of(REALM, nonce, more)
}

pub fn challenge_of(realm: &str, nonce: &str, more: &str) -> String {
    format!(r#"Digest realm="{realm}", nonce="{nonce}", qop="auth"{more}"#)
}

/// All answers in a request, of one header.
pub fn answers(request: &Message, header: Header) -> Vec<DigestCredentials> {
    let parse = |value: &[u8]| match Credentials::parse(std::str::from_utf8(value).unwrap()).unwrap() {
        Credentials::Digest(digest) => digest,
        other => panic!("{other:?}"),
    };
    request.fields().filter(|field| field.header == header).map(|field| parse(field.value)).collect()
}

/// The one answer in Authorization, whose digest is right.
pub fn proven(request: &Message) -> DigestCredentials {
    proven_in(request, Header::Authorization)
}

pub fn proven_in(request: &Message, header: Header) -> DigestCredentials {
    let mut answers = answers(request, header);
    assert_eq!(answers.len(), 1, "not one answer in {header}");
    let answer = answers.remove(0);
    assert!(proves(&answer, request), "a wrong digest: {answer}");
    answer
}

/// Whether the digest is right, and made for this request.
pub fn proves(answer: &DigestCredentials, request: &Message) -> bool {
    let method = request.method().unwrap();
    answer.verify("alice", &Secret::new("wonderland"), method.as_str(), request.body())
        && answer.uri().text() == request.request_uri().unwrap().unwrap().as_str()
}

pub fn nonce(answer: &DigestCredentials) -> String {
    answer.nonce().text().into_owned()
}

pub fn count(answer: &DigestCredentials) -> String {
    answer.nc().unwrap().to_string()
}
