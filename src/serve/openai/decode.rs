//! The body of `POST /v1/chat/completions` to the neutral request and its parts.
//!
//! Every string, number and unknown key becomes a part: nothing of a body is sent that no detector could look at.

mod message;
mod parameter;

use std::ops::Range;

use super::field::At;
use super::uses::{Feature, Uses};
use super::walk::{MAX_LAYERS, Parts};
use crate::chat::{ChatRequest, Json, Part, Source, Streaming, Text};

/// Where the responses API names the answer that a request continues. Servers that know it take it here as well.
const CONTINUES: &str = "previous_response_id";

/// A request understood.
#[derive(Clone, Debug)]
pub struct Decoded<'a> {
    /// What is asked, in neutral words.
    pub request: ChatRequest,
    /// Everything in the body that a detector can look at.
    pub parts: Vec<Part<'a>>,
    /// What a destination must be able to do.
    pub uses: Uses,
    /// Where the body can be edited.
    pub edits: EditPoints,
}

/// Where the fields stand that may be edited before the body is sent on. Byte ranges of the body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EditPoints {
    /// Just after the body's opening brace: where new members go.
    pub open: usize,
    /// The value of `model`.
    pub model: Range<usize>,
    /// `max_tokens`, where present.
    pub max_tokens: Option<CapPoint>,
    /// `max_completion_tokens`, where present.
    pub max_completion_tokens: Option<CapPoint>,
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
    /// The value.
    pub span: Range<usize>,
    /// Whether it is null or an object without members.
    pub empty: bool,
    /// The value of `include_usage` within it, and whether that is true.
    pub include_usage: Option<(Range<usize>, bool)>,
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

/// Understands `json`, which was parsed from `body`.
///
/// Unknown fields are kept as [`Source::Unknown`] parts, and as [`Feature::UnknownFields`] where they say anything.
/// Null counts as absent wherever a field is optional, since the official client libraries send it.
pub fn decode<'a>(body: &'a [u8], json: &'a Json<'a>) -> Result<Decoded<'a>, BadRequest> {
    let members = At::ROOT.object(json)?;
    let mut decoder = Decoder { body, ..Decoder::default() };
    decoder.points.open = json.span.start + 1;
    let mut after = decoder.points.open;
    for member in members {
        let key = key_span(body, after..member.value.span.start);
        after = member.value.span.end;
        decoder.member(&member.key, key, &member.value)?;
    }
    decoder.finish()
}

/// The key's quotes within the bytes between the member before and the value.
fn key_span(body: &[u8], between: Range<usize>) -> Range<usize> {
    let quotes = |b: &u8| *b == b'"';
    let bytes = &body[between.clone()];
    let start = bytes.iter().position(quotes).unwrap_or(0);
    let end = bytes.iter().rposition(quotes).map_or(bytes.len(), |at| at + 1);
    between.start + start..between.start + end
}

#[derive(Default)]
struct Decoder<'a> {
    body: &'a [u8],
    parts: Parts<'a>,
    request: ChatRequest,
    uses: Uses,
    points: EditPoints,
    logprobs: bool,
    top_logprobs: Option<u32>,
    include_usage: Option<bool>,
    stream: bool,
}

impl<'a> Decoder<'a> {
    /// Checks what concerns several fields.
    fn finish(mut self) -> Result<Decoded<'a>, BadRequest> {
        let at = At::ROOT;
        if self.request.model.is_empty() {
            return Err(at.key("model").missing());
        }
        if self.request.messages.is_empty() {
            return Err(at.key("messages").missing());
        }
        let caps = [&self.points.max_tokens, &self.points.max_completion_tokens];
        if caps.iter().all(|cap| cap.as_ref().is_some_and(|cap| cap.value.is_some())) {
            return Err(at.key("max_tokens").invalid("not be given together with `max_completion_tokens`"));
        }
        if self.top_logprobs.is_some() && !self.logprobs {
            return Err(at.key("top_logprobs").invalid("come with `logprobs: true`"));
        }
        if self.request.tools.is_empty() && self.request.tool_choice.is_some() {
            return Err(at.key("tool_choice").invalid("come with `tools`"));
        }
        if self.parts.too_deep {
            let message = format!("the body holds JSON in strings of JSON in more than {MAX_LAYERS} layers");
            return Err(BadRequest { message, param: None, code: "nested_too_deep" });
        }
        self.request.sampling.logprobs = self.logprobs.then(|| self.top_logprobs.unwrap_or(0));
        self.request.streaming = self.streaming()?;
        Ok(Decoded { request: self.request, parts: self.parts.all, uses: self.uses, edits: self.points })
    }

    fn streaming(&self) -> Result<Streaming, BadRequest> {
        match (self.stream, self.include_usage) {
            (true, usage) => Ok(Streaming::On { usage: usage.unwrap_or(false) }),
            (false, None) => Ok(Streaming::Off),
            (false, Some(_)) => Err(At::ROOT.key("stream_options").invalid("come with `stream: true`")),
        }
    }

    /// A field that the dialect does not know.
    fn unknown(&mut self, key: &'a str, value: &'a Json<'a>) {
        if key == CONTINUES {
            self.request.continues = value.as_str().map(Text::new);
        }
        self.parts.text(key, Source::Unknown);
        self.parts.tree(value, Source::Unknown);
        if says_something(value) {
            self.uses.insert(Feature::UnknownFields);
        }
    }

    /// The value as the client wrote it.
    fn verbatim(&self, json: &Json<'_>) -> Text {
        // The parser checked that the whole body is UTF-8, and a value begins and ends at characters.
        Text::new(std::str::from_utf8(&self.body[json.span.clone()]).unwrap_or_default())
    }
}

/// Null and empty containers hold nothing that could be lost; replayed answers are full of them.
fn says_something(json: &Json<'_>) -> bool {
    !json.is_null() && json.as_array().is_none_or(|a| !a.is_empty()) && json.as_object().is_none_or(|o| !o.is_empty())
}

/// Null is absent.
fn optional(json: &Json<'_>, decode: impl FnOnce() -> Result<(), BadRequest>) -> Result<(), BadRequest> {
    if json.is_null() { Ok(()) } else { decode() }
}

#[cfg(test)]
mod tests;
