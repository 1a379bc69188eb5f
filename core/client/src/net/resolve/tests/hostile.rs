//! Answers that nobody honest gives.

use super::*;

/// Aliases that go round in a circle, within a name and between two.
#[tokio::test(start_paused = true)]
async fn aliases_in_a_circle_end() {
    let zone = Zone::default()
        .cname("a.test", "b.test")
        .cname("b.test", "a.test")
        .cname("self.test", "self.test")
        .cname(SERVICE, SERVICE)
        .cname(DOMAIN, DOMAIN);
    let server = DnsServer::start(zone).await;
    let begun = Instant::now();
    for name in ["a.test", "self.test"] {
        let error = server.resolver().addresses(&host(name)).await.unwrap_err();
        assert!(!error.to_string().is_empty());
    }
    // No record is as good as none: the domain itself is left, and has no address either.
    assert_eq!(places(&find(&server, None).await.unwrap()), ["example.test:5061"]);
    assert!(begun.elapsed() < 2 * QUESTION_LIMIT, "{:?}", begun.elapsed());
}

/// A chain that is longer than anybody needs.
#[tokio::test(start_paused = true)]
async fn a_long_chain_of_aliases_ends() {
    let mut zone = Zone::default().address("n200.test", "127.0.0.9");
    for number in 0..200 {
        zone = zone.cname(&format!("n{number}.test"), &format!("n{}.test", number + 1));
    }
    let server = DnsServer::start(zone).await;
    server.resolver().addresses(&host("n0.test")).await.unwrap_err();
    assert!(server.asked().len() < 40, "{}", server.asked().len());
}

/// NAPTR records that lead to each other, and too many of them.
#[tokio::test]
async fn no_more_naptr_records_are_followed_than_the_limit_dns_02() {
    let mut zone = Zone::default().srv(SERVICE, "0 0 5061 a.test");
    for number in 0..60 {
        zone = zone.naptr(DOMAIN, &format!("{number} 1 s SIPS+D2T - n{number}.test"));
        zone = zone.naptr(&format!("n{number}.test"), "1 1 s SIPS+D2T - example.test");
    }
    let server = DnsServer::start(zone).await;
    assert_eq!(places(&find(&server, None).await.unwrap()), ["a.test:5061"]);
    let asked = server.asked();
    let followed = asked.iter().filter(|question| question.starts_with("SRV n")).count();
    assert_eq!(followed, MAX_NAPTR, "{asked:?}");
    assert!(!asked.iter().any(|question| question.starts_with("NAPTR n")), "{asked:?}");
}

/// Every place that NAPTR names is silent.
#[tokio::test(start_paused = true)]
async fn the_whole_search_has_a_limit() {
    let mut zone = Zone::default().srv(SERVICE, "0 0 5061 a.test");
    for number in 0..4 {
        let name = format!("n{number}.test");
        zone = zone.naptr(DOMAIN, &format!("{number} 1 s SIPS+D2T - {name}"));
        zone = zone.odd(&name, rr::RecordType::SRV, Oddity::Silence);
    }
    let server = DnsServer::start(zone).await;
    let begun = Instant::now();
    assert_eq!(places(&find(&server, None).await.unwrap()), ["a.test:5061"]);
    assert!(begun.elapsed() <= SEARCH_LIMIT + QUESTION_LIMIT, "{:?}", begun.elapsed());
}

/// Whatever the records say, what comes out is a bounded list of hosts with ports.
mod random {
    use super::*;
    use hickory_proto::rr::rdata::{CNAME, NAPTR, SRV};
    use hickory_proto::rr::{Name, RData};
    use proptest::prelude::*;

    fn name() -> impl Strategy<Value = String> {
        let known =
            [DOMAIN, SERVICE, "_sip._tcp.example.test", "_sip._udp.example.test", "a.test", "b.test", "."];
        prop_oneof![
            8 => prop::sample::select(known.map(String::from).to_vec()),
            1 => "[a-z_*-]{1,12}(\\.[a-z0-9-]{1,60}){1,3}",
        ]
    }

    fn record() -> impl Strategy<Value = (String, RData)> {
        let parse = |text: &str| Name::from_ascii(text).unwrap_or_default();
        let bytes = |text: String| text.into_bytes().into_boxed_slice();
        let services = ["SIPS+D2T", "SIP+D2T", "SIP+D2U", "sips+d2t", "SIPS+D2S", "E2U+sip", ""];
        let data = prop_oneof![
            (any::<[u16; 3]>(), name()).prop_map(move |([priority, weight, port], target)| {
                RData::SRV(SRV::new(priority, weight, port, parse(&target)))
            }),
            (
                any::<[u16; 2]>(),
                "[suap]{0,2}",
                prop::sample::select(services.to_vec()),
                "(!.\\*!x!)?",
                name()
            )
                .prop_map(move |([order, preference], flags, service, regexp, target)| {
                    let (flags, service) = (bytes(flags), bytes(service.to_owned()));
                    RData::NAPTR(NAPTR::new(order, preference, flags, service, bytes(regexp), parse(&target)))
                }),
            name().prop_map(move |target| RData::CNAME(CNAME(parse(&target)))),
            any::<[u8; 4]>().prop_map(|octets| RData::from(IpAddr::from(octets))),
        ];
        (name(), data)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn no_answers_lead_beyond_the_limits_dns_11(records in prop::collection::vec(record(), 0..40)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut zone = Zone::default();
                for (owner, data) in records {
                    if Name::from_ascii(&owner).is_ok() {
                        zone = zone.any(&owner, data);
                    }
                }
                let server = DnsServer::start(zone).await;
                let resolver = server.resolver();
                if let Ok(found) = resolver.targets(&host(DOMAIN), None, &mut |sum| sum / 2).await {
                    prop_assert!((1..=MAX_TARGETS).contains(&found.targets.len()));
                    for target in &found.targets {
                        prop_assert!(target.port != 0);
                        let by_record = matches!(target.origin, Origin::Srv { .. } | Origin::Fallback);
                        prop_assert!(by_record && matches!(target.host, Host::Name(_)), "{:?}", target);
                    }
                    if let Ok(addresses) = resolver.addresses(&found.targets[0].host).await {
                        prop_assert!(addresses.len() <= 2 * MAX_ADDRESSES);
                    }
                }
                // Services without TLS are never asked for, unless a record for TLS names them.
                prop_assert!(server.asked().len() <= 2 + MAX_NAPTR + 2 + 2 * 40);
                Ok(())
            })?;
        }
    }
}
