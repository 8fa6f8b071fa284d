//! Neutral answers as Anthropic's bytes.

mod stream;

use bytes::{BufMut, BytesMut};
use serde::Serialize;
use serde_json::value::RawValue;

pub use self::stream::StreamEncoder;
use super::seal::Seal;
use crate::chat::request::{Thought, ToolCall};
use crate::chat::{Choice, FinishReason, Reply, Usage};
use crate::dialect::error::ApiError;
use crate::dialect::{AnswerMeta, Dialect};

/// A whole answer: a `message`.
pub fn encode_reply(meta: &AnswerMeta<'_>, reply: &Reply) -> Vec<u8> {
    let choice = reply.choices.first();
    let message = Message {
        id: meta.id,
        r#type: "message",
        role: "assistant",
        model: meta.model,
        content: choice.map(blocks).unwrap_or_default(),
        stop_reason: Some(stop_reason(choice.map(|choice| choice.finish).unwrap_or_default())),
        stop_sequence: None,
        usage: reply.usage.into(),
    };
    let mut out = BytesMut::with_capacity(choice.map_or(0, |choice| choice.text.len()) + 512);
    put(&mut out, &message);
    out.into()
}

/// The answer of `POST /v1/messages/count_tokens`.
pub fn encode_count(input_tokens: u64) -> Vec<u8> {
    format!("{{\"input_tokens\":{input_tokens}}}").into_bytes()
}

/// The answer of `GET /v1/models` to those who speak this dialect: model names, `created` as RFC 3339.
pub fn encode_models<'a>(names: impl IntoIterator<Item = &'a str>, created: &str) -> Vec<u8> {
    let data: Vec<_> = names.into_iter().map(|name| Model::named(name, created)).collect();
    let (first_id, last_id) = (data.first().map(|model| model.id), data.last().map(|model| model.id));
    let mut out = BytesMut::new();
    put(&mut out, &Models { first_id, last_id, has_more: false, data });
    out.into()
}

/// The answer of `GET /v1/models/{id}`.
pub fn encode_model(name: &str, created: &str) -> Vec<u8> {
    let mut out = BytesMut::new();
    put(&mut out, &Model::named(name, created));
    out.into()
}

#[derive(Serialize)]
struct Models<'a> {
    data: Vec<Model<'a>>,
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Model<'a> {
    r#type: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: &'a str,
    lifecycle: &'static str,
}

impl<'a> Model<'a> {
    fn named(name: &'a str, created: &'a str) -> Self {
        Self { r#type: "model", id: name, display_name: name, created_at: created, lifecycle: "active" }
    }
}

/// Appends the last frame of a stream that failed after its first byte. No `message_stop` follows it: the answer is not
/// whole.
pub fn error_frame(error: &ApiError, out: &mut BytesMut) {
    out.put_slice(b"event: error\ndata: ");
    error.write(Dialect::Messages, out);
    out.put_slice(b"\n\n");
}

#[derive(Serialize)]
struct Message<'a> {
    id: &'a str,
    r#type: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<Block<'a>>,
    stop_reason: Option<&'static str>,
    stop_sequence: Option<&'static str>,
    usage: WireUsage,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text { text: &'a str },
    Thinking { thinking: &'a str, signature: String },
    RedactedThinking { data: &'a str },
    ToolUse { id: &'a str, name: &'a str, input: Input<'a> },
}

/// A call's arguments, which this dialect has as an object.
#[derive(Serialize)]
#[serde(untagged)]
enum Input<'a> {
    Object(&'a RawValue),
    /// A model may write what is none; the client sees what it wrote.
    Other {
        arguments: &'a str,
    },
    None {},
}

impl<'a> Input<'a> {
    fn of(call: &'a ToolCall) -> Self {
        let arguments = call.arguments.expose();
        let raw: Option<&RawValue> = serde_json::from_str(arguments).ok();
        match raw.filter(|raw| raw.get().starts_with('{')) {
            Some(object) => Self::Object(object),
            None if arguments.trim().is_empty() => Self::None {},
            None => Self::Other { arguments },
        }
    }
}

fn blocks(choice: &Choice) -> Vec<Block<'_>> {
    let text = |text| Some(text).filter(|text: &&str| !text.is_empty()).map(|text| Block::Text { text });
    let said = text(choice.text.expose()).into_iter().chain(text(choice.refusal.expose()));
    choice.thoughts.iter().map(thought).chain(said).chain(choice.tool_calls.iter().map(tool_use)).collect()
}

fn tool_use(call: &ToolCall) -> Block<'_> {
    Block::ToolUse { id: &call.id, name: &call.name, input: Input::of(call) }
}

fn thought(thought: &Thought) -> Block<'_> {
    let thinking = thought.text.expose();
    match thought.seal.as_ref().map(Seal::read) {
        Some(Seal::Redacted(data)) => Block::RedactedThinking { data },
        seal => Block::Thinking { thinking, signature: seal.map(|seal| seal.shown().into_owned()).unwrap_or_default() },
    }
}

fn stop_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "end_turn",
        FinishReason::Length => "max_tokens",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::ContentFilter => "refusal",
    }
}

/// The dialect counts what the cache has apart from the other input.
#[derive(Serialize)]
struct WireUsage {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<WireOutput>,
}

#[derive(Serialize)]
struct WireOutput {
    thinking_tokens: u64,
}

impl From<Usage> for WireUsage {
    fn from(usage: Usage) -> Self {
        let thinking_tokens = Some(usage.reasoning).filter(|tokens| *tokens > 0);
        Self {
            input_tokens: usage.input.saturating_sub(usage.cached_input).saturating_sub(usage.cache_write),
            cache_creation_input_tokens: usage.cache_write,
            cache_read_input_tokens: usage.cached_input,
            output_tokens: usage.output,
            output_tokens_details: thinking_tokens.map(|thinking_tokens| WireOutput { thinking_tokens }),
        }
    }
}

fn put<T: Serialize>(out: &mut BytesMut, value: &T) {
    // Strings, numbers and checked JSON into memory: none can fail.
    let _ = serde_json::to_writer(out.writer(), value);
}

#[cfg(test)]
mod tests;
