//! Damaged certificates, lists and answers: nothing panics, and nothing that was changed is believed.
//!
//! `ALDIS_MUTATIONS=N` in the environment does N times as many, each of them different.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use aldis_pki::{Ca, CertificateStatus, OcspAnswer, Template};
use aldis_trust::{Anchors, Crl, RevocationMode, Source};
use rustls_pki_types::CertificateDer;
use std::sync::Arc;
use support::{DAY, DOMAIN, HOUR, NOW, Question, World, line};

/// A generator of numbers that are the same in every run (xorshift, Marsaglia 2003).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 32).unwrap()
    }

    fn below(&mut self, limit: usize) -> usize {
        self.next() % limit.max(1)
    }

    /// A copy with one to four bytes changed, taken out, put in or cut off.
    fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(out.len());
            let byte = self.next().to_le_bytes()[0];
            match self.below(8) {
                0 if !out.is_empty() => drop(out.remove(at)),
                1 => out.insert(at, byte),
                2 => out.truncate(at.max(1)),
                _ if !out.is_empty() => out[at] ^= byte | 1,
                _ => {}
            }
        }
        out
    }
}

/// How often something is tried.
fn rounds(usual: usize) -> usize {
    let times = std::env::var("ALDIS_MUTATIONS").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    usual.saturating_mul(times)
}

#[test]
fn no_certificate_with_one_bit_changed_is_trusted() {
    let w = World::new();
    let chain = w.server().chain();
    let mut question = Question::about(&w.root, chain.clone());
    for place in 0..chain.len() {
        let der = chain[place].to_vec();
        for at in 0..der.len() {
            let mut changed = der.clone();
            changed[at] ^= 1 << (at % 8);
            question.chain = chain.clone();
            question.chain[place] = changed.into();
            let verdict = question.ask();
            assert!(!verdict.is_trusted(), "certificate {place}, byte {at}: {}", line(&verdict));
        }
    }
}

#[test]
fn no_damaged_certificate_is_trusted_and_none_panics() {
    let w = World::new();
    let chain = w
        .issue(Template::server(DOMAIN).uri("sip:example.test").must_staple().crl_url("http://a.test/"))
        .chain();
    let mut question = Question::about(&w.root, chain.clone());
    let mut numbers = Numbers(1);
    for round in 0..rounds(2_000) {
        let place = numbers.below(chain.len());
        let changed = numbers.damage(&chain[place]);
        if changed == *chain[place] {
            continue;
        }
        question.chain = chain.clone();
        question.chain[place] = changed.into();
        assert!(!question.ask().is_trusted(), "round {round}");
    }
}

#[test]
fn a_damaged_root_is_skipped_or_judged_and_never_panics() {
    let w = World::new();
    let chain = w.server().chain();
    let mut numbers = Numbers(2);
    let mut question = Question::about(&w.root, chain);
    for _ in 0..rounds(500) {
        let der = numbers.damage(w.root.root_der());
        let anchors = Anchors::builder().certificate(CertificateDer::from(der), Source::Organisation).build();
        question.policy.anchors = Arc::new(anchors);
        let _ = question.ask();
    }
}

#[test]
fn no_damaged_list_proves_anything_good() {
    let w = World::new();
    let question = Question::about(&w.root, w.server().chain())
        .policy(|p| p.revocation = RevocationMode::Require)
        .crl(&World::list(&w.root, &[]));
    let list = World::list(&w.issuing, &[&[1, 2, 3], &[4]]);
    let ask = |changed: &[u8]| {
        let Ok(crl) = Crl::from_der(changed) else { return };
        let crls = [question.crls.clone(), vec![Arc::new(crl)]].concat();
        let verdict = Question { crls, chain: question.chain.clone(), ..copy(&question) }.ask();
        assert!(!verdict.is_trusted(), "{}", line(&verdict));
    };
    for at in 0..list.len() {
        let mut changed = list.clone();
        changed[at] ^= 1 << (at % 8);
        ask(&changed);
    }
    let mut numbers = Numbers(3);
    for _ in 0..rounds(1_000) {
        let changed = numbers.damage(&list);
        if changed != list {
            ask(&changed);
        }
    }
}

#[test]
fn no_damaged_answer_is_believed() {
    let w = World::new();
    let issued = w.server();
    let responder =
        w.issuing.intermediate(Template::client("responder").purposes(&[aldis_pki::Purpose::OcspSigning]));
    let answer = OcspAnswer::new(issued.serial_number(), CertificateStatus::Good, NOW - HOUR, NOW + DAY);
    let staple = answer.signed_by_responder(&w.issuing, &responder.unwrap()).unwrap();
    let ask = |bytes: Vec<u8>| Question::about(&w.root, issued.chain()).staple(bytes).ask();
    assert!(ask(staple.clone()).is_trusted(), "{}", line(&ask(staple.clone())));
    for at in 0..staple.len() {
        let mut changed = staple.clone();
        changed[at] ^= 1 << (at % 8);
        let verdict = ask(changed);
        assert!(!verdict.is_trusted(), "byte {at}: {}", line(&verdict));
    }
    let mut numbers = Numbers(4);
    for _ in 0..rounds(1_000) {
        let changed = numbers.damage(&staple);
        if changed != staple {
            assert!(!ask(changed).is_trusted());
        }
    }
}

#[test]
fn name_constraints_of_any_form_never_panic_and_never_widen() {
    let root = Ca::new("Aldis Test Root", NOW).unwrap();
    // permitted: corp.test; excluded: bad.test
    let sound = [
        0x30, 0x1d, 0xa0, 0x0d, 0x30, 0x0b, 0x82, 0x09, b'c', b'o', b'r', b'p', b'.', b't', b'e', b's', b't',
        0xa1, 0x0c, 0x30, 0x0a, 0x82, 0x08, b'b', b'a', b'd', b'.', b't', b'e', b's', b't',
    ];
    let mut numbers = Numbers(5);
    let mut trusted = 0;
    let count = rounds(300);
    for _ in 0..count {
        let content = numbers.damage(&sound);
        let ca = root.intermediate(Template::authority("Limited").extension(
            &[2, 5, 29, 30],
            true,
            content.clone(),
        ));
        let Ok(ca) = ca else { continue };
        let Ok(leaf) = ca.issue(Template::server("example.test")) else { continue };
        let verdict = Question::about(&root, leaf.chain()).ask();
        trusted += usize::from(verdict.is_trusted());
        // A change may turn the permitted list into another sound list, but "corp.test" never permits "example.test".
        let intact =
            content.windows(11).any(|w| w == &sound[6..17]) && content.get(2..6) == Some(&sound[2..6]);
        assert!(!(intact && verdict.is_trusted()), "{content:02x?}: {}", line(&verdict));
    }
    assert!(trusted < count / 10, "{trusted} of {count} damaged lists let another domain through");
}

/// An authority signs what it is given: extensions of any form reach every rule behind the signature.
#[test]
fn signed_extensions_of_any_form_never_panic_and_never_lend_a_name() {
    let w = World::new();
    let names =
        [&[0x30, 42, 0x82, 12][..], b"sip.evil.tes", &[0x86, 26], b"sip:alice@evil.test;x=y\0\0a"].concat();
    let purposes = vec![0x30, 20, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 2];
    let places = [&[0x30, 18, 0x30, 16, 0xa0, 14, 0xa0, 12, 0x86, 10][..], b"http://a/b"].concat();
    let access = [&[0x30, 22, 0x30, 20, 6, 8, 0x2b, 6, 1, 5, 5, 7, 48, 1, 0x86, 8][..], b"http://a"].concat();
    let plain = || Template::server(DOMAIN);
    let other = || plain().no_names().dns("other.test");
    let kinds: [(Template, &[u64], Vec<u8>); 9] = [
        (plain().no_names(), &[2, 5, 29, 17], names),
        (other().no_purposes(), &[2, 5, 29, 37], purposes),
        (other(), &[2, 5, 29, 31], places.clone()),
        (other(), &[2, 5, 29, 46], places),
        (other(), &[1, 3, 6, 1, 5, 5, 7, 1, 1], access),
        (other(), &[1, 3, 6, 1, 5, 5, 7, 1, 24], vec![0x30, 3, 2, 1, 5]),
        (other().no_authority_key_identifier(), &[2, 5, 29, 35], vec![0x30, 6, 0x80, 4, 1, 2, 3, 4]),
        (other(), &[2, 5, 29, 32], vec![0x30, 6, 0x30, 4, 6, 2, 0x2a, 3]),
        (other(), &[2, 5, 29, 36], vec![0x30, 6, 0x80, 1, 0, 0x81, 1, 0]),
    ];
    let mut numbers = Numbers(6);
    for round in 0..rounds(900) {
        let (template, oid, sound) = &kinds[round % kinds.len()];
        let content = numbers.damage(sound);
        let template = template.clone().extension(oid, numbers.below(4) == 0, content.clone());
        let Ok(leaf) = w.issuing.issue(template) else { continue };
        let mut question = Question::about(&w.root, leaf.chain());
        if numbers.below(2) == 0 {
            question.policy.level = aldis_trust::Level::Strict;
        }
        question.policy.allow_wildcard = numbers.below(2) == 0;
        let verdict = question.ask();
        assert!(!verdict.is_trusted(), "{oid:?} {content:02x?}: {}", line(&verdict));
    }
}

fn copy(q: &Question) -> Question {
    Question {
        chain: Vec::new(),
        identity: q.identity.clone(),
        time: q.time,
        policy: q.policy.clone(),
        crls: Vec::new(),
        staple: None,
        ocsp: Vec::new(),
        connected_to: None,
        more_may_follow: false,
    }
}
