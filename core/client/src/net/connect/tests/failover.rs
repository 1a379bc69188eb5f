//! Which server is tried when another has failed, or is taken (RFC 3263 §4.3, DNS-08).

use super::*;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// An address that answers no SYN, kept from others while the sockets live: its queue is full.
struct Deaf {
    address: SocketAddr,
    _sockets: Vec<Box<dyn std::any::Any>>,
}

async fn deaf() -> Deaf {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut sockets: Vec<Box<dyn std::any::Any>> = vec![Box::new(listener)];
    // Real time: the kernel drops what comes once the queue is full, and the last of these stays without an answer.
    loop {
        let connect = std::thread::spawn(move || std::net::TcpStream::connect_timeout(&address, 50 * MS));
        match connect.join().unwrap() {
            Ok(stream) => sockets.push(Box::new(stream)),
            Err(_) => return Deaf { address, _sockets: sockets },
        }
    }
}

fn two_places(first: SocketAddr, second: SocketAddr) -> Zone {
    let service = "_sips._tcp.example.test";
    Zone::default()
        .srv(service, &format!("1 0 {} one.test", first.port()))
        .srv(service, &format!("2 0 {} two.test", second.port()))
        .address("one.test", "127.0.0.1")
        .address("two.test", "127.0.0.1")
}

fn discovering(ca: &Ca, dns: &DnsServer) -> ConnectRequest {
    let mut request = request(ca, &[]);
    request.route = Route::Discover { port: None };
    request.resolver = dns.resolver();
    request
}

struct World {
    ca: Ca,
    one: Server,
    two: Server,
    dns: DnsServer,
}

/// Two servers for the domain, the first preferred.
async fn world() -> World {
    let ca = ca();
    let issued = ca.issue(Template::server(DOMAIN)).unwrap();
    let (one, two) = (serve(Setup::default(), &issued).await, serve(Setup::default(), &issued).await);
    let dns = DnsServer::start(two_places(one.address, two.address)).await;
    World { ca, one, two, dns }
}

impl World {
    fn request(&self) -> ConnectRequest {
        discovering(&self.ca, &self.dns)
    }
}

async fn place(request: &ConnectRequest) -> SocketAddr {
    connect(request).await.unwrap().facts.address
}

/// A silent server costs two seconds once, and nothing while it is remembered.
#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn silence_costs_two_seconds_and_is_remembered_for_five_minutes_dns_08() {
    let ca = ca();
    let good = serve(Setup::default(), &ca.issue(Template::server(DOMAIN)).unwrap()).await;
    let deaf = deaf().await;
    let request = request(&ca, &[deaf.address, good.address]);
    let took = async || {
        let begun = Instant::now();
        assert_eq!(place(&request).await, good.address);
        begun.elapsed()
    };
    let about_two_seconds = 2 * SECOND..2 * SECOND + 100 * MS;
    let first = took().await;
    assert!(about_two_seconds.contains(&first), "{first:?}");
    // Its own deadline had not come, but it had let another begin.
    let second = took().await;
    assert!(second < 100 * MS, "{second:?}");
    request.memory.age(299 * SECOND);
    assert!(took().await < 100 * MS);
    request.memory.age(SECOND);
    assert!(took().await >= 2 * SECOND);
    request.network_changed(&NetworkChange::default());
    assert!(took().await >= 2 * SECOND);
}

#[tokio::test]
async fn a_503_sends_the_next_connection_elsewhere_and_asks_dns_again_reg_17() {
    let world = world().await;
    let request = world.request();
    assert_eq!(place(&request).await, world.one.address);
    world.dns.asked_since();
    assert_eq!(place(&request).await, world.one.address);
    assert!(!world.dns.asked_since().iter().any(|asked| asked.contains("SRV")), "SRV is kept");
    request.server_failed(world.one.address, Fault::Unavailable { retry_after: None });
    assert_eq!(place(&request.clone()).await, world.two.address);
    assert!(world.dns.asked_since().iter().any(|asked| asked.contains("SRV")));
    request.memory.age(60 * SECOND);
    assert_eq!(place(&request).await, world.one.address);
}

/// "Tried last" is not "never".
#[tokio::test]
async fn the_only_server_is_tried_however_it_failed_dns_08() {
    let ca = ca();
    let good = serve(Setup::default(), &ca.issue(Template::server(DOMAIN)).unwrap()).await;
    let mut request = request(&ca, &[good.address]);
    request.server_failed(good.address, Fault::Silent);
    request.avoid = vec![good.address];
    let begun = Instant::now();
    assert_eq!(place(&request).await, good.address);
    assert!(begun.elapsed() < SECOND);
}

/// Another host, not another address of the same.
#[tokio::test]
async fn what_is_to_be_avoided_is_the_whole_host() {
    let world = world().await;
    // A second address of the first host, at which nothing listens.
    world.dns.knows(two_places(world.one.address, world.two.address).address("one.test", "127.0.0.2"));
    let mut request = world.request();
    request.memory.connected(&target(&world.one), world.one.address);
    request.avoid = vec![world.one.address];
    assert_eq!(place(&request).await, world.two.address);
    let other = SocketAddr::from(([127, 0, 0, 2], world.one.address.port()));
    assert!(!request.memory.is_address_marked(other), "it was not tried");
}

fn target(server: &Server) -> Target {
    Target::given("one.test".parse().unwrap(), server.address.port())
}

/// Two flows that begin at once.
#[tokio::test]
async fn searches_at_the_same_time_go_to_different_servers() {
    let world = world().await;
    let request = world.request();
    let (first, second) = tokio::join!(connect(&request), connect(&request));
    let mut places = [first.unwrap(), second.unwrap()].map(|connection| connection.facts.address);
    places.sort();
    let mut both = [world.one.address, world.two.address];
    both.sort();
    assert_eq!(places, both);
    // Whoever has ended is in nobody's way.
    assert_eq!(place(&request).await, world.one.address);
}

#[tokio::test]
async fn a_server_that_was_refused_is_tried_last_and_not_reported_each_time() {
    let ca = ca();
    let bad = serve(Setup::default(), &ca.issue(Template::server("other.test")).unwrap()).await;
    let good = serve(Setup::default(), &ca.issue(Template::server(DOMAIN)).unwrap()).await;
    let request = request(&ca, &[bad.address, good.address]);
    assert_eq!(connect(&request).await.unwrap().refused.len(), 1);
    assert_eq!(connect(&request).await.unwrap().refused.len(), 0);
    request.memory.age(300 * SECOND);
    assert_eq!(connect(&request).await.unwrap().refused.len(), 1);
}

#[tokio::test]
async fn a_refused_place_is_marked_for_thirty_seconds_dns_08() {
    let ca = ca();
    let good = serve(Setup::default(), &ca.issue(Template::server(DOMAIN)).unwrap()).await;
    let (_socket, refused) = refusing();
    let request = request(&ca, &[refused, good.address]);
    assert_eq!(place(&request).await, good.address);
    let target = Target::given(Host::Address(refused.ip()), refused.port());
    assert!(request.memory.is_place_marked(&target) && request.memory.is_address_marked(refused));
    request.memory.age(30 * SECOND);
    assert!(!request.memory.is_place_marked(&target) && !request.memory.is_address_marked(refused));
}

/// Where nothing works the network is to blame more often than every server at once.
#[tokio::test]
async fn when_everything_failed_nothing_is_held_against_anybody_and_dns_is_asked_again_reg_17() {
    let ca = ca();
    let ((_a, one), (_b, two)) = (refusing(), refusing());
    let dns = DnsServer::start(two_places(one, two)).await;
    let request = discovering(&ca, &dns);
    let failure = connect(&request).await.unwrap_err();
    let ConnectFailure::Connect(error) = &failure else { panic!("{failure:?}") };
    assert_eq!(error.attempts.iter().map(|attempt| attempt.address).collect::<Vec<_>>(), [one, two]);
    assert!(!request.memory.is_address_marked(one));

    // The registrar has moved meanwhile.
    let issued = ca.issue(Template::server(DOMAIN)).unwrap();
    let moved = serve(Setup::default(), &issued).await;
    dns.knows(two_places(moved.address, two));
    assert_eq!(place(&request).await, moved.address);
}

/// DNS-11: whatever the records say, the first byte that anybody gets is of a TLS handshake, and nobody gets a datagram.
#[tokio::test]
async fn hostile_records_lead_to_nothing_but_tls_dns_11() {
    let mut plain = Server::start(Behaviour::Says(b"SIP/2.0 200 OK\r\n\r\n")).await;
    let port = plain.address.port();
    let udp = tokio::net::UdpSocket::bind(plain.address).await.unwrap();
    let services = ["SIP+D2T", "SIP+D2U", "SIPS+D2T", "SIPS+D2U", "SIP+D2W", "SIPS+D2S"];
    let names = [
        "_sip._tcp.example.test",
        "_sip._udp.example.test",
        "_sips._udp.example.test",
        "_sips._tcp.example.test",
    ];
    let mut zone = Zone::default().address("plain.test", "127.0.0.1").address(DOMAIN, "127.0.0.1");
    for (order, service) in services.iter().enumerate() {
        for name in names {
            zone = zone.naptr(DOMAIN, &format!("{order} 0 s {service} - {name}"));
        }
    }
    for name in names {
        zone = zone.srv(name, &format!("0 0 {port} plain.test"));
    }
    let dns = DnsServer::start(zone).await;
    let failure = connect(&discovering(&ca(), &dns)).await.unwrap_err();
    assert!(matches!(failure, ConnectFailure::Tls { cause: TlsCause::NotTls, .. }), "{failure:?}");
    let hello = plain.outcome().await.hello;
    assert_eq!(hello.first(), Some(&22), "a record of type handshake (RFC 8446 §5.1)");
    assert!(udp.try_recv(&mut [0; 64]).is_err(), "a datagram came");
    assert!(!dns.asked().iter().any(|asked| asked.contains("_udp")), "{:?}", dns.asked());
}
