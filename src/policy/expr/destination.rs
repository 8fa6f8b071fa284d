//! `dest.*` in a condition: a destination's properties are constants, so what is said of them is settled while the
//! condition is checked, once for each destination.

use super::check::{Checker, error, mask_of};
use super::eval::Op;
use super::parse::{Ast, ExprError, Literal, Relation};
use super::text::Matcher;
use crate::policy::Destination;
use crate::policy::vocabulary::Type;
use crate::yaml::did_you_mean;

impl Checker<'_> {
    /// `dest.region == "eu"`. A property that the destination does not state is null, and null equals nothing.
    pub(super) fn destination_against(
        &mut self,
        property: &str,
        at_name: &Ast,
        relation: Relation,
        value: &Literal,
        at_value: &Ast,
    ) -> Result<u16, ExprError> {
        let own = self.property(property, at_name)?;
        let (Literal::Text(wanted), Relation::Eq | Relation::Ne) = (value, relation) else {
            return Err(error(at_value, format!("compare `dest.{property}` with a text, by `==` or `!=`")));
        };
        let known = self.known_values(property);
        if !known.contains(&wanted.as_str()) {
            let hint = did_you_mean(wanted, known);
            return Err(error(at_value, format!("no destination has `dest.{property}` `{wanted}`{hint}")));
        }
        let equal = own == Some(wanted.as_str());
        Ok(self.push(Op::Constant((equal == (relation == Relation::Eq)).into())))
    }

    /// `dest.region == key.region`: for one destination that is `key.region == "eu"`.
    pub(super) fn destination_and_fact(
        &mut self,
        property: &str,
        at_property: &Ast,
        relation: Relation,
        name: &str,
        at_name: &Ast,
        positive: bool,
    ) -> Result<u16, ExprError> {
        let own = self.property(property, at_property)?;
        let slot = self.slot(name, at_name, positive)?;
        let Type::Word(words) = &self.context.vocabulary.term(slot).kind else {
            return Err(error(at_name, format!("`{name}` is no word; `dest.{property}` is a text")));
        };
        if !matches!(relation, Relation::Eq | Relation::Ne) {
            return Err(error(at_name, format!("compare `dest.{property}` with `{name}` by `==` or `!=`")));
        }
        if !self.known_values(property).iter().any(|value| words.iter().any(|word| word == value)) {
            let message = format!("no destination has a `dest.{property}` that is a value of `{name}`");
            return Err(error(at_name, message));
        }
        let op = match own {
            None => Op::Constant((relation == Relation::Ne).into()),
            Some(own) => Op::Word(slot, mask_of(words, relation, |word| word == own)),
        };
        Ok(self.push(op))
    }

    /// `dest.model.startsWith("gpt-")`.
    pub(super) fn destination_text(
        &mut self,
        property: &str,
        at_name: &Ast,
        matcher: &Matcher<'_>,
        at_argument: &Ast,
    ) -> Result<u16, ExprError> {
        let own = self.property(property, at_name)?;
        if !self.known_values(property).iter().any(|value| matcher.holds(value)) {
            let message = format!("no destination has a `dest.{property}` that {}", matcher.asked());
            return Err(error(at_argument, message));
        }
        Ok(self.push(Op::Constant(own.is_some_and(|own| matcher.holds(own)).into())))
    }

    fn property(&self, property: &str, at: &Ast) -> Result<Option<&'_ str>, ExprError> {
        let Some(destination) = self.destination else {
            return Err(error(at, "`dest.*` may be used in `only`, `deny` and invariants, not here".into()));
        };
        if !Destination::PROPERTIES.contains(&property) {
            let hint = did_you_mean(property, Destination::PROPERTIES.iter().copied());
            return Err(error(at, format!("unknown name `dest.{property}`{hint}")));
        }
        Ok(destination.property(property))
    }

    fn known_values(&self, property: &str) -> Vec<&str> {
        match property {
            "boundary" => vec!["host", "external"],
            _ => self.context.destinations.iter().filter_map(|d| d.property(property)).collect(),
        }
    }
}
