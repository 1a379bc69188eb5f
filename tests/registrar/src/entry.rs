//! What can happen at the server.

use crate::digest::AuthRefusal;
#[cfg(feature = "tls")]
use crate::tls::TlsFacts;
use aldis_sip::auth::{Algorithm, Qop};
use aldis_sip::{Message, StatusCode};
use bytes::Bytes;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// One TCP connection, numbered from 1 in the order of acceptance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(crate) u64);

impl ConnectionId {
    /// The number, from 1.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// One thing that happened. Its `Display` is one line without bodies and headers.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The position in the log, from 0.
    pub number: u64,
    /// When, since the server started.
    pub time: Duration,
    /// On which connection.
    pub connection: ConnectionId,
    /// What.
    pub what: What,
}

/// What can happen.
#[derive(Clone, Debug)]
pub enum What {
    /// A TCP connection was accepted.
    Accepted {
        /// From where.
        peer: SocketAddr,
    },
    /// A ClientHello came.
    ClientHello {
        /// Its server name indication.
        server_name: Option<String>,
        /// The application protocols that it offers.
        alpn: Vec<Vec<u8>>,
    },
    /// The TLS handshake is complete.
    #[cfg(feature = "tls")]
    Handshake(TlsFacts),
    /// The TLS handshake failed.
    HandshakeFailed {
        /// rustls' words; an alert of the client stands in it by name.
        why: String,
    },
    /// A SIP message came, or what should have been one.
    Received(Traffic),
    /// A SIP message was written to the connection.
    Sent(Traffic),
    /// A CRLF came between messages.
    LineEnd,
    /// The second CRLF of a ping came (RFC 5626 §4.4.1).
    Ping,
    /// A pong was written.
    Pong,
    /// Bytes that are not SIP were written.
    Raw(Bytes),
    /// A request had good credentials.
    Authenticated {
        /// Whose.
        user: String,
        /// The algorithm of the digest.
        algorithm: Algorithm,
        /// Its protection.
        qop: Option<Qop>,
    },
    /// A request had a good bearer token.
    TokenAccepted {
        /// Whose.
        user: String,
    },
    /// A request had no good credentials.
    Unauthenticated {
        /// Why.
        why: AuthRefusal,
    },
    /// A push service was asked to wake a device (RFC 8599 §5.6.2); on connection 0, which is none.
    Pushed {
        /// `pn-provider`.
        provider: String,
        /// `pn-prid`.
        prid: String,
    },
    /// The connection ended.
    Closed {
        /// By whom.
        by: ClosedBy,
    },
}

/// Who ended a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClosedBy {
    /// The client, in order.
    Client,
    /// The client, without TLS's close_notify, or the network.
    Broken(String),
    /// The server.
    Server,
}

/// A SIP message on its way.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// The bytes on the wire.
    pub raw: Bytes,
    /// What they mean, if they could be read.
    pub message: Option<Message>,
}

impl Traffic {
    #[cfg(feature = "tls")]
    pub(crate) fn sent(raw: Bytes) -> Traffic {
        let message = Message::parse(raw.clone()).ok().map(|(message, _)| message);
        Traffic { raw, message }
    }

    /// The bytes as text; what is not UTF-8 becomes U+FFFD.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.raw).into_owned()
    }

    fn is_request(&self, method: &str) -> bool {
        let message = self.message.as_ref();
        message.and_then(Message::method).is_some_and(|found| found.as_str() == method)
    }

    fn is_response(&self, status: u16, method: &str) -> bool {
        self.message.as_ref().is_some_and(|message| {
            message.status().map(StatusCode::code) == Some(status)
                && message.cseq().is_ok_and(|cseq| cseq.method.as_str() == method)
        })
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.raw.split(|b| *b == b'\r').next().unwrap_or_default();
        let line: String =
            String::from_utf8_lossy(line).chars().filter(|c| !c.is_control()).take(120).collect();
        f.write_str(&line)?;
        if let Some(cseq) = self.message.as_ref().and_then(|message| message.cseq().ok()) {
            write!(f, " (CSeq {cseq})")?;
        }
        Ok(())
    }
}

impl Entry {
    /// The message that was received, if that is what happened.
    pub fn received(&self) -> Option<&Traffic> {
        match &self.what {
            What::Received(traffic) => Some(traffic),
            _ => None,
        }
    }

    /// The message that was sent, if that is what happened.
    pub fn sent(&self) -> Option<&Traffic> {
        match &self.what {
            What::Sent(traffic) => Some(traffic),
            _ => None,
        }
    }

    /// The message that was received or sent.
    pub fn message(&self) -> Option<&Message> {
        self.received().or(self.sent())?.message.as_ref()
    }

    /// Whether the server received a request of this method.
    pub fn is_request(&self, method: &str) -> bool {
        self.received().is_some_and(|traffic| traffic.is_request(method))
    }

    /// Whether the server sent a request of this method.
    pub fn is_sent_request(&self, method: &str) -> bool {
        self.sent().is_some_and(|traffic| traffic.is_request(method))
    }

    /// Whether the server sent a response of this status to a request of this method.
    pub fn is_response(&self, status: u16, method: &str) -> bool {
        self.sent().is_some_and(|traffic| traffic.is_response(status, method))
    }

    /// Whether the server received a response of this status to a request of this method.
    pub fn is_received_response(&self, status: u16, method: &str) -> bool {
        self.received().is_some_and(|traffic| traffic.is_response(status, method))
    }

    /// The Call-ID of the message that was received or sent.
    pub fn call_id(&self) -> Option<String> {
        self.message()?.call_id().ok().map(|id| id.as_str().to_owned())
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>4} {:>9.3} {:>4} ", self.number, self.time.as_secs_f64(), self.connection.to_string())?;
        match &self.what {
            What::Accepted { peer } => write!(f, "accepted from {peer}"),
            What::ClientHello { server_name, .. } => {
                write!(f, "ClientHello for {}", server_name.as_deref().unwrap_or("no name"))
            }
            #[cfg(feature = "tls")]
            What::Handshake(facts) => {
                let group = facts.group.as_deref().unwrap_or("no group");
                write!(f, "TLS {} {} {group}", facts.version, facts.suite)
            }
            What::HandshakeFailed { why } => write!(f, "handshake failed: {why}"),
            What::Received(traffic) => write!(f, "<- {traffic}"),
            What::Sent(traffic) => write!(f, "-> {traffic}"),
            What::LineEnd => write!(f, "<- CRLF"),
            What::Ping => write!(f, "<- ping"),
            What::Pong => write!(f, "-> pong"),
            What::Raw(bytes) => write!(f, "-> {} bytes that are not SIP", bytes.len()),
            What::Authenticated { algorithm, qop, .. } => {
                write!(f, "authenticated: {algorithm}, qop {}", qop.map_or("none", Qop::name))
            }
            What::TokenAccepted { .. } => write!(f, "authenticated: bearer token"),
            What::Unauthenticated { why } => write!(f, "not authenticated: {why}"),
            What::Pushed { provider, .. } => write!(f, "push by {provider}"),
            What::Closed { by: ClosedBy::Client } => write!(f, "closed by the client"),
            What::Closed { by: ClosedBy::Broken(why) } => write!(f, "broken: {why}"),
            What::Closed { by: ClosedBy::Server } => write!(f, "closed by the server"),
        }
    }
}

/// Nothing that was waited for happened in time. Its `Display` has the whole log, a line for each entry.
#[derive(Debug)]
pub struct TimedOut {
    /// How long was waited.
    pub after: Duration,
    /// The log at the end.
    pub log: Vec<Entry>,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not seen within {:?}; the server's log:", self.after)?;
        self.log.iter().try_for_each(|entry| write!(f, "\n{entry}"))
    }
}

impl std::error::Error for TimedOut {}
