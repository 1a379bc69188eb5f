//! What this crate makes is what another program understands by it: the `openssl` command is asked.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use aldis_pki::{Ca, CertificateStatus, KeyKind, OcspAnswer, RevocationList, Template, self_signed, to_pem};
use std::path::Path;
use std::process::{Command, Output};

const NOW: i64 = 1_800_000_000;
const DAY: i64 = 86_400;

fn openssl(dir: &Path, arguments: &str) -> Output {
    Command::new("openssl").args(arguments.split_whitespace()).current_dir(dir).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

struct Files {
    dir: tempfile::TempDir,
    root: Ca,
    issuing: Ca,
}

impl Files {
    fn new() -> Self {
        let root = Ca::new("Root", NOW).unwrap();
        let issuing = root.intermediate(Template::authority("Issuing").path_length(0)).unwrap();
        let files = Files { dir: tempfile::tempdir().unwrap(), root, issuing };
        files.write("root.pem", files.root.root_pem());
        files.write("issuing.pem", files.issuing.certificate_pem());
        files
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.dir.path().join(name), content).unwrap();
    }

    fn verify(&self, pem: &str, more: &str) -> String {
        self.write("leaf.pem", pem);
        let command = "verify -x509_strict -purpose sslserver -CAfile root.pem -untrusted issuing.pem -verify_hostname example.test";
        text(&openssl(self.dir.path(), &format!("{command} -attime {NOW} {more} leaf.pem")))
    }
}

#[test]
fn a_sound_chain_verifies_with_every_kind_of_key() {
    let files = Files::new();
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::Ed25519, KeyKind::Rsa2048] {
        let issued = files.issuing.issue(Template::server("example.test").key(kind)).unwrap();
        let said = files.verify(&issued.chain_pem(), "");
        assert!(said.contains("leaf.pem: OK"), "{kind:?}: {said}");
        assert_eq!(issued.chain().len(), 2);
    }
}

#[test]
fn the_bad_ones_are_bad_in_the_way_that_they_say() {
    let files = Files::new();
    let server = || Template::server("example.test");
    let issue = |template| files.issuing.issue(template).unwrap().chain_pem();
    for (pem, expected) in [
        (issue(server().expired(NOW)), "certificate has expired"),
        (issue(server().not_yet(NOW)), "certificate is not yet valid"),
        (issue(Template::server("other.test")), "hostname mismatch"),
        (issue(server().purposes(&[aldis_pki::Purpose::Client])), "unsuitable certificate purpose"),
        (self_signed(server(), NOW).unwrap().chain_pem(), "self-signed certificate"),
        (
            Ca::new("Other", NOW).unwrap().issue(server()).unwrap().chain_pem(),
            "unable to get local issuer certificate",
        ),
        (issue(server().extension(&[1, 2, 3, 4], true, vec![5, 0])), "unhandled critical extension"),
    ] {
        let said = files.verify(&pem, "");
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn a_list_is_read_and_revokes() {
    let files = Files::new();
    let issued = files.issuing.issue(Template::server("example.test")).unwrap();
    let list = |list: RevocationList| RevocationList::to_pem(&list.signed_by(&files.issuing).unwrap());
    let fresh = || RevocationList::new(NOW - DAY, NOW + DAY);
    files.write("list.pem", list(fresh().revoke(&[9])));
    let said = files.verify(&issued.chain_pem(), "-crl_check -CRLfile list.pem");
    assert!(said.contains("leaf.pem: OK"), "{said}");
    files.write("list.pem", list(fresh().revoke(issued.serial_number())));
    let said = files.verify(&issued.chain_pem(), "-crl_check -CRLfile list.pem");
    assert!(said.contains("certificate revoked"), "{said}");
    let forged = fresh().signed_in_the_name_of(&files.issuing, &files.root).unwrap();
    files.write("list.pem", RevocationList::to_pem(&forged));
    let said = files.verify(&issued.chain_pem(), "-crl_check -CRLfile list.pem");
    assert!(said.contains("CRL signature failure"), "{said}");
}

#[test]
fn an_answer_is_read_and_verified() {
    let files = Files::new();
    let issued = files.issuing.issue(Template::server("example.test")).unwrap();
    files.write("leaf.pem", to_pem("CERTIFICATE", &issued.certificate()));
    let responder = files
        .issuing
        .intermediate(Template::client("responder").purposes(&[aldis_pki::Purpose::OcspSigning]))
        .unwrap();
    for (status, expected) in [
        (CertificateStatus::Good, "leaf.pem: good"),
        (CertificateStatus::Revoked(NOW - DAY), "leaf.pem: revoked"),
        (CertificateStatus::Unknown, "leaf.pem: unknown"),
    ] {
        // The command takes the time of an answer from the clock alone: this one is in force from 2020 to 2096.
        let answer = OcspAnswer::new(issued.serial_number(), status, 1_600_000_000, 4_000_000_000);
        for der in [
            answer.signed_by(&files.issuing).unwrap(),
            answer.signed_by_responder(&files.issuing, &responder).unwrap(),
        ] {
            files.write("answer.der", &der);
            let command = "ocsp -respin answer.der -issuer issuing.pem -cert leaf.pem -CAfile root.pem -verify_other \
                           issuing.pem -no_nonce -validity_period 300";
            let said = text(&openssl(files.dir.path(), &format!("{command} -attime {NOW}")));
            assert!(said.contains("Response verify OK"), "{said}");
            assert!(said.contains(expected), "{said}");
        }
    }
}
