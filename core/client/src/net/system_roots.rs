//! The guard before the system's roots: the environment may not choose whom to trust.

use std::ffi::OsString;

/// Variables by which whoever starts a program could replace the system's roots, since OpenSSL and
/// rustls-native-certs obey them.
const REDIRECTING: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// The environment redirects the system's roots, which are therefore not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the variable {variable} would replace the system's roots by {}: unset it, or name that file as roots of the \
     account, where it can be seen",
    .value.to_string_lossy()
)]
pub struct RedirectedRoots {
    /// The variable.
    pub variable: &'static str,
    /// What it is set to.
    pub value: OsString,
}

/// To be called before the system's roots are read.
///
/// # Errors
/// [`RedirectedRoots`] if `SSL_CERT_FILE` or `SSL_CERT_DIR` is set to anything, be it empty or useless.
pub fn check_environment() -> Result<(), RedirectedRoots> {
    check(|variable| std::env::var_os(variable))
}

fn check(read: impl Fn(&str) -> Option<OsString>) -> Result<(), RedirectedRoots> {
    let set = REDIRECTING.iter().find_map(|variable| Some((*variable, read(variable)?)));
    match set {
        Some((variable, value)) => Err(RedirectedRoots { variable, value }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_variable_is_refused_even_when_empty() {
        for variable in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
            for value in ["/tmp/evil.pem", ""] {
                let error = check(|asked| (asked == variable).then(|| value.into())).unwrap_err();
                assert_eq!((error.variable, error.value.to_str()), (variable, Some(value)));
            }
        }
        assert_eq!(check(|_| None), Ok(()));
    }
}
