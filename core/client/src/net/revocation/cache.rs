//! Lists that were fetched and proved something, by issuer and place, in memory and in a folder.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aldis_trust::Crl;
use sha2::{Digest, Sha256};

use super::fetch::{FetchError, parse};
use super::folder::Folder;
use crate::net::clock::mono_now;

/// Most lists held in memory.
const MAX_LISTS: usize = 32;
/// Most bytes of lists held in memory.
const MAX_BYTES: usize = 32 << 20;
/// How long a place that failed is left alone where the list is not demanded: each reconnection would wait for it.
const FAILURE_COUNTS_FOR: Duration = Duration::from_secs(60);
/// Most failures that are remembered.
const MAX_FAILURES: usize = 64;

/// What a list is looked up by: a digest of its issuer's certificate and its URL.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key([u8; 32]);

impl Key {
    pub fn new(issuer: &[u8], url: &str) -> Self {
        Key(Sha256::new().chain_update(Sha256::digest(issuer)).chain_update(url.as_bytes()).finalize().into())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Debug, Default)]
pub(super) struct Cache {
    memory: Mutex<Memory>,
    folder: Option<Arc<Folder>>,
}

#[derive(Debug, Default)]
struct Memory {
    lists: BTreeMap<Key, Held>,
    failures: BTreeMap<Key, (Duration, FetchError)>,
    /// Counts uses, to know the one that was used longest ago.
    uses: u64,
}

#[derive(Debug)]
struct Held {
    list: Arc<Crl>,
    used: u64,
}

impl Cache {
    pub fn in_folder(folder: PathBuf) -> Self {
        Cache { memory: Mutex::default(), folder: Some(Arc::new(Folder::new(folder))) }
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        // A panic while the lock was held leaves maps that are whole.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The list kept under that key, be it in force or not: one that has ended can still prove a revocation.
    pub async fn get(&self, key: Key) -> Option<Arc<Crl>> {
        {
            let mut memory = self.lock();
            memory.uses += 1;
            let uses = memory.uses;
            if let Some(held) = memory.lists.get_mut(&key) {
                held.used = uses;
                return Some(held.list.clone());
            }
        }
        let folder = self.folder.clone()?;
        let read = tokio::task::spawn_blocking(move || {
            let bytes = folder.read(&key)?;
            let list = parse(&bytes);
            if list.is_err() {
                // Corrupt, of no use to anybody.
                folder.forget(&key);
            }
            list.ok()
        });
        let list = Arc::new(read.await.ok()??);
        self.lock().put(key, list.clone());
        Some(list)
    }

    /// Keeps a list that proved something.
    pub async fn put(&self, key: Key, list: Arc<Crl>) {
        {
            let mut memory = self.lock();
            memory.failures.remove(&key);
            memory.put(key, list.clone());
        }
        let Some(folder) = self.folder.clone() else { return };
        let written = tokio::task::spawn_blocking(move || folder.write(&key, list.der()));
        if let Ok(Err(error)) = written.await {
            tracing::warn!(%error, "a revocation list cannot be kept in the cache folder");
        }
    }

    /// Drops a list that proved nothing although it is in force: it is not its issuer's.
    pub async fn forget(&self, key: Key) {
        self.lock().lists.remove(&key);
        if let Some(folder) = self.folder.clone() {
            // Only a runtime that is shutting down does not run it.
            let _ = tokio::task::spawn_blocking(move || folder.forget(&key)).await;
        }
    }

    pub fn failed(&self, key: Key, error: FetchError) {
        let mut memory = self.lock();
        let now = mono_now();
        memory.failures.retain(|_, (at, _)| now.saturating_sub(*at) < FAILURE_COUNTS_FOR);
        if memory.failures.len() < MAX_FAILURES {
            memory.failures.insert(key, (now, error));
        }
    }

    /// Why the place failed a moment ago, if it did.
    pub fn recent_failure(&self, key: Key) -> Option<FetchError> {
        let memory = self.lock();
        let (at, error) = memory.failures.get(&key)?;
        (mono_now().saturating_sub(*at) < FAILURE_COUNTS_FOR).then(|| error.clone())
    }
}

impl Memory {
    fn put(&mut self, key: Key, list: Arc<Crl>) {
        self.uses += 1;
        let used = self.uses;
        self.lists.insert(key, Held { list, used });
        let too_much = |lists: &BTreeMap<Key, Held>| {
            lists.len() > MAX_LISTS
                || lists.values().map(|held| held.list.der().len()).sum::<usize>() > MAX_BYTES
        };
        while self.lists.len() > 1 && too_much(&self.lists) {
            let oldest = self.lists.iter().min_by_key(|(_, held)| held.used).map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                self.lists.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aldis_pki::{Ca, RevocationList};

    const NOW: i64 = 1_800_000_000;

    fn list() -> Arc<Crl> {
        let ca = Ca::new("Root", NOW).unwrap();
        let der = RevocationList::new(NOW, NOW + 60).signed_by(&ca).unwrap();
        Arc::new(Crl::from_der(&der).unwrap())
    }

    #[tokio::test]
    async fn a_list_is_found_by_its_issuer_and_place() {
        let cache = Cache::default();
        let key = Key::new(b"issuer", "http://a/");
        assert!(cache.get(key).await.is_none());
        cache.put(key, list()).await;
        assert!(cache.get(key).await.is_some());
        assert!(cache.get(Key::new(b"issuer", "http://b/")).await.is_none());
        assert!(cache.get(Key::new(b"other", "http://a/")).await.is_none());
        cache.forget(key).await;
        assert!(cache.get(key).await.is_none());
    }

    #[tokio::test]
    async fn memory_is_limited_and_what_is_used_stays() {
        let cache = Cache::default();
        let (list, first) = (list(), Key::new(b"issuer", "first"));
        cache.put(first, list.clone()).await;
        for number in 0..MAX_LISTS * 2 {
            cache.put(Key::new(b"issuer", &number.to_string()), list.clone()).await;
            assert!(cache.get(first).await.is_some());
        }
        assert_eq!(cache.lock().lists.len(), MAX_LISTS);
    }

    #[tokio::test]
    async fn a_corrupt_file_counts_for_nothing_and_goes() {
        let parent = tempfile::tempdir().unwrap();
        let key = Key::new(b"issuer", "http://a/");
        let file = parent.path().join(format!("{key}.crl"));
        for bytes in [&b""[..], b"no list", &list().der()[..50]] {
            std::fs::write(&file, bytes).unwrap();
            assert!(Cache::in_folder(parent.path().into()).get(key).await.is_none());
            assert!(!file.exists());
        }
        Cache::in_folder(parent.path().into()).put(key, list()).await;
        assert!(Cache::in_folder(parent.path().into()).get(key).await.is_some());
    }

    #[tokio::test]
    async fn a_failure_is_remembered_until_the_place_answers() {
        let cache = Cache::default();
        let key = Key::new(b"issuer", "http://a/");
        assert_eq!(cache.recent_failure(key), None);
        cache.failed(key, FetchError::TimedOut);
        assert_eq!(cache.recent_failure(key), Some(FetchError::TimedOut));
        cache.put(key, list()).await;
        assert_eq!(cache.recent_failure(key), None);
    }
}
