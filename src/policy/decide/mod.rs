//! Facts in, decision out.
//!
//! Permission is a meet over everything that restricts (ceilings, guards, budget steps), so the order of rules cannot
//! matter; only routes are ordered, and a route chooses among what is permitted. This file tells the order of steps and
//! the class; `restrict` takes destinations away, `choose` picks among those left, `rank` knows objectives, and `affinity`
//! keeps conversations where they were.

mod affinity;
mod choose;
mod rank;
mod restrict;

use std::time::Duration;

use super::decision::{Barrier, Choice, Decision, Outcome, Plan, Refusal, RuleSet};
use super::facts::UNINSPECTABLE;
use super::rollout::Bounds;
use super::set::{Basis, Class, DestinationId, DestinationSet, Floor, PolicySet, TransformSet};
use super::vocabulary::{Fact, Facts};
use crate::chat::MicroUsd;
use crate::classify::Truth;

/// What is known about a destination at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DestinationState {
    /// Why it cannot be reached, if so.
    pub unavailable: Option<&'static str>,
    /// For how long that lasts, where it is known.
    pub rest: Option<Duration>,
    /// What the request uses that it cannot do, if anything.
    pub lacks: Option<&'static str>,
    /// What the request can cost there at most; `None` is unknown, and then it is not called.
    pub worst_case: Option<MicroUsd>,
    /// Chance that its answer is good enough.
    pub p_ok: Option<f64>,
    /// Whether that chance is the set's own guess, for want of anything better.
    pub assumed: bool,
    /// Its recent 95th percentile time to first token.
    pub ttft: Option<Duration>,
    /// Whether it is known that it cannot think as the request asks it to.
    pub ignores_reasoning: bool,
    /// Where it answered the request's conversation last.
    pub answered: Option<Answered>,
}

/// That a destination answered the request's conversation last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Whether the request belongs to it: it holds thoughts that only it can open, or names its answer.
    pub bound: bool,
    /// Whether a person speaks again, and not a tool.
    pub user_turn: bool,
    /// What the request can cost there at most if its prompt is still in the provider's cache; `None` is unknown.
    pub cached: Option<MicroUsd>,
}

impl DestinationState {
    /// With the set's own guess for `id` where nothing better is known.
    pub fn assuming(self, set: &PolicySet, id: DestinationId) -> Self {
        match (self.p_ok, set.assumed_quality(id)) {
            (None, Some(guess)) => Self { p_ok: Some(guess), assumed: true, ..self },
            _ => self,
        }
    }
}

/// Everything a decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The request's facts.
    pub facts: &'a Facts,
    /// One per destination, in the set's order.
    pub states: &'a [DestinationState],
    /// The class that the request's conversation has already, if any.
    pub floor: Option<Floor>,
    /// The destination that the client named.
    pub preference: Option<DestinationId>,
    /// Whether nobody else may answer: the client named a model, and what another says would be no answer.
    pub insists: bool,
    /// The transforms this installation can do.
    pub able: TransformSet,
}

/// Decides. Pure, total, and without allocation.
pub fn decide(set: &PolicySet, inputs: &Inputs<'_>) -> Decision {
    let mut decider = Decider::new(set, inputs);
    let refusal = decider.restrictions();
    decider.conclude(refusal)
}

/// Decides within what another set decided about the same request: nobody is let in that `bounds` keep out, and what
/// they ask for is asked for as well.
pub fn decide_within(set: &PolicySet, inputs: &Inputs<'_>, bounds: &Bounds) -> Decision {
    let mut decider = Decider::new(set, inputs);
    let refusal = decider.restrictions();
    decider.keep_within(bounds);
    decider.conclude(refusal)
}

/// How sensitive a request with these facts is: what [`decide`] begins with.
pub fn class_of(set: &PolicySet, facts: &Facts) -> Class {
    classified(set, facts).class
}

struct Classified {
    class: Class,
    start: Class,
    baseline: Option<u16>,
    by: RuleSet,
}

/// Baselines lower the start, the lowest that certainly applies wins; classify rules raise it, the highest wins.
/// Both directions make *unknown* restrict: an unknown baseline does not lower, an unknown classify rule raises.
fn classified(set: &PolicySet, facts: &Facts) -> Classified {
    let (mut start, mut baseline) = (set.default_class, None);
    for (i, rule) in set.baselines.iter().enumerate() {
        if rule.class < start && rule.when.eval(facts, 0).is_true() {
            (start, baseline) = (rule.class, Some(i as u16));
        }
    }
    let (mut class, mut by) = (start, RuleSet::default());
    for (i, rule) in set.classify.iter().enumerate() {
        if rule.when.eval(facts, 0).is_possible() {
            by.insert(i);
            class = class.max(rule.raise);
        }
    }
    Classified { class, start, baseline, by }
}

struct Decider<'a> {
    set: &'a PolicySet,
    inputs: &'a Inputs<'a>,
    decision: Decision,
    /// All destinations of the set.
    all: DestinationSet,
    /// Factor by which budgets make remote look dearer.
    reprice: f64,
}

impl<'a> Decider<'a> {
    fn new(set: &'a PolicySet, inputs: &'a Inputs<'a>) -> Self {
        let decision = Decision {
            class: set.default_class,
            basis: Basis::Declared,
            baseline: None,
            classified_by: RuleSet::default(),
            guards: RuleSet::default(),
            permitted: DestinationSet::EMPTY,
            barriers: [Barrier::None; DestinationSet::MAX],
            transforms: [TransformSet::default(); DestinationSet::MAX],
            ways: [None; DestinationSet::MAX],
            route: None,
            uninspectable: is_uninspectable(set, inputs.facts),
            max_output: None,
            max_cost: None,
            outcome: Outcome::Go(Choice::Listed),
            plan: Plan::new(),
        };
        let all = set.destinations.iter().map(|_| true).collect();
        Self { set, inputs, decision, all, reprice: 1.0 }
    }

    /// Everything that restricts; returns the refusal of a rule that refuses altogether. Budgets are climbed even where a
    /// guard has refused, for a sink that one of them shuts stays shut.
    fn restrictions(&mut self) -> Option<Refusal> {
        self.classify();
        self.ceilings();
        let (blocked, exhausted) = (self.guards(), self.budgets());
        blocked.or(exhausted)
    }

    fn conclude(mut self, refusal: Option<Refusal>) -> Decision {
        self.decision.permitted = self.permitted();
        self.constraints();
        self.choose(refusal);
        self.decision
    }

    fn classify(&mut self) {
        let Classified { class, start, baseline, by } = classified(self.set, self.inputs.facts);
        (self.decision.class, self.decision.baseline, self.decision.classified_by) = (class, baseline, by);
        if class > start {
            self.decision.basis = self.basis(class);
        }
        // What the conversation rose to stays, whatever this request says by itself.
        if let Some(floor) = self.inputs.floor.filter(|floor| floor.class > class) {
            (self.decision.class, self.decision.basis) = (floor.class, floor.basis);
        }
    }

    /// The strongest guarantee among the rules that lead to `class`.
    fn basis(&self, class: Class) -> Basis {
        let rules = self.set.classify.iter().enumerate();
        rules
            .filter(|(i, rule)| rule.raise == class && self.decision.classified_by.contains(*i))
            .map(|(_, rule)| match rule.when.eval(self.inputs.facts, 0) {
                Truth::True => rule.basis,
                Truth::False | Truth::Unknown => Basis::Unknown,
            })
            .min()
            .unwrap_or(Basis::Unknown)
    }
}

fn is_uninspectable(set: &PolicySet, facts: &Facts) -> bool {
    let slot = set.slots.uses.iter().find(|(name, _)| *name == UNINSPECTABLE);
    slot.is_some_and(|(_, slot)| facts.get(*slot) == Fact::Bool(true))
}
