//! `aldis trust`: certificates judged offline, and shown.

pub(crate) mod args;
mod batch;
mod check;
mod codes;
mod files;
mod question;
mod show;
pub(crate) mod words;

use self::args::{Trust, What};
use crate::failure::Outcome;
use crate::output::Output;

/// Runs `aldis trust`.
///
/// # Errors
/// A usage failure for what cannot be read, or that of standard output.
pub(crate) fn run(args: &Trust, out: &mut Output) -> Outcome {
    match &args.what {
        What::Check(args) => check::run(args, out),
        What::Batch(_) => batch::run(),
        What::Show(args) => show::run(args, out),
        What::Codes(args) => codes::run(args, out),
    }
}
