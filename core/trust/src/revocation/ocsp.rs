//! An OCSP answer (RFC 6960), as stapled to a handshake or fetched.

use crate::facts::Facts;
use crate::path::Link;
use crate::signature::{self, Signature};
use crate::{der, text};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls_pki_types::{CertificateDer, UnixTime};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use webpki::{EndEntityCert, KeyUsage};

/// What an answer says about a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// In force, and proven until then (seconds since 1970).
    Good {
        until: i64,
    },
    Revoked {
        at: i64,
    },
    /// The responder does not know the certificate.
    Unknown,
    Expired {
        next_update: Option<i64>,
    },
    FromFuture {
        this_update: i64,
    },
    /// Broken, forged, or about something else.
    Invalid {
        why: String,
    },
}

/// Most certificates that a responder may send along, and most answers in one response.
const MAX_CERTIFICATES: usize = 8;
const MAX_ANSWERS: usize = 64;

/// id-pkix-ocsp-basic (RFC 6960 §4.2.1), SHA-1 and SHA-256 as contents of an OBJECT IDENTIFIER.
const BASIC: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1, 1];
const SHA_1: &[u8] = &[0x2b, 14, 3, 2, 26];
const SHA_256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
/// id-kp-OCSPSigning (RFC 6960 §4.2.2.2).
const OCSP_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 9];

/// Judges the answer about `certificate`, whose issuer on the verified path is `issuer`.
pub(crate) fn ask(
    response: &[u8],
    certificate: &Facts,
    issuer: Link<'_>,
    now: i64,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Answer {
    match read(response).and_then(|basic| basic.answer(certificate, issuer, now, algorithms)) {
        Ok(answer) => answer,
        Err(why) => Answer::Invalid { why },
    }
}

struct Basic<'a> {
    signed: der::Signed<'a>,
    responder: Responder<'a>,
    answers: Vec<Single<'a>>,
    certificates: Vec<&'a [u8]>,
}

enum Responder<'a> {
    /// The whole name.
    Name(&'a [u8]),
    /// SHA-1 of its public key.
    Key(&'a [u8]),
}

struct Single<'a> {
    hash: &'a [u8],
    issuer_name: &'a [u8],
    issuer_key: &'a [u8],
    serial: &'a [u8],
    status: Status,
    this_update: i64,
    next_update: Option<i64>,
}

#[derive(Clone, Copy)]
enum Status {
    Good,
    Revoked { at: i64 },
    Unknown,
}

fn read(response: &[u8]) -> Result<Basic<'_>, String> {
    let broken = || String::from("it cannot be read");
    let mut outer = der::Reader::new(der::only(response, der::SEQUENCE).ok_or_else(broken)?);
    let status = outer.expect(der::ENUMERATED).ok_or_else(broken)?;
    if status.content != [0] {
        return Err(match status.content {
            [3] => "the responder says to try later".into(),
            other => format!("the responder reports an error ({})", text::hex(other)),
        });
    }
    let bytes = outer.expect(der::constructed(0)).ok_or_else(broken)?;
    let mut bytes = der::Reader::new(der::only(bytes.content, der::SEQUENCE).ok_or_else(broken)?);
    if bytes.expect(der::OID).ok_or_else(broken)?.content != BASIC {
        return Err("it is not a basic OCSP response".into());
    }
    let basic = bytes.expect(der::OCTET_STRING).ok_or_else(broken)?.content;
    read_basic(basic).ok_or_else(broken)
}

fn read_basic(bytes: &[u8]) -> Option<Basic<'_>> {
    let signed = der::signed(bytes)?;
    let mut certificates = Vec::new();
    let mut rest = signed.rest;
    if let Some(list) = rest.optional(der::constructed(0)) {
        let mut list = der::Reader::new(der::only(list.content, der::SEQUENCE)?);
        while !list.is_empty() && certificates.len() < MAX_CERTIFICATES {
            certificates.push(list.expect(der::SEQUENCE)?.whole);
        }
    }
    let mut data = der::Reader::new(der::only(signed.content, der::SEQUENCE)?);
    let _version = data.optional(der::constructed(0));
    let id = data.next()?;
    let responder = if id.tag == der::constructed(1) {
        Responder::Name(id.content)
    } else if id.tag == der::constructed(2) {
        Responder::Key(der::only(id.content, der::OCTET_STRING)?)
    } else {
        return None;
    };
    let _produced_at = der::time(&data.expect(der::GENERALIZED_TIME)?)?;
    let mut list = data.expect(der::SEQUENCE)?.reader();
    let mut answers = Vec::new();
    while !list.is_empty() && answers.len() < MAX_ANSWERS {
        answers.push(read_single(list.expect(der::SEQUENCE)?)?);
    }
    // RFC 6960 §4.4: extensions; a critical one that is not known forbids to use the answer.
    if data.optional(der::constructed(1)).is_some_and(|e| has_critical(&e)) {
        return None;
    }
    Some(Basic { signed, responder, answers, certificates })
}

fn read_single(element: der::Element<'_>) -> Option<Single<'_>> {
    let mut single = element.reader();
    let mut id = single.expect(der::SEQUENCE)?.reader();
    let hash = id.expect(der::SEQUENCE)?.reader().expect(der::OID)?.content;
    let issuer_name = id.expect(der::OCTET_STRING)?.content;
    let issuer_key = id.expect(der::OCTET_STRING)?.content;
    let serial = id.expect(der::INTEGER)?.content;
    let status = single.next()?;
    let status = if status.tag == der::primitive(0) {
        Status::Good
    } else if status.tag == der::constructed(1) {
        Status::Revoked { at: der::time(&status.reader().expect(der::GENERALIZED_TIME)?)? }
    } else if status.tag == der::primitive(2) {
        Status::Unknown
    } else {
        return None;
    };
    let this_update = der::time(&single.expect(der::GENERALIZED_TIME)?)?;
    let next_update = match single.optional(der::constructed(0)) {
        Some(explicit) => Some(der::time(&explicit.reader().expect(der::GENERALIZED_TIME)?)?),
        None => None,
    };
    if single.optional(der::constructed(1)).is_some_and(|e| has_critical(&e)) {
        return None;
    }
    Some(Single { hash, issuer_name, issuer_key, serial, status, this_update, next_update })
}

/// Whether a list of extensions has a critical one; what cannot be read counts as critical.
fn has_critical(explicit: &der::Element<'_>) -> bool {
    let Some(list) = der::only(explicit.content, der::SEQUENCE) else { return true };
    let mut list = der::Reader::new(list);
    while !list.is_empty() {
        let Some(extension) = list.expect(der::SEQUENCE) else { return true };
        let mut extension = extension.reader();
        if extension.expect(der::OID).is_none()
            || extension.optional(der::BOOLEAN).is_some_and(|b| b.content != [0])
        {
            return true;
        }
    }
    false
}

impl Basic<'_> {
    fn answer(
        &self,
        certificate: &Facts,
        issuer: Link<'_>,
        now: i64,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Result<Answer, String> {
        let matching: Vec<_> =
            self.answers.iter().filter(|s| s.is_about(certificate, issuer.facts)).collect();
        if matching.is_empty() {
            return Err("it is about another certificate".into());
        }
        let signer = self.signer(issuer, now, algorithms)?;
        match signature::verify(algorithms, &signer, &self.signed) {
            Signature::Valid => {}
            Signature::Invalid => return Err("its signature is wrong".into()),
            Signature::Unsupported => return Err("it is signed with a method that is not supported".into()),
        }
        // A revocation that the issuer has signed is proven, also when a newer answer is due.
        if let Some(at) = matching.iter().find_map(|s| match s.status {
            Status::Revoked { at } => Some(at),
            Status::Good | Status::Unknown => None,
        }) {
            return Ok(Answer::Revoked { at });
        }
        let mut last = Err("it is about another certificate".into());
        for single in matching {
            let next_update = single.next_update;
            last = Ok(if single.this_update > now.saturating_add(super::CLOCK_SKEW) {
                Answer::FromFuture { this_update: single.this_update }
            } else {
                match (next_update, single.status) {
                    (Some(until), Status::Good) if now <= until => return Ok(Answer::Good { until }),
                    (Some(until), _) if now <= until => Answer::Unknown,
                    _ => Answer::Expired { next_update },
                }
            });
        }
        last
    }

    /// The key that may have signed: the issuer's own, or one that the issuer has appointed (RFC 6960 §4.2.2.2).
    fn signer(
        &self,
        issuer: Link<'_>,
        now: i64,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Result<Vec<u8>, String> {
        if self.responder.is(issuer.facts) {
            return Ok(issuer.facts.spki.clone());
        }
        for bytes in &self.certificates {
            let Ok(facts) = Facts::read(bytes) else { continue };
            if !self.responder.is(&facts) {
                continue;
            }
            let refused = |e: webpki::Error| format!("its signer was not appointed by the issuer ({e:?})");
            let der = CertificateDer::from(*bytes);
            let certificate = EndEntityCert::try_from(&der).map_err(refused)?;
            let anchor = webpki::anchor_from_trusted_cert(issuer.der).map_err(refused)?;
            let anchors = [anchor];
            let time =
                UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::try_from(now).unwrap_or(0)));
            certificate
                .verify_for_usage(
                    algorithms.all,
                    &anchors,
                    &[],
                    time,
                    KeyUsage::required(OCSP_SIGNING),
                    None,
                    None,
                )
                .map_err(refused)?;
            return Ok(facts.spki);
        }
        Err("its signer is neither the issuer nor appointed by it".into())
    }
}

impl Responder<'_> {
    fn is(&self, facts: &Facts) -> bool {
        match self {
            Self::Name(name) => der::only(name, der::SEQUENCE) == Some(facts.subject_raw.as_slice()),
            Self::Key(hash) => Sha1::digest(&facts.public_key).as_slice() == *hash,
        }
    }
}

impl Single<'_> {
    fn is_about(&self, certificate: &Facts, issuer: &Facts) -> bool {
        let name = wrapped(&issuer.subject_raw);
        let hashes_match = if self.hash == SHA_1 {
            Sha1::digest(&name).as_slice() == self.issuer_name
                && Sha1::digest(&issuer.public_key).as_slice() == self.issuer_key
        } else if self.hash == SHA_256 {
            Sha256::digest(&name).as_slice() == self.issuer_name
                && Sha256::digest(&issuer.public_key).as_slice() == self.issuer_key
        } else {
            false
        };
        hashes_match && self.serial == certificate.serial
    }
}

/// The contents of a SEQUENCE with its header again.
fn wrapped(content: &[u8]) -> Vec<u8> {
    let mut out = vec![der::SEQUENCE];
    let length = content.len();
    if let Ok(short) = u8::try_from(length)
        && short < 0x80
    {
        out.push(short);
    } else {
        let bytes = length.to_be_bytes();
        let significant: Vec<u8> = bytes.iter().copied().skip_while(|b| *b == 0).collect();
        out.push(0x80 | u8::try_from(significant.len()).unwrap_or(0));
        out.extend(significant);
    }
    out.extend_from_slice(content);
    out
}
