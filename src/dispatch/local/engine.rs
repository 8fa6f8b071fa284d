//! The handle that the rest of ajar holds: admission, the stream of deltas, facts, shutdown.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_util::Stream;
use tokio::sync::{mpsc, oneshot};

use super::life::{self, Shared, State};
use super::pending::{Asked, Pending, Reply};
use super::queue::Refusal;
use super::{Embeddings, EngineConfig, EngineError, EngineFacts, Job, Waited};
use crate::chat::reply::Delta;
use crate::chat::{ChatRequest, Text};

/// Deltas that a slow reader may be behind before its sequence, and only that, pauses.
const BACKLOG: usize = 32;

/// How long before its deadline a request is told that the model is still loading.
const MARGIN: Duration = Duration::from_millis(100);

/// Room that each sequence of a job needs before it computes another token: that token's text, held-back text, a call or
/// two with their arguments, finish, usage.
pub(super) const RESERVE: usize = 12;

/// A cheap handle of one model. When the last one is dropped, the engine stops.
#[derive(Clone)]
pub struct Engine {
    handle: Arc<Handle>,
    /// Which adapter answers; 0 is none.
    adapter: usize,
}

struct Handle {
    /// Their names, from 1.
    adapters: Vec<String>,
    shared: Arc<Shared>,
    sequences: usize,
    /// How many jobs may wait beyond those that a free sequence is there for.
    queue: usize,
}

impl Engine {
    /// An engine on a thread of its own, where the model loads: at once, or when it is first asked, as `config` says.
    /// Returns at once; wait with [`Engine::ready`].
    pub fn load(config: EngineConfig) -> Self {
        let (sequences, queue) = (config.sequences as usize, config.queue);
        let adapters = config.adapters.iter().map(|adapter| adapter.name.clone()).collect();
        let shared = Shared::new(config.name.clone(), config.load, move |shared| run(&config, shared));
        Self::of(shared, sequences, queue, adapters)
    }

    /// The same engine, where the adapter called `name` answers; `None` where it has none.
    pub fn with_adapter(&self, name: &str) -> Option<Self> {
        let at = self.handle.adapters.iter().position(|adapter| adapter == name)?;
        Some(Self { handle: Arc::clone(&self.handle), adapter: at + 1 })
    }

    /// An engine whose thread does what `shared` says.
    pub(super) fn of(shared: Shared, sequences: usize, queue: usize, adapters: Vec<String>) -> Self {
        let shared = Arc::new(shared);
        life::begin(&shared);
        Self { handle: Arc::new(Handle { adapters, shared, sequences, queue }), adapter: 0 }
    }

    /// Waits until the model is loaded.
    ///
    /// # Errors
    /// [`EngineError::Model`] says why it cannot be; [`EngineError::Stopped`] that the engine was shut down.
    pub async fn ready(&self) -> Result<(), EngineError> {
        let mut states = self.handle.shared.state.subscribe();
        // The sender lives in `shared`, which this handle keeps alive.
        match states.wait_for(|state| *state != State::Loading).await.as_deref() {
            Ok(State::Failed(reason)) => Err(EngineError::Model(reason.clone())),
            Ok(State::Unloaded(Some(error))) => Err(error.clone()),
            Ok(State::Stopped) | Err(_) => Err(EngineError::Stopped),
            Ok(_) => Ok(()),
        }
    }

    /// Queues `job`; never blocks. Jobs given while the model loads wait for it; one that is not loaded is loaded for them.
    ///
    /// # Errors
    /// [`EngineError::QueueFull`], [`EngineError::Unavailable`], [`EngineError::Stopped`] or
    /// [`EngineError::Unsupported`] at once; everything later comes through the [`Generation`].
    pub fn generate(&self, job: Job) -> Result<Generation, EngineError> {
        self.generate_noting(job, Waited::default())
    }

    /// As [`Engine::generate`]; `waited` is told how long the job was in the queue.
    ///
    /// # Errors
    /// As [`Engine::generate`].
    pub fn generate_noting(&self, job: Job, waited: Waited) -> Result<Generation, EngineError> {
        let reserve = RESERVE * job.choices() as usize;
        let (replies, deltas) = mpsc::channel(BACKLOG + reserve);
        let deadline = job.deadline;
        self.queue(Pending {
            asked: Asked::Answer { job, adapter: self.adapter, replies, waited },
            deadline,
            arrived: Instant::now(),
        })?;
        Ok(Generation { deltas, reserve, shared: Arc::clone(&self.handle.shared), ended: false })
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

    /// How many tokens the prompt of `request` has, as the model's chat template writes it; until `deadline`, waiting for
    /// a turn included. Of one that is longer than the context, as many as were worth counting.
    ///
    /// # Errors
    /// As [`Engine::generate`]; [`EngineError::Unsupported`] of a model that makes embeddings.
    pub async fn count(&self, request: Arc<ChatRequest>, deadline: Instant) -> Result<u64, EngineError> {
        let (reply, counted) = oneshot::channel();
        self.queue(Pending { asked: Asked::Count { request, reply }, deadline, arrived: Instant::now() })?;
        match counted.await.unwrap_or(Err(EngineError::Stopped)) {
            Err(EngineError::PromptTooLong { tokens, .. }) => Ok(tokens),
            counted => counted,
        }
    }

    fn queue(&self, pending: Pending) -> Result<(), EngineError> {
        let shared = &self.handle.shared;
        if let Some(failure) = shared.failure() {
            return Err(failure);
        }
        let capacity = self.handle.queue + self.handle.free_slots();
        shared.queue.push(pending, capacity, Pending::is_left).map_err(|refusal| match refusal {
            Refusal::Full => EngineError::QueueFull { retry_after: shared.gauges.retry_after(self.handle.sequences) },
            Refusal::Closed => shared.failure().unwrap_or(EngineError::Stopped),
        })?;
        life::wake(shared);
        Ok(())
    }

    /// Waits until what was asked is being worked on: until the model is loaded, where it was not.
    ///
    /// # Errors
    /// [`EngineError::Loading`] when it will not be by `deadline`, at once where that can be told by how long it took the
    /// last time; it goes on loading, for whoever asks next. Else as [`Engine::ready`].
    pub async fn ready_by(&self, deadline: Instant) -> Result<(), EngineError> {
        let shared = &self.handle.shared;
        if *shared.state.borrow() == State::Ready {
            return Ok(());
        }
        let takes = Duration::from_secs_f64(shared.gauges.load_ms.get() / 1000.0);
        let loading = || EngineError::Loading { retry_after: takes.max(Duration::from_secs(1)) };
        let left = deadline.saturating_duration_since(Instant::now());
        if left < takes.saturating_sub(shared.loading_for()) {
            return Err(loading());
        }
        tokio::time::timeout(left.saturating_sub(MARGIN), self.ready()).await.unwrap_or_else(|_| Err(loading()))
    }

    /// The gauges as they stand; cheap.
    pub fn facts(&self) -> EngineFacts {
        let Handle { shared, sequences, .. } = &*self.handle;
        EngineFacts {
            state: shared.state.borrow().told(),
            on_demand: shared.is_on_demand(),
            queue: shared.queue.len(),
            free_slots: self.handle.free_slots(),
            sequences: *sequences,
            tokens_per_second: shared.gauges.tokens_per_second.get(),
            ttft_ms: shared.gauges.ttft_ms.get(),
            guessed: shared.gauges.guessed.load(Relaxed),
            guessed_right: shared.gauges.guessed_right.load(Relaxed),
            gpu_layers: shared.gauges.gpu_layers.load(Relaxed),
        }
    }

    /// Tells the engine to stop after the current step; what waits or generates ends with [`EngineError::Stopped`].
    pub fn shutdown(&self) {
        life::stop(&self.handle.shared);
    }

    /// Waits until the thread is gone, after [`Engine::shutdown`] or a failure: llama.cpp must not be at work while
    /// the process takes itself apart.
    pub async fn stopped(&self) {
        let mut states = self.handle.shared.state.subscribe();
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
        life::stop(&self.shared);
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
    Err(EngineError::absent())
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
