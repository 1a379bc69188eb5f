//! `aldis chat`.

mod input;
mod line;
mod past;
mod words;

use self::input::{Input, Said};
use self::line::{HELP, Line, PAGE};
use self::past::Past;
use self::words::Words;
use super::finish;
use super::register::Standing;
use crate::account::{self, Stay};
use crate::args;
use crate::failure::{Exit, Failure, Outcome};
use crate::output::{Output, Style, To};
use crate::printable;
use crate::session::{Next, Session, Steps};
use aldis::{Event, MessageId, Outgoing, RegistrationState, SendError, SendRefused};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// Talks with one correspondent, a line a message, until the person ends it.
///
/// # Errors
/// When registering fails for good.
pub(crate) async fn run(args: &args::Chat, out: &mut Output) -> Outcome {
    let ready = account::prepare(&args.account, Stay::Long, out)?;
    let to = account::recipient(&args.to, &ready.address).map_err(Failure::usage)?;
    let words = Words::new(&to);
    let mut input = Input::start("you: ", out)?;
    if input.is_terminal {
        let hello = format!(
            "Talking to {}. /help says what else there is; Ctrl-D ends it.",
            printable::line(to.as_str())
        );
        out.note(&hello);
    }
    let mut session = Session::start(ready.config, Steps::AreProgress, out)?;
    let (terminal, json) = (input.is_terminal, session.out.is_json());
    let mut past = Past::new(to.as_str());
    // What waits since an earlier run stands in the past already.
    let shown = match terminal {
        true => past.page(&session.phone, &words, PAGE, session.out).await?,
        false => None,
    };
    if !json {
        let words = words.clone();
        session.say(Box::new(move |event| match event {
            Event::Message(message) if words.is_peer(&message.from) && Some(message.sequence) <= shown => {
                None
            }
            event => words.event(event, terminal),
        }));
    }
    session.phone.register();
    let mut chat = Chat {
        to: to.to_string(),
        past,
        receipts: !args.no_receipts,
        standing: Standing::default(),
        greeted: false,
        under_way: BTreeSet::new(),
        words,
        timeout: ready.timeout,
    };
    let outcome = chat.run(&mut session, &mut input).await;
    input.end(session.out);
    finish(session, outcome).await
}

struct Chat {
    to: String,
    past: Past,
    receipts: bool,
    standing: Standing,
    /// Whether the person was told that the conversation can begin.
    greeted: bool,
    /// Messages that have no answer yet.
    under_way: BTreeSet<MessageId>,
    words: Words,
    /// How long the last messages may take once there is nothing more to say.
    timeout: Duration,
}

impl Chat {
    async fn run(&mut self, session: &mut Session<'_>, input: &mut Input) -> Outcome {
        loop {
            let said = tokio::select! {
                next = session.next(None) => match next? {
                    Next::Event(event) => {
                        self.after(&event, session)?;
                        continue;
                    }
                    Next::Interrupted | Next::TimedOut => return Ok(Exit::Done),
                },
                said = input.next() => said,
            };
            match said {
                Said::Typed => drop(session.phone.composing(&self.to)),
                Said::Line(line) => {
                    if !self.line(&line, session).await? {
                        return Ok(Exit::Done);
                    }
                }
                // A person who leaves does not wait; what was piped in is to arrive.
                Said::End if input.is_terminal => return Ok(Exit::Done),
                Said::End => return self.wait(session).await,
            }
        }
    }

    /// Does what a line asks for. `false`: it asks to end.
    async fn line(&mut self, line: &str, session: &mut Session<'_>) -> Result<bool, Failure> {
        match Line::read(line) {
            Line::Empty => {}
            Line::Quit => return Ok(false),
            Line::Help => session.out.note(HELP),
            Line::Wrong(why) => session.out.warning(&printable::line(&why)),
            Line::History(count) => {
                self.past.page(&session.phone, &self.words, count, session.out).await?;
            }
            Line::Search(wanted) => {
                self.past.search(&session.phone, &self.words, wanted, session.out).await?;
            }
            Line::Text(text) => {
                let mut message = Outgoing::text(text);
                if self.receipts {
                    message = message.request_receipts();
                }
                match session.phone.send(&self.to, message).await {
                    Ok(id) => {
                        self.under_way.insert(id);
                    }
                    Err(
                        error @ SendError::Refused(
                            SendRefused::Recipient { .. }
                            | SendRefused::ContentType(_)
                            | SendRefused::Stopped,
                        ),
                    ) => {
                        return Err(Failure::new(Exit::Internal, format_args!("{error}.")));
                    }
                    Err(error) => session.out.warning(&format!("not sent: {error}")),
                }
            }
        }
        Ok(true)
    }

    fn after(&mut self, event: &Event, session: &mut Session<'_>) -> Result<(), Failure> {
        match event {
            // It has been shown.
            Event::Message(message) if self.words.is_peer(&message.from) => session.phone.displayed(message),
            Event::Outgoing { id, state, .. } if state.is_final() => {
                self.under_way.remove(id);
            }
            Event::Registration { state: RegistrationState::Registered { .. }, .. } if !self.greeted => {
                self.greeted = true;
                let text =
                    session.out.styled(To::Notes, Style::Dim, "connected; the server has proven who it is");
                session.out.progress(&text);
            }
            _ => {}
        }
        self.standing.after(event)
    }

    /// Waits until every message has its answer.
    async fn wait(&mut self, session: &mut Session<'_>) -> Outcome {
        let deadline = Instant::now() + self.timeout;
        while !self.under_way.is_empty() {
            match session.next(Some(deadline)).await? {
                Next::Event(event) => self.after(&event, session)?,
                Next::Interrupted => return Ok(Exit::Done),
                Next::TimedOut => {
                    return Err(Failure::new(
                        Exit::Unknown,
                        "What became of the last messages is not known; they were not answered within the time.",
                    ));
                }
            }
        }
        Ok(Exit::Done)
    }
}
