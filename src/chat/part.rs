//! The pieces of a request that detectors look at, each with where it came from.

use std::borrow::Cow;
use std::fmt;

/// Where a part stands in the request. Everything in the body is some part: what has no better name is `Unknown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// Text of a system or developer message.
    System,
    /// Text of a user message.
    User,
    /// Text of an assistant message that the client replays.
    Assistant,
    /// Arguments of a tool call that the client replays.
    ToolArguments,
    /// What a tool returned.
    ToolResult,
    /// Name, description or schema of a tool or of the answer's format.
    ToolDefinition,
    /// A participant's, function's or file's name, or a tool call's id.
    Name,
    /// A link or inline data of an image, audio clip or file.
    Media,
    /// `user`, `metadata`, cache keys and the like.
    Metadata,
    /// Sampling and other parameters the dialect knows.
    Parameter,
    /// A field the dialect does not know, or the name of such a field.
    Unknown,
}

impl Source {
    /// The name used in records and explanations.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::ToolArguments => "tool_arguments",
            Self::ToolResult => "tool_result",
            Self::ToolDefinition => "tool_definition",
            Self::Name => "name",
            Self::Media => "media",
            Self::Metadata => "metadata",
            Self::Parameter => "parameter",
            Self::Unknown => "unknown",
        }
    }
}

/// One string, number or key of the request body, unescaped.
#[derive(Clone, PartialEq, Eq)]
pub struct Part<'a> {
    /// Where it stands.
    pub source: Source,
    /// Its text; a number is the text the client wrote.
    pub text: Cow<'a, str>,
}

impl fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Part({}, {} bytes)", self.source.name(), self.text.len())
    }
}
