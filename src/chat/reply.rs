//! Answers, whole or in deltas, in no provider's words.

use super::Text;
use super::request::ToolCall;

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// One per `n`.
    pub choices: Vec<Choice>,
    /// Token counts.
    pub usage: Usage,
}

/// One of the answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// What the model said.
    pub text: Text,
    /// Tools it wants called.
    pub tool_calls: Vec<ToolCall>,
    /// Why it stopped.
    pub finish: FinishReason,
}

/// A step of a streamed answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// More text of choice `index`; always whole UTF-8 characters, never empty.
    Text {
        /// Which choice.
        index: u32,
        /// The new text.
        text: Text,
    },
    /// Choice `index` has ended.
    Finish {
        /// Which choice.
        index: u32,
        /// Why.
        reason: FinishReason,
    },
    /// The token counts; the last delta of a complete answer.
    Usage(Usage),
}

/// Why a choice ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FinishReason {
    /// The model was done, or a stop string came.
    #[default]
    Stop,
    /// The token cap or the context's end was reached.
    Length,
    /// The model asks for tools.
    ToolCalls,
    /// The provider withheld content.
    ContentFilter,
}

impl FinishReason {
    /// OpenAI's word for it, also used in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
        }
    }
}

/// Token counts of one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Prompt tokens, those read from a cache included.
    pub input: u64,
    /// Generated tokens, reasoning included.
    pub output: u64,
    /// Prompt tokens that were read from the provider's or the engine's prefix cache.
    pub cached_input: u64,
}
