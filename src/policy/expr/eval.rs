//! The checked, flat form of a condition, and its value.

use crate::classify::Truth;
use crate::policy::expr::Relation;
use crate::policy::vocabulary::{Fact, Facts, Slot};
use crate::policy::{DestinationId, DestinationSet};

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

/// A condition that also speaks of `dest.*`: with the destination's own values put in, one condition for each group of
/// destinations that differs from the others. Most have one or two, often constant.
#[derive(Clone, Debug, PartialEq)]
pub struct DestinationCondition {
    groups: Box<[(DestinationSet, Condition)]>,
}

impl DestinationCondition {
    /// From one condition per destination, in the set's order.
    pub fn new(conditions: Vec<Condition>) -> Self {
        let mut groups: Vec<(DestinationSet, Condition)> = Vec::new();
        for (i, condition) in conditions.into_iter().enumerate() {
            let id = DestinationId(i as u8);
            match groups.iter_mut().find(|(_, known)| *known == condition) {
                Some((group, _)) => group.insert(id),
                None => groups.push((DestinationSet::of(id), condition)),
            }
        }
        Self { groups: groups.into() }
    }

    /// The destinations for which it is certainly true: what `only` keeps.
    pub fn certain(&self, facts: &Facts, class: u8) -> DestinationSet {
        self.those(|condition| condition.eval(facts, class).is_true())
    }

    /// The destinations for which it may be true: what `deny` removes.
    pub fn possible(&self, facts: &Facts, class: u8) -> DestinationSet {
        self.those(|condition| condition.eval(facts, class).is_possible())
    }

    /// Its value for the destination with index `destination`.
    pub fn eval(&self, destination: usize, facts: &Facts, class: u8) -> Truth {
        let id = DestinationId(destination as u8);
        let group = self.groups.iter().find(|(group, _)| group.contains(id));
        group.map_or(Truth::Unknown, |(_, condition)| condition.eval(facts, class))
    }

    fn those(&self, wanted: impl Fn(&Condition) -> bool) -> DestinationSet {
        let groups = self.groups.iter().filter(|(_, condition)| wanted(condition));
        groups.fold(DestinationSet::EMPTY, |all, (group, _)| all.or(*group))
    }
}
