//! MESSAGE on its way to those who are registered (RFC 3261 §16, RFC 3428 §6, RFC 4320, RFC 5626 §7).

use crate::bindings::Target;
use crate::entry::ConnectionId;
use crate::faults::Fault;
use crate::machine::{Machine, Timer};
use crate::offline::Stored;
use crate::options::{MessageChallenge, Offline};
use crate::requests::{Asking, Inbound, unknown_tags};
use crate::transactions::TIMER_F;
use crate::wire::{Editable, Reply, with_received};
use aldis_sip::auth::Credentials;
use aldis_sip::fields::{Date, FieldValue, MaxForwards, ProxyRequire, Route};
use aldis_sip::{Header, Message, Method, StatusCode};
use std::time::Duration;

/// When a client over UDP would send for the fourth time: 100 is due then (RFC 4320 §4.1).
const TRYING_AFTER: Duration = Duration::from_millis(3500);
/// How long a request waits for a device that was woken: its sender gives up after 32 s.
const WAKING: Duration = Duration::from_secs(25);
/// For a request that comes without (RFC 3261 §16.6 step 3), and for one that begins here.
const MAX_FORWARDS: u8 = 70;

/// Who gets the answer to a forwarded request.
#[derive(Clone, Debug)]
enum Origin {
    /// The client that sent it.
    Client(Box<Inbound>),
    /// The store, which waits to hear that it was delivered.
    Store,
}

/// A request on its way to all targets of a user: the response context of RFC 3261 §16.7.
#[derive(Clone, Debug)]
pub(crate) struct Fork {
    origin: Origin,
    user: String,
    method: Method<'static>,
    /// The request without our Via.
    forward: Editable,
    /// Branches without a final answer.
    open: usize,
    best: Option<Message>,
    /// A branch ended in silence, so that there must be no answer but a better one (RFC 4320 §4.2).
    silent: bool,
    /// It waits for a device that was woken (RFC 8599 §5.6.2).
    asleep: bool,
    /// A final answer has gone out.
    answered: bool,
}

/// One client transaction of a fork.
#[derive(Clone, Debug)]
pub(crate) struct Branch {
    fork: u64,
    connection: ConnectionId,
    /// Other flows of the same instance, to be tried if this one is gone.
    others: Vec<Target>,
}

impl Machine {
    pub(crate) fn message(&mut self, inbound: &Inbound) {
        match self.examine(inbound) {
            Err(Some(reply)) => self.reply(inbound, reply),
            Err(None) => {}
            Ok((user, instance, forward)) => {
                let every_flow = self.options.every_flow;
                let targets = self.bindings.targets(&user, instance.as_deref(), every_flow, self.now.mono);
                self.fork(Origin::Client(Box::new(inbound.clone())), user, forward, targets);
            }
        }
    }

    /// For whom a request is, for which instance of his if it came to a GRUU, and how it goes on; or the answer to it, unless it has been answered.
    fn examine(&mut self, inbound: &Inbound) -> Result<(String, Option<String>, Editable), Option<Reply>> {
        let refuse = |status| Some(Reply::new(status));
        let request = &inbound.request;
        let uri = request.request_uri().ok().flatten().ok_or(refuse(StatusCode::BAD_REQUEST))?;
        if !uri.is_sip() {
            return Err(refuse(StatusCode::UNSUPPORTED_URI_SCHEME));
        }
        let hops = match request.get::<MaxForwards>() {
            Ok(Some(MaxForwards(0))) => return Err(refuse(StatusCode::TOO_MANY_HOPS)),
            Ok(Some(MaxForwards(hops))) => hops - 1,
            Ok(None) => MAX_FORWARDS,
            Err(_) => return Err(refuse(StatusCode::BAD_REQUEST)),
        };
        let required = request.all::<ProxyRequire<'_>>().flatten().map(|tag| tag.as_str());
        if let Some(reply) = unknown_tags(required) {
            return Err(Some(reply));
        }
        if !self.is_ours(&uri) {
            return Err(refuse(StatusCode::FORBIDDEN));
        }
        let asking = match self.options.message_challenge {
            MessageChallenge::Proxy => Some(Asking::PROXY),
            MessageChallenge::Registrar => Some(Asking::REGISTRAR),
            MessageChallenge::None => None,
        };
        if let Some(asking) = asking {
            let granted = self.authenticate(inbound, asking).ok_or(None)?;
            let from = request.from().map_err(|_| refuse(StatusCode::BAD_REQUEST))?;
            if self.user_of(&from.uri) != Some(granted.user) {
                return Err(refuse(StatusCode::FORBIDDEN));
            }
        }
        if let Some(reply) = self.ordered(&inbound.method, true) {
            return Err(Some(reply));
        }
        let mut user = self.user_of(&uri).ok_or(refuse(StatusCode::NOT_FOUND))?;
        let mut instance = None;
        if let Some(gr) = uri.param("gr").filter(|_| self.options.gruu) {
            let owner = self.bindings.gruus.owner(&user, gr.as_deref());
            let (owner, of) = owner.ok_or(refuse(StatusCode::NOT_FOUND))?;
            (user, instance) = (owner, Some(of));
        }
        if !self.options.users.contains_key(&user) {
            return Err(refuse(StatusCode::NOT_FOUND));
        }

        let mut forward = Editable::of(request).ok_or(refuse(StatusCode::BAD_REQUEST))?;
        forward.edit_via(|via| with_received(&via, inbound.peer));
        forward.set(Header::MaxForwards, hops.to_string());
        self.strip(&mut forward);
        Ok((user, instance, forward))
    }

    /// Removes what was meant for this server: our routes on top, and credentials for our realm (RFC 3261 §16.4, §22.3).
    fn strip(&self, forward: &mut Editable) {
        while let Some(value) = forward.value(Header::Route).map(str::to_owned) {
            let values: Vec<_> = value.split(',').collect();
            let first = values.first().and_then(|text| Route::parse(text).ok());
            if !first.is_some_and(|route| self.is_ours(&route.uri)) {
                break;
            }
            let rest = values.get(1..).unwrap_or_default().join(",");
            if rest.trim().is_empty() {
                forward.remove_first(Header::Route);
            } else {
                forward.set(Header::Route, rest.trim().to_owned());
            }
        }
        forward.lines.retain(|(header, _, value)| {
            let credentials = matches!(header, Header::Authorization | Header::ProxyAuthorization);
            let parsed = std::str::from_utf8(value).ok().and_then(|text| Credentials::parse(text).ok());
            !(credentials
                && matches!(parsed, Some(Credentials::Digest(d)) if *d.realm() == self.options.domain.as_str()))
        });
    }

    fn fork(&mut self, origin: Origin, user: String, forward: Editable, targets: Vec<Vec<Target>>) {
        let id = self.number();
        let method = match &origin {
            Origin::Client(inbound) => inbound.method.clone(),
            Origin::Store => Method::Message,
        };
        let fork = Fork {
            origin,
            user,
            method,
            forward,
            open: 0,
            best: None,
            silent: false,
            asleep: false,
            answered: false,
        };
        self.forks.insert(id, fork);
        for group in targets {
            self.branch(id, group);
        }
        if self.forks.get(&id).is_some_and(|fork| fork.open == 0) && !self.wake(id) {
            self.conclude(id);
        } else {
            self.set_timer(self.now.mono + TRYING_AFTER, Timer::Trying(id));
            self.set_timer(self.now.mono + TIMER_F, Timer::Expired(id));
        }
    }

    /// Sends the request of a fork to the first of these targets that has a connection; says whether there was one.
    fn branch(&mut self, id: u64, targets: Vec<Target>) -> bool {
        let Some(fork) = self.forks.get(&id) else { return false };
        let (forward, method) = (fork.forward.clone(), fork.method.clone());
        let mut targets = targets.into_iter();
        while let Some(Target { uri, connection }) = targets.next() {
            let send = |state: &mut Machine, branch: &str| {
                let mut request = forward.clone();
                request.start = format!("{method} {uri} SIP/2.0");
                request.push_front(
                    Header::Via,
                    format!("SIP/2.0/TLS {};branch={branch}", state.local_address(connection)),
                );
                state.links.send(connection, request.bytes())
            };
            let branch = self.random.branch();
            if !send(self, &branch) {
                continue;
            }
            let twice = self.faults.take(|fault| match fault {
                Fault::DeliverTwice { same_transaction } => Some(*same_transaction),
                _ => None,
            });
            if let Some(same_transaction) = twice {
                let again = if same_transaction { branch.clone() } else { self.random.branch() };
                send(self, &again);
            }
            self.branches.insert(branch, Branch { fork: id, connection, others: targets.collect() });
            if let Some(fork) = self.forks.get_mut(&id) {
                fork.open += 1;
            }
            return true;
        }
        false
    }

    /// A response came from a client.
    pub(crate) fn response(&mut self, response: &Message) {
        let (Ok(via), Ok(cseq), Some(status)) = (response.via(), response.cseq(), response.status()) else {
            return;
        };
        let Some(name) = via.branch() else { return };
        if self.notified(&name, status) {
            return;
        }
        let id = self.branches.get(&*name).map(|branch| branch.fork);
        let Some((id, fork)) = id.and_then(|id| Some((id, self.forks.get_mut(&id)?))) else { return };
        if cseq.method != fork.method || status.is_provisional() {
            return;
        }
        fork.open -= 1;
        let Some(branch) = self.branches.remove(&*name) else { return };
        match status {
            // The flow is gone, which says nothing about the others (RFC 5626 §7).
            StatusCode::FLOW_FAILED => {
                self.branch(id, branch.others);
            }
            // RFC 4320 §4.2: 408 answers no request but INVITE.
            StatusCode::REQUEST_TIMEOUT => fork.silent = true,
            _ if status.is_success() => self.succeeded(id, response),
            _ => {
                let best = fork.best.as_ref().and_then(Message::status);
                if best.is_none_or(|best| rank(status) < rank(best)) {
                    fork.best = Some(response.clone());
                }
            }
        }
        if self.forks.get(&id).is_some_and(|fork| fork.open == 0) {
            self.conclude(id);
        }
    }

    /// A 2xx goes back at once, the first alone (RFC 3261 §16.7 step 5).
    fn succeeded(&mut self, id: u64, response: &Message) {
        let Some(fork) = self.forks.get_mut(&id) else { return };
        if std::mem::replace(&mut fork.answered, true) {
            return;
        }
        if let Origin::Client(inbound) = fork.origin.clone() {
            self.pass_back(&inbound, response);
        }
    }

    fn pass_back(&mut self, inbound: &Inbound, response: &Message) {
        let Some(mut back) = Editable::of(response) else { return };
        back.remove_first(Header::Via);
        // RFC 3261 §16.7 step 6: this 503 says nothing about the server that passes it on.
        if response.status() == Some(StatusCode::SERVICE_UNAVAILABLE) {
            let status = StatusCode::SERVER_INTERNAL_ERROR;
            back.start = format!("SIP/2.0 {status} {}", status.reason());
        }
        self.answer(inbound, back.bytes());
    }

    /// All branches of a fork have ended.
    fn conclude(&mut self, id: u64) {
        let Some(fork) = self.forks.remove(&id) else { return };
        self.branches.retain(|_, branch| branch.fork != id);
        match fork.origin {
            Origin::Client(_) if fork.answered => {}
            Origin::Client(inbound) => match fork.best {
                Some(best) => self.pass_back(&inbound, &best),
                None if fork.silent => {}
                None => self.unreachable(&inbound, &fork.user, &fork.forward),
            },
            Origin::Store => {
                self.delivering.remove(&fork.user);
                let refused = fork.best.as_ref().and_then(Message::status).is_some_and(is_for_good);
                if fork.answered || refused {
                    self.store.delivered(&fork.user);
                    self.deliver_stored(&fork.user);
                }
            }
        }
    }

    /// Nobody is there for a message.
    fn unreachable(&mut self, inbound: &Inbound, user: &str, forward: &Editable) {
        let kept = self.options.offline == Offline::Store
            && Message::parse(forward.bytes())
                .is_ok_and(|(request, _)| self.store.keep(user, Stored { request, received: self.now.wall }));
        let status = if kept { StatusCode::ACCEPTED } else { StatusCode::TEMPORARILY_UNAVAILABLE };
        self.reply(inbound, Reply::new(status));
    }

    /// Sends the oldest stored message of a user; the next follows when this one is done with (RFC 3428 §8).
    pub(crate) fn deliver_stored(&mut self, user: &str) {
        if self.delivering.contains(user) {
            return;
        }
        let Some(stored) = self.store.next(user, self.now.wall) else { return };
        let Some(mut forward) = Editable::of(&stored.request) else { return };
        forward.lines.retain(|(header, _, _)| *header != Header::Via);
        forward.set(Header::MaxForwards, MAX_FORWARDS.to_string());
        if !stored.has_date() {
            forward.set(Header::Date, Date(stored.date()).to_string());
        }
        let targets = self.bindings.targets(user, None, self.options.every_flow, self.now.mono);
        if targets.is_empty() {
            return;
        }
        self.delivering.insert(user.to_owned());
        self.fork(Origin::Store, user.to_owned(), forward, targets);
    }

    /// A connection is gone: what was sent over it goes over another flow of the instance, or has failed.
    pub(crate) fn flow_failed(&mut self, connection: ConnectionId) {
        let failed: Vec<_> = self
            .branches
            .iter()
            .filter(|(_, branch)| branch.connection == connection)
            .map(|(name, _)| name.clone())
            .collect();
        for name in failed {
            let Some(branch) = self.branches.remove(&name) else { continue };
            let Some(fork) = self.forks.get_mut(&branch.fork) else { continue };
            fork.open -= 1;
            self.branch(branch.fork, branch.others);
            if self.forks.get(&branch.fork).is_some_and(|fork| fork.open == 0 && !fork.asleep) {
                self.conclude(branch.fork);
            }
        }
    }

    /// Wakes the devices of the user of a fork that could not be reached; whether there are any.
    fn wake(&mut self, id: u64) -> bool {
        let Some(fork) = self.forks.get_mut(&id) else { return false };
        let sleepers = self.bindings.sleepers(&fork.user, self.now.mono);
        if self.options.push.is_none() || sleepers.is_empty() || matches!(fork.origin, Origin::Store) {
            return false;
        }
        fork.asleep = true;
        for (provider, prid) in sleepers {
            self.links.push(provider, prid);
        }
        self.set_timer(self.now.mono + WAKING, Timer::Asleep(id));
        true
    }

    /// A user has registered: what waited for a device of his goes there.
    pub(crate) fn woken(&mut self, user: &str) {
        let waiting: Vec<u64> = self
            .forks
            .iter()
            .filter(|(_, fork)| fork.asleep && fork.user == user)
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            let targets = self.bindings.targets(user, None, self.options.every_flow, self.now.mono);
            for group in targets {
                self.branch(id, group);
            }
            if let Some(fork) = self.forks.get_mut(&id) {
                fork.asleep = fork.open == 0;
            }
        }
    }

    /// A device that was to be woken has not come.
    pub(crate) fn overslept(&mut self, id: u64) {
        if self.forks.get(&id).is_some_and(|fork| fork.asleep) {
            self.conclude(id);
        }
    }

    pub(crate) fn trying(&mut self, id: u64) {
        let Some(Fork { origin: Origin::Client(inbound), answered: false, .. }) = self.forks.get(&id) else {
            return;
        };
        let bytes = Reply::new(StatusCode::TRYING).bytes(&inbound.request, "", inbound.peer);
        self.links.send(inbound.connection, bytes);
    }

    pub(crate) fn expired(&mut self, id: u64) {
        if let Some(fork) = self.forks.get_mut(&id) {
            fork.silent = true;
            self.conclude(id);
        }
    }
}

/// Which final response is the best, the lowest first (RFC 3261 §16.7 step 6): 6xx, else the lowest class, in it those
/// that say how to try again.
fn rank(status: StatusCode) -> (u16, u16) {
    let class = if status.class() == 6 { 0 } else { status.class() };
    let helps = matches!(status.code(), 401 | 407 | 415 | 420 | 484);
    (class, if helps { 0 } else { 1 })
}

/// Whether a stored message that was answered so is done with: refused, and not for the moment only.
fn is_for_good(status: StatusCode) -> bool {
    let passing = matches!(status.code(), 408 | 430 | 480 | 486 | 491);
    !passing && status.class() != 5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_response_is_chosen_as_rfc_3261_16_7_says() {
        let code = |code| StatusCode::new(code).unwrap();
        for (better, worse) in [(603, 404), (302, 404), (404, 503), (415, 404), (401, 480)] {
            assert!(rank(code(better)) < rank(code(worse)), "{better} {worse}");
        }
    }
}
