//! The conversation: `system` and `messages`.

use super::Decoder;
use crate::chat::{Content, Json, Message, Role, Source};
use crate::dialect::BadRequest;
use crate::dialect::field::{At, optional};

impl<'a> Decoder<'a> {
    /// Understands `system`: a string, or blocks of text.
    pub fn system(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        let content = self.texts(at, json)?;
        self.system.extend(content);
        Ok(())
    }

    fn texts(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<Vec<Content>, BadRequest> {
        if let Some(text) = json.as_str() {
            self.draft.parts.text(text, Source::System);
            return Ok(vec![Content::Text(text.into())]);
        }
        let blocks = json.as_array().ok_or_else(|| at.wrong_type("a string or an array", json))?;
        let mut content = Vec::with_capacity(blocks.len());
        for (index, block) in blocks.iter().enumerate() {
            let at = at.index(index);
            at.key("type").one_of(at.required(block, "type")?, &["text"])?;
            content.push(self.text_block(&at, block, Source::System)?);
        }
        Ok(content)
    }

    /// Understands `messages`.
    pub fn messages(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        if json.is_null() {
            return Err(at.missing());
        }
        let messages = at.array(json)?;
        if messages.is_empty() {
            return Err(at.invalid("not be empty"));
        }
        for (index, json) in messages.iter().enumerate() {
            self.message(&at.index(index), json)?;
        }
        Ok(())
    }

    fn message(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        let role = at.key("role").one_of(at.required(json, "role")?, &["user", "assistant", "system"])?;
        let role = match role {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            _ => Role::System,
        };
        at.required(json, "content")?;
        for member in at.object(json)? {
            let (at, value) = (at.key(&member.key), &member.value);
            match member.key.as_ref() {
                "role" => self.draft.parts.tree(value, Source::Parameter),
                "content" if role == Role::System => {
                    let content = self.texts(&at, value)?;
                    self.draft.request.messages.push(Message { role, content, ..Message::default() });
                }
                "content" => self.turn(&at, value, role)?,
                key => self.other(key, value),
            }
        }
        Ok(())
    }

    /// What the user or the assistant says in one turn. Results of tools become messages of their own.
    fn turn(&mut self, at: &At<'_>, json: &'a Json<'a>, role: Role) -> Result<(), BadRequest> {
        let source = if role == Role::User { Source::User } else { Source::Assistant };
        let mut message = Message { role, ..Message::default() };
        if let Some(text) = json.as_str() {
            self.draft.parts.text(text, source);
            message.content.push(Content::Text(text.into()));
            self.draft.request.messages.push(message);
            return Ok(());
        }
        let blocks = json.as_array().ok_or_else(|| at.wrong_type("a string or an array", json))?;
        if blocks.is_empty() && role == Role::User {
            return Err(at.invalid("not be empty"));
        }
        let mut empty = true;
        for (index, block) in blocks.iter().enumerate() {
            let at = at.index(index);
            let kind = at.key("type").filled(at.required(block, "type")?)?;
            match (kind, role) {
                ("tool_result", Role::User) => {
                    self.say(std::mem::replace(&mut message, Message { role, ..Message::default() }));
                    let result = self.tool_result(&at, block)?;
                    self.draft.request.messages.push(result);
                    empty = false;
                }
                ("tool_use", Role::Assistant) => {
                    let call = self.tool_use(&at, block)?;
                    message.tool_calls.push(call);
                }
                _ => message.content.extend(self.block(&at, kind, block, source)?),
            }
        }
        // A turn of nothing but what has no neutral word is still a turn.
        if empty && message.content.is_empty() && message.tool_calls.is_empty() {
            self.draft.request.messages.push(message);
        } else {
            self.say(message);
        }
        Ok(())
    }

    fn say(&mut self, message: Message) {
        if !message.content.is_empty() || !message.tool_calls.is_empty() {
            self.draft.request.messages.push(message);
        }
    }

    fn tool_result(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<Message, BadRequest> {
        self.draft.uses.insert(crate::dialect::Feature::Tools);
        let mut result = Message { role: Role::Tool, ..Message::default() };
        result.tool_call_id = Some(self.draft.name(&at.key("tool_use_id"), at.required(json, "tool_use_id")?)?);
        for member in at.object(json)? {
            let (at, value) = (at.key(&member.key), &member.value);
            match member.key.as_ref() {
                "tool_use_id" => {}
                "type" => self.draft.parts.tree(value, Source::Parameter),
                "is_error" => optional(value, || {
                    result.tool_failed = at.boolean(value)?;
                    Ok(())
                })?,
                "content" => optional(value, || {
                    result.content = self.returned(&at, value)?;
                    Ok(())
                })?,
                key => self.other(key, value),
            }
        }
        Ok(result)
    }

    /// What a tool returned, which is often JSON, as text.
    fn returned(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<Vec<Content>, BadRequest> {
        if let Some(text) = json.as_str() {
            self.draft.parts.json_text(text, Source::ToolResult);
            return Ok(vec![Content::Text(text.into())]);
        }
        let blocks = json.as_array().ok_or_else(|| at.wrong_type("a string or an array", json))?;
        let mut content = Vec::with_capacity(blocks.len());
        for (index, block) in blocks.iter().enumerate() {
            let at = at.index(index);
            let kind = at.key("type").filled(at.required(block, "type")?)?;
            content.extend(self.block(&at, kind, block, Source::ToolResult)?);
        }
        Ok(content)
    }
}
