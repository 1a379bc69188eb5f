//! The state machine alone, in time that is turned by hand: what goes beyond RFC 3261.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what is missing fails the test"
)]

use aldis_registrar::{
    Close, ConnectionId, Edge, Ending, Grant, Machine, MessageChallenge, Now, Options, Output, Package, What,
};
use aldis_sip::{Header, Message};
use std::net::SocketAddr;
use std::time::Duration;

const EDGES: [&str; 2] = ["192.0.2.1:5061", "192.0.2.2:5061"];

struct Scene {
    machine: Machine,
    now: Now,
    cseq: u32,
    sent: Vec<(ConnectionId, Message)>,
    pushed: Vec<(String, String)>,
}

fn options() -> Options {
    ["alice", "bob"]
        .iter()
        .fold(Options::new("example.test"), |options, user| options.user(*user, "builder"))
        .register_challenge(false)
        .message_challenge(MessageChallenge::None)
}

fn scene(options: Options) -> Scene {
    let edges = EDGES.iter().map(|edge| edge.parse().unwrap()).collect();
    let machine = Machine::new(options, [7; 32], edges);
    Scene { machine, now: Now::default(), cseq: 0, sent: Vec::new(), pushed: Vec::new() }
}

impl Scene {
    fn open(&mut self, edge: usize) -> ConnectionId {
        let peer: SocketAddr = "198.51.100.1:40000".parse().unwrap();
        self.machine.opened(self.now, edge, peer)
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Send(id, bytes) => self.sent.push((id, Message::parse(bytes).unwrap().0)),
                Output::Push { provider, prid } => self.pushed.push((provider, prid)),
                _ => {}
            }
        }
    }

    fn pass(&mut self, seconds: u64) {
        self.now.mono += Duration::from_secs(seconds);
        self.machine.handle_timeout(self.now);
        self.drain();
    }

    fn send(&mut self, over: ConnectionId, method: &str, uri: &str, of: &str, to: &str, extra: &str) {
        self.cseq += 1;
        let cseq = self.cseq;
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/TLS c.invalid;branch=z9hG4bK{cseq};keep\r\nMax-Forwards: 70\r\n\
             From: <sip:{of}@example.test>;tag=f\r\nTo: {to}\r\nCall-ID: call-{}\r\nCSeq: {cseq} {method}\r\n\
             {extra}Content-Length: 0\r\n\r\n",
            over.number()
        );
        self.machine.receive(self.now, over, text.as_bytes());
        self.drain();
    }

    /// The one message that was written since.
    fn only(&mut self) -> (ConnectionId, Message) {
        assert_eq!(self.sent.len(), 1, "{:?}", self.sent);
        self.sent.remove(0)
    }

    fn register(&mut self, over: ConnectionId, of: &str, contact: &str) -> Message {
        let extra = format!("Contact: {contact}\r\nSupported: outbound, path, gruu\r\n");
        self.send(over, "REGISTER", "sip:example.test", of, &format!("<sip:{of}@example.test>"), &extra);
        self.only().1
    }

    fn text(&mut self, over: ConnectionId, of: &str, uri: &str) {
        self.send(over, "MESSAGE", uri, of, &format!("<{uri}>"), "Content-Type: text/plain\r\n");
    }

    fn answer(&mut self, over: ConnectionId, request: &Message, status: &str) {
        let lines: String = request
            .fields()
            .filter(|field| {
                [Header::Via, Header::From, Header::To, Header::CallId, Header::CSeq].contains(&field.header)
            })
            .map(|field| format!("{}: {}\r\n", field.name, String::from_utf8_lossy(field.value)))
            .collect();
        let text = format!("SIP/2.0 {status}\r\n{lines}Content-Length: 0\r\n\r\n");
        self.machine.receive(self.now, over, text.as_bytes());
        self.drain();
    }
}

fn code(message: &Message) -> u16 {
    message.status().map_or(0, |status| status.code())
}

fn contact(instance: u32, reg_id: u32) -> String {
    format!("<sip:a{instance}@c.invalid>;+sip.instance=\"<urn:uuid:{instance}>\";reg-id={reg_id}")
}

#[test]
fn flows_to_two_edges_are_one_device_and_the_other_takes_over_out_04() {
    let mut scene = scene(options());
    let (one, two, bob) = (scene.open(0), scene.open(1), scene.open(0));
    for (over, reg_id) in [(one, 1), (two, 2)] {
        let done = scene.register(over, "alice", &contact(1, reg_id));
        assert_eq!((code(&done), done.value(Header::Require)), (200, Some("outbound")));
    }
    scene.text(bob, "bob", "sip:alice@example.test");
    let (over, request) = scene.only();
    assert_eq!(over, two, "the newest flow alone");
    assert!(request.via().unwrap().to_string().contains("192.0.2.2:5061"), "sent from the edge of its flow");
    scene.machine.closed(scene.now, two);
    scene.drain();
    let (over, request) = scene.only();
    assert_eq!(over, one);
    scene.answer(one, &request, "200 OK");
    assert_eq!(scene.only().0, bob);
}

#[test]
fn an_edge_without_outbound_gets_439_and_one_with_it_shows_in_the_path_out_06() {
    let mut plain = scene(options().edge(Edge::Plain));
    let one = plain.open(0);
    assert_eq!(code(&plain.register(one, "alice", &contact(1, 1))), 439);
    let done = plain.register(one, "alice", "<sip:a@c.invalid>");
    assert_eq!(
        (code(&done), done.value(Header::Path)),
        (200, Some("<sip:edge@192.0.2.1:5061;transport=tls;lr>"))
    );
    let mut outbound = scene(options().edge(Edge::Outbound).flow_timer(40));
    let one = outbound.open(1);
    let done = outbound.register(one, "alice", &contact(1, 1));
    assert_eq!(done.value(Header::Path), Some("<sip:edge@192.0.2.2:5061;transport=tls;lr;ob>"));
    assert_eq!((done.value(Header::Require), done.value(Header::FlowTimer)), (Some("outbound"), Some("40")));
}

#[test]
fn keep_gets_its_value_in_the_via_out_21() {
    let mut scene = scene(options().keep(30));
    let one = scene.open(0);
    let done = scene.register(one, "alice", "<sip:a@c.invalid>");
    assert_eq!(done.via().unwrap().params.value("keep").as_deref(), Some("30"));
}

#[test]
fn the_granted_time_is_what_the_registrar_likes_reg_10() {
    let mut longer = scene(options().grant(Grant::Exactly(7200)));
    let one = longer.open(0);
    let done = longer.register(one, "alice", "<sip:a@c.invalid>;expires=600");
    assert!(done.value(Header::Contact).unwrap().ends_with("expires=7200"));
    assert!(!longer.register(one, "alice", "<sip:a@c.invalid>;expires=0").has(Header::Contact));
    let mut random = scene(options().grant(Grant::Between(100, 200)));
    let one = random.open(0);
    let done = random.register(one, "alice", "<sip:a@c.invalid>;expires=600");
    let expires: u32 = done.value(Header::Contact).unwrap().rsplit_once('=').unwrap().1.parse().unwrap();
    assert!((100..=200).contains(&expires));
}

#[test]
fn a_gruu_leads_to_one_device_and_a_service_route_through_us_rt_02_rt_07() {
    let mut scene = scene(options().gruu(true).service_route(&["sip:192.0.2.1:5061;lr"]));
    let (one, two, bob) = (scene.open(0), scene.open(0), scene.open(0));
    let done = scene.register(one, "alice", &contact(1, 1));
    assert_eq!(done.value(Header::ServiceRoute), Some("<sip:192.0.2.1:5061;lr>"));
    let own = done.value(Header::Contact).unwrap().to_owned();
    let temporary = own.split("temp-gruu=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    scene.register(two, "alice", &contact(2, 1));
    for uri in ["sip:alice@example.test;gr=urn:uuid:1", temporary.as_str()] {
        scene.text(bob, "bob", uri);
        let (over, request) = scene.only();
        assert_eq!(over, one, "{uri}");
        scene.answer(one, &request, "200 OK");
        assert_eq!(scene.only().0, bob);
    }
    scene.text(bob, "bob", "sip:tgruu.x@example.test;gr");
    assert_eq!(code(&scene.only().1), 404);
}

#[test]
fn a_device_that_sleeps_is_woken_and_gets_its_message_push_03_push_05() {
    let mut scene = scene(options().push(&["apns", "fcm"], Some(120)));
    let (one, bob) = (scene.open(0), scene.open(0));
    let at =
        |provider: &str| format!("<sip:a@c.invalid;pn-provider={provider};pn-prid=x;pn-param=y>;+sip.pnsreg");
    assert_eq!(code(&scene.register(one, "alice", &at("palm"))), 555);
    let done = scene.register(one, "alice", &at("apns"));
    assert_eq!(done.value(Header::FeatureCaps), Some("*;+sip.pns=\"apns\";+sip.pnsreg=\"120\""));
    scene.machine.closed(scene.now, one);
    scene.text(bob, "bob", "sip:alice@example.test");
    assert!(scene.sent.is_empty());
    assert_eq!(scene.pushed, [("apns".to_owned(), "x".to_owned())]);
    scene.pass(5);
    assert_eq!(code(&scene.only().1), 100);
    let again = scene.open(0);
    let extra = format!("Contact: {}\r\n", at("apns"));
    scene.send(again, "REGISTER", "sip:example.test", "alice", "<sip:alice@example.test>", &extra);
    let request = scene.sent.iter().find(|(_, message)| message.method().is_some()).unwrap().1.clone();
    scene.sent.clear();
    scene.answer(again, &request, "200 OK");
    assert_eq!((scene.sent[0].0, code(&scene.sent[0].1)), (bob, 200));
}

#[test]
fn a_device_that_does_not_wake_is_unavailable() {
    let mut scene = scene(options().push(&["apns"], None));
    let (one, bob) = (scene.open(0), scene.open(0));
    scene.register(one, "alice", "<sip:a@c.invalid;pn-provider=apns;pn-prid=x>");
    scene.machine.closed(scene.now, one);
    scene.text(bob, "bob", "sip:alice@example.test");
    scene.pass(25);
    assert_eq!(scene.sent.iter().map(|(_, message)| code(message)).collect::<Vec<_>>(), [100, 480]);
}

#[test]
fn a_bearer_token_is_asked_for_and_checked_auth_25_auth_28() {
    let options = options().register_challenge(true).algorithms(&[]).bearer("https://auth.example.test");
    let mut scene = scene(options.token("alice", "good"));
    let one = scene.open(0);
    let mut register = |token: &str| {
        let token =
            if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
        let extra = format!("Contact: <sip:a@c.invalid>\r\n{token}");
        scene.send(one, "REGISTER", "sip:example.test", "alice", "<sip:alice@example.test>", &extra);
        scene.only().1
    };
    let asked = register("");
    let challenge = asked.value(Header::WwwAuthenticate).unwrap();
    assert!(
        challenge.starts_with("Bearer ") && challenge.contains("authz_server=\"https://auth.example.test\"")
    );
    assert!(!challenge.contains("invalid_token"));
    let refused = register("bad");
    assert!(refused.value(Header::WwwAuthenticate).unwrap().contains("error=\"invalid_token\""));
    assert_eq!(code(&register("good")), 200);
}

#[test]
fn a_subscriber_to_reg_hears_of_every_change_not_06() {
    let mut scene = scene(options().subscriptions(true));
    let one = scene.open(0);
    scene.register(one, "alice", &contact(1, 1));
    let extra = "Event: reg\r\nContact: <sip:a1@c.invalid>\r\nExpires: 600\r\n";
    let aor = "sip:alice@example.test";
    scene.send(one, "SUBSCRIBE", aor, "alice", &format!("<{aor}>"), extra);
    let (answer, notify) = (scene.sent.remove(0).1, scene.sent.remove(0).1);
    assert_eq!((code(&answer), answer.value(Header::Expires)), (200, Some("600")));
    assert_eq!(notify.to().unwrap().tag().as_deref(), Some("f"));
    assert_eq!(notify.from().unwrap().tag(), answer.to().unwrap().tag());
    assert_eq!(notify.value(Header::SubscriptionState), Some("active;expires=600"));
    let body = |message: &Message| String::from_utf8(message.body().to_vec()).unwrap();
    assert!(body(&notify).contains("version=\"0\"") && body(&notify).contains("event=\"registered\""));
    assert!(scene.machine.end_binding(scene.now, "alice", "sip:a1@c.invalid", Ending::Probation(30)));
    scene.drain();
    let notify = scene.only().1;
    assert!(body(&notify).contains("event=\"probation\" retry-after=\"30\""), "{}", body(&notify));
    scene.pass(600);
    let over = scene.only().1;
    assert_eq!(over.value(Header::SubscriptionState), Some("terminated;reason=timeout"));
}

#[test]
fn waiting_messages_are_told_and_a_refused_notify_ends_the_subscription_not_05() {
    let mut scene = scene(options().subscriptions(true));
    let one = scene.open(0);
    let aor = "sip:alice@example.test";
    let extra = "Event: message-summary;id=7\r\nContact: <sip:a1@c.invalid>\r\n";
    scene.send(one, "SUBSCRIBE", aor, "alice", &format!("<{aor}>"), extra);
    assert_eq!(scene.sent.remove(1).1.value(Header::Event), Some("message-summary;id=7"));
    scene.sent.clear();
    scene.machine.set_summary(scene.now, "alice", "Messages-Waiting: yes\r\n".into());
    scene.drain();
    let notify = scene.only().1;
    assert_eq!(&notify.body()[..], b"Messages-Waiting: yes\r\n");
    scene.answer(one, &notify, "481 Gone");
    scene.machine.end_subscriptions(scene.now, "alice", Package::MessageSummary, "deactivated", None);
    scene.drain();
    assert!(scene.sent.is_empty(), "the subscription is over");
    scene.send(one, "SUBSCRIBE", aor, "alice", &format!("<{aor}>"), "Event: presence\r\n");
    assert_eq!(code(&scene.only().1), 489);
    scene.send(one, "SUBSCRIBE", aor, "alice", &format!("<{aor}>;tag=none"), extra);
    assert_eq!(code(&scene.only().1), 481);
}

#[test]
fn a_silent_connection_swallows_everything_and_stays_open() {
    let mut scene = scene(options());
    let (one, bob) = (scene.open(0), scene.open(0));
    scene.register(one, "alice", &contact(1, 1));
    scene.machine.silence(one);
    scene.machine.receive(scene.now, one, b"\r\n\r\n");
    scene.text(bob, "bob", "sip:alice@example.test");
    assert!(scene.sent.is_empty());
    assert_eq!(scene.machine.connections().len(), 2);
}

#[test]
fn what_was_forgotten_is_gone() {
    let mut scene = scene(options().keep_bindings(true));
    let one = scene.open(0);
    scene.register(one, "alice", &contact(1, 1));
    scene.machine.closed(scene.now, one);
    assert_eq!(scene.machine.bindings(scene.now, "alice").len(), 1);
    scene.machine.forget_bindings();
    assert!(scene.machine.bindings(scene.now, "alice").is_empty());
}

#[test]
fn the_same_calls_give_the_same_outputs() {
    let run = || {
        let mut scene = scene(options().register_challenge(true));
        let one = scene.open(0);
        let asked = scene.register(one, "alice", &contact(1, 1));
        scene.machine.close(one, Close::Clean);
        let mut rest = Vec::new();
        while let Some(output) = scene.machine.poll_output() {
            rest.push(format!("{output:?}"));
        }
        (asked.value(Header::WwwAuthenticate).unwrap().to_owned(), rest)
    };
    assert_eq!(run(), run());
}

#[test]
fn what_happened_is_told_unless_nobody_wants_to_know() {
    let told = |mut machine: Machine| {
        let id = machine.opened(Now::default(), 0, "198.51.100.1:1".parse().unwrap());
        machine.receive(Now::default(), id, b"\r\n\r\n");
        let outputs = std::iter::from_fn(|| machine.poll_output());
        outputs.filter(|output| matches!(output, Output::Happened(_, What::Ping))).count()
    };
    let new = || Machine::new(options(), [7; 32], Vec::new());
    assert_eq!((told(new()), told(new().untold())), (1, 0));
}
