//! What the trusted server says to the account: OPTIONS on the connection that was examined, then REGISTER as a client
//! does it, with an instance of its own.

use super::places::{millis, shown};
use super::report::{Report, Step};
use crate::account::Ready;
use crate::ending;
use crate::failure::{Exit, Failure};
use crate::printable;
use crate::signals::Interrupts;
use aldis::net::{Connection, Stream, TlsCause};
use aldis::{ConnectionState, Event, Phone, RegistrationState};
use aldis_sip::fields::{CSeq, CallId, From, MaxForwards, To, Via};
use aldis_sip::{Frame, Framer, Header, Judgement, Message, Method, NameAddr, Params, Scheme, Uri, Writer};
use bytes::{Bytes, BytesMut};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

/// How long the answer to OPTIONS is waited for: some servers never answer it, and a client does not need it.
const OPTIONS_LIMIT: Duration = Duration::from_secs(5);

/// Asks and registers.
///
/// # Errors
/// When standard output does not take the report, or for a bug.
pub(super) async fn examine(
    ready: Ready,
    address: &Uri<'static>,
    connection: Connection,
    deadline: Instant,
    report: &mut Report<'_>,
) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let asked = options(connection, address, deadline.min(begun + OPTIONS_LIMIT)).await;
    report.tell(&answered(asked, begun.elapsed()))?;
    register(ready, deadline, report).await
}

/// Why OPTIONS brought no answer.
enum NoAnswer {
    TimedOut,
    Broken(TlsCause),
    /// It could not be written; a bug.
    Unwritable,
    /// What came is no response.
    NotSip,
}

async fn options(
    connection: Connection,
    address: &Uri<'static>,
    deadline: Instant,
) -> Result<Message, NoAnswer> {
    let mut stream = connection.stream;
    let local = stream.get_ref().0.local_addr().map_err(|error| NoAnswer::Broken(TlsCause::of(&error)))?;
    let request = request(address, local).ok_or(NoAnswer::Unwritable)?;
    let answer =
        timeout_at(deadline, exchange(&mut stream, &request)).await.unwrap_or(Err(NoAnswer::TimedOut));
    // Politeness; the connection ends in any case.
    let _ = timeout_at(deadline, stream.shutdown()).await;
    answer
}

fn request(address: &Uri<'static>, local: SocketAddr) -> Option<Bytes> {
    let scheme = if address.scheme() == Scheme::Sips { "sips" } else { "sip" };
    let server = Uri::parse(format!("{scheme}:{}", address.host()?)).ok()?;
    let random = Uuid::new_v4().simple().to_string();
    let branch = format!("z9hG4bK{random}");
    let via = Params::none().with("branch", Some(&branch)).ok()?.with("rport", None).ok()?;
    let tag = Params::none().with("tag", random.get(..16)).ok()?;
    let writer = Writer::request(&Method::Options, &server)
        .field(Header::Via, &Via::tls(local, via))
        .field(Header::MaxForwards, &MaxForwards(70))
        .field(Header::From, &From(NameAddr::new(address.clone()).with_params(tag)))
        .field(Header::To, &To(NameAddr::new(server.clone())))
        .field(Header::CallId, &CallId::from_bytes(Uuid::new_v4().as_bytes()))
        .field(Header::CSeq, &CSeq { number: 1, method: Method::Options })
        .literal(Header::Accept, "application/sdp")
        .literal(Header::UserAgent, concat!("Aldis/", env!("CARGO_PKG_VERSION"), " (doctor)"));
    Some(writer.finish(b""))
}

async fn exchange(stream: &mut Stream, request: &[u8]) -> Result<Message, NoAnswer> {
    let broken = |error: std::io::Error| NoAnswer::Broken(TlsCause::of(&error));
    stream.write_all(request).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    let (mut framer, mut bytes) = (Framer::new(), BytesMut::new());
    loop {
        bytes.clear();
        bytes.reserve(4096);
        if stream.read_buf(&mut bytes).await.map_err(broken)? == 0 {
            return Err(NoAnswer::Broken(TlsCause::Closed));
        }
        framer.push(&bytes);
        while let Some(frame) = framer.next() {
            match frame {
                Frame::Judged(Judgement::Message(message)) if is_final(&message) => return Ok(message),
                Frame::Judged(Judgement::Drop(_) | Judgement::Close(_)) => return Err(NoAnswer::NotSip),
                // A provisional response, or a request of the server's, which finds nobody here.
                _ => {}
            }
        }
    }
}

fn is_final(message: &Message) -> bool {
    message.status().is_some_and(|status| status.code() >= 200)
}

fn answered(asked: Result<Message, NoAnswer>, took: Duration) -> Step {
    let advice = "A client does without it. If registering fails too, look at the server's log.";
    match asked {
        Ok(message) => {
            let status = message.status().map(|status| status.code()).unwrap_or_default();
            let text = match status {
                200..=299 => format!("The server speaks SIP: it answers OPTIONS with {status} ({}).", shown(took)),
                401 | 407 => format!("The server speaks SIP: it asks who we are ({status}, {}).", shown(took)),
                _ => format!("The server speaks SIP: it answers OPTIONS with {status} ({}).", shown(took)),
            };
            let mut step = Step::ok("options", &text).detail("status", status).detail("took_ms", millis(took));
            for (header, label) in [
                (Header::Server, "server"),
                (Header::UserAgent, "server"),
                (Header::Allow, "methods"),
                (Header::Supported, "extensions"),
            ] {
                if let Some(value) = message.value(header) {
                    step = step.line(&format!("{label}: {value}")).detail(label, printable::line(value).into_owned());
                }
            }
            step
        }
        Err(NoAnswer::TimedOut) => {
            Step::warn("options", "The server does not answer OPTIONS.").advice(advice)
        }
        Err(NoAnswer::Broken(cause)) => {
            let text = format!("The server did not answer OPTIONS: {cause}.");
            Step::warn("options", &text).advice(cause.advice())
        }
        Err(NoAnswer::NotSip) => Step::warn(
            "options",
            "What the server answers is not SIP: this may be the port of another service that has the same certificate.",
        )
        .advice("Check the port: SIP over TLS is mostly on 5061."),
        Err(NoAnswer::Unwritable) => Step::warn("options", "No OPTIONS could be written for this address."),
    }
}

/// Registers, and removes what it registered.
async fn register(ready: Ready, deadline: Instant, report: &mut Report<'_>) -> Result<Exit, Failure> {
    let internal = |error: &dyn std::fmt::Display| Failure::new(Exit::Internal, error);
    let mut interrupts = Interrupts::catch().map_err(|error| internal(&error))?;
    let begun = Instant::now();
    let phone = Phone::start(ready.config).map_err(|error| internal(&error))?;
    phone.register();
    let outcome = tokio::select! {
        outcome = registered(&phone, deadline, report) => outcome?,
        () = interrupts.next() => Err(Failure::new(Exit::Done, "Interrupted.")),
    };
    let step = match &outcome {
        Ok(step_text) => Step::ok("register", &format!("{step_text} ({}).", shown(begun.elapsed()))),
        Err(failure) if failure.exit == Exit::Done => Step::warn("register", &failure.advice),
        Err(failure) => Step::fail("register", &failure.advice),
    };
    report.tell(&step.detail("took_ms", millis(begun.elapsed())))?;
    end(&phone, &mut interrupts, report).await?;
    Ok(outcome.map_or_else(|failure| failure.exit, |_| Exit::Done))
}

/// The first outcome: what was registered, or why not.
async fn registered(
    phone: &Phone,
    deadline: Instant,
    report: &mut Report<'_>,
) -> Result<Result<String, Failure>, Failure> {
    const UNKNOWN: &str = "Whether it has registered this device is not known.";
    let mut connected = false;
    loop {
        let event = match timeout_at(deadline, phone.next_event()).await {
            Ok(Some(event)) => event,
            Ok(None) => {
                return Err(Failure::new(Exit::Internal, "The phone has stopped by itself; this is a bug."));
            }
            Err(_) if connected => return Ok(Err(ending::no_answer(UNKNOWN))),
            Err(_) => return Ok(Err(ending::no_connection_in_time(None))),
        };
        report.event(&event)?;
        match event {
            Event::Registration {
                state: RegistrationState::Registered { expires_in, outbound, .. }, ..
            } => {
                let how = if outbound { ", with outbound (RFC 5626)" } else { "" };
                return Ok(Ok(format!("Registered for {} s{how}", expires_in.as_secs())));
            }
            Event::Registration { state: RegistrationState::Failed { why, status, .. }, .. } => {
                return Ok(Err(ending::registration(&why, status)));
            }
            Event::Connection { state: ConnectionState::BackingOff { .. }, .. } if connected => {
                return Ok(Err(ending::no_answer(UNKNOWN)));
            }
            Event::Connection { state: ConnectionState::BackingOff { why, .. }, .. } => {
                return Ok(Err(ending::no_connection(&why)));
            }
            Event::Connection { state: ConnectionState::Connected(_), .. } => connected = true,
            _ => {}
        }
    }
}

/// Removes the binding; a second signal ends the process at once.
async fn end(phone: &Phone, interrupts: &mut Interrupts, report: &mut Report<'_>) -> Result<(), Failure> {
    let mut told = Ok(());
    let events = async {
        let mut removed = false;
        while let Some(event) = phone.next_event().await {
            removed |= matches!(event, Event::Registration { state: RegistrationState::Unregistered, .. });
            if told.is_ok() {
                told = report.event(&event);
            }
        }
        removed
    };
    let removed = tokio::select! {
        ((), removed) = async { tokio::join!(phone.shut_down(), events) } => removed,
        () = interrupts.abandon() => false,
    };
    told?;
    if removed {
        report.tell(&Step::ok(
            "register",
            "Unregistered again: only this command's own registration was removed.",
        ))?;
    }
    Ok(())
}

/// Words of a library as a sentence.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.trim_end_matches('.').chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", chars.as_str())
}
