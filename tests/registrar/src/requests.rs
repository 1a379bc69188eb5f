//! What becomes of a request, and how it is answered.

use crate::digest::{AuthRefusal, Granted};
use crate::entry::{ConnectionId, What};
use crate::faults::Fault;
use crate::links::Close;
use crate::machine::{Machine, Timer};
use crate::transactions::Begun;
use crate::wire::{Editable, Reply, transaction_key, written};
use aldis_sip::fields::Via;
use aldis_sip::{Header, Message, Method, StatusCode};
use bytes::Bytes;
use std::net::SocketAddr;

/// What this server does with requests, for `Allow`.
const ALLOW: &str = "REGISTER, MESSAGE, OPTIONS";
/// Option tags that a Require or Proxy-Require may name.
const KNOWN_TAGS: &[&str] = &["outbound", "path"];
/// How this server calls itself.
const SERVER: &str = "aldis-registrar";

/// A request with where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Inbound {
    pub connection: ConnectionId,
    pub peer: SocketAddr,
    pub request: Message,
    pub method: Method<'static>,
    /// Its server transaction.
    pub key: Option<String>,
}

/// How credentials are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking {
    pub status: StatusCode,
    pub challenge: Header,
    pub credentials: Header,
}

impl Asking {
    pub const REGISTRAR: Asking = Asking {
        status: StatusCode::UNAUTHORIZED,
        challenge: Header::WwwAuthenticate,
        credentials: Header::Authorization,
    };
    pub const PROXY: Asking = Asking {
        status: StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        challenge: Header::ProxyAuthenticate,
        credentials: Header::ProxyAuthorization,
    };
}

impl Machine {
    pub(crate) fn request(&mut self, connection: ConnectionId, peer: SocketAddr, request: Message) {
        let Some(method) = request.method().map(Method::into_owned) else { return };
        let closes =
            |fault: &Fault| matches!(fault, Fault::CloseAfter(to) if to.include(&method)).then_some(());
        if self.faults.take(closes).is_some() {
            self.links.close(connection, Close::Clean);
            return;
        }
        if method == Method::Ack {
            return;
        }
        let key = transaction_key(&request, &method);
        let inbound = Inbound { connection, peer, request, method, key };
        match inbound.key.as_ref().map_or(Begun::New, |key| self.servers.begin(key, self.now.mono)) {
            Begun::New => {}
            Begun::Absorbed => return,
            Begun::Repeat(answer) => {
                self.emit(connection, &inbound.method, answer);
                return;
            }
        }
        if let Some(reply) = self.ordered(&inbound.method, false) {
            self.reply(&inbound, reply);
            return;
        }
        let garbage = self.faults.take(|fault| match fault {
            Fault::Garbage { to, bytes } if to.include(&inbound.method) => Some(bytes.clone()),
            _ => None,
        });
        if let Some(bytes) = garbage {
            self.links.send_raw(connection, bytes);
            return;
        }
        self.dispatch(&inbound);
    }

    fn dispatch(&mut self, inbound: &Inbound) {
        let status = match &inbound.method {
            Method::Register => return self.register(inbound),
            Method::Message => return self.message(inbound),
            Method::Subscribe if self.options.subscriptions => return self.subscribe(inbound),
            Method::Options => {
                let reply = Reply::new(StatusCode::OK).with(Header::Allow, ALLOW);
                return self.reply(inbound, reply.with(Header::Supported, KNOWN_TAGS.join(", ")));
            }
            // A CANCEL has no effect on any request but INVITE (RFC 3261 §9.2), and here is none.
            Method::Cancel => {
                let cancelled = [Method::Message, Method::Register, Method::Options]
                    .iter()
                    .filter_map(|method| transaction_key(&inbound.request, method))
                    .any(|key| self.servers.knows(&key));
                if cancelled { StatusCode::OK } else { StatusCode::TRANSACTION_DOES_NOT_EXIST }
            }
            Method::Other(_) => StatusCode::NOT_IMPLEMENTED,
            _ => StatusCode::METHOD_NOT_ALLOWED,
        };
        self.reply(inbound, Reply::new(status).with(Header::Allow, ALLOW));
    }

    /// The answer that a fault orders.
    pub(crate) fn ordered(&mut self, method: &Method<'_>, is_authenticated: bool) -> Option<Reply> {
        self.faults.take(|fault| match fault {
            Fault::Answer { to, status, headers, authenticated }
                if to.include(method) && *authenticated == is_authenticated =>
            {
                Some(Reply { status: *status, headers: headers.clone(), body: Bytes::new() })
            }
            _ => None,
        })
    }

    /// Whose request this is; otherwise it has been answered.
    pub(crate) fn authenticate(&mut self, inbound: &Inbound, asking: Asking) -> Option<Granted> {
        let loops = self.faults.take(|fault| match fault {
            Fault::ChallengeLoop { stale } => Some(*stale),
            _ => None,
        });
        let result = match loops {
            Some(stale) => Err((AuthRefusal::Fault, stale)),
            None => self.authenticator.check(&inbound.request, asking.credentials, self.now.mono),
        };
        let (why, stale) = match result {
            Ok(granted) => {
                let user = granted.user.clone();
                self.links.tell(
                    inbound.connection,
                    match &granted.digest {
                        Some(digest) => What::Authenticated {
                            user,
                            algorithm: digest.credentials.algorithm(),
                            qop: digest.credentials.qop(),
                        },
                        None => What::TokenAccepted { user },
                    },
                );
                return Some(granted);
            }
            Err(refusal) => refusal,
        };
        let bad = why.is_bad_request();
        let refused = why == AuthRefusal::InvalidToken;
        self.links.tell(inbound.connection, What::Unauthenticated { why });
        if bad {
            self.reply(inbound, Reply::new(StatusCode::BAD_REQUEST));
            return None;
        }
        let mut reply = Reply::new(asking.status);
        for challenge in self.authenticator.challenges(stale, refused, self.now.mono, &mut self.random) {
            reply = reply.with(asking.challenge, challenge);
        }
        self.reply(inbound, reply);
        None
    }

    /// Answers a request.
    pub(crate) fn reply(&mut self, inbound: &Inbound, reply: Reply) {
        let tag = self.random.token();
        self.reply_as(inbound, reply, &tag);
    }

    /// Answers a request with this To tag.
    pub(crate) fn reply_as(&mut self, inbound: &Inbound, reply: Reply, tag: &str) {
        let mut bytes = reply.with(Header::Server, SERVER).bytes(&inbound.request, tag, inbound.peer);
        if let Some(seconds) = self.options.keep.filter(|_| asks_for_keep(&inbound.request)) {
            bytes = edited(bytes, |message| message.edit_via(|via| kept(&via, seconds)));
        }
        self.answer(inbound, bytes);
    }

    /// Ends a server transaction with its final response.
    pub(crate) fn answer(&mut self, inbound: &Inbound, bytes: Bytes) {
        if let Some(key) = &inbound.key {
            self.servers.answered(key, bytes.clone());
        }
        self.emit(inbound.connection, &inbound.method, bytes);
    }

    /// Sends a response, with the faults that are set.
    pub(crate) fn emit(&mut self, connection: ConnectionId, method: &Method<'_>, mut bytes: Bytes) {
        let mut set = |recognize: &dyn Fn(&Fault) -> bool| {
            self.faults.take(|fault| recognize(fault).then(|| fault.clone()))
        };
        if set(&|fault| matches!(fault, Fault::DropResponse(to) if to.include(method))).is_some() {
            return;
        }
        if set(&|fault| matches!(fault, Fault::WrongCSeq(to) if to.include(method))).is_some() {
            bytes = edited(bytes, wrong_cseq);
        }
        if set(&|fault| matches!(fault, Fault::WrongBranch(to) if to.include(method))).is_some() {
            bytes = edited(bytes, wrong_branch);
        }
        let huge = set(&|fault| matches!(fault, Fault::Huge { to, .. } if to.include(method)));
        if let Some(Fault::Huge { head, body, .. }) = huge {
            bytes = edited(bytes, |message| swell(message, head, body));
        }
        let delayed = set(&|fault| matches!(fault, Fault::Delay(to, _) if to.include(method)));
        if let Some(Fault::Delay(_, by)) = delayed {
            self.set_timer(self.now.mono + by, Timer::Send(connection, bytes));
            return;
        }
        self.links.send(connection, bytes);
    }
}

/// The refusal for extensions that are required and not known (RFC 3261 §8.2.2.3, §16.3 step 5).
pub(crate) fn unknown_tags<'a>(tags: impl Iterator<Item = &'a str>) -> Option<Reply> {
    let unknown: Vec<_> =
        tags.filter(|tag| !KNOWN_TAGS.iter().any(|known| known.eq_ignore_ascii_case(tag))).collect();
    let refused = !unknown.is_empty();
    refused.then(|| Reply::new(StatusCode::BAD_EXTENSION).with(Header::Unsupported, unknown.join(", ")))
}

/// The option tags of a 200 to REGISTER.
pub(crate) fn supported() -> String {
    KNOWN_TAGS.join(", ")
}

fn edited(bytes: Bytes, edit: impl FnOnce(&mut Editable)) -> Bytes {
    let message = Message::parse(bytes.clone()).ok().and_then(|(message, _)| Editable::of(&message));
    match message {
        Some(mut message) => {
            edit(&mut message);
            message.bytes()
        }
        None => bytes,
    }
}

/// Whether the topmost Via has `keep` without a value (RFC 6223 §4.2.2).
fn asks_for_keep(request: &Message) -> bool {
    request.via().is_ok_and(|via| via.params.get("keep") == Some(None))
}

/// The Via with the value of `keep`.
fn kept(via: &Via<'_>, seconds: u32) -> Option<String> {
    let others = written(&via.params, |name| !name.eq_ignore_ascii_case("keep"));
    Some(format!("SIP/2.0/{} {}{others};keep={seconds}", via.transport, via.sent_by))
}

fn wrong_cseq(message: &mut Editable) {
    let wrong = message.value(Header::CSeq).and_then(|value| {
        let (number, method) = value.split_once(' ')?;
        Some(format!("{} {method}", number.parse::<u32>().ok()?.saturating_add(1)))
    });
    if let Some(value) = wrong {
        message.set(Header::CSeq, value);
    }
}

fn wrong_branch(message: &mut Editable) {
    message.edit_via(|via: Via<'_>| {
        let branch = via.branch()?;
        Some(via.to_string().replace(&*branch, "z9hG4bKnobodys"))
    });
}

fn swell(message: &mut Editable, head: usize, body: usize) {
    const LINE: usize = 1000;
    for _ in 0..head.div_ceil(LINE) {
        message.push("X-Padding", &"x".repeat(LINE - "X-Padding: \r\n".len()));
    }
    if body > 0 {
        message.set(Header::ContentType, "text/plain".into());
        message.body = vec![b'x'; body].into();
    }
}
