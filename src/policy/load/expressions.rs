//! Expressions in files: parsed, checked, and their mistakes placed in the file.

use super::Loader;
use crate::policy::expr::{
    self, Condition, Context, DestinationCondition, Direction, ExprError, check, check_for_destinations,
};
use crate::yaml::{Node, Place, Shape};

/// What kind of rule an expression belongs to.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    Baseline,
    Classify,
    Declassify,
    Guard,
    Route,
    Invariant,
}

impl Loader<'_> {
    /// Reads a `when`.
    pub(super) fn condition(&mut self, node: &Node, rule: Rule) -> Option<Condition> {
        let text = node.text(self.problems)?;
        let checked = expr::parse(text).and_then(|ast| check(&ast, &self.context(rule)));
        self.placed(node, checked)
    }

    /// Reads an `only`: destinations are kept where it holds, so it widens as it holds more often.
    pub(super) fn only(&mut self, node: &Node) -> Option<DestinationCondition> {
        self.destination_condition(node, Rule::Guard, Direction::Widens)
    }

    /// Reads a `deny`.
    pub(super) fn deny(&mut self, node: &Node) -> Option<DestinationCondition> {
        self.destination_condition(node, Rule::Guard, Direction::Restricts)
    }

    /// Reads a `never`: it decides nothing, so it may use everything.
    pub(super) fn never(&mut self, node: &Node) -> Option<DestinationCondition> {
        self.destination_condition(node, Rule::Invariant, Direction::Chooses)
    }

    fn destination_condition(&mut self, node: &Node, rule: Rule, direction: Direction) -> Option<DestinationCondition> {
        let text = node.text(self.problems)?;
        let context = Context { direction, destinations: &self.set.destinations, ..self.context(rule) };
        let checked = expr::parse(text).and_then(|ast| check_for_destinations(&ast, &context));
        self.placed(node, checked)
    }

    fn placed<T>(&mut self, node: &Node, result: Result<T, ExprError>) -> Option<T> {
        result.map_err(|e| self.problems.add_coded(&place_in(node, e.at), e.code, e.message)).ok()
    }

    fn context(&self, rule: Rule) -> Context<'_> {
        let direction = match rule {
            Rule::Classify | Rule::Guard => Direction::Restricts,
            Rule::Baseline | Rule::Declassify => Direction::Widens,
            Rule::Route | Rule::Invariant => Direction::Chooses,
        };
        Context {
            vocabulary: &self.set.vocabulary,
            classes: &self.set.classes,
            direction,
            class_known: matches!(rule, Rule::Declassify | Rule::Guard | Rule::Route | Rule::Invariant),
            client_facts: matches!(rule, Rule::Classify | Rule::Guard | Rule::Route | Rule::Invariant),
            destinations: &[],
        }
    }
}

/// The place of byte `offset` of a scalar that stands on one line.
fn place_in(node: &Node, offset: usize) -> Place {
    let mut place = node.place.clone();
    if let (Some((_, column)), Shape::Scalar { text, plain }) = (&mut place.at, &node.shape) {
        let before = text.get(..offset).map_or(0, |t| t.chars().count());
        *column += before as u32 + u32::from(!plain);
    }
    place
}
