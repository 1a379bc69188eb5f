use super::*;

fn digest(value: &str) -> DigestChallenge {
    match Challenge::parse_all(value).unwrap().remove(0) {
        Challenge::Digest(digest) => digest,
        Challenge::Other(other) => panic!("{other:?}"),
    }
}

/// I-28, AUTH-08
#[test]
fn the_algorithm_is_read_bare_and_quoted_and_in_any_case() {
    for (written, spelling, quoted) in
        [("SHA-256", "SHA-256", false), ("\"SHA-256\"", "SHA-256", true), ("sha-256", "sha-256", false)]
    {
        let challenge = digest(&format!(r#"Digest realm="r", nonce="n", algorithm={written}"#));
        let algorithm = Algorithm::Sha256;
        let expected = DeclaredAlgorithm::Known { algorithm, spelling: spelling.into(), quoted };
        assert_eq!(*challenge.algorithm(), expected);
    }
}

/// AUTH-08
#[test]
fn an_algorithm_that_nobody_knows_is_kept_by_its_name() {
    let challenge = digest(r#"Digest realm="r", nonce="n", algorithm=SHA3-512"#);
    assert_eq!(*challenge.algorithm(), DeclaredAlgorithm::Unknown("SHA3-512".into()));
    let unsupported = Unsupported::Algorithm { realm: "r".into(), name: "SHA3-512".into() };
    assert_eq!(challenge.usable(Policy::default()), Err(unsupported));
}

/// AUTH-09
#[test]
fn qop_lists_are_read_with_and_without_quotes_and_unknown_values_ignored() {
    for (written, choice) in [
        (r#""auth,auth-int""#, Qop::Auth),
        (r#""auth-int , auth""#, Qop::Auth),
        (r#""AUTH-INT,auth-conf""#, Qop::AuthInt),
        ("auth", Qop::Auth),
        ("auth-int", Qop::AuthInt),
    ] {
        let challenge = digest(&format!(r#"Digest realm="r", nonce="n", qop={written}"#));
        assert_eq!(challenge.qop().unwrap().choose(), Some(choice), "{written}");
    }
}

/// AUTH-09: an offer of nothing that we know is not the old form.
#[test]
fn a_qop_of_unknown_values_only_makes_the_challenge_unusable() {
    let challenge = digest(r#"Digest realm="r", nonce="n", qop="auth-conf""#);
    let unsupported = Unsupported::Qop { realm: "r".into(), offered: vec!["auth-conf".into()] };
    assert_eq!(challenge.usable(Policy::default()), Err(unsupported));
}

/// AUTH-11
#[test]
fn an_empty_qop_is_as_good_as_none() {
    assert_eq!(digest(r#"Digest realm="r", nonce="n", qop="""#).qop(), None);
}

/// AUTH-16
#[test]
fn stale_is_read_in_any_case_and_only_true_is_true() {
    for (written, stale) in
        [("true", true), ("TRUE", true), ("\"True\"", true), ("false", false), ("yes", false)]
    {
        let challenge = digest(&format!(r#"Digest realm="r", nonce="n", stale={written}"#));
        assert_eq!(challenge.stale(), stale, "{written}");
    }
    assert!(!digest(r#"Digest realm="r", nonce="n""#).stale());
}

#[test]
fn charset_userhash_opaque_and_domain_are_read_and_the_unknown_ignored() {
    let challenge = digest(
        r#"digest REALM="r", nonce="n", opaque="o", domain="sip:a sip:b", charset=utf-8, userhash=TRUE, x-y="z""#,
    );
    assert!(challenge.utf8() && challenge.userhash());
    assert_eq!(challenge.opaque().unwrap(), "o");
    assert_eq!(challenge.domain().unwrap(), "sip:a sip:b");
}

#[test]
fn a_digest_challenge_needs_realm_and_nonce() {
    for (value, parameter) in
        [("Digest", "realm"), (r#"Digest nonce="n""#, "realm"), (r#"Digest realm="r""#, "nonce")]
    {
        assert_eq!(Challenge::parse_all(value), Err(AuthError::Missing { parameter }));
    }
}

/// I-29, AUTH-03
#[test]
fn other_schemes_are_kept_with_their_parameters() {
    let value = r#"NTLM realm="SIP Communications Service", targetname="pool", version=4, Basic realm="b""#;
    let challenges = Challenge::parse_all(value).unwrap();
    let Challenge::Other(ntlm) = &challenges[0] else { panic!("{challenges:?}") };
    assert!(ntlm.is("ntlm"));
    assert_eq!(ntlm.parameter("TargetName").unwrap(), "pool");
    assert_eq!(challenges[1].scheme(), "Basic");
}

/// RFC 3261 §20.27
#[test]
fn the_example_of_proxy_authenticate_is_read() {
    let challenge = digest(
        r#"Digest realm="atlanta.com", domain="sip:ss1.carrier.com", qop="auth", nonce="f84f1cec41e6cbe5aea9c8e88d359", opaque="", stale=FALSE, algorithm=MD5"#,
    );
    assert_eq!(challenge.realm(), &"atlanta.com");
    assert_eq!(challenge.opaque().unwrap(), "");
    assert_eq!(challenge.usable(Policy::default()), Ok((Algorithm::Md5, Some(Qop::Auth))));
}

#[test]
fn a_written_challenge_is_read_as_it_was() {
    let challenge = DigestChallenge::new(r#"a "realm""#, "n")
        .unwrap()
        .with_algorithm(Algorithm::Sha512_256Sess)
        .with_qop(&[Qop::Auth, Qop::AuthInt])
        .with_stale(true)
        .with_userhash(true)
        .with_utf8(true)
        .with_opaque(r"o\p")
        .unwrap();
    assert_eq!(digest(&challenge.to_string()), challenge);
}

/// AUTH-16, AUTH-17
#[test]
fn a_next_nonce_is_fresh() {
    let stale = DigestChallenge::new("r", "n1").unwrap().with_stale(true);
    let next = stale.with_next_nonce(Text::new("nextnonce", "n2").unwrap());
    assert_eq!((next.nonce().raw(), next.session_nonce().raw(), next.stale()), ("n2", "n1", false));
    let third = next.with_next_nonce(Text::new("nextnonce", "n3").unwrap());
    assert_eq!((third.nonce().raw(), third.session_nonce().raw()), ("n3", "n1"));
}
