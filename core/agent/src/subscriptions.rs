//! Subscriptions of the account's own: what waits in its mailbox, and what the registrar does with its bindings (RFC 6665,
//! RFC 3842, RFC 3680).

use crate::account::Account;
use crate::message::may_be_target;
use crate::random::Random;
use crate::request::{Draft, Heading, Identifiers, with_answers};
use crate::spaces::{Attempt, Spaces};
use crate::time::Now;
use crate::timing::BackOff;
use crate::transactions::Final;
use aldis_sip::auth::Target;
use aldis_sip::fields::{
    Contact, Event as EventPackage, Expires, MinExpires, RecordRoute, SubscriptionState,
};
use aldis_sip::{Header, Message, Method, NameAddr, StatusCode, Uri};
use bytes::Bytes;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

/// What is asked for (RFC 3680 §4.4 and RFC 3842 §4.3 have about an hour).
const EXPIRES: u32 = 3600;
/// A refresh comes at least this long before the end, as a REGISTER does (REG-10).
const MARGIN: Duration = Duration::from_secs(32);
/// Most proxies of a dialog's route.
const MAX_ROUTE: usize = 8;
/// Most notifications between two looks at them.
const MAX_NOTIFIED: usize = 64;

/// What can be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Package {
    /// `message-summary` (RFC 3842): the messages that wait in the account's mailbox.
    MessageSummary,
    /// `reg` (RFC 3680): what the registrar does with the account's bindings. The agent acts on what concerns its own
    /// (NOT-06).
    Registration,
}

impl Package {
    /// Its name in Event.
    pub fn name(self) -> &'static str {
        match self {
            Package::MessageSummary => "message-summary",
            Package::Registration => "reg",
        }
    }

    fn accept(self) -> &'static str {
        match self {
            Package::MessageSummary => "application/simple-message-summary",
            Package::Registration => "application/reginfo+xml",
        }
    }
}

/// What becomes of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriptionChange {
    /// The server notifies from now on, or still has to decide.
    Active {
        /// Whether somebody has yet to allow it.
        pending: bool,
    },
    /// It ended, or could not be had.
    Ended {
        /// The reason that the server gave (RFC 6665 §4.1.3), or the status and phrase with which it refused.
        reason: String,
        /// When it is tried again; `None` for never (NOT-05).
        retry_in: Option<Duration>,
    },
}

/// A notification of one of the subscriptions.
pub(crate) struct Notified {
    pub package: Package,
    pub content_type: Option<String>,
    pub body: Bytes,
    state: String,
    reason: Option<String>,
    expires: Option<Duration>,
    retry_after: Option<Duration>,
}

struct Dialog {
    remote_tag: String,
    target: Uri<'static>,
    routes: Vec<Uri<'static>>,
    /// CSeq of the latest NOTIFY.
    notified: Option<u32>,
}

#[derive(Debug)]
enum Phase {
    Idle,
    Waiting { at: Duration },
    Pending { branch: String },
    Active { refresh_at: Duration },
    Ended,
}

struct Subscription {
    package: Package,
    identifiers: Identifiers,
    dialog: Option<Dialog>,
    attempt: Attempt,
    phase: Phase,
    expires: u32,
    /// Where we said that we are.
    local: Option<SocketAddr>,
    /// The app wants it no longer.
    leaving: bool,
    failures: u32,
    /// Whether a 423 has raised the time asked for: once for a request, as for a REGISTER.
    raised: bool,
    /// When it was last made anew at once because the server ended it: one that ends each of them at once waits.
    renewed: Option<Duration>,
    told: Option<SubscriptionChange>,
}

/// All subscriptions: at most one of each package.
#[derive(Default)]
pub(crate) struct Subscriptions {
    all: Vec<Subscription>,
    notified: VecDeque<Notified>,
}

/// What is to be done after a response or a notification.
pub(crate) enum After {
    Nothing,
    Again,
    Tell(SubscriptionChange),
}

impl Subscriptions {
    pub fn add(&mut self, random: &mut Random, package: Package) {
        match self.of(package) {
            Some(known) => {
                known.leaving = false;
                if matches!(known.phase, Phase::Ended | Phase::Waiting { .. }) {
                    known.phase = Phase::Idle;
                }
            }
            None => self.all.push(Subscription {
                package,
                identifiers: Identifiers { cseq: 0, ..Identifiers::new(random) },
                dialog: None,
                attempt: Attempt::default(),
                phase: Phase::Idle,
                expires: EXPIRES,
                local: None,
                leaving: false,
                failures: 0,
                raised: false,
                renewed: None,
                told: None,
            }),
        }
    }

    pub fn remove(&mut self, package: Package) {
        match self.of(package) {
            Some(known) if known.dialog.is_some() => known.leaving = true,
            _ => self.all.retain(|known| known.package != package),
        }
    }

    fn of(&mut self, package: Package) -> Option<&mut Subscription> {
        self.all.iter_mut().find(|known| known.package == package)
    }

    /// When something is due by itself.
    pub fn deadline(&self) -> Option<Duration> {
        let at = |known: &Subscription| match known.phase {
            Phase::Waiting { at } | Phase::Active { refresh_at: at } => Some(at),
            _ => None,
        };
        self.all.iter().filter_map(at).min()
    }

    /// A package whose SUBSCRIBE should go out now from this address.
    pub fn due(&self, now: Now, local: SocketAddr) -> Option<Package> {
        let is_due = |known: &&Subscription| match known.phase {
            Phase::Idle => true,
            Phase::Waiting { at } => at <= now.mono,
            // Where we are reached has changed, or we leave: the dialog hears of it at once.
            Phase::Active { refresh_at } => {
                refresh_at <= now.mono || known.leaving || known.local != Some(local)
            }
            Phase::Pending { .. } | Phase::Ended => false,
        };
        self.all.iter().find(is_due).map(|known| known.package)
    }

    /// Writes a SUBSCRIBE.
    pub fn request(
        &mut self,
        package: Package,
        account: &Account,
        (proxy, service_route): (Option<&Uri<'static>>, &[Uri<'static>]),
        spaces: &mut Spaces,
        random: &mut Random,
        (local, contact): (SocketAddr, Uri<'static>),
    ) -> Option<(String, Bytes)> {
        let known = self.of(package)?;
        if !matches!(known.phase, Phase::Pending { .. }) {
            known.attempt = Attempt::default();
            known.raised = false;
        }
        known.identifiers.cseq += 1;
        known.local = Some(local);
        let branch = random.branch();
        let heading = match &known.dialog {
            Some(dialog) => Heading::new(None, &dialog.routes, &dialog.target),
            None => Heading::new(proxy, service_route, &account.address_of_record),
        };
        let expires = if known.leaving { 0 } else { known.expires };
        let writer = Draft {
            account,
            method: Method::Subscribe,
            target: &heading.target,
            to: &account.address_of_record,
            to_tag: known.dialog.as_ref().map(|dialog| dialog.remote_tag.as_str()),
            routes: &heading.routes,
            identifiers: &known.identifiers,
            local,
            branch: &branch,
        }
        .write()
        .field(Header::Contact, &NameAddr::new(contact))
        .literal(Header::Event, package.name())
        .literal(Header::Accept, package.accept())
        .field(Header::Expires, &Expires(expires));
        let target = Target { method: "SUBSCRIBE", uri: heading.target.as_str(), body: b"" };
        let answers = spaces.answers(account, random, &mut known.attempt, target);
        known.phase = Phase::Pending { branch: branch.clone() };
        Some((branch, with_answers(writer, &answers).finish(b"")))
    }

    /// A final response to a SUBSCRIBE.
    pub fn response(
        &mut self,
        package: Package,
        account: &Account,
        spaces: &mut Spaces,
        random: &mut Random,
        back_off: BackOff,
        response: Final<'_>,
    ) -> After {
        let Final { now, message, status, reason } = response;
        let Some(known) = self.of(package) else { return After::Nothing };
        // A notification may have ended what this answers, and another dialog begun.
        let branch = message.via().ok().and_then(|via| via.branch().map(|branch| branch.into_owned()));
        if matches!(&known.phase, Phase::Pending { branch: pending } if Some(pending) != branch.as_ref()) {
            return After::Nothing;
        }
        if known.leaving && !matches!(status.code(), 401 | 407) {
            self.all.retain(|known| known.package != package);
            return After::Nothing;
        }
        match status.code() {
            200..=299 => {
                spaces.confirmed(&mut known.attempt, message);
                known.failures = 0;
                let granted = message.get::<Expires>().ok().flatten().map_or(known.expires, |Expires(s)| s);
                if known.dialog.is_none() {
                    known.dialog =
                        dialog(message, message.to().ok().and_then(|to| to.tag().map(Into::into)), true);
                }
                // A notification that came before this may have ended it already.
                if matches!(known.phase, Phase::Pending { .. }) {
                    let granted = Duration::from_secs(granted.into());
                    known.phase = Phase::Active { refresh_at: now.mono + refresh_in(granted, random) };
                }
                After::Nothing
            }
            401 | 407 => match spaces.challenged(account, &mut known.attempt, message, &Method::Subscribe) {
                Ok(()) => After::Again,
                Err(problem) => known.end(problem.to_string(), None),
            },
            // The server has forgotten it (RFC 6665 §4.1.2.3).
            481 if known.dialog.is_some() => {
                known.start_anew(random);
                After::Again
            }
            423 => match message.get::<MinExpires>().ok().flatten() {
                Some(MinExpires(least)) if least > known.expires && !known.raised => {
                    known.expires = least;
                    known.raised = true;
                    After::Again
                }
                _ => known.end(phrase(status, reason), None),
            },
            408 | 480 | 500 | 503 | 504 => {
                known.failures = known.failures.saturating_add(1);
                let (wait, _) = back_off.after(random, known.failures, response.retry_after());
                known.wait(now, wait);
                known.end(phrase(status, reason), Some(wait))
            }
            _ => known.end(phrase(status, reason), None),
        }
    }

    /// Nobody answers the SUBSCRIBE: another dialog is tried later.
    pub fn unanswered(&mut self, now: Now, package: Package, random: &mut Random, back_off: BackOff) {
        let Some(known) = self.of(package) else { return };
        if matches!(known.phase, Phase::Pending { .. }) {
            known.failures = known.failures.saturating_add(1);
            known.start_anew(random);
            let wait = back_off.wait(random, known.failures);
            known.wait(now, wait);
        }
    }

    /// The connection of a SUBSCRIBE is gone: it goes again over another one.
    pub fn orphaned(&mut self, package: Package) {
        if let Some(known) = self.of(package)
            && matches!(known.phase, Phase::Pending { .. })
        {
            known.phase = Phase::Idle;
        }
    }

    /// Whether a NOTIFY belongs to one of our subscriptions (NOT-04): the status for it, and what it says is kept for
    /// [`Subscriptions::next_notified`].
    pub fn notify(&mut self, request: &Message) -> Option<StatusCode> {
        let tag = request.to().ok()?.tag()?.into_owned();
        let call_id = request.call_id().ok()?.into_owned();
        let event = request.get::<EventPackage<'_>>().ok()??;
        // We send no id, and so a NOTIFY with one is not ours.
        let known = self.all.iter_mut().find(|known| {
            known.identifiers.call_id == call_id
                && known.identifiers.from_tag == tag
                && known.package.name() == event.value
                && !event.params.has("id")
        })?;
        let Ok(Some(state)) = request.get::<SubscriptionState<'_>>() else {
            return Some(StatusCode::BAD_REQUEST);
        };
        let remote = request.from().ok()?.tag().map(|tag| tag.into_owned())?;
        let number = request.cseq().ok()?.number;
        let dialog = match &mut known.dialog {
            Some(dialog) if dialog.remote_tag != remote => {
                return Some(StatusCode::TRANSACTION_DOES_NOT_EXIST);
            }
            Some(dialog) => dialog,
            none => match dialog(request, Some(remote), false) {
                Some(dialog) => none.insert(dialog),
                None => return Some(StatusCode::BAD_REQUEST),
            },
        };
        if dialog.notified.is_some_and(|latest| number <= latest) {
            // Out of order (RFC 3261 §12.2.2).
            return Some(StatusCode::SERVER_INTERNAL_ERROR);
        }
        dialog.notified = Some(number);
        // A time that 32 bits do not hold is none (RFC 3261 §25.1, delta-seconds).
        let seconds = |name: &str| {
            let number: u32 = state.params.value(name)?.parse().ok()?;
            Some(Duration::from_secs(number.into()))
        };
        if self.notified.len() < MAX_NOTIFIED {
            self.notified.push_back(Notified {
                package: known.package,
                content_type: request.content_type().ok().flatten().map(|kind| kind.to_string()),
                body: request.body().clone(),
                state: state.value.to_ascii_lowercase(),
                reason: state.params.value("reason").map(|reason| reason.to_ascii_lowercase()),
                expires: seconds("expires"),
                retry_after: seconds("retry-after"),
            });
        }
        Some(StatusCode::OK)
    }

    /// The next notification that was taken, and what it means for its subscription.
    pub fn next_notified(
        &mut self,
        now: Now,
        random: &mut Random,
        back_off: BackOff,
    ) -> Option<(Notified, After)> {
        let notified = self.notified.pop_front()?;
        let Some(known) = self.of(notified.package) else { return Some((notified, After::Nothing)) };
        let after = match notified.state.as_str() {
            "terminated" => {
                let gone = known.leaving;
                let after = known.terminated(now, random, back_off, &notified);
                if gone {
                    self.all.retain(|known| known.package != notified.package);
                }
                after
            }
            state => {
                if let Some(expires) =
                    notified.expires.filter(|_| !matches!(known.phase, Phase::Pending { .. }))
                {
                    known.phase = Phase::Active { refresh_at: now.mono + refresh_in(expires, random) };
                }
                known.tell(SubscriptionChange::Active { pending: state == "pending" })
            }
        };
        Some((notified, after))
    }
}

impl Subscription {
    /// What `terminated` asks for (NOT-05, RFC 6665 §4.1.3).
    fn terminated(&mut self, now: Now, random: &mut Random, back_off: BackOff, notified: &Notified) -> After {
        self.start_anew(random);
        let reason = notified.reason.clone().unwrap_or_default();
        let may_renew = self.renewed.is_none_or(|at| at + MARGIN <= now.mono);
        let named = notified.retry_after.filter(|after| !after.is_zero());
        let at_once = match notified.retry_after {
            Some(after) => after.is_zero(),
            None => matches!(reason.as_str(), "deactivated" | "timeout"),
        };
        let later = match reason.as_str() {
            "rejected" | "noresource" | "invariant" => None,
            _ if at_once && may_renew => {
                self.renewed = Some(now.mono);
                Some(Duration::ZERO)
            }
            _ => Some(named.unwrap_or_else(|| {
                self.failures = self.failures.saturating_add(1);
                back_off.wait(random, self.failures)
            })),
        };
        match later {
            Some(wait) if !self.leaving => self.wait(now, wait),
            _ => self.phase = Phase::Ended,
        }
        self.tell(SubscriptionChange::Ended { reason, retry_in: later })
    }

    fn end(&mut self, reason: String, retry_in: Option<Duration>) -> After {
        if retry_in.is_none() {
            self.phase = Phase::Ended;
        }
        self.dialog = None;
        self.tell(SubscriptionChange::Ended { reason, retry_in })
    }

    fn wait(&mut self, now: Now, wait: Duration) {
        self.phase = if wait.is_zero() { Phase::Idle } else { Phase::Waiting { at: now.mono + wait } };
    }

    /// The next SUBSCRIBE makes another dialog.
    fn start_anew(&mut self, random: &mut Random) {
        self.dialog = None;
        self.identifiers = Identifiers { cseq: 0, ..Identifiers::new(random) };
    }

    fn tell(&mut self, change: SubscriptionChange) -> After {
        if self.told.as_ref() == Some(&change) {
            return After::Nothing;
        }
        self.told = Some(change.clone());
        After::Tell(change)
    }
}

fn phrase(status: StatusCode, reason: &str) -> String {
    format!("{status} {reason}")
}

/// The dialog that a response or a NOTIFY makes (RFC 6665 §4.1.2.4, §4.1.3): in a response the Record-Route is reversed.
fn dialog(message: &Message, remote_tag: Option<String>, is_response: bool) -> Option<Dialog> {
    let contact = message.contacts().flatten().next()?;
    let Contact::Address(address) = contact else { return None };
    let target = address.uri.into_owned();
    let mut routes: Vec<Uri<'static>> = message
        .all::<RecordRoute<'_>>()
        .flatten()
        .map(|route| route.0.uri.into_owned())
        .filter(may_be_target)
        .take(MAX_ROUTE)
        .collect();
    if is_response {
        routes.reverse();
    }
    may_be_target(&target).then_some(Dialog { remote_tag: remote_tag?, target, routes, notified: None })
}

/// A random part of 80 to 90 % of what was granted, at least 32 s before its end, half of a short one.
fn refresh_in(granted: Duration, random: &mut Random) -> Duration {
    if granted <= 2 * MARGIN {
        return (granted / 2).max(Duration::from_secs(1));
    }
    random.percent(granted, 80, 90).min(granted - MARGIN)
}
