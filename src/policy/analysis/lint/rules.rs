//! Rules about permission: W102, W104, W105, W113, W114, W115.

use super::super::encode::{Cause, Kleene};
use super::super::formula::Formula;
use super::Linter;
use crate::classify::Strength;
use crate::policy::DestinationId;
use crate::policy::cases::outcome;
use crate::policy::decision::{Decision, RuleSet};
use crate::policy::expr::{Condition, DestinationCondition, Op};
use crate::policy::set::{Basis, Guard};
use crate::yaml::Place;

impl Linter<'_> {
    pub(super) fn rules(&mut self) {
        self.constant_conditions();
        self.statistical_invariants();
        self.untested_rules();
        self.wide_cache();
        self.idle_guards();
        self.unreachable_destinations();
    }

    // === W102

    fn constant_conditions(&mut self) {
        let set = self.set;
        for (i, rule) in set.classify.iter().enumerate() {
            let when = self.analysis.encoded[0].classify[i];
            self.constant_condition("classify rule", &rule.id, &rule.place, &rule.when, when, true);
        }
        for (i, guard) in set.guards.iter().enumerate() {
            let when = self.analysis.encoded[0].guards[i];
            self.constant_condition("guard", &guard.id, &guard.place, &guard.when, when, true);
        }
        for rule in &set.baselines {
            let when = self.analysis.condition(0, &rule.when);
            self.constant_condition("baseline", &rule.id, &rule.place, &rule.when, when, false);
        }
        for rule in &set.declassify {
            let when = self.analysis.condition(0, &rule.when);
            self.constant_condition("declassify rule", &rule.id, &rule.place, &rule.when, when, false);
        }
    }

    /// A rule without a condition is meant to apply always.
    fn constant_condition(
        &mut self,
        what: &str,
        id: &str,
        place: &Place,
        condition: &Condition,
        when: Kleene,
        restricts: bool,
    ) {
        if condition.fixed().is_some_and(|value| value.is_true()) {
            return;
        }
        if let Some(verdict) = self.verdict(when, restricts) {
            let way_out = if verdict == "never" { "drop it, or correct its condition" } else { "drop its `when`" };
            self.idle.extend((verdict == "never").then(|| place.clone()));
            self.warnings.add_coded(place, "W102", format!("the {what} `{id}` {verdict} applies; {way_out}"));
        }
    }

    // === W104

    /// What a statistical detector misses, no proof sees.
    fn statistical_invariants(&mut self) {
        let set = self.set;
        let uncertain: Vec<&str> = set
            .detectors
            .iter()
            .filter(|d| d.kind.strength() == Strength::Statistical)
            .map(|d| d.name.as_str())
            .collect();
        for invariant in &set.invariants {
            let named = uncertain.iter().find(|name| self.mentions(&invariant.never, &format!("finding.{name}")));
            let on = match named {
                Some(name) => format!("the statistical detector `{name}`"),
                None if self.rests_on_uncertain_class(&invariant.never) => {
                    "a class that a statistical detector raises".to_owned()
                }
                None => continue,
            };
            let message = format!(
                "the invariant `{}` rests on {on}: it holds for what is recognised, not for what is missed",
                invariant.id
            );
            self.warnings.add_coded(&invariant.place, "W104", message);
        }
    }

    /// Whether it speaks of a class up to which a statistical rule raises.
    fn rests_on_uncertain_class(&self, never: &DestinationCondition) -> bool {
        let rules = self.set.classify.iter().filter(|rule| rule.basis == Basis::Statistical);
        let Some(highest) = rules.map(|rule| rule.raise).max() else { return false };
        let ops = (0..self.set.destinations.len()).flat_map(|i| never.of(i).ops());
        ops.into_iter().any(|op| matches!(op, Op::Class(_, bound) if *bound <= highest.0))
    }

    fn mentions(&self, condition: &DestinationCondition, name: &str) -> bool {
        let Some(slot) = self.set.vocabulary.slot(name) else { return false };
        (0..self.set.destinations.len()).any(|i| condition.of(i).ops().iter().any(|op| op.slot() == Some(slot)))
    }

    // === W105

    fn untested_rules(&mut self) {
        let set = self.set;
        let decisions: Vec<Decision> = set.cases.iter().map(|case| outcome(set, &case.given)).collect();
        let mut untested: Vec<(&Place, String)> = Vec::new();
        let applied = |rules: fn(&Decision) -> &RuleSet, i: usize| decisions.iter().any(|d| rules(d).contains(i));
        for (_, rule) in set.classify.iter().enumerate().filter(|(i, _)| !applied(|d| &d.classified_by, *i)) {
            untested.push((&rule.place, format!("classify rule `{}`", rule.id)));
        }
        for (_, guard) in set.guards.iter().enumerate().filter(|(i, _)| !applied(|d| &d.guards, *i)) {
            untested.push((&guard.place, format!("guard `{}`", guard.id)));
        }
        for (i, route) in set.routes.iter().enumerate() {
            if !decisions.iter().any(|d| d.route == Some(i as u16)) {
                untested.push((&route.place, format!("route `{}`", route.id)));
            }
        }
        for (place, what) in untested.into_iter().filter(|(place, _)| !self.idle.contains(place)) {
            let message = format!("no test exercises the {what}; `ajar policy test --mutate` proposes tests");
            self.warnings.add_coded(place, "W105", message);
        }
    }

    // === W113

    /// Answers to sealed or sensitive requests in a cache outlive the request.
    fn wide_cache(&mut self) {
        let Some((_, cache)) = self.set.sink("cache") else { return };
        if self.set.sealed.iter().any(|sealed| *sealed <= cache.accepts) {
            let message = format!(
                "the cache `{}` accepts `{}`, a sealed class or one above it: its answers are kept in memory for others \
                 with the same key; lower `accepts`",
                cache.name,
                self.set.class_name(cache.accepts)
            );
            self.warnings.add_coded(&cache.place, "W113", message);
        }
    }

    // === W114

    /// A guard that only removes what others remove anyway. One that says what an invariant says is meant to stand beside
    /// other rules: it decides once they change.
    fn idle_guards(&mut self) {
        let set = self.set;
        for (i, guard) in set.guards.iter().enumerate().filter(|(_, guard)| only_removes(guard)) {
            if self.idle.contains(&guard.place) {
                continue;
            }
            let decides = (0..set.destinations.len()).any(|index| {
                let alone = self.alone(DestinationId(index as u8), Cause::Guard(i));
                !self.never(&alone)
            });
            if !decides && !self.states_an_invariant(i) {
                let message =
                    format!("the guard `{}` never decides: whatever it takes away, other rules take too", guard.id);
                self.warnings.add_coded(&guard.place, "W114", message);
            }
        }
    }

    /// Whether some invariant forbids exactly what the guard with this index takes away, for every destination.
    fn states_an_invariant(&mut self, guard: usize) -> bool {
        let set = self.set;
        set.invariants.iter().any(|invariant| {
            (0..set.destinations.len()).all(|index| {
                let forbidden = self.analysis.condition(0, invariant.never.of(index)).possible;
                let mut removals = self.analysis.encoded[0].removals[index].iter();
                let removed = removals.find(|(cause, _)| *cause == Cause::Guard(guard)).map(|(_, removed)| *removed);
                removed.is_some_and(|removed| self.never(&[removed, !forbidden]) && self.never(&[!removed, forbidden]))
            })
        })
    }

    /// That `cause` and nothing else takes the destination away.
    fn alone(&self, id: DestinationId, cause: Cause) -> Vec<Formula> {
        let removals = &self.analysis.encoded[0].removals[usize::from(id.0)];
        removals.iter().map(|(other, removed)| if *other == cause { *removed } else { !*removed }).collect()
    }

    // === W115

    fn unreachable_destinations(&mut self) {
        let set = self.set;
        let preferable = set.routes.iter().any(|route| route.honour_preference);
        for (index, destination) in set.destinations.iter().enumerate().filter(|(_, d)| d.is_model()) {
            let id = DestinationId(index as u8);
            let routed = preferable || set.routes.iter().any(|route| route.candidates.contains(&id));
            let why = match routed {
                false => "no route names it".to_owned(),
                true if self.never(&[self.analysis.permitted(0, id)]) => "no request may go there".to_owned(),
                true => continue,
            };
            let message = format!("the destination `{}` is never reached: {why}", destination.name);
            self.warnings.add_coded(&destination.place, "W115", message);
        }
    }
}

fn only_removes(guard: &Guard) -> bool {
    guard.require.is_empty() && guard.max_output.is_none() && guard.max_cost.is_none() && guard.block.is_none()
}
