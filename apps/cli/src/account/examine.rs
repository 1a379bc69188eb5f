//! Settings for a command that connects step by step itself, with an account or with a domain alone.

use super::settings::Settings;
use super::{DEFAULT_TIMEOUT, client_certificate, refuse_what_is_not_there, trust};
use crate::args::{self, MinTls};
use crate::failure::Failure;
use crate::output::Output;
use aldis::Config;
use aldis::net::{ConnectRequest, Host, Resolver, Revocation, Route, TlsVersion};
use aldis_sip::{ReferenceIdentity, Uri};
use std::sync::Arc;
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
    refuse_what_is_not_there(&settings)?;
    let account = settings.account.as_ref().ok_or_else(|| Failure::usage(NOTHING))?;
    let mut config = account.read(|text| Config::new(text))?;
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
    let mut route = Route::Discover { port: None };
    if let Some(proxy) = &settings.proxy {
        config = proxy.read(|text| config.proxy(text))?;
        route = Route::Discover { port: split(&proxy.value).1 };
        because = Because::Proxy;
    }
    if !settings.addresses.is_empty() {
        let mut places = Vec::new();
        for given in &settings.addresses {
            config = given.read(|text| config.address(text))?;
            let (host, port) = split(&given.value);
            let host = given.read(|_| host.parse::<Host>())?;
            // Config has just accepted it, and it takes none without a port.
            places.extend(port.map(|port| (host, port)));
        }
        route = Route::Given(places);
    }
    let policy = Arc::new(trust::policy(&settings, out)?);
    let mut request = ConnectRequest::new(config.identity().clone(), policy);
    request.route = route;
    if let Some(resolver) = &settings.resolver {
        request.resolver = Resolver::servers([resolver.value]);
    }
    request.crls = trust::revocation_lists(&settings)?;
    request.revocation = Some(Arc::new(Revocation::new()));
    request.tls.require_post_quantum = settings.require_pq;
    if settings.min_tls.as_ref().is_some_and(|version| version.value == MinTls::Tls13) {
        request.tls.min_version = TlsVersion::Tls13;
    }
    if let Some(path) = &args.policy {
        let file = trust::policy_file(path, out)?;
        let demanded = file.policy_for(config.identity());
        request.policy = demanded.policy.clone();
        request.crls = demanded.crls.clone();
        request.tls.require_post_quantum |= demanded.require_post_quantum;
        if demanded.require_tls13 {
            request.tls.min_version = TlsVersion::Tls13;
        }
    }
    request.tls.client_certificate = client_certificate::find(&settings, out)?;
    Ok(Examined {
        request,
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

/// Host and port of a text that has been checked.
fn split(text: &str) -> (&str, Option<u16>) {
    if !text.starts_with('[') && text.matches(':').count() != 1 {
        return (text, None);
    }
    match text.rsplit_once(':').map(|(host, port)| (host, port.parse())) {
        Some((host, Ok(port))) => (host, Some(port)),
        _ => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_taken_apart() {
        for (text, expected) in [
            ("edge.example.test", ("edge.example.test", None)),
            ("edge.example.test:5071", ("edge.example.test", Some(5071))),
            ("[::1]", ("[::1]", None)),
            ("[::1]:5061", ("[::1]", Some(5061))),
            ("2001:db8::1", ("2001:db8::1", None)),
        ] {
            assert_eq!(split(text), expected);
        }
    }
}
