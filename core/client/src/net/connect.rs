//! From an identity to a connection that has proven it. No SIP byte is written here.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use aldis_sip::ReferenceIdentity;
use aldis_trust::{Code, Crl, Judged, Policy, RevocationMode, Trusted, Verdict, Verifier};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::clock::wall_now;
use super::failure::{ConnectFailure, Untrusted};
use super::lanes::{Lane, Lanes, Step};
use super::memory::{Fault, Memory};
use super::race::{AttemptError, ConnectError, Pace};
use super::resolve::Resolver;
use super::resolve_error::{Question, RecordType, ResolveError};
use super::revocation::{Case, Revocation};
use super::srv;
use super::target::{Host, Origin, Target};
use super::tls::{
    CertificateRequest, ClientCertificateUse, Offer, PostQuantum, TlsFacts, TlsOptions, TlsVersion,
    client_config,
};
use super::tls_failure::{Alert, TlsCause};

/// What a server says that found nothing in common with us.
const HANDSHAKE_FAILURE: Alert = Alert(40);
/// Handshakes tried for one connection: a farm whose every server is refused does not get better by the hundredth.
const MAX_HANDSHAKES: usize = 6;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct ConnectRequest {
    /// Whom the server must prove to be; also what SNI says, if it is a domain (TLS-02, TLS-08).
    pub identity: ReferenceIdentity,
    /// Where to look for the server.
    pub route: Route,
    /// Who answers questions about names.
    pub resolver: Resolver,
    /// Whom to trust.
    pub policy: Arc<Policy>,
    /// Revocation lists that are known.
    pub crls: Vec<Arc<Crl>>,
    /// What fetches, between the handshake and the first byte, what nothing has proven about revocation; without it only
    /// given lists and stapled answers count. Mode `off` fetches nothing.
    pub revocation: Option<Arc<Revocation>>,
    /// What is asked of TLS.
    pub tls: TlsOptions,
    /// How long each part may take.
    pub deadlines: Deadlines,
    /// The intervals between attempts.
    pub pace: Pace,
    /// Addresses that the caller would rather not have, since another flow of the phone is there: tried after all others,
    /// and another target host before another address of the same.
    pub avoid: Vec<SocketAddr>,
    /// What failed lately. Clones of the request share it.
    pub memory: Arc<Memory>,
}

/// What an app knows of the network that the device is in now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkChange {
    /// The network's DNS servers; empty where the app does not know them. [`Resolver::platform`] asks them for SRV and
    /// NAPTR records, of which the platform's own function knows nothing; other resolvers have servers of their own.
    pub dns_servers: Vec<SocketAddr>,
}

/// Where to look for a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Where DNS says that the identity's own domain is served (RFC 3263), or at its addresses with this port.
    Discover {
        /// The port, if one was given with the domain or proxy.
        port: Option<u16>,
    },
    /// These places, in this order, instead of asking DNS.
    Given(Vec<(Host, u16)>),
}

/// How long the parts of connecting may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// From one target's first packet to an open TCP connection, with the question for its addresses.
    pub connect: Duration,
    /// One TLS handshake; the first with a post-quantum offer gets half of it, if there may be a second.
    pub handshake: Duration,
    /// Everything.
    pub total: Duration,
}

impl Default for Deadlines {
    /// Timer B and F end a transaction after 32 s (RFC 3261 §17.1.1.2): a connection is there before or not at all.
    fn default() -> Self {
        Deadlines {
            connect: Duration::from_secs(10),
            handshake: Duration::from_secs(10),
            total: Duration::from_secs(30),
        }
    }
}

impl ConnectRequest {
    /// A request with the system's resolver and everything else as by default.
    pub fn new(identity: ReferenceIdentity, policy: Arc<Policy>) -> Self {
        ConnectRequest {
            identity,
            route: Route::Discover { port: None },
            resolver: Resolver::system(),
            policy,
            crls: Vec::new(),
            revocation: None,
            tls: TlsOptions::default(),
            deadlines: Deadlines::default(),
            pace: Pace::default(),
            avoid: Vec::new(),
            memory: Arc::default(),
        }
    }

    /// The server at `address` failed above TLS: it answered 503, or nothing at all until Timer F (DNS-08). Its host is
    /// tried last for as long as [`Fault::lasts`] says, and DNS is asked anew (REG-17). For all clones of this request.
    pub fn server_failed(&self, address: SocketAddr, fault: Fault) {
        self.memory.server_failed(address, fault);
        self.resolver.forget();
    }

    /// The device is in another network: what was learnt of DNS and of servers is forgotten, for all clones of this
    /// request.
    pub fn network_changed(&self, change: &NetworkChange) {
        self.memory.clear();
        self.resolver.network_changed(change.dns_servers.clone());
    }
}

impl ConnectRequest {
    fn case(&self, judged: &Judged, target: &Target) -> Case {
        Case {
            chain: judged.chain.clone(),
            staple: judged.staple.clone(),
            identity: self.identity.clone(),
            policy: self.policy.clone(),
            crls: self.crls.clone(),
            connected_to: match &target.host {
                Host::Name(name) => Some(name.as_str().to_owned()),
                Host::Address(_) => None,
            },
            resolver: self.resolver.clone(),
        }
    }

    /// Judges what a server presented for a connection that is up, by today's calendar and with lists renewed where they
    /// end within `renew`: nobody is trusted for longer than its proofs last.
    pub async fn judge_again(&self, judged: &Judged, target: &Target, renew: Duration) -> Verdict {
        let mut case = self.case(judged, target);
        let verdict = self.settle(case.clone(), renew).await;
        if case.staple.is_none() || verdict.code() != Some(Code::StapleExpired) {
            return verdict;
        }
        // A staple belongs to its handshake and cannot be renewed without another: a server whose issuer still publishes
        // a list is not refused because time has passed.
        case.staple = None;
        self.settle(case, renew).await
    }

    async fn settle(&self, case: Case, renew: Duration) -> Verdict {
        match &self.revocation {
            Some(gate) => gate.settle(case, None, renew).await,
            None => case.judge(wall_now(), &[], false),
        }
    }
}

/// TLS over TCP to a server that has proven who it is.
pub type Stream = TlsStream<TcpStream>;

/// A connection to a server that has proven the identity.
#[derive(Debug)]
pub struct Connection {
    /// The stream. Nothing has been written to it or read from it.
    pub stream: Stream,
    /// What the handshake settled.
    pub facts: TlsFacts,
    /// The place.
    pub target: Target,
    /// Why the server is trusted.
    pub trusted: Box<Trusted>,
    /// What was judged, for a second judgement with more evidence about revocation.
    pub judged: Judged,
    /// Servers that were refused before this one: worth a report, since somebody may have put them there.
    pub refused: Vec<Untrusted>,
}

/// Finds the server, connects, and makes sure that it is the one.
///
/// Each target is raced in turn, and each of its addresses until one proves the identity (DNS-08). Dropping the future
/// ends everything that was begun.
///
/// # Errors
/// [`ConnectFailure`] when no address is left or the total deadline has come.
pub async fn connect(request: &ConnectRequest) -> Result<Connection, ConnectFailure> {
    let deadline = Instant::now() + request.deadlines.total;
    let mut search =
        Search { request, deadline, asked: Vec::new(), handshakes: 0, failures: Failures::default() };
    let targets = match search.targets().await {
        Ok(targets) => targets,
        Err(failure) => {
            request.resolver.forget();
            return Err(failure);
        }
    };
    let mut lanes = Lanes::new(request, targets, deadline);
    loop {
        match lanes.step().await {
            Step::Open(lane, stream, address) => match search.prove(lane, stream, address).await {
                Ok(connection) => {
                    lanes.won();
                    return Ok(connection);
                }
                Err(lane) if search.handshakes < MAX_HANDSHAKES => lanes.go_on(lane),
                Err(_) => break,
            },
            Step::Failed { target, error, resolve } => search.no_tcp(&target, error, resolve),
            Step::Over => break,
        }
    }
    request.resolver.forget();
    request.memory.clear();
    Err(search.failures.into_failure(&search.asked))
}

/// The questions for the addresses of `target` are still open.
fn unanswered(target: &Target) -> ResolveError {
    let question = |record| Question { record, name: target.host.to_string() };
    ResolveError::Timeout { asked: [RecordType::Aaaa, RecordType::A].map(question).into() }
}

struct Search<'a> {
    request: &'a ConnectRequest,
    deadline: Instant,
    /// What DNS was asked before addresses.
    asked: Vec<Question>,
    handshakes: usize,
    failures: Failures,
}

#[derive(Default)]
struct Failures {
    untrusted: Vec<Untrusted>,
    /// The first.
    tls: Option<ConnectFailure>,
    attempts: Vec<AttemptError>,
    dns: Option<ResolveError>,
}

impl Failures {
    fn dns(&mut self, error: ResolveError) {
        self.dns = Some(match self.dns.take() {
            Some(before) => before.merge(error),
            None => error,
        });
    }

    fn into_failure(self, asked: &[Question]) -> ConnectFailure {
        if let Some(untrusted) = self.untrusted.into_iter().next() {
            return ConnectFailure::Untrusted(Box::new(untrusted));
        }
        match (self.tls, self.attempts, self.dns) {
            (Some(tls), ..) => tls,
            (None, attempts, Some(error)) if attempts.is_empty() => {
                ConnectFailure::Dns(error.asked_before(asked))
            }
            (None, attempts, _) => ConnectFailure::Connect(ConnectError { attempts }),
        }
    }
}

/// Why one handshake did not end in a trusted connection.
enum Failed {
    Untrusted(Box<Verdict>),
    Tls {
        cause: TlsCause,
        /// Whether the server's certificate had not come yet.
        early: bool,
    },
}

impl Search<'_> {
    async fn targets(&mut self) -> Result<Vec<Target>, ConnectFailure> {
        let port = match &self.request.route {
            Route::Given(places) => {
                return Ok(places.iter().map(|(host, port)| Target::given(host.clone(), *port)).collect());
            }
            Route::Discover { port } => *port,
        };
        let host = Host::from(&self.request.identity);
        let mut draw = srv::system_draw;
        let search = self.request.resolver.targets(&host, port, &mut draw);
        let service = || Question { record: RecordType::Srv, name: format!("_sips._tcp.{host}") };
        let found = timeout_at(self.deadline, search)
            .await
            .unwrap_or_else(|_| Err(ResolveError::Timeout { asked: vec![service()] }));
        let resolution = found.map_err(ConnectFailure::Dns)?;
        self.asked = resolution.asked;
        Ok(resolution.targets)
    }

    /// Makes sure of who is at the other end of a connection.
    async fn prove(
        &mut self,
        mut lane: Box<Lane>,
        stream: TcpStream,
        address: SocketAddr,
    ) -> Result<Connection, Box<Lane>> {
        self.handshakes += 1;
        let (memory, target) = (&self.request.memory, lane.target.clone());
        let proven = match self.handshake(stream, address, &target).await {
            Ok(connection) => self.pass_gate(connection).await,
            Err(failed) => Err(failed),
        };
        let fault = match proven {
            Ok(mut connection) => {
                memory.connected(&target, address);
                connection.refused = std::mem::take(&mut self.failures.untrusted);
                return Ok(connection);
            }
            Err(Failed::Untrusted(verdict)) => {
                tracing::debug!(%target, %address, code = ?verdict.code(), "the server is not trusted");
                self.failures.untrusted.push(Untrusted { verdict, address, target });
                Fault::NotTrusted
            }
            Err(Failed::Tls { cause, .. }) => {
                tracing::debug!(%target, %address, %cause, "no TLS");
                let fault = match cause {
                    TlsCause::Silent => Fault::Silent,
                    TlsCause::Closed | TlsCause::Broken(_) => Fault::Refused,
                    _ => Fault::NotTrusted,
                };
                let target = Box::new(target);
                self.failures.tls.get_or_insert(ConnectFailure::Tls { cause, address, target });
                fault
            }
        };
        memory.address_failed(address, fault);
        lane.failed(fault);
        Err(lane)
    }

    /// No address of a place could be connected to.
    fn no_tcp(&mut self, target: &Target, error: ConnectError, resolve: Option<ResolveError>) {
        tracing::debug!(%target, %error, "no TCP connection");
        if let Some(resolve) = resolve {
            let by_srv = matches!(target.origin, Origin::Srv { .. });
            self.failures.dns(resolve.domain_is_known(by_srv));
        } else if error.attempts.is_empty() {
            self.failures.dns(unanswered(target));
        }
        self.failures.attempts.extend(error.attempts);
    }

    /// A handshake that offers the post-quantum group, and if that fails in a way for which its size may be to blame,
    /// one without it on a new connection (TLS-23).
    async fn handshake(
        &mut self,
        stream: TcpStream,
        address: SocketAddr,
        target: &Target,
    ) -> Result<Connection, Failed> {
        let now = Instant::now();
        let until = self.deadline.min(now + self.request.deadlines.handshake);
        if self.request.tls.require_post_quantum {
            return self.shake(stream, address, target, Offer::PostQuantum, None, (until, until)).await;
        }
        let half = now + (until - now) / 2;
        let first = self.shake(stream, address, target, Offer::PostQuantum, None, (half, until)).await;
        let cause = match first {
            Err(Failed::Tls { cause, early: true }) if cause.large_hello_may_be_to_blame() => cause,
            other => return other,
        };
        tracing::debug!(%address, %cause, "trying again without the post-quantum group");
        let again = timeout_at(until, async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok::<_, std::io::Error>(stream)
        });
        match again.await {
            Ok(Ok(stream)) => {
                self.shake(stream, address, target, Offer::Classical, Some(cause), (until, until)).await
            }
            _ => Err(Failed::Tls { cause, early: true }),
        }
    }

    /// One handshake: the server's certificate has to be there at the first of `limits`, the end at the second.
    async fn shake(
        &mut self,
        stream: TcpStream,
        address: SocketAddr,
        target: &Target,
        offer: Offer,
        given_up: Option<TlsCause>,
        limits: (Instant, Instant),
    ) -> Result<Connection, Failed> {
        let verifier = Arc::new(self.verifier(target));
        let setup = |error: rustls::Error| Failed::Tls {
            cause: TlsCause::Setup { detail: error.to_string() },
            early: true,
        };
        let asked = Arc::new(CertificateRequest::new(&self.request.tls));
        let config =
            client_config(&self.request.tls, offer, verifier.clone(), asked.clone()).map_err(setup)?;
        let name = verifier.server_name().ok_or(rustls::Error::UnsupportedNameType).map_err(setup)?;
        // A key that the platform keeps may wait for a fingerprint while it signs.
        let may_block = self.request.tls.client_certificate.is_some();
        let mut handshake = pin!(shake_hands(TlsConnector::from(config).connect(name, stream), may_block));
        let mut ended = timeout_at(limits.0, &mut handshake).await;
        if ended.is_err() && verifier.judged().is_some() {
            ended = timeout_at(limits.1, handshake).await;
        }
        let judged = verifier.take_judged();
        let early = judged.is_none();
        if let Some(Judged { verdict: verdict @ Verdict::Refused(_), .. }) = judged {
            return Err(Failed::Untrusted(Box::new(verdict)));
        }
        let stream = match ended {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                return Err(Failed::Tls { cause: self.cause(&error, asked.outcome()), early });
            }
            Err(_) => return Err(Failed::Tls { cause: TlsCause::Silent, early }),
        };
        // A handshake that ended without a judgement would be a fault of ours: it is refused like one of the server's.
        let no_judgement = || Failed::Tls {
            cause: TlsCause::Misbehaved { detail: "the handshake ended without a judgement".into() },
            early,
        };
        let judged = judged.ok_or_else(no_judgement)?;
        let Verdict::Trusted(trusted) = judged.verdict.clone() else { return Err(no_judgement()) };
        let facts = TlsFacts::read(stream.get_ref().1, address, given_up, asked.outcome())
            .ok_or_else(no_judgement)?;
        if self.request.tls.require_post_quantum && facts.post_quantum != PostQuantum::Negotiated {
            return Err(Failed::Tls { cause: TlsCause::NoPostQuantum, early });
        }
        Ok(Connection { stream, facts, target: target.clone(), trusted, judged, refused: Vec::new() })
    }

    /// The gate, if there is anything to fetch under this policy.
    fn gate(&self) -> Option<&Arc<Revocation>> {
        let looks = self.request.policy.revocation != RevocationMode::Off;
        self.request.revocation.as_ref().filter(|_| looks)
    }

    /// Judges the chain again with what its issuers say about revocation. Nothing has been written yet.
    async fn pass_gate(&self, mut connection: Connection) -> Result<Connection, Failed> {
        let Some(gate) = self.gate() else { return Ok(connection) };
        let case = self.request.case(&connection.judged, &connection.target);
        match gate.settle(case, Some(self.deadline), Duration::ZERO).await {
            Verdict::Trusted(trusted) => {
                connection.judged.verdict = Verdict::Trusted(trusted.clone());
                connection.trusted = trusted;
                Ok(connection)
            }
            refused => Err(Failed::Untrusted(Box::new(refused))),
        }
    }

    fn verifier(&self, target: &Target) -> Verifier {
        let request = self.request;
        let mut verifier =
            Verifier::new(request.identity.clone(), request.policy.clone()).with_crls(request.crls.clone());
        if let Host::Name(name) = &target.host {
            verifier = verifier.connected_to(name.as_str());
        }
        if self.gate().is_some() {
            verifier = verifier.more_may_follow();
        }
        verifier
    }

    /// Whether a post-quantum group is missing is something that only we can tell: the server sees nothing in common.
    fn cause(&self, error: &std::io::Error, asked: ClientCertificateUse) -> TlsCause {
        let options = &self.request.tls;
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let (Some(rustls::Error::General(detail)), ClientCertificateUse::Shown) = (inner, asked) {
            return TlsCause::OwnCertificate { detail: detail.clone() };
        }
        match TlsCause::of(error) {
            // OpenSSL's way of saying under TLS 1.2 that it misses one (RFC 5246 §7.4.6).
            TlsCause::NothingInCommon if asked == ClientCertificateUse::NotGiven => {
                TlsCause::ClientCertificate { alert: HANDSHAKE_FAILURE }
            }
            TlsCause::NothingInCommon if options.require_post_quantum => TlsCause::NoPostQuantum,
            TlsCause::Version if options.min_version() == TlsVersion::Tls13 => {
                TlsCause::NoTls13 { for_own_certificate: options.min_version == TlsVersion::Tls12 }
            }
            TlsCause::Version if options.require_post_quantum => TlsCause::NoPostQuantum,
            other => other,
        }
    }
}

/// Runs a handshake, on a thread of its own if it may block. Dropping the future ends the handshake; a signature that is
/// under way is waited for by that thread alone.
async fn shake_hands(
    handshake: impl Future<Output = std::io::Result<Stream>> + Send + 'static,
    may_block: bool,
) -> std::io::Result<Stream> {
    if !may_block {
        return handshake.await;
    }
    let runtime = tokio::runtime::Handle::current();
    let (_wanted, given_up) = tokio::sync::oneshot::channel::<()>();
    let aside = tokio::task::spawn_blocking(move || {
        runtime.block_on(async move {
            tokio::select! {
                ended = handshake => ended,
                _ = given_up => Err(std::io::ErrorKind::Interrupted.into()),
            }
        })
    });
    aside.await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

#[cfg(test)]
mod tests;
