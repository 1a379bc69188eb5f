//! Messages out of a stream of bytes (RFC 3261 §18.3).

use crate::defect::{Defect, Place, Problem};
use crate::judge::{Judgement, judge, refuse};
use crate::lex::{class, run};
use crate::limits::{MAX_BODY, MAX_HEAD, MAX_SKIPPED};
use crate::{Header, Message};
use bytes::{Buf, BytesMut};
use memchr::memmem;

/// Cuts a stream into messages: the same ones for every cut of its bytes.
///
/// ```
/// use aldis_sip::{Frame, Framer};
/// let mut framer = Framer::new();
/// framer.push(b"\r\nOPTIONS sip:a SIP/2.0\r\nl:");
/// assert!(matches!(framer.next(), Some(Frame::LineEnd)));
/// assert!(framer.next().is_none());
/// framer.push(b" 0\r\n\r\n");
/// assert!(matches!(framer.next(), Some(Frame::Judged(_))));
/// ```
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
    /// Up to where the buffer was searched for the end of a head.
    searched: usize,
    /// Whether the first line of that head was looked at.
    begun: bool,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Between,
    /// A head has been read; this many bytes of body must come.
    Body(Box<Message>, usize),
    /// This many bytes of a refused body are still to be passed over.
    Skipping(usize),
    Closed,
}

/// What came out of the stream.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // taken apart where it is made: a box would cost each message an allocation
pub enum Frame {
    /// A CR LF between messages: a pong to one who waits for it, half a ping to others (RFC 5626 §4.4.1).
    LineEnd,
    /// A message, or the judgement on what should have been one. After [`Judgement::Close`] nothing more comes.
    Judged(Judgement),
}

impl Framer {
    /// At the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes that were received. Call [`Framer::next`] until it gives `None` before adding more: what waits in the
    /// framer is then at most a head and a body within their limits.
    pub fn push(&mut self, bytes: &[u8]) {
        if !matches!(self.state, State::Closed) {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Bytes that wait for more.
    pub fn waiting(&self) -> usize {
        self.buffer.len()
    }

    /// The next thing in the stream; `None` if more bytes are needed.
    #[allow(clippy::should_implement_trait)] // not an iterator: after None more may come
    pub fn next(&mut self) -> Option<Frame> {
        loop {
            match std::mem::take(&mut self.state) {
                State::Closed => {
                    self.state = State::Closed;
                    return None;
                }
                State::Skipping(left) => {
                    let now = left.min(self.buffer.len());
                    self.buffer.advance(now);
                    if now < left {
                        self.state = State::Skipping(left - now);
                        return None;
                    }
                }
                State::Body(message, length) => {
                    if self.buffer.len() < length {
                        self.state = State::Body(message, length);
                        return None;
                    }
                    let body = self.buffer.split_to(length).freeze();
                    return Some(Frame::Judged(judge(message.with_body(body))));
                }
                State::Between => match self.between()? {
                    Step::Frame(frame) => return Some(frame),
                    Step::State(state) => self.state = state,
                },
            }
        }
    }

    /// Reads what stands between two messages: line ends, or a head.
    fn between(&mut self) -> Option<Step> {
        if self.searched == 0 {
            match self.buffer.get(..2) {
                Some(b"\r\n") => {
                    self.buffer.advance(2);
                    return Some(Step::Frame(Frame::LineEnd));
                }
                // A stray LF does nothing (I-19); a stray CR only together with what follows it.
                _ if self.buffer.first() == Some(&b'\n') => {
                    self.buffer.advance(1);
                    return self.between_again();
                }
                None => return None,
                Some([b'\r', _]) => {
                    self.buffer.advance(1);
                    return self.between_again();
                }
                Some(_) => {}
            }
        }
        if !self.begun && self.begins_otherwise()? {
            return Some(self.close(Place::StartLine, 0, Problem::NotAStartLine));
        }
        let from = self.searched.saturating_sub(3);
        let found = memmem::find(self.buffer.get(from..).unwrap_or_default(), b"\r\n\r\n");
        let Some(end) = found.map(|at| from + at + 4) else {
            self.searched = self.buffer.len();
            return (self.buffer.len() > MAX_HEAD).then(|| self.close(Place::Head, MAX_HEAD, Problem::Limit));
        };
        (self.searched, self.begun) = (0, false);
        if end > MAX_HEAD {
            return Some(self.close(Place::Head, MAX_HEAD, Problem::Limit));
        }
        let head = self.buffer.split_to(end).freeze();
        Some(match Message::parse_head(head) {
            Ok((message, _)) => self.head(message),
            Err(defect) => self.close(defect.place, defect.offset, defect.problem),
        })
    }

    /// Whether the first line is none of SIP, which needs not wait for the end of a head that may never come: it begins
    /// with neither `SIP/` nor a method and a space, as HTTP's status line, a TLS record or noise. `None` if more must come.
    fn begins_otherwise(&mut self) -> Option<bool> {
        let (seen, end) = (self.searched, self.buffer.len().min(MAX_HEAD));
        let Some(feed) = memchr::memchr(b'\n', self.buffer.get(seen..end).unwrap_or_default()) else {
            self.searched = end;
            // A head whose first line alone is over the limit is over it.
            return (self.buffer.len() > MAX_HEAD).then_some(false);
        };
        self.begun = true;
        let line = self.buffer.get(..seen + feed).unwrap_or_default();
        let method = run(line, 0, class::TOKEN);
        let is_sip = line.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"));
        Some(!is_sip && (method == 0 || line.get(method) != Some(&b' ')))
    }

    fn between_again(&mut self) -> Option<Step> {
        Some(Step::State(State::Between))
    }

    /// A head is complete: how long is the body, and can that be believed?
    fn head(&mut self, message: Message) -> Step {
        if message.line_defect().is_some() && hides_a_length(message.head_bytes()) {
            return self.close(Place::header(Header::ContentLength), 0, Problem::ContentLength);
        }
        let length = match message.content_length() {
            Ok(Some(length)) => usize::try_from(length).unwrap_or(usize::MAX),
            Ok(None) => {
                return self.close(
                    Place::header(Header::ContentLength),
                    message.head_length(),
                    Problem::NoContentLength,
                );
            }
            Err(defect) => return self.close(defect.place, defect.offset, defect.problem),
        };
        if length <= MAX_BODY {
            return Step::State(State::Body(Box::new(message), length));
        }
        let defect = Defect { place: Place::Body, offset: message.head_length(), problem: Problem::Limit };
        if length > MAX_SKIPPED {
            return self.close(defect.place, defect.offset, defect.problem);
        }
        self.state = State::Skipping(length);
        Step::Frame(Frame::Judged(refuse(message, defect)))
    }

    fn close(&mut self, place: Place, offset: usize, problem: Problem) -> Step {
        self.state = State::Closed;
        self.buffer = BytesMut::new();
        Step::Frame(Frame::Judged(Judgement::Close(Defect { place, offset, problem })))
    }
}

enum Step {
    Frame(Frame),
    State(State),
}

/// Whether a head with a defective line has a Content-Length where we do not read one but another might: behind a lone
/// CR or LF, or with a name that is not quite a token. Then two readers would disagree about where the next message
/// begins.
fn hides_a_length(head: &[u8]) -> bool {
    let mut at = 0;
    head.split(|b| matches!(b, b'\r' | b'\n')).any(|line| {
        let begins = at;
        at += line.len() + 1;
        let name = line.split(|b| *b == b':').next().unwrap_or_default();
        let plain: Vec<u8> =
            name.iter().copied().filter(|b| b.is_ascii_alphanumeric() || *b == b'-').collect();
        if Header::of(&plain) != Header::ContentLength {
            return false;
        }
        let is_line = begins == 0 || head.get(begins.saturating_sub(2)..begins) == Some(b"\r\n");
        let is_name = Header::of(name.trim_ascii_end()) == Header::ContentLength && name.len() < line.len();
        !(is_line && is_name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &str = "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TLS a;branch=z9hG4bK1\r\nFrom: <sip:a>;tag=1\r\n\
        To: <sip:a>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n";

    /// What comes out when `bytes` are pushed in the given pieces.
    fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let mut framer = Framer::new();
        let mut out = Vec::new();
        for piece in pieces {
            framer.push(piece);
            while let Some(frame) = framer.next() {
                out.push(match frame {
                    Frame::LineEnd => "line end".into(),
                    Frame::Judged(Judgement::Message(message)) => {
                        format!("message {}", String::from_utf8_lossy(message.body()))
                    }
                    Frame::Judged(Judgement::Reject(rejection)) => format!("reject {}", rejection.status),
                    Frame::Judged(Judgement::Drop(_)) => "drop".into(),
                    Frame::Judged(Judgement::Close(_)) => "close".into(),
                });
            }
        }
        out
    }

    #[test]
    fn every_cut_gives_the_same_messages_wire_02() {
        let stream = format!("\r\n\r\n{OPTIONS}l\r\n : 5\r\n\r\nhello{OPTIONS}Content-Length: 0\r\n\r\n\r\n");
        let whole = frames([stream.as_bytes()]);
        assert_eq!(whole, ["line end", "line end", "message hello", "message ", "line end"]);
        for cut in 0..stream.len() {
            let (a, b) = stream.as_bytes().split_at(cut);
            assert_eq!(frames([a, b]), whole, "cut at {cut}");
        }
        assert_eq!(frames(stream.as_bytes().chunks(1)), whole);
    }

    #[test]
    fn framing_that_is_lost_closes() {
        for line in [
            "",
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 5, 6\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: 5x\r\n",
            "Content-Length: 99999999999999999999999\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: 999999999\r\n",
            "Content-Length: 0\r\nContent-Length\0: 5\r\n",
            "Content-Length: 0\r\nX: a\nContent-Length: 5\r\n",
            "Content-Length: 0\r\nX: a\rl: 5\r\n",
        ] {
            let out = frames([format!("{OPTIONS}{line}\r\nhello").as_bytes()]);
            assert_eq!(out, ["close"], "{line:?}");
        }
    }

    #[test]
    fn what_is_not_sip_closes_at_its_first_line_without_waiting_for_a_head() {
        for text in [
            "HTTP/1.1 400 Bad Request\r\n",
            "\x16\x03\x01\x00\x02\n",
            " OPTIONS sip:a SIP/2.0\r\n",
            "220 hello\n\n",
        ] {
            let out = frames([text.as_bytes()]);
            assert_eq!(out, if text.starts_with("220 ") { vec![] } else { vec!["close"] }, "{text:?}");
            assert_eq!(frames(text.as_bytes().chunks(1)), out, "{text:?}");
        }
        // A method and a space is a request, however bad: it is answered when its head is complete.
        let stream = format!("OPTIONS sip:a\r\nl: 0\r\n\r\n{OPTIONS}l: 0\r\n\r\n");
        assert_eq!(frames([stream.as_bytes()]), ["reject 400", "message "]);
    }

    #[test]
    fn a_defective_line_that_hides_no_length_costs_only_its_message() {
        let stream = format!("{OPTIONS}broken line\r\nl: 2\r\n\r\nhi{OPTIONS}l: 0\r\n\r\n");
        assert_eq!(frames([stream.as_bytes()]), ["reject 400", "message "]);
    }

    #[test]
    fn a_body_over_the_limit_is_refused_and_passed_over_wire_05() {
        let length = MAX_BODY + 1;
        let stream = format!("{OPTIONS}l: {length}\r\n\r\n{}{OPTIONS}l: 0\r\n\r\n", "x".repeat(length));
        let mut framer_input = stream.as_bytes().chunks(10_000);
        assert_eq!(frames(&mut framer_input), ["reject 413", "message "]);
    }

    #[test]
    fn a_head_over_the_limit_closes_and_frees_its_memory_wire_05() {
        let mut framer = Framer::new();
        framer.push(&[b'a'; MAX_HEAD + 1]);
        assert!(matches!(framer.next(), Some(Frame::Judged(Judgement::Close(_)))));
        framer.push(b"more");
        assert_eq!(framer.waiting(), 0);
        assert!(framer.next().is_none());
    }
}
