//! From options, configuration file and environment to a [`Config`] that a phone can start with.

mod client_certificate;
mod examine;
mod file;
mod instance;
mod origin;
mod password;
mod recipient;
mod settings;
mod trace;
mod trust;

pub(crate) use examine::{Because, Examined, examine};
pub(crate) use recipient::recipient;

use self::settings::Settings;
use crate::args::{self, MinTls};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use aldis::Config;
use aldis::net::TlsVersion;
use aldis::store::Limits;
use aldis_sip::Uri;
use std::path::PathBuf;
use std::time::Duration;

/// How long a one-shot command may take when nobody says: as long as a SIP transaction (RFC 3261 §17.1.2.2, Timer F).
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(32);
/// Largest request when nobody says; the library's own default.
const DEFAULT_MAX_MESSAGE: usize = 8192;
/// The value of `--store` that keeps everything in memory.
const NO_STORE: &str = "none";

/// How long the command stays, which decides under which instance id it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stay {
    /// Until interrupted: one instance id for the account, for good.
    Long,
    /// One shot: an instance id of its own, so that nobody who stays is disturbed.
    Short,
}

/// An account that is ready to be used.
#[derive(Debug)]
pub(crate) struct Ready {
    /// For [`aldis::Phone::start`].
    pub config: Config,
    /// The address of record.
    pub address: Uri<'static>,
    /// The largest request, in bytes; no body can be larger.
    pub max_message: usize,
    /// How long a one-shot command may take.
    pub timeout: Duration,
    /// Whether messages are kept in a file.
    pub keeps: bool,
    /// Whether `send` registers too.
    pub register_to_send: bool,
}

/// Reads all settings and checks each.
///
/// # Errors
/// A [`Failure`] that says which option, or which line and key of the configuration file, and why.
pub(crate) fn prepare(args: &args::Account, stay: Stay, out: &mut Output) -> Result<Ready, Failure> {
    let settings = Settings::gather(args)?;
    let account = settings.account.as_ref().ok_or_else(|| Failure::usage(NO_ACCOUNT))?;
    let mut config = account.read(|text| Config::new(text))?;
    let address = config.address_of_record().clone();
    config = reach(config, args, &settings, out)?;
    if let Some(name) = &settings.display_name {
        config = name.read(|text| config.display_name(text))?;
    }
    if let Some(expires) = &settings.expires {
        config = expires.read(|seconds| config.expires(*seconds))?;
    }
    let mut max_message = DEFAULT_MAX_MESSAGE;
    if let Some(bytes) = &settings.max_message {
        max_message = bytes.read(|bytes| usize::try_from(*bytes))?;
        config = bytes.read(|_| config.max_message(max_message))?;
    }
    if let Some(bytes) = &settings.max_body {
        let most = bytes.read(|bytes| usize::try_from(*bytes))?;
        config = config.max_body(most);
    }
    config = config.send_display_receipts(settings.display_receipts);
    config = instance_of(config, &settings, &address, stay)?;
    let store = store_file(&settings, &address);
    let keeps = store.is_some();
    config = stored(config, store, stay);
    if let Some(name) = &settings.auth_user {
        config = config.auth_user(&name.value);
    }
    let shown = address.to_string();
    if let Some(secret) = password::find(settings.password_file.as_ref(), &shown, out)? {
        config = config.password(secret);
    }
    if let Some(path) = &args.trace {
        config = config.trace(trace::into_file(path, args.trace_bodies)?);
    }
    Ok(Ready {
        config,
        address,
        max_message,
        timeout: args.timeout.map_or(DEFAULT_TIMEOUT, |seconds| Duration::from_secs(u64::from(seconds))),
        keeps,
        register_to_send: settings.register_to_send.is_some(),
    })
}

const NO_ACCOUNT: &str = "No account is given. Say who you are with --account sip:alice@example.test, or write it \
    into a configuration file and choose it with --use NAME.";

/// Where to connect, and what the server must prove.
fn reach(
    config: Config,
    args: &args::Account,
    settings: &Settings,
    out: &mut Output,
) -> Result<Config, Failure> {
    let mut config = place(config, settings)?;
    config = config.trust(trust::policy(settings, out)?).require_post_quantum(settings.require_pq);
    if let Some(version) = &settings.min_tls {
        config = config.min_tls(match version.value {
            MinTls::Tls12 => TlsVersion::Tls12,
            MinTls::Tls13 => TlsVersion::Tls13,
        });
    }
    config = config.revocation_lists(trust::revocation_lists(settings)?);
    if let Some(path) = &args.policy {
        config = config.policy_file(&trust::policy_file(path, out)?);
    }
    if let Some(folder) = cache_folder(settings) {
        config = config.cache_folder(folder);
    }
    if let Some(certificate) = client_certificate::find(settings, out)? {
        config = config.client_certificate(&certificate);
    }
    Ok(config)
}

/// Where to connect.
fn place(mut config: Config, settings: &Settings) -> Result<Config, Failure> {
    for proxy in &settings.proxies {
        config = proxy.read(|text| config.proxy(text))?;
    }
    if let Some(flows) = &settings.flows {
        config = flows.read(|count| config.flows(usize::from(*count)))?;
    }
    for address in &settings.addresses {
        config = address.read(|text| config.address(text))?;
    }
    if let Some(resolver) = &settings.resolver {
        config = config.resolver(resolver.value);
    }
    Ok(config)
}

fn instance_of(
    config: Config,
    settings: &Settings,
    address: &Uri<'_>,
    stay: Stay,
) -> Result<Config, Failure> {
    if let Some(given) = &settings.instance {
        return given.read(|text| config.instance(text));
    }
    let in_memory = settings.store.as_ref().is_some_and(|store| store.value.as_os_str() == NO_STORE);
    let instance = match stay {
        Stay::Long if !in_memory => {
            instance::lasting(address).map_err(|error| Failure::new(Exit::Storage, error))?
        }
        _ => instance::fresh(),
    };
    config.instance(&instance).map_err(|error| Failure::new(Exit::Internal, error))
}

/// Where outbox and inbox are kept; `None` for in memory.
fn store_file(settings: &Settings, address: &Uri<'_>) -> Option<PathBuf> {
    match &settings.store {
        Some(store) if store.value.as_os_str() == NO_STORE => None,
        Some(store) => Some(store.path()),
        None => instance::messages_file(address),
    }
}

/// How outbox and inbox are used. A one-shot command leaves alone what is there of others; one that stays finds what they
/// put there.
fn stored(config: Config, path: Option<PathBuf>, stay: Stay) -> Config {
    let config = match path {
        Some(path) => config.store_file(path, Limits::default()).shared_store(),
        None => config,
    };
    let config = config.acknowledge_explicitly();
    if stay == Stay::Short { config.sends_only() } else { config }
}

/// Where fetched revocation lists are kept, unless nothing is to be.
fn cache_folder(settings: &Settings) -> Option<PathBuf> {
    use etcetera::BaseStrategy;
    if settings.store.as_ref().is_some_and(|store| store.value.as_os_str() == NO_STORE) {
        return None;
    }
    let strategy = etcetera::base_strategy::choose_native_strategy().ok()?;
    Some(strategy.cache_dir().join("aldis").join("revocation"))
}
