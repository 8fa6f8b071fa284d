//! What classification says about a request.

use std::ops::Range;

use super::Truth;
use super::decode::Encoding;

/// How much a finding can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strength {
    /// A label, a checksum or an exact pattern: reproducible and explainable.
    Deterministic,
    /// A model's opinion.
    Statistical,
}

/// What kind of thing was found, such as `card` or `aws_access_key`: the recogniser's name.
pub type Entity = &'static str;

/// Something a detector recognised. It says where, never what: the text stays in the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Index of the detector in the policy set's order.
    pub detector: u16,
    /// What it is.
    pub entity: Entity,
    /// Index of the part it stands in.
    pub part: u32,
    /// Byte range in the part's text as the client sent it.
    pub span: Range<usize>,
    /// How much it can be relied on.
    pub strength: Strength,
    /// What had to be undone to see it.
    pub encoding: Encoding,
}

/// One detector's verdict over the whole request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DetectorResult {
    /// Found, not found, or could not look.
    pub truth: Truth,
}

/// How much better than the local model the closed one is expected to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gain {
    /// Expected difference of the scores in [0, 1]; 0 means that the local model does as well.
    pub value: f64,
    /// What the estimate was learned from: `generic` (other models' outcomes) or `calibrated` (this installation's).
    pub basis: &'static str,
}
