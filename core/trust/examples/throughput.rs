//! How many chains a second one thread judges: `cargo run --release -p aldis-trust --example throughput`.
//!
//! Beside it stands the floor: webpki's path building alone, over the same chain.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement")]

use aldis_pki::{Ca, KeyKind, Template};
use aldis_sip::ReferenceIdentity;
use aldis_trust::{Anchors, Evidence, Policy, Source, judge};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::sync::Arc;
use std::time::{Duration, Instant};

const NOW: i64 = 1_800_000_000;
const ROUNDS: u32 = 5_000;

fn main() {
    for key in [KeyKind::P256, KeyKind::Rsa2048] {
        let root = Ca::root(Template::authority("Root").key(key), NOW).unwrap();
        let issuing = root.intermediate(Template::authority("Issuing").key(key)).unwrap();
        let chain = issuing.issue(Template::server("example.test")).unwrap().chain();
        let pem = root.root_pem();
        let identity = ReferenceIdentity::new("example.test").unwrap();
        let other = ReferenceIdentity::new("other.test").unwrap();
        let time = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
        let anchors = Anchors::builder().bundled().pem(pem.as_bytes(), Source::Organisation).build();
        let policy = Policy::new(Arc::new(anchors));
        let floor = rate(|| floor(&root, &chain, time));
        let trusted =
            rate(|| assert!(judge(&chain, &identity, time, &policy, &Evidence::default()).is_trusted()));
        let refused =
            rate(|| assert!(!judge(&chain, &other, time, &policy, &Evidence::default()).is_trusted()));
        let fresh = rate(|| {
            let policy = Policy::new(Arc::new(Anchors::from_pem(pem.as_bytes(), Source::Organisation)));
            assert!(judge(&chain, &identity, time, &policy, &Evidence::default()).is_trusted());
        });
        println!(
            "{key:?}: trusted {trusted:.0}/s, refused {refused:.0}/s, roots read each time {fresh:.0}/s, webpki alone \
             {floor:.0}/s"
        );
    }
}

fn rate(mut work: impl FnMut()) -> f64 {
    work();
    let start = Instant::now();
    for _ in 0..ROUNDS {
        work();
    }
    f64::from(ROUNDS) / start.elapsed().as_secs_f64()
}

fn floor(root: &Ca, chain: &[CertificateDer<'static>], time: UnixTime) {
    let anchor = webpki::anchor_from_trusted_cert(root.root_der()).unwrap();
    webpki::EndEntityCert::try_from(&chain[0])
        .unwrap()
        .verify_for_usage(
            rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.all,
            &[anchor],
            &chain[1..],
            time,
            webpki::KeyUsage::server_auth(),
            None,
            None,
        )
        .unwrap();
}
