//! `aldis demo`: a server, two users and an impostor, all on this machine; every step is checked.

mod story;
mod user;

use self::story::Story;
use self::user::{Identity, User};
use crate::failure::{Exit, Failure, Outcome};
use crate::output::Output;
use crate::printable;
use aldis::trust::{Anchors, Policy, Source, Stage, Verdict};
use aldis::{Connected, Event};
use aldis_registrar::pki::Template;
use aldis_registrar::{Impostor, Offline, Options, Registrar, What};
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const DOMAIN: &str = "example.test";
const IMPOSTOR: &str = "impostor.test";
const TITLE: &str = "Aldis demo: a server, two users and an impostor, all on this machine.";
/// How long the impostor's end of the connection may take to close.
const CLOSING: Duration = Duration::from_secs(5);

/// Tells the story.
///
/// # Errors
/// An internal [`Failure`] at the first step that does not go as it must.
pub(crate) async fn run(out: &mut Output) -> Outcome {
    let begun = Instant::now();
    let mut story = Story::begin(TITLE, out)?;
    let (alice, bob) = (Identity::new("alice"), Identity::new("bob"));

    story.step("A server for example.test starts")?;
    let options = Options::new(DOMAIN)
        .user(alice.name, &alice.password)
        .user(bob.name, &bob.password)
        .offline(Offline::Store);
    let registrar = Registrar::start(options).await.map_err(|error| broken("the server", &error))?;
    let policy = policy(&registrar)?;
    story.fact(&format!(
        "It listens on {}, with a certificate of an authority made for this run.",
        registrar.address()
    ))?;

    let alices = arrive(&alice, &registrar, &policy, &mut story).await?;
    let bobs = arrive(&bob, &registrar, &policy, &mut story).await?;
    talk(&alice, &alices, &bob, &bobs, &mut story).await?;
    let bobs = away_and_back(&alice, &alices, (&bob, bobs), &registrar, &policy, &mut story).await?;
    misled(&alice, &registrar, &policy, &mut story).await?;

    story.step("Both unregister and leave")?;
    alices.leave(&mut story).await?;
    bobs.leave(&mut story).await?;
    check(bindings(&registrar) == 0, "the server still holds a binding")?;
    story.checked("The server holds no binding any more.")?;

    story.end(&format!("All of it as it should be, in {:.1} s.", begun.elapsed().as_secs_f64()))?;
    Ok(Exit::Done)
}

/// The users trust the authority of this run and no other.
fn policy(registrar: &Registrar) -> Result<Policy, Failure> {
    let root = registrar.root_pem().ok_or_else(|| broken("the server", &"it has no authority of its own"))?;
    let anchors = Anchors::from_pem(root.as_bytes(), Source::Organisation);
    check(anchors.len() == 1, "the authority's root cannot be read")?;
    Ok(Policy::new(Arc::new(anchors)))
}

async fn arrive(
    who: &Identity,
    registrar: &Registrar,
    policy: &Policy,
    story: &mut Story<'_>,
) -> Result<User, Failure> {
    story.step(&format!("{} registers over verified TLS", who.name))?;
    let user = User::start(who, registrar.address(), policy)?;
    let (connected, granted) = user.registered(story).await?;
    check(connected.reference.to_string() == DOMAIN, "the certificate was not held against the domain")?;
    check(registrar.bindings(who.name).len() == 1, "the server does not hold the one binding")?;
    story.fact(&proof(&connected))?;
    story.checked(&format!("{} is registered for {granted} s.", who.address()))?;
    Ok(user)
}

fn proof(connected: &Connected) -> String {
    let (tls, matched) = (&connected.tls, &connected.matched);
    let kind = match matched.by.as_str() {
        "dns" => "DNS name",
        "sip-uri" => "sip: URI",
        other => other,
    };
    format!(
        "TLS {}, {}, key exchange {}\nThe server proves to be {}: its certificate has the {kind} {}.",
        tls.version,
        tls.suite,
        tls.group,
        connected.reference,
        printable::line(&matched.value),
    )
}

async fn talk(
    alice: &Identity,
    alices: &User,
    bob: &Identity,
    bobs: &User,
    story: &mut Story<'_>,
) -> Result<(), Failure> {
    for (from, sender, to, receiver, text) in [
        (alice, alices, bob, bobs, "Hello Bob, can you read me?"),
        (bob, bobs, alice, alices, "Loud and clear, Alice."),
    ] {
        story.step(&format!("{} writes to {}", from.name, to.name))?;
        let status = sender.write(to, text, story).await?;
        check(status == 200, "the message was not accepted by its receiver")?;
        receiver.read(from, text, story).await?;
        story.checked(&format!("{} reads: {text}", to.name))?;
    }
    Ok(())
}

async fn away_and_back(
    alice: &Identity,
    alices: &User,
    (bob, bobs): (&Identity, User),
    registrar: &Registrar,
    policy: &Policy,
    story: &mut Story<'_>,
) -> Result<User, Failure> {
    let text = "You will find this when you are back.";
    story.step("bob goes offline, and alice writes to him all the same")?;
    bobs.leave(story).await?;
    check(registrar.bindings(bob.name).is_empty(), "the server still holds bob's binding")?;
    let status = alices.write(bob, text, story).await?;
    check(status == 202, "the server did not take the message into its store")?;
    check(registrar.stored(bob.name) == 1, "the server does not hold the message")?;
    story.checked("The server accepts it (202) and keeps it for him.")?;

    story.step("bob comes back")?;
    let bobs = User::start(bob, registrar.address(), policy)?;
    bobs.registered(story).await?;
    bobs.read(alice, text, story).await?;
    story.checked(&format!("bob reads: {text}"))?;
    Ok(bobs)
}

/// What a forged DNS answer would do: alice is led to a server whose certificate is valid, for another name.
async fn misled(
    alice: &Identity,
    registrar: &Registrar,
    policy: &Policy,
    story: &mut Story<'_>,
) -> Result<(), Failure> {
    story.step("alice is led to an impostor")?;
    let certificate =
        registrar.issue(Template::server(IMPOSTOR)).map_err(|error| broken("the impostor", &error))?;
    let impostor = Impostor::start(certificate).await.map_err(|error| broken("the impostor", &error))?;
    story.fact(&format!(
        "It listens on {}. Its certificate is valid and of the same authority, but for {IMPOSTOR}.",
        impostor.address()
    ))?;
    let phone = User::start(alice, impostor.address(), policy)?;
    phone.register();
    let verdict = phone
        .wait("the refusal", story, |event| match event {
            Event::Untrusted { verdict, .. } => Some(verdict.clone()),
            _ => None,
        })
        .await?;
    let finding = only_the_name_is_wrong(&verdict)?;
    story.refusal(&printable::lines(&finding))?;
    phone.leave(story).await?;

    let closed = impostor.wait_for(|entry| matches!(entry.what, What::Closed { .. }), CLOSING).await;
    closed.map_err(|error| broken("the impostor", &error))?;
    check(impostor.connections() > 0, "nobody connected to the impostor")?;
    let bytes = impostor.application_bytes();
    check(bytes == 0, "the impostor was told something")?;
    story.checked(&format!("Bytes of SIP that the impostor received, by its own count: {bytes}."))
}

/// The refusal in words, if it is for the name and nothing else.
fn only_the_name_is_wrong(verdict: &Verdict) -> Result<String, Failure> {
    match verdict.findings() {
        [finding] if finding.stage() == Stage::Identity => Ok(finding.to_string()),
        _ => Err(broken("the impostor", &"it was refused for another reason than its name")),
    }
}

fn bindings(registrar: &Registrar) -> usize {
    registrar.bindings("alice").len() + registrar.bindings("bob").len()
}

fn check(holds: bool, otherwise: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(broken("the demo", &otherwise)) }
}

/// A step that did not go as it must.
fn broken(who: &str, why: &dyn Display) -> Failure {
    let why = why.to_string();
    Failure::new(Exit::Internal, format_args!("The demo failed at {who}: {}.", printable::lines(&why)))
}
