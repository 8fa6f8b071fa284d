//! Which tokens go into the next step: pure bookkeeping of slots, without llama.cpp, clock or channels.
//!
//! Each step takes the next token of *every* sequence that generates, and prompt pieces up to a budget, so a long
//! prompt delays the others by a bounded amount per token. Pieces start at multiples of the piece length whatever
//! else is going on: how a prompt is cut changes rounding, and with it answers.

use std::ops::Range;

/// How much prompt a step may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Prompt tokens of one sequence per step.
    pub(super) piece: usize,
    /// Prompt tokens of all sequences per step; at least `piece`.
    pub(super) budget: usize,
}

/// The state of all slots.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    slots: Vec<Slot>,
    limits: Limits,
    /// Where the search for prompt work starts, so that long prompts take turns.
    turn: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Free,
    /// `done` of `total` prompt tokens are computed.
    Prompt {
        done: usize,
        total: usize,
    },
    Generate,
}

/// What one sequence contributes to a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// These tokens of its prompt; `last` when an answer's first token is to be sampled after them.
    Prompt { slot: usize, range: Range<usize>, last: bool },
    /// The token sampled last.
    Next { slot: usize },
}

impl Work {
    /// Whose work it is.
    pub(super) fn slot(&self) -> usize {
        match *self {
            Self::Prompt { slot, .. } | Self::Next { slot } => slot,
        }
    }
}

impl Schedule {
    pub(super) fn new(slots: usize, limits: Limits) -> Self {
        Self { slots: vec![Slot::Free; slots], limits, turn: 0 }
    }

    /// Whether another sequence can be admitted.
    pub(super) fn has_room(&self) -> bool {
        self.slots.contains(&Slot::Free)
    }

    /// How many slots are taken.
    pub(super) fn busy(&self) -> usize {
        self.slots.iter().filter(|&&slot| slot != Slot::Free).count()
    }

    /// Gives the lowest free slot to a sequence with a prompt of `total` tokens, at least one. Low slots stay dense:
    /// llama.cpp decodes neighbours together.
    pub(super) fn admit(&mut self, total: usize) -> Option<usize> {
        let free = self.slots.iter().position(|&slot| slot == Slot::Free)?;
        self.slots[free] = Slot::Prompt { done: 0, total };
        Some(free)
    }

    /// Takes the slot back.
    pub(super) fn release(&mut self, slot: usize) {
        self.slots[slot] = Slot::Free;
    }

    /// The next step; empty when there is nothing to do. Sequences that are not `ready` to send are left out.
    pub(super) fn plan(&self, ready: impl Fn(usize) -> bool) -> Vec<Work> {
        let generating = (0..self.slots.len()).filter(|&slot| self.slots[slot] == Slot::Generate);
        let mut step: Vec<Work> = generating.filter(|&slot| ready(slot)).map(|slot| Work::Next { slot }).collect();
        let mut left = self.limits.budget;
        for slot in (self.turn..self.slots.len()).chain(0..self.turn) {
            let Slot::Prompt { done, total } = self.slots[slot] else { continue };
            let end = total.min(done + self.limits.piece);
            if end - done > left {
                break;
            }
            left -= end - done;
            step.push(Work::Prompt { slot, range: done..end, last: end == total });
        }
        step
    }

    /// Notes that `step` was computed.
    pub(super) fn advance(&mut self, step: &[Work]) {
        for work in step {
            if let Work::Prompt { slot, range, last } = work {
                self.turn = (slot + 1) % self.slots.len();
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
mod tests {
    use proptest::prelude::*;

    use super::{Limits, Schedule, Work};

    const LIMITS: Limits = Limits { piece: 4, budget: 8 };

    fn prompt(slot: usize, range: std::ops::Range<usize>, last: bool) -> Work {
        Work::Prompt { slot, range, last }
    }

    #[test]
    fn a_long_prompt_is_cut_and_does_not_keep_others_from_generating() {
        let mut schedule = Schedule::new(2, LIMITS);
        assert_eq!((schedule.admit(2), schedule.admit(9)), (Some(0), Some(1)));
        let step = schedule.plan(|_| true);
        assert_eq!(step, [prompt(0, 0..2, true), prompt(1, 0..4, false)]);
        schedule.advance(&step);
        let step = schedule.plan(|_| true);
        assert_eq!(step, [Work::Next { slot: 0 }, prompt(1, 4..8, false)]);
        schedule.advance(&step);
        assert_eq!(schedule.plan(|_| true), [Work::Next { slot: 0 }, prompt(1, 8..9, true)]);
    }

    #[test]
    fn prompts_beyond_the_budget_take_turns() {
        let mut schedule = Schedule::new(3, LIMITS);
        for _ in 0..3 {
            schedule.admit(100);
        }
        let first = schedule.plan(|_| true);
        assert_eq!(first.iter().map(Work::slot).collect::<Vec<_>>(), [0, 1]);
        schedule.advance(&first);
        let second = schedule.plan(|_| true);
        assert_eq!(second.iter().map(Work::slot).collect::<Vec<_>>(), [2, 0]);
    }

    #[test]
    fn a_sequence_that_cannot_send_is_left_out_and_others_go_on() {
        let mut schedule = Schedule::new(2, LIMITS);
        schedule.admit(1);
        schedule.admit(1);
        schedule.advance(&schedule.clone().plan(|_| true));
        assert_eq!(schedule.plan(|slot| slot != 0), [Work::Next { slot: 1 }]);
    }

    /// What happens to a schedule from outside.
    #[derive(Clone, Debug)]
    enum Event {
        Admit(usize),
        Release(usize),
        Step(Vec<bool>),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            (1..40_usize).prop_map(Event::Admit),
            (0..4_usize).prop_map(Event::Release),
            prop::collection::vec(any::<bool>(), 4).prop_map(Event::Step),
        ]
    }

    proptest! {
        #[test]
        fn every_step_keeps_its_bounds_and_prompts_are_computed_once_in_order(
            events in prop::collection::vec(event(), 1..200),
        ) {
            let mut schedule = Schedule::new(4, LIMITS);
            // What is expected of each taken slot: prompt tokens done and in all.
            let mut expected: [Option<(usize, usize)>; 4] = [None; 4];
            for event in events {
                match event {
                    Event::Admit(total) => match schedule.admit(total) {
                        Some(slot) => prop_assert!(expected[slot].replace((0, total)).is_none()),
                        None => prop_assert!(expected.iter().all(Option::is_some)),
                    },
                    Event::Release(slot) => {
                        schedule.release(slot);
                        expected[slot] = None;
                    }
                    Event::Step(ready) => {
                        let step = schedule.plan(|slot| ready[slot]);
                        let mut spent = 0;
                        let mut next = [false; 4];
                        for work in &step {
                            let (done, total) = expected[work.slot()].expect("only taken slots work");
                            match work {
                                Work::Next { slot } => next[*slot] = true,
                                Work::Prompt { slot, range, last } => {
                                    prop_assert_eq!(range.start, done);
                                    prop_assert_eq!(*last, range.end == total);
                                    prop_assert!(range.start.is_multiple_of(LIMITS.piece));
                                    spent += range.len();
                                    expected[*slot] = Some((range.end, total));
                                }
                            }
                        }
                        prop_assert!(spent <= LIMITS.budget);
                        for slot in 0..4 {
                            let generates = expected[slot].is_some_and(|(done, total)| done == total)
                                && !step.iter().any(|w| matches!(w, Work::Prompt { slot: s, .. } if *s == slot));
                            prop_assert_eq!(next[slot], generates && ready[slot]);
                        }
                        schedule.advance(&step);
                    }
                }
                prop_assert_eq!(schedule.busy(), expected.iter().flatten().count());
            }
            (0..4).for_each(|slot| schedule.release(slot));
            prop_assert_eq!(schedule.busy(), 0);
            prop_assert!(schedule.plan(|_| true).is_empty());
        }

        #[test]
        fn every_prompt_is_done_after_a_bounded_number_of_steps(totals in prop::collection::vec(1..60_usize, 1..8)) {
            let mut schedule = Schedule::new(totals.len(), LIMITS);
            for &total in &totals {
                schedule.admit(total);
            }
            // A full piece fits at least, so that each step takes one piece or more.
            let pieces: usize = totals.iter().map(|total| total.div_ceil(LIMITS.piece)).sum();
            for _ in 0..pieces {
                schedule.advance(&schedule.clone().plan(|_| true));
            }
            prop_assert_eq!(schedule.plan(|_| true).len(), totals.len());
            let all_generate = schedule.plan(|_| true).iter().all(|work| matches!(work, Work::Next { .. }));
            prop_assert!(all_generate);
        }
    }
}
