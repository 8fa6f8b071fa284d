//! The body of `POST /v1/chat/completions` to the neutral request and its parts.
//!
//! Every string, number and unknown key becomes a part: nothing of a body is sent that no detector could look at.

mod form;
mod message;
mod parameter;

use crate::chat::{Json, ResponseFormat, Text};
use crate::dialect::draft::{Draft, members};
use crate::dialect::field::At;
use crate::dialect::{BadRequest, Decoded, Dialect};

/// Where the responses API names the answer that a request continues. Servers that know it take it here as well.
const CONTINUES: &str = "previous_response_id";

/// Understands `json`, which was parsed from `body`; see [`crate::dialect::Dialect::decode`].
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
    logprobs: bool,
    top_logprobs: Option<u32>,
    include_usage: Option<bool>,
    /// The form of the answer, and in which field beside `response_format` it stands.
    form: Option<(&'static str, ResponseFormat)>,
}

impl<'a> Decoder<'a> {
    /// Checks what concerns several fields.
    fn finish(mut self) -> Result<Decoded<'a>, BadRequest> {
        let (at, streaming) = (At::ROOT, self.draft.streaming(self.include_usage));
        let points = &self.draft.points;
        let caps = [&points.max_tokens, &points.max_completion_tokens];
        if caps.iter().all(|cap| cap.as_ref().is_some_and(|cap| cap.value.is_some())) {
            return Err(at.key("max_tokens").invalid("not be given together with `max_completion_tokens`"));
        }
        if self.top_logprobs.is_some() && !self.logprobs {
            return Err(at.key("top_logprobs").invalid("come with `logprobs: true`"));
        }
        let request = &mut self.draft.request;
        if let Some((key, form)) = self.form {
            if request.response_format != ResponseFormat::Text {
                return Err(at.key(key).invalid("not be given together with `response_format`"));
            }
            request.response_format = form;
        }
        if request.tools.is_empty() && request.tool_choice.is_some() {
            return Err(at.key("tool_choice").invalid("come with `tools`"));
        }
        request.sampling.logprobs = self.logprobs.then(|| self.top_logprobs.unwrap_or(0));
        request.streaming = streaming?;
        self.draft.decoded(Dialect::Chat, "messages")
    }

    /// A field that the dialect does not know.
    fn unknown(&mut self, key: &'a str, json: &'a Json<'a>) {
        if key == CONTINUES {
            self.draft.request.continues = json.as_str().map(Text::new);
        }
        self.draft.unknown(key, json);
    }
}

#[cfg(test)]
mod tests;
