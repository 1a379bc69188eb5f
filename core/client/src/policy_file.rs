//! The administrator's policy file, read from disk with the files that it names.

use aldis_trust as trust;
use aldis_trust::{Anchors, DomainPolicy, PolicyBook};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use aldis_sip::ReferenceIdentity;

/// Longest policy file, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// Longest file that it names (roots, revocation lists), in bytes.
const MAX_NAMED: u64 = 64 << 20;

/// What an administrator demands of the servers of each domain: a TOML file that can be shipped to every device. Its form
/// is that of [`trust::PolicyFile`]; the names of files in it are relative to its own folder.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let policy = aldis::PolicyFile::read("/etc/aldis/policy.toml")?;
/// let config = aldis::Config::new("sip:alice@example.test")?.policy_file(&policy);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PolicyFile {
    book: PolicyBook,
}

/// Why a policy file is of no use. Nothing of it applies then.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFileError {
    /// It cannot be read.
    #[error("{} cannot be read: {error}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It says something that is not possible, or names a file that cannot be used.
    #[error("{}, {error}", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line and what is wrong there.
        error: trust::PolicyFileError,
    },
    /// It wants the system's roots, and the program has not passed them ([`PolicyFile::read_with_system_roots`]).
    #[error("{} wants the system's roots, which this program does not read", .path.display())]
    NoSystemRoots {
        /// The file.
        path: PathBuf,
    },
}

impl PolicyFile {
    /// Reads a policy file and all that it names.
    ///
    /// # Errors
    /// [`PolicyFileError`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, PolicyFileError> {
        Self::load(path.as_ref(), None)
    }

    /// The same for files that may want the system's roots, which only the platform can tell.
    ///
    /// # Errors
    /// [`PolicyFileError`].
    pub fn read_with_system_roots(path: impl AsRef<Path>, system: &Anchors) -> Result<Self, PolicyFileError> {
        Self::load(path.as_ref(), Some(system))
    }

    fn load(path: &Path, system: Option<&Anchors>) -> Result<Self, PolicyFileError> {
        let unreadable = |error| PolicyFileError::Unreadable { path: path.into(), error };
        let invalid = |error| PolicyFileError::Invalid { path: path.into(), error };
        let text = read(path, MAX_FILE).map_err(unreadable)?;
        let text = String::from_utf8(text).map_err(|_| unreadable(io::ErrorKind::InvalidData.into()))?;
        let file = trust::PolicyFile::parse(&text).map_err(invalid)?;
        let none = Anchors::default();
        let system = match system {
            Some(system) => system,
            None if file.wants_system_roots() => {
                return Err(PolicyFileError::NoSystemRoots { path: path.into() });
            }
            None => &none,
        };
        let folder = path.parent().unwrap_or(Path::new(""));
        let named = |name: &str| read(&folder.join(name), MAX_NAMED).map_err(|error| error.to_string());
        let book = file.load(system, named).map_err(invalid)?;
        Ok(PolicyFile { book })
    }

    /// What the server of that identity has to satisfy.
    pub fn policy_for(&self, identity: &ReferenceIdentity) -> &DomainPolicy {
        self.book.policy_for(identity)
    }
}

fn read(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(max + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {max} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use aldis_pki::{Ca, RevocationList};
    use aldis_trust::{Level, RevocationMode};
    use std::fs;

    const NOW: i64 = 1_800_000_000;

    /// A folder with a root, a list and a policy file of that text.
    fn folder(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let ca = Ca::new("Corp Root", NOW).unwrap();
        fs::write(folder.path().join("corp.pem"), ca.root_pem()).unwrap();
        let list = RevocationList::new(NOW, NOW + 60).signed_by(&ca).unwrap();
        fs::write(folder.path().join("corp.crl"), list).unwrap();
        let path = folder.path().join("policy.toml");
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn an_account_gets_what_its_domain_demands_and_files_beside_the_policy() {
        let text = "[default]\nlevel = \"strict\"\n[domain.\"example.test\"]\nroots = [\"corp.pem\"]\n\
                    crls = [\"corp.crl\"]\nrevocation = \"require\"\nserver_names = [\"pool.corp.test\"]\n";
        let (_folder, path) = folder(text);
        let file = PolicyFile::read(&path).unwrap();
        let config = Config::new("sip:alice@example.test").unwrap().policy_file(&file);
        assert_eq!((config.policy.anchors.len(), config.crls.len()), (1, 1));
        assert_eq!((config.policy.revocation, config.policy.level), (RevocationMode::Require, Level::Strict));
        assert_eq!(config.policy.server_names.len(), 1);
        let config = Config::new("sip:alice@other.test").unwrap().policy_file(&file);
        assert!(config.policy.anchors.len() > 100 && config.crls.is_empty());
        assert_eq!((config.policy.revocation, config.policy.level), (RevocationMode::Prefer, Level::Strict));
    }

    #[test]
    fn every_mistake_names_the_file_and_the_line() {
        for (text, line, words) in [
            ("[default]\nlevle = \"strict\"\n", 2, "levle"),
            ("[default]\n\nlevel = \"lax\"\n", 3, "lax"),
            ("[default]\nroots = [\n\"corp.pem\",\n\"missing.pem\"]\n", 4, "missing.pem"),
            ("[default]\nroots = [\"corp.crl\"]\n", 2, "corp.crl"),
            ("[default\n", 1, ""),
        ] {
            let (_folder, path) = folder(text);
            let error = PolicyFile::read(&path).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{}, line {line}: ", path.display())), "{error}");
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_absent_too_long_or_no_text_is_told() {
        let (folder, path) = folder("");
        let absent = folder.path().join("absent.toml");
        assert!(matches!(PolicyFile::read(absent), Err(PolicyFileError::Unreadable { .. })));
        fs::write(&path, b"\xff\xfe").unwrap();
        assert!(matches!(PolicyFile::read(&path), Err(PolicyFileError::Unreadable { .. })));
        fs::write(&path, "#".repeat(usize::try_from(MAX_FILE).unwrap() + 1)).unwrap();
        let error = PolicyFile::read(&path).unwrap_err();
        assert!(error.to_string().contains("more than 1048576 bytes"), "{error}");
    }

    #[test]
    fn the_systems_roots_are_not_left_out_in_silence() {
        let (_folder, path) = folder("[default]\nroots = [\"system\"]\n");
        assert!(matches!(PolicyFile::read(&path), Err(PolicyFileError::NoSystemRoots { .. })));
        let ca = Ca::new("System Root", NOW).unwrap();
        let system = Anchors::from_pem(ca.root_pem().as_bytes(), aldis_trust::Source::System);
        let file = PolicyFile::read_with_system_roots(&path, &system).unwrap();
        let identity = ReferenceIdentity::new("example.test").unwrap();
        assert_eq!(file.policy_for(&identity).policy.anchors.len(), 1);
    }
}
