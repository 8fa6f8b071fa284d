//! Facts in, decision out.
//!
//! Permission is a meet over everything that restricts (ceilings, guards, budget steps), so the order of rules cannot
//! matter; only routes are ordered, and a route chooses among what is permitted.

use std::cmp::{Ordering, Reverse};
use std::time::Duration;

use super::decision::{Barrier, Candidate, Choice, Decision, Outcome, Plan, Refusal, RefusalKind, RefusedBy, RuleSet};
use super::expr::DestinationCondition;
use super::facts::UNINSPECTABLE;
use super::quality::Cascade;
use super::rollout::Bounds;
use super::set::{
    Basis, Boundary, Class, Destination, DestinationId, DestinationSet, Floor, Goal, IfUnknown, Objective, PolicySet,
    Route, Scope, Step, Transform, TransformSet,
};
use super::vocabulary::{Fact, Facts};
use crate::chat::{MicroUsd, Task};
use crate::classify::Truth;

/// What is known about a destination at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DestinationState {
    /// Why it cannot be reached, if so.
    pub unavailable: Option<&'static str>,
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

    // === class

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

    // === permission

    fn ceilings(&mut self) {
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
    fn guards(&mut self) -> Option<Refusal> {
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
    fn budgets(&mut self) -> Option<Refusal> {
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

    fn keep_within(&mut self, bounds: &Bounds) {
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

    fn permitted(&mut self) -> DestinationSet {
        for i in 0..self.set.destinations.len() {
            if self.decision.transforms[i].0 & !self.inputs.able.0 != 0 {
                self.bar(i, Barrier::Transform);
            }
        }
        let barriers = &self.decision.barriers[..self.set.destinations.len()];
        barriers.iter().map(|barrier| !barrier.is_permission()).collect()
    }

    // === ability

    fn constraints(&mut self) {
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

    fn bar(&mut self, index: usize, barrier: Barrier) {
        let first = &mut self.decision.barriers[index];
        if *first == Barrier::None {
            *first = barrier;
        }
    }

    // === choice

    fn choose(&mut self, blocked: Option<Refusal>) {
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

    fn is_open(&self, id: DestinationId) -> bool {
        self.decision.barriers[usize::from(id.0)] == Barrier::None
    }

    fn candidate(&self, id: DestinationId) -> Candidate {
        let state = &self.inputs.states[usize::from(id.0)];
        Candidate { id, p_ok: state.p_ok, worst_case: state.worst_case.unwrap_or_default() }
    }

    /// Puts the plan in the objective's order and says why its first is first.
    fn rank(&self, route: &Route, objective: &Objective, plan: &mut Plan) -> Choice {
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
    fn shadow_price(&self, candidate: &Candidate) -> f64 {
        let factor = match self.set.destination(candidate.id).boundary {
            Boundary::Host => 1.0,
            Boundary::External => self.reprice,
        };
        candidate.worst_case.as_usd() * factor
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

    /// Moves the destination that answered the conversation last to the front, where the conversation stays with it. Only
    /// among those that the plan has anyway.
    fn stay(&self, plan: &mut Plan) -> bool {
        let last = |c: &Candidate| self.inputs.states[usize::from(c.id.0)].answered;
        let Some((at, answered)) = plan.as_slice().iter().enumerate().find_map(|(at, c)| Some((at, last(c)?))) else {
            return false;
        };
        let (first, previous) = (plan.as_slice()[0], plan.as_slice()[at]);
        let stays = at > 0 && self.keeps(&first, &previous, answered);
        if stays {
            plan.as_mut_slice()[..=at].rotate_right(1);
        }
        stays
    }

    /// Whether the conversation stays with `previous` though `first` is the plan's first. Without a word of the set only
    /// what belongs to `previous` does, where that costs no more.
    fn keeps(&self, first: &Candidate, previous: &Candidate, answered: Answered) -> bool {
        let (new, old) = (self.shadow_price(first), self.shadow_price(previous));
        let Some(affinity) = &self.set.affinity else { return answered.bound && old <= new };
        let is_up = match (first.p_ok, previous.p_ok) {
            (Some(new), Some(old)) if new != old => new > old,
            _ => new > old,
        };
        let rule = if is_up { affinity.switch_up } else { affinity.switch_down };
        let with_cache = Candidate { worst_case: answered.cached.unwrap_or(previous.worst_case), ..*previous };
        let too_dear = affinity.price_prompt_cache && !is_up && self.shadow_price(&with_cache) <= new;
        answered.bound || !rule.allows(answered.user_turn) || too_dear
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

fn is_uninspectable(set: &PolicySet, facts: &Facts) -> bool {
    let slot = set.slots.uses.iter().find(|(name, _)| *name == UNINSPECTABLE);
    slot.is_some_and(|(_, slot)| facts.get(*slot) == Fact::Bool(true))
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

fn least<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
