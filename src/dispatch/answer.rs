//! What an attempt brings back.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;

use super::local::EngineError;
use crate::chat::reply::Embedded;
use crate::chat::text::redacted;
use crate::chat::{Delta, FinishReason, Usage};
use crate::egress::SendError;
use crate::transform::Tally;
use crate::transform::deltas::RestoringDeltas;

/// An answer that has begun.
pub enum Answer {
    /// A provider's whole reply, in its own bytes.
    Whole(Frame),
    /// A provider's stream, frame by frame in its own bytes.
    Stream(FrameStream),
    /// What the embedded engine generates, or a provider of another dialect than the client's.
    Deltas(DeltaStream, Option<RestoringDeltas>),
    /// Vectors that are still to be written.
    Vectors(Embedded),
}

/// An answer in neutral words; its end is the end of a whole answer.
pub type DeltaStream = Pin<Box<dyn Stream<Item = Result<Delta, Broken>> + Send>>;

/// Frames in the client's dialect.
pub type FrameStream = Pin<Box<dyn Stream<Item = Result<Frame, Broken>> + Send>>;

/// Bytes for the client, and what they say.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// The bytes, in the client's dialect.
    pub bytes: Bytes,
    /// Characters of the answer in them: for counting where no usage is reported.
    pub chars: u64,
    /// Token counts, where they say.
    pub usage: Option<Usage>,
    /// Why it ended, where they say.
    pub finish: Option<FinishReason>,
    /// Pseudonyms that were put back in them.
    pub tally: Tally,
}

impl Frame {
    /// Adds what `delta`, which its bytes hold, says.
    pub fn add(&mut self, delta: &Delta) {
        self.chars += delta.chars();
        match delta {
            Delta::Finish { reason, .. } => self.finish = Some(*reason),
            Delta::Usage(usage) => self.usage = Some(*usage),
            _ => {}
        }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        redacted(f, "Frame", self.bytes.len())
    }
}

/// Why an answer broke off after it had begun. Its text is for records, never for clients.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The provider closed the connection before its end marker.
    #[error("the provider's stream ended before its end marker")]
    Truncated,
    /// The connection broke or paused for too long.
    #[error("{0}")]
    Transport(SendError),
    /// The provider sent an error event.
    #[error("the provider reported an error in its stream")]
    Provider,
    /// For this long the provider only said that it is alive.
    #[error("the answer made no progress for {} s", .0.as_secs_f64())]
    Stalled(Duration),
    /// The provider sent an event that is none of its dialect's.
    #[error("the provider sent an event that cannot be read")]
    Unreadable,
    /// An event larger than any honest one.
    #[error("the provider sent an event that is too large")]
    TooLarge,
    /// The engine failed.
    #[error("{0}")]
    Engine(EngineError),
    /// The request's deadline passed.
    #[error("the deadline passed")]
    Deadline,
}

impl Broken {
    /// The code kept in records and told to clients.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Truncated => "upstream_truncated",
            Self::Transport(SendError::Idle(_)) => "upstream_idle",
            Self::Transport(_) => "upstream_broken",
            Self::Provider => "upstream_error",
            Self::Stalled(_) => "upstream_stalled",
            Self::Unreadable => "upstream_unreadable",
            Self::TooLarge => "upstream_event_too_large",
            Self::Engine(error) => error.code(),
            Self::Deadline => "deadline",
        }
    }
}
