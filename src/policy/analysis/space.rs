//! The requests that policies can tell apart.
//!
//! A fact can have many values, of which the conditions of a policy distinguish few: a number is cut at the constants it
//! is compared with, words are grouped by the lists they stand in. What is left are the cells of the fact; each has one
//! value that stands for it, the first one the harmless default that in-file tests also assume.

use std::collections::BTreeMap;

use super::formula::{Formula, Formulas};
use super::witness::Value;
use crate::classify::Truth;
use crate::policy::cases::DEFAULT_TOKENS;
use crate::policy::expr::{Op, Relation};
use crate::policy::set::Scope;
use crate::policy::vocabulary::{Fact, Slot, Type};
use crate::policy::{DestinationId, PolicySet};

/// All facts that the conditions of some sets look at.
pub(super) struct Space {
    pub inputs: Vec<Input>,
}

/// One fact.
pub(super) struct Input {
    /// Its name, `cost.<destination>` for what a request can cost somewhere at most, in dollars.
    pub name: String,
    /// The values that make a difference.
    pub cells: Vec<Cell>,
    /// Whether it is unknown unless somebody states it.
    pub unknown_by_default: bool,
}

/// Values that no condition tells apart.
pub(super) struct Cell {
    /// One of them.
    pub value: Value,
    /// Whether the fact has one of them.
    pub is: Formula,
}

impl Space {
    pub(super) fn over(sets: &[&PolicySet], formulas: &mut Formulas) -> Self {
        let mut questions: BTreeMap<String, Vec<Question>> = BTreeMap::new();
        for (index, set) in sets.iter().enumerate() {
            collect(index, set, &mut questions);
        }
        let inputs = questions.into_iter().map(|(name, asked)| Input::new(name, &asked, sets, formulas));
        let mut inputs: Vec<Input> = inputs.collect();
        inputs.extend(Input::conversation(sets, formulas));
        inputs.sort_by(|a, b| a.name.cmp(&b.name));
        Self { inputs }
    }

    /// The fact that `slot` of `set` depends on.
    pub(super) fn input(&self, set: &PolicySet, slot: Slot) -> &Input {
        self.named(&source(&set.vocabulary.term(slot).name))
    }

    /// What a request can cost at most at this destination.
    pub(super) fn cost(&self, set: &PolicySet, id: DestinationId) -> &Input {
        self.named(&cost_name(set, id))
    }

    /// What the request's conversation rose to before; `None` where no set keeps that.
    pub(super) fn conversation(&self) -> Option<&Input> {
        self.inputs.iter().find(|input| input.name == CONVERSATION)
    }

    fn named(&self, name: &str) -> &Input {
        // Every name that a condition uses was collected, in order.
        let at = self.inputs.binary_search_by(|input| input.name.as_str().cmp(name)).unwrap_or_default();
        &self.inputs[at]
    }
}

/// Something that a set asks about a fact.
struct Question {
    set: usize,
    op: Op,
}

/// What `op` of `set` says about the fact `name` when that has this value.
pub(super) fn answer(set: &PolicySet, name: &str, op: &Op, value: &Value) -> Truth {
    match (value, op.slot()) {
        (Value::Number(usd), _) if name.starts_with("cost.") => op.of(Fact::Number(*usd)),
        (value, Some(slot)) => op.of(fact(set, slot, value)),
        (_, None) => Truth::Unknown,
    }
}

/// What `set` takes for the value of `slot` when the fact behind it is `value`.
fn fact(set: &PolicySet, slot: Slot, value: &Value) -> Fact {
    match value {
        Value::Truth(truth) if set.vocabulary.term(slot).name.starts_with("unknown.") => {
            Fact::Bool(*truth == Truth::Unknown)
        }
        Value::Truth(truth) => (*truth).into(),
        Value::Flag(flag) => Fact::Bool(*flag),
        Value::Number(number) => Fact::Number(*number),
        Value::Word(word) => set.vocabulary.word(slot, word),
        Value::Missing => set.vocabulary.term(slot).default,
        Value::Unknown => Fact::Unknown,
    }
}

/// The fact behind a name: whether a detector failed is part of its verdict.
fn source(name: &str) -> String {
    match name.strip_prefix("unknown.") {
        Some(detector) => format!("finding.{detector}"),
        None => name.to_owned(),
    }
}

fn cost_name(set: &PolicySet, id: DestinationId) -> String {
    format!("cost.{}", set.destination(id).name)
}

/// The fact that a request's conversation rose to a class before; no condition can name it.
pub(super) const CONVERSATION: &str = "conversation";

/// The slot does not matter for a cost: it is no fact of the vocabulary.
const COST: Slot = Slot(u16::MAX);

/// Whether a request that can cost `usd` at most exceeds the share `at` of `limit`.
pub(super) fn exceeds(limit: crate::chat::MicroUsd, at: f64) -> Op {
    Op::Number(COST, Relation::Gt, limit.as_usd() * at)
}

/// Whether the used share of a budget has reached `at`.
pub(super) fn reached(slot: Slot, at: f64) -> Op {
    Op::Number(slot, Relation::Ge, at)
}

fn collect(index: usize, set: &PolicySet, questions: &mut BTreeMap<String, Vec<Question>>) {
    let mut ask = |name: String, op: Op| questions.entry(name).or_default().push(Question { set: index, op });
    set.each_condition(&mut |condition| {
        for op in condition.ops() {
            if let Some(slot) = op.slot().filter(|slot| Some(*slot) != set.slots.unknown_any) {
                ask(source(&set.vocabulary.term(slot).name), *op);
            }
        }
    });
    for slot in &set.slots.unknowns {
        ask(source(&set.vocabulary.term(*slot).name), Op::Bool(*slot));
    }
    for (budget, slot) in set.budgets.iter().zip(&set.slots.budgets) {
        for step in &budget.ladder {
            if budget.per != Scope::Request {
                ask(set.vocabulary.term(*slot).name.clone(), reached(*slot, step.at));
                continue;
            }
            for (i, _) in set.destinations.iter().enumerate().filter(|(_, destination)| !destination.is_free()) {
                ask(cost_name(set, DestinationId(i as u8)), exceeds(budget.limit, step.at));
            }
        }
    }
}

impl Input {
    fn new(name: String, questions: &[Question], sets: &[&PolicySet], formulas: &mut Formulas) -> Self {
        let mut cells: Vec<(Vec<Truth>, Value)> = Vec::new();
        for value in values(&name, questions, sets) {
            let answers = questions.iter().map(|asked| answer(sets[asked.set], &name, &asked.op, &value)).collect();
            if !cells.iter().any(|(known, _)| *known == answers) {
                cells.push((answers, value));
            }
        }
        let flags: Vec<Formula> = cells.iter().map(|_| formulas.fresh()).collect();
        formulas.exactly_one(&flags);
        let cells: Vec<Cell> = cells.into_iter().zip(flags).map(|((_, value), is)| Cell { value, is }).collect();
        let is_unknown = |asked: &Question| {
            let slot = asked.op.slot().filter(|slot| *slot != COST);
            slot.is_some_and(|slot| fact(sets[asked.set], slot, &cells[0].value) == Fact::Unknown)
        };
        let unknown_by_default = questions.iter().any(is_unknown);
        Self { name, cells, unknown_by_default }
    }

    /// What conversations can have risen to: nothing, or any class of a set that keeps them.
    fn conversation(sets: &[&PolicySet], formulas: &mut Formulas) -> Option<Self> {
        let mut values = vec![Value::Missing];
        for set in sets.iter().filter(|set| set.conversations.are_kept()) {
            for class in set.classes.iter().cloned().map(Value::Word) {
                if !values.contains(&class) {
                    values.push(class);
                }
            }
        }
        if values.len() == 1 {
            return None;
        }
        let flags: Vec<Formula> = values.iter().map(|_| formulas.fresh()).collect();
        formulas.exactly_one(&flags);
        let cells = values.into_iter().zip(flags).map(|(value, is)| Cell { value, is }).collect();
        Some(Self { name: CONVERSATION.to_owned(), cells, unknown_by_default: false })
    }

    /// Whether its value is another than the harmless one.
    pub(super) fn deviates(&self) -> Formula {
        !self.cells[0].is
    }
}

/// Values of the fact `name`, so many that every group that `questions` can tell apart has one; the harmless one first.
fn values(name: &str, questions: &[Question], sets: &[&PolicySet]) -> Vec<Value> {
    let group = name.split('.').next().unwrap_or_default();
    match group {
        "finding" => [Truth::False, Truth::True, Truth::Unknown].map(Value::Truth).into(),
        "uses" => [false, true].map(Value::Flag).into(),
        "cost" => numbers(Value::Number(usual_cost(name, sets)), &Domain::POSITIVE, questions),
        "tokens" => numbers(Value::Number(DEFAULT_TOKENS as f64), &Domain::COUNT, questions),
        "budget" => with_unknown(numbers(Value::Number(0.0), &Domain::POSITIVE, questions)),
        "est" => numbers(Value::Unknown, &Domain::DIFFERENCE, questions),
        "local" => numbers(Value::Unknown, &Domain::COUNT, questions),
        _ => attribute(name, group, questions, sets),
    }
}

/// What a request of the usual length costs at most, in dollars.
fn usual_cost(name: &str, sets: &[&PolicySet]) -> f64 {
    let destination = name.trim_start_matches("cost.");
    let of = |set: &&PolicySet| set.destination(set.destination_named(destination)?).price;
    sets.iter().find_map(of).map_or(0.0, |price| price.worst_case(DEFAULT_TOKENS, DEFAULT_TOKENS).as_usd())
}

fn with_unknown(mut values: Vec<Value>) -> Vec<Value> {
    values.push(Value::Unknown);
    values
}

/// The configuration checks the attributes of keys; whatever else comes in a header can be any word.
fn attribute(name: &str, group: &str, questions: &[Question], sets: &[&PolicySet]) -> Vec<Value> {
    let mut values = vec![Value::Missing];
    for set in sets {
        let term = set.vocabulary.slot(name).map(|slot| set.vocabulary.term(slot));
        match term.map(|term| &term.kind) {
            Some(Type::Word(words)) => values.extend(words.iter().cloned().map(Value::Word)),
            Some(Type::Bool) => values.extend(["true", "false"].map(|word| Value::Word(word.to_owned()))),
            Some(Type::Number) => values.extend(numbers(Value::Missing, &Domain::COUNT, questions)),
            None => {}
        }
    }
    if group != "key" {
        values.push(Value::Unknown);
    }
    values
}

/// Where a number can lie.
struct Domain {
    least: f64,
    most: f64,
    whole: bool,
}

impl Domain {
    const POSITIVE: Self = Self { least: 0.0, most: f64::INFINITY, whole: false };
    const COUNT: Self = Self { least: 0.0, most: f64::INFINITY, whole: true };
    const DIFFERENCE: Self = Self { least: -1.0, most: 1.0, whole: false };

    /// A value strictly between two others, if there is one; the roundest that is easily found.
    fn between(&self, low: f64, high: f64) -> Option<f64> {
        let middle = if high.is_infinite() { low + 1.0 } else { (low + high) / 2.0 };
        let candidates = [middle.floor(), (middle * 100.0).round() / 100.0, middle];
        let fits = |value: &f64| low < *value && *value < high && (!self.whole || value.fract() == 0.0);
        candidates.into_iter().find(fits)
    }
}

/// `default`, then the constants of `questions` and values around them.
fn numbers(default: Value, domain: &Domain, questions: &[Question]) -> Vec<Value> {
    let bound = |question: &Question| match question.op {
        Op::Number(_, _, bound) => Some(bound),
        _ => None,
    };
    let mut bounds: Vec<f64> = questions.iter().filter_map(bound).collect();
    bounds.sort_by(f64::total_cmp);
    bounds.dedup();
    let mut values = vec![default];
    let mut below = domain.least - f64::from(u8::from(domain.most.is_infinite()));
    for bound in bounds {
        values.extend(domain.between(below, bound).filter(|value| *value >= domain.least).map(Value::Number));
        values.push(Value::Number(bound));
        below = bound;
    }
    values.extend(domain.between(below, domain.most).map(Value::Number));
    values
}
