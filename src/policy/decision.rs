//! What was decided about one request, and why. Fixed size: deciding allocates nothing.

use super::facts::UNINSPECTABLE;
use super::permit::Terms;
use super::set::{Basis, Class, Declassify, DestinationId, DestinationSet, TransformSet};
use super::{Grant, PolicySet};
use crate::chat::MicroUsd;

/// Indices of rules of one kind, at most 1,024.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleSet([u64; 16]);

impl RuleSet {
    /// The most rules of one kind that a policy set can have.
    pub const MAX: usize = 1024;

    /// With rule `index`.
    pub fn insert(&mut self, index: usize) {
        self.0[index / 64] |= 1 << (index % 64);
    }

    /// Whether rule `index` is in it.
    pub fn contains(&self, index: usize) -> bool {
        self.0.get(index / 64).is_some_and(|word| word & (1 << (index % 64)) != 0)
    }
}

/// The first thing that keeps a destination from being chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Barrier {
    /// Nothing.
    #[default]
    None,
    /// The class is above its ceiling, and nothing lowers it.
    Class,
    /// The guard with this index.
    Guard(u16),
    /// A step of the budget with this index.
    Budget(u16),
    /// The set in force does not permit it, and this one is only tried.
    Rollout,
    /// A required transform that this installation cannot do.
    Transform,
    /// It has no known price.
    Price,
    /// Its worst case is above a cap for one request.
    Cost,
    /// It cannot do what the request uses: tools, images, a format.
    Lacks(&'static str),
    /// It is not to be reached: no credentials, not loaded, failed.
    Unavailable(&'static str),
    /// It is known to be slower than the route allows.
    Slow,
}

impl Barrier {
    /// Whether it is a matter of permission: these only grow when detectors fail.
    pub fn is_permission(self) -> bool {
        matches!(self, Self::Class | Self::Guard(_) | Self::Budget(_) | Self::Rollout | Self::Transform)
    }
}

/// One destination of the plan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Whom.
    pub id: DestinationId,
    /// The chance that its answer is good enough, where known.
    pub p_ok: Option<f64>,
    /// What the request can cost there at most.
    pub worst_case: MicroUsd,
}

/// Why the plan's first candidate is first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The route lists it first.
    Listed,
    /// The client named it.
    Preferred,
    /// It answered the conversation before.
    Stays,
    /// It meets the objective best.
    Objective,
    /// `p_ok` is unknown, and the route says whom to ask then.
    QualityUnknown,
    /// The route's cascade starts with it.
    Cascade,
    /// Nobody meets the objective; it comes nearest.
    BestAvailable,
}

impl Choice {
    /// The code shown to clients and kept in records.
    pub fn code(self) -> &'static str {
        match self {
            Self::Listed => "listed_first",
            Self::Preferred => "client_preference",
            Self::Stays => "stays_with_model",
            Self::Objective => "meets_objective",
            Self::QualityUnknown => "quality_unknown",
            Self::Cascade => "cascade",
            Self::BestAvailable => "below_quality_target",
        }
    }
}

/// Why nobody may or can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of refusal.
    pub kind: RefusalKind,
    /// The rule that refuses.
    pub by: RefusedBy,
}

impl Refusal {
    /// The policy's own word for it, or the kind's code; `set` is the one that decided.
    pub fn reason<'s>(&self, set: &'s PolicySet) -> &'s str {
        let word = match self.by {
            RefusedBy::Guard(guard) => set.guards[usize::from(guard)].block.as_deref(),
            RefusedBy::Budget { budget, step } => {
                set.budgets[usize::from(budget)].ladder[usize::from(step)].refuse.as_deref()
            }
            RefusedBy::Route(route) => Some(set.routes[usize::from(route)].on_empty.as_str()).filter(|w| !w.is_empty()),
        };
        word.unwrap_or(self.kind.code())
    }
}

/// Rules that refuse, by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedBy {
    /// This guard blocks.
    Guard(u16),
    /// This step of this budget refuses.
    Budget {
        /// Index of the budget.
        budget: u16,
        /// Index in its ladder.
        step: u16,
    },
    /// Nobody is left of this route's candidates.
    Route(u16),
}

/// The kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The policy permits no candidate.
    Policy,
    /// Money is what is missing.
    Budget,
    /// No permitted candidate can do what the request uses.
    Capability,
    /// Those who could are not there now.
    Unavailable,
}

impl RefusalKind {
    /// The code used where a policy gives no word of its own.
    pub fn code(self) -> &'static str {
        match self {
            Self::Policy => "policy_unsatisfiable",
            Self::Budget => "budget_exhausted",
            Self::Capability => "capability_missing",
            Self::Unavailable => "destination_unavailable",
        }
    }
}

/// Where it goes first, or why it goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The plan's first candidate, for this reason.
    Go(Choice),
    /// Nowhere.
    Refuse(Refusal),
}

/// The decision about one request.
#[derive(Clone, Debug)]
pub struct Decision {
    /// How sensitive the request is.
    pub class: Class,
    /// What that relies on.
    pub basis: Basis,
    /// Index of the baseline it started from.
    pub baseline: Option<u16>,
    /// Which classify rules applied.
    pub classified_by: RuleSet,
    /// Which guards applied.
    pub guards: RuleSet,
    /// Which destinations may receive it, ceilings, guards and budgets considered.
    pub permitted: DestinationSet,
    /// What keeps each destination out, by index.
    pub barriers: [Barrier; DestinationSet::MAX],
    /// What must be done to the body for each destination, by index.
    pub transforms: [TransformSet; DestinationSet::MAX],
    /// Index of the declassify rule by which each destination may receive it, where its class alone would not let it.
    pub ways: [Option<u16>; DestinationSet::MAX],
    /// Index of the route taken.
    pub route: Option<u16>,
    /// Whether the request holds what no detector can look into.
    pub uninspectable: bool,
    /// The lowest output cap of the guards that applied.
    pub max_output: Option<u32>,
    /// The lowest cost cap of the guards that applied.
    pub max_cost: Option<MicroUsd>,
    /// Go or refuse.
    pub outcome: Outcome,
    pub(super) plan: Plan,
}

impl Decision {
    /// Who is tried, in this order; empty when refused.
    pub fn plan(&self) -> &[Candidate] {
        self.plan.as_slice()
    }

    /// The class that the request started in; `set` is the one that decided.
    pub fn start(&self, set: &PolicySet) -> Class {
        self.baseline.map_or(set.default_class, |i| set.baselines[usize::from(i)].class)
    }

    /// Whether the other decision is the same in all that acts on the request; which rules led to it may differ.
    pub fn acts_as(&self, other: &Self) -> bool {
        let limits = |decision: &Self| (decision.max_output, decision.max_cost);
        (self.class, self.basis) == (other.class, other.basis)
            && (self.permitted, self.transforms, self.ways) == (other.permitted, other.transforms, other.ways)
            && (self.route, limits(self)) == (other.route, limits(other))
            && self.outcome == other.outcome
            && self.plan() == other.plan()
    }

    /// What operators should know: `below_quality_target` of the choice, `uninspectable` of the request.
    pub fn flags(&self) -> impl Iterator<Item = &'static str> {
        let below = self.outcome == Outcome::Go(Choice::BestAvailable);
        let flags = [below.then_some(Choice::BestAvailable.code()), self.uninspectable.then_some(UNINSPECTABLE)];
        flags.into_iter().flatten()
    }

    /// What the request counts as once it is fit for `id`; `set` is the one that decided.
    pub fn class_sent(&self, set: &PolicySet, id: DestinationId) -> Class {
        self.way(set, id).map_or(self.class, |rule| rule.to)
    }

    /// The declassify rule by which `id` may receive it, if it needs one.
    pub fn way<'s>(&self, set: &'s PolicySet, id: DestinationId) -> Option<&'s Declassify> {
        self.ways[usize::from(id.0)].map(|way| &set.declassify[usize::from(way)])
    }

    /// The right to build a body for `id`; only for destinations that are permitted, whatever the plan says.
    pub fn grant(&self, set: &PolicySet, id: DestinationId) -> Option<Grant> {
        if !self.permitted.contains(id) {
            return None;
        }
        let destination = set.destination(id);
        Some(Grant::new(Terms {
            destination: destination.name.as_str().into(),
            boundary: destination.boundary,
            class: set.class_name(self.class_sent(set, id)).into(),
            basis: self.basis,
            transforms: self.transforms[usize::from(id.0)],
            policy: set.digest.as_str().into(),
        }))
    }
}

/// The candidates in order, without allocating.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    candidates: [Candidate; DestinationSet::MAX],
    len: usize,
}

impl Plan {
    pub(super) fn new() -> Self {
        let none = Candidate { id: DestinationId(0), p_ok: None, worst_case: MicroUsd::ZERO };
        Self { candidates: [none; DestinationSet::MAX], len: 0 }
    }

    pub(super) fn push(&mut self, candidate: Candidate) {
        // A route lists each destination once, so there are never more than MAX.
        self.candidates[self.len] = candidate;
        self.len += 1;
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    pub(super) fn as_slice(&self) -> &[Candidate] {
        &self.candidates[..self.len]
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [Candidate] {
        &mut self.candidates[..self.len]
    }
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_slice().fmt(f)
    }
}
