//! Offline analysis: how well the detectors find, fitting and evaluation of the difficulty estimate, reports.

mod counts;
pub mod data;
pub mod detectors;
pub mod difficulty;
mod identifiers;
mod latency;
pub mod names;
mod presidio;
mod prompts;
pub mod report;

pub use data::DataError;
pub use report::{Report, Table};
