//! A DNS server for the tests, on 127.0.0.1 over UDP and TCP: it knows what its zone says, and ends with its handle.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{CNAME, NAPTR, SOA, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

use crate::net::Resolver;

/// Aliases put into one answer.
const MAX_ALIASES: usize = 12;

/// Records, and names for which the server misbehaves.
#[derive(Clone, Default)]
pub struct Zone {
    records: Vec<Record>,
    oddities: Vec<(Name, RecordType, Oddity)>,
    /// Of the records that follow, in seconds; 60 if nobody said.
    ttl: Option<u32>,
    /// How long "there is none" may be believed, in seconds (RFC 2308 §5).
    negative_ttl: Option<u32>,
}

/// What the server does instead of answering.
#[derive(Clone, Copy)]
pub enum Oddity {
    Silence,
    Code(ResponseCode),
    /// Over UDP an answer without records that says "ask over TCP".
    Truncate,
    /// Bytes that are no DNS message.
    Garbage,
    /// The answer, after this time.
    Slow(Duration),
}

fn name(text: &str) -> Name {
    Name::from_ascii(format!("{text}.").replace("..", ".")).unwrap()
}

impl Zone {
    fn with(mut self, owner: &str, data: RData) -> Self {
        self.records.push(Record::from_rdata(name(owner), self.ttl.unwrap_or(60), data));
        self
    }

    /// The time of the records that follow, in seconds.
    pub fn ttl(self, seconds: u32) -> Self {
        Zone { ttl: Some(seconds), ..self }
    }

    pub fn negative_ttl(self, seconds: u32) -> Self {
        Zone { negative_ttl: Some(seconds), ..self }
    }

    /// Any record, as a hostile server may invent one.
    pub fn any(self, owner: &str, data: RData) -> Self {
        self.with(owner, data)
    }

    pub fn address(self, owner: &str, address: &str) -> Self {
        let address: IpAddr = address.parse().unwrap();
        self.with(owner, RData::from(address))
    }

    pub fn cname(self, owner: &str, target: &str) -> Self {
        self.with(owner, RData::CNAME(CNAME(name(target))))
    }

    /// `record` is "priority weight port target".
    pub fn srv(self, owner: &str, record: &str) -> Self {
        let fields: Vec<&str> = record.split(' ').collect();
        let number = |index: usize| fields[index].parse().unwrap();
        self.with(owner, RData::SRV(SRV::new(number(0), number(1), number(2), name(fields[3]))))
    }

    /// `record` is "order preference flags service regexp replacement", `-` for an empty field.
    pub fn naptr(self, owner: &str, record: &str) -> Self {
        let fields: Vec<&str> =
            record.split(' ').map(|field| if field == "-" { "" } else { field }).collect();
        let bytes = |index: usize| fields[index].as_bytes().to_vec().into_boxed_slice();
        let (order, preference) = (fields[0].parse().unwrap(), fields[1].parse().unwrap());
        let data = NAPTR::new(order, preference, bytes(2), bytes(3), bytes(4), name(fields[5]));
        self.with(owner, RData::NAPTR(data))
    }

    pub fn odd(mut self, owner: &str, kind: RecordType, oddity: Oddity) -> Self {
        self.oddities.push((name(owner), kind, oddity));
        self
    }

    fn oddity(&self, query: &Message) -> Option<Oddity> {
        let query = query.queries.first()?;
        let found = self.oddities.iter().find(|(n, k, _)| n == query.name() && *k == query.query_type())?;
        Some(found.2)
    }

    /// As a recursive server answers: aliases and what they lead to in one message.
    fn answer(&self, query: &Message) -> Message {
        let mut answer = Message::response(query.metadata.id, OpCode::Query);
        answer.metadata.recursion_desired = true;
        answer.metadata.recursion_available = true;
        let question = query.queries[0].clone();
        let mut owner = question.name().clone();
        let kind = question.query_type();
        let mut exists = false;
        // Aliases may go round in a circle; a real server ends too.
        for _ in 0..MAX_ALIASES {
            let here = || self.records.iter().filter(|record| record.name == owner);
            exists |= here().next().is_some();
            answer.add_answers(here().filter(|record| record.record_type() == kind).cloned());
            let alias = here().find_map(|record| match &record.data {
                RData::CNAME(target) => Some((record.clone(), target.0.clone())),
                _ => None,
            });
            let Some((record, target)) = alias else { break };
            answer.add_answer(record);
            owner = target;
        }
        if !exists {
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
        if let Some(minimum) = self.negative_ttl.filter(|_| answer.answers.is_empty()) {
            let soa = SOA::new(name("ns.test"), name("admin.test"), 1, 3600, 600, 86_400, minimum);
            answer.add_authority(Record::from_rdata(name("test"), minimum, RData::SOA(soa)));
        }
        answer.add_query(question);
        answer
    }
}

/// A running server.
pub struct DnsServer {
    pub address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    asked: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl DnsServer {
    pub async fn start(zone: Zone) -> DnsServer {
        let (udp, tcp) = sockets().await;
        let address = udp.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let zone = Arc::new(Mutex::new(zone));
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(udp.into(), zone.clone(), asked.clone()));
        tasks.spawn(serve_tcp(tcp, zone.clone(), asked.clone()));
        DnsServer { address, zone, asked, _tasks: tasks }
    }

    /// From now on it knows this.
    pub fn knows(&self, zone: Zone) {
        *self.zone.lock().unwrap() = zone;
    }

    /// What was asked since the last call, as [`DnsServer::asked`] gives it.
    pub fn asked_since(&self) -> Vec<String> {
        let asked = self.asked();
        self.asked.lock().unwrap().clear();
        asked
    }

    pub fn resolver(&self) -> Resolver {
        Resolver::servers([self.address])
    }

    /// What was asked so far, as "TYPE name", each once, sorted.
    pub fn asked(&self) -> Vec<String> {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.sort();
        asked.dedup();
        asked
    }
}

/// UDP and TCP on one port, which the system gives for one of them and mostly has free for the other.
async fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..20 {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
    panic!("no port is free for both UDP and TCP");
}

fn note(query: &Message, asked: &Mutex<Vec<String>>) {
    let query = &query.queries[0];
    let name = query.name().to_ascii();
    asked.lock().unwrap().push(format!("{} {}", query.query_type(), name.trim_end_matches('.')));
}

async fn serve_udp(socket: Arc<UdpSocket>, zone: Arc<Mutex<Zone>>, asked: Arc<Mutex<Vec<String>>>) {
    let mut buffer = [0; 4096];
    let mut slow = JoinSet::new();
    while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
        let Ok(query) = Message::from_vec(&buffer[..length]) else { continue };
        note(&query, &asked);
        let zone = zone.lock().unwrap().clone();
        let mut answer = zone.answer(&query);
        match zone.oddity(&query) {
            None => {}
            Some(Oddity::Slow(time)) => {
                let (socket, bytes) = (socket.clone(), answer.to_vec().unwrap());
                slow.spawn(async move {
                    tokio::time::sleep(time).await;
                    let _ = socket.send_to(&bytes, peer).await;
                });
                continue;
            }
            Some(Oddity::Silence) => continue,
            Some(Oddity::Code(code)) => {
                answer.answers.clear();
                answer.metadata.response_code = code;
            }
            Some(Oddity::Truncate) => answer = answer.truncate(),
            Some(Oddity::Garbage) => {
                let mut garbage = query.metadata.id.to_be_bytes().to_vec();
                garbage.extend([0xff; 30]);
                socket.send_to(&garbage, peer).await.unwrap();
                continue;
            }
        }
        let mut bytes = answer.to_vec().unwrap();
        if bytes.len() > 1200 {
            bytes = answer.truncate().to_vec().unwrap();
        }
        socket.send_to(&bytes, peer).await.unwrap();
    }
}

async fn serve_tcp(listener: TcpListener, zone: Arc<Mutex<Zone>>, asked: Arc<Mutex<Vec<String>>>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let Ok(length) = stream.read_u16().await else { continue };
        let mut buffer = vec![0; length.into()];
        if stream.read_exact(&mut buffer).await.is_err() {
            continue;
        }
        let query = Message::from_vec(&buffer).unwrap();
        note(&query, &asked);
        let answer = zone.lock().unwrap().answer(&query).to_vec().unwrap();
        stream.write_u16(answer.len().try_into().unwrap()).await.unwrap();
        stream.write_all(&answer).await.unwrap();
    }
}
