//! The client's own bytes with a few declared edits, so that a provider's prompt cache still knows them.
//!
//! Only the spans of the edited fields change; every other byte stays. [`verify()`] parses the result again and compares
//! it with what was classified plus the edits: it shares no code with [`apply()`].

mod apply;
#[cfg(test)]
mod tests;
mod verify;

use std::ops::Range;

pub use self::apply::apply;
pub use self::verify::verify;

/// Where the fields stand that may be edited before the body is sent on. Byte ranges of the body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EditPoints {
    /// Just after the body's opening brace: where new members go.
    pub open: usize,
    /// The value of `model`, where present.
    pub model: Option<Range<usize>>,
    /// `max_tokens`, where present.
    pub max_tokens: Option<CapPoint>,
    /// `max_completion_tokens`, where present.
    pub max_completion_tokens: Option<CapPoint>,
    /// `max_output_tokens`, where present.
    pub max_output_tokens: Option<CapPoint>,
    /// The value of `stream`, where present.
    pub stream: Option<Range<usize>>,
    /// `stream_options`, where present.
    pub stream_options: Option<OptionsPoint>,
}

/// An output cap in the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapPoint {
    /// The key, quotes included.
    pub key: Range<usize>,
    /// The value.
    pub span: Range<usize>,
    /// The cap; `None` where it is null.
    pub value: Option<u32>,
}

/// `stream_options` in the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionsPoint {
    /// The key, quotes included.
    pub key: Range<usize>,
    /// The value.
    pub span: Range<usize>,
    /// Whether it is null or an object without members.
    pub empty: bool,
    /// The value of `include_usage` within it, and whether that is true.
    pub include_usage: Option<(Range<usize>, bool)>,
}

/// What to change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// The model's name at the destination.
    pub model: Option<String>,
    /// The highest output cap: set where the client gave none, lowered where the client's is higher.
    pub max_tokens: Option<u32>,
    /// In which field the destination's model takes the cap.
    pub cap_field: CapField,
    /// What becomes of `stream_options`.
    pub stream_options: StreamOptions,
}

/// What becomes of `stream_options`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamOptions {
    /// They stay as they are.
    #[default]
    Left,
    /// They ask for usage at a stream's end; for streams only.
    AskForUsage,
    /// They go: the destination refuses them.
    Removed,
}

/// The field of the output cap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CapField {
    /// `max_completion_tokens`, the current one.
    #[default]
    MaxCompletionTokens,
    /// `max_tokens`, the older one that most other vendors take.
    MaxTokens,
    /// `max_tokens`, where the dialect has no other.
    OnlyMaxTokens,
    /// `max_output_tokens`.
    MaxOutputTokens,
}

impl CapField {
    /// The field's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::MaxTokens | Self::OnlyMaxTokens => "max_tokens",
            Self::MaxOutputTokens => "max_output_tokens",
        }
    }

    fn takes(self, field: &str) -> bool {
        self.name() == field || self.other().is_some_and(|other| other.name() == field)
    }

    /// The field in which a client may have given it instead.
    fn other(self) -> Option<Self> {
        match self {
            Self::MaxCompletionTokens => Some(Self::MaxTokens),
            Self::MaxTokens => Some(Self::MaxCompletionTokens),
            Self::OnlyMaxTokens | Self::MaxOutputTokens => None,
        }
    }
}

impl EditPoints {
    fn cap(&self, field: CapField) -> Option<&CapPoint> {
        match field {
            CapField::MaxCompletionTokens => self.max_completion_tokens.as_ref(),
            CapField::MaxTokens | CapField::OnlyMaxTokens => self.max_tokens.as_ref(),
            CapField::MaxOutputTokens => self.max_output_tokens.as_ref(),
        }
    }
}

/// An edited body is not the classified one plus the edits. It must not be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// It cannot be parsed.
    #[error("the edited body is no acceptable JSON")]
    Unreadable,
    /// A field that may be edited has another value than the edit gives it.
    #[error("the edited body has an unexpected `{0}`")]
    Field(&'static str),
    /// A field that must not be edited differs, is new, is missing or has moved.
    #[error("the edited body differs in a field that was not to be edited")]
    Other,
}
