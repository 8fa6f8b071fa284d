//! Routes: W101, W107, W110, W112.

use super::super::encode::Cause;
use super::super::formula::Formula;
use super::Linter;
use crate::policy::DestinationId;
use crate::policy::explain::choice;
use crate::policy::set::{Boundary, Scope};
use crate::policy::vocabulary::Trust;

impl Linter<'_> {
    pub(super) fn routes(&mut self) {
        for index in 0..self.set.routes.len() {
            if self.never(&[self.analysis.encoded[0].routes[index]]) {
                self.unreachable(index);
                continue;
            }
            self.without_candidates(index);
            self.spends_on_a_clients_word(index);
        }
        self.overlapping();
    }

    // === W101

    fn unreachable(&mut self, index: usize) {
        let route = &self.set.routes[index];
        let message = format!("the route `{}` is never taken: earlier routes take all that it would", route.id);
        self.idle.push(route.place.clone());
        self.warnings.add_coded(&route.place, "W101", message);
    }

    // === W107

    /// A route that says `on_empty` has an answer for this.
    fn without_candidates(&mut self, index: usize) {
        let route = &self.set.routes[index];
        if !route.on_empty.is_empty() {
            return;
        }
        let mut empty: Vec<Formula> = route.candidates.iter().map(|id| !self.analysis.permitted(0, *id)).collect();
        empty.push(self.analysis.encoded[0].routes[index]);
        // A guard that refuses altogether is an answer too.
        let refusing = self.set.guards.iter().enumerate().filter(|(_, guard)| guard.block.is_some());
        empty.extend(refusing.map(|(i, _)| !self.analysis.encoded[0].guards[i].possible));
        if let Some(example) = self.example(&empty) {
            let message = format!(
                "{example} takes the route `{}` and may go to none of its candidates; add one, or say \
                 `on_empty: {{ refuse: … }}`",
                route.id
            );
            self.warnings.add_coded(&route.place, "W107", message);
        }
    }

    // === W110

    fn spends_on_a_clients_word(&mut self, index: usize) {
        let set = self.set;
        let route = &set.routes[index];
        let Some(when) = &route.when else { return };
        let client =
            when.ops().iter().filter_map(|op| op.slot()).find(|slot| set.vocabulary.term(*slot).trust == Trust::Client);
        let outside = route.candidates.first().filter(|id| set.destination(**id).boundary == Boundary::External);
        if let (Some(slot), Some(_)) = (client, outside.filter(|id| !self.is_budgeted(**id))) {
            let name = &set.vocabulary.term(slot).name;
            let message = format!(
                "the route `{}` goes outside first because of `{name}`, which clients say of themselves: anyone can spend \
                 by it; use an attribute of the key, or a budget",
                route.id
            );
            self.warnings.add_coded(&route.place, "W110", message);
        }
    }

    /// Whether a budget that counts over more than one request takes the destination away at some step.
    fn is_budgeted(&mut self, id: DestinationId) -> bool {
        let removals = self.analysis.encoded[0].removals[usize::from(id.0)].clone();
        removals.iter().any(|(cause, removed)| {
            let counts = matches!(cause, Cause::Budget(i, _) if self.set.budgets[*i].per != Scope::Request);
            counts && !self.never(&[*removed])
        })
    }

    // === W112

    /// The last route takes what is left, so it overlaps all others on purpose.
    fn overlapping(&mut self) {
        let set = self.set;
        for (i, route) in set.routes.iter().enumerate().filter(|(_, route)| route.when.is_some()) {
            if self.idle.contains(&route.place) {
                continue;
            }
            let (mut names, mut first) = (Vec::new(), None);
            for (j, earlier) in set.routes[..i].iter().enumerate() {
                if let Some(example) = self.overlap(j, i) {
                    names.push(format!("`{}`", earlier.id));
                    first.get_or_insert(example);
                }
            }
            if let Some(example) = first {
                let message = format!(
                    "the route `{}` also matches what {} takes, as in {example}; only their order decides",
                    route.id,
                    names.join(", ")
                );
                self.warnings.add_coded(&route.place, "W112", message);
            }
        }
    }

    /// A request that both routes match, where they would choose differently. A special case that stands before its
    /// general one is ordered on purpose.
    fn overlap(&mut self, earlier: usize, later: usize) -> Option<String> {
        let routes = &self.set.routes;
        let [one, other] = [earlier, later].map(|at| self.analysis.encoded[0].route_conditions[at].certain);
        let special = self.never(&[one, !other]);
        if special
            || self.idle.contains(&routes[earlier].place)
            || choice(self.set, &routes[earlier]) == choice(self.set, &routes[later])
        {
            return None;
        }
        self.example(&[one, other])
    }
}
