//! The TLS handshake with one place: what it settled, what the server presented, and whether that proves the identity.

use super::account::sentence;
use super::places::{Place, millis, shown};
use super::report::{Report, Step};
use super::strangers::{self, Stranger, Upto};
use crate::failure::Failure;
use crate::layout::wrap;
use crate::trust::words;
use crate::when;
use aldis::net::{
    ClientCertificateUse, ConnectFailure, ConnectRequest, Connection, PostQuantum, Route, TlsCause, TlsFacts,
    TlsVersion, Untrusted, connect,
};
use aldis::trust::{CertificateSummary, Code, Finding, RevocationStatus, Trusted, Verdict};
use aldis::{Connected, ConnectionState, Event};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long before the end of a chain somebody should know, in seconds: two weeks.
const SOON: i64 = 14 * 86_400;

/// What a place turned out to be.
pub(super) enum Met {
    Trusted(Box<Connection>),
    Untrusted,
    NoTls,
}

/// Shakes hands and tells everything about it. `found` says that a trusted server was found before, so that this one
/// matters less.
///
/// # Errors
/// When standard output does not take the report.
pub(super) async fn examine(
    request: &ConnectRequest,
    place: &Place,
    found: bool,
    deadline: Instant,
    report: &mut Report<'_>,
) -> Result<Met, Failure> {
    let target = &place.target;
    let mut here = request.clone();
    here.route = Route::Given(vec![(target.host.clone(), target.port)]);
    here.deadlines.total = deadline.saturating_duration_since(Instant::now());
    let begun = Instant::now();
    let result = connect(&here).await;
    let took = begun.elapsed();
    match result {
        Ok(connection) => {
            for refused in &connection.refused {
                tell_refusal(refused, true, report)?;
            }
            tell_connection(&connection, took, report)?;
            Ok(Met::Trusted(Box::new(connection)))
        }
        Err(ConnectFailure::Untrusted(refused)) => {
            tell_refusal(&refused, found, report)?;
            Ok(Met::Untrusted)
        }
        Err(ConnectFailure::Tls { cause, address, .. }) => {
            let step = no_tls(&cause, address, request, found, deadline).await;
            report.tell(&step.detail("address", address.to_string()).detail("took_ms", millis(took)))?;
            Ok(Met::NoTls)
        }
        Err(failure) => {
            let text = sentence(&failure.to_string());
            report.tell(&grave("tcp", found, &text).advice(&failure.advice()))?;
            Ok(Met::NoTls)
        }
    }
}

/// A failure, or a warning if a client does without this place.
fn grave(name: &'static str, found: bool, text: &str) -> Step {
    if found { Step::warn(name, text) } else { Step::fail(name, text) }
}

/// Why there is no TLS, with a look at what is there instead.
async fn no_tls(
    cause: &TlsCause,
    address: SocketAddr,
    request: &ConnectRequest,
    found: bool,
    deadline: Instant,
) -> Step {
    let demands_13 = request.tls.min_version() == TlsVersion::Tls13 || request.tls.require_post_quantum;
    let upto = match cause {
        TlsCause::NotTls => Some(Upto::Tls12),
        TlsCause::Version if !demands_13 => Some(Upto::Tls11),
        TlsCause::NothingInCommon => Some(Upto::Tls12),
        _ => None,
    };
    let stranger = match upto {
        Some(upto) => strangers::look(address, &request.identity, upto, deadline).await,
        None => Stranger::Nothing,
    };
    let text = match (cause, &stranger) {
        (TlsCause::NotTls, Stranger::Talks(kind, line)) => {
            format!("{address} does not speak TLS: it is {kind}. It said: {line}")
        }
        (TlsCause::Version, Stranger::Tls { version, .. }) => {
            format!(
                "{address} speaks nothing newer than {}, which is not secure any more.",
                strangers::version_name(*version)
            )
        }
        (TlsCause::Version, _) if demands_13 => {
            format!("{address} does not speak TLS 1.3, which you demand.")
        }
        (TlsCause::NothingInCommon, Stranger::Tls { suite, .. }) => {
            format!(
                "{address} accepts none of the cipher suites that are secure; of older ones it chose {}.",
                strangers::suite_name(*suite)
            )
        }
        _ => format!("No TLS with {address}: {}.", sentence_part(&cause.to_string())),
    };
    grave("tls", found, &text).detail("cause", cause.to_string()).advice(cause.advice())
}

fn sentence_part(text: &str) -> &str {
    text.trim_end_matches('.')
}

fn tell_refusal(refused: &Untrusted, found: bool, report: &mut Report<'_>) -> Result<(), Failure> {
    report.event(&Event::Untrusted {
        verdict: Arc::new((*refused.verdict).clone()),
        address: refused.address,
    })?;
    let Verdict::Refused(verdict) = &*refused.verdict else { return Ok(()) };
    report.tell(&chain(&verdict.presented, refused.address))?;
    for (index, finding) in verdict.findings.iter().enumerate() {
        if let Some(repeated) = words::repeated(&verdict.findings, index) {
            let step = grave("trust", found, &format!("And the same of {repeated}."));
            report.tell(&step.detail("finding", serde_json::to_value(finding).unwrap_or(Value::Null)))?;
            continue;
        }
        let text = if index == 0 {
            format!("{} is refused. {}", refused.address, finding.code.meaning())
        } else {
            format!("And: {}", finding.code.meaning())
        };
        report.tell(&evidence(grave("trust", found, &text), finding))?;
    }
    Ok(())
}

/// The evidence of a finding, below its step.
fn evidence(step: Step, finding: &Finding) -> Step {
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

fn tell_connection(connection: &Connection, took: Duration, report: &mut Report<'_>) -> Result<(), Failure> {
    let (facts, trusted) = (&connection.facts, &connection.trusted);
    report.tell(&tls(facts, took))?;
    if let PostQuantum::GivenUp(cause) = &facts.post_quantum {
        let text = "The first attempt, which offered a post-quantum key exchange, failed; the second, without it, \
            succeeded.";
        let advice = "A firewall or border controller may cut a ClientHello that fills two packets; its administrator \
            should update it.";
        report.tell(&Step::warn("tls", text).line(&format!("why: {cause}")).advice(advice))?;
    }
    report.tell(&chain(&presented(connection), facts.address))?;
    report.tell(&proof(trusted))?;
    for warning in &trusted.warnings {
        if warning.code != Code::RevocationUnknown {
            report.tell(&evidence(Step::warn("trust", warning.code.meaning()), warning))?;
        }
    }
    report.tell(&revocation(trusted))?;
    report.event(&Event::Connection(ConnectionState::Connected(Arc::new(Connected {
        address: facts.address,
        tls: facts.clone(),
        reference: trusted.reference.clone(),
        matched: trusted.matched.clone(),
        expires: trusted.expires.as_secs(),
        warnings: trusted.warnings.clone(),
    }))))
}

fn tls(facts: &TlsFacts, took: Duration) -> Step {
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
fn presented(connection: &Connection) -> Vec<CertificateSummary> {
    // The path without its root is what was sent and used; what was sent besides is of no use to anybody.
    let sent = &connection.judged.chain;
    let path = connection.trusted.path.iter().zip(&connection.trusted.path_der);
    path.filter(|(_, der)| sent.contains(der)).map(|(summary, _)| summary.clone()).collect()
}

fn chain(presented: &[CertificateSummary], address: SocketAddr) -> Step {
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

fn proof(trusted: &Trusted) -> Step {
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

fn revocation(trusted: &Trusted) -> Step {
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
            detail(step.detail("unproven", list))
                .advice("Give the issuer's list with --crl, or ask the server's administrator to staple an OCSP answer.")
        }
    }
}
