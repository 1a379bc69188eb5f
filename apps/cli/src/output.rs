//! Where everything is printed: results to standard output, all else to standard error; colour and progress only where
//! a person looks.

use crate::printable;
use serde_json::Value;
use std::io::{self, IsTerminal, Write};

/// The two outputs of the command.
pub(crate) struct Output {
    json: bool,
    /// Whether each of the two is a terminal that shows colour.
    colour: [bool; 2],
    /// Whether a person sees standard error.
    watched: bool,
    /// What prints everything while a line is being edited.
    printer: Option<Printer>,
}

/// Prints a text above a line that is being edited.
pub(crate) type Printer = Box<dyn FnMut(&str) -> io::Result<()>>;

/// How a piece of text looks on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// What matters most.
    Bold,
    /// What matters less.
    Dim,
    /// Good news.
    Good,
    /// Bad news.
    Bad,
}

/// Which output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    /// Standard output.
    Results,
    /// Standard error.
    Notes,
}

impl Output {
    /// The outputs of this process; `json` makes every result a JSON line.
    pub fn new(json: bool) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Output { json, colour: [out && !plain, err && !plain], watched: err, printer: None }
    }

    /// Whether results are JSON lines.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a person sees standard error.
    pub fn is_watched(&self) -> bool {
        self.watched
    }

    /// Whether an output shows colour.
    pub fn is_coloured(&self, to: To) -> bool {
        let [results, notes] = self.colour;
        match to {
            To::Results => results,
            To::Notes => notes,
        }
    }

    /// From now on everything goes through this, since a line is being edited below it.
    pub fn print_through(&mut self, printer: Printer) {
        self.printer = Some(printer);
    }

    /// Nothing is being edited any more.
    pub fn print_directly(&mut self) {
        self.printer = None;
    }

    /// `text` as it looks on this output.
    pub fn styled(&self, to: To, style: Style, text: &str) -> String {
        if !self.is_coloured(to) {
            return text.to_owned();
        }
        let code = match style {
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Good => "32",
            Style::Bad => "31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// One JSON line.
    ///
    /// # Errors
    /// When standard output does not take it; so for the other two.
    pub fn json(&mut self, value: &Value) -> io::Result<()> {
        self.line(&printable::json(&value.to_string()))
    }

    /// Text that is a result, with its line ends.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        if let Some(printer) = &mut self.printer {
            return printer(text);
        }
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// One line that is a result.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        self.text(&format!("{text}\n"))
    }

    /// Something that is always worth saying, beside the results.
    pub fn note(&mut self, text: &str) {
        if let Some(printer) = &mut self.printer {
            // There is nowhere to report that the terminal is gone.
            let _ = printer(&format!("{text}\n"));
            return;
        }
        // There is nowhere to report that standard error is gone.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// A step on the way, for a person who waits.
    pub fn progress(&mut self, text: &str) {
        if self.watched {
            let text = self.styled(To::Notes, Style::Dim, text);
            self.note(&text);
        }
    }

    /// Something that is not as it should be, and does not stop the command.
    pub fn warning(&mut self, text: &str) {
        let word = self.styled(To::Notes, Style::Bold, "warning:");
        self.note(&format!("{word} {text}"));
    }

    /// Why the command fails.
    pub fn error(&mut self, text: &str) {
        let word = self.styled(To::Notes, Style::Bad, "aldis:");
        self.note(&format!("{word} {text}"));
    }
}
