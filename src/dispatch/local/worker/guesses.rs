//! Guesses of what comes next, computed along with the last token: those that are drawn are steps saved.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::super::EngineError;
use super::super::draft::Drafter;
use super::super::model::{Input, Model};
use super::super::pace::Load;
use super::super::schedule::Work;
use super::{Sequence, Worker};
use crate::chat::reply::Predicted;

impl<M: Model> Worker<'_, M> {
    /// `step` with the guesses that pay.
    pub(super) fn with_guesses(&self, step: Vec<Work>) -> Vec<Work> {
        let mut load = load(&step);
        self.schedule.add_guesses(step, |slot, most| {
            let Some(sequence) = &self.sequences[slot] else { return 0 };
            let before = load.guesses;
            load = self.pace.extend(load, sequence.chances().take(most));
            load.guesses - before
        })
    }

    /// Notes how long `step` took, where it says something about guesses.
    pub(super) fn note_pace(&mut self, step: &[Work], took: Duration) {
        let computes_prompts = step.iter().any(|work| matches!(work, Work::Prompt { .. }));
        if !computes_prompts {
            self.pace.note(load(step), took.as_secs_f64() * 1000.0);
        }
    }

    /// Goes on drawing as long as what is drawn was guessed: the `inputs`, of which the last batch has the first at
    /// `first`, follow what `slot` said last. How many were right.
    pub(super) fn judge(&mut self, slot: usize, first: usize, inputs: &[Input]) -> usize {
        let mut right = 0;
        for (at, input) in inputs.iter().enumerate() {
            let Some(sequence) = &self.sequences[slot] else { break };
            if sequence.last != input.token || !sequence.has_room() {
                break;
            }
            right += 1;
            sequence.note_predicted(1, -1);
            self.prefixes.generated(slot, input.token);
            self.sample(slot, first + at);
        }
        let gauges = &self.shared.gauges;
        gauges.guessed.fetch_add(inputs.len() as u64, Relaxed);
        gauges.guessed_right.fetch_add(right as u64, Relaxed);
        if right < inputs.len() {
            self.forget_from(slot, inputs[right].position);
        }
        right
    }

    /// Takes wrong guesses out of the memory of `slot`, which may be at rest by now.
    fn forget_from(&mut self, slot: usize, position: usize) {
        let is_at_work = self.sequences[slot].is_some();
        if (is_at_work || self.prefixes.keeps()) && !self.model.keep(slot, position) {
            self.fail(slot, &EngineError::Decode("it cannot forget what was not drawn".to_owned()));
            self.forget(slot);
        }
    }
}

/// What `step` computes beside prompts.
fn load(step: &[Work]) -> Load {
    let mut load = Load::default();
    for work in step {
        match work {
            Work::Prompt { .. } => {}
            Work::Next { .. } => load.generating += 1,
            Work::Guess { count, .. } => load.guesses += count,
        }
    }
    load
}

impl<S> Sequence<S> {
    /// How likely each guess is, where all before it are right.
    fn chances(&self) -> impl Iterator<Item = f64> {
        // The token that is drawn anyway is one of those that it may still say.
        let most = (self.group.cap - self.generated).saturating_sub(1);
        self.drafter.iter().flat_map(Drafter::chances).take(most)
    }

    /// The first `count` guesses as inputs.
    pub(super) fn guesses(&self, slot: usize, count: usize) -> Vec<Input> {
        self.predicted.set(self.drafter.as_ref().is_some_and(Drafter::is_predicted));
        // Whichever is drawn is not thrown away: the answer may end before all are judged.
        self.note_predicted(0, count as i64);
        let position = self.group.prompt.len() + self.generated;
        let guesses = self.drafter.iter().flat_map(|drafter| drafter.guess()).take(count);
        guesses.zip(position..).map(|(&token, position)| Input { token, position, slot, sampled: true }).collect()
    }

    /// So many more guesses were drawn and thrown away, where they are what the client predicts.
    fn note_predicted(&self, accepted: i64, rejected: i64) {
        if self.predicted.get() {
            self.group.predicted.update(|predicted| {
                predicted.map(|before| Predicted {
                    accepted: before.accepted.saturating_add_signed(accepted),
                    rejected: before.rejected.saturating_add_signed(rejected),
                })
            });
        }
    }
}
