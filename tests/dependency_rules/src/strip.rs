//! Rust source without what does not ship.

use std::ops::Range;

/// Blanks comments, string and character literals and `#[cfg(test)]` items: what stays keeps its line and column.
#[must_use]
pub fn shipped_code(source: &str) -> String {
    let mut bytes = blank_literals(source).into_bytes();
    for range in test_items(&bytes) {
        blank(&mut bytes, range);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Overwrites with spaces; line ends stay, so that lines keep their numbers.
fn blank(bytes: &mut [u8], range: Range<usize>) {
    for byte in bytes.iter_mut().take(range.end).skip(range.start) {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

fn blank_literals(source: &str) -> String {
    let mut bytes = source.as_bytes().to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(&bytes, at);
        if end > at {
            blank(&mut bytes, at..end);
            at = end;
        } else {
            at += 1;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Where the comment or literal that begins at `at` ends; `at` itself if none begins there.
fn literal_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    if rest.starts_with(b"//") {
        return at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    }
    if rest.starts_with(b"/*") {
        return at + block_comment(rest);
    }
    let before = at.checked_sub(1).map(|index| bytes[index]);
    let in_word = before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !in_word && (rest[0] == b'r' || rest.starts_with(b"br")) {
        let prefix = if rest[0] == b'b' { 2 } else { 1 };
        let hashes = rest[prefix..].iter().take_while(|byte| **byte == b'#').count();
        if rest.get(prefix + hashes) == Some(&b'"') {
            let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
            let body = prefix + hashes + 1;
            let length = rest[body..].windows(close.len()).position(|window| window == close);
            return at + length.map_or(rest.len(), |length| body + length + close.len());
        }
    }
    if rest[0] == b'"' {
        return at + quoted(rest, b'"');
    }
    // A character, not a lifetime: it closes after one (perhaps escaped) character.
    if rest[0] == b'\'' && (rest.get(1) == Some(&b'\\') || closes_as_character(rest)) {
        return at + quoted(rest, b'\'');
    }
    at
}

fn closes_as_character(rest: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&rest[1..rest.len().min(6)]).into_owned();
    text.chars().nth(1) == Some('\'')
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// The `#[cfg(test)]` attributes with the items that they stand before, in code without literals.
fn test_items(code: &[u8]) -> Vec<Range<usize>> {
    const ATTRIBUTE: &[u8] = b"#[cfg(test)]";
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(offset) = code[at..].windows(ATTRIBUTE.len()).position(|window| window == ATTRIBUTE) {
        let start = at + offset;
        let mut end = start + ATTRIBUTE.len();
        let mut depth = 0_usize;
        while end < code.len() {
            match code[end] {
                b'{' | b'(' | b'[' => depth += 1,
                b'}' | b')' | b']' => {
                    depth = depth.saturating_sub(1);
                    // An item ends with the brace that closes its body.
                    if depth == 0 && code[end] == b'}' {
                        break;
                    }
                }
                b';' if depth == 0 => break,
                _ => {}
            }
            end += 1;
        }
        at = (end + 1).min(code.len());
        found.push(start..at);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::shipped_code;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_stay() {
        let code = shipped_code(
            "a // tokio\n/* x /* y */ z */b\n\"tok\\\"io\" c r#\"to\"kio\"# d '\"' e 'a' 'b: f\n",
        );
        assert_eq!(code.lines().count(), 3);
        let words: Vec<&str> = code.split_whitespace().collect();
        assert_eq!(words, ["a", "b", "c", "d", "e", "'b:", "f"], "{code:?}");
    }

    #[test]
    fn test_items_are_blanked_and_what_follows_stays() {
        let source = "keep1\n#[cfg(test)]\nmod tests { fn a() { gone } }\nkeep2\n#[cfg(test)] use gone::{a, b};\nkeep3";
        let code = shipped_code(source);
        // The semicolon behind a group stays: it names nothing.
        assert_eq!(code.split_whitespace().collect::<Vec<_>>(), ["keep1", "keep2", ";", "keep3"], "{code:?}");
    }

    #[test]
    fn an_unclosed_literal_ends_with_the_file() {
        for source in ["\"abc", "/* abc", "r#\"abc\"", "'\\"] {
            assert_eq!(shipped_code(source).trim(), "", "{source:?}");
        }
    }
}
