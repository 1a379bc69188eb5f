//! What must not be seen.

use crate::rig::{BOB, Incoming, Rig, account, seconds};
use aldis_agent::{Agent, NewMessage, Now, Output};
use aldis_sip::Secret;
use std::io::Write;
use std::sync::{Arc, Mutex};
use tracing_subscriber::fmt::MakeWriter;

const PASSWORD: &str = "pass-3141592653";
const BODY: &str = "body-2718281828";

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Captured;
    fn make_writer(&'a self) -> Captured {
        self.clone()
    }
}

/// A run in which much happens and goes wrong.
fn run() {
    let (mut rig, register) = Rig::registering_with(account().with_password(Secret::new(PASSWORD)));
    rig.reply(&register, 401, &[("WWW-Authenticate", r#"Digest realm="r", nonce="n", qop="auth""#)]);
    let register = rig.sent();
    rig.accept(
        &register,
        &[("Authentication-Info", r#"rspauth="00000000000000000000000000000000", qop=auth"#)],
    );
    rig.send(BOB, BODY);
    let message = rig.sent();
    rig.reply(&message, 407, &[("Proxy-Authenticate", r#"Digest realm="r", nonce="n", qop="auth""#)]);
    let message = rig.sent();
    rig.reply(&message, 407, &[("Proxy-Authenticate", r#"Digest realm="r", nonce="m", qop="auth""#)]);
    rig.tell(|agent, now| agent.set_credentials(now, "alice", Secret::new(PASSWORD)));
    let incoming = Incoming { body: BODY.into(), ..Incoming::default() };
    rig.receive(incoming.bytes());
    let malformed = String::from_utf8(incoming.bytes()).unwrap().replace("CSeq: 1", "CSeq: x");
    rig.receive(malformed);
    rig.receive(String::from_utf8_lossy(&incoming.bytes()).replace("MESSAGE sip:alice@", "SIP/2.0 200 OK@"));
    if rig.is_up() {
        rig.receive(format!("{BODY}\r\n\r\n"));
    }
    rig.shut_down();
    rig.pass(seconds(10));
}

#[test]
fn no_log_at_any_level_holds_a_password_or_a_body() {
    let captured = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::level_filters::LevelFilter::TRACE)
        .with_writer(captured.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, run);
    let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("does not match"), "the run logs something: {log}");
    assert!(!log.contains(PASSWORD) && !log.contains(BODY) && !log.contains("response="), "{log}");
    assert!(!log.contains("ERROR"), "{log}");
}

#[test]
fn nothing_printed_holds_a_password_an_answer_or_a_body() {
    let account = account().with_password(Secret::new(PASSWORD));
    let mut printed = format!("{account:?}");
    let message = NewMessage::new(BOB, "text/plain", BODY).unwrap();
    printed += &format!("{message:?}");
    let now = Now { mono: seconds(1), wall: seconds(1) };
    let mut agent = Agent::new(account, [1; 32]);
    agent.register(now);
    let mut flow = None;
    let mut drain = |agent: &mut Agent, printed: &mut String| {
        let mut sent = None;
        loop {
            let output = agent.poll_output();
            *printed += &format!("{output:?}");
            match output {
                Output::Connect(connect) => flow = Some(connect.flow),
                Output::Transmit(_, bytes) => sent = Some(aldis_sip::Message::parse(bytes).unwrap().0),
                Output::Wait(_) => return (flow, sent),
                _ => {}
            }
        }
    };
    let (flow, _) = drain(&mut agent, &mut printed);
    let flow = flow.unwrap();
    agent.handle_connected(now, flow, "192.0.2.1:4".parse().unwrap(), "192.0.2.2:5".parse().unwrap());
    let (_, register) = drain(&mut agent, &mut printed);
    let challenge = [("WWW-Authenticate", r#"Digest realm="r", nonce="n", qop="auth""#)];
    agent.handle_bytes(now, flow, &crate::rig::response(&register.unwrap(), 401, &challenge));
    let (_, register) = drain(&mut agent, &mut printed);
    assert!(register.unwrap().has(aldis_sip::Header::Authorization));
    agent.handle_bytes(now, flow, &Incoming { body: BODY.into(), ..Incoming::default() }.bytes());
    let extra = "Event: check-sync\r\nContent-Type: text/plain\r\n".into();
    agent.handle_bytes(now, flow, &Incoming { extra, body: BODY.into(), ..Incoming::bare("NOTIFY") }.bytes());
    drain(&mut agent, &mut printed);
    assert!(printed.contains("MessageReceived") && printed.contains("Notify"), "{printed}");
    assert!(
        !printed.contains(PASSWORD) && !printed.contains(BODY) && !printed.contains("response="),
        "{printed}"
    );
}
