//! What a phone needs to know.

use crate::driver::Use;
use crate::net::{ConnectRequest, Deadlines, Host, Resolver, Revocation, Route, TlsOptions, TlsVersion};
use crate::policy_file::PolicyFile;
use crate::trace::Trace;
use aldis_agent::{Account, InvalidAccount, Timing};
use aldis_sip::{ReferenceIdentity, Secret, Uri};
use aldis_store::Limits;
use aldis_trust::{Anchors, ClientCertificate, Crl, Policy};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// The account of a phone and how it reaches its server. Built step by step; every step checks what it is given.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) account: Account,
    pub(crate) policy: Policy,
    pub(crate) route: Route,
    pub(crate) resolver: Resolver,
    pub(crate) tls: TlsOptions,
    pub(crate) deadlines: Deadlines,
    pub(crate) crls: Vec<Arc<Crl>>,
    pub(crate) revocation: Arc<Revocation>,
    pub(crate) trace: Option<Trace>,
    /// The port of each proxy, if one was given.
    proxy_ports: Vec<Option<u16>>,
    policy_file: Option<PolicyFile>,
    pub(crate) send_delivery_receipts: bool,
    pub(crate) send_display_receipts: bool,
    pub(crate) store: StoreChoice,
    pub(crate) store_use: Use,
    pub(crate) explicit: bool,
}

/// Where messages are kept.
#[derive(Clone, Debug)]
pub(crate) enum StoreChoice {
    Memory,
    File(PathBuf, Limits),
}

/// Why something cannot be part of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The account is not one.
    #[error(transparent)]
    Account(#[from] InvalidAccount),
    /// Not `host` or `host:port`.
    #[error("{text:?} is not {expected}")]
    Address {
        /// What was given.
        text: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The system gave no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
}

/// This version, as an app that names none of its own appears in User-Agent.
const USER_AGENT: &str = concat!("Aldis/", env!("CARGO_PKG_VERSION"));

impl Config {
    /// An account by its address of record, `sip:alice@example.test`. Its domain is the identity that the server must
    /// prove; the bundled public roots may vouch for it; DNS says where it is.
    ///
    /// # Errors
    /// [`ConfigError`] if the address is not one.
    pub fn new(address_of_record: &str) -> Result<Self, ConfigError> {
        let account = Account::new(address_of_record, &random_instance()?)?.with_user_agent(USER_AGENT)?;
        Ok(Config {
            account,
            policy: Policy::new(Anchors::bundled()),
            route: Route::Discover { port: None },
            resolver: Resolver::system(),
            tls: TlsOptions::default(),
            deadlines: Deadlines::default(),
            crls: Vec::new(),
            revocation: Arc::default(),
            trace: None,
            proxy_ports: Vec::new(),
            policy_file: None,
            send_delivery_receipts: true,
            send_display_receipts: false,
            store: StoreChoice::Memory,
            store_use: Use::default(),
            explicit: false,
        })
    }

    /// Answers the server's challenges with this password.
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        self.account = self.account.with_password(password.into());
        self
    }

    /// The user name in the answers, where it is not the user part of the address.
    pub fn auth_user(mut self, name: &str) -> Self {
        self.account = self.account.with_auth_user(name);
        self
    }

    /// Shows this name to recipients.
    ///
    /// # Errors
    /// [`ConfigError`] for a control character.
    pub fn display_name(mut self, name: &str) -> Result<Self, ConfigError> {
        self.account = self.account.with_display_name(name)?;
        Ok(self)
    }

    /// Sends everything through this outbound proxy, `host` or `host:port`. The user trusts it: *its host becomes the
    /// identity* that the server must prove. Given several times it is a set of up to four (RFC 5626 §4.2.1): a flow to each,
    /// and every proxy proves its own host.
    ///
    /// # Errors
    /// [`ConfigError`] if it is not of that form, or there are four already.
    pub fn proxy(mut self, proxy: &str) -> Result<Self, ConfigError> {
        let (host, port) = host_and_port(proxy)?;
        self.account = self.account.with_proxy(&host, port)?;
        self.proxy_ports.push(port);
        Ok(self)
    }

    /// How many connections are kept up at once, from 1 to 4, each with a binding of its own (RFC 5626): to the proxies in
    /// turn, else to different servers of the domain where it has several. While one is down the others serve. One by default,
    /// or one for each proxy; only one where the registrar does not speak outbound.
    ///
    /// # Errors
    /// [`ConfigError`] outside 1 to 4.
    pub fn flows(mut self, flows: usize) -> Result<Self, ConfigError> {
        self.account = self.account.with_flows(flows)?;
        Ok(self)
    }

    /// Other intervals of keep-alives and attempts than the defaults.
    ///
    /// # Errors
    /// [`ConfigError`] outside the ranges that [`Account::with_timing`] names.
    pub fn timing(mut self, timing: Timing) -> Result<Self, ConfigError> {
        self.account = self.account.with_timing(timing)?;
        Ok(self)
    }

    /// Says of a message whose answer was lost with its connection that its fate is unknown, instead of sending it again on
    /// the next one: for receivers that know no repetition, where twice is worse than not at all.
    pub fn without_resending(mut self) -> Self {
        self.account = self.account.without_resending();
        self
    }

    /// Connects to `host:port` instead of asking DNS for the domain. This says where, never whom to trust. May be
    /// given several times; the addresses are tried in order. As many as there are proxies, if those are several, are the
    /// addresses of the proxies.
    ///
    /// # Errors
    /// [`ConfigError`] if it is not of that form.
    pub fn address(mut self, address: &str) -> Result<Self, ConfigError> {
        let expected = "an address and port such as 192.0.2.1:5061";
        let wrong = || ConfigError::Address { text: address.into(), expected };
        let (host, port) = host_and_port(address).map_err(|_| wrong())?;
        let host: Host = host.parse().map_err(|_| wrong())?;
        let port = port.ok_or_else(wrong)?;
        match &mut self.route {
            Route::Given(list) => list.push((host, port)),
            Route::Discover { .. } => self.route = Route::Given(vec![(host, port)]),
        }
        Ok(self)
    }

    /// Asks this DNS server instead of the system's.
    pub fn resolver(mut self, server: SocketAddr) -> Self {
        self.resolver = Resolver::servers([server]);
        self
    }

    /// Also looks for the SRV record `_sip._tls` of the domain, where there is none of `_sips._tcp`: Skype for Business and
    /// its like publish that name. What the server has to prove stays the same. To be said after
    /// [`Config::resolver`] and [`Config::resolve_with`].
    pub fn also_sip_tls(mut self, also: bool) -> Self {
        self.resolver = self.resolver.also_sip_tls(also);
        self
    }

    /// Finds the server with this resolver. Phones of one process that are given clones of one resolver share its cache,
    /// and what [`NetworkChange`](crate::net::NetworkChange) tells one of them.
    pub fn resolve_with(mut self, resolver: Resolver) -> Self {
        self.resolver = resolver;
        self
    }

    /// Whom to trust, and what must be proven: roots, server names, pins, revocation, level.
    ///
    /// Unless revocation is `off`, the lists that the issuers of the server's certificates publish (over plain HTTP, their
    /// signatures protect them) are fetched before the first SIP byte, which takes 5 s at most with `prefer` and 10 s with
    /// `require`; they are kept until they are renewed ([`Config::cache_folder`]). When a list or a certificate ends while
    /// the connection is up, the server is judged again.
    pub fn trust(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// What the administrator's file demands of the server of this account's identity (its domain, or each proxy: give those
    /// first), instead of what [`Config::trust`] and [`Config::revocation_lists`] were given before.
    pub fn policy_file(mut self, file: &PolicyFile) -> Self {
        let demanded = file.policy_for(self.account.identity());
        self.policy = demanded.policy.as_ref().clone();
        self.crls = demanded.crls.clone();
        if demanded.require_tls13 {
            self.tls.min_version = TlsVersion::Tls13;
        }
        self.tls.require_post_quantum |= demanded.require_post_quantum;
        self.policy_file = Some(file.clone());
        self
    }

    /// The lowest version of TLS that is spoken, 1.2 by default. Nothing lower exists here, and a client certificate that
    /// needs 1.3 keeps it.
    pub fn min_tls(mut self, version: TlsVersion) -> Self {
        self.tls.min_version = self.tls.min_version.max(version);
        self
    }

    /// Connects only with a post-quantum key exchange.
    pub fn require_post_quantum(mut self, required: bool) -> Self {
        self.tls.require_post_quantum = required;
        self
    }

    /// Revocation lists given by the user or an administrator.
    pub fn revocation_lists(mut self, lists: Vec<Arc<Crl>>) -> Self {
        self.crls = lists;
        self
    }

    /// Keeps the revocation lists that are fetched in this folder too, so that the next start need not fetch them again.
    /// It is created for its owner alone; what is in it is checked like what comes from the network.
    pub fn cache_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.revocation = Arc::new(Revocation::in_folder(folder.into()));
        self
    }

    /// The certificate that this client shows to a server that asks for one. Under TLS 1.2 it would travel in clear: unless
    /// [`ClientCertificate::allow_in_clear`] says that it may, only TLS 1.3 is spoken. A key that the platform keeps may wait
    /// for a fingerprint: that blocks a thread of the runtime's blocking pool and nothing else, for no longer than the
    /// handshake's deadline, which [`Config::deadlines`] can raise.
    pub fn client_certificate(mut self, certificate: &ClientCertificate) -> Self {
        self.tls.client_certificate = Some(certificate.clone());
        self
    }

    /// How long connecting may take.
    pub fn deadlines(mut self, deadlines: Deadlines) -> Self {
        self.deadlines = deadlines;
        self
    }

    /// The expiry to ask the registrar for, in seconds; 3600 by default.
    ///
    /// # Errors
    /// [`ConfigError`] for 0.
    pub fn expires(mut self, seconds: u32) -> Result<Self, ConfigError> {
        self.account = self.account.with_expires(seconds)?;
        Ok(self)
    }

    /// The UUID of this installation: the registrar knows the device by it (RFC 5626 §4.1). Without one each phone gets a
    /// random one, and its binding of an earlier run stays until it expires; an app should keep one and give it here.
    ///
    /// # Errors
    /// [`ConfigError`] if it is not a UUID.
    pub fn instance(mut self, uuid: &str) -> Result<Self, ConfigError> {
        self.account = self.account.with_instance(uuid)?;
        Ok(self)
    }

    /// The largest request sent, in bytes, headers counted in; 8192 by default, 1300 where a hop may be UDP (RFC 3428
    /// §8).
    ///
    /// # Errors
    /// [`ConfigError`] outside 1000 to 65535.
    pub fn max_message(mut self, bytes: usize) -> Result<Self, ConfigError> {
        self.account = self.account.with_max_message(bytes)?;
        Ok(self)
    }

    /// The largest body that is sent, in bytes, where the server takes a larger one and loses it: 1023 for Asterisk.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.account = self.account.with_max_body(bytes);
        self
    }

    /// Whether senders who ask for it are told that their message has arrived; they are by default.
    pub fn send_delivery_receipts(mut self, send: bool) -> Self {
        self.send_delivery_receipts = send;
        self
    }

    /// Whether senders who ask for it are told that their message was shown ([`crate::Phone::displayed`]): only with the
    /// user's consent, hence not by default (RFC 5438 §14.2).
    pub fn send_display_receipts(mut self, send: bool) -> Self {
        self.send_display_receipts = send;
        self
    }

    /// The text of User-Agent.
    ///
    /// # Errors
    /// [`ConfigError`] for a control character.
    pub fn user_agent(mut self, text: &str) -> Result<Self, ConfigError> {
        self.account = self.account.with_user_agent(text)?;
        Ok(self)
    }

    /// Uses access tokens of these authorization servers (https URIs) where the registrar asks for one, and of no other (RFC
    /// 8898): [`crate::Event::TokenNeeded`] asks for them.
    ///
    /// # Errors
    /// [`ConfigError`] for what is no https URI.
    pub fn authorization_servers(mut self, servers: Vec<String>) -> Result<Self, ConfigError> {
        self.account = self.account.with_authorization_servers(servers)?;
        Ok(self)
    }

    /// Gives tokens not to REGISTER alone, but to every request that is challenged for one. Whoever receives a message can
    /// challenge it in the server's name, and what we answer reaches him unless the server takes it out: only for a server
    /// that is known to do so.
    pub fn tokens_in_every_request(mut self) -> Self {
        self.account = self.account.with_tokens_in_every_request();
        self
    }

    /// Answers challenges of these realms only; without it every realm that the proven server sends or passes on.
    pub fn realms(mut self, realms: Vec<String>) -> Self {
        self.account = self.account.with_realms(realms);
        self
    }

    /// Refuses challenges that offer nothing but MD5.
    pub fn without_md5(mut self) -> Self {
        self.account = self.account.without_md5();
        self
    }

    /// Keeps outbox, inbox and conversations in this file, which is made for its owner alone; each account has one of its own.
    /// Without it everything lives in memory and ends with the phone.
    pub fn store_file(mut self, path: impl Into<PathBuf>, limits: Limits) -> Self {
        self.store = StoreChoice::File(path.into(), limits);
        self
    }

    /// Other processes may use the store at the same time, such as an app and its notification extension: what they change
    /// is looked for every second. (They do no harm to each other without it; they only notice each other later.)
    pub fn shared_store(mut self) -> Self {
        self.store_use.shared = true;
        self
    }

    /// Sends only what this phone is given: what else waits in the store is left to another, and so are messages that come.
    pub fn sends_only(mut self) -> Self {
        self.store_use.sends_only = true;
        self
    }

    /// The app says with [`crate::Phone::acknowledge`] which messages it has, instead of [`crate::Phone::next_event`]
    /// taking them as handled when it is called again.
    pub fn acknowledge_explicitly(mut self) -> Self {
        self.explicit = true;
        self
    }

    /// Shows every SIP message, secrets left out.
    pub fn trace(mut self, trace: Trace) -> Self {
        self.trace = Some(trace);
        self
    }

    /// How a phone of this configuration connects, for a program that goes through the steps itself.
    pub fn connect_request(&self) -> ConnectRequest {
        let mut request = ConnectRequest::new(self.identity().clone(), Arc::new(self.policy.clone()));
        request.route = self.route_of(0);
        request.resolver = self.resolver.clone();
        request.tls = self.tls.clone();
        request.deadlines = self.deadlines;
        request.crls = self.crls.clone();
        request.revocation = Some(self.revocation.clone());
        request
    }

    /// How each flow of a phone connects; what they learn of servers and of DNS they share.
    pub(crate) fn connect_requests(&self) -> Vec<ConnectRequest> {
        let first = self.connect_request();
        let of = |slot: usize| {
            let mut request = first.clone();
            let identity = self.account.identity_of(slot);
            if identity == self.identity() {
                return request;
            }
            request.identity = identity.clone();
            request.route = self.route_of(slot);
            if let Some(file) = &self.policy_file {
                let demanded = file.policy_for(identity);
                request.policy = demanded.policy.clone();
                request.crls = demanded.crls.clone();
                if demanded.require_tls13 {
                    request.tls.min_version = TlsVersion::Tls13;
                }
                request.tls.require_post_quantum |= demanded.require_post_quantum;
            }
            request
        };
        (0..self.account.flows()).map(of).collect()
    }

    fn route_of(&self, slot: usize) -> Route {
        let proxies = self.proxy_ports.len();
        let turn = slot.checked_rem(proxies).unwrap_or(0);
        match &self.route {
            Route::Given(places) if proxies > 1 && places.len() == proxies => {
                Route::Given(places.get(turn).cloned().into_iter().collect())
            }
            Route::Given(places) => Route::Given(places.clone()),
            Route::Discover { .. } => Route::Discover { port: self.proxy_ports.get(turn).copied().flatten() },
        }
    }

    /// Whom the server must prove to be.
    pub fn identity(&self) -> &ReferenceIdentity {
        self.account.identity()
    }

    /// The address of record.
    pub fn address_of_record(&self) -> &Uri<'static> {
        self.account.address_of_record()
    }
}

/// A random UUID, version 4.
fn random_instance() -> Result<String, ConfigError> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| ConfigError::Random(error.to_string()))?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
}

/// Takes `host`, `host:port`, `address`, `[v6]` or `[v6]:port` apart.
fn host_and_port(text: &str) -> Result<(String, Option<u16>), ConfigError> {
    let wrong = || ConfigError::Address { text: text.into(), expected: "a host or host:port" };
    let colon = match text.rfind(']') {
        Some(bracket) => text.get(bracket..).and_then(|tail| tail.find(':')).map(|at| bracket + at),
        None if text.matches(':').count() == 1 => text.find(':'),
        None => None,
    };
    let (host, port) = match colon {
        Some(at) => (text.get(..at), text.get(at + 1..)),
        None => (Some(text), None),
    };
    let host = host.filter(|host| !host.is_empty()).ok_or_else(wrong)?;
    let port = match port {
        Some(port) => Some(port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?),
        None => None,
    };
    Ok((host.into(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_the_identity_and_an_address_is_not_tls_02() {
        let config = Config::new("sip:alice@example.test").unwrap();
        assert_eq!(config.identity().to_string(), "example.test");
        let config = config.address("127.0.0.1:5061").unwrap().address("[::1]:5061").unwrap();
        assert_eq!(config.identity().to_string(), "example.test");
        assert!(matches!(&config.route, Route::Given(list) if list.len() == 2));
        let config = config.proxy("edge.example.test:5061").unwrap();
        assert_eq!(config.identity().to_string(), "edge.example.test");
    }

    #[test]
    fn each_proxy_has_a_flow_of_its_own_with_its_own_identity_and_place_out_04() {
        let config = Config::new("sip:alice@example.test").unwrap();
        let two = config.proxy("a.example.test:5071").unwrap().proxy("b.example.test").unwrap();
        let requests = two.connect_requests();
        let facts: Vec<_> = requests.iter().map(|r| (r.identity.to_string(), r.route.clone())).collect();
        let discover = |port| Route::Discover { port };
        assert_eq!(
            facts,
            [("a.example.test".into(), discover(Some(5071))), ("b.example.test".into(), discover(None))]
        );
        assert!(Arc::ptr_eq(&requests[0].memory, &requests[1].memory));
        let given = two.address("127.0.0.1:1").unwrap().address("127.0.0.1:2").unwrap();
        for (slot, request) in given.connect_requests().iter().enumerate() {
            assert!(
                matches!(&request.route, Route::Given(one) if one.len() == 1 && usize::from(one[0].1) == slot + 1)
            );
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let config = Config::new("sip:alice@example.test").unwrap();
        for text in ["", "host", "host:", "host:0", "host:65536", ":5061", "[::1]", "::1:5061", "ho st:1"] {
            assert!(config.clone().address(text).is_err(), "{text:?}");
        }
        for text in ["", "host:x", ":5061", "a b"] {
            assert!(config.clone().proxy(text).is_err(), "{text:?}");
        }
        assert!(config.clone().instance("1").is_err());
        assert!(config.expires(0).is_err());
    }

    #[test]
    fn a_printed_configuration_holds_no_password() {
        let config = Config::new("sip:alice@example.test").unwrap().password("wonderland");
        assert!(!format!("{config:?}").contains("wonderland"));
    }
}
