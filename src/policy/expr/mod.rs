//! Conditions: a total, typed subset of CEL's syntax, evaluated in Kleene logic.
//!
//! `|| && !`, comparisons, `in`, literals and dotted names; no macros, arithmetic or functions. Every accepted
//! expression is valid CEL with the same value when nothing is unknown (names with a dash, as in `budget.team-month`,
//! excepted: CEL would read a subtraction).

mod check;
mod eval;
mod parse;

pub use check::{Context, Direction, check, check_for_destinations};
pub(in crate::policy) use eval::Op;
pub use eval::{Condition, DestinationCondition};
pub use parse::{Ast, AstKind, ExprError, Literal, Relation, parse};
