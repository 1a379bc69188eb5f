//! Push in a REGISTER and in its answer (RFC 8599).

use super::Registration;
use crate::push::{MAX_OFFERED, Push, PushChange};
use aldis_sip::fields::FeatureCaps;
use aldis_sip::{Message, Uri};
use std::time::Duration;

/// With push active and no refresh asked for, the proxy's push comes first; this long before the expiry it did not come.
const LAST_RESORT: Duration = Duration::from_secs(10);

/// What REGISTER says of push.
#[derive(Default)]
pub(super) struct Pushing {
    wanted: Wanted,
    /// What was told last.
    told: Option<PushChange>,
    untold: Option<PushChange>,
    /// The network said that it does not do this: not asked again before the app says something new.
    refused: bool,
    /// How long before the expiry a refresh must come, while push is active.
    active: Option<Option<Duration>>,
}

#[derive(Default)]
enum Wanted {
    #[default]
    Off,
    /// Which services there are: this one or all.
    Query(Option<String>),
    On(Push),
}

impl Registration {
    /// Pushes to have sent from now on, or none: what is registered is registered anew in place (PUSH-08, PUSH-09).
    pub fn set_push(&mut self, push: Option<Push>) {
        let was_on = matches!(self.push.wanted, Wanted::On(_));
        self.push.wanted = match push {
            Some(push) => Wanted::On(push),
            None if !was_on => return,
            None => Wanted::Off,
        };
        self.push.refused = false;
        self.push.active = None;
        // Another token makes another Contact, beside which the old one would stay (PUSH-10).
        self.keep_stale();
        self.renew();
    }

    /// Asks with the next REGISTER, which goes at once, which push services the network supports. Nothing where push is on.
    pub fn query_push(&mut self, provider: Option<String>) {
        if !matches!(self.push.wanted, Wanted::On(_)) {
            self.push.wanted = Wanted::Query(provider);
            self.push.refused = false;
            self.renew();
        }
    }

    /// The parameters of our Contact's URI (PUSH-01, PUSH-08, PUSH-11).
    pub(super) fn with_push(&self, contact: Uri<'static>, removal: bool) -> Uri<'static> {
        if removal || self.push.refused {
            return contact;
        }
        let pairs = match &self.push.wanted {
            Wanted::Off => return contact,
            Wanted::Query(provider) => vec![("pn-provider", provider.as_deref())],
            Wanted::On(push) => {
                let mut pairs = vec![("pn-provider", Some(push.provider.as_str()))];
                pairs.extend(push.param.as_deref().map(|param| ("pn-param", Some(param))));
                pairs.push(("pn-prid", Some(push.prid.as_str())));
                pairs
            }
        };
        pairs
            .into_iter()
            .fold(contact, |uri, (name, value)| uri.clone().with_param(name, value).unwrap_or(uri))
    }

    /// Whether our Contact says that we wake ourselves (PUSH-06).
    pub(super) fn wakes_itself(&self) -> bool {
        matches!(&self.push.wanted, Wanted::On(push) if push.wakes_itself && !self.push.refused)
    }

    /// Takes what a 2xx says of push (PUSH-03, PUSH-07).
    pub(super) fn push_accepted(&mut self, response: &Message) {
        let change = match &self.push.wanted {
            Wanted::Off if self.push.told.is_none() => return,
            Wanted::Off => PushChange::Off,
            Wanted::Query(_) => {
                let providers = offered(response).take(MAX_OFFERED).map(|(provider, _)| provider).collect();
                self.push.wanted = Wanted::Off;
                PushChange::Offered { providers }
            }
            Wanted::On(_) if self.push.refused => return,
            Wanted::On(push) => {
                let ours = offered(response).find(|(name, _)| name.eq_ignore_ascii_case(&push.provider));
                // Whoever did not say that he wakes himself is not held to it.
                self.push.active = ours.map(|(_, before)| before.filter(|_| push.wakes_itself));
                match self.push.active {
                    Some(refresh_before) => PushChange::Active { refresh_before },
                    None => PushChange::NotPromised,
                }
            }
        };
        self.tell_push(change);
    }

    /// Takes a 555; whether the same REGISTER without push may do better (PUSH-12).
    pub(super) fn push_refused(&mut self) -> bool {
        let change = match std::mem::take(&mut self.push.wanted) {
            Wanted::Off => return false,
            Wanted::Query(_) => PushChange::Offered { providers: Vec::new() },
            Wanted::On(_) if self.push.refused => return false,
            Wanted::On(push) => {
                self.push.wanted = Wanted::On(push);
                PushChange::Unsupported
            }
        };
        self.push.refused = true;
        self.push.active = None;
        self.tell_push(change);
        true
    }

    fn tell_push(&mut self, change: PushChange) {
        let answer = matches!(change, PushChange::Offered { .. });
        if answer || self.push.told.as_ref() != Some(&change) {
            self.push.told = Some(change.clone()).filter(|change| !answer && *change != PushChange::Off);
            self.push.untold = Some(change);
        }
    }

    /// What there is to tell of push.
    pub fn push_change(&mut self) -> Option<PushChange> {
        self.push.untold.take()
    }

    /// The moments of a refresh, counted from now, as push has them: at least as long before the expiry as the proxy asks;
    /// where it sends a push instead, only if that did not come (PUSH-07).
    pub(super) fn refresh_with_push(
        &self,
        granted: Duration,
        (from, at): (Duration, Duration),
    ) -> (Duration, Duration) {
        match self.push.active {
            None => (from, at),
            Some(Some(before)) => {
                // More than all of it cannot be kept; half of it is the most often that is of use.
                let latest = granted.saturating_sub(before).max(granted / 2);
                (from.min(latest), at.min(latest))
            }
            Some(None) => {
                let late = granted.saturating_sub(LAST_RESORT).max(at);
                (late, late)
            }
        }
    }
}

/// A Contact without what it says of push: with the token anybody could wake the device.
pub(super) fn without_push(contact: Uri<'static>) -> Uri<'static> {
    let text = contact.as_str();
    let (user, rest) = text.split_at(text.rfind('@').map_or(0, |at| at + 1));
    let is_push = |part: &&str| part.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("pn-"));
    let kept: Vec<&str> = rest.split(';').filter(|part| !is_push(part)).collect();
    let bare = Uri::parse(format!("{user}{}", kept.join(";")));
    bare.unwrap_or(contact)
}

/// The push services that an answer names, each with the time of `+sip.pnsreg` beside it. (RFC 8599 §4.1.4 writes pnsreq by
/// mistake; its §8.4 and its example have pnsreg.) Several services stand in values of their own, or in one with commas.
fn offered(response: &Message) -> impl Iterator<Item = (String, Option<Duration>)> {
    response.all::<FeatureCaps<'_>>().flatten().flat_map(|caps| {
        let before = caps.params.value("+sip.pnsreg").and_then(|seconds| seconds.parse().ok());
        let before = before.map(|seconds: u32| Duration::from_secs(seconds.into()));
        let providers = caps.params.value("+sip.pns").unwrap_or_default().into_owned();
        let names = providers.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.map(|name| (name.to_owned(), before)).collect::<Vec<_>>()
    })
}
