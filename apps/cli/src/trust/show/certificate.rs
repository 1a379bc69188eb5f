//! One certificate.

use super::Shown;
use crate::layout::Table;
use crate::trust::words::validity;
use crate::{printable, when};
use aldis_trust::CertificateDetails;
use serde_json::json;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

/// How long before its end a certificate is worth a warning, in days: renewing takes people.
const SOON: i64 = 14;
const DAY: i64 = 86_400;
/// Most URLs shown of one extension.
const MAX_URLS: usize = 16;
/// id-ad-caIssuers (RFC 5280 §4.2.2.1).
const CA_ISSUERS: &str = "1.3.6.1.5.5.7.48.2";

/// What the library's reading leaves out, since no rule looks at it.
#[derive(Default)]
struct Extra {
    usages: Vec<&'static str>,
    issuer_urls: Vec<String>,
}

/// Shows a certificate (DER).
///
/// # Errors
/// Why it cannot be read.
pub(super) fn show(der: &[u8], now: i64) -> Result<Shown, String> {
    let details = CertificateDetails::read(der).map_err(|error| error.to_string())?;
    let extra = Extra::read(der);
    let warnings = warnings(&details, now);
    let signature = signature(&details.signature);
    let sha256: String = details.sha256.iter().map(|byte| format!("{byte:02x}")).collect();

    let mut table = Table::new(2, 13);
    let line = |text: &str| printable::line(text).into_owned();
    table.row("subject", &line(&details.subject));
    let issued_by_itself = details.subject == details.issuer;
    table.row("issuer", &if issued_by_itself { "itself".into() } else { line(&details.issuer) });
    table.row("valid", &validity(details.not_before, details.not_after, now));
    table.rows("names", details.names.iter().map(|name| line(name)));
    table.row("authority", details.authority.as_deref().unwrap_or("no"));
    table.row("key for", &extra.usages.join(", "));
    table.row("made for", &line(&details.purposes.join(", ")));
    table.rows("vouches for", details.name_constraints.iter().map(|name| line(name)));
    table.row("key", &line(&details.key));
    table.row("signed with", &signature);
    table.row("serial", &line(&details.serial));
    table.rows("lists at", details.crl_urls.iter().map(|url| line(url)));
    table.rows("status at", details.ocsp_urls.iter().map(|url| line(url)));
    table.rows("issuer at", &extra.issuer_urls);
    table.row(
        "must staple",
        if details.must_staple { "yes: the server must send a fresh proof of its status" } else { "" },
    );
    table.row("pin", &details.pin.to_string());
    table.row("SHA-256", &sha256);
    table.rows("warning", &warnings);

    Ok(Shown {
        title: if details.authority.is_some() { "an authority's certificate" } else { "a certificate" },
        text: table.finish(),
        json: json!({
            "subject": details.subject,
            "issuer": details.issuer,
            "serial": details.serial,
            "not_before": when::rfc3339(details.not_before),
            "not_after": when::rfc3339(details.not_after),
            "expires_in_days": (details.not_after - now).div_euclid(DAY),
            "names": details.names,
            "authority": details.authority,
            "key_usages": extra.usages,
            "purposes": details.purposes,
            "name_constraints": details.name_constraints,
            "key": details.key,
            "signature": signature,
            "crl_urls": details.crl_urls,
            "ocsp_urls": details.ocsp_urls,
            "issuer_urls": extra.issuer_urls,
            "must_staple": details.must_staple,
            "pin": details.pin.to_string(),
            "sha256": sha256,
            "warnings": warnings,
        }),
        kind: "certificate",
        readable: true,
    })
}

impl Extra {
    fn read(der: &[u8]) -> Extra {
        let mut extra = Extra::default();
        let Ok((_, certificate)) = X509Certificate::from_der(der) else { return extra };
        for extension in certificate.iter_extensions() {
            match extension.parsed_extension() {
                ParsedExtension::KeyUsage(usage) => {
                    let bits = [
                        (usage.digital_signature(), "digital signatures"),
                        (usage.non_repudiation(), "commitments"),
                        (usage.key_encipherment(), "encrypting keys"),
                        (usage.data_encipherment(), "encrypting data"),
                        (usage.key_agreement(), "agreeing on keys"),
                        (usage.key_cert_sign(), "signing certificates"),
                        (usage.crl_sign(), "signing revocation lists"),
                    ];
                    extra.usages = bits.into_iter().filter(|(set, _)| *set).map(|(_, name)| name).collect();
                }
                ParsedExtension::AuthorityInfoAccess(access) => {
                    let urls = access.iter().filter_map(|description| match &description.access_location {
                        GeneralName::URI(url) if description.access_method.to_id_string() == CA_ISSUERS => {
                            Some(printable::line(url).into_owned())
                        }
                        _ => None,
                    });
                    extra.issuer_urls = urls.take(MAX_URLS).collect();
                }
                _ => {}
            }
        }
        extra
    }
}

/// What somebody who looks at the certificate should know. It refuses nothing: `trust check` does.
fn warnings(details: &CertificateDetails, now: i64) -> Vec<String> {
    let mut warnings = Vec::new();
    if details.not_after < details.not_before {
        warnings.push("It ends before it begins.".to_owned());
    } else if now > details.not_after {
        warnings.push("It has expired.".to_owned());
    } else if now < details.not_before {
        warnings.push("It is not valid yet.".to_owned());
    } else if details.not_after - now < SOON * DAY {
        warnings.push("It expires soon: renew it.".to_owned());
    }
    let is_server = details.authority.is_none();
    if is_server && details.names.is_empty() {
        warnings.push(
            "It has no subjectAltName, and so names no server; the common name does not count.".to_owned(),
        );
    }
    if details.names.iter().any(|name| name.starts_with("DNS *.")) {
        warnings.push("It has a wildcard, which SIP does not accept (RFC 5922).".to_owned());
    }
    if is_server && details.subject == details.issuer {
        warnings.push("Nobody but itself vouches for it.".to_owned());
    }
    if ["1.2.840.113549.1.1.5", "1.2.840.113549.1.1.4", "1.2.840.10045.4.1"]
        .contains(&details.signature.as_str())
    {
        warnings.push("It is signed with a method that is not secure any more.".to_owned());
    }
    warnings
}

/// The usual signature algorithms by name, others by their identifier.
fn signature(oid: &str) -> String {
    let name = match oid {
        "1.2.840.113549.1.1.4" => "RSA and MD5",
        "1.2.840.113549.1.1.5" => "RSA and SHA-1",
        "1.2.840.113549.1.1.10" => "RSA-PSS",
        "1.2.840.113549.1.1.11" => "RSA and SHA-256",
        "1.2.840.113549.1.1.12" => "RSA and SHA-384",
        "1.2.840.113549.1.1.13" => "RSA and SHA-512",
        "1.2.840.10045.4.1" => "ECDSA and SHA-1",
        "1.2.840.10045.4.3.2" => "ECDSA and SHA-256",
        "1.2.840.10045.4.3.3" => "ECDSA and SHA-384",
        "1.2.840.10045.4.3.4" => "ECDSA and SHA-512",
        "1.3.101.112" => "Ed25519",
        other => return printable::line(other).into_owned(),
    };
    name.to_owned()
}
