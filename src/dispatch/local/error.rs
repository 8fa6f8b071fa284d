//! What can go wrong in the engine.

use std::time::Duration;

/// Why there is no answer, or no more of it. No variant carries prompt text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// All sequences are busy and the queue is full: come back later, or go elsewhere.
    #[error("the queue of the local engine is full; retry in {} s", retry_after.as_secs())]
    QueueFull {
        /// When a place is likely to be free.
        retry_after: Duration,
    },
    /// The model is not loaded, and will not be in time.
    #[error("the local model is being loaded; retry in {} s", retry_after.as_secs())]
    Loading {
        /// When it is likely to be.
        retry_after: Duration,
    },
    /// The model does not fit into the memory that is free now.
    #[error("{what}")]
    NoRoom {
        /// What is needed, what there is, and the ways out.
        what: String,
    },
    /// The prompt leaves no room for an answer.
    #[error("the prompt has {tokens} tokens or more, the local model takes {limit}")]
    PromptTooLong {
        /// Tokens of the prompt; a lower bound where it was too long to be worth counting.
        tokens: u64,
        /// The most that fit.
        limit: u64,
    },
    /// A text to embed is longer than the model reads at once.
    #[error("input {index} has {tokens} tokens, the local model takes {limit}")]
    InputTooLong {
        /// Which text, from 0.
        index: usize,
        /// Its tokens.
        tokens: u64,
        /// The most that fit.
        limit: u64,
    },
    /// A text to embed has no token.
    #[error("input {index} is empty")]
    InputEmpty {
        /// Which text, from 0.
        index: usize,
    },
    /// The job's deadline passed, in the queue or while generating.
    #[error("the deadline passed before the local model was done")]
    Deadline,
    /// The engine failed to start and takes no jobs.
    #[error("the local engine is unavailable: {reason}")]
    Unavailable {
        /// What went wrong at start-up.
        reason: String,
    },
    /// A step does not end, and nobody knows whether it ever will.
    #[error("the local engine is stuck: a step does not end")]
    Stuck,
    /// The model could not be loaded: names the file and the way out.
    #[error("{0}")]
    Model(String),
    /// llama.cpp could not compute a step.
    #[error("the local model failed: {0}")]
    Decode(String),
    /// The request asks for something this engine does not do.
    #[error("the local engine does not support {0}")]
    Unsupported(&'static str),
    /// The engine was shut down.
    #[error("the local engine has stopped")]
    Stopped,
}

/// When it makes sense to ask one that is stuck again: nobody knows, and client libraries wait no longer than a minute.
const STUCK_RETRY: Duration = Duration::from_secs(10);

impl EngineError {
    /// The code kept in records and told to clients.
    pub fn code(&self) -> &'static str {
        match self {
            Self::QueueFull { .. } => "local_queue_full",
            Self::Loading { .. } => "local_loading",
            Self::NoRoom { .. } => "local_no_memory",
            Self::PromptTooLong { .. } | Self::InputTooLong { .. } => "context_length_exceeded",
            Self::InputEmpty { .. } => "empty_input",
            Self::Deadline => "deadline",
            Self::Unavailable { .. } | Self::Model(_) | Self::Stopped => "local_unavailable",
            Self::Stuck => "local_stuck",
            Self::Decode(_) => "local_failed",
            Self::Unsupported(_) => "capability_missing",
        }
    }

    /// When to ask again, where that may help.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::QueueFull { retry_after } | Self::Loading { retry_after } => Some(*retry_after),
            Self::Stuck => Some(STUCK_RETRY),
            _ => None,
        }
    }
}

#[cfg(not(feature = "llama"))]
impl EngineError {
    /// There is no engine in this build.
    pub(super) fn absent() -> Self {
        Self::Model("this build has no embedded engine (built without the `llama` feature)".to_owned())
    }
}
