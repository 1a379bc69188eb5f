//! What a handshake showed, as steps: what TLS settled, the chain, the proof, and what is known about revocation.

use super::places::{millis, shown};
use super::report::Step;
use crate::layout::wrap;
use crate::trust::words;
use crate::when;
use aldis::net::{ClientCertificateUse, Connection, PostQuantum, TlsFacts};
use aldis::trust::{CertificateSummary, Code, Finding, RevocationStatus, Trusted};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

/// How long before the end of a chain somebody should know, in seconds: two weeks.
const SOON: i64 = 14 * 86_400;

/// What TLS settled.
pub(super) fn tls(facts: &TlsFacts, took: Duration) -> Step {
    let text = format!("{} speaks TLS {} ({} with TCP).", facts.address, facts.version, shown(took));
    let key_exchange = match facts.post_quantum {
        PostQuantum::Negotiated => format!("{}, which a quantum computer does not break", facts.group),
        PostQuantum::NotSupported | PostQuantum::GivenUp(_) => facts.group.clone(),
    };
    let mut step = Step::ok("tls", &text)
        .line(&format!("cipher suite: {}", facts.suite))
        .line(&format!("key exchange: {key_exchange}"))
        .detail("address", facts.address.to_string())
        .detail("version", facts.version.to_string())
        .detail("suite", facts.suite.as_str())
        .detail("group", facts.group.as_str())
        .detail("alpn", facts.alpn.clone())
        .detail("post_quantum", facts.post_quantum == PostQuantum::Negotiated)
        .detail("took_ms", millis(took));
    if let Some(alpn) = &facts.alpn {
        step = step.line(&format!("ALPN: {alpn}"));
    }
    match facts.client_certificate {
        ClientCertificateUse::NotAsked => step,
        ClientCertificateUse::Shown => step.line("client certificate: asked for and shown"),
        ClientCertificateUse::NotGiven => {
            step.line("client certificate: asked for, and there is none to show")
        }
    }
}

/// The chain as it was presented; without what cannot be read.
pub(super) fn presented(connection: &Connection) -> Vec<CertificateSummary> {
    // The path without its root is what was sent and used; what was sent besides is of no use to anybody.
    let sent = &connection.judged.chain;
    let path = connection.trusted.path.iter().zip(&connection.trusted.path_der);
    path.filter(|(_, der)| sent.contains(der)).map(|(summary, _)| summary.clone()).collect()
}

pub(super) fn chain(presented: &[CertificateSummary], address: SocketAddr) -> Step {
    let count = match presented.len() {
        1 => "one certificate".to_owned(),
        count => format!("{count} certificates"),
    };
    let now = i64::try_from(aldis::net::clock::wall_now().as_secs()).unwrap_or(i64::MAX);
    let mut step = Step::ok("chain", &format!("{address} presents {count}."));
    for certificate in presented {
        let by =
            if certificate.subject == certificate.issuer { "itself" } else { certificate.issuer.as_str() };
        let validity =
            format!("valid {}", words::validity(certificate.not_before, certificate.not_after, now));
        step = step.line(&format!("{} {}", certificate.position, certificate.subject));
        for line in wrap(&format!("issued by {by}"), Step::WIDTH_BELOW - 2)
            .iter()
            .chain(&wrap(&validity, Step::WIDTH_BELOW - 2))
        {
            step = step.laid_out(&format!("  {line}"));
        }
    }
    step.detail("presented", serde_json::to_value(presented).unwrap_or(Value::Null))
}

pub(super) fn proof(trusted: &Trusted) -> Step {
    let now = i64::try_from(aldis::net::clock::wall_now().as_secs()).unwrap_or(i64::MAX);
    let expires = i64::try_from(trusted.expires.as_secs()).unwrap_or(i64::MAX);
    let until = format!("{} ({})", when::minute(expires), when::from_now(expires, now));
    let text = format!("The server proves to be {}, by {}.", trusted.reference, words::matched(trusted));
    let root = trusted.path.last().map(|root| root.subject.as_str()).unwrap_or_default();
    let is_soon = expires - now < SOON;
    let step = if is_soon { Step::warn("trust", &text) } else { Step::ok("trust", &text) };
    let step = step
        .line(&format!("trusted root: {root}"))
        .line(&format!("until: {until}"))
        .detail("matched", trusted.matched.by.as_str())
        .detail("value", trusted.matched.value.as_str())
        .detail("root", root)
        .detail("expires", when::rfc3339(expires));
    if is_soon { step.advice("Whoever runs the server has to renew its certificate now.") } else { step }
}

pub(super) fn revocation(trusted: &Trusted) -> Step {
    let detail = |step: Step| step.detail("status", trusted.revocation.as_str());
    match trusted.revocation {
        RevocationStatus::Proven => {
            detail(Step::ok("revocation", "It is proven that no certificate of the path was withdrawn."))
        }
        RevocationStatus::NotChecked => {
            detail(Step::ok("revocation", "Not looked for, as you said (--revocation off)."))
        }
        RevocationStatus::Unproven => {
            let mut step = Step::warn(
                "revocation",
                "Whether a certificate of the path was withdrawn is not known; the account accepts that.",
            );
            let mut list = Vec::new();
            for one in &trusted.unproven {
                let subject = trusted.path.get(one.index).map(|c| c.subject.as_str()).unwrap_or_default();
                let places: Vec<&str> =
                    one.crl_urls.iter().chain(&one.ocsp_urls).map(String::as_str).collect();
                let where_to = match places.as_slice() {
                    [] => "its issuer publishes nothing about that".to_owned(),
                    places => format!("its issuer publishes that at {}", places.join(", ")),
                };
                step = step.line(&format!("{subject}: {where_to}"));
                list.push(json!({"subject": subject, "crl_urls": one.crl_urls, "ocsp_urls": one.ocsp_urls}));
            }
            let unknown =
                || trusted.warnings.iter().filter(|warning| warning.code == Code::RevocationUnknown);
            // What is said above of an issuer that publishes nothing is not said again.
            let asked =
                trusted.unproven.iter().any(|one| !one.crl_urls.is_empty() || !one.ocsp_urls.is_empty());
            let mut said: Vec<&str> =
                unknown().map(|warning| warning.found.as_str()).filter(|_| asked).collect();
            said.dedup();
            for found in said {
                step = step.line(&format!("found: {found}"));
            }
            let advice = unknown().next().map(|warning| warning.advice.as_str()).unwrap_or_default();
            detail(step.detail("unproven", list)).advice(advice)
        }
    }
}

/// The evidence of a finding, below its step.
pub(super) fn evidence(step: Step, finding: &Finding) -> Step {
    let mut step = step;
    let about =
        finding.certificate.as_ref().map(|certificate| certificate.subject.as_str()).unwrap_or_default();
    for (label, text) in [
        ("certificate", about),
        ("expected", finding.expected.as_str()),
        ("found", finding.found.as_str()),
        ("what to do", finding.advice.as_str()),
        ("who", words::who(finding.who)),
    ] {
        for (index, line) in wrap(text, Step::WIDTH_BELOW - EVIDENCE).iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            step = step.laid_out(&format!("{label:EVIDENCE$}{line}"));
        }
    }
    let value = serde_json::to_value(finding).unwrap_or(Value::Null);
    step.detail("finding", value)
}

/// How wide the labels of evidence are.
const EVIDENCE: usize = 13;
