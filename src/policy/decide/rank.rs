//! The order in which an objective puts candidates.

use std::cmp::Ordering;

use super::Decider;
use crate::policy::decision::{Candidate, Choice, Plan};
use crate::policy::quality::Cascade;
use crate::policy::set::{Boundary, DestinationId, Goal, IfUnknown, Objective, Route};

impl Decider<'_> {
    /// Puts the plan in the objective's order and says why its first is first.
    pub(super) fn rank(&self, route: &Route, objective: &Objective, plan: &mut Plan) -> Choice {
        let unknown = self.quality_unknown(route, objective);
        if let (IfUnknown::Order(order), true) = (&objective.if_unknown, unknown) {
            let place = |id: DestinationId| order.iter().position(|d| *d == id).unwrap_or(usize::MAX);
            sort(plan, |a, b| place(a.id).cmp(&place(b.id)));
            return Choice::QualityUnknown;
        }
        let Some(cascade) = &route.cascade else { return self.optimise(route, objective, plan) };
        let p_ok = self.inputs.states[usize::from(cascade.start.0)].p_ok;
        match (p_ok, cascade.skip_below) {
            _ if unknown => self.cascade(cascade, plan),
            (Some(p_ok), Some(skip)) if p_ok < skip => {
                let choice = self.optimise(route, objective, plan);
                sort(plan, |a, b| (a.id == cascade.start).cmp(&(b.id == cascade.start)));
                choice
            }
            (Some(p_ok), _) if objective.min_p_ok.is_some_and(|target| p_ok < target) => self.cascade(cascade, plan),
            _ => self.optimise(route, objective, plan),
        }
    }

    /// The start drafts, then come those it escalates to. Until drafts are verified this is an order of fallbacks.
    fn cascade(&self, cascade: &Cascade, plan: &mut Plan) -> Choice {
        sort(plan, |a, b| cascade.position(a.id).cmp(&cascade.position(b.id)));
        plan.truncate(cascade.max_attempts.unwrap_or(usize::MAX));
        if self.is_open(cascade.start) { Choice::Cascade } else { Choice::QualityUnknown }
    }

    fn optimise(&self, route: &Route, objective: &Objective, plan: &mut Plan) -> Choice {
        let listed = |id: DestinationId| route.candidates.iter().position(|d| *d == id);
        sort(plan, |a, b| {
            let (a_meets, b_meets) = (meets(objective, a), meets(objective, b));
            // Asked only where both meet it or neither does.
            let by_goal = match (objective.goal, a_meets) {
                (Goal::MinimizeCost, true) => self.shadow_price(a).total_cmp(&self.shadow_price(b)),
                (Goal::MaximizeQuality, _) | (Goal::MinimizeCost, false) => better(a, b),
            };
            b_meets.cmp(&a_meets).then(by_goal).then_with(|| listed(a.id).cmp(&listed(b.id)))
        });
        match plan.as_slice().first() {
            Some(first) if meets(objective, first) => Choice::Objective,
            _ => Choice::BestAvailable,
        }
    }

    /// `if_unknown` speaks when the chance of the first local candidate is not known.
    fn quality_unknown(&self, route: &Route, objective: &Objective) -> bool {
        objective.min_p_ok.is_some()
            && route
                .candidates
                .iter()
                .find(|id| self.set.destination(**id).boundary == Boundary::Host)
                .is_some_and(|id| self.inputs.states[usize::from(id.0)].p_ok.is_none())
    }

    /// The cost in dollars as objectives see it: remote is dearer while budgets run ahead.
    pub(super) fn shadow_price(&self, candidate: &Candidate) -> f64 {
        let factor = match self.set.destination(candidate.id).boundary {
            Boundary::Host => 1.0,
            Boundary::External => self.reprice,
        };
        candidate.worst_case.as_usd() * factor
    }
}

fn meets(objective: &Objective, candidate: &Candidate) -> bool {
    objective.min_p_ok.is_none_or(|min| candidate.p_ok.is_some_and(|p| p >= min))
        && objective.max_cost.is_none_or(|max| candidate.worst_case <= max)
}

/// Higher chance first; unknown counts as none.
fn better(a: &Candidate, b: &Candidate) -> Ordering {
    b.p_ok.unwrap_or(0.0).total_cmp(&a.p_ok.unwrap_or(0.0))
}

/// Insertion sort: stable, allocates nothing, and there are few candidates.
fn sort(plan: &mut Plan, compare: impl Fn(&Candidate, &Candidate) -> Ordering) {
    let candidates = plan.as_mut_slice();
    for i in 1..candidates.len() {
        let mut at = i;
        while at > 0 && compare(&candidates[at - 1], &candidates[at]) == Ordering::Greater {
            candidates.swap(at - 1, at);
            at -= 1;
        }
    }
}
