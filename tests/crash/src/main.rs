//! The victim, and the command for the full number of kills.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)] // a command for people

use aldis_crash::{Orders, Plan, SABOTAGES, keep, live};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const USAGE: &str =
    "usage: aldis-crash [KILLS] [--lanes N] [--seed N] [--sabotage NAME] [--failing-disk] [--within SECONDS]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().map(String::as_str) == Some("victim") {
        live(&Orders::from_arguments(&arguments));
        return ExitCode::SUCCESS;
    }
    if let [word, path] = arguments.as_slice()
        && word == "keep"
    {
        keep(Path::new(path));
        return ExitCode::SUCCESS;
    }
    let plan = match plan(&arguments) {
        Ok(plan) => plan,
        Err(why) => {
            let names: Vec<&str> = SABOTAGES.iter().map(|(_, name)| *name).collect();
            eprintln!("{why}\n{USAGE}\nsabotages: {}", names.join(", "));
            return ExitCode::from(2);
        }
    };
    let begun = Instant::now();
    let report = plan.run();
    println!("{report}");
    let seconds = begun.elapsed().as_secs_f64();
    println!("{seconds:.1} s, {:.0} ms for each kill", seconds * 1e3 / f64::from(report.kills.max(1)));
    if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn plan(arguments: &[String]) -> Result<Plan, String> {
    let mut plan = Plan::new(&std::env::current_exe().map_err(|error| error.to_string())?, 200);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} of what?"));
        let wrong = |_| format!("{argument}: that is no number");
        match argument.as_str() {
            "--lanes" => plan.lanes = value()?.parse().map_err(wrong)?,
            "--seed" => plan.seed = value()?.parse().map_err(wrong)?,
            "--sabotage" => plan.sabotage = Some(value()?.parse()?),
            "--failing-disk" => plan.failing_disk = true,
            "--within" => plan.within = Duration::from_secs(value()?.parse().map_err(wrong)?),
            kills => plan.kills = kills.parse().map_err(wrong)?,
        }
    }
    Ok(plan)
}
