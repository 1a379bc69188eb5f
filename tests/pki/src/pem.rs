//! PEM (RFC 7468), for what is DER.

use base64::Engine as _;
use std::fmt::Write as _;

/// Width of a line (RFC 7468 §2).
const LINE: usize = 64;

/// One block with that label.
pub fn to_pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(LINE.min(rest.len()));
        let _ = writeln!(out, "{line}");
        rest = after;
    }
    let _ = writeln!(out, "-----END {label}-----");
    out
}
