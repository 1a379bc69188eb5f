//! Where the server may be: what DNS says, and which addresses answer.

use super::End;
use super::report::{Report, Step};
use crate::failure::Failure;
use crate::when;
use aldis::Event;
use aldis::net::{
    Candidates, ConnectRequest, Host, Origin, Pace, Question, Reason, Resolution, ResolveError, Route,
    Target, connect_tcp, srv,
};
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// How long one address is waited for.
const TCP_LIMIT: Duration = Duration::from_secs(5);

/// A place to look at.
#[derive(Debug)]
pub(super) struct Place {
    pub target: Target,
}

/// Asks DNS where the server is.
///
/// # Errors
/// When standard output does not take the report.
pub(super) async fn find(
    request: &ConnectRequest,
    deadline: Instant,
    report: &mut Report<'_>,
) -> Result<Result<Vec<Place>, End>, Failure> {
    let port = match &request.route {
        Route::Given(places) => {
            let targets: Vec<Target> =
                places.iter().map(|(host, port)| Target::given(host.clone(), *port)).collect();
            let step = Step::ok("dns", "Not asked where the server is: you named the address.");
            report.tell(&listed(step, &targets))?;
            return Ok(Ok(targets.into_iter().map(|target| Place { target }).collect()));
        }
        Route::Discover { port } => *port,
    };
    report.event(&Event::Connection { state: aldis::ConnectionState::Resolving, reg_id: 1 })?;
    let host = Host::from(&request.identity);
    let begun = Instant::now();
    let mut draw = srv::system_draw;
    let search = request.resolver.targets(&host, port, &mut draw);
    let found =
        timeout_at(deadline, search).await.unwrap_or(Err(ResolveError::Timeout { asked: Vec::new() }));
    match found {
        Ok(resolution) => {
            let step =
                Step::ok("dns", &heading(&resolution, &host)).detail("took_ms", millis(begun.elapsed()));
            report.tell(&listed(asked(step, &resolution.asked), &resolution.targets))?;
            Ok(Ok(resolution.targets.into_iter().map(|target| Place { target }).collect()))
        }
        Err(error) => {
            report.tell(&failed("dns", &error, begun.elapsed()))?;
            Ok(Err(End::Unreachable))
        }
    }
}

fn failed(name: &'static str, error: &ResolveError, took: Duration) -> Step {
    let mut text = super::account::sentence(&error.to_string());
    if matches!(error, ResolveError::Timeout { .. }) {
        text.push_str(&format!(" That took {}.", when::span(took.as_secs())));
    }
    Step::fail(name, &text).advice(error.advice()).detail("took_ms", millis(took))
}

fn heading(resolution: &Resolution, host: &Host) -> String {
    let count = match resolution.targets.len() {
        1 => "one place".to_owned(),
        count => format!("{count} places, tried in this order"),
    };
    match resolution.targets.first().map(|target| &target.origin) {
        Some(Origin::Srv { service, naptr: true, .. }) => {
            format!("{host} names its SIP service by NAPTR, and {service} leads to {count}.")
        }
        Some(Origin::Srv { service, .. }) => format!("{service} leads to {count}."),
        Some(Origin::Literal) => "Nothing to ask: it is an address.".to_owned(),
        Some(Origin::Port) => "A port is given, so that only the name's addresses are asked for.".to_owned(),
        Some(Origin::HostsFile) => {
            format!("{host} is in this computer's hosts file, so that DNS is not asked.")
        }
        Some(Origin::Fallback) => {
            format!("{host} has no SRV records for SIP over TLS: its own addresses are tried, on port 5061.")
        }
        Some(Origin::Unasked(why)) => format!("{host}'s own addresses are tried, on port 5061: {why}."),
        _ => format!("{host} is at {count}."),
    }
}

fn asked(step: Step, questions: &[Question]) -> Step {
    let list: Vec<String> = questions.iter().map(Question::to_string).collect();
    let step = if list.is_empty() { step } else { step.line(&format!("asked: {}", list.join(", "))) };
    step.detail("asked", list)
}

fn listed(mut step: Step, targets: &[Target]) -> Step {
    let mut list = Vec::new();
    for target in targets {
        let mut entry =
            json!({"host": target.host.to_string(), "port": target.port, "origin": origin(&target.origin)});
        let mut line = target.to_string();
        if let Origin::Srv { priority, weight, .. } = &target.origin {
            line.push_str(&format!("  (priority {priority}, weight {weight})"));
            if let Value::Object(entry) = &mut entry {
                entry.insert("priority".into(), (*priority).into());
                entry.insert("weight".into(), (*weight).into());
            }
        }
        step = step.line(&line);
        list.push(entry);
    }
    step.detail("targets", list)
}

fn origin(origin: &Origin) -> &'static str {
    match origin {
        Origin::Given => "given",
        Origin::Literal => "literal",
        Origin::Port => "port",
        Origin::HostsFile => "hosts-file",
        Origin::Srv { naptr: true, .. } => "naptr",
        Origin::Srv { .. } => "srv",
        Origin::Fallback => "fallback",
        Origin::Unasked(_) => "srv-not-asked",
        _ => "other",
    }
}

/// Asks for the addresses of a place, and which of them answer. Whether one does.
///
/// # Errors
/// When standard output does not take the report.
pub(super) async fn addresses(
    request: &ConnectRequest,
    place: &Place,
    is_one_of_several: bool,
    deadline: Instant,
    report: &mut Report<'_>,
) -> Result<bool, Failure> {
    let target = &place.target;
    let begun = Instant::now();
    let search = timeout_at(deadline, request.resolver.addresses(&target.host));
    let unanswered = || ResolveError::Timeout { asked: Vec::new() };
    let addresses = match search.await.unwrap_or_else(|_| Err(unanswered())) {
        Ok(addresses) => addresses,
        Err(error) => {
            report.tell(
                &failed("addresses", &error, begun.elapsed()).detail("host", target.host.to_string()),
            )?;
            return Ok(false);
        }
    };
    if let Host::Name(name) = &target.host {
        let list: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
        let text = format!("{name} is {}.", list.join(", "));
        let step = Step::ok("addresses", &text).detail("host", name.as_str()).detail("addresses", list);
        report.tell(&step.detail("took_ms", millis(begun.elapsed())))?;
    }
    report.event(&Event::Connection { state: aldis::ConnectionState::Connecting, reg_id: 1 })?;
    let mut any = false;
    let attempts = try_all(&addresses, target.port, deadline.min(Instant::now() + TCP_LIMIT)).await;
    let all_fail = attempts.iter().all(|(_, result)| result.is_err());
    for (address, result) in attempts {
        any |= result.is_ok();
        // A client finds the others; only a person wants to know.
        report.tell(&attempt(address, result, all_fail && !is_one_of_several))?;
    }
    Ok(any)
}

type Attempt = (SocketAddr, Result<Duration, Reason>);

/// Every address at once, each by itself: how long it took, or why not. In the order of the addresses.
async fn try_all(addresses: &[IpAddr], port: u16, deadline: Instant) -> Vec<Attempt> {
    let mut attempts = JoinSet::new();
    for (index, address) in addresses.iter().enumerate() {
        let address = SocketAddr::new(*address, port);
        attempts.spawn(async move {
            let begun = Instant::now();
            let mut candidates = Candidates::known([address]);
            let result = match connect_tcp(&mut candidates, &Pace::default(), deadline).await {
                Ok(_) => Ok(begun.elapsed()),
                Err(error) => Err(error.attempts.first().map_or(Reason::TimedOut, |attempt| attempt.reason)),
            };
            (index, (address, result))
        });
    }
    let mut results: Vec<(usize, Attempt)> = attempts.join_all().await;
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, attempt)| attempt).collect()
}

fn attempt(address: SocketAddr, result: Result<Duration, Reason>, is_the_end: bool) -> Step {
    let step = match result {
        Ok(took) => {
            return Step::ok("tcp", &format!("{address} answers ({}).", shown(took)))
                .detail("address", address.to_string())
                .detail("took_ms", millis(took));
        }
        Err(reason) => {
            let text = format!("{address}: {reason}.");
            let step = if is_the_end { Step::fail("tcp", &text) } else { Step::warn("tcp", &text) };
            step.detail("why", reason.to_string()).advice(match reason {
                Reason::Refused => {
                    "Check that the server runs and that this is its port for TLS (mostly 5061)."
                }
                Reason::TimedOut => {
                    "Check that the server runs; a firewall may drop what is sent to this port."
                }
                Reason::Unreachable => "Check this device's network; it may lack this family of addresses.",
                Reason::Forbidden => "Allow the program to use the network in this device's firewall.",
                _ => "Look at the server's log.",
            })
        }
    };
    step.detail("address", address.to_string())
}

/// A time as people compare them.
pub(super) fn shown(time: Duration) -> String {
    let millis = millis(time);
    if millis < 10.0 { format!("{millis:.1} ms") } else { format!("{millis:.0} ms") }
}

/// In milliseconds, to the tenth.
pub(super) fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}
