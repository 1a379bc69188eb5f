//! What came from the network, made safe to show: no control sequence, line or direction of a stranger reaches the
//! terminal.

use std::borrow::Cow;
use std::fmt::Write;

/// One line of text: whatever moves the cursor, ends a line or cannot be seen becomes a visible escape.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// Text that may have several lines: line ends and tabs stay, and CR LF counts as a line end.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    if text.contains("\r\n") {
        return Cow::Owned(escape(&text.replace("\r\n", "\n"), is_layout).into_owned());
    }
    escape(text, is_layout)
}

/// Bytes that need not be text, on one line.
pub(crate) fn bytes(bytes: &[u8]) -> String {
    line(&String::from_utf8_lossy(bytes)).into_owned()
}

/// A JSON text with every character that a terminal would obey written as its escape, which means the same.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String does not fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn is_layout(c: char) -> bool {
    matches!(c, '\n' | '\t')
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let hidden = |c: char| is_hidden(c) && !keep(c);
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hidden(c) {
            // Writing to a String does not fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Control characters, direction marks and other invisible ones. Joiners stay: scripts and emoji are written with
/// them, and they hide nothing.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e001f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_sequences_of_a_stranger_are_shown_and_not_obeyed() {
        assert_eq!(
            line("a\x1b]0;x\x07\r\nb\u{202e}c\u{9b}1m"),
            "a\\u{1b}]0;x\\u{7}\\u{d}\\u{a}b\\u{202e}c\\u{9b}1m"
        );
        assert_eq!(lines("a\r\nb\tc\rd\x1b[2J"), "a\nb\tc\\u{d}d\\u{1b}[2J");
    }

    #[test]
    fn json_means_the_same_and_is_not_obeyed() {
        let text = "a\u{9b}31m\u{202e}b\u{e0001}\n\u{1b}é";
        let value = serde_json::Value::from(text).to_string();
        let printed = json(&value);
        assert!(!printed.contains(is_hidden), "{printed}");
        assert_eq!(serde_json::from_str::<String>(&printed).unwrap(), text);
    }

    #[test]
    fn what_people_write_stays_as_it_is() {
        for text in ["Grüße, 日本語", "👩\u{200d}🚀", "نمی\u{200c}خواهم"] {
            assert_eq!(line(text), text);
        }
    }
}
