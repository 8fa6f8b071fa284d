//! Rules about the class, the way down, permission, and what must never happen.

use super::{Boundary, Class, Destination, Style, TransformSet};
use crate::chat::MicroUsd;
use crate::policy::expr::{Condition, DestinationCondition};
use crate::yaml::Place;

/// A class a request may start in.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub place: Place,
    /// The class.
    pub class: Class,
    /// Applies only if certainly true.
    pub when: Condition,
}

/// What raises the class.
#[derive(Clone, Debug)]
pub struct ClassRule {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub place: Place,
    /// To at least this.
    pub raise: Class,
    /// What the rule relies on.
    pub basis: Basis,
    /// Applies unless certainly false.
    pub when: Condition,
}

/// What a class relies on, strongest guarantee first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Basis {
    /// Labels of keys, clients or documents, or the default: provable end to end.
    Declared,
    /// Checksums and exact patterns.
    Deterministic,
    /// A model's opinion: as good as the model.
    Statistical,
    /// An earlier request of the same conversation, whatever that relied on.
    Conversation,
    /// Something could not be looked at.
    Unknown,
}

impl Basis {
    /// The name used in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Deterministic => "deterministic",
            Self::Statistical => "statistical",
            Self::Conversation => "conversation",
            Self::Unknown => "unknown",
        }
    }
}

/// A way down.
#[derive(Clone, Debug)]
pub struct Declassify {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub place: Place,
    /// Applies to classes up to this.
    pub up_to: Class,
    /// The class the transformed body counts as.
    pub to: Class,
    /// What must be done for it.
    pub requires: TransformSet,
    /// What pseudonyms look like.
    pub style: Style,
    /// Applies only if certainly true.
    pub when: Condition,
}

impl Declassify {
    /// Whether its way down ends where `destination` may receive the request. Nothing is transformed for sinks.
    pub fn leads_to(&self, destination: &Destination) -> bool {
        self.to <= destination.accepts && (destination.is_model() || self.requires.is_empty())
    }
}

/// A rule that only restricts.
#[derive(Clone, Debug)]
pub struct Guard {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub place: Place,
    /// Applies unless certainly false.
    pub when: Condition,
    /// Keeps only destinations for which this is certainly true.
    pub only: Option<DestinationCondition>,
    /// Removes destinations for which this may be true.
    pub deny: Option<DestinationCondition>,
    /// What must be done to the body, wherever it goes outside.
    pub require: TransformSet,
    /// At most this many output tokens.
    pub max_output: Option<u32>,
    /// At most this much for one request.
    pub max_cost: Option<MicroUsd>,
    /// Refuse with this reason.
    pub block: Option<String>,
}

impl Guard {
    /// Whether what it requires keeps `destination` out: nothing is transformed for sinks.
    pub fn shuts(&self, destination: &Destination) -> bool {
        !self.require.is_empty() && destination.boundary == Boundary::External && !destination.is_model()
    }
}

/// What must never happen: for every request and every destination that may receive it, the condition is certainly
/// false.
#[derive(Clone, Debug)]
pub struct Invariant {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub place: Place,
    /// The condition.
    pub never: DestinationCondition,
}
