//! Conditions: a total, typed subset of CEL's syntax, evaluated in Kleene logic.
//!
//! `|| && !`, comparisons, `in`, literals, dotted names, and four tests of texts (`startsWith`, `endsWith`, `contains`,
//! `matches`); no macros, arithmetic or other functions. Every accepted expression is valid CEL with the same value when
//! nothing is unknown. Two exceptions: names with a dash, as in `budget.team-month`, which CEL would read as a
//! subtraction; and a test of a property that a destination does not state, which is false here and an error in CEL.

mod check;
mod destination;
mod eval;
mod lex;
mod parse;
mod text;

pub use check::{Context, Direction, check, check_for_destinations};
pub(in crate::policy) use eval::Op;
pub use eval::{Condition, DestinationCondition};
pub use lex::is_segment;
pub use parse::{Ast, AstKind, ExprError, Literal, Relation, TextTest, parse};
