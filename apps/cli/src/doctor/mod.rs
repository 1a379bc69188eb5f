//! `aldis doctor`: connects step by step as a client would, and explains every step.
//!
//! The steps before trust send questions to DNS, TCP handshakes and TLS handshakes, and nothing of SIP. Every place that
//! DNS names is looked at, so that a spare server that would not do is found before it is needed; the end is what a
//! client meets, which takes the first place that proves itself.

mod account;
pub(crate) mod args;
mod evidence;
mod handshake;
mod places;
mod report;
mod strangers;

use self::args::Doctor;
use self::handshake::Met;
use self::places::Place;
use self::report::{Report, Step};
use crate::account::{Because, Examined, Ready, Stay, examine, prepare};
use crate::failure::{Exit, Failure, Outcome};
use crate::output::Output;
use aldis::net::{ConnectRequest, Connection};
use tokio::time::Instant;

/// Most places that are looked at.
const MAX_PLACES: usize = 6;

/// Examines a domain or an account.
///
/// # Errors
/// A usage failure before anything is done, or that of standard output.
pub(crate) async fn run(mut args: Doctor, out: &mut Output) -> Outcome {
    let examined = examine(&mut args.account, args.domain.as_deref(), out)?;
    // Everything that can be wrong in the settings is known before anybody is asked anything.
    let ready = match examined.account {
        Some(_) => Some(prepare(&args.account, Stay::Short, out)?),
        None => None,
    };
    let deadline = Instant::now() + examined.timeout;
    let mut report = Report { out };
    report.tell(&whom(&examined))?;
    let end = examine_all(&examined, ready, deadline, &mut report).await?;
    report.tell(&conclusion(&examined.request, end).detail("exit", end.exit() as u8))?;
    Ok(end.exit())
}

/// How the examination ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// No address answered, or there is none.
    Unreachable,
    /// Something answered, and TLS failed before there was a certificate to judge.
    NoTls,
    /// What answered did not prove to be the server.
    Untrusted,
    /// It is trusted; and what came of the account, if there is one.
    Trusted(Exit),
}

impl End {
    fn exit(self) -> Exit {
        match self {
            End::Unreachable | End::NoTls => Exit::Unreachable,
            End::Untrusted => Exit::Untrusted,
            End::Trusted(exit) => exit,
        }
    }

    /// Of two failures the one that matters more.
    fn or(self, other: End) -> End {
        match (self, other) {
            (End::Untrusted, _) | (_, End::Unreachable) => self,
            (End::NoTls, End::NoTls) => self,
            _ => other,
        }
    }
}

async fn examine_all(
    examined: &Examined,
    ready: Option<Ready>,
    deadline: Instant,
    report: &mut Report<'_>,
) -> Result<End, Failure> {
    let request = &examined.request;
    let places = match places::find(request, deadline, report).await? {
        Ok(places) => places,
        Err(end) => return Ok(end),
    };
    let connection = match connect(request, &places, deadline, report).await? {
        Ok(connection) => connection,
        Err(end) => return Ok(end),
    };
    match (ready, &examined.account) {
        (Some(ready), Some(address)) => {
            account::examine(ready, address, *connection, deadline, report).await.map(End::Trusted)
        }
        _ => Ok(End::Trusted(Exit::Done)),
    }
}

/// The first connection that is trusted; of the failures, the gravest.
async fn connect(
    request: &ConnectRequest,
    places: &[Place],
    deadline: Instant,
    report: &mut Report<'_>,
) -> Result<Result<Box<Connection>, End>, Failure> {
    let mut trusted = None;
    let mut end = End::Unreachable;
    for place in places.iter().take(MAX_PLACES) {
        if !places::addresses(request, place, places.len() > 1, deadline, report).await? {
            continue;
        }
        match handshake::examine(request, place, trusted.is_some(), deadline, report).await? {
            Met::Trusted(connection) => trusted = trusted.or(Some(connection)),
            Met::Untrusted => end = end.or(End::Untrusted),
            Met::NoTls => end = end.or(End::NoTls),
        }
    }
    if let Some(left) = places.len().checked_sub(MAX_PLACES).filter(|left| *left > 0) {
        report.tell(
            &Step::warn("dns", &format!("{left} more places were not looked at.")).detail("left_out", left),
        )?;
    }
    Ok(trusted.ok_or(end))
}

/// Whom the server must prove to be, and who may vouch for it.
fn whom(examined: &Examined) -> Step {
    let request = &examined.request;
    let because = match examined.because {
        Because::Domain => "the domain that you named",
        Because::Account => "the domain of the account",
        Because::Proxy => "the proxy that you named",
    };
    let identity = request.identity.to_string();
    let roots = request.policy.anchors.len();
    let vouching = match roots {
        0 => "No authority is trusted: every server will be refused.".to_owned(),
        1 => "One authority is trusted.".to_owned(),
        count => format!("{count} authorities are trusted."),
    };
    let text = format!("The server must prove to be {identity}, {because}.");
    let step = if roots == 0 { Step::warn("whom", &text) } else { Step::ok("whom", &text) };
    step.line(&vouching).detail("reference", identity).detail("roots", roots)
}

fn conclusion(request: &ConnectRequest, end: End) -> Step {
    let name = &request.identity;
    let fail = |text: &str| Step::fail("result", text);
    match end {
        End::Trusted(Exit::Done) => Step::ok("result", &format!("{name} can be reached, and is trusted.")),
        End::Trusted(Exit::Credentials) => fail(&format!("{name} is trusted, and refuses the credentials.")),
        End::Trusted(Exit::Rejected) => fail(&format!("{name} is trusted, and rejects the registration.")),
        End::Trusted(Exit::Unknown) => fail(&format!("{name} is trusted, and does not answer.")),
        End::Trusted(_) => fail(&format!("{name} is trusted, and registering failed all the same.")),
        End::Untrusted => fail(&format!(
            "No server proved to be {name}. Nothing was sent to what answered, and nothing would be: registering and sending \
             messages end here in the same way."
        )),
        End::NoTls => {
            fail(&format!("Something answers, but not with TLS that {name} could be trusted over."))
        }
        End::Unreachable => fail(&format!("No server for {name} could be reached.")),
    }
}
