//! A disk that fails: a shim in front of the C library (`shim/faults.c`, compiled here and preloaded) fails calls on the store's
//! files when it is told to. It needs no rights, reaches each single call, and ends when it is told to, which neither a small
//! tmpfs nor a quota does.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic)] // what is missing fails the test

use aldis_crash::{Plan, compile_shim};
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_aldis-crash");

/// A process that keeps messages on a disk that may fail.
struct Disk {
    folder: tempfile::TempDir,
    shim: PathBuf,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Disk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shim = compile_shim(folder.path());
        let (child, input, output) = start(folder.path(), &shim);
        let mut disk = Disk { folder, shim, child, input, output };
        assert_eq!(disk.say("open"), "open");
        disk
    }

    /// Tells it something; its answer, empty if it died.
    fn say(&mut self, line: &str) -> String {
        let _ = writeln!(self.input, "{line}");
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }

    fn fails_with(&self, fault: &str) {
        fs::write(self.folder.path().join("fault"), fault).unwrap();
    }

    /// The power fails.
    fn start_again(&mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
        (self.child, self.input, self.output) = start(self.folder.path(), &self.shim);
    }

    /// What it has.
    fn list(&mut self) -> BTreeSet<String> {
        self.say("list").split(' ').skip(1).map(str::to_owned).collect()
    }

    fn syncs(&self) -> usize {
        fs::read(self.folder.path().join("syncs")).map_or(0, |letters| letters.len())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(folder: &Path, shim: &Path) -> (Child, ChildStdin, BufReader<ChildStdout>) {
    let mut child = Command::new(PROGRAM)
        .arg("keep")
        .arg(folder.join("messages.db"))
        .env("LD_PRELOAD", shim)
        .env("ALDIS_FAULT", folder.join("fault"))
        .env("ALDIS_SYNCS", folder.join("syncs"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    (child, input, BufReader::new(output))
}

/// With a fault every message is refused as it should be; when it ends, with the same process and with the next, all that was
/// stored is there, and nothing of what was refused.
fn refuses(fault: &str, name: &str) {
    let mut disk = Disk::new();
    let mut stored = BTreeSet::new();
    for round in 0..3 {
        for n in 0..5 {
            let key = format!("{round}-{n}");
            assert_eq!(disk.say(&format!("put {key}")), "stored");
            stored.insert(key);
        }
        disk.fails_with(fault);
        for n in 0..3 {
            let answer = disk.say(&format!("put refused-{round}-{n}"));
            assert!(answer.starts_with(&format!("failed {name}:")), "{answer}");
        }
        assert_eq!(disk.list(), stored, "what is there can be read while the fault lasts");
        disk.fails_with("-");
        assert_eq!(disk.list(), stored);
    }
    disk.fails_with(fault);
    disk.start_again();
    disk.fails_with("-");
    assert_eq!(disk.say("open"), "open");
    let found = disk.list();
    assert!(stored.is_subset(&found), "lost: {:?}", stored.difference(&found).collect::<Vec<_>>());
    // A disk that cannot sync has what was written last all the same, and no commit came behind it.
    let most = stored.len() + usize::from(fault == "s");
    assert!(found.len() <= most, "{found:?}");
    assert_eq!(disk.say("put refused-0-0"), "stored", "what was refused was not seen");
}

#[test]
fn a_full_disk_refuses_and_loses_nothing() {
    refuses("f", "NoSpace");
}

#[test]
fn a_disk_that_cannot_sync_refuses_and_loses_nothing() {
    refuses("s", "Disk");
}

#[test]
fn a_disk_that_becomes_read_only_refuses_and_loses_nothing() {
    refuses("r", "ReadOnly");
}

#[test]
fn a_read_only_disk_is_told_when_the_store_is_opened() {
    let mut disk = Disk::new();
    assert_eq!(disk.say("put 1"), "stored");
    disk.fails_with("r");
    let answer = disk.say("open");
    assert!(answer.starts_with("failed ReadOnly:"), "{answer}");
    disk.fails_with("-");
    assert_eq!(disk.say("open"), "open");
    assert_eq!(disk.list().len(), 1);
}

#[test]
fn each_message_is_synced_before_it_is_told() {
    let mut disk = Disk::new();
    for n in 0..20 {
        let before = disk.syncs();
        assert_eq!(disk.say(&format!("put {n}")), "stored");
        assert!(disk.syncs() > before, "message {n} may be lost with the power");
    }
}

#[test]
fn a_torn_write_costs_nothing_that_was_told() {
    let mut stored = BTreeSet::new();
    let mut disk = Disk::new();
    let mut torn = 0;
    for number in 1..30 {
        // The power fails in this write of the next run.
        disk.fails_with(&format!("t{number}"));
        disk.start_again();
        let mut answer = disk.say("open");
        for n in 0..20 {
            if answer.is_empty() {
                torn += 1;
                break;
            }
            let key = format!("{number}-{n}");
            answer = disk.say(&format!("put {key}"));
            if answer == "stored" {
                stored.insert(key);
            }
        }
        disk.fails_with("-");
        disk.start_again();
        assert_eq!(disk.say("open"), "open");
        let found = disk.list();
        assert!(stored.is_subset(&found), "lost: {:?}", stored.difference(&found).collect::<Vec<_>>());
        // The torn one may be there, if its commit was whole and only the answer was cut off.
        stored = found;
    }
    assert_eq!(torn, 29);
}

#[test]
fn phones_on_a_disk_that_fails_now_and_then_lose_nothing() {
    let mut plan = Plan::new(Path::new(PROGRAM), 30);
    (plan.failing_disk, plan.lanes) = (true, 2);
    let report = plan.run();
    assert!(report.is_clean(), "{report}");
    assert!(report.refused > 0 && report.accepted > 20 && report.received > 20, "{report}");
}
