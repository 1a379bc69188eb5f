//! The instance id, by which a registrar knows one installation from another (RFC 5626 §4.1).
//!
//! What stays registered (`register`, `listen`) keeps one for each account; a one-shot command takes a new one, so that
//! it never disturbs the other.

use aldis_sip::Uri;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use uuid::Uuid;

const FOLDER: &str = "aldis";
const FILE: &str = "instance";
const MESSAGES: &str = "messages.db";

/// Why there is no lasting instance id.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstanceError {
    /// No home, no folder.
    #[error(
        "There is no folder for what must last, since this user has no home. Set XDG_DATA_HOME, name the instance with \
         --instance UUID, or do without with --store none."
    )]
    NoHome,
    /// The file cannot be read or written.
    #[error(
        "{} cannot be kept: {error}. It holds the number by which the server knows this device; make the folder \
         writable, or do without with --store none.",
        path.display()
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file holds something else.
    #[error("{} does not hold a UUID. Remove it, and a new one is made; the server will take this for another device.", .0.display())]
    NotAUuid(PathBuf),
}

/// An instance id for this one run.
pub(super) fn fresh() -> String {
    Uuid::new_v4().to_string()
}

/// The instance id of this account on this machine, made at the first call.
///
/// # Errors
/// [`InstanceError`].
pub(super) fn lasting(account: &Uri<'_>) -> Result<String, InstanceError> {
    use etcetera::BaseStrategy;
    let strategy = etcetera::base_strategy::choose_native_strategy().map_err(|_| InstanceError::NoHome)?;
    lasting_in(&strategy.data_dir().join(FOLDER), account)
}

/// The file for this account's messages, unless another is named; `None` where this user has no folder for it.
pub(super) fn messages_file(account: &Uri<'_>) -> Option<PathBuf> {
    use etcetera::BaseStrategy;
    let data = etcetera::base_strategy::choose_native_strategy().ok()?.data_dir().join(FOLDER);
    Some(data.join(folder_name(account.as_str())).join(MESSAGES))
}

fn lasting_in(data: &Path, account: &Uri<'_>) -> Result<String, InstanceError> {
    let folder = data.join(folder_name(account.as_str()));
    let path = folder.join(FILE);
    let failed = |error| InstanceError::Io { path: path.clone(), error };
    if let Some(instance) = read(&path)? {
        return Ok(instance);
    }
    make_folder(&folder).map_err(failed)?;
    // Written whole under another name first: two commands that start together end up with the same id.
    let mine = fresh();
    let draft = folder.join(format!("{FILE}.{mine}"));
    let made = write(&draft, &mine).and_then(|()| fs::hard_link(&draft, &path));
    let removed = fs::remove_file(&draft);
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => removed.map_err(failed)?,
    }
    read(&path)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))
}

fn read(path: &Path) -> Result<Option<String>, InstanceError> {
    match fs::read_to_string(path) {
        Ok(text) => match Uuid::parse_str(text.trim()) {
            Ok(uuid) => Ok(Some(uuid.to_string())),
            Err(_) => Err(InstanceError::NotAUuid(path.into())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(InstanceError::Io { path: path.into(), error }),
    }
}

fn write(path: &Path, instance: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{instance}")?;
    file.sync_all()
}

fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// The address as a name of one folder: the same for the same address, and never a path.
fn folder_name(address: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'@' | b'-' | b'_' | b'+' | b'.');
    let name: String = address
        .bytes()
        .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect();
    name.replacen("sip%3A", "", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> Uri<'static> {
        Uri::parse("sip:alice@example.test").unwrap()
    }

    #[test]
    fn an_account_keeps_its_instance_and_others_have_their_own() {
        let data = tempfile::tempdir().unwrap();
        let first = lasting_in(data.path(), &alice()).unwrap();
        assert_eq!(lasting_in(data.path(), &alice()).unwrap(), first);
        let secure = Uri::parse("sips:alice@example.test").unwrap();
        assert_ne!(lasting_in(data.path(), &secure).unwrap(), first);
        assert_ne!(fresh(), fresh());
        let left: Vec<_> = fs::read_dir(data.path().join("alice@example.test")).unwrap().collect();
        assert_eq!(left.len(), 1, "no drafts stay: {left:?}");
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_it() {
        use std::os::unix::fs::MetadataExt;
        let data = tempfile::tempdir().unwrap();
        lasting_in(data.path(), &alice()).unwrap();
        let folder = data.path().join("alice@example.test");
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(folder.join(FILE)).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_holds_something_else_is_not_overwritten() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("alice@example.test");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join(FILE), "precious").unwrap();
        assert!(matches!(lasting_in(data.path(), &alice()), Err(InstanceError::NotAUuid(_))));
        assert_eq!(fs::read_to_string(folder.join(FILE)).unwrap(), "precious");
    }

    #[test]
    fn an_address_never_leaves_its_folder() {
        assert_eq!(folder_name("sip:../../etc/a b@x.test"), "..%2F..%2Fetc%2Fa%20b@x.test");
        assert_eq!(folder_name("sips:a@x.test"), "sips%3Aa@x.test");
    }
}
