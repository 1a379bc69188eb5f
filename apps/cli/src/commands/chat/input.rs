//! What the person says: a line editor on a terminal, plain lines from anything else.

use crate::failure::{Exit, Failure};
use crate::output::{Output, Style, To};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{Config, Context, Editor, ExternalPrinter, Helper};
use std::io::{self, BufRead, IsTerminal};
use std::thread;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What the person did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// A key, while a message is being written.
    Typed,
    /// A whole line.
    Line(String),
    /// There is no more: the end of the input, Ctrl-D or Ctrl-C.
    End,
}

/// Reads on a thread of its own, for nobody can stop reading a terminal.
pub(super) struct Input {
    said: UnboundedReceiver<Said>,
    /// Whether a person sits there.
    pub is_terminal: bool,
    #[cfg(unix)]
    before: Option<rustix::termios::Termios>,
}

impl Input {
    /// Begins to read. On a terminal everything that is printed from now on appears above the line that is being edited.
    ///
    /// # Errors
    /// When the terminal cannot be used.
    pub fn start(prompt: &str, out: &mut Output) -> Result<Self, Failure> {
        let (say, said) = unbounded_channel();
        let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal() && !out.is_json();
        #[cfg(unix)]
        let before = is_terminal.then(|| rustix::termios::tcgetattr(io::stdin()).ok()).flatten();
        if is_terminal {
            let failed = |error: ReadlineError| {
                Failure::new(Exit::Internal, format_args!("The terminal cannot be used: {error}."))
            };
            let config = Config::builder().auto_add_history(true).bracketed_paste(false).build();
            let mut editor = Editor::with_history(config, MemHistory::new()).map_err(failed)?;
            let mut printer = editor.create_external_printer().map_err(failed)?;
            out.print_through(Box::new(move |text| {
                printer.print(text.to_owned()).map_err(|error| io::Error::other(error.to_string()))
            }));
            editor.set_helper(Some(Keys(say.clone())));
            let prompt = out.styled(To::Results, Style::Bold, prompt);
            thread::spawn(move || edit(editor, &prompt, &say));
        } else {
            thread::spawn(move || read(io::stdin().lock(), &say));
        }
        Ok(Input {
            said,
            is_terminal,
            #[cfg(unix)]
            before,
        })
    }

    /// What comes next. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Said {
        self.said.recv().await.unwrap_or(Said::End)
    }

    /// Gives the terminal back as it was, whatever the editor is doing.
    pub fn end(self, out: &mut Output) {
        out.print_directly();
        #[cfg(unix)]
        if let Some(before) = &self.before {
            // There is nothing else to be done about a terminal that is gone.
            let _ = rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Drain, before);
        }
    }
}

fn edit(mut editor: Editor<Keys, MemHistory>, prompt: &str, say: &UnboundedSender<Said>) {
    loop {
        let said = match editor.readline(prompt) {
            Ok(line) => Said::Line(line),
            Err(_) => Said::End,
        };
        let ends = said == Said::End;
        if say.send(said).is_err() || ends {
            return;
        }
    }
}

fn read(input: impl BufRead, say: &UnboundedSender<Said>) {
    for line in input.lines() {
        let Ok(line) = line else { break };
        if say.send(Said::Line(line)).is_err() {
            return;
        }
    }
    // The session may have ended meanwhile.
    let _ = say.send(Said::End);
}

/// Looks at every key and completes nothing.
struct Keys(UnboundedSender<Said>);

impl Hinter for Keys {
    type Hint = String;

    fn hint(&self, line: &str, _: usize, _: &Context<'_>) -> Option<String> {
        if !line.trim().is_empty() && !line.starts_with('/') {
            // The session may have ended meanwhile.
            let _ = self.0.send(Said::Typed);
        }
        None
    }
}

impl Completer for Keys {
    type Candidate = String;
}
impl Highlighter for Keys {}
impl Validator for Keys {}
impl Helper for Keys {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_one_by_one_and_then_the_end() {
        let (say, mut said) = unbounded_channel();
        read(&b"one\ntwo"[..], &say);
        let said: Vec<_> = std::iter::from_fn(|| said.try_recv().ok()).collect();
        assert_eq!(said, [Said::Line("one".into()), Said::Line("two".into()), Said::End]);
    }

    #[test]
    fn what_is_no_text_ends_the_input() {
        let (say, mut said) = unbounded_channel();
        read(&b"one\n\xff\ntwo\n"[..], &say);
        assert_eq!(said.try_recv(), Ok(Said::Line("one".into())));
        assert_eq!(said.try_recv(), Ok(Said::End));
    }
}
