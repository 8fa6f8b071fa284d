//! What providers speak: requests out, answers in.

use std::fmt;

use super::edit::CapField;
use super::{Dialect, Uses, anthropic, gemini, openai, responses};
use crate::chat::{ChatRequest, Delta, Task};

/// What a provider speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Wire {
    /// OpenAI's chat completions, as most servers speak them.
    #[default]
    Chat,
    /// Anthropic's messages.
    Messages,
    /// OpenAI's responses.
    Responses,
    /// Google's `generateContent`.
    Gemini,
}

/// For whom a request is rendered.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The model's name at the provider.
    pub model: &'a str,
    /// Cap on the answer in tokens.
    pub max_output: u32,
    /// In which field its models take the cap, where the wire format leaves that open.
    pub cap_field: CapField,
    /// Whether it takes `stream_options`, by which a stream of chat completions is asked for its usage.
    pub stream_options: bool,
}

/// A request in a provider's words.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The body.
    pub body: Vec<u8>,
    /// What the client asked for and the provider is not told, by the neutral names: `seed`, `top_k`.
    pub losses: Vec<&'static str>,
}

/// Shows how long the body is.
impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rendered({} bytes, without {:?})", self.body.len(), self.losses)
    }
}

/// A request that a provider's dialect cannot express without changing what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the destination's dialect cannot express {0}")]
pub struct Unfit(pub &'static str);

/// Why an answer cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The provider's own error event: the stream has failed.
    #[error("the provider reported an error in its stream")]
    Provider,
    /// An event that is none of the dialect's.
    #[error("the provider's event cannot be read")]
    Unreadable,
}

/// How far a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It goes on.
    Open,
    /// This was the dialect's own end of it.
    Ended,
}

/// Reads a provider's stream as deltas.
#[derive(Debug)]
pub enum StreamReader {
    /// OpenAI's chunks.
    Chat(openai::answer::StreamReader),
    /// Anthropic's events.
    Messages(anthropic::answer::StreamReader),
    /// OpenAI's typed events.
    Responses(responses::answer::StreamReader),
    /// Google's chunks.
    Gemini(gemini::answer::StreamReader),
}

impl StreamReader {
    /// Appends what `frame`, as [`super::sse::SseFramer`] cuts them, says. Comments and pings say nothing.
    ///
    /// # Errors
    /// Where the stream has failed.
    pub fn event(&mut self, frame: &[u8], out: &mut Vec<Delta>) -> Result<Progress, ReadError> {
        match self {
            Self::Chat(reader) => reader.event(frame, out),
            Self::Messages(reader) => reader.event(frame, out),
            Self::Responses(reader) => reader.event(frame, out),
            Self::Gemini(reader) => reader.event(frame, out),
        }
    }

    /// Whether the stream may end here without the dialect's marker, since all that matters has come.
    pub fn may_end(&self) -> bool {
        match self {
            Self::Chat(reader) => reader.may_end(),
            Self::Messages(_) => false,
            Self::Responses(reader) => reader.may_end(),
            Self::Gemini(reader) => reader.may_end(),
        }
    }
}

impl Wire {
    /// The request in this dialect, for `target`.
    ///
    /// # Errors
    /// What it cannot express.
    pub fn render(self, request: &ChatRequest, target: &Target<'_>) -> Result<Rendered, Unfit> {
        match self {
            Self::Chat => openai::render::render(request, target),
            Self::Messages => anthropic::render::render(request, target),
            Self::Responses => responses::render::render(request, target),
            Self::Gemini if request.task == Task::Embeddings => gemini::embed::render(request, target),
            Self::Gemini => gemini::render::render(request, target),
        }
    }

    /// Whether `request`, in a client's words of the same dialect, holds thoughts that a provider of another one sealed, as far
    /// as seals say whose they are: providers refuse them.
    pub fn refuses_seals(self, request: &ChatRequest) -> bool {
        match self {
            Self::Messages => request.seals().any(anthropic::is_foreign),
            Self::Responses => request.seals().any(responses::is_foreign),
            // The one carries no seals, and nobody speaks the other here.
            Self::Chat | Self::Gemini => false,
        }
    }

    /// What a request may use that [`Wire::render`] is given.
    pub fn expresses(self) -> Uses {
        match self {
            Self::Chat => openai::render::EXPRESSES.iter().copied().collect(),
            Self::Messages => anthropic::render::EXPRESSES.iter().copied().collect(),
            Self::Responses => responses::render::EXPRESSES.iter().copied().collect(),
            Self::Gemini => gemini::render::EXPRESSES.iter().copied().collect(),
        }
    }

    /// In which header its APIs take credentials.
    pub fn credential_header(self) -> &'static str {
        match self {
            Self::Chat | Self::Responses => "authorization",
            Self::Messages => "x-api-key",
            Self::Gemini => "x-goog-api-key",
        }
    }

    /// Whether it has words for `task`: [`Self::render`] is given no other.
    pub fn can(self, task: Task) -> bool {
        task.generates() || self == Self::Gemini && task == Task::Embeddings
    }

    /// The fixed words of requests for `task` in it: keys, types, roles.
    pub fn words(self, task: Task) -> &'static [&'static str] {
        match self {
            Self::Gemini if task == Task::Embeddings => gemini::embed::WORDS,
            Self::Chat => openai::render::WORDS,
            Self::Messages => anthropic::render::WORDS,
            Self::Responses => responses::render::WORDS,
            Self::Gemini => gemini::render::WORDS,
        }
    }

    /// A reader of one stream.
    pub fn reader(self) -> StreamReader {
        match self {
            Self::Chat => StreamReader::Chat(openai::answer::StreamReader::default()),
            Self::Messages => StreamReader::Messages(anthropic::answer::StreamReader::default()),
            Self::Responses => StreamReader::Responses(responses::answer::StreamReader::default()),
            Self::Gemini => StreamReader::Gemini(gemini::answer::StreamReader::default()),
        }
    }

    /// A whole answer as the deltas it might have come in; `None` where it is none.
    pub fn read_reply(self, body: &[u8]) -> Option<Vec<Delta>> {
        match self {
            Self::Chat => openai::answer::read_reply(body),
            Self::Messages => anthropic::answer::read_reply(body),
            Self::Responses => responses::answer::read_reply(body),
            Self::Gemini => gemini::answer::read_reply(body),
        }
    }

    /// Whether it is what a client of `dialect` speaks: then bytes pass as they are.
    pub fn speaks(self, dialect: Dialect) -> bool {
        match self {
            // All of OpenAI's API but the responses is one family: who serves what is the policy's to say.
            Self::Chat => !matches!(dialect, Dialect::Messages | Dialect::Responses),
            Self::Messages => dialect == Dialect::Messages,
            Self::Responses => dialect == Dialect::Responses,
            // No client speaks it here.
            Self::Gemini => false,
        }
    }
}
