//! All settings of an account: what the command line says, and the configuration file where it says nothing.

use super::file::{Choice, ConfigFile, OneOrMany, Section};
use super::origin::{Given, Origin};
use crate::args::{self, Level, MinTls, Revocation};
use crate::failure::Failure;
use clap::ValueEnum;
use std::net::SocketAddr;
use std::path::PathBuf;
use toml::Spanned;

/// The settings, each with the place where it was written.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub account: Option<Given<String>>,
    pub display_name: Option<Given<String>>,
    pub auth_user: Option<Given<String>>,
    pub password_file: Option<Given<PathBuf>>,
    pub instance: Option<Given<String>>,
    pub expires: Option<Given<u32>>,
    pub flows: Option<Given<u8>>,
    pub max_message: Option<Given<u32>>,
    pub max_body: Option<Given<u32>>,
    pub display_receipts: bool,
    pub register_to_send: Option<Given<bool>>,
    pub store: Option<Given<PathBuf>>,
    pub proxies: Vec<Given<String>>,
    pub addresses: Vec<Given<String>>,
    pub resolver: Option<Given<SocketAddr>>,
    pub server_names: Vec<Given<String>>,
    pub roots: Option<Given<PathBuf>>,
    pub add_roots: Vec<Given<PathBuf>>,
    pub system_roots: Option<Given<bool>>,
    pub crls: Vec<Given<PathBuf>>,
    pub revocation: Option<Given<Revocation>>,
    pub pins: Vec<Given<String>>,
    pub level: Option<Given<Level>>,
    pub allow_wildcard: bool,
    pub min_tls: Option<Given<MinTls>>,
    pub require_pq: bool,
    pub client_cert: Option<Given<PathBuf>>,
    pub client_key: Option<Given<PathBuf>>,
    pub pkcs12: Option<Given<PathBuf>>,
}

impl Settings {
    /// Reads the configuration file and lays the options over it.
    ///
    /// # Errors
    /// A usage [`Failure`] that names file, line and key, or the option.
    pub fn gather(args: &args::Account) -> Result<Settings, Failure> {
        // One who names an address and neither file nor account need not have a file.
        let file = ConfigFile::load(args.config.as_deref()).map_err(Failure::usage)?;
        let choice = Choice {
            file: args.config.as_deref(),
            name: args.use_account.as_deref(),
            address: args.account.as_deref(),
        };
        let Some(file) = file else {
            return match choice.name {
                Some(name) => Err(Failure::usage(no_file(name))),
                None => merge(args, &Section::default(), None),
            };
        };
        match file.choose(choice).map_err(Failure::usage)? {
            Some(section) => merge(args, section, Some(&file)),
            None => merge(args, &Section::default(), None),
        }
    }
}

fn no_file(name: &str) -> String {
    let place = ConfigFile::default_path()
        .map_or_else(|| "nowhere, since this user has no home".to_owned(), |path| path.display().to_string());
    format!(
        "--use {name}: there is no configuration file. It would be {place}; name another one with --config FILE."
    )
}

/// Takes settings from the two places, the command line first.
#[derive(Clone, Copy)]
struct Pick<'a> {
    file: Option<&'a ConfigFile>,
}

impl Pick<'_> {
    fn one<T: Clone>(
        self,
        name: &'static str,
        option: Option<&T>,
        key: Option<&Spanned<T>>,
    ) -> Option<Given<T>> {
        match (option, key, self.file) {
            (Some(value), _, _) => Some(Given { value: value.clone(), origin: Origin::Option(name) }),
            (None, Some(value), Some(file)) => Some(file.given(name.trim_start_matches('-'), value)),
            _ => None,
        }
    }

    fn flag(self, name: &'static str, option: bool, key: Option<&Spanned<bool>>) -> Option<Given<bool>> {
        self.one(name, option.then_some(&true), key).filter(|given| given.value)
    }

    fn many<T: Clone>(
        self,
        name: &'static str,
        options: &[T],
        key: Option<&Spanned<Vec<T>>>,
    ) -> Vec<Given<T>> {
        if !options.is_empty() {
            return each(options.to_vec(), &Origin::Option(name));
        }
        self.one(name, None, key).map_or_else(Vec::new, |list| each(list.value, &list.origin))
    }

    /// The same where a single value need not be a list.
    fn listed(
        self,
        name: &'static str,
        options: &[String],
        key: Option<&Spanned<OneOrMany>>,
    ) -> Vec<Given<String>> {
        if !options.is_empty() {
            return each(options.to_vec(), &Origin::Option(name));
        }
        self.one(name, None, key).map_or_else(Vec::new, |list| each(list.value.into_list(), &list.origin))
    }

    fn word<T: ValueEnum>(
        self,
        name: &'static str,
        option: Option<T>,
        key: Option<&Spanned<String>>,
    ) -> Result<Option<Given<T>>, Failure> {
        if let Some(value) = option {
            return Ok(Some(Given { value, origin: Origin::Option(name) }));
        }
        let Some(given) = self.one(name, None, key) else { return Ok(None) };
        let value = given.read(|text| {
            T::from_str(text, false).map_err(|_| {
                let known: Vec<String> = T::value_variants()
                    .iter()
                    .filter_map(|value| Some(value.to_possible_value()?.get_name().to_owned()))
                    .collect();
                format!("{text:?} is none of {}", known.join(", "))
            })
        })?;
        Ok(Some(Given { value, origin: given.origin }))
    }
}

fn each<T>(values: Vec<T>, origin: &Origin) -> Vec<Given<T>> {
    values.into_iter().map(|value| Given { value, origin: origin.clone() }).collect()
}

fn merge(args: &args::Account, section: &Section, file: Option<&ConfigFile>) -> Result<Settings, Failure> {
    let pick = Pick { file };
    // Roots belong together: who names some on the command line wants none of the file's.
    let names_roots = args.roots.is_some() || !args.add_roots.is_empty() || args.system_roots;
    let rooted = Pick { file: file.filter(|_| !names_roots) };
    let resolver = match (args.resolver, pick.one("--resolver", None, section.resolver.as_ref())) {
        (Some(value), _) => Some(Given { value, origin: Origin::Option("--resolver") }),
        (None, Some(given)) => {
            let value = given.read(|text| {
                text.parse()
                    .map_err(|_| format!("{text:?} is not an address with a port, such as 192.0.2.1:53"))
            })?;
            Some(Given { value, origin: given.origin })
        }
        (None, None) => None,
    };
    // So do a certificate and its key, in whatever file.
    let names_certificate = args.client_cert.is_some() || args.pkcs12.is_some();
    let certified = Pick { file: file.filter(|_| !names_certificate) };
    let settings = Settings {
        account: pick.one("--account", args.account.as_ref(), section.account.as_ref()),
        display_name: pick.one("--display-name", args.display_name.as_ref(), section.display_name.as_ref()),
        auth_user: pick.one("--auth-user", args.auth_user.as_ref(), section.auth_user.as_ref()),
        password_file: pick.one(
            "--password-file",
            args.password_file.as_ref(),
            section.password_file.as_ref(),
        ),
        instance: pick.one("--instance", args.instance.as_ref(), section.instance.as_ref()),
        expires: pick.one("--expires", args.expires.as_ref(), section.expires.as_ref()),
        flows: pick.one("--flows", args.flows.as_ref(), section.flows.as_ref()),
        max_message: pick.one("--max-message", args.max_message.as_ref(), section.max_message.as_ref()),
        max_body: pick.one("--max-body", args.max_body.as_ref(), section.max_body.as_ref()),
        display_receipts: pick
            .flag("--display-receipts", args.display_receipts, section.display_receipts.as_ref())
            .is_some(),
        register_to_send: pick.flag("--register-to-send", false, section.register_to_send.as_ref()),
        store: pick.one("--store", args.store.as_ref(), section.store.as_ref()),
        proxies: pick.listed("--proxy", &args.proxy, section.proxy.as_ref()),
        addresses: pick.many("--address", &args.address, section.address.as_ref()),
        resolver,
        server_names: pick.many("--server-name", &args.server_name, section.server_name.as_ref()),
        roots: rooted.one("--roots", args.roots.as_ref(), section.roots.as_ref()),
        add_roots: rooted.many("--add-roots", &args.add_roots, section.add_roots.as_ref()),
        system_roots: rooted.flag("--system-roots", args.system_roots, section.system_roots.as_ref()),
        crls: pick.many("--crl", &args.crl, section.crl.as_ref()),
        revocation: pick.word("--revocation", args.revocation, section.revocation.as_ref())?,
        pins: pick.many("--pin", &args.pin, section.pin.as_ref()),
        level: pick.word("--level", args.level, section.level.as_ref())?,
        allow_wildcard: pick
            .flag("--allow-wildcard", args.allow_wildcard, section.allow_wildcard.as_ref())
            .is_some(),
        min_tls: pick.word("--min-tls", args.min_tls, section.min_tls.as_ref())?,
        require_pq: pick.flag("--require-pq", args.require_pq, section.require_pq.as_ref()).is_some(),
        client_cert: certified.one("--client-cert", args.client_cert.as_ref(), section.client_cert.as_ref()),
        client_key: certified.one("--client-key", args.client_key.as_ref(), section.client_key.as_ref()),
        pkcs12: certified.one("--pkcs12", args.pkcs12.as_ref(), section.pkcs12.as_ref()),
    };
    match (&settings.roots, settings.add_roots.first(), &settings.system_roots) {
        (Some(roots), Some(_), _) | (Some(roots), None, Some(_)) => Err(roots.wrong(
            "these are to be the only roots, but others are named beside them; leave one of the two away",
        )),
        _ => Ok(settings),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;
    use std::path::Path;

    const FILE: &str = r#"
use = "home"
[accounts.home]
account = "sip:alice@example.test"
address = ["192.0.2.1:5061", "192.0.2.2:5061"]
expires = 600
level = "strict"
add-roots = ["ca.pem"]
allow-wildcard = false
require-pq = true
resolver = "192.0.2.53:53"
[accounts.bad]
account = "sip:alice@example.test"
level = "lax"
[accounts.worse]
account = "sip:alice@example.test"
resolver = "dns.example"
[accounts.both]
account = "sip:alice@example.test"
roots = "a.pem"
add-roots = ["b.pem"]
"#;

    fn gather(options: &[&str]) -> (tempfile::TempDir, Result<Settings, Failure>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, FILE).unwrap();
        let line = ["aldis", "register", "--config", file.to_str().unwrap()];
        let Command::Register(register) = Cli::parse_from(line.iter().chain(options)).command else {
            panic!("it is the command register")
        };
        (folder, Settings::gather(&register.account))
    }

    #[test]
    fn options_lie_over_the_file() {
        let (folder, settings) = gather(&["--expires", "60", "--address", "[::1]:5061"]);
        let settings = settings.unwrap();
        assert_eq!(settings.account.unwrap().value, "sip:alice@example.test");
        assert_eq!(settings.expires.unwrap(), Given { value: 60, origin: Origin::Option("--expires") });
        let addresses: Vec<&str> = settings.addresses.iter().map(|given| given.value.as_str()).collect();
        assert_eq!(addresses, ["[::1]:5061"]);
        assert_eq!(settings.level.as_ref().unwrap().value, Level::Strict);
        assert!(settings.level.unwrap().origin.to_string().ends_with("line 7, key `level`"));
        assert_eq!(settings.add_roots[0].path(), folder.path().join("ca.pem"));
        assert!(!settings.allow_wildcard && settings.require_pq);
        assert_eq!(settings.resolver.unwrap().value.to_string(), "192.0.2.53:53");
    }

    #[test]
    fn roots_of_the_command_line_replace_those_of_the_file() {
        let settings = gather(&["--roots", "own.pem"]).1.unwrap();
        assert_eq!(settings.roots.unwrap().path(), Path::new("own.pem"));
        assert!(settings.add_roots.is_empty());
    }

    #[test]
    fn values_that_are_none_name_line_and_key() {
        for (name, words) in [
            ("bad", "line 14, key `level`: \"lax\" is none of default, strict"),
            ("worse", "line 17, key `resolver`: \"dns.example\" is not an address with a port"),
            ("both", "line 20, key `roots`: these are to be the only roots"),
        ] {
            let advice = gather(&["--use", name]).1.unwrap_err().advice;
            assert!(advice.contains(words), "{advice}");
        }
    }
}
