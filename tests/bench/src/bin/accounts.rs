//! Memory per account, processor time per registration and per refresh, of many accounts in one process.
//!
//! `cargo run --release -p aldis-bench --bin accounts -- [COUNT] [SECONDS]`: COUNT accounts (10000), then SECONDS (35) of
//! refreshes that come twice a minute for each. The registrar is a process of its own, over TLS on loopback. It ends by
//! itself, with 1 if anything failed on the way.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a program for a terminal

use aldis_bench::accounts::{Accounts, DOMAIN, Place, options};
use aldis_bench::process::{allow_files, memory, processor_time};
use aldis_registrar::Registrar;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// What is asked of the registrar, in seconds: a refresh each half of it.
const EXPIRES: u32 = 60;
/// Files besides connections.
const OTHER_FILES: u64 = 500;
/// Longer than the full size takes on a machine of two cores.
const LIMIT: Duration = Duration::from_secs(600);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.first().map(String::as_str) {
        Some("--registrar") => serve(number(arguments.get(1), 0)),
        _ => measure(number(arguments.first(), 10_000), number(arguments.get(1), 35)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn number(argument: Option<&String>, otherwise: usize) -> usize {
    argument.and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())
}

/// The other process: a registrar until standard input ends.
fn serve(accounts: usize) -> Result<(), String> {
    allow_files(accounts as u64 + OTHER_FILES)?;
    let runtime = runtime()?;
    let registrar =
        runtime.block_on(Registrar::start(options(accounts))).map_err(|error| error.to_string())?;
    println!("{}", registrar.address());
    println!("{}", registrar.root_pem().unwrap_or_default());
    println!("ready");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    Ok(())
}

/// The registrar's process, which ends with its standard input.
struct Server {
    child: Child,
    place: Place,
}

impl Server {
    fn start(accounts: usize) -> Result<Server, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut child = Command::new(program)
            .args(["--registrar", &accounts.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let output = child.stdout.take().ok_or("no output")?;
        let lines: Result<Vec<String>, _> = BufReader::new(output)
            .lines()
            .take_while(|line| line.as_ref().is_ok_and(|line| line != "ready"))
            .collect();
        let lines = lines.map_err(|error| error.to_string())?;
        let (address, pem) = lines.split_first().ok_or("the registrar did not start")?;
        let address = address.parse().map_err(|_| "the registrar did not start")?;
        Ok(Server { child, place: Place::new(address, &pem.join("\n"), EXPIRES) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn measure(count: usize, seconds: usize) -> Result<(), String> {
    // A connection for each phone; the timers of the first 64 are among the others.
    allow_files(count as u64 + OTHER_FILES)?;
    let server = Server::start(count)?;
    let work = async { tokio::time::timeout(LIMIT, run(&server.place, count, seconds)).await };
    runtime()?.block_on(work).unwrap_or_else(|_| Err(format!("it took longer than {LIMIT:?}")))
}

async fn run(place: &Place, count: usize, seconds: usize) -> Result<(), String> {
    let mut accounts = Accounts::new(place.clone());
    // The first one brings what all share.
    accounts.grow_to(1).await?;
    let base = settled().await?;
    let mut before = (1, base);
    println!("{count} accounts of {DOMAIN} in one process, {:.1} MiB with the first", mib(base));
    println!(
        "{:>9}  {:>9}  {:>12}  {:>14}  {:>16}",
        "accounts", "MiB", "KiB/account", "KiB/additional", "CPU ms/register"
    );
    let mut growth = Vec::new();
    for size in [count / 10, count / 5, count / 2, count].into_iter().filter(|size| *size > 1) {
        let (began, refreshed) = (processor_time()?, accounts.told().refreshed.load(Relaxed));
        let added = size - accounts.count();
        accounts.grow_to(size).await?;
        let refreshed = accounts.told().refreshed.load(Relaxed) - refreshed;
        let spent = processor_time()? - began;
        let now = settled().await?;
        let each = kib(now.saturating_sub(base)) / (size - 1) as f64;
        let additional = kib(now.saturating_sub(before.1)) / (size - before.0) as f64;
        growth.push(additional);
        let registering = spent.as_secs_f64() * 1000.0 / added as f64;
        let note = if refreshed > 0 { format!("  (with {refreshed} refreshes)") } else { String::new() };
        println!("{size:>9}  {:>9.1}  {each:>12.1}  {additional:>14.1}  {registering:>16.2}{note}", mib(now));
        before = (size, now);
    }
    let (least, most) =
        growth.iter().fold((f64::MAX, 0.0_f64), |(least, most), kib| (least.min(*kib), most.max(*kib)));
    println!("growth: an additional account takes {least:.1} to {most:.1} KiB");

    let (began, refreshed, from) =
        (processor_time()?, accounts.told().refreshed.load(Relaxed), Instant::now());
    tokio::time::sleep(Duration::from_secs(seconds as u64)).await;
    let spent = processor_time()? - began;
    let refreshed = accounts.told().refreshed.load(Relaxed) - refreshed;
    println!(
        "{refreshed} refreshes in {:.0} s: {:.0} µs of CPU each, {:.1} % of one core",
        from.elapsed().as_secs_f64(),
        spent.as_secs_f64() * 1e6 / refreshed.max(1) as f64,
        100.0 * spent.as_secs_f64() / from.elapsed().as_secs_f64()
    );
    println!("after the refreshes: {:.1} MiB", mib(memory()?));
    let outcome = accounts.told().all_well();
    accounts.end().await;
    outcome
}

/// The memory once the last handshakes have given theirs back.
async fn settled() -> Result<u64, String> {
    tokio::time::sleep(Duration::from_secs(2)).await;
    memory()
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn kib(bytes: u64) -> f64 {
    bytes as f64 / 1024.0
}
