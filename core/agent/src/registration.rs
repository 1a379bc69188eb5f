//! The binding at the registrar: made, renewed, removed (RFC 3261 §10.2, RFC 5626 §4.2).

mod granted;

use crate::account::Account;
use crate::event::{RegistrationChange, RegistrationFailure};
use crate::random::Random;
use crate::request::{ALLOW, Draft, Heading, Identifiers, with_answers};
use crate::spaces::{Attempt, Spaces};
use crate::time::Now;
use crate::transactions::Final;
use aldis_sip::auth::Target;
use aldis_sip::fields::{Contact, Expires, MinExpires};
use aldis_sip::{Header, Method, NameAddr, Params, SipScheme, StatusCode, Uri};
use bytes::Bytes;
use granted::Granted;
use std::net::SocketAddr;
use std::time::Duration;

/// The flow's number in the Contact (OUT-03).
const REG_ID: &str = "1";
/// What REGISTER supports (OUT-02, RT-01).
const SUPPORTED_BY_REGISTER: &str = "path, outbound, gruu";
/// A refresh comes at least this long before the expiry, or at half of a short one (REG-10).
const REFRESH_MARGIN: Duration = Duration::from_secs(32);
/// Longest time that is waited for a registrar that cannot serve: base and cap of OUT-09.
const RETRY_BASE: Duration = Duration::from_millis(500);
const RETRY_CAP: Duration = Duration::from_secs(1800);

/// The registration of one account over one flow.
pub(crate) struct Registration {
    /// What the app asked for.
    pub wanted: bool,
    identifiers: Identifiers,
    attempt: Attempt,
    phase: Phase,
    /// What the registrar holds of us, as far as we know.
    bound: Option<Bound>,
    /// A Contact of a lost connection that the registrar may still hold beside the new one.
    stale: Option<Uri<'static>>,
    /// Not after a 439 (OUT-06).
    offers_outbound: bool,
    /// The expiry asked for, in seconds; a 423 raises it.
    expires: u32,
    raised: bool,
    failures: u32,
}

#[derive(Debug)]
enum Phase {
    Idle,
    Pending { branch: String, removal: bool, contact: Uri<'static> },
    Registered { refresh_at: Duration },
    Waiting { at: Duration },
    Refused(RegistrationFailure),
}

#[derive(Clone, Debug)]
struct Bound {
    contact: Uri<'static>,
    outbound: bool,
    /// When the registrar forgets it.
    until: Duration,
    /// The Route of later requests, behind the account's proxy (RT-07).
    service_route: Vec<Uri<'static>>,
}

/// What is to be done after a response or a loss.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing but to tell.
    Tell(RegistrationChange),
    /// Nothing at all; what is due then says more.
    Nothing,
    /// The same request again, with another CSeq.
    Again,
    /// It is done: the binding is there, pings may start with this Flow-Timer.
    Bound { change: RegistrationChange, flow_timer: Option<u32>, pongs: bool },
}

/// `min(cap, base * 2^failures)`, of which a random 50 to 100 % is waited (RFC 5626 §4.5).
pub(crate) fn back_off(random: &mut Random, failures: u32) -> Duration {
    let whole = RETRY_BASE.saturating_mul(2u32.saturating_pow(failures.min(20))).min(RETRY_CAP);
    random.percent(whole, 50, 100)
}

impl Registration {
    pub fn new(account: &Account, random: &mut Random) -> Self {
        Registration {
            wanted: false,
            identifiers: Identifiers { cseq: 0, ..Identifiers::new(random) },
            attempt: Attempt::default(),
            phase: Phase::Idle,
            bound: None,
            stale: None,
            offers_outbound: true,
            expires: account.expires,
            raised: false,
            failures: 0,
        }
    }

    /// Whether a flow is needed for the registration's sake.
    pub fn needs_flow(&self) -> bool {
        (self.wanted && !matches!(self.phase, Phase::Refused(_)))
            || self.bound.is_some()
            || matches!(self.phase, Phase::Pending { .. })
    }

    pub fn is_bound(&self) -> bool {
        self.bound.is_some()
    }

    pub fn is_pending(&self) -> bool {
        matches!(self.phase, Phase::Pending { .. })
    }

    /// Why the registrar will not have us, if it said so for good.
    pub fn refusal(&self) -> Option<&RegistrationFailure> {
        match &self.phase {
            Phase::Refused(why) => Some(why),
            _ => None,
        }
    }

    /// The app asks anew: what was refused for good is tried again.
    pub fn want(&mut self) {
        self.wanted = true;
        if matches!(self.phase, Phase::Refused(_) | Phase::Waiting { .. }) {
            self.phase = Phase::Idle;
        }
    }

    /// The app wants it no longer. Whether that is all, and `Unregistered` to be told.
    pub fn unwant(&mut self) -> bool {
        let had = self.wanted || self.bound.is_some();
        self.wanted = false;
        if self.bound.is_some() || self.is_pending() {
            return false;
        }
        self.phase = Phase::Idle;
        had
    }

    /// Forgets a binding whose time is over: the device may have slept past it.
    pub fn expire(&mut self, now: Now) {
        if self.bound.as_ref().is_some_and(|bound| bound.until <= now.mono) {
            self.bound = None;
            if matches!(self.phase, Phase::Registered { .. }) {
                self.phase = Phase::Idle;
            }
        }
    }

    /// The Route that the registrar gave for requests other than REGISTER.
    pub fn service_route(&self) -> &[Uri<'static>] {
        self.bound.as_ref().map_or(&[], |bound| &bound.service_route)
    }

    /// When something is due by itself.
    pub fn deadline(&self) -> Option<Duration> {
        match self.phase {
            Phase::Registered { refresh_at } => Some(refresh_at),
            Phase::Waiting { at } => Some(at),
            _ => None,
        }
    }

    /// Whether a REGISTER should go out now: `Some(removal)`.
    pub fn due(&self, now: Now) -> Option<bool> {
        match (&self.phase, self.wanted) {
            (Phase::Pending { .. }, _) => None,
            (Phase::Idle, true) => Some(false),
            (Phase::Registered { refresh_at: at } | Phase::Waiting { at }, true) => {
                (*at <= now.mono).then_some(false)
            }
            (Phase::Refused(_), true) => None,
            (_, false) => self.bound.is_some().then_some(true),
        }
    }

    /// The flow is gone. What was registered over it counts no longer; whether `Unregistered` is to be told because that
    /// was wanted.
    pub fn flow_lost(&mut self) -> bool {
        let had = self.bound.is_some() || self.is_pending();
        if let Some(bound) = self.bound.take() {
            // With outbound the new flow replaces the binding (OUT-08); without, the old one would stay until it expires.
            self.stale = (!bound.outbound).then_some(bound.contact);
        }
        if !matches!(self.phase, Phase::Refused(_)) {
            self.phase = Phase::Idle;
        }
        had && !self.wanted
    }

    /// Writes a REGISTER; each call is a new request (REG-03).
    pub fn request(
        &mut self,
        account: &Account,
        spaces: &mut Spaces,
        random: &mut Random,
        local: SocketAddr,
        removal: bool,
    ) -> (String, Bytes) {
        if !matches!(self.phase, Phase::Pending { .. }) {
            self.attempt = Attempt::default();
            self.raised = false;
        }
        self.identifiers.cseq += 1;
        let branch = random.branch();
        let target = account.registrar();
        let sips = account.address_of_record.scheme() == aldis_sip::Scheme::Sips;
        let scheme = if sips { SipScheme::Sips } else { SipScheme::Sip };
        let host = local.ip().to_canonical().to_string();
        let contact = Uri::sip(scheme, Some(&account.contact_user()), &host, Some(local.port()))
            .unwrap_or_else(|_| account.address_of_record.clone());
        let expires = if removal { 0 } else { self.expires };
        let mut params = Params::none();
        let instance = format!("<urn:uuid:{}>", account.instance);
        let mut pairs = vec![("expires", expires.to_string()), ("+sip.instance", instance)];
        if self.offers_outbound {
            pairs.push(("reg-id", REG_ID.into()));
        }
        for (name, value) in pairs {
            params = params.clone().with(name, Some(&value)).unwrap_or(params);
        }
        let ours = Contact::Address(NameAddr::new(contact.clone()).with_params(params));
        // A Service-Route is not for REGISTER (RT-08).
        let heading = Heading::new(account, &[], &target);
        let mut writer = Draft {
            account,
            method: Method::Register,
            target: &heading.target,
            to: &account.address_of_record,
            routes: &heading.routes,
            identifiers: &self.identifiers,
            local,
            branch: &branch,
        }
        .write()
        .field(Header::Contact, &ours);
        if let Some(stale) = self.stale.as_ref().filter(|stale| !removal && !stale.equivalent(&contact)) {
            let gone = Params::none().with("expires", Some("0")).unwrap_or_default();
            writer = writer.field(Header::Contact, &NameAddr::new(stale.clone()).with_params(gone));
        }
        let supported = if self.offers_outbound { SUPPORTED_BY_REGISTER } else { "path, gruu" };
        writer = writer
            .field(Header::Expires, &Expires(expires))
            .literal(Header::Supported, supported)
            .literal(Header::Allow, ALLOW);
        let target = Target { method: "REGISTER", uri: heading.target.as_str(), body: b"" };
        let answers = spaces.answers(account, random, &mut self.attempt, target);
        self.phase = Phase::Pending { branch: branch.clone(), removal, contact };
        (branch, with_answers(writer, &answers).finish(b""))
    }

    /// What to tell when a REGISTER goes out the first time of an attempt.
    pub fn announcement(&self, removal: bool) -> Option<RegistrationChange> {
        match (removal, &self.bound) {
            (true, _) => None,
            (false, Some(_)) => Some(RegistrationChange::Refreshing),
            (false, None) => Some(RegistrationChange::Registering),
        }
    }

    /// A final response to our REGISTER.
    pub fn response(
        &mut self,
        account: &Account,
        spaces: &mut Spaces,
        random: &mut Random,
        response: Final<'_>,
    ) -> Next {
        let Final { now, message, status, reason } = response;
        let Phase::Pending { removal, contact, .. } = &self.phase else { return Next::Nothing };
        let (removal, asked) = (*removal, contact.clone());
        if !self.wanted && !removal && !status.is_success() {
            // The app has changed its mind meanwhile. A binding from before is removed next.
            self.phase = Phase::Idle;
            return match self.bound {
                Some(_) => Next::Nothing,
                None => Next::Tell(RegistrationChange::Unregistered),
            };
        }
        match status.code() {
            200..=299 => {
                spaces.confirmed(&self.attempt, message);
                if removal {
                    self.phase = Phase::Idle;
                    self.bound = None;
                    return Next::Tell(RegistrationChange::Unregistered);
                }
                match Granted::read(account, message, &asked, self.expires) {
                    Some(granted) => self.accepted(now, random, granted),
                    None => {
                        // Not registered any more, if we were (REG-09).
                        self.bound = None;
                        self.failed(now, random, false, RegistrationFailure::NoBinding, status, None)
                    }
                }
            }
            401 | 407 => match spaces.challenged(account, &mut self.attempt, message, &Method::Register) {
                Ok(()) => Next::Again,
                Err(problem) => self.refused(removal, problem.into(), status),
            },
            423 => {
                let least = message.get::<MinExpires>().ok().flatten().map(|MinExpires(seconds)| seconds);
                match least.filter(|least| *least > self.expires && !self.raised && !removal) {
                    Some(least) => {
                        self.expires = least;
                        self.raised = true;
                        Next::Again
                    }
                    None => self.failed(now, random, removal, RegistrationFailure::Interval, status, None),
                }
            }
            439 if self.offers_outbound => {
                self.offers_outbound = false;
                Next::Again
            }
            403 => self.refused(removal, RegistrationFailure::Forbidden { reason: reason.into() }, status),
            404 => self.refused(removal, RegistrationFailure::UnknownUser { reason: reason.into() }, status),
            _ => {
                let why = RegistrationFailure::Unavailable { status, reason: reason.into() };
                self.failed(now, random, removal, why, status, response.retry_after())
            }
        }
    }

    fn accepted(&mut self, now: Now, random: &mut Random, granted: Granted) -> Next {
        let Granted { contact, expires_in, requires_outbound, service_route, flow_timer, pongs } = granted;
        let outbound = self.offers_outbound && requires_outbound;
        let until = now.mono + expires_in;
        self.bound = Some(Bound { contact: contact.clone(), outbound, until, service_route });
        self.stale = None;
        self.failures = 0;
        self.phase = Phase::Registered { refresh_at: now.mono + refresh_in(expires_in, random) };
        let change = RegistrationChange::Registered { expires_in, contact, outbound };
        Next::Bound { change, flow_timer, pongs }
    }

    /// A refusal that stays until the app acts.
    fn refused(&mut self, removal: bool, why: RegistrationFailure, status: StatusCode) -> Next {
        self.bound = None;
        if removal {
            // It cannot be removed; it will expire.
            self.phase = Phase::Idle;
            return Next::Tell(RegistrationChange::Unregistered);
        }
        self.phase = Phase::Refused(why.clone());
        Next::Tell(RegistrationChange::Failed { why, status: Some(status), retry_in: None })
    }

    /// A failure that can pass.
    fn failed(
        &mut self,
        now: Now,
        random: &mut Random,
        removal: bool,
        why: RegistrationFailure,
        status: StatusCode,
        after: Option<Duration>,
    ) -> Next {
        if removal {
            self.bound = None;
            self.phase = Phase::Idle;
            return Next::Tell(RegistrationChange::Unregistered);
        }
        self.failures = self.failures.saturating_add(1);
        let retry_in = match after {
            // "Now" (REG-17), but not again and again.
            Some(after) if after.is_zero() && self.failures == 1 => after,
            Some(after) if !after.is_zero() => after,
            _ => back_off(random, self.failures),
        };
        self.phase = Phase::Waiting { at: now.mono + retry_in };
        Next::Tell(RegistrationChange::Failed { why, status: Some(status), retry_in: Some(retry_in) })
    }

    /// Gives up waiting for the answer to a removal. Whether there was something to wait for.
    pub fn abandon(&mut self) -> bool {
        let had = self.bound.take().is_some() || self.is_pending();
        self.phase = Phase::Idle;
        had
    }

    pub fn pending_branch(&self) -> Option<&str> {
        match &self.phase {
            Phase::Pending { branch, .. } => Some(branch),
            _ => None,
        }
    }
}

/// When to refresh: a random 80 to 90 % of the time granted (REG-11), at least 32 s before its end, at half of it if it
/// is 64 s or less (REG-10).
fn refresh_in(granted: Duration, random: &mut Random) -> Duration {
    if granted <= 2 * REFRESH_MARGIN {
        return granted / 2;
    }
    random.percent(granted, 80, 90).min(granted - REFRESH_MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refresh_comes_in_time_reg_10_reg_11() {
        let mut random = Random::new([3; 32]);
        let seconds = Duration::from_secs;
        for _ in 0..200 {
            let hour = refresh_in(seconds(3600), &mut random);
            assert!((seconds(2880)..=seconds(3240)).contains(&hour));
            assert!(refresh_in(seconds(100), &mut random) <= seconds(68));
            assert_eq!(refresh_in(seconds(60), &mut random), seconds(30));
            assert_eq!(refresh_in(seconds(1), &mut random), Duration::from_millis(500));
        }
    }

    #[test]
    fn waiting_doubles_and_is_capped_out_09() {
        let mut random = Random::new([3; 32]);
        for (failures, whole) in [(1, 1.0), (4, 8.0), (11, 1024.0), (12, 1800.0), (4_000_000_000, 1800.0)] {
            let waited = back_off(&mut random, failures).as_secs_f64();
            assert!((whole * 0.499..=whole).contains(&waited), "{failures}: {waited}");
        }
    }
}
