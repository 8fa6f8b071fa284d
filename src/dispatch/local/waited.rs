//! How long a job waited in the queue, for whoever records it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Not known: it still waits, or never did.
const UNKNOWN: u64 = u64::MAX;

/// How long a job waited until a sequence began it; its copies know the same.
#[derive(Clone, Debug)]
pub struct Waited(Arc<AtomicU64>);

impl Default for Waited {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(UNKNOWN)))
    }
}

impl Waited {
    /// It has begun.
    #[cfg(any(feature = "llama", test))]
    pub(super) fn note(&self, waited: Duration) {
        self.0.store(u64::try_from(waited.as_micros()).unwrap_or(UNKNOWN - 1), Relaxed);
    }

    /// How long it waited, once it has begun.
    pub fn get(&self) -> Option<Duration> {
        Some(self.0.load(Relaxed)).filter(|micros| *micros != UNKNOWN).map(Duration::from_micros)
    }
}
