//! What a change of policies changes, by destination, each with the smallest request that shows it.
//!
//! Facts are compared by name. Two sets may define a name differently (a detector that recognises less, a destination
//! that moved): no request shows that, so such definitions are compared themselves, and what may let more through is
//! reported as a widening.

use serde::Serialize;

use super::encode::Cause;
use super::formula::Formula;
use super::witness::Search;
use super::{Analysis, definitions};
use crate::policy::explain::choice;
use crate::policy::set::{Boundary, Guard, Transform};
use crate::policy::{DestinationId, PolicySet};

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// A stable name, to accept it by: `permits/gpt/guard/eu-stays`.
    pub id: String,
    /// Whether something is let through, or may be spent, that was not before.
    pub widens: bool,
    /// What changed, in a sentence.
    pub message: String,
    /// The smallest request that shows it, as the `given` of an in-file test; absent where no request can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// Every difference between two sets, widenings first.
pub fn diff(old: &PolicySet, new: &PolicySet) -> Vec<Change> {
    let mut diff = Diff { analysis: Analysis::of(&[old, new]), old, new, changes: definitions::compare(old, new) };
    diff.permission();
    diff.transforms();
    diff.caps();
    diff.routes();
    diff.changes.sort_by_key(|change| !change.widens);
    diff.changes
}

const OLD: usize = 0;
const NEW: usize = 1;

struct Diff<'a> {
    analysis: Analysis<'a>,
    old: &'a PolicySet,
    new: &'a PolicySet,
    changes: Vec<Change>,
}

impl Diff<'_> {
    // === who may receive what

    fn permission(&mut self) {
        for (index, destination) in self.new.destinations.iter().enumerate() {
            let id = DestinationId(index as u8);
            match self.old.destination_named(&destination.name) {
                Some(old) => self.opened(OLD, old, NEW, id),
                None => self.added(id),
            }
        }
        for (index, destination) in self.old.destinations.iter().enumerate() {
            let id = DestinationId(index as u8);
            match self.new.destination_named(&destination.name) {
                Some(new) => self.opened(NEW, new, OLD, id),
                None => self.removed(id),
            }
        }
    }

    /// For everything that keeps a destination out in the set `shut`: whether the set `open` lets it in.
    fn opened(&mut self, shut: usize, shut_id: DestinationId, open: usize, open_id: DestinationId) {
        let causes = self.analysis.encoded[shut].removals[usize::from(shut_id.0)].clone();
        for (cause, removed) in &causes {
            let permitted = self.analysis.permitted(open, open_id);
            let others = causes.iter().filter(|(other, _)| other != cause).map(|(_, removed)| !*removed);
            let alone: Vec<Formula> = others.chain([permitted, *removed]).collect();
            let search = match self.analysis.find(&alone) {
                Search::Nothing => self.analysis.find(&[permitted, *removed]),
                search => search,
            };
            let set = if shut == OLD { self.old } else { self.new };
            let name = &set.destination(shut_id).name;
            let (slug, told) = named(set, *cause);
            let (verb, sentence) = match shut == OLD {
                true => ("permits", format!("may now go to `{name}`, which {told} kept from it")),
                false => ("refuses", format!("may no longer go to `{name}`, which {told} keeps from it")),
            };
            self.report(search, format!("{verb}/{name}/{slug}"), shut == OLD, &sentence);
        }
    }

    fn added(&mut self, id: DestinationId) {
        let destination = self.new.destination(id);
        let search = self.analysis.find(&[self.analysis.permitted(NEW, id)]);
        let widens = destination.boundary == Boundary::External;
        self.report(
            search,
            format!("adds/{}", destination.name),
            widens,
            &format!("may go to `{}`, which is new", destination.name),
        );
    }

    fn removed(&mut self, id: DestinationId) {
        let destination = self.old.destination(id);
        let search = self.analysis.find(&[self.analysis.permitted(OLD, id)]);
        let sentence = format!("could go to `{}`, which is gone", destination.name);
        self.report(search, format!("removes/{}", destination.name), false, &sentence);
    }

    // === what must be done to it

    fn transforms(&mut self) {
        for (index, destination) in self.new.destinations.iter().enumerate() {
            let Some(old) = self.old.destination_named(&destination.name) else { continue };
            let new = DestinationId(index as u8);
            let both = [self.analysis.permitted(OLD, old), self.analysis.permitted(NEW, new)];
            for (i, (transform, _)) in Transform::ALL.iter().enumerate() {
                let before = self.analysis.encoded[OLD].transforms[usize::from(old.0)][i];
                let after = self.analysis.encoded[NEW].transforms[index][i];
                let dropped = self.analysis.find(&[both[0], both[1], before, !after]);
                let name = &destination.name;
                let sentence = format!("may now go to `{name}` without `{transform}`");
                self.report(dropped, format!("drops/{transform}/{name}"), true, &sentence);
                let demanded = self.analysis.find(&[both[0], both[1], !before, after]);
                let sentence = format!("now needs `{transform}` to go to `{name}`");
                self.report(demanded, format!("demands/{transform}/{name}"), false, &sentence);
            }
        }
    }

    fn caps(&mut self) {
        self.cap("max_output", "tokens of output", |guard| guard.max_output.map(u64::from));
        self.cap("usd", "micro-dollars", |guard| guard.max_cost.map(|cost| cost.0));
    }

    fn cap(&mut self, name: &str, unit: &str, of: impl Fn(&Guard) -> Option<u64>) {
        let guards = self.old.guards.iter().chain(&self.new.guards);
        let mut values: Vec<u64> = guards.filter_map(&of).collect();
        values.sort_unstable();
        values.dedup();
        for value in values {
            let before = self.capped(OLD, value, &of);
            let after = self.capped(NEW, value, &of);
            let raised = self.analysis.find(&[before, !after]);
            let sentence = format!("is no longer capped at {value} {unit}");
            self.report(raised, format!("uncaps/{name}/{value}"), true, &sentence);
            let lowered = self.analysis.find(&[!before, after]);
            self.report(lowered, format!("caps/{name}/{value}"), false, &format!("is now capped at {value} {unit}"));
        }
    }

    /// Whether some guard caps at `value` or lower.
    fn capped(&mut self, index: usize, value: u64, of: &impl Fn(&Guard) -> Option<u64>) -> Formula {
        let set = self.analysis.sets[index];
        let caps = set.guards.iter().zip(&self.analysis.encoded[index].guards);
        let applying: Vec<Formula> = caps
            .filter(|(guard, _)| of(guard).is_some_and(|cap| cap <= value))
            .map(|(_, when)| when.possible)
            .collect();
        self.analysis.formulas.any(applying)
    }

    // === who is chosen

    fn routes(&mut self) {
        for (i, old) in self.old.routes.iter().enumerate() {
            for (j, new) in self.new.routes.iter().enumerate() {
                let (before, after) = (choice(self.old, old), choice(self.new, new));
                if before == after {
                    continue;
                }
                let taken = [self.analysis.encoded[OLD].routes[i], self.analysis.encoded[NEW].routes[j]];
                let search = self.analysis.find(&taken);
                let sentence = match old.id == new.id {
                    true => {
                        format!(
                            "takes the route `{}`, which now chooses otherwise: `{before}` became `{after}`",
                            old.id
                        )
                    }
                    false => format!("takes the route `{}` ({after}) instead of `{}` ({before})", new.id, old.id),
                };
                self.report(search, format!("chooses/{}/{}", old.id, new.id), false, &sentence);
            }
        }
    }

    fn report(&mut self, search: Search, id: String, widens: bool, sentence: &str) {
        let (message, request) = match search {
            Search::Nothing => return,
            Search::Found(witness) => (format!("{witness} {sentence}"), Some(witness.to_yaml())),
            Search::GivenUp => (format!("whether a request {sentence} could not be decided"), None),
        };
        self.changes.push(Change { id, widens, message, request });
    }
}

/// A cause as a part of an id, and in words.
fn named(set: &PolicySet, cause: Cause) -> (String, String) {
    match cause {
        Cause::Class => ("class".to_owned(), "its class".to_owned()),
        Cause::Guard(i) => (format!("guard/{}", set.guards[i].id), format!("the guard `{}`", set.guards[i].id)),
        Cause::Budget(i, step) => {
            let budget = &set.budgets[i];
            let at = budget.ladder[step].at;
            (format!("budget/{}/{at}", budget.id), format!("the budget `{}` at {at}", budget.id))
        }
    }
}
