//! Questions to a DNS server on loopback.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr;

use super::*;
use crate::net::testing::dns_server::{DnsServer, Oddity, Zone};

mod hostile;
mod kept;
mod platform;

const DOMAIN: &str = "example.test";
const SERVICE: &str = "_sips._tcp.example.test";

fn host(text: &str) -> Host {
    text.parse().unwrap()
}

async fn find(server: &DnsServer, port: Option<u16>) -> Result<Resolution, ResolveError> {
    server.resolver().targets(&host(DOMAIN), port, &mut |_| 0).await
}

fn places(resolution: &Resolution) -> Vec<String> {
    resolution.targets.iter().map(Target::to_string).collect()
}

/// DNS-01.
#[tokio::test]
async fn a_numeric_host_needs_no_question() {
    let server = DnsServer::start(Zone::default()).await;
    for (text, port, expected) in [
        ("192.0.2.1", None, "192.0.2.1:5061"),
        ("[2001:db8::1]", None, "[2001:db8::1]:5061"),
        ("192.0.2.1", Some(5071), "192.0.2.1:5071"),
    ] {
        let found = server.resolver().targets(&host(text), port, &mut |_| 0).await.unwrap();
        assert_eq!(places(&found), [expected]);
        assert_eq!(found.targets[0].origin, Origin::Literal);
        assert_eq!(server.resolver().addresses(&host(text)).await.unwrap().len(), 1);
    }
    assert!(server.asked().is_empty());
}

/// DNS-01.
#[tokio::test]
async fn with_a_port_only_addresses_are_asked_for() {
    let zone = Zone::default().srv(SERVICE, "0 0 9 elsewhere.test").address(DOMAIN, "192.0.2.7");
    let server = DnsServer::start(zone).await;
    let found = find(&server, Some(5071)).await.unwrap();
    assert_eq!(places(&found), ["example.test:5071"]);
    let mut candidates = server.resolver().candidates(&found.targets[0]).unwrap();
    assert_eq!(candidates.resolve_all().await.unwrap(), ["192.0.2.7:5071".parse().unwrap()]);
    assert_eq!(server.asked(), ["A example.test", "AAAA example.test"]);
}

/// DNS-02, DNS-03, DNS-11: only TLS over TCP, whatever the zone prefers.
#[tokio::test]
async fn naptr_leads_to_the_service_it_names_and_plain_services_are_ignored() {
    let zone = Zone::default()
        .naptr(DOMAIN, "10 10 s SIP+D2T - _sip._tcp.plain.test")
        .naptr(DOMAIN, "20 10 s SIP+D2U - _sip._udp.plain.test")
        .naptr(DOMAIN, "60 10 s SIPS+D2T - _sips._tcp.second.test")
        .naptr(DOMAIN, "50 20 S sips+d2t - _sips._tcp.first.test")
        .naptr(DOMAIN, "50 10 u SIPS+D2T !^.*$!sips:x@evil.test! .")
        .naptr(DOMAIN, "45 10 s SIPS+D2T !^.*$!sips:x@evil.test! _sips._tcp.second.test")
        .naptr(DOMAIN, "40 10 a SIPS+D2T - host.test")
        .naptr(DOMAIN, "30 10 s SIPS+D2S - _sips._sctp.other.test")
        .srv("_sips._tcp.first.test", "0 0 5081 one.first.test")
        .srv("_sips._tcp.second.test", "0 0 5082 two.second.test")
        .srv("_sip._tcp.plain.test", "0 0 5060 plain.test")
        .srv(SERVICE, "0 0 5083 three.test");
    let server = DnsServer::start(zone).await;
    let found = find(&server, None).await.unwrap();
    assert_eq!(places(&found), ["one.first.test:5081"]);
    assert!(matches!(&found.targets[0].origin, Origin::Srv { naptr: true, .. }));
    assert!(!server.asked().iter().any(|asked| asked.contains("plain") || asked.contains("sctp")));
    assert_eq!(found.asked.last().unwrap().to_string(), "SRV _sips._tcp.first.test");
}

/// DNS-02: a NAPTR record whose service has no SRV records gives way to the next one.
#[tokio::test]
async fn a_naptr_record_that_leads_nowhere_is_skipped() {
    let zone = Zone::default()
        .naptr(DOMAIN, "10 10 s SIPS+D2T - _sips._tcp.gone.test")
        .naptr(DOMAIN, "20 10 s SIPS+D2T - _sips._tcp.example.test")
        .srv(SERVICE, "0 0 5083 three.test");
    let server = DnsServer::start(zone).await;
    assert_eq!(places(&find(&server, None).await.unwrap()), ["three.test:5083"]);
}

/// DNS-04, DNS-06.
#[tokio::test]
async fn without_naptr_the_srv_records_are_used_in_their_order() {
    let zone = Zone::default()
        .naptr(DOMAIN, "10 10 s SIP+D2U - _sip._udp.example.test")
        .srv(SERVICE, "20 0 5062 backup.example.test")
        .srv(SERVICE, "10 5 5061 light.example.test")
        .srv(SERVICE, "10 95 5061 heavy.example.test")
        .srv(SERVICE, "5 0 0 no-port.example.test");
    let server = DnsServer::start(zone).await;
    let found = server.resolver().targets(&host(DOMAIN), None, &mut |sum| sum).await.unwrap();
    assert_eq!(
        places(&found),
        ["heavy.example.test:5061", "light.example.test:5061", "backup.example.test:5062"]
    );
    assert_eq!(
        found.targets[0].origin,
        Origin::Srv { service: SERVICE.into(), naptr: false, priority: 10, weight: 95 }
    );
    assert_eq!(server.asked(), ["NAPTR example.test", "SRV _sips._tcp.example.test"]);
}

/// I-30: Microsoft's name, for accounts that say so, and after the RFC's.
#[tokio::test]
async fn sip_tls_is_asked_for_only_where_the_account_says_so() {
    let zone = Zone::default().srv("_sip._tls.example.test", "0 0 443 sip.example.test");
    let server = DnsServer::start(zone.clone()).await;
    assert_eq!(places(&find(&server, None).await.unwrap()), ["example.test:5061"]);
    assert!(!server.asked().iter().any(|asked| asked.contains("_sip._tls")));
    let also = async |server: &DnsServer| {
        let resolver = server.resolver().also_sip_tls(true);
        places(&resolver.targets(&host(DOMAIN), None, &mut |_| 0).await.unwrap())
    };
    assert_eq!(also(&server).await, ["sip.example.test:443"]);
    server.knows(zone.srv(SERVICE, "0 0 5061 right.example.test"));
    assert_eq!(also(&server).await, ["right.example.test:5061"]);
}

/// DNS-05.
#[tokio::test]
async fn without_srv_the_domain_itself_is_tried_on_5061() {
    let server = DnsServer::start(Zone::default().address(DOMAIN, "192.0.2.7")).await;
    let found = find(&server, None).await.unwrap();
    assert_eq!(places(&found), ["example.test:5061"]);
    assert_eq!(found.targets[0].origin, Origin::Fallback);
    let asked: Vec<String> = found.asked.iter().map(Question::to_string).collect();
    assert_eq!(asked, ["NAPTR example.test", "SRV _sips._tcp.example.test"]);
}

/// DNS-07: no fallback to A records, which exist.
#[tokio::test]
async fn an_srv_target_of_a_dot_ends_the_search() {
    let zone = Zone::default().srv(SERVICE, "0 0 0 .").address(DOMAIN, "192.0.2.7");
    let server = DnsServer::start(zone).await;
    let error = find(&server, None).await.unwrap_err();
    assert_eq!(error, ResolveError::ServiceOff { service: SERVICE.into() });
    assert!(!error.may_pass());
    assert!(!server.asked().iter().any(|asked| asked.starts_with("A")));
}

/// DNS-07, reached through NAPTR.
#[tokio::test]
async fn a_service_switched_off_behind_naptr_ends_the_search_too() {
    let zone = Zone::default()
        .naptr(DOMAIN, "10 10 s SIPS+D2T - _sips._tcp.off.test")
        .srv("_sips._tcp.off.test", "0 0 0 .")
        .srv(SERVICE, "0 0 5061 sip.example.test");
    let server = DnsServer::start(zone).await;
    let error = find(&server, None).await.unwrap_err();
    assert_eq!(error, ResolveError::ServiceOff { service: "_sips._tcp.off.test".into() });
}

#[tokio::test]
async fn addresses_of_both_families_follow_aliases() {
    let zone = Zone::default()
        .cname("sip.example.test", "host.example.test")
        .address("host.example.test", "127.0.0.9")
        .address("host.example.test", "::1");
    let server = DnsServer::start(zone).await;
    let mut found = server.resolver().addresses(&host("sip.example.test")).await.unwrap();
    found.sort();
    assert_eq!(found, ["127.0.0.9".parse::<IpAddr>().unwrap(), "::1".parse().unwrap()]);
}

#[tokio::test]
async fn an_unknown_domain_is_told_from_one_without_addresses() {
    let server = DnsServer::start(Zone::default().srv("other.test", "0 0 1 x.test")).await;
    let error = server.resolver().addresses(&host("nowhere.test")).await.unwrap_err();
    let ResolveError::NoRecords { asked, domain_exists: false } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(asked.len(), 2);
    let error = server.resolver().addresses(&host("other.test")).await.unwrap_err();
    assert!(matches!(error, ResolveError::NoRecords { domain_exists: true, .. }), "{error:?}");
}

/// A family that the server cannot answer for does not spoil the other.
#[tokio::test]
async fn a_failing_aaaa_question_leaves_the_a_records() {
    let zone = Zone::default().address(DOMAIN, "192.0.2.7").odd(
        DOMAIN,
        rr::RecordType::AAAA,
        Oddity::Code(ResponseCode::ServFail),
    );
    let server = DnsServer::start(zone).await;
    assert_eq!(server.resolver().addresses(&host(DOMAIN)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_failing_dns_server_is_named_with_its_code() {
    let zone = Zone::default().address(DOMAIN, "192.0.2.7").odd(
        SERVICE,
        rr::RecordType::SRV,
        Oddity::Code(ResponseCode::ServFail),
    );
    let server = DnsServer::start(zone).await;
    let error = find(&server, None).await.unwrap_err();
    assert_eq!(error.to_string(), "the DNS server answered SERVFAIL to SRV _sips._tcp.example.test");
    assert!(error.may_pass());
}

#[tokio::test]
async fn a_refusing_dns_server_is_named_with_its_code() {
    let refused = Oddity::Code(ResponseCode::Refused);
    let zone = Zone::default().odd(SERVICE, rr::RecordType::SRV, refused);
    let server = DnsServer::start(zone).await;
    let error = find(&server, None).await.unwrap_err();
    assert!(matches!(error, ResolveError::ServerFailure { code, .. } if code.0 == 5), "{error:?}");
}

/// There are resolvers that know the common types only.
#[tokio::test]
async fn a_refused_naptr_question_counts_as_no_records() {
    let zone = Zone::default().srv(SERVICE, "0 0 5062 sip.example.test").odd(
        DOMAIN,
        rr::RecordType::NAPTR,
        Oddity::Code(ResponseCode::NotImp),
    );
    let server = DnsServer::start(zone).await;
    assert_eq!(places(&find(&server, None).await.unwrap()), ["sip.example.test:5062"]);
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_again_over_tcp() {
    let mut zone = Zone::default().odd(SERVICE, rr::RecordType::SRV, Oddity::Truncate);
    for number in 0..40 {
        zone = zone.srv(SERVICE, &format!("{number} 0 5061 host-{number}.example.test"));
    }
    let server = DnsServer::start(zone).await;
    let found = find(&server, None).await.unwrap();
    assert_eq!(found.targets.len(), MAX_TARGETS);
    assert_eq!(places(&found)[0], "host-0.example.test:5061");
}

#[tokio::test]
async fn no_more_addresses_are_taken_than_the_limit() {
    let mut zone = Zone::default();
    for number in 1..=100 {
        zone = zone.address(DOMAIN, &format!("192.0.2.{number}"));
    }
    let server = DnsServer::start(zone).await;
    assert_eq!(server.resolver().addresses(&host(DOMAIN)).await.unwrap().len(), MAX_ADDRESSES);
}

/// "No IPv6 address" does not say that there is no IPv4 address.
#[tokio::test(start_paused = true)]
async fn one_family_unknown_and_the_other_empty_is_a_timeout() {
    for silent in [rr::RecordType::A, rr::RecordType::AAAA] {
        let zone = Zone::default().srv(DOMAIN, "0 0 1 exists.test").odd(DOMAIN, silent, Oddity::Silence);
        let server = DnsServer::start(zone).await;
        let error = server.resolver().addresses(&host(DOMAIN)).await.unwrap_err();
        let ResolveError::Timeout { asked } = error else { panic!("{error:?}") };
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].record.to_string(), silent.to_string());
    }
}

/// The clock is virtual: it leaps to the limit because nothing else can happen.
#[tokio::test(start_paused = true)]
async fn a_silent_dns_server_is_a_timeout_with_the_question() {
    let zone = Zone::default().odd(DOMAIN, rr::RecordType::NAPTR, Oddity::Silence).odd(
        SERVICE,
        rr::RecordType::SRV,
        Oddity::Silence,
    );
    let server = DnsServer::start(zone).await;
    let began = Instant::now();
    let error = find(&server, None).await.unwrap_err();
    let asked = vec![Question { record: RecordType::Srv, name: SERVICE.into() }];
    assert_eq!(error, ResolveError::Timeout { asked });
    assert!(began.elapsed() <= QUESTION_LIMIT + Duration::from_millis(2), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_garbage_are_an_error_and_no_panic() {
    let zone = Zone::default().odd(SERVICE, rr::RecordType::SRV, Oddity::Garbage);
    let server = DnsServer::start(zone).await;
    let error = find(&server, None).await.unwrap_err();
    assert!(error.may_pass(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dns_server_that_is_not_there_is_an_error() {
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = Resolver::servers([free]).targets(&host(DOMAIN), None, &mut |_| 0).await.unwrap_err();
    assert!(matches!(error, ResolveError::NoServer { .. } | ResolveError::Timeout { .. }), "{error:?}");
    let none = Resolver::servers([]).addresses(&host(DOMAIN)).await.unwrap_err();
    assert!(matches!(none, ResolveError::NoServer { .. }), "{none:?}");
}

#[tokio::test]
async fn localhost_is_this_computer_and_dns_is_not_asked() {
    let server = DnsServer::start(Zone::default().address("localhost", "192.0.2.66")).await;
    for resolver in [server.resolver(), Resolver::system(), Resolver::platform([])] {
        let found = resolver.targets(&host("localhost"), None, &mut |_| 0).await.unwrap();
        assert_eq!(places(&found), ["localhost:5061"]);
        assert!(matches!(found.targets[0].origin, Origin::HostsFile | Origin::Fallback));
        assert!(found.asked.is_empty());
        let addresses = resolver.addresses(&host("localhost")).await.unwrap();
        assert!(!addresses.is_empty() && addresses.iter().all(IpAddr::is_loopback), "{addresses:?}");
    }
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn a_name_in_the_hosts_file_is_not_asked_for() {
    let hosts = Hosts::of("192.0.2.5 Example.test\n::1 example.test # comment\n");
    let session = Session::new(Vec::new(), hosts, &Resolver::servers([]));
    let addresses = session.in_hosts_file(&Domain::new(DOMAIN).unwrap()).unwrap();
    assert_eq!(addresses, ["::1".parse::<IpAddr>().unwrap(), "192.0.2.5".parse().unwrap()]);
    assert_eq!(session.in_hosts_file(&Domain::new("sub.example.test").unwrap()), None);
}

/// Whoever stops waiting leaves no task and no socket behind.
#[tokio::test]
async fn dropping_a_question_ends_its_tasks() {
    let zone = Zone::default().odd(SERVICE, rr::RecordType::SRV, Oddity::Silence);
    let server = DnsServer::start(zone).await;
    let metrics = tokio::runtime::Handle::current().metrics();
    let before = metrics.num_alive_tasks();
    let resolver = server.resolver();
    let target = host(DOMAIN);
    let mut draw = |_| 0;
    let mut question = Box::pin(resolver.targets(&target, None, &mut draw));
    while !server.asked().iter().any(|asked| asked.starts_with("SRV")) {
        tokio::select! {
            _ = &mut question => panic!("there is no answer"),
            () = tokio::task::yield_now() => {}
        }
    }
    drop(question);
    while metrics.num_alive_tasks() > before {
        tokio::task::yield_now().await;
    }
}
