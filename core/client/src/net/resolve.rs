//! From a domain to the places where its SIP server may be (RFC 3263 §4), always for TLS over TCP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use aldis_sip::Domain;
use futures_util::future::{BoxFuture, Either, select};
use tokio::time::{Instant, timeout};

use super::cache::{Known, Shared};
#[cfg(not(any(target_os = "android", target_os = "ios")))]
use super::dns::system;
use super::dns::system::Hosts;
use super::dns::{self, Data, Found, Name};
use super::order::in_order;
use super::race::Candidates;
use super::resolve_error::{Question, RecordType, ResolveError};
use super::srv::{self, Srv};
use super::target::{Host, Origin, SIPS_PORT, Target, Unasked};

/// Servers tried for one domain. A zone may list more; who cannot reach these will not reach the rest.
const MAX_TARGETS: usize = 16;
/// NAPTR records followed, in their order.
const MAX_NAPTR: usize = 4;
/// Records taken from one answer.
const MAX_RECORDS: usize = 64;
/// Addresses taken from one answer.
const MAX_ADDRESSES: usize = 16;
/// How long a question may take with all its repetitions; beyond that a person believes that nothing happens.
const QUESTION_LIMIT: Duration = Duration::from_secs(5);
/// From when on no further place that NAPTR names is asked for, and the usual one has to do.
const SEARCH_LIMIT: Duration = Duration::from_secs(8);
/// How long NAPTR is waited for. Some home routers never answer this type; the SRV question runs beside it.
const NAPTR_LIMIT: Duration = Duration::from_secs(2);
/// How long NAPTR is waited for once the usual SRV records are there: both questions left at the same time, and a server
/// that answers one and not the other mostly never will.
const NAPTR_GRACE: Duration = Duration::from_millis(250);
/// The service of RFC 3263 §4.1 that is SIP over TLS over TCP. `SIP+D2T` and `SIP+D2U` lead to plain text (DNS-03).
const SIPS_OVER_TCP: &str = "SIPS+D2T";

/// Asks DNS for SIP servers, and keeps the answers for as long as they allow, by a clock that counts sleep, until
/// [`Resolver::forget`] or [`Resolver::network_changed`]. Clones share what they know. The system's configuration is read
/// anew each time that something has to be asked, since a device changes its network.
#[derive(Clone, Debug)]
pub struct Resolver {
    source: Source,
    shared: Arc<Shared>,
    also_sip_tls: bool,
}

#[derive(Clone, Debug)]
enum Source {
    /// The DNS servers of the system's configuration, and its hosts file.
    #[cfg(not(any(target_os = "android", target_os = "ios")))]
    System,
    /// These DNS servers and nothing else.
    Servers(Vec<SocketAddr>),
    /// The platform's own function, which knows addresses only; the network's servers for the rest, if they are known.
    Platform,
}

/// What [`Resolver::targets`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// Where to connect, in this order. Never empty.
    pub targets: Vec<Target>,
    /// What DNS was asked; nothing for an address or a given port.
    pub asked: Vec<Question>,
}

impl Resolver {
    /// The system's DNS servers and hosts file. On Android and iOS, which do not tell apps their DNS servers in a way that
    /// a library can ask for, it is [`Resolver::platform`].
    pub fn system() -> Self {
        #[cfg(not(any(target_os = "android", target_os = "ios")))]
        return Self::with(Source::System, Shared::default());
        #[cfg(any(target_os = "android", target_os = "ios"))]
        Self::platform([])
    }

    /// These DNS servers instead of the system's; no hosts file.
    pub fn servers(servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self::with(Source::Servers(servers.into_iter().collect()), Shared::default())
    }

    /// The platform's own resolver for addresses, with whatever it knows besides DNS (hosts file, mDNS, a VPN's names,
    /// NAT64). Its question runs on a thread of its own, and cannot be called back when nobody waits for it any more.
    ///
    /// It knows no SRV and NAPTR records: for those the network's `dns_servers` are asked, which
    /// [`Resolver::network_changed`] replaces. Without them, or when they do not answer, the domain's own addresses and
    /// [`SIPS_PORT`] are what is left, and [`Origin::Unasked`] says so.
    pub fn platform(dns_servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self::with(Source::Platform, Shared::with_dns_servers(dns_servers.into_iter().collect()))
    }

    fn with(source: Source, shared: Shared) -> Self {
        Self { source, shared: Arc::new(shared), also_sip_tls: false }
    }

    /// Where a domain has no SRV record `_sips._tcp`, that of `_sip._tls` is asked for, which Microsoft's servers publish
    /// and no RFC knows. For clones made from now on too.
    #[must_use]
    pub fn also_sip_tls(mut self, also: bool) -> Self {
        self.also_sip_tls = also;
        self
    }

    /// Throws the kept answers away: where they led, nothing works any more (REG-17).
    pub fn forget(&self) {
        self.shared.forget();
    }

    /// Throws the kept answers away: the device is in another network, whose DNS servers are these, if they are known.
    pub fn network_changed(&self, dns_servers: Vec<SocketAddr>) {
        self.shared.network_changed(dns_servers);
    }

    /// Where the SIP servers of `host` may be, in the order in which they are to be tried (RFC 3263 §4.1, §4.2). With
    /// a `port`, or for an address, nothing is asked. The addresses of the targets are not asked for yet: see
    /// [`Resolver::addresses`] and [`Resolver::candidates`].
    ///
    /// `draw` is the randomness for SRV weights, as [`srv::order`] takes it; mostly [`srv::system_draw`].
    ///
    /// # Errors
    /// [`ResolveError::ServiceOff`] if the domain switched the service off; another if SRV records could not be asked
    /// for. That there are none is no error: the domain itself is the target then.
    pub async fn targets(
        &self,
        host: &Host,
        port: Option<u16>,
        draw: &mut (dyn FnMut(u32) -> u32 + Send),
    ) -> Result<Resolution, ResolveError> {
        let only = |origin, port| Resolution {
            targets: vec![Target { host: host.clone(), port, origin }],
            asked: Vec::new(),
        };
        let domain = match (host, port) {
            (Host::Address(_), _) => return Ok(only(Origin::Literal, port.unwrap_or(SIPS_PORT))),
            (Host::Name(_), Some(port)) => return Ok(only(Origin::Port, port)),
            (Host::Name(domain), None) => domain,
        };
        if is_localhost(domain) {
            return Ok(only(Origin::HostsFile, SIPS_PORT));
        }
        if let Source::Platform = self.source {
            return self.platform_targets(domain, draw).await;
        }
        let session = self.session();
        if session.in_hosts_file(domain).is_some() {
            return Ok(only(Origin::HostsFile, SIPS_PORT));
        }
        session.find(domain, draw).await
    }

    /// As [`Resolver::targets`], where SRV records may be out of reach although addresses are not.
    async fn platform_targets(
        &self,
        domain: &Domain,
        draw: &mut (dyn FnMut(u32) -> u32 + Send),
    ) -> Result<Resolution, ResolveError> {
        let fallback = |why| Resolution {
            targets: vec![Target::of_domain(domain, Origin::Unasked(why))],
            asked: Vec::new(),
        };
        let servers = self.shared.dns_servers();
        if servers.is_empty() {
            return Ok(fallback(Unasked::NoDnsServers));
        }
        match self.session_with(servers).find(domain, draw).await {
            Err(error) if error.may_pass() => Ok(fallback(Unasked::Failed(error))),
            found => found,
        }
    }

    /// The addresses of `host`, both families, in the order in which they are to be tried (RFC 6724, RFC 8305 §4).
    ///
    /// # Errors
    /// [`ResolveError`] if there is none.
    pub async fn addresses(&self, host: &Host) -> Result<Vec<IpAddr>, ResolveError> {
        let mut candidates = self.candidates(&Target::given(host.clone(), SIPS_PORT))?;
        let addresses = candidates.resolve_all().await?;
        Ok(addresses.into_iter().map(|address| address.ip()).collect())
    }

    /// The addresses of `target` for a race: those known now, and questions under way for the others.
    ///
    /// # Errors
    /// [`ResolveError`] if no question can be asked at all.
    pub fn candidates(&self, target: &Target) -> Result<Candidates, ResolveError> {
        let name = match &target.host {
            Host::Address(address) => {
                return Ok(Candidates::known([SocketAddr::new(*address, target.port)]));
            }
            Host::Name(name) => name,
        };
        let port = target.port;
        let with_port = move |ip: IpAddr| SocketAddr::new(ip, port);
        if let Source::Platform = self.source {
            return Ok(Candidates::asking([platform_addresses(name.clone(), port)]));
        }
        let session = self.session();
        if let Some(known) = session.in_hosts_file(name) {
            return Ok(Candidates::known(known.into_iter().map(with_port)));
        }
        if is_localhost(name) {
            let here = [IpAddr::from(Ipv6Addr::LOCALHOST), Ipv4Addr::LOCALHOST.into()];
            return Ok(Candidates::known(here.map(with_port)));
        }
        if session.servers.is_empty() {
            return Err(no_server());
        }
        // AAAA first, then A at once (DNS-09).
        let ask = |record: RecordType| -> BoxFuture<'static, Result<Vec<SocketAddr>, ResolveError>> {
            let (session, name) = (session.clone(), name.clone());
            Box::pin(async move {
                let records = session.ask(record, name.as_str(), QUESTION_LIMIT).await?;
                let addresses = records.iter().filter_map(|record| match record {
                    Data::Address(address) => Some(with_port(*address)),
                    _ => None,
                });
                Ok(addresses.take(MAX_ADDRESSES).collect())
            })
        };
        Ok(Candidates::asking([ask(RecordType::Aaaa), ask(RecordType::A)]))
    }

    fn session(&self) -> Session {
        match &self.source {
            #[cfg(not(any(target_os = "android", target_os = "ios")))]
            Source::System => Session::new(system::servers(), Hosts::of_system(), self),
            Source::Servers(servers) => self.session_with(servers.clone()),
            Source::Platform => self.session_with(self.shared.dns_servers()),
        }
    }

    fn session_with(&self, servers: Vec<SocketAddr>) -> Session {
        Session::new(servers, Hosts::default(), self)
    }
}

fn no_server() -> ResolveError {
    ResolveError::NoServer { detail: "none is configured".into() }
}

/// RFC 6761 §6.3: `localhost` and names below it are this computer, and DNS is not asked.
fn is_localhost(domain: &Domain) -> bool {
    domain.as_str().rsplit('.').next() == Some("localhost")
}

fn platform_addresses(name: Domain, port: u16) -> BoxFuture<'static, Result<Vec<SocketAddr>, ResolveError>> {
    Box::pin(async move {
        match tokio::net::lookup_host((name.as_str(), port)).await {
            Ok(addresses) => Ok(addresses.take(MAX_ADDRESSES).collect()),
            Err(error) => Err(ResolveError::Platform { name: name.to_string(), detail: error.to_string() }),
        }
    })
}

/// The settings of one moment.
#[derive(Clone)]
struct Session {
    servers: Arc<[SocketAddr]>,
    hosts: Arc<Hosts>,
    shared: Arc<Shared>,
    era: u64,
    also_sip_tls: bool,
}

/// What the SRV question of one service name found.
enum Service {
    Records(Vec<Srv>),
    /// The service is switched off.
    Off,
    /// There are no records.
    None,
    Failed(ResolveError),
}

impl Session {
    fn new(servers: Vec<SocketAddr>, hosts: Hosts, resolver: &Resolver) -> Self {
        let (shared, also_sip_tls) = (resolver.shared.clone(), resolver.also_sip_tls);
        let era = shared.era();
        Session { servers: servers.into(), hosts: Arc::new(hosts), shared, era, also_sip_tls }
    }

    /// The addresses by which the hosts file names `domain`, of IPv6 first: an entry of one family answers for both.
    fn in_hosts_file(&self, domain: &Domain) -> Option<Vec<IpAddr>> {
        let mut addresses = in_order(self.hosts.addresses(domain.as_str()), IpAddr::is_ipv4);
        addresses.truncate(MAX_ADDRESSES);
        (!addresses.is_empty()).then_some(addresses)
    }

    /// NAPTR, SRV, or the domain itself.
    async fn find(
        &self,
        domain: &Domain,
        draw: &mut (dyn FnMut(u32) -> u32 + Send),
    ) -> Result<Resolution, ResolveError> {
        let begun = Instant::now();
        let default_service = format!("_sips._tcp.{domain}");
        let question = |record, name: &str| Question { record, name: name.into() };
        let mut asked =
            vec![question(RecordType::Naptr, domain.as_str()), question(RecordType::Srv, &default_service)];
        // The usual domain has no NAPTR records. Its SRV question runs at the same time: it is needed in most cases,
        // and costs a round trip in none.
        let (services, default) = self.services(domain, &default_service).await;
        let mut default = Some(default);
        let mut off = None;
        for name in services {
            if begun.elapsed() >= SEARCH_LIMIT {
                break;
            }
            let service = if name == default_service { default.take() } else { None };
            let service = match service {
                Some(service) => service,
                None if name == default_service => continue,
                None => {
                    asked.push(question(RecordType::Srv, &name));
                    self.srv(&name).await
                }
            };
            match service {
                Service::Records(records) => {
                    return Ok(Resolution { targets: targets(records, &name, true, draw), asked });
                }
                Service::Off => off = off.or(Some(name)),
                Service::None => {}
                Service::Failed(error) => {
                    tracing::debug!(%error, service = %name, "a NAPTR record leads nowhere")
                }
            }
        }
        if let Some(service) = off {
            return Err(ResolveError::ServiceOff { service });
        }
        let (mut service, mut default) = (default_service, default.unwrap_or(Service::None));
        if self.also_sip_tls && matches!(default, Service::None) {
            service = format!("_sip._tls.{domain}");
            asked.push(question(RecordType::Srv, &service));
            default = self.srv(&service).await;
        }
        match default {
            Service::Records(records) => {
                Ok(Resolution { targets: targets(records, &service, false, draw), asked })
            }
            Service::Off => Err(ResolveError::ServiceOff { service }),
            Service::Failed(error) => Err(error),
            Service::None => {
                Ok(Resolution { targets: vec![Target::of_domain(domain, Origin::Fallback)], asked })
            }
        }
    }

    /// NAPTR and the usual SRV question at once.
    async fn services(&self, domain: &Domain, default_service: &str) -> (Vec<String>, Service) {
        let (naptr, default) = (pin!(self.naptr(domain)), pin!(self.srv(default_service)));
        match select(naptr, default).await {
            Either::Left((services, default)) => (services, default.await),
            Either::Right((default @ Service::Records(_), naptr)) => {
                let services = timeout(NAPTR_GRACE, naptr).await.unwrap_or_else(|_| {
                    tracing::debug!(%domain, "no answer to the question for NAPTR records");
                    self.keep_unanswered(RecordType::Naptr, domain.as_str());
                    Vec::new()
                });
                (services, default)
            }
            Either::Right((default, naptr)) => (naptr.await, default),
        }
    }

    /// The service names to which usable NAPTR records lead, in their order (DNS-02, DNS-03). A question that fails
    /// counts as "no records": there are resolvers that know only the common types, and no answer can make us trust
    /// another server.
    async fn naptr(&self, domain: &Domain) -> Vec<String> {
        let records = match self.ask(RecordType::Naptr, domain.as_str(), NAPTR_LIMIT).await {
            Ok(records) => records,
            Err(error) => {
                tracing::debug!(%error, "no NAPTR record");
                return Vec::new();
            }
        };
        let usable = records
            .iter()
            .filter_map(|record| match record {
                Data::Naptr(naptr) => Some(naptr),
                _ => None,
            })
            .filter(|naptr| {
                naptr.services.eq_ignore_ascii_case(SIPS_OVER_TCP.as_bytes())
                    && naptr.flags.eq_ignore_ascii_case(b"s")
                    && naptr.regexp.is_empty()
                    && !naptr.replacement.is_root()
            });
        let usable = in_order(usable, |naptr| (naptr.order, naptr.preference));
        let names = usable.iter().filter_map(|naptr| relative(&naptr.replacement));
        names.take(MAX_NAPTR).map(|name| name.to_string()).collect()
    }

    async fn srv(&self, service: &str) -> Service {
        let records = match self.ask(RecordType::Srv, service, QUESTION_LIMIT).await {
            Ok(records) => records,
            Err(ResolveError::NoRecords { .. }) => return Service::None,
            Err(error) => return Service::Failed(error),
        };
        let (mut usable, mut off) = (Vec::new(), false);
        for record in records.iter() {
            let Data::Srv { priority, weight, port, target } = record else { continue };
            if target.is_root() {
                off = true;
            } else if let Some(target) = relative(target).filter(|_| *port != 0) {
                usable.push(Srv { priority: *priority, weight: *weight, port: *port, target });
            }
        }
        match (usable.is_empty(), off) {
            (false, _) => Service::Records(usable),
            (true, true) => Service::Off,
            (true, false) => Service::None,
        }
    }

    /// The records of one kind, from what is known or by asking.
    async fn ask(
        &self,
        record: RecordType,
        name: &str,
        limit: Duration,
    ) -> Result<Arc<[Data]>, ResolveError> {
        let question = Question { record, name: name.into() };
        let none = |domain_exists| ResolveError::NoRecords { asked: vec![question.clone()], domain_exists };
        match self.shared.known(record, name) {
            Some(Known::Records(records)) => return Ok(records),
            Some(Known::None { domain_exists }) => return Err(none(domain_exists)),
            Some(Known::Unanswered) => return Err(ResolveError::Timeout { asked: vec![question] }),
            None => {}
        }
        // An absolute name: a search list would make the same domain another one in each network.
        let name = Name::new(name).ok_or_else(|| ResolveError::InvalidName { name: name.into() })?;
        let Ok(answer) = timeout(limit, dns::ask(&self.servers, record, &name)).await else {
            if record == RecordType::Naptr {
                self.keep_unanswered(record, &question.name);
            }
            return Err(ResolveError::Timeout { asked: vec![question] });
        };
        match answer {
            Ok(Found::Records(mut records, ttl)) => {
                records.truncate(MAX_RECORDS);
                let records: Arc<[Data]> = records.into();
                self.keep(question, Known::Records(records.clone()), Duration::from_secs(ttl.into()));
                Ok(records)
            }
            Ok(Found::None { domain_exists, ttl }) => {
                let none = none(domain_exists);
                self.keep(question, Known::None { domain_exists }, Duration::from_secs(ttl.into()));
                Err(none)
            }
            Err(failure) => Err(ResolveError::of(failure, question)),
        }
    }

    fn keep(&self, question: Question, known: Known, ttl: Duration) {
        self.shared.keep(self.era, question, known, ttl);
    }

    /// A router that never answers this type is not waited for at the next connection.
    fn keep_unanswered(&self, record: RecordType, name: &str) {
        self.keep(Question { record, name: name.into() }, Known::Unanswered, Duration::MAX);
    }
}

/// A name from DNS as a host name; `None` for what no host may be called.
fn relative(name: &Name) -> Option<Domain> {
    Domain::new(&name.to_string()).ok()
}

fn targets(
    records: Vec<Srv>,
    service: &str,
    naptr: bool,
    draw: &mut (dyn FnMut(u32) -> u32 + Send),
) -> Vec<Target> {
    let target = |record: Srv| Target {
        host: Host::Name(record.target),
        port: record.port,
        origin: Origin::Srv {
            service: service.into(),
            naptr,
            priority: record.priority,
            weight: record.weight,
        },
    };
    srv::order(records, draw).into_iter().take(MAX_TARGETS).map(target).collect()
}

#[cfg(test)]
mod tests;
