//! What becomes of connections that are gone, in doubt, or being replaced.

use super::slot::{Link, Slot, Up};
use super::{Agent, FIRST_RECONNECT, Output, QUIET, SLEPT};
use crate::event::{
    BackOffReason, ConnectionChange, FlowId, LostReason, MessageFailure, MessageId, RegistrationChange,
    RegistrationFailure, UnknownReason,
};
use crate::keepalive::PING;
use crate::outbox::Ended;
use crate::time::Now;
use crate::transactions::Purpose;
use bytes::Bytes;
use std::time::Duration;

impl Agent {
    /// Who is called long after the moment that he asked for has slept.
    pub(super) fn notice(&mut self, now: Now) {
        if self.asked.take().is_some_and(|asked| now.mono > asked + SLEPT) {
            self.doubt(now, Duration::ZERO);
        }
    }

    /// Probes every connection that brought nothing for so long, since it may be gone without notice.
    pub(super) fn doubt(&mut self, now: Now, since: Duration) {
        let (random, outputs) = (&mut self.random, &mut self.outputs);
        for slot in &mut self.slots {
            let mut silent = false;
            for up in slot.ups_mut().filter(|up| up.heard_at + since <= now.mono) {
                up.proven = false;
                silent |= !up.alive.expects_pongs() && up.heard_at + QUIET <= now.mono;
                if up.registered_at.is_some() && up.alive.probe(now, random) {
                    outputs.push_back(Output::Transmit(up.id, Bytes::from_static(PING)));
                }
            }
            if silent && slot.registration.is_bound() {
                slot.registration.renew();
            }
        }
    }

    /// The path under one of the flows changed.
    pub(super) fn path_changed(&mut self, now: Now, index: usize) {
        let needed = self.needs(index) && self.stop_at.is_none();
        let Some(slot) = self.slots.get_mut(index) else { return };
        slot.succeeded();
        slot.elsewhere_from = Duration::ZERO;
        slot.bearable = None;
        match &mut slot.link {
            Link::Down { not_before } => *not_before = now.mono,
            Link::Connecting(_) | Link::Up(_) if needed => self.replace(index),
            Link::Connecting(id) => {
                self.outputs.push_back(Output::Close(*id));
                slot.link = slot.old.take().map_or(Link::DOWN, Link::Up);
            }
            Link::Up(up) => {
                let id = up.id;
                self.drop_flow(now, id, LostReason::NetworkChanged);
            }
        }
        let Some(slot) = self.slots.get_mut(index) else { return };
        if let Some(old) = &mut slot.old {
            old.proven = false;
            if old.alive.probe(now, &mut self.random) {
                self.outputs.push_back(Output::Transmit(old.id, Bytes::from_static(PING)));
            }
        }
    }

    /// Makes another connection for a flow. The one that is up stays until that is registered.
    pub(super) fn replace(&mut self, index: usize) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let mut superseded = None;
        match std::mem::replace(&mut slot.link, Link::DOWN) {
            Link::Connecting(id) => self.outputs.push_back(Output::Close(id)),
            Link::Down { .. } => {}
            Link::Up(up) => {
                slot.registration.moved();
                // Of two that were there, the one that is registered serves on.
                superseded = match slot.old.take() {
                    Some(older) if up.registered_at.is_none() => {
                        slot.old = Some(older);
                        Some(up)
                    }
                    older => {
                        slot.old = Some(up);
                        older
                    }
                };
            }
        }
        if let Some(up) = superseded {
            self.outputs.push_back(Output::Close(up.id));
            self.orphan(up.id);
        }
        self.connect(index);
    }

    /// A connection that was doubted has brought something: if nothing has taken its place yet, it is the flow's again.
    pub(super) fn proven(&mut self, index: usize) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        if slot.is_down() && slot.old.as_ref().is_some_and(|old| old.proven) {
            self.restore(index);
        }
    }

    /// The connection that was to be replaced goes on, since the attempt to do so failed; the next one has its time (OUT-09).
    fn fall_back(&mut self, now: Now, index: usize, failures: u32) {
        self.put_off_elsewhere(now, index, failures);
        self.restore(index);
    }

    /// No other host is looked for before the back-off for so many failures is over.
    pub(super) fn put_off_elsewhere(&mut self, now: Now, index: usize, failures: u32) {
        let retry_in = self.back_off(failures);
        if let Some(slot) = self.slots.get_mut(index) {
            slot.elsewhere_from = slot.elsewhere_from.max(now.mono + retry_in);
        }
    }

    /// The connection that was to be replaced goes on. What is registered over it is confirmed at once, unless the registrar
    /// has put that off.
    pub(super) fn restore(&mut self, index: usize) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        if let Some(old) = slot.old.take() {
            let flow = old.id;
            slot.last_peer = Some(old.peer);
            slot.link = Link::Up(old);
            self.connection(index, ConnectionChange::Connected { flow });
        }
    }

    /// The attempt to connect failed.
    pub(super) fn connect_failed(&mut self, now: Now, index: usize) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let strayed = slot.redirect.take().is_some();
        let failures = slot.failed(strayed);
        slot.link = Link::DOWN;
        slot.shunned = None;
        if strayed {
            slot.redirect = slot.registration.next_redirect(&self.account);
            if slot.redirect.is_some() {
                return;
            }
        }
        if slot.old.as_ref().is_some_and(|old| old.proven) {
            return self.fall_back(now, index, failures);
        }
        let retry_in = self.back_off(failures);
        self.wait(now, index, retry_in, BackOffReason::ConnectFailed);
    }

    fn back_off(&mut self, failures: u32) -> Duration {
        let all_failed = !self.slots.iter().any(Slot::is_reliable);
        self.account.timing.back_off(all_failed).wait(&mut self.random, failures)
    }

    fn wait(&mut self, now: Now, index: usize, retry_in: Duration, why: BackOffReason) {
        let needed = self.needs(index);
        let Some(slot) = self.slots.get_mut(index) else { return };
        slot.link = Link::Down { not_before: now.mono + retry_in };
        if needed {
            self.connection(index, ConnectionChange::BackingOff { why, retry_in });
        }
    }

    /// Closes a connection ourselves, because it has failed.
    pub(super) fn drop_flow(&mut self, now: Now, id: FlowId, why: LostReason) {
        if self.gone(now, id, why) {
            self.outputs.push_back(Output::Close(id));
        }
    }

    /// A connection is gone; whether it was one of ours.
    pub(super) fn gone(&mut self, now: Now, id: FlowId, why: LostReason) -> bool {
        for index in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(index) else { continue };
            if slot.current(id).is_some() {
                if let Link::Up(up) = std::mem::replace(&mut slot.link, Link::DOWN) {
                    self.lost(now, index, &up, why);
                }
                return true;
            }
            if slot.old.as_ref().is_some_and(|old| old.id == id) {
                slot.old = None;
                if !matches!(&slot.link, Link::Up(up) if up.registered_at.is_some()) {
                    slot.registration.binding_lost();
                }
                self.orphan(id);
                self.connection(index, ConnectionChange::Lost { why });
                return true;
            }
        }
        false
    }

    /// What a lost connection means for all that went over it. `up` is what it was; the link is down already.
    fn lost(&mut self, now: Now, index: usize, up: &Up, why: LostReason) {
        self.orphan(up.id);
        self.connection(index, ConnectionChange::Lost { why: why.clone() });
        let no_answer = why == LostReason::NoAnswer;
        let longest = self.longest_interval();
        let Some(slot) = self.slots.get_mut(index) else { return };
        let strayed = slot.redirect.take().is_some();
        if why == LostReason::NoPong {
            slot.bearable = up.alive.learned(longest);
        }
        let awaited = slot.registration.is_pending() && slot.registration.wanted;
        let replaced = slot.old.is_some();
        let told = if replaced {
            slot.registration.replacement_lost();
            false
        } else {
            slot.registration.flow_lost()
        };
        let successful = up.was_successful(now);
        if successful {
            slot.succeeded();
        }
        // One attempt at once for what had been registered (OUT-11), but not where no answer came (REG-16), and not again and
        // again where registering is all that succeeds.
        let at_once = slot.failures == 0 && !slot.hasty && up.registered_at.is_some() && !no_answer;
        let failures = if at_once {
            slot.hasty = !successful;
            0
        } else {
            slot.failed(strayed)
        };
        let old_serves = slot.old.as_ref().is_some_and(|old| old.proven);
        if told {
            self.registration(index, RegistrationChange::Unregistered);
        }
        if why == LostReason::NetworkChanged {
            return;
        }
        if old_serves {
            return self.fall_back(now, index, failures);
        }
        let retry_in = match (at_once, &why) {
            // Each phone pings in its own time: what they find out by that needs no spreading.
            (true, LostReason::NoPong) => Duration::ZERO,
            (true, _) => self.random.percent(FIRST_RECONNECT, 0, 100),
            (false, _) => self.back_off(failures),
        };
        self.wait(now, index, retry_in, BackOffReason::Lost(why));
        if awaited && no_answer {
            let (why, retry_in) = (RegistrationFailure::Timeout, Some(retry_in));
            self.registration(index, RegistrationChange::Failed { why, status: None, retry_in });
        }
        if up.registered_at.is_some() && !self.is_registered() {
            self.hurry(now);
        }
    }

    /// No flow is registered any more: those that wait as long as others could serve wait less (OUT-09).
    fn hurry(&mut self, now: Now) {
        let back_off = self.account.timing.back_off(true);
        for slot in &mut self.slots {
            if let Link::Down { not_before } = &mut slot.link
                && *not_before > now.mono
            {
                *not_before = (*not_before).min(now.mono + back_off.wait(&mut self.random, slot.failures));
            }
        }
    }

    /// Requests whose connection is gone have no answer any more. Messages leave again on another flow; those that may not
    /// have an unknown fate (MSG-07, MSG-15).
    pub(super) fn orphan(&mut self, flow: FlowId) {
        for purpose in self.transactions.end_flow(flow) {
            if let Purpose::Subscribe(package) = purpose {
                self.subscriptions.orphaned(package);
            }
            if let Purpose::Withdrawn(order) = purpose {
                self.outbox.release(order);
            }
            if let Purpose::Message(id) = purpose {
                let again = self.account.resend && self.stop_at.is_none() && self.outbox.send_again(&id);
                if !again {
                    self.end_message(id, MessageFailure::Withdrawn, UnknownReason::ConnectionLost);
                }
            }
        }
    }

    /// Ends a message that has no answer.
    pub(super) fn end_message(&mut self, id: MessageId, unsent: MessageFailure, sent: UnknownReason) {
        let Some(Ended { to, kind, state, branch, .. }) = self.outbox.end(&id, unsent, sent) else { return };
        if let Some(branch) = branch {
            self.transactions.end(&branch);
        }
        self.tell_outgoing(id, to, kind, state);
    }

    /// Ends a message that the app takes back. Its transaction lasts for the sake of the next one to its recipient (MSG-03);
    /// shutting down there is none.
    pub(super) fn take_back(&mut self, id: MessageId) -> Option<Ended> {
        let ended = self.outbox.withdraw(&id)?;
        if let Some(branch) = &ended.branch {
            self.transactions.withdraw(branch, ended.order);
            if self.stop_at.is_some() {
                self.transactions.end_withdrawn();
            }
        }
        Some(ended)
    }

    /// Shutting down has taken long enough.
    pub(super) fn give_up(&mut self) {
        self.end_messages();
        self.transactions.clear();
        for index in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(index) else { continue };
            let abandoned = slot.registration.abandon();
            let old = slot.old.take();
            let link = std::mem::replace(&mut slot.link, Link::DOWN);
            if abandoned {
                self.registration(index, RegistrationChange::Unregistered);
            }
            if let Some(old) = &old {
                self.outputs.push_back(Output::Close(old.id));
            }
            match link {
                Link::Connecting(id) => self.outputs.push_back(Output::Close(id)),
                Link::Up(up) => {
                    self.outputs.push_back(Output::Close(up.id));
                    self.connection(index, ConnectionChange::Closed);
                }
                Link::Down { .. } if old.is_some() => self.connection(index, ConnectionChange::Closed),
                Link::Down { .. } => {}
            }
        }
    }
}
