//! The configuration file: TOML, several named accounts, keys named as the options are.
//!
//! ```toml
//! use = "home"                      # the account when --use names none
//!
//! [accounts.home]
//! account = "sip:alice@example.test"
//! password-file = "password"
//! add-roots = ["our-ca.pem"]
//! ```

use super::origin::{Given, Origin};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::Spanned;

/// The name of the file in the platform's configuration folder.
const FILE: &str = "aldis/config.toml";

/// A configuration file that was read.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    path: Arc<Path>,
    text: String,
    content: Content,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Content {
    #[serde(rename = "use")]
    use_account: Option<Spanned<String>>,
    #[serde(default)]
    accounts: BTreeMap<String, Section>,
}

/// A text, or a list of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    pub fn into_list(self) -> Vec<String> {
        match self {
            OneOrMany::One(text) => vec![text],
            OneOrMany::Many(list) => list,
        }
    }
}

/// One account in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Section {
    pub account: Option<Spanned<String>>,
    pub display_name: Option<Spanned<String>>,
    pub auth_user: Option<Spanned<String>>,
    pub password_file: Option<Spanned<PathBuf>>,
    /// Never a password in the file: it would be read by every backup and shown at every glance.
    #[serde(default, deserialize_with = "no_password")]
    #[expect(dead_code, reason = "it has no value: its presence is an error")]
    password: Option<()>,
    pub instance: Option<Spanned<String>>,
    pub expires: Option<Spanned<u32>>,
    pub flows: Option<Spanned<u8>>,
    pub max_message: Option<Spanned<u32>>,
    pub max_body: Option<Spanned<u32>>,
    pub display_receipts: Option<Spanned<bool>>,
    pub register_to_send: Option<Spanned<bool>>,
    pub store: Option<Spanned<PathBuf>>,
    pub proxy: Option<Spanned<OneOrMany>>,
    pub address: Option<Spanned<Vec<String>>>,
    pub resolver: Option<Spanned<String>>,
    pub server_name: Option<Spanned<Vec<String>>>,
    pub roots: Option<Spanned<PathBuf>>,
    pub add_roots: Option<Spanned<Vec<PathBuf>>>,
    pub system_roots: Option<Spanned<bool>>,
    pub crl: Option<Spanned<Vec<PathBuf>>>,
    pub revocation: Option<Spanned<String>>,
    pub pin: Option<Spanned<Vec<String>>>,
    pub level: Option<Spanned<String>>,
    pub allow_wildcard: Option<Spanned<bool>>,
    pub min_tls: Option<Spanned<String>>,
    pub require_pq: Option<Spanned<bool>>,
    pub client_cert: Option<Spanned<PathBuf>>,
    pub client_key: Option<Spanned<PathBuf>>,
    pub pkcs12: Option<Spanned<PathBuf>>,
}

fn no_password<'de, D: serde::Deserializer<'de>>(_: D) -> Result<Option<()>, D::Error> {
    Err(serde::de::Error::custom(
        "`password` does not belong into this file; write the password into a file of its own that only you can read, \
         and name that as `password-file`",
    ))
}

/// Why a configuration file is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It cannot be read.
    #[error("The configuration file {} cannot be read: {error}.", path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is not what it should be.
    #[error("The configuration file {} is wrong at line {line}:\n{what}", path.display())]
    Wrong {
        /// Which one.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// The line with its neighbourhood, and what is wrong.
        what: String,
    },
    /// It has no account of that name.
    #[error("{asked}: there is no account {name:?} in {}; it has {}.", path.display(), list(known))]
    NoSuchAccount {
        /// Which one.
        path: PathBuf,
        /// Who asked for it.
        asked: Origin,
        /// The name.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// It has several accounts, and none was chosen.
    #[error(
        "{} has several accounts ({}). Choose one with --use NAME, or write `use = \"NAME\"` at its top.",
        path.display(), list(known)
    )]
    Several {
        /// Which one.
        path: PathBuf,
        /// The names that there are.
        known: Vec<String>,
    },
    /// It was named together with an address that it does not have.
    #[error(
        "{} has no account with the address {address}; it has {}. Leave --account away to use one of them, or leave \
         --config away to use none.",
        path.display(), list(known)
    )]
    NoSuchAddress {
        /// Which one.
        path: PathBuf,
        /// The address that was given.
        address: String,
        /// The names that there are.
        known: Vec<String>,
    },
}

fn list(names: &[String]) -> String {
    match names {
        [] => "no accounts".into(),
        names => names.join(", "),
    }
}

/// How an account is chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice<'a> {
    /// `--config`.
    pub file: Option<&'a Path>,
    /// `--use`.
    pub name: Option<&'a str>,
    /// `--account`.
    pub address: Option<&'a str>,
}

impl ConfigFile {
    /// Where the file is when nobody names it; `None` where there is no home.
    pub fn default_path() -> Option<PathBuf> {
        use etcetera::BaseStrategy;
        Some(etcetera::base_strategy::choose_native_strategy().ok()?.config_dir().join(FILE))
    }

    /// The named file, or the platform's own if there is one.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be read, or a key in it is unknown or of the wrong type.
    pub fn load(named: Option<&Path>) -> Result<Option<ConfigFile>, FileError> {
        let Some(path) = named.map(Path::to_owned).or_else(ConfigFile::default_path) else { return Ok(None) };
        match std::fs::read_to_string(&path) {
            Ok(text) => ConfigFile::parse(&path, text).map(Some),
            Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FileError::Unreadable { path, error }),
        }
    }

    fn parse(path: &Path, text: String) -> Result<ConfigFile, FileError> {
        match toml::from_str(&text) {
            Ok(content) => Ok(ConfigFile { path: path.into(), text, content }),
            Err(error) => {
                let line = error.span().map_or(1, |span| line_of(&text, span.start));
                // Its first line repeats where; ours says it with the file's name.
                let shown = error.to_string();
                let what = shown.split_once('\n').map_or(shown.as_str(), |(_, rest)| rest);
                Err(FileError::Wrong { path: path.into(), line, what: what.trim_end().into() })
            }
        }
    }

    /// The account that was chosen; `None` if the command line says all.
    ///
    /// # Errors
    /// [`FileError`] if it is not there, or it is not clear which one is meant.
    pub fn choose(&self, choice: Choice<'_>) -> Result<Option<&Section>, FileError> {
        let (path, known) = (self.path.to_path_buf(), self.content.accounts.keys().cloned().collect());
        let asked = match (choice.name, &self.content.use_account) {
            (Some(name), _) => Some((name, Origin::Option("--use"))),
            (None, Some(name)) if choice.address.is_none() => {
                Some((name.as_ref().as_str(), self.origin("use", name)))
            }
            _ => None,
        };
        if let Some((name, asked)) = asked {
            let section = self.content.accounts.get(name);
            return match section {
                Some(section) => Ok(Some(section)),
                None => Err(FileError::NoSuchAccount { path, asked, name: name.into(), known }),
            };
        }
        if let Some(address) = choice.address {
            let same =
                |section: &&Section| section.account.as_ref().is_some_and(|own| own.as_ref() == address);
            let section = self.content.accounts.values().find(same);
            return match section {
                None if choice.file.is_some() => {
                    Err(FileError::NoSuchAddress { path, address: address.into(), known })
                }
                section => Ok(section),
            };
        }
        let mut sections = self.content.accounts.values();
        match (sections.next(), sections.next()) {
            (first, None) => Ok(first),
            _ => Err(FileError::Several { path, known }),
        }
    }

    /// A setting of this file.
    pub fn given<T: Clone>(&self, key: &'static str, value: &Spanned<T>) -> Given<T> {
        Given { value: value.as_ref().clone(), origin: self.origin(key, value) }
    }

    fn origin<T>(&self, key: &'static str, value: &Spanned<T>) -> Origin {
        Origin::File { file: self.path.clone(), line: line_of(&self.text, value.span().start), key }
    }
}

/// The line of a byte offset, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Choice<'static> = Choice { file: None, name: None, address: None };

    fn parse(text: &str) -> Result<ConfigFile, String> {
        ConfigFile::parse(Path::new("aldis.toml"), text.into()).map_err(|error| error.to_string())
    }

    const TWO: &str =
        "[accounts.home]\naccount = \"sip:a@home.test\"\n[accounts.work]\naccount = \"sip:a@work.test\"\n";

    fn address(file: &ConfigFile, choice: Choice<'_>) -> Result<Option<String>, String> {
        let section = file.choose(choice).map_err(|error| error.to_string())?;
        Ok(section.map(|section| section.account.clone().unwrap().into_inner()))
    }

    #[test]
    fn an_account_is_chosen_by_name_by_default_or_by_address() {
        let file = parse(TWO).unwrap();
        let named = Choice { name: Some("work"), ..NOTHING };
        assert_eq!(address(&file, named).unwrap().unwrap(), "sip:a@work.test");
        let addressed = Choice { address: Some("sip:a@home.test"), ..NOTHING };
        assert_eq!(address(&file, addressed).unwrap().unwrap(), "sip:a@home.test");
        let with_default = parse(&format!("use = \"home\"\n{TWO}")).unwrap();
        assert_eq!(address(&with_default, NOTHING).unwrap().unwrap(), "sip:a@home.test");
        let single = parse("[accounts.x]\naccount = \"sip:x@y.test\"").unwrap();
        assert_eq!(address(&single, NOTHING).unwrap().unwrap(), "sip:x@y.test");
        assert_eq!(address(&parse("").unwrap(), NOTHING).unwrap(), None);
    }

    #[test]
    fn an_address_that_the_platforms_own_file_lacks_stands_for_itself() {
        let file = parse(TWO).unwrap();
        let other = Choice { address: Some("sip:c@d.test"), ..NOTHING };
        assert_eq!(address(&file, other).unwrap(), None);
        let named = Choice { file: Some(Path::new("aldis.toml")), ..other };
        assert!(address(&file, named).unwrap_err().contains("home, work"));
    }

    #[test]
    fn a_choice_that_is_not_clear_names_the_accounts() {
        let file = parse(TWO).unwrap();
        assert!(address(&file, NOTHING).unwrap_err().contains("home, work"));
        let unknown = Choice { name: Some("club"), ..NOTHING };
        assert!(address(&file, unknown).unwrap_err().starts_with("--use: there is no account \"club\""));
        let wrong_default = parse(&format!("# mine\nuse = \"club\"\n{TWO}")).unwrap();
        let error = address(&wrong_default, NOTHING).unwrap_err();
        assert!(error.starts_with("aldis.toml, line 2, key `use`"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_key() {
        for (text, line, words) in [
            ("[accounts.a]\naccount = \"sip:a@b.test\"\ncolour = 1", 3, "unknown field `colour`"),
            ("[accounts.a]\nexpires = \"long\"", 2, "expires"),
            ("[accounts.a]\nexpires = -1", 2, "expires"),
            ("[accounts.a]\n\npassword = \"builder\"", 3, "password-file"),
            ("[accounts.a]\naddress = \"127.0.0.1:5061\"", 2, "expected a sequence"),
            ("accounts = 3", 1, "accounts"),
            ("[accounts.a\n", 1, "accounts"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(&format!("aldis.toml is wrong at line {line}:")), "{text:?}: {error}");
            assert!(error.contains(words), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_file_that_is_named_must_be_there() {
        let error = ConfigFile::load(Some(Path::new("/nonexistent/aldis.toml"))).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/aldis.toml cannot be read"), "{error}");
    }
}
