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
use super::{Embeddings, EngineConfig, EngineError, EngineFacts, Job, Look, Notes, Thinking, Turn, unheard};
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
    /// Returns as soon as the file's description is read; wait with [`Engine::ready`].
    pub fn load(config: EngineConfig) -> Self {
        let (sequences, queue) = (config.sequences as usize, config.queue);
        let adapters = config.adapters.iter().map(|adapter| adapter.name.clone()).collect();
        #[cfg(any(feature = "llama", test))]
        let foretold = Thinking::foretold(&config.model);
        let shared = Shared::new(config.name.clone(), config.load, move |shared| run(&config, shared));
        #[cfg(any(feature = "llama", test))]
        foretold.into_iter().for_each(|thinking| shared.gauges.foretell_thinking(thinking));
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
    /// [`EngineError::Model`] says why it cannot be; [`EngineError::Stopped`] that the engine was shut down, and
    /// [`EngineError::Stuck`] that it makes no progress.
    pub async fn ready(&self) -> Result<(), EngineError> {
        let mut states = self.handle.shared.state.subscribe();
        // The sender lives in `shared`, which this handle keeps alive.
        match states.wait_for(|state| *state != State::Loading).await.as_deref() {
            Ok(State::Failed(reason)) => Err(EngineError::Model(reason.clone())),
            Ok(State::Unloaded(Some(error))) => Err(error.clone()),
            Ok(State::Stuck) => Err(EngineError::Stuck),
            Ok(State::Stopped) | Err(_) => Err(EngineError::Stopped),
            Ok(_) => Ok(()),
        }
    }

    /// Queues `job`; never blocks. Jobs given while the model loads wait for it; one that is not loaded is loaded for them.
    /// One that waits may have to leave for another ([`EngineError::QueueFull`]).
    ///
    /// # Errors
    /// [`EngineError::QueueFull`], [`EngineError::Unavailable`], [`EngineError::Stuck`], [`EngineError::Stopped`] or
    /// [`EngineError::Unsupported`] at once; everything later comes through the [`Generation`].
    pub fn generate(&self, job: Job) -> Result<Generation, EngineError> {
        self.generate_noting(job, Notes::default())
    }

    /// As [`Engine::generate`]; `notes` is told what becomes of the job beside its answer.
    ///
    /// # Errors
    /// As [`Engine::generate`].
    pub fn generate_noting(&self, job: Job, notes: Notes) -> Result<Generation, EngineError> {
        let reserve = RESERVE * job.choices() as usize;
        let (replies, deltas) = mpsc::channel(BACKLOG + reserve);
        let (turn, deadline) = (job.turn(), job.deadline);
        self.queue(turn, deadline, Asked::Answer { job, adapter: self.adapter, replies, notes })?;
        let shared = Arc::clone(&self.handle.shared);
        Ok(Generation { deltas, stuck: Box::pin(shared.stuck()), reserve, shared, ended: false })
    }

    /// The vectors of `texts`, in their order, each of length 1; until `deadline`, waiting for its `turn` included. Dropping the future
    /// cancels before the next batch.
    ///
    /// # Errors
    /// As [`Engine::generate`]; [`EngineError::InputTooLong`] and [`EngineError::InputEmpty`] tell which text it is; and
    /// [`EngineError::Unsupported`] of a model that answers.
    pub async fn embed(&self, texts: Vec<Text>, turn: Turn, deadline: Instant) -> Result<Embeddings, EngineError> {
        self.embed_noting(texts, turn, deadline, Notes::default()).await
    }

    /// As [`Engine::embed`]; `notes` is told how long it waited.
    ///
    /// # Errors
    /// As [`Engine::embed`].
    pub async fn embed_noting(
        &self,
        texts: Vec<Text>,
        turn: Turn,
        deadline: Instant,
        notes: Notes,
    ) -> Result<Embeddings, EngineError> {
        let (reply, embeddings) = oneshot::channel();
        self.queue(turn, deadline, Asked::Embeddings { texts, reply, notes })?;
        self.answer(embeddings).await
    }

    /// What the model makes of the prompt of `job`, before any answer to it. The prompt is computed among the others, from
    /// what is kept for the same [`Sharing`](super::Sharing), and kept for whoever answers next; its last token is computed
    /// apart. Dropping the future cancels before the next step.
    ///
    /// # Errors
    /// As [`Engine::generate`]; [`EngineError::NoRoom`] where there is no memory to compute the last token apart, and
    /// [`EngineError::Unsupported`] of a model that makes embeddings.
    pub async fn look(&self, job: Job) -> Result<Look, EngineError> {
        let (reply, look) = oneshot::channel();
        let (turn, deadline) = (job.turn(), job.deadline);
        self.queue(turn, deadline, Asked::Look { job, adapter: self.adapter, reply })?;
        self.answer(look).await
    }

    /// How many tokens the prompt of `request` has, as the model's chat template writes it; until `deadline`, waiting for
    /// its `turn` included. Of one that is longer than the context, as many as were worth counting.
    ///
    /// # Errors
    /// As [`Engine::generate`]; [`EngineError::Unsupported`] of a model that makes embeddings.
    pub async fn count(&self, request: Arc<ChatRequest>, turn: Turn, deadline: Instant) -> Result<u64, EngineError> {
        let (reply, counted) = oneshot::channel();
        self.queue(turn, deadline, Asked::Count { request, reply })?;
        match self.answer(counted).await {
            Err(EngineError::PromptTooLong { tokens, .. }) => Ok(tokens),
            counted => counted,
        }
    }

    async fn answer<T>(&self, reply: oneshot::Receiver<Result<T, EngineError>>) -> Result<T, EngineError> {
        tokio::select! {
            biased;
            answer = reply => answer.unwrap_or(Err(EngineError::Stopped)),
            () = self.handle.shared.stuck() => Err(EngineError::Stuck),
        }
    }

    fn queue(&self, turn: Turn, deadline: Instant, asked: Asked) -> Result<(), EngineError> {
        let shared = &self.handle.shared;
        if let Some(failure) = shared.failure() {
            return Err(failure);
        }
        let pending = Pending { asked, turn: turn.clone(), deadline, arrived: Instant::now() };
        let capacity = || self.handle.queue + self.handle.free_slots();
        let full = || EngineError::QueueFull { retry_after: shared.gauges.retry_after(self.handle.sequences) };
        let left = shared.queue.push(turn, pending, capacity, Pending::is_left).map_err(|refusal| match refusal {
            Refusal::Full => full(),
            Refusal::Closed => shared.failure().unwrap_or(EngineError::Stopped),
        })?;
        if let Some(left) = left {
            left.refuse(full());
        }
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

    /// What the model's chat template knows of thinking: what the file said at the start, and once it was loaded what it
    /// said then. `None` where it could not be read.
    pub fn thinking(&self) -> Option<Thinking> {
        self.handle.shared.gauges.thinking()
    }

    /// What `request` says that the model is not told, or cannot follow, by the neutral names.
    pub fn unheard(&self, request: &ChatRequest) -> Vec<&'static str> {
        let effort = self.ignores_reasoning(request).then_some("reasoning_effort");
        unheard(request).into_iter().chain(effort).collect()
    }

    /// Whether it is known that the model cannot think as `request` asks it to.
    pub fn ignores_reasoning(&self, request: &ChatRequest) -> bool {
        request.reasoning.is_some_and(|reasoning| self.thinking().is_some_and(|thinking| thinking.ignores(reasoning)))
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
    /// the process takes itself apart. One that is stuck is not waited for.
    pub async fn stopped(&self) {
        let mut states = self.handle.shared.state.subscribe();
        // An error would mean that the sender is gone, which `shared` holds.
        let _ = states.wait_for(|state| matches!(state, State::Stuck | State::Failed(_) | State::Stopped)).await;
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
    /// Ends when nothing more can be expected.
    stuck: Pin<Box<dyn Future<Output = ()> + Send>>,
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
        let reply = match self.deltas.poll_recv(cx) {
            Poll::Ready(reply) => reply.unwrap_or(Err(EngineError::Stopped)),
            Poll::Pending => {
                ready!(self.stuck.as_mut().poll(cx));
                Err(EngineError::Stuck)
            }
        };
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
