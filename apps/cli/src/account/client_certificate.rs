//! The certificate for mutual TLS, from PEM files or PKCS#12.

use super::origin::Given;
use super::settings::Settings;
use crate::failure::Failure;
use crate::output::Output;
use aldis::trust::{ClientCertificate, ClientCertificateError};
use std::path::{Path, PathBuf};

/// The environment variable with the password of a PKCS#12 file.
const VARIABLE: &str = "ALDIS_PKCS12_PASSWORD";

/// The certificate that the account shows, if it has one.
///
/// # Errors
/// A usage [`Failure`] that names option or key, and the file.
pub(super) fn find(settings: &Settings, out: &mut Output) -> Result<Option<ClientCertificate>, Failure> {
    match (&settings.client_cert, &settings.client_key, &settings.pkcs12) {
        (Some(_), _, Some(file)) | (None, Some(_), Some(file)) => {
            Err(file.wrong("it holds certificate and key; leave client-cert and client-key away"))
        }
        (None, None, Some(file)) => pkcs12(file, out).map(Some),
        (Some(certificate), Some(key), None) => {
            let (chain, secret) = (read(certificate)?, read(key)?);
            certificate
                .read(|_| {
                    ClientCertificate::from_pem(&chain, &secret)
                        .map_err(|error| in_files(certificate, key, &error))
                })
                .map(Some)
        }
        (Some(given), None, None) => {
            Err(given.wrong("the certificate needs its key: name it with client-key"))
        }
        (None, Some(given), None) => {
            Err(given.wrong("the key needs its certificate: name it with client-cert"))
        }
        (None, None, None) => Ok(None),
    }
}

fn in_files(certificate: &Given<PathBuf>, key: &Given<PathBuf>, error: &ClientCertificateError) -> String {
    format!("{} with the key in {}: {error}", certificate.path().display(), key.path().display())
}

fn read(given: &Given<PathBuf>) -> Result<Vec<u8>, Failure> {
    let path = given.path();
    given
        .read(|_| std::fs::read(&path).map_err(|error| format!("{} cannot be read: {error}", path.display())))
}

/// Many files have an empty password; only when that is wrong is one asked for.
fn pkcs12(given: &Given<PathBuf>, out: &mut Output) -> Result<ClientCertificate, Failure> {
    let (file, path) = (read(given)?, given.path());
    let tried = match std::env::var(VARIABLE) {
        Ok(password) => ClientCertificate::from_pkcs12(&file, &password),
        Err(_) => match ClientCertificate::from_pkcs12(&file, "") {
            Err(ClientCertificateError::WrongPassword) if out.is_watched() => {
                ClientCertificate::from_pkcs12(&file, &ask(&path)?)
            }
            tried => tried,
        },
    };
    tried.map_err(|error| match error {
        ClientCertificateError::WrongPassword => {
            given.wrong(format_args!("{}: the password is wrong; give it in {VARIABLE}", path.display()))
        }
        error => given.wrong(format_args!("{}: {error}", path.display())),
    })
}

fn ask(path: &Path) -> Result<String, Failure> {
    rpassword::prompt_password(format!("Password of {}: ", path.display())).map_err(|error| {
        Failure::usage(format_args!("The password cannot be asked for: {error}. Give it in {VARIABLE}."))
    })
}
