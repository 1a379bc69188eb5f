//! Messages a second to many recipients against a bare TLS sink: with a store in a file, where each is on disk before it
//! leaves and its outcome before it is told, beside a store in memory.
//!
//! `cargo run --profile bench -p aldis-bench --bin durable -- [MESSAGES] [RECIPIENTS] [FOLDER]`: MESSAGES (200000) to RECIPIENTS
//! (128), the file in FOLDER (the present one). The sink is a process of its own, over TLS on loopback. It ends by itself, with
//! 1 if anything failed on the way.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a program for a terminal

use aldis_bench::process::processor_time;
use aldis_bench::sending::{DOMAIN, send};
use aldis_bench::sink::Sink;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

/// Messages that bring what later ones share, and open the window of the agent.
const FIRST: u32 = 5000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |at: usize, otherwise: u32| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let result = match arguments.first().map(String::as_str) {
        Some("--sink") => serve(),
        _ => {
            let folder = arguments.get(2).map_or(".", String::as_str);
            measure(number(0, 200_000), number(1, 128), Path::new(folder))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// The other process: a sink until standard input ends.
fn serve() -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(words)?;
    let sink = runtime.block_on(Sink::start(DOMAIN))?;
    println!("{}\n{}\nready", sink.address().map_err(words)?, sink.root_pem);
    runtime.spawn(sink.serve());
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    Ok(())
}

/// The sink's process, which ends with its standard input.
struct Server {
    child: Child,
    address: SocketAddr,
    root_pem: String,
}

impl Server {
    fn start() -> Result<Server, String> {
        let mut child = Command::new(std::env::current_exe().map_err(words)?)
            .arg("--sink")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(words)?;
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        let lines: Result<Vec<String>, _> =
            output.lines().take_while(|line| line.as_ref().is_ok_and(|line| line != "ready")).collect();
        let lines = lines.map_err(words)?;
        let (address, pem) = lines.split_first().ok_or("the sink did not start")?;
        let address = address.parse().map_err(|_| "the sink did not start")?;
        Ok(Server { child, address, root_pem: pem.join("\n") })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn measure(messages: u32, recipients: u32, folder: &Path) -> Result<(), String> {
    let server = Server::start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(words)?;
    let folder = tempfile::tempdir_in(folder).map_err(words)?;
    let file = folder.path().join("messages.db");
    let first = folder.path().join("first.db");
    let run = |path: Option<&Path>, messages| {
        runtime.block_on(send(server.address, &server.root_pem, path, messages, recipients))
    };
    run(Some(&first), FIRST)?;
    println!("{messages} messages to {recipients} recipients, one under way to each");
    println!(
        "{:<12}  {:>10}  {:>8}  {:>11}  {:>11}  {:>8}",
        "store", "messages/s", "CPU µs", "median ms", "99 % ms", "seconds"
    );
    let mut rates = Vec::new();
    for (name, path) in [("in memory", None), ("in a file", Some(file.as_path()))] {
        let began = processor_time()?;
        let figures = run(path, messages)?;
        let spent = (processor_time()? - began).as_secs_f64() * 1e6 / f64::from(figures.messages);
        let (median, slow) = (figures.median.as_secs_f64() * 1e3, figures.slow.as_secs_f64() * 1e3);
        println!(
            "{name:<12}  {:>10.0}  {spent:>8.1}  {median:>11.1}  {slow:>11.1}  {:>8.1}",
            figures.rate(),
            figures.took.as_secs_f64()
        );
        rates.push(figures.rate());
    }
    if let [memory, file] = rates.as_slice() {
        println!("durability leaves {:.0} % of the rate", file / memory * 100.0);
    }
    Ok(())
}
