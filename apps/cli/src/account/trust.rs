//! Whom the account trusts: roots from files, and the policy over them.

use super::settings::Settings;
use crate::args::{Level, Revocation};
use crate::failure::Failure;
use crate::output::Output;
use crate::printable;
use aldis::net::system_roots::{RedirectedRoots, check_environment};
use aldis::trust::{self, Anchors, AnchorsBuilder, Crl, CrlError, Pin, Policy, RevocationMode, Source};
use aldis::{PolicyFile, PolicyFileError};
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
    #[error(transparent)]
    Redirected(RedirectedRoots),
    #[error("this system's roots cannot be read: {why}")]
    NoSystemRoots { why: String },
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
    if settings.add_roots.is_empty() && settings.system_roots.is_none() {
        return Ok(Anchors::bundled());
    }
    let mut builder = Anchors::builder().bundled();
    if let Some(given) = &settings.system_roots {
        builder = given.read(|_| system(builder, out))?;
    }
    for given in &settings.add_roots {
        builder = builder.all_of(&given.read(|_| from_file(&given.path(), out))?);
    }
    Ok(Arc::new(builder.build()))
}

/// An administrator's policy file.
///
/// # Errors
/// A usage [`Failure`] that names the file and the line.
pub(super) fn policy_file(path: &Path, out: &mut Output) -> Result<PolicyFile, Failure> {
    match PolicyFile::read(path) {
        Err(PolicyFileError::NoSystemRoots { .. }) => {
            let system = system(Anchors::builder(), out)
                .map_err(|error| Failure::usage(format_args!("--policy: {error}.")))?
                .build();
            PolicyFile::read_with_system_roots(path, &system)
        }
        read => read,
    }
    .map_err(|error| Failure::usage(format_args!("--policy: {error}.")))
}

/// Adds the platform's roots. The environment may not choose them: what it can set, another program can set too.
fn system(mut builder: AnchorsBuilder, out: &mut Output) -> Result<AnchorsBuilder, RootsError> {
    check_environment().map_err(RootsError::Redirected)?;
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why = found.errors.first().map_or_else(|| "there are none".to_owned(), ToString::to_string);
        return Err(RootsError::NoSystemRoots { why });
    }
    for error in found.errors {
        out.warning(&format!(
            "a part of the system's roots is skipped: {}",
            printable::line(&error.to_string())
        ));
    }
    for root in found.certs {
        builder = builder.certificate(root, Source::System);
    }
    Ok(builder)
}

/// The revocation lists in files, each of which may hold several.
///
/// # Errors
/// A usage [`Failure`]: a list that cannot be read proves nothing, and nobody may believe that it does.
pub(super) fn revocation_lists(settings: &Settings) -> Result<Vec<Arc<Crl>>, Failure> {
    let mut lists = Vec::new();
    for given in &settings.crls {
        let path = given.path();
        let found = given.read(|_| {
            let bytes = std::fs::read(&path)
                .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
            lists_in(&bytes).map_err(|error| format!("{} is no revocation list: {error}", path.display()))
        })?;
        if found.is_empty() {
            return Err(given.wrong(format_args!("{} holds no revocation list", path.display())));
        }
        lists.extend(found.into_iter().map(Arc::new));
    }
    Ok(lists)
}

/// Lists in PEM, or one in DER.
fn lists_in(bytes: &[u8]) -> Result<Vec<Crl>, CrlError> {
    const DER_SEQUENCE: u8 = 0x30;
    match bytes.first() {
        Some(&DER_SEQUENCE) => Crl::from_der(bytes).map(|list| vec![list]),
        _ => Crl::all_from_pem(bytes),
    }
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
