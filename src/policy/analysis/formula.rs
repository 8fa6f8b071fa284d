//! Formulas over truth values, and the question whether one can be true.
//!
//! A formula is a literal of a SAT solver; connectives are clauses (Tseitin's encoding, in both directions). Policies
//! are small for a solver that finds its way by conflicts: the proof of a set grows with what its rules have to do with
//! each other, not with the number of possible requests, which is what a table or a decision diagram would hold.

use std::collections::HashMap;

use batsat::{Callbacks, ClauseKind, Lit, Solver, SolverInterface, SolverOpts, lbool};

/// Conflicts after which a question is given up. A policy that people wrote takes a few hundred.
const MAX_CONFLICTS: u64 = 200_000;
/// The same where only a smaller case of a thing that is known to exist is looked for.
const MAX_CONFLICTS_SMALLER: u64 = 1_000;

/// A truth value that depends on the request.
pub(super) type Formula = Lit;

/// Whether a formula can be true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Yes, and [`Formulas::holds`] tells how.
    Yes,
    /// No.
    No,
    /// Nobody knows: the search was given up.
    GivenUp,
}

/// All formulas of one analysis.
pub(super) struct Formulas {
    solver: Solver<Patience>,
    always: Formula,
    /// Conjunctions that were asked for before.
    both: HashMap<(Formula, Formula), Formula>,
}

impl Formulas {
    pub(super) fn new() -> Self {
        let mut solver = Solver::new(SolverOpts::default(), Patience::default());
        let always = Lit::new(solver.new_var_default(), true);
        solver.add_clause_reuse(&mut vec![always]);
        Self { solver, always, both: HashMap::new() }
    }

    /// The constant `value`.
    pub(super) fn constant(&self, value: bool) -> Formula {
        if value { self.always } else { !self.always }
    }

    /// A free truth value.
    pub(super) fn fresh(&mut self) -> Formula {
        Lit::new(self.solver.new_var_default(), true)
    }

    pub(super) fn and(&mut self, a: Formula, b: Formula) -> Formula {
        if a == self.always || a == b || b == !self.always {
            return b;
        }
        if b == self.always || a == !self.always {
            return a;
        }
        if a == !b {
            return !self.always;
        }
        let key = if a < b { (a, b) } else { (b, a) };
        if let Some(known) = self.both.get(&key) {
            return *known;
        }
        let both = self.fresh();
        self.clause(&[!both, a]);
        self.clause(&[!both, b]);
        self.clause(&[both, !a, !b]);
        self.both.insert(key, both);
        both
    }

    pub(super) fn or(&mut self, a: Formula, b: Formula) -> Formula {
        !self.and(!a, !b)
    }

    pub(super) fn all(&mut self, formulas: impl IntoIterator<Item = Formula>) -> Formula {
        let none = self.constant(true);
        formulas.into_iter().fold(none, |all, one| self.and(all, one))
    }

    pub(super) fn any(&mut self, formulas: impl IntoIterator<Item = Formula>) -> Formula {
        let none = self.constant(false);
        formulas.into_iter().fold(none, |any, one| self.or(any, one))
    }

    /// From now on exactly one of `formulas` is true.
    pub(super) fn exactly_one(&mut self, formulas: &[Formula]) {
        self.clause(formulas);
        for (i, a) in formulas.iter().enumerate() {
            for b in &formulas[i + 1..] {
                self.clause(&[!*a, !*b]);
            }
        }
    }

    /// For each `k` below `most`, whether more than `k` of `formulas` are true: a sequential counter (Sinz, *Towards an
    /// Optimal CNF Encoding of Boolean Cardinality Constraints*, 2005).
    pub(super) fn more_than(&mut self, formulas: &[Formula], most: usize) -> Vec<Formula> {
        let mut counted = vec![self.constant(false); most];
        for formula in formulas {
            for k in (0..most).rev() {
                let lower = if k == 0 { self.always } else { counted[k - 1] };
                let next = self.and(*formula, lower);
                counted[k] = self.or(counted[k], next);
            }
        }
        counted
    }

    /// Whether all of `assumed` can be true at once.
    pub(super) fn can_be(&mut self, assumed: &[Formula]) -> Answer {
        self.search(assumed, MAX_CONFLICTS)
    }

    /// As [`Formulas::can_be`], but given up sooner.
    pub(super) fn can_easily_be(&mut self, assumed: &[Formula]) -> Answer {
        self.search(assumed, MAX_CONFLICTS_SMALLER)
    }

    fn search(&mut self, assumed: &[Formula], conflicts: u64) -> Answer {
        self.solver.cb_mut().most = conflicts;
        let answer = self.solver.solve_limited(assumed);
        if answer == lbool::TRUE {
            Answer::Yes
        } else if answer == lbool::FALSE {
            Answer::No
        } else {
            Answer::GivenUp
        }
    }

    /// The value of `formula` in the case that [`Formulas::can_be`] found.
    pub(super) fn holds(&self, formula: Formula) -> bool {
        self.solver.value_lit(formula) == lbool::TRUE
    }

    fn clause(&mut self, formulas: &[Formula]) {
        self.solver.add_clause_reuse(&mut formulas.to_vec());
    }
}

/// Gives up after so many conflicts.
#[derive(Default)]
struct Patience {
    learnt: u64,
    most: u64,
}

impl Callbacks for Patience {
    fn on_start(&mut self) {
        self.learnt = 0;
    }

    fn on_new_clause(&mut self, _: &[Lit], _: ClauseKind) {
        self.learnt += 1;
    }

    fn stop(&self) -> bool {
        self.learnt > self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connectives_and_counter_agree_with_arithmetic_on_every_input() {
        let mut formulas = Formulas::new();
        let inputs: Vec<Formula> = (0..4).map(|_| formulas.fresh()).collect();
        let all = formulas.all(inputs.iter().copied());
        let any = formulas.any(inputs.iter().copied());
        let more = formulas.more_than(&inputs, 3);
        for bits in 0..16u32 {
            let assumed: Vec<Formula> = (0..4).map(|i| inputs[i].apply_sign(bits & (1 << i) != 0)).collect();
            assert_eq!(formulas.can_be(&assumed), Answer::Yes);
            assert_eq!((formulas.holds(all), formulas.holds(any)), (bits == 15, bits != 0));
            for (k, formula) in more.iter().enumerate() {
                assert_eq!(formulas.holds(*formula), bits.count_ones() as usize > k, "{bits:b} {k}");
            }
        }
    }

    #[test]
    fn exactly_one_leaves_as_many_cases_as_formulas() {
        let mut formulas = Formulas::new();
        let inputs: Vec<Formula> = (0..3).map(|_| formulas.fresh()).collect();
        formulas.exactly_one(&inputs);
        assert_eq!(formulas.can_be(&[!inputs[0], !inputs[1]]), Answer::Yes);
        assert!(formulas.holds(inputs[2]));
        assert_eq!(formulas.can_be(&[inputs[0], inputs[1]]), Answer::No);
        assert_eq!(formulas.can_be(&[!inputs[0], !inputs[1], !inputs[2]]), Answer::No);
    }
}
