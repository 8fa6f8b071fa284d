//! What speaks against a destination: every rule is asked again, not only the first that kept it out.

use crate::chat::Task;
use crate::policy::Inputs;
use crate::policy::decision::{Barrier, Decision};
use crate::policy::expr::DestinationCondition;
use crate::policy::quality::Cascade;
use crate::policy::set::{
    Budget, DestinationId, DestinationSet, Goal, Guard, IfUnknown, Objective, PolicySet, Route, Scope, Step,
    TransformSet,
};

/// A decision with what it was made of.
pub(super) struct Judge<'a, 'i> {
    pub(super) set: &'a PolicySet,
    pub(super) inputs: &'i Inputs<'i>,
    pub(super) decision: &'a Decision,
    /// Whom the set in force keeps out where this one is only tried.
    pub(super) outside: DestinationSet,
}

impl Judge<'_, '_> {
    /// Everything that speaks against the destination, in words.
    pub(super) fn reasons(&self, i: usize) -> Vec<String> {
        let mut reasons = self.of_permission(i);
        reasons.extend(self.of_ability(i));
        if reasons.is_empty() {
            reasons.extend(self.not_listed(i));
        }
        reasons
    }

    fn of_permission(&self, i: usize) -> Vec<String> {
        let Self { set, decision, .. } = self;
        let (id, destination) = (DestinationId(i as u8), &set.destinations[i]);
        let mut reasons = Vec::new();
        if decision.barriers[i] == Barrier::Class {
            let (class, ceiling) = (set.class_name(decision.class), set.class_name(destination.accepts));
            let sealed = if set.sealed.contains(&decision.class) { ", and sealed" } else { "" };
            reasons.push(format!("`{class}` is above its ceiling `{ceiling}`{sealed}"));
        }
        for (_, guard) in set.guards.iter().enumerate().filter(|(g, _)| decision.guards.contains(*g)) {
            if self.removed_by_guard(guard).contains(id) {
                let unsure = if self.is_certain(guard) { "" } else { " (unknown whether it applies, so it does)" };
                reasons.push(format!("the guard `{}` takes it out{unsure}", guard.id));
            }
        }
        for (b, budget) in set.budgets.iter().enumerate() {
            let used = self.inputs.facts.number(set.slots.budgets[b]);
            let step = budget.ladder.iter().rfind(|step| self.removed_by_step(budget, step, used).contains(id));
            reasons.extend(step.map(|step| self.budget_reason(budget, step, i, used)));
        }
        if self.outside.contains(id) {
            reasons.push("the set in force does not permit it, and this one is only tried".to_owned());
        }
        let missing = TransformSet(decision.transforms[i].0 & !self.inputs.able.0);
        if !missing.is_empty() {
            let names: Vec<&str> = missing.names().collect();
            reasons.push(format!("it needs `{}`, which this installation cannot do", names.join("`, `")));
        }
        reasons
    }

    fn of_ability(&self, i: usize) -> Vec<String> {
        let (state, mut reasons) = (&self.inputs.states[i], Vec::new());
        reasons.extend(state.lacks.map(|what| match what {
            "context" => "the prompt is longer than its context".to_owned(),
            task if Task::named(task).is_some() => format!("it does not serve `{task}`"),
            feature => format!("it cannot do `{feature}`, which the request uses"),
        }));
        match (state.worst_case, self.decision.max_cost) {
            (None, _) => reasons.push("its price is unknown".to_owned()),
            (Some(cost), Some(cap)) if cost > cap => {
                reasons.push(format!("it can cost ${cost}, above the cap of ${cap} for one request"));
            }
            (Some(_), _) => {}
        }
        reasons.extend(state.unavailable.map(|why| {
            let seconds = state.rest.filter(|rest| !rest.is_zero()).map(|rest| rest.as_secs_f64().ceil());
            let rest = seconds.map(|seconds| format!(", for {seconds} s")).unwrap_or_default();
            format!("it is unavailable: {}{rest}", why.replace('_', " "))
        }));
        let route = self.route().filter(|route| route.candidates.contains(&DestinationId(i as u8)));
        if state.ignores_reasoning && route.is_some_and(|route| route.needs_reasoning) {
            reasons.push("it cannot think as the request asks it to, which the route needs".to_owned());
        }
        let limit = route.and_then(|route| route.ttft);
        if let (Some(ttft), Some(limit)) = (state.ttft, limit)
            && ttft > limit
        {
            reasons.push(format!("its first token takes {ttft:.0?}, longer than the route's {limit:.0?}"));
        }
        reasons
    }

    /// Nothing speaks against it, and yet it is not tried.
    fn not_listed(&self, i: usize) -> Option<String> {
        let id = DestinationId(i as u8);
        let planned = self.decision.plan().iter().any(|candidate| candidate.id == id);
        if self.inputs.insists && self.inputs.preference != Some(id) {
            let told = || "the client named another, and nobody else's answer would do".to_owned();
            return self.set.destination(id).is_model().then(told);
        }
        let route = self.route().filter(|route| !planned && !route.candidates.contains(&id))?;
        self.set.destination(id).is_model().then(|| format!("the route `{}` does not list it", route.id))
    }

    fn route(&self) -> Option<&Route> {
        self.decision.route.map(|i| &self.set.routes[usize::from(i)])
    }

    fn is_certain(&self, guard: &Guard) -> bool {
        guard.when.eval(self.inputs.facts, self.decision.class.0).is_true()
    }

    pub(super) fn removed_by_guard(&self, guard: &Guard) -> DestinationSet {
        let shut: DestinationSet = self.set.destinations.iter().map(|destination| guard.shuts(destination)).collect();
        self.removed(guard.only.as_ref(), guard.deny.as_ref(), guard.block.is_some()).or(shut)
    }

    /// Nobody, where the budget has not come that far.
    pub(super) fn removed_by_step(&self, budget: &Budget, step: &Step, used: Option<f64>) -> DestinationSet {
        if budget.per == Scope::Request {
            let share = |i: usize| Some(self.inputs.states[i].worst_case?.as_usd() / budget.limit.as_usd());
            return (0..self.set.destinations.len()).map(|i| share(i).is_some_and(|share| share > step.at)).collect();
        }
        match used.is_none_or(|used| used >= step.at) {
            true => self.removed(step.only.as_ref(), step.deny.as_ref(), step.refuse.is_some()),
            false => DestinationSet::EMPTY,
        }
    }

    fn removed(
        &self,
        only: Option<&DestinationCondition>,
        deny: Option<&DestinationCondition>,
        models: bool,
    ) -> DestinationSet {
        let (facts, class) = (self.inputs.facts, self.decision.class.0);
        let kept = only.map_or(DestinationSet(u64::MAX), |only| only.certain(facts, class));
        let denied = deny.map_or(DestinationSet::EMPTY, |deny| deny.possible(facts, class));
        let destinations = self.set.destinations.iter().enumerate();
        destinations
            .map(|(i, destination)| {
                let id = DestinationId(i as u8);
                !kept.contains(id) || denied.contains(id) || (models && destination.is_model())
            })
            .collect()
    }

    fn budget_reason(&self, budget: &Budget, step: &Step, i: usize, used: Option<f64>) -> String {
        let id = &budget.id;
        match (&budget.per, used) {
            (Scope::Request, _) => {
                let cost = self.inputs.states[i].worst_case.unwrap_or_default();
                format!("it can cost ${cost}, and the budget `{id}` allows ${} a request", budget.limit)
            }
            (_, Some(used)) => {
                format!(
                    "the budget `{id}` is used to {:.0}%: its step at {:.0}% takes it out",
                    used * 100.0,
                    step.at * 100.0
                )
            }
            (_, None) => format!("nobody knows how far the budget `{id}` is used"),
        }
    }
}

/// What a route optimises, in words.
pub(super) fn objective(set: &PolicySet, route: &Route) -> String {
    let Some(objective) = &route.objective else {
        return "the first of those listed that may and can answer".to_owned();
    };
    let goal = match objective.goal {
        Goal::MinimizeCost => "the cheapest",
        Goal::MaximizeQuality => "the best",
    };
    let mut words = format!("{goal}{}", conditions(objective));
    match &objective.if_unknown {
        IfUnknown::Order(order) if objective.min_p_ok.is_some() && !order.is_empty() => {
            words += &format!("; where that chance is unknown: {}", names(set, order));
        }
        IfUnknown::Order(_) => {}
        IfUnknown::Cascade => words += "; where that chance is unknown: the cascade",
    }
    if objective.refuse_below {
        words += "; nobody, where none meets it";
    }
    words
}

/// Whom a route may choose and how, in words: routes that choose alike say the same.
pub(in crate::policy) fn choice(set: &PolicySet, route: &Route) -> String {
    let mut words = vec![names(set, &route.candidates)];
    words.extend(route.objective.is_some().then(|| objective(set, route)));
    words.extend(route.cascade.as_ref().map(|steps| cascade(set, steps)));
    words.extend(route.ttft.map(|limit| format!("none that takes longer than {limit:?} to begin")));
    words.extend(route.needs_reasoning.then(|| "none that cannot think as it is asked to".to_owned()));
    words.extend((!route.honour_preference).then(|| "whatever the client prefers".to_owned()));
    words.extend((!route.on_empty.is_empty()).then(|| format!("else refused as `{}`", route.on_empty)));
    words.join("; ")
}

/// In which order a cascade asks, in words.
pub(super) fn cascade(set: &PolicySet, cascade: &Cascade) -> String {
    let start = &set.destination(cascade.start).name;
    let hopeless =
        cascade.skip_below.map(|p| format!(", unless its chance is known to be below {p}")).unwrap_or_default();
    format!("{start} drafts{hopeless}; then {}", names(set, &cascade.escalate_to))
}

fn names(set: &PolicySet, ids: &[DestinationId]) -> String {
    let names: Vec<&str> = ids.iter().map(|id| set.destination(*id).name.as_str()).collect();
    names.join(", then ")
}

fn conditions(objective: &Objective) -> String {
    let quality = objective.min_p_ok.map(|p| format!("whose chance of a good answer is at least {p}"));
    let cost = objective.max_cost.map(|cost| format!("that costs at most ${cost}"));
    let all: Vec<String> = quality.into_iter().chain(cost).collect();
    if all.is_empty() { String::new() } else { format!(" {}", all.join(" and ")) }
}

/// A share to four digits: enough to read, and stable to compare.
pub(super) fn percent(share: f64) -> f64 {
    (share * 1e4).round() / 1e4
}
