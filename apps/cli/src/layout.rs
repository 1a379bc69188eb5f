//! Text laid out for a terminal of 80 columns.

/// The width that every terminal has, in columns.
pub(crate) const WIDTH: usize = 80;

/// Breaks text into lines of at most `width` columns, between words; a longer word gets a line of its own. Line ends in
/// the text stay.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        let mut used = 0;
        for word in paragraph.split_whitespace() {
            let length = word.chars().count();
            if used > 0 && used + 1 + length > width {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
            used += length;
        }
        lines.push(line);
    }
    lines
}

/// Labels on the left, texts on the right.
#[derive(Debug)]
pub(crate) struct Table {
    indent: usize,
    label: usize,
    text: String,
}

impl Table {
    /// Rows that begin `indent` columns from the left, with labels `label` columns wide (their gap included).
    pub fn new(indent: usize, label: usize) -> Self {
        Table { indent, label, text: String::new() }
    }

    /// Adds a row, unless there is nothing to say.
    pub fn row(&mut self, label: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        let (indent, width) = (self.indent, self.label);
        let lines = wrap(text, WIDTH.saturating_sub(indent + width));
        for (index, line) in lines.iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            let row = format!("{:indent$}{label:width$}{line}", "");
            self.text.push_str(row.trim_end());
            self.text.push('\n');
        }
    }

    /// Adds a row for each text, the label at the first.
    pub fn rows<S: AsRef<str>>(&mut self, label: &str, texts: impl IntoIterator<Item = S>) {
        for (index, text) in texts.into_iter().enumerate() {
            self.row(if index == 0 { label } else { "" }, text.as_ref());
        }
    }

    /// The rows, each with its line end.
    pub fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_long_words_stay_whole() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a abcdefghij b", 5), ["a", "abcdefghij", "b"]);
        assert_eq!(wrap("one\ntwo", 80), ["one", "two"]);
        assert_eq!(wrap("", 80), Vec::<String>::new());
    }

    #[test]
    fn a_row_without_text_is_left_out() {
        let mut table = Table::new(2, 6);
        table.row("key", "a b");
        table.row("none", "");
        table.rows("names", ["x", "y"]);
        assert_eq!(table.finish(), "  key   a b\n  names x\n        y\n");
    }
}
