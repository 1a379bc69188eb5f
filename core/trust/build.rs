//! Packs what every program carries: the public roots, and the list of registries, which is half of its size so.

use miniz_oxide::deflate::compress_to_vec_zlib;
use std::path::Path;
use std::{env, fs, io};

/// The best that there is; it costs a fraction of a second, here.
const LEVEL: u8 = 10;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=src/registries.txt");
    println!("cargo::rerun-if-changed=build.rs");
    let folder = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo names no folder"))?;
    let pack = |name: &str, bytes: &[u8]| {
        fs::write(Path::new(&folder).join(name), compress_to_vec_zlib(bytes, LEVEL))
    };
    pack("registries.z", &fs::read("src/registries.txt")?)?;
    let mut roots = Vec::new();
    for der in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        // DER says itself how long it is.
        roots.extend_from_slice(der);
    }
    pack("roots.z", &roots)
}
