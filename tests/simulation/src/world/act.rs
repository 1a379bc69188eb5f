//! What befalls the world.

use super::{Happening, World};
use crate::model::Checked;
use crate::network::How;
use crate::phone::Phone;
use crate::scenario::{Action, DOMAIN, password, token};
use aldis_agent::{Agent, LostReason, Now};
use aldis_registrar::{Fault, Times};
use aldis_sip::Secret;
use std::time::Duration;

impl World {
    /// Lets an app do something, if it runs.
    fn tell(&mut self, index: usize, command: impl FnOnce(&mut Agent, Now)) -> Checked {
        let phone = &mut self.phones[index];
        if !phone.is_up() {
            return Ok(());
        }
        let at = phone.now(self.now);
        if let Some(agent) = &mut phone.agent {
            command(agent, at);
        }
        self.drain(index)
    }

    /// The system says that the network changed.
    fn network_changed(&mut self, index: usize) -> Checked {
        self.phones[index].wire.excused();
        let now = self.now;
        if self.phones[index].is_up() {
            self.trace.line(now, self.phones[index].user, || "is told that the network changed");
        }
        self.tell(index, Agent::network_changed)
    }

    pub(super) fn act(&mut self, action: Action) -> Checked {
        if self.healed
            && !matches!(action, Action::Start { .. } | Action::Token { .. } | Action::Register { .. })
        {
            return Ok(());
        }
        let now = self.now;
        self.trace.line(now, "world", || format!("{action:?}"));
        match action {
            Action::Send { from, to, count } => {
                for _ in 0..count {
                    self.send(from, to, false)?;
                }
                Ok(())
            }
            Action::Withdraw { phone } => match self.phones[phone].latest {
                Some(id) => self.tell(phone, |agent, now| agent.withdraw(now, id)),
                None => Ok(()),
            },
            Action::Handover { phone, gap, latency, told, socket_error } => {
                self.handover(phone, gap, latency, told, socket_error)
            }
            Action::Online { phone, online, told } => {
                self.online(phone, online);
                if told { self.network_changed(phone) } else { Ok(()) }
            }
            Action::Blackhole { phone } => {
                self.blacken(|conn, _| conn == phone);
                Ok(())
            }
            Action::Cut { phone, how } => self.cut(phone, how),
            Action::Nat { phone, timeout } => {
                self.phones[phone].path.nat = timeout;
                Ok(())
            }
            Action::Latency { phone, latency } => {
                self.phones[phone].path.latency = latency;
                Ok(())
            }
            Action::EdgeDown { edge, how, down } => {
                self.edge_down(edge, how);
                self.later(now + down, Happening::Do(Action::EdgeUp { edge }));
                Ok(())
            }
            Action::EdgeUp { edge } => {
                self.edges[edge].alive = true;
                Ok(())
            }
            Action::Restart { how, down, forget_bindings, forget_nonces } => {
                for edge in 0..self.edges.len() {
                    self.edge_down(edge, how);
                    self.later(now + down, Happening::Do(Action::EdgeUp { edge }));
                }
                self.machine.restart(self.server_now());
                if forget_bindings {
                    self.machine.forget_bindings();
                }
                if forget_nonces {
                    self.machine.forget_nonces();
                }
                self.pump();
                Ok(())
            }
            Action::Dns { places } => {
                self.dns = places;
                Ok(())
            }
            Action::Sleep { phone, time } => {
                self.phones[phone].asleep = true;
                self.later(now + time, Happening::Do(Action::Wake { phone }));
                Ok(())
            }
            Action::Wake { phone } => self.wake(phone),
            Action::WallJump { phone, by } => {
                self.phones[phone].wall_offset += by;
                Ok(())
            }
            Action::Crash { phone, after, down } => {
                if after == 0 {
                    self.kill(phone, down);
                } else if self.phones[phone].agent.is_some() {
                    self.phones[phone].crash = Some((after, down));
                }
                Ok(())
            }
            Action::Start { phone } => self.start(phone),
            Action::Password { phone, typed_after } => {
                let Phone { user, version, may_stop, .. } = &mut self.phones[phone];
                *version += 1;
                *may_stop = true;
                let secret = Secret::new(password(user, *version));
                self.machine.set_password(user, secret);
                self.later(now + typed_after, Happening::Do(Action::Type { phone }));
                Ok(())
            }
            Action::Type { phone } => self.type_password(phone),
            Action::TokenExpires { phone, renewed_after } => {
                let Phone { user, token: version, may_stop, .. } = &mut self.phones[phone];
                *version += 1;
                *may_stop = true;
                let secret = Secret::new(token(user, *version));
                self.machine.set_token(user, secret);
                self.later(now + renewed_after, Happening::Do(Action::Token { phone }));
                Ok(())
            }
            Action::Token { phone } => self.give_token(phone),
            Action::Misbehave { fault, times } => {
                self.misbehave(fault, times);
                Ok(())
            }
            Action::Behave { fault } => {
                self.machine.clear_fault(&fault);
                self.misbehaving = self.misbehaving.saturating_sub(1);
                Ok(())
            }
            Action::Register { phone } => self.register(phone),
            Action::Unregister { phone } if self.phones[phone].asleep => Ok(()),
            Action::Unregister { phone } => {
                self.phones[phone].wants = false;
                self.phones[phone].wire.excused();
                self.tell(phone, Agent::unregister)
            }
            Action::Background { phone } | Action::Foreground { phone } if self.phones[phone].asleep => {
                Ok(())
            }
            Action::Background { phone } => {
                self.phones[phone].background = true;
                // Pings come later from now on.
                self.disturbed(phone);
                self.tell(phone, Agent::enter_background)
            }
            Action::Foreground { phone } => {
                self.phones[phone].background = false;
                self.phones[phone].wire.excused();
                self.tell(phone, Agent::enter_foreground)
            }
            Action::Push { phone } => {
                self.phones[phone].wire.excused();
                self.tell(phone, Agent::wake)
            }
            Action::DiskFull { phone, time } => {
                self.phones[phone].disk_full = true;
                self.later(now + time, Happening::Do(Action::DiskFree { phone }));
                Ok(())
            }
            Action::DiskFree { phone } => {
                self.phones[phone].disk_full = false;
                Ok(())
            }
            Action::Heal => self.heal(),
        }
    }

    fn misbehave(&mut self, fault: Fault, times: Times) {
        self.misbehaving += 1;
        let gives_reason = match &fault {
            Fault::Answer { status, .. } => matches!(status.code(), 403 | 404),
            _ => false,
        };
        if gives_reason {
            for phone in &mut self.phones {
                phone.may_stop = true;
            }
        }
        self.machine.set_fault(fault, times);
    }

    fn register(&mut self, index: usize) -> Checked {
        let phone = &mut self.phones[index];
        if phone.asleep {
            return Ok(());
        }
        phone.wants = true;
        if phone.is_up() {
            phone.stopped = false;
            phone.wire.excused();
        }
        self.tell(index, Agent::register)
    }

    fn type_password(&mut self, index: usize) -> Checked {
        let phone = &mut self.phones[index];
        if phone.asleep {
            // Nobody types on a phone that is off: when it wakes.
            return Ok(());
        }
        phone.typed = phone.version;
        if phone.is_up() {
            phone.wire.excused();
            phone.stopped &= !phone.stopped_by_credentials;
        }
        let (user, secret) = (phone.user, Secret::new(password(phone.user, phone.version)));
        self.tell(index, |agent, now| agent.set_credentials(now, user, secret))
    }

    /// The app gives the present access token, asked for or not.
    fn give_token(&mut self, index: usize) -> Checked {
        let phone = &mut self.phones[index];
        if !phone.is_up() {
            return Ok(());
        }
        let text = token(phone.user, phone.token);
        (phone.token_given, phone.token_asked) = (Some(phone.token), false);
        phone.wire.given(&text);
        phone.wire.excused();
        phone.stopped &= !phone.stopped_by_credentials;
        self.tell(index, |agent, now| {
            // Always a token.
            let _ = agent.set_token(now, DOMAIN, Secret::new(text));
        })
    }

    fn handover(
        &mut self,
        index: usize,
        gap: Duration,
        latency: Duration,
        told: Option<Duration>,
        socket_error: bool,
    ) -> Checked {
        let now = self.now;
        let phone = &mut self.phones[index];
        phone.path.generation += 1;
        phone.path.latency = latency;
        phone.held.clear();
        phone.path.online = gap.is_zero();
        if !gap.is_zero() {
            let online = Action::Online { phone: index, online: true, told: false };
            self.later(now + gap, Happening::Do(online));
        }
        if told == Some(Duration::ZERO) {
            self.handover[index] = Some(now);
        }
        if let Some(after) = told {
            // Told again where it was told before something passed.
            let told = Action::Online { phone: index, online: true, told: true };
            self.later(now + after.max(gap), Happening::Do(told));
        }
        let conns: Vec<usize> = self.phones[index].flows.values().copied().collect();
        for conn in conns {
            self.conns[conn].black = true;
            if socket_error && !self.phones[index].asleep {
                self.lose(conn, LostReason::Failed("network is unreachable".into()))?;
            }
        }
        Ok(())
    }

    fn online(&mut self, index: usize, online: bool) {
        let phone = &mut self.phones[index];
        if std::mem::replace(&mut phone.path.online, online) == online || !online {
            return;
        }
        for held in std::mem::take(&mut phone.held) {
            match held {
                Happening::Up(conn, _) | Happening::UpEnd(conn) => self.up(conn, held),
                Happening::Down(conn, _) | Happening::DownEnd(conn, _) => self.down(conn, held),
                _ => {}
            }
        }
    }

    /// Connections go silent.
    fn blacken(&mut self, which: impl Fn(usize, usize) -> bool) {
        for conn in &mut self.conns {
            if which(conn.phone, conn.edge) {
                conn.black = true;
            }
        }
    }

    fn cut(&mut self, index: usize, how: How) -> Checked {
        let conns: Vec<usize> = self.phones[index].flows.values().copied().collect();
        for conn in conns {
            if how == How::Silent {
                self.conns[conn].black = true;
                continue;
            }
            let why =
                if how == How::Fin { LostReason::ClosedByServer } else { LostReason::Failed("reset".into()) };
            self.end_up(conn);
            self.down(conn, Happening::DownEnd(conn, why));
        }
        Ok(())
    }

    fn edge_down(&mut self, edge: usize, how: How) {
        self.edges[edge].alive = false;
        self.edges[edge].refuses = how != How::Silent;
        let conns = self.by_server.values().copied().filter(|conn| self.conns[*conn].edge == edge);
        for conn in conns.collect::<Vec<_>>() {
            self.end_up(conn);
            match how {
                How::Silent => {}
                How::Fin => self.down(conn, Happening::DownEnd(conn, LostReason::ClosedByServer)),
                How::Reset => self.down(conn, Happening::DownEnd(conn, LostReason::Failed("reset".into()))),
            }
        }
    }

    /// What came while the device slept is read first; then the timer fires.
    fn wake(&mut self, index: usize) -> Checked {
        if !std::mem::replace(&mut self.phones[index].asleep, false) {
            return Ok(());
        }
        self.phones[index].wire.excused();
        // Not every clock shows it; who is called late knows by himself.
        if self.random.chance(60) {
            self.tell(index, Agent::handle_sleep)?;
        }
        while let Some(what) = self.phones[index].kernel.pop_front() {
            self.happen(what)?;
        }
        if self.phones[index].typed != self.phones[index].version {
            self.type_password(index)?;
        }
        if self.phones[index].wants_token() { self.give_token(index) } else { Ok(()) }
    }

    /// Everything is well from now on.
    fn heal(&mut self) -> Checked {
        let now = self.now;
        self.machine.clear_faults();
        self.misbehaving = 0;
        for edge in &mut self.edges {
            edge.alive = true;
        }
        self.dns = (0..self.edges.len()).map(crate::network::Place::Edge).collect();
        let mut end = now;
        for index in 0..self.phones.len() {
            self.phones[index].disk_full = false;
            if self.phones[index].path.nat.is_some_and(|patience| patience < Duration::from_secs(1000)) {
                self.phones[index].path.nat = None;
            }
            self.phones[index].path.latency = self.phones[index].setup.latency;
            self.phones[index].crash = None;
            self.online(index, true);
            self.wake(index)?;
            self.start(index)?;
            if self.phones[index].typed != self.phones[index].version {
                self.type_password(index)?;
            }
            if self.phones[index].wants_token() {
                self.give_token(index)?;
            }
            if !self.phones[index].wants || self.phones[index].stopped {
                self.register(index)?;
            }
            if self.scenario.subscribes {
                self.subscribe(index);
                self.drain(index)?;
            }
            if self.scenario.told {
                self.network_changed(index)?;
            }
        }
        self.healed = true;
        for index in 0..self.phones.len() {
            self.disturbed(index);
            end = end.max(now + self.bound(index));
        }
        self.later(end + Duration::from_millis(1), Happening::Texts);
        Ok(())
    }
}
