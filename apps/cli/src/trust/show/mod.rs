//! `aldis trust show`: certificates and revocation lists as a person reads them. It judges nothing.

mod certificate;
mod list;

use super::args::Show;
use super::files;
use super::question::now;
use crate::failure::{Exit, Outcome};
use crate::output::{Output, Style, To};
use crate::printable;
use rustls_pki_types::pem::{PemObject, SectionKind};
use serde_json::{Value, json};
use std::path::Path;

/// What a piece of a file is.
struct Shown {
    /// What it is called.
    title: &'static str,
    /// Its rows, for a person.
    text: String,
    /// Its members, without `file`, `number` and `kind`.
    json: Value,
    /// What it is called in JSON.
    kind: &'static str,
    /// Whether it could be read.
    readable: bool,
}

/// Shows every piece of every file. One that cannot be read is reported, the others are shown all the same, and the
/// status is [`Exit::Usage`].
///
/// # Errors
/// When standard output does not take what is written.
pub(super) fn run(args: &Show, out: &mut Output) -> Outcome {
    let now = args.time.unwrap_or_else(now);
    let mut exit = Exit::Done;
    for (index, path) in args.files.iter().enumerate() {
        if index > 0 && !out.is_json() {
            out.text("\n")?;
        }
        let pieces = match files::read("", path) {
            Ok(bytes) => pieces(&bytes, now),
            Err(failure) => {
                out.error(&failure.advice);
                exit = failure.exit;
                continue;
            }
        };
        if pieces.is_empty() {
            out.error(&format!("{} holds no certificate and no revocation list.", path.display()));
            exit = Exit::Usage;
        }
        for (index, piece) in pieces.iter().enumerate() {
            if !piece.readable {
                exit = Exit::Usage;
            }
            print(path, index, pieces.len(), piece, out)?;
        }
    }
    Ok(exit)
}

fn print(path: &Path, index: usize, count: usize, piece: &Shown, out: &mut Output) -> std::io::Result<()> {
    let file = path.to_string_lossy();
    if out.is_json() {
        let mut line = json!({"kind": piece.kind, "file": file, "number": index + 1});
        if let (Value::Object(line), Value::Object(members)) = (&mut line, &piece.json) {
            line.extend(members.clone());
        }
        return out.json(&line);
    }
    let place = if count > 1 { format!(", {} of {count}", index + 1) } else { String::new() };
    let title =
        out.styled(To::Results, Style::Bold, &format!("{}{place}: {}", printable::line(&file), piece.title));
    let gap = if index > 0 { "\n" } else { "" };
    out.text(&format!("{gap}{title}\n{}", piece.text))
}

/// The pieces of a file: the blocks of PEM, or one certificate or list in DER.
fn pieces(bytes: &[u8], now: i64) -> Vec<Shown> {
    if bytes.trim_ascii().is_empty() {
        return Vec::new();
    }
    if !files::is_pem(bytes) {
        return vec![
            certificate::show(bytes, now)
                .or_else(|why| list::show(bytes, now).map_err(|_| why))
                .unwrap_or_else(|why| {
                    broken("neither a certificate nor a revocation list in PEM or DER", &why)
                }),
        ];
    }
    <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes)
        .map(|item| match item {
            Ok((SectionKind::Certificate, der)) => certificate::show(&der, now)
                .unwrap_or_else(|why| broken("a certificate that cannot be read", &why)),
            Ok((SectionKind::Crl, der)) => list::show(&der, now)
                .unwrap_or_else(|why| broken("a revocation list that cannot be read", &why)),
            Ok((kind, _)) => other(kind),
            Err(why) => broken("a block that cannot be read", &why.to_string()),
        })
        .collect()
}

fn broken(title: &'static str, why: &str) -> Shown {
    let why = printable::line(why);
    Shown {
        title,
        text: format!("  why          {why}\n"),
        json: json!({"what": title, "why": why}),
        kind: "unreadable",
        readable: false,
    }
}

fn other(kind: SectionKind) -> Shown {
    let title = match kind {
        SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey => {
            "a private key, which is not shown"
        }
        SectionKind::Csr => "a request for a certificate, which is not shown",
        _ => "something else, which is not shown",
    };
    Shown { title, text: String::new(), json: json!({"what": title}), kind: "other", readable: true }
}
