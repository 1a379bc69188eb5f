//! Servers that cannot prove who they are receive nothing.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::unreachable, clippy::indexing_slicing)] // a test that cannot go on ends here

use aldis::trust::{Code, Verdict};
use aldis::{ConnectionState, Event};
use aldis_end_to_end::{DOMAIN, PATIENCE, Tester, config_at, options, registrar};
use aldis_pki::{Ca, Issued, Template, self_signed};
use aldis_registrar::{Impostor, ServerCertificate, TlsVersions};
use std::time::{SystemTime, UNIX_EPOCH};

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

fn shown(issued: Issued) -> ServerCertificate {
    ServerCertificate::new(issued.chain(), issued.key())
}

/// Registers with a server of this certificate, trusting `root`; gives the code of the refusal.
async fn refusal(certificate: ServerCertificate, root: &str) -> Code {
    let impostor = Impostor::start(certificate).await.unwrap();
    let alice = Tester::start(config_at("alice", "wonderland", impostor.address(), root));
    alice.phone.register();
    let event = alice.wait_for(|event| matches!(event, Event::Untrusted { .. })).await;
    let Event::Untrusted { verdict, address } = event else { unreachable!() };
    assert_eq!(address, impostor.address());
    alice
        .wait_for(|event| {
            matches!(event, Event::Connection { state: ConnectionState::BackingOff { .. }, .. })
        })
        .await;
    tokio::time::timeout(PATIENCE, alice.phone.shut_down()).await.unwrap();
    assert!(impostor.connections() >= 1);
    assert_eq!(impostor.application_bytes(), 0, "not one SIP byte (TLS-01)");
    let Verdict::Refused(refused) = verdict.as_ref() else { panic!("accepted") };
    assert!(refused.findings.iter().all(|finding| !finding.to_string().is_empty()));
    refused.findings[0].code
}

#[tokio::test]
async fn no_bad_certificate_gets_a_sip_byte_tls_01() {
    let ca = Ca::new("Test Root", now()).unwrap();
    let other = Ca::new("Other Root", now()).unwrap();
    let issue = |template| shown(ca.issue(template).unwrap());
    let cases = [
        ("expired", issue(Template::server(DOMAIN).expired(now())), Code::Expired),
        ("not yet valid", issue(Template::server(DOMAIN).not_yet(now())), Code::NotYetValid),
        ("other name", issue(Template::server("other.test")), Code::NameMismatch),
        ("wildcard", issue(Template::server("*.test")), Code::WildcardTooBroad),
        (
            "common name only",
            issue(Template::server(DOMAIN).no_names().common_name(DOMAIN)),
            Code::CommonNameOnly,
        ),
        ("unknown CA", shown(other.issue(Template::server(DOMAIN)).unwrap()), Code::UnknownCa),
        ("self-signed", shown(self_signed(Template::server(DOMAIN), now()).unwrap()), Code::SelfSigned),
    ];
    for (what, certificate, expected) in cases {
        assert_eq!(refusal(certificate, &ca.root_pem()).await, expected, "{what}");
    }
}

#[tokio::test]
async fn both_tls_versions_work_tls_11() {
    for versions in [TlsVersions::Tls12, TlsVersions::Tls13] {
        let registrar = registrar(options().tls(versions)).await;
        let alice = Tester::start(aldis_end_to_end::config(&registrar, "alice"));
        alice.phone.register();
        let event = alice
            .wait_for(|event| matches!(event, Event::Connection { state: ConnectionState::Connected(_), .. }))
            .await;
        let Event::Connection { state: ConnectionState::Connected(connected), .. } = event else {
            unreachable!()
        };
        assert_eq!(connected.matched.value, DOMAIN);
        assert_eq!(connected.reference.to_string(), DOMAIN);
        let post_quantum = connected.tls.group == "X25519MLKEM768";
        assert_eq!(post_quantum, versions == TlsVersions::Tls13, "{}", connected.tls.group);
        assert!(connected.expires > now() as u64);
    }
}
