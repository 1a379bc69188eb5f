//! `aldis listen`.

use super::finish;
use super::register::Standing;
use crate::account::{self, Stay};
use crate::args;
use crate::failure::{Exit, Failure, Outcome};
use crate::output::Output;
use crate::printable;
use crate::session::{Next, Session, Steps};
use aldis::{Event, Incoming, MessageId, Outgoing};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// Registers and prints what comes, until interrupted or the count is reached.
///
/// # Errors
/// When registering fails for good.
pub(crate) async fn run(args: &args::Listen, out: &mut Output) -> Outcome {
    let ready = account::prepare(&args.account, Stay::Long, out)?;
    if args.account.timeout.is_some() {
        out.warning("--timeout says nothing here: the command stays until it is interrupted.");
    }
    let mut session = Session::start(ready.config, Steps::AreProgress, out)?;
    session.phone.register();
    args.subscribe.iter().for_each(|package| session.phone.subscribe((*package).into()));
    let mut listening =
        Listening { left: args.count, echo: args.echo, timeout: ready.timeout, ..Listening::default() };
    let outcome = listening.run(&mut session).await;
    finish(session, outcome).await
}

#[derive(Debug, Default)]
struct Listening {
    standing: Standing,
    /// How many messages are still to come; `None` for any number.
    left: Option<u64>,
    echo: bool,
    /// Echoes under way.
    echoes: BTreeSet<MessageId>,
    /// How long the last echoes may take once the count is reached.
    timeout: Duration,
}

impl Listening {
    async fn run(&mut self, session: &mut Session<'_>) -> Outcome {
        let mut deadline = None;
        loop {
            if self.left == Some(0) {
                if self.echoes.is_empty() {
                    return Ok(Exit::Done);
                }
                deadline.get_or_insert_with(|| Instant::now() + self.timeout);
            }
            match session.next(deadline).await? {
                Next::Event(event) => self.after(&event, session).await?,
                Next::Interrupted => return Ok(Exit::Done),
                Next::TimedOut => {
                    return Err(Failure::new(
                        Exit::Unknown,
                        "The messages came, but what became of the last echo is not known.",
                    ));
                }
            }
        }
    }

    async fn after(&mut self, event: &Event, session: &mut Session<'_>) -> Result<(), Failure> {
        match event {
            Event::Message(message) => {
                self.left = self.left.map(|left| left.saturating_sub(1));
                // It has been printed.
                session.phone.displayed(message);
                if self.echo {
                    self.answer(message, session).await;
                }
            }
            Event::Outgoing { id, state, .. } if state.is_final() => {
                self.echoes.remove(id);
            }
            event => self.standing.after(event)?,
        }
        Ok(())
    }

    /// Sends a text back to its sender.
    async fn answer(&mut self, message: &Incoming, session: &mut Session<'_>) {
        let Some(text) = message.text() else { return };
        match session.phone.send(message.from.as_str(), Outgoing::text(text)).await {
            Ok(id) => {
                self.echoes.insert(id);
            }
            Err(error) => {
                let from = printable::line(message.from.as_str());
                session.out.warning(&format!("no echo for {from}: {error}"));
            }
        }
    }
}
