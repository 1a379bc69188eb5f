//! Whatever happens in whatever order.

use crate::digest::challenge;
use crate::rig::{Incoming, Rig};
use aldis_agent::{AnswerWith, Event, MessageId, NewMessage, OutgoingState, Ticket};
use aldis_sip::{Header, Message, Method, Secret};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, Debug)]
enum Step {
    Register,
    Unregister,
    Send(u8),
    Withdraw(u8),
    NetworkChanged,
    App(u8),
    Credentials,
    Connect,
    FailToConnect,
    Lose(u8),
    Reply(u8, u8),
    Receive(u8),
    Answer(u8, bool),
    Bytes(Vec<u8>),
    Pass(u32),
    Sleep(u32),
    ShutDown,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Register),
        2 => Just(Step::Unregister),
        8 => (0..4_u8).prop_map(Step::Send),
        2 => any::<u8>().prop_map(Step::Withdraw),
        2 => Just(Step::NetworkChanged),
        2 => (0..4_u8).prop_map(Step::App),
        1 => Just(Step::Credentials),
        8 => Just(Step::Connect),
        2 => Just(Step::FailToConnect),
        2 => any::<u8>().prop_map(Step::Lose),
        20 => (any::<u8>(), any::<u8>()).prop_map(|(which, how)| Step::Reply(which, how)),
        6 => any::<u8>().prop_map(Step::Receive),
        4 => (any::<u8>(), any::<bool>()).prop_map(|(which, accept)| Step::Answer(which, accept)),
        2 => prop_oneof![
            Just(b"\r\n".to_vec()),
            Just(b"\r\n\r\n".to_vec()),
            Just(b"SIP/2.0 200 OK\r\n\r\n".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..40),
        ].prop_map(Step::Bytes),
        8 => (1..40_000_u32).prop_map(Step::Pass),
        2 => (1..4_000_000_u32).prop_map(Step::Sleep),
        1 => Just(Step::ShutDown),
    ]
}

/// The run so far, and what must be true of it.
struct World {
    rig: Rig,
    /// The requests on connections that are up that have no final response.
    open: Vec<Message>,
    tickets: Vec<Ticket>,
    /// Every message that was taken, and its latest state.
    messages: BTreeMap<MessageId, (String, OutgoingState)>,
    /// How many REGISTERs each Call-ID had.
    registers: BTreeMap<String, u32>,
    requests: u32,
}

impl World {
    fn new(seed: u8) -> Self {
        let account = crate::rig::account().with_flows(usize::from(seed % 3) + 1).unwrap();
        World {
            rig: Rig::seeded(account, seed),
            open: Vec::new(),
            tickets: Vec::new(),
            messages: BTreeMap::new(),
            registers: BTreeMap::new(),
            requests: 0,
        }
    }

    fn apply(&mut self, step: Step) {
        let rig = &mut self.rig;
        match step {
            Step::Register => rig.register(),
            Step::Unregister => rig.unregister(),
            Step::Send(to) => {
                let message =
                    NewMessage::new(&format!("sip:user{to}@example.test"), "text/plain", "x").unwrap();
                // What is refused is told at once, and by nothing else.
                let _ = rig.tell(|agent, now| agent.send_message(now, message));
            }
            Step::Withdraw(which) => {
                let ids: Vec<_> = self.messages.keys().copied().collect();
                if let Some(id) = pick(&ids, which) {
                    rig.tell(|agent, now| agent.withdraw(now, *id));
                }
            }
            Step::NetworkChanged => rig.tell(|agent, now| agent.network_changed(now)),
            Step::App(0) => rig.tell(|agent, now| agent.enter_background(now)),
            Step::App(1) => rig.tell(|agent, now| agent.enter_foreground(now)),
            Step::App(2) => rig.tell(|agent, now| agent.handle_sleep(now)),
            Step::App(_) => rig.tell(|agent, now| agent.wake(now)),
            Step::Credentials => {
                rig.tell(|agent, now| agent.set_credentials(now, "alice", Secret::new("wonderland")));
            }
            Step::Connect if rig.wants_connection() => drop(rig.connect()),
            Step::FailToConnect if rig.wants_connection() => rig.fail_to_connect(),
            Step::Lose(which) if rig.is_up() => {
                let id = rig.up[usize::from(which) % rig.up.len()];
                rig.lose_flow(id);
            }
            Step::Reply(which, how) if rig.is_up() => {
                if let Some(at) = (!self.open.is_empty()).then(|| usize::from(which) % self.open.len()) {
                    self.reply(at, how);
                }
            }
            Step::Receive(which) if rig.is_up() => rig.receive(request(which)),
            Step::Answer(which, accept) => {
                let with = if accept {
                    AnswerWith::Accept
                } else {
                    AnswerWith::Busy { retry_after: Duration::from_secs(1) }
                };
                if let Some(ticket) = pick(&self.tickets, which) {
                    rig.answer(*ticket, with);
                }
            }
            Step::Bytes(bytes) if rig.is_up() => rig.receive(bytes),
            Step::Pass(time) => self.pass(Duration::from_millis(time.into())),
            Step::Sleep(time) => rig.sleep(Duration::from_millis(time.into())),
            Step::ShutDown => rig.shut_down(),
            _ => {}
        }
        self.look();
    }

    fn pass(&mut self, time: Duration) {
        let until = self.rig.now.mono + time;
        let mut steps = 0;
        while self.rig.deadline.is_some_and(|deadline| deadline.at <= until) {
            self.rig.step();
            self.look();
            steps += 1;
            assert!(steps < 100 + 10 * time.as_secs(), "a busy loop: {:?}", self.rig.deadline);
        }
        self.rig.pass(until - self.rig.now.mono);
    }

    fn reply(&mut self, at: usize, how: u8) {
        let is_register = self.open[at].method() == Some(Method::Register);
        let challenge = challenge(&format!("n{}", how / 16), if how & 16 == 0 { "" } else { ", stale=true" });
        let redirect = format!("<sip:user{}@elsewhere.test>", how % 7);
        let (status, fields): (u16, Vec<(&str, &str)>) = match how % 16 {
            0 => (100, vec![]),
            1 => (302, vec![("Contact", &redirect)]),
            2 => (401, vec![("WWW-Authenticate", &challenge)]),
            3 => (407, vec![("Proxy-Authenticate", &challenge)]),
            4 => (403, vec![]),
            5 => (408, vec![]),
            6 => (423, vec![("Min-Expires", "7200")]),
            7 if how & 16 == 0 => (439, vec![]),
            7 => (420, vec![("Unsupported", "gruu")]),
            8 => (503, vec![("Retry-After", "0")]),
            9 => (503, vec![("Retry-After", "7")]),
            10 => (603, vec![]),
            11 => (413, vec![]),
            _ => (200, vec![("Require", "outbound"), ("Flow-Timer", "25")]),
        };
        let request = if status == 100 { self.open[at].clone() } else { self.open.remove(at) };
        if status == 200 && is_register && how & 16 == 0 {
            self.rig.accept(&request, &fields);
        } else {
            self.rig.reply(&request, status, &fields);
        }
    }

    /// Takes all that was told and sent, and judges it.
    fn look(&mut self) {
        for event in self.rig.events() {
            match event {
                Event::MessageReceived { ticket, .. } => self.tickets.push(ticket),
                Event::Outgoing { id, to, state } => self.outgoing(id, to.to_string(), state),
                _ => {}
            }
        }
        let rig = &self.rig;
        self.open.retain(|request| rig.up.contains(&rig.route(request)));
        while let Some(bytes) = self.rig.sent_bytes() {
            if bytes.len() <= 4 {
                assert!(&bytes[..] == b"\r\n" || &bytes[..] == b"\r\n\r\n");
                continue;
            }
            let (message, rest) = Message::parse(bytes).unwrap();
            assert_eq!(rest, 0);
            assert!(matches!(aldis_sip::judge(message.clone()), aldis_sip::Judgement::Message(_)));
            match message.method() {
                Some(Method::Register) => {
                    let count =
                        self.registers.entry(message.call_id().unwrap().as_str().to_owned()).or_default();
                    *count += 1;
                    assert_eq!(message.cseq().unwrap().number, *count, "REG-03");
                }
                Some(Method::Message) => {
                    let id = message.value(Header::AldisMessageId).unwrap().parse().unwrap();
                    let known = self.messages.get(&id).expect("a message that nobody sent");
                    // It may have ended since within the same step.
                    assert_ne!(known.1, OutgoingState::Queued);
                }
                _ => continue,
            }
            self.requests += 1;
            if self.rig.up.contains(&self.rig.route(&message)) {
                self.open.push(message);
            }
        }
        let registers = self.open.iter().filter(|open| open.method() == Some(Method::Register));
        let mut flows: Vec<_> = registers.map(|register| self.rig.route(register)).collect();
        let pending = flows.len();
        flows.sort();
        flows.dedup();
        assert_eq!(flows.len(), pending, "REG-04: two REGISTERs are pending on a flow");
    }

    fn outgoing(&mut self, id: MessageId, to: String, state: OutgoingState) {
        if let Some((_, before)) = self.messages.get(&id) {
            assert!(!before.is_final(), "{state:?} after {before:?}");
            assert!(*before == OutgoingState::Queued || state.is_final(), "{state:?} after {before:?}");
        } else {
            assert_eq!(state, OutgoingState::Queued);
        }
        if state == OutgoingState::Sending {
            let other = self
                .messages
                .values()
                .find(|(other, state)| *other == to && *state == OutgoingState::Sending);
            assert_eq!(other, None, "MSG-03: two messages to one recipient");
        }
        self.messages.insert(id, (to, state));
    }
}

fn pick<T>(list: &[T], which: u8) -> Option<&T> {
    list.get(usize::from(which) % list.len().max(1))
}

fn request(which: u8) -> Vec<u8> {
    let method = ["MESSAGE", "MESSAGE", "OPTIONS", "NOTIFY", "INVITE", "ACK", "CANCEL", "FROBNICATE"];
    let bytes = Incoming::bare(method[usize::from(which % 8)]).bytes();
    String::from_utf8(bytes).unwrap().replace("in1", &format!("in{}", which / 16)).into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_message_ends_once_and_nothing_panics_loops_or_overlaps(
        seed in any::<u8>(),
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        let mut world = World::new(seed);
        for step in steps {
            world.apply(step);
        }
        world.apply(Step::ShutDown);
        world.apply(Step::Pass(4_000));
        prop_assert!(world.rig.agent.is_finished());
        prop_assert_eq!(world.rig.deadline, None);
        for (id, (to, state)) in &world.messages {
            prop_assert!(state.is_final(), "{} to {}: {:?}", id, to, state);
        }
    }

    #[test]
    fn bytes_of_any_kind_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let mut rig = Rig::registered();
        rig.receive(bytes);
        rig.pass(Duration::from_secs(60));
    }
}

#[test]
fn sequences_that_were_wrong_once_are_right() {
    let sequence = [
        Step::Register,
        Step::Send(0),
        Step::Connect,
        Step::Register,
        Step::Sleep(32_000),
        Step::Register,
        Step::Connect,
        Step::Connect,
        Step::Reply(7, 26),
        Step::App(3),
        Step::NetworkChanged,
        Step::Receive(0),
        Step::Connect,
        Step::Connect,
        Step::Lose(72),
        Step::Reply(136, 21),
        Step::Lose(199),
        Step::Pass(1_006),
    ];
    for seed in 0..=u8::MAX {
        let mut world = World::new(seed);
        for step in sequence.clone() {
            world.apply(step);
        }
        world.apply(Step::Pass(40_000));
    }
}
