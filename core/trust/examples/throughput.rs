//! How many chains a second are judged, on one thread and on all of them:
//! `cargo run --release -p aldis-trust --example throughput`.
//!
//! Beside it stands the floor: webpki's path building alone, over the same chain. Then what a long revocation list
//! costs.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a measurement"
)]

use aldis_pki::{Ca, KeyKind, RevocationList, Template};
use aldis_sip::ReferenceIdentity;
use aldis_trust::{Anchors, Crl, Evidence, Policy, RevocationMode, Source, judge};
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
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let all: f64 = std::thread::scope(|scope| {
            let one = || {
                rate(|| assert!(judge(&chain, &identity, time, &policy, &Evidence::default()).is_trusted()))
            };
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
            running.into_iter().map(|t| t.join().unwrap()).sum()
        });
        println!("{key:?}: {threads} threads together {all:.0}/s");
        println!(
            "{key:?}: trusted {trusted:.0}/s, refused {refused:.0}/s, roots read each time {fresh:.0}/s, webpki alone \
             {floor:.0}/s"
        );
    }
    long_list();
}

/// Entries of the long list; the largest public ones are of that order.
const ENTRIES: u32 = 100_000;

fn long_list() {
    let root = Ca::new("Root", NOW).unwrap();
    let chain = root.issue(Template::server("example.test")).unwrap().chain();
    let mut list = RevocationList::new(NOW - 60, NOW + 3_600);
    for n in 0..ENTRIES {
        list = list.revoke(&[&[0x7f][..], &n.to_be_bytes(), &[0; 11]].concat());
    }
    let der = list.signed_by(&root).unwrap();
    let start = Instant::now();
    let crl = Arc::new(Crl::from_der(&der).unwrap());
    let read = start.elapsed();
    let mut policy =
        Policy::new(Arc::new(Anchors::from_pem(root.root_pem().as_bytes(), Source::Organisation)));
    policy.revocation = RevocationMode::Require;
    let identity = ReferenceIdentity::new("example.test").unwrap();
    let time = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
    let crls = [crl];
    let mut evidence = Evidence::default();
    evidence.crls = &crls;
    let rate = rate(|| assert!(judge(&chain, &identity, time, &policy, &evidence).is_trusted()));
    println!("list of {} bytes: read in {read:?}, then {rate:.0} judgements/s", der.len());
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
