//! What the engine reports about itself: the `local.*` facts of policies, read without stopping it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Thinking;

/// How fresh measurements weigh against the past: about the last ten count.
#[cfg(any(feature = "llama", test))]
const WEIGHT: f64 = 0.2;

/// A reading of all gauges.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EngineFacts {
    /// Whether it takes jobs.
    pub state: EngineState,
    /// Whether its model is loaded when somebody asks, and may be unloaded.
    pub on_demand: bool,
    /// Jobs that wait for a sequence.
    pub queue: usize,
    /// Sequences that nobody uses.
    pub free_slots: usize,
    /// Sequences altogether.
    pub sequences: usize,
    /// Generated tokens per second over all sequences, while generating; 0 before the first.
    pub tokens_per_second: f64,
    /// Time from a job's arrival to its first token, in milliseconds; 0 before the first.
    pub ttft_ms: f64,
    /// Tokens that were guessed, since the start.
    pub guessed: u64,
    /// Those of them that were drawn: steps saved.
    pub guessed_right: u64,
    /// Layers that were put on a GPU when the model was loaded last; the output is one, too.
    pub gpu_layers: usize,
}

/// The engine's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineState {
    /// The model takes no memory, until somebody asks.
    Unloaded,
    /// The model is being read; jobs queue up.
    Loading,
    /// Generating, or able to.
    Ready,
    /// A step does not end; if it ever does, it is ready again.
    Stuck,
    /// The model could not be loaded.
    Failed,
    /// Shut down.
    Stopped,
}

impl EngineState {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Unloaded, Self::Loading, Self::Ready, Self::Stuck, Self::Failed, Self::Stopped];

    /// The name used in policies, records and health reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unloaded => "unloaded",
            Self::Loading => "loading",
            Self::Ready => "ready",
            Self::Stuck => "stuck",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// Written by the engine's thread, read by anyone.
#[derive(Default)]
pub(super) struct Gauges {
    /// What its model takes of the host's memory, as estimated.
    #[cfg(any(feature = "llama", test))]
    pub(super) bytes: AtomicU64,
    pub(super) busy_slots: AtomicUsize,
    /// What its model's chat template knows of thinking.
    thinking: Mutex<Option<Thinking>>,
    pub(super) gpu_layers: AtomicUsize,
    pub(super) tokens_per_second: Average,
    pub(super) ttft_ms: Average,
    /// How many tokens were guessed.
    pub(super) guessed: AtomicU64,
    /// How many of those were drawn.
    pub(super) guessed_right: AtomicU64,
    /// How long the model takes to load.
    pub(super) load_ms: Average,
    /// How long a job holds its sequence.
    pub(super) job_ms: Average,
}

impl Gauges {
    /// Before it was loaded, by its file.
    #[cfg(any(feature = "llama", test))]
    pub(super) fn foretell_thinking(&self, thinking: Thinking) {
        self.thinking.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(thinking);
    }

    #[cfg(feature = "llama")]
    pub(super) fn note_thinking(&self, thinking: Thinking) {
        *self.thinking.lock().unwrap_or_else(PoisonError::into_inner) = Some(thinking);
    }

    pub(super) fn thinking(&self) -> Option<Thinking> {
        *self.thinking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When a queue of `waiting` jobs is likely to have moved by one, 1 to 60 s.
    pub(super) fn retry_after(&self, sequences: usize) -> Duration {
        let turn_ms = self.job_ms.get() / sequences.max(1) as f64;
        Duration::from_secs((turn_ms / 1000.0).ceil().clamp(1.0, 60.0) as u64)
    }
}

/// An exponentially weighted moving average with one writer.
#[derive(Default)]
pub(super) struct Average(AtomicU64);

impl Average {
    /// Adds a measurement.
    #[cfg(any(feature = "llama", test))]
    pub(super) fn add(&self, value: f64) {
        let old = self.get();
        let new = if old == 0.0 { value } else { old + WEIGHT * (value - old) };
        self.0.store(new.to_bits(), Relaxed);
    }

    /// The average; 0 before the first measurement.
    pub(super) fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::{Average, Gauges};

    #[test]
    fn an_average_starts_at_the_first_value_and_moves_towards_later_ones() {
        let average = Average::default();
        assert_eq!(average.get(), 0.0);
        average.add(10.0);
        assert_eq!(average.get(), 10.0);
        average.add(20.0);
        assert_eq!(average.get(), 12.0);
    }

    #[test]
    fn retry_after_is_at_least_a_second_and_at_most_a_minute() {
        let gauges = Gauges::default();
        assert_eq!(gauges.retry_after(4).as_secs(), 1);
        gauges.job_ms.add(20_000.0);
        assert_eq!(gauges.retry_after(4).as_secs(), 5);
        gauges.job_ms.add(1e9);
        assert_eq!(gauges.retry_after(0).as_secs(), 60);
    }
}
