//! Subscriptions: asked for while the account is registered, and what their notifications mean.

use super::{Agent, Output};
use crate::event::{Event, FlowId, RegistrationChange, RegistrationFailure};
use crate::subscriptions::{After, Package, SubscriptionChange};
use crate::time::{Now, TRANSACTION_LIFETIME};
use crate::transactions::{Final, Purpose};
use aldis_sip::Uri;
use aldis_sip::body::reginfo::{ContactEvent, ContactInfo, RegInfo};
use aldis_sip::body::summary::MessageSummary;
use std::net::SocketAddr;
use std::time::Duration;

impl Agent {
    /// Subscribes to what the server knows of this account, and keeps it up while the account is registered. Again tries
    /// again what was refused for good.
    pub fn subscribe(&mut self, now: Now, package: Package) {
        if self.stop_at.is_none() {
            self.subscriptions.add(&mut self.random, package);
            self.advance(now);
        }
    }

    /// Ends a subscription; nothing more is told of it.
    pub fn unsubscribe(&mut self, now: Now, package: Package) {
        self.subscriptions.remove(package);
        self.advance(now);
    }

    /// Sends what is due over the connection that carries messages.
    pub(super) fn subscribe_due(&mut self, now: Now) {
        if self.wanted.is_none() || self.stop_at.is_some() {
            return;
        }
        while let Some((index, flow, local)) = self.carrier()
            && let Some(package) = self.subscriptions.due(now, local)
        {
            self.send_subscribe(now, index, (flow, local), package);
        }
    }

    fn send_subscribe(
        &mut self,
        now: Now,
        index: usize,
        (flow, local): (FlowId, SocketAddr),
        package: Package,
    ) {
        let Some(slot) = self.slots.get(index) else { return };
        let registration = &slot.registration;
        let public = registration.gruus().and_then(|gruus| gruus.public.clone());
        // Push parameters are for REGISTER alone (PUSH-02).
        let contact = public.unwrap_or_else(|| registration.contact(&self.account, local));
        let route = (self.account.route_of(index), registration.service_route());
        let written = self.subscriptions.request(
            package,
            &self.account,
            route,
            &mut self.spaces,
            &mut self.random,
            (local, contact),
        );
        if let Some((branch, bytes)) = written {
            let purpose = Purpose::Subscribe(package);
            self.transactions.begin(now, branch, flow, purpose, TRANSACTION_LIFETIME);
            self.outputs.push_back(Output::Transmit(flow, bytes));
        }
    }

    /// A final response to a SUBSCRIBE.
    pub(super) fn subscribed(
        &mut self,
        index: usize,
        flow: (FlowId, SocketAddr),
        package: Package,
        response: Final<'_>,
    ) {
        let back_off = self.account.timing.back_off(true);
        let (account, spaces, random) = (&self.account, &mut self.spaces, &mut self.random);
        match self.subscriptions.response(package, account, spaces, random, back_off, response) {
            After::Nothing => {}
            After::Again => self.send_subscribe(response.now, index, flow, package),
            After::Tell(change) => self.tell(Event::Subscription { package, change }),
        }
    }

    /// Acts on notifications that have come.
    pub(super) fn take_notified(&mut self, now: Now) {
        let back_off = self.account.timing.back_off(true);
        while let Some((notified, after)) = self.subscriptions.next_notified(now, &mut self.random, back_off)
        {
            let package = notified.package;
            if let After::Tell(change @ SubscriptionChange::Active { .. }) = &after {
                self.tell(Event::Subscription { package, change: change.clone() });
            }
            if !notified.body.is_empty() {
                let (content_type, body) = (notified.content_type, notified.body.clone());
                self.tell_notify(Event::Notify { package: package.name().into(), content_type, body });
            }
            if package == Package::Registration
                && let Ok(info) = RegInfo::parse(&notified.body)
            {
                info.contacts.iter().for_each(|contact| self.binding_changed(now, contact));
            }
            if let After::Tell(change @ SubscriptionChange::Ended { .. }) = after {
                self.tell(Event::Subscription { package, change });
            }
        }
    }

    /// A notification, and behind it what it says of waiting messages.
    pub(super) fn tell_notify(&mut self, event: Event) {
        let summary = match &event {
            Event::Notify { package, body, .. } if package == "message-summary" => {
                MessageSummary::parse(body).ok()
            }
            _ => None,
        };
        self.tell(event);
        if let Some(summary) = summary {
            self.tell(Event::MessagesWaiting(summary));
        }
    }

    /// The registrar changed a binding without being asked by us (NOT-06).
    fn binding_changed(&mut self, now: Now, contact: &ContactInfo) {
        let of_us = Uri::parse(contact.address.as_str())
            .is_ok_and(|address| address.equivalent(&self.account.address_of_record));
        let Ok(uri) = Uri::parse(contact.uri.as_str()) else { return };
        if !of_us {
            return;
        }
        let is_it = |slot: &super::Slot| slot.registration.bound_to(&uri);
        let Some(index) = self.slots.iter().position(is_it) else { return };
        let Some(slot) = self.slots.get_mut(index) else { return };
        match contact.event {
            ContactEvent::Shortened => slot.registration.renew(),
            _ if contact.active => {}
            ContactEvent::Deactivated => {
                slot.registration.taken_away(None);
                self.registration(index, RegistrationChange::Registering);
            }
            ContactEvent::Probation => {
                let wait = Duration::from_secs(contact.retry_after.unwrap_or(0).into());
                let wait = if wait.is_zero() {
                    self.account.timing.back_off(true).wait(&mut self.random, 1)
                } else {
                    wait
                };
                slot.registration.taken_away(Some(now.mono + wait));
                let why = RegistrationFailure::TakenAway { event: "probation" };
                let change = RegistrationChange::Failed { why, status: None, retry_in: Some(wait) };
                self.registration(index, change);
            }
            ContactEvent::Rejected => {
                let why = RegistrationFailure::TakenAway { event: "rejected" };
                slot.registration.rejected(why.clone());
                self.registration(index, RegistrationChange::Failed { why, status: None, retry_in: None });
            }
            _ => {}
        }
    }
}
