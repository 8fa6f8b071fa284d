//! Answers that clients may continue, with the conversations before them: in memory, for their tenant, for a while.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use moka::sync::Cache;

use crate::chat::text::redacted;

/// What an entry costs beside its bytes: key, counters, list nodes.
const OVERHEAD: usize = 256;

/// A conversation up to, and with, an answer.
#[derive(Clone)]
pub struct Kept {
    /// What was said, turn by turn: items of the dialect, as JSON with commas between. Later conversations share those of
    /// earlier ones.
    pub turns: Vec<Bytes>,
    /// The answer as its client got it.
    pub answer: Bytes,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        redacted(f, "Kept", self.turns.iter().map(Bytes::len).sum())
    }
}

impl Kept {
    /// Shared turns count wherever they are: never less is in memory than this says.
    fn weight(&self) -> u32 {
        let turns: usize = self.turns.iter().map(|turn| turn.len() + size_of::<Bytes>()).sum();
        u32::try_from(turns + self.answer.len() + OVERHEAD).unwrap_or(u32::MAX)
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    tenant: Arc<str>,
    id: String,
}

/// The store.
#[derive(Clone)]
pub struct Responses {
    entries: Cache<Key, Arc<Kept>>,
}

impl Responses {
    /// At most `memory` bytes, each entry for at most `ttl`.
    pub fn new(memory: u64, ttl: Duration) -> Self {
        let weigher = |_: &Key, kept: &Arc<Kept>| kept.weight();
        Self { entries: Cache::builder().max_capacity(memory).weigher(weigher).time_to_live(ttl).build() }
    }

    /// What is kept for `tenant` under an answer's id.
    pub fn get(&self, tenant: &Arc<str>, id: &str) -> Option<Arc<Kept>> {
        self.entries.get(&Key { tenant: tenant.clone(), id: id.to_owned() })
    }

    /// Keeps an answer and what it answered.
    pub fn put(&self, tenant: &Arc<str>, id: String, kept: Kept) {
        self.entries.insert(Key { tenant: tenant.clone(), id }, Arc::new(kept));
    }

    /// Forgets an answer; whether there was one.
    pub fn remove(&self, tenant: &Arc<str>, id: &str) -> bool {
        self.entries.remove(&Key { tenant: tenant.clone(), id: id.to_owned() }).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(bytes: usize) -> Kept {
        Kept { turns: vec![Bytes::from(vec![b'x'; bytes])], answer: Bytes::new() }
    }

    #[test]
    fn tenants_have_their_own_answers_and_what_is_removed_is_gone() {
        let (store, a, b) = (Responses::new(1 << 20, Duration::from_secs(60)), Arc::from("a"), Arc::from("b"));
        store.put(&a, "resp_1".to_owned(), kept(1));
        assert!(store.get(&a, "resp_1").is_some() && store.get(&b, "resp_1").is_none());
        assert!(!store.remove(&b, "resp_1") && store.remove(&a, "resp_1"));
        assert!(store.get(&a, "resp_1").is_none());
    }

    #[test]
    fn stays_within_its_bytes_and_forgets_after_its_time() {
        let (store, tenant) = (Responses::new(100_000, Duration::from_millis(50)), Arc::from("a"));
        for n in 0..1_000 {
            store.put(&tenant, n.to_string(), kept(1_000));
        }
        store.entries.run_pending_tasks();
        assert!((50_000..=100_000).contains(&store.entries.weighted_size()), "{}", store.entries.weighted_size());
        store.put(&tenant, "last".to_owned(), kept(1));
        std::thread::sleep(Duration::from_millis(80));
        assert!(store.get(&tenant, "last").is_none());
    }
}
