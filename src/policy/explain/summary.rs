//! The decision record: what is kept of every request. Lean, for it is written on the request's path.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Before, Seen};
use crate::classify::{Encoding, Gain};
use crate::policy::decision::{Barrier, Decision, Outcome, RuleSet};
use crate::policy::set::{DestinationId, PolicySet};
use crate::policy::{DestinationState, Inputs};

/// The decision record of `docs/record.md`.
#[derive(Debug, Serialize)]
pub struct Summary<'a> {
    /// The policy set.
    pub policy: PolicyName<'a>,
    /// What detectors said.
    pub detectors: Vec<DetectorVerdict<'a>>,
    /// The class.
    pub class: ClassSummary<'a>,
    /// Ids of the guards that applied.
    pub guards: Vec<&'a str>,
    /// Each model destination, and what keeps it out.
    pub destinations: Vec<DestinationSummary<'a>>,
    /// Expected advantage of the closed model, and what that rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain: Option<GainExplanation>,
    /// The route taken.
    pub route: &'a str,
    /// Who is tried, in this order.
    pub plan: Vec<&'a str>,
    /// Why the first is first, or why nobody is.
    pub reason: &'a str,
    /// What operators should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<&'static str>,
}

/// Name and digest of a set.
#[derive(Debug, JsonSchema, Serialize)]
pub struct PolicyName<'a> {
    /// Its name.
    pub name: &'a str,
    /// SHA-256 over its files.
    pub digest: &'a str,
}

/// One detector's verdict.
#[derive(Debug, Serialize)]
pub struct DetectorVerdict<'a> {
    /// The detector.
    pub detector: &'a str,
    /// `true`, `false` or `unknown`.
    pub result: &'static str,
    /// How many of each entity, most frequent names first in order of appearance.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entities: Vec<(&'static str, usize)>,
    /// The encodings that had to be undone to see some of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub undone: Vec<&'static str>,
}

/// The class and why.
#[derive(Debug, Serialize)]
pub struct ClassSummary<'a> {
    /// Its name.
    pub value: &'a str,
    /// `declared`, `deterministic`, `statistical`, `conversation` or `unknown`.
    pub basis: &'static str,
    /// Ids of the rules that applied; `conversation` where it is the conversation's class.
    pub by: Vec<String>,
    /// What the conversation was before, where it had risen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationSummary<'a>>,
}

/// What a conversation was before this request.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ConversationSummary<'a> {
    /// The class that counts for it.
    pub class: &'a str,
    /// Id of the request with which it rose so high; absent where nobody can say what it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

impl<'a> ConversationSummary<'a> {
    pub(super) fn new(set: &'a PolicySet, before: Before) -> Self {
        Self { class: set.class_name(before.floor.class), since: before.since.map(|id| id.to_string()) }
    }
}

/// One destination's standing.
#[derive(Debug, Serialize)]
pub struct DestinationSummary<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether it may receive the request.
    pub permitted: bool,
    /// What keeps it from being chosen, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// What must be done to the body.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transforms: Vec<&'static str>,
    /// Chance of a good answer, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_ok: Option<f64>,
    /// What that rests on: `calibrated`, or `assumed` where it is the policy's own guess.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_ok_basis: Option<&'static str>,
    /// The most it can cost, in dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst_case_usd: Option<f64>,
}

/// The estimated gain.
#[derive(Debug, JsonSchema, Serialize)]
pub struct GainExplanation {
    /// Expected difference of the scores.
    pub value: f64,
    /// `generic` or `calibrated`.
    pub basis: &'static str,
}

impl From<Gain> for GainExplanation {
    fn from(gain: Gain) -> Self {
        Self { value: (gain.value * 1e4).round() / 1e4, basis: gain.basis }
    }
}

/// Sums up `decision`, which `decide` made of `inputs`.
pub fn summarize<'a>(set: &'a PolicySet, inputs: &Inputs<'_>, decision: &'a Decision, seen: Seen<'_>) -> Summary<'a> {
    Summary {
        policy: PolicyName { name: &set.name, digest: &set.digest },
        detectors: detectors(set, seen),
        class: class(set, decision, seen.before),
        guards: ids(&decision.guards, set.guards.iter().map(|g| g.id.as_str())),
        destinations: destinations(set, inputs.states, decision),
        gain: seen.gain.map(GainExplanation::from),
        route: decision.route.map_or("none", |i| set.routes[usize::from(i)].id.as_str()),
        plan: decision.plan().iter().map(|c| set.destination(c.id).name.as_str()).collect(),
        reason: match &decision.outcome {
            Outcome::Go(choice) => choice.code(),
            Outcome::Refuse(refusal) => refusal.reason(set),
        },
        flags: seen.flags(decision),
    }
}

fn detectors<'a>(set: &'a PolicySet, seen: Seen<'_>) -> Vec<DetectorVerdict<'a>> {
    let mut verdicts = Vec::with_capacity(set.detectors.len());
    for (i, spec) in set.detectors.iter().enumerate() {
        let mut entities: Vec<(&'static str, usize)> = Vec::new();
        for finding in seen.findings.iter().filter(|f| usize::from(f.detector) == i) {
            match entities.iter_mut().find(|(name, _)| *name == finding.entity) {
                Some((_, count)) => *count += 1,
                None => entities.push((finding.entity, 1)),
            }
        }
        let found = seen.findings.iter().filter(|f| usize::from(f.detector) == i);
        let mut undone: Vec<&'static str> =
            found.filter(|f| f.encoding != Encoding::Plain).map(|f| f.encoding.name()).collect();
        undone.sort_unstable();
        undone.dedup();
        let result = seen.verdicts.get(i).copied().unwrap_or_default().name();
        verdicts.push(DetectorVerdict { detector: &spec.name, result, entities, undone });
    }
    verdicts
}

fn class<'a>(set: &'a PolicySet, decision: &Decision, before: Option<Before>) -> ClassSummary<'a> {
    let mut by: Vec<String> = Vec::new();
    if let Some(baseline) = decision.baseline {
        by.push(format!("baseline/{}", set.baselines[usize::from(baseline)].id));
    }
    let applied = ids(&decision.classified_by, set.classify.iter().map(|r| r.id.as_str()));
    by.extend(applied.iter().map(|id| format!("classify/{id}")));
    if before.is_some_and(|before| (before.floor.class, before.floor.basis) == (decision.class, decision.basis)) {
        by.push("conversation".to_owned());
    }
    if by.is_empty() {
        by.push("default_class".to_owned());
    }
    let conversation = before.map(|before| ConversationSummary::new(set, before));
    ClassSummary { value: set.class_name(decision.class), basis: decision.basis.name(), by, conversation }
}

fn ids<'a>(rules: &RuleSet, ids: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    ids.enumerate().filter(|(i, _)| rules.contains(*i)).map(|(_, id)| id).collect()
}

fn destinations<'a>(
    set: &'a PolicySet,
    states: &[DestinationState],
    decision: &Decision,
) -> Vec<DestinationSummary<'a>> {
    let models = set.destinations.iter().enumerate().filter(|(_, d)| d.is_model());
    models
        .map(|(i, destination)| DestinationSummary {
            name: &destination.name,
            permitted: decision.permitted.contains(DestinationId(i as u8)),
            because: barrier(set, decision.barriers[i]),
            transforms: decision.transforms[i].names().collect(),
            p_ok: states[i].p_ok,
            p_ok_basis: states[i].p_ok.map(|_| if states[i].assumed { "assumed" } else { "calibrated" }),
            worst_case_usd: states[i].worst_case.map(|cost| cost.as_usd()),
        })
        .collect()
}

/// What a barrier is, in a code and the name of what raised it.
pub fn barrier(set: &PolicySet, barrier: Barrier) -> Option<String> {
    Some(match barrier {
        Barrier::None => return None,
        Barrier::Class => "class".to_owned(),
        Barrier::Guard(i) => format!("guard/{}", set.guards[usize::from(i)].id),
        Barrier::Budget(i) => format!("budget/{}", set.budgets[usize::from(i)].id),
        Barrier::Rollout => "rollout".to_owned(),
        Barrier::Transform => "transform_unavailable".to_owned(),
        Barrier::Price => "price_unknown".to_owned(),
        Barrier::Cost => "too_expensive".to_owned(),
        Barrier::Lacks(what) => format!("lacks/{what}"),
        Barrier::Unavailable(why) => format!("unavailable/{why}"),
        Barrier::Slow => "too_slow".to_owned(),
    })
}
