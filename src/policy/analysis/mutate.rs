//! Mutation testing of policies: a set is made laxer in one place at a time, and its tests and invariants should notice.
//!
//! The idea is that of DeMillo, Lipton and Sayward (*Hints on Test Data Selection*, 1978). A mutant that nobody notices,
//! although some request is decided otherwise, is a missing test; the smallest such request is that test.

use super::encode::Encoded;
use super::formula::Formula;
use super::witness::{Search, Witness};
use super::{Analysis, prove};
use crate::policy::cases::{Case, Expect, differences, outcome};
use crate::policy::decision::Decision;
use crate::policy::set::{Class, Transform};
use crate::policy::{DestinationId, DestinationSet, PolicySet};
use crate::yaml::{Place, Problems};

/// A change that makes a set laxer.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// What was changed, as in "drop guard `eu-stays`".
    pub what: String,
    /// Where.
    pub place: Place,
    set: PolicySet,
}

/// What became of a mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A test or an invariant noticed it: its name.
    Killed(String),
    /// Nobody noticed, and this test would have: its YAML.
    Survived(String),
    /// No request was found that is decided otherwise: others say the same, or only an estimate could tell.
    Equivalent,
}

/// What became of every mutant of `set`, in the order of the file.
pub fn mutate(set: &PolicySet) -> Vec<(Mutant, Fate)> {
    let mutants = Mutants::of(set);
    mutants.into_iter().map(|mutant| (mutant.clone(), fate(set, &mutant))).collect()
}

fn fate(set: &PolicySet, mutant: &Mutant) -> Fate {
    if let Some(case) = set.cases.iter().find(|case| !differences(&mutant.set, case).is_empty()) {
        return Fate::Killed(format!("test `{}`", case.name));
    }
    let mut problems = Problems::new();
    prove(&mutant.set, &mut problems);
    if let Some(problem) = problems.iter().next() {
        let invariant = mutant.set.invariants.iter().find(|invariant| invariant.place == problem.place);
        return Fate::Killed(format!("invariant `{}`", invariant.map_or("", |invariant| &invariant.id)));
    }
    missing_test(set, mutant).map_or(Fate::Equivalent, Fate::Survived)
}

// === mutants

struct Mutants<'a> {
    set: &'a PolicySet,
    mutants: Vec<Mutant>,
}

impl<'a> Mutants<'a> {
    fn of(set: &'a PolicySet) -> Vec<Mutant> {
        let mut mutants = Self { set, mutants: Vec::new() };
        mutants.classification();
        mutants.conversations();
        mutants.destinations();
        mutants.ways_down();
        mutants.guards();
        mutants.budgets();
        mutants.routes();
        mutants.mutants
    }

    fn add(&mut self, what: String, place: &Place, change: impl FnOnce(&mut PolicySet)) {
        let mut set = self.set.clone();
        change(&mut set);
        self.mutants.push(Mutant { what, place: place.clone(), set });
    }

    fn classification(&mut self) {
        for (i, rule) in self.set.classify.iter().enumerate() {
            self.add(format!("drop classify rule `{}`", rule.id), &rule.place, |set| drop(set.classify.remove(i)));
            if let Some(lower) = rule.raise.0.checked_sub(1).filter(|lower| Class(*lower) > self.set.default_class) {
                let what =
                    format!("let classify rule `{}` raise to `{}` only", rule.id, self.set.class_name(Class(lower)));
                self.add(what, &rule.place, |set| set.classify[i].raise = Class(lower));
            }
        }
    }

    fn conversations(&mut self) {
        if self.set.conversations.are_kept() {
            let what = "forget what conversations rose to".to_owned();
            self.add(what, &Place::whole("conversations"), |set| set.conversations.by.clear());
        }
    }

    fn destinations(&mut self) {
        for (i, destination) in self.set.destinations.iter().enumerate() {
            let higher = Class(destination.accepts.0 + 1);
            if usize::from(higher.0) < self.set.classes.len() {
                let what = format!("let `{}` accept `{}`", destination.name, self.set.class_name(higher));
                self.add(what, &destination.place, |set| set.destinations[i].accepts = higher);
            }
        }
    }

    fn ways_down(&mut self) {
        for (i, rule) in self.set.declassify.iter().enumerate() {
            for (name, transform) in Transform::ALL.into_iter().filter(|(_, t)| rule.requires.contains(*t)) {
                let what = format!("let declassify rule `{}` go without `{name}`", rule.id);
                self.add(what, &rule.place, |set| set.declassify[i].requires.remove(transform));
            }
            if let Some(lower) = rule.to.0.checked_sub(1) {
                let what =
                    format!("let declassify rule `{}` lower to `{}`", rule.id, self.set.class_name(Class(lower)));
                self.add(what, &rule.place, |set| set.declassify[i].to = Class(lower));
            }
        }
    }

    fn guards(&mut self) {
        for (i, guard) in self.set.guards.iter().enumerate() {
            self.add(format!("drop guard `{}`", guard.id), &guard.place, |set| drop(set.guards.remove(i)));
            for (name, transform) in Transform::ALL.into_iter().filter(|(_, t)| guard.require.contains(*t)) {
                let what = format!("let guard `{}` go without `{name}`", guard.id);
                self.add(what, &guard.place, |set| set.guards[i].require.remove(transform));
            }
        }
    }

    fn budgets(&mut self) {
        for (i, budget) in self.set.budgets.iter().enumerate() {
            for (j, step) in budget.ladder.iter().enumerate() {
                let what = format!("drop the step at {} of budget `{}`", step.at, budget.id);
                self.add(what, &budget.place, |set| drop(set.budgets[i].ladder.remove(j)));
            }
        }
    }

    /// The last route stays last: it is the one without a condition.
    fn routes(&mut self) {
        for (i, pair) in self.set.routes.windows(2).enumerate() {
            let what = format!("ask route `{}` before `{}`", pair[1].id, pair[0].id);
            let place = pair[0].place.clone();
            match pair[1].when.is_some() {
                true => self.add(what, &place, |set| set.routes.swap(i, i + 1)),
                false => {
                    let what = format!("drop route `{}`", pair[0].id);
                    self.add(what, &place, |set| drop(set.routes.remove(i)));
                }
            }
        }
        for (i, route) in self.set.routes.iter().enumerate().filter(|(_, route)| route.candidates.len() > 1) {
            let what = format!("turn the candidates of route `{}` round", route.id);
            self.add(what, &route.place, |set| set.routes[i].candidates.reverse());
        }
    }
}

// === the missing test

/// A test that the set passes and the mutant fails.
fn missing_test(set: &PolicySet, mutant: &Mutant) -> Option<String> {
    let mut analysis = Analysis::of(&[set, &mutant.set]);
    for wanted in distinctions(&mut analysis) {
        let Search::Found(witness) = analysis.find(&wanted) else { continue };
        let test = test(set, &mutant.set, &mutant.what, &witness);
        if test.is_some() {
            return test;
        }
    }
    None
}

/// What can tell the two sets apart: who may receive the request, what must be done to it, which route it takes, which
/// cap holds.
fn distinctions(analysis: &mut Analysis<'_>) -> Vec<Vec<Formula>> {
    let [set, mutant] = [&analysis.encoded[0], &analysis.encoded[1]];
    let mut wanted: Vec<Vec<Formula>> = Vec::new();
    for (one, other) in differing(set, mutant) {
        wanted.push(vec![one, !other]);
        wanted.push(vec![!one, other]);
    }
    let routes = set.routes.clone();
    let [before, after] = [0, 1].map(|set: usize| analysis.sets[set]);
    for (i, taken) in routes.iter().enumerate() {
        for (j, other) in mutant.routes.iter().enumerate() {
            if before.routes[i].id != after.routes[j].id {
                wanted.push(vec![*taken, *other]);
            }
        }
    }
    let open = |analysis: &Analysis<'_>, route: usize| -> Vec<Formula> {
        let candidates = &analysis.sets[0].routes[route].candidates;
        candidates.iter().take(2).map(|id| analysis.permitted(0, *id)).collect()
    };
    for (i, taken) in routes.iter().enumerate() {
        let mut both = open(analysis, i);
        both.push(*taken);
        wanted.push(both);
        wanted.push(vec![*taken]);
    }
    let guards = analysis.encoded[0].guards.clone();
    wanted.extend(guards.iter().map(|guard| vec![guard.certain]));
    wanted
}

/// Pairs of formulas that are the same in both sets unless the change made them differ.
fn differing(set: &Encoded, mutant: &Encoded) -> Vec<(Formula, Formula)> {
    let permitted = set.permitted.iter().copied().zip(mutant.permitted.iter().copied());
    let transforms = set.transforms.iter().flatten().copied().zip(mutant.transforms.iter().flatten().copied());
    let classes = set.class_at_least.iter().copied().zip(mutant.class_at_least.iter().copied());
    permitted.chain(transforms).chain(classes).filter(|(one, other)| one != other).collect()
}

/// The test that `witness` makes, if the set passes it and the mutant does not.
fn test(set: &PolicySet, mutant: &PolicySet, what: &str, witness: &Witness) -> Option<String> {
    let given = witness.given(set);
    let (decision, other) = (outcome(set, &given), outcome(mutant, &given));
    let (expect, yaml) = expectation(set, &decision, &other)?;
    let case = Case { name: what.to_owned(), place: Place::whole("missing test"), given, expect };
    let tells = differences(set, &case).is_empty() && !differences(mutant, &case).is_empty();
    let name = format!("notices: {what}").replace('\'', "''");
    tells.then(|| format!("- name: '{name}'\n  given: {}\n  expect: {yaml}", witness.to_yaml()))
}

/// What distinguishes two decisions about the same request, as a test would say it.
fn expectation(set: &PolicySet, decision: &Decision, other: &Decision) -> Option<(Expect, String)> {
    let first = |decision: &Decision| decision.plan().first().map(|c| c.id);
    let name = |id: &DestinationId| set.destination(*id).name.clone();
    for models in [true, false] {
        let receivers = |permitted: DestinationSet| -> Vec<DestinationId> {
            permitted.iter().filter(|id| set.destination(*id).is_model() == models).collect()
        };
        let (permitted, others) = (receivers(decision.permitted), receivers(other.permitted));
        if permitted == others {
            continue;
        }
        let names = permitted.iter().map(name).collect::<Vec<_>>().join(", ");
        return Some(match models {
            true => (Expect { permitted: Some(permitted), ..Expect::default() }, format!("{{ permitted: [{names}] }}")),
            false => (Expect { sinks: Some(permitted), ..Expect::default() }, format!("{{ sinks: [{names}] }}")),
        });
    }
    if let (Some(id), true) = (first(decision), first(decision) != first(other)) {
        return Some((Expect { served_by: Some(id), ..Expect::default() }, format!("{{ served_by: {} }}", name(&id))));
    }
    if let Some(id) = first(decision)
        && decision.transforms[usize::from(id.0)] != other.transforms[usize::from(id.0)]
    {
        let transforms = decision.transforms[usize::from(id.0)];
        let names: Vec<&str> = transforms.names().collect();
        let yaml = format!("{{ transforms: [{}] }}", names.join(", "));
        return Some((Expect { transforms: Some(transforms), ..Expect::default() }, yaml));
    }
    if decision.class != other.class {
        let yaml = format!("{{ class: {} }}", set.class_name(decision.class));
        return Some((Expect { class: Some(decision.class), ..Expect::default() }, yaml));
    }
    if (decision.max_output, decision.max_cost) != (other.max_output, other.max_cost) {
        let mut caps: Vec<String> = decision.max_output.map(|n| format!("max_output: {n}")).into_iter().collect();
        caps.extend(decision.max_cost.map(|usd| format!("usd: {usd}")));
        let expect = Expect { cap: Some((decision.max_output, decision.max_cost)), ..Expect::default() };
        return Some((expect, format!("{{ cap: {{ {} }} }}", caps.join(", "))));
    }
    let route = |decision: &Decision, set: &PolicySet| decision.route.map(|i| set.routes[usize::from(i)].id.clone());
    let taken = route(decision, set)?;
    let yaml = format!("{{ route: {taken} }}");
    Some((Expect { route: Some(taken), ..Expect::default() }, yaml))
}
