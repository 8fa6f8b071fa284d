//! The provider's side of the dialect: what a reply or a stream's frame says, without keeping its text.
//!
//! Many vendors speak "OpenAI-compatible" with extras, nulls and gaps. Only what is used here is looked at, and what is
//! missing is missing, not an error.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

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

/// Groq's own, at a stream's end.
#[derive(Deserialize)]
pub(super) struct WireGroq {
    #[serde(default)]
    pub(super) usage: Option<WireUsage>,
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

#[derive(Deserialize)]
pub(in crate::dialect) struct WireUsage {
    #[serde(default)]
    prompt_tokens: Count,
    #[serde(default)]
    completion_tokens: Count,
    #[serde(default)]
    prompt_tokens_details: Option<WireDetails>,
    #[serde(default)]
    completion_tokens_details: Option<WireOutputDetails>,
    /// DeepSeek's field.
    #[serde(default)]
    prompt_cache_hit_tokens: Count,
}

#[derive(Deserialize)]
struct WireDetails {
    #[serde(default)]
    cached_tokens: Count,
    #[serde(default)]
    cache_write_tokens: Count,
    #[serde(default)]
    audio_tokens: Count,
}

#[derive(Deserialize)]
struct WireOutputDetails {
    #[serde(default)]
    reasoning_tokens: Count,
    #[serde(default)]
    audio_tokens: Count,
}

impl WireUsage {
    /// `None` where neither count is there.
    pub(in crate::dialect) fn counted(self) -> Option<Usage> {
        if self.prompt_tokens.0.is_none() && self.completion_tokens.0.is_none() {
            return None;
        }
        let (input, output) = (self.prompt_tokens_details.as_ref(), self.completion_tokens_details.as_ref());
        let of_input = |count: fn(&WireDetails) -> Count| input.and_then(|details| count(details).0);
        let of_output = |count: fn(&WireOutputDetails) -> Count| output.and_then(|details| count(details).0);
        let cached = of_input(|d| d.cached_tokens).or(self.prompt_cache_hit_tokens.0);
        Some(Usage {
            input: self.prompt_tokens.0.unwrap_or(0),
            output: self.completion_tokens.0.unwrap_or(0),
            cached_input: cached.unwrap_or(0),
            cache_untold: cached.is_none(),
            cache_write: of_input(|d| d.cache_write_tokens).unwrap_or(0),
            reasoning: of_output(|d| d.reasoning_tokens).unwrap_or(0),
            audio_input: of_input(|d| d.audio_tokens).unwrap_or(0),
            audio_output: of_output(|d| d.audio_tokens).unwrap_or(0),
            // Who speaks this dialect gets the provider's own bytes.
            predicted: None,
        })
    }
}

/// A count that a vendor may also send as null or as a float.
#[derive(Clone, Copy, Default)]
struct Count(Option<u64>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Option::<serde_json::Number>::deserialize(deserializer)?;
        // `as` saturates: a negative count is 0.
        Ok(Self(number.and_then(|n| n.as_u64().or(n.as_f64().map(|f| f as u64)))))
    }
}

/// The number of characters of all text in a value, counted without keeping it.
///
/// Content is a string, or (with some vendors) an array of typed parts; a tool call's text is its name and arguments.
#[derive(Default)]
struct Chars(u64);

impl<'de> Deserialize<'de> for Chars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountChars).map(Self)
    }
}

struct CountChars;

impl<'de> Visitor<'de> for CountChars {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("content")
    }

    fn visit_str<E>(self, text: &str) -> Result<u64, E> {
        Ok(text.chars().count() as u64)
    }

    fn visit_unit<E>(self) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_bool<E>(self, _: bool) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_u64<E>(self, _: u64) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_i64<E>(self, _: i64) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_f64<E>(self, _: f64) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<u64, A::Error> {
        let mut sum = 0;
        while let Some(Chars(chars)) = items.next_element()? {
            sum += chars;
        }
        Ok(sum)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<u64, A::Error> {
        let mut sum = 0;
        while let Some(key) = members.next_key::<Cow<'_, str>>()? {
            match key.as_ref() {
                "text" | "thinking" | "name" | "arguments" | "function" => sum += members.next_value::<Chars>()?.0,
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(json: &str) -> Chunk {
        match observe(format!("data: {json}\n\n").as_bytes()) {
            Frame::Chunk(chunk) => chunk,
            other => panic!("{other:?}"),
        }
    }

    /// Counts that say nothing of a cache.
    fn uncached(input: u64, output: u64) -> Usage {
        Usage { input, output, cache_untold: true, ..Usage::default() }
    }

    #[test]
    fn a_role_chunk_is_no_content_and_characters_are_counted_not_bytes() {
        let role = chunk(r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#);
        assert_eq!(role, Chunk::default());
        let content = chunk(r#"{"choices":[{"delta":{"content":"h\u00e9語😀"}}],"usage":null}"#);
        assert_eq!(content, Chunk { chars: 4, content: true, ..Chunk::default() });
    }

    #[test]
    fn tool_calls_reasoning_and_typed_parts_are_content() {
        for (delta, chars) in [
            (r#"{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}"#, 3),
            (r#"{"reasoning_content":"hm"}"#, 2),
            (r#"{"reasoning":"hm","content":null}"#, 2),
            (r#"{"content":[{"type":"text","text":"abc"}]}"#, 3),
            (r#"{"refusal":"no"}"#, 2),
            (r#"{"reasoning":"hm","reasoning_content":"hm"}"#, 2),
            (r#"{"audio":{"data":"AAAA"}}"#, 0),
        ] {
            let seen = chunk(&format!(r#"{{"choices":[{{"delta":{delta}}}]}}"#));
            assert_eq!((seen.chars, seen.content), (chars, true), "{delta}");
        }
    }

    #[test]
    fn content_end_and_usage_may_come_in_one_chunk() {
        let seen = chunk(
            r#"{"choices":[{"delta":{"content":"a"},"finish_reason":"length"}],"usage":{"prompt_tokens":7,
            "completion_tokens":2.0,"prompt_tokens_details":{"cached_tokens":5},"x":[{}]},"vendor":{"a":1e400}}"#
                .replace('\n', " ")
                .as_str(),
        );
        let usage = Usage { input: 7, output: 2, cached_input: 5, ..Usage::default() };
        assert_eq!((seen.finish, seen.usage), (Some(FinishReason::Length), Some(usage)));
        assert!(!seen.is_unasked_usage(false));
    }

    #[test]
    fn the_text_of_legacy_completions_is_content() {
        let seen = chunk(r#"{"choices":[{"text":"h\u00e9","index":0,"finish_reason":"length"}]}"#);
        let expected = Chunk { chars: 2, content: true, finish: Some(FinishReason::Length), ..Chunk::default() };
        assert_eq!(seen, expected);
    }

    #[test]
    fn sound_and_what_is_written_to_a_cache_are_counted_apart() {
        let usage = chunk(
            r#"{"choices":[],"usage":{"prompt_tokens":20,"completion_tokens":9,"prompt_tokens_details":{"audio_tokens":7,
            "cache_write_tokens":5},"completion_tokens_details":{"audio_tokens":4}}}"#
                .replace('\n', " ")
                .as_str(),
        );
        let counts = Usage { cache_write: 5, audio_input: 7, audio_output: 4, ..uncached(20, 9) };
        assert_eq!(usage.usage, Some(counts));
    }

    #[test]
    fn groqs_own_usage_counts_where_there_is_no_other() {
        let own = chunk(r#"{"choices":[],"x_groq":{"id":"r","usage":{"prompt_tokens":7,"completion_tokens":2}}}"#);
        assert_eq!(own.usage, Some(uncached(7, 2)));
        let both = r#"{"choices":[],"usage":{"prompt_tokens":8},"x_groq":{"usage":{"prompt_tokens":7}}}"#;
        assert_eq!(chunk(both).usage.map(|usage| usage.input), Some(8));
    }

    #[test]
    fn a_usage_chunk_is_stripped_only_from_those_who_did_not_ask() {
        let seen = chunk(r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#);
        assert_eq!((seen.is_unasked_usage(false), seen.is_unasked_usage(true)), (true, false));
        assert!(!chunk(r#"{"choices":[],"prompt_filter_results":[]}"#).is_unasked_usage(false));
    }

    #[test]
    fn frames_that_are_no_chunks_are_told_apart() {
        assert_eq!(observe(b"data: [DONE]\r\n\r\n"), Frame::Done);
        assert_eq!(observe(b"data:[DONE]\n\n"), Frame::Done);
        assert_eq!(observe(b": keep-alive\n\n"), Frame::Comment);
        assert_eq!(observe(b"\n"), Frame::Comment);
        assert_eq!(observe(b"data: {\"ok\":true}\n\n"), Frame::Other);
        assert_eq!(observe(b"data: {\"choi\n\n"), Frame::Other);
        assert_eq!(
            observe(b"data: {\"choices\":\ndata: []}\n\n"),
            Frame::Chunk(Chunk { no_choices: true, ..Chunk::default() })
        );
        for error in [
            r#"{"object":"error","message":"full","code":400}"#,
            r#"{"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#,
            r#"{"choices":[{"delta":{},"finish_reason":"insufficient_system_resource"}]}"#,
        ] {
            assert!(matches!(observe(format!("data: {error}\n\n").as_bytes()), Frame::Error { .. }), "{error}");
        }
        for error in [r#"{"error":{"message":"full","code":503}}"#, r#"{"error":"full"}"#] {
            let frame = observe(format!("event: error\ndata: {error}\n\n").as_bytes());
            assert_eq!(frame, Frame::Error { message: "full".into() });
        }
    }

    #[test]
    fn a_whole_reply_gives_usage_end_and_length() {
        let seen = observe_reply(
            br#"{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"hello","annotations":[]},
            "finish_reason":"stop","logprobs":null}],"usage":{"prompt_tokens":3,"completion_tokens":1,
            "prompt_cache_hit_tokens":2}}"#,
        );
        let usage = Some(Usage { input: 3, output: 1, cached_input: 2, ..Usage::default() });
        assert_eq!(seen, Some(Observed { usage, finish: Some(FinishReason::Stop), output_chars: 5 }));
        assert_eq!(observe_reply(b"<html>"), None);
    }
}
