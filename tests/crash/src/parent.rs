//! Who kills, and who writes and reads meanwhile.

use crate::judge::{Judge, Report};
use crate::victim::Orders;
use aldis::trust::{Anchors, Policy, Source};
use aldis::{Config, Event, Outgoing, OutgoingState, Phone, RegistrationState};
use aldis_registrar::{Offline, Options, Registrar};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::process::{Child, Command};

const DOMAIN: &str = "example.test";
/// Messages that the victim sends in each run.
const EACH: u32 = 2;
/// Places around commits at which a victim may die; later ones are passed by few runs.
const PLACES: u64 = 24;
/// A victim that does not reach its place is killed then.
const LONGEST: Duration = Duration::from_millis(1500);
/// The last run ends when nothing has happened for so long: longer than any attempt that waits.
const QUIET: Duration = Duration::from_secs(3);

/// A small generator: the runs of one seed are the same as far as they depend on it.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit.max(1)
    }
}

/// Kills a victim so many times; gives the judgement.
///
/// # Panics
/// If the world around the victim does not work.
pub fn kill_many(program: &Path, kills: u32, seed: u64) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(with_victim(program, kills, seed))
}

/// The same on a runtime that is there.
///
/// # Panics
/// If the world around the victim does not work.
pub async fn with_victim(program: &Path, kills: u32, seed: u64) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let options =
        Options::new(DOMAIN).user("alice", "wonderland").user("bob", "builder").offline(Offline::Store);
    let registrar = Registrar::start(options).await.expect("the registrar starts");
    let root = registrar.root_pem().expect("a CA of its own").to_owned();
    std::fs::write(folder.path().join("root.pem"), &root).unwrap();
    let address = registrar.address().to_string();
    let bob = Arc::new(bob(&address, root.as_bytes()).await);
    let judge = Arc::new(Mutex::new(Judge::default()));
    let reader = tokio::spawn(read(bob.clone(), judge.clone()));

    let mut dice = Dice(seed);
    for run in 0..kills {
        let own_hand = dice.below(4) != 0;
        let place = own_hand.then(|| u32::try_from(dice.below(PLACES)).unwrap_or_default());
        let orders = Orders {
            address: address.clone(),
            folder: folder.path().to_owned(),
            run,
            messages: EACH,
            place,
            quiet: None,
        };
        let child = start(program, &orders);
        let sending = write(bob.clone(), judge.clone(), format!("b-{run}"));
        let limit = if own_hand { LONGEST } else { Duration::from_millis(20 + dice.below(500)) };
        tokio::join!(die(child, limit), sending);
    }
    let last = Orders {
        address,
        folder: folder.path().to_owned(),
        run: kills,
        messages: 0,
        place: None,
        quiet: Some(QUIET),
    };
    let status = start(program, &last).wait().await.unwrap();
    assert!(status.success(), "the last run failed: {status}");
    // What is on its way to the other's app.
    tokio::time::sleep(Duration::from_millis(300)).await;
    bob.shut_down().await;
    reader.await.unwrap();
    let journal = std::fs::read_to_string(folder.path().join("journal")).unwrap_or_default();
    judge.lock().unwrap().judge(kills, &journal)
}

fn start(program: &Path, orders: &Orders) -> Child {
    Command::new(program)
        .args(orders.to_arguments())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the victim starts")
}

async fn die(mut child: Child, limit: Duration) {
    if tokio::time::timeout(limit, child.wait()).await.is_err() {
        child.kill().await.unwrap();
    }
}

async fn bob(address: &str, root: &[u8]) -> Phone {
    let config = Config::new("sip:bob@example.test")
        .and_then(|config| config.address(address))
        .unwrap()
        .password("builder")
        .trust(Policy::new(Arc::new(Anchors::from_pem(root, Source::Organisation))));
    let phone = Phone::start(config).unwrap();
    phone.register();
    while let Some(event) = phone.next_event().await {
        if matches!(event, Event::Registration { state: RegistrationState::Registered { .. }, .. }) {
            break;
        }
    }
    phone
}

async fn read(bob: Arc<Phone>, judge: Arc<Mutex<Judge>>) {
    while let Some(event) = bob.next_event().await {
        if let Event::Message(message) = event {
            judge.lock().unwrap().shown.push(message.text().unwrap_or_default());
        }
    }
}

/// Writes to the victim. What a proxy answers with 200 the victim has answered, and 202 the server keeps for it.
async fn write(bob: Arc<Phone>, judge: Arc<Mutex<Judge>>, text: String) {
    let sent = bob.send_and_wait("sip:alice@example.test", Outgoing::text(text.as_str()));
    // One that died with the message has not answered it; what becomes of it is nobody's promise.
    if let Ok(Ok(OutgoingState::Accepted { .. })) =
        tokio::time::timeout(Duration::from_millis(600), sent).await
    {
        judge.lock().unwrap().answered.insert(text);
    }
}
