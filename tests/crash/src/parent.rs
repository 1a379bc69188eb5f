//! Who kills.

use crate::judge::{Judge, Report};
use crate::other::Other;
use crate::place::Place;
use crate::sabotage::Sabotage;
use crate::victim::{DOMAIN, Orders};
use aldis_registrar::{Offline, Options, Registrar};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Who writes to each victim, and is written to.
const OTHERS: usize = 3;
/// A victim that is not registered is killed then.
const LONGEST: Duration = Duration::from_secs(10);
/// A victim that does not come to its place is killed so long after it was registered.
const AT_WORK: Duration = Duration::from_millis(600);
/// One that is killed at random is killed so long after it was registered at most, in milliseconds; every fourth so long after
/// its start.
const AT_RANDOM: u64 = 60;
/// The last run ends when nothing has happened for so long: longer than any attempt that waits.
const QUIET: Duration = Duration::from_secs(3);
/// What the others still expect they have had by then.
const SETTLED: Duration = Duration::from_secs(40);

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The program that lives as a victim when its first argument says so.
    pub program: PathBuf,
    /// How often victims die.
    pub kills: u32,
    /// How many victims live at the same time, each with an account, a store and others of its own.
    pub lanes: u32,
    /// Of what the choices are made.
    pub seed: u64,
    /// Where victims die by their own hand, one after the other.
    pub places: Vec<Place>,
    /// Of so many kills one comes at a random moment; never with 0.
    pub random_every: u32,
    /// What victims do wrong.
    pub sabotage: Option<Sabotage>,
    /// Whether their disk fails now and then.
    pub failing_disk: bool,
    /// No victim is started after so long.
    pub within: Duration,
}

impl Plan {
    /// All places, and a quarter of the kills at random moments.
    pub fn new(program: &Path, kills: u32) -> Self {
        Plan {
            program: program.to_owned(),
            kills,
            lanes: 4,
            seed: 1,
            places: Place::all(),
            random_every: 4,
            sabotage: None,
            failing_disk: false,
            within: Duration::MAX,
        }
    }

    /// Does it; gives the judgement.
    ///
    /// # Panics
    /// If the world around the victims does not work.
    pub fn run(&self) -> Report {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(self.clone().work())
    }

    async fn work(self) -> Report {
        let mut options = Options::new(DOMAIN).offline(Offline::Store);
        for lane in 0..self.lanes {
            options = options.user(victim(lane), "secret");
            for other in others(lane) {
                options = options.user(other, "secret");
            }
        }
        let registrar = Registrar::start(options).await.expect("the registrar starts");
        let root = registrar.root_pem().expect("a CA of its own").to_owned();
        let address = registrar.address().to_string();
        let shim = tempfile::tempdir().unwrap();
        let shim = (self.failing_disk.then(|| compile_shim(shim.path())), shim);
        let plan = Arc::new(self);
        let next = Arc::new(AtomicU32::new(0));
        let mut lanes = JoinSet::new();
        for lane in 0..plan.lanes {
            let world = World { address: address.clone(), root: root.clone(), shim: shim.0.clone() };
            lanes.spawn(one_lane(plan.clone(), lane, next.clone(), world));
        }
        let mut report = Report::default();
        while let Some(lane) = lanes.join_next().await {
            report.add(lane.unwrap());
        }
        report
    }

    /// How the kill of this number is to be: at a place after some visits, or so long after a moment.
    fn choose(&self, kill: u32, dice: &mut Dice) -> Choice {
        let mut at_random = 0;
        if self.random_every > 0 {
            if kill.is_multiple_of(self.random_every) {
                let after = Duration::from_micros(dice.below(AT_RANDOM * 1000));
                return Choice::Random { registered: dice.below(4) != 0, after };
            }
            at_random = kill.div_ceil(self.random_every);
        }
        // One after the other, so that each is met as often as any.
        let place = self.places.iter().cycle().nth((kill - at_random) as usize);
        let place = *place.expect("a place");
        Choice::Place(place, dice.below(place.visits()))
    }
}

enum Choice {
    Place(Place, u64),
    Random { registered: bool, after: Duration },
}

/// A small generator: what is chosen depends on the seed alone.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit.max(1)
    }
}

fn victim(lane: u32) -> String {
    format!("victim{lane}")
}

fn others(lane: u32) -> impl Iterator<Item = String> {
    (0..OTHERS).map(move |other| format!("other{lane}-{other}"))
}

/// What all lanes share.
struct World {
    address: String,
    root: String,
    shim: Option<PathBuf>,
}

async fn one_lane(plan: Arc<Plan>, lane: u32, next: Arc<AtomicU32>, world: World) -> Report {
    let World { address, root, shim } = world;
    let folder = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    std::fs::write(folder.path().join("root.pem"), &root).unwrap();
    let mut everybody = Vec::new();
    for other in others(lane) {
        everybody.push(Arc::new(Other::start(&other, &address, root.as_bytes()).await));
    }
    let mut orders = Orders {
        address,
        folder: folder.path().to_owned(),
        user: victim(lane),
        others: others(lane).collect(),
        run: 0,
        place: None,
        sabotage: plan.sabotage,
        shim,
        quiet: None,
    };
    let fault = folder.path().join("fault");
    let failing = plan.failing_disk.then(|| tokio::spawn(fail_now_and_then(fault.clone(), plan.seed)));
    let mut dice = Dice(plan.seed.wrapping_mul(1_000_003).wrapping_add(u64::from(lane)));
    loop {
        let kill = next.fetch_add(1, Relaxed);
        if kill >= plan.kills || begun.elapsed() >= plan.within {
            break;
        }
        let choice = plan.choose(kill, &mut dice);
        orders.place = match choice {
            Choice::Place(place, visits) => Some((place, visits)),
            Choice::Random { .. } => None,
        };
        live_and_die(&plan, &orders, &choice, &everybody).await;
        orders.run += 1;
    }
    if let Some(failing) = failing {
        failing.abort();
        // It ends as it was told.
        let _ = failing.await;
        std::fs::write(fault, "-").unwrap();
    }
    (orders.place, orders.quiet) = (None, Some(QUIET));
    let status = start(&plan.program, &orders).wait().await.unwrap();
    assert!(status.success(), "the last run failed: {status}");
    let mut judge = Judge::default();
    for other in everybody {
        let other = Arc::into_inner(other).expect("nobody writes any more");
        // A sabotaged victim leaves the others waiting for what never comes.
        other.settle(if plan.sabotage.is_some() { Duration::ZERO } else { SETTLED }).await;
        let heard = other.end().await;
        judge.written.extend(heard.written.into_values());
        judge.shown.push(heard.shown);
    }
    let journal = std::fs::read_to_string(folder.path().join("journal")).unwrap_or_default();
    Report { kills: orders.run, ..judge.judge(&journal, plan.failing_disk) }
}

/// A disk that is full, cannot sync or may only be read, for a moment each time.
async fn fail_now_and_then(fault: PathBuf, seed: u64) {
    let mut dice = Dice(seed);
    loop {
        for wrong in ["-", ["f", "s", "r"].get(dice.below(3) as usize).unwrap_or(&"f")] {
            std::fs::write(&fault, wrong).unwrap();
            tokio::time::sleep(Duration::from_millis(20 + dice.below(150))).await;
        }
    }
}

/// Compiles the disk that fails when it is told to; gives the library to preload.
///
/// # Panics
/// Without a C compiler.
pub fn compile_shim(folder: &Path) -> PathBuf {
    let library = folder.join("faults.so");
    let compiled = std::process::Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .arg(&library)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/shim/faults.c"))
        .status()
        .expect("a C compiler: apt-get install gcc libc6-dev");
    assert!(compiled.success(), "the shim does not compile");
    library
}

fn start(program: &Path, orders: &Orders) -> Child {
    let mut command = Command::new(program);
    if let Some(shim) = &orders.shim {
        command.env("LD_PRELOAD", shim).env("ALDIS_FAULT", orders.folder.join("fault"));
    }
    command
        .args(orders.to_arguments())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the victim starts")
}

/// One run: the others write while the victim works, and it dies.
async fn live_and_die(plan: &Plan, orders: &Orders, choice: &Choice, everybody: &[Arc<Other>]) {
    let mut child = start(&plan.program, orders);
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut writers = JoinSet::new();
    let mut all_write = || {
        for other in everybody {
            let (other, to, run) = (other.clone(), orders.user.clone(), orders.run);
            writers.spawn(async move { other.write(&to, run).await });
        }
    };
    if let Choice::Random { registered: false, after } = choice {
        all_write();
        let _ = timeout(*after, child.wait()).await;
    } else {
        // The end of its output is its death.
        let _ = timeout(LONGEST, lines.next_line()).await;
        all_write();
        let limit = match choice {
            Choice::Random { after, .. } => *after,
            Choice::Place(..) => AT_WORK,
        };
        let _ = timeout(limit, child.wait()).await;
    }
    // One that is dead already does not mind.
    let _ = child.kill().await;
    writers.join_all().await;
}
