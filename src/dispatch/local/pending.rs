//! What waits in an engine's queue.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::{Embeddings, EngineError, Job, Look, Notes, Turn};
use crate::chat::reply::Delta;
use crate::chat::{ChatRequest, Text};

/// What travels from a sequence to its reader.
pub(super) type Reply = Result<Delta, EngineError>;

/// Something asked of the engine.
#[cfg_attr(not(any(feature = "llama", test)), expect(dead_code, reason = "nobody works without an engine"))]
pub(super) struct Pending {
    pub(super) asked: Asked,
    pub(super) turn: Turn,
    /// When to give up, waiting included.
    pub(super) deadline: Instant,
    pub(super) arrived: Instant,
}

/// What it is, and where what comes of it goes.
#[cfg_attr(not(any(feature = "llama", test)), expect(dead_code, reason = "nobody works without an engine"))]
pub(super) enum Asked {
    /// Answers to a conversation, by an adapter of the model, where it is not 0.
    Answer { job: Job, adapter: usize, replies: mpsc::Sender<Reply>, notes: Notes },
    /// What the model, or an adapter of it where it is not 0, makes of the prompt of a job.
    Look { job: Job, adapter: usize, reply: oneshot::Sender<Result<Look, EngineError>> },
    /// The vectors of texts.
    Embeddings { texts: Vec<Text>, reply: oneshot::Sender<Result<Embeddings, EngineError>>, notes: Notes },
    /// How many tokens the prompt of a conversation has.
    Count { request: Arc<ChatRequest>, reply: oneshot::Sender<Result<u64, EngineError>> },
}

impl Pending {
    /// Whether nobody waits for it any more.
    pub(super) fn is_left(&self) -> bool {
        match &self.asked {
            Asked::Answer { replies, .. } => replies.is_closed(),
            Asked::Look { reply, .. } => reply.is_closed(),
            Asked::Embeddings { reply, .. } => reply.is_closed(),
            Asked::Count { reply, .. } => reply.is_closed(),
        }
    }

    /// Whether nobody waits for it any more, or it has run out of time.
    #[cfg(any(feature = "llama", test))]
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.is_left() || self.deadline <= now
    }

    /// Tells who waits that nothing comes of it.
    pub(super) fn refuse(self, error: EngineError) {
        match self.asked {
            // Either fails only for a reader that has left.
            Asked::Answer { replies, .. } => drop(replies.try_send(Err(error))),
            Asked::Look { reply, .. } => drop(reply.send(Err(error))),
            Asked::Embeddings { reply, .. } => drop(reply.send(Err(error))),
            Asked::Count { reply, .. } => drop(reply.send(Err(error))),
        }
    }
}
