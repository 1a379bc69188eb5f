//! What a line means.

/// A line that was typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// A message; `//` at its beginning stands for `/`.
    Text(&'a str),
    /// Nothing.
    Empty,
    /// `/help`.
    Help,
    /// `/quit`.
    Quit,
    /// `/history [N]`: so many earlier messages.
    History(usize),
    /// `/search WORDS`.
    Search(&'a str),
    /// A command that nobody knows, or one that lacks something: what to say about it.
    Wrong(String),
}

/// How many messages `/history` shows when nobody says.
pub(super) const PAGE: usize = 20;
/// The most that it shows at once.
const MAX_PAGE: usize = 1000;

/// What `/help` says.
pub(super) const HELP: &str = "\
/history [N]    earlier messages, N at a time; again for those before
/search WORDS   messages with these words
/quit           ends the conversation, as Ctrl-D and Ctrl-C do
//TEXT          sends /TEXT";

impl<'a> Line<'a> {
    /// Reads a line.
    pub fn read(line: &'a str) -> Self {
        if line.trim().is_empty() {
            return Line::Empty;
        }
        let Some(rest) = line.strip_prefix('/') else { return Line::Text(line) };
        if rest.starts_with('/') {
            return Line::Text(rest);
        }
        let (word, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let rest = rest.trim();
        match (word, rest) {
            ("help" | "?", _) => Line::Help,
            ("quit" | "exit" | "q", _) => Line::Quit,
            ("history", "") => Line::History(PAGE),
            ("history", count) => match count.parse() {
                Ok(count @ 1..=MAX_PAGE) => Line::History(count),
                _ => Line::Wrong(format!("/history takes a number from 1 to {MAX_PAGE}")),
            },
            ("search", "") => Line::Wrong("/search takes the words to look for".into()),
            ("search", words) => Line::Search(words),
            _ => Line::Wrong(format!(
                "there is no command /{word}; /help shows those that there are, //{word} sends it as a message"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_with_a_slash_is_a_command_and_the_rest_is_said() {
        assert_eq!(Line::read("hello /quit"), Line::Text("hello /quit"));
        assert_eq!(Line::read("//etc/hosts"), Line::Text("/etc/hosts"));
        assert_eq!(Line::read("  "), Line::Empty);
        assert_eq!(Line::read("/quit"), Line::Quit);
        assert_eq!(Line::read("/history"), Line::History(PAGE));
        assert_eq!(Line::read("/history 5"), Line::History(5));
        assert_eq!(Line::read("/search  two words "), Line::Search("two words"));
    }

    #[test]
    fn a_wrong_command_is_not_said() {
        for line in ["/frob", "/history many", "/history 0", "/search", "/"] {
            assert!(matches!(Line::read(line), Line::Wrong(_)), "{line}");
        }
    }
}
