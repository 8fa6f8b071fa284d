//! What clients speak: bodies in, answers out.

use bytes::BytesMut;

use super::edit::{CapField, EditPoints};
use super::error::ApiError;
use super::{Uses, anthropic, completions, embeddings, moderations, openai, responses};
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
    /// Unknown fields are kept as [`crate::chat::Source::Unknown`] parts, and as [`super::Feature::UnknownFields`] where they
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
