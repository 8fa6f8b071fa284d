//! A bounded waiting line between async callers, who never block, and the engine's thread, which sleeps on it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
#[cfg(any(feature = "llama", test))]
use std::time::Duration;

/// First in, first out; whoever pushes says how many may wait.
pub(super) struct Queue<T> {
    inner: Mutex<Inner<T>>,
    changed: Condvar,
}

struct Inner<T> {
    waiting: VecDeque<T>,
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
        let inner = Inner { waiting: VecDeque::new(), epoch: 0, closed: false };
        Self { inner: Mutex::new(inner), changed: Condvar::new() }
    }

    /// Appends `item` to a line of at most `capacity`. Where it is full, those that `is_gone` make room first.
    pub(super) fn push(&self, item: T, capacity: usize, is_gone: impl Fn(&T) -> bool) -> Result<(), Refusal> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(Refusal::Closed);
        }
        if inner.waiting.len() >= capacity {
            inner.waiting.retain(|waiting| !is_gone(waiting));
        }
        if inner.waiting.len() >= capacity {
            return Err(Refusal::Full);
        }
        inner.waiting.push_back(item);
        self.notify(inner);
        Ok(())
    }

    /// Takes the first.
    #[cfg(any(feature = "llama", test))]
    pub(super) fn pop(&self) -> Option<T> {
        self.lock().waiting.pop_front()
    }

    /// Removes and returns all for which `leaves` holds.
    #[cfg(any(feature = "llama", test))]
    pub(super) fn take_if(&self, mut leaves: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut inner = self.lock();
        let (gone, staying) = inner.waiting.drain(..).partition(|item| leaves(item));
        inner.waiting = staying;
        Vec::from_iter::<VecDeque<T>>(gone)
    }

    /// Takes all.
    pub(super) fn take(&self) -> Vec<T> {
        self.lock().waiting.drain(..).collect()
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Takes nothing in from now on, and returns those that waited.
    pub(super) fn close(&self) -> Vec<T> {
        let mut inner = self.lock();
        inner.closed = true;
        let waiting = inner.waiting.drain(..).collect();
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

    use super::{Queue, Refusal};

    const CAPACITY: usize = 4;

    #[test]
    fn a_full_queue_refuses_until_someone_leaves() {
        let queue = Queue::new();
        assert_eq!(queue.push(1, 2, |_| false), Ok(()));
        assert_eq!(queue.push(2, 2, |_| false), Ok(()));
        assert_eq!(queue.push(3, 2, |_| false), Err(Refusal::Full));
        assert_eq!(queue.push(3, 2, |&n| n == 1), Ok(()));
        assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some(2), Some(3), None));
    }

    #[test]
    fn a_closed_queue_returns_the_waiting_and_takes_no_more() {
        let queue = Queue::new();
        assert_eq!(queue.push(1, CAPACITY, |_| false), Ok(()));
        assert_eq!(queue.close(), [1]);
        assert_eq!(queue.push(2, CAPACITY, |_| false), Err(Refusal::Closed));
        assert!(queue.is_closed());
    }

    #[test]
    fn take_if_keeps_the_order_of_those_that_stay() {
        let queue = Queue::new();
        for n in 1..=4 {
            assert_eq!(queue.push(n, CAPACITY, |_| false), Ok(()));
        }
        assert_eq!(queue.take_if(|n| n % 2 == 0), [2, 4]);
        assert_eq!((queue.pop(), queue.pop(), queue.len()), (Some(1), Some(3), 0));
    }

    #[test]
    fn a_wake_between_look_and_sleep_is_not_lost() {
        let queue = Arc::new(Queue::<u8>::new());
        let seen = queue.epoch();
        queue.wake();
        queue.wait(seen, None);
    }
}
