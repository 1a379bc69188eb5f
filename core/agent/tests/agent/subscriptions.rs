//! Subscriptions of the account's own in virtual time (RFC 6665, RFC 3680, RFC 3842).

use crate::rig::{Incoming, Rig, response, seconds};
use aldis_agent::{Event, Package, RegistrationChange, RegistrationFailure, SubscriptionChange};
use aldis_sip::{Header, Message};

const CONTACT: (&str, &str) = ("Contact", "<sip:notifier@198.51.100.7:5061;transport=tls>");

/// Registered, and the SUBSCRIBE that left.
fn subscribing(package: Package) -> (Rig, Message) {
    let mut rig = Rig::registered();
    rig.tell(|agent, now| agent.subscribe(now, package));
    let subscribe = rig.sent();
    (rig, subscribe)
}

/// Subscribed for an hour.
fn subscribed(package: Package) -> (Rig, Message) {
    let (mut rig, subscribe) = subscribing(package);
    rig.reply(&subscribe, 200, &[CONTACT, ("Expires", "3600")]);
    rig.events();
    (rig, subscribe)
}

/// A NOTIFY in the dialog of a SUBSCRIBE.
fn notify(subscribe: &Message, cseq: u32, state: &str, body: &str) -> Vec<u8> {
    notify_of(subscribe, cseq, subscribe.value(Header::Event).unwrap(), state, body)
}

fn notify_of(subscribe: &Message, cseq: u32, event: &str, state: &str, body: &str) -> Vec<u8> {
    let (call_id, to) = (subscribe.call_id().unwrap(), subscribe.from().unwrap());
    let from = subscribe.to().unwrap().uri.to_string();
    format!(
        "NOTIFY sip:alice@192.0.2.1:40001 SIP/2.0\r\nVia: SIP/2.0/TLS p.test;branch=z9hG4bKn{cseq}{}\r\n\
         Max-Forwards: 69\r\nFrom: <{from}>;tag=server\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} NOTIFY\r\n\
         Contact: {}\r\nEvent: {event}\r\nSubscription-State: {state}\r\nContent-Type: text/x\r\n\
         Content-Length: {}\r\n\r\n{body}",
        event.len(),
        CONTACT.1,
        body.len()
    )
    .into_bytes()
}

fn status(message: &Message) -> u16 {
    message.status().unwrap().code()
}

/// What was told of subscriptions; the rest is forgotten.
fn changes(rig: &mut Rig) -> Vec<SubscriptionChange> {
    let change = |event| match event {
        Event::Subscription { change, .. } => Some(change),
        _ => None,
    };
    rig.events().into_iter().filter_map(change).collect()
}

/// The next SUBSCRIBE or REGISTER, and how many seconds passed until it left.
fn next(rig: &mut Rig, method: &[u8]) -> (Message, u64) {
    let from = rig.now.mono;
    for _ in 0..1000 {
        while let Some(bytes) = rig.sent_bytes() {
            if bytes.starts_with(method) {
                return (Message::parse(bytes).unwrap().0, (rig.now.mono - from).as_secs());
            }
            if &bytes[..] == b"\r\n\r\n" {
                rig.receive(b"\r\n");
            } else if bytes.starts_with(b"REGISTER") {
                let register = Message::parse(bytes).unwrap().0;
                rig.accept(&register, &[]);
            }
        }
        rig.step();
    }
    panic!("nothing left");
}

#[test]
fn a_subscription_is_asked_for_once_registered_and_holds_no_push_push_02() {
    let mut rig = Rig::default();
    let push = aldis_agent::Push::new("acme", "token", None).unwrap();
    rig.tell(|agent, now| agent.set_push(now, Some(&push)));
    rig.tell(|agent, now| agent.subscribe(now, Package::MessageSummary));
    assert!(!rig.wants_connection(), "not for its own sake");
    rig.register();
    rig.connect();
    let register = rig.sent();
    rig.assert_silent();
    rig.accept(&register, &[]);
    let subscribe = rig.sent();
    let text = String::from_utf8(subscribe.to_bytes().to_vec()).unwrap();
    assert!(text.starts_with("SUBSCRIBE sip:alice@example.test SIP/2.0\r\n"), "{text}");
    assert!(!text.contains("pn-"), "{text}");
    for line in ["Event: message-summary", "Accept: application/simple-message-summary", "Expires: 3600"] {
        assert!(text.contains(line), "{text}");
    }
    assert!(subscribe.to().unwrap().tag().is_none());
}

#[test]
fn counts_are_told_behind_the_notification() {
    let (mut rig, subscribe) = subscribed(Package::MessageSummary);
    rig.receive(notify(
        &subscribe,
        1,
        "active;expires=3600",
        "Messages-Waiting: yes\r\nVoice-Message: 2/8\r\n",
    ));
    assert_eq!(status(&rig.sent()), 200);
    let events = rig.events();
    let [
        Event::Subscription { change: SubscriptionChange::Active { pending: false }, .. },
        Event::Notify { package, .. },
        Event::MessagesWaiting(summary),
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((package.as_str(), summary.count("Voice-Message").unwrap().new), ("message-summary", 2));
}

#[test]
fn an_unasked_summary_is_counted_too_not_02() {
    let mut rig = Rig::registered();
    let extra = "Event: message-summary\r\nSubscription-State: active\r\nContent-Type: application/simple-message-summary\r\n";
    let body = b"Messages-Waiting: no\r\n".to_vec();
    rig.receive(Incoming { extra: extra.into(), body, ..Incoming::bare("NOTIFY") }.bytes());
    assert_eq!(status(&rig.sent()), 200);
    assert!(
        matches!(&rig.events()[..], [Event::Notify { .. }, Event::MessagesWaiting(summary)] if !summary.waiting)
    );
}

#[test]
fn a_notify_of_nobody_is_481_and_one_of_an_unknown_package_489_not_01_not_02_not_03() {
    for (event, expected) in [("reg", 481), ("presence", 489)] {
        let mut rig = Rig::registered();
        let extra = format!("Event: {event}\r\nSubscription-State: active\r\n");
        rig.receive(Incoming { extra, ..Incoming::bare("NOTIFY") }.bytes());
        assert_eq!(status(&rig.sent()), expected, "{event}");
    }
}

#[test]
fn a_notify_matches_by_call_id_tag_and_event_byte_for_byte_not_04() {
    let (mut rig, subscribe) = subscribed(Package::MessageSummary);
    for event in ["message-summary;id=1", "Message-Summary;x", "reg"] {
        rig.receive(notify_of(&subscribe, 1, event, "active;expires=60", ""));
        assert_eq!(status(&rig.sent()), 481, "{event}");
    }
    let good = String::from_utf8(notify(&subscribe, 1, "active;expires=60", "")).unwrap();
    let tag = subscribe.from().unwrap().tag().unwrap().into_owned();
    for (number, (from, to)) in [
        (tag.as_str(), "another"),
        (subscribe.call_id().unwrap().as_str(), "another"),
        ("tag=server", "tag=other"),
    ]
    .into_iter()
    .enumerate()
    {
        let other = good.replace(from, to).replace("z9hG4bKn", &format!("z9hG4bKo{number}"));
        rig.receive(other);
        assert_eq!(status(&rig.sent()), 481, "{from}");
    }
    rig.receive(&good);
    assert_eq!(status(&rig.sent()), 200);
    // An older one is out of order.
    rig.receive(good.replace("z9hG4bKn", "z9hG4bKx"));
    assert_eq!(status(&rig.sent()), 500);
}

#[test]
fn a_notify_may_come_before_the_answer() {
    let (mut rig, subscribe) = subscribing(Package::MessageSummary);
    rig.receive(notify(&subscribe, 1, "active;expires=100", "Messages-Waiting: no\r\n"));
    assert_eq!(status(&rig.sent()), 200);
    rig.reply(&subscribe, 200, &[CONTACT, ("Expires", "100")]);
    let (again, _) = next(&mut rig, b"SUBSCRIBE");
    assert_eq!(again.to().unwrap().tag().unwrap(), "server");
    assert_eq!(again.call_id().unwrap(), subscribe.call_id().unwrap());
}

#[test]
fn the_refresh_comes_in_its_dialog_and_in_time() {
    let (mut rig, subscribe) = subscribed(Package::MessageSummary);
    let (again, after) = next(&mut rig, b"SUBSCRIBE");
    assert!((2880..=3240).contains(&after), "{after}");
    assert!(
        again.to_bytes().starts_with(b"SUBSCRIBE sip:notifier@198.51.100.7:5061;transport=tls SIP/2.0\r\n")
    );
    assert_eq!(again.cseq().unwrap().number, subscribe.cseq().unwrap().number + 1);
    // Forgotten by the server: another one, at once.
    rig.reply(&again, 481, &[]);
    let anew = rig.sent();
    assert!(anew.to().unwrap().tag().is_none());
    assert_ne!(anew.call_id().unwrap(), subscribe.call_id().unwrap());
}

#[test]
fn a_new_connection_tells_the_server_where_we_are() {
    let (mut rig, subscribe) = subscribed(Package::MessageSummary);
    rig.tell(|agent, now| agent.network_changed(now));
    rig.connect();
    let (again, after) = next(&mut rig, b"SUBSCRIBE");
    assert_eq!((after, again.call_id().unwrap()), (0, subscribe.call_id().unwrap()));
    let contact = |message: &Message| message.value(Header::Contact).unwrap().to_owned();
    assert_ne!(contact(&again), contact(&subscribe));
}

#[test]
fn the_end_of_a_subscription_says_when_to_try_again_not_05() {
    for (state, expected) in [
        ("terminated;reason=deactivated", Some(0..=0)),
        ("terminated;reason=timeout", Some(0..=0)),
        ("terminated;reason=probation;retry-after=120", Some(120..=120)),
        ("terminated;reason=probation", Some(0..=1)),
        ("terminated;reason=giveup;retry-after=7", Some(7..=7)),
        ("terminated", Some(0..=1)),
        ("terminated;reason=giveup;retry-after=0", Some(0..=0)),
        ("terminated;reason=rejected", None),
        ("terminated;reason=noresource", None),
        ("terminated;reason=invariant", None),
    ] {
        let (mut rig, subscribe) = subscribed(Package::MessageSummary);
        rig.receive(notify(&subscribe, 1, state, ""));
        let told = changes(&mut rig);
        let [SubscriptionChange::Ended { retry_in, .. }] = &told[..] else { panic!("{state}: {told:?}") };
        assert_eq!(retry_in.is_some(), expected.is_some(), "{state}");
        match expected {
            Some(expected) => {
                let (anew, after) = next(&mut rig, b"SUBSCRIBE");
                assert!(expected.contains(&after), "{state}: {after}");
                assert!(anew.to().unwrap().tag().is_none());
            }
            None => {
                assert_eq!(status(&rig.sent()), 200);
                rig.pass(seconds(2000));
                rig.assert_no_subscribe();
            }
        }
    }
}

#[test]
fn a_server_that_ends_every_subscription_at_once_is_not_asked_without_pause() {
    for reason in ["deactivated", "giveup;retry-after=0"] {
        let (mut rig, mut subscribe) = subscribed(Package::MessageSummary);
        let mut waits = Vec::new();
        for _ in 0..2 {
            rig.receive(notify(&subscribe, 1, &format!("terminated;reason={reason}"), ""));
            assert_eq!(status(&rig.sent()), 200);
            let (again, seconds) = next(&mut rig, b"SUBSCRIBE");
            waits.push(seconds);
            rig.reply(&again, 200, &[CONTACT, ("Expires", "3600")]);
            subscribe = again;
        }
        assert!(waits.first() == Some(&0) && waits.get(1) > Some(&0), "{reason}: {waits:?}");
    }
}

#[test]
fn a_server_that_says_now_each_time_is_not_asked_without_pause() {
    let (mut rig, mut subscribe) = subscribing(Package::MessageSummary);
    let mut waits = Vec::new();
    for _ in 0..6 {
        rig.reply(&subscribe, 503, &[("Retry-After", "0")]);
        let (again, seconds) = next(&mut rig, b"SUBSCRIBE");
        waits.push(seconds);
        subscribe = again;
    }
    assert_eq!(waits.first(), Some(&0));
    assert!(waits.iter().sum::<u64>() > 15, "{waits:?}");
}

#[test]
fn a_longer_time_is_asked_for_once() {
    let (mut rig, subscribe) = subscribing(Package::MessageSummary);
    rig.reply(&subscribe, 423, &[("Min-Expires", "7200")]);
    let again = rig.sent();
    assert_eq!(again.value(Header::Expires), Some("7200"));
    rig.reply(&again, 423, &[("Min-Expires", "7201")]);
    rig.assert_silent();
}

#[test]
fn times_that_no_clock_holds_are_none() {
    for state in [
        "active;expires=18446744073709551615",
        "terminated;reason=giveup;retry-after=18446744073709551615",
        "terminated;reason=probation;retry-after=99999999999999999999999",
    ] {
        let (mut rig, subscribe) = subscribed(Package::MessageSummary);
        rig.receive(notify(&subscribe, 1, state, ""));
        assert_eq!(status(&rig.sent()), 200, "{state}");
        let (_, seconds) = next(&mut rig, b"SUBSCRIBE");
        assert!(seconds <= 3600, "{state}: {seconds}");
    }
}

#[test]
fn what_the_server_refuses_is_not_asked_again_not_05() {
    for code in [403, 404, 405, 489, 501] {
        let (mut rig, subscribe) = subscribing(Package::Registration);
        rig.reply(&subscribe, code, &[]);
        let told = changes(&mut rig);
        assert!(matches!(&told[..], [SubscriptionChange::Ended { retry_in: None, .. }]), "{code}: {told:?}");
        rig.pass(seconds(2000));
        rig.assert_no_subscribe();
    }
    let (mut rig, subscribe) = subscribing(Package::Registration);
    rig.reply(&subscribe, 503, &[("Retry-After", "90")]);
    assert_eq!(next(&mut rig, b"SUBSCRIBE").1, 90);
}

/// What the registrar says of our binding.
fn reginfo(rig: &Rig, register: &Message, event: &str) -> String {
    let _ = rig;
    let uri = register.contacts().next().unwrap().unwrap().address().unwrap().uri.to_string();
    format!(
        "<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"1\" state=\"partial\">\
         <registration aor=\"sip:alice@example.test\" id=\"r\" state=\"active\">\
         <contact id=\"1\" {event}><uri>{uri}</uri></contact></registration></reginfo>"
    )
}

/// Registered and subscribed to what the registrar does; the NOTIFY has come.
fn after(event: &str) -> (Rig, Message) {
    let (mut rig, register) = Rig::registering();
    rig.accept(&register, &[]);
    rig.tell(|agent, now| agent.subscribe(now, Package::Registration));
    let subscribe = rig.sent();
    rig.reply(&subscribe, 200, &[CONTACT, ("Expires", "3600")]);
    rig.events();
    let body = reginfo(&rig, &register, event);
    rig.receive(notify(&subscribe, 1, "active;expires=3600", &body));
    assert_eq!(status(&rig.sent()), 200);
    (rig, register)
}

#[test]
fn a_binding_that_is_cut_short_or_deactivated_is_made_again_at_once_not_06() {
    for event in
        ["state=\"active\" event=\"shortened\" expires=\"60\"", "state=\"terminated\" event=\"deactivated\""]
    {
        let (mut rig, register) = after(event);
        let again = rig.sent();
        assert_eq!(again.call_id().unwrap(), register.call_id().unwrap(), "{event}");
        rig.accept(&again, &[]);
        assert!(rig.agent.is_registered());
    }
}

#[test]
fn a_binding_on_probation_is_made_again_later_not_06() {
    let (mut rig, _) = after("state=\"terminated\" event=\"probation\" retry-after=\"300\"");
    let told = rig.registrations();
    assert!(
        matches!(&told[..], [RegistrationChange::Failed { retry_in: Some(wait), .. }] if *wait == seconds(300)),
        "{told:?}"
    );
    assert_eq!(next(&mut rig, b"REGISTER").1, 300);
}

#[test]
fn a_binding_that_is_rejected_is_reported_and_not_made_again_not_06() {
    let (mut rig, _) = after("state=\"terminated\" event=\"rejected\"");
    let told = rig.registrations();
    let rejected = RegistrationFailure::TakenAway { event: "rejected" };
    assert!(
        matches!(&told[..], [RegistrationChange::Failed { why, retry_in: None, .. }] if *why == rejected),
        "{told:?}"
    );
    assert!(rejected.is_final());
    rig.pass(seconds(4000));
    while let Some(bytes) = rig.sent_bytes() {
        assert!(!bytes.starts_with(b"REGISTER"));
    }
}

#[test]
fn what_happens_to_other_bindings_is_none_of_our_business_not_06() {
    for (from, to) in [("sip:aldis-", "sip:other-"), ("sip:alice@example.test", "sip:bob@example.test")] {
        let (mut rig, register) = Rig::registering();
        rig.accept(&register, &[]);
        rig.tell(|agent, now| agent.subscribe(now, Package::Registration));
        let subscribe = rig.sent();
        rig.reply(&subscribe, 200, &[CONTACT]);
        rig.events();
        let body = reginfo(&rig, &register, "state=\"terminated\" event=\"rejected\"").replace(from, to);
        rig.receive(notify(&subscribe, 1, "active;expires=3600", &body));
        assert_eq!(status(&rig.sent()), 200);
        rig.assert_silent();
        assert!(rig.agent.is_registered());
        assert!(rig.registrations().is_empty());
    }
}

#[test]
fn unsubscribing_ends_the_dialog() {
    let (mut rig, subscribe) = subscribed(Package::MessageSummary);
    rig.tell(|agent, now| agent.unsubscribe(now, Package::MessageSummary));
    let last = rig.sent();
    assert_eq!(
        (last.value(Header::Expires), last.call_id().unwrap()),
        (Some("0"), subscribe.call_id().unwrap())
    );
    rig.receive(response(&last, 200, &[CONTACT, ("Expires", "0")]));
    rig.pass(seconds(4000));
    rig.assert_no_subscribe();
}

impl Rig {
    fn assert_no_subscribe(&mut self) {
        while let Some(bytes) = self.sent_bytes() {
            assert!(!bytes.starts_with(b"SUBSCRIBE"), "{}", String::from_utf8_lossy(&bytes));
        }
    }
}
