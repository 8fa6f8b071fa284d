//! The body of `POST /v1/responses` to the neutral request and its parts.
//!
//! Every string, number and unknown key becomes a part: nothing of a body is sent that no detector could look at.

mod item;
mod parameter;
mod tool;

use crate::chat::{ChatRequest, Content, Json, Message, Role, Source, Streaming, Text, ToolChoice};
use crate::dialect::edit::EditPoints;
use crate::dialect::field::{At, key_span, says_something, verbatim};
use crate::dialect::walk::Parts;
use crate::dialect::{BadRequest, Decoded, Dialect, Feature, Uses};

/// Understands `json`, which was parsed from `body`; see [`crate::dialect::Dialect::decode`].
///
/// A conversation that is continued by `previous_response_id` alone is not in the body: whoever keeps it puts it in
/// before.
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
    instructions: Option<&'a str>,
    /// Whether `include` asks for log-probabilities.
    logprobs: bool,
    top_logprobs: Option<u32>,
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
            return Err(at.key("input").missing());
        }
        if self.request.tools.is_empty() {
            match self.request.tool_choice {
                // Without tools they say nothing, and other dialects refuse them.
                Some(ToolChoice::Auto | ToolChoice::None) => self.request.tool_choice = None,
                Some(_) => return Err(at.key("tool_choice").invalid("come with `tools`")),
                None => {}
            }
        }
        if let Some(instructions) = self.instructions {
            let content = vec![Content::Text(instructions.into())];
            self.request.messages.insert(0, Message { role: Role::System, content, ..Message::default() });
        }
        if self.logprobs || self.top_logprobs.is_some() {
            self.uses.insert(Feature::Logprobs);
            self.request.sampling.logprobs = Some(self.top_logprobs.unwrap_or(0));
        }
        if self.stream {
            // The last event has them in any case.
            self.request.streaming = Streaming::On { usage: true };
        }
        let (request, parts) = (self.request, self.parts.whole()?);
        let (uses, edits, unsaid) = (self.uses, self.points, self.unsaid);
        Ok(Decoded { dialect: Dialect::Responses, request, parts, uses, edits, unsaid })
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

    /// Notes a field that only this dialect has a word for.
    fn unsaid(&mut self, name: &'static str) {
        if !self.unsaid.contains(&name) {
            self.unsaid.push(name);
        }
    }

    /// The value as the client wrote it.
    fn verbatim(&self, json: &Json<'_>) -> Text {
        Text::new(verbatim(self.body, json))
    }
}

#[cfg(test)]
mod tests;
