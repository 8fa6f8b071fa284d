//! Invariants, shown to hold for every request, or refuted by one.

use super::Analysis;
use super::witness::{Search, Witness};
use crate::policy::cases::outcome;
use crate::policy::decision::Decision;
use crate::policy::{DestinationId, PolicySet};
use crate::yaml::Problems;

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Refutation {
    /// Index of the invariant in the set.
    pub invariant: usize,
    /// A destination that may receive what it should not.
    pub destination: DestinationId,
    /// The smallest request that shows it; `None` where the search was given up.
    pub witness: Option<Witness>,
}

/// Proves every invariant of `set`; each that does not hold is a problem (E003) with the request that refutes it.
pub fn prove(set: &PolicySet, problems: &mut Problems) {
    for refutation in refutations(set) {
        let invariant = &set.invariants[refutation.invariant];
        let told = match &refutation.witness {
            Some(witness) => format!("is broken: {}", refuted(set, refutation.destination, witness)),
            None => undecided(set, refutation.destination),
        };
        problems.add_coded(&invariant.place, "E003", format!("invariant `{}` {told}", invariant.id));
    }
}

/// The invariants of `set` that do not hold, each with the first destination for which it does not.
pub fn refutations(set: &PolicySet) -> Vec<Refutation> {
    if set.invariants.is_empty() {
        return Vec::new();
    }
    let mut analysis = Analysis::of(&[set]);
    (0..set.invariants.len()).filter_map(|invariant| refute(&mut analysis, set, invariant)).collect()
}

fn refute(analysis: &mut Analysis<'_>, set: &PolicySet, invariant: usize) -> Option<Refutation> {
    for index in 0..set.destinations.len() {
        let destination = DestinationId(index as u8);
        let possible = analysis.condition(0, set.invariants[invariant].never.of(index)).possible;
        let witness = match analysis.find(&[analysis.permitted(0, destination), possible]) {
            Search::Nothing => continue,
            Search::Found(witness) => Some(witness),
            Search::GivenUp => None,
        };
        return Some(Refutation { invariant, destination, witness });
    }
    None
}

fn undecided(set: &PolicySet, id: DestinationId) -> String {
    format!(
        "could not be proved for `{}`: the search was given up; make the rules about it simpler, or split the invariant",
        set.destination(id).name
    )
}

fn refuted(set: &PolicySet, id: DestinationId, witness: &Witness) -> String {
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
        false => format!("of the guards that apply ({applying}) none takes it away"),
    };
    format!("{witness} could reach `{}`, because {ceiling}, and {guards}", destination.name)
}

/// The ids of guards that apply.
fn applying(set: &PolicySet, decision: &Decision) -> String {
    let guards = set.guards.iter().enumerate().filter(|(i, _)| decision.guards.contains(*i));
    guards.map(|(_, guard)| format!("`{}`", guard.id)).collect::<Vec<_>>().join(", ")
}
