//! How long a conversation keeps the class that it rose to, and what it is known by.

use std::time::Duration;

use super::{Basis, Class};

/// A conversation keeps the class that its requests rose to: "summarise that" says nothing private by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversations {
    /// What a request's conversation is known by; where there is nothing, no class is kept.
    pub by: Vec<KnownBy>,
    /// How long a class is kept after the conversation's last request, at least.
    pub ttl: Duration,
}

impl Default for Conversations {
    fn default() -> Self {
        Self { by: vec![KnownBy::Header, KnownBy::Response], ttl: Duration::from_secs(24 * 3600) }
    }
}

impl Conversations {
    /// Whether any class is kept.
    pub fn are_kept(&self) -> bool {
        !self.by.is_empty()
    }
}

/// What two requests of one conversation have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownBy {
    /// The name that the client gives it in a header.
    Header,
    /// The answer that the request continues.
    Response,
    /// How it began: several conversations may begin alike.
    Opening,
}

impl KnownBy {
    /// All, with their words.
    pub const ALL: [(&'static str, Self); 3] =
        [("header", Self::Header), ("response", Self::Response), ("opening", Self::Opening)];
}

/// The class that a request's conversation has already: the request's own can only be higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor {
    /// The class.
    pub class: Class,
    /// [`Basis::Conversation`], or [`Basis::Unknown`] where nobody can say what the conversation was.
    pub basis: Basis,
}

impl Floor {
    /// Of a conversation that rose to `class`.
    pub fn of(class: Class) -> Self {
        Self { class, basis: Basis::Conversation }
    }
}
