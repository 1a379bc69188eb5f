//! Whether phones come back, and whether everything has come to its end.

use super::{Happening, World};
use crate::model::{Checked, broken};
use crate::network::Place;
use crate::scenario::LONGEST_RETRY_AFTER;
use aldis_agent::OutgoingState;
use std::time::Duration;

/// A registration that lasted so long ends all waiting for earlier failures.
const LASTING: Duration = Duration::from_secs(300);
/// The longest wait between attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(1800);
/// Longest time between pings, with the time for a pong.
const PINGS: Duration = Duration::from_secs(130);
/// The same in the background.
const BACKGROUND_PINGS: Duration = Duration::from_secs(850);
/// A request that has no answer, a handshake through dead places, and what is lost by rounding.
const PATIENCE: Duration = Duration::from_secs(32 + 32 + 30);
/// How long texts may take when all is well.
const TEXTS_WITHIN: Duration = Duration::from_secs(60);

impl World {
    /// Whether a phone is registered: a binding, and a connection that carries.
    pub fn is_registered(&self, index: usize) -> bool {
        self.phones[index].flows.values().any(|conn| {
            let conn = &self.conns[*conn];
            conn.is_alive() && conn.bound_until.is_some_and(|until| until > self.now)
        })
    }

    /// Whether nothing stands between a phone and a registration.
    fn has_path(&self, index: usize) -> bool {
        let phone = &self.phones[index];
        let reachable = |place: &Place| match place {
            Place::Edge(edge) => self.edges[*edge].alive,
            Place::Impostor => false,
        };
        phone.is_up()
            && phone.crash.is_none()
            && phone.wants
            && !phone.stopped
            && phone.typed == phone.version
            && !phone.wants_token()
            && phone.path.online
            && phone.path.latency < Duration::from_secs(2)
            && phone.path.nat.is_none_or(|patience| patience > BACKGROUND_PINGS)
            && self.misbehaving == 0
            && self.dns.iter().any(reachable)
    }

    /// How long it may take from a disturbance now until a phone is registered.
    pub fn bound(&self, index: usize) -> Duration {
        let phone = &self.phones[index];
        let bad = self.now.saturating_sub(phone.live.fine_at);
        // The next attempt, and the next REGISTER, each as late as twice the time that has failed.
        let waits = (bad * 2).min(LONGEST_WAIT) * 2;
        let pings = if phone.background { BACKGROUND_PINGS } else { PINGS };
        let pings = pings.max(self.scenario.pings + Duration::from_secs(10));
        // A connection that has given no pong yet is found dead by its refresh alone.
        let mute = phone.flows.values().any(|conn| !self.conns[*conn].pongs);
        let refresh = if mute { self.scenario.longest_grant } else { Duration::ZERO };
        waits + pings + refresh + PATIENCE + Duration::from_secs(LONGEST_RETRY_AFTER)
    }

    /// Something has changed for a phone: from now on it has its time again.
    pub fn disturbed(&mut self, index: usize) {
        let now = self.now;
        let live = &mut self.phones[index].live;
        live.serial += 1;
        let serial = live.serial;
        let at = now + self.bound(index);
        self.later(at, Happening::Check(index, serial));
    }

    /// Notices what has changed.
    pub(super) fn observe(&mut self, index: usize) {
        let now = self.now;
        let well = self.has_path(index) && self.misbehaving == 0;
        let (registered, path) = (self.is_registered(index), self.has_path(index));
        let live = &mut self.phones[index].live;
        let lost = live.registered.is_some() && !registered;
        // Failures are forgotten when all is well and stays so.
        let before = live.well;
        live.well = well.then(|| before.unwrap_or(now));
        let lasts = |since: Duration| before.is_some_and(|well| well.max(since) + LASTING <= now);
        match (live.registered, registered) {
            (None, true) => live.registered = Some(now),
            (Some(since), false) => {
                if lasts(since) {
                    live.fine_at = now;
                }
                live.registered = None;
            }
            (Some(since), true) if well && lasts(since) => live.fine_at = now,
            _ => {}
        }
        let was = std::mem::replace(&mut live.path, path);
        if path && (!was || lost) {
            self.disturbed(index);
        } else if !path && was {
            self.phones[index].live.serial += 1;
        }
    }

    pub(super) fn check(&mut self, index: usize, serial: u64) -> Checked {
        let live = self.phones[index].live;
        if live.serial != serial || !live.path || self.is_registered(index) {
            return Ok(());
        }
        let (user, bad) = (self.phones[index].user, self.now.saturating_sub(live.fine_at));
        broken("eventually registered", format!("{user} is not, after {bad:?} of which the last had a path"))
    }

    /// All is well: texts go between all.
    pub(super) fn texts_of_the_end(&mut self) -> Checked {
        for index in 0..self.phones.len() {
            if !self.is_registered(index) {
                return broken(
                    "eventually registered",
                    format!("{} is not at the end", self.phones[index].user),
                );
            }
            let user = self.phones[index].user;
            if let Some((package, state)) =
                self.phones[index].subscriptions.iter().find(|(_, state)| **state != Some(true))
            {
                return broken("NOT-05", format!("{user}'s subscription to {} is {state:?}", package.name()));
            }
            let now = self.server_now();
            let bindings = self.machine.bindings(now, user);
            let own = |conn: &usize| {
                let server = self.conns[*conn].server;
                bindings.iter().any(|binding| Some(binding.connection) == server)
            };
            if !self.phones[index].flows.values().any(own) {
                return broken("eventually registered", format!("the registrar has no binding of {user}"));
            }
        }
        for from in 0..self.phones.len() {
            self.send(from, (from + 1) % self.phones.len(), true)?;
        }
        self.later(self.now + TEXTS_WITHIN, Happening::End);
        Ok(())
    }

    /// Every message has its final state, and what was accepted arrived once.
    pub(super) fn end(&mut self) -> Checked {
        self.over = true;
        for ((_, id), text) in &self.texts {
            if !text.state.is_final() {
                return broken("final state", format!("{id} ({}) is {:?} at the end", text.body, text.state));
            }
            let OutgoingState::Accepted { status, .. } = &text.state else {
                if text.sure {
                    return broken(
                        "delivery",
                        format!("{} was {:?} though all was well", text.body, text.state),
                    );
                }
                continue;
            };
            let receiver = &self.phones[text.to];
            let shown = receiver.store.shown.get(&text.body).copied().unwrap_or(0);
            let kept = status.code() == 202 && self.machine.stored(receiver.user) > 0;
            if shown == 0 && !kept {
                return broken("MSG-17", format!("{} was answered with {status} and is lost", text.body));
            }
        }
        for phone in &self.phones {
            if let Some((body, count)) = phone.store.shown.iter().find(|(_, count)| **count > 1) {
                return broken("MSG-16", format!("{} was shown {body} {count} times", phone.user));
            }
        }
        Ok(())
    }
}
