//! How long answers are believed, and what makes them worthless.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn zone(target: &str) -> Zone {
    Zone::default().srv(SERVICE, &format!("0 0 5061 {target}")).address(target, "127.0.0.9")
}

async fn ask(resolver: &Resolver) -> (Vec<String>, Vec<IpAddr>) {
    let found = resolver.targets(&host(DOMAIN), None, &mut |_| 0).await.unwrap();
    let addresses = resolver.addresses(&found.targets[0].host).await.unwrap();
    (places(&found), addresses)
}

#[tokio::test]
async fn an_answer_is_kept_until_its_time_is_over() {
    let server = DnsServer::start(zone("old.test").negative_ttl(60)).await;
    let resolver = server.resolver();
    ask(&resolver).await;
    server.asked_since();
    assert_eq!(ask(&resolver.clone()).await.0, ["old.test:5061"]);
    assert!(server.asked_since().is_empty(), "clones share what they know");

    server.knows(zone("new.test"));
    resolver.shared.age(59 * SECOND);
    assert_eq!(ask(&resolver).await.0, ["old.test:5061"]);
    resolver.shared.age(SECOND);
    assert_eq!(ask(&resolver).await.0, ["new.test:5061"]);
}

/// An alias that ends earlier than what it leads to has to be looked up again.
#[tokio::test]
async fn the_shortest_time_of_a_chain_of_aliases_counts() {
    let zone =
        Zone::default().ttl(3600).address("host.test", "127.0.0.9").ttl(5).cname("a.test", "host.test");
    let server = DnsServer::start(zone).await;
    let resolver = server.resolver();
    resolver.addresses(&host("a.test")).await.unwrap();
    resolver.shared.age(5 * SECOND);
    server.asked_since();
    resolver.addresses(&host("a.test")).await.unwrap();
    assert!(server.asked_since().contains(&"A a.test".to_owned()));
}

#[tokio::test]
async fn a_time_of_zero_is_believed_once() {
    let server = DnsServer::start(Zone::default().ttl(0).address("a.test", "127.0.0.9")).await;
    let resolver = server.resolver();
    resolver.addresses(&host("a.test")).await.unwrap();
    server.asked_since();
    resolver.addresses(&host("a.test")).await.unwrap();
    assert!(server.asked_since().contains(&"A a.test".to_owned()));
}

/// RFC 2308 §5: without the zone's SOA record "there is none" is not kept.
#[tokio::test]
async fn that_there_is_none_is_kept_as_the_zone_allows() {
    for (negative, asked_again) in [(None, true), (Some(60), false)] {
        let empty = Zone::default();
        let server = DnsServer::start(match negative {
            Some(seconds) => empty.negative_ttl(seconds),
            None => empty,
        })
        .await;
        let resolver = server.resolver();
        resolver.addresses(&host("a.test")).await.unwrap_err();
        server.asked_since();
        let error = resolver.addresses(&host("a.test")).await.unwrap_err();
        assert!(matches!(error, ResolveError::NoRecords { domain_exists: false, .. }), "{error:?}");
        assert_eq!(!server.asked_since().is_empty(), asked_again);
    }
}

/// A failure is no answer.
#[tokio::test]
async fn a_failing_server_is_asked_again_reg_17() {
    let failing = zone("a.test").odd(SERVICE, rr::RecordType::SRV, Oddity::Code(ResponseCode::ServFail));
    let server = DnsServer::start(failing).await;
    let resolver = server.resolver();
    resolver.targets(&host(DOMAIN), None, &mut |_| 0).await.unwrap_err();
    server.knows(zone("a.test"));
    assert_eq!(ask(&resolver).await.0, ["a.test:5061"]);
}

/// REG-17: after a 503, or when nothing worked; and in another network.
#[tokio::test]
async fn forgetting_and_another_network_ask_anew_reg_17() {
    let server = DnsServer::start(zone("one.test")).await;
    let resolver = server.resolver();
    ask(&resolver).await;
    server.knows(zone("two.test"));
    resolver.forget();
    assert_eq!(ask(&resolver).await.0, ["two.test:5061"]);
    server.knows(zone("three.test"));
    resolver.network_changed(Vec::new());
    assert_eq!(ask(&resolver).await.0, ["three.test:5061"]);
}

/// The weights share the load at each connection, whether DNS is asked for it or not.
#[tokio::test]
async fn kept_records_are_drawn_anew_dns_06() {
    let zone = Zone::default().srv(SERVICE, "1 50 5061 a.test").srv(SERVICE, "1 50 5061 b.test");
    let server = DnsServer::start(zone).await;
    let resolver = server.resolver();
    for (drawn, first) in [(0, "a.test:5061"), (100, "b.test:5061")] {
        let found = resolver.targets(&host(DOMAIN), None, &mut |_| drawn).await.unwrap();
        assert_eq!(places(&found)[0], first);
    }
}

/// Some home routers never answer the question for NAPTR.
#[tokio::test(start_paused = true)]
async fn a_silent_naptr_question_costs_a_quarter_of_a_second_once_dns_02() {
    let server = DnsServer::start(zone("a.test").odd(DOMAIN, rr::RecordType::NAPTR, Oddity::Silence)).await;
    let resolver = server.resolver();
    let begun = Instant::now();
    resolver.targets(&host(DOMAIN), None, &mut |_| 0).await.unwrap();
    let took = begun.elapsed();
    assert!(took >= NAPTR_GRACE && took < NAPTR_GRACE + Duration::from_millis(10), "{took:?}");
    resolver.targets(&host(DOMAIN), None, &mut |_| 0).await.unwrap();
    assert_eq!(begun.elapsed(), took);
}

/// NAPTR decides, also when it is the slower answer.
#[tokio::test(start_paused = true)]
async fn a_naptr_answer_shortly_after_the_srv_answer_counts_dns_02() {
    let zone = zone("a.test")
        .naptr(DOMAIN, "10 10 s SIPS+D2T - _sips._tcp.other.test")
        .srv("_sips._tcp.other.test", "0 0 5099 b.test")
        .odd(DOMAIN, rr::RecordType::NAPTR, Oddity::Slow(Duration::from_millis(200)));
    let server = DnsServer::start(zone).await;
    assert_eq!(places(&find(&server, None).await.unwrap()), ["b.test:5099"]);
}

/// Nothing is waited for that is not needed.
#[tokio::test(start_paused = true)]
async fn answers_that_are_there_cost_no_time() {
    let server = DnsServer::start(zone("a.test")).await;
    let begun = Instant::now();
    ask(&server.resolver()).await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
}
