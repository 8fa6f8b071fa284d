//! Offline analysis: how well the detectors find, fitting and evaluation of the difficulty estimate, reports.

pub mod data;
pub mod detectors;
pub mod difficulty;
pub mod names;
mod prompts;
pub mod report;

pub use data::DataError;
pub use report::{Report, Table};
