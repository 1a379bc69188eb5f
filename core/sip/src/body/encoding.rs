//! Content-Encoding (RFC 3261 §20.12) and Content-Transfer-Encoding (RFC 2045 §6).

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::bufread::GzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use std::borrow::Cow;
use std::io::Read;
use thiserror::Error;

/// Bytes that a body may grow to: with this many, compressed or not, nobody types or reads a message.
pub const MAX_DECODED: usize = 1 << 20;

/// Codings that may be applied one upon another.
pub const MAX_CODINGS: usize = 2;

/// What we decode: the value of Accept-Encoding beside a 415 for [`EncodingError::Unsupported`].
pub const ACCEPT_ENCODING: &str = "deflate, gzip, identity";

/// Output is made in steps of this many bytes.
const STEP: usize = 8192;

/// Why a body cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodingError {
    /// A coding that we do not do: 415 with [`ACCEPT_ENCODING`].
    #[error("content coding {name:?} is not supported")]
    Unsupported {
        /// Its name.
        name: String,
    },
    /// More codings than [`MAX_CODINGS`].
    #[error("more than {MAX_CODINGS} content codings")]
    TooManyCodings,
    /// The body is not what the coding says, or is cut short: 400.
    #[error("the body is not valid {coding}")]
    Corrupt {
        /// The coding.
        coding: &'static str,
    },
    /// Bytes follow the end of the compressed data: 400.
    #[error("bytes follow the end of the {coding} data")]
    Trailing {
        /// The coding.
        coding: &'static str,
    },
    /// The body grows beyond the limit: 413.
    #[error("the decoded body is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
}

/// Undoes the codings of a Content-Encoding value (empty for none), the last applied first. No step may
/// give more than `limit` bytes ([`MAX_DECODED`] unless the account knows better).
///
/// # Errors
/// See [`EncodingError`].
pub fn decode_content<'a>(
    codings: &str,
    body: &'a [u8],
    limit: usize,
) -> Result<Cow<'a, [u8]>, EncodingError> {
    let names: Vec<&str> = codings.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if names.len() > MAX_CODINGS {
        return Err(EncodingError::TooManyCodings);
    }
    let mut body = Cow::Borrowed(body);
    for name in names.into_iter().rev() {
        match name.to_ascii_lowercase().as_str() {
            "identity" => {}
            "deflate" => body = Cow::Owned(inflate(&body, limit)?),
            "gzip" | "x-gzip" => body = Cow::Owned(gunzip(&body, limit)?),
            _ => return Err(EncodingError::Unsupported { name: name.to_owned() }),
        }
    }
    if body.len() > limit { Err(EncodingError::TooLarge { limit }) } else { Ok(body) }
}

/// Whether [`decode_content`] can undo this coding.
pub(crate) fn is_known(coding: &str) -> bool {
    ["identity", "deflate", "gzip", "x-gzip"].iter().any(|known| known.eq_ignore_ascii_case(coding))
}

/// Undoes a Content-Transfer-Encoding, which SIP does not need (RFC 5621 §3.2) but mail-minded senders use.
///
/// # Errors
/// [`EncodingError::Unsupported`], [`EncodingError::Corrupt`].
pub fn decode_transfer<'a>(encoding: &str, body: &'a [u8]) -> Result<Cow<'a, [u8]>, EncodingError> {
    match encoding.trim().to_ascii_lowercase().as_str() {
        "" | "7bit" | "8bit" | "binary" => Ok(Cow::Borrowed(body)),
        "base64" => {
            let symbols: Vec<u8> = body.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
            BASE64.decode(symbols).map(Cow::Owned).map_err(|_| EncodingError::Corrupt { coding: "base64" })
        }
        "quoted-printable" => quoted_printable(body).map(Cow::Owned),
        _ => Err(EncodingError::Unsupported { name: encoding.trim().to_owned() }),
    }
}

/// The standard alphabet, padded or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// `deflate` is the zlib format (RFC 9110 §8.4.1.2); raw deflate, which some send, is told apart by the
/// header that it lacks.
fn inflate(body: &[u8], limit: usize) -> Result<Vec<u8>, EncodingError> {
    let coding = "deflate";
    let zlib =
        matches!(body, [cmf, flags, ..] if cmf & 15 == 8 && u16::from_be_bytes([*cmf, *flags]) % 31 == 0);
    let mut state = Decompress::new(zlib);
    let mut out = Vec::new();
    loop {
        if out.len() > limit {
            return Err(EncodingError::TooLarge { limit });
        }
        out.reserve(STEP);
        let read = usize::try_from(state.total_in()).unwrap_or(usize::MAX);
        let before = out.len();
        let rest = body.get(read..).unwrap_or_default();
        let status = state.decompress_vec(rest, &mut out, FlushDecompress::None);
        let read_now = usize::try_from(state.total_in()).unwrap_or(usize::MAX);
        match status {
            Ok(Status::StreamEnd) if out.len() > limit => return Err(EncodingError::TooLarge { limit }),
            Ok(Status::StreamEnd) if read_now < body.len() => return Err(EncodingError::Trailing { coding }),
            Ok(Status::StreamEnd) => return Ok(out),
            Ok(_) if read_now > read || out.len() > before => {}
            // Nothing read and nothing written: the data ends before its end.
            Ok(_) | Err(_) => return Err(EncodingError::Corrupt { coding }),
        }
    }
}

fn gunzip(body: &[u8], limit: usize) -> Result<Vec<u8>, EncodingError> {
    let coding = "gzip";
    let mut out = Vec::new();
    let mut decoder = GzDecoder::new(body);
    let cap = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder.by_ref().take(cap).read_to_end(&mut out).map_err(|_| EncodingError::Corrupt { coding })?;
    if out.len() > limit {
        return Err(EncodingError::TooLarge { limit });
    }
    if decoder.into_inner().is_empty() { Ok(out) } else { Err(EncodingError::Trailing { coding }) }
}

/// RFC 2045 §6.7. Each line's trailing white space is not part of it; a final `=` joins it to the next.
fn quoted_printable(body: &[u8]) -> Result<Vec<u8>, EncodingError> {
    let corrupt = EncodingError::Corrupt { coding: "quoted-printable" };
    let mut out = Vec::with_capacity(body.len());
    for piece in body.split_inclusive(|b| *b == b'\n') {
        let line = piece.trim_ascii_end();
        let ended = piece.ends_with(b"\n");
        let (line, soft) = match line.strip_suffix(b"=") {
            Some(line) => (line, true),
            None => (line, false),
        };
        let mut bytes = line.iter();
        while let Some(byte) = bytes.next() {
            if *byte != b'=' {
                out.push(*byte);
                continue;
            }
            let mut digit = || bytes.next().and_then(|b| char::from(*b).to_digit(16));
            let (high, low) = digit().zip(digit()).ok_or_else(|| corrupt.clone())?;
            out.push(u8::try_from(high << 4 | low).unwrap_or_default());
        }
        if ended && !soft {
            out.extend_from_slice(b"\r\n");
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use std::io::Write;

    fn zlib(body: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(codings: &str, body: &[u8]) -> Result<Vec<u8>, EncodingError> {
        decode_content(codings, body, MAX_DECODED).map(Cow::into_owned)
    }

    /// BODY-03
    #[test]
    fn deflate_gzip_and_identity_are_decoded_in_any_case() {
        let body: Vec<u8> = (0..100_000u32).flat_map(|n| (n / 7).to_be_bytes()).collect();
        for (coding, coded) in [("deflate", zlib(&body)), ("GZIP", gzip(&body)), ("x-gzip", gzip(&body))] {
            assert_eq!(decode(coding, &coded), Ok(body.clone()), "{coding}");
        }
        for none in ["", "identity", " , Identity,"] {
            assert_eq!(decode(none, b"a\0\xff"), Ok(b"a\0\xff".to_vec()));
        }
        assert_eq!(decode("deflate", &zlib(b"")), Ok(Vec::new()));
    }

    #[test]
    fn deflate_without_its_zlib_header_is_decoded() {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(b"hello hello hello").unwrap();
        assert_eq!(decode("deflate", &encoder.finish().unwrap()), Ok(b"hello hello hello".to_vec()));
    }

    #[test]
    fn codings_are_undone_in_reverse_and_limited() {
        assert_eq!(decode("deflate, gzip", &gzip(&zlib(b"hi"))), Ok(b"hi".to_vec()));
        assert_eq!(decode("gzip,gzip,gzip", b""), Err(EncodingError::TooManyCodings));
    }

    /// BODY-03
    #[test]
    fn an_unknown_coding_is_named() {
        assert_eq!(decode("br", b"x"), Err(EncodingError::Unsupported { name: "br".into() }));
    }

    /// BODY-03, BODY-06
    #[test]
    fn the_output_is_capped() {
        let bomb = vec![0; MAX_DECODED + 1];
        let too_large = EncodingError::TooLarge { limit: MAX_DECODED };
        for (coding, coded) in [("deflate", zlib(&bomb)), ("gzip", gzip(&bomb))] {
            assert!(coded.len() < 4096);
            assert_eq!(decode(coding, &coded), Err(too_large.clone()), "{coding}");
        }
        assert_eq!(decode("identity", &bomb), Err(too_large));
        let full = vec![0; MAX_DECODED];
        assert_eq!(decode("deflate", &zlib(&full)).map(|out| out.len()), Ok(MAX_DECODED));
        assert_eq!(decode("gzip", &gzip(&full)).map(|out| out.len()), Ok(MAX_DECODED));
    }

    /// BODY-06: no step overshoots, even one whose output another step would shrink again.
    #[test]
    fn every_step_keeps_the_limit_to_the_byte() {
        for (step, coded) in
            [(inflate as fn(&[u8], usize) -> _, zlib(b"12345678901")), (gunzip, gzip(b"12345678901"))]
        {
            assert_eq!(step(&coded, 10), Err(EncodingError::TooLarge { limit: 10 }));
            assert_eq!(step(&coded, 11), Ok(b"12345678901".to_vec()));
        }
    }

    #[test]
    fn every_cut_of_compressed_data_is_noticed() {
        for (coding, coded) in [("deflate", zlib(b"hello hello hello")), ("gzip", gzip(b"hello hello hello"))]
        {
            for length in 0..coded.len() {
                let corrupt = EncodingError::Corrupt { coding };
                assert_eq!(decode(coding, &coded[..length]), Err(corrupt), "{coding} {length}");
            }
        }
    }

    #[test]
    fn damaged_data_and_bytes_after_it_are_noticed() {
        for (coding, mut coded) in [("deflate", zlib(b"hello hello")), ("gzip", gzip(b"hello hello"))] {
            coded.push(0);
            assert_eq!(decode(coding, &coded), Err(EncodingError::Trailing { coding }));
            coded.pop();
            let checksum = coded.len() - 5;
            coded[checksum] ^= 1;
            assert!(decode(coding, &coded).is_err(), "{coding}");
        }
    }

    #[test]
    fn base64_is_decoded_over_lines_with_and_without_padding() {
        for coded in ["aGVsbG8=", "aGVs\r\nbG8=\r\n", "aGVsbG8"] {
            assert_eq!(decode_transfer("BASE64", coded.as_bytes()).unwrap(), &b"hello"[..]);
        }
        let corrupt = EncodingError::Corrupt { coding: "base64" };
        assert_eq!(decode_transfer("base64", b"a*b="), Err(corrupt));
    }

    /// RFC 2045 §6.7
    #[test]
    fn quoted_printable_is_decoded() {
        let coded = b"gr=C3=bc=\r\n\xc3\x9fe  \r\nend =3D=20";
        let decoded = decode_transfer("quoted-printable", coded).unwrap();
        assert_eq!(decoded, "grüße\r\nend = ".as_bytes());
        for bad in [&b"=4"[..], b"=XY", b"a==b"] {
            let corrupt = EncodingError::Corrupt { coding: "quoted-printable" };
            assert_eq!(decode_transfer("quoted-printable", bad), Err(corrupt));
        }
    }

    #[test]
    fn an_unknown_transfer_encoding_is_named() {
        let unsupported = EncodingError::Unsupported { name: "x-uue".into() };
        assert_eq!(decode_transfer("x-uue", b""), Err(unsupported));
        assert_eq!(decode_transfer(" Binary ", b"\0").unwrap(), &b"\0"[..]);
    }
}
