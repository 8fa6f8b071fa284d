//! What the engine notes of a job, for whoever records it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::chat::reply::Confidence;

/// What became of a job that is not part of its answer; its copies know the same.
#[derive(Clone, Debug, Default)]
pub struct Notes(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    waited: Option<Duration>,
    confidence: Option<Confidence>,
}

impl Notes {
    /// How long it waited until a sequence began it, once it has begun.
    pub fn waited(&self) -> Option<Duration> {
        self.with(|noted| noted.waited)
    }

    /// How sure the model was of its answer, once that is complete; `None` of one without a token.
    pub fn confidence(&self) -> Option<Confidence> {
        self.with(|noted| noted.confidence)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Noted) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(any(feature = "llama", test))]
impl Notes {
    /// It begins, after so long.
    pub(super) fn note_waited(&self, waited: Duration) {
        self.with(|noted| *noted = Noted { waited: Some(waited), confidence: None });
    }

    /// It is complete.
    pub(super) fn note_confidence(&self, confidence: Option<Confidence>) {
        self.with(|noted| noted.confidence = confidence);
    }
}
