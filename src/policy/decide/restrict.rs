//! What takes destinations away: ceilings, guards, budgets, another set's bounds, and what they cannot do.

use std::cmp::Reverse;

use super::Decider;
use crate::chat::MicroUsd;
use crate::policy::decision::{Barrier, Refusal, RefusalKind, RefusedBy};
use crate::policy::expr::DestinationCondition;
use crate::policy::rollout::Bounds;
use crate::policy::set::{Boundary, Destination, DestinationId, DestinationSet, Scope, Step, Transform, TransformSet};
use crate::policy::vocabulary::Fact;

impl Decider<'_> {
    pub(super) fn ceilings(&mut self) {
        for (i, destination) in self.set.destinations.iter().enumerate() {
            if self.decision.class <= destination.accepts {
                continue;
            }
            match self.way_down(destination) {
                Some(way) => {
                    self.decision.transforms[i] = self.set.declassify[usize::from(way)].requires;
                    self.decision.ways[i] = Some(way);
                }
                None => self.bar(i, Barrier::Class),
            }
        }
    }

    /// The rule that certainly applies and after whose transforms the request counts as one that `destination` accepts.
    /// For sinks nothing is transformed, so only rules that ask for nothing lead there.
    fn way_down(&self, destination: &Destination) -> Option<u16> {
        let class = self.decision.class;
        if self.set.sealed.contains(&class) {
            return None;
        }
        let unscannable =
            self.set.slots.unknown_any.is_some_and(|slot| self.inputs.facts.get(slot) != Fact::Bool(false));
        let open = self.set.declassify.iter().enumerate().filter(|(_, rule)| {
            class <= rule.up_to
                && rule.leads_to(destination)
                && !(unscannable && rule.requires.contains(Transform::RescanClean))
                && rule.when.eval(self.inputs.facts, class.0).is_true()
        });
        // Of several ways one that can be gone, else a way that opens as the class rises would let more in; then the one
        // that asks least and lowers least, whatever the order of the rules.
        let (index, _) = open.min_by_key(|(_, rule)| {
            let impossible = rule.requires.0 & !self.inputs.able.0 != 0;
            (impossible, rule.requires.0.count_ones(), rule.requires.0, Reverse(rule.to), rule.style)
        })?;
        // A set has at most 1,024 rules of a kind.
        Some(index as u16)
    }

    /// Applies every guard that is not certainly off; returns the reason of one that blocks altogether.
    pub(super) fn guards(&mut self) -> Option<Refusal> {
        let (facts, class) = (self.inputs.facts, self.decision.class.0);
        let mut blocked = None;
        for (i, guard) in self.set.guards.iter().enumerate() {
            if !guard.when.eval(facts, class).is_possible() {
                continue;
            }
            self.decision.guards.insert(i);
            self.restrict(guard.only.as_ref(), guard.deny.as_ref(), Barrier::Guard(i as u16));
            self.require(guard.require, Barrier::Guard(i as u16));
            self.decision.max_output = least(self.decision.max_output, guard.max_output);
            self.decision.max_cost = least(self.decision.max_cost, guard.max_cost);
            if guard.block.is_some() && blocked.is_none() {
                blocked = Some(Refusal { kind: RefusalKind::Policy, by: RefusedBy::Guard(i as u16) });
                self.bar_models(Barrier::Guard(i as u16));
            }
        }
        blocked
    }

    /// For sinks nothing is transformed: what must be, does not reach them.
    fn require(&mut self, transforms: TransformSet, barrier: Barrier) {
        if transforms.is_empty() {
            return;
        }
        for (i, destination) in self.set.destinations.iter().enumerate() {
            match destination.boundary {
                Boundary::External if destination.is_model() => {
                    self.decision.transforms[i] = self.decision.transforms[i].union(transforms);
                }
                Boundary::External => self.bar(i, barrier),
                Boundary::Host => {}
            }
        }
    }

    /// Climbs every budget's ladder; returns the reason of a step that refuses altogether.
    pub(super) fn budgets(&mut self) -> Option<Refusal> {
        let mut refused = None;
        for (i, budget) in self.set.budgets.iter().enumerate() {
            if budget.per == Scope::Request {
                self.request_budget(i, budget.limit, &budget.ladder);
                continue;
            }
            let used = self.inputs.facts.number(self.set.slots.budgets[i]);
            let ladder = budget.ladder.iter().enumerate();
            for (n, step) in ladder.filter(|(_, step)| used.is_none_or(|used| used >= step.at)) {
                self.restrict(step.only.as_ref(), step.deny.as_ref(), Barrier::Budget(i as u16));
                self.reprice = self.reprice.max(step.reprice.unwrap_or(1.0));
                if step.refuse.is_some() && refused.is_none() {
                    // A file of at most 1 MiB has fewer than 65,536 steps.
                    let by = RefusedBy::Budget { budget: i as u16, step: n as u16 };
                    refused = Some(Refusal { kind: RefusalKind::Budget, by });
                    self.bar_models(Barrier::Budget(i as u16));
                }
            }
        }
        refused
    }

    /// A budget for one request is about what the request would cost at each destination.
    fn request_budget(&mut self, budget: usize, limit: MicroUsd, ladder: &[Step]) {
        for (i, state) in self.inputs.states.iter().enumerate() {
            let Some(cost) = state.worst_case else { continue };
            let share = cost.as_usd() / limit.as_usd();
            if ladder.iter().any(|step| share > step.at) {
                self.bar(i, Barrier::Budget(budget as u16));
            }
        }
    }

    fn restrict(&mut self, only: Option<&DestinationCondition>, deny: Option<&DestinationCondition>, barrier: Barrier) {
        let (facts, class) = (self.inputs.facts, self.decision.class.0);
        let removed = only.map_or(DestinationSet::EMPTY, |only| self.all.without(only.certain(facts, class)));
        let denied = deny.map_or(DestinationSet::EMPTY, |deny| deny.possible(facts, class));
        for id in removed.or(denied).iter() {
            self.bar(usize::from(id.0), barrier);
        }
    }

    pub(super) fn keep_within(&mut self, bounds: &Bounds) {
        for i in 0..self.set.destinations.len() {
            self.decision.transforms[i] = self.decision.transforms[i].union(bounds.transforms[i]);
            if !bounds.permitted.contains(DestinationId(i as u8)) {
                self.bar(i, Barrier::Rollout);
            }
        }
        self.decision.max_output = least(self.decision.max_output, bounds.max_output);
        self.decision.max_cost = least(self.decision.max_cost, bounds.max_cost);
    }

    /// A rule that refuses altogether leaves nobody who may answer; sinks may still note that it did.
    fn bar_models(&mut self, barrier: Barrier) {
        for i in 0..self.set.destinations.len() {
            if self.set.destinations[i].is_model() {
                self.bar(i, barrier);
            }
        }
    }

    pub(super) fn permitted(&mut self) -> DestinationSet {
        for i in 0..self.set.destinations.len() {
            if self.decision.transforms[i].0 & !self.inputs.able.0 != 0 {
                self.bar(i, Barrier::Transform);
            }
        }
        let barriers = &self.decision.barriers[..self.set.destinations.len()];
        barriers.iter().map(|barrier| !barrier.is_permission()).collect()
    }

    pub(super) fn constraints(&mut self) {
        for (i, state) in self.inputs.states.iter().enumerate() {
            if let Some(lacking) = state.lacks {
                self.bar(i, Barrier::Lacks(lacking));
            }
            match (state.worst_case, self.decision.max_cost) {
                (None, _) => self.bar(i, Barrier::Price),
                (Some(cost), Some(cap)) if cost > cap => self.bar(i, Barrier::Cost),
                _ => {}
            }
            if let Some(why) = state.unavailable {
                self.bar(i, Barrier::Unavailable(why));
            }
        }
    }

    pub(super) fn bar(&mut self, index: usize, barrier: Barrier) {
        let first = &mut self.decision.barriers[index];
        if *first == Barrier::None {
            *first = barrier;
        }
    }
}

fn least<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
