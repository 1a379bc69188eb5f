//! The TLS handshake with one place: what it settled, what the server presented, and whether that proves the identity.

use super::account::sentence;
use super::evidence::{chain, evidence, presented, proof, revocation, tls};
use super::places::{Place, millis};
use super::report::{Report, Step};
use super::strangers::{self, Stranger, Upto};
use crate::failure::Failure;
use crate::trust::words;
use aldis::net::{
    ClientCertificateUse, ConnectFailure, ConnectRequest, Connection, PostQuantum, Route, TlsCause,
    Untrusted, connect,
};
use aldis::trust::{Code, Verdict};
use aldis::{Connected, ConnectionState, Event};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout};

/// How long a server may take to refuse the lack of a client certificate.
const REFUSAL_LIMIT: Duration = Duration::from_secs(1);

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
        Ok(mut connection) => {
            for refused in &connection.refused {
                tell_refusal(refused, true, report)?;
            }
            tell_connection(&connection, took, report)?;
            if connection.facts.client_certificate == ClientCertificateUse::NotGiven
                && let Some(step) = after_the_question(&mut connection, found).await
            {
                report.tell(&step)?;
                return Ok(Met::NoTls);
            }
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

/// What a server says that asked for a client certificate and got none: in TLS 1.3 its refusal comes after our side of
/// the handshake has ended (RFC 8446 §4.4.2.4). A server that accepts that says nothing, and has been asked nothing.
async fn after_the_question(connection: &mut Connection, found: bool) -> Option<Step> {
    let mut byte = [0];
    let cause = match timeout(REFUSAL_LIMIT, connection.stream.read(&mut byte)).await {
        Err(_) | Ok(Ok(1..)) => return None,
        Ok(Ok(0)) => TlsCause::Closed,
        Ok(Err(error)) => TlsCause::of(&error),
    };
    let address = connection.facts.address;
    let text = match cause {
        TlsCause::ClientCertificate { .. } => {
            format!("{address} demands a client certificate, and there is none to show.")
        }
        _ => {
            format!("{address} asked for a client certificate, got none, and ended the connection: {cause}.")
        }
    };
    let advice = "Give the certificate that the server's administrator issued with --client-cert and --client-key, \
        or --pkcs12.";
    Some(grave("tls", found, &text).detail("cause", cause.to_string()).advice(advice))
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
    let upto = match cause {
        TlsCause::NotTls => Some(Upto::Tls12),
        TlsCause::Version => Some(Upto::Tls11),
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
    report.event(&Event::Connection {
        state: ConnectionState::Connected(Arc::new(Connected {
            address: facts.address,
            target: connection.target.clone(),
            tls: facts.clone(),
            reference: trusted.reference.clone(),
            matched: trusted.matched.clone(),
            expires: trusted.expires.as_secs(),
            warnings: trusted.warnings.clone(),
        })),
        reg_id: 1,
    })
}
