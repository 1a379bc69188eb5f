//! Servers that are slow, silent, old, hostile or not there.

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::net::testing::dns_server::{DnsServer, Oddity, Zone};

const NAME: &str = "example.test";

async fn ask_for(servers: &[SocketAddr]) -> Result<Found, Failure> {
    ask(servers, RecordType::A, &Name::new(NAME).unwrap()).await
}

fn one(address: &str) -> Vec<Data> {
    vec![Data::Address(address.parse().unwrap())]
}

fn zone() -> Zone {
    Zone::default().ttl(60).address(NAME, "192.0.2.7")
}

/// A server that sends what `answers` makes of each question, after so many of them.
async fn server(
    answers: impl Fn(&Message, u32) -> Vec<Vec<u8>> + Send + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut buffer = [0; 1500];
        let mut count = 0;
        while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
            let query = Message::from_vec(&buffer[..length]).unwrap();
            for answer in answers(&query, count) {
                socket.send_to(&answer, peer).await.unwrap();
            }
            count += 1;
        }
    });
    (address, task)
}

fn reply(query: &Message, address: &str) -> Message {
    let mut reply = Message::response(query.metadata.id, OpCode::Query);
    reply.add_query(query.queries[0].clone());
    let data = rr::RData::from(address.parse::<std::net::IpAddr>().unwrap());
    reply.add_answer(rr::Record::from_rdata(query.queries[0].name().clone(), 60, data));
    reply
}

#[tokio::test(start_paused = true)]
async fn the_next_server_is_asked_while_the_first_is_silent() {
    let silent = DnsServer::start(zone().odd(NAME, rr::RecordType::A, Oddity::Silence)).await;
    let good = DnsServer::start(zone()).await;
    let begun = Instant::now();
    assert_eq!(ask_for(&[silent.address, good.address]).await, Ok(Found::Records(one("192.0.2.7"), 60)));
    assert!(begun.elapsed() < 2 * ASK_NEXT_AFTER, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_server_that_fails_gives_way_to_the_next_at_once_and_is_not_asked_again() {
    let failing =
        DnsServer::start(zone().odd(NAME, rr::RecordType::A, Oddity::Code(ResponseCode::ServFail))).await;
    let good = DnsServer::start(zone()).await;
    assert_eq!(ask_for(&[failing.address, good.address]).await, Ok(Found::Records(one("192.0.2.7"), 60)));
    assert_eq!(ask_for(&[failing.address]).await, Err(Failure::Code(2)));
    assert_eq!(failing.asked_since().len(), 1);
}

/// The answer to the first question comes after the second was sent.
#[tokio::test(start_paused = true)]
async fn a_late_answer_still_counts() {
    let slow = Oddity::Slow(ASK_NEXT_AFTER + ASK_NEXT_AFTER / 2);
    let server = DnsServer::start(zone().odd(NAME, rr::RecordType::A, slow)).await;
    let begun = Instant::now();
    ask_for(&[server.address]).await.unwrap();
    assert!(begun.elapsed() < 2 * ASK_NEXT_AFTER, "{:?}", begun.elapsed());
}

/// Whoever guesses must guess the id; who is not the server is not even heard.
#[tokio::test]
async fn forged_answers_are_passed_over() {
    let (address, task) = server(|query, _| {
        let mut other_id = reply(query, "192.0.2.66");
        other_id.metadata.id ^= 1;
        let mut other_question = Message::response(query.metadata.id, OpCode::Query);
        let mut asked = query.queries[0].clone();
        asked.set_name(rr::Name::from_ascii("other.test.").unwrap());
        other_question.add_query(asked);
        [other_id, other_question, reply(query, "192.0.2.7")].map(|m| m.to_vec().unwrap()).to_vec()
    })
    .await;
    assert_eq!(ask_for(&[address]).await, Ok(Found::Records(one("192.0.2.7"), 60)));
    task.abort();
}

#[tokio::test]
async fn a_flood_of_forged_answers_ends() {
    let (address, task) = server(|query, _| {
        let mut other = reply(query, "192.0.2.66");
        other.metadata.id ^= 1;
        vec![other.to_vec().unwrap(); MAX_STRANGE]
    })
    .await;
    assert!(matches!(ask_for(&[address]).await, Err(Failure::BadAnswer(_))));
    task.abort();
}

/// RFC 6891 §7: who does not know the extension is asked without it.
#[tokio::test]
async fn an_old_server_is_asked_in_its_own_way() {
    let (address, task) = server(|query, _| {
        if query.edns.is_none() {
            return vec![reply(query, "192.0.2.7").to_vec().unwrap()];
        }
        let mut error = Message::response(query.metadata.id, OpCode::Query);
        error.metadata.response_code = ResponseCode::FormErr;
        vec![error.to_vec().unwrap()]
    })
    .await;
    assert_eq!(ask_for(&[address]).await, Ok(Found::Records(one("192.0.2.7"), 60)));
    task.abort();
}

/// A server that is not recursive to the end leaves us an alias.
#[tokio::test]
async fn an_alias_without_its_end_is_asked_for() {
    let (address, task) = server(|query, count| {
        let mut answer = reply(query, "192.0.2.7");
        if count == 0 {
            let alias = rr::rdata::CNAME(rr::Name::from_ascii("end.test.").unwrap());
            let record = rr::Record::from_rdata(query.queries[0].name().clone(), 5, rr::RData::CNAME(alias));
            answer.answers = vec![record];
        }
        vec![answer.to_vec().unwrap()]
    })
    .await;
    assert_eq!(ask_for(&[address]).await, Ok(Found::Records(one("192.0.2.7"), 5)));
    task.abort();
}

/// Records of another name than the one that was asked for say nothing of it.
#[tokio::test]
async fn records_that_were_not_asked_for_do_not_count() {
    let (address, task) = server(|query, _| {
        let mut answer = reply(query, "192.0.2.66");
        answer.answers[0].name = rr::Name::from_ascii("other.test.").unwrap();
        vec![answer.to_vec().unwrap()]
    })
    .await;
    assert_eq!(ask_for(&[address]).await, Ok(Found::None { domain_exists: true, ttl: 0 }));
    task.abort();
}

#[tokio::test]
async fn an_answer_that_is_cut_off_over_tcp_too_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let name = Name::new(NAME).unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut query = vec![0; stream.read_u16().await.unwrap().into()];
        stream.read_exact(&mut query).await.unwrap();
        let answer = reply(&Message::from_vec(&query).unwrap(), "192.0.2.7").truncate().to_vec().unwrap();
        stream.write_u16(answer.len().try_into().unwrap()).await.unwrap();
        stream.write_all(&answer).await.unwrap();
    });
    let answer = over_tcp(address, RecordType::A, &name).await;
    assert!(matches!(answer, Err(Failure::BadAnswer(_))), "{answer:?}");
    serving.await.unwrap();
}

#[tokio::test]
async fn questions_come_from_ports_that_differ() {
    let address = SocketAddr::from(([127, 0, 0, 1], 53));
    let mut ports = Vec::new();
    for _ in 0..8 {
        ports.push(socket(address).await.unwrap().local_addr().unwrap().port());
    }
    ports.sort_unstable();
    ports.dedup();
    // Two of eight may meet; all of them never do.
    assert!(ports.len() > 4, "{ports:?}");
}
