//! The body of `POST /v1/messages` to the neutral request and its parts.
//!
//! Every string, number and unknown key becomes a part: nothing of a body is sent that no detector could look at.

mod block;
mod message;
mod parameter;
mod tool;

use std::borrow::Cow;

use crate::chat::request::{Effort, Reasoning};
use crate::chat::{Content, Json, Message, Part, Role, Source, Streaming};
use crate::dialect::draft::{Draft, members};
use crate::dialect::field::At;
use crate::dialect::{BadRequest, Decoded, Dialect};

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
    let mut decoder = Decoder { draft: Draft::new(body, json), ..Decoder::default() };
    for (key, member) in members(body, json)? {
        decoder.member(&member.key, key, &member.value)?;
    }
    decoder.finish()
}

#[derive(Default)]
struct Decoder<'a> {
    draft: Draft<'a>,
    system: Vec<Content>,
    thinking: Option<Reasoning>,
    effort: Option<Effort>,
}

impl<'a> Decoder<'a> {
    /// Joins what concerns several fields.
    fn finish(mut self) -> Result<Decoded<'a>, BadRequest> {
        let request = &mut self.draft.request;
        // A conversation of the system alone is none.
        if !self.system.is_empty() && !request.messages.is_empty() {
            let message = Message { role: Role::System, content: self.system, ..Message::default() };
            request.messages.insert(0, message);
        }
        request.reasoning = match (self.thinking, self.effort) {
            (Some(Reasoning::Off | Reasoning::Budget(_)), _) | (_, None) => self.thinking,
            (_, Some(effort)) => Some(Reasoning::Effort(effort)),
        };
        // The dialect's streams always tell usage.
        request.streaming = if self.draft.streams { Streaming::On { usage: true } } else { Streaming::Off };
        self.draft.decoded(Dialect::Messages, "messages")
    }

    /// A member that stands in objects of many kinds: a hint that changes no answer, or one that nobody knows.
    fn other(&mut self, key: &'a str, value: &'a Json<'a>) {
        match key {
            "cache_control" => self.draft.parts.tree(value, Source::Parameter),
            _ => self.draft.unknown(key, value),
        }
    }

    /// A text that stands in no single string of the body and may leave.
    fn composed(&mut self, text: String, source: Source) {
        self.draft.parts.all.push(Part { source, text: Cow::Owned(text) });
    }
}

#[cfg(test)]
mod tests;
