//! Where 3xx responses lead (RFC 3261 §8.1.3.4). What they name is where to go, never whom to trust (GEN-18).

use crate::message::may_be_target;
use aldis_sip::{Message, Scheme, Uri};
use std::collections::VecDeque;

/// Most targets that one request is redirected to (GEN-18).
const MAX_REDIRECTS: usize = 5;

/// The targets of one request.
#[derive(Debug, Default)]
pub(crate) struct Redirects {
    /// Best first.
    targets: VecDeque<Uri<'static>>,
    /// Where it has been: no URI is tried twice.
    tried: Vec<Uri<'static>>,
    /// The latest target that it was sent to a second time.
    circle: Option<Box<Uri<'static>>>,
}

impl Redirects {
    /// Takes the Contacts of a 3xx, those with the highest q first.
    pub fn take(&mut self, response: &Message) {
        let mut found: Vec<(u16, Uri<'static>)> = Vec::new();
        for contact in response.contacts().flatten() {
            let Some(address) = contact.address() else { continue };
            let q = address.params.value("q").as_deref().and_then(thousandths).unwrap_or(1000);
            let at = found.partition_point(|(other, _)| *other >= q);
            if at < MAX_REDIRECTS {
                found.insert(at, (q, address.uri.clone().into_owned()));
                found.truncate(MAX_REDIRECTS);
            }
        }
        self.targets.extend(found.into_iter().map(|(_, uri)| uri));
    }

    /// The request has gone to `place`, whoever sent it there: an earlier one may have been redirected to it.
    pub fn came_to(&mut self, place: &Uri<'static>) {
        if !self.tried.iter().any(|tried| tried.equivalent(place)) {
            self.tried.push(place.clone());
        }
    }

    /// The next target, if there is one; `first` is where the request went before any redirect.
    pub fn next(&mut self, first: &Uri<'static>) -> Option<Uri<'static>> {
        self.came_to(first);
        while let Some(next) = self.targets.pop_front() {
            // What was asked to go over TLS all the way does not go another way.
            let downgrade = first.scheme() == Scheme::Sips && next.scheme() != Scheme::Sips;
            let tried = self.tried.iter().any(|tried| tried.equivalent(&next));
            let many = self.tried.len() > MAX_REDIRECTS;
            if tried || many {
                self.circle = Some(Box::new(next));
                continue;
            }
            if downgrade || !may_be_target(&next) {
                continue;
            }
            self.tried.push(next.clone());
            return Some(next);
        }
        None
    }

    /// The target that it was sent to a second time, or once too often.
    pub fn circle(&self) -> Option<&Uri<'static>> {
        self.circle.as_deref()
    }
}

/// A q value in thousandths (RFC 3261 §25.1); what is none, or over 1, has no say.
fn thousandths(q: &str) -> Option<u16> {
    let (whole, fraction) = q.split_once('.').unwrap_or((q, ""));
    if !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let whole: u16 = match whole {
        "" if !fraction.is_empty() => 0,
        "0" => 0,
        "1" => 1000,
        _ => return None,
    };
    // More digits than three do not count.
    let digits = fraction.bytes().map(|digit| u16::from(digit.wrapping_sub(b'0')));
    let sum = digits.zip([100, 10, 1]).fold(whole, |sum, (digit, unit)| sum + digit * unit);
    (sum <= 1000).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_values_are_read_in_thousandths() {
        let values = [
            ("0", 0),
            ("1", 1000),
            ("1.000", 1000),
            ("0.5", 500),
            (".25", 250),
            ("0.037", 37),
            ("0.0379", 37),
            ("0.", 0),
        ];
        for (text, value) in values {
            assert_eq!(thousandths(text), Some(value), "{text}");
        }
        for text in ["", ".", "1.001", "2", "-0.1", "0.x", "0,5", "00", "nan", "1e-1", "0.5.5"] {
            assert_eq!(thousandths(text), None, "{text}");
        }
    }
}
