//! How a registrar is to be, beyond RFC 3261: outbound and its edges, routes, GRUU, push, tokens, subscriptions.

use crate::options::Options;
use aldis_sip::Secret;
use std::collections::BTreeMap;

/// The time that a registrar grants, once it has not refused with 423.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// What was asked for, up to the longest.
    Asked,
    /// This many seconds, whatever was asked for: shorter or longer (interop: some registrars do).
    Exactly(u32),
    /// A random number of seconds from the first to the second.
    Between(u32, u32),
}

/// The edge through which clients reach the registrar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// None: the registrar is the first hop.
    None,
    /// One that put itself into the Path, with `ob` (RFC 5626 §5.1).
    Outbound,
    /// One that put itself into the Path, without `ob`: whoever asks for outbound gets 439 (RFC 5626 §6).
    Plain,
}

/// Tokens instead of passwords (RFC 8898).
#[derive(Clone, Debug)]
pub(crate) struct Bearer {
    /// Where clients are told to get one.
    pub authz_server: String,
    /// Good tokens, by user.
    pub tokens: BTreeMap<String, Secret>,
}

/// Push (RFC 8599).
#[derive(Clone, Debug)]
pub(crate) struct Push {
    /// Services that are supported, such as `apns`.
    pub providers: Vec<String>,
    /// The value of `+sip.pnsreg`, given to clients that announce it: how long before the expiry they have to refresh.
    pub refresh_before: Option<u32>,
}

impl Options {
    /// The time that is granted. Default: as asked.
    pub fn grant(mut self, grant: Grant) -> Self {
        self.grant = grant;
        self
    }

    /// The edge that stands before the registrar. Default: none.
    pub fn edge(mut self, edge: Edge) -> Self {
        self.edge = edge;
        self
    }

    /// The value that the `keep` of a Via gets, in seconds (RFC 6223 §4.3). Default: none.
    pub fn keep(mut self, seconds: u32) -> Self {
        self.keep = Some(seconds);
        self
    }

    /// The Service-Route of the 200 to REGISTER (RFC 3608), one URI each. Default: none.
    pub fn service_route(mut self, uris: &[&str]) -> Self {
        self.service_route = uris.iter().map(|uri| (*uri).to_owned()).collect();
        self
    }

    /// Whether instances that support it get a public and a temporary GRUU (RFC 5627). Default: no.
    pub fn gruu(mut self, given: bool) -> Self {
        self.gruu = given;
        self
    }

    /// Wakes devices by these push services (RFC 8599); bindings of such devices outlive their connection. `refresh_before`
    /// is what `+sip.pnsreg` says, in seconds. Default: no push.
    pub fn push(mut self, providers: &[&str], refresh_before: Option<u32>) -> Self {
        let providers = providers.iter().map(|name| (*name).to_owned()).collect();
        self.push = Some(Push { providers, refresh_before });
        self
    }

    /// Asks for bearer tokens (RFC 8898), besides digests if [`Options::algorithms`] has any. Default: no.
    pub fn bearer(mut self, authz_server: impl Into<String>) -> Self {
        self.bearer = Some(Bearer { authz_server: authz_server.into(), tokens: BTreeMap::new() });
        self
    }

    /// The token of a user, after [`Options::bearer`].
    pub fn token(mut self, user: impl Into<String>, token: impl Into<String>) -> Self {
        if let Some(bearer) = &mut self.bearer {
            bearer.tokens.insert(user.into(), Secret::new(token));
        }
        self
    }

    /// Whether `reg` and `message-summary` can be subscribed to (RFC 6665, RFC 3680, RFC 3842). Default: no.
    pub fn subscriptions(mut self, taken: bool) -> Self {
        self.subscriptions = taken;
        self
    }
}
