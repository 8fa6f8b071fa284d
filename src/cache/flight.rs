//! Identical requests that are under way share one answer.
//!
//! The first to ask becomes the leader and runs the request in a task of its own; everybody, the leader's client too,
//! reads frames from the flight. So a leader whose client leaves does not take the answer away from the others, and
//! when the last reader leaves the task is aborted, which cancels the upstream call.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::Stream;
use tokio::task::AbortHandle;

use super::CacheKey;

/// Largest answer that is shared; a larger one breaks off.
const MAX_BYTES: usize = 64 << 20;

/// All flights.
pub struct Flights<H> {
    under_way: Arc<Mutex<HashMap<CacheKey, Arc<Flight<H>>>>>,
}

/// What joining a flight makes of a request.
pub enum Joined<H> {
    /// The first: it must run the request and write to the flight; its own client reads like any other.
    Leader(Writer<H>, Reader<H>),
    /// Not the first: it only reads.
    Follower(Reader<H>),
}

/// `H` is the head: what is known once the answer begins, or why it does not.
struct Flight<H> {
    state: Mutex<State<H>>,
}

struct State<H> {
    head: Option<H>,
    frames: Vec<Bytes>,
    bytes: usize,
    ended: Option<End>,
    readers: usize,
    wakers: Vec<Waker>,
    task: Option<AbortHandle>,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Completely.
    Whole,
    /// In the middle.
    Broken,
}

impl<H> Default for Flights<H> {
    fn default() -> Self {
        Self { under_way: Arc::default() }
    }
}

impl<H: Clone> Flights<H> {
    /// Joins the flight of `key`, or starts it.
    pub fn join(&self, key: CacheKey) -> Joined<H> {
        let mut under_way = lock(&self.under_way);
        if let Some(flight) = under_way.get(&key) {
            let mut state = lock(&flight.state);
            // A flight that the last reader has just left is being torn down.
            if state.readers > 0 {
                state.readers += 1;
                drop(state);
                return Joined::Follower(Reader { flight: flight.clone(), next: 0 });
            }
        }
        let flight = Arc::new(Flight { state: Mutex::new(State::new()) });
        under_way.insert(key, flight.clone());
        let landing = Landing { under_way: self.under_way.clone(), key, flight: flight.clone() };
        Joined::Leader(Writer { flight: flight.clone(), _landing: landing }, Reader { flight, next: 0 })
    }

    /// How many are under way.
    pub fn len(&self) -> usize {
        lock(&self.under_way).len()
    }

    /// Whether none is under way.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<H> State<H> {
    fn new() -> Self {
        Self { head: None, frames: Vec::new(), bytes: 0, ended: None, readers: 1, wakers: Vec::new(), task: None }
    }

    fn wake(&mut self) {
        self.wakers.drain(..).for_each(Waker::wake);
    }

    fn wait<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        if !self.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// Takes the flight off the list when its writer goes, unless another has taken its place.
struct Landing<H> {
    under_way: Arc<Mutex<HashMap<CacheKey, Arc<Flight<H>>>>>,
    key: CacheKey,
    flight: Arc<Flight<H>>,
}

impl<H> Drop for Landing<H> {
    fn drop(&mut self) {
        let mut under_way = lock(&self.under_way);
        if under_way.get(&self.key).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight)) {
            under_way.remove(&self.key);
        }
    }
}

/// The leader's end.
pub struct Writer<H> {
    flight: Arc<Flight<H>>,
    _landing: Landing<H>,
}

impl<H> Writer<H> {
    /// Says which task writes, so that the last reader can stop it.
    pub fn runs_in(reader: &Reader<H>, task: AbortHandle) {
        let mut state = lock(&reader.flight.state);
        state.task = Some(task);
    }

    /// Publishes the head.
    pub fn head(&self, head: H) {
        let mut state = lock(&self.flight.state);
        state.head = Some(head);
        state.wake();
    }

    /// Publishes a frame; `false` when the answer has become too large to be shared.
    #[must_use]
    pub fn frame(&self, frame: Bytes) -> bool {
        let mut state = lock(&self.flight.state);
        state.bytes += frame.len();
        if state.bytes > MAX_BYTES {
            return false;
        }
        state.frames.push(frame);
        state.wake();
        true
    }

    /// The frames so far, for the cache.
    pub fn frames(&self) -> Vec<Bytes> {
        lock(&self.flight.state).frames.clone()
    }

    /// Ends the answer.
    pub fn end(self, end: End) {
        let mut state = lock(&self.flight.state);
        state.ended = Some(end);
        state.wake();
    }
}

impl<H> Drop for Writer<H> {
    fn drop(&mut self) {
        let mut state = lock(&self.flight.state);
        state.ended.get_or_insert(End::Broken);
        state.wake();
    }
}

/// One client's end. As a stream it yields the frames.
pub struct Reader<H> {
    flight: Arc<Flight<H>>,
    next: usize,
}

impl<H: Clone> Reader<H> {
    /// Waits for the head; `None` when the leader was stopped before there was one.
    pub async fn head(&self) -> Option<H> {
        std::future::poll_fn(|cx| {
            let mut state = lock(&self.flight.state);
            match (&state.head, state.ended) {
                (Some(head), _) => Poll::Ready(Some(head.clone())),
                (None, Some(_)) => Poll::Ready(None),
                (None, None) => state.wait(cx),
            }
        })
        .await
    }
}

/// A frame, or that the answer broke off.
impl<H> Stream for Reader<H> {
    type Item = Result<Bytes, End>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let flight = self.flight.clone();
        let mut state = lock(&flight.state);
        if let Some(frame) = state.frames.get(self.next) {
            let frame = frame.clone();
            self.next += 1;
            return Poll::Ready(Some(Ok(frame)));
        }
        match state.ended {
            Some(End::Whole) => Poll::Ready(None),
            Some(End::Broken) if self.next == usize::MAX => Poll::Ready(None),
            Some(End::Broken) => {
                self.next = usize::MAX;
                Poll::Ready(Some(Err(End::Broken)))
            }
            None => state.wait(cx),
        }
    }
}

impl<H> Drop for Reader<H> {
    fn drop(&mut self) {
        let mut state = lock(&self.flight.state);
        state.readers -= 1;
        if state.readers == 0
            && let Some(task) = state.task.take()
        {
            task.abort();
        }
    }
}

/// A panic while a lock was held leaves plain counters and lists behind, which stay usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;
    use crate::cache::key::Scope;
    use crate::chat::Json;
    use crate::policy::Class;

    fn key() -> CacheKey {
        let scope = Scope { tenant: "a", class: Class(0), destination: "d", policy: "p", dialect: "x", named: "" };
        CacheKey::new(&scope, &Json::parse(b"1").unwrap())
    }

    #[tokio::test]
    async fn one_runs_and_all_read_the_same_frames_whenever_they_join() {
        let flights: Flights<u16> = Flights::default();
        let Joined::Leader(writer, leader) = flights.join(key()) else { panic!("not the leader") };
        writer.head(200);
        assert!(writer.frame(Bytes::from_static(b"a")));
        let Joined::Follower(follower) = flights.join(key()) else { panic!("led twice") };
        assert_eq!(follower.head().await, Some(200));
        assert!(writer.frame(Bytes::from_static(b"b")));
        assert_eq!(writer.frames(), ["a", "b"]);
        writer.end(End::Whole);
        for reader in [leader, follower] {
            let frames: Vec<_> = reader.map(Result::unwrap).collect().await;
            assert_eq!(frames, ["a", "b"]);
        }
        assert!(flights.is_empty());
    }

    #[tokio::test]
    async fn the_task_is_stopped_when_the_last_reader_leaves_and_not_before() {
        let flights: Flights<u16> = Flights::default();
        let Joined::Leader(writer, leader) = flights.join(key()) else { panic!("not the leader") };
        let task = tokio::spawn(async move {
            let _writer = writer;
            std::future::pending::<()>().await;
        });
        Writer::runs_in(&leader, task.abort_handle());
        let Joined::Follower(follower) = flights.join(key()) else { panic!("led twice") };
        drop(leader);
        tokio::task::yield_now().await;
        assert!(!task.is_finished());
        drop(follower);
        assert!(task.await.unwrap_err().is_cancelled());
        assert!(flights.is_empty());
    }

    #[tokio::test]
    async fn an_answer_too_large_to_be_shared_is_not_kept_growing() {
        let flights: Flights<u16> = Flights::default();
        let Joined::Leader(writer, _leader) = flights.join(key()) else { panic!("not the leader") };
        assert!(writer.frame(Bytes::from(vec![0; MAX_BYTES])));
        assert!(!writer.frame(Bytes::from_static(b"x")));
    }

    #[tokio::test]
    async fn a_leader_that_dies_breaks_the_answer_off_for_everyone() {
        let flights: Flights<u16> = Flights::default();
        let Joined::Leader(writer, mut leader) = flights.join(key()) else { panic!("not the leader") };
        assert!(writer.frame(Bytes::from_static(b"a")));
        drop(writer);
        assert_eq!(leader.next().await, Some(Ok(Bytes::from_static(b"a"))));
        assert_eq!(leader.next().await, Some(Err(End::Broken)));
        assert_eq!(leader.next().await, None);
    }
}
