//! `aldis trust check`: one chain, judged.

use super::args::Check;
use super::question::{Question, now};
use super::{files, words};
use crate::failure::{Exit, Failure, Outcome};
use crate::output::Output;
use crate::printable;
use aldis_sip::{Domain, ReferenceIdentity};
use aldis_trust::{Anchors, Crl, Pin, Policy};
use std::fmt::Display;
use std::sync::Arc;

/// Judges and says what came out: 0 accepted, 1 refused.
///
/// # Errors
/// A usage failure for an option or a file that cannot be read.
pub(super) fn run(args: &Check, out: &mut Output) -> Outcome {
    let question = question(args, out)?;
    let verdict = question.answer();
    if out.is_json() {
        let value = serde_json::to_value(&verdict).map_err(|error| Failure::new(Exit::Internal, error))?;
        out.json(&value)?;
    } else {
        let text = words::verdict(&verdict, question.time, out);
        out.text(&text)?;
    }
    Ok(if verdict.is_trusted() { Exit::Done } else { Exit::Refused })
}

fn question(args: &Check, out: &mut Output) -> Result<Question, Failure> {
    let identity = ReferenceIdentity::new(&args.host).map_err(|error| wrong("--host", &error))?;
    let mut policy = Policy::new(anchors(args, out)?);
    policy.profile = args.profile.into();
    policy.level = args.level.into();
    policy.revocation = args.revocation.into();
    policy.max_depth = args.max_depth;
    policy.allow_wildcard = args.allow_wildcard;
    for text in &args.pin {
        policy.pins.push(text.parse::<Pin>().map_err(|error| wrong("--pin", &error))?);
    }
    for text in &args.server_name {
        policy.server_names.push(Domain::new(text).map_err(|error| wrong("--server-name", &error))?);
    }
    let mut chain = Vec::new();
    for path in &args.chain {
        chain.extend(files::chain(&files::read("--chain", path)?));
    }
    let staple = args.ocsp.as_ref().map(|path| files::read("--ocsp", path)).transpose()?;
    Ok(Question { chain, identity, time: args.time.unwrap_or_else(now), policy, crls: lists(args)?, staple })
}

fn anchors(args: &Check, out: &mut Output) -> Result<Arc<Anchors>, Failure> {
    if args.roots.is_empty() {
        return Ok(Anchors::bundled());
    }
    let mut builder = Anchors::builder();
    for path in &args.roots {
        builder = files::roots(builder, &files::read("--roots", path)?);
    }
    let anchors = builder.build();
    for root in anchors.unusable() {
        out.warning(&format!("a root is skipped: {}", printable::line(&root.to_string())));
    }
    Ok(Arc::new(anchors))
}

fn lists(args: &Check) -> Result<Vec<Arc<Crl>>, Failure> {
    let mut lists = Vec::new();
    for path in &args.crl {
        let found = files::lists(&files::read("--crl", path)?).map_err(|error| {
            Failure::usage(format_args!("--crl: {} is no revocation list: {error}.", path.display()))
        })?;
        lists.extend(found.into_iter().map(Arc::new));
    }
    Ok(lists)
}

fn wrong(option: &str, why: &dyn Display) -> Failure {
    Failure::usage(format_args!("{option}: {}.", printable::line(&why.to_string())))
}
