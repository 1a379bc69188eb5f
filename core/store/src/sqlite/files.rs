//! The file and its companions: for their owner alone.

use crate::StoreError;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// A file beside the store's.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

pub(super) fn failed(error: &io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::NoSpace,
        ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly,
        _ => StoreError::Unavailable(error.to_string()),
    }
}

/// Makes the folder, if there is none, and the file.
pub(super) fn make(path: &Path) -> Result<(), StoreError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt;
            builder.mode(0o700);
        }
        builder.create(folder).map_err(|error| failed(&error))?;
    }
    match open_private(path) {
        Ok(file) => close_to_others(&file).map_err(|error| failed(&error)),
        // It may still be read, and SQLite says more exactly what is wrong.
        Err(error) if error.kind() == ErrorKind::PermissionDenied && path.exists() => Ok(()),
        Err(error) => Err(failed(&error)),
    }
}

/// Opens a file for its owner alone; makes it if there is none. SQLite gives its companions the same mode.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

#[cfg(unix)]
fn close_to_others(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    const OTHERS: u32 = 0o077;
    let mode = file.metadata()?.permissions().mode();
    if mode & OTHERS != 0 {
        file.set_permissions(fs::Permissions::from_mode(mode & !OTHERS))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn close_to_others(_: &File) -> io::Result<()> {
    // What is made in a user's folder inherits its access list.
    Ok(())
}

/// Whether the file may be read only, by its rights or because its disk is.
pub(super) fn is_read_only(path: &Path) -> bool {
    open_private(path).is_err_and(|error| {
        matches!(error.kind(), ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied)
    })
}

const MARK: &str = ".damaged";

/// Notes that damage was met. If that fails it is met again.
pub(super) fn mark_damaged(path: &Path) {
    let _ = open_private(&beside(path, MARK));
}

/// Whether damage was met since the file was opened first.
pub(super) fn is_marked(path: &Path) -> bool {
    beside(path, MARK).exists()
}

/// Sets the file aside under a free name, its write-ahead log with it; gives that name.
pub(super) fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let aside = (1..10_000u32)
        .map(|n| beside(path, &format!(".damaged-{n}")))
        .find(|candidate| !candidate.exists())
        .ok_or_else(|| StoreError::Unavailable("too many damaged files lie beside it".into()))?;
    for suffix in ["-wal", "-shm", ""] {
        match fs::rename(beside(path, suffix), beside(&aside, suffix)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(&error)),
            _ => {}
        }
    }
    // One that stays has a whole file set aside, which costs time and no message.
    let _ = fs::remove_file(beside(path, MARK));
    Ok(aside)
}
