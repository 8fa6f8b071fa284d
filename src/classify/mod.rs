//! Request parts to signals: what detectors found, and how hard the request looks. Pure: no I/O, no clock.

mod detect;
pub mod difficulty;
mod models;
pub mod names;
pub mod normalise;
pub mod scan;
pub mod signals;
pub mod truth;

pub use scan::{DetectorKind, DetectorSpec, ModelSpec, PatternSet, Recognizer, Scan, Scanner};
pub use signals::{DetectorResult, Entity, Finding, Gain, Strength};
pub use truth::Truth;
