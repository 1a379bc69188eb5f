//! Whatever comes in, nothing panics; whatever is written is read back as it was.

use super::*;
use crate::Secret;
use proptest::prelude::*;

/// Pieces that make likely what random bytes would never hit.
fn authentication_like() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("Digest "),
        Just("NTLM "),
        Just("realm"),
        Just("nonce="),
        Just("username=\"u\""),
        Just("username*=UTF-8''%C3"),
        Just("uri=\"sip:x\""),
        Just("response="),
        Just("qop=\"auth,"),
        Just("nc=00000001"),
        Just("cnonce=\"\""),
        Just("algorithm=MD5"),
        Just("="),
        Just("\""),
        Just("\\"),
        Just(","),
        Just(" "),
        Just("\t"),
        Just("é"),
        Just("\r\n"),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn printable() -> impl Strategy<Value = String> {
    "[^\\p{Cc}]{0,24}"
}

fn algorithm() -> impl Strategy<Value = Algorithm> {
    proptest::sample::select(Algorithm::ALL.to_vec())
}

fn protections() -> impl Strategy<Value = Vec<Qop>> {
    proptest::sample::subsequence(vec![Qop::Auth, Qop::AuthInt], 0..=2)
}

fn challenge() -> impl Strategy<Value = DigestChallenge> {
    let texts = (printable(), printable(), proptest::option::of(printable()));
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (texts, flags, proptest::option::of(algorithm()), protections()).prop_map(
        |((realm, nonce, opaque), (stale, userhash, utf8), algorithm, qop)| {
            let mut challenge = DigestChallenge::new(&realm, &nonce).unwrap();
            if let Some(algorithm) = algorithm {
                challenge = challenge.with_algorithm(algorithm);
            }
            if let Some(opaque) = opaque {
                challenge = challenge.with_opaque(&opaque).unwrap();
            }
            challenge.with_qop(&qop).with_stale(stale).with_userhash(userhash).with_utf8(utf8)
        },
    )
}

fn read_all(value: &str) {
    if let Ok(challenges) = Challenge::parse_all(value) {
        assert!(!challenges.is_empty() && challenges.len() <= MAX_CHALLENGES);
        let _ = select(&challenges, Policy::default());
        for challenge in &challenges {
            let Challenge::Digest(challenge) = challenge else { continue };
            let login = Login { username: "u", password: &Secret::new("p") };
            let target = Target { method: "M", uri: "sip:x", body: b"" };
            if let Ok(answer) = Answer::new(challenge, login, target, "c", NonceCount::FIRST) {
                let value = answer.to_string();
                assert!(!value.contains(['\r', '\n', '\0']), "{value:?}");
                assert_eq!(Credentials::parse(&value), Ok(Credentials::Digest(answer.credentials().clone())));
            }
        }
    }
    if let Ok(Credentials::Digest(read)) = Credentials::parse(value) {
        let _ = read.verify("u", &Secret::new("p"), "M", b"");
        assert_eq!(Credentials::parse(&read.to_string()), Ok(Credentials::Digest(read)));
    }
    if let Ok(info) = AuthenticationInfo::parse(value) {
        assert_eq!(AuthenticationInfo::parse(&info.to_string()), Ok(info));
    }
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(value in any::<String>()) {
        read_all(&value);
    }

    #[test]
    fn text_like_authentication_is_read_without_panic_and_rewritten_alike(value in authentication_like()) {
        read_all(&value);
    }

    #[test]
    fn a_written_challenge_is_read_as_it_was(challenge in challenge()) {
        let read = Challenge::parse_all(&challenge.to_string());
        prop_assert_eq!(read, Ok(vec![Challenge::Digest(challenge)]));
    }

    #[test]
    fn an_answer_is_read_as_it_was_and_verified(
        challenge in challenge(),
        username in printable(),
        password in any::<String>(),
        body in proptest::collection::vec(any::<u8>(), 0..40),
        count in any::<u32>(),
    ) {
        let challenge = match challenge.usable(Policy::default()) {
            Ok(_) => challenge,
            // A session algorithm without qop cannot be answered.
            Err(_) => challenge.with_qop(&[Qop::Auth]),
        };
        // The server keeps names and passwords in NFC, as charset=UTF-8 says.
        let (username, password) = (digest::nfc(&username), Secret::new(digest::nfc(&password).as_str()));
        let login = Login { username: &username, password: &password };
        let target = Target { method: "MESSAGE", uri: "sip:bob@example.test", body: &body };
        let answer = Answer::new(&challenge, login, target, "c0", NonceCount::new(count)).unwrap();
        let Ok(Credentials::Digest(read)) = Credentials::parse(&answer.to_string()) else { panic!() };
        prop_assert_eq!(&read, answer.credentials());
        prop_assert!(read.verify(&username, &password, "MESSAGE", &body));
        prop_assert!(!read.verify(&username, &Secret::new("no such password"), "MESSAGE", &body));
    }
}
