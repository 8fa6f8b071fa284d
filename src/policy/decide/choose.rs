//! Who of those that are left answers, in which order, or why nobody does.

use super::Decider;
use crate::chat::Task;
use crate::policy::decision::{Barrier, Candidate, Choice, Outcome, Plan, Refusal, RefusalKind, RefusedBy};
use crate::policy::set::{DestinationId, Route};

impl Decider<'_> {
    pub(super) fn choose(&mut self, blocked: Option<Refusal>) {
        let facts = self.inputs.facts;
        let class = self.decision.class.0;
        let matched = self
            .set
            .routes
            .iter()
            .enumerate()
            .find(|(_, route)| route.when.as_ref().is_none_or(|when| when.eval(facts, class).is_true()));
        // The loader demands a last route without a condition, so one always matches.
        let Some((index, route)) = matched else { return };
        self.decision.route = Some(index as u16);
        if let Some(refusal) = blocked {
            self.decision.outcome = Outcome::Refuse(refusal);
            return;
        }
        self.outrun(route);
        self.keep_thinkers(route);
        let mut order: Plan = self.open_candidates(route);
        let choice = match &route.objective {
            None => Choice::Listed,
            Some(objective) => self.rank(route, objective, &mut order),
        };
        let refuse = choice == Choice::BestAvailable && route.objective.as_ref().is_some_and(|o| o.refuse_below);
        let choice = match self.prefer(route, &mut order) {
            true => Choice::Preferred,
            false if !refuse && self.stay(&mut order) => Choice::Stays,
            false => choice,
        };
        if self.inputs.insists {
            keep_only(&mut order, self.inputs.preference);
        }
        self.decision.outcome = if order.as_slice().is_empty() || (refuse && choice != Choice::Preferred) {
            Outcome::Refuse(Refusal { kind: self.refusal(route), by: RefusedBy::Route(index as u16) })
        } else {
            self.decision.plan = order;
            Outcome::Go(choice)
        };
    }

    fn outrun(&mut self, route: &Route) {
        let Some(limit) = route.ttft else { return };
        for id in &route.candidates {
            let i = usize::from(id.0);
            if self.inputs.states[i].ttft.is_some_and(|ttft| ttft > limit) {
                self.bar(i, Barrier::Slow);
            }
        }
    }

    fn keep_thinkers(&mut self, route: &Route) {
        for id in route.candidates.iter().filter(|_| route.needs_reasoning) {
            let i = usize::from(id.0);
            if self.inputs.states[i].ignores_reasoning {
                self.bar(i, Barrier::Lacks("reasoning_effort"));
            }
        }
    }

    fn open_candidates(&self, route: &Route) -> Plan {
        let mut plan = Plan::new();
        for id in route.candidates.iter().filter(|id| self.is_open(**id)) {
            plan.push(self.candidate(*id));
        }
        plan
    }

    pub(super) fn is_open(&self, id: DestinationId) -> bool {
        self.decision.barriers[usize::from(id.0)] == Barrier::None
    }

    fn candidate(&self, id: DestinationId) -> Candidate {
        let state = &self.inputs.states[usize::from(id.0)];
        Candidate { id, p_ok: state.p_ok, worst_case: state.worst_case.unwrap_or_default() }
    }

    /// Moves the destination that the client named to the front, if it may and can answer.
    fn prefer(&self, route: &Route, plan: &mut Plan) -> bool {
        let Some(id) = self.inputs.preference.filter(|id| route.honour_preference && self.is_open(*id)) else {
            return false;
        };
        if !self.set.destination(id).is_model() {
            return false;
        }
        if !plan.as_slice().iter().any(|c| c.id == id) {
            plan.push(self.candidate(id));
        }
        let at = plan.as_slice().iter().position(|c| c.id == id).unwrap_or_default();
        plan.as_mut_slice()[..=at].rotate_right(1);
        true
    }

    /// The kind says what would have to change: policy, money, the request, or the hour. Who is for something else
    /// altogether has no say in it, unless all are.
    fn refusal(&self, route: &Route) -> RefusalKind {
        let asked = match self.inputs.insists {
            true => self.inputs.preference.as_slice(),
            false => &route.candidates,
        };
        let barriers = || {
            let all = asked.iter().map(|id| self.decision.barriers[usize::from(id.0)]);
            all.filter(|barrier| !matches!(barrier, Barrier::Lacks(what) if Task::named(what).is_some()))
        };
        if barriers().next().is_none() && !asked.is_empty() {
            RefusalKind::Capability
        } else if barriers().any(|b| matches!(b, Barrier::Unavailable(_) | Barrier::Slow)) {
            RefusalKind::Unavailable
        } else if barriers().any(|b| matches!(b, Barrier::Lacks(_))) {
            RefusalKind::Capability
        } else if barriers().any(|b| matches!(b, Barrier::Budget(_) | Barrier::Cost)) {
            RefusalKind::Budget
        } else {
            RefusalKind::Policy
        }
    }
}

fn keep_only(plan: &mut Plan, id: Option<DestinationId>) {
    let kept = plan.as_slice().iter().find(|candidate| Some(candidate.id) == id).copied();
    *plan = Plan::new();
    if let Some(candidate) = kept {
        plan.push(candidate);
    }
}
