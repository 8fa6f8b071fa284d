//! Decisions at their edges: on both sides of each limit, comparison and tie, where random requests seldom fall. What
//! holds for all sets is shown by `policy_properties`.

#![allow(clippy::unwrap_used, reason = "a test that fails at an unwrap says where")]

mod choice;
mod class;
mod conditions;
mod permission;
mod rollout;
mod sets;
#[path = "../support/mod.rs"]
#[allow(unused_imports, reason = "each that includes it uses a part of it")]
mod support;
mod words;

use std::collections::BTreeMap;

use ajar::chat::MicroUsd;
use ajar::classify::Truth;
use ajar::policy::facts::{RequestFacts, facts};
use ajar::policy::{
    Decision, DestinationId, DestinationState, Fact, PolicySet, Source, Transform, TransformSet, Vocabulary, load,
};
use support::Request;

const BASE: &str = r"
ajar: policy/v1
name: edges
authority: base
classes: [public, internal, confidential, secret, sealed]
sealed: [sealed]
default_class: internal
attributes:
  key.app: { one_of: [a, b, c, d], default: a }
detectors:
  card: { kind: checksum, recognizers: [pan_luhn] }
  mail: { kind: pattern, set: contact@1 }
destinations:
  home: { via: embedded, model: small, boundary: host }
  far:  { via: api, model: gpt-mini, boundary: external, region: us, accepts: internal, usd_per_1k: 1 }
  wide: { via: api, model: gpt-big, boundary: external, region: eu, accepts: secret, usd_per_1k: 5 }
  log:  { via: sink/decision-log, boundary: host, accepts: sealed }
  copy: { via: sink/cache, boundary: external, region: us, accepts: internal }
";
const ROUTES: &str = "routes: [{ id: all, order: 1, candidates: [home, far, wide] }]\n";

const HOME: DestinationId = DestinationId(0);
const FAR: DestinationId = DestinationId(1);
const WIDE: DestinationId = DestinationId(2);

/// The base with `rest`, which has routes.
fn set(rest: &str) -> PolicySet {
    let source = Source { file: "edges.yaml".into(), text: format!("{BASE}{rest}") };
    load(&[source], &|_| None).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The base with `rest`, and a route that asks everybody in turn.
fn listed(rest: &str) -> PolicySet {
    set(&format!("{rest}{ROUTES}"))
}

/// A request in which nothing is found, used or spent, at destinations that can all answer it for a tenth of a cent.
fn plain(set: &PolicySet) -> Request {
    let request = RequestFacts {
        findings: &[Truth::False, Truth::False],
        tokens_input: 100,
        tokens_max_output: 100,
        budgets: &vec![Some(0.0); set.budgets.len()],
        ..RequestFacts::default()
    };
    let state = DestinationState { worst_case: Some(MicroUsd(1000)), ..DestinationState::default() };
    Request {
        facts: facts(set, &request, &BTreeMap::new()),
        states: vec![state; set.destinations.len()],
        floor: None,
        preference: None,
        insists: false,
        able: TransformSet(u8::MAX),
    }
}

/// The plain request, with these facts instead.
fn with(set: &PolicySet, known: &[(&str, Fact)]) -> Request {
    let mut request = plain(set);
    for (name, fact) in known {
        request.facts.set(set.vocabulary.slot(name).unwrap(), *fact);
    }
    request
}

/// The fact that the key's application is this one.
fn app(vocabulary: &Vocabulary, name: &str) -> Fact {
    vocabulary.word(vocabulary.slot("key.app").unwrap(), name)
}

/// The plain request of a key of this application.
fn of_app(set: &PolicySet, name: &str) -> Request {
    with(set, &[("key.app", app(&set.vocabulary, name))])
}

const YES: Fact = Fact::Bool(true);

fn permitted(set: &PolicySet, decision: &Decision) -> String {
    let names: Vec<&str> = decision.permitted.iter().map(|id| set.destination(id).name.as_str()).collect();
    names.join(" ")
}

fn plan(set: &PolicySet, decision: &Decision) -> String {
    let names: Vec<&str> = decision.plan().iter().map(|c| set.destination(c.id).name.as_str()).collect();
    names.join(" ")
}

fn transforms(of: &[Transform]) -> TransformSet {
    let mut set = TransformSet::default();
    of.iter().for_each(|transform| set.insert(*transform));
    set
}
