//! Which tokens go into the next step: pure bookkeeping of slots, without llama.cpp, clock or channels.
//!
//! A step computes either the next token of *every* sequence that generates, or pieces of prompts: llama.cpp would compute
//! them one after the other anyway, the pieces one token short. Between two steps that generate lies a bounded number of
//! tokens of prompts, so that a long prompt delays the others by so much per token: one piece of it, and a few where several
//! prompts wait, since steps of few sequences are dear and more are about to join. The prompt that is nearest to its end goes first, so
//! that first tokens come early on average; in each fourth step they take turns, so that a long one comes to its end among
//! many that are short. Those that come to their end are computed together where that saves all that wait more than it
//! delays those that would come first. A prompt is cut into whole pieces from where it goes on, whatever else is going on: how it
//! is cut changes rounding, and with it answers.
//!
//! llama.cpp computes a step by one adapter, so sequences of several adapters take turns, of a few steps each since changing
//! costs.

use std::ops::Range;

/// How much prompt a step may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Prompt tokens of one sequence per step.
    pub(super) piece: usize,
    /// Prompt tokens of all sequences per step; at least `piece`.
    pub(super) step: usize,
    /// Prompt tokens between two tokens of a sequence that generates; at least `piece`.
    pub(super) gap: usize,
    /// What a step takes beside its tokens, as a number of tokens.
    pub(super) overhead: usize,
}

/// The state of all slots.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    slots: Vec<Slot>,
    /// By which adapter each slot's sequence is computed.
    adapters: Vec<usize>,
    /// The adapter of the last step, and how many steps in a row were by it.
    adapter: (usize, usize),
    limits: Limits,
    /// When each slot's prompt came or last had its turn, by `steps`.
    turns: Vec<usize>,
    /// How many steps had prompt work.
    steps: usize,
    /// Prompt tokens since the last step that generated.
    read: usize,
}

/// For so many steps one adapter goes on while others wait.
const STAY: usize = 4;

/// In each step of so many, prompts take turns.
const TURNS: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Free,
    /// Begins once the slot `leader` has computed its prompt up to `until`, or no longer computes it.
    Wait {
        leader: usize,
        until: usize,
    },
    /// Begins to generate when the slot `leader`, which has the same prompt, has computed all of it.
    Follow {
        leader: usize,
    },
    /// `done` of `total` prompt tokens are computed.
    Prompt {
        done: usize,
        total: usize,
    },
    Generate,
}

/// A prompt of which `done` of `total` tokens are computed.
struct Reading {
    slot: usize,
    done: usize,
    total: usize,
}

/// What one sequence contributes to a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// These tokens of its prompt; `last` when an answer's first token is to be sampled after them.
    Prompt { slot: usize, range: Range<usize>, last: bool },
    /// The token sampled last.
    Next { slot: usize },
    /// Guesses of what comes behind that; stands right behind it.
    Guess { slot: usize, count: usize },
}

impl Work {
    /// Whose work it is.
    pub(super) fn slot(&self) -> usize {
        match *self {
            Self::Prompt { slot, .. } | Self::Next { slot } | Self::Guess { slot, .. } => slot,
        }
    }
}

impl Schedule {
    pub(super) fn new(slots: usize, limits: Limits) -> Self {
        let (adapters, adapter) = (vec![0; slots], (0, 0));
        Self { slots: vec![Slot::Free; slots], adapters, adapter, limits, turns: vec![0; slots], steps: 0, read: 0 }
    }

    /// The slots that the next sequence may get, lowest first: those within, or next to, the ones that are taken.
    /// llama.cpp decodes neighbours together.
    pub(super) fn free(&self) -> Vec<usize> {
        let taken = |slot: &usize| self.slots[*slot] != Slot::Free;
        let first = (0..self.slots.len()).find(taken).unwrap_or(0);
        let last = (0..self.slots.len()).rfind(taken).unwrap_or(self.slots.len());
        let near = first.saturating_sub(1)..=(last + 1).min(self.slots.len() - 1);
        near.filter(|slot| !taken(slot)).collect()
    }

    /// Whether `slot` computes its prompt.
    pub(super) fn reads(&self, slot: usize) -> bool {
        matches!(self.slots[slot], Slot::Prompt { .. })
    }

    /// How many slots are taken.
    pub(super) fn busy(&self) -> usize {
        self.slots.iter().filter(|&&slot| slot != Slot::Free).count()
    }

    /// What comes to `slot` next is computed by `adapter`.
    pub(super) fn assign(&mut self, slot: usize, adapter: usize) {
        self.adapters[slot] = adapter;
    }

    /// By which adapter `step`, which is not empty, is computed.
    pub(super) fn adapter_of(&self, step: &[Work]) -> usize {
        step.first().map_or(self.adapter.0, |work| self.adapters[work.slot()])
    }

    /// Gives `slot` to a sequence whose prompt has `total` tokens, of which `done`, fewer than all, are computed.
    pub(super) fn admit(&mut self, slot: usize, done: usize, total: usize) {
        self.slots[slot] = Slot::Prompt { done, total };
        self.turns[slot] = self.steps;
    }

    /// Gives `slot` to a sequence that waits until `leader`, which computes its prompt, has done so many tokens of it.
    pub(super) fn wait(&mut self, slot: usize, leader: usize, until: usize) {
        self.slots[slot] = Slot::Wait { leader, until };
    }

    /// Gives `slot` to a sequence that has the very prompt of `leader`, which has not computed all of it yet.
    pub(super) fn follow(&mut self, slot: usize, leader: usize) {
        self.slots[slot] = Slot::Follow { leader };
    }

    /// Whether the answer of `slot` has not begun and its prompt is its own to compute.
    pub(super) fn leads(&self, slot: usize) -> bool {
        matches!(self.slots[slot], Slot::Wait { .. } | Slot::Prompt { .. })
    }

    /// The slots that follow `leader`.
    pub(super) fn followers(&self, leader: usize) -> Vec<usize> {
        (0..self.slots.len()).filter(|&slot| self.slots[slot] == Slot::Follow { leader }).collect()
    }

    /// `slot` has all of its prompt from whom it followed, and generates.
    pub(super) fn join(&mut self, slot: usize) {
        self.slots[slot] = Slot::Generate;
    }

    /// The slots that have waited long enough.
    pub(super) fn due(&self) -> Vec<usize> {
        let is_due = |slot: &usize| match self.slots[*slot] {
            Slot::Wait { leader, until } => match self.slots[leader] {
                Slot::Prompt { done, .. } => done >= until,
                Slot::Free | Slot::Wait { .. } | Slot::Follow { .. } | Slot::Generate => true,
            },
            Slot::Follow { leader } => self.slots[leader] == Slot::Free,
            Slot::Free | Slot::Prompt { .. } | Slot::Generate => false,
        };
        (0..self.slots.len()).filter(is_due).collect()
    }

    /// Takes the slot back.
    pub(super) fn release(&mut self, slot: usize) {
        self.slots[slot] = Slot::Free;
    }

    /// The next step; empty when there is nothing to do. Sequences that are not `ready` to send are left out.
    pub(super) fn plan(&self, ready: impl Fn(usize) -> bool) -> Vec<Work> {
        let adapter = self.next_adapter(&ready);
        let ready = |slot: usize| Some(self.adapters[slot]) == adapter && ready(slot);
        let generates = |slot: &usize| self.slots[*slot] == Slot::Generate && ready(*slot);
        let generating: Vec<usize> = (0..self.slots.len()).filter(generates).collect();
        let prompts = self.prompts(ready);
        if generating.is_empty() {
            self.pieces(&prompts, self.limits.step)
        } else if self.reads_on(&prompts) {
            self.pieces(&prompts, self.limits.step.min(self.limits.gap - self.read))
        } else {
            generating.into_iter().map(|slot| Work::Next { slot }).collect()
        }
    }

    /// Whether those that generate wait for one more step of these `prompts`.
    fn reads_on(&self, prompts: &[Reading]) -> bool {
        match prompts {
            [] => false,
            [_] => self.read == 0,
            [first, ..] => self.read + self.piece(first).len() <= self.limits.gap,
        }
    }

    /// The next of a prompt to be computed.
    fn piece(&self, prompt: &Reading) -> Range<usize> {
        prompt.done..prompt.total.min(prompt.done + self.limits.piece)
    }

    /// One piece of the first of `prompts`, and of as many others as are worth computing along with it, of at most so many
    /// tokens. Each delays the first tokens of those before it by its own tokens, and saves all that wait a step. Behind one that
    /// does not end there comes none: a whole piece is hardly cheaper along with others, and each would wait for the other.
    fn pieces(&self, prompts: &[Reading], most: usize) -> Vec<Work> {
        let saved = self.limits.overhead * prompts.len();
        let (mut step, mut tokens) = (Vec::new(), 0);
        for (before, prompt) in prompts.iter().enumerate() {
            let range = self.piece(prompt);
            tokens += range.len();
            if before > 0 && (tokens > most || before * range.len() > saved) {
                break;
            }
            let last = range.end == prompt.total;
            step.push(Work::Prompt { slot: prompt.slot, last, range });
            if !last {
                break;
            }
        }
        step
    }

    /// Adds as many guesses to `step` as each sequence that generates `wishes`, of what a step has room for.
    pub(super) fn add_guesses(&self, step: Vec<Work>, mut wishes: impl FnMut(usize, usize) -> usize) -> Vec<Work> {
        let mut left = self.limits.step;
        let mut all = Vec::with_capacity(step.len());
        for work in step {
            let slot = work.slot();
            let count = if matches!(work, Work::Next { .. }) { wishes(slot, left).min(left) } else { 0 };
            all.push(work);
            if count > 0 {
                left -= count;
                all.push(Work::Guess { slot, count });
            }
        }
        all
    }

    /// Whose turn it is of the adapters that have something to do: the one of the last step, or the next one by number.
    fn next_adapter(&self, ready: impl Fn(usize) -> bool) -> Option<usize> {
        let (current, stayed) = self.adapter;
        let works = |slot: &usize| matches!(self.slots[*slot], Slot::Prompt { .. } | Slot::Generate) && ready(*slot);
        let waiting = (0..self.slots.len()).filter(works).map(|slot| self.adapters[slot]);
        waiting.min_by_key(|&adapter| match adapter {
            adapter if adapter == current && stayed < STAY => (0, adapter),
            adapter if adapter > current => (1, adapter),
            adapter => (2, adapter),
        })
    }

    /// The prompts that are computed, in the order in which they come in this step.
    fn prompts(&self, ready: impl Fn(usize) -> bool) -> Vec<Reading> {
        let prompt = |slot: usize| match self.slots[slot] {
            Slot::Prompt { done, total } if ready(slot) => Some(Reading { slot, done, total }),
            _ => None,
        };
        let mut prompts: Vec<_> = (0..self.slots.len()).filter_map(prompt).collect();
        if self.takes_turns() {
            prompts.sort_by_key(|prompt| self.turns[prompt.slot]);
        } else {
            prompts.sort_by_key(|prompt| (prompt.total - prompt.done, self.turns[prompt.slot]));
        }
        prompts
    }

    fn takes_turns(&self) -> bool {
        self.steps % TURNS == TURNS - 1
    }

    /// Notes that `step` was computed.
    pub(super) fn advance(&mut self, step: &[Work]) {
        let adapter = self.adapter_of(step);
        self.adapter = (adapter, if adapter == self.adapter.0 { self.adapter.1 + 1 } else { 1 });
        let takes_turns = self.takes_turns();
        if step.iter().any(|work| matches!(work, Work::Next { .. })) {
            self.read = 0;
        }
        self.steps = self.steps.wrapping_add(step.iter().any(|work| matches!(work, Work::Prompt { .. })).into());
        for work in step {
            if let Work::Prompt { slot, range, last } = work {
                self.read = self.read.saturating_add(range.len());
                if takes_turns {
                    self.turns[*slot] = self.steps;
                }
                if *last {
                    self.slots[*slot] = Slot::Generate;
                } else if let Slot::Prompt { done, .. } = &mut self.slots[*slot] {
                    *done = range.end;
                }
            }
        }
    }
}

#[cfg(test)]
mod progress;
#[cfg(test)]
mod tests;
