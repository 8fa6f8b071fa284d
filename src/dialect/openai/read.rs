//! The provider's side of the dialect: what a reply or a stream's frame says, without keeping its text.
//!
//! Many vendors speak "OpenAI-compatible" with extras, nulls and gaps. Only what is used here is looked at, and what is
//! missing is missing, not an error.

mod chars;

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use self::chars::Chars;
use super::usage::{WireGroq, WireUsage};
use crate::chat::{FinishReason, Text, Usage};
use crate::dialect::sse::data;

/// What a whole reply says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Token counts, where reported.
    pub usage: Option<Usage>,
    /// Why the last choice ended.
    pub finish: Option<FinishReason>,
    /// Characters of content, reasoning, refusals and tool arguments, of all choices: for counting where `usage` is
    /// missing.
    pub output_chars: u64,
}

/// What one frame of a stream is.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// A chunk. Vendors put content, end and usage into one or into several.
    Chunk(Chunk),
    /// `[DONE]`
    Done,
    /// The provider's own error event: the stream has failed.
    Error {
        /// The provider's words, which may quote the prompt.
        message: Text,
    },
    /// Only comments or empty lines, such as a keep-alive.
    Comment,
    /// Data that is no chunk.
    Other,
}

/// A chunk of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// As [`Observed::output_chars`], of this chunk.
    pub chars: u64,
    /// Whether a choice carries content, a refusal, reasoning or a part of a tool call: from here on there is no second
    /// attempt.
    pub content: bool,
    /// Why a choice ended, if one did.
    pub finish: Option<FinishReason>,
    /// Token counts, where reported.
    pub usage: Option<Usage>,
    /// Whether `choices` is empty.
    pub no_choices: bool,
}

impl Chunk {
    /// Whether the chunk exists only since *we* asked for usage: a client that did not ask must not see it.
    pub fn is_unasked_usage(&self, client_asked: bool) -> bool {
        !client_asked && self.no_choices && self.usage.is_some()
    }
}

/// Reads a whole reply; `None` where it is no chat completion.
pub fn observe_reply(body: &[u8]) -> Option<Observed> {
    let mut reply: Wire<'_> = serde_json::from_slice(body).ok()?;
    let usage = reply.usage();
    let choices = reply.choices.filter(|choices| !choices.iter().any(WireChoice::gave_up))?;
    Some(Observed {
        usage,
        finish: choices.iter().rev().find_map(WireChoice::finish),
        output_chars: choices.iter().map(WireChoice::chars).sum(),
    })
}

/// Reads one frame as [`super::sse::SseFramer`] cuts them.
pub fn observe(frame: &[u8]) -> Frame {
    let Some(data) = data(frame) else { return Frame::Comment };
    if data.trim_ascii() == b"[DONE]" {
        return Frame::Done;
    }
    let Ok(mut wire) = serde_json::from_slice::<Wire<'_>>(&data) else { return Frame::Other };
    if let Some(error) = wire.error {
        return Frame::Error { message: Text::new(error.message()) };
    }
    let usage = wire.usage();
    if wire.object.as_deref() == Some("error") {
        return Frame::Error { message: Text::default() };
    }
    let Some(choices) = wire.choices else { return Frame::Other };
    if choices.iter().any(WireChoice::gave_up) {
        return Frame::Error { message: Text::default() };
    }
    Frame::Chunk(Chunk {
        chars: choices.iter().map(WireChoice::chars).sum(),
        content: choices.iter().any(WireChoice::has_content),
        finish: choices.iter().find_map(WireChoice::finish),
        usage,
        no_choices: choices.is_empty(),
    })
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(default, borrow)]
    choices: Option<Vec<WireChoice<'a>>>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(default, borrow)]
    error: Option<WireError<'a>>,
    /// `error` where an error stands at the top.
    #[serde(default, borrow)]
    object: Option<Cow<'a, str>>,
    #[serde(default)]
    x_groq: Option<WireGroq>,
}

impl Wire<'_> {
    fn usage(&mut self) -> Option<Usage> {
        let groq = || self.x_groq.take().and_then(|groq| groq.usage);
        self.usage.take().or_else(groq).and_then(WireUsage::counted)
    }
}

#[derive(Deserialize)]
struct WireChoice<'a> {
    /// In a stream. Some vendors send both names, so neither is an alias.
    #[serde(default)]
    delta: Option<WireDelta>,
    /// In a whole reply.
    #[serde(default)]
    message: Option<WireDelta>,
    /// Of legacy completions.
    #[serde(default)]
    text: Chars,
    #[serde(default, borrow)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct WireDelta {
    #[serde(default)]
    content: Chars,
    #[serde(default)]
    refusal: Chars,
    #[serde(default)]
    reasoning: Chars,
    #[serde(default)]
    reasoning_content: Chars,
    #[serde(default)]
    tool_calls: Chars,
    #[serde(default)]
    function_call: Chars,
    #[serde(default)]
    audio: Option<IgnoredAny>,
}

impl WireDelta {
    fn chars(&self) -> u64 {
        // Where both are there, they are the same text.
        let reasoning = self.reasoning.0.max(self.reasoning_content.0);
        self.content.0 + self.refusal.0 + reasoning + self.tool_calls.0 + self.function_call.0
    }
}

impl WireChoice<'_> {
    fn said(&self) -> Option<&WireDelta> {
        self.delta.as_ref().or(self.message.as_ref())
    }

    fn chars(&self) -> u64 {
        self.text.0 + self.said().map_or(0, WireDelta::chars)
    }

    fn has_content(&self) -> bool {
        self.text.0 > 0 || self.said().is_some_and(|said| said.chars() > 0 || said.audio.is_some())
    }

    fn gave_up(&self) -> bool {
        self.finish_reason.as_deref().is_some_and(gave_up)
    }

    fn finish(&self) -> Option<FinishReason> {
        finish_reason(self.finish_reason.as_deref()?)
    }
}

/// Whether a choice ends with this since the provider failed in the middle of it: OpenRouter's word, DeepSeek's, vLLM's.
pub(super) fn gave_up(word: &str) -> bool {
    ["error", "insufficient_system_resource", "abort"].contains(&word)
}

/// Why a choice ended, in neutral words.
pub(super) fn finish_reason(word: &str) -> Option<FinishReason> {
    match word {
        // Some vendors send this until the end.
        "" => None,
        "length" | "max_tokens" | "model_length" => Some(FinishReason::Length),
        "tool_calls" | "function_call" => Some(FinishReason::ToolCalls),
        "content_filter" => Some(FinishReason::ContentFilter),
        _ => Some(FinishReason::Stop),
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WireError<'a> {
    Object {
        #[serde(default, borrow)]
        message: Option<Cow<'a, str>>,
    },
    Text(#[serde(borrow)] Cow<'a, str>),
    Other(IgnoredAny),
}

impl WireError<'_> {
    fn message(self) -> String {
        match self {
            Self::Object { message } => message.unwrap_or_default().into_owned(),
            Self::Text(text) => text.into_owned(),
            Self::Other(_) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests;
