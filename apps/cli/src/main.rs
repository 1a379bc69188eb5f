//! The `aldis` command.

mod account;
mod args;
mod commands;
mod doctor;
mod ending;
mod failure;
mod inspect;
mod json;
mod layout;
mod logging;
mod output;
mod printable;
mod session;
mod signals;
mod tell;
mod trust;
mod when;

use crate::args::{Cli, Command};
use crate::failure::{Exit, Failure, Outcome};
use crate::output::Output;
use clap::{CommandFactory, Parser};
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

const BUG: &str = "This is a bug in aldis; please report it with the lines above.";

fn main() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => error.exit(),
    };
    let mut out = Output::new(command.wants_json());
    logging::start(command.verbosity(), out.is_coloured(output::To::Notes));
    let result = std::panic::catch_unwind(AssertUnwindSafe(|| run(command, &mut out)));
    let exit = match result.unwrap_or_else(|_| Err(Failure::new(Exit::Internal, BUG))) {
        Ok(exit) => exit,
        Err(Failure { exit, advice }) => {
            if !advice.is_empty() {
                out.error(&advice);
            }
            exit
        }
    };
    exit.into()
}

fn run(command: Command, out: &mut Output) -> Outcome {
    match command {
        Command::Inspect(args) => Ok(inspect::run(&args, out)?),
        Command::Completions(args) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "aldis", &mut script);
            out.text(&String::from_utf8_lossy(&script))?;
            Ok(Exit::Done)
        }
        Command::Register(args) => commands::block_on(commands::register::run(&args, out)),
        Command::Send(args) => commands::block_on(commands::send::run(&args, out)),
        Command::Listen(args) => commands::block_on(commands::listen::run(&args, out)),
        #[cfg(feature = "demo")]
        Command::Demo(_) => commands::block_on(commands::demo::run(out)),
        #[cfg(not(feature = "demo"))]
        Command::Demo(_) => Err(Failure::usage("This aldis was built without its demo.")),
        Command::Chat(args) => commands::block_on(commands::chat::run(&args, out)),
        Command::Doctor(args) => commands::block_on(doctor::run(*args, out)),
        Command::Trust(args) => trust::run(&args, out),
    }
}
