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
        let mut found: Vec<(f32, Uri<'static>)> = response
            .contacts()
            .flatten()
            .filter_map(|contact| {
                let address = contact.address()?;
                let q = address.params.value("q").and_then(|q| q.parse::<f32>().ok());
                let q = q.filter(|q| (0.0..=1.0).contains(q)).unwrap_or(1.0);
                Some((q, address.uri.clone().into_owned()))
            })
            .collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        self.targets.extend(found.into_iter().map(|(_, uri)| uri).take(MAX_REDIRECTS));
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
