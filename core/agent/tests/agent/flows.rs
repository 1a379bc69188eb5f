//! Several flows at once (RFC 5626).

use crate::rig::{BOB, Rig, account, seconds};
use aldis_agent::{
    Account, ConnectionChange, Event, FlowId, LostReason, OutgoingState, RegistrationChange, Timing,
};
use aldis_sip::{Header, Message, Method};
use std::time::Duration;

const OUTBOUND: (&str, &str) = ("Require", "outbound");

fn two() -> Account {
    account().with_flows(2).unwrap()
}

fn reg_id(register: &Message) -> String {
    let contact = register.contacts().next().unwrap().unwrap();
    contact.address().unwrap().params.value("reg-id").unwrap().into_owned()
}

/// Two flows that are registered, each at a host of its own; their connections, the first one's first.
fn registered(account: Account) -> (Rig, [FlowId; 2]) {
    let mut rig = Rig::new(account);
    rig.register();
    let flows = ["198.51.100.1:5061", "198.51.100.2:5061"].map(|peer| {
        let port = 41_000 + rig.up.len();
        let id = rig.connect_between(&format!("192.0.2.1:{port}"), peer);
        let register = rig.sent();
        rig.accept(&register, &[OUTBOUND]);
        id
    });
    rig.assert_silent();
    rig.events();
    (rig, flows)
}

/// Until both have answered a ping: what was successful (OUT-10).
fn answered(account: Account) -> (Rig, [FlowId; 2]) {
    let (mut rig, flows) = registered(account);
    let mut pongs = 0;
    while pongs < 2 {
        rig.step();
        while let Some((id, bytes)) = rig.sent_somewhere() {
            assert_eq!(bytes, "\r\n\r\n");
            rig.receive_on(id, "\r\n");
            pongs += 1;
        }
    }
    (rig, flows)
}

#[test]
fn each_flow_has_its_own_reg_id_call_id_and_count_out_03_reg_02_reg_03() {
    let mut rig = Rig::new(two());
    rig.register();
    rig.connect();
    let first = rig.sent();
    rig.accept(&first, &[OUTBOUND]);
    rig.connect();
    let second = rig.sent();
    assert_eq!((reg_id(&first), reg_id(&second)), ("1".into(), "2".into()));
    assert_ne!(first.call_id().unwrap(), second.call_id().unwrap());
    assert_eq!((first.cseq().unwrap().number, second.cseq().unwrap().number), (1, 1));
    let instance = |m: &Message| m.value(Header::Contact).unwrap().split(';').nth(2).unwrap().to_owned();
    assert_eq!(instance(&first), instance(&second));
    rig.accept(&second, &[OUTBOUND]);
    assert!(rig.agent.is_registered());
}

#[test]
fn events_say_which_flow_they_are_of() {
    let (mut rig, [_, second]) = registered(two());
    rig.lose_flow(second);
    let mut flows = Vec::new();
    for event in rig.events() {
        if let Event::Connection { reg_id, .. } = event {
            flows.push(reg_id);
        }
    }
    assert_eq!(flows, [2, 2], "lost and backing off");
}

#[test]
fn the_second_flow_waits_for_what_the_first_one_learns_out_05() {
    let mut rig = Rig::new(two());
    rig.register();
    rig.connect();
    let register = rig.sent();
    assert!(!rig.wants_connection());
    rig.accept(&register, &[]);
    rig.pass(seconds(60));
    assert!(!rig.wants_connection(), "without outbound there is one flow");
}

#[test]
fn the_second_flow_does_not_wait_for_ever() {
    let mut rig = Rig::new(two());
    rig.register();
    assert_eq!(rig.wanted.len(), 1);
    rig.pass(Duration::from_millis(1_999));
    assert_eq!(rig.wanted.len(), 1);
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.wanted.len(), 2);
}

#[test]
fn another_proxy_is_tried_at_once_when_the_first_cannot_be_reached_out_04() {
    let account = account().with_proxy("p.test", None).unwrap().with_proxy("q.test", None).unwrap();
    let mut rig = Rig::new(account);
    rig.register();
    assert_eq!(rig.wanted[0].slot, 0);
    rig.fail_to_connect();
    assert_eq!(rig.wanted[0].slot, 1);
    rig.connect();
    let register = rig.sent();
    assert_eq!(register.value(Header::Route), Some("<sip:q.test;lr>"));
    rig.accept(&register, &[]);
    assert!(rig.agent.is_registered());
}

#[test]
fn a_message_without_registration_goes_through_another_proxy_when_the_first_is_down() {
    let account = account().with_proxy("p.test", None).unwrap().with_proxy("q.test", None).unwrap();
    let mut rig = Rig::new(account);
    rig.send(BOB, "hello");
    rig.fail_to_connect();
    assert_eq!((rig.wanted.len(), rig.wanted[0].slot), (1, 1));
    rig.connect();
    let message = rig.sent();
    assert_eq!(message.value(Header::Route), Some("<sip:q.test;lr>"));
    rig.reply(&message, 200, &[]);
    assert!(matches!(rig.outgoing().last(), Some((_, OutgoingState::Accepted { .. }))));
}

#[test]
fn a_flow_avoids_the_hosts_of_the_others() {
    let mut rig = Rig::new(two());
    rig.register();
    assert!(rig.wanted[0].avoid.is_empty());
    rig.connect_between("192.0.2.1:1", "198.51.100.1:5061");
    let register = rig.sent();
    rig.accept(&register, &[OUTBOUND]);
    assert_eq!(
        (rig.wanted[0].slot, &rig.wanted[0].avoid[..]),
        (1, &["198.51.100.1:5061".parse().unwrap()][..])
    );
}

#[test]
fn a_message_under_way_leaves_at_once_on_the_other_flow_when_its_own_is_lost_msg_15() {
    let (mut rig, [first, second]) = registered(two());
    let id = rig.send(BOB, "hello");
    let message = rig.sent();
    assert_eq!(rig.route(&message), first);
    let at = rig.now.mono;
    rig.lose_flow(first);
    let again = rig.sent();
    assert_eq!((rig.route(&again), rig.now.mono), (second, at));
    for header in [Header::AldisMessageId, Header::CallId, Header::From, Header::CSeq] {
        assert_eq!(again.value(header), message.value(header));
    }
    assert!(again.value(Header::Via).unwrap().contains("192.0.2.1:41001"));
    rig.reply(&again, 200, &[]);
    assert!(matches!(rig.outgoing().last(), Some((told, OutgoingState::Accepted { .. })) if *told == id));
    rig.send(BOB, "the next");
    let next = rig.sent();
    assert_eq!(rig.route(&next), second);
}

#[test]
fn a_flow_in_doubt_is_not_chosen_while_another_is_there() {
    let (mut rig, [first, second]) = registered(two());
    while rig.deadline.is_some_and(|deadline| deadline.reason != aldis_agent::Reason::Pong) {
        rig.step();
    }
    while rig.sent_bytes().is_some() {}
    rig.receive_on(second, "\r\n");
    rig.send(BOB, "hello");
    let message = rig.sent();
    assert_eq!(rig.route(&message), second, "{first:?} has not answered its ping");
}

#[test]
fn a_lost_flow_is_replaced_with_its_reg_id_and_call_id_out_08_out_11() {
    let (mut rig, [_, second]) = registered(two());
    rig.lose_flow(second);
    rig.pass(Duration::from_millis(500));
    assert_eq!(rig.wanted[0].slot, 1);
    rig.connect();
    let register = rig.sent();
    assert_eq!((reg_id(&register), register.cseq().unwrap().number), ("2".into(), 2));
    assert_eq!(register.contacts().count(), 1, "the registrar replaces the binding by itself");
}

#[test]
fn a_flow_beside_one_that_serves_waits_longer_out_09() {
    let (mut rig, [_, second]) = answered(two());
    rig.lose_flow(second);
    rig.pass(Duration::from_millis(500));
    rig.events();
    rig.fail_to_connect();
    let waited = retry_in(&mut rig);
    assert!((seconds(5)..=seconds(10)).contains(&waited), "{waited:?}");
}

#[test]
fn the_rfcs_waits_can_be_had_out_09() {
    let (mut rig, [first, second]) = answered(two().with_timing(Timing::rfc5626()).unwrap());
    rig.lose_flow(second);
    rig.pass(Duration::from_millis(500));
    rig.events();
    rig.fail_to_connect();
    let waited = retry_in(&mut rig);
    assert!((seconds(90)..=seconds(180)).contains(&waited), "{waited:?}");
    rig.lose_flow(first);
    rig.pass(Duration::from_millis(500));
    rig.events();
    rig.fail_to_connect();
    let waited = retry_in(&mut rig);
    assert!((seconds(30)..=seconds(60)).contains(&waited), "{waited:?}");
}

fn retry_in(rig: &mut Rig) -> Duration {
    let change = |event| match event {
        Event::Connection { change: ConnectionChange::BackingOff { retry_in, .. }, .. } => Some(retry_in),
        _ => None,
    };
    rig.events().into_iter().find_map(change).expect("it waits")
}

#[test]
fn when_the_last_flow_is_lost_the_others_wait_less_out_09() {
    let (mut rig, [first, second]) = answered(two());
    rig.lose_flow(second);
    for _ in 0..6 {
        while !rig.wants_connection() {
            rig.step();
            while let Some((id, _)) = rig.sent_somewhere() {
                rig.receive_on(id, "\r\n");
            }
        }
        rig.fail_to_connect();
    }
    rig.lose_flow(first);
    rig.pass(seconds(33));
    assert_eq!(rig.wanted.len(), 2, "both are tried again");
}

#[test]
fn the_only_flow_is_replaced_at_once_whatever_another_waits_for_out_11_out_09() {
    let mut rig = Rig::new(two());
    rig.register();
    rig.pass(seconds(2));
    assert_eq!(rig.wanted.iter().map(|wanted| wanted.slot).collect::<Vec<_>>(), [0, 1]);
    for _ in 0..10 {
        while rig.wanted.len() < 2 {
            rig.step();
        }
        if rig.wanted[0].slot == 1 {
            rig.wanted.rotate_left(1);
        }
        rig.fail_to_connect();
    }
    rig.connect();
    let register = rig.sent();
    rig.accept(&register, &[]);
    assert_eq!(reg_id(&register), "2");
    rig.pass(seconds(1));
    assert!(!rig.wants_connection(), "without outbound there is one flow");
    rig.events();

    rig.lose();
    assert!(retry_in(&mut rig) <= Duration::from_millis(500));
    rig.pass(Duration::from_millis(500));
    assert_eq!(rig.wanted.iter().map(|wanted| wanted.slot).collect::<Vec<_>>(), [1]);
    for longest in [1, 2, 4] {
        rig.events();
        rig.fail_to_connect();
        let waited = retry_in(&mut rig);
        assert!((seconds(longest) / 2..=seconds(longest)).contains(&waited), "{waited:?}");
        rig.pass(waited);
    }
    rig.connect();
    let again = rig.sent();
    assert_eq!(reg_id(&again), "2");
    assert_eq!(again.contacts().count(), 2, "the binding of the lost connection is removed");
}

#[test]
fn unregistering_removes_each_binding_reg_13() {
    let (mut rig, flows) = registered(two());
    rig.unregister();
    let removals = [rig.sent(), rig.sent()];
    for (removal, flow) in removals.iter().zip(flows) {
        assert_eq!(rig.route(removal), flow);
        assert_eq!(removal.value(Header::Expires), Some("0"));
        rig.reply(removal, 200, &[]);
    }
    assert_eq!(rig.registrations(), [RegistrationChange::Unregistered, RegistrationChange::Unregistered]);
    rig.pass(seconds(40));
    assert!(!rig.is_up());
}

#[test]
fn shutting_down_ends_every_flow() {
    let (mut rig, _) = registered(two());
    rig.shut_down();
    for removal in [rig.sent(), rig.sent()] {
        assert!(!rig.agent.is_finished());
        rig.reply(&removal, 200, &[]);
    }
    assert!(rig.agent.is_finished());
    assert_eq!(rig.deadline, None);
}

#[test]
fn a_refusal_of_one_flow_leaves_the_other_alone_reg_21_i_23() {
    let mut rig = Rig::new(two());
    rig.register();
    rig.connect();
    let register = rig.sent();
    rig.accept(&register, &[OUTBOUND]);
    rig.connect();
    let register = rig.sent();
    rig.events();
    rig.reply(&register, 403, &[]);
    assert!(matches!(rig.registrations().as_slice(), [RegistrationChange::Failed { retry_in: None, .. }]));
    assert!(rig.agent.is_registered());
    rig.send(BOB, "hello");
    assert_eq!(rig.sent().method(), Some(Method::Message));
    rig.pass(seconds(80));
    assert_eq!(rig.up.len(), 1, "the refused one has nothing to do");
    assert!(!rig.wants_connection());
}

#[test]
fn wrong_credentials_are_not_tried_by_every_flow_reg_21_auth_02() {
    let mut rig = Rig::new(two());
    rig.register();
    rig.connect();
    let register = rig.sent();
    rig.reply(&register, 403, &[]);
    rig.pass(seconds(100));
    assert!(!rig.wants_connection());
}

#[test]
fn a_439_of_one_edge_leaves_outbound_to_the_other_out_06() {
    let mut rig = Rig::new(two());
    rig.register();
    rig.connect();
    let register = rig.sent();
    rig.accept(&register, &[OUTBOUND]);
    rig.connect();
    let register = rig.sent();
    rig.reply(&register, 439, &[]);
    let again = rig.sent();
    assert!(!again.value(Header::Contact).unwrap().contains("reg-id"));
    rig.accept(&again, &[]);
    rig.pass(seconds(60));
    assert_eq!(rig.up.len(), 2);
}

#[test]
fn a_430_says_nothing_of_our_flow_out_07() {
    let (mut rig, _) = registered(two());
    rig.send(BOB, "hello");
    let message = rig.sent();
    rig.reply(&message, 430, &[]);
    assert_eq!(rig.up.len(), 2);
    assert!(matches!(rig.outgoing().last(), Some((_, OutgoingState::Failed { .. }))));
}

#[test]
fn a_response_on_another_flow_is_none_txn_03() {
    let (mut rig, [_, second]) = registered(two());
    rig.send(BOB, "hello");
    let message = rig.sent();
    rig.events();
    rig.receive_on(second, crate::rig::response(&message, 200, &[]));
    assert_eq!(rig.outgoing(), []);
}

#[test]
fn an_answer_goes_on_the_connection_of_its_request_txn_09() {
    let (mut rig, [first, _]) = registered(two());
    rig.receive_on(first, crate::rig::Incoming::bare("OPTIONS").bytes());
    assert_eq!(rig.sent_somewhere().map(|(id, _)| id), Some(first));
}

#[test]
fn pings_and_refreshes_of_all_flows_go_out_together_out_16_out_17_reg_11() {
    let (mut rig, flows) = registered(two());
    let (mut pings, mut wakings) = (0, 0);
    let start = rig.now.mono;
    while rig.now.mono < start + seconds(7200) {
        rig.step();
        let mut woke = false;
        while let Some((id, bytes)) = rig.sent_somewhere() {
            woke = true;
            if bytes.len() == 4 {
                pings += 1;
                rig.receive_on(id, "\r\n");
            } else {
                let register = Message::parse(bytes).unwrap().0;
                assert!(flows.contains(&rig.route(&register)));
                rig.accept(&register, &[OUTBOUND]);
            }
        }
        wakings += u32::from(woke);
    }
    assert!(pings >= 120, "{pings}");
    assert!(wakings <= 7200 / 95 + 4, "{wakings}");
    assert_eq!(rig.up.len(), 2);
}

#[test]
fn a_network_change_replaces_all_flows_while_the_old_ones_serve() {
    let (mut rig, [first, _]) = registered(two());
    rig.tell(|agent, now| agent.network_changed(now));
    assert_eq!((rig.wanted.len(), rig.up.len()), (2, 2));
    let probes: Vec<_> = std::iter::from_fn(|| rig.sent_bytes()).collect();
    assert!(probes.iter().all(|bytes| bytes == "\r\n\r\n") && probes.len() == 2);
    rig.send(BOB, "hello");
    rig.assert_silent();
    rig.receive_on(first, "\r\n");
    let message = rig.sent();
    assert_eq!(rig.route(&message), first, "it has answered");
    for _ in 0..2 {
        rig.connect();
        let register = rig.sent();
        rig.accept(&register, &[OUTBOUND]);
    }
    assert_eq!(rig.up.len(), 3, "the one whose answer is awaited stays");
    rig.reply(&message, 200, &[]);
    assert_eq!(rig.up.len(), 2);
    assert!(rig.events().iter().all(|event| !matches!(
        event,
        Event::Connection { change: ConnectionChange::Lost { why: LostReason::NoPong }, .. }
    )));
}
