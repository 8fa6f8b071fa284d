//! Notices a step that does not end. Nothing can interrupt llama.cpp, so others look after the engine's thread: a thread
//! that looks at the clock now and then, and those who read answers.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::EngineError;
use super::life::{Shared, State};

/// A round of the step loop may take so many times as long as the slowest so far.
const FACTOR: u32 = 20;
/// How often in that time somebody looks.
const GLANCES: u32 = 4;

/// Within which bounds a round of the step loop must end, whatever the rounds before have taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) least: Duration,
    pub(super) most: Duration,
}

impl Default for Bounds {
    /// No request waits longer than 10 minutes unless it is told to.
    fn default() -> Self {
        Self { least: Duration::from_secs(30), most: Duration::from_secs(600) }
    }
}

/// What is known of the rounds of a step loop.
pub(super) struct Rounds {
    bounds: Bounds,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// When the one that is under way began.
    began: Option<Instant>,
    slowest: Duration,
}

impl Rounds {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, inner: Mutex::default() }
    }
}

impl Inner {
    fn end(&mut self) {
        let took = self.began.take().map_or(Duration::ZERO, |began| began.elapsed());
        self.slowest = self.slowest.max(took);
    }

    /// How long the round that is under way takes already, where that is too long.
    fn too_long(&self, bounds: Bounds) -> Option<Duration> {
        let limit = (self.slowest * FACTOR).clamp(bounds.least, bounds.most);
        self.began.map(|began| began.elapsed()).filter(|took| *took > limit)
    }
}

impl Shared {
    /// The step loop begins another round, and so is not stuck, or no longer.
    pub(super) fn begin_round(&self) {
        let mut rounds = self.rounds.inner.lock().unwrap_or_else(PoisonError::into_inner);
        rounds.end();
        rounds.began = Some(Instant::now());
        if self.change(&State::Stuck, State::Ready) {
            tracing::warn!(engine = self.name, "The step that did not end has ended: the local engine goes on.");
        }
    }

    /// The step loop has nothing to do.
    pub(super) fn end_round(&self) {
        self.rounds.inner.lock().unwrap_or_else(PoisonError::into_inner).end();
    }

    /// Tells everybody, where the engine's thread is stuck.
    fn look_after(&self) {
        let rounds = self.rounds.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(took) = rounds.too_long(self.rounds.bounds) else { return };
        let noticed = self.change(&State::Ready, State::Stuck);
        drop(rounds);
        if noticed {
            tracing::error!(
                engine = self.name,
                seconds = took.as_secs(),
                "A step of the local engine does not end: it takes no requests until it does. If it goes on, restart ajar."
            );
        }
        self.queue.take().into_iter().for_each(|pending| pending.refuse(EngineError::Stuck));
    }

    fn change(&self, from: &State, to: State) -> bool {
        self.state.send_if_modified(|state| {
            let changes = state == from;
            if changes {
                *state = to;
            }
            changes
        })
    }
}

/// Looks after the engine's thread until what is returned is dropped.
pub(super) fn start(shared: &Arc<Shared>) -> mpsc::Sender<()> {
    let (guard, ended) = mpsc::channel();
    let watched = Arc::clone(shared);
    let started = thread::Builder::new().name(format!("watch {}", shared.name)).spawn(move || {
        let glance = watched.rounds.bounds.least / GLANCES;
        while ended.recv_timeout(glance) == Err(RecvTimeoutError::Timeout) {
            watched.look_after();
        }
    });
    if let Err(error) = started {
        tracing::warn!(engine = shared.name, %error, "No thread looks after the local engine: one that is stuck goes unnoticed.");
    }
    guard
}

#[cfg(test)]
mod tests;
