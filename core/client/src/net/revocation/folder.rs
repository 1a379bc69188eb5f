//! Lists kept on disk. What is read back is evidence like what was fetched: its signature is checked by the judgement, so
//! that a file that somebody changed proves nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::cache::Key;
use super::fetch::MAX_LIST;

/// Most files that are kept.
const MAX_FILES: usize = 64;
/// Most bytes that are kept.
const MAX_BYTES: u64 = 64 << 20;
/// How the files of lists end, and those that are being written.
const LIST: &str = "crl";
const UNFINISHED: &str = "crl-new";

/// A folder of lists, one file each, named by what it is looked up by.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub fn new(path: PathBuf) -> Self {
        Folder(path)
    }

    fn file(&self, key: &Key, extension: &str) -> PathBuf {
        self.0.join(format!("{key}.{extension}"))
    }

    /// The bytes kept under that key, if there are any that can be read.
    pub fn read(&self, key: &Key) -> Option<Vec<u8>> {
        let file = File::open(self.file(key, LIST)).ok()?;
        let mut bytes = Vec::new();
        let limit = u64::try_from(MAX_LIST).unwrap_or(u64::MAX);
        file.take(limit + 1).read_to_end(&mut bytes).ok()?;
        (bytes.len() <= MAX_LIST).then_some(bytes)
    }

    /// Removes what is kept under that key.
    pub fn forget(&self, key: &Key) {
        // That it is not there is what is wanted.
        let _ = fs::remove_file(self.file(key, LIST));
    }

    /// Keeps `bytes` under that key: all of them or, after a crash, what was there before.
    pub fn write(&self, key: &Key, bytes: &[u8]) -> io::Result<()> {
        create(&self.0)?;
        let unfinished = self.file(key, UNFINISHED);
        // Left behind by a crash.
        let _ = fs::remove_file(&unfinished);
        let written =
            write_new(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, self.file(key, LIST)));
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        self.make_room();
        written
    }

    /// Removes the oldest beyond the limits.
    fn make_room(&self) {
        let Ok(entries) = fs::read_dir(&self.0) else { return };
        let files = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.path().extension().is_some_and(|extension| extension == LIST))
            .filter_map(|entry| {
                let metadata = entry.metadata().ok()?;
                Some((metadata.modified().ok()?, metadata.len(), entry.path()))
            });
        let mut newest: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for file in files {
            newest.insert(newest.partition_point(|other| *other > file), file);
        }
        let mut bytes = 0u64;
        for (index, (_, length, path)) in newest.iter().enumerate() {
            bytes = bytes.saturating_add(*length);
            if index >= MAX_FILES || bytes > MAX_BYTES {
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// Creates the folder for its owner alone: the lists tell whom somebody talks to.
fn create(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Writes a file that must not be there yet, so that no link is followed.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        Key::new(b"issuer", &number.to_string())
    }

    fn folder() -> (tempfile::TempDir, Folder) {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::new(parent.path().join("lists"));
        (parent, folder)
    }

    #[test]
    fn what_was_written_is_read_and_replaced_whole() {
        let (_parent, folder) = folder();
        assert_eq!(folder.read(&key(1)), None);
        folder.write(&key(1), b"first").unwrap();
        folder.write(&key(1), b"second").unwrap();
        folder.write(&key(2), b"other").unwrap();
        assert_eq!(folder.read(&key(1)).as_deref(), Some(&b"second"[..]));
        folder.forget(&key(1));
        assert_eq!(folder.read(&key(1)), None);
        assert_eq!(folder.read(&key(2)).as_deref(), Some(&b"other"[..]));
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read() {
        use std::os::unix::fs::PermissionsExt;
        let (_parent, folder) = folder();
        folder.write(&key(1), b"list").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder.0), 0o700);
        assert_eq!(mode(&folder.file(&key(1), LIST)), 0o600);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_way_is_not_written_through() {
        let (parent, folder) = folder();
        let victim = parent.path().join("victim");
        fs::write(&victim, b"untouched").unwrap();
        fs::create_dir(&folder.0).unwrap();
        for extension in [LIST, UNFINISHED] {
            std::os::unix::fs::symlink(&victim, folder.file(&key(1), extension)).unwrap();
        }
        folder.write(&key(1), b"list").unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"untouched");
        assert_eq!(folder.read(&key(1)).as_deref(), Some(&b"list"[..]));
    }

    #[test]
    fn a_file_beyond_the_limit_is_not_read() {
        let (_parent, folder) = folder();
        folder.write(&key(1), b"list").unwrap();
        let file = OpenOptions::new().write(true).open(folder.file(&key(1), LIST)).unwrap();
        file.set_len(u64::try_from(MAX_LIST).unwrap() + 1).unwrap();
        assert_eq!(folder.read(&key(1)), None);
    }

    #[test]
    fn the_number_of_files_and_bytes_is_limited() {
        let (_parent, folder) = folder();
        for number in 0..MAX_FILES + 5 {
            folder.write(&key(number), b"list").unwrap();
        }
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), MAX_FILES);
        let large = OpenOptions::new().write(true).create_new(true).open(folder.0.join("0.crl")).unwrap();
        large.set_len(MAX_BYTES).unwrap();
        folder.write(&key(1_000), b"list").unwrap();
        let kept: u64 = fs::read_dir(&folder.0).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
        assert!(kept <= MAX_BYTES, "{kept}");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error_and_nothing_more() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        fs::write(&file, b"").unwrap();
        let folder = Folder::new(file.join("lists"));
        assert!(folder.write(&key(1), b"list").is_err());
        assert_eq!(folder.read(&key(1)), None);
    }
}
