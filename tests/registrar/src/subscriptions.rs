//! Subscriptions to `reg` and `message-summary` (RFC 6665, RFC 3680, RFC 3842).

use crate::bindings::Binding;
use crate::entry::ConnectionId;
use crate::machine::{Machine, Timer};
use crate::now::Now;
use crate::requests::{Asking, Inbound};
use crate::wire::{Editable, Reply};
use aldis_sip::fields::{Event, Expires};
use aldis_sip::{Header, StatusCode};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// An event package that can be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Package {
    /// `reg` (RFC 3680).
    Reg,
    /// `message-summary` (RFC 3842).
    MessageSummary,
}

/// How a binding ends (RFC 3680 §5.1): the event of its contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The client is to register again at once.
    Deactivated,
    /// The client is to register again after so many seconds.
    Probation(u32),
    /// The client is not wanted.
    Rejected,
}

/// In seconds, if none was asked for, and the most that is granted (RFC 3680 §4.4, RFC 3842 §3.4).
const DEFAULT_EXPIRES: u32 = 3761;
/// Most subscriptions of one server; more are refused.
const MAX_SUBSCRIPTIONS: usize = 10_000;

impl Package {
    fn of(name: &str) -> Option<Package> {
        [Package::Reg, Package::MessageSummary].into_iter().find(|package| package.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Package::Reg => "reg",
            Package::MessageSummary => "message-summary",
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Package::Reg => "application/reginfo+xml",
            Package::MessageSummary => "application/simple-message-summary",
        }
    }
}

#[derive(Clone, Debug)]
struct Subscription {
    user: String,
    package: Package,
    /// The Event header as it was asked for.
    event: String,
    call_id: String,
    /// From of our requests: To of the SUBSCRIBE with our tag.
    local: String,
    local_tag: String,
    /// To of our requests: From of the SUBSCRIBE.
    remote: String,
    target: String,
    connection: ConnectionId,
    cseq: u32,
    version: u32,
    until: Duration,
}

/// All subscriptions.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    active: BTreeMap<u64, Subscription>,
    /// Which subscription a NOTIFY without an answer belongs to, by its branch.
    notified: BTreeMap<String, u64>,
    summaries: BTreeMap<String, String>,
}

impl Machine {
    pub(crate) fn subscribe(&mut self, inbound: &Inbound) {
        let request = &inbound.request;
        let package = match request.get::<Event<'_>>() {
            Ok(Some(event)) => Package::of(event.value),
            _ => return self.reply(inbound, Reply::new(StatusCode::BAD_REQUEST)),
        };
        let Some(package) = package else {
            let reply = Reply::new(StatusCode::BAD_EVENT).with(Header::AllowEvents, "reg, message-summary");
            return self.reply(inbound, reply);
        };
        let asker = if self.options.register_challenge {
            match self.authenticate(inbound, Asking::REGISTRAR) {
                Some(granted) => Some(granted.user),
                None => return,
            }
        } else {
            request.from().ok().and_then(|from| self.user_of(&from.uri))
        };
        if let Some(reply) = self.ordered(&inbound.method, true) {
            return self.reply(inbound, reply);
        }
        let expires = match request.get::<Expires>() {
            Ok(Some(Expires(seconds))) => seconds.min(DEFAULT_EXPIRES),
            _ => DEFAULT_EXPIRES,
        };
        let (Ok(to), Ok(from), Ok(call_id)) = (request.to(), request.from(), request.call_id()) else {
            return;
        };
        let Some(user) = self.user_of(&to.uri).filter(|user| asker.as_ref() == Some(user)) else {
            return self.reply(inbound, Reply::new(StatusCode::FORBIDDEN));
        };
        let until = self.now.mono + Duration::from_secs(u64::from(expires));
        let id = match to.tag() {
            Some(tag) => {
                let known = self.subscriptions.active.iter_mut().find(|(_, known)| {
                    known.local_tag == tag && known.call_id == call_id.as_str() && known.package == package
                });
                let Some((id, known)) = known else {
                    return self.reply(inbound, Reply::new(StatusCode::TRANSACTION_DOES_NOT_EXIST));
                };
                known.until = until;
                known.connection = inbound.connection;
                *id
            }
            None => {
                let contact =
                    request.contacts().flatten().find_map(|c| c.address().map(|a| a.uri.to_string()));
                let Some(target) = contact else {
                    return self.reply(inbound, Reply::new(StatusCode::BAD_REQUEST));
                };
                if self.subscriptions.active.len() >= MAX_SUBSCRIPTIONS {
                    return self.reply(inbound, Reply::new(StatusCode::FORBIDDEN));
                }
                let local_tag = self.random.token();
                let subscription = Subscription {
                    user,
                    package,
                    event: request.value(Header::Event).unwrap_or(package.name()).to_owned(),
                    call_id: call_id.as_str().to_owned(),
                    local: format!("<{}>;tag={local_tag}", to.uri),
                    local_tag,
                    remote: format!("<{}>;tag={}", from.uri, from.tag().unwrap_or_default()),
                    target,
                    connection: inbound.connection,
                    cseq: 0,
                    version: 0,
                    until,
                };
                let id = self.number();
                self.subscriptions.active.insert(id, subscription);
                id
            }
        };
        let Some(subscription) = self.subscriptions.active.get(&id) else { return };
        let tag = subscription.local_tag.clone();
        let contact = format!("<sip:{};transport=tls>", self.local_address(inbound.connection));
        let reply = Reply::new(StatusCode::OK)
            .with(Header::Expires, expires.to_string())
            .with(Header::Contact, contact);
        self.reply_as(inbound, reply, &tag);
        if expires == 0 {
            self.end_subscription(id, "timeout", None);
        } else {
            self.set_timer(until, Timer::SubscriptionOver(id));
            self.notify(id, None);
        }
    }

    /// A subscription may have run out, if it was not renewed meanwhile.
    pub(crate) fn subscription_over(&mut self, id: u64) {
        if self.subscriptions.active.get(&id).is_some_and(|subscription| subscription.until <= self.now.mono)
        {
            self.end_subscription(id, "timeout", None);
        }
    }

    fn end_subscription(&mut self, id: u64, reason: &str, retry_after: Option<u32>) {
        let retry_after = retry_after.map(|seconds| format!(";retry-after={seconds}")).unwrap_or_default();
        let state = format!("terminated;reason={reason}{retry_after}");
        self.notify_in(id, &state, None);
        self.subscriptions.active.remove(&id);
    }

    fn notify(&mut self, id: u64, ended: Option<&(Binding, Ending)>) {
        let Some(subscription) = self.subscriptions.active.get(&id) else { return };
        let left = subscription.until.saturating_sub(self.now.mono).as_secs();
        self.notify_in(id, &format!("active;expires={left}"), ended);
    }

    fn notify_in(&mut self, id: u64, state: &str, ended: Option<&(Binding, Ending)>) {
        let Some(subscription) = self.subscriptions.active.get_mut(&id) else { return };
        subscription.cseq += 1;
        let version = subscription.version;
        subscription.version += 1;
        let Subscription { user, package, event, call_id, local, remote, target, cseq, .. } =
            subscription.clone();
        // The newest flow carries it, if that of the SUBSCRIBE is gone.
        let connection = match self.links.get(subscription.connection) {
            Some(_) => subscription.connection,
            None => {
                let targets = self.bindings.targets(&user, None, true, self.now.mono);
                match targets.into_iter().flatten().next() {
                    Some(newest) => newest.connection,
                    None => return,
                }
            }
        };
        let body = match package {
            Package::Reg => {
                let bindings = self.bindings.of(&user, self.now.mono);
                reginfo(&format!("sip:{user}@{}", self.options.domain), version, &bindings, ended)
            }
            Package::MessageSummary => {
                let known = self.subscriptions.summaries.get(&user).cloned();
                known.unwrap_or_else(|| "Messages-Waiting: no\r\n".into())
            }
        };
        let branch = self.random.branch();
        let address = self.local_address(connection);
        let mut message = Editable::request("NOTIFY", &target);
        message.push("Via", &format!("SIP/2.0/TLS {address};branch={branch}"));
        message.push("Max-Forwards", "70");
        message.push("From", &local);
        message.push("To", &remote);
        message.push("Call-ID", &call_id);
        message.push("CSeq", &format!("{cseq} NOTIFY"));
        message.push("Contact", &format!("<sip:{address};transport=tls>"));
        message.push("Event", &event);
        message.push("Subscription-State", state);
        message.push("Content-Type", package.content_type());
        message.body = body.into();
        if self.links.send(connection, message.bytes()) {
            self.subscriptions.notified.insert(branch, id);
        }
    }

    /// A response to a NOTIFY of a subscription, if it is one: 481 ends the subscription (RFC 6665 §4.2.2).
    pub(crate) fn notified(&mut self, branch: &str, status: StatusCode) -> bool {
        let Some(id) = self.subscriptions.notified.get(branch).copied() else { return false };
        if !status.is_provisional() {
            self.subscriptions.notified.remove(branch);
            if status == StatusCode::TRANSACTION_DOES_NOT_EXIST {
                self.subscriptions.active.remove(&id);
            }
        }
        true
    }

    /// The bindings of a user have changed.
    pub(crate) fn bindings_changed(&mut self, user: &str) {
        for id in self.subscribed(user, Package::Reg) {
            self.notify(id, None);
        }
    }

    fn subscribed(&self, user: &str, package: Package) -> Vec<u64> {
        let active = self.subscriptions.active.iter();
        active.filter(|(_, one)| one.user == user && one.package == package).map(|(id, _)| *id).collect()
    }

    /// Takes a binding away, as an administrator does, and tells those who subscribed to `reg` (RFC 3680 §5.1); `false`
    /// if there is none to this contact URI.
    pub fn end_binding(&mut self, now: Now, user: &str, contact: &str, ending: Ending) -> bool {
        self.now = now;
        let Some(binding) = self.bindings.take(user, contact, now.mono) else { return false };
        let ended = (binding, ending);
        for id in self.subscribed(user, Package::Reg) {
            self.notify(id, Some(&ended));
        }
        true
    }

    /// What subscribers to `message-summary` are told of a user, now and from now on (RFC 3842 §5.2).
    pub fn set_summary(&mut self, now: Now, user: &str, body: String) {
        self.now = now;
        self.subscriptions.summaries.insert(user.to_owned(), body);
        for id in self.subscribed(user, Package::MessageSummary) {
            self.notify(id, None);
        }
    }

    /// Ends the subscriptions of a user to a package, with a reason such as `deactivated` (RFC 6665 §4.1.3).
    pub fn end_subscriptions(
        &mut self,
        now: Now,
        user: &str,
        package: Package,
        reason: &str,
        retry_after: Option<u32>,
    ) {
        self.now = now;
        for id in self.subscribed(user, package) {
            self.end_subscription(id, reason, retry_after);
        }
    }
}

/// The full state of an address of record (RFC 3680 §5.1).
fn reginfo(aor: &str, version: u32, bindings: &[Binding], ended: Option<&(Binding, Ending)>) -> String {
    let mut out = format!(
        "<?xml version=\"1.0\"?>\r\n<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"{version}\" \
         state=\"full\">\r\n<registration aor=\"{}\" id=\"r\" state=\"{}\">\r\n",
        escaped(aor),
        if bindings.is_empty() { "terminated" } else { "active" },
    );
    for binding in bindings {
        let expires = format!(" expires=\"{}\"", binding.expires_in);
        contact(&mut out, binding, "active", "registered", &expires);
    }
    if let Some((binding, ending)) = ended {
        let (event, more) = match ending {
            Ending::Deactivated => ("deactivated", String::new()),
            Ending::Probation(seconds) => ("probation", format!(" retry-after=\"{seconds}\"")),
            Ending::Rejected => ("rejected", String::new()),
        };
        contact(&mut out, binding, "terminated", event, &more);
    }
    out + "</registration>\r\n</reginfo>\r\n"
}

fn contact(out: &mut String, binding: &Binding, state: &str, event: &str, more: &str) {
    // Writing to a String does not fail.
    let _ = write!(
        out,
        "<contact id=\"{}\" state=\"{state}\" event=\"{event}\"{more} callid=\"{}\" cseq=\"{}\"><uri>{}</uri>",
        escaped(&format!("{}-{}", binding.connection.number(), binding.reg_id.unwrap_or(0))),
        escaped(&binding.call_id),
        binding.cseq,
        escaped(&binding.contact),
    );
    if let Some(instance) = &binding.instance {
        let value = escaped(&format!("\"{instance}\""));
        let _ = write!(out, "<unknown-param name=\"+sip.instance\">{value}</unknown-param>");
    }
    if let Some(reg_id) = binding.reg_id {
        let _ = write!(out, "<unknown-param name=\"reg-id\">{reg_id}</unknown-param>");
    }
    out.push_str("</contact>\r\n");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
