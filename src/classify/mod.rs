//! Request parts to signals: what detectors found, and how hard the request looks. Pure: no I/O, no clock.

mod artefact;
mod decode;
mod detect;
pub mod difficulty;
mod joints;
mod languages;
mod look;
mod mapped;
mod memo;
mod models;
pub mod names;
pub mod normalise;
mod read;
pub mod scan;
mod sieve;
mod signals;
pub mod truth;

pub use decode::Encoding;
pub use detect::{PatternSet, Recognizer};
pub use languages::Language;
pub use scan::{DetectorKind, DetectorSpec, ModelSpec, Scan, Scanner};
pub use signals::{DetectorResult, Entity, Finding, Gain, Strength};
pub use truth::Truth;
