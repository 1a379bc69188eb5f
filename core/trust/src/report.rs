//! A verdict as JSON, in the form that the `aldis` command documents.

use crate::{CertificateSummary, Finding, Matched, Verdict, text};
use serde::ser::{Serialize, SerializeMap, Serializer};

impl Serialize for Verdict {
    /// An object with `verdict` (`accept`, `reject`); of a refusal the first finding's fields; then `identity`, `path`,
    /// `findings`, `warnings`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Verdict::Trusted(trusted) => {
                map.serialize_entry("verdict", "accept")?;
                map.serialize_entry(
                    "identity",
                    &Identity(&trusted.reference.to_string(), Some(&trusted.matched)),
                )?;
                map.serialize_entry("expires", &text::time(seconds(trusted.expires)))?;
                map.serialize_entry("root_source", trusted.root_source.as_str())?;
                map.serialize_entry("revocation", trusted.revocation.as_str())?;
                map.serialize_entry("path", &trusted.path)?;
            }
            Verdict::Refused(refused) => {
                map.serialize_entry("verdict", "reject")?;
                if let Some(first) = refused.findings.first() {
                    entries(first, &mut map)?;
                }
                map.serialize_entry("identity", &Identity(&refused.reference.to_string(), None))?;
                map.serialize_entry("path", &refused.presented)?;
            }
        }
        map.serialize_entry("findings", self.findings())?;
        map.serialize_entry("warnings", self.warnings())?;
        map.end()
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        entries(self, &mut map)?;
        map.end()
    }
}

impl Serialize for CertificateSummary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("position", &self.position)?;
        map.serialize_entry("role", self.role.as_str())?;
        map.serialize_entry("subject", &self.subject)?;
        map.serialize_entry("issuer", &self.issuer)?;
        map.serialize_entry("sha256", &self.sha256_hex())?;
        map.serialize_entry("not_before", &text::time(self.not_before))?;
        map.serialize_entry("not_after", &text::time(self.not_after))?;
        map.end()
    }
}

/// The reference identity, and what matched it.
struct Identity<'a>(&'a str, Option<&'a Matched>);

impl Serialize for Identity<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("reference", self.0)?;
        map.serialize_entry("matched", &self.1.map(|m| m.by.as_str()))?;
        map.serialize_entry("value", &self.1.map(|m| &m.value))?;
        map.end()
    }
}

fn entries<M: SerializeMap>(finding: &Finding, map: &mut M) -> Result<(), M::Error> {
    map.serialize_entry("code", finding.code.as_str())?;
    map.serialize_entry("stage", finding.stage().as_str())?;
    map.serialize_entry("meaning", finding.code.meaning())?;
    map.serialize_entry("certificate", &finding.certificate)?;
    map.serialize_entry("field", finding.field)?;
    map.serialize_entry("expected", &finding.expected)?;
    map.serialize_entry("found", &finding.found)?;
    map.serialize_entry("advice", &finding.advice)?;
    map.serialize_entry("who", finding.who.as_str())
}

fn seconds(time: rustls_pki_types::UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}
