//! Settings for a command that connects step by step itself, with an account or with a domain alone.

use super::settings::Settings;
use super::{DEFAULT_TIMEOUT, reach};
use crate::args;
use crate::failure::Failure;
use crate::output::Output;
use aldis::Config;
use aldis::net::ConnectRequest;
use aldis_sip::{ReferenceIdentity, Uri};
use std::time::Duration;

/// What a domain alone is asked for as: no such user need exist, since nothing is sent in its name.
const NOBODY: &str = "nobody";

/// What is to be examined.
#[derive(Debug)]
pub(crate) struct Examined {
    /// How to connect.
    pub request: ConnectRequest,
    /// Who says whom the server must prove to be.
    pub because: Because,
    /// The address of record, if there is an account.
    pub account: Option<Uri<'static>>,
    /// How long everything may take.
    pub timeout: Duration,
}

/// Where the reference identity comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Because {
    /// The domain that was typed.
    Domain,
    /// The account's address.
    Account,
    /// The outbound proxy that the user trusts.
    Proxy,
}

/// Reads the settings. Where a domain is given and no account, only the options count, and they are completed by an
/// account that stands for the domain.
///
/// # Errors
/// A usage [`Failure`] that says which option, or which line and key of the configuration file, and why.
pub(crate) fn examine(
    args: &mut args::Account,
    domain: Option<&str>,
    out: &mut Output,
) -> Result<Examined, Failure> {
    let domain = domain
        .map(|text| {
            ReferenceIdentity::new(text).map_err(|error| Failure::usage(format_args!("DOMAIN: {error}.")))
        })
        .transpose()?;
    let has_account = args.account.is_some() || args.use_account.is_some() || args.config.is_some();
    if let (Some(domain), false) = (&domain, has_account) {
        args.account = Some(format!("sip:{NOBODY}@{}", in_uri(domain)));
    }
    let settings = Settings::gather(args)?;
    let account = settings.account.as_ref().ok_or_else(|| Failure::usage(NOTHING))?;
    let config = account.read(|text| Config::new(text))?;
    let address = config.address_of_record().clone();
    let mut because = if has_account || domain.is_none() { Because::Account } else { Because::Domain };
    if let (Some(domain), Because::Account) = (&domain, because)
        && domain != config.identity()
    {
        let other = config.identity();
        return Err(Failure::usage(format_args!(
            "DOMAIN is {domain}, and the account's is {other}. Leave DOMAIN or the account away."
        )));
    }
    if !settings.proxies.is_empty() {
        because = Because::Proxy;
    }
    let config = reach(config, args, &settings, out)?;
    Ok(Examined {
        request: config.connect_request(),
        because,
        account: (has_account || domain.is_none()).then_some(address),
        timeout: args.timeout.map_or(DEFAULT_TIMEOUT, |seconds| Duration::from_secs(u64::from(seconds))),
    })
}

const NOTHING: &str = "There is nothing to examine. Name a domain (aldis doctor example.test), or an account with \
    --account sip:alice@example.test.";

fn in_uri(identity: &ReferenceIdentity) -> String {
    match identity {
        ReferenceIdentity::Address(std::net::IpAddr::V6(address)) => format!("[{address}]"),
        other => other.to_string(),
    }
}
