//! Signatures over bytes as received, with the provider's own algorithms and no others.

use crate::der;
use rustls::crypto::WebPkiSupportedAlgorithms;

/// What a key says about a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signature {
    Valid,
    Invalid,
    /// No algorithm of the provider fits this pair of key and signature.
    Unsupported,
}

/// Whether the key in `spki` (with its SEQUENCE header) made the signature.
pub(crate) fn verify(
    algorithms: &WebPkiSupportedAlgorithms,
    spki: &[u8],
    signed: &der::Signed<'_>,
) -> Signature {
    let mut found = Signature::Unsupported;
    let Some((key_algorithm, key)) = key_parts(spki) else { return found };
    for algorithm in algorithms.all {
        if algorithm.signature_alg_id().as_ref() != signed.algorithm
            || algorithm.public_key_alg_id().as_ref() != key_algorithm
        {
            continue;
        }
        if algorithm.verify_signature(key, signed.content, signed.signature).is_ok() {
            return Signature::Valid;
        }
        found = Signature::Invalid;
    }
    found
}

/// The contents of the algorithm identifier, and the key.
fn key_parts(spki: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut reader = der::Reader::new(der::only(spki, der::SEQUENCE)?);
    let algorithm = reader.expect(der::SEQUENCE)?.content;
    let key = der::bits(&reader.expect(der::BIT_STRING)?)?;
    reader.is_empty().then_some((algorithm, key))
}
