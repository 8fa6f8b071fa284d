//! The handle that the rest of ajar holds: admission, the stream of deltas, facts, shutdown.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::Instant;

use futures_util::Stream;
use tokio::sync::{mpsc, oneshot, watch};

use super::gauges::Gauges;
use super::pending::{Asked, Pending, Reply};
use super::queue::{Queue, Refusal};
use super::{Embeddings, EngineConfig, EngineError, EngineFacts, EngineState, Job};
use crate::chat::Text;
use crate::chat::reply::Delta;

/// Deltas that a slow reader may be behind before its sequence, and only that, pauses.
const BACKLOG: usize = 32;

/// Room that each sequence of a job needs before it computes another token: that token's text, held-back text, a call or
/// two with their arguments, finish, usage.
pub(super) const RESERVE: usize = 12;

/// A cheap handle of one loaded model. When the last one is dropped, the engine stops.
#[derive(Clone)]
pub struct Engine(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    sequences: usize,
    /// How many jobs may wait beyond those that a free sequence is there for.
    queue: usize,
}

/// What handles, generations and the engine's thread have in common.
pub(super) struct Shared {
    pub(super) queue: Queue<Pending>,
    pub(super) gauges: Gauges,
    pub(super) state: watch::Sender<State>,
}

/// [`EngineState`] with the reason of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Loading,
    #[cfg(any(feature = "llama", test))]
    Ready,
    Failed(String),
    Stopped,
}

impl Engine {
    /// Starts the engine's thread and returns at once; the model loads there. Wait with [`Engine::ready`].
    pub fn load(config: EngineConfig) -> Self {
        let sequences = config.sequences as usize;
        Self::start(sequences, config.queue, config.name.clone(), move |shared| run(&config, shared))
    }

    /// Runs `work` on a thread of its own; however it ends, nobody is left waiting.
    pub(super) fn start(
        sequences: usize,
        queue: usize,
        name: String,
        work: impl FnOnce(&Shared) -> Result<(), EngineError> + Send + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            queue: Queue::new(),
            gauges: Gauges::default(),
            state: watch::Sender::new(State::Loading),
        });
        let ending = Ending(Arc::clone(&shared));
        let label = name.clone();
        let started = thread::Builder::new().name(format!("engine {name}")).spawn(move || {
            // Moved in first, so that it also speaks when `work` panics.
            let ending = ending;
            if let Err(error) = work(&ending.0) {
                tracing::error!(engine = label, %error, "The local engine failed.");
                ending.0.state.send_replace(State::Failed(error.to_string()));
            }
        });
        if let Err(error) = started {
            shared.state.send_replace(State::Failed(format!("no thread for the local engine: {error}")));
        }
        Self(Arc::new(Handle { shared, sequences, queue }))
    }

    /// Waits until the model is loaded.
    ///
    /// # Errors
    /// [`EngineError::Model`] says why it cannot be; [`EngineError::Stopped`] that the engine was shut down.
    pub async fn ready(&self) -> Result<(), EngineError> {
        let mut states = self.0.shared.state.subscribe();
        // The sender lives in `shared`, which this handle keeps alive.
        match states.wait_for(|state| *state != State::Loading).await.as_deref() {
            Ok(State::Failed(reason)) => Err(EngineError::Model(reason.clone())),
            Ok(State::Stopped) | Err(_) => Err(EngineError::Stopped),
            Ok(_) => Ok(()),
        }
    }

    /// Queues `job`; never blocks. Jobs given while the model loads wait for it.
    ///
    /// # Errors
    /// [`EngineError::QueueFull`], [`EngineError::Unavailable`], [`EngineError::Stopped`] or
    /// [`EngineError::Unsupported`] at once; everything later comes through the [`Generation`].
    pub fn generate(&self, job: Job) -> Result<Generation, EngineError> {
        let reserve = RESERVE * job.choices() as usize;
        let (replies, deltas) = mpsc::channel(BACKLOG + reserve);
        let deadline = job.deadline;
        self.queue(Pending { asked: Asked::Answer { job, replies }, deadline, arrived: Instant::now() })?;
        Ok(Generation { deltas, reserve, shared: Arc::clone(&self.0.shared), ended: false })
    }

    /// The vectors of `texts`, in their order, each of length 1; until `deadline`, waiting included. Dropping the future
    /// cancels before the next batch.
    ///
    /// # Errors
    /// As [`Engine::generate`]; [`EngineError::InputTooLong`] and [`EngineError::InputEmpty`] tell which text it is; and
    /// [`EngineError::Unsupported`] of a model that answers.
    pub async fn embed(&self, texts: Vec<Text>, deadline: Instant) -> Result<Embeddings, EngineError> {
        let (reply, embeddings) = oneshot::channel();
        self.queue(Pending { asked: Asked::Embeddings { texts, reply }, deadline, arrived: Instant::now() })?;
        embeddings.await.unwrap_or(Err(EngineError::Stopped))
    }

    fn queue(&self, pending: Pending) -> Result<(), EngineError> {
        let shared = &self.0.shared;
        if let Some(failure) = shared.failure() {
            return Err(failure);
        }
        let capacity = self.0.queue + self.0.free_slots();
        shared.queue.push(pending, capacity, Pending::is_left).map_err(|refusal| match refusal {
            Refusal::Full => EngineError::QueueFull { retry_after: shared.gauges.retry_after(self.0.sequences) },
            Refusal::Closed => shared.failure().unwrap_or(EngineError::Stopped),
        })
    }

    /// The gauges as they stand; cheap.
    pub fn facts(&self) -> EngineFacts {
        let Handle { shared, sequences, .. } = &*self.0;
        let state = match *shared.state.borrow() {
            State::Loading => EngineState::Loading,
            #[cfg(any(feature = "llama", test))]
            State::Ready => EngineState::Ready,
            State::Failed(_) => EngineState::Failed,
            State::Stopped => EngineState::Stopped,
        };
        EngineFacts {
            state,
            queue: shared.queue.len(),
            free_slots: self.0.free_slots(),
            sequences: *sequences,
            tokens_per_second: shared.gauges.tokens_per_second.get(),
            ttft_ms: shared.gauges.ttft_ms.get(),
        }
    }

    /// Tells the engine to stop after the current step; what waits or generates ends with [`EngineError::Stopped`].
    pub fn shutdown(&self) {
        self.0.shared.refuse_rest(&EngineError::Stopped);
    }

    /// Waits until the thread is gone, after [`Engine::shutdown`] or a failure: llama.cpp must not be at work while
    /// the process takes itself apart.
    pub async fn stopped(&self) {
        let mut states = self.0.shared.state.subscribe();
        // An error would mean that the sender is gone, which `shared` holds.
        let _ = states.wait_for(|state| matches!(state, State::Failed(_) | State::Stopped)).await;
    }
}

impl Handle {
    fn free_slots(&self) -> usize {
        self.sequences.saturating_sub(self.shared.gauges.busy_slots.load(Relaxed))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.refuse_rest(&EngineError::Stopped);
    }
}

impl Shared {
    /// What jobs are told after a failure to start.
    fn failure(&self) -> Option<EngineError> {
        match &*self.state.borrow() {
            State::Failed(reason) => Some(EngineError::Unavailable { reason: reason.clone() }),
            _ => None,
        }
    }

    /// Drops from the queue what nobody waits for any more and what has run out of time.
    #[cfg(any(feature = "llama", test))]
    pub(super) fn drop_gone_and_late(&self, now: Instant) {
        let leaves = |pending: &Pending| pending.is_left() || pending.deadline <= now;
        self.queue.take_if(leaves).into_iter().for_each(|pending| pending.refuse(EngineError::Deadline));
    }

    /// Closes the queue and gives `error` to all who wait in it.
    fn refuse_rest(&self, error: &EngineError) {
        self.queue.close().into_iter().for_each(|pending| pending.refuse(error.clone()));
    }
}

/// Held by the engine's thread: its end is seen by everyone, even when it is a panic.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        if self.0.failure().is_none() {
            let panicked = || State::Failed("its thread panicked".to_owned());
            self.0.state.send_replace(if thread::panicking() { panicked() } else { State::Stopped });
        }
        self.0.refuse_rest(&self.0.failure().unwrap_or(EngineError::Stopped));
    }
}

/// An answer as it is generated, of one choice or several: of each its text, then its finish; at last the token counts
/// of all. Or an error, which is the last item.
///
/// Dropping it cancels: its sequences leave before the next step, and their slots are free.
pub struct Generation {
    deltas: mpsc::Receiver<Reply>,
    /// Its sequences wait where the room is less.
    reserve: usize,
    shared: Arc<Shared>,
    ended: bool,
}

impl Stream for Generation {
    type Item = Reply;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let reply = ready!(self.deltas.poll_recv(cx)).unwrap_or(Err(EngineError::Stopped));
        self.ended = matches!(reply, Ok(Delta::Usage(_)) | Err(_));
        if self.deltas.capacity() <= self.reserve {
            // The sequence may be waiting for this room.
            self.shared.queue.wake();
        }
        Poll::Ready(Some(reply))
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.deltas.close();
        self.shared.queue.wake();
    }
}

#[cfg(feature = "llama")]
fn run(config: &EngineConfig, shared: &Shared) -> Result<(), EngineError> {
    super::llama::run(config, shared)
}

#[cfg(not(feature = "llama"))]
fn run(_config: &EngineConfig, _shared: &Shared) -> Result<(), EngineError> {
    Err(EngineError::Model("this build has no embedded engine (built without the `llama` feature)".to_owned()))
}

#[cfg(all(test, not(feature = "llama")))]
mod tests {
    use super::{Engine, EngineConfig, EngineError};

    #[tokio::test]
    async fn a_build_without_llama_says_so() {
        let error = Engine::load(EngineConfig::trial("models/small.gguf".into())).ready().await;
        assert!(matches!(&error, Err(EngineError::Model(why)) if why.contains("`llama` feature")), "{error:?}");
    }
}
