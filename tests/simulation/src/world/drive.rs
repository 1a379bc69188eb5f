//! What a driver does with an agent's outputs.

use super::{Happening, Text, World};
use crate::model::{Checked, Sent, broken};
use crate::phone::key;
use crate::sabotage::Sabotage;
use crate::scenario::{Action, token};
use crate::trace::headline;
use aldis_agent::{
    AnswerWith, ConnectionChange, Event, FlowId, MessageId, NewMessage, OutgoingState, Output, Package,
    Reason, ReceivedMessage, RegistrationChange, SubscriptionChange, Ticket, UnknownReason,
};
use aldis_sip::Message;
use bytes::Bytes;
use std::time::Duration;

/// What a sender is told to wait when its message cannot be stored.
const BUSY: Duration = Duration::from_secs(30);
const PING: &[u8] = b"\r\n\r\n";

impl World {
    /// A new life of an app.
    pub fn start(&mut self, index: usize) -> Checked {
        let seed = self.random.seed();
        let now = self.now;
        let phone = &mut self.phones[index];
        if phone.agent.is_some() {
            return Ok(());
        }
        phone.start(seed);
        self.trace.line(now, phone.user, || "the app starts");
        let at = phone.now(now);
        if phone.wants
            && let Some(agent) = &mut phone.agent
        {
            agent.register(at);
        }
        if self.scenario.subscribes {
            self.subscribe(index);
        }
        // What the last life kept.
        let phone = &mut self.phones[index];
        let kept: Vec<_> = phone.store.outbox.values().cloned().collect();
        for message in kept {
            if let Some(agent) = &mut phone.agent
                && let Err(error) = agent.restore_message(at, message)
            {
                return broken("MSG-15", format!("a message that was kept is refused: {error}"));
            }
        }
        self.drain(index)
    }

    /// The app wants to know all that the server tells; what had ended is tried again.
    pub fn subscribe(&mut self, index: usize) {
        let phone = &mut self.phones[index];
        let at = phone.now(self.now);
        for package in [Package::Registration, Package::MessageSummary] {
            if let Some(agent) = &mut phone.agent
                && !matches!(phone.subscriptions.get(&package), Some(Some(_)))
            {
                phone.subscriptions.insert(package, Some(false));
                agent.subscribe(at, package);
            }
        }
    }

    /// The app dies.
    pub fn kill(&mut self, index: usize, down: Duration) {
        let now = self.now;
        let phone = &mut self.phones[index];
        if phone.agent.take().is_none() {
            return;
        }
        self.trace.line(now, phone.user, || "the app is killed");
        // What was not kept yet was not taken over.
        let kept = &phone.store.outbox;
        self.texts
            .retain(|(from, id), text| *from != index || text.state.is_final() || kept.contains_key(id));
        (phone.crash, phone.timer, phone.deadline, phone.latest) = (None, None, None, None);
        phone.kernel.clear();
        let (flows, attempts) = (std::mem::take(&mut phone.flows), std::mem::take(&mut phone.attempts));
        for attempt in attempts.into_values() {
            self.attempts[attempt].over = true;
        }
        for conn in flows.into_values() {
            self.conns[conn].open = false;
            self.up(conn, Happening::UpEnd(conn));
        }
        self.later(now + down, Happening::Do(Action::Start { phone: index }));
    }

    /// Does all that an agent asks for.
    pub fn drain(&mut self, index: usize) -> Checked {
        let now = self.now;
        let phone = &mut self.phones[index];
        let at = phone.now(now);
        // Whatever woke the driver: what is due is done.
        if let Some(agent) = &mut phone.agent
            && phone.deadline.take_if(|deadline| deadline.at <= at.mono).is_some()
        {
            phone.wakes += 1;
            agent.handle_timeout(at);
        }
        loop {
            let phone = &mut self.phones[index];
            let Some(agent) = &mut phone.agent else { return Ok(()) };
            let output = agent.poll_output();
            if let Output::Wait(deadline) = output {
                return self.wait(index, deadline);
            }
            if let Some((left, down)) = &mut phone.crash {
                if *left == 0 {
                    let down = *down;
                    self.kill(index, down);
                    return Ok(());
                }
                *left -= 1;
            }
            let messages = phone.wire.pending() + self.texts.len();
            phone.wire.output(now, messages)?;
            match output {
                Output::Connect(wanted) => {
                    self.begin_attempt(
                        index,
                        wanted.flow,
                        wanted.slot,
                        &wanted.avoid,
                        wanted.redirect.as_ref(),
                    )?;
                }
                Output::Transmit(flow, bytes) => self.transmit(index, flow, bytes)?,
                Output::Close(flow) => self.close(index, flow),
                Output::Event(event) => self.event(index, event)?,
                Output::Wait(_) => {}
            }
        }
    }

    fn wait(&mut self, index: usize, deadline: Option<aldis_agent::Deadline>) -> Checked {
        let phone = &mut self.phones[index];
        let mono = phone.now(self.now).mono;
        let mut deadline = deadline;
        match self.sabotage {
            Some(Sabotage::BusyLoop) => {
                if let Some(deadline) = deadline.as_mut().filter(|deadline| deadline.reason == Reason::Ping) {
                    deadline.at = mono + Duration::from_millis(1);
                }
            }
            Some(Sabotage::LostTimer)
                if deadline.is_some_and(|d| matches!(d.reason, Reason::Reconnect | Reason::Registration)) =>
            {
                deadline = None;
            }
            _ => {}
        }
        if let Some(deadline) = deadline
            && deadline.at <= mono
        {
            return broken("busy loop", format!("{deadline:?} is not in the future of {mono:?}"));
        }
        let changed = phone.deadline != deadline;
        phone.deadline = deadline;
        if changed && let Some(deadline) = deadline {
            let at = deadline.at - crate::phone::BOOT;
            self.trace.line(self.now, phone.user, || {
                format!("   waits until {:.3}: {:?}", at.as_secs_f64(), deadline.reason)
            });
        }
        if changed || phone.timer.is_none() {
            let slack = phone.setup.slack;
            let timer = deadline.map(|deadline| self.timer_for(deadline.at, slack));
            self.phones[index].timer = timer;
        }
        Ok(())
    }

    fn transmit(&mut self, index: usize, flow: FlowId, bytes: Bytes) -> Checked {
        let now = self.now;
        let phone = &mut self.phones[index];
        let Some(conn) = phone.flows.get(&flow).copied() else {
            return broken("identity", format!("{} bytes for a server that has proved nothing", bytes.len()));
        };
        self.trace.line(now, phone.user, || format!("-> {} on {conn}", headline(&bytes)));
        let mut again = None;
        let bytes = self.spoil(index, bytes, &mut again);
        for bytes in std::iter::once(bytes).chain(again) {
            let phone = &mut self.phones[index];
            if *bytes == *PING {
                phone.pings += 1;
            } else if *bytes != *aldis_registrar::PONG {
                let Ok((message, 0)) = Message::parse(bytes.clone()) else {
                    return broken("WIRE", format!("not one message: {}", String::from_utf8_lossy(&bytes)));
                };
                let (aor, instance) = (phone.aor.clone(), phone.instance.clone());
                match phone.wire.sent(now, conn, &message, &aor, &instance)? {
                    Sent::Answer { branch, status: 200 } => {
                        let stored =
                            phone.came.get(&branch).is_some_and(|key| phone.store.inbox.contains_key(key));
                        if !stored {
                            return broken("MSG-17", "a message was answered with 200 and is not stored");
                        }
                    }
                    Sent::Register { removal: true } => self.conns[conn].bound_until = None,
                    _ => {}
                }
            }
            self.up(conn, Happening::Up(conn, bytes));
        }
        Ok(())
    }

    /// Faults that a client could have on the wire.
    fn spoil(&mut self, index: usize, bytes: Bytes, again: &mut Option<Bytes>) -> Bytes {
        let text = || String::from_utf8_lossy(&bytes).into_owned();
        match self.sabotage {
            Some(Sabotage::SecondRegister) if bytes.starts_with(b"REGISTER") && self.random.chance(20) => {
                let text = text();
                let cseq: u32 = text
                    .lines()
                    .find_map(|line| line.strip_prefix("CSeq: ")?.split(' ').next()?.parse().ok())
                    .unwrap_or(0);
                let text = text.replace(&format!("CSeq: {cseq} "), &format!("CSeq: {} ", cseq + 1));
                *again = Some(text.replace("branch=z9hG4bK", "branch=z9hG4bKagain").into());
                bytes
            }
            Some(Sabotage::SecondMessage) if bytes.starts_with(b"MESSAGE") && self.random.chance(20) => {
                let text = text().replace("branch=z9hG4bK", "branch=z9hG4bKagain");
                // Without credentials, which would be wrong for another reason.
                let lines = text.split_inclusive("\r\n").filter(|line| !line.contains("uthorization: "));
                *again = Some(lines.collect::<String>().into());
                bytes
            }
            Some(Sabotage::OldToken) => {
                let (user, version) = (self.phones[index].user, self.phones[index].token);
                let old = token(user, version.saturating_sub(1));
                text().replace(&token(user, version), &old).into()
            }
            Some(Sabotage::SameNonceCount) => text().replace("nc=00000002", "nc=00000001").into(),
            Some(Sabotage::SameBranch) if bytes.starts_with(b"MESSAGE") => {
                let text = text();
                let branch = text.split("branch=").nth(1).and_then(|rest| rest.split(';').next());
                let branch = branch.unwrap_or_default().to_owned();
                text.replace(&branch, &format!("z9hG4bKsame{index}")).into()
            }
            _ => bytes,
        }
    }

    fn close(&mut self, index: usize, flow: FlowId) {
        let now = self.now;
        let phone = &mut self.phones[index];
        if let Some(attempt) = phone.attempts.remove(&flow) {
            self.attempts[attempt].over = true;
            self.trace.line(now, phone.user, || format!("gives up the attempt {flow:?}"));
        }
        if let Some(conn) = phone.flows.remove(&flow) {
            self.trace.line(now, phone.user, || format!("closes {conn}"));
            phone.wire.forget(conn);
            let c = &mut self.conns[conn];
            c.open = false;
            phone.wire.closed(now, c.slot, c.registered_at, c.ponged);
            self.up(conn, Happening::UpEnd(conn));
        }
    }

    fn event(&mut self, index: usize, event: Event) -> Checked {
        let now = self.now;
        self.trace.line(now, self.phones[index].user, || format!("** {event:?}"));
        match event {
            Event::MessageReceived { ticket, message } => self.received(index, ticket, &message),
            Event::Outgoing { id, state, .. } => self.outgoing(index, id, state),
            Event::Registration { reg_id, change } => self.registration(index, reg_id, &change),
            Event::Subscription { package, change } => {
                let state = match change {
                    SubscriptionChange::Active { pending } => Some(!pending),
                    SubscriptionChange::Ended { retry_in, .. } => retry_in.map(|_| false),
                };
                self.phones[index].subscriptions.insert(package, state);
                Ok(())
            }
            Event::TokenNeeded { .. } => {
                self.phones[index].token_asked = true;
                let at = now + self.random.scaled(10, 30_000);
                self.later(at, Happening::Do(Action::Token { phone: index }));
                Ok(())
            }
            Event::Connection { change: ConnectionChange::Connected { flow }, .. } => {
                let phone = &mut self.phones[index];
                if let Some(conn) =
                    phone.flows.get(&flow).copied().filter(|conn| self.conns[*conn].born < now)
                {
                    // An older connection serves again: what follows is about that one.
                    let slot = self.conns[conn].slot;
                    phone.tried.insert(slot, flow);
                }
                Ok(())
            }
            Event::StoreMessage(message) => {
                let phone = &mut self.phones[index];
                let at = phone.now(now);
                let id = message.id;
                phone.store.outbox.insert(id.to_string(), *message);
                if let Some(agent) = &mut phone.agent {
                    agent.message_stored(at, id);
                }
                Ok(())
            }
            Event::MessageLeaving { id } => {
                let phone = &mut self.phones[index];
                let at = phone.now(now);
                if let Some(kept) = phone.store.outbox.get_mut(&id.to_string()) {
                    kept.may_have_left = true;
                }
                if let Some(agent) = &mut phone.agent {
                    agent.message_may_leave(at, id);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn registration(&mut self, index: usize, reg_id: u32, change: &RegistrationChange) -> Checked {
        let now = self.now;
        let phone = &mut self.phones[index];
        if !matches!(change, RegistrationChange::Registering | RegistrationChange::Refreshing) {
            phone.wire.concluded(reg_id as usize - 1);
        }
        match change {
            RegistrationChange::Failed { why, retry_in: None, .. } => {
                phone.stopped = true;
                phone.stopped_by_credentials = why.is_credentials();
                // An answer from before may come after all is well: then the user tries again.
                if self.healed {
                    self.later(
                        now + Duration::from_secs(1),
                        Happening::Do(Action::Register { phone: index }),
                    );
                }
                let phone = &mut self.phones[index];
                let lacks_token = self.scenario.tokens && phone.token_given != Some(phone.token);
                if !phone.may_stop && phone.typed == phone.version && !(lacks_token && why.is_credentials()) {
                    return broken("REG-21", format!("gave up for no reason: {why}"));
                }
            }
            RegistrationChange::Registered { .. } => {
                phone.stopped = false;
                if let Some(since) = self.handover[index].take() {
                    self.summary.handovers.push(now - since);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A message is answered with 200 once it is stored.
    fn received(&mut self, index: usize, ticket: Ticket, message: &ReceivedMessage) -> Checked {
        let now = self.now;
        let phone = &mut self.phones[index];
        let (key, at) = (key(message), phone.now(now));
        let body = String::from_utf8_lossy(&message.body).into_owned();
        let known = phone.store.inbox.contains_key(&key) && self.sabotage != Some(Sabotage::MissedDuplicate);
        let early = self.sabotage == Some(Sabotage::EarlyAnswer) && phone.disk_full;
        if phone.disk_full && !known && !early {
            if let Some(agent) = &mut phone.agent {
                agent.answer(at, ticket, AnswerWith::Busy { retry_after: BUSY });
            }
            return Ok(());
        }
        if !known && !early {
            phone.store.inbox.insert(key, body.clone());
            *phone.store.shown.entry(body).or_default() += 1;
        }
        if let Some(agent) = &mut phone.agent {
            agent.answer(at, ticket, AnswerWith::Accept);
        }
        Ok(())
    }

    fn outgoing(&mut self, index: usize, id: MessageId, state: OutgoingState) -> Checked {
        let id = id.to_string();
        let lost = matches!(state, OutgoingState::Unknown { why: UnknownReason::ConnectionLost, .. });
        if lost && self.sabotage == Some(Sabotage::ForgottenMessage) {
            return Ok(());
        }
        let accepted = self.phones[index].accepted.contains(&id);
        let Some(text) = self.texts.get_mut(&(index, id.clone())) else {
            // Told while it is being taken over.
            return Ok(());
        };
        if text.state.is_final() {
            return broken("final state", format!("{id} went on to {state:?} after {:?}", text.state));
        }
        if matches!(state, OutgoingState::Accepted { .. }) && !accepted {
            return broken("MSG-05", format!("{id} counts as accepted, and nobody said so"));
        }
        if state.is_final() {
            self.phones[index].store.outbox.remove(&id);
        } else if matches!(state, OutgoingState::Sending)
            && let Some(kept) = self.phones[index].store.outbox.get_mut(&id)
        {
            kept.may_have_left = true;
        }
        text.state = state;
        Ok(())
    }

    /// The app sends a text.
    pub fn send(&mut self, from: usize, to: usize, sure: bool) -> Checked {
        let now = self.now;
        self.text_count += 1;
        let body = format!("m{}", self.text_count);
        let uri = self.phones[to].aor.clone();
        let phone = &mut self.phones[from];
        if !phone.is_up() {
            return Ok(());
        }
        let at = phone.now(now);
        let Ok(message) = NewMessage::new(&uri, "text/plain", body.clone()) else {
            return broken("sending", "the message was not taken");
        };
        let Some(agent) = &mut phone.agent else { return Ok(()) };
        match agent.send_message(at, message) {
            Ok(id) => {
                self.trace.line(now, phone.user, || format!("the app sends {body:?} to {uri} as {id}"));
                phone.latest = Some(id);
                let state = OutgoingState::Queued;
                let text = Text { from, to, body, state, sure };
                self.texts.insert((from, id.to_string()), text);
                self.drain(from)
            }
            Err(error) => broken("sending", format!("the message was refused: {error}")),
        }
    }
}
