//! What goes over the connection: requests, responses, line ends.

use super::messaging::COMPOSING_WITHIN;
use super::{Agent, Output};
use crate::event::{Event, FlowId, LostReason, MessageId, RegistrationChange, RegistrationFailure};
use crate::keepalive::{LineEnd, PONG};
use crate::message::Kind;
use crate::outbox::{Leaving, Outcome};
use crate::registration::Next;
use crate::server::{Reaction, Source};
use crate::spaces::Demand;
use crate::time::{Now, TRANSACTION_LIFETIME};
use crate::transactions::{Final, Purpose};
use aldis_sip::fields::Via;
use aldis_sip::{Frame, Judgement, Message, Method, Params, StartLine};
use bytes::Bytes;
use std::net::SocketAddr;

impl Agent {
    pub(super) fn react(&mut self, now: Now, reaction: Option<Reaction>) {
        match reaction {
            // An answer goes on the connection of its request, or nowhere (TXN-09).
            Some(Reaction::Transmit(flow, bytes)) if self.up(flow).is_some() => {
                self.outputs.push_back(Output::Transmit(flow, bytes));
            }
            Some(Reaction::Tell(event)) => self.tell_notify(event),
            Some(Reaction::Heard { from, cpim, wrote }) => self.heard(from, cpim, wrote),
            Some(Reaction::Composing { from, status }) => self.composing_received(now, from, &status),
            Some(Reaction::Receipt { ticket, from, receipt }) => {
                self.receipt_received(now, ticket, from, &receipt);
            }
            Some(Reaction::Transmit(..)) | None => {}
        }
    }

    pub(super) fn send_register(
        &mut self,
        now: Now,
        index: usize,
        flow: FlowId,
        local: SocketAddr,
        removal: bool,
    ) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let (branch, bytes) =
            slot.registration.request(&self.account, &mut self.spaces, &mut self.random, local, removal);
        let purpose = Purpose::Register { slot: index, removal };
        self.transactions.begin(now, branch, flow, purpose, TRANSACTION_LIFETIME);
        self.outputs.push_back(Output::Transmit(flow, bytes));
    }

    pub(super) fn send_request(
        &mut self,
        now: Now,
        index: usize,
        flow: FlowId,
        local: SocketAddr,
        id: MessageId,
    ) {
        let service_route = self.slots.get(index).map_or(&[][..], |slot| slot.registration.service_route());
        let (account, proxy) = (&self.account, self.account.route_of(index));
        let leaving = Leaving { account, proxy, service_route, local };
        let request = self.outbox.request(&id, leaving, &mut self.spaces, &mut self.random);
        if let Some((branch, bytes)) = request {
            let status = self.outbox.kind(&id) == Some(Kind::Composing);
            let within = if status { COMPOSING_WITHIN } else { TRANSACTION_LIFETIME };
            self.transactions.begin(now, branch, flow, Purpose::Message(id), within);
            self.outputs.push_back(Output::Transmit(flow, bytes));
        }
    }

    pub(super) fn frame(&mut self, now: Now, id: FlowId, frame: Frame) {
        let Some((_, up)) = self.up(id) else { return };
        let source = Source { flow: id, peer: up.peer };
        match frame {
            Frame::LineEnd => {
                if up.alive.line_end() == LineEnd::Ping {
                    self.outputs.push_back(Output::Transmit(id, Bytes::from_static(PONG)));
                }
            }
            Frame::Judged(judgement) => {
                up.alive.message();
                match judgement {
                    Judgement::Message(message) if message.is_response() => self.response(now, id, &message),
                    Judgement::Message(message) => {
                        let (account, subscriptions) = (&self.account, &mut self.subscriptions);
                        let random = &mut self.random;
                        let reactions =
                            self.server.request(now, message, source, account, subscriptions, random);
                        for reaction in reactions {
                            self.react(now, Some(reaction));
                        }
                        self.take_notified(now);
                    }
                    Judgement::Reject(rejection) => {
                        tracing::debug!(defect = %rejection.defect, "refused a request");
                        let reaction = self.server.reject(&rejection, source, &mut self.random);
                        self.react(now, reaction);
                    }
                    Judgement::Drop(defect) => tracing::debug!(%defect, "dropped a message"),
                    Judgement::Close(defect) => self.drop_flow(now, id, LostReason::NotSip(defect)),
                }
            }
        }
    }

    /// The transaction of a response (RFC 3261 §17.1.3), if it is one of ours on this flow and final.
    fn matching(&mut self, flow: FlowId, local: SocketAddr, response: &Message) -> Option<Purpose> {
        let mut vias = response.all::<Via<'_>>().flatten();
        let via = vias.next()?;
        // A second Via, or another sent-by: the response went astray (GEN-12, GEN-13).
        if vias.next().is_some() || via.sent_by != Via::tls(local, Params::none()).sent_by {
            return None;
        }
        let branch = via.branch()?;
        let purpose = self.transactions.get(flow, branch.as_ref())?;
        let method = match purpose {
            Purpose::Register { .. } => Method::Register,
            Purpose::Message(_) | Purpose::Withdrawn(_) => Method::Message,
            Purpose::Subscribe(_) => Method::Subscribe,
        };
        if response.cseq().ok()?.method != method || response.status()?.is_provisional() {
            return None;
        }
        self.transactions.end(branch.as_ref())
    }

    fn response(&mut self, now: Now, flow: FlowId, response: &Message) {
        let Some((index, up)) = self.up(flow) else { return };
        let local = up.local;
        let Some(purpose) = self.matching(flow, local, response) else { return };
        let Ok(StartLine::Response { status, reason }) = response.start_line() else { return };
        let response = Final { now, message: response, status, reason: &reason };
        match purpose {
            Purpose::Register { slot, removal } if slot == index => {
                self.registered(index, flow, removal, response);
            }
            Purpose::Register { .. } => {}
            Purpose::Withdrawn(order) => self.outbox.release(order),
            Purpose::Subscribe(package) => self.subscribed(index, (flow, local), package, response),
            Purpose::Message(id) => {
                let (account, spaces) = (&self.account, &mut self.spaces);
                match self.outbox.response(&id, account, spaces, response) {
                    Some(Outcome::Again) => self.send_request(now, index, flow, local, id),
                    Some(Outcome::Done(to, kind, state)) => {
                        if self.wanted.is_none()
                            && let Some(slot) = self.slots.get_mut(index)
                        {
                            // There is no registration to go by: what carries messages is a success.
                            slot.failures = 0;
                        }
                        self.tell_outgoing(id, to, kind, state);
                    }
                    None => {}
                }
            }
        }
        for Demand { realm, authz_server, scope, refused } in self.spaces.demands() {
            self.tell(Event::TokenNeeded { realm, authz_server, scope, refused });
        }
    }

    /// A final response to the REGISTER of one of the flows.
    fn registered(&mut self, index: usize, flow: FlowId, removal: bool, response: Final<'_>) {
        let now = response.now;
        let back_off = self.account.timing.back_off(!self.is_registered());
        let Some(slot) = self.slots.get_mut(index) else { return };
        let Some((local, peer)) = slot.current(flow).map(|up| (up.local, up.peer)) else {
            return slot.registration.overheard(&self.account, &mut self.spaces, response.message);
        };
        let (spaces, random) = (&mut self.spaces, &mut self.random);
        if let Some(place) = &slot.redirect {
            slot.registration.came_to(place);
        }
        match slot.registration.response(&self.account, spaces, random, back_off, response) {
            Next::Again => self.send_register(now, index, flow, local, removal),
            Next::Nothing => {}
            Next::Tell(change) => {
                let led_round = matches!(
                    &change,
                    RegistrationChange::Failed { why: RegistrationFailure::Redirected { .. }, .. }
                );
                // A place that 3xx named, and that leads in a circle now: the next attempt begins where the account does, once
                // the failures to connect have had their time (OUT-09).
                if led_round && slot.redirect.take().is_some() {
                    slot.shunned = Some(peer);
                    let failures = slot.failures;
                    if failures > 0 {
                        self.put_off_elsewhere(now, index, failures);
                    }
                }
                self.registration(index, change);
            }
            Next::Elsewhere(change) => {
                (slot.shunned, slot.redirect) = (Some(peer), None);
                self.registration(index, change);
            }
            Next::Redirected(to) => {
                slot.redirect = Some(to);
                self.replace(index);
            }
            Next::Bound { change, flow_timer, pongs } => {
                let unproven = slot.failures > 0 || slot.strayed > 0 || slot.hasty;
                if let Some(up) = slot.current(flow) {
                    up.registered_at.get_or_insert(now.mono);
                    up.alive.start(now, &mut self.random, (flow_timer, pongs), unproven);
                }
                let speaks = |slot: &super::Slot| slot.registration.outbound() == Some(true);
                self.outbound = Some(self.slots.iter().any(speaks));
                self.registration(index, change);
            }
        }
        if let Some(change) = self.slots.get_mut(index).and_then(|slot| slot.registration.push_change()) {
            self.tell(Event::Push { reg_id: super::reg_id(index), change });
        }
    }
}
