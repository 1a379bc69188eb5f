//! Known answers: those of the RFCs, and a table made with another implementation of the hashes.

use super::*;
use crate::Secret;

const HTTP_NONCE: &str = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
const HTTP_CNONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

fn digests(value: &str) -> Vec<DigestChallenge> {
    let digest = |challenge| match challenge {
        Challenge::Digest(digest) => digest,
        Challenge::Other(other) => panic!("{other:?}"),
    };
    Challenge::parse_all(value).unwrap().into_iter().map(digest).collect()
}

/// RFC 7616 §3.9.1: both challenges in one value, both answers. AUTH-05, AUTH-07
#[test]
fn the_example_of_sha_256_and_md5_comes_out() {
    let value = format!(
        r#"Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, nonce="{HTTP_NONCE}", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, nonce="{HTTP_NONCE}", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#
    );
    let password = Secret::new("Circle of Life");
    let login = Login { username: "Mufasa", password: &password };
    let target = Target { method: "GET", uri: "/dir/index.html", body: b"" };
    let responses = [
        "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        "8ca523f5e9506fed4657c9700eebdbec",
    ];
    for (challenge, response) in digests(&value).iter().zip(responses) {
        let answer = Answer::new(challenge, login, target, HTTP_CNONCE, NonceCount::FIRST).unwrap();
        assert_eq!(answer.credentials().response(), &response);
    }
}

/// RFC 7616 §3.9.2 with the digests that SHA-512/256 gives: those in the text are SHA-512 cut to 256 bits,
/// which is another function (FIPS 180-4 §5.3.6; erratum 4897). AUTH-07, AUTH-18, AUTH-19
#[test]
fn the_example_of_userhash_and_charset_comes_out() {
    let value = r#"Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true"#;
    let login = Login { username: "Jäsøn Doe", password: &Secret::new("Secret, or not?") };
    let target = Target { method: "GET", uri: "/doe.json", body: b"" };
    let cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v";
    let answer = Answer::new(&digests(value)[0], login, target, cnonce, NonceCount::FIRST).unwrap();
    assert_eq!(
        answer.to_string(),
        "Digest username=\"793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b\", \
         realm=\"api@example.org\", nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\", uri=\"/doe.json\", \
         response=\"3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5\", \
         algorithm=SHA-512-256, cnonce=\"NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v\", qop=auth, \
         nc=00000001, opaque=\"HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS\", userhash=true"
    );
}

/// RFC 3261 §22.4 repeats in SIP clothes the digest of RFC 2617 §3.5, which is that of an HTTP request.
#[test]
fn the_example_of_rfc_2617_comes_out() {
    let value = r#"Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41""#;
    let login = Login { username: "Mufasa", password: &Secret::new("Circle Of Life") };
    let target = Target { method: "GET", uri: "/dir/index.html", body: b"" };
    let answer = Answer::new(&digests(value)[0], login, target, "0a4f113b", NonceCount::FIRST).unwrap();
    assert_eq!(answer.credentials().response(), &"6629fae49393a05397450978507c4ef1");
}

/// RFC 3261 §22.4: the credentials printed there are read.
#[test]
fn the_credentials_of_rfc_3261_are_read() {
    let value = r#"Digest username="bob", realm="biloxi.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="sip:bob@biloxi.com", qop=auth, nc=00000001, cnonce="0a4f113b", response="6629fae49393a05397450978507c4ef1", opaque="5ccc069c403ebaf9f0171e9517f40e41""#;
    let Credentials::Digest(read) = Credentials::parse(value).unwrap() else { panic!() };
    assert!(read.is_for("bob"));
    assert_eq!(
        (read.algorithm(), read.qop(), read.nc()),
        (Algorithm::Md5, Some(Qop::Auth), Some(NonceCount::FIRST))
    );
    assert_eq!(read.uri(), &"sip:bob@biloxi.com");
    assert_eq!(read.opaque().unwrap(), "5ccc069c403ebaf9f0171e9517f40e41");
}

/// AUTH-07, AUTH-09, AUTH-10, AUTH-11, AUTH-12, AUTH-24: response and rspauth as OpenSSL's hashes give
/// them, nonce count 10 (which is `a`), a body that is not UTF-8.
#[test]
fn every_algorithm_and_protection_gives_the_known_answer() {
    #[rustfmt::skip]
    let table = [
        ("MD5", Some(Qop::Auth), "f0668951ca863b4dc66888f39fd21bba", "a95fd417548474b5878c78ac503fc7af"),
        ("MD5", Some(Qop::AuthInt), "b8d372f85eac9acc2263660f2142013c", "74b0b4170ef9fc7c789b17af41799d3c"),
        ("MD5", None, "d7fe93bb4add3dade1d1076fa6b59314", "00aad98b10a088d6a9fc8d2380314a62"),
        ("MD5-sess", Some(Qop::Auth), "e2b67faffe9813434b5af8910dafb808", "ecb4ad38df1b2ff9d3594d5a78e82b80"),
        ("MD5-sess", Some(Qop::AuthInt), "15089c26558a6c134f5009800c649a33", "508179aa88b8c714560d410deef29abe"),
        ("SHA-256", Some(Qop::Auth), "04640abf10d3758d89e4f979f703d0218f8aac94b102b53565da921931cd8aba", "0c99d59324844b7b3ff35216dfb28aa4127953ba8975bd6e32a986b93c71ad47"),
        ("SHA-256", Some(Qop::AuthInt), "2901c371e09806380367e2301cb4b59fea13dfbc10ba1324361065e6bcbb1a0b", "146d60f021724141a4e974bd6cf0a41ef1b1d0689cb61a4f3596f2178d450812"),
        ("SHA-256", None, "cf2c4480b0cca205ef9623b5f70edabb5249bc77f272e14e5b075632e63d167d", "7465334b9084145fa1b4ac0d89215c26651c6006f486e6a71f7c3536835cc364"),
        ("SHA-256-sess", Some(Qop::Auth), "18c717739558f8f1c0ba5848e5c4bbdd8c7c328f2f1387ffbdeec82d939a45f2", "3f9312d56fbc2ff330a2f0383df200a1357b6bda8350af3568081271575e1d29"),
        ("SHA-256-sess", Some(Qop::AuthInt), "87aa8130ccbcee1dd1815e081ce4455635602bbd8e6e504b217aa8585d189ba9", "74da35f58f291521a052afa365cd721a0a3c866ce3d4d48de61d0a37f514bbad"),
        ("SHA-512-256", Some(Qop::Auth), "fa0ce14b7be95c099de86a47afd04c0651ff55ef5d0497eb8a964100f5b1b320", "907e9849f6974089ea51e289c21a7109e9dbf1b7c41e688d62fb086e8b406cb9"),
        ("SHA-512-256", Some(Qop::AuthInt), "fda3187c0950145a0b9373037fe9fbb2d1fc7ebae5a1b99af4ebe854c5005d38", "0f01a22e8e0a8e5fd0c955068548b871ec4d92a87736892ad77ec8554153d52a"),
        ("SHA-512-256", None, "1d170d5cb6cdf371959be6189cfe8390009485d0ed30342e3633ba4afb8fe78f", "e285803a1e54dd0265c8fe1a41f5c652ccd65c496e27962c8b37fa56a009e26c"),
        ("SHA-512-256-sess", Some(Qop::Auth), "8f7966b56e34f6a5394f9969cc1fab56b3d8b52de365711afdc3e8dc90e6f73f", "717e822e70d1a9a0a35565584684f53eca464b6ecbf289604e32ad4354802841"),
        ("SHA-512-256-sess", Some(Qop::AuthInt), "c55b74010b881e1e0171316178461e68d77f5d037d0500d301fcb1ec55206577", "67d271297c002611f4da45e6d4474ce3a19dea2822d3e51c01924a3aeb7db8f5"),
    ];
    let body = b"Watson, come here.\0\xff";
    let password = Secret::new("builder");
    let login = Login { username: "alice", password: &password };
    let target = Target { method: "MESSAGE", uri: "sip:bob@example.test", body };
    for (name, qop, response, rspauth) in table {
        let algorithm = Algorithm::from_name(name).unwrap();
        let challenge = DigestChallenge::new("example.test", "n0/+=").unwrap();
        let challenge = challenge.with_algorithm(algorithm).with_qop(qop.as_slice());
        let answer = Answer::new(&challenge, login, target, "0a4f113b", NonceCount::new(10)).unwrap();
        assert_eq!(answer.credentials().response(), &response, "{name} {qop:?}");
        assert_eq!(answer.credentials().rspauth("alice", &password, body), rspauth, "{name} {qop:?}");
        let info = AuthenticationInfo {
            qop,
            rspauth: Some(Text::new("rspauth", rspauth).unwrap()),
            cnonce: answer.credentials().cnonce().cloned(),
            nc: answer.credentials().nc(),
            nextnonce: None,
        };
        assert_eq!(answer.check(&info, body), Ok(ServerProof::Given), "{name} {qop:?}");
    }
}
