//! From what a phone reports to how the command ends: status and advice.

use crate::failure::{Exit, Failure};
use crate::{printable, tell};
use aldis::{CredentialsProblem, LostReason, MessageFailure, RegistrationFailure, StatusCode, Trouble};
use std::fmt::Display;

/// What to do about credentials.
fn about_credentials(problem: &CredentialsProblem) -> &'static str {
    match problem {
        CredentialsProblem::Rejected { .. } => {
            "Check the password (--password-file or ALDIS_PASSWORD) and, where the server knows you by another name, \
             --auth-user. It was tried once only, so that the account is not locked."
        }
        CredentialsProblem::TokenNeeded { .. } => {
            "Accounts that sign in with access tokens are for apps; ask whoever runs the server for a password."
        }
        CredentialsProblem::Missing { .. } => "Give it with --password-file FILE or in ALDIS_PASSWORD.",
        CredentialsProblem::Unsupported { .. }
        | CredentialsProblem::RealmNotAllowed { .. }
        | CredentialsProblem::Loop => "Ask whoever runs the server.",
    }
}

/// No trusted connection: the server is not the one that was asked for, or there is none.
pub(crate) fn no_connection(why: &Trouble) -> Failure {
    if let Some(untrusted) = tell::refused(why) {
        return Failure::new(Exit::Untrusted, tell::refusal(&untrusted.verdict));
    }
    let advice = why.advice();
    Failure::new(Exit::Unreachable, format_args!("{}. {}", capital(&shown(why)), printable::lines(&advice)))
}

/// No trusted connection within the time.
pub(crate) fn no_connection_in_time(last: Option<&Trouble>) -> Failure {
    let last = last.map_or_else(
        || "Check the network connection, or allow more time with --timeout.".to_owned(),
        |why| format!("{}. {}", capital(&shown(why)), printable::lines(&why.advice())),
    );
    Failure::new(
        Exit::Unreachable,
        format_args!("No connection to the server within the time; nothing was sent. {last}"),
    )
}

/// The request may have left, and no answer came.
pub(crate) fn no_answer(what: &str) -> Failure {
    Failure::new(
        Exit::Unknown,
        format_args!(
            "The server is connected and trusted, but does not answer. {what} Try again later; allow more time with \
             --timeout."
        ),
    )
}

/// The connection was lost after the request had gone.
pub(crate) fn lost(why: &Trouble, what: &str) -> Failure {
    if matches!(why, Trouble::Lost(LostReason::ClientCertificate(_))) {
        // The handshake never ended for the server: it has read nothing, and trying again changes nothing.
        return no_connection(why);
    }
    Failure::new(
        Exit::Unknown,
        format_args!(
            "The connection was lost before the answer came: {}. {what} Try again later.",
            shown(why)
        ),
    )
}

/// A registration that failed.
pub(crate) fn registration(why: &RegistrationFailure, status: Option<StatusCode>) -> Failure {
    let words = shown(why);
    match (why, status) {
        (RegistrationFailure::Credentials(problem), _) => {
            let advice = about_credentials(problem);
            Failure::new(Exit::Credentials, format_args!("Not registered: {words}. {advice}"))
        }
        (RegistrationFailure::Unavailable { .. }, Some(status)) if status != StatusCode::REQUEST_TIMEOUT => {
            Failure::new(Exit::Rejected, format_args!("Not registered: {words}. Try again later."))
        }
        (RegistrationFailure::Redirected { .. }, _) => Failure::new(
            Exit::Rejected,
            format_args!(
                "Not registered: {words}. Whoever runs the server must mend that; if it serves elsewhere, say where with \
                 --address or --proxy."
            ),
        ),
        (RegistrationFailure::Timeout, _) => no_answer("Whether it has registered this device is not known."),
        (_, Some(StatusCode::REQUEST_TIMEOUT)) => Failure::new(
            Exit::Unknown,
            format_args!("Whether this device is registered is not known: {words}."),
        ),
        _ => Failure::new(
            Exit::Rejected,
            format_args!(
                "Not registered: {words}. Check the address (--account), or ask whoever runs the server."
            ),
        ),
    }
}

/// A message that failed.
pub(crate) fn message(why: &MessageFailure, status: Option<StatusCode>) -> Failure {
    let words = shown(why);
    match why {
        MessageFailure::Credentials(problem) => {
            let advice = about_credentials(problem);
            Failure::new(Exit::Credentials, format_args!("The message was not sent: {words}. {advice}"))
        }
        MessageFailure::NotRegistered(why) => registration(why, status),
        MessageFailure::Withdrawn => {
            Failure::new(Exit::Unreachable, "The message was withdrawn before it was sent.")
        }
        _ => Failure::new(Exit::Rejected, format_args!("The message was not delivered: {words}.")),
    }
}

/// A message of which nobody knows what became.
pub(crate) fn unknown(why: &str) -> Failure {
    Failure::new(
        Exit::Unknown,
        format_args!(
            "{}. It is not sent again by itself, so that nobody reads it twice.",
            capital(&shown(&why))
        ),
    )
}

fn shown(why: &dyn Display) -> String {
    printable::lines(&why.to_string()).trim_end_matches('.').to_owned()
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_library_become_a_sentence() {
        assert_eq!(capital("no answer came"), "No answer came");
        assert_eq!(capital(""), "");
        assert_eq!(shown(&"a\x1b[2Jb."), "a\\u{1b}[2Jb");
    }
}
