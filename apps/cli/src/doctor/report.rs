//! The steps as they are shown: a line with its details for a person, a JSON object for a program.

use crate::layout::{WIDTH, wrap};
use crate::output::{Output, Style, To};
use crate::printable;
use serde_json::{Map, Value, json};
use std::io;

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// As it should.
    Ok,
    /// Not as it should, but a client gets along with it.
    Warn,
    /// So that a client does not get further here.
    Fail,
}

/// One step.
#[derive(Debug)]
pub(crate) struct Step {
    name: &'static str,
    state: State,
    text: String,
    /// Lines below it, laid out already.
    below: Vec<String>,
    details: Map<String, Value>,
}

/// How wide the state is, and the name of the step.
const STATE: usize = 6;
const NAME: usize = 11;
/// Where texts begin.
const MARGIN: usize = STATE + NAME;

impl Step {
    /// A step that went well; `text` may be a stranger's and is made safe to show.
    pub fn ok(name: &'static str, text: &str) -> Self {
        Step {
            name,
            state: State::Ok,
            text: printable::lines(text).into_owned(),
            below: Vec::new(),
            details: Map::new(),
        }
    }

    /// A step that a client gets along with.
    pub fn warn(name: &'static str, text: &str) -> Self {
        Step { state: State::Warn, ..Self::ok(name, text) }
    }

    /// A step at which it ends.
    pub fn fail(name: &'static str, text: &str) -> Self {
        Step { state: State::Fail, ..Self::ok(name, text) }
    }

    /// Adds a line below.
    pub fn line(mut self, text: &str) -> Self {
        self.below.extend(wrap(&printable::line(text), WIDTH - MARGIN - 2));
        self
    }

    /// Adds lines that are laid out already, in at most the width that is left.
    pub fn laid_out(mut self, text: &str) -> Self {
        self.below.extend(text.lines().map(|line| printable::line(line).into_owned()));
        self
    }

    /// Says what to do.
    pub fn advice(mut self, text: &str) -> Self {
        if !text.is_empty() {
            self.details.insert("advice".into(), text.into());
            self = self.line(&format!("What to do: {text}"));
        }
        self
    }

    /// Adds a detail for programs.
    pub fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.into(), value.into());
        self
    }

    /// The width that [`Step::laid_out`] may use.
    pub const WIDTH_BELOW: usize = WIDTH - MARGIN - 2;
}

/// Where steps are told.
pub(crate) struct Report<'o> {
    pub out: &'o mut Output,
}

impl Report<'_> {
    /// Tells a step.
    ///
    /// # Errors
    /// When standard output does not take it.
    pub fn tell(&mut self, step: &Step) -> io::Result<()> {
        let state = match step.state {
            State::Ok => "ok",
            State::Warn => "warn",
            State::Fail => "fail",
        };
        if self.out.is_json() {
            return self.out.json(&json!({
                "event": "doctor",
                "step": step.name,
                "state": state,
                "text": step.text,
                "details": step.details,
            }));
        }
        let style = match step.state {
            State::Ok => Style::Good,
            State::Warn => Style::Bold,
            State::Fail => Style::Bad,
        };
        let mut text = self.out.styled(To::Results, style, state);
        // Escape sequences take no column.
        text.push_str(&" ".repeat(STATE.saturating_sub(state.len())));
        let mut lines = wrap(&step.text, WIDTH - MARGIN).into_iter();
        text.push_str(&format!("{:NAME$}{}\n", step.name, lines.next().unwrap_or_default()));
        for line in lines {
            text.push_str(&format!("{:MARGIN$}{line}\n", ""));
        }
        for line in &step.below {
            let row = format!("{:MARGIN$}  {line}", "");
            text.push_str(row.trim_end());
            text.push('\n');
        }
        self.out.text(&text)
    }

    /// Tells an event of the library, to programs only: a person has read the step.
    ///
    /// # Errors
    /// When standard output does not take it.
    pub fn event(&mut self, event: &aldis::Event) -> Result<(), crate::failure::Failure> {
        if self.out.is_json()
            && let Some(value) = crate::json::event(event)?
        {
            self.out.json(&value)?;
        }
        Ok(())
    }
}
