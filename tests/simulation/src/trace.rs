//! What happened, for people.

use std::fmt::Display;
use std::time::Duration;

/// Lines with their time; nothing is kept unless somebody wants to read it.
#[derive(Debug, Default)]
pub struct Trace {
    wanted: bool,
    lines: Vec<String>,
}

impl Trace {
    /// Keeps lines if `wanted`.
    pub fn new(wanted: bool) -> Self {
        Trace { wanted, lines: Vec::new() }
    }

    /// Adds a line; `what` is called only if it is read.
    pub fn line<T: Display>(&mut self, now: Duration, who: &str, what: impl FnOnce() -> T) {
        if self.wanted {
            self.lines.push(format!("{:>12.3}  {who:<7} {}", now.as_secs_f64(), what()));
        }
    }

    /// All lines.
    pub fn into_lines(self) -> Vec<String> {
        self.lines
    }
}

/// The first line of a SIP message, and its CSeq.
pub fn headline(bytes: &[u8]) -> String {
    if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
        return if bytes.len() == 2 { "CRLF".into() } else { "CRLFCRLF".into() };
    }
    let text = String::from_utf8_lossy(bytes);
    let value = |name: &str| {
        let mut lines = text.lines().take_while(|line| !line.is_empty());
        lines.find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
    };
    let first = text.lines().next().unwrap_or_default();
    let body = text.split("\r\n\r\n").nth(1).filter(|body| !body.is_empty() && body.len() < 20);
    let body = body.map(|body| format!(" {body:?}")).unwrap_or_default();
    let expires = value("Expires:");
    let expires = if expires.is_empty() { expires } else { format!(", expires {expires}") };
    format!("{first} [{}{expires}]{body}", value("CSeq:"))
}
