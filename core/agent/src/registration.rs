//! The binding of one flow at the registrar: made, renewed, removed (RFC 3261 §10.2, RFC 5626 §4.2).

mod answer;
mod granted;
mod push;

use crate::account::Account;
use crate::event::{Gruus, RegistrationChange, RegistrationFailure};
use crate::random::Random;
use crate::redirects::Redirects;
use crate::request::{ALLOW, Draft, Heading, Identifiers, with_answers};
use crate::spaces::{Attempt, Spaces};
use crate::time::Now;
use aldis_sip::auth::Target;
use aldis_sip::fields::{Contact, Expires};
use aldis_sip::{FieldText, Header, Method, NameAddr, Params, SipScheme, Uri};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Duration;

pub(crate) use answer::Next;

/// A refresh comes at least this long before the expiry, or at half of a short one (REG-10).
const REFRESH_MARGIN: Duration = Duration::from_secs(32);

/// The registration of one account over one of its flows.
pub(crate) struct Registration {
    /// Whether there is to be one.
    pub wanted: bool,
    /// Which of the account's flows it is (OUT-03): the reg-id counts from 1.
    slot: usize,
    identifiers: Identifiers,
    attempt: Attempt,
    /// That of a REGISTER for whose answer nobody waits any more, since another flow takes over.
    left: Option<Attempt>,
    phase: Phase,
    /// What the registrar holds of us, as far as we know.
    bound: Option<Bound>,
    /// A Contact of a connection that is gone, or going, which the registrar may hold beside the new one.
    stale: Option<Uri<'static>>,
    offers: Offers,
    /// The expiry asked for, in seconds; a 423 raises it.
    expires: u32,
    raised: bool,
    /// What the registrar holds is to be replaced now: something of it has changed.
    renew: bool,
    /// Refusals in a row that can pass (OUT-09).
    failures: u32,
    redirects: Redirects,
    push: push::Pushing,
}

/// What REGISTER says that it supports (OUT-02, RT-01).
#[derive(Clone, Copy, Debug)]
struct Offers {
    path: bool,
    /// Not after a 439 (OUT-06).
    outbound: bool,
    gruu: bool,
}

#[derive(Debug)]
enum Phase {
    Idle,
    Pending {
        removal: bool,
        contact: Uri<'static>,
    },
    /// To be renewed between the two moments.
    Registered {
        refresh_from: Duration,
        refresh_at: Duration,
    },
    /// To be tried again; the registrar may have said when.
    Waiting {
        at: Duration,
        asked: bool,
    },
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
    gruus: Gruus,
}

impl Registration {
    pub fn new(account: &Account, slot: usize, random: &mut Random) -> Self {
        Registration {
            wanted: false,
            slot,
            identifiers: Identifiers { cseq: 0, ..Identifiers::new(random) },
            attempt: Attempt::default(),
            left: None,
            phase: Phase::Idle,
            bound: None,
            stale: None,
            offers: Offers { path: true, outbound: true, gruu: true },
            expires: account.expires,
            raised: false,
            renew: false,
            failures: 0,
            redirects: Redirects::default(),
            push: push::Pushing::default(),
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

    /// Whether the binding is one of RFC 5626; `None` without a binding.
    pub fn outbound(&self) -> Option<bool> {
        self.bound.as_ref().map(|bound| bound.outbound)
    }

    pub fn is_pending(&self) -> bool {
        matches!(self.phase, Phase::Pending { .. })
    }

    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Why the registrar will not have us, if it said so for good.
    pub fn refusal(&self) -> Option<&RegistrationFailure> {
        match &self.phase {
            Phase::Refused(why) => Some(why),
            _ => None,
        }
    }

    /// The app asks anew: what was refused for good is tried again, and nothing is waited for.
    pub fn try_again(&mut self) {
        if matches!(self.phase, Phase::Refused(_) | Phase::Waiting { .. }) {
            self.phase = Phase::Idle;
        }
    }

    /// What the registrar holds is to be replaced in place (same instance, reg-id and Call-ID), once nothing is pending.
    pub fn renew(&mut self) {
        self.renew = true;
        if matches!(self.phase, Phase::Waiting { .. }) {
            self.phase = Phase::Idle;
        }
    }

    /// Another expiry to ask for, in seconds.
    pub fn set_expires(&mut self, seconds: u32) {
        self.expires = seconds;
        self.renew();
    }

    /// It is wanted no longer. Whether that is all, and `Unregistered` to be told.
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

    /// Whether this is the URI of the binding that the registrar holds.
    pub fn bound_to(&self, uri: &Uri<'_>) -> bool {
        self.bound.as_ref().is_some_and(|bound| bound.contact.equivalent(uri))
    }

    /// The registrar has removed the binding and wants another: now, or not before this moment (NOT-06).
    pub fn taken_away(&mut self, not_before: Option<Duration>) {
        self.bound = None;
        if !self.is_pending() {
            self.phase = not_before.map_or(Phase::Idle, |at| Phase::Waiting { at, asked: true });
        }
    }

    /// The registrar has removed the binding and wants no other (NOT-06).
    pub fn rejected(&mut self, why: RegistrationFailure) {
        self.bound = None;
        self.phase = Phase::Refused(why);
    }

    /// The Route that the registrar gave for requests other than REGISTER.
    pub fn service_route(&self) -> &[Uri<'static>] {
        self.bound.as_ref().map_or(&[], |bound| &bound.service_route)
    }

    /// The URIs that reach this device from anywhere, while the registration that gave them lasts (RT-04).
    pub fn gruus(&self) -> Option<&Gruus> {
        self.bound.as_ref().map(|bound| &bound.gruus)
    }

    /// When something is due by itself.
    pub fn deadline(&self) -> Option<Duration> {
        match self.phase {
            Phase::Registered { refresh_at: at, .. } | Phase::Waiting { at, .. } if self.wanted => Some(at),
            _ => None,
        }
    }

    /// Whether a REGISTER must go out now: `Some(removal)`.
    pub fn due(&self, now: Now) -> Option<bool> {
        match (&self.phase, self.wanted) {
            (Phase::Pending { .. }, _) => None,
            (Phase::Idle, true) => Some(false),
            (Phase::Registered { refresh_at: at, .. }, true) => {
                (self.renew || *at <= now.mono).then_some(false)
            }
            (Phase::Waiting { at, .. }, true) => (*at <= now.mono).then_some(false),
            (Phase::Refused(_), true) => None,
            (_, false) => self.bound.is_some().then_some(true),
        }
    }

    /// Whether a refresh may go out now along with something else, so that the radio wakes up once (REG-11).
    pub fn may_refresh(&self, now: Now) -> bool {
        self.wanted
            && matches!(self.phase, Phase::Registered { refresh_from, .. } if refresh_from <= now.mono)
    }

    /// The flow is gone. What was registered over it counts no longer; whether `Unregistered` is to be told because that
    /// was wanted.
    pub fn flow_lost(&mut self) -> bool {
        let had = self.bound.is_some() || self.is_pending();
        self.binding_lost();
        match self.phase {
            Phase::Refused(_) | Phase::Waiting { asked: true, .. } => {}
            _ => self.phase = Phase::Idle,
        }
        had && !self.wanted
    }

    /// The flow of the binding is gone, while another one is being registered in its place.
    pub fn binding_lost(&mut self) {
        self.keep_stale();
        self.bound = None;
        if matches!(self.phase, Phase::Registered { .. }) {
            self.phase = Phase::Idle;
        }
    }

    /// Another flow takes the place of the one that is up, which still serves meanwhile: the next REGISTER goes over the new
    /// one, at once. Nobody waits any more for the answer to one that is under way.
    pub fn moved(&mut self) {
        self.keep_stale();
        if self.is_pending() {
            self.left = Some(std::mem::take(&mut self.attempt));
        }
        if !matches!(self.phase, Phase::Refused(_)) {
            self.phase = Phase::Idle;
        }
    }

    /// The connection that was to take the place of another is gone, and the other serves on. What the registrar put off over
    /// it stays put off.
    pub fn replacement_lost(&mut self) {
        if !matches!(self.phase, Phase::Waiting { .. }) {
            self.moved();
        }
    }

    /// With outbound the new flow replaces the binding (OUT-08); without, the old one would stay until it expires.
    fn keep_stale(&mut self) {
        if let Some(bound) = self.bound.as_ref().filter(|bound| !bound.outbound) {
            self.stale = Some(bound.contact.clone());
        }
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
        self.renew = false;
        self.identifiers.cseq += 1;
        let branch = random.branch();
        let target = account.registrar();
        let contact = self.with_push(self.contact(account, local), removal);
        let expires = if removal { 0 } else { self.expires };
        let ours = Contact::Address(
            NameAddr::new(contact.clone()).with_params(self.contact_params(account, expires)),
        );
        // A Service-Route is not for REGISTER (RT-08).
        let heading = Heading::new(account.route_of(self.slot), &[], &target);
        let mut writer = Draft {
            account,
            method: Method::Register,
            target: &heading.target,
            to: &account.address_of_record,
            to_tag: None,
            routes: &heading.routes,
            identifiers: &self.identifiers,
            local,
            branch: &branch,
        }
        .write()
        .field(Header::Contact, &ours);
        if let Some(stale) = self.stale.as_ref().filter(|stale| !stale.equivalent(&contact)) {
            let gone = Params::none().with("expires", Some("0")).unwrap_or_default();
            writer = writer.field(Header::Contact, &NameAddr::new(stale.clone()).with_params(gone));
        }
        writer = writer.field(Header::Expires, &Expires(expires));
        if let Some(supported) = self.offers.text() {
            writer = writer.field(Header::Supported, &supported);
        }
        writer = writer.literal(Header::Allow, ALLOW);
        let target = Target { method: "REGISTER", uri: heading.target.as_str(), body: b"" };
        let answers = spaces.answers(account, random, &mut self.attempt, target);
        self.phase = Phase::Pending { removal, contact };
        (branch, with_answers(writer, &answers).finish(b""))
    }

    /// Where this device is reached over a connection.
    pub fn contact(&self, account: &Account, local: SocketAddr) -> Uri<'static> {
        let sips = account.address_of_record.scheme() == aldis_sip::Scheme::Sips;
        let scheme = if sips { SipScheme::Sips } else { SipScheme::Sip };
        let host = local.ip().to_canonical().to_string();
        Uri::sip(scheme, Some(&account.contact_user()), &host, Some(local.port()))
            .unwrap_or_else(|_| account.address_of_record.clone())
    }

    fn contact_params(&self, account: &Account, expires: u32) -> Params<'static> {
        let instance = format!("<urn:uuid:{}>", account.instance);
        let mut pairs = vec![("expires", expires.to_string()), ("+sip.instance", instance)];
        if self.offers.outbound {
            pairs.push(("reg-id", self.reg_id()));
        }
        let params = pairs.into_iter().fold(Params::none(), |params, (name, value)| {
            params.clone().with(name, Some(&value)).unwrap_or(params)
        });
        if !self.wakes_itself() {
            return params;
        }
        params.clone().with("+sip.pnsreg", None).unwrap_or(params)
    }

    /// The flow's number in the Contact: the same one at each start (OUT-03).
    fn reg_id(&self) -> String {
        (self.slot + 1).to_string()
    }

    /// What to tell when a REGISTER goes out the first time of an attempt.
    pub fn announcement(&self, removal: bool) -> Option<RegistrationChange> {
        match (removal, &self.bound) {
            (true, _) => None,
            (false, Some(_)) => Some(RegistrationChange::Refreshing),
            (false, None) => Some(RegistrationChange::Registering),
        }
    }

    /// The REGISTER went to a place that 3xx named.
    pub fn came_to(&mut self, place: &Uri<'static>) {
        self.redirects.came_to(place);
    }

    /// The next place that 3xx named, if the one before could not be reached.
    pub fn next_redirect(&mut self, account: &Account) -> Option<Uri<'static>> {
        self.redirects.next(&account.registrar())
    }

    /// Gives up waiting for the answer to a removal. Whether there was something to wait for.
    pub fn abandon(&mut self) -> bool {
        let had = self.bound.take().is_some() || self.is_pending();
        self.phase = Phase::Idle;
        had
    }
}

impl Offers {
    fn text(self) -> Option<FieldText<'static>> {
        let tags = [("path", self.path), ("outbound", self.outbound), ("gruu", self.gruu)];
        let tags: Vec<_> = tags.into_iter().filter_map(|(tag, offered)| offered.then_some(tag)).collect();
        FieldText::new(tags.join(", ")).ok().filter(|_| !tags.is_empty())
    }

    /// Leaves out what a 420 names; whether anything changed.
    fn without(&mut self, tag: &str) -> bool {
        let offered = match tag.to_ascii_lowercase().as_str() {
            "path" => &mut self.path,
            "outbound" => &mut self.outbound,
            "gruu" => &mut self.gruu,
            _ => return false,
        };
        std::mem::replace(offered, false)
    }
}

/// The first moment for a refresh and the one at which it must go: from 80 % of the time granted to a random part of it
/// up to 90 % (REG-11), at least 32 s before its end, at half of it if it is 64 s or less (REG-10).
fn refresh_in(granted: Duration, random: &mut Random) -> (Duration, Duration) {
    if granted <= 2 * REFRESH_MARGIN {
        return (granted / 2, granted / 2);
    }
    let latest = random.percent(granted, 80, 90).min(granted - REFRESH_MARGIN);
    (random.percent(granted, 80, 80).min(latest), latest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refresh_comes_in_time_reg_10_reg_11() {
        let mut random = Random::new([3; 32]);
        let seconds = Duration::from_secs;
        for _ in 0..200 {
            let (earliest, hour) = refresh_in(seconds(3600), &mut random);
            assert_eq!(earliest, seconds(2880));
            assert!((seconds(2880)..=seconds(3240)).contains(&hour));
            assert!(refresh_in(seconds(100), &mut random).1 <= seconds(68));
            assert_eq!(refresh_in(seconds(60), &mut random), (seconds(30), seconds(30)));
            assert_eq!(refresh_in(seconds(1), &mut random).1, Duration::from_millis(500));
        }
    }
}
