//! Certificates and lists in files and texts, PEM or DER.

use crate::failure::Failure;
use aldis_trust::{Anchors, AnchorsBuilder, Crl, CrlError, Source};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Largest file that is read, in bytes: twice the longest revocation list, since PEM is longer than DER.
const MAX_FILE: u64 = 2 * Crl::MAX_BYTES as u64;
/// How a PEM block begins (RFC 7468 §2).
const PEM_BEGIN: &[u8] = b"-----BEGIN ";

/// The bytes of a file; `-` is standard input.
///
/// # Errors
/// A usage failure that names who asked for the file, the file and the reason.
pub(crate) fn read(option: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
    let wrong = |why: &dyn std::fmt::Display| {
        let separator = if option.is_empty() { "" } else { ": " };
        Failure::usage(format_args!("{option}{separator}{} cannot be read: {why}.", path.display()))
    };
    match read {
        Err(error) => Err(wrong(&error)),
        Ok(_) if bytes.len() as u64 > MAX_FILE => {
            Err(wrong(&format_args!("it is larger than {} MiB", MAX_FILE >> 20)))
        }
        Ok(_) => Ok(bytes),
    }
}

fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(io::stdin().lock()));
    }
    Ok(Box::new(File::open(path)?))
}

/// Whether there is a PEM block.
pub(crate) fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(PEM_BEGIN.len()).any(|window| window == PEM_BEGIN)
}

/// The certificates of a chain. What cannot be decoded stays as a certificate that cannot be read: that is a
/// judgement, and made by whoever judges.
pub(crate) fn chain(bytes: &[u8]) -> Vec<CertificateDer<'static>> {
    if bytes.trim_ascii().is_empty() {
        return Vec::new();
    }
    if !is_pem(bytes) {
        return vec![CertificateDer::from(bytes.to_vec())];
    }
    CertificateDer::pem_slice_iter(bytes)
        .map(|item| item.unwrap_or_else(|_| CertificateDer::from(Vec::new())))
        .collect()
}

/// Adds the roots of a file; what cannot be one is remembered by the builder.
pub(crate) fn roots(builder: AnchorsBuilder, bytes: &[u8]) -> AnchorsBuilder {
    if is_pem(bytes) || bytes.trim_ascii().is_empty() {
        return builder.pem(bytes, Source::Organisation);
    }
    builder.certificate(CertificateDer::from(bytes.to_vec()), Source::Organisation)
}

/// The roots of several texts.
pub(crate) fn anchors<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Anchors {
    texts.into_iter().fold(Anchors::builder(), roots).build()
}

/// The lists of a file.
///
/// # Errors
/// [`CrlError`] if one cannot be read or there is none: nobody may believe that it proves something.
pub(crate) fn lists(bytes: &[u8]) -> Result<Vec<Crl>, CrlError> {
    if is_pem(bytes) { Crl::all_from_pem(bytes) } else { Crl::from_der(bytes).map(|list| vec![list]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_decoded_stays_in_the_chain() {
        let text = b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n\
                     -----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let lengths: Vec<usize> = chain(text).iter().map(|der| der.len()).collect();
        assert_eq!(lengths, [0, 3]);
        assert_eq!(chain(b"junk").len(), 1);
        assert_eq!(chain(b" \r\n").len(), 0);
        assert_eq!(chain(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").len(), 0);
    }

    #[test]
    fn roots_that_are_none_are_remembered() {
        for bytes in [&b""[..], b"junk", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let anchors = anchors([bytes]);
            assert!(anchors.is_empty());
            assert_eq!(anchors.unusable().len(), 1, "{bytes:?}");
        }
    }
}
