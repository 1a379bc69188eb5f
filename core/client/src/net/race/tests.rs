//! Races in virtual time, and two real ones.

use std::sync::{Arc, Mutex};

use tokio::time::sleep;

use super::*;

const MS: Duration = Duration::from_millis(1);
const FAR: Duration = Duration::from_secs(30);

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// What the simulated network does with an attempt.
#[derive(Clone, Copy)]
enum Does {
    Connect(Duration),
    Refuse(Duration),
    Nothing,
}

/// Candidates in exactly this order, whatever routes this machine has.
fn in_order(addresses: &[&str]) -> Candidates {
    let list: Vec<_> = addresses.iter().map(|a| at(a)).collect();
    Candidates { waiting: list.clone().into(), seen: list, ..Default::default() }
}

/// Runs a race in virtual time; answers with its result, when each attempt began, and how long all took.
async fn run(
    candidates: &mut Candidates,
    deadline: Duration,
    network: &[(&str, Does)],
) -> (Result<SocketAddr, ConnectError>, Vec<(SocketAddr, u128)>, u128) {
    let began = Instant::now();
    let log = Arc::new(Mutex::new(Vec::new()));
    let network: Vec<_> = network.iter().map(|(address, does)| (at(address), *does)).collect();
    let result = race(candidates, &Pace::default(), began + deadline, |address| {
        log.lock().unwrap().push((address, began.elapsed().as_millis()));
        let does = network.iter().find(|(a, _)| *a == address).unwrap().1;
        async move {
            match does {
                Does::Connect(after) => {
                    sleep(after).await;
                    Ok(())
                }
                Does::Refuse(after) => {
                    sleep(after).await;
                    Err(io::ErrorKind::ConnectionRefused.into())
                }
                Does::Nothing => std::future::pending().await,
            }
        }
    })
    .await;
    let log = log.lock().unwrap().clone();
    (result.map(|(_, address)| address), log, began.elapsed().as_millis())
}

/// DNS-10.
#[tokio::test(start_paused = true)]
async fn the_second_address_joins_after_250_ms_and_may_win() {
    let network = [("[2001:db8::1]:5061", Does::Nothing), ("192.0.2.1:5061", Does::Connect(20 * MS))];
    let mut candidates = in_order(&["[2001:db8::1]:5061", "192.0.2.1:5061"]);
    let (result, log, took) = run(&mut candidates, FAR, &network).await;
    assert_eq!(result, Ok(at("192.0.2.1:5061")));
    assert_eq!(log, [(at("[2001:db8::1]:5061"), 0), (at("192.0.2.1:5061"), 250)]);
    assert_eq!(took, 270);
}

/// DNS-10.
#[tokio::test(start_paused = true)]
async fn a_quick_first_address_is_the_only_one_tried() {
    let network = [("[2001:db8::1]:5061", Does::Connect(249 * MS)), ("192.0.2.1:5061", Does::Connect(MS))];
    let mut candidates = in_order(&["[2001:db8::1]:5061", "192.0.2.1:5061"]);
    let (result, log, _) = run(&mut candidates, FAR, &network).await;
    assert_eq!(result, Ok(at("[2001:db8::1]:5061")));
    assert_eq!(log.len(), 1);
}

/// DNS-10: never under 10 ms after the previous attempt.
#[tokio::test(start_paused = true)]
async fn a_refusal_brings_the_next_address_after_ten_milliseconds_at_least() {
    let network = [
        ("192.0.2.1:5061", Does::Refuse(Duration::ZERO)),
        ("192.0.2.2:5061", Does::Refuse(100 * MS)),
        ("192.0.2.3:5061", Does::Connect(MS)),
    ];
    let mut candidates = in_order(&["192.0.2.1:5061", "192.0.2.2:5061", "192.0.2.3:5061"]);
    let (result, log, _) = run(&mut candidates, FAR, &network).await;
    assert_eq!(result, Ok(at("192.0.2.3:5061")));
    assert_eq!(log.iter().map(|(_, when)| *when).collect::<Vec<_>>(), [0, 10, 110]);
}

#[tokio::test(start_paused = true)]
async fn every_refused_address_is_reported_with_its_reason() {
    let network = [("192.0.2.1:5061", Does::Refuse(MS)), ("192.0.2.2:5061", Does::Refuse(MS))];
    let mut candidates = in_order(&["192.0.2.1:5061", "192.0.2.2:5061"]);
    let (result, _, _) = run(&mut candidates, FAR, &network).await;
    let error = result.unwrap_err();
    assert_eq!(
        error.to_string(),
        "192.0.2.1:5061: refused (nothing listens there); 192.0.2.2:5061: refused (nothing listens there)"
    );
    assert!(candidates.is_exhausted());
}

#[tokio::test(start_paused = true)]
async fn silence_ends_at_the_deadline_and_names_what_was_tried() {
    let network = [("192.0.2.1:5061", Does::Nothing), ("192.0.2.2:5061", Does::Refuse(MS))];
    let mut candidates = in_order(&["192.0.2.1:5061", "192.0.2.2:5061"]);
    let (result, _, took) = run(&mut candidates, Duration::from_secs(5), &network).await;
    let reasons: Vec<_> = result.unwrap_err().attempts.iter().map(|a| a.reason).collect();
    assert_eq!(reasons, [Reason::Refused, Reason::TimedOut]);
    assert_eq!(took, 5000);
}

/// DNS-08: when the winner proves useless above TCP, the race goes on with the others.
#[tokio::test(start_paused = true)]
async fn what_the_winner_interrupted_is_tried_again_first_in_the_next_race() {
    let network = [
        ("192.0.2.1:5061", Does::Connect(400 * MS)),
        ("192.0.2.2:5061", Does::Connect(MS)),
        ("192.0.2.3:5061", Does::Connect(MS)),
    ];
    let mut candidates = in_order(&["192.0.2.1:5061", "192.0.2.2:5061", "192.0.2.3:5061"]);
    let (result, _, _) = run(&mut candidates, FAR, &network).await;
    assert_eq!(result, Ok(at("192.0.2.2:5061")));
    let (_, log, _) = run(&mut candidates, FAR, &network).await;
    assert_eq!(
        log.iter().map(|(address, _)| *address).collect::<Vec<_>>(),
        [at("192.0.2.1:5061"), at("192.0.2.3:5061")]
    );
    assert!(!candidates.waiting.contains(&at("192.0.2.2:5061")));
}

fn answers(after: Duration, answer: Answer) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        sleep(after).await;
        answer
    })
}

const V6: &str = "[::1]:5061";
const V4: &str = "127.0.0.1:5061";
const BOTH: [(&str, Does); 2] = [(V6, Does::Connect(MS)), (V4, Does::Connect(MS))];

fn no_records() -> ResolveError {
    ResolveError::NoRecords { asked: Vec::new(), domain_exists: true }
}

/// DNS-09.
#[tokio::test(start_paused = true)]
async fn ipv4_waits_50_ms_for_the_ipv6_answer_and_no_longer() {
    let mut candidates = Candidates::asking([
        answers(Duration::from_secs(3), Ok(vec![at(V6)])),
        answers(20 * MS, Ok(vec![at(V4)])),
    ]);
    let (result, log, _) = run(&mut candidates, FAR, &BOTH).await;
    assert_eq!(result, Ok(at(V4)));
    assert_eq!(log, [(at(V4), 70)]);
}

/// DNS-09.
#[tokio::test(start_paused = true)]
async fn ipv6_that_answers_within_the_50_ms_goes_first() {
    let mut candidates =
        Candidates::asking([answers(40 * MS, Ok(vec![at(V6)])), answers(20 * MS, Ok(vec![at(V4)]))]);
    let (_, log, _) = run(&mut candidates, FAR, &BOTH).await;
    // On a machine without IPv6 the sort puts the unusable address last (RFC 6724 rule 1); the time is the same.
    assert_eq!(log[0].1, 40);
}

/// DNS-09.
#[tokio::test(start_paused = true)]
async fn ipv6_starts_at_once_without_waiting_for_ipv4() {
    let mut candidates = Candidates::asking([
        answers(20 * MS, Ok(vec![at(V6)])),
        answers(Duration::from_secs(3), Ok(vec![at(V4)])),
    ]);
    let (result, log, _) = run(&mut candidates, FAR, &BOTH).await;
    assert_eq!((result, log), (Ok(at(V6)), vec![(at(V6), 20)]));
}

/// DNS-09: "no AAAA record" ends the wait.
#[tokio::test(start_paused = true)]
async fn a_negative_ipv6_answer_ends_the_wait() {
    let mut candidates =
        Candidates::asking([answers(30 * MS, Err(no_records())), answers(20 * MS, Ok(vec![at(V4)]))]);
    let (_, log, _) = run(&mut candidates, FAR, &BOTH).await;
    assert_eq!(log, [(at(V4), 30)]);
    assert_eq!(candidates.resolve_error(), None);
}

/// DNS-09: the other family's answer joins a race that has begun.
#[tokio::test(start_paused = true)]
async fn a_late_answer_joins_the_race() {
    let network = [(V6, Does::Connect(MS)), (V4, Does::Nothing)];
    let mut candidates =
        Candidates::asking([answers(500 * MS, Ok(vec![at(V6)])), answers(Duration::ZERO, Ok(vec![at(V4)]))]);
    let (result, log, _) = run(&mut candidates, FAR, &network).await;
    assert_eq!(result, Ok(at(V6)));
    assert_eq!(log, [(at(V4), 50), (at(V6), 500)]);
}

#[tokio::test(start_paused = true)]
async fn without_any_address_the_error_is_that_of_dns() {
    let mut candidates = Candidates::asking([answers(MS, Err(no_records())), answers(MS, Err(no_records()))]);
    let (result, log, _) = run(&mut candidates, FAR, &BOTH).await;
    assert!(result.unwrap_err().attempts.is_empty() && log.is_empty());
    assert_eq!(candidates.resolve_error(), Some(&no_records()));
}

#[test]
fn an_address_listed_twice_is_one_candidate() {
    assert_eq!(Candidates::known([at(V4), at(V4)]).waiting.len(), 1);
}

#[tokio::test]
async fn a_real_connection_has_nagles_algorithm_off() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut candidates = Candidates::known([listener.local_addr().unwrap()]);
    let (stream, address) =
        connect_tcp(&mut candidates, &Pace::default(), Instant::now() + FAR).await.unwrap();
    assert!(stream.nodelay().unwrap());
    assert_eq!(address, stream.peer_addr().unwrap());
}

#[tokio::test]
async fn a_refused_port_is_reported_as_refused() {
    // Bound and not listening: nobody else gets the port, and connecting is refused.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let mut candidates = Candidates::known([address]);
    let error = connect_tcp(&mut candidates, &Pace::default(), Instant::now() + FAR).await.unwrap_err();
    assert_eq!(error.attempts, [AttemptError { address, reason: Reason::Refused }]);
}
