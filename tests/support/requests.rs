//! Facts and states of destinations, as a random request finds them.

use std::collections::BTreeMap;
use std::time::Duration;

use ajar::classify::Truth;
use ajar::policy::decide::Answered;
use ajar::policy::facts::{LOCAL, RequestFacts, USES, facts};
use ajar::policy::vocabulary::{Fact, Type};
use ajar::policy::{
    Class, Decision, DestinationId, DestinationState, Facts, Floor, Inputs, PolicySet, TransformSet, decide,
};

use super::Random;

/// Everything that one decision depends on.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its facts.
    pub facts: Facts,
    /// One per destination.
    pub states: Vec<DestinationState>,
    /// What its conversation rose to.
    pub floor: Option<Floor>,
    /// The destination that the client named.
    pub preference: Option<DestinationId>,
    /// Whether nobody else may answer.
    pub insists: bool,
    /// What can be done to its body.
    pub able: TransformSet,
}

impl Request {
    /// A request to `set`, in which anything may be unknown.
    pub fn random(set: &PolicySet, random: &mut Random) -> Self {
        Self {
            facts: random_facts(set, random),
            states: set.destinations.iter().map(|_| random_state(random)).collect(),
            floor: random.one_in(4).then(|| Floor::of(Class(random.below(set.classes.len()) as u8))),
            preference: (random.one_in(4) && !set.destinations.is_empty())
                .then(|| DestinationId(random.below(set.destinations.len()) as u8)),
            insists: random.one_in(8),
            able: if random.one_in(4) { TransformSet::default() } else { TransformSet(u8::MAX) },
        }
    }

    /// What `set` decides.
    pub fn decide(&self, set: &PolicySet) -> Decision {
        let Self { facts, states, floor, preference, insists, able } = self;
        let (floor, preference) = (*floor, *preference);
        decide(set, &Inputs { facts, states, floor, preference, insists: *insists, able: *able })
    }
}

fn random_facts(set: &PolicySet, random: &mut Random) -> Facts {
    let findings: Vec<Truth> = set.detectors.iter().map(|_| random_truth(random)).collect();
    let uses: Vec<&'static str> = USES.into_iter().filter(|_| random.one_in(4)).collect();
    let budgets: Vec<Option<f64>> =
        set.budgets.iter().map(|_| (!random.one_in(8)).then(|| random.share() * 1.2)).collect();
    let local: Vec<(&'static str, f64)> = LOCAL.into_iter().map(|name| (name, random.share() * 100.0)).collect();
    let request = RequestFacts {
        findings: &findings,
        uses: &uses,
        tokens_input: random.below(20_000) as u64,
        tokens_max_output: random.below(4_000) as u64,
        gain: (!random.one_in(4)).then(|| random.share()),
        budgets: &budgets,
        local: &local[..random.below(local.len() + 1)],
    };
    let mut facts = facts(set, &request, &BTreeMap::new());
    for name in set.vocabulary.names().filter(|name| is_attribute(name)) {
        if let Some(slot) = set.vocabulary.slot(name) {
            facts.set(slot, random_fact(&set.vocabulary.term(slot).kind, random));
        }
    }
    facts
}

fn is_attribute(name: &str) -> bool {
    ["key.", "client.", "request.", "agent."].iter().any(|group| name.starts_with(group))
}

/// Detectors mostly find nothing, and seldom fail.
fn random_truth(random: &mut Random) -> Truth {
    match random.below(20) {
        0 | 1 => Truth::True,
        2 => Truth::Unknown,
        _ => Truth::False,
    }
}

fn random_fact(kind: &Type, random: &mut Random) -> Fact {
    if random.one_in(10) {
        return Fact::Unknown;
    }
    match kind {
        Type::Bool => Fact::Bool(random.one_in(2)),
        Type::Number => Fact::Number(random.share() * 100.0),
        Type::Word(words) => Fact::Word(random.below(words.len()) as u16),
    }
}

fn random_state(random: &mut Random) -> DestinationState {
    DestinationState {
        unavailable: random.one_in(16).then_some("failed"),
        rest: None,
        lacks: random.one_in(16).then_some("tools"),
        worst_case: (!random.one_in(16)).then(|| ajar::chat::MicroUsd(random.below(400_000) as u64)),
        p_ok: (!random.one_in(4)).then(|| random.share()),
        ttft: (!random.one_in(4)).then(|| Duration::from_millis(random.below(4_000) as u64)),
        assumed: false,
        ignores_reasoning: random.one_in(4),
        answered: random.one_in(4).then(|| random_answered(random)),
    }
}

fn random_answered(random: &mut Random) -> Answered {
    let cached = random.one_in(2).then(|| ajar::chat::MicroUsd(random.below(100_000) as u64));
    Answered { bound: random.one_in(2), user_turn: random.one_in(2), cached }
}
