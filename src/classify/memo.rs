//! What was found in texts seen before, so that a conversation costs its new message only.
//!
//! Entries are found by a keyed hash of the text; the key is random and lives as long as the memo. They hold names and
//! places, never text.

use std::fmt;
use std::sync::Arc;

use moka::sync::Cache;

use super::read::{Reading, Seen};

/// Most memory of all entries; bytes.
const MAX_BYTES: u64 = 16 << 20;

/// What an entry takes beside its findings; bytes.
const ENTRY_BYTES: usize = 256;

/// Shortest text that is looked up: a shorter one is read as fast.
const SHORTEST: usize = 96;

/// Remembers readings.
pub struct Memo {
    key: [u8; 32],
    readings: Cache<[u8; 32], Arc<Reading>>,
}

impl Memo {
    /// An empty memo; `None` where the system has no randomness to give.
    pub fn new() -> Option<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).ok()?;
        let weigh = |_: &[u8; 32], reading: &Arc<Reading>| {
            let findings = reading.seen.len() + reading.in_context.len() + reading.foreign.len();
            u32::try_from(ENTRY_BYTES + findings * size_of::<Seen>()).unwrap_or(u32::MAX)
        };
        Some(Self { key, readings: Cache::builder().max_capacity(MAX_BYTES).weigher(weigh).build() })
    }

    /// The reading of `text` for `scope`, made by `read` if it is new. Scopes share nothing: how long an answer takes
    /// must not tell one what another sent.
    pub fn reading(&self, scope: &str, text: &str, read: impl FnOnce() -> Reading) -> Arc<Reading> {
        if text.len() < SHORTEST {
            return Arc::new(read());
        }
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&(scope.len() as u64).to_le_bytes()).update(scope.as_bytes()).update(text.as_bytes());
        let digest = *hasher.finalize().as_bytes();
        if let Some(known) = self.readings.get(&digest) {
            return known;
        }
        let reading = Arc::new(read());
        if !reading.stopped {
            self.readings.insert(digest, Arc::clone(&reading));
        }
        reading
    }
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memo").field("readings", &self.readings.entry_count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_once_a_scope() {
        let memo = Memo::new().unwrap();
        let text = "long enough to be remembered ".repeat(8);
        let mut reads = 0;
        for (scope, expected) in [("a", 1), ("a", 1), ("b", 2), ("b", 2)] {
            memo.reading(scope, &text, || {
                reads += 1;
                Reading::default()
            });
            assert_eq!(reads, expected);
        }
        assert!(!format!("{memo:?}").contains("key"));
    }
}
