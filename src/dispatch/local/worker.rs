//! The step loop: admit, plan, decode, sample, send; again.
//!
//! It runs on the engine's own thread and never blocks on a reader: a sequence whose reader is behind is left out of
//! the step, one whose reader is gone leaves before the step.

mod asker;
mod choices;
mod guesses;
mod look;
mod place;

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use self::asker::Asker;
use self::choices::Group;
use super::EngineError;
use super::draft::Drafter;
use super::life::Shared;
use super::model::{Drawn, Input, Model, Token};
use super::pace::Pace;
use super::pending::{Asked, Pending};
use super::prefixes::Prefixes;
use super::schedule::{Limits, Schedule, Work};
use super::speech::Speech;
use crate::chat::reply::{Delta, FinishReason};

/// How often deadlines are looked at while every sequence waits for its reader.
const PATIENCE: Duration = Duration::from_millis(50);

/// Serves `shared`'s queue with `model` until it is closed.
/// `prefix_cache` is how many bytes it may park in the host's memory; 0 keeps nothing beyond its request.
pub(super) fn run<M: Model>(model: M, shared: &Shared, slots: usize, limits: Limits, prefix_cache: usize) {
    let mut worker = Worker {
        model,
        shared,
        schedule: Schedule::new(slots, limits),
        prefixes: Prefixes::new(slots, prefix_cache, limits.piece),
        sequences: (0..slots).map(|_| None).collect(),
        waiting: VecDeque::new(),
        pace: Pace::new(),
    };
    shared.note_ready();
    worker.serve();
}

struct Worker<'a, M: Model> {
    model: M,
    shared: &'a Shared,
    schedule: Schedule,
    prefixes: Prefixes<M::State>,
    /// By slot.
    sequences: Vec<Option<Sequence<M::Sampler>>>,
    /// Further choices of jobs that have begun, for which there was no slot yet.
    waiting: VecDeque<Sequence<M::Sampler>>,
    /// What steps take.
    pace: Pace,
}

/// One choice of an answer in the making.
struct Sequence<S> {
    /// What it has in common with the other choices.
    group: Rc<Group>,
    /// Which of the choices.
    index: u32,
    sampler: S,
    /// Guesses what comes next; `None` where that may not be.
    drafter: Option<Drafter>,
    /// Whether the guesses of this step are what the client predicts.
    predicted: Cell<bool>,
    speech: Speech,
    admitted: Instant,
    generated: usize,
    last: Token,
}

impl<M: Model> Worker<'_, M> {
    fn serve(&mut self) {
        loop {
            self.shared.begin_round();
            let seen = self.shared.queue.epoch();
            if self.shared.queue.is_closed() {
                return self.stop();
            }
            self.drop_gone_and_late(Instant::now());
            self.resume();
            self.admit();
            let step = self.schedule.plan(|slot| self.sequences[slot].as_ref().is_some_and(Sequence::has_room));
            if !step.is_empty() {
                self.step(&self.with_guesses(step));
            } else if self.schedule.busy() > 0 {
                self.shared.queue.wait(seen, Some(PATIENCE));
            } else if !self.shared.sleep(seen) {
                return;
            }
        }
    }

    /// Ends what nobody reads any more and what has run out of time, waiting or generating.
    fn drop_gone_and_late(&mut self, now: Instant) {
        self.shared.drop_gone_and_late(now);
        let waited = self.waiting.len();
        self.waiting.retain(|sequence| !sequence.group.asker.is_gone());
        while let Some(late) = self.waiting.iter().find(|sequence| sequence.group.deadline <= now) {
            self.fail_group(&late.group.clone(), &EngineError::Deadline);
        }
        if self.waiting.len() < waited {
            self.note_busy();
        }
        for slot in 0..self.sequences.len() {
            match &self.sequences[slot] {
                Some(sequence) if sequence.group.asker.is_gone() => self.release(slot),
                Some(sequence) if sequence.group.deadline <= now => self.fail(slot, &EngineError::Deadline),
                _ => {}
            }
        }
    }

    fn admit(&mut self) {
        loop {
            let free = self.schedule.free();
            if free.is_empty() {
                return;
            }
            let choice = self.next_choice();
            let next = self.shared.next(|tenant| self.held_by(tenant), choice.map(|(_, rank)| rank));
            let at = match (next, choice) {
                (Some(pending), _) => {
                    let first = self.waiting.len();
                    self.take(pending);
                    first
                }
                (None, Some((at, _))) => at,
                (None, None) => return,
            };
            // Nothing, where what was taken has no sequence.
            if let Some(sequence) = self.waiting.remove(at) {
                self.place(sequence, &free);
            }
            self.note_busy();
        }
    }

    fn take(&mut self, pending: Pending) {
        let Pending { asked, arrived, deadline, turn } = pending;
        match asked {
            Asked::Answer { job, adapter, replies, notes } => {
                notes.note_waited(arrived.elapsed());
                let asker = Asker::Reader { replies: replies.clone(), notes };
                match self.begin(&job, adapter, asker, arrived) {
                    Ok(choices) => self.waiting.extend(choices),
                    // Fails only for a reader that has left.
                    Err(error) => drop(replies.try_send(Err(error))),
                }
            }
            Asked::Look { job, adapter, reply } => self.take_look(&job, adapter, reply, arrived),
            Asked::Count { request, reply } => {
                let counted = self.model.prompt(&request).map(|prompt| prompt.tokens.len() as u64);
                // Fails only for somebody who has left.
                drop(reply.send(counted));
            }
            asked @ Asked::Embeddings { .. } => {
                let pending = Pending { asked, arrived, deadline, turn };
                pending.refuse(EngineError::Unsupported("embeddings: its model answers"));
            }
        }
    }

    fn step(&mut self, step: &[Work]) {
        let began = Instant::now();
        let inputs: Vec<Input> = step.iter().flat_map(|work| self.inputs(work)).collect();
        self.model.adapt(self.schedule.adapter_of(step));
        match self.model.decode(&inputs) {
            Ok(took) => self.note_pace(step, took),
            Err(error) => return self.fail_all(step, &error),
        }
        self.schedule.advance(step);
        self.note_computed(step);
        let said = self.sample_all(step, &inputs);
        if said > 0 {
            self.shared.gauges.tokens_per_second.add(said as f64 / began.elapsed().as_secs_f64());
        }
    }

    /// Ends the sequences of a `step` that failed.
    fn fail_all(&mut self, step: &[Work], error: &EngineError) {
        tracing::error!(%error, "A step of the local engine failed; its sequences are ended.");
        for work in step {
            self.fail(work.slot(), error);
            // Nobody knows how far it came.
            self.forget(work.slot());
        }
    }

    /// Draws what follows each work of `step`. How many tokens follow what was generated before.
    fn sample_all(&mut self, step: &[Work], inputs: &[Input]) -> usize {
        let (mut at, mut said) = (0, 0);
        for work in step {
            match work {
                Work::Prompt { slot, range, last } => {
                    at += range.len();
                    if *last {
                        for follower in self.join_followers(*slot) {
                            self.sample(follower, at - 1);
                        }
                        self.sample(*slot, at - 1);
                    }
                }
                Work::Next { slot } => {
                    self.sample(*slot, at);
                    (at, said) = (at + 1, said + 1);
                }
                Work::Guess { slot, count } => {
                    said += self.judge(*slot, at, &inputs[at..at + count]);
                    at += count;
                }
            }
        }
        said
    }

    fn inputs(&self, work: &Work) -> Vec<Input> {
        let slot = work.slot();
        let Some(sequence) = &self.sequences[slot] else { return Vec::new() };
        match work {
            Work::Prompt { range, last, .. } => range
                .clone()
                .map(|position| {
                    let sampled = *last && position + 1 == range.end;
                    Input { token: sequence.group.prompt[position], position, slot, sampled }
                })
                .collect(),
            Work::Next { .. } => {
                let position = sequence.group.prompt.len() + sequence.generated - 1;
                vec![Input { token: sequence.last, position, slot, sampled: true }]
            }
            Work::Guess { count, .. } => sequence.guesses(slot, *count),
        }
    }

    fn sample(&mut self, slot: usize, input: usize) {
        let Some(sequence) = &mut self.sequences[slot] else { return };
        if let Asker::Looker { last, .. } = sequence.group.asker {
            return self.look(slot, last);
        }
        let drawn = match self.model.sample(&mut sequence.sampler, input) {
            Ok(drawn) => drawn,
            Err(error) => return self.fail(slot, &error),
        };
        if sequence.generated == 0 && sequence.index == 0 {
            self.shared.gauges.ttft_ms.add(sequence.group.arrived.elapsed().as_secs_f64() * 1000.0);
        }
        let (token, last) = match drawn {
            Drawn::Token(token) => (token, false),
            Drawn::Last(token) => (token, true),
            Drawn::End => return self.finish(slot, FinishReason::Stop),
        };
        let certainty = self.model.certainty(input, token);
        sequence.group.tally.update(|tally| tally.with(certainty));
        sequence.last = token;
        sequence.generated += 1;
        if let Some(drafter) = &mut sequence.drafter {
            drafter.push(token);
        }
        let mut bytes = Vec::new();
        self.model.write(token, sequence.group.reading, &mut bytes);
        let likelihood = sequence.group.logprobs.map(|top| self.model.likelihood(input, token, top));
        let said = sequence.speech.push(&bytes, likelihood);
        sequence.send(said.deltas);
        sequence.group.thought.update(|thought| thought + usize::from(sequence.speech.is_thinking()));
        if let Some(written) = sequence.speech.call_begun() {
            self.model.begin_call(&mut sequence.sampler, written);
        }
        if said.stopped || last {
            self.finish(slot, FinishReason::Stop);
        } else if sequence.generated == sequence.group.cap {
            self.finish(slot, FinishReason::Length);
        }
    }

    fn finish(&mut self, slot: usize, reason: FinishReason) {
        let Some(sequence) = &mut self.sequences[slot] else { return };
        let rest = sequence.speech.finish(reason == FinishReason::Length);
        sequence.send(rest);
        let reason = match reason {
            FinishReason::Stop if sequence.speech.has_called() => FinishReason::ToolCalls,
            reason => reason,
        };
        sequence.group.asker.say(Delta::Finish { index: sequence.index, reason });
        if let Some(usage) = sequence.group.ended(sequence.generated) {
            sequence.group.asker.end(usage, sequence.group.tally.get().confidence());
        }
        self.shared.gauges.job_ms.add(sequence.admitted.elapsed().as_secs_f64() * 1000.0);
        self.release(slot);
    }

    /// Ends what `slot` is at work on, with all other choices of it.
    fn fail(&mut self, slot: usize, error: &EngineError) {
        if let Some(group) = self.sequences[slot].as_ref().map(|sequence| sequence.group.clone()) {
            self.fail_group(&group, error);
        }
    }

    fn fail_group(&mut self, group: &Rc<Group>, error: &EngineError) {
        group.asker.fail(error);
        self.waiting.retain(|sequence| !Rc::ptr_eq(&sequence.group, group));
        for slot in 0..self.sequences.len() {
            if self.is_of(slot, group) {
                self.release(slot);
            }
        }
    }

    fn release(&mut self, slot: usize) {
        if self.prefixes.keeps() {
            self.prefixes.rest(slot);
        } else {
            self.forget(slot);
        }
        self.schedule.release(slot);
        self.sequences[slot] = None;
        self.note_busy();
    }

    fn note_busy(&self) {
        // Choices that wait take whatever comes free.
        let busy = (self.schedule.busy() + self.waiting.len()).min(self.sequences.len());
        self.shared.gauges.busy_slots.store(busy, Relaxed);
        self.shared.note_used();
    }

    fn stop(&mut self) {
        for slot in 0..self.sequences.len() {
            self.fail(slot, &EngineError::Stopped);
        }
    }
}

impl<S> Sequence<S> {
    /// Whether the reader can take whatever the next token brings.
    fn has_room(&self) -> bool {
        self.group.has_room()
    }

    fn send(&self, deltas: Vec<Delta>) {
        deltas.into_iter().for_each(|delta| self.group.asker.say(delta));
    }
}

#[cfg(test)]
pub(super) mod tests;
