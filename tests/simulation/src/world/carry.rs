//! Bytes and ends on their way.

use super::{Happening, World, edge_address};
use crate::model::{Answered, Checked, broken};
use crate::network::{Attempt, Connection, LAST_PLACE, Place, SILENT_PLACE, Stage};
use crate::sabotage::Sabotage;
use crate::scenario::place_of;
use crate::trace::headline;
use aldis_agent::{FlowId, LostReason};
use aldis_registrar::{Output, PONG};
use aldis_sip::fields::{Contact, Require};
use aldis_sip::{Header, Message, Uri};
use bytes::Bytes;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

impl World {
    fn latency(&mut self, phone: usize) -> Duration {
        let path = &self.phones[phone].path;
        let (latency, jitter) = (path.latency, path.jitter);
        latency + self.random.up_to(jitter)
    }

    /// Whether a connection still carries anything; a NAT may have forgotten it meanwhile.
    fn carries(&mut self, conn: usize) -> bool {
        let now = self.now;
        let c = &mut self.conns[conn];
        let path = &self.phones[c.phone].path;
        if path.nat.is_some_and(|patience| now.saturating_sub(c.touched) > patience)
            || path.generation != c.generation
        {
            c.black = true;
        }
        c.touched = now;
        !c.black
    }

    /// Sends something of a client on its way.
    pub fn up(&mut self, conn: usize, what: Happening) {
        if !self.carries(conn) {
            return;
        }
        let phone = self.conns[conn].phone;
        if !self.phones[phone].path.online {
            self.phones[phone].held.push(what);
            return;
        }
        let at = (self.now + self.latency(phone)).max(self.conns[conn].last_up);
        self.conns[conn].last_up = at;
        self.later(at, what);
    }

    /// Sends something of the server on its way.
    pub fn down(&mut self, conn: usize, what: Happening) {
        if !self.carries(conn) {
            return;
        }
        let phone = self.conns[conn].phone;
        if !self.phones[phone].path.online {
            self.phones[phone].held.push(what);
            return;
        }
        let at = (self.now + self.latency(phone)).max(self.conns[conn].last_down);
        self.conns[conn].last_down = at;
        self.later(at, what);
    }

    /// Does what the registrar asks for.
    pub fn pump(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Send(id, bytes) | Output::Raw(id, bytes) => {
                    if let Some(conn) = self.by_server.get(&id).copied() {
                        self.down(conn, Happening::Down(conn, bytes));
                    }
                }
                Output::Pong(id) => {
                    if let Some(conn) = self.by_server.get(&id).copied() {
                        self.down(conn, Happening::Down(conn, Bytes::from_static(PONG)));
                    }
                }
                Output::Close(id, _) => {
                    if let Some(conn) = self.by_server.remove(&id) {
                        self.conns[conn].server = None;
                        self.machine.closed(self.server_now(), id);
                        self.down(conn, Happening::DownEnd(conn, LostReason::ClosedByServer));
                    }
                }
                Output::Happened(..) | Output::Push { .. } => {}
            }
        }
    }

    pub(super) fn arrive_up(&mut self, conn: usize, bytes: &[u8]) {
        let c = &self.conns[conn];
        let edge = self.edges[c.edge];
        if c.black || (!edge.alive && !edge.refuses) {
            return;
        }
        match c.server {
            Some(id) if edge.alive => {
                self.machine.receive(self.server_now(), id, bytes);
                self.pump();
            }
            // Nobody knows this connection any more.
            _ => self.down(conn, Happening::DownEnd(conn, LostReason::Failed("reset".into()))),
        }
    }

    pub(super) fn end_up(&mut self, conn: usize) {
        if self.conns[conn].black {
            return;
        }
        if let Some(id) = self.conns[conn].server.take() {
            self.by_server.remove(&id);
            self.machine.closed(self.server_now(), id);
            self.pump();
        }
    }

    pub(super) fn arrive_down(&mut self, conn: usize, bytes: Bytes) -> Checked {
        let c = &self.conns[conn];
        let index = c.phone;
        if c.black || !c.open {
            return Ok(());
        }
        if self.phones[index].asleep {
            self.phones[index].kernel.push_back(Happening::Down(conn, bytes));
            return Ok(());
        }
        let now = self.now;
        self.trace.line(now, self.phones[index].user, || format!("<- {} on {conn}", headline(&bytes)));
        // In two pieces now and then: what is due is done between them.
        let cut = if self.random.chance(3) { self.random.below(bytes.len()) } else { 0 };
        self.give(conn, &bytes[..cut])?;
        if !self.conns[conn].open {
            return Ok(());
        }
        if *bytes == *PONG {
            (self.conns[conn].ponged, self.conns[conn].pongs) = (true, true);
        } else if let Ok((message, _)) = Message::parse(bytes.clone()) {
            self.read_down(conn, &message);
        }
        self.give(conn, &bytes[cut..])
    }

    fn give(&mut self, conn: usize, piece: &[u8]) -> Checked {
        let (index, flow) = (self.conns[conn].phone, self.conns[conn].flow);
        let phone = &mut self.phones[index];
        let at = phone.now(self.now);
        match &mut phone.agent {
            Some(agent) if !piece.is_empty() => agent.handle_bytes(at, flow, piece),
            _ => return Ok(()),
        }
        self.drain(index)
    }

    /// What a client is given.
    fn read_down(&mut self, conn: usize, message: &Message) {
        let (now, misbehaving) = (self.now, self.misbehaving);
        let (index, slot) = (self.conns[conn].phone, self.conns[conn].slot);
        let flow = self.conns[conn].flow;
        let phone = &mut self.phones[index];
        if message.is_response() {
            let current = phone.tried.get(&slot) == Some(&flow);
            match phone.wire.answered(now, conn, current, message) {
                Answered::Register { status: 200..=299, removal } => {
                    let instance = format!("<urn:uuid:{}>", phone.instance);
                    let own = |contact: &Contact<'_>| {
                        let instances = contact.address().and_then(|a| a.params.value("+sip.instance"));
                        instances.as_deref() == Some(&instance)
                    };
                    let granted = message
                        .contacts()
                        .flatten()
                        .filter(own)
                        .filter_map(|contact| contact.expires())
                        .max();
                    let c = &mut self.conns[conn];
                    c.bound_until = granted
                        .filter(|seconds| *seconds > 0 && !removal)
                        .map(|seconds| now + Duration::from_secs(u64::from(seconds)));
                    if c.bound_until.is_some() {
                        c.registered_at.get_or_insert(now);
                        phone.may_stop &= misbehaving > 0;
                    }
                    let mut required = message.all::<Require<'_>>().flatten();
                    c.pongs |= required.any(|tag| tag.as_str().eq_ignore_ascii_case("outbound"));
                }
                Answered::Register { status: 300..=399, removal: false } => {
                    let uris = message
                        .contacts()
                        .flatten()
                        .filter_map(|contact| Some(contact.address()?.uri.to_string()));
                    phone.wire.redirected(now, slot, conn, uris.collect());
                }
                Answered::Register { .. } => {}
                Answered::Message { id, status } => {
                    if (200..=299).contains(&status) {
                        phone.accepted.insert(id);
                    }
                    if !phone.wants && !matches!(status, 401 | 407) {
                        phone.wire.serves(slot);
                    }
                }
                Answered::Nothing => {}
            }
        } else if let (Ok(via), Ok(from)) = (message.via(), message.from()) {
            let branch = via.branch().unwrap_or_default().into_owned();
            let key = message.value(Header::AldisMessageId).map(|id| format!("{} {id}", from.uri));
            phone.came.insert(branch, key.unwrap_or_default());
        }
    }

    pub(super) fn end_down(&mut self, conn: usize, why: LostReason) -> Checked {
        let c = &self.conns[conn];
        let index = c.phone;
        if c.black || !c.open {
            return Ok(());
        }
        if self.phones[index].asleep {
            self.phones[index].kernel.push_back(Happening::DownEnd(conn, why));
            return Ok(());
        }
        self.lose(conn, why)
    }

    /// A client learns that its connection is gone.
    pub fn lose(&mut self, conn: usize, why: LostReason) -> Checked {
        let now = self.now;
        let c = &mut self.conns[conn];
        if !std::mem::replace(&mut c.open, false) {
            return Ok(());
        }
        let (index, flow, registered, pongs, slot) = (c.phone, c.flow, c.registered_at, c.ponged, c.slot);
        let incarnation = c.incarnation;
        let phone = &mut self.phones[index];
        if phone.incarnation != incarnation || phone.agent.is_none() {
            return Ok(());
        }
        self.trace.line(now, phone.user, || format!("is told that connection {conn} is gone: {why}"));
        phone.flows.remove(&flow);
        phone.wire.forget(conn);
        // One that was to be replaced says nothing about the attempts to do so.
        if phone.tried.get(&slot) == Some(&flow) {
            phone.wire.lost(now, slot, registered, pongs);
        }
        let at = phone.now(now);
        if let Some(agent) = &mut phone.agent {
            agent.handle_closed(at, flow, why);
        }
        self.drain(index)
    }

    /// A driver begins to connect.
    pub fn begin_attempt(
        &mut self,
        index: usize,
        flow: FlowId,
        slot: usize,
        avoid: &[SocketAddr],
        redirect: Option<&Uri<'static>>,
    ) -> Checked {
        let now = self.now;
        let phone = &mut self.phones[index];
        phone.wire.connecting(now, slot, redirect.map(Uri::as_str))?;
        let (avoided, mut places): (Vec<_>, Vec<_>) = self
            .dns
            .iter()
            .partition(|place| matches!(place, Place::Edge(edge) if avoid.contains(&edge_address(*edge))));
        places.extend(avoided);
        if let Some(to) = redirect {
            // As the driver does: there, or nowhere.
            places = to.host().and_then(place_of).into_iter().collect();
        }
        let attempt = Attempt {
            phone: index,
            incarnation: phone.incarnation,
            flow,
            slot,
            generation: phone.path.generation,
            places: places.into(),
            at: None,
            over: false,
        };
        self.attempts.push(attempt);
        let number = self.attempts.len() - 1;
        phone.attempts.insert(flow, number);
        phone.tried.insert(slot, flow);
        self.trace.line(now, phone.user, || match redirect {
            Some(to) => format!("connects for flow {slot} ({flow:?}) to {to}"),
            None => format!("connects for flow {slot} ({flow:?})"),
        });
        // The resolver asks.
        let asked = now + self.latency(index) * 2;
        self.later(asked, Happening::Attempt(number));
        Ok(())
    }

    pub(super) fn attempt_step(&mut self, number: usize) -> Checked {
        let attempt = &self.attempts[number];
        let index = attempt.phone;
        if attempt.over {
            return Ok(());
        }
        if self.phones[index].asleep {
            self.phones[index].kernel.push_back(Happening::Attempt(number));
            return Ok(());
        }
        let (generation, online) = (self.phones[index].path.generation, self.phones[index].path.online);
        let same = attempt.generation == generation && online;
        match attempt.at {
            Some((place, Stage::Shaken)) if same => match place {
                Place::Edge(edge) if self.edges[edge].alive => return self.connected(number, edge),
                Place::Impostor => return self.fooled(number),
                Place::Edge(_) => {}
            },
            _ => {}
        }
        let round = self.latency(index) * 2;
        let attempt = &mut self.attempts[number];
        let next = attempt.places.pop_front().filter(|_| same);
        let Some(place) = next else { return self.not_connected(number) };
        let silence = if attempt.places.is_empty() { LAST_PLACE } else { SILENT_PLACE };
        let (takes, stage) = match place {
            Place::Edge(edge) if self.edges[edge].alive => (round * 2, Stage::Shaken),
            Place::Edge(edge) if self.edges[edge].refuses => (round, Stage::Failed),
            Place::Edge(_) => (silence, Stage::Failed),
            Place::Impostor if self.sabotage == Some(Sabotage::Trusting) => (round * 2, Stage::Shaken),
            Place::Impostor => (round * 2, Stage::Failed),
        };
        attempt.at = Some((place, stage));
        self.later(self.now + takes, Happening::Attempt(number));
        Ok(())
    }

    fn not_connected(&mut self, number: usize) -> Checked {
        let now = self.now;
        let Attempt { phone: index, flow, slot, .. } = self.attempts[number];
        self.attempts[number].over = true;
        let phone = &mut self.phones[index];
        phone.attempts.remove(&flow);
        self.trace.line(now, phone.user, || format!("{flow:?}: no connection"));
        phone.wire.connect_failed(now, slot);
        let at = phone.now(now);
        if let Some(agent) = &mut phone.agent {
            agent.handle_connect_failed(at, flow);
            if self.sabotage == Some(Sabotage::BackOffReset) {
                agent.network_changed(at);
            }
        }
        self.drain(index)
    }

    /// A driver that would take an impostor for the registrar.
    fn fooled(&mut self, number: usize) -> Checked {
        let Attempt { phone: index, flow, .. } = self.attempts[number];
        self.attempts[number].over = true;
        let now = self.now;
        let phone = &mut self.phones[index];
        let at = phone.now(now);
        let nowhere = SocketAddr::from((Ipv4Addr::new(203, 0, 113, 66), 5061));
        if let Some(agent) = &mut phone.agent {
            agent.handle_connected(at, flow, nowhere, nowhere);
        }
        self.drain(index)
    }

    fn connected(&mut self, number: usize, edge: usize) -> Checked {
        let now = self.now;
        let Attempt { phone: index, flow, slot, incarnation, generation, .. } = self.attempts[number];
        self.attempts[number].over = true;
        let conn = self.conns.len();
        let local = SocketAddr::from((
            Ipv4Addr::new(10, index as u8 + 1, (generation % 250) as u8, 2),
            40_000 + (conn % 20_000) as u16,
        ));
        let id = self.machine.opened(self.server_now(), edge, local);
        self.by_server.insert(id, conn);
        self.conns.push(Connection {
            phone: index,
            incarnation,
            flow,
            slot,
            edge,
            generation,
            server: Some(id),
            open: true,
            black: false,
            last_up: now,
            last_down: now,
            born: now,
            touched: now,
            bound_until: None,
            registered_at: None,
            ponged: false,
            pongs: false,
        });
        let phone = &mut self.phones[index];
        phone.attempts.remove(&flow);
        if phone.flows.insert(flow, conn).is_some() {
            return broken("flows", "one flow has two connections");
        }
        self.trace.line(now, phone.user, || format!("{flow:?}: connected to edge {edge} as {conn}"));
        let at = phone.now(now);
        if let Some(agent) = &mut phone.agent {
            agent.handle_connected(at, flow, local, edge_address(edge));
        }
        self.drain(index)
    }
}
