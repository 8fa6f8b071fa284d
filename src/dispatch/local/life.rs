//! When an engine's thread runs: from the start or on demand, until it is stopped, idle for long, or asked to make room.

#[cfg(any(feature = "llama", test))]
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::gauges::Gauges;
#[cfg(any(feature = "llama", test))]
use super::line::Rank;
use super::pending::Pending;
use super::queue::Queue;
#[cfg(any(feature = "llama", test))]
use super::watchdog::{self, Bounds, Rounds};
use super::{EngineError, EngineState, Load};

/// What handles, generations and the engine's thread have in common.
pub(super) struct Shared {
    pub(super) queue: Queue<Pending>,
    pub(super) gauges: Gauges,
    pub(super) state: watch::Sender<State>,
    pub(super) name: String,
    load: Load,
    work: Work,
    /// When the step loop's rounds begin and how long they take.
    #[cfg(any(feature = "llama", test))]
    pub(super) rounds: Rounds,
    /// Somebody needs the memory.
    #[cfg(any(feature = "llama", test))]
    leave: AtomicBool,
    /// When it began to load, or last began or ended something.
    used: Mutex<Instant>,
}

/// Loads the model and serves the queue: until that is closed, or [`Shared::sleep`] says that it is time to leave.
type Work = Box<dyn Fn(&Shared) -> Result<(), EngineError> + Send + Sync>;

/// [`EngineState`] with the reason of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody needs it, or it could not be loaded, which may be otherwise the next time.
    Unloaded(Option<EngineError>),
    Loading,
    Ready,
    /// Loaded, but a step does not end.
    Stuck,
    Failed(String),
    Stopped,
}

impl State {
    /// What is told of it.
    pub(super) fn told(&self) -> EngineState {
        match self {
            Self::Unloaded(_) => EngineState::Unloaded,
            Self::Loading => EngineState::Loading,
            Self::Ready => EngineState::Ready,
            Self::Stuck => EngineState::Stuck,
            Self::Failed(_) => EngineState::Failed,
            Self::Stopped => EngineState::Stopped,
        }
    }
}

impl Shared {
    pub(super) fn new(
        name: String,
        load: Load,
        work: impl Fn(&Self) -> Result<(), EngineError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            queue: Queue::new(),
            gauges: Gauges::default(),
            state: watch::Sender::new(State::Unloaded(None)),
            name,
            load,
            work: Box::new(work),
            #[cfg(any(feature = "llama", test))]
            rounds: Rounds::new(Bounds::default()),
            #[cfg(any(feature = "llama", test))]
            leave: AtomicBool::new(false),
            used: Mutex::new(Instant::now()),
        }
    }

    pub(super) fn is_on_demand(&self) -> bool {
        self.load != Load::Start
    }

    /// What jobs are told where it takes none.
    pub(super) fn failure(&self) -> Option<EngineError> {
        match &*self.state.borrow() {
            State::Failed(reason) => Some(EngineError::Unavailable { reason: reason.clone() }),
            State::Stuck => Some(EngineError::Stuck),
            _ => None,
        }
    }

    /// Ends when it is found to be stuck.
    pub(super) fn stuck(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut states = self.state.subscribe();
        async move {
            // Whoever waits holds the sender, too.
            let _ = states.wait_for(|state| *state == State::Stuck).await;
        }
    }

    /// Closes the queue and gives `error` to all who wait in it.
    fn refuse_rest(&self, error: &EngineError) {
        self.queue.close().into_iter().for_each(|pending| pending.refuse(error.clone()));
    }

    /// How long it has been loading.
    pub(super) fn loading_for(&self) -> Duration {
        if *self.state.borrow() == State::Loading { self.unused_for() } else { Duration::ZERO }
    }

    fn unused_for(&self) -> Duration {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// It began or ended something.
    pub(super) fn note_used(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

#[cfg(any(feature = "llama", test))]
impl Shared {
    /// The model is loaded.
    pub(super) fn note_ready(&self) {
        self.gauges.load_ms.add(self.unused_for().as_secs_f64() * 1000.0);
        self.note_used();
        self.state.send_replace(State::Ready);
    }

    /// Drops from the queue what nobody waits for any more and what has run out of time.
    pub(super) fn drop_gone_and_late(&self, now: Instant) {
        let over = self.queue.take_if(|pending| pending.is_over(now));
        over.into_iter().for_each(|pending| pending.refuse(EngineError::Deadline));
    }

    /// Takes whoever is next (see [`Line::pop`](super::line::Line::pop)) and has time left. Until more is known of it, it
    /// holds one slot.
    pub(super) fn next(&self, held: impl Fn(&str) -> usize, begun: Option<Rank>) -> Option<Pending> {
        let busy = &self.gauges.busy_slots;
        loop {
            let note = || {
                busy.fetch_add(1, Relaxed);
            };
            let pending = self.queue.pop(&held, begun, note)?;
            if !pending.is_over(Instant::now()) {
                return Some(pending);
            }
            busy.fetch_sub(1, Relaxed);
            pending.refuse(EngineError::Deadline);
        }
    }

    /// To be called when there is nothing to do since the queue's epoch `seen`: sleeps until there may be; false when it is
    /// time to leave instead.
    pub(super) fn sleep(&self, seen: u64) -> bool {
        self.end_round();
        if self.leave.swap(false, Relaxed) {
            return false;
        }
        let idle = match self.load {
            Load::OnDemand { idle } => idle,
            Load::Start => None,
        };
        let left = idle.map(|idle| idle.saturating_sub(self.unused_for()));
        if left == Some(Duration::ZERO) {
            return false;
        }
        self.queue.wait(seen, left);
        true
    }

    /// For how long nobody has used a model that could make room for another; `None` where it is busy, or is to stay.
    pub(super) fn spare_for(&self) -> Option<Duration> {
        let is_ready = *self.state.borrow() == State::Ready;
        (is_ready && self.is_on_demand() && self.is_idle()).then(|| self.unused_for())
    }

    fn is_idle(&self) -> bool {
        self.gauges.busy_slots.load(Relaxed) == 0 && self.queue.len() == 0
    }

    /// Asks it to make room: it leaves unless it has got something to do.
    pub(super) fn ask_to_leave(&self) {
        self.leave.store(true, Relaxed);
        self.queue.wake();
    }
}

/// Starts the thread, where the model is to be there from the start.
pub(super) fn begin(shared: &Arc<Shared>) {
    match shared.load {
        Load::Start => wake(shared),
        #[cfg(any(feature = "llama", test))]
        Load::OnDemand { .. } => super::residents::add(shared),
        #[cfg(not(any(feature = "llama", test)))]
        Load::OnDemand { .. } => {}
    }
}

/// Starts the thread, where it is not at work. To be called behind every push to the queue.
pub(super) fn wake(shared: &Arc<Shared>) {
    let starts = shared.state.send_if_modified(|state| {
        let unloaded = matches!(state, State::Unloaded(_));
        if unloaded {
            *state = State::Loading;
        }
        unloaded
    });
    if !starts {
        return;
    }
    shared.note_used();
    let ending = Ending(Arc::clone(shared));
    let started = thread::Builder::new().name(format!("engine {}", shared.name)).spawn(move || {
        // Moved in first, so that it also speaks when the work panics.
        let ending = ending;
        #[cfg(any(feature = "llama", test))]
        let _watchdog = watchdog::start(&ending.0);
        live(&ending.0);
    });
    if let Err(error) = started {
        shared.state.send_replace(State::Failed(format!("no thread for the local engine: {error}")));
    }
}

/// Tells the engine to stop after the current step; what waits or generates ends with [`EngineError::Stopped`].
pub(super) fn stop(shared: &Shared) {
    shared.refuse_rest(&EngineError::Stopped);
    shared.state.send_if_modified(|state| {
        let unloaded = matches!(state, State::Unloaded(_));
        if unloaded {
            *state = State::Stopped;
        }
        unloaded
    });
}

/// Loads and serves, again and again while somebody waits.
fn live(shared: &Shared) {
    while !shared.queue.is_closed() {
        let gone = match (shared.work)(shared) {
            Ok(()) => None,
            Err(error) => {
                tracing::error!(engine = shared.name, %error, "The local engine failed.");
                if !(shared.is_on_demand() && matches!(error, EngineError::NoRoom { .. })) {
                    shared.state.send_replace(State::Failed(error.to_string()));
                    return;
                }
                // The next request may find more room; these have waited in vain.
                shared.queue.take().into_iter().for_each(|pending| pending.refuse(error.clone()));
                Some(error)
            }
        };
        // Whoever pushes looks at the state afterwards: one of both sees the other.
        let unloaded = shared.state.send_if_modified(|state| {
            let leaves = shared.queue.len() == 0 && !shared.queue.is_closed();
            *state = if leaves { State::Unloaded(gone.clone()) } else { State::Loading };
            leaves
        });
        if unloaded {
            tracing::info!(engine = shared.name, "The local engine has given its memory back.");
            return;
        }
        shared.note_used();
    }
}

/// Held by the engine's thread: its end is seen by everyone, even when it is a panic.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        let shared = &self.0;
        if thread::panicking() {
            shared.state.send_replace(State::Failed("its thread panicked".to_owned()));
        } else if shared.queue.is_closed() && shared.failure().is_none() {
            shared.state.send_replace(State::Stopped);
        }
        if matches!(*shared.state.borrow(), State::Failed(_) | State::Stopped) {
            shared.refuse_rest(&shared.failure().unwrap_or(EngineError::Stopped));
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
