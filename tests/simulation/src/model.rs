//! What a client must do on the wire, read from what it sends: the reference that every request is held against.

use crate::network::How;
use crate::scenario::DOMAIN;
use aldis_sip::auth::Credentials;
use aldis_sip::fields::Contact;
use aldis_sip::{Header, Message, Method};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// A rule that was broken.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which one, by its requirement where it has one.
    pub rule: &'static str,
    /// How.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)
    }
}

/// What a check says.
pub type Checked = Result<(), Violation>;

/// A broken rule.
pub fn broken<T>(rule: &'static str, what: impl Into<String>) -> Result<T, Violation> {
    Err(Violation { rule, what: what.into() })
}

/// Timer F.
const TIMER_F: Duration = Duration::from_secs(32);
/// The first wait after a failure is a random 50 to 100 % of twice this (OUT-09).
const BASE: Duration = Duration::from_millis(500);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(1800);
/// A registration that lasted so long was a success (OUT-10).
const LASTING: Duration = Duration::from_secs(32);
/// Most places to which one request is redirected (GEN-18).
const MAX_REDIRECTS: usize = 5;
/// Most outputs of an agent in a second of virtual time, besides four for each message that it has.
const BUSY: u32 = 120;

/// The least wait after so many failures in a row.
fn least_wait(failures: u32) -> Duration {
    if failures == 0 {
        return Duration::ZERO;
    }
    // Milliseconds are cut off where half of it is taken.
    let whole = BASE.saturating_mul(2u32.saturating_pow(failures.min(20))).min(LONGEST);
    (whole / 2).saturating_sub(Duration::from_millis(2))
}

/// Failures in a row of one thing that is tried again and again.
#[derive(Clone, Copy, Debug, Default)]
struct Failing {
    failures: u32,
    at: Duration,
    least: Duration,
}

impl Failing {
    fn failed(&mut self, now: Duration) {
        self.failures = self.failures.saturating_add(1);
        (self.at, self.least) = (now, least_wait(self.failures));
    }
}

/// A MESSAGE as it went out.
#[derive(Clone, Debug)]
struct Identity {
    call_id: String,
    tag: String,
    cseq: u32,
}

/// Where 3xx have sent the REGISTERs of one flow.
#[derive(Clone, Debug, Default)]
struct Redirects {
    /// All that were named.
    named: BTreeSet<String>,
    /// Those to which this REGISTER went, and those that are left.
    tried: BTreeSet<String>,
    left: BTreeSet<String>,
}

/// The access tokens of a request, each with the header that it stands in.
type Tokens = Vec<(Header, String)>;

/// A REGISTER in flight.
#[derive(Clone, Debug)]
struct Pending {
    branch: String,
    tokens: Tokens,
    since: Duration,
    removal: bool,
}

/// A MESSAGE in flight.
#[derive(Clone, Debug)]
struct Lane {
    branch: String,
    tokens: Tokens,
    since: Duration,
    conn: usize,
    id: String,
}

/// What one phone has sent, over all its lives.
#[derive(Debug, Default)]
pub struct Wire {
    branches: BTreeSet<String>,
    /// The last CSeq of each Call-ID of REGISTERs.
    cseqs: BTreeMap<String, u32>,
    /// The Call-ID of each reg-id in this life.
    call_ids: BTreeMap<String, String>,
    /// REGISTER without an answer, by connection.
    registering: BTreeMap<usize, Pending>,
    /// SUBSCRIBE without an answer, by Call-ID: its branch, connection and time; and the last CSeq of each.
    subscribing: BTreeMap<String, (String, usize, Duration)>,
    subscribed: BTreeMap<String, u32>,
    /// Nonce counts.
    nonces: BTreeMap<String, u32>,
    /// MESSAGE without an answer, by recipient.
    lanes: BTreeMap<String, Lane>,
    identities: BTreeMap<String, Identity>,
    /// Connection attempts, by flow.
    connecting: BTreeMap<usize, Failing>,
    /// REGISTERs that were refused for now, by connection.
    refused: BTreeMap<usize, Failing>,
    /// Where answers have sent REGISTERs, by flow.
    redirects: BTreeMap<usize, Redirects>,
    /// Flows whose newest attempt went where a redirect led.
    strays: BTreeSet<usize>,
    /// Tokens that the app gave in this life, and those of them that the server refused.
    tokens: BTreeSet<String>,
    refused_tokens: BTreeSet<String>,
    second: u64,
    outputs: u32,
    /// Most outputs in one second.
    pub busiest: u32,
    /// How many requests were read.
    pub requests: u64,
}

/// What a request was.
#[derive(Debug, PartialEq, Eq)]
pub enum Sent {
    /// A REGISTER; whether it removes.
    Register { removal: bool },
    /// A MESSAGE, by its Message-ID.
    Message { id: String },
    /// A final response to a MESSAGE: its branch, and the status.
    Answer { branch: String, status: u16 },
    /// Something else.
    Other,
}

/// What a response was.
#[derive(Debug)]
pub enum Answered {
    /// To the REGISTER that was awaited.
    Register { status: u16, removal: bool },
    /// To a MESSAGE.
    Message { id: String, status: u16 },
    /// Nothing that was awaited.
    Nothing,
}

impl Wire {
    /// Something was put out, or a timer fired. A busy loop shows here.
    pub fn output(&mut self, now: Duration, messages: usize) -> Checked {
        if self.second != now.as_secs() {
            (self.second, self.outputs) = (now.as_secs(), 0);
        }
        self.outputs += 1;
        self.busiest = self.busiest.max(self.outputs);
        let most = BUSY + 8 * u32::try_from(messages).unwrap_or(u32::MAX);
        if self.outputs > most {
            return broken("busy loop", format!("more than {most} outputs in one second"));
        }
        Ok(())
    }

    /// A new life: what was only in memory is gone.
    pub fn reborn(&mut self) {
        self.call_ids.clear();
        self.registering.clear();
        self.subscribing.clear();
        self.lanes.clear();
        self.connecting.clear();
        self.refused.clear();
        self.redirects.clear();
        self.strays.clear();
        self.tokens.clear();
        self.refused_tokens.clear();
        for identity in self.identities.values_mut() {
            identity.cseq = 0;
        }
    }

    /// There is a reason to try at once, whatever failed before.
    pub fn excused(&mut self) {
        self.connecting.clear();
        self.refused.clear();
        for redirects in self.redirects.values_mut() {
            redirects.tried.clear();
        }
    }

    /// A REGISTER of a flow was answered with a redirect to these places.
    pub fn redirected(&mut self, now: Duration, slot: usize, conn: usize, to: Vec<String>) {
        let redirects = self.redirects.entry(slot).or_default();
        for to in to {
            if !redirects.tried.contains(&to) && to != format!("sip:{DOMAIN}") {
                redirects.left.insert(to.clone());
            }
            redirects.named.insert(to);
        }
        // Nothing that is new: the next one has its time.
        if redirects.left.is_empty() {
            self.refused.entry(conn).or_default().failed(now);
        }
    }

    /// What a flow's REGISTER came to is told: the next one is another.
    pub fn concluded(&mut self, slot: usize) {
        if let Some(redirects) = self.redirects.get_mut(&slot) {
            redirects.tried.clear();
            redirects.left.clear();
        }
    }

    /// The app gives a token.
    pub fn given(&mut self, token: &str) {
        self.tokens.insert(token.to_owned());
    }

    /// An attempt begins, at the place of a redirect if there is one.
    pub fn connecting(&mut self, now: Duration, slot: usize, redirect: Option<&str>) -> Checked {
        if let Some(to) = redirect {
            self.strays.insert(slot);
            let redirects = self.redirects.entry(slot).or_default();
            redirects.left.remove(to);
            if !redirects.named.contains(to) {
                return broken("GEN-18", format!("connects to {to}, where nobody sent it"));
            }
            if !redirects.tried.insert(to.to_owned()) || redirects.tried.len() > MAX_REDIRECTS {
                return broken("GEN-18", format!("goes to {to} after {:?}", redirects.tried));
            }
            return Ok(());
        }
        self.strays.remove(&slot);
        let failing = self.connecting.entry(slot).or_default();
        let waited = now.saturating_sub(failing.at);
        if failing.failures > 0 && waited < failing.least {
            let (failures, least) = (failing.failures, failing.least);
            return broken(
                "OUT-09",
                format!("connects {waited:?} after failure {failures} in a row; at least {least:?} are due"),
            );
        }
        Ok(())
    }

    /// An attempt failed. Where a redirect led, that says nothing of the account's own server.
    pub fn connect_failed(&mut self, now: Duration, slot: usize) {
        if self.strays.contains(&slot) {
            return;
        }
        self.connecting.entry(slot).or_default().failed(now);
    }

    /// A connection that was up is gone. `registered` is since when it was registered, `ponged` whether it answered pings.
    pub fn lost(&mut self, now: Duration, slot: usize, registered: Option<Duration>, ponged: bool) {
        let failing = self.connecting.entry(slot).or_default();
        let lasting = registered.is_some_and(|since| ponged || since + LASTING <= now);
        if lasting {
            failing.failures = 0;
        }
        // One attempt at once (OUT-11), which counts as a failure only if it fails.
        if (failing.failures > 0 || registered.is_none()) && !self.strays.contains(&slot) {
            failing.failed(now);
        }
    }

    /// The client closed a connection; one that was a success ends earlier failures.
    pub fn closed(&mut self, now: Duration, slot: usize, registered: Option<Duration>, ponged: bool) {
        if registered.is_some_and(|since| ponged || since + LASTING <= now) {
            self.connecting.remove(&slot);
        }
    }

    /// A message was answered over a connection of a client that is not to be registered: a success of its flow.
    pub fn serves(&mut self, slot: usize) {
        self.connecting.remove(&slot);
    }

    /// A connection is gone, as far as the client knows.
    pub fn forget(&mut self, conn: usize) {
        self.registering.remove(&conn);
        self.refused.remove(&conn);
        self.lanes.retain(|_, lane| lane.conn != conn);
        self.subscribing.retain(|_, (_, on, _)| *on != conn);
    }

    /// A client sent this. `aor` and `instance` are who it is.
    pub fn sent(
        &mut self,
        now: Duration,
        conn: usize,
        message: &Message,
        aor: &str,
        instance: &str,
    ) -> Result<Sent, Violation> {
        let Ok(via) = message.via() else { return broken("GEN-01", "no Via") };
        let branch = via.branch().map(|branch| branch.into_owned()).unwrap_or_default();
        let Ok(cseq) = message.cseq() else { return broken("GEN-01", "no CSeq") };
        let Some(method) = message.method() else {
            let status = message.status().map_or(0, |status| status.code());
            return Ok(if cseq.method == Method::Message && status >= 200 {
                Sent::Answer { branch, status }
            } else {
                Sent::Other
            });
        };
        self.requests += 1;
        if !branch.starts_with("z9hG4bK") || !self.branches.insert(branch.clone()) {
            return broken("GEN-03", format!("the branch {branch:?} is not new"));
        }
        let (Ok(from), Ok(to), Ok(call_id)) = (message.from(), message.to(), message.call_id()) else {
            return broken("GEN-01", "no From, To or Call-ID");
        };
        if from.uri.as_str() != aor {
            return broken("GEN-06", format!("From is {}", from.uri));
        }
        let tag = from.tag().map(|tag| tag.into_owned()).unwrap_or_default();
        // A dialog's requests have both.
        if tag.len() < 8 || (to.tag().is_some() && method != Method::Subscribe) {
            return broken("GEN-02", "From has no tag, or To has one");
        }
        let tokens = self.credentials(message)?;
        let call_id = call_id.as_str().to_owned();
        let uri = message.request_uri().ok().flatten().map(|uri| uri.to_string()).unwrap_or_default();
        match method {
            Method::Register => {
                if uri != format!("sip:{DOMAIN}") || to.uri.as_str() != aor {
                    return broken("REG-01", format!("Request-URI {uri}, To {}", to.uri));
                }
                let removal = self.register(now, conn, message, &call_id, cseq.number, instance)?;
                self.registering.insert(conn, Pending { branch, tokens, since: now, removal });
                Ok(Sent::Register { removal })
            }
            Method::Message => {
                if self.lanes.get(&uri).is_some_and(|lane| now < lane.since + TIMER_F) {
                    return broken("MSG-03", format!("a second MESSAGE to {uri} while one is pending"));
                }
                let id = message.value(Header::AldisMessageId).unwrap_or_default().to_owned();
                if id.is_empty() {
                    return broken("MSG-15", "no Message-ID");
                }
                let cseq = cseq.number;
                if let Some(known) = self.identities.get(&id) {
                    if known.call_id != call_id || known.tag != tag {
                        return broken("MSG-15", format!("{id} was resent with another Call-ID or From tag"));
                    }
                    if cseq < known.cseq {
                        return broken(
                            "GEN-05",
                            format!("{id} was resent with CSeq {cseq} after {}", known.cseq),
                        );
                    }
                }
                self.lanes.insert(uri, Lane { branch, tokens, since: now, conn, id: id.clone() });
                self.identities.insert(id.clone(), Identity { call_id, tag, cseq });
                Ok(Sent::Message { id })
            }
            Method::Subscribe => {
                if self.subscribing.get(&call_id).is_some_and(|(_, _, since)| now < *since + TIMER_F) {
                    return broken("subscribing", "a second SUBSCRIBE of a dialog while one is in flight");
                }
                let last = self.subscribed.insert(call_id.clone(), cseq.number);
                if last.is_some_and(|last| cseq.number != last + 1) {
                    return broken("GEN-05", format!("SUBSCRIBE with CSeq {} after {last:?}", cseq.number));
                }
                self.subscribing.insert(call_id, (branch, conn, now));
                Ok(Sent::Other)
            }
            _ => Ok(Sent::Other),
        }
    }

    fn register(
        &mut self,
        now: Duration,
        conn: usize,
        message: &Message,
        call_id: &str,
        cseq: u32,
        instance: &str,
    ) -> Result<bool, Violation> {
        if self.registering.get(&conn).is_some_and(|pending| now < pending.since + TIMER_F) {
            return broken("REG-04", "a second REGISTER on a flow while one is in flight");
        }
        if let Some(last) = self.cseqs.insert(call_id.to_owned(), cseq)
            && cseq != last + 1
        {
            return broken("REG-03", format!("CSeq {cseq} after {last}"));
        }
        let mut own = Vec::new();
        let mut removal = true;
        for contact in message.contacts() {
            let Ok(Contact::Address(address)) = contact else { return broken("REG-05", "a Contact of *") };
            let expires = address.params.value("expires").and_then(|text| text.parse::<u32>().ok());
            let ours = address.params.value("+sip.instance");
            if ours.is_none() && expires == Some(0) {
                continue;
            }
            if ours.as_deref() != Some(&format!("<urn:uuid:{instance}>")) {
                return broken("OUT-01", format!("instance {ours:?}"));
            }
            removal &= expires == Some(0);
            own.push(address.params.value("reg-id").map(|id| id.into_owned()));
        }
        let [reg_id] = own.as_slice() else {
            return broken("REG-05", format!("{} Contacts of ours", own.len()));
        };
        if let Some(reg_id) = reg_id {
            let known = self.call_ids.entry(reg_id.clone()).or_insert_with(|| call_id.to_owned());
            if known != call_id {
                return broken("REG-02", format!("reg-id {reg_id} has a second Call-ID"));
            }
            if self.call_ids.iter().any(|(other, id)| other != reg_id && id == call_id) {
                return broken("REG-02", "two flows with one Call-ID");
            }
        }
        if let Some(failing) = self.refused.get(&conn)
            && !removal
            && now.saturating_sub(failing.at) < failing.least
        {
            let (failures, least) = (failing.failures, failing.least);
            return broken(
                "REG-16",
                format!(
                    "tries again {:?} after refusal {failures}; at least {least:?} are due",
                    now - failing.at
                ),
            );
        }
        Ok(removal)
    }

    /// Nonce counts rise by one, over all requests together; tokens are the app's, and none that was refused. Gives the tokens.
    fn credentials(&mut self, message: &Message) -> Result<Tokens, Violation> {
        let mut tokens = Tokens::new();
        for field in message.fields() {
            if !matches!(field.header, Header::Authorization | Header::ProxyAuthorization) {
                continue;
            }
            let text = std::str::from_utf8(field.value).unwrap_or_default();
            let digest = match Credentials::parse(text) {
                Ok(Credentials::Digest(digest)) => digest,
                Ok(Credentials::Other(other)) if other.is("Bearer") => {
                    let given = other.token68().unwrap_or_default().to_owned();
                    if !self.tokens.contains(&given) || self.refused_tokens.contains(&given) {
                        return broken(
                            "AUTH-28",
                            format!("the token {given:?} is refused, or not the app's"),
                        );
                    }
                    tokens.push((field.header, given));
                    continue;
                }
                _ => return broken("AUTH-13", format!("credentials that cannot be read: {text}")),
            };
            if *digest.realm() != DOMAIN {
                return broken("AUTH-04", format!("credentials for {:?}", digest.realm().text()));
            }
            let Some(count) = digest.nc() else { return broken("AUTH-09", "no nonce count") };
            let last = self.nonces.entry(digest.nonce().text().into_owned()).or_default();
            if count.get() != *last + 1 {
                return broken("AUTH-12", format!("nonce count {} after {last}", count.get()));
            }
            *last = count.get();
        }
        Ok(tokens)
    }

    /// A client was given this response. `current` is whether the connection is its flow's newest: nobody waits any more for the
    /// answer to a REGISTER over an older one.
    pub fn answered(&mut self, now: Duration, conn: usize, current: bool, message: &Message) -> Answered {
        let (Ok(via), Ok(cseq)) = (message.via(), message.cseq()) else { return Answered::Nothing };
        let Some(status) = message.status().filter(|status| !status.is_provisional()) else {
            return Answered::Nothing;
        };
        let (branch, status) = (via.branch().unwrap_or_default(), status.code());
        match cseq.method {
            Method::Register => match self.registering.get(&conn) {
                Some(pending) if pending.branch == branch => {
                    let removal = pending.removal;
                    if let Some(Pending { tokens, .. }) = self.registering.remove(&conn) {
                        self.tokens_answered(status, tokens);
                    }
                    if !removal && current {
                        self.refusal(now, conn, status, message);
                    }
                    Answered::Register { status, removal }
                }
                _ => Answered::Nothing,
            },
            Method::Message => {
                let uri =
                    self.lanes.iter().find(|(_, lane)| lane.branch == branch).map(|(uri, _)| uri.clone());
                match uri.and_then(|uri| self.lanes.remove(&uri)) {
                    Some(lane) => {
                        self.tokens_answered(status, lane.tokens);
                        Answered::Message { id: lane.id, status }
                    }
                    None => Answered::Nothing,
                }
            }
            Method::Subscribe => {
                self.subscribing.retain(|_, (pending, _, _)| *pending != branch);
                Answered::Nothing
            }
            _ => Answered::Nothing,
        }
    }

    /// A 401 refuses what was in Authorization, a 407 what was in Proxy-Authorization.
    fn tokens_answered(&mut self, status: u16, tokens: Tokens) {
        let refused = match status {
            401 => Header::Authorization,
            407 => Header::ProxyAuthorization,
            _ => return,
        };
        let those = tokens.into_iter().filter(|(header, _)| *header == refused).map(|(_, token)| token);
        self.refused_tokens.extend(those);
    }

    fn refusal(&mut self, now: Duration, conn: usize, status: u16, message: &Message) {
        let failing = self.refused.entry(conn).or_default();
        match status {
            200..=299 => *failing = Failing::default(),
            300..=399 | 401 | 407 | 420 | 423 | 439 | 555 => {}
            _ => {
                failing.failed(now);
                if let Some(text) = message.value(Header::RetryAfter) {
                    let seconds = text.trim().parse().unwrap_or(0);
                    failing.least = Duration::from_secs(seconds);
                }
            }
        }
    }

    /// Whether messages are under way.
    pub fn pending(&self) -> usize {
        self.lanes.len()
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            How::Fin => "in order",
            How::Reset => "with a reset",
            How::Silent => "in silence",
        })
    }
}
