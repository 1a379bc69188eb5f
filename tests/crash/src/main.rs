//! The victim, and the command for the full number of kills.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)] // a command for people

use aldis_crash::{Orders, kill_many, live};
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().map(String::as_str) == Some("victim") {
        live(&Orders::from_arguments(&arguments));
        return ExitCode::SUCCESS;
    }
    let kills = arguments.first().map_or(Ok(200), |number| number.parse());
    let Ok(kills) = kills else {
        eprintln!("usage: aldis-crash [KILLS]");
        return ExitCode::from(2);
    };
    let begun = Instant::now();
    let report = kill_many(&std::env::current_exe().unwrap(), kills, 1);
    println!("{report}");
    println!(
        "{:.1} s, {:.0} ms for each kill",
        begun.elapsed().as_secs_f64(),
        begun.elapsed().as_secs_f64() * 1e3 / f64::from(kills.max(1))
    );
    if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
