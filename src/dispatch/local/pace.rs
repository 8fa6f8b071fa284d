//! What a step takes by how many tokens it computes, and so how many guesses pay: pure arithmetic.
//!
//! Models and machines differ: on one, sixteen tokens at once take nine times as long as one, on another hardly longer; and
//! when a machine is busy, all take longer. So it is measured, on every step that computes no prompts.

/// By what share of the first a further token makes a step longer, as long as nothing is known: little, so that it is tried.
const FURTHER: f64 = 0.25;
/// By how much guesses must make a step shorter per token that is said: neither costs nor chances are known exactly.
const WORTH: f64 = 1.05;
/// Of guesses less likely than this, and of those behind them, nothing is expected.
const UNLIKELY: f64 = 0.01;
/// How the latest step with guesses weighs against those before, in what so many tokens cost.
const WEIGHT: f64 = 0.1;
/// How the latest step without guesses weighs, in what so many tokens cost and in how slow the machine is just now: that changes
/// sooner.
const PLAIN_WEIGHT: (f64, f64) = (0.02, 0.2);
/// A cost is forgotten after so many steps in which it was not measured: what was too dear is tried again at some time.
const KEPT: u64 = 10_000;
/// What is more than so many times what was expected, or less, counts as so much: something else was going on.
const PLAUSIBLE: f64 = 4.0;
/// Costs are known of up to so many tokens at once.
const MOST: usize = 64;

/// What a step computes beside prompts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Load {
    /// Sequences that generate.
    pub(super) generating: usize,
    /// Guesses of what they say next.
    pub(super) guesses: usize,
    /// How many of the guesses are right, on average.
    pub(super) right: f64,
}

impl Load {
    /// With one guess more, that is right with this `chance`.
    fn with(self, chance: f64) -> Self {
        Self { guesses: self.guesses + 1, right: self.right + chance, ..self }
    }

    /// Tokens that are said, on average.
    fn said(self) -> f64 {
        self.generating as f64 + self.right
    }
}

/// What it costs to compute so many tokens at once.
#[derive(Clone, Copy, Debug)]
struct Cost {
    /// In milliseconds, when the machine is as slow as at first.
    took: f64,
    /// In which step it was measured last.
    step: u64,
}

/// What steps took.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    /// By how many tokens are computed at once, less one.
    costs: [Option<Cost>; MOST],
    steps: u64,
    /// How many times slower the machine is just now.
    slowness: f64,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { costs: [None; MOST], steps: 0, slowness: 1.0 }
    }

    /// `load` with as many of the guesses that are right with these `chances` (each where all before it are) as make its step
    /// shortest per token that is said.
    pub(super) fn extend(&self, load: Load, chances: impl Iterator<Item = f64>) -> Load {
        let rate = |load: Load| load.said() / self.time(load);
        let (mut best, mut least) = (load, WORTH * rate(load));
        let (mut with, mut chance) = (load, 1.0);
        for next in chances {
            chance *= next;
            if chance < UNLIKELY {
                break;
            }
            with = with.with(chance);
            if rate(with) > least {
                (best, least) = (with, rate(with));
            }
        }
        best
    }

    /// A step of `load` took so many milliseconds.
    pub(super) fn note(&mut self, load: Load, took: f64) {
        match load {
            Load { generating: 0, .. } => {}
            Load { generating, guesses: 0, .. } => {
                let longer = self.learn(generating, took, PLAIN_WEIGHT.0);
                self.slowness *= longer.powf(PLAIN_WEIGHT.1);
            }
            Load { generating: 1, guesses, .. } => {
                self.learn(1 + guesses, took, WEIGHT);
            }
            Load { generating, guesses, .. } => {
                self.learn(guesses, took - self.cost(generating) * self.slowness, WEIGHT);
            }
        }
    }

    /// How long a step takes. With several sequences, llama.cpp computes the guesses in a pass of their own.
    fn time(&self, load: Load) -> f64 {
        match load {
            Load { generating: 1, guesses, .. } => self.cost(1 + guesses),
            Load { generating, guesses: 0, .. } => self.cost(generating),
            Load { generating, guesses, .. } => self.cost(generating) + self.cost(guesses),
        }
    }

    /// What so many tokens at once cost: between those that are known on a line, beyond them as if nothing was known.
    fn cost(&self, tokens: usize) -> f64 {
        let known = |tokens: usize| self.known(tokens).map(|cost| (tokens, cost.took));
        let below = (1..=tokens.min(MOST)).rev().find_map(known);
        match (below, (tokens..=MOST).find_map(known)) {
            (Some((less, low)), Some((more, high))) if less < more => {
                low + (high - low) * (tokens - less) as f64 / (more - less) as f64
            }
            (Some((other, cost)), _) | (None, Some((other, cost))) => cost * assumed(tokens) / assumed(other),
            (None, None) => assumed(tokens),
        }
    }

    /// What so many tokens cost, where that was measured lately.
    fn known(&self, tokens: usize) -> Option<Cost> {
        self.costs[tokens - 1].filter(|cost| self.steps - cost.step < KEPT)
    }

    /// How many times longer than expected so many tokens took.
    fn learn(&mut self, tokens: usize, took: f64, weight: f64) -> f64 {
        if tokens > MOST || took <= 0.0 {
            return 1.0;
        }
        self.steps += 1;
        let took = took / self.slowness;
        let (longer, took) = match self.known(tokens) {
            Some(cost) => {
                let longer = (took / cost.took).clamp(1.0 / PLAUSIBLE, PLAUSIBLE);
                (longer, cost.took * longer.powf(weight))
            }
            // Tokens at once take no longer than one after the other.
            None => (1.0, took.min(self.known(1).map_or(f64::INFINITY, |one| one.took * tokens as f64))),
        };
        self.costs[tokens - 1] = Some(Cost { took, step: self.steps });
        longer
    }
}

/// What so many tokens at once cost, as a multiple of what one costs, as long as nothing is known.
fn assumed(tokens: usize) -> f64 {
    1.0 + FURTHER * tokens.saturating_sub(1) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Milliseconds that models take for so many tokens at once, measured on one core.
    const SMOLLM2: [(usize, f64); 7] =
        [(1, 12.5), (4, 36.0), (5, 38.0), (8, 58.0), (12, 84.0), (16, 114.0), (32, 228.0)];
    const QWEN: [(usize, f64); 7] =
        [(1, 49.0), (2, 85.0), (4, 149.0), (8, 325.0), (12, 427.0), (16, 411.0), (32, 723.0)];

    fn alone(guesses: usize) -> Load {
        Load { generating: 1, guesses, right: 0.0 }
    }

    fn measured(costs: &[(usize, f64)]) -> Pace {
        let mut pace = Pace::new();
        costs.iter().for_each(|(tokens, took)| pace.note(alone(tokens - 1), *took));
        pace
    }

    /// How many of the guesses that are each right with this `chance` pay.
    fn guesses(pace: &Pace, generating: usize, chance: f64) -> usize {
        let load = Load { generating, ..Load::default() };
        pace.extend(load, std::iter::repeat_n(chance, 31)).guesses
    }

    #[test]
    fn so_many_guesses_are_made_as_pay_with_a_model() {
        let (small, large) = (measured(&SMOLLM2), measured(&QWEN));
        let chances = [0.3, 0.6, 0.8, 0.9, 0.95, 0.99];
        assert_eq!(chances.map(|chance| guesses(&small, 1, chance)), [0, 0, 1, 4, 4, 11]);
        assert_eq!(chances.map(|chance| guesses(&large, 1, chance)), [0, 0, 0, 2, 15, 29]);
    }

    #[test]
    fn where_more_tokens_cost_nothing_more_even_poor_guesses_pay() {
        let gpu = measured(&[(1, 2.0), (32, 2.1)]);
        assert_eq!([0.05, 0.2, 0.5].map(|chance| guesses(&gpu, 1, chance) > 0), [false, true, true]);
    }

    #[test]
    fn among_many_guesses_pay_only_where_they_are_cheaper_than_a_step_of_all() {
        let pace = measured(&SMOLLM2);
        assert_eq!([1, 4, 16].map(|generating| guesses(&pace, generating, 0.85)), [4, 0, 0]);
    }

    #[test]
    fn what_is_not_known_is_tried() {
        assert!(guesses(&Pace::new(), 1, 0.7) > 0);
        let one = measured(&[(1, 12.5)]);
        assert!(guesses(&one, 1, 0.99) > 15);
    }

    #[test]
    fn a_busy_machine_on_which_everything_takes_longer_changes_little() {
        let mut pace = measured(&QWEN);
        (0..50).for_each(|_| pace.note(alone(0), 3.0 * 49.0));
        let (before, after) = (411.0 / 49.0, pace.cost(16) / pace.cost(1));
        assert!((after / before - 1.0).abs() < 0.15, "{before} {after}");
        assert!((pace.cost(1) * pace.slowness - 147.0).abs() < 5.0, "{pace:?}");
    }

    #[test]
    fn what_was_too_dear_once_is_tried_again_at_some_time() {
        let mut pace = measured(&[(1, 10.0), (5, 50.0), (16, 1e6)]);
        assert_eq!((pace.cost(16), guesses(&pace, 1, 0.95)), (160.0, 0));
        let plain = (1..).find(|_| {
            pace.note(alone(0), 10.0);
            guesses(&pace, 1, 0.95) > 0
        });
        assert!((9_000..=10_000).contains(&plain.unwrap()), "{plain:?}");
    }

    #[test]
    fn guesses_among_many_are_measured_by_what_they_add() {
        let mut pace = Pace::new();
        let many = Load { generating: 4, ..Load::default() };
        for _ in 0..20 {
            pace.note(many, 40.0);
            pace.note(Load { guesses: 8, ..many }, 40.0 + 70.0);
        }
        assert!((pace.cost(8) - 70.0).abs() < 8.0, "{pace:?}");
    }

    proptest! {
        #[test]
        fn costs_stay_positive_and_finite_whatever_is_measured(
            steps in prop::collection::vec((0..80_usize, 0..80_usize, prop_oneof![0.0..1e6_f64, 0.0..1e-3_f64]), 1..200),
            chances in prop::collection::vec(0.0..1.0_f64, 0..40),
        ) {
            let mut pace = Pace::new();
            for (generating, guesses, took) in steps {
                pace.note(Load { generating, guesses, right: 0.0 }, took);
                for tokens in 1..200 {
                    let cost = pace.cost(tokens);
                    prop_assert!(cost > 0.0 && (cost * pace.slowness).is_finite(), "{tokens}: {cost}");
                }
                let load = Load { generating: generating.max(1), ..Load::default() };
                let best = pace.extend(load, chances.iter().copied());
                prop_assert!(best.guesses <= chances.len() && best.right <= best.guesses as f64);
            }
        }
    }
}
