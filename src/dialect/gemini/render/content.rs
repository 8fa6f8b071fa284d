//! The conversation.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::super::{SIGNED_CALL, SIGNED_TEXT};
use super::lose;
use crate::chat::{ChatRequest, Content as Said, Message, Role, Text, ToolCall};
use crate::dialect::{Target, Unfit};

/// What stands in place of the signature of a call that another model made: newer models refuse calls without one.
pub const UNSIGNED: &str = "skip_thought_signature_validator";

/// The conversation as Gemini has it: what the system says apart.
pub struct Contents<'a> {
    pub system: Vec<Part<'a>>,
    pub contents: Vec<Content<'a>>,
}

/// One turn.
#[derive(Serialize)]
pub struct Content<'a> {
    role: &'static str,
    parts: Vec<Part<'a>>,
}

/// One piece of a turn.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Part<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inline_data: Option<Inline<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_data: Option<File<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<Called<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_response: Option<Returned<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thought_signature: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Inline<'a> {
    mime_type: &'a str,
    data: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<&'static str>,
    file_uri: &'a str,
}

#[derive(Serialize)]
struct Called<'a> {
    name: &'a str,
    args: &'a RawValue,
}

#[derive(Serialize)]
struct Returned<'a> {
    name: &'a str,
    response: Response<'a>,
}

/// What a tool returned, which is an object here.
enum Response<'a> {
    Object(&'a RawValue),
    Texts { key: &'static str, texts: Vec<&'a str> },
}

impl Serialize for Response<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Object(object) => object.serialize(serializer),
            Self::Texts { key, texts } => match texts.as_slice() {
                [text] => serializer.collect_map([(key, text)]),
                texts => serializer.collect_map([(key, texts)]),
            },
        }
    }
}

impl<'a> Contents<'a> {
    /// The conversation of `request`.
    ///
    /// # Errors
    /// What the dialect cannot express.
    pub fn of(request: &'a ChatRequest, target: &Target<'_>, losses: &mut Vec<&'static str>) -> Result<Self, Unfit> {
        let mut all = Self { system: Vec::new(), contents: Vec::new() };
        let signs = target.model.contains("gemini-3");
        let mut results = false;
        for (index, message) in request.messages.iter().enumerate() {
            if message.name.is_some() {
                lose(losses, "name");
            }
            match message.role {
                Role::System => {
                    if !all.contents.is_empty() {
                        lose(losses, "system_position");
                    }
                    all.system.extend(said(message, losses)?);
                }
                Role::User => all.turn("user", said(message, losses)?),
                Role::Assistant => all.turn("model", answer(message, signs, losses)?),
                Role::Tool => {
                    let returned = Some(result(message, &request.messages[..index])?);
                    let part = Part { function_response: returned, ..Part::default() };
                    match all.contents.last_mut().filter(|_| results) {
                        // All results of one turn's calls stand together.
                        Some(last) => last.parts.push(part),
                        None => all.turn("user", vec![part]),
                    }
                }
            }
            results = message.role == Role::Tool;
        }
        Ok(all)
    }

    fn turn(&mut self, role: &'static str, parts: Vec<Part<'a>>) {
        if !parts.is_empty() {
            self.contents.push(Content { role, parts });
        }
    }
}

/// The pieces of a message, but for calls. Texts without a letter are refused by the API.
fn said<'a>(message: &'a Message, losses: &mut Vec<&'static str>) -> Result<Vec<Part<'a>>, Unfit> {
    let mut parts = Vec::new();
    for content in &message.content {
        match content {
            Said::Text(text) | Said::Refusal(text) if text.is_empty() => {}
            Said::Text(text) | Said::Refusal(text) => {
                parts.push(Part { text: Some(text.expose()), ..Part::default() });
            }
            Said::Image(url) => parts.push(image(url.expose())?),
            // Only their signatures go back.
            Said::Thought(thought) if is_signature(thought.seal.as_ref()) => {}
            Said::Thought(_) => lose(losses, "thoughts"),
            Said::Audio(_) | Said::File(_) => return Err(Unfit("audio and files")),
        }
    }
    Ok(parts)
}

fn is_signature(seal: Option<&Text>) -> bool {
    seal.is_some_and(|seal| [SIGNED_CALL, SIGNED_TEXT].iter().any(|kind| seal.expose().starts_with(kind)))
}

/// Inline, or a link. Only the pieces of a `data:` URL are sent.
fn image(url: &str) -> Result<Part<'_>, Unfit> {
    let Some(inline) = url.strip_prefix("data:") else {
        let file_data = Some(File { mime_type: mime_type(url), file_uri: url });
        return Ok(Part { file_data, ..Part::default() });
    };
    let (head, data) = inline.split_once(',').ok_or(Unfit("an image that is no URL"))?;
    let mime_type = head.strip_suffix(";base64").ok_or(Unfit("an image that is not in base64"))?;
    Ok(Part { inline_data: Some(Inline { mime_type, data }), ..Part::default() })
}

/// What a link seems to lead to.
fn mime_type(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?.to_ascii_lowercase();
    let kinds = [
        ("png", "image/png"),
        ("jpg", "image/jpeg"),
        ("jpeg", "image/jpeg"),
        ("webp", "image/webp"),
        ("gif", "image/gif"),
    ];
    kinds
        .into_iter()
        .find(|(ending, _)| path.rsplit_once('.').is_some_and(|(_, last)| last == *ending))
        .map(|(_, kind)| kind)
}

/// What the model said and called, each with its signature.
fn answer<'a>(message: &'a Message, signs: bool, losses: &mut Vec<&'static str>) -> Result<Vec<Part<'a>>, Unfit> {
    let mut parts = said(message, losses)?;
    let seals = || {
        message.content.iter().filter_map(|content| match content {
            Said::Thought(thought) => thought.seal.as_ref().map(Text::expose),
            _ => None,
        })
    };
    let of_text = seals().filter_map(|seal| seal.strip_prefix(SIGNED_TEXT)).next_back();
    if let (Some(last), Some(signature)) = (parts.last_mut(), of_text) {
        last.thought_signature = Some(signature);
    }
    for (number, call) in message.tool_calls.iter().enumerate() {
        let own = seals().find_map(|seal| {
            let (of, signature) = seal.strip_prefix(SIGNED_CALL)?.split_once(':')?;
            (of.parse() == Ok(number)).then_some(signature)
        });
        let thought_signature = own.or((signs && number == 0).then_some(UNSIGNED));
        parts.push(Part { function_call: Some(self::call(call)?), thought_signature, ..Part::default() });
    }
    Ok(parts)
}

fn call(call: &ToolCall) -> Result<Called<'_>, Unfit> {
    let arguments = call.arguments.expose().trim_ascii();
    let arguments = if arguments.is_empty() { "{}" } else { arguments };
    let args = object(arguments).ok_or(Unfit("arguments that are no JSON object"))?;
    Ok(Called { name: &call.name, args })
}

/// The text, where it is an object.
fn object(text: &str) -> Option<&RawValue> {
    let raw: &RawValue = serde_json::from_str(text).ok()?;
    raw.get().starts_with('{').then_some(raw)
}

/// A result says which function it is of, not which call: `before` tells.
fn result<'a>(message: &'a Message, before: &'a [Message]) -> Result<Returned<'a>, Unfit> {
    let id = message.tool_call_id.as_deref();
    let mut calls = before.iter().rev().flat_map(|earlier| &earlier.tool_calls);
    let call = calls.find(|call| Some(call.id.as_str()) == id).ok_or(Unfit("a tool's result without its call"))?;
    let mut texts = Vec::new();
    for content in &message.content {
        match content {
            Said::Text(text) => texts.push(text.expose()),
            _ => return Err(Unfit("media in a tool's result")),
        }
    }
    let key = if message.tool_failed { "error" } else { "result" };
    let response = match texts.as_slice() {
        [text] if !message.tool_failed => object(text.trim_ascii()).map(Response::Object),
        _ => None,
    };
    let response = response.unwrap_or(Response::Texts { key, texts });
    Ok(Returned { name: &call.name, response })
}
