//! What a connection is doing: told by its requests, asked by its socket and by the accept loop.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The requests of one connection.
#[derive(Debug)]
pub struct Activity {
    connected: Instant,
    started: AtomicU64,
    running: AtomicUsize,
    began: Notify,
    http2: AtomicBool,
    unread: AtomicBool,
    answers: Mutex<Vec<Arc<Offer>>>,
}

/// When the client was last offered something of an answer that it has not taken yet: milliseconds since the
/// connection began, or [`TAKEN`].
#[derive(Debug)]
struct Offer(AtomicU64);

const TAKEN: u64 = u64::MAX;

impl Activity {
    /// A connection without requests so far.
    pub fn new() -> Self {
        Self {
            connected: Instant::now(),
            started: AtomicU64::new(0),
            running: AtomicUsize::new(0),
            began: Notify::new(),
            http2: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            answers: Mutex::new(Vec::new()),
        }
    }

    /// Counts a request until the guard is dropped with the end of its answer.
    pub fn enter(self: &Arc<Self>, http2: bool) -> InFlight {
        let offer = Arc::new(Offer(AtomicU64::new(TAKEN)));
        self.lock().push(offer.clone());
        self.http2.store(http2, Ordering::Relaxed);
        self.started.fetch_add(1, Ordering::Relaxed);
        self.running.fetch_add(1, Ordering::Relaxed);
        self.began.notify_one();
        InFlight { activity: self.clone(), offer }
    }

    /// How many requests have begun.
    pub fn started(&self) -> u64 {
        self.started.load(Ordering::Relaxed)
    }

    /// Whether a request is being read or answered.
    pub fn is_busy(&self) -> bool {
        self.running.load(Ordering::Relaxed) > 0
    }

    /// Resolves while, or as soon as, a request is being read or answered.
    pub async fn busy(&self) {
        while !self.is_busy() {
            self.began.notified().await;
        }
    }

    /// Whether the last request came over HTTP/2.
    pub fn is_http2(&self) -> bool {
        self.http2.load(Ordering::Relaxed)
    }

    /// Notes that a request was answered before its body had been read.
    pub fn left_body_unread(&self) {
        self.unread.store(true, Ordering::Relaxed);
    }

    /// Whether [`Self::left_body_unread`] was called.
    pub fn has_unread_body(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    /// Whether the client has left something of an answer untaken for as long as `patience`.
    pub fn is_stalled(&self, patience: Duration) -> bool {
        let Some(oldest) = self.now().checked_sub(patience.as_millis() as u64) else { return false };
        self.lock().iter().any(|offer| offer.0.load(Ordering::Relaxed) <= oldest)
    }

    fn now(&self) -> u64 {
        self.connected.elapsed().as_millis() as u64
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Offer>>> {
        // A list of pointers is whole after any panic.
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in flight.
#[derive(Debug)]
pub struct InFlight {
    activity: Arc<Activity>,
    offer: Arc<Offer>,
}

impl InFlight {
    /// Notes that the client is offered a piece of the answer.
    pub fn offered(&self) {
        self.offer.0.store(self.activity.now(), Ordering::Relaxed);
    }

    /// Notes that all that was offered has been taken.
    pub fn taken(&self) {
        self.offer.0.store(TAKEN, Ordering::Relaxed);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.activity.lock().retain(|offer| !Arc::ptr_eq(offer, &self.offer));
        self.activity.running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_offer_that_nobody_takes_is_a_stall() {
        let activity = Arc::new(Activity::new());
        let first = activity.enter(true);
        let second = activity.enter(true);
        assert!(activity.is_busy() && !activity.is_stalled(Duration::ZERO));
        second.offered();
        assert!(activity.is_stalled(Duration::ZERO) && !activity.is_stalled(Duration::from_secs(60)));
        second.taken();
        assert!(!activity.is_stalled(Duration::ZERO));
        first.offered();
        drop((first, second));
        assert!(!activity.is_busy() && !activity.is_stalled(Duration::ZERO));
        assert!(activity.lock().is_empty());
    }
}
