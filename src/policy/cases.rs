//! In-file tests: what is given, what must come out.

use std::collections::BTreeMap;

use super::decision::{Decision, Outcome};
use super::facts::{RequestFacts, USES, facts};
use super::set::{Boundary, Class, DestinationId, Floor, PolicySet, TransformSet};
use super::{DestinationState, Inputs, decide};
use crate::chat::{MicroUsd, Task};
use crate::classify::Truth;
use crate::yaml::{Place, Problems};

/// Prompt and answer length of a test that does not state them, in tokens.
pub(super) const DEFAULT_TOKENS: u64 = 500;

/// One test.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// The request.
    pub given: Given,
    /// What must come out.
    pub expect: Expect,
}

/// The request of a test; what is not given is harmless: nothing found, nothing used, nothing spent.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Verdicts of detectors, by index.
    pub findings: BTreeMap<usize, Truth>,
    /// What the request uses.
    pub uses: Vec<&'static str>,
    /// The class that its conversation rose to before.
    pub conversation: Option<Class>,
    /// Attributes of key and client.
    pub attributes: BTreeMap<String, String>,
    /// Used shares of budgets, by index; `None` is unknown.
    pub budgets: BTreeMap<usize, Option<f64>>,
    /// What the request can cost at most at a destination, where that is not what its tokens cost.
    pub costs: BTreeMap<DestinationId, MicroUsd>,
    /// Chance of a good answer, by destination, `None` where it is unknown; missing ones are what the set assumes.
    pub p_ok: BTreeMap<DestinationId, Option<f64>>,
    /// Expected advantage of the closed model.
    pub gain: Option<f64>,
    /// Prompt tokens.
    pub tokens_input: Option<u64>,
    /// Cap on the answer.
    pub tokens_max_output: Option<u64>,
    /// Facts about the engine.
    pub local: Vec<(&'static str, f64)>,
    /// The destination that the client names.
    pub preference: Option<DestinationId>,
}

/// What must come out; what is not stated may be anything.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// The class.
    pub class: Option<Class>,
    /// Who answers first.
    pub served_by: Option<DestinationId>,
    /// The plan's beginning.
    pub plan: Option<Vec<DestinationId>>,
    /// All who may receive it, models only.
    pub permitted: Option<Vec<DestinationId>>,
    /// All sinks that may receive it.
    pub sinks: Option<Vec<DestinationId>>,
    /// Nothing external may receive it.
    pub external_none: bool,
    /// What must be done to the body for the first.
    pub transforms: Option<TransformSet>,
    /// Flags of the decision.
    pub flags: Option<Vec<String>>,
    /// The route's id.
    pub route: Option<String>,
    /// The caps on output tokens and on cost.
    pub cap: Option<(Option<u32>, Option<MicroUsd>)>,
    /// It is refused for this reason.
    pub refused: Option<String>,
}

/// Runs all tests of a set; each that fails is a problem (E011).
pub fn run(set: &PolicySet, problems: &mut Problems) {
    for case in &set.cases {
        for difference in differences(set, case) {
            problems.add_coded(&case.place, "E011", format!("test `{}`: {difference}", case.name));
        }
    }
}

/// The decision for a test's request.
pub fn outcome(set: &PolicySet, given: &Given) -> Decision {
    let findings: Vec<Truth> =
        (0..set.detectors.len()).map(|i| given.findings.get(&i).copied().unwrap_or(Truth::False)).collect();
    let spent = |i: usize| given.budgets.get(&i).copied().unwrap_or(Some(0.0));
    let budgets: Vec<Option<f64>> = (0..set.budgets.len()).map(spent).collect();
    let input = given.tokens_input.unwrap_or(DEFAULT_TOKENS);
    let max_output = given.tokens_max_output.unwrap_or(DEFAULT_TOKENS);
    let request = RequestFacts {
        findings: &findings,
        uses: &given.uses,
        tokens_input: input,
        tokens_max_output: max_output,
        gain: given.gain,
        budgets: &budgets,
        local: &given.local,
    };
    let facts = facts(set, &request, &given.attributes);
    let task = given.uses.iter().find_map(|name| Task::named(name)).unwrap_or_default();
    let states: Vec<DestinationState> = (set.destinations.iter().enumerate())
        .map(|(i, destination)| {
            let id = DestinationId(i as u8);
            let priced = || destination.price.map(|price| price.worst_case(input, max_output));
            let worst_case = given.costs.get(&id).copied().or_else(priced);
            let lacks = (destination.is_model() && !destination.answers(task)).then(|| task.name());
            let state = DestinationState { worst_case, lacks, ..DestinationState::default() };
            match given.p_ok.get(&id) {
                Some(p_ok) => DestinationState { p_ok: *p_ok, ..state },
                None => state.assuming(set, id),
            }
        })
        .collect();
    let able = TransformSet(u8::MAX);
    let floor = given.conversation.filter(|_| set.conversations.are_kept()).map(Floor::of);
    decide(set, &Inputs { facts: &facts, states: &states, floor, preference: given.preference, insists: false, able })
}

/// What comes out otherwise than the test expects.
pub(super) fn differences(set: &PolicySet, case: &Case) -> Vec<String> {
    let decision = outcome(set, &case.given);
    let expect = &case.expect;
    let first = decision.plan().first().map(|c| c.id);
    let mut wrong = Vec::new();
    let mut compare = |what: &str, expected: String, got: String| {
        if expected != got {
            wrong.push(format!("expected {what} `{expected}`, got `{got}`"));
        }
    };
    if let Some(class) = expect.class {
        compare("class", set.class_name(class).into(), set.class_name(decision.class).into());
    }
    if let Some(id) = expect.served_by {
        compare(
            "served_by",
            set.destination(id).name.clone(),
            first.map_or_else(|| refusal(set, &decision), |id| name(set, id)),
        );
    }
    if let Some(plan) = &expect.plan {
        let got = decision.plan().iter().take(plan.len()).map(|c| c.id);
        compare("plan", names(set, plan.iter().copied()), names(set, got));
    }
    for (what, expected, models) in [("permitted", &expect.permitted, true), ("sinks", &expect.sinks, false)] {
        let Some(expected) = expected else { continue };
        let got = decision.permitted.iter().filter(|id| set.destination(*id).is_model() == models);
        let mut expected = expected.clone();
        expected.sort();
        compare(what, none_or(names(set, expected)), none_or(names(set, got)));
    }
    if expect.external_none {
        let external = |id: &DestinationId| {
            let destination = set.destination(*id);
            destination.boundary == Boundary::External && destination.is_model()
        };
        compare("external", "none".into(), none_or(names(set, decision.permitted.iter().filter(external))));
    }
    if let Some(transforms) = expect.transforms {
        let got = first.map_or_else(TransformSet::default, |id| decision.transforms[usize::from(id.0)]);
        compare("transforms", words(transforms.names()), words(got.names()));
    }
    if let Some(flags) = &expect.flags {
        compare("flags", words(flags.iter().map(String::as_str)), words(decision.flags()));
    }
    if let Some(route) = &expect.route {
        let got = decision.route.map_or("none", |i| set.routes[usize::from(i)].id.as_str());
        compare("route", route.clone(), got.into());
    }
    if let Some(cap) = expect.cap {
        compare("cap", caps(cap), caps((decision.max_output, decision.max_cost)));
    }
    if let Some(reason) = &expect.refused {
        compare(
            "refused",
            reason.clone(),
            first.map_or_else(|| refusal(set, &decision), |id| format!("served by {}", name(set, id))),
        );
    }
    wrong
}

fn caps((max_output, max_cost): (Option<u32>, Option<MicroUsd>)) -> String {
    let output = max_output.map(|tokens| format!("{tokens} tokens"));
    let caps: Vec<String> = output.into_iter().chain(max_cost.map(|cost| format!("${cost}"))).collect();
    none_or(caps.join(", "))
}

fn refusal(set: &PolicySet, decision: &Decision) -> String {
    match decision.outcome {
        Outcome::Refuse(refusal) => refusal.reason(set).to_owned(),
        Outcome::Go(_) => "nobody".into(),
    }
}

fn name(set: &PolicySet, id: DestinationId) -> String {
    set.destination(id).name.clone()
}

fn names(set: &PolicySet, ids: impl IntoIterator<Item = DestinationId>) -> String {
    let names: Vec<&str> = ids.into_iter().map(|id| set.destination(id).name.as_str()).collect();
    names.join(", ")
}

fn words<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

fn none_or(text: String) -> String {
    if text.is_empty() { "none".into() } else { text }
}

/// The static name of a `uses.*` word.
pub fn use_named(name: &str) -> Option<&'static str> {
    USES.into_iter().find(|known| *known == name)
}
