//! Where the password comes from; never from the command line, which every process of the machine can read.

use super::origin::{Given, Origin};
use crate::failure::Failure;
use crate::output::Output;
use aldis_sip::Secret;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The environment variable that may hold it.
const VARIABLE: &str = "ALDIS_PASSWORD";
/// Longest password file that is read, in bytes: what is longer is another file, named by mistake.
const MAX_FILE: u64 = 4096;

/// Why a password file is of no use.
#[derive(Debug, thiserror::Error)]
enum PasswordFileError {
    #[error("the password file {} cannot be read: {error}", .path.display())]
    Unreadable { path: PathBuf, error: std::io::Error },
    #[error("the password file {} is empty; it must hold the password on one line", .0.display())]
    Empty(PathBuf),
    #[error("the password file {} has several lines; it must hold the password on one line and nothing else", .0.display())]
    SeveralLines(PathBuf),
    #[error("the password file {} is not UTF-8 text; it must hold the password on one line", .0.display())]
    NotText(PathBuf),
    #[error("the password file {} is longer than {MAX_FILE} bytes: is it the right file?", .0.display())]
    TooLong(PathBuf),
}

/// The password: from the file that the command line names, else the environment, else the file that the configuration
/// names, else the person at the terminal. `None` if nobody has one; the server may not ask for it.
///
/// # Errors
/// A usage [`Failure`] if what was given cannot be used.
pub(super) fn find(
    file: Option<&Given<PathBuf>>,
    who: &str,
    out: &mut Output,
) -> Result<Option<Secret>, Failure> {
    if let Some(given) = file.filter(|given| matches!(given.origin, Origin::Option(_))) {
        return read(given, out).map(Some);
    }
    if let Some(secret) = from_environment()? {
        return Ok(Some(secret));
    }
    if let Some(given) = file {
        return read(given, out).map(Some);
    }
    if !out.is_watched() {
        return Ok(None);
    }
    let text = rpassword::prompt_password(format!("Password for {who}: ")).map_err(|error| {
        Failure::usage(format_args!("The password cannot be asked for: {error}. Use --password-file."))
    })?;
    Ok((!text.is_empty()).then(|| Secret::new(text)))
}

fn read(given: &Given<PathBuf>, out: &mut Output) -> Result<Secret, Failure> {
    let path = given.path();
    let secret = given.read(|_| from_file(&path))?;
    if is_world_readable(&path) {
        let path = path.display();
        out.warning(&format!(
            "everybody on this machine can read the password file {path}; `chmod 600 {path}` mends that."
        ));
    }
    Ok(secret)
}

fn from_environment() -> Result<Option<Secret>, Failure> {
    match std::env::var(VARIABLE) {
        Ok(text) if text.is_empty() => Err(Failure::usage(format_args!(
            "{VARIABLE} is set but empty: set it to the password, or unset it."
        ))),
        Ok(text) => Ok(Some(Secret::new(text))),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(Failure::usage(format_args!("{VARIABLE} is not UTF-8 text, which a password must be.")))
        }
        Err(std::env::VarError::NotPresent) => Ok(None),
    }
}

fn from_file(path: &Path) -> Result<Secret, PasswordFileError> {
    let path = path.to_owned();
    let mut bytes = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Err(PasswordFileError::Unreadable { path, error });
    }
    if bytes.len() as u64 > MAX_FILE {
        return Err(PasswordFileError::TooLong(path));
    }
    let Ok(mut text) = String::from_utf8(bytes) else { return Err(PasswordFileError::NotText(path)) };
    // Editors end a file with a line end.
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    match text {
        text if text.is_empty() => Err(PasswordFileError::Empty(path)),
        text if text.contains(['\n', '\r']) => Err(PasswordFileError::SeveralLines(path)),
        text => Ok(Secret::new(text)),
    }
}

#[cfg(unix)]
fn is_world_readable(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    const READ_BY_OTHERS: u32 = 0o004;
    // A pipe (`<(pass show sip)`) lies in a folder of the process.
    std::fs::metadata(path).is_ok_and(|data| data.is_file() && data.mode() & READ_BY_OTHERS != 0)
}

#[cfg(not(unix))]
fn is_world_readable(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, content).unwrap();
        from_file(&path).map(|secret| secret.expose().to_owned()).map_err(|error| error.to_string())
    }

    #[test]
    fn one_line_is_the_password_without_its_line_end() {
        for content in ["builder", "builder\n", "builder\r\n"] {
            assert_eq!(read(content.as_bytes()).unwrap(), "builder");
        }
        assert_eq!(read(b" two words \n").unwrap(), " two words ", "white space is part of it");
    }

    #[test]
    fn what_holds_no_password_is_refused_in_words() {
        for (content, words) in [
            (&b""[..], "is empty"),
            (b"\n", "is empty"),
            (b"a\nb\n", "several lines"),
            (b"a\n\n", "several lines"),
            (b"\xff", "not UTF-8"),
            (&[b'a'; 5000], "right file"),
        ] {
            let error = read(content).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        let error = from_file(Path::new("/nonexistent/password")).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/password cannot be read"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_everybody_can_read_is_noticed() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "x").unwrap();
        for (mode, open) in [(0o644, true), (0o640, false), (0o600, false)] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            assert_eq!(is_world_readable(&path), open, "{mode:o}");
        }
    }
}
