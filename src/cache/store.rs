//! Whole answers in memory, weighed by bytes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use moka::sync::Cache;

use super::CacheKey;
use crate::chat::text::redacted;

/// What an entry costs beside its bytes: key, counters, list nodes.
const OVERHEAD: usize = 256;

/// A whole answer in the client's dialect.
pub struct Entry {
    /// One body, or the frames of a stream, end marker included.
    pub frames: Vec<Bytes>,
    /// Who answered.
    pub served_by: Arc<str>,
    /// What was asked for and that one was not told.
    pub losses: Arc<[&'static str]>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        redacted(f, "Entry", self.frames.iter().map(Bytes::len).sum())
    }
}

impl Entry {
    fn weight(&self) -> u32 {
        let bytes: usize = self.frames.iter().map(|frame| frame.len() + size_of::<Bytes>()).sum();
        u32::try_from(bytes + OVERHEAD).unwrap_or(u32::MAX)
    }
}

/// The store.
#[derive(Clone)]
pub struct Store {
    entries: Cache<CacheKey, Arc<Entry>>,
}

impl Store {
    /// At most `memory` bytes, each entry for at most `ttl`.
    pub fn new(memory: u64, ttl: Duration) -> Self {
        let entries = Cache::builder()
            .max_capacity(memory)
            .weigher(|_, entry: &Arc<Entry>| entry.weight())
            .time_to_live(ttl)
            .build();
        Self { entries }
    }

    /// The answer, if it is there.
    pub fn get(&self, key: &CacheKey) -> Option<Arc<Entry>> {
        self.entries.get(key)
    }

    /// Keeps a whole answer.
    pub fn put(&self, key: CacheKey, entry: Entry) {
        self.entries.insert(key, Arc::new(entry));
    }

    /// Bytes in use, for the metrics.
    pub fn weight(&self) -> u64 {
        self.entries.weighted_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::key::Scope;
    use crate::chat::Json;
    use crate::policy::Class;

    fn key(n: usize) -> CacheKey {
        let scope = Scope { tenant: "a", class: Class(0), destination: "d", policy: "p", dialect: "x", named: "" };
        CacheKey::new(&scope, &Json::parse(n.to_string().as_bytes()).unwrap())
    }

    fn entry(bytes: usize) -> Entry {
        Entry { frames: vec![Bytes::from(vec![b'x'; bytes])], served_by: "d".into(), losses: Arc::default() }
    }

    #[test]
    fn stays_within_its_bytes() {
        let store = Store::new(100_000, Duration::from_secs(60));
        for n in 0..1_000 {
            store.put(key(n), entry(1_000));
        }
        store.entries.run_pending_tasks();
        assert!(store.weight() <= 100_000, "{}", store.weight());
        assert!(store.weight() >= 50_000, "{}", store.weight());
    }

    #[test]
    fn forgets_after_its_time() {
        let store = Store::new(100_000, Duration::from_millis(20));
        store.put(key(1), entry(10));
        assert!(store.get(&key(1)).is_some());
        std::thread::sleep(Duration::from_millis(40));
        assert!(store.get(&key(1)).is_none());
    }
}
