//! What a registrar does wrong when it is told to.

use aldis_sip::{Method, StatusCode};
use bytes::Bytes;
use std::time::Duration;

/// Which requests a fault concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requests {
    /// All of them.
    Any,
    /// REGISTER.
    Register,
    /// MESSAGE.
    Message,
}

impl Requests {
    pub(crate) fn include(self, method: &Method<'_>) -> bool {
        match self {
            Requests::Any => true,
            Requests::Register => *method == Method::Register,
            Requests::Message => *method == Method::Message,
        }
    }
}

/// How often a fault happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// The next time.
    Once,
    /// The next so many times.
    Next(u32),
    /// Until it is cleared.
    Always,
}

/// Something that a registrar does wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Shakes hands and reads, but answers nothing, not even a ping.
    Silence,
    /// Accepts the TCP connection and never answers the ClientHello.
    SilenceBeforeHandshake,
    /// Closes the connection as soon as the handshake is complete.
    CloseAfterHandshake,
    /// Closes the connection instead of answering such a request.
    CloseAfter(Requests),
    /// Answers with these bytes instead of SIP; [`Fault::garbage`] has some.
    Garbage {
        /// Which requests.
        to: Requests,
        /// The answer.
        bytes: Bytes,
    },
    /// Answers with this status; [`Fault::answer`] begins one.
    Answer {
        /// Which requests.
        to: Requests,
        /// The status.
        status: StatusCode,
        /// Further headers, names and values. What is no header line is left out.
        headers: Vec<(String, String)>,
        /// Whether only a request with good credentials is answered so, and others are challenged before.
        authenticated: bool,
    },
    /// Does as asked, but sends no response.
    DropResponse(Requests),
    /// Responds this much later.
    Delay(Requests, Duration),
    /// Responds with a CSeq number that is one too high.
    WrongCSeq(Requests),
    /// Responds with another branch in the Via.
    WrongBranch(Requests),
    /// Responds with this many bytes more.
    Huge {
        /// Which requests.
        to: Requests,
        /// Bytes added to the head, in lines of a thousand.
        head: usize,
        /// Bytes of the body.
        body: usize,
    },
    /// The 200 to a REGISTER does not list the client's own binding.
    WithoutBinding,
    /// The 200 to a REGISTER lists the client's own binding with `expires=0`.
    ExpiresZero,
    /// The 200 to a REGISTER lists two bindings of other devices before the client's.
    OthersFirst,
    /// Challenges again, whatever the credentials, each time with a new nonce.
    ChallengeLoop {
        /// Whether the challenge says that the old nonce was stale.
        stale: bool,
    },
    /// The `rspauth` of Authentication-Info is wrong.
    WrongRspauth,
    /// Authentication-Info has a `nextnonce`, and the old nonce is stale from then on.
    NextNonce,
    /// Sends a MESSAGE to its recipient twice.
    DeliverTwice {
        /// Whether the second is a retransmission of the first (same branch), else it is a transaction of its own.
        same_transaction: bool,
    },
    /// Pings are not answered.
    NoPong,
}

/// Bytes that are not SIP: some binary, then an answer of another protocol.
const GARBAGE: &[u8] = b"\x16\x03\x01\x00\xff\xfe\x00HTTP/1.1 400 Bad Request\r\nServer: none\r\n\r\n";

impl Fault {
    /// Answers such requests with bytes that are not SIP.
    pub fn garbage(to: Requests) -> Fault {
        Fault::Garbage { to, bytes: Bytes::from_static(GARBAGE) }
    }

    /// Answers such requests with this status (100 to 699; others count as 500), before any challenge.
    pub fn answer(to: Requests, status: u16) -> Fault {
        let status = StatusCode::new(status).unwrap_or(StatusCode::SERVER_INTERNAL_ERROR);
        Fault::Answer { to, status, headers: Vec::new(), authenticated: false }
    }

    /// [`Fault::Answer`] with a Retry-After of so many seconds.
    pub fn retry_after(self, seconds: u32) -> Fault {
        self.header("Retry-After", seconds.to_string())
    }

    /// [`Fault::Answer`] with a further header; other faults stay as they are.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Fault {
        if let Fault::Answer { headers, .. } = &mut self {
            headers.push((name.into(), value.into()));
        }
        self
    }

    /// [`Fault::Answer`] only to a request with good credentials; other faults stay as they are.
    pub fn after_authentication(mut self) -> Fault {
        if let Fault::Answer { authenticated, .. } = &mut self {
            *authenticated = true;
        }
        self
    }
}

/// The faults that are set, in the order in which they were.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// With how often each is still to happen; `None` for always.
    set: Vec<(Fault, Option<u32>)>,
}

impl Faults {
    pub fn set(&mut self, fault: Fault, times: Times) {
        let left = match times {
            Times::Once => Some(1),
            Times::Next(0) => return,
            Times::Next(count) => Some(count),
            Times::Always => None,
        };
        self.set.push((fault, left));
    }

    pub fn clear(&mut self, fault: &Fault) {
        self.set.retain(|(set, _)| set != fault);
    }

    pub fn clear_all(&mut self) {
        self.set.clear();
    }

    /// The first fault that `pick` recognizes, counted as having happened.
    pub fn take<T>(&mut self, pick: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        let (at, picked) =
            self.set.iter().enumerate().find_map(|(at, (fault, _))| Some((at, pick(fault)?)))?;
        let spent = match self.set.get_mut(at) {
            Some((_, Some(left))) => {
                *left -= 1;
                *left == 0
            }
            _ => false,
        };
        if spent {
            self.set.remove(at);
        }
        Some(picked)
    }

    /// Whether this fault is set, counted as having happened.
    pub fn has(&mut self, fault: &Fault) -> bool {
        self.take(|set| (set == fault).then_some(())).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_happens_as_often_as_it_was_told() {
        let mut faults = Faults::default();
        faults.set(Fault::Silence, Times::Next(2));
        faults.set(Fault::NoPong, Times::Always);
        let seen: Vec<_> =
            (0..4).map(|_| (faults.has(&Fault::Silence), faults.has(&Fault::NoPong))).collect();
        assert_eq!(seen, [(true, true), (true, true), (false, true), (false, true)]);
        faults.clear(&Fault::NoPong);
        assert!(!faults.has(&Fault::NoPong));
    }

    #[test]
    fn faults_of_one_kind_happen_in_the_order_in_which_they_were_set() {
        let mut faults = Faults::default();
        faults.set(Fault::answer(Requests::Register, 503), Times::Once);
        faults.set(Fault::answer(Requests::Register, 403), Times::Once);
        let mut next = || {
            faults.take(|fault| match fault {
                Fault::Answer { status, .. } => Some(status.code()),
                _ => None,
            })
        };
        assert_eq!([next(), next(), next()], [Some(503), Some(403), None]);
    }
}
