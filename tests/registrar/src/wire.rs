//! Messages taken apart into lines and put together again: what a proxy changes, and what a fault spoils.

use aldis_sip::fields::{FieldValue, Via};
use aldis_sip::{FieldText, Header, Message, Method, ParamValue, Params, StartLine, StatusCode, Writer};
use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use std::net::SocketAddr;

/// A message as lines that can be changed.
#[derive(Clone, Debug)]
pub(crate) struct Editable {
    pub start: String,
    /// Name, header and value; every Via value in a line of its own, before the others. Without Content-Length.
    pub lines: Vec<(Header, String, Vec<u8>)>,
    pub body: Bytes,
}

impl Editable {
    /// `None` for what is neither a request nor a response.
    pub fn of(message: &Message) -> Option<Editable> {
        let start = match message.start_line().ok()? {
            StartLine::Request { method, uri } => format!("{method} {uri} SIP/2.0"),
            StartLine::Response { status, reason } => format!("SIP/2.0 {status} {reason}"),
        };
        let vias = message.all::<Via<'_>>().flatten();
        let mut lines: Vec<_> = vias.map(|via| line(Header::Via, via.to_string())).collect();
        for field in message.fields() {
            if matches!(field.header, Header::Via | Header::ContentLength) {
                continue;
            }
            let name = if field.header == Header::Other { field.name } else { field.header.name() };
            lines.push((field.header, name.to_owned(), field.value.to_vec()));
        }
        Some(Editable { start, lines, body: message.body().clone() })
    }

    /// A request that begins here.
    pub fn request(method: &str, uri: &str) -> Editable {
        Editable { start: format!("{method} {uri} SIP/2.0"), lines: Vec::new(), body: Bytes::new() }
    }

    /// Puts a line before all others.
    pub fn push_front(&mut self, header: Header, value: String) {
        self.lines.insert(0, line(header, value));
    }

    /// Adds a line.
    pub fn push(&mut self, name: &str, value: &str) {
        self.lines.push((Header::of(name.as_bytes()), name.to_owned(), value.as_bytes().to_vec()));
    }

    /// Removes the first line of this header.
    pub fn remove_first(&mut self, header: Header) -> Option<Vec<u8>> {
        let at = self.lines.iter().position(|(h, _, _)| *h == header)?;
        Some(self.lines.remove(at).2)
    }

    /// Replaces the first line of this header, or adds one.
    pub fn set(&mut self, header: Header, value: String) {
        match self.lines.iter_mut().find(|(h, _, _)| *h == header) {
            Some((_, _, old)) => *old = value.into_bytes(),
            None => self.lines.push(line(header, value)),
        }
    }

    /// The value of the first line of this header.
    pub fn value(&self, header: Header) -> Option<&str> {
        let (_, _, value) = self.lines.iter().find(|(h, _, _)| *h == header)?;
        std::str::from_utf8(value).ok()
    }

    /// Changes parameters of the topmost Via.
    pub fn edit_via(&mut self, edit: impl FnOnce(Via<'_>) -> Option<String>) {
        let edited = self.value(Header::Via).and_then(|text| Via::parse(text).ok()).and_then(edit);
        if let Some(value) = edited {
            self.set(Header::Via, value);
        }
    }

    /// The message, with the Content-Length of its body. What a line cannot hold becomes a space.
    pub fn bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(1024 + self.body.len());
        out.extend_from_slice(self.start.as_bytes());
        out.extend_from_slice(b"\r\n");
        for (_, name, value) in &self.lines {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend(value.iter().map(|b| if matches!(b, b'\r' | b'\n' | 0) { b' ' } else { *b }));
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", self.body.len()).as_bytes());
        out.extend_from_slice(&self.body);
        out.into()
    }
}

fn line(header: Header, value: String) -> (Header, String, Vec<u8>) {
    (header, header.name().to_owned(), value.into_bytes())
}

/// Parameters as they were written, but those that `keep` refuses: quotes stay where they were, since a feature tag
/// means something else without them (RFC 3840 §9).
pub(crate) fn written(params: &Params<'_>, keep: impl Fn(&str) -> bool) -> String {
    let mut out = String::new();
    for (name, value) in params.iter().filter(|(name, _)| keep(name)) {
        out.push(';');
        out.push_str(name);
        match value {
            None => {}
            Some(ParamValue::Token(text)) => out.extend(["=", text]),
            Some(ParamValue::Quoted(quoted)) => out.extend(["=\"", quoted.raw(), "\""]),
        }
    }
    out
}

/// The topmost Via of a request that is forwarded: `received` if sent-by is not the peer's address, and an empty `rport`
/// filled in (RFC 3261 §18.2.1, RFC 3581 §4).
pub(crate) fn with_received(via: &Via<'_>, peer: SocketAddr) -> Option<String> {
    let asked = via.params.get("rport") == Some(None);
    let host = via.sent_by.host.trim_matches(['[', ']']);
    if !asked && host.parse() == Ok(peer.ip()) {
        return None;
    }
    let kept = written(&via.params, |name| {
        !(name.eq_ignore_ascii_case("received") || asked && name.eq_ignore_ascii_case("rport"))
    });
    let rport = if asked { format!(";rport={}", peer.port()) } else { String::new() };
    Some(format!("SIP/2.0/{} {}{kept};received={}{rport}", via.transport, via.sent_by, peer.ip()))
}

/// A response to be written.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub status: StatusCode,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl Reply {
    pub fn new(status: StatusCode) -> Reply {
        Reply { status, headers: Vec::new(), body: Bytes::new() }
    }

    pub fn with(mut self, header: Header, value: impl Into<String>) -> Reply {
        self.headers.push((header.name().to_owned(), value.into()));
        self
    }

    /// The response to `request`. A header whose name is no token or whose value is no line is left out.
    pub fn bytes(&self, request: &Message, tag: &str, peer: SocketAddr) -> Bytes {
        let Ok(tag) = FieldText::new(tag) else { return Bytes::new() };
        let mut writer = Writer::response_to(request, self.status, &tag, Some((peer.ip(), peer.port())));
        for (name, value) in &self.headers {
            let Ok(value) = FieldText::new(value.as_str()) else { continue };
            if let Ok(longer) = writer.clone().extension(name, &value) {
                writer = longer;
            }
        }
        writer.finish(&self.body)
    }
}

/// Which server transaction a request belongs to (RFC 3261 §17.2.3), as a key. `method` stands for the request's own,
/// so that a CANCEL finds what it cancels.
pub(crate) fn transaction_key(request: &Message, method: &Method<'_>) -> Option<String> {
    let via = request.via().ok()?;
    if let Some(branch) = via.transaction_branch() {
        return Some(format!("{branch} {} {method}", via.sent_by.to_string().to_ascii_lowercase()));
    }
    let (from, to) = (request.from().ok()?, request.to().ok()?);
    let uri = request.request_uri().ok()??;
    Some(format!(
        "{uri} {} {} {} {} {method} {via}",
        from.tag().unwrap_or_default(),
        to.tag().unwrap_or_default(),
        request.call_id().ok()?,
        request.cseq().ok()?.number,
    ))
}

/// Tags, branches and nonces, from a seed.
pub(crate) struct Random(ChaCha20Rng);

impl Random {
    pub fn new(seed: [u8; 32]) -> Random {
        Random(ChaCha20Rng::from_seed(seed))
    }

    /// A token of 16 random bytes in hexadecimal.
    pub fn token(&mut self) -> String {
        let mut bytes = [0u8; 16];
        self.0.fill_bytes(&mut bytes);
        format!("{:032x}", u128::from_be_bytes(bytes))
    }

    /// A branch (RFC 3261 §8.1.1.7).
    pub fn branch(&mut self) -> String {
        format!("z9hG4bK{}", self.token())
    }

    /// A number from `least` to `most`.
    pub fn between(&mut self, least: u32, most: u32) -> u32 {
        let span = u64::from(most.saturating_sub(least)) + 1;
        least.saturating_add(u32::try_from(u64::from(self.0.next_u32()) % span).unwrap_or(0))
    }
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Random").finish_non_exhaustive()
    }
}
