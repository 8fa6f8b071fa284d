//! Invariants, shown to hold for every request, or refuted by one.

use super::Analysis;
use super::witness::{Search, Witness};
use crate::policy::cases::outcome;
use crate::policy::decision::{Decision, RuleSet};
use crate::policy::set::Invariant;
use crate::policy::{DestinationId, PolicySet};
use crate::yaml::Problems;

/// Proves every invariant of `set`; each that does not hold is a problem (E003) with the request that refutes it.
pub fn prove(set: &PolicySet, problems: &mut Problems) {
    if set.invariants.is_empty() {
        return;
    }
    let mut analysis = Analysis::of(&[set]);
    for invariant in &set.invariants {
        if let Some(broken) = refute(&mut analysis, set, invariant) {
            problems.add_coded(&invariant.place, "E003", format!("invariant `{}` {broken}", invariant.id));
        }
    }
}

/// The first destination for which the invariant does not hold, and why.
fn refute(analysis: &mut Analysis<'_>, set: &PolicySet, invariant: &Invariant) -> Option<String> {
    for index in 0..set.destinations.len() {
        let id = DestinationId(index as u8);
        let possible = analysis.condition(0, invariant.never.of(index)).possible;
        match analysis.find(&[analysis.permitted(0, id), possible]) {
            Search::Found(witness) => return Some(format!("is broken: {}", refutation(set, id, &witness))),
            Search::Nothing => {}
            Search::GivenUp => return Some(undecided(set, id)),
        }
    }
    None
}

fn undecided(set: &PolicySet, id: DestinationId) -> String {
    format!(
        "could not be proved for `{}`: the search was given up; make the rules about it simpler, or split the invariant",
        set.destination(id).name
    )
}

fn refutation(set: &PolicySet, id: DestinationId, witness: &Witness) -> String {
    let destination = set.destination(id);
    let decision = outcome(set, &witness.given(set));
    let class = set.class_name(decision.class);
    let ceiling = match decision.class <= destination.accepts {
        true => format!("its class is `{class}`, which `{}` accepts", destination.name),
        false => format!("a `declassify` rule opens a way down from its class `{class}`"),
    };
    let applying = applying(set, &decision);
    let guards = match applying.is_empty() {
        true => "no guard applies".to_owned(),
        false => format!("of the rules that apply ({applying}) none takes it away"),
    };
    format!("{witness} could reach `{}`, because {ceiling}, and {guards}", destination.name)
}

/// The ids of guards that apply.
fn applying(set: &PolicySet, decision: &Decision) -> String {
    let applies = |rules: &RuleSet, i: usize| rules.contains(i);
    let guards = set.guards.iter().enumerate().filter(|(i, _)| applies(&decision.guards, *i));
    guards.map(|(_, guard)| format!("`{}`", guard.id)).collect::<Vec<_>>().join(", ")
}
