//! The body of `POST /v1/chat/completions` to the neutral request and its parts.
//!
//! Every string, number and unknown key becomes a part: nothing of a body is sent that no detector could look at.

mod message;
mod parameter;

pub(in crate::dialect) use parameter::effort;

use crate::chat::{ChatRequest, Json, Source, Streaming, Text};
use crate::dialect::edit::EditPoints;
use crate::dialect::field::{At, key_span, says_something, verbatim};
use crate::dialect::walk::Parts;
use crate::dialect::{BadRequest, Decoded, Dialect, Feature, Uses};

/// Where the responses API names the answer that a request continues. Servers that know it take it here as well.
const CONTINUES: &str = "previous_response_id";

/// Understands `json`, which was parsed from `body`; see [`crate::dialect::Dialect::decode`].
///
/// # Errors
/// What is wrong with the body.
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

#[derive(Default)]
struct Decoder<'a> {
    body: &'a [u8],
    parts: Parts<'a>,
    request: ChatRequest,
    uses: Uses,
    unsaid: Vec<&'static str>,
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
        self.request.sampling.logprobs = self.logprobs.then(|| self.top_logprobs.unwrap_or(0));
        self.request.streaming = self.streaming()?;
        let (request, parts) = (self.request, self.parts.whole()?);
        let (uses, edits, unsaid) = (self.uses, self.points, self.unsaid);
        Ok(Decoded { dialect: Dialect::Chat, request, parts, uses, edits, unsaid })
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
        self.unknown_value(value);
    }

    /// The value of a field that the dialect does not know.
    fn unknown_value(&mut self, value: &Json<'_>) {
        if says_something(value) {
            self.uses.insert(Feature::UnknownFields);
        }
    }

    /// The value as the client wrote it.
    fn verbatim(&self, json: &Json<'_>) -> Text {
        Text::new(verbatim(self.body, json))
    }
}

#[cfg(test)]
mod tests;
