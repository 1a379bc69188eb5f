//! `aldis send`.

use super::finish;
use crate::account::{self, Ready, Stay};
use crate::args;
use crate::ending;
use crate::failure::{Exit, Failure, Outcome};
use crate::output::Output;
use crate::printable;
use crate::session::{Next, Session, Steps, storage};
use crate::tell;
use aldis::{
    ConnectionState, Event, MessageFailure, MessageId, Outgoing, OutgoingState, SendError, SendRefused,
    Trouble, UnknownReason,
};
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;
use tokio::time::Instant;

/// What is sent when nobody says.
const PLAIN: &str = "text/plain";

/// Sends one message and waits for its final state.
///
/// # Errors
/// When it was not accepted, or nobody knows.
pub(crate) async fn run(args: &args::Send, out: &mut Output) -> Outcome {
    let receipts = args.request_receipts;
    let ready = account::prepare(&args.account, Stay::Short, out)?;
    refuse_what_is_not_there(args, &ready)?;
    let to = account::recipient(&args.to, &ready.address).map_err(Failure::usage)?;
    let mut message = message(args, &ready, out)?;
    if receipts {
        message = message.request_receipts();
    }
    let deadline = Instant::now() + ready.timeout;
    let mut session = Session::start(ready.config, Steps::AreProgress, out)?;
    // Who is not registered gets no receipts.
    if ready.register_to_send || receipts {
        session.phone.register();
    }
    let outcome = match session.phone.send(to.as_str(), message).await {
        Ok(id) => wait(&mut session, id, receipts, deadline, args.queue).await,
        Err(error) => Err(refused(&error)),
    };
    finish(session, outcome).await
}

/// Waits for the final state, or makes it one when the time is over.
async fn wait(
    session: &mut Session<'_>,
    id: MessageId,
    receipts: bool,
    deadline: Instant,
    queue: bool,
) -> Outcome {
    let (mut withdrawn, mut last_trouble, mut accepted) = (None, None, false);
    // It stays in the outbox if nothing of it has left.
    let mut stays = queue;
    loop {
        // Withdrawing has an outcome at once; the time for it is only a guard.
        let until = if withdrawn.is_some() { Instant::now() + WITHDRAWING } else { deadline };
        let event = match session.next(Some(until)).await? {
            Next::Event(event) => event,
            Next::TimedOut | Next::Interrupted if accepted => return Err(ending::unknown(NO_RECEIPT)),
            Next::TimedOut if withdrawn.is_some() => {
                return Err(Failure::new(
                    Exit::Internal,
                    "The phone does not say what became of the message.",
                ));
            }
            Next::TimedOut | Next::Interrupted if stays => return Err(queued(last_trouble.as_ref())),
            Next::TimedOut => {
                withdrawn = Some(ending::no_connection_in_time(last_trouble.as_ref()));
                session.phone.withdraw(id);
                continue;
            }
            Next::Interrupted => {
                withdrawn = Some(Failure::new(Exit::Unreachable, "Interrupted; the message was not sent."));
                session.phone.withdraw(id);
                continue;
            }
        };
        match event {
            Event::Outgoing { id: whose, to, state } if whose == id => match state {
                OutgoingState::Accepted { status, receipts: may_come } => {
                    if !session.out.is_json() {
                        session.out.line(&tell::accepted(&printable::line(to.as_str()), status))?;
                    }
                    match (receipts, may_come) {
                        (false, _) => return Ok(Exit::Done),
                        (true, true) => accepted = true,
                        (true, false) => return Err(ending::unknown(NO_RECEIPTS_THERE)),
                    }
                }
                OutgoingState::Delivered | OutgoingState::Displayed => {
                    if !session.out.is_json() {
                        session.out.line(&format!("delivered to {}", printable::line(to.as_str())))?;
                    }
                    return Ok(Exit::Done);
                }
                OutgoingState::Failed { why: MessageFailure::Withdrawn, .. } if withdrawn.is_some() => {
                    return Err(withdrawn.unwrap_or_else(|| Failure::silent(Exit::Unreachable)));
                }
                OutgoingState::Failed { why, status } => return Err(ending::message(&why, status)),
                OutgoingState::Unknown { why: UnknownReason::Stopped, .. } => {
                    return Err(ending::unknown(NO_ANSWER));
                }
                OutgoingState::Unknown { why, .. } => return Err(ending::unknown(&why.to_string())),
                OutgoingState::Sending => stays = false,
                OutgoingState::Queued => {}
            },
            // What cannot pass by itself is not waited for.
            Event::Connection { state: ConnectionState::BackingOff { why, .. }, .. }
                if withdrawn.is_none() && !may_pass(&why) =>
            {
                if stays {
                    session.will_tell();
                    return Err(queued(Some(&why)));
                }
                withdrawn = Some(ending::no_connection(&why));
                session.will_tell();
                session.phone.withdraw(id);
            }
            Event::Connection { state: ConnectionState::BackingOff { why, .. }, .. } => {
                last_trouble = Some(why)
            }
            _ => {}
        }
    }
}

const NO_RECEIPT: &str = "the server took the message, and no receipt came within the time: whether it has been delivered \
    is not known";
const NO_RECEIPTS_THERE: &str = "the server took the message as plain text alone, and nobody will say whether it has been \
    delivered";
/// It is left in the outbox.
fn queued(why: Option<&Trouble>) -> Failure {
    let failure = why.map_or_else(|| ending::no_connection_in_time(None), ending::no_connection);
    let kept = "The message is in the outbox, and goes with the next `aldis listen` or `aldis register`.";
    Failure::new(failure.exit, format_args!("{} {kept}", failure.advice))
}

const NO_ANSWER: &str = "no answer came within the time; the message may or may not have arrived";

/// How long withdrawing may take.
const WITHDRAWING: std::time::Duration = std::time::Duration::from_secs(5);

/// Whether another attempt may find a server. One that is not trusted is no place to try again and again.
fn may_pass(why: &Trouble) -> bool {
    match why {
        Trouble::NoConnection(failure) => tell::refused(why).is_none() && failure.may_pass(),
        Trouble::Lost(_) => true,
    }
}

fn refused(error: &SendError) -> Failure {
    match error {
        SendError::Storage(error) => storage(error),
        SendError::Refused(SendRefused::Recipient { .. }) => {
            Failure::usage(format_args!("{error}. Nothing was sent."))
        }
        SendError::Refused(SendRefused::ContentType(_)) => {
            Failure::usage(format_args!("--content-type: {error}. Nothing was sent."))
        }
        SendError::Refused(SendRefused::TooLarge { limit, size }) => too_large(*limit, *size),
        SendError::Refused(SendRefused::QueueFull(_) | SendRefused::Stopped) => {
            Failure::new(Exit::Internal, format_args!("{error}."))
        }
    }
}

fn too_large(limit: usize, size: usize) -> Failure {
    Failure::usage(format_args!(
        "The message is too large: the request would have {size} bytes and may have {limit}. Nothing was sent. Shorten \
         it, or raise the limit with --max-message if every server on the way takes that."
    ))
}

/// What is to be sent, read no further than the limit.
fn message(args: &args::Send, ready: &Ready, out: &mut Output) -> Result<Outgoing, Failure> {
    let body = match (&args.text, &args.file) {
        (Some(text), _) => text.clone().into_bytes(),
        (None, Some(path)) => {
            let read = File::open(path).and_then(|file| read_limited(file, ready.max_message));
            read.map_err(|error| BodyError::File { path: path.clone(), error })?
        }
        (None, None) => {
            if io::stdin().is_terminal() {
                out.progress("Type the message; Ctrl-D at the beginning of a line sends it.");
            }
            let body = read_limited(io::stdin().lock(), ready.max_message).map_err(BodyError::Stdin)?;
            if body.is_empty() {
                return Err(BodyError::NoText.into());
            }
            body
        }
    };
    if body.len() > ready.max_message {
        return Err(BodyError::TooLarge { limit: ready.max_message }.into());
    }
    if is_utf8_text(&args.content_type) && std::str::from_utf8(&body).is_err() {
        return Err(BodyError::NotText.into());
    }
    Ok(Outgoing::new(&args.content_type, body))
}

/// Whether the type says that the body is plain text in UTF-8, as it does without a charset.
fn is_utf8_text(content_type: &str) -> bool {
    let kind = content_type.to_ascii_lowercase();
    kind.starts_with(PLAIN) && (!kind.contains("charset") || kind.contains("utf-8"))
}

/// One byte more than the limit tells that it is exceeded; the rest of a huge file stays where it is.
fn read_limited(input: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    input.take(limit as u64 + 1).read_to_end(&mut body)?;
    Ok(body)
}

/// Why there is nothing to send.
#[derive(Debug, thiserror::Error)]
enum BodyError {
    #[error("{} cannot be read: {error}. Nothing was sent.", .path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("Standard input cannot be read: {0}. Nothing was sent.")]
    Stdin(io::Error),
    #[error("Standard input was empty, and no TEXT was given: there is nothing to send.")]
    NoText,
    #[error(
        "The message is too large: with its headers a request may have {limit} bytes, and the body alone has more. Nothing \
         was sent. Shorten it, or raise the limit with --max-message if every server on the way takes that."
    )]
    TooLarge { limit: usize },
    #[error(
        "The message is not UTF-8 text. Nothing was sent. If it is to go as it is, say what it is with --content-type, \
         such as application/octet-stream."
    )]
    NotText,
}

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Self {
        Failure::usage(error)
    }
}

fn refuse_what_is_not_there(args: &args::Send, ready: &Ready) -> Result<(), Failure> {
    if args.queue && !ready.keeps {
        return Err(Failure::usage(
            "--queue: with --store none there is nothing to keep the message in. Nothing was sent.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_utf_8_unless_it_says_otherwise() {
        for (content_type, is) in [
            ("text/plain", true),
            ("Text/Plain;charset=UTF-8", true),
            ("text/plain; charset=iso-8859-1", false),
            ("application/octet-stream", false),
        ] {
            assert_eq!(is_utf8_text(content_type), is, "{content_type}");
        }
    }

    #[test]
    fn a_huge_input_is_read_no_further_than_the_limit() {
        assert_eq!(read_limited(io::repeat(b'x'), 8192).unwrap().len(), 8193);
        assert_eq!(read_limited(&b"hello"[..], 8192).unwrap(), b"hello");
    }
}
