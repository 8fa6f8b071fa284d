//! The checked, flat form of a condition, and its value.

use crate::classify::Truth;
use crate::policy::expr::Relation;
use crate::policy::vocabulary::{Fact, Facts, Slot};
use crate::policy::{DestinationId, DestinationSet};

/// One step of a condition; operands stand before the steps that use them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::policy) enum Op {
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

impl Op {
    /// The fact it looks at, if it looks at one.
    pub(in crate::policy) fn slot(&self) -> Option<Slot> {
        match self {
            Self::Bool(slot) | Self::Number(slot, ..) | Self::Word(slot, _) => Some(*slot),
            Self::Constant(_) | Self::Class(..) | Self::Not(_) | Self::And(..) | Self::Or(..) => None,
        }
    }

    /// What a step that looks at a fact says where the fact is `fact`.
    pub(in crate::policy) fn of(&self, fact: Fact) -> Truth {
        match (self, fact) {
            (Self::Bool(_), Fact::Bool(value)) => value.into(),
            (Self::Number(_, relation, bound), Fact::Number(number)) => match number.partial_cmp(bound) {
                Some(ordering) => relation.holds(ordering).into(),
                None => Truth::Unknown,
            },
            (Self::Word(_, mask), Fact::Word(word)) => (mask & (1u64 << word) != 0).into(),
            _ => Truth::Unknown,
        }
    }
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

    /// Its steps, the last one its value.
    pub(in crate::policy) fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// The facts it depends on, some perhaps more than once.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.ops.iter().filter_map(Op::slot)
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
            op @ (Op::Bool(slot) | Op::Number(slot, ..) | Op::Word(slot, _)) => op.of(facts.get(slot)),
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

    /// The condition for the destination with index `destination`.
    pub fn of(&self, destination: usize) -> &Condition {
        let id = DestinationId(destination as u8);
        // Every destination is in one group.
        let group = self.groups.iter().position(|(group, _)| group.contains(id)).unwrap_or_default();
        &self.groups[group].1
    }

    /// Its value for the destination with index `destination`.
    pub fn eval(&self, destination: usize, facts: &Facts, class: u8) -> Truth {
        self.of(destination).eval(facts, class)
    }

    fn those(&self, wanted: impl Fn(&Condition) -> bool) -> DestinationSet {
        let groups = self.groups.iter().filter(|(_, condition)| wanted(condition));
        groups.fold(DestinationSet::EMPTY, |all, (group, _)| all.or(*group))
    }
}
