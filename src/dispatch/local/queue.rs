//! A bounded waiting line between async callers, who never block, and the engine's thread, which sleeps on it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
#[cfg(any(feature = "llama", test))]
use std::time::Duration;

#[cfg(any(feature = "llama", test))]
use super::line::Rank;
use super::line::{Full, Line, Turn};

/// A [`Line`] that threads share; whoever pushes says how many may wait.
pub(super) struct Queue<T> {
    inner: Mutex<Inner<T>>,
    changed: Condvar,
}

struct Inner<T> {
    waiting: Line<T>,
    /// Counts everything that may give the sleeper something to do, so that no wake-up falls between look and sleep.
    epoch: u64,
    closed: bool,
}

/// Why nothing more is taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// As many wait as may.
    Full,
    /// The queue was closed.
    Closed,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        let inner = Inner { waiting: Line::new(), epoch: 0, closed: false };
        Self { inner: Mutex::new(inner), changed: Condvar::new() }
    }

    /// Lets `item` wait, where at most `capacity` may, which is asked while nobody comes or is taken; whoever had to leave for it. Those that `is_gone` make room first.
    pub(super) fn push(
        &self,
        turn: Turn,
        item: T,
        capacity: impl FnOnce() -> usize,
        is_gone: impl Fn(&T) -> bool,
    ) -> Result<Option<T>, Refusal> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(Refusal::Closed);
        }
        let capacity = capacity();
        if inner.waiting.len() >= capacity {
            inner.waiting.take_if(is_gone);
        }
        let left = inner.waiting.push(turn, item, capacity).map_err(|Full| Refusal::Full)?;
        self.notify(inner);
        Ok(left)
    }

    /// Takes whoever is next (see [`Line::pop`]), and calls `note` before somebody else looks how many wait.
    #[cfg(any(feature = "llama", test))]
    pub(super) fn pop(&self, held: impl Fn(&str) -> usize, begun: Option<Rank>, note: impl FnOnce()) -> Option<T> {
        let mut inner = self.lock();
        let taken = inner.waiting.pop(held, begun);
        if taken.is_some() {
            note();
        }
        taken
    }

    /// Removes and returns all for which `leaves` holds.
    #[cfg(any(feature = "llama", test))]
    pub(super) fn take_if(&self, leaves: impl FnMut(&T) -> bool) -> Vec<T> {
        self.lock().waiting.take_if(leaves)
    }

    /// Takes all.
    pub(super) fn take(&self) -> Vec<T> {
        self.lock().waiting.take_if(|_| true)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Takes nothing in from now on, and returns those that waited.
    pub(super) fn close(&self) -> Vec<T> {
        let mut inner = self.lock();
        inner.closed = true;
        let waiting = inner.waiting.take_if(|_| true);
        self.notify(inner);
        waiting
    }

    /// Whether [`Queue::close`] was called.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Ends the sleep of whoever is in [`Queue::wait`].
    pub(super) fn wake(&self) {
        self.notify(self.lock());
    }

    /// To be read before looking for work, and handed to [`Queue::wait`] when there was none.
    #[cfg(any(feature = "llama", test))]
    pub(super) fn epoch(&self) -> u64 {
        self.lock().epoch
    }

    /// Sleeps until something has changed since `epoch`, or for `patience`.
    #[cfg(any(feature = "llama", test))]
    pub(super) fn wait(&self, epoch: u64, patience: Option<Duration>) {
        let inner = self.lock();
        let unchanged = |inner: &mut Inner<T>| inner.epoch == epoch;
        match patience {
            Some(patience) => drop(self.changed.wait_timeout_while(inner, patience, unchanged)),
            None => drop(self.changed.wait_while(inner, unchanged)),
        }
    }

    fn notify(&self, mut inner: MutexGuard<'_, Inner<T>>) {
        inner.epoch += 1;
        drop(inner);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Queue, Refusal, Turn};
    use crate::chat::Priority;

    const CAPACITY: usize = 4;

    fn push(queue: &Queue<u8>, item: u8, capacity: usize) -> Result<Option<u8>, Refusal> {
        let turn = Turn { tenant: "a".into(), priority: Priority::Normal };
        queue.push(turn, item, || capacity, |&waiting| waiting == 9)
    }

    #[test]
    fn a_full_queue_refuses_until_someone_leaves() {
        let queue = Queue::new();
        assert_eq!((push(&queue, 1, 2), push(&queue, 2, 2)), (Ok(None), Ok(None)));
        assert_eq!(push(&queue, 3, 2), Err(Refusal::Full));
        assert_eq!(queue.take_if(|&n| n == 1), [1]);
        assert_eq!(push(&queue, 9, 2), Ok(None));
        // Who is gone makes room.
        assert_eq!(push(&queue, 3, 2), Ok(None));
        let pop = || queue.pop(|_| 0, None, || {});
        assert_eq!([pop(), pop(), pop()], [Some(2), Some(3), None]);
    }

    #[test]
    fn a_closed_queue_returns_the_waiting_and_takes_no_more() {
        let queue = Queue::new();
        assert_eq!(push(&queue, 1, CAPACITY), Ok(None));
        assert_eq!(queue.close(), [1]);
        assert_eq!(push(&queue, 2, CAPACITY), Err(Refusal::Closed));
        assert!(queue.is_closed());
    }

    #[test]
    fn a_wake_between_look_and_sleep_is_not_lost() {
        let queue = Arc::new(Queue::<u8>::new());
        let seen = queue.epoch();
        queue.wake();
        queue.wait(seen, None);
    }
}
