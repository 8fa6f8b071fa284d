//! Detectors as policies declare them.

use std::time::Duration;

use crate::classify::Strength;
use crate::classify::detect::{PatternSet, Recognizer};
use crate::classify::languages::Language;

/// A detector as a policy declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectorSpec {
    /// Its name in the policy: what `finding.<name>` refers to.
    pub name: String,
    /// What it looks for.
    pub kind: DetectorKind,
}

/// What a detector looks for.
#[derive(Clone, Debug, PartialEq)]
pub enum DetectorKind {
    /// Identifiers that a checksum or an issuing rule confirms.
    Checksum(Vec<Recognizer>),
    /// A set of exact patterns.
    Pattern(PatternSet),
    /// Words that mark a document. One with a capital matches as written, one in small letters in any case, and any of
    /// them in any case where it is all of its line.
    Label {
        /// The words.
        words: Vec<String>,
    },
    /// An organisation's names: of customers, projects, products.
    Dictionary {
        /// The names.
        words: Vec<String>,
        /// Whether a name matches only in the case in which it is written here.
        as_written: bool,
    },
    /// Prose in any other language than these.
    Language {
        /// The languages that people use here.
        usual: Vec<Language>,
    },
    /// What a model recognises.
    Model(ModelSpec),
    /// What another service recognises.
    External {
        /// How long it may take.
        deadline: Duration,
    },
}

impl DetectorKind {
    /// How much its findings can be relied on.
    pub fn strength(&self) -> Strength {
        match self {
            Self::Checksum(_) | Self::Pattern(_) | Self::Label { .. } | Self::Dictionary { .. } => {
                Strength::Deterministic
            }
            Self::Language { .. } | Self::Model(_) | Self::External { .. } => Strength::Statistical,
        }
    }
}

/// A recogniser that is a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSpec {
    /// Its name and version: `names@1`.
    pub model: String,
    /// What score of an entity counts as a finding. What is not named is not looked for; without any, the model chooses.
    pub thresholds: Vec<(String, f64)>,
    /// How long it may take for a request.
    pub deadline: Option<Duration>,
}
