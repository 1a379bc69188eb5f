//! Questions to DNS servers, over UDP and, where an answer does not fit, over TCP (RFC 1035 §4.2, RFC 7766 §5).
//!
//! What comes back is what a resolver of the network says: where a server may be, never whom to trust. A forged answer leads to
//! a server that cannot prove its identity.
//!
//! Three kinds of question need no library: hickory-resolver was a tenth of what apps carry (0.7 MB). In the tests hickory-proto
//! is the server, and the other implementation of the format.

mod message;
pub(super) mod system;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::resolve_error::RecordType;
use message::{Answer, FORMERR, NXDOMAIN, Unusable};
pub(super) use message::{Data, Name};

/// How long one server is waited for before the next is asked too, or the same again. What comes late still counts.
const ASK_NEXT_AFTER: Duration = Duration::from_secs(1);
/// How often each server is asked that does not answer.
const ATTEMPTS: usize = 3;
/// Servers asked. A network rarely names more than three.
const MAX_SERVERS: usize = 8;
/// Aliases followed within one answer.
const MAX_ALIASES: usize = 16;
/// Questions for one name: one, and more where an answer ends with an alias.
const MAX_QUESTIONS: usize = 4;
/// Datagrams read on one socket that answer nothing of ours.
const MAX_STRANGE: usize = 64;
/// Larger than what we ask for: some servers do not look.
const LARGEST_DATAGRAM: usize = 4096;
/// Ports tried at random before the system chooses one.
const MAX_PORTS: usize = 4;

/// What DNS says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The records of the kind that was asked for, and for how many seconds they may be believed.
    Records(Vec<Data>, u32),
    /// There are none; whether the name exists at all; and for how many seconds that may be believed.
    None { domain_exists: bool, ttl: u32 },
}

/// Why it says nothing. That no server answers is for who asks to notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No server can be reached.
    NoServer(String),
    /// A server answered what is no answer.
    BadAnswer(String),
    /// A server answered that it failed or refuses.
    Code(u16),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::NoServer(error.to_string())
    }
}

/// Asks these servers for the records of one kind, and follows aliases. It waits until one of them answers or all have
/// failed: for at most `ATTEMPTS` rounds of `ASK_NEXT_AFTER`, and then without a limit.
pub(super) async fn ask(servers: &[SocketAddr], record: RecordType, name: &Name) -> Result<Found, Failure> {
    let (mut owner, mut ttl) = (name.clone(), u32::MAX);
    for _ in 0..MAX_QUESTIONS {
        let answer = ask_servers(servers, record, &owner).await?;
        let none = |domain_exists, ttl: u32| {
            Ok(Found::None { domain_exists, ttl: answer.negative_ttl.unwrap_or(0).min(ttl) })
        };
        let mut aliases = 0;
        loop {
            let here = || answer.records.iter().filter(|record| record.owner.is(&owner));
            let wanted = || here().filter(|found| found.data.is(record));
            if wanted().next().is_some() {
                let ttl = wanted().map(|record| record.ttl).fold(ttl, u32::min);
                return Ok(Found::Records(wanted().map(|record| record.data.clone()).collect(), ttl));
            }
            let alias = here().find_map(|record| match &record.data {
                Data::Alias(target) => Some((target.clone(), record.ttl)),
                _ => None,
            });
            match alias {
                None => break,
                Some(_) if aliases == MAX_ALIASES => return none(true, 0),
                Some((target, alias_ttl)) => {
                    aliases += 1;
                    (owner, ttl) = (target, ttl.min(alias_ttl));
                }
            }
        }
        if answer.code == NXDOMAIN {
            return none(false, ttl);
        }
        // A server that knows where the alias leads, and that there is nothing, gives the SOA record too.
        if aliases == 0 || answer.negative_ttl.is_some() {
            return none(true, ttl);
        }
    }
    Ok(Found::None { domain_exists: true, ttl: 0 })
}

/// One question, to one server after the other until one answers; who is slow may still be first.
async fn ask_servers(servers: &[SocketAddr], record: RecordType, name: &Name) -> Result<Answer, Failure> {
    let servers = servers.get(..MAX_SERVERS).unwrap_or(servers);
    let mut failed = vec![false; servers.len()];
    let mut running = FuturesUnordered::new();
    let mut worst = Failure::NoServer("none is configured".into());
    for (place, server) in servers.iter().enumerate().cycle().take(servers.len() * ATTEMPTS) {
        if failed.get(place).copied().unwrap_or(true) {
            continue;
        }
        running.push(async move { (place, exchange(*server, record, name).await) });
        // Once more if one fails: the next is asked at once.
        if let Ok(Some((place, outcome))) = timeout(ASK_NEXT_AFTER, running.next()).await {
            match outcome {
                Ok(answer) => return Ok(answer),
                Err(failure) => {
                    worst = failure;
                    if let Some(failed) = failed.get_mut(place) {
                        *failed = true;
                    }
                }
            }
        }
    }
    while let Some((_, outcome)) = running.next().await {
        match outcome {
            Ok(answer) => return Ok(answer),
            Err(failure) => worst = failure,
        }
    }
    Err(worst)
}

/// One question to one server.
async fn exchange(server: SocketAddr, record: RecordType, name: &Name) -> Result<Answer, Failure> {
    let mut answer = over_udp(server, record, name, true).await?;
    if answer.code == FORMERR {
        answer = over_udp(server, record, name, false).await?;
    }
    if answer.truncated {
        answer = over_tcp(server, record, name).await?;
    }
    match answer.code {
        0 | NXDOMAIN => Ok(answer),
        code => Err(Failure::Code(code)),
    }
}

async fn over_udp(
    server: SocketAddr,
    record: RecordType,
    name: &Name,
    extended: bool,
) -> Result<Answer, Failure> {
    let socket = socket(server).await?;
    // The kernel passes on what comes from there alone.
    socket.connect(server).await?;
    let id = random()?;
    socket.send(&message::query(id, name, record, extended)).await?;
    let mut buffer = vec![0; LARGEST_DATAGRAM];
    for _ in 0..MAX_STRANGE {
        let length = socket.recv(&mut buffer).await?;
        match message::read(buffer.get(..length).unwrap_or_default(), id, name, record) {
            Ok(answer) => return Ok(answer),
            Err(Unusable::NotOurs) => tracing::debug!(%server, "an answer to another question"),
            Err(Unusable::Malformed) => return Err(malformed(server)),
        }
    }
    Err(Failure::BadAnswer(format!("{server} answers what was not asked")))
}

async fn over_tcp(server: SocketAddr, record: RecordType, name: &Name) -> Result<Answer, Failure> {
    let mut stream = TcpStream::connect(server).await?;
    let id = random()?;
    let query = message::query(id, name, record, true);
    // In one piece (RFC 7766 §8).
    let length = u16::try_from(query.len()).unwrap_or(u16::MAX).to_be_bytes();
    stream.write_all(&[&length, query.as_slice()].concat()).await?;
    let mut bytes = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut bytes).await?;
    match message::read(&bytes, id, name, record) {
        Ok(answer) if answer.truncated => {
            Err(Failure::BadAnswer(format!("the answer of {server} is cut off over TCP too")))
        }
        Ok(answer) => Ok(answer),
        Err(Unusable::NotOurs | Unusable::Malformed) => Err(malformed(server)),
    }
}

fn malformed(server: SocketAddr) -> Failure {
    Failure::BadAnswer(format!("the answer of {server} is no DNS message"))
}

/// A socket on a port that cannot be guessed, as the id cannot: who forges an answer has to meet both (RFC 5452 §9.2).
async fn socket(server: SocketAddr) -> io::Result<UdpSocket> {
    let here = |port| match server {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
    };
    for _ in 0..MAX_PORTS {
        // Above those that services have.
        if let Ok(socket) = UdpSocket::bind(here(random()? | 0x8000)).await {
            return Ok(socket);
        }
    }
    UdpSocket::bind(here(0)).await
}

fn random() -> io::Result<u16> {
    let mut bytes = [0; 2];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(u16::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests;
