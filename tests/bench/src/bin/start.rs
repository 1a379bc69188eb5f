//! How long from the start of a process to a registration, beside a floor in C; and what a registered process takes.
//!
//! `cargo run --release -p aldis-bench --bin start -- target/release/aldis [RUNS] [SECONDS]`: RUNS (20) starts of each in
//! turn, then `aldis register` idle for SECONDS (60). It needs a C compiler and OpenSSL's headers, and ends by itself.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a program for a terminal

use aldis_registrar::{Options, Registrar, What};
use aldis_sip::{Message, StatusCode};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const DOMAIN: &str = "example.test";
const USER: &str = "alice";
const PASSWORD: &str = "wonderland";
/// The floor's source, which stands beside this program's.
const FLOOR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/floor/rawreg.c");
/// Longer than any start.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |at: usize, otherwise: u32| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let Some(aldis) = arguments.first() else {
        eprintln!("usage: start PATH-OF-ALDIS [RUNS] [SECONDS]");
        return ExitCode::from(2);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let result = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        runtime.block_on(run(Path::new(aldis), number(1, 20), Duration::from_secs(number(2, 60).into())))
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Folder, String> {
        let path = std::env::temp_dir().join(format!("aldis-bench-{}", std::process::id()));
        std::fs::create_dir(&path).map_err(|error| error.to_string())?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn run(aldis: &Path, runs: u32, idle: Duration) -> Result<(), String> {
    let folder = Folder::new()?;
    let floor = folder.0.join("rawreg");
    let built =
        Command::new("cc").args(["-O2", "-o"]).arg(&floor).args([FLOOR, "-lssl", "-lcrypto"]).status();
    if !built.is_ok_and(|status| status.success()) {
        return Err(
            "the floor cannot be built: install a C compiler and OpenSSL's headers (libssl-dev)".into()
        );
    }
    let registrar = Registrar::start(Options::new(DOMAIN).user(USER, PASSWORD))
        .await
        .map_err(|error| error.to_string())?;
    let root = folder.0.join("root.pem");
    std::fs::write(&root, registrar.root_pem().unwrap_or_default()).map_err(|error| error.to_string())?;
    let address = registrar.address().to_string();

    let raw = || {
        let mut command = Command::new(&floor);
        command.args([DOMAIN, &registrar.address().port().to_string()]).arg(&root).args([USER, PASSWORD]);
        command
    };
    let ours = |once: bool| {
        let mut command = Command::new(aldis);
        command.args([
            "register",
            "--account",
            &format!("sip:{USER}@{DOMAIN}"),
            "--address",
            &address,
            "--roots",
        ]);
        command
            .arg(&root)
            .env("ALDIS_PASSWORD", PASSWORD)
            .env("HOME", &folder.0)
            .env("XDG_DATA_HOME", &folder.0);
        command.args(once.then_some("--once"));
        command
    };
    // Both files are in the page cache before anything counts.
    registered(&registrar, &mut raw()).await?;
    registered(&registrar, &mut ours(true)).await?;
    let (mut floors, mut times) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        floors.push(registered(&registrar, &mut raw()).await?);
        times.push(registered(&registrar, &mut ours(true)).await?);
    }
    let (floor, time) = (median(&mut floors), median(&mut times));
    println!("start to registered, median of {runs}: {:.1} ms; the floor in C {:.1} ms", ms(time), ms(floor));
    println!("ratio: {:.2} (goal 1.0)", time.as_secs_f64() / floor.as_secs_f64());

    let mut child =
        ours(false).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(|error| error.to_string())?;
    let measured = registered_idle(&registrar, &child, idle).await;
    end(&mut child);
    let (resident, anonymous, wake_ups) = measured?;
    println!("registered and idle: {resident:.1} MiB resident, {anonymous:.1} of them its own (goal 8)");
    println!("wake-ups: {:.1} a minute", wake_ups as f64 * 60.0 / idle.as_secs_f64());
    let size = std::fs::metadata(aldis).map_err(|error| error.to_string())?.len();
    println!("size of {}: {:.2} MB (goal 6)", aldis.display(), size as f64 / 1e6);
    Ok(())
}

/// From the start of `command` to the 200 for its REGISTER.
async fn registered(registrar: &Registrar, command: &mut Command) -> Result<Duration, String> {
    let mark = registrar.mark();
    let began = Instant::now();
    let mut child =
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(|error| error.to_string())?;
    let answer = registrar.wait_after(mark, |entry| is_ok(&entry.what), PATIENCE).await;
    let took = began.elapsed();
    if answer.is_err() {
        end(&mut child);
        return Err(format!("{command:?} did not register"));
    }
    // What it does afterwards (unregister, close) is over before the next one starts.
    let status = tokio::task::spawn_blocking(move || child.wait()).await;
    match status {
        Ok(Ok(status)) if status.success() => Ok(took),
        _ => Err(format!("{command:?} failed")),
    }
}

fn is_ok(what: &What) -> bool {
    matches!(what, What::Sent(traffic)
        if traffic.message.as_ref().and_then(Message::status) == Some(StatusCode::OK))
}

/// MiB resident, MiB anonymous, and wake-ups during `idle`.
async fn registered_idle(
    registrar: &Registrar,
    child: &Child,
    idle: Duration,
) -> Result<(f64, f64, u64), String> {
    let mark = registrar.mark();
    let _ = registrar.wait_after(mark.saturating_sub(1), |entry| is_ok(&entry.what), PATIENCE).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let id = child.id();
    let before = wake_ups(id)?;
    tokio::time::sleep(idle).await;
    let count = wake_ups(id)?.saturating_sub(before);
    Ok((status(id, "VmRSS:")? / 1024.0, status(id, "RssAnon:")? / 1024.0, count))
}

/// How often the threads of a process have gone to sleep of their own accord, and were woken again.
fn wake_ups(process: u32) -> Result<u64, String> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).map_err(|error| error.to_string())?;
    let mut sum = 0;
    for task in tasks.flatten() {
        let text = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
        sum += field(&text, "voluntary_ctxt_switches:").unwrap_or(0.0) as u64;
    }
    Ok(sum)
}

fn status(process: u32, name: &str) -> Result<f64, String> {
    let text =
        std::fs::read_to_string(format!("/proc/{process}/status")).map_err(|error| error.to_string())?;
    field(&text, name).ok_or_else(|| format!("the system does not tell {name}"))
}

fn field(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
