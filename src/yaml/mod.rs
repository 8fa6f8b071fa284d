//! Strict YAML with the place of every value, and the problems found in it.
//!
//! Configuration and policies are read by hand from this tree, not by serde: a person who made five mistakes wants
//! five messages with their places, and serde stops at the first.

mod fields;
mod node;
mod parse;
mod problem;

pub use fields::Fields;
pub use node::{Node, Shape};
pub use parse::parse;
pub use problem::{Place, Problem, Problems, did_you_mean};
