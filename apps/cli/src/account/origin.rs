//! Where a setting came from, so that whoever wrote it can be told where to look.

use crate::failure::Failure;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A place where settings are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// An option of the command line, by its name with the hyphens.
    Option(&'static str),
    /// A key in the configuration file.
    File {
        /// The file.
        file: Arc<Path>,
        /// The line, from 1.
        line: usize,
        /// The key.
        key: &'static str,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Option(name) => f.write_str(name),
            Origin::File { file, line, key } => write!(f, "{}, line {line}, key `{key}`", file.display()),
        }
    }
}

/// A setting and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given<T> {
    /// The setting.
    pub value: T,
    /// Where it was written.
    pub origin: Origin,
}

impl<T> Given<T> {
    /// What `read` makes of the setting; its error with the place in front.
    ///
    /// # Errors
    /// A usage [`Failure`].
    pub fn read<U, E: fmt::Display>(&self, read: impl FnOnce(&T) -> Result<U, E>) -> Result<U, Failure> {
        read(&self.value).map_err(|error| self.wrong(error))
    }

    /// The failure that this setting is.
    pub fn wrong(&self, why: impl fmt::Display) -> Failure {
        Failure::usage(format_args!("{}: {why}", self.origin))
    }
}

impl Given<PathBuf> {
    /// The path as it is to be opened: one in a configuration file counts from that file's folder.
    pub fn path(&self) -> PathBuf {
        match &self.origin {
            Origin::Option(_) => self.value.clone(),
            Origin::File { file, .. } => {
                file.parent().map_or_else(|| self.value.clone(), |folder| folder.join(&self.value))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_a_configuration_file_counts_from_its_folder() {
        let origin = Origin::File { file: Path::new("/etc/aldis/config.toml").into(), line: 3, key: "roots" };
        let given = Given { value: PathBuf::from("ca.pem"), origin };
        assert_eq!(given.path(), Path::new("/etc/aldis/ca.pem"));
        let absolute = Given { value: PathBuf::from("/srv/ca.pem"), ..given.clone() };
        assert_eq!(absolute.path(), Path::new("/srv/ca.pem"));
        let option = Given { value: PathBuf::from("ca.pem"), origin: Origin::Option("--roots") };
        assert_eq!(option.path(), Path::new("ca.pem"));
        assert_eq!(given.wrong("no").advice, "/etc/aldis/config.toml, line 3, key `roots`: no");
    }
}
