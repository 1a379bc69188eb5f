//! How the demo tells what it does: numbered steps with their facts, or JSON lines.

use crate::failure::Failure;
use crate::json;
use crate::output::{Output, Style, To};
use aldis::Event;
use serde_json::{Value, json};

/// The story as it is told.
pub(super) struct Story<'o> {
    out: &'o mut Output,
    steps: u32,
}

impl<'o> Story<'o> {
    /// Begins with a line that says what will be seen.
    ///
    /// # Errors
    /// When standard output is gone; so for all that follow.
    pub fn begin(title: &str, out: &'o mut Output) -> Result<Self, Failure> {
        if !out.is_json() {
            let title = out.styled(To::Results, Style::Bold, title);
            out.line(&title)?;
        }
        Ok(Story { out, steps: 0 })
    }

    /// Begins a step.
    pub fn step(&mut self, title: &str) -> Result<(), Failure> {
        self.steps += 1;
        if self.out.is_json() {
            return Ok(self.out.json(&json!({"event": "demo", "step": self.steps, "title": title}))?);
        }
        let title = self.out.styled(To::Results, Style::Bold, &format!("{}. {title}", self.steps));
        Ok(self.out.line(&format!("\n{title}"))?)
    }

    /// A fact of the step, which may have several lines.
    pub fn fact(&mut self, text: &str) -> Result<(), Failure> {
        self.tell(text, None)
    }

    /// A fact that was checked.
    pub fn checked(&mut self, text: &str) -> Result<(), Failure> {
        self.tell(text, Some(Style::Good))
    }

    /// A refusal that was to come.
    pub fn refusal(&mut self, text: &str) -> Result<(), Failure> {
        self.tell(text, Some(Style::Bad))
    }

    fn tell(&mut self, text: &str, style: Option<Style>) -> Result<(), Failure> {
        if self.out.is_json() {
            return Ok(self.out.json(&json!({"event": "demo", "step": self.steps, "fact": text}))?);
        }
        for line in text.lines() {
            let line =
                style.map_or_else(|| line.to_owned(), |style| self.out.styled(To::Results, style, line));
            self.out.line(&format!("   {line}"))?;
        }
        Ok(())
    }

    /// The last line.
    pub fn end(self, text: &str) -> Result<(), Failure> {
        if self.out.is_json() {
            return Ok(self.out.json(&json!({"event": "demo", "done": true}))?);
        }
        let text = self.out.styled(To::Results, Style::Bold, text);
        Ok(self.out.line(&format!("\n{text}"))?)
    }

    /// An event of one of the users, for those who want all of them.
    pub fn event(&mut self, whose: &str, event: &Event) -> Result<(), Failure> {
        if self.out.is_json()
            && let Some(mut value) = json::event(event)?
        {
            if let Value::Object(members) = &mut value {
                members.insert("account".into(), whose.into());
            }
            self.out.json(&value)?;
        }
        Ok(())
    }
}
