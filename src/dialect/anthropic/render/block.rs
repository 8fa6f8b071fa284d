//! The conversation as turns of content blocks.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Losses, object};
use crate::chat::{Content, Message, Role, Text, ToolCall};
use crate::dialect::Unfit;
use crate::dialect::anthropic::seal::Seal;

/// A block of `system`.
#[derive(Serialize)]
pub struct WireText<'a> {
    r#type: &'static str,
    text: &'a str,
}

#[derive(Serialize)]
pub struct WireMessage<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text {
        text: &'a str,
    },
    Image {
        source: ImageSource<'a>,
    },
    Thinking {
        thinking: &'a str,
        signature: &'a str,
    },
    RedactedThinking {
        data: &'a str,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        input: &'a RawValue,
    },
    ToolResult {
        tool_use_id: &'a str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<Self>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ImageSource<'a> {
    Url { url: &'a str },
    Base64 { media_type: &'a str, data: &'a str },
}

/// The system's words and the turns.
///
/// # Errors
/// What the dialect cannot express.
pub fn conversation<'a>(
    messages: &'a [Message],
    losses: &mut Losses,
) -> Result<(Vec<WireText<'a>>, Vec<WireMessage<'a>>), Unfit> {
    let mut system = Vec::new();
    let mut turns: Vec<WireMessage<'a>> = Vec::new();
    let mut after_tool = false;
    for message in messages {
        losses.add_if(message.name.is_some(), "name");
        if message.role == Role::System {
            // The dialect has one place for it, before everything.
            losses.add_if(!turns.is_empty(), "system_order");
            system.extend(texts(message)?);
            continue;
        }
        let blocks = blocks(message, losses)?;
        let is_tool = message.role == Role::Tool;
        match turns.last_mut().filter(|_| after_tool && is_tool) {
            // All results of one turn's calls belong into one turn.
            Some(turn) => turn.content.extend(blocks),
            None if blocks.is_empty() => {}
            None => turns.push(WireMessage { role: speaker(message.role), content: blocks }),
        }
        after_tool = is_tool;
    }
    match turns.first() {
        Some(first) if first.role == "user" => Ok((system, turns)),
        _ => Err(Unfit("a conversation that does not begin with the user")),
    }
}

fn speaker(role: Role) -> &'static str {
    if role == Role::Assistant { "assistant" } else { "user" }
}

fn texts(message: &Message) -> Result<Vec<WireText<'_>>, Unfit> {
    let mut texts = Vec::new();
    for content in &message.content {
        let Content::Text(text) = content else { return Err(Unfit("anything but text in a system message")) };
        if !is_blank(text.expose()) {
            texts.push(WireText { r#type: "text", text: text.expose() });
        }
    }
    Ok(texts)
}

/// The dialect refuses blocks of white space.
fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn blocks<'a>(message: &'a Message, losses: &mut Losses) -> Result<Vec<Block<'a>>, Unfit> {
    let mut blocks = Vec::new();
    for content in &message.content {
        blocks.extend(block(message.role, content, losses)?);
    }
    if message.role == Role::Tool {
        let tool_use_id = id(message.tool_call_id.as_deref().unwrap_or_default())?;
        return Ok(vec![Block::ToolResult { tool_use_id, content: blocks, is_error: message.tool_failed }]);
    }
    for call in &message.tool_calls {
        blocks.push(tool_use(call)?);
    }
    Ok(blocks)
}

fn block<'a>(role: Role, content: &'a Content, losses: &mut Losses) -> Result<Option<Block<'a>>, Unfit> {
    match content {
        Content::Text(text) | Content::Refusal(text) => {
            Ok(Some(text.expose()).filter(|text| !is_blank(text)).map(|text| Block::Text { text }))
        }
        Content::Image(_) if role == Role::Assistant => Err(Unfit("an image in an assistant's message")),
        Content::Image(url) => Ok(Some(Block::Image { source: image(url.expose())? })),
        Content::Thought(thought) => {
            let block = match thought.seal.as_ref().map(Seal::read) {
                Some(Seal::Signature(signature)) => Block::Thinking { thinking: thought.text.expose(), signature },
                Some(Seal::Redacted(data)) => Block::RedactedThinking { data },
                // A provider takes back only what it sealed itself.
                Some(Seal::Foreign(_)) | None => {
                    losses.add("thoughts");
                    return Ok(None);
                }
            };
            Ok(Some(block))
        }
        Content::Audio(_) | Content::File(_) => Err(Unfit("audio and files")),
    }
}

fn tool_use(call: &ToolCall) -> Result<Block<'_>, Unfit> {
    // A call without arguments, as some servers write it.
    let none = || serde_json::from_str("{}").map_err(|_| Unfit("no arguments"));
    let input = match is_blank(call.arguments.expose()) {
        true => none()?,
        false => object(&call.arguments, "tool arguments that are no JSON object")?,
    };
    Ok(Block::ToolUse { id: id(&call.id)?, name: &call.name, input })
}

fn id(id: &str) -> Result<&str, Unfit> {
    let fits = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if fits { Ok(id) } else { Err(Unfit("ids of tool calls with other characters than letters, digits, `_` and `-`")) }
}

fn image(url: &str) -> Result<ImageSource<'_>, Unfit> {
    const WHAT: Unfit = Unfit("an image that is neither a link nor inline JPEG, PNG, GIF or WebP in base64");
    if url.starts_with("https://") || url.starts_with("http://") {
        return Ok(ImageSource::Url { url });
    }
    let (media_type, data) = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")).ok_or(WHAT)?;
    let is_known = ["image/jpeg", "image/png", "image/gif", "image/webp"].contains(&media_type);
    let is_base64 = data.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='));
    if is_known && is_base64 && !data.is_empty() { Ok(ImageSource::Base64 { media_type, data }) } else { Err(WHAT) }
}

/// Whether the model is in the midst of calling tools, in a turn that shows no thought of its own.
pub fn calls_without_thoughts(messages: &[Message]) -> bool {
    let ends_with_results = messages.last().is_some_and(|message| message.role == Role::Tool);
    let sealed = |content: &Content| {
        matches!(content, Content::Thought(thought)
            if thought.seal.as_ref().is_some_and(|seal: &Text| !matches!(Seal::read(seal), Seal::Foreign(_))))
    };
    let calling = messages.iter().rev().find(|message| message.role == Role::Assistant);
    ends_with_results && calling.is_some_and(|message| !message.content.iter().any(sealed))
}
