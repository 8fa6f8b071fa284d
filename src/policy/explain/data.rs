//! The full explanation: every rule, every destination, every candidate.

use schemars::JsonSchema;
use serde::Serialize;

use super::reasons::{Judge, cascade, objective, percent};
use super::summary::{ConversationSummary, GainExplanation, PolicyName};
use super::{Before, Circumstances, Seen};
use crate::classify::{Encoding, Truth};
use crate::policy::decision::{Decision, Outcome};
use crate::policy::set::{Budget, DestinationId, DestinationSet, Guard, PolicySet, Route, Scope, Window};
use crate::policy::{Barrier, Inputs};

/// Everything needed to answer *why*.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Explanation<'a> {
    /// The policy set that decides.
    pub policy: PolicyName<'a>,
    /// Where a set is being tried: which one decides, and what the other says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutExplanation>,
    /// What detectors said.
    pub detectors: Vec<DetectorExplanation<'a>>,
    /// The class and every rule about it.
    pub class: ClassExplanation<'a>,
    /// Every guard.
    pub guards: Vec<GuardExplanation<'a>>,
    /// Every budget.
    pub budgets: Vec<BudgetExplanation<'a>>,
    /// Every destination, sinks included, with everything that speaks against it.
    pub destinations: Vec<DestinationExplanation<'a>>,
    /// Prompt tokens, estimated from above.
    pub tokens_input: u64,
    /// Expected advantage of the closed model, and what that rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain: Option<GainExplanation>,
    /// The routes that were considered, in order; the last is taken.
    pub routes: Vec<RouteExplanation<'a>>,
    /// What the route taken optimises, in words.
    pub objective: String,
    /// In which order the route's cascade asks, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cascade: Option<String>,
    /// Whom the route taken may choose, in the order listed.
    pub candidates: Vec<CandidateExplanation<'a>>,
    /// Who is tried, in this order.
    pub plan: Vec<&'a str>,
    /// Why the first is first, or why nobody is.
    pub reason: &'a str,
    /// Whether nobody is.
    pub refused: bool,
    /// What operators should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub flags: Vec<&'static str>,
}

/// One set in force and one that is tried.
#[derive(Debug, JsonSchema, Serialize)]
pub struct RolloutExplanation {
    /// `warn`, `shadow` or `canary`.
    pub mode: &'static str,
    /// Which set decides: `in_force` or `on_trial`.
    pub side: &'static str,
    /// What the other one says, as in the record's `would_have`.
    pub would_have: serde_json::Value,
}

/// One detector.
#[derive(Debug, JsonSchema, Serialize)]
pub struct DetectorExplanation<'a> {
    /// Its name.
    pub detector: &'a str,
    /// `true`, `false` or `unknown`.
    pub result: &'static str,
    /// What it found, and where; never the text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub findings: Vec<FindingExplanation>,
}

/// Findings of one kind in one part.
#[derive(Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct FindingExplanation {
    /// What was found.
    pub entity: &'static str,
    /// How many of them.
    pub count: usize,
    /// Index of the part.
    pub part: u32,
    /// Where that part stands: `system`, `user`, `tool_result`, …
    pub source: &'static str,
    /// What had to be undone to see it: `base64`, `reversed`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undone: Option<&'static str>,
}

/// The class and why.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ClassExplanation<'a> {
    /// Its name.
    pub value: &'a str,
    /// `declared`, `deterministic`, `statistical`, `conversation` or `unknown`.
    pub basis: &'static str,
    /// Where it starts.
    pub start: &'a str,
    /// Baselines and classify rules.
    pub rules: Vec<RuleExplanation<'a>>,
    /// What the conversation was before, where it had risen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationSummary<'a>>,
}

/// One rule about the class.
#[derive(Debug, JsonSchema, Serialize)]
pub struct RuleExplanation<'a> {
    /// `baseline` or `classify`.
    pub section: &'static str,
    /// Its id.
    pub id: &'a str,
    /// The class it leads to.
    pub class: &'a str,
    /// Its condition's value.
    pub value: &'static str,
    /// Whether it applies: a classify rule unless false, a baseline only if true.
    pub applies: bool,
}

/// One guard.
#[derive(Debug, JsonSchema, Serialize)]
pub struct GuardExplanation<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its condition's value.
    pub value: &'static str,
    /// Whether it applies: unless false.
    pub applies: bool,
    /// Whom it takes out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub removes: Vec<&'a str>,
    /// What it demands of bodies that leave.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub requires: Vec<&'static str>,
    /// Its cap on the answer, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output: Option<u32>,
    /// Its cap on one request's cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<f64>,
    /// The reason with which it refuses altogether.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocks: Option<&'a str>,
}

/// One budget.
#[derive(Debug, JsonSchema, Serialize)]
pub struct BudgetExplanation<'a> {
    /// Its id.
    pub id: &'a str,
    /// Over what it counts.
    pub per: &'a str,
    /// For how long.
    pub window: &'static str,
    /// How much it is.
    pub limit_usd: f64,
    /// Spent and reserved, as a share of the limit; `None` for one per request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<f64>,
    /// Of that, promised to calls under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserved_usd: Option<f64>,
    /// Its steps.
    pub steps: Vec<StepExplanation<'a>>,
}

/// One step of a budget's ladder.
#[derive(Debug, JsonSchema, Serialize)]
pub struct StepExplanation<'a> {
    /// From which share on.
    pub at: f64,
    /// Whether it applies now.
    pub applies: bool,
    /// Whom it takes out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub removes: Vec<&'a str>,
    /// By which factor it makes remote look dearer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reprice: Option<f64>,
    /// The reason with which it refuses altogether.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refuses: Option<&'a str>,
}

/// One destination's standing.
#[derive(Debug, JsonSchema, Serialize)]
pub struct DestinationExplanation<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether it answers requests; sinks only receive them.
    pub answers: bool,
    /// Whether it may receive the request.
    pub permitted: bool,
    /// Whether it may and can.
    pub open: bool,
    /// Everything that speaks against it, in words.
    pub reasons: Vec<String>,
    /// What must be done to the body.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub transforms: Vec<&'static str>,
    /// The most it can cost, in dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst_case_usd: Option<f64>,
}

/// One route.
#[derive(Debug, JsonSchema, Serialize)]
pub struct RouteExplanation<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its place in the order.
    pub order: u32,
    /// Its condition's value; `true` without one.
    pub value: &'static str,
    /// Whether it is taken: the first that is certainly true.
    pub taken: bool,
}

/// One candidate of the route.
#[derive(Debug, JsonSchema, Serialize)]
pub struct CandidateExplanation<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether it may and can answer.
    pub open: bool,
    /// Chance of a good answer, if known.
    pub p_ok: Option<f64>,
    /// What that rests on: `calibrated`, `assumed` where it is the policy's own guess, or `unknown`.
    pub basis: &'static str,
    /// The most it can cost, in dollars.
    pub worst_case_usd: Option<f64>,
    /// Its 95th percentile time to first token, if known.
    pub ttft_p95_ms: Option<f64>,
}

/// Explains `decision`, which `decide` made of `inputs`: goes through every rule again.
pub fn explain<'a>(
    set: &'a PolicySet,
    inputs: &Inputs<'_>,
    decision: &'a Decision,
    seen: Seen<'_>,
    circumstances: Circumstances<'_>,
) -> Explanation<'a> {
    let judge = Judge { set, inputs, decision, outside: circumstances.outside };
    let taken = decision.route.map(|i| &set.routes[usize::from(i)]);
    Explanation {
        policy: PolicyName { name: &set.name, digest: &set.digest },
        rollout: None,
        detectors: detectors(set, seen, circumstances),
        class: class(&judge, seen.before),
        guards: set.guards.iter().enumerate().map(|(i, guard)| judge.guard(i, guard)).collect(),
        budgets: (set.budgets.iter().enumerate())
            .map(|(i, budget)| judge.budget(budget, circumstances.budgets.get(i).copied().flatten()))
            .collect(),
        destinations: (0..set.destinations.len()).map(|i| judge.destination(i)).collect(),
        tokens_input: circumstances.tokens_input,
        gain: seen.gain.map(GainExplanation::from),
        routes: judge.routes(),
        objective: taken.map(|route| objective(set, route)).unwrap_or_default(),
        cascade: taken.and_then(|route| Some(cascade(set, route.cascade.as_ref()?))),
        candidates: taken.map(|route| judge.candidates(route)).unwrap_or_default(),
        plan: decision.plan().iter().map(|c| set.destination(c.id).name.as_str()).collect(),
        reason: match &decision.outcome {
            Outcome::Go(choice) => choice.code(),
            Outcome::Refuse(refusal) => refusal.reason(set),
        },
        refused: matches!(decision.outcome, Outcome::Refuse(_)),
        flags: seen.flags(decision),
    }
}

fn detectors<'a>(set: &'a PolicySet, seen: Seen<'_>, circumstances: Circumstances<'_>) -> Vec<DetectorExplanation<'a>> {
    let mut all = Vec::with_capacity(set.detectors.len());
    for (i, spec) in set.detectors.iter().enumerate() {
        let mut findings: Vec<FindingExplanation> = Vec::new();
        for finding in seen.findings.iter().filter(|f| usize::from(f.detector) == i) {
            let undone = (finding.encoding != Encoding::Plain).then(|| finding.encoding.name());
            let alike = |f: &FindingExplanation| (f.entity, f.part, f.undone) == (finding.entity, finding.part, undone);
            match findings.iter_mut().find(|f| alike(f)) {
                Some(known) => known.count += 1,
                None => findings.push(FindingExplanation {
                    entity: finding.entity,
                    count: 1,
                    part: finding.part,
                    source: circumstances.sources.get(finding.part as usize).map_or("unknown", |s| s.name()),
                    undone,
                }),
            }
        }
        let result = seen.verdicts.get(i).copied().unwrap_or_default().name();
        all.push(DetectorExplanation { detector: &spec.name, result, findings });
    }
    all
}

fn class<'a>(judge: &Judge<'a, '_>, before: Option<Before>) -> ClassExplanation<'a> {
    let Judge { set, inputs, decision, .. } = judge;
    let mut rules = Vec::with_capacity(set.baselines.len() + set.classify.len());
    for (i, rule) in set.baselines.iter().enumerate() {
        let value = rule.when.eval(inputs.facts, 0);
        let applies = decision.baseline == Some(i as u16);
        let class = set.class_name(rule.class);
        rules.push(RuleExplanation { section: "baseline", id: &rule.id, class, value: value.name(), applies });
    }
    for (i, rule) in set.classify.iter().enumerate() {
        let value = rule.when.eval(inputs.facts, 0);
        let applies = decision.classified_by.contains(i);
        let class = set.class_name(rule.raise);
        rules.push(RuleExplanation { section: "classify", id: &rule.id, class, value: value.name(), applies });
    }
    ClassExplanation {
        value: set.class_name(decision.class),
        basis: decision.basis.name(),
        start: set.class_name(decision.start(set)),
        rules,
        conversation: before.map(|before| ConversationSummary::new(set, before)),
    }
}

impl<'a> Judge<'a, '_> {
    fn guard(&self, index: usize, guard: &'a Guard) -> GuardExplanation<'a> {
        let applies = self.decision.guards.contains(index);
        GuardExplanation {
            id: &guard.id,
            value: guard.when.eval(self.inputs.facts, self.decision.class.0).name(),
            applies,
            removes: if applies { self.names(self.removed_by_guard(guard)) } else { Vec::new() },
            requires: guard.require.names().collect(),
            max_output: guard.max_output,
            max_cost_usd: guard.max_cost.map(|cost| cost.as_usd()),
            blocks: guard.block.as_deref(),
        }
    }

    fn budget(&self, budget: &'a Budget, standing: Option<crate::govern::Standing>) -> BudgetExplanation<'a> {
        let used = standing.map(|standing| standing.used());
        let mut steps = Vec::with_capacity(budget.ladder.len());
        for step in &budget.ladder {
            let removed = self.removed_by_step(budget, step, used);
            let applies = match budget.per {
                Scope::Request => !removed.is_empty(),
                Scope::Key | Scope::Attribute(_) | Scope::All => used.is_none_or(|used| used >= step.at),
            };
            steps.push(StepExplanation {
                at: step.at,
                applies,
                removes: if applies { self.names(removed) } else { Vec::new() },
                reprice: step.reprice,
                refuses: step.refuse.as_deref(),
            });
        }
        BudgetExplanation {
            id: &budget.id,
            per: match &budget.per {
                Scope::Key => "key",
                Scope::Attribute(name) => name,
                Scope::Request => "request",
                Scope::All => "all",
            },
            window: match budget.window {
                Window::Hour => "hour",
                Window::Day => "day",
                Window::Month => "month",
                Window::Request => "request",
            },
            limit_usd: budget.limit.as_usd(),
            used: used.map(percent),
            reserved_usd: standing.map(|standing| standing.reserved.as_usd()),
            steps,
        }
    }

    fn destination(&self, i: usize) -> DestinationExplanation<'a> {
        let destination = &self.set.destinations[i];
        DestinationExplanation {
            name: &destination.name,
            answers: destination.is_model(),
            permitted: self.decision.permitted.contains(DestinationId(i as u8)),
            open: self.decision.barriers[i] == Barrier::None,
            reasons: self.reasons(i),
            transforms: self.decision.transforms[i].names().collect(),
            worst_case_usd: destination
                .is_model()
                .then_some(self.inputs.states[i].worst_case)
                .flatten()
                .map(|c| c.as_usd()),
        }
    }

    /// Those up to the one taken: the others were not asked.
    fn routes(&self) -> Vec<RouteExplanation<'a>> {
        let taken = self.decision.route.map_or(self.set.routes.len(), usize::from);
        let routes = self.set.routes.iter().enumerate().take(taken + 1);
        let (facts, class) = (self.inputs.facts, self.decision.class.0);
        let value = |route: &Route| route.when.as_ref().map_or(Truth::True, |when| when.eval(facts, class));
        routes
            .map(|(i, route)| RouteExplanation {
                id: &route.id,
                order: route.order,
                value: value(route).name(),
                taken: i == taken,
            })
            .collect()
    }

    fn candidates(&self, route: &Route) -> Vec<CandidateExplanation<'a>> {
        let candidate = |id: &DestinationId| {
            let state = &self.inputs.states[usize::from(id.0)];
            CandidateExplanation {
                name: &self.set.destination(*id).name,
                open: self.decision.barriers[usize::from(id.0)] == Barrier::None,
                p_ok: state.p_ok,
                basis: match state.p_ok {
                    None => "unknown",
                    Some(_) if state.assumed => "assumed",
                    Some(_) => "calibrated",
                },
                worst_case_usd: state.worst_case.map(|cost| cost.as_usd()),
                ttft_p95_ms: state.ttft.map(|ttft| ttft.as_secs_f64() * 1e3),
            }
        };
        route.candidates.iter().map(candidate).collect()
    }

    fn names(&self, ids: DestinationSet) -> Vec<&'a str> {
        ids.iter().map(|id| self.set.destination(id).name.as_str()).collect()
    }
}
