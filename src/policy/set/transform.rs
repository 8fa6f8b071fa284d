//! What must be done to a body before it may go.

/// What must be done to a body before it may go where its class alone would not be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Transform {
    /// Replace identifying values by tokens, restored in the answer.
    Pseudonymize,
    /// Scan the outgoing bytes again and find them clean.
    RescanClean,
    /// Have the local model rewrite the request without private detail.
    Rewrite,
    /// A person approves.
    HumanOk,
}

impl Transform {
    /// All, with their names.
    pub const ALL: [(&'static str, Self); 4] = [
        ("pseudonymize", Self::Pseudonymize),
        ("rescan_clean", Self::RescanClean),
        ("rewrite", Self::Rewrite),
        ("human_ok", Self::HumanOk),
    ];
}

/// What a pseudonym looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Style {
    /// A word that no text holds by chance, such as `PERSON_7KQ2M4`: for code, JSON and whatever programs read.
    #[default]
    Tag,
    /// Something of the same form, from ranges that are nobody's: for prose.
    Surrogate,
}

impl Style {
    /// All, with their names.
    pub const ALL: [(&'static str, Self); 2] = [("tag", Self::Tag), ("surrogate", Self::Surrogate)];
}

/// A set of transforms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransformSet(pub u8);

impl TransformSet {
    /// With `transform`.
    pub fn insert(&mut self, transform: Transform) {
        self.0 |= 1 << transform as u8;
    }

    /// Without `transform`.
    pub fn remove(&mut self, transform: Transform) {
        self.0 &= !(1 << transform as u8);
    }

    /// Whether `transform` is in it.
    pub fn contains(self, transform: Transform) -> bool {
        self.0 & (1 << transform as u8) != 0
    }

    /// Those in either.
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names, in the order of [`Transform::ALL`].
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Transform::ALL.into_iter().filter(move |(_, t)| self.contains(*t)).map(|(name, _)| name)
    }
}
