//! The wire formats, as pure functions from bytes to bytes: what clients speak, and what providers speak.
//!
//! Each dialect is a folder. A client's side decodes bodies and encodes answers; a provider's side renders requests and
//! reads answers. In between stand the neutral words of [`crate::chat`], so that every dialect meets every other.
//! Nothing here does I/O or reads a clock.

pub mod anthropic;
pub mod completions;
mod draft;
pub mod edit;
pub mod embeddings;
pub mod error;
pub mod faithful;
mod field;
pub mod gemini;
pub mod id;
pub mod moderations;
pub mod openai;
pub mod refusal;
pub mod responses;
pub mod sse;
#[cfg(test)]
mod testing;
mod uses;
mod walk;

pub use draft::SERVICE_TIER;
pub use uses::{Feature, Uses};

use std::fmt;

use bytes::BytesMut;

use self::edit::{CapField, EditPoints};
use self::error::ApiError;
use crate::chat::{ChatRequest, Delta, Json, Part, Reply, Task};

/// What a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's `POST /v1/chat/completions`.
    #[default]
    Chat,
    /// Anthropic's `POST /v1/messages`.
    Messages,
    /// OpenAI's `POST /v1/responses`.
    Responses,
    /// OpenAI's legacy `POST /v1/completions`.
    Completions,
    /// OpenAI's `POST /v1/embeddings`.
    Embeddings,
    /// OpenAI's `POST /v1/moderations`.
    Moderations,
}

impl Dialect {
    /// All.
    pub const ALL: [Self; 6] =
        [Self::Chat, Self::Messages, Self::Responses, Self::Completions, Self::Embeddings, Self::Moderations];

    /// The dialect of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == name)
    }

    /// What a body is written in, by its shape: `messages` is a chat, `input` are responses, `prompt` is a completion.
    pub fn guess(json: &Json<'_>) -> Self {
        let has = |key: &str| json.get(key).is_some();
        match (has("messages"), has("input"), has("prompt")) {
            (false, true, _) => Self::Responses,
            (false, false, true) => Self::Completions,
            _ => Self::Chat,
        }
    }

    /// The name used in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "openai.chat",
            Self::Messages => "anthropic.messages",
            Self::Responses => "openai.responses",
            Self::Completions => "openai.completions",
            Self::Embeddings => "openai.embeddings",
            Self::Moderations => "openai.moderations",
        }
    }

    /// What is wanted in it.
    pub fn task(self) -> Task {
        match self {
            Self::Chat | Self::Messages | Self::Responses => Task::Chat,
            Self::Completions => Task::Completions,
            Self::Embeddings => Task::Embeddings,
            Self::Moderations => Task::Moderations,
        }
    }

    /// Understands `json`, which was parsed from `body`.
    ///
    /// Unknown fields are kept as [`crate::chat::Source::Unknown`] parts, and as [`Feature::UnknownFields`] where they
    /// say anything. Null counts as absent wherever a field is optional, since the official client libraries send it.
    ///
    /// # Errors
    /// What is wrong with the body.
    pub fn decode<'a>(self, body: &'a [u8], json: &'a Json<'a>) -> Result<Decoded<'a>, BadRequest> {
        match self {
            Self::Chat => openai::decode::decode(body, json),
            Self::Messages => anthropic::decode::decode(body, json),
            Self::Responses => responses::decode::decode(body, json),
            Self::Completions => completions::decode::decode(body, json),
            Self::Embeddings => embeddings::decode::decode(body, json),
            Self::Moderations => moderations::decode::decode(body, json),
        }
    }

    /// Where the output cap stands; `None` where models of one provider take it here and those of another there, and
    /// where nothing is generated.
    pub fn cap_field(self) -> Option<CapField> {
        match self {
            Self::Chat | Self::Embeddings | Self::Moderations => None,
            Self::Messages | Self::Completions => Some(CapField::OnlyMaxTokens),
            Self::Responses => Some(CapField::MaxOutputTokens),
        }
    }

    /// Whether streams have token counts only where the request asks for them.
    pub fn asks_for_usage(self) -> bool {
        match self {
            Self::Chat | Self::Completions => true,
            Self::Messages | Self::Responses | Self::Embeddings | Self::Moderations => false,
        }
    }

    /// What ids of answers begin with.
    pub fn id_prefix(self) -> &'static str {
        match self {
            Self::Chat => "chatcmpl-",
            Self::Messages => "msg_",
            Self::Responses => "resp_",
            Self::Completions => "cmpl-",
            Self::Embeddings => "embd-",
            Self::Moderations => "modr-",
        }
    }

    /// The header in which client libraries look for a request's id.
    pub fn request_id_header(self) -> &'static str {
        match self {
            Self::Messages => "request-id",
            _ => "x-request-id",
        }
    }

    /// A whole answer of a task that generates text.
    pub fn encode_reply(self, meta: &AnswerMeta<'_>, reply: &Reply) -> Vec<u8> {
        match self {
            Self::Chat | Self::Embeddings | Self::Moderations => openai::encode::encode_reply(meta, reply),
            Self::Messages => anthropic::encode::encode_reply(meta, reply),
            Self::Responses => responses::encode::encode_reply(meta, reply),
            Self::Completions => completions::encode::encode_reply(meta, reply),
        }
    }

    /// Appends the last frame of a stream that failed after its first byte. No end marker follows it: the answer is not
    /// whole.
    pub fn error_frame(self, error: &ApiError, out: &mut BytesMut) {
        match self {
            Self::Messages => anthropic::encode::error_frame(error, out),
            Self::Responses => responses::encode::error_frame(error, out),
            _ => openai::encode::error_frame(error, out),
        }
    }
}

/// Writes deltas as a stream in a client's dialect.
///
/// The order of a whole stream: [`Self::delta`] for each delta, then [`Self::done`]. A stream that breaks ends with
/// [`Dialect::error_frame`] instead.
#[derive(Clone, Debug)]
pub enum StreamEncoder {
    /// OpenAI's chunks.
    Chat(openai::encode::StreamEncoder),
    /// Anthropic's events.
    Messages(anthropic::encode::StreamEncoder),
    /// OpenAI's typed events.
    Responses(responses::encode::StreamEncoder),
    /// OpenAI's legacy chunks.
    Completions(completions::encode::StreamEncoder),
}

impl StreamEncoder {
    /// An encoder for one answer; `usage` is whether the client asked for token counts, where its dialect leaves that open.
    pub fn new(dialect: Dialect, meta: &AnswerMeta<'_>, usage: bool) -> Self {
        match dialect {
            Dialect::Chat | Dialect::Embeddings | Dialect::Moderations => {
                Self::Chat(openai::encode::StreamEncoder::new(meta, usage))
            }
            Dialect::Messages => Self::Messages(anthropic::encode::StreamEncoder::new(meta)),
            Dialect::Responses => Self::Responses(responses::encode::StreamEncoder::new(meta)),
            Dialect::Completions => Self::Completions(completions::encode::StreamEncoder::new(meta, usage)),
        }
    }

    /// Appends the frames for `delta`.
    pub fn delta(&mut self, delta: &Delta, out: &mut BytesMut) {
        match self {
            Self::Chat(encoder) => encoder.delta(delta, out),
            Self::Messages(encoder) => encoder.delta(delta, out),
            Self::Responses(encoder) => encoder.delta(delta, out),
            Self::Completions(encoder) => encoder.delta(delta, out),
        }
    }

    /// Appends the end of a complete stream.
    pub fn done(&mut self, out: &mut BytesMut) {
        match self {
            Self::Chat(encoder) => encoder.done(out),
            Self::Messages(encoder) => encoder.done(out),
            Self::Responses(encoder) => encoder.done(out),
            Self::Completions(encoder) => encoder.done(out),
        }
    }
}

/// What an answer says about itself.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerMeta<'a> {
    /// Such as `chatcmpl-…`.
    pub id: &'a str,
    /// Seconds since 1970, UTC.
    pub created: i64,
    /// Which model answered.
    pub model: &'a str,
    /// Prompt tokens, estimated: for dialects that tell them before the answer begins.
    pub input_tokens: u64,
    /// What was asked, where the dialect's answers repeat it.
    pub request: Option<&'a ChatRequest>,
}

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
    /// Appends what `frame`, as [`sse::SseFramer`] cuts them, says. Comments and pings say nothing.
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

/// A request understood.
#[derive(Clone, Debug)]
pub struct Decoded<'a> {
    /// What the client speaks.
    pub dialect: Dialect,
    /// What is asked, in neutral words.
    pub request: ChatRequest,
    /// Everything in the body that a detector can look at.
    pub parts: Vec<Part<'a>>,
    /// What a destination must be able to do.
    pub uses: Uses,
    /// Where the body can be edited.
    pub edits: EditPoints,
    /// Fields that the dialect knows and that have no neutral word: another dialect is not told of them.
    pub unsaid: Vec<&'static str>,
}

/// Why a body is refused: always a 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadRequest {
    /// What is wrong. Never text of the request.
    pub message: String,
    /// The field, such as `messages[2].content`.
    pub param: Option<String>,
    /// For a program.
    pub code: &'static str,
}
