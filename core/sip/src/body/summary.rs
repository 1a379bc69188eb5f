//! application/simple-message-summary (RFC 3842): how many messages wait in a mailbox.
//!
//! ```
//! use aldis_sip::body::summary::{Count, MessageSummary};
//!
//! let body = b"Messages-Waiting: yes\r\nMessage-Account: sip:alice@vmail.example.com\r\nVoice-Message: 2/8 (0/2)\r\n";
//! let summary = MessageSummary::parse(body)?;
//! assert!(summary.waiting);
//! let voice = Count { new: 2, old: 8, new_urgent: 0, old_urgent: 2 };
//! assert_eq!(summary.count("voice-message"), Some(voice));
//! # Ok::<(), aldis_sip::body::summary::SummaryError>(())
//! ```

use thiserror::Error;

/// Bytes of a summary; real ones have some hundred.
pub const MAX_SUMMARY: usize = 16 << 10;
/// Lines of a summary, those of single messages counted in.
pub const MAX_SUMMARY_LINES: usize = 256;

/// Why a summary cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SummaryError {
    /// More than [`MAX_SUMMARY`] bytes or [`MAX_SUMMARY_LINES`] lines.
    #[error("the message summary is larger than anybody needs")]
    TooLarge,
    /// Not UTF-8.
    #[error("the message summary is not UTF-8")]
    NotUtf8,
    /// The first line is not `Messages-Waiting: yes` or `no` (RFC 3842 §5.2).
    #[error("the message summary does not say whether messages are waiting")]
    NoStatus,
    /// A line of counts is none.
    #[error("line {line} of the message summary cannot be read")]
    Malformed {
        /// Which line, from 1.
        line: usize,
    },
}

/// How many messages of a kind there are. Numbers above 2^32-1 count as that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Not read yet.
    pub new: u32,
    /// Read, and kept.
    pub old: u32,
    /// Urgent ones among the new.
    pub new_urgent: u32,
    /// Urgent ones among the old.
    pub old_urgent: u32,
}

/// The state of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageSummary {
    /// Whether messages are waiting.
    pub waiting: bool,
    /// Whose mailbox it is, if the server says: a URI as it stands there.
    pub account: Option<String>,
    /// The counts by kind (`Voice-Message`, `Text-Message`, …), in their order, names as they stand there.
    pub counts: Vec<(String, Count)>,
}

impl MessageSummary {
    /// Reads a summary; what it says of single messages behind an empty line is not looked at.
    ///
    /// # Errors
    /// See [`SummaryError`].
    pub fn parse(body: &[u8]) -> Result<Self, SummaryError> {
        if body.len() > MAX_SUMMARY {
            return Err(SummaryError::TooLarge);
        }
        let text = std::str::from_utf8(body).map_err(|_| SummaryError::NotUtf8)?;
        if text.lines().nth(MAX_SUMMARY_LINES).is_some() {
            return Err(SummaryError::TooLarge);
        }
        let mut lines = text.lines().map(field).enumerate();
        let waiting = match lines.next() {
            Some((_, Some((name, value)))) if name.eq_ignore_ascii_case("Messages-Waiting") => {
                match value.to_ascii_lowercase().as_str() {
                    "yes" => true,
                    "no" => false,
                    _ => return Err(SummaryError::NoStatus),
                }
            }
            _ => return Err(SummaryError::NoStatus),
        };
        let mut summary = MessageSummary { waiting, account: None, counts: Vec::new() };
        for (at, line) in lines {
            let malformed = SummaryError::Malformed { line: at + 1 };
            match line {
                None => break,
                Some(("", "")) => break,
                Some((name, value)) if name.eq_ignore_ascii_case("Message-Account") => {
                    summary.account = Some(value.to_owned());
                }
                Some((name, value)) => {
                    summary.counts.push((name.to_owned(), count(value).ok_or(malformed)?));
                }
            }
        }
        Ok(summary)
    }

    /// The counts of a kind, whatever the case of its name.
    pub fn count(&self, kind: &str) -> Option<Count> {
        self.counts.iter().find(|(name, _)| name.eq_ignore_ascii_case(kind)).map(|(_, count)| *count)
    }
}

/// `name HCOLON value`; `None` for an empty line.
fn field(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    Some((name.trim(), value.trim()))
}

/// `new/old`, with `(new/old)` of the urgent ones.
fn count(text: &str) -> Option<Count> {
    let (all, urgent) = match text.split_once('(') {
        Some((all, urgent)) => (all, Some(urgent.trim_end().strip_suffix(')')?)),
        None => (text, None),
    };
    let pair = |text: &str| -> Option<(u32, u32)> {
        let (new, old) = text.split_once('/')?;
        Some((number(new)?, number(old)?))
    };
    let (new, old) = pair(all)?;
    let (new_urgent, old_urgent) = urgent.map_or(Some((0, 0)), pair)?;
    Some(Count { new, old, new_urgent, old_urgent })
}

fn number(text: &str) -> Option<u32> {
    let digits = text.trim();
    let whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    whole.then(|| digits.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_as_servers_write_them() {
        let body = "messages-waiting : YES\nMessage-Account: sip:alice@vmail.example.com\nVoice-Message: 4/8\r\n\
                    Fax-Message : 0 / 99999999999 ( 1 / 2 )\n\nTo: <alice@atlanta.example.com>\nnot a line";
        let summary = MessageSummary::parse(body.as_bytes()).unwrap();
        assert!(summary.waiting);
        assert_eq!(summary.account.as_deref(), Some("sip:alice@vmail.example.com"));
        assert_eq!(summary.count("voice-message"), Some(Count { new: 4, old: 8, ..Count::default() }));
        let fax = Count { new: 0, old: u32::MAX, new_urgent: 1, old_urgent: 2 };
        assert_eq!(summary.count("Fax-Message"), Some(fax));
        assert_eq!(summary.count("Text-Message"), None);
        assert!(!MessageSummary::parse(b"Messages-Waiting: no").unwrap().waiting);
    }

    #[test]
    fn what_is_no_summary_is_refused() {
        for body in ["", "\r\n", "Messages-Waiting: maybe\r\n", "Voice-Message: 1/2\r\n", "Messages-Waiting"]
        {
            assert_eq!(MessageSummary::parse(body.as_bytes()), Err(SummaryError::NoStatus), "{body:?}");
        }
        for counts in ["1", "1/", "/1", "-1/2", "1/2 (3", "1/2 (3)", "a/b", "1/2/3"] {
            let body = format!("Messages-Waiting: yes\r\nVoice-Message: {counts}\r\n");
            let found = MessageSummary::parse(body.as_bytes());
            assert_eq!(found, Err(SummaryError::Malformed { line: 2 }), "{counts:?}");
        }
        assert_eq!(MessageSummary::parse(b"Messages-Waiting: \xff"), Err(SummaryError::NotUtf8));
        let long = format!("Messages-Waiting: yes\r\n{}", "a: 1/1\r\n".repeat(MAX_SUMMARY_LINES));
        assert_eq!(MessageSummary::parse(long.as_bytes()), Err(SummaryError::TooLarge));
        assert_eq!(MessageSummary::parse(&[b' '; MAX_SUMMARY + 1]), Err(SummaryError::TooLarge));
    }
}
