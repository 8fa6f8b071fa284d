//! The checked, flat form of a condition, and its value.

use crate::classify::Truth;
use crate::policy::DestinationSet;
use crate::policy::expr::Relation;
use crate::policy::vocabulary::{Fact, Facts, Slot};

/// One step of a condition; operands stand before the steps that use them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Op {
    /// A known value.
    Constant(Truth),
    /// A truth value.
    Bool(Slot),
    /// A number against a constant.
    Number(Slot, Relation, f64),
    /// A word among those of the mask.
    Word(Slot, u64),
    /// The class against a constant.
    Class(Relation, u8),
    /// Not step `.0`.
    Not(u16),
    /// Step `.0` and step `.1`.
    And(u16, u16),
    /// Step `.0` or step `.1`.
    Or(u16, u16),
}

/// A checked condition over facts and the class. Evaluating it allocates nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    pub(super) ops: Box<[Op]>,
}

impl Condition {
    /// A condition with one value.
    pub fn constant(value: Truth) -> Self {
        Self { ops: Box::new([Op::Constant(value)]) }
    }

    /// Its value, if that depends on no fact.
    pub fn fixed(&self) -> Option<Truth> {
        match self.ops.last() {
            Some(Op::Constant(value)) => Some(*value),
            _ => None,
        }
    }

    /// The facts it depends on, some perhaps more than once.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.ops.iter().filter_map(|op| match op {
            Op::Bool(slot) | Op::Number(slot, ..) | Op::Word(slot, _) => Some(*slot),
            Op::Constant(_) | Op::Class(..) | Op::Not(_) | Op::And(..) | Op::Or(..) => None,
        })
    }

    /// Its value for `facts` and the class with index `class`.
    pub fn eval(&self, facts: &Facts, class: u8) -> Truth {
        match self.ops.len() {
            0 => Truth::Unknown,
            len => self.step(len - 1, facts, class),
        }
    }

    fn step(&self, at: usize, facts: &Facts, class: u8) -> Truth {
        match self.ops[at] {
            Op::Constant(value) => value,
            Op::Bool(slot) => match facts.get(slot) {
                Fact::Bool(value) => value.into(),
                Fact::Unknown | Fact::Number(_) | Fact::Word(_) => Truth::Unknown,
            },
            Op::Number(slot, relation, bound) => match facts.number(slot).and_then(|n| n.partial_cmp(&bound)) {
                Some(ordering) => relation.holds(ordering).into(),
                None => Truth::Unknown,
            },
            Op::Word(slot, mask) => match facts.get(slot) {
                Fact::Word(word) => (mask & (1u64 << word) != 0).into(),
                Fact::Unknown | Fact::Number(_) | Fact::Bool(_) => Truth::Unknown,
            },
            Op::Class(relation, bound) => relation.holds(class.cmp(&bound)).into(),
            Op::Not(a) => !self.step(a.into(), facts, class),
            Op::And(a, b) => match self.step(a.into(), facts, class) {
                Truth::False => Truth::False,
                left => left & self.step(b.into(), facts, class),
            },
            Op::Or(a, b) => match self.step(a.into(), facts, class) {
                Truth::True => Truth::True,
                left => left | self.step(b.into(), facts, class),
            },
        }
    }
}

/// A condition that also speaks of `dest.*`: one condition per destination, with the destination's own values put in.
#[derive(Clone, Debug, PartialEq)]
pub struct DestinationCondition {
    conditions: Box<[Condition]>,
    /// For each destination whose condition depends on no fact, whether it is certainly true, and possibly true.
    fixed: Option<(DestinationSet, DestinationSet)>,
}

impl DestinationCondition {
    /// From one condition per destination, in the set's order.
    pub fn new(conditions: Vec<Condition>) -> Self {
        let fixed = conditions.iter().all(|c| c.fixed().is_some()).then(|| {
            let value = |c: &Condition| c.fixed().unwrap_or_default();
            (
                conditions.iter().map(|c| value(c).is_true()).collect(),
                conditions.iter().map(|c| value(c).is_possible()).collect(),
            )
        });
        Self { conditions: conditions.into(), fixed }
    }

    /// The destinations for which it is certainly true: what `only` keeps.
    pub fn certain(&self, facts: &Facts, class: u8) -> DestinationSet {
        match &self.fixed {
            Some((certain, _)) => *certain,
            None => self.conditions.iter().map(|c| c.eval(facts, class).is_true()).collect(),
        }
    }

    /// The destinations for which it may be true: what `deny` removes.
    pub fn possible(&self, facts: &Facts, class: u8) -> DestinationSet {
        match &self.fixed {
            Some((_, possible)) => *possible,
            None => self.conditions.iter().map(|c| c.eval(facts, class).is_possible()).collect(),
        }
    }

    /// Its value for the destination with index `destination`.
    pub fn eval(&self, destination: usize, facts: &Facts, class: u8) -> Truth {
        self.conditions.get(destination).map_or(Truth::Unknown, |c| c.eval(facts, class))
    }
}
