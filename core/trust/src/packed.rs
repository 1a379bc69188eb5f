//! What `build.rs` packed: unpacked when it is first asked for, and kept.

use miniz_oxide::inflate::decompress_to_vec_zlib;
use rustls_pki_types::CertificateDer;
use std::sync::OnceLock;

/// The public roots.
pub(crate) fn roots() -> &'static [CertificateDer<'static>] {
    static ROOTS: OnceLock<Vec<CertificateDer<'static>>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        // They live as long as the process, as those that are not packed do.
        let mut rest: &'static [u8] = unpack(include_bytes!(concat!(env!("OUT_DIR"), "/roots.z"))).leak();
        let mut roots = Vec::new();
        while let Some((der, behind)) = length(rest).and_then(|length| rest.split_at_checked(length)) {
            roots.push(CertificateDer::from(der));
            rest = behind;
        }
        roots
    })
}

/// The list of registries, see [`crate::registries`].
pub(crate) fn registries() -> &'static str {
    static LIST: OnceLock<String> = OnceLock::new();
    LIST.get_or_init(|| {
        let list = unpack(include_bytes!(concat!(env!("OUT_DIR"), "/registries.z")));
        String::from_utf8(list).unwrap_or_default()
    })
}

/// What the program itself carries is not damaged: a checksum says so, and a test that it is what was packed.
fn unpack(packed: &[u8]) -> Vec<u8> {
    decompress_to_vec_zlib(packed).unwrap_or_default()
}

/// The length of a certificate, header and all: a SEQUENCE whose length takes two bytes (X.690 §8.1.3.5).
fn length(der: &[u8]) -> Option<usize> {
    match der {
        [0x30, 0x82, high, low, ..] => Some(4 + usize::from(u16::from_be_bytes([*high, *low]))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_comes_out() {
        assert_eq!(registries(), include_str!("registries.txt"));
        assert_eq!(roots(), webpki_root_certs::TLS_SERVER_ROOT_CERTS);
    }
}
