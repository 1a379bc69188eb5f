//! Requests that the server itself sends to a client: what tests want to see answered.

use crate::entry::ConnectionId;
use crate::machine::Machine;
use crate::now::Now;
use crate::wire::Editable;
use aldis_sip::Header;
use bytes::Bytes;

/// A request for a registered user, of any method, known or not.
///
/// Request-URI, Via, Max-Forwards, To, Call-ID and CSeq are supplied; From is the domain unless [`Outgoing::from`] says
/// otherwise; a NOTIFY gets a Contact (RFC 6665 §8.2.1 asks for it).
#[derive(Clone, Debug)]
pub struct Outgoing {
    method: String,
    from: Option<String>,
    headers: Vec<(String, String)>,
    body: Bytes,
}

/// A request that was sent to one binding. Its answer is found in the log by the Call-ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentRequest {
    /// Over which connection.
    pub connection: ConnectionId,
    /// Its Call-ID.
    pub call_id: String,
}

impl Outgoing {
    /// A request of this method, which is written as it stands.
    pub fn new(method: impl Into<String>) -> Outgoing {
        Outgoing { method: method.into(), from: None, headers: Vec::new(), body: Bytes::new() }
    }

    /// The URI in From.
    pub fn from(mut self, uri: impl Into<String>) -> Self {
        self.from = Some(uri.into());
        self
    }

    /// A further header; it comes behind those supplied, also if it is one of them.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// A body with its Content-Type.
    pub fn body(mut self, content_type: impl Into<String>, body: impl Into<Bytes>) -> Self {
        self.headers.push((Header::ContentType.name().into(), content_type.into()));
        self.body = body.into();
        self
    }
}

impl Machine {
    /// Sends a request to every binding of a user that has a connection.
    pub fn send_request(&mut self, now: Now, user: &str, request: &Outgoing) -> Vec<SentRequest> {
        self.now = now;
        let mut sent = Vec::new();
        for target in self.bindings.targets(user, None, true, self.now.mono).into_iter().flatten() {
            let mut message = Editable::request(&request.method, &target.uri);
            let call_id = self.random.token();
            let (branch, tag) = (self.random.branch(), self.random.token());
            let domain = &self.options.domain;
            let from = request.from.clone().unwrap_or_else(|| format!("sip:{domain}"));
            message.push(
                "Via",
                &format!("SIP/2.0/TLS {};branch={branch}", self.local_address(target.connection)),
            );
            message.push("Max-Forwards", "70");
            message.push("From", &format!("<{from}>;tag={tag}"));
            message.push("To", &format!("<sip:{user}@{domain}>"));
            message.push("Call-ID", &call_id);
            message.push("CSeq", &format!("1 {}", request.method));
            if request.method == "NOTIFY" {
                message.push(
                    "Contact",
                    &format!("<sip:{};transport=tls>", self.local_address(target.connection)),
                );
            }
            for (name, value) in &request.headers {
                message.push(name, value);
            }
            message.body = request.body.clone();
            if self.links.send(target.connection, message.bytes()) {
                sent.push(SentRequest { connection: target.connection, call_id });
            }
        }
        sent
    }
}
