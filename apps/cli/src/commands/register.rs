//! `aldis register`.

use super::finish;
use crate::account::{self, Stay};
use crate::args;
use crate::ending;
use crate::failure::{Exit, Outcome};
use crate::output::Output;
use crate::session::{Next, Session, Steps, storage};
use crate::tell;
use aldis::{ConnectionState, Event, RegistrationState, Storage};
use std::collections::BTreeSet;
use tokio::time::Instant;

/// Registers, and stays unless it is to be once.
///
/// # Errors
/// When registering fails for good.
pub(crate) async fn run(args: &args::Register, out: &mut Output) -> Outcome {
    let stay = if args.once { Stay::Short } else { Stay::Long };
    let ready = account::prepare(&args.account, stay, out)?;
    if !args.once && args.account.timeout.is_some() {
        out.warning("--timeout says nothing here: without --once the command stays until it is interrupted.");
    }
    let deadline = args.once.then(|| Instant::now() + ready.timeout);
    let mut session = Session::start(ready.config, Steps::AreResults, out)?;
    session.phone.register();
    args.subscribe.iter().for_each(|package| session.phone.subscribe((*package).into()));
    let outcome = match deadline {
        Some(deadline) => once(&mut session, deadline).await,
        None => stay_registered(&mut session).await,
    };
    finish(session, outcome).await
}

/// Waits for the first outcome, good or bad.
async fn once(session: &mut Session<'_>, deadline: Instant) -> Outcome {
    let (mut connected, mut asked) = (false, false);
    loop {
        let event = match session.next(Some(deadline)).await? {
            Next::Event(event) => event,
            Next::Interrupted => return Ok(Exit::Done),
            Next::TimedOut if asked => return Err(ending::no_answer(UNKNOWN)),
            Next::TimedOut => return Err(ending::no_connection_in_time(None)),
        };
        match event {
            Event::Registration { state: RegistrationState::Registered { .. }, .. } => return Ok(Exit::Done),
            Event::Registration { state: RegistrationState::Failed { why, status, .. }, .. } => {
                return Err(ending::registration(&why, status));
            }
            Event::Connection { state: ConnectionState::BackingOff { why, .. }, .. } if asked => {
                return Err(ending::lost(&why, UNKNOWN));
            }
            Event::Connection { state: ConnectionState::BackingOff { why, .. }, .. } => {
                return Err(ending::no_connection(&why));
            }
            Event::Connection { state: ConnectionState::Connected(_), .. } => connected = true,
            _ => {}
        }
        // On a trusted connection the first thing sent is the request.
        asked |= connected;
    }
}

const UNKNOWN: &str = "Whether it has registered this device is not known.";

/// Stays until interrupted; what can pass is survived.
async fn stay_registered(session: &mut Session<'_>) -> Outcome {
    let mut standing = Standing::default();
    loop {
        match session.next(None).await? {
            Next::Event(event) => standing.after(&event)?,
            Next::Interrupted | Next::TimedOut => return Ok(Exit::Done),
        }
    }
}

/// What a command that stays remembers to know what is final.
#[derive(Debug, Default)]
pub(super) struct Standing {
    was_registered: bool,
    /// The flows that are registered.
    registered: BTreeSet<u32>,
}

impl Standing {
    /// Whether to go on after this event: refused credentials and other final refusals end the command, unless another flow
    /// is registered, and so does a server that is not trusted before the first registration. Later that may be a hotel's
    /// portal.
    ///
    /// # Errors
    /// The failure that the command ends with.
    pub fn after(&mut self, event: &Event) -> Result<(), crate::failure::Failure> {
        match event {
            Event::Registration { reg_id, state } => {
                match state {
                    RegistrationState::Registered { .. } => {
                        self.was_registered = true;
                        self.registered.insert(*reg_id);
                    }
                    RegistrationState::Refreshing => {}
                    _ => drop(self.registered.remove(reg_id)),
                }
                if let RegistrationState::Failed { why, status, retry_in: None } = state
                    && self.registered.is_empty()
                {
                    return Err(ending::registration(why, *status));
                }
            }
            // Nothing can be kept: whoever is there takes no more messages.
            Event::Storage(Storage::Failed(error)) if !error.may_pass() => return Err(storage(error)),
            Event::Connection { reg_id, state: ConnectionState::Lost { .. } } => {
                self.registered.remove(reg_id);
            }
            Event::Connection { state: ConnectionState::BackingOff { why, .. }, .. }
                if !self.was_registered && tell::refused(why).is_some() =>
            {
                return Err(ending::no_connection(why));
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aldis::{Gruus, LostReason, RegistrationFailure};

    fn registration(reg_id: u32, state: RegistrationState) -> Event {
        Event::Registration { reg_id, state }
    }

    fn registered(reg_id: u32) -> Event {
        let state = RegistrationState::Registered {
            expires_in: std::time::Duration::from_secs(3600),
            contact: "sip:a@192.0.2.1".parse().unwrap(),
            outbound: true,
            gruus: Gruus::default(),
        };
        registration(reg_id, state)
    }

    fn forbidden(reg_id: u32) -> Event {
        let why = RegistrationFailure::Forbidden { reason: "no".into() };
        registration(reg_id, RegistrationState::Failed { why, status: None, retry_in: None })
    }

    #[test]
    fn a_flow_that_is_refused_ends_nothing_while_another_is_registered() {
        let mut standing = Standing::default();
        assert!(standing.after(&registered(1)).is_ok());
        assert!(standing.after(&forbidden(2)).is_ok());
        let lost =
            Event::Connection { reg_id: 1, state: ConnectionState::Lost { why: LostReason::ClosedByServer } };
        assert!(standing.after(&lost).is_ok());
        assert!(standing.after(&forbidden(2)).is_err());
        assert!(Standing::default().after(&forbidden(1)).is_err());
    }
}
