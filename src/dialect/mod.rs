//! The wire formats, as pure functions from bytes to bytes: what clients speak, and what providers speak.
//!
//! Each dialect is a folder. A client's side decodes bodies and encodes answers; a provider's side renders requests and
//! reads answers. In between stand the neutral words of [`crate::chat`], so that every dialect meets every other.
//! Nothing here does I/O or reads a clock.

pub mod edit;
pub mod error;
mod field;
pub mod openai;
pub mod sse;
mod uses;
mod walk;

pub use uses::{Feature, Uses};

use bytes::BytesMut;

use self::edit::EditPoints;
use self::error::ApiError;
use crate::chat::{ChatRequest, Delta, Json, Part, Reply};

/// What a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's `POST /v1/chat/completions`.
    #[default]
    Chat,
}

impl Dialect {
    /// The name used in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "openai.chat",
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
        }
    }

    /// What ids of answers begin with.
    pub fn id_prefix(self) -> &'static str {
        match self {
            Self::Chat => "chatcmpl-",
        }
    }

    /// A whole answer.
    pub fn encode_reply(self, meta: &AnswerMeta<'_>, reply: &Reply) -> Vec<u8> {
        match self {
            Self::Chat => openai::encode::encode_reply(meta, reply),
        }
    }

    /// Appends the last frame of a stream that failed after its first byte. No end marker follows it: the answer is not
    /// whole.
    pub fn error_frame(self, error: &ApiError, out: &mut BytesMut) {
        match self {
            Self::Chat => openai::encode::error_frame(error, out),
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
}

impl StreamEncoder {
    /// An encoder for one answer; `usage` is whether the client asked for token counts, where its dialect leaves that open.
    pub fn new(dialect: Dialect, meta: &AnswerMeta<'_>, usage: bool) -> Self {
        match dialect {
            Dialect::Chat => Self::Chat(openai::encode::StreamEncoder::new(meta, usage)),
        }
    }

    /// Appends the frames for `delta`.
    pub fn delta(&mut self, delta: &Delta, out: &mut BytesMut) {
        match self {
            Self::Chat(encoder) => encoder.delta(delta, out),
        }
    }

    /// Appends the end of a complete stream.
    pub fn done(&mut self, out: &mut BytesMut) {
        match self {
            Self::Chat(encoder) => encoder.done(out),
        }
    }
}

/// What an answer says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerMeta<'a> {
    /// `chatcmpl-…`
    pub id: &'a str,
    /// Seconds since 1970, UTC.
    pub created: i64,
    /// Which model answered.
    pub model: &'a str,
}

/// What a provider speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Wire {
    /// OpenAI's chat completions, as most servers speak them.
    #[default]
    Chat,
}

impl Wire {
    /// Whether it is what a client of `dialect` speaks: then bytes pass as they are.
    pub fn speaks(self, dialect: Dialect) -> bool {
        match self {
            Self::Chat => dialect == Dialect::Chat,
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
