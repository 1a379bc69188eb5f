//! Roots and lists that were read before: in a batch the same ones come again and again.

use crate::trust::files;
use aldis_trust::{Anchors, Crl, CrlError};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Most bytes of text that are kept of each kind; beyond it everything is forgotten and read anew.
const MAX_BYTES: usize = 16 << 20;

/// What was read, by its text.
#[derive(Default)]
pub(super) struct Cache {
    roots: Mutex<Kept<Vec<String>, Arc<Anchors>>>,
    lists: Mutex<Kept<String, Vec<Arc<Crl>>>>,
}

struct Kept<K, V> {
    by_text: BTreeMap<K, V>,
    bytes: usize,
}

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Kept { by_text: BTreeMap::new(), bytes: 0 }
    }
}

impl<K: Ord, V> Kept<K, V> {
    fn keep(&mut self, key: K, value: V, bytes: usize) {
        if bytes > MAX_BYTES {
            return;
        }
        if self.bytes.saturating_add(bytes) > MAX_BYTES {
            *self = Self::default();
        }
        if self.by_text.insert(key, value).is_none() {
            self.bytes += bytes;
        }
    }
}

impl Cache {
    /// The roots in these texts, as one set.
    pub fn roots(&self, texts: Vec<String>) -> Arc<Anchors> {
        if let Some(known) = lock(&self.roots).by_text.get(&texts) {
            return known.clone();
        }
        // Not under the lock: two threads may read the same once each.
        let anchors = Arc::new(files::anchors(texts.iter().map(String::as_bytes)));
        let bytes = texts.iter().map(String::len).sum();
        lock(&self.roots).keep(texts, anchors.clone(), bytes);
        anchors
    }

    /// The lists in a text.
    ///
    /// # Errors
    /// [`CrlError`] if it holds none, or one that cannot be read.
    pub fn lists(&self, text: String) -> Result<Vec<Arc<Crl>>, CrlError> {
        if let Some(known) = lock(&self.lists).by_text.get(&text) {
            return Ok(known.clone());
        }
        let lists: Vec<Arc<Crl>> = files::lists(text.as_bytes())?.into_iter().map(Arc::new).collect();
        let bytes = text.len();
        lock(&self.lists).keep(text, lists.clone(), bytes);
        Ok(lists)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Maps are whole at every moment at which a thread could have ended.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_stays_within_its_limit() {
        let mut kept = Kept::default();
        kept.keep(1, (), MAX_BYTES - 1);
        kept.keep(2, (), 1);
        assert_eq!((kept.by_text.len(), kept.bytes), (2, MAX_BYTES));
        kept.keep(3, (), 1);
        assert_eq!((kept.by_text.len(), kept.bytes), (1, 1));
        kept.keep(4, (), MAX_BYTES + 1);
        assert!(!kept.by_text.contains_key(&4));
    }
}
