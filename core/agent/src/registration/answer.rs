//! What a final response to a REGISTER means.

use super::granted::Granted;
use super::{Bound, Phase, Registration, refresh_in};
use crate::account::Account;
use crate::event::{RegistrationChange, RegistrationFailure};
use crate::random::Random;
use crate::redirects::Redirects;
use crate::spaces::Spaces;
use crate::timing::BackOff;
use crate::transactions::Final;
use aldis_sip::fields::{MinExpires, Unsupported};
use aldis_sip::{Message, Method, StatusCode, Uri};
use std::time::Duration;

/// What is to be done after a response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing but to tell.
    Tell(RegistrationChange),
    /// Nothing at all; what is due then says more.
    Nothing,
    /// The same request again, with another CSeq.
    Again,
    /// The registrar cannot serve now (503) and holds no binding of this flow: when it is asked again, another host of it
    /// should be (REG-17).
    Elsewhere(RegistrationChange),
    /// The registrar is at another place (3xx); the identity that it must prove stays (GEN-18).
    Redirected(Uri<'static>),
    /// It is done: the binding is there, pings may start with this Flow-Timer.
    Bound { change: RegistrationChange, flow_timer: Option<u32>, pongs: bool },
}

/// A failure that can pass: why, what was said, and when the server wants to be asked again.
struct Failure {
    why: RegistrationFailure,
    status: StatusCode,
    after: Option<Duration>,
}

impl Registration {
    /// A final response to a REGISTER for which nobody waits any more: what it refuses is refused all the same (AUTH-28).
    pub fn overheard(&mut self, account: &Account, spaces: &mut Spaces, response: &Message) {
        if let Some(attempt) = self.left.take() {
            spaces.overheard(account, &attempt, response);
        }
    }

    /// A final response to our REGISTER.
    pub fn response(
        &mut self,
        account: &Account,
        spaces: &mut Spaces,
        random: &mut Random,
        back_off: BackOff,
        response: Final<'_>,
    ) -> Next {
        let Final { now, message, status, reason } = response;
        let Phase::Pending { removal, contact } = &self.phase else {
            self.overheard(account, spaces, message);
            return Next::Nothing;
        };
        let (removal, asked) = (*removal, contact.clone());
        if !self.wanted && !removal && !status.is_success() {
            // The app has changed its mind meanwhile. A binding from before is removed next.
            spaces.overheard(account, &self.attempt, message);
            self.phase = Phase::Idle;
            return match self.bound {
                Some(_) => Next::Nothing,
                None => Next::Tell(RegistrationChange::Unregistered),
            };
        }
        let reason = || reason.to_owned();
        let failure = match status.code() {
            200..=299 => {
                spaces.confirmed(&mut self.attempt, message);
                if removal {
                    return self.removed();
                }
                match Granted::read(self, account, message, &asked) {
                    Some(granted) => {
                        self.push_accepted(message);
                        return self.accepted(now, random, granted);
                    }
                    None => {
                        // Not registered any more, if we were (REG-09).
                        self.bound = None;
                        Failure { why: RegistrationFailure::NoBinding, status, after: None }
                    }
                }
            }
            300..=399 if !removal => {
                self.redirects.take(message);
                if let Some(uri) = self.redirects.next(&account.registrar()) {
                    self.phase = Phase::Idle;
                    return Next::Redirected(uri);
                }
                let to = self.redirects.circle().map(ToString::to_string);
                let why = RegistrationFailure::Redirected { status, reason: reason(), to };
                Failure { why, status, after: response.retry_after() }
            }
            401 | 407 => {
                return match spaces.challenged(account, &mut self.attempt, message, &Method::Register) {
                    Ok(()) => Next::Again,
                    Err(problem) => self.refused(removal, problem.into(), status),
                };
            }
            420 if self.leave_out_unsupported(message) => return Next::Again,
            423 => {
                let least = message.get::<MinExpires>().ok().flatten().map(|MinExpires(seconds)| seconds);
                match least.filter(|least| *least > self.expires && !self.raised && !removal) {
                    Some(least) => {
                        self.expires = least;
                        self.raised = true;
                        return Next::Again;
                    }
                    None => Failure { why: RegistrationFailure::Interval, status, after: None },
                }
            }
            439 if self.offers.outbound => {
                self.offers.outbound = false;
                return Next::Again;
            }
            555 if !removal && self.push_refused() => return Next::Again,
            403 => return self.refused(removal, RegistrationFailure::Forbidden { reason: reason() }, status),
            404 => {
                return self.refused(removal, RegistrationFailure::UnknownUser { reason: reason() }, status);
            }
            _ => {
                let why = RegistrationFailure::Unavailable { status, reason: reason() };
                Failure { why, status, after: response.retry_after() }
            }
        };
        if removal {
            // It cannot be removed; it will expire.
            return self.removed();
        }
        let elsewhere = status == StatusCode::SERVICE_UNAVAILABLE && self.bound.is_none();
        let change = self.failed(response, random, back_off, failure);
        if elsewhere { Next::Elsewhere(change) } else { Next::Tell(change) }
    }

    /// What a 420 does not understand is left out from now on (GEN-14); once, for nothing is left out twice (GEN-15).
    fn leave_out_unsupported(&mut self, response: &Message) -> bool {
        let mut changed = false;
        for tag in response.all::<Unsupported<'_>>().flatten() {
            changed |= self.offers.without(tag.as_str());
        }
        changed
    }

    fn accepted(&mut self, now: crate::time::Now, random: &mut Random, granted: Granted) -> Next {
        let Granted { contact, expires_in, requires_outbound, service_route, flow_timer, pongs, gruus } =
            granted;
        let outbound = self.offers.outbound && requires_outbound;
        let until = now.mono + expires_in;
        let bound = Bound { contact: contact.clone(), outbound, until, service_route, gruus: gruus.clone() };
        self.bound = Some(bound);
        self.stale = None;
        self.failures = 0;
        self.redirects = Redirects::default();
        let (refresh_from, refresh_at) = self.refresh_with_push(expires_in, refresh_in(expires_in, random));
        self.phase =
            Phase::Registered { refresh_from: now.mono + refresh_from, refresh_at: now.mono + refresh_at };
        // Whoever prints what is told must not print the push token with it.
        let contact = super::push::without_push(contact);
        let change = RegistrationChange::Registered { expires_in, contact, outbound, gruus };
        Next::Bound { change, flow_timer, pongs }
    }

    fn removed(&mut self) -> Next {
        self.bound = None;
        self.stale = None;
        self.phase = Phase::Idle;
        Next::Tell(RegistrationChange::Unregistered)
    }

    /// A refusal that stays until the app acts.
    fn refused(&mut self, removal: bool, why: RegistrationFailure, status: StatusCode) -> Next {
        if removal {
            return self.removed();
        }
        self.bound = None;
        self.redirects = Redirects::default();
        self.phase = Phase::Refused(why.clone());
        Next::Tell(RegistrationChange::Failed { why, status: Some(status), retry_in: None })
    }

    /// A failure that can pass.
    fn failed(
        &mut self,
        response: Final<'_>,
        random: &mut Random,
        back_off: BackOff,
        failure: Failure,
    ) -> RegistrationChange {
        let Failure { why, status, after } = failure;
        self.redirects = Redirects::default();
        self.failures = self.failures.saturating_add(1);
        let (retry_in, asked) = back_off.after(random, self.failures, after);
        self.phase = Phase::Waiting { at: response.now.mono + retry_in, asked };
        RegistrationChange::Failed { why, status: Some(status), retry_in: Some(retry_in) }
    }
}
