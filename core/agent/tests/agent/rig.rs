//! An agent, time that is turned by hand, and the means to be its server.

use aldis_agent::{
    Account, Agent, AnswerWith, Connect, Deadline, Event, FlowId, LostReason, MessageId, NewMessage, Now,
    OutgoingState, Output, ReceivedMessage, RegistrationChange, Ticket,
};
use aldis_sip::fields::Contact;
use aldis_sip::{FieldText, Header, Message, Secret, StatusCode, Writer};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

pub const INSTANCE: &str = "00000000-0000-1000-8000-000a95a0e128";
pub const BOB: &str = "sip:bob@example.test";
pub const PEER: &str = "198.51.100.7:5061";
/// 2027-01-15T08:00:00Z
pub const WALL: u64 = 1_800_000_000;

pub fn account() -> Account {
    Account::new("sip:alice@example.test", INSTANCE).unwrap().with_password(Secret::new("wonderland"))
}

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub struct Rig {
    pub agent: Agent,
    pub now: Now,
    /// Everything that was transmitted, as it was.
    pub transcript: Vec<u8>,
    pub closed: Vec<FlowId>,
    pub deadline: Option<Deadline>,
    /// Connections that are wanted.
    pub wanted: VecDeque<Connect>,
    /// Connections that are up, the oldest first.
    pub up: Vec<FlowId>,
    sent: VecDeque<(FlowId, Bytes)>,
    /// On which connection each request left, by its branch.
    routes: BTreeMap<String, FlowId>,
    events: VecDeque<Event>,
    connections: u16,
    /// Whether messages are kept at once.
    pub keeps: bool,
}

impl Default for Rig {
    fn default() -> Self {
        Rig::new(account())
    }
}

impl Rig {
    pub fn new(account: Account) -> Self {
        Rig::seeded(account, 7)
    }

    pub fn seeded(account: Account, seed: u8) -> Self {
        Rig {
            agent: Agent::new(account, [seed; 32]),
            now: Now { mono: seconds(1000), wall: seconds(WALL) },
            transcript: Vec::new(),
            closed: Vec::new(),
            deadline: None,
            wanted: VecDeque::new(),
            up: Vec::new(),
            sent: VecDeque::new(),
            routes: BTreeMap::new(),
            events: VecDeque::new(),
            connections: 0,
            keeps: true,
        }
    }

    /// Lets the agent do something and takes all that comes of it.
    pub fn tell<T>(&mut self, command: impl FnOnce(&mut Agent, Now) -> T) -> T {
        let result = command(&mut self.agent, self.now);
        self.drain();
        result
    }

    fn drain(&mut self) {
        loop {
            match self.agent.poll_output() {
                Output::Connect(connect) => self.wanted.push_back(connect),
                Output::Transmit(id, bytes) => {
                    assert!(self.up.contains(&id), "transmitted over a connection that is not up");
                    self.transcript.extend_from_slice(&bytes);
                    self.sent.push_back((id, bytes));
                }
                Output::Close(id) => {
                    self.closed.push(id);
                    self.wanted.retain(|wanted| wanted.flow != id);
                    self.up.retain(|up| *up != id);
                }
                // What the app's store would do, if nobody watches it.
                Output::Event(Event::StoreMessage(message)) if self.keeps => {
                    self.agent.message_stored(self.now, message.id);
                }
                Output::Event(Event::MessageLeaving { id }) if self.keeps => {
                    self.agent.message_may_leave(self.now, id);
                }
                Output::Event(event) => self.events.push_back(event),
                Output::Wait(deadline) => {
                    if let Some(deadline) = deadline {
                        assert!(
                            deadline.at > self.now.mono,
                            "{deadline:?} is not in the future of {:?}",
                            self.now
                        );
                    }
                    self.deadline = deadline;
                    return;
                }
            }
        }
    }

    /// Turns time to the next deadline.
    pub fn step(&mut self) -> Deadline {
        let deadline = self.deadline.expect("nothing is due");
        self.turn(deadline.at);
        self.tell(|agent, now| agent.handle_timeout(now));
        deadline
    }

    fn turn(&mut self, to: Duration) {
        let passed = to.saturating_sub(self.now.mono);
        self.now = Now { mono: self.now.mono + passed, wall: self.now.wall + passed };
    }

    /// Lets time pass; the agent is called at each of its deadlines.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now.mono + time;
        while self.deadline.is_some_and(|deadline| deadline.at <= until) {
            self.step();
        }
        self.turn(until);
    }

    /// Lets time pass while the device sleeps: nobody is called before the end.
    pub fn sleep(&mut self, time: Duration) {
        self.turn(self.now.mono + time);
        self.tell(|agent, now| agent.handle_timeout(now));
    }

    /// Whether a connection is wanted.
    pub fn wants_connection(&self) -> bool {
        !self.wanted.is_empty()
    }

    pub fn is_up(&self) -> bool {
        !self.up.is_empty()
    }

    /// The connection that came up last.
    pub fn latest(&self) -> FlowId {
        *self.up.last().expect("no connection is up")
    }

    /// The connection that is wanted comes up.
    pub fn connect(&mut self) -> FlowId {
        self.connections += 1;
        let port = 40_000 + self.connections;
        self.connect_from(&format!("192.0.2.1:{port}"))
    }

    pub fn connect_from(&mut self, local: &str) -> FlowId {
        self.connect_between(local, PEER)
    }

    pub fn connect_between(&mut self, local: &str, peer: &str) -> FlowId {
        let id = self.wanted.pop_front().expect("no connection is wanted").flow;
        let (local, peer): (SocketAddr, SocketAddr) = (local.parse().unwrap(), peer.parse().unwrap());
        self.up.push(id);
        self.tell(|agent, now| agent.handle_connected(now, id, local, peer));
        id
    }

    /// It does not.
    pub fn fail_to_connect(&mut self) {
        let id = self.wanted.pop_front().expect("no connection is wanted").flow;
        self.tell(|agent, now| agent.handle_connect_failed(now, id));
    }

    /// The connection that came up last breaks.
    pub fn lose(&mut self) {
        self.lose_flow(self.latest());
    }

    pub fn lose_flow(&mut self, id: FlowId) {
        self.up.retain(|up| *up != id);
        self.tell(|agent, now| agent.handle_closed(now, id, LostReason::ClosedByServer));
    }

    /// Bytes come, on the connection that came up last.
    pub fn receive(&mut self, bytes: impl AsRef<[u8]>) {
        self.receive_on(self.latest(), bytes);
    }

    pub fn receive_on(&mut self, id: FlowId, bytes: impl AsRef<[u8]>) {
        self.tell(|agent, now| agent.handle_bytes(now, id, bytes.as_ref()));
    }

    /// The bytes that were transmitted next, if there are any.
    pub fn sent_bytes(&mut self) -> Option<Bytes> {
        self.sent_somewhere().map(|(_, bytes)| bytes)
    }

    /// The same, and on which connection.
    pub fn sent_somewhere(&mut self) -> Option<(FlowId, Bytes)> {
        let (id, bytes) = self.sent.pop_front()?;
        if let Ok((message, _)) = Message::parse(bytes.clone())
            && let Some(branch) = message.via().ok().and_then(|via| via.branch().map(|b| b.into_owned()))
        {
            self.routes.insert(branch, id);
        }
        Some((id, bytes))
    }

    /// The message that was transmitted next.
    pub fn sent(&mut self) -> Message {
        let bytes = self.sent_bytes().expect("nothing was sent");
        let (message, rest) = Message::parse(bytes).unwrap();
        assert_eq!(rest, 0, "more than one message at once");
        message
    }

    /// Whether nothing was transmitted.
    pub fn nothing_sent(&self) -> bool {
        self.sent.is_empty()
    }

    /// On which connection a request left.
    pub fn route(&self, request: &Message) -> FlowId {
        self.routes[request.via().unwrap().branch().unwrap().as_ref()]
    }

    /// That nothing was transmitted.
    pub fn assert_silent(&self) {
        let sent: Vec<_> = self.sent.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes)).collect();
        assert!(sent.is_empty(), "sent: {sent:#?}");
    }

    /// Everything that was told since the last call.
    pub fn events(&mut self) -> Vec<Event> {
        self.events.drain(..).collect()
    }

    /// What was told of the registration; the rest is forgotten.
    pub fn registrations(&mut self) -> Vec<RegistrationChange> {
        let change = |event| match event {
            Event::Registration { change, .. } => Some(change),
            _ => None,
        };
        self.events().into_iter().filter_map(change).collect()
    }

    /// What was told of messages of ours; the rest is forgotten.
    pub fn outgoing(&mut self) -> Vec<(MessageId, OutgoingState)> {
        let state = |event| match event {
            Event::Outgoing { id, state, .. } => Some((id, state)),
            _ => None,
        };
        self.events().into_iter().filter_map(state).collect()
    }

    /// Messages that came; the rest is forgotten.
    pub fn received(&mut self) -> Vec<(Ticket, ReceivedMessage)> {
        let message = |event| match event {
            Event::MessageReceived { ticket, message } => Some((ticket, *message)),
            _ => None,
        };
        self.events().into_iter().filter_map(message).collect()
    }

    pub fn answer(&mut self, ticket: Ticket, with: AnswerWith) {
        self.tell(|agent, now| agent.answer(now, ticket, with));
    }

    /// Answers a request of the agent on the connection that it came on.
    pub fn reply(&mut self, request: &Message, status: u16, fields: &[(&str, &str)]) {
        self.receive_on(self.route(request), response(request, status, fields));
    }

    /// Answers a REGISTER with 200, its Contact as it came.
    pub fn accept(&mut self, register: &Message, fields: &[(&str, &str)]) {
        let contact = register.value(Header::Contact).unwrap().to_owned();
        let mut all = vec![("Contact", contact.as_str())];
        all.extend_from_slice(fields);
        self.reply(register, 200, &all);
    }

    pub fn register(&mut self) {
        self.tell(|agent, now| agent.register(now));
    }

    pub fn unregister(&mut self) {
        self.tell(|agent, now| agent.unregister(now));
    }

    pub fn shut_down(&mut self) {
        self.tell(|agent, now| agent.shut_down(now));
    }

    /// Up to the first REGISTER, which is returned.
    pub fn registering() -> (Rig, Message) {
        Rig::registering_with(account())
    }

    pub fn registering_with(account: Account) -> (Rig, Message) {
        let mut rig = Rig::new(account);
        rig.register();
        rig.connect();
        let register = rig.sent();
        rig.events();
        (rig, register)
    }

    /// Registered for an hour, the events forgotten.
    pub fn registered() -> Rig {
        Rig::registered_with(account(), &[])
    }

    pub fn registered_with(account: Account, fields: &[(&str, &str)]) -> Rig {
        let (mut rig, register) = Rig::registering_with(account);
        rig.accept(&register, fields);
        rig.events();
        rig
    }

    /// Connected without registering: a message was sent and answered.
    pub fn connected() -> Rig {
        Rig::connected_with(account())
    }

    pub fn connected_with(account: Account) -> Rig {
        let mut rig = Rig::new(account);
        rig.send(BOB, "first");
        rig.connect();
        let message = rig.sent();
        rig.reply(&message, 200, &[]);
        rig.events();
        rig
    }

    /// Connects, and has so many messages accepted that as many as possible may be under way.
    pub fn connect_wide(&mut self) {
        for n in 0..1000 {
            self.send(&format!("sip:early{n}@example.test"), "x");
        }
        self.connect();
        while let Some(bytes) = self.sent_bytes() {
            let (message, _) = Message::parse(bytes).unwrap();
            self.reply(&message, 200, &[]);
        }
        self.events();
    }

    pub fn send(&mut self, to: &str, text: &str) -> MessageId {
        let message = NewMessage::new(to, "text/plain", text.to_owned()).unwrap();
        self.tell(|agent, now| agent.send_message(now, message)).unwrap()
    }
}

/// A response to a request of the agent.
pub fn response(request: &Message, status: u16, fields: &[(&str, &str)]) -> Bytes {
    let tag = FieldText::new("server").unwrap();
    let status = StatusCode::new(status).unwrap();
    let mut writer = Writer::response_to(request, status, &tag, None);
    for (name, value) in fields {
        writer = writer.extension(name, &FieldText::new(*value).unwrap()).unwrap();
    }
    writer.finish(b"")
}

/// A request for the agent, with a branch and Call-ID of its own.
pub struct Incoming {
    pub method: &'static str,
    pub uri: &'static str,
    pub branch: &'static str,
    pub call_id: &'static str,
    pub to: &'static str,
    pub cseq: u32,
    pub extra: String,
    pub body: Vec<u8>,
}

impl Default for Incoming {
    fn default() -> Self {
        Incoming {
            method: "MESSAGE",
            uri: "sip:alice@192.0.2.1:40001",
            branch: "z9hG4bKin1",
            call_id: "call-1",
            to: "<sip:alice@example.test>",
            cseq: 1,
            extra: "Content-Type: text/plain\r\n".into(),
            body: b"hello".to_vec(),
        }
    }
}

impl Incoming {
    /// A request of this method without content.
    pub fn bare(method: &'static str) -> Self {
        Incoming { method, extra: String::new(), body: Vec::new(), ..Incoming::default() }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let Incoming { method, uri, branch, call_id, to, cseq, extra, body } = self;
        let length = body.len();
        let mut out = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/TLS proxy.example.test:5061;branch={branch}\r\n\
             Max-Forwards: 69\r\nFrom: \"Bob\" <sip:bob@example.test>;tag=bobtag\r\nTo: {to}\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n{extra}Content-Length: {length}\r\n\r\n"
        )
        .into_bytes();
        out.extend_from_slice(body);
        out
    }
}

/// The expiry in the first Contact.
pub fn contact_expires(message: &Message) -> Option<u32> {
    message.contacts().next()?.ok()?.expires()
}

/// The first Contact's URI.
pub fn contact_uri(message: &Message) -> String {
    match message.contacts().next().unwrap().unwrap() {
        Contact::Address(address) => address.uri.to_string(),
        Contact::Star => "*".into(),
    }
}

pub fn status(message: &Message) -> u16 {
    message.status().expect("a response").code()
}
