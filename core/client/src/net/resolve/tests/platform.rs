//! A platform that resolves addresses and nothing else: a phone.

use super::*;

/// Its SRV record leads to a name that the platform's own function knows.
fn zone() -> Zone {
    Zone::default().srv(SERVICE, "0 0 5061 localhost")
}

async fn targets(resolver: &Resolver) -> Resolution {
    resolver.targets(&host(DOMAIN), None, &mut |_| 0).await.unwrap()
}

#[tokio::test]
async fn without_dns_servers_the_domain_itself_is_tried_and_the_reason_told_dns_05() {
    let found = targets(&Resolver::platform([])).await;
    assert_eq!(places(&found), ["example.test:5061"]);
    let Origin::Unasked(why) = &found.targets[0].origin else { panic!("{found:?}") };
    assert_eq!(
        why.to_string(),
        "the domain's SRV records were not looked up because the app has not said which DNS servers this network has"
    );
}

#[tokio::test]
async fn srv_is_asked_of_the_networks_servers_and_addresses_of_the_platform_dns_04() {
    let server = DnsServer::start(zone()).await;
    let resolver = Resolver::platform([]);
    resolver.network_changed(vec![server.address]);
    let found = targets(&resolver).await;
    assert_eq!(places(&found), ["localhost:5061"]);
    let addresses = resolver.addresses(&found.targets[0].host).await.unwrap();
    assert!(addresses.iter().all(IpAddr::is_loopback) && !addresses.is_empty(), "{addresses:?}");
    assert_eq!(server.asked(), ["NAPTR example.test", "SRV _sips._tcp.example.test"]);

    resolver.network_changed(Vec::new());
    assert!(matches!(targets(&resolver).await.targets[0].origin, Origin::Unasked(Unasked::NoDnsServers)));
}

/// The network's server may be out of an app's reach (a VPN, DNS over TLS), while the platform resolves all the same.
#[tokio::test(start_paused = true)]
async fn servers_that_do_not_answer_leave_the_domain_itself_with_the_reason() {
    let server = DnsServer::start(zone().odd(SERVICE, rr::RecordType::SRV, Oddity::Silence)).await;
    let found = targets(&Resolver::platform([server.address])).await;
    assert_eq!(places(&found), ["example.test:5061"]);
    let Origin::Unasked(Unasked::Failed(ResolveError::Timeout { asked })) = &found.targets[0].origin else {
        panic!("{found:?}");
    };
    assert_eq!(asked[0].to_string(), "SRV _sips._tcp.example.test");
}

#[tokio::test]
async fn a_service_that_is_switched_off_is_off_on_every_platform_dns_07() {
    let server = DnsServer::start(Zone::default().srv(SERVICE, "0 0 0 .")).await;
    let error =
        Resolver::platform([server.address]).targets(&host(DOMAIN), None, &mut |_| 0).await.unwrap_err();
    assert!(matches!(error, ResolveError::ServiceOff { .. }), "{error:?}");
}
