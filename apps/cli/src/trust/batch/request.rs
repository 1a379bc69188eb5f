//! One line of a batch: what is asked, and the answer.
//!
//! Types are taken liberally (one text instead of a list, `null` for what is absent); values are not: an option that
//! nobody can read is an error, since the judgement would be about something else.

use super::cache::Cache;
use super::line::MAX_LINE;
use crate::args::{Level, Revocation};
use crate::printable;
use crate::trust::args::{Profile, moment};
use crate::trust::files;
use crate::trust::question::{Question, now};
use aldis_sip::{Domain, ReferenceIdentity};
use aldis_trust::{Pin, Policy, Verdict};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt::Display;

/// What is written for a line.
#[derive(Serialize)]
struct Answer<'a> {
    id: &'a Value,
    #[serde(flatten)]
    verdict: &'a Verdict,
}

/// Why a line cannot be judged, and which member is to blame.
#[derive(Debug, thiserror::Error)]
#[error("{member}: {why}")]
struct BadMember {
    member: &'static str,
    why: String,
}

fn bad(member: &'static str, why: impl Display) -> BadMember {
    BadMember { member, why: why.to_string() }
}

/// The answer to a line, with its line end.
pub(super) fn answer(line: &[u8], cache: &Cache) -> String {
    let mut object = match serde_json::from_slice(line) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return error(&Value::Null, &"the line is no JSON object"),
        Err(why) => return error(&Value::Null, &format_args!("the line is no JSON: {why}")),
    };
    let id = object.remove("id").unwrap_or(Value::Null);
    let verdict = match question(&mut object, cache) {
        Ok(question) => question.answer(),
        Err(why) => return error(&id, &why),
    };
    match serde_json::to_string(&Answer { id: &id, verdict: &verdict }) {
        Ok(line) => line + "\n",
        Err(why) => error(&id, &format_args!("the verdict cannot be written: {why}")),
    }
}

/// The answer to a line that was not read.
pub(super) fn too_long() -> String {
    error(&Value::Null, &format_args!("the line is longer than {} MiB", MAX_LINE >> 20))
}

fn error(id: &Value, why: &dyn Display) -> String {
    let why = printable::line(&why.to_string()).into_owned();
    format!("{}\n", serde_json::json!({"id": id, "error": why}))
}

fn question(object: &mut Map<String, Value>, cache: &Cache) -> Result<Question, BadMember> {
    let host = text(object, "host")?
        .ok_or_else(|| bad("host", "it is missing; say what the server must prove to be"))?;
    let identity = ReferenceIdentity::new(&host).map_err(|error| bad("host", error))?;
    let mut policy = Policy::new(cache.roots(texts(object, "roots")));
    if let Some(profile) = word::<Profile>(object, "profile")? {
        policy.profile = profile.into();
    }
    if let Some(level) = word::<Level>(object, "level")? {
        policy.level = level.into();
    }
    if let Some(mode) = word::<Revocation>(object, "revocation")? {
        policy.revocation = mode.into();
    }
    policy.max_depth = depth(object)?;
    policy.allow_wildcard = match object.remove("allow_wildcard") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(allowed)) => allowed,
        Some(_) => return Err(bad("allow_wildcard", "it must be true or false")),
    };
    for pin in texts(object, "pins") {
        policy.pins.push(pin.parse::<Pin>().map_err(|error| bad("pins", error))?);
    }
    for name in texts(object, "server_names") {
        policy.server_names.push(Domain::new(&name).map_err(|error| bad("server_names", error))?);
    }
    let mut crls = Vec::new();
    for list in texts(object, "crls") {
        crls.extend(cache.lists(list).map_err(|error| bad("crls", error))?);
    }
    let chain = texts(object, "chain").iter().flat_map(|pem| files::chain(pem.as_bytes())).collect();
    Ok(Question { chain, identity, time: time(object)?, policy, crls, staple: staple(object)? })
}

fn text(object: &mut Map<String, Value>, member: &'static str) -> Result<Option<String>, BadMember> {
    match object.remove(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(bad(member, "it must be a text")),
    }
}

/// A list of texts, or one. What is no text becomes one that nobody can read, for whoever reads it to say so.
fn texts(object: &mut Map<String, Value>, member: &'static str) -> Vec<String> {
    let text = |value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    match object.remove(member) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) => list.into_iter().map(text).collect(),
        Some(other) => vec![text(other)],
    }
}

fn word<T: ValueEnum>(object: &mut Map<String, Value>, member: &'static str) -> Result<Option<T>, BadMember> {
    let Some(text) = text(object, member)? else { return Ok(None) };
    let known = || {
        let names = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        names.map(|value| value.get_name().to_owned()).collect::<Vec<_>>().join(", ")
    };
    T::from_str(&text, true)
        .map(Some)
        .map_err(|_| bad(member, format_args!("{text:?} is none of {}", known())))
}

fn depth(object: &mut Map<String, Value>) -> Result<Option<usize>, BadMember> {
    let wrong = || bad("max_depth", "it must be a number from 0");
    match object.remove("max_depth") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => {
            let depth = number.as_u64().and_then(|depth| usize::try_from(depth).ok());
            depth.map(Some).ok_or_else(wrong)
        }
        Some(Value::String(text)) => text.parse().map(Some).map_err(|_| wrong()),
        Some(_) => Err(wrong()),
    }
}

/// RFC 3339, or seconds since 1970.
fn time(object: &mut Map<String, Value>) -> Result<i64, BadMember> {
    match object.remove("time") {
        None | Some(Value::Null) => Ok(now()),
        Some(Value::String(text)) => moment(&text).map_err(|error| bad("time", error)),
        Some(Value::Number(number)) => {
            number.as_i64().ok_or_else(|| bad("time", "it must be RFC 3339, or whole seconds since 1970"))
        }
        Some(_) => Err(bad("time", "it must be RFC 3339, or seconds since 1970")),
    }
}

fn staple(object: &mut Map<String, Value>) -> Result<Option<Vec<u8>>, BadMember> {
    let Some(mut text) = text(object, "ocsp")? else { return Ok(None) };
    text.retain(|c| !c.is_ascii_whitespace());
    STANDARD.decode(text).map(Some).map_err(|error| bad("ocsp", format_args!("it is not base64: {error}")))
}
