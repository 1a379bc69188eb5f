//! What the agent knows of its account.

use crate::timing::Timing;
use aldis_sip::{FieldText, NameAddr, ReferenceIdentity, Secret, SipScheme, Uri};
use std::time::Duration;

/// One account: who the user is, and how to speak for him.
#[derive(Clone, Debug)]
pub struct Account {
    /// The address of record: a sip or sips URI with a user and without port and parameters.
    pub(crate) address_of_record: Uri<'static>,
    /// From, without its tag.
    pub(crate) from: NameAddr<'static>,
    /// The domain.
    identity: ReferenceIdentity,
    /// The outbound proxies, if there are any; the flows are spread over them (OUT-04).
    proxies: Vec<Proxy>,
    /// How many flows there are at once, if the app said so.
    flows: Option<usize>,
    pub(crate) timing: Timing,
    pub(crate) auth_user: String,
    pub(crate) password: Option<Secret>,
    pub(crate) instance: String,
    pub(crate) user_agent: Option<FieldText<'static>>,
    /// The expiry asked for, in seconds (REG-06).
    pub(crate) expires: u32,
    pub(crate) max_message: usize,
    /// The largest body, in bytes, where a server loses what is larger (I-02).
    pub(crate) max_body: Option<usize>,
    pub(crate) allow_md5: bool,
    pub(crate) realms: Option<Vec<String>>,
    /// Whether a message whose answer was lost is sent again.
    pub(crate) resend: bool,
    /// https URIs of servers whose tokens the account uses (AUTH-25).
    pub(crate) authorization_servers: Vec<String>,
    /// Whether requests other than REGISTER carry tokens.
    pub(crate) tokens_everywhere: bool,
}

/// An outbound proxy that the user trusts.
#[derive(Clone, Debug)]
struct Proxy {
    identity: ReferenceIdentity,
    /// The first Route of what goes through it.
    route: Uri<'static>,
}

/// Why something is not an account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAccount {
    /// Not a URI.
    #[error("{text:?} is not an address of record such as sip:alice@example.org: {fault}")]
    NotAUri {
        /// What was given.
        text: String,
        /// Where it stops being one.
        fault: aldis_sip::Fault,
    },
    /// Not `sip:user@domain`.
    #[error("{0:?} is not an address of record, which has the form sip:alice@example.org and nothing more")]
    NotAnAddressOfRecord(String),
    /// The domain, or the proxy's host, cannot be an identity.
    #[error(transparent)]
    Identity(#[from] aldis_sip::InvalidIdentity),
    /// A text holds a character that would end its line.
    #[error("{what} must not contain control characters")]
    ControlCharacter {
        /// Which one.
        what: &'static str,
    },
    /// The instance id is not a UUID.
    #[error("{0:?} is not a UUID such as 00000000-0000-1000-8000-000a95a0e128")]
    Instance(String),
    /// Not an https URI of an authorization server.
    #[error("{0:?} is not an https address of an authorization server, such as https://login.example.org")]
    AuthorizationServer(String),
    /// A number outside its range.
    #[error("{what} is {found}; it must be from {least} to {most}")]
    Range {
        /// Which one.
        what: &'static str,
        /// What was given.
        found: u64,
        /// The smallest allowed.
        least: u64,
        /// The largest allowed.
        most: u64,
    },
}

/// RFC 3261 allows a registrar to refuse what is shorter than an hour; longer is its own to shorten (REG-06).
const DEFAULT_EXPIRES: u32 = 3600;
/// The largest request by default, in bytes (MSG-04).
const DEFAULT_MAX_MESSAGE: usize = 8192;
/// Most flows and most proxies of an account: what RFC 5626 §4.2.1 asks a client to be able to (OUT-04).
pub(crate) const MAX_FLOWS: usize = 4;
/// Bounds of the largest message: nothing fits below, and no receiver must read more (WIRE-05).
const MAX_MESSAGE_RANGE: std::ops::RangeInclusive<usize> = 1000..=65_535;

impl Account {
    /// An account of this address of record; its domain is the identity that the server must prove.
    ///
    /// `instance` is the UUID of this installation (OUT-01); it names the device to the registrar and must stay the same
    /// over restarts.
    ///
    /// # Errors
    /// [`InvalidAccount`] if the address is not of the form `sip:user@domain`, or the instance not a UUID.
    pub fn new(address_of_record: &str, instance: &str) -> Result<Self, InvalidAccount> {
        let not_one = || InvalidAccount::NotAnAddressOfRecord(address_of_record.into());
        let text = to_a_labels(address_of_record);
        let uri = Uri::parse(text.as_str())
            .map_err(|fault| InvalidAccount::NotAUri { text: address_of_record.into(), fault })?;
        let host = uri.host().ok_or_else(not_one)?;
        let identity = ReferenceIdentity::new(host)?;
        let plain = uri.address_of_record().ok_or_else(not_one)?;
        let has_more = uri.port().is_some() || uri.raw_params().next().is_some() || uri.has_headers();
        if uri.raw_user().is_none() || uri.password().is_some() || has_more {
            return Err(not_one());
        }
        if !is_uuid(instance) {
            return Err(InvalidAccount::Instance(instance.into()));
        }
        Ok(Account {
            from: NameAddr::new(plain.clone()),
            auth_user: uri.user().unwrap_or_default().into_owned(),
            address_of_record: plain,
            identity,
            proxies: Vec::new(),
            flows: None,
            timing: Timing::default(),
            password: None,
            instance: instance.to_ascii_lowercase(),
            user_agent: None,
            expires: DEFAULT_EXPIRES,
            max_message: DEFAULT_MAX_MESSAGE,
            max_body: None,
            allow_md5: true,
            realms: None,
            resend: true,
            authorization_servers: Vec::new(),
            tokens_everywhere: false,
        })
    }

    /// Another UUID of this installation.
    ///
    /// # Errors
    /// [`InvalidAccount::Instance`] if it is none.
    pub fn with_instance(mut self, instance: &str) -> Result<Self, InvalidAccount> {
        if !is_uuid(instance) {
            return Err(InvalidAccount::Instance(instance.into()));
        }
        self.instance = instance.to_ascii_lowercase();
        Ok(self)
    }

    /// The address of record.
    pub fn address_of_record(&self) -> &Uri<'static> {
        &self.address_of_record
    }

    /// Whom the server must prove to be: the account's domain, or the host of the first proxy.
    pub fn identity(&self) -> &ReferenceIdentity {
        self.identity_of(0)
    }

    /// Whom the server of one of the flows must prove to be: the account's domain, or the host of that flow's proxy.
    pub fn identity_of(&self, slot: usize) -> &ReferenceIdentity {
        self.proxy_of(slot).map_or(&self.identity, |proxy| &proxy.identity)
    }

    /// The proxies are given to the flows in turn.
    fn proxy_of(&self, slot: usize) -> Option<&Proxy> {
        self.proxies.get(slot.checked_rem(self.proxies.len())?)
    }

    /// The first Route of what leaves on a flow.
    pub(crate) fn route_of(&self, slot: usize) -> Option<&Uri<'static>> {
        self.proxy_of(slot).map(|proxy| &proxy.route)
    }

    /// How many servers the flows start from: the proxies, or the domain alone.
    pub(crate) fn places(&self) -> usize {
        self.proxies.len().max(1)
    }

    /// Whether this host is a proxy's.
    pub(crate) fn is_proxy(&self, host: &str) -> bool {
        self.proxies.iter().any(|proxy| proxy.identity.to_string().eq_ignore_ascii_case(host))
    }

    /// How many flows are kept up at once: what [`Account::with_flows`] said, else one for each proxy, else one. From a set
    /// of several proxies at least two are registered with (OUT-04).
    pub fn flows(&self) -> usize {
        let least = self.proxies.len().clamp(1, 2);
        self.flows.unwrap_or(self.proxies.len()).clamp(least, MAX_FLOWS)
    }

    /// How many flows are kept up at once, from 1 to 4, each with a connection and binding of its own (RFC 5626): to the
    /// proxies in turn, else to different servers of the domain where it has several. More than one are registered only
    /// where the registrar speaks outbound.
    ///
    /// # Errors
    /// [`InvalidAccount::Range`].
    pub fn with_flows(mut self, flows: usize) -> Result<Self, InvalidAccount> {
        in_range("the number of flows", flows as u64, 1, MAX_FLOWS as u64)?;
        self.flows = Some(flows);
        Ok(self)
    }

    /// Other intervals of keep-alives and attempts than [`Timing::default`].
    ///
    /// # Errors
    /// [`InvalidAccount::Range`] for a keep-alive more often than each second or less often than each day, a first wait of
    /// nothing or more than an hour, or a longest one of less than a second or more than a day.
    pub fn with_timing(mut self, timing: Timing) -> Result<Self, InvalidAccount> {
        const DAY: u64 = 86_400_000;
        let Timing { ping, background_ping, retry_all_failed, retry, retry_at_most } = timing;
        for (what, value, least, most) in [
            ("the keep-alive interval, in milliseconds,", ping, 1000, DAY),
            ("the keep-alive interval in the background, in milliseconds,", background_ping, 1000, DAY),
            ("the first wait when all flows failed, in milliseconds,", retry_all_failed, 1, 3_600_000),
            ("the first wait, in milliseconds,", retry, 1, 3_600_000),
            ("the longest wait, in milliseconds,", retry_at_most, 1000, DAY),
        ] {
            in_range(what, u64::try_from(Duration::as_millis(&value)).unwrap_or(u64::MAX), least, most)?;
        }
        self.timing = timing;
        Ok(self)
    }

    /// Shows this name in From.
    ///
    /// # Errors
    /// [`InvalidAccount::ControlCharacter`].
    pub fn with_display_name(mut self, name: &str) -> Result<Self, InvalidAccount> {
        let wrong = |_| InvalidAccount::ControlCharacter { what: "the display name" };
        self.from = self.from.with_display(name).map_err(wrong)?;
        Ok(self)
    }

    /// Sends everything through this proxy, which the user trusts: its host becomes the identity, and it is the first
    /// Route (RFC 3261 §8.1.2). Given several times it is a set of up to four (RFC 5626 §4.2.1): the flows are spread over
    /// it, and each proxy proves its own host.
    ///
    /// # Errors
    /// [`InvalidAccount`] if the host cannot be an identity, or there are four already.
    pub fn with_proxy(mut self, host: &str, port: Option<u16>) -> Result<Self, InvalidAccount> {
        let identity = ReferenceIdentity::new(host)?;
        in_range("the number of proxies", self.proxies.len() as u64 + 1, 1, MAX_FLOWS as u64)?;
        let scheme = if self.address_of_record.scheme() == aldis_sip::Scheme::Sips {
            SipScheme::Sips
        } else {
            SipScheme::Sip
        };
        let uri = Uri::sip(scheme, None, &identity.to_string(), port)
            .and_then(|uri| uri.with_param("lr", None))
            .map_err(|fault| InvalidAccount::NotAUri { text: host.into(), fault })?;
        self.proxies.push(Proxy { identity, route: uri });
        Ok(self)
    }

    /// Answers digest challenges with this password.
    pub fn with_password(mut self, password: Secret) -> Self {
        self.password = Some(password);
        self
    }

    /// The name in digest answers, where it is not the user part of the address.
    pub fn with_auth_user(mut self, name: &str) -> Self {
        self.auth_user = name.into();
        self
    }

    /// The text of `User-Agent`.
    ///
    /// # Errors
    /// [`InvalidAccount::ControlCharacter`].
    pub fn with_user_agent(mut self, text: &str) -> Result<Self, InvalidAccount> {
        let wrong = |_| InvalidAccount::ControlCharacter { what: "the user agent" };
        self.user_agent = Some(FieldText::new(text.to_owned()).map_err(wrong)?);
        Ok(self)
    }

    /// The expiry to ask for, in seconds, from 1.
    ///
    /// # Errors
    /// [`InvalidAccount::Range`] for 0, which would remove the binding.
    pub fn with_expires(mut self, seconds: u32) -> Result<Self, InvalidAccount> {
        Self::check_expires(seconds)?;
        self.expires = seconds;
        Ok(self)
    }

    /// Whether this is an expiry to ask for, in seconds.
    ///
    /// # Errors
    /// [`InvalidAccount::Range`] for 0, which would remove the binding.
    pub fn check_expires(seconds: u32) -> Result<(), InvalidAccount> {
        in_range("the expiry", seconds.into(), 1, u32::MAX.into())
    }

    /// The largest request that is sent, in bytes, headers and a later Authorization counted in (MSG-04).
    ///
    /// # Errors
    /// [`InvalidAccount::Range`] outside 1000 to 65535.
    pub fn with_max_message(mut self, bytes: usize) -> Result<Self, InvalidAccount> {
        let (least, most) = (*MAX_MESSAGE_RANGE.start() as u64, *MAX_MESSAGE_RANGE.end() as u64);
        in_range("the largest message", bytes as u64, least, most)?;
        self.max_message = bytes;
        Ok(self)
    }

    /// The largest body that is sent, in bytes, where the server takes a larger one and loses it: 1023 for Asterisk, whose
    /// buffer has room for no more (I-02). Larger messages are refused as too large.
    pub fn with_max_body(mut self, bytes: usize) -> Self {
        self.max_body = Some(bytes);
        self
    }

    /// Refuses challenges that offer only MD5 (AUTH-23).
    pub fn without_md5(mut self) -> Self {
        self.allow_md5 = false;
        self
    }

    /// Answers challenges of these realms only (AUTH-04). Without it every realm is answered that the proven server
    /// sends or passes on.
    pub fn with_realms(mut self, realms: Vec<String>) -> Self {
        self.realms = Some(realms);
        self
    }

    /// Says of a message whose answer was lost that its fate is unknown, instead of sending it again: for recipients who know
    /// no repetition and would show it twice (MSG-16).
    pub fn without_resending(mut self) -> Self {
        self.resend = false;
        self
    }

    /// Whether a message whose answer was lost is sent again.
    pub fn resends(&self) -> bool {
        self.resend
    }

    /// Uses access tokens of these authorization servers (https URIs), where the server asks for one (RFC 8898 §2.1.1); of
    /// no other. Tokens should be encrypted JWTs for the SIP server: proxies on the way see them (§2.1.2).
    ///
    /// # Errors
    /// [`InvalidAccount::AuthorizationServer`] for what is no https URI.
    pub fn with_authorization_servers(mut self, servers: Vec<String>) -> Result<Self, InvalidAccount> {
        let wrong = |server: &&String| !is_https(server);
        if let Some(server) = servers.iter().find(wrong) {
            return Err(InvalidAccount::AuthorizationServer(server.clone()));
        }
        self.authorization_servers = servers;
        Ok(self)
    }

    /// Gives tokens not to REGISTER alone, but to every request that is challenged for one. Whoever receives a message can
    /// challenge it in the server's name, and what we answer reaches him unless the server takes it out: only for a server
    /// that is known to do so (or whose tokens nobody else can use).
    pub fn with_tokens_in_every_request(mut self) -> Self {
        self.tokens_everywhere = true;
        self
    }

    /// Whether tokens of this server are used: an https URI that the app has named, a slash at its end aside.
    pub(crate) fn trusts_authorization_server(&self, server: &str) -> bool {
        let plain = |text: &str| text.strip_suffix('/').unwrap_or(text).to_owned();
        is_https(server) && self.authorization_servers.iter().any(|known| plain(known) == plain(server))
    }

    pub(crate) fn allows_realm(&self, realm: &str) -> bool {
        self.realms.as_ref().is_none_or(|realms| realms.iter().any(|allowed| allowed == realm))
    }

    /// The user part of our Contact: the same for this installation always, and nobody else's (I-11).
    pub(crate) fn contact_user(&self) -> String {
        let digits: String = self.instance.chars().filter(char::is_ascii_hexdigit).collect();
        format!("aldis-{}", digits.get(..16).unwrap_or(&digits))
    }

    /// The Request-URI of REGISTER: the domain alone (REG-01).
    pub(crate) fn registrar(&self) -> Uri<'static> {
        let scheme = self.address_of_record.scheme_text();
        let host = self.address_of_record.host().unwrap_or_default();
        // Parts of a URI that was parsed: what they make is one again.
        Uri::parse(format!("{scheme}:{host}")).unwrap_or_else(|_| self.address_of_record.clone())
    }
}

fn is_https(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, rest)| {
        scheme.eq_ignore_ascii_case("https") && !rest.is_empty() && Uri::parse(text).is_ok()
    })
}

fn in_range(what: &'static str, found: u64, least: u64, most: u64) -> Result<(), InvalidAccount> {
    if (least..=most).contains(&found) {
        Ok(())
    } else {
        Err(InvalidAccount::Range { what, found, least, most })
    }
}

/// An address whose domain may be an international one, with the domain as A-labels.
fn to_a_labels(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((user, domain)) if !domain.is_ascii() => match ReferenceIdentity::new(domain) {
            Ok(identity) => format!("{user}@{identity}"),
            Err(_) => address.into(),
        },
        _ => address.into(),
    }
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12] && groups.iter().all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTANCE: &str = "00000000-0000-1000-8000-000A95A0E128";

    #[test]
    fn the_domain_is_the_identity_and_the_registrar_tls_02_reg_01() {
        let account = Account::new("sip:alice@Bücher.example", INSTANCE).unwrap();
        assert_eq!(account.identity().to_string(), "xn--bcher-kva.example");
        assert_eq!(account.registrar().as_str(), "sip:xn--bcher-kva.example");
        let account = account.with_proxy("proxy.example", Some(5061)).unwrap();
        assert_eq!(account.identity().to_string(), "proxy.example");
        assert_eq!(account.registrar().as_str(), "sip:xn--bcher-kva.example");
    }

    #[test]
    fn flows_are_spread_over_the_proxies_and_each_proves_its_own_host_out_04() {
        let account = Account::new("sip:a@b.test", INSTANCE).unwrap();
        assert_eq!((account.flows(), account.places()), (1, 1));
        let two = account.clone().with_proxy("p.test", None).unwrap().with_proxy("q.test", None).unwrap();
        assert_eq!((two.flows(), two.places()), (2, 2));
        let identities: Vec<_> = (0..4).map(|slot| two.identity_of(slot).to_string()).collect();
        assert_eq!(identities, ["p.test", "q.test", "p.test", "q.test"]);
        assert_eq!(two.clone().with_flows(1).unwrap().flows(), 2, "at least two of a set of several");
        assert_eq!(account.clone().with_flows(4).unwrap().flows(), 4);
        assert!(account.clone().with_flows(0).is_err() && account.with_flows(5).is_err());
        let four = two.with_proxy("r.test", None).unwrap().with_proxy("s.test", None).unwrap();
        assert!(four.with_proxy("t.test", None).is_err());
    }

    #[test]
    fn what_is_no_address_of_record_is_refused() {
        for text in [
            "",
            "alice",
            "sip:example.test",
            "tel:+123",
            "sip:a@b.test:5061",
            "sip:a@b.test;x=y",
            "sip:a:b@c.test",
            "sip:a@b.test?x=y",
            "sip:a b@c.test",
            "mailto:a@b.test",
        ] {
            assert!(Account::new(text, INSTANCE).is_err(), "{text:?}");
        }
        assert!(Account::new("sip:a@b.test", "1234").is_err());
    }

    #[test]
    fn a_printed_account_holds_no_password() {
        let account = Account::new("sip:a@b.test", INSTANCE).unwrap().with_password(Secret::new("builder"));
        assert!(!format!("{account:?}").contains("builder"));
    }
}
