//! One revocation list.

use super::Shown;
use crate::layout::Table;
use crate::{printable, when};
use aldis_trust::Crl;
use serde_json::json;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

/// Most entries that are shown to a person; a long list is read by programs.
const MAX_ENTRIES: usize = 16;

/// Shows a list (DER).
///
/// # Errors
/// Why it cannot be read.
pub(super) fn show(der: &[u8], now: i64) -> Result<Shown, String> {
    let list = Crl::from_der(der).map_err(|error| error.to_string())?;
    let parsed = CertificateRevocationList::from_der(der).ok().map(|(_, parsed)| parsed);
    let entries: Vec<(String, i64)> = parsed
        .iter()
        .flat_map(CertificateRevocationList::iter_revoked_certificates)
        .map(|entry| {
            let serial = entry.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect();
            (serial, entry.revocation_date.timestamp())
        })
        .collect();
    let number = parsed.as_ref().and_then(|parsed| parsed.crl_number()).map(ToString::to_string);
    let warnings = warnings(&list, now);

    let mut table = Table::new(2, 13);
    table.row("issuer", &printable::line(list.issuer()));
    table.row("number", number.as_deref().unwrap_or_default());
    table.row(
        "made",
        &format!("{}, {}", when::minute(list.this_update()), when::from_now(list.this_update(), now)),
    );
    let next = list.next_update();
    table.row(
        "next",
        &next.map_or_else(
            || "it does not say when".to_owned(),
            |next| format!("{}, {}", when::minute(next), when::from_now(next, now)),
        ),
    );
    let shown = entries.iter().take(MAX_ENTRIES);
    let count = match entries.len() {
        0 => "no certificate".to_owned(),
        1 => "one certificate".to_owned(),
        count => format!("{count} certificates"),
    };
    table.row("withdrawn", &count);
    table.rows("", shown.map(|(serial, at)| format!("serial {serial}, {}", when::day(*at))));
    if entries.len() > MAX_ENTRIES {
        table.row("", &format!("and {} more", entries.len() - MAX_ENTRIES));
    }
    table.rows("warning", &warnings);

    Ok(Shown {
        title: "a revocation list",
        text: table.finish(),
        json: json!({
            "issuer": list.issuer(),
            "crl_number": number,
            "this_update": when::rfc3339(list.this_update()),
            "next_update": next.and_then(when::rfc3339),
            "revoked": entries
                .iter()
                .map(|(serial, at)| json!({"serial": serial, "at": when::rfc3339(*at)}))
                .collect::<Vec<_>>(),
            "warnings": warnings,
        }),
        kind: "revocation-list",
        readable: true,
    })
}

fn warnings(list: &Crl, now: i64) -> Vec<&'static str> {
    let mut warnings = Vec::new();
    if list.this_update() > now {
        warnings.push("It is dated in the future.");
    }
    match list.next_update() {
        Some(next) if next < now => warnings.push("It is out of date, and proves nothing good any more."),
        None => warnings.push("It does not say how long it counts."),
        Some(_) => {}
    }
    warnings
}
