//! Whom the account trusts: roots from files, and the policy over them.

use super::settings::Settings;
use crate::args::{Level, Revocation};
use crate::failure::Failure;
use crate::output::Output;
use crate::printable;
use aldis::trust::{self, Anchors, Pin, Policy, RevocationMode, Source};
use aldis_sip::Domain;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a file of roots is of no use.
#[derive(Debug, thiserror::Error)]
enum RootsError {
    #[error("the roots in {} cannot be read: {error}", .path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{} holds no root that can be used: {why}", .path.display())]
    Unusable { path: PathBuf, why: String },
}

/// What the account demands of a server.
///
/// # Errors
/// A usage [`Failure`] that names the option or key, and the file.
pub(super) fn policy(settings: &Settings, out: &mut Output) -> Result<Policy, Failure> {
    let mut policy = Policy::new(anchors(settings, out)?);
    policy.allow_wildcard = settings.allow_wildcard;
    for name in &settings.server_names {
        policy.server_names.push(name.read(|text| Domain::new(text))?);
    }
    for pin in &settings.pins {
        policy.pins.push(pin.read(|text| text.parse::<Pin>())?);
    }
    if let Some(level) = &settings.level {
        policy.level = match level.value {
            Level::Default => trust::Level::Default,
            Level::Strict => trust::Level::Strict,
        };
    }
    if let Some(mode) = &settings.revocation {
        policy.revocation = match mode.value {
            Revocation::Require => RevocationMode::Require,
            Revocation::Prefer => RevocationMode::Prefer,
            Revocation::Off => RevocationMode::Off,
        };
    }
    Ok(policy)
}

fn anchors(settings: &Settings, out: &mut Output) -> Result<Arc<Anchors>, Failure> {
    if let Some(given) = &settings.roots {
        return given.read(|_| from_file(&given.path(), out)).map(Arc::new);
    }
    if settings.add_roots.is_empty() {
        return Ok(Anchors::bundled());
    }
    let mut builder = Anchors::builder().bundled();
    for given in &settings.add_roots {
        builder = builder.all_of(&given.read(|_| from_file(&given.path(), out))?);
    }
    Ok(Arc::new(builder.build()))
}

/// The roots in a PEM file; what cannot be one is skipped with a warning.
fn from_file(path: &Path, out: &mut Output) -> Result<Anchors, RootsError> {
    let pem = std::fs::read(path).map_err(|error| RootsError::Unreadable { path: path.into(), error })?;
    let anchors = Anchors::from_pem(&pem, Source::Organisation);
    let mut reasons = anchors.unusable().iter().map(|root| printable::line(&root.why).into_owned());
    if anchors.is_empty() {
        let why = reasons.next().unwrap_or_else(|| "there is no certificate in PEM form".into());
        return Err(RootsError::Unusable { path: path.into(), why });
    }
    for why in reasons {
        out.warning(&format!("a root in {} is skipped: {why}", path.display()));
    }
    Ok(anchors)
}
