//! A policy set as formulas: what `decide` computes for one request, for all requests at once.
//!
//! What the request's conversation rose to before can be any class. The transforms that a way down asks for count as done,
//! and what is not free can cost anything: what is proved holds for every installation and every price.

use super::formula::{Formula, Formulas};
use super::space::{Cell, Input, Space, answer, exceeds, reached};
use super::witness::Value;
use crate::chat::MicroUsd;
use crate::classify::Truth;
use crate::policy::expr::{Condition, DestinationCondition, Op, Relation};
use crate::policy::set::{Boundary, Class, Declassify, Scope, Step, Transform};
use crate::policy::{DestinationId, PolicySet};

/// Whether a condition is certainly true, and whether it may be.
#[derive(Clone, Copy)]
pub(super) struct Kleene {
    pub certain: Formula,
    pub possible: Formula,
}

/// What takes a destination away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The class is above its ceiling, and nothing lowers it.
    Class,
    /// The guard with this index.
    Guard(usize),
    /// This budget, at this step of its ladder.
    Budget(usize, usize),
}

/// One set as formulas.
pub(super) struct Encoded {
    /// Whether the class is at least the one with this index.
    pub class_at_least: Vec<Formula>,
    pub classify: Vec<Kleene>,
    pub guards: Vec<Kleene>,
    /// For each destination what takes it away, and when.
    pub removals: Vec<Vec<(Cause, Formula)>>,
    /// Which destinations may receive the request.
    pub permitted: Vec<Formula>,
    /// For each destination and each of [`Transform::ALL`], whether it must be done.
    pub transforms: Vec<[Formula; Transform::ALL.len()]>,
    pub route_conditions: Vec<Kleene>,
    /// Which route is taken.
    pub routes: Vec<Formula>,
}

/// The values of one set's conditions.
pub(super) struct Encoder<'a> {
    pub set: &'a PolicySet,
    pub space: &'a Space,
    pub formulas: &'a mut Formulas,
    class_at_least: Vec<Formula>,
}

impl<'a> Encoder<'a> {
    /// An encoder that does not know the class yet.
    pub(super) fn new(set: &'a PolicySet, space: &'a Space, formulas: &'a mut Formulas) -> Self {
        Self { set, space, formulas, class_at_least: Vec::new() }
    }

    /// An encoder for further conditions of a set that was encoded before.
    pub(super) fn after(encoded: &Encoded, set: &'a PolicySet, space: &'a Space, formulas: &'a mut Formulas) -> Self {
        Self { class_at_least: encoded.class_at_least.clone(), ..Self::new(set, space, formulas) }
    }

    pub(super) fn encode(mut self) -> Encoded {
        let set = self.set;
        let classify: Vec<Kleene> = set.classify.iter().map(|rule| self.condition(&rule.when)).collect();
        self.class_at_least = self.classes(&classify);
        let guards: Vec<Kleene> = set.guards.iter().map(|guard| self.condition(&guard.when)).collect();
        let ways: Vec<Formula> = set.declassify.iter().map(|rule| self.way(rule)).collect();
        let mut removals: Vec<Vec<(Cause, Formula)>> = self.ids().map(|id| vec![self.ceiling(id, &ways)]).collect();
        self.guard_removals(&guards, &mut removals);
        self.budget_removals(&mut removals);
        let permitted = removals.iter().map(|causes| {
            let kept: Vec<Formula> = causes.iter().map(|(_, removed)| !*removed).collect();
            self.formulas.all(kept)
        });
        let permitted = permitted.collect();
        let transforms = self.ids().map(|id| self.transforms(id, &ways, &guards)).collect();
        let (route_conditions, routes) = self.routes();
        let class_at_least = self.class_at_least;
        Encoded { class_at_least, classify, guards, removals, permitted, transforms, route_conditions, routes }
    }

    fn ids(&self) -> impl Iterator<Item = DestinationId> + use<> {
        (0..self.set.destinations.len()).map(|i| DestinationId(i as u8))
    }

    // === conditions

    pub(super) fn condition(&mut self, condition: &Condition) -> Kleene {
        let mut values: Vec<Kleene> = Vec::with_capacity(condition.ops().len());
        for op in condition.ops() {
            let value = match *op {
                Op::Constant(truth) => self.constant(truth),
                Op::Class(relation, bound) => self.class(relation, usize::from(bound)),
                Op::Not(a) => {
                    let a = values[usize::from(a)];
                    Kleene { certain: !a.possible, possible: !a.certain }
                }
                Op::And(a, b) => {
                    let (a, b) = (values[usize::from(a)], values[usize::from(b)]);
                    let (certain, possible) =
                        (self.formulas.and(a.certain, b.certain), self.formulas.and(a.possible, b.possible));
                    Kleene { certain, possible }
                }
                Op::Or(a, b) => {
                    let (a, b) = (values[usize::from(a)], values[usize::from(b)]);
                    let (certain, possible) =
                        (self.formulas.or(a.certain, b.certain), self.formulas.or(a.possible, b.possible));
                    Kleene { certain, possible }
                }
                Op::Bool(slot) if Some(slot) == self.set.slots.unknown_any => self.known(Self::any_unknown),
                Op::Bool(slot) | Op::Number(slot, ..) | Op::Word(slot, _) => {
                    self.question(op, self.space.input(self.set, slot))
                }
            };
            values.push(value);
        }
        values.last().copied().unwrap_or_else(|| self.constant(Truth::Unknown))
    }

    fn constant(&self, truth: Truth) -> Kleene {
        Kleene {
            certain: self.formulas.constant(truth.is_true()),
            possible: self.formulas.constant(truth.is_possible()),
        }
    }

    fn known(&mut self, formula: impl FnOnce(&mut Self) -> Formula) -> Kleene {
        let known = formula(self);
        Kleene { certain: known, possible: known }
    }

    /// Whether any detector of the set failed.
    fn any_unknown(&mut self) -> Formula {
        let failed: Vec<Formula> = (self.set.slots.unknowns.iter())
            .map(|slot| self.question(&Op::Bool(*slot), self.space.input(self.set, *slot)).certain)
            .collect();
        self.formulas.any(failed)
    }

    fn class(&mut self, relation: Relation, bound: usize) -> Kleene {
        let (at_least, above) = (self.class_at_least(bound), self.class_at_least(bound + 1));
        self.known(|this| match relation {
            Relation::Ge => at_least,
            Relation::Gt => above,
            Relation::Lt => !at_least,
            Relation::Le => !above,
            Relation::Eq => this.formulas.and(at_least, !above),
            Relation::Ne => this.formulas.or(!at_least, above),
        })
    }

    /// Whether the class is at least `index`; none is above the top.
    fn class_at_least(&self, index: usize) -> Formula {
        self.class_at_least.get(index).copied().unwrap_or_else(|| self.formulas.constant(false))
    }

    /// What a question about a fact says in each of its cells.
    fn question(&mut self, op: &Op, input: &Input) -> Kleene {
        let answer = |cell: &Cell| answer(self.set, &input.name, op, &cell.value);
        let answers: Vec<(Truth, Formula)> = input.cells.iter().map(|cell| (answer(cell), cell.is)).collect();
        let certain = answers.iter().filter(|(truth, _)| truth.is_true()).map(|(_, is)| *is);
        let possible = answers.iter().filter(|(truth, _)| truth.is_possible()).map(|(_, is)| *is);
        Kleene { certain: self.formulas.any(certain), possible: self.formulas.any(possible) }
    }

    // === class

    /// Baselines lower the start where they certainly apply; classify rules raise the class unless they certainly do not.
    fn classes(&mut self, classify: &[Kleene]) -> Vec<Formula> {
        let set = self.set;
        let baselines: Vec<Kleene> = set.baselines.iter().map(|rule| self.condition(&rule.when)).collect();
        let mut at_least = Vec::with_capacity(set.classes.len());
        for index in 0..set.classes.len() {
            let class = Class(index as u8);
            let lowered = set.baselines.iter().zip(&baselines).filter(|(rule, _)| rule.class < class);
            let kept =
                lowered.map(|(_, when)| !when.certain).chain([self.formulas.constant(set.default_class >= class)]);
            let start = self.formulas.all(kept.collect::<Vec<_>>());
            let raised = set.classify.iter().zip(classify).filter(|(rule, _)| rule.raise >= class);
            let reached = raised.map(|(_, when)| when.possible).chain([start, self.conversation(class)]);
            at_least.push(self.formulas.any(reached.collect::<Vec<_>>()));
        }
        at_least
    }

    /// Whether the request's conversation rose to `class` before. A class that the set does not have counts as the top.
    fn conversation(&mut self, class: Class) -> Formula {
        let set = self.set;
        let cells = self.space.conversation().filter(|_| set.conversations.are_kept()).map(|input| &input.cells);
        let rose = |cell: &&Cell| match &cell.value {
            Value::Word(name) => set.class_named(name).unwrap_or(set.top_class()) >= class,
            _ => false,
        };
        let cells: Vec<Formula> = cells.into_iter().flatten().filter(rose).map(|cell| cell.is).collect();
        self.formulas.any(cells)
    }

    // === permission

    /// Whether a way down is open.
    fn way(&mut self, rule: &Declassify) -> Formula {
        let certain = self.condition(&rule.when).certain;
        let mut open = vec![certain, !self.class_at_least(usize::from(rule.up_to.0) + 1)];
        for sealed in &self.set.sealed {
            let sealed = usize::from(sealed.0);
            let (at_least, above) = (self.class_at_least(sealed), self.class_at_least(sealed + 1));
            open.push(!self.formulas.and(at_least, !above));
        }
        if rule.requires.contains(Transform::RescanClean) {
            open.push(!self.any_unknown());
        }
        self.formulas.all(open)
    }

    fn too_high(&self, id: DestinationId) -> Formula {
        self.class_at_least(usize::from(self.set.destination(id).accepts.0) + 1)
    }

    fn ceiling(&mut self, id: DestinationId, ways: &[Formula]) -> (Cause, Formula) {
        let destination = self.set.destination(id);
        let leading = self.set.declassify.iter().zip(ways).filter(|(rule, _)| rule.leads_to(destination));
        let open: Vec<Formula> = leading.map(|(_, way)| *way).collect();
        let open = self.formulas.any(open);
        let too_high = self.too_high(id);
        (Cause::Class, self.formulas.and(too_high, !open))
    }

    fn guard_removals(&mut self, guards: &[Kleene], removals: &mut [Vec<(Cause, Formula)>]) {
        let set = self.set;
        for (i, guard) in set.guards.iter().enumerate() {
            for id in self.ids() {
                let removed = match guard.shuts(set.destination(id)) {
                    true => self.formulas.constant(true),
                    false => self.restricted(id, guard.only.as_ref(), guard.deny.as_ref(), guard.block.is_some()),
                };
                let removed = self.formulas.and(guards[i].possible, removed);
                removals[usize::from(id.0)].push((Cause::Guard(i), removed));
            }
        }
    }

    fn budget_removals(&mut self, removals: &mut [Vec<(Cause, Formula)>]) {
        let set = self.set;
        for (i, budget) in set.budgets.iter().enumerate() {
            for (j, step) in budget.ladder.iter().enumerate() {
                for id in self.ids() {
                    let removed = match budget.per {
                        Scope::Request => self.too_dear(id, budget.limit, step.at),
                        Scope::Key | Scope::Attribute(_) | Scope::All => self.step_removal(id, i, step),
                    };
                    removals[usize::from(id.0)].push((Cause::Budget(i, j), removed));
                }
            }
        }
    }

    /// What costs nothing never costs too much.
    fn too_dear(&mut self, id: DestinationId, limit: MicroUsd, at: f64) -> Formula {
        match self.set.destination(id).is_free() {
            true => self.formulas.constant(false),
            false => self.question(&exceeds(limit, at), self.space.cost(self.set, id)).certain,
        }
    }

    fn step_removal(&mut self, id: DestinationId, budget: usize, step: &Step) -> Formula {
        let removed = self.restricted(id, step.only.as_ref(), step.deny.as_ref(), step.refuse.is_some());
        let slot = self.set.slots.budgets[budget];
        let climbed = self.question(&reached(slot, step.at), self.space.input(self.set, slot)).possible;
        self.formulas.and(climbed, removed)
    }

    fn restricted(
        &mut self,
        id: DestinationId,
        only: Option<&DestinationCondition>,
        deny: Option<&DestinationCondition>,
        refuses: bool,
    ) -> Formula {
        if refuses && self.set.destination(id).is_model() {
            return self.formulas.constant(true);
        }
        let index = usize::from(id.0);
        let outside = only.map(|only| !self.condition(only.of(index)).certain);
        let denied = deny.map(|deny| self.condition(deny.of(index)).possible);
        self.formulas.any(outside.into_iter().chain(denied))
    }

    // === transforms

    fn transforms(
        &mut self,
        id: DestinationId,
        ways: &[Formula],
        guards: &[Kleene],
    ) -> [Formula; Transform::ALL.len()] {
        let taken = self.ways_taken(id, ways);
        Transform::ALL.map(|(_, transform)| {
            let ways = self.set.declassify.iter().zip(&taken).filter(|(rule, _)| rule.requires.contains(transform));
            let mut asked: Vec<Formula> = ways.map(|(_, taken)| *taken).collect();
            let destination = self.set.destination(id);
            if destination.boundary == Boundary::External && destination.is_model() {
                let guards = self.set.guards.iter().zip(guards).filter(|(guard, _)| guard.require.contains(transform));
                asked.extend(guards.map(|(_, when)| when.possible));
            }
            self.formulas.any(asked)
        })
    }

    /// Of the ways down that are open the one that asks least is taken, as in `decide`.
    fn ways_taken(&mut self, id: DestinationId, ways: &[Formula]) -> Vec<Formula> {
        let destination = self.set.destination(id);
        let too_high = self.too_high(id);
        let rules = &self.set.declassify;
        let effort = |i: usize| (rules[i].requires.0.count_ones(), rules[i].requires.0, i);
        let leads = |i: &usize| rules[*i].leads_to(destination);
        (0..rules.len())
            .map(|i| {
                if !leads(&i) {
                    return self.formulas.constant(false);
                }
                let easier = (0..rules.len()).filter(leads).filter(|j| effort(*j) < effort(i));
                let taken: Vec<Formula> = easier.map(|j| !ways[j]).chain([ways[i], too_high]).collect();
                self.formulas.all(taken)
            })
            .collect()
    }

    // === routes

    fn routes(&mut self) -> (Vec<Kleene>, Vec<Formula>) {
        let mut earlier = self.formulas.constant(true);
        let (mut conditions, mut routes) = (Vec::new(), Vec::new());
        for route in &self.set.routes {
            let when = match &route.when {
                Some(when) => self.condition(when),
                None => self.constant(Truth::True),
            };
            routes.push(self.formulas.and(earlier, when.certain));
            earlier = self.formulas.and(earlier, !when.certain);
            conditions.push(when);
        }
        (conditions, routes)
    }
}
