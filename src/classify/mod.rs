//! Request parts to signals: what detectors found, and how hard the request looks. Pure: no I/O, no clock.

pub mod signals;
pub mod truth;

pub use signals::{DetectorResult, Entity, Finding, Gain, Strength};
pub use truth::Truth;
