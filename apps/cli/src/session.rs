//! A phone at work: its events are shown as they come, and the command sees them afterwards.

use crate::failure::{Exit, Failure};
use crate::output::{Output, Style, To};
use crate::signals::Interrupts;
use crate::tell::Told;
use crate::{json, tell};
use aldis::store::StoreError;
use aldis::{Config, ConnectionState, Event, Phone, RegistrationState, Sequence, StartError};
use tokio::time::Instant;

/// Where the steps on the way are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Steps {
    /// They are what the command is for.
    AreResults,
    /// A person who waits may see them.
    AreProgress,
}

/// What happened next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Something, which has been shown already.
    Event(Event),
    /// SIGINT or SIGTERM.
    Interrupted,
    /// The time is over.
    TimedOut,
}

/// The words for an event; `None` where there is nothing to say.
pub(crate) type Say = Box<dyn Fn(&Event) -> Option<Told>>;

/// A phone and where its events are shown.
pub(crate) struct Session<'o> {
    pub phone: Phone,
    /// What an event says, where the command has words of its own.
    words: Option<Say>,
    pub out: &'o mut Output,
    interrupts: Interrupts,
    steps: Steps,
    /// The words for a trouble that the command has been told of. They are shown when it goes on; when it ends
    /// because of it, its failure says the same.
    trouble: Option<String>,
    /// The words for a server that was refused, until it is known whether another one was found.
    refusal: Option<String>,
    /// Messages that were shown and are to be acknowledged.
    shown: Vec<Sequence>,
    /// Whether there is, or was, anything to unregister.
    was_registered: bool,
}

impl<'o> Session<'o> {
    /// Starts a phone; it connects when it is asked to do something.
    ///
    /// # Errors
    /// An internal [`Failure`].
    pub fn start(config: Config, steps: Steps, out: &'o mut Output) -> Result<Self, Failure> {
        let internal = |error: &dyn std::fmt::Display| Failure::new(Exit::Internal, error);
        let interrupts = Interrupts::catch().map_err(|error| internal(&error))?;
        let phone = Phone::start(config).map_err(|error| match error {
            StartError::Storage(_) => Failure::new(Exit::Storage, &error),
            error => internal(&error),
        })?;
        Ok(Session {
            phone,
            words: None,
            shown: Vec::new(),
            out,
            interrupts,
            steps,
            trouble: None,
            refusal: None,
            was_registered: false,
        })
    }

    /// Shows events in these words.
    pub fn say(&mut self, words: Say) {
        self.words = Some(words);
    }

    /// Waits for what happens next, until `deadline` if there is one.
    ///
    /// # Errors
    /// When standard output is gone, or the phone has stopped by itself.
    pub async fn next(&mut self, deadline: Option<Instant>) -> Result<Next, Failure> {
        if let Some(text) = self.trouble.take() {
            trouble(&text, self.steps, self.out)?;
        }
        // Here and not where they are shown: whoever drops this future loses nothing.
        if !self.shown.is_empty() {
            self.phone.acknowledge(self.shown.clone()).await.map_err(|error| storage(&error))?;
            self.shown.clear();
        }
        let time_is_over = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let event = tokio::select! {
            biased;
            () = self.interrupts.next() => return Ok(Next::Interrupted),
            event = self.phone.next_event() => event,
            () = time_is_over => return Ok(Next::TimedOut),
        };
        let event = event
            .ok_or_else(|| Failure::new(Exit::Internal, "The phone has stopped by itself; this is a bug."))?;
        // When no other server was found, why this one was refused is told at length.
        let at_length = matches!(&event, Event::Connection { state: ConnectionState::BackingOff { why, .. }, .. } if tell::refused(why).is_some());
        if let Some(text) = self.refusal.take().filter(|_| !at_length) {
            trouble(&text, self.steps, self.out)?;
        }
        let text = show(&event, self.words.as_ref(), self.steps, self.out)?;
        if let Event::Message(message) = &event {
            self.shown.push(message.sequence);
        }
        self.was_registered |=
            matches!(event, Event::Registration { state: RegistrationState::Registered { .. }, .. });
        match &event {
            Event::Untrusted { .. } => self.refusal = text,
            _ => self.trouble = text,
        }
        Ok(Next::Event(event))
    }

    /// The command ends because of the trouble that it was told of last, and will say so itself.
    pub fn will_tell(&mut self) {
        self.trouble = None;
    }

    /// Unregisters, closes, and shows what comes meanwhile. A signal now ends the process at once.
    ///
    /// # Errors
    /// When standard output is gone.
    pub async fn end(self) -> Result<(), Failure> {
        let Session {
            phone, words, out, mut interrupts, steps, was_registered, shown: unacknowledged, ..
        } = self;
        if !unacknowledged.is_empty() {
            phone.acknowledge(unacknowledged).await.map_err(|error| storage(&error))?;
        }
        // One who was never registered does not become unregistered.
        let is_news = |event: &Event| {
            was_registered
                || !matches!(event, Event::Registration { state: RegistrationState::Unregistered, .. })
        };
        let mut shown = Ok(());
        let events = async {
            while let Some(event) = phone.next_event().await {
                if shown.is_ok() && is_news(&event) {
                    shown = show(&event, words.as_ref(), steps, out)
                        .and_then(|text| text.map_or(Ok(()), |text| trouble(&text, steps, out)));
                    if let (Ok(()), Event::Message(message)) = (&shown, &event) {
                        // What cannot be acknowledged any more comes again.
                        let _ = phone.acknowledge([message.sequence]).await;
                    }
                }
            }
        };
        tokio::select! {
            ((), ()) = async { tokio::join!(phone.shut_down(), events) } => {}
            () = interrupts.abandon() => {}
        }
        shown
    }
}

/// The store failed.
pub(crate) fn storage(error: &StoreError) -> Failure {
    Failure::new(Exit::Storage, format_args!("{}. {}", sentence(&error.to_string()), error.advice()))
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Shows an event; a trouble is given back as words.
fn show(
    event: &Event,
    words: Option<&Say>,
    steps: Steps,
    out: &mut Output,
) -> Result<Option<String>, Failure> {
    if out.is_json() {
        if let Some(value) = json::event(event)? {
            out.json(&value)?;
        }
        return Ok(None);
    }
    match words.map_or_else(|| tell::event(event), |words| words(event)) {
        None => {}
        Some(Told::Trouble(text)) => return Ok(Some(text)),
        Some(Told::Result(text)) => out.line(&text)?,
        Some(Told::Step(text)) if steps == Steps::AreResults => out.line(&text)?,
        Some(Told::Step(text)) => out.progress(&text),
    }
    Ok(None)
}

fn trouble(text: &str, steps: Steps, out: &mut Output) -> Result<(), Failure> {
    if steps == Steps::AreResults {
        return Ok(out.line(text)?);
    }
    let text = out.styled(To::Notes, Style::Bad, text);
    out.note(&text);
    Ok(())
}
