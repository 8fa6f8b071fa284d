//! The body of `POST /v1/responses` to the neutral request and its parts.
//!
//! Every string, number and unknown key becomes a part: nothing of a body is sent that no detector could look at.

mod item;
mod parameter;
mod tool;

use crate::chat::{Content, Json, Message, Role, Streaming, ToolChoice};
use crate::dialect::draft::{Draft, members};
use crate::dialect::field::At;
use crate::dialect::{BadRequest, Decoded, Dialect, Feature};

/// Understands `json`, which was parsed from `body`; see [`crate::dialect::Dialect::decode`].
///
/// A conversation that is continued by `previous_response_id` alone is not in the body: whoever keeps it puts it in
/// before.
///
/// # Errors
/// What is wrong with the body.
pub fn decode<'a>(body: &'a [u8], json: &'a Json<'a>) -> Result<Decoded<'a>, BadRequest> {
    let mut decoder = Decoder { draft: Draft::new(body, json), ..Decoder::default() };
    for (key, member) in members(body, json)? {
        decoder.member(&member.key, key, &member.value)?;
    }
    decoder.finish()
}

#[derive(Default)]
struct Decoder<'a> {
    draft: Draft<'a>,
    instructions: Option<&'a str>,
    /// Whether `include` asks for log-probabilities.
    logprobs: bool,
    top_logprobs: Option<u32>,
}

impl<'a> Decoder<'a> {
    /// Checks what concerns several fields.
    fn finish(mut self) -> Result<Decoded<'a>, BadRequest> {
        let request = &mut self.draft.request;
        if request.tools.is_empty() {
            match request.tool_choice {
                // Without tools they say nothing, and other dialects refuse them.
                Some(ToolChoice::Auto | ToolChoice::None) => request.tool_choice = None,
                Some(_) => return Err(At::ROOT.key("tool_choice").invalid("come with `tools`")),
                None => {}
            }
        }
        // A conversation of instructions alone is none.
        if let (Some(instructions), false) = (self.instructions, request.messages.is_empty()) {
            let content = vec![Content::Text(instructions.into())];
            request.messages.insert(0, Message { role: Role::System, content, ..Message::default() });
        }
        if self.logprobs || self.top_logprobs.is_some() {
            self.draft.uses.insert(Feature::Logprobs);
            request.sampling.logprobs = Some(self.top_logprobs.unwrap_or(0));
        }
        if self.draft.streams {
            // The last event has them in any case.
            request.streaming = Streaming::On { usage: true };
        }
        self.draft.decoded(Dialect::Responses, "input")
    }
}

#[cfg(test)]
mod tests;
