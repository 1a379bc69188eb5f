//! A trace of the SIP messages on the wire, with what is secret left out.

use aldis_sip::{Frame, Framer, Header, Judgement, Message, StartLine};
use bytes::Bytes;
use std::fmt;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// Parameters whose values are secret, or would help to guess a secret: digest answers and proofs, push tokens.
const SECRET_PARAMETERS: &[&str] = &["response", "cnonce", "rspauth", "nextnonce", "pn-prid"];
/// What stands in the place of a secret.
const HIDDEN: &str = "…";

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From us to the server.
    Sent,
    /// From the server to us.
    Received,
}

/// One message of the trace.
#[derive(Clone, Debug)]
pub struct TraceEntry {
    /// Which way it went.
    pub direction: Direction,
    /// When, since 1970-01-01T00:00:00Z.
    pub at: Duration,
    /// The message: every header, secrets replaced by `…`, the body only if it was asked for. Lines end in LF.
    pub text: String,
}

type Sink = Arc<dyn Fn(TraceEntry) + Send + Sync>;

/// Where a trace goes, and whether bodies go with it.
#[derive(Clone)]
pub struct Trace {
    sink: Sink,
    bodies: bool,
}

impl Trace {
    /// A trace to this function, which is called from the phone's task and should return quickly.
    pub fn new(sink: impl Fn(TraceEntry) + Send + Sync + 'static) -> Self {
        Trace { sink: Arc::new(sink), bodies: false }
    }

    /// Shows bodies too: what people wrote to each other.
    pub fn with_bodies(mut self) -> Self {
        self.bodies = true;
        self
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").field("bodies", &self.bodies).finish_non_exhaustive()
    }
}

/// The trace of one connection.
pub(crate) struct Tracer {
    trace: Trace,
    /// Received bytes come in pieces; what is traced are messages.
    framer: Framer,
}

impl Tracer {
    pub fn new(trace: Trace) -> Self {
        Tracer { trace, framer: Framer::new() }
    }

    pub fn sent(&self, at: Duration, bytes: &Bytes) {
        // Line ends are keep-alives.
        if let Ok((message, _)) = Message::parse(bytes.clone()) {
            self.tell(Direction::Sent, at, self.show(&message));
        }
    }

    pub fn received(&mut self, at: Duration, bytes: &[u8]) {
        self.framer.push(bytes);
        while let Some(frame) = self.framer.next() {
            let text = match frame {
                Frame::LineEnd => continue,
                Frame::Judged(Judgement::Message(message)) => self.show(&message),
                Frame::Judged(Judgement::Reject(rejection)) => {
                    format!(
                        "({}, answered with {})\n{}",
                        rejection.defect,
                        rejection.status,
                        self.show(&rejection.request)
                    )
                }
                Frame::Judged(Judgement::Drop(defect)) => format!("(a response that is dropped: {defect})\n"),
                Frame::Judged(Judgement::Close(defect)) => format!("(not SIP: {defect})\n"),
            };
            self.tell(Direction::Received, at, text);
        }
    }

    fn tell(&self, direction: Direction, at: Duration, text: String) {
        (self.trace.sink)(TraceEntry { direction, at, text });
    }

    fn show(&self, message: &Message) -> String {
        let mut out = match message.start_line() {
            Ok(StartLine::Request { method, uri }) => format!("{method} {} SIP/2.0", redact(uri)),
            Ok(StartLine::Response { status, reason }) => format!("SIP/2.0 {status} {}", printable(&reason)),
            Err(defect) => format!("({defect})"),
        };
        out.push('\n');
        for field in message.fields() {
            let value = String::from_utf8_lossy(field.value);
            let value = match field.header {
                Header::Authorization | Header::ProxyAuthorization if !is_digest(&value) => HIDDEN.into(),
                _ => redact(&value),
            };
            // Writing to a String does not fail.
            let _ = writeln!(out, "{}: {}", field.name, printable(&value));
        }
        let body = message.body();
        match (body.is_empty(), self.trace.bodies) {
            (true, _) => {}
            (false, true) => {
                let _ = write!(out, "\n{}\n", String::from_utf8_lossy(body).replace('\r', ""));
            }
            (false, false) => {
                let _ = write!(out, "\n({} bytes of body)\n", body.len());
            }
        }
        out
    }
}

fn is_digest(value: &str) -> bool {
    value.split_ascii_whitespace().next().is_some_and(|scheme| scheme.eq_ignore_ascii_case("digest"))
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// A header value with the values of secret parameters hidden, quoted or not.
fn redact(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    loop {
        let Some((before, after)) = rest.split_once('=') else {
            out.push_str(rest);
            return out;
        };
        out.push_str(before);
        out.push('=');
        let name =
            before.rsplit([' ', '\t', ',', ';', '?', '&']).find(|word| !word.is_empty()).unwrap_or_default();
        let (text, tail) = parameter_value(after);
        let secret = SECRET_PARAMETERS.iter().any(|known| name.trim().eq_ignore_ascii_case(known));
        out.push_str(if secret { HIDDEN } else { text });
        rest = tail;
    }
}

/// Splits behind a parameter's value.
fn parameter_value(text: &str) -> (&str, &str) {
    let white = text.len() - text.trim_start().len();
    let inner = text.get(white..).unwrap_or_default();
    let end = if inner.starts_with('"') {
        let mut escaped = false;
        inner
            .char_indices()
            .skip(1)
            .find(|(_, c)| {
                let ends = *c == '"' && !escaped;
                escaped = *c == '\\' && !escaped;
                ends
            })
            .map_or(inner.len(), |(at, _)| at + 1)
    } else {
        inner.find([',', ';', ' ', '\t', '>', '?', '&']).unwrap_or(inner.len())
    };
    text.split_at_checked(white + end).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    fn traced(bodies: bool, message: &str) -> String {
        let seen = Arc::new(Mutex::new(String::new()));
        let sink = seen.clone();
        let trace = Trace::new(move |entry| sink.lock().unwrap().push_str(&entry.text));
        let trace = if bodies { trace.with_bodies() } else { trace };
        let mut tracer = Tracer::new(trace);
        tracer.sent(Duration::ZERO, &Bytes::copy_from_slice(message.as_bytes()));
        let sent = std::mem::take(&mut *seen.lock().unwrap());
        for byte in message.as_bytes().chunks(7) {
            tracer.received(Duration::ZERO, byte);
        }
        assert_eq!(sent, *seen.lock().unwrap());
        sent
    }

    const MESSAGE: &str = "MESSAGE sip:bob@b.test SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK1\r\nFrom: <sip:a@b.test>;tag=1\r\n\
        To: <sip:bob@b.test>\r\nCall-ID: 1\r\nCSeq: 1 MESSAGE\r\n\
        Contact: <sip:a@b.test;pn-provider=apns;pn-prid=TOKEN>;expires=5\r\n\
        Authorization: Digest username=\"a\", realm=\"b, c=\\\"d\", response = \"SECRET\\\"MORE\", cnonce=SALT, nc=00000001\r\n\
        Proxy-Authorization: Bearer SECRETTOKEN\r\nContent-Length: 5\r\n\r\nhello";

    #[test]
    fn every_header_stays_and_no_secret_does() {
        let text = traced(false, MESSAGE);
        for kept in [
            "MESSAGE sip:bob@b.test SIP/2.0\n",
            "pn-provider=apns",
            ";pn-prid=…>;expires=5",
            "username=\"a\"",
            "realm=\"b, c=\\\"d\"",
            "response =…",
            "nc=00000001",
            "Proxy-Authorization: …",
            "(5 bytes of body)",
        ] {
            assert!(text.contains(kept), "{kept} is not in\n{text}");
        }
        for secret in ["SECRET", "MORE", "SALT", "TOKEN", "hello"] {
            assert!(!text.contains(secret), "{secret} is in\n{text}");
        }
    }

    #[test]
    fn bodies_are_shown_only_if_asked_for() {
        assert!(traced(true, MESSAGE).ends_with("\nhello\n"));
    }
}
