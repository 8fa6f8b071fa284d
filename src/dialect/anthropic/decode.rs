//! The body of `POST /v1/messages` to the neutral request and its parts.
//!
//! Every string, number and unknown key becomes a part: nothing of a body is sent that no detector could look at.

mod block;
mod message;
mod parameter;
mod tool;

use std::borrow::Cow;

use crate::chat::request::{Effort, Reasoning};
use crate::chat::{ChatRequest, Content, Json, Message, Part, Role, Source, Streaming, Text};
use crate::dialect::edit::EditPoints;
use crate::dialect::field::{At, key_span, says_something, verbatim};
use crate::dialect::walk::Parts;
use crate::dialect::{BadRequest, Decoded, Dialect, Feature, Uses};

/// Understands `json`, which was parsed from `body`; see [`crate::dialect::Dialect::decode`].
///
/// # Errors
/// What is wrong with the body.
pub fn decode<'a>(body: &'a [u8], json: &'a Json<'a>) -> Result<Decoded<'a>, BadRequest> {
    let decoded = decode_to_count(body, json)?;
    match decoded.request.sampling.max_tokens {
        Some(_) => Ok(decoded),
        None => Err(At::ROOT.key("max_tokens").missing()),
    }
}

/// As [`decode`], for the body of `POST /v1/messages/count_tokens`, which needs no `max_tokens`.
///
/// # Errors
/// What is wrong with the body.
pub fn decode_to_count<'a>(body: &'a [u8], json: &'a Json<'a>) -> Result<Decoded<'a>, BadRequest> {
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
    system: Vec<Content>,
    thinking: Option<Reasoning>,
    effort: Option<Effort>,
    stream: bool,
}

impl<'a> Decoder<'a> {
    /// Checks and joins what concerns several fields.
    fn finish(mut self) -> Result<Decoded<'a>, BadRequest> {
        let at = At::ROOT;
        if self.request.model.is_empty() {
            return Err(at.key("model").missing());
        }
        if self.request.messages.is_empty() {
            return Err(at.key("messages").missing());
        }
        if !self.system.is_empty() {
            let content = std::mem::take(&mut self.system);
            self.request.messages.insert(0, Message { role: Role::System, content, ..Message::default() });
        }
        self.request.reasoning = match (self.thinking, self.effort) {
            (Some(Reasoning::Off | Reasoning::Budget(_)), _) | (_, None) => self.thinking,
            (_, Some(effort)) => Some(Reasoning::Effort(effort)),
        };
        // The dialect's streams always tell usage.
        self.request.streaming = if self.stream { Streaming::On { usage: true } } else { Streaming::Off };
        let (request, parts) = (self.request, self.parts.whole()?);
        let (uses, edits, unsaid) = (self.uses, self.points, self.unsaid);
        Ok(Decoded { dialect: Dialect::Messages, request, parts, uses, edits, unsaid })
    }

    /// A field that the dialect does not know.
    fn unknown(&mut self, key: &'a str, value: &'a Json<'a>) {
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

    /// A member that stands in objects of many kinds: a hint that changes no answer, or one that nobody knows.
    fn other(&mut self, key: &'a str, value: &'a Json<'a>) {
        match key {
            "cache_control" => self.parts.tree(value, Source::Parameter),
            _ => self.unknown(key, value),
        }
    }

    fn unsaid(&mut self, field: &'static str) {
        if !self.unsaid.contains(&field) {
            self.unsaid.push(field);
        }
    }

    /// A text that stands in no single string of the body and may leave.
    fn composed(&mut self, text: String, source: Source) {
        self.parts.all.push(Part { source, text: Cow::Owned(text) });
    }

    /// The value as the client wrote it.
    fn verbatim(&self, json: &Json<'_>) -> &'a str {
        verbatim(self.body, json)
    }

    fn verbatim_text(&self, json: &Json<'_>) -> Text {
        Text::new(self.verbatim(json))
    }

    fn name(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<String, BadRequest> {
        let name = at.filled(json)?;
        self.parts.text(name, Source::Name);
        Ok(name.to_owned())
    }
}

#[cfg(test)]
mod tests;
