//! The one record that a phone starts from.

use crate::platform::Signer;
use crate::{ClientKey, SecretProvider, StartError};
use aldis::net::TlsVersion;
use aldis::store::Limits;
use aldis::trust::{self, Anchors, ClientCertificate, Crl, Pin, Policy, RevocationMode, Source};
use aldis::{Config, Domain};
use rustls_pki_types::CertificateDer;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Who the user is and how the server is reached. It holds no secret: a password comes from a [`SecretProvider`], or
/// through [`crate::Phone::set_credentials`].
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct PhoneConfig {
    /// `sip:alice@example.test`. Its domain is what the server must prove to be.
    pub address_of_record: String,
    /// The user name for the password, where it is not the user part of the address.
    #[uniffi(default)]
    pub auth_user: Option<String>,
    /// The name that recipients see.
    #[uniffi(default)]
    pub display_name: Option<String>,
    /// An outbound proxy, `host` or `host:port`. *Its host becomes what the server must prove to be.*
    #[uniffi(default)]
    pub proxy: Option<String>,
    /// Further proxies, up to three: a connection is kept to each, and each proves its own host (RFC 5626).
    #[uniffi(default)]
    pub more_proxies: Vec<String>,
    /// How many connections are kept up at once, from 1 to 4; while one is down the others serve. One by default, or one for
    /// each proxy; only one where the registrar does not speak outbound.
    #[uniffi(default)]
    pub flows: Option<u32>,
    /// Where to connect instead of asking DNS, `host:port` each, in order. This says where, never whom to trust.
    #[uniffi(default)]
    pub addresses: Vec<String>,
    /// The DNS server to ask, `address` or `address:port`, instead of the system's. Android and iOS need one, or addresses.
    #[uniffi(default)]
    pub resolver: Option<String>,
    /// The UUID of this installation. Keep one and give it: with a random one the registrar rings a device twice until
    /// the binding of an earlier run expires.
    #[uniffi(default)]
    pub instance: Option<String>,
    /// The expiry to ask the registrar for, in seconds.
    #[uniffi(default = 3600)]
    pub expires: u32,
    /// The largest request sent, in bytes, from 1000 to 65535.
    #[uniffi(default = 8192)]
    pub max_message: u32,
    /// The text of User-Agent.
    #[uniffi(default)]
    pub user_agent: Option<String>,
    /// The realms whose challenges are answered; empty: all that the proven server sends or passes on.
    #[uniffi(default)]
    pub realms: Vec<String>,
    /// Authorization servers (https addresses) whose access tokens are used where the registrar asks for one.
    #[uniffi(default)]
    pub authorization_servers: Vec<String>,
    /// Whether messages carry tokens too, where they are asked for. Whoever receives one can ask like the server does, and
    /// reads the answer unless the server takes it out: only for a server that is known to do so.
    #[uniffi(default)]
    pub tokens_in_every_request: bool,
    /// Whether challenges that offer nothing but MD5 are answered.
    #[uniffi(default = true)]
    pub allow_md5: bool,
    /// Whom to trust.
    #[uniffi(default)]
    pub trust: TrustConfig,
    /// The largest body that is sent, in bytes, where the server takes a larger one and loses it: 1023 for Asterisk.
    #[uniffi(default)]
    pub max_body: Option<u32>,
    /// Whether a message is sent again, as the same one, when nobody knows whether it arrived. Another program may show it
    /// twice; without it such a message is `Unknown`.
    #[uniffi(default = true)]
    pub resend: bool,
    /// Whether senders who ask for it are told that their message has arrived.
    #[uniffi(default = true)]
    pub send_delivery_receipts: bool,
    /// Whether senders who ask for it are told that their message was shown, by `displayed`: only with the user's consent.
    #[uniffi(default = false)]
    pub send_display_receipts: bool,
    /// Whether a domain without the SRV record `_sips._tcp` is asked for `_sip._tls`, which Microsoft's servers publish.
    #[uniffi(default = false)]
    pub also_sip_tls: bool,
    /// When keep-alives and attempts come; nil: as this library thinks best.
    #[uniffi(default)]
    pub timing: Option<Timing>,
    /// A folder in which revocation lists outlive the app.
    #[uniffi(default)]
    pub cache_folder: Option<String>,
    /// A file in which messages outlive the app: what waits to be sent or to be handled, and conversations. It is made for
    /// its owner alone; each account has one of its own. Nil: all of it ends with the phone.
    #[uniffi(default)]
    pub store_file: Option<String>,
    /// Whether another process uses the store at the same time, such as the app's notification extension: what it changes is
    /// then seen within a second.
    #[uniffi(default = false)]
    pub shared_store: bool,
    /// Whether this phone sends what it is given and nothing else of the store, and leaves what comes to another: for an
    /// extension that only sends.
    #[uniffi(default = false)]
    pub sends_only: bool,
}

/// When keep-alives and attempts come (RFC 5626 §4.4.1, §4.5). What a server demands outranks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Timing {
    /// The longest time between keep-alives while the app is in front.
    pub ping: Duration,
    /// The same in the background.
    pub background_ping: Duration,
    /// What the wait before the next attempt begins with while no flow is registered; each failure doubles it.
    pub retry_all_failed: Duration,
    /// The same while another flow is registered.
    pub retry: Duration,
    /// The longest of these waits.
    pub retry_at_most: Duration,
}

/// Whom to trust, and what must be proven. Nothing here switches the proof off.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct TrustConfig {
    /// Roots in PEM to trust beside the bundled public ones, such as an organisation's own.
    #[uniffi(default)]
    pub additional_roots: Option<String>,
    /// Roots in PEM to trust instead of the bundled public ones.
    #[uniffi(default)]
    pub only_roots: Option<String>,
    /// Names beside the domain that its server may present.
    #[uniffi(default)]
    pub server_names: Vec<String>,
    /// Keys of which one must stand on the verified path, `sha256/…` in base 64.
    #[uniffi(default)]
    pub pins: Vec<String>,
    /// How much certificate hygiene is demanded; nil: [`Level::Default`].
    #[uniffi(default)]
    pub level: Option<Level>,
    /// How much must be proven about revocation; nil: [`Revocation::Prefer`].
    #[uniffi(default)]
    pub revocation: Option<Revocation>,
    /// Revocation lists, DER or PEM each.
    #[uniffi(default)]
    pub revocation_lists: Vec<Vec<u8>>,
    /// Whether a wildcard may match the domain, against RFC 5922 §7.2. Each use is reported.
    #[uniffi(default = false)]
    pub allow_wildcard: bool,
    /// Whether TLS 1.2 is refused. Nothing older is ever spoken.
    #[uniffi(default = false)]
    pub require_tls13: bool,
    /// Whether a key exchange without post-quantum protection is refused.
    #[uniffi(default = false)]
    pub require_post_quantum: bool,
    /// The certificate that this client shows, and its authorities, DER each; its key is a [`ClientKey`]. TLS 1.3 is
    /// then required, unless the next field says otherwise.
    #[uniffi(default)]
    pub client_certificates: Vec<Vec<u8>>,
    /// Whether the client certificate, and with it a person's name, may travel in clear, under TLS 1.2.
    #[uniffi(default = false)]
    pub client_certificate_in_clear: bool,
}

/// How much certificate hygiene is demanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Level {
    /// The rules that change what is trusted.
    Default,
    /// Also the form that RFC 5280 and the CA/Browser Forum demand.
    Strict,
}

/// How much must be proven about revocation. A proven revocation refuses in every mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Revocation {
    /// Every certificate must be proven to be in force.
    Require,
    /// What is absent is reported.
    Prefer,
    /// Nothing is looked for.
    Off,
}

/// The port of DNS (RFC 1035 §4.2).
const DNS_PORT: u16 = 53;

impl PhoneConfig {
    /// A configuration with everything as by default.
    pub fn new(address_of_record: String) -> Self {
        PhoneConfig {
            address_of_record,
            auth_user: None,
            display_name: None,
            proxy: None,
            more_proxies: Vec::new(),
            flows: None,
            addresses: Vec::new(),
            resolver: None,
            instance: None,
            expires: 3600,
            max_message: 8192,
            user_agent: None,
            realms: Vec::new(),
            authorization_servers: Vec::new(),
            tokens_in_every_request: false,
            allow_md5: true,
            trust: TrustConfig::default(),
            max_body: None,
            resend: true,
            send_delivery_receipts: true,
            send_display_receipts: false,
            also_sip_tls: false,
            timing: None,
            cache_folder: None,
            store_file: None,
            shared_store: false,
            sends_only: false,
        }
    }

    /// The configuration that `aldis` wants.
    pub(crate) fn into_config(
        self,
        secrets: Option<&dyn SecretProvider>,
        key: Option<Arc<dyn ClientKey>>,
    ) -> Result<Config, StartError> {
        let mut config = Config::new(&self.address_of_record)?
            .expires(self.expires)?
            .max_message(usize::try_from(self.max_message).unwrap_or(usize::MAX))?;
        if let Some(name) = &self.auth_user {
            config = config.auth_user(name);
        }
        if let Some(name) = &self.display_name {
            config = config.display_name(name)?;
        }
        for proxy in self.proxy.iter().chain(&self.more_proxies) {
            config = config.proxy(proxy)?;
        }
        if let Some(flows) = self.flows {
            config = config.flows(usize::try_from(flows).unwrap_or(usize::MAX))?;
        }
        for address in &self.addresses {
            config = config.address(address)?;
        }
        if let Some(server) = &self.resolver {
            config = config.resolver(resolver(server)?);
        }
        if let Some(uuid) = &self.instance {
            config = config.instance(uuid)?;
        }
        if let Some(text) = &self.user_agent {
            config = config.user_agent(text)?;
        }
        if !self.realms.is_empty() {
            config = config.realms(self.realms);
        }
        if !self.authorization_servers.is_empty() {
            config = config.authorization_servers(self.authorization_servers)?;
        }
        if self.tokens_in_every_request {
            config = config.tokens_in_every_request();
        }
        if !self.allow_md5 {
            config = config.without_md5();
        }
        if let Some(bytes) = self.max_body {
            config = config.max_body(usize::try_from(bytes).unwrap_or(usize::MAX));
        }
        if !self.resend {
            config = config.without_resending();
        }
        config = config
            .send_delivery_receipts(self.send_delivery_receipts)
            .send_display_receipts(self.send_display_receipts)
            .also_sip_tls(self.also_sip_tls);
        if let Some(timing) = self.timing {
            config = config.timing(timing.into())?;
        }
        if let Some(folder) = self.cache_folder {
            config = config.cache_folder(folder);
        }
        if let Some(path) = self.store_file {
            config = config.store_file(path, Limits::default());
        }
        if self.shared_store {
            config = config.shared_store();
        }
        if self.sends_only {
            config = config.sends_only();
        }
        config = self.trust.apply(config, key)?;
        // Last, so that a configuration that is refused asks for no secret.
        let password = secrets.map(|secrets| secrets.password(self.address_of_record)).transpose();
        match password.map_err(|error| StartError::Secrets { explanation: error.to_string() })?.flatten() {
            Some(password) => Ok(config.password(password)),
            None => Ok(config),
        }
    }
}

impl From<Timing> for aldis::Timing {
    fn from(timing: Timing) -> Self {
        aldis::Timing {
            ping: timing.ping,
            background_ping: timing.background_ping,
            retry_all_failed: timing.retry_all_failed,
            retry: timing.retry,
            retry_at_most: timing.retry_at_most,
        }
    }
}

fn resolver(server: &str) -> Result<SocketAddr, StartError> {
    dns_server(server).ok_or_else(|| StartError::Address {
        given: server.into(),
        expected: "the address of a DNS server, with or without a port".into(),
    })
}

/// An address with or without a port.
pub(crate) fn dns_server(text: &str) -> Option<SocketAddr> {
    let with_port = text.parse().ok();
    with_port.or_else(|| text.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, DNS_PORT)))
}

impl TrustConfig {
    fn apply(self, mut config: Config, key: Option<Arc<dyn ClientKey>>) -> Result<Config, StartError> {
        let mut policy = Policy::new(self.anchors()?);
        policy.allow_wildcard = self.allow_wildcard;
        for name in self.server_names {
            policy.server_names.push(
                Domain::new(&name).map_err(|error| StartError::ServerName {
                    explanation: error.to_string(),
                    given: name,
                })?,
            );
        }
        for pin in self.pins {
            policy.pins.push(
                pin.parse::<Pin>()
                    .map_err(|error| StartError::Pin { explanation: error.to_string(), given: pin })?,
            );
        }
        policy.level = match self.level {
            None | Some(Level::Default) => trust::Level::Default,
            Some(Level::Strict) => trust::Level::Strict,
        };
        policy.revocation = match self.revocation {
            Some(Revocation::Require) => RevocationMode::Require,
            None | Some(Revocation::Prefer) => RevocationMode::Prefer,
            Some(Revocation::Off) => RevocationMode::Off,
        };
        let mut lists = Vec::new();
        for bytes in self.revocation_lists {
            lists.extend(read_lists(&bytes)?.into_iter().map(Arc::new));
        }
        config = config.trust(policy).revocation_lists(lists).require_post_quantum(self.require_post_quantum);
        if self.require_tls13 {
            config = config.min_tls(TlsVersion::Tls13);
        }
        let incomplete =
            |explanation: &str| StartError::ClientCertificate { explanation: explanation.into() };
        match (self.client_certificates.is_empty(), key) {
            (true, None) => Ok(config),
            (false, None) => Err(incomplete("it comes without a key")),
            (true, Some(_)) => Err(incomplete("there is a key, and no certificate")),
            (false, Some(key)) => {
                let chain = self.client_certificates.into_iter().map(CertificateDer::from).collect();
                let mut certificate = ClientCertificate::from_signer(chain, Arc::new(Signer(key)))?;
                if self.client_certificate_in_clear {
                    certificate = certificate.allow_in_clear();
                }
                Ok(config.client_certificate(&certificate))
            }
        }
    }

    fn anchors(&self) -> Result<Arc<Anchors>, StartError> {
        match (&self.only_roots, &self.additional_roots) {
            (Some(_), Some(_)) => {
                Err(StartError::Roots { explanation: "give either additional roots or the only ones".into() })
            }
            (Some(pem), None) => Ok(Arc::new(roots(pem)?)),
            (None, Some(pem)) => Ok(Arc::new(Anchors::builder().bundled().all_of(&roots(pem)?).build())),
            (None, None) => Ok(Anchors::bundled()),
        }
    }
}

fn roots(pem: &str) -> Result<Anchors, StartError> {
    let anchors = Anchors::from_pem(pem.as_bytes(), Source::Organisation);
    // An app gives its roots deliberately: one that cannot be used is a mistake to be told of.
    match anchors.unusable().first() {
        Some(unusable) => Err(StartError::Roots { explanation: unusable.why.clone() }),
        None if anchors.is_empty() => {
            Err(StartError::Roots { explanation: "there is no certificate in PEM form".into() })
        }
        None => Ok(anchors),
    }
}

/// Lists in PEM, or one in DER, which begins with a SEQUENCE.
fn read_lists(bytes: &[u8]) -> Result<Vec<Crl>, StartError> {
    const SEQUENCE: u8 = 0x30;
    let lists = match bytes.first() {
        Some(&SEQUENCE) => vec![Crl::from_der(bytes)?],
        _ => Crl::all_from_pem(bytes)?,
    };
    match lists.is_empty() {
        true => Err(StartError::RevocationList { explanation: "there is none in it".into() }),
        false => Ok(lists),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_servers_are_addresses_with_or_without_a_port() {
        for (text, expected) in [
            ("192.0.2.53", "192.0.2.53:53"),
            ("192.0.2.53:5353", "192.0.2.53:5353"),
            ("2001:db8::53", "[2001:db8::53]:53"),
            ("[2001:db8::53]:5353", "[2001:db8::53]:5353"),
        ] {
            assert_eq!(dns_server(text).map(|server| server.to_string()).as_deref(), Some(expected));
        }
        for text in ["", "dns.example", "192.0.2.53:", "192.0.2.53:65536", "fe80::1%wlan0"] {
            assert_eq!(dns_server(text), None, "{text}");
        }
    }
}
