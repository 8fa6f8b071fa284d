//! The conversation.

use super::Decoder;
use crate::chat::request::{Thought, ToolCall};
use crate::chat::{Content, Json, Message, Role, Source};
use crate::dialect::field::{At, optional};
use crate::dialect::{BadRequest, Feature};

impl<'a> Decoder<'a> {
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
            let message = self.message(&at.index(index), json)?;
            self.draft.request.messages.push(message);
        }
        Ok(())
    }

    fn message(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<Message, BadRequest> {
        let role = at.required(json, "role")?;
        let name = at.key("role").one_of(role, &["system", "developer", "user", "assistant", "tool", "function"])?;
        let (role, source) = match name {
            "system" | "developer" => (Role::System, Source::System),
            "user" => (Role::User, Source::User),
            "assistant" => (Role::Assistant, Source::Assistant),
            _ => (Role::Tool, Source::ToolResult),
        };
        let mut message = Message { role, ..Message::default() };
        for member in at.object(json)? {
            self.message_field(at, &member.key, &member.value, source, &mut message)?;
        }
        match name {
            "tool" => self.draft.uses.insert(Feature::Tools),
            "function" => self.draft.uses.insert(Feature::LegacyFunctions),
            _ => {}
        }
        complete(at, name, json, &message)?;
        Ok(message)
    }

    fn message_field(
        &mut self,
        at: &At<'_>,
        key: &'a str,
        json: &'a Json<'a>,
        source: Source,
        message: &mut Message,
    ) -> Result<(), BadRequest> {
        let at = at.key(key);
        match (key, message.role) {
            ("role", _) => self.draft.parts.tree(json, Source::Parameter),
            ("content", _) => optional(json, || self.content(&at, json, source, message))?,
            ("name", _) => message.name = self.optional_name(&at, json)?,
            ("tool_call_id", _) => message.tool_call_id = self.optional_name(&at, json)?,
            ("refusal", Role::Assistant) => optional(json, || self.refusal(&at, json, message))?,
            // As answers of thinking models have it: some of their servers want it back.
            ("reasoning_content", Role::Assistant) => optional(json, || self.thought(&at, json, message))?,
            ("tool_calls", Role::Assistant) => optional(json, || self.tool_calls(&at, json, message))?,
            ("function_call", Role::Assistant) => optional(json, || self.function_call(&at, json, message))?,
            ("audio", Role::Assistant) => optional(json, || self.spoken(&at, json, message))?,
            ("tool_calls" | "function_call", _) if !json.is_null() => {
                return Err(at.invalid("stand in an `assistant` message only"));
            }
            _ => self.draft.unknown(key, json),
        }
        Ok(())
    }

    fn content(
        &mut self,
        at: &At<'_>,
        json: &'a Json<'a>,
        source: Source,
        message: &mut Message,
    ) -> Result<(), BadRequest> {
        if let Some(text) = json.as_str() {
            self.said(text, source);
            message.content.push(Content::Text(text.into()));
            return Ok(());
        }
        let parts = json.as_array().ok_or_else(|| at.wrong_type("a string or an array", json))?;
        if parts.is_empty() {
            return Err(at.invalid("not be empty"));
        }
        for (index, part) in parts.iter().enumerate() {
            let content = self.content_part(&at.index(index), part, source, message.role)?;
            message.content.push(content);
        }
        Ok(())
    }

    /// What tools return is often JSON, as text.
    fn said(&mut self, text: &'a str, source: Source) {
        match source {
            Source::ToolResult => self.draft.parts.json_text(text, source),
            _ => self.draft.parts.text(text, source),
        }
    }

    fn content_part(
        &mut self,
        at: &At<'_>,
        json: &'a Json<'a>,
        source: Source,
        role: Role,
    ) -> Result<Content, BadRequest> {
        let allowed: &[&str] = match role {
            Role::User => &["text", "image_url", "input_audio", "file"],
            Role::Assistant => &["text", "refusal"],
            Role::System | Role::Tool => &["text"],
        };
        let kind = at.key("type").one_of(at.required(json, "type")?, allowed)?;
        let value = at.required(json, kind)?;
        for member in at.object(json)? {
            match member.key.as_ref() {
                "type" => self.draft.parts.text(kind, Source::Parameter),
                key if key == kind => {}
                key => self.draft.unknown(key, &member.value),
            }
        }
        let at = at.key(kind);
        if !matches!(kind, "text" | "refusal") {
            return self.media(&at, kind, value);
        }
        let text = at.string(value)?;
        self.said(text, source);
        Ok(if kind == "refusal" { Content::Refusal(text.into()) } else { Content::Text(text.into()) })
    }

    fn media(&mut self, at: &At<'_>, kind: &str, json: &'a Json<'a>) -> Result<Content, BadRequest> {
        for member in at.object(json)? {
            match (kind, member.key.as_ref()) {
                (_, "url" | "data" | "file_data" | "file_id" | "detail" | "format" | "filename")
                    if member.value.is_null() => {}
                ("image_url", "url") | ("input_audio", "data") | ("file", "file_data" | "file_id") => {
                    at.key(&member.key).string(&member.value)?;
                    self.draft.parts.tree(&member.value, Source::Media);
                }
                ("image_url", "detail") | ("input_audio", "format") => {
                    self.draft.parts.text(at.key(&member.key).string(&member.value)?, Source::Parameter);
                }
                ("file", "filename") => {
                    self.draft.parts.text(at.key("filename").string(&member.value)?, Source::Name);
                }
                (_, key) => self.draft.unknown(key, &member.value),
            }
        }
        match kind {
            "image_url" => {
                self.draft.uses.insert(Feature::Image);
                let url = at.key("url").filled(at.required(json, "url")?)?;
                Ok(Content::Image(url.into()))
            }
            "input_audio" => {
                self.draft.uses.insert(Feature::Audio);
                at.required(json, "data")?;
                at.required(json, "format")?;
                Ok(Content::Audio(self.draft.verbatim(json)))
            }
            _ => {
                self.draft.uses.insert(Feature::File);
                Ok(Content::File(self.draft.verbatim(json)))
            }
        }
    }

    fn refusal(&mut self, at: &At<'_>, json: &'a Json<'a>, message: &mut Message) -> Result<(), BadRequest> {
        let text = at.string(json)?;
        self.draft.parts.text(text, Source::Assistant);
        message.content.push(Content::Refusal(text.into()));
        Ok(())
    }

    /// An answer that the model spoke before, by its id.
    fn spoken(&mut self, at: &At<'_>, json: &'a Json<'a>, message: &mut Message) -> Result<(), BadRequest> {
        at.object(json)?;
        self.draft.uses.insert(Feature::Audio);
        self.draft.parts.tree(json, Source::Media);
        message.content.push(Content::Audio(self.draft.verbatim(json)));
        Ok(())
    }

    fn function_call(&mut self, at: &At<'_>, json: &'a Json<'a>, message: &mut Message) -> Result<(), BadRequest> {
        self.draft.uses.insert(Feature::LegacyFunctions);
        let call = self.called(at, json, "arguments")?;
        message.tool_calls.push(call);
        Ok(())
    }

    fn thought(&mut self, at: &At<'_>, json: &'a Json<'a>, message: &mut Message) -> Result<(), BadRequest> {
        let text = at.string(json)?;
        self.draft.parts.text(text, Source::Assistant);
        if !text.is_empty() {
            message.content.push(Content::Thought(Thought { text: text.into(), ..Thought::default() }));
        }
        Ok(())
    }

    fn tool_calls(&mut self, at: &At<'_>, json: &'a Json<'a>, message: &mut Message) -> Result<(), BadRequest> {
        for (index, call) in at.array(json)?.iter().enumerate() {
            self.draft.uses.insert(Feature::Tools);
            let call = self.tool_call(&at.index(index), call)?;
            message.tool_calls.push(call);
        }
        Ok(())
    }

    fn tool_call(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<ToolCall, BadRequest> {
        let (kind, text) = match json.get("type").filter(|kind| !kind.is_null()) {
            Some(kind) if at.key("type").one_of(kind, &["function", "custom"])? == "custom" => ("custom", "input"),
            Some(_) | None => ("function", "arguments"),
        };
        if kind == "custom" {
            self.draft.uses.insert(Feature::CustomTools);
        }
        let called = at.required(json, kind)?;
        let id = self.draft.name(&at.key("id"), at.required(json, "id")?)?;
        for member in at.object(json)? {
            match member.key.as_ref() {
                "id" => {}
                "type" => self.draft.parts.tree(&member.value, Source::Parameter),
                key if key == kind => {}
                key => self.draft.unknown(key, &member.value),
            }
        }
        Ok(ToolCall { id, ..self.called(&at.key(kind), called, text)? })
    }

    /// The `function`, `custom` or `function_call` object: a name, and the arguments in the member `text`.
    fn called(&mut self, at: &At<'_>, json: &'a Json<'a>, text: &str) -> Result<ToolCall, BadRequest> {
        let name = self.draft.name(&at.key("name"), at.required(json, "name")?)?;
        let arguments = at.key(text).string(at.required(json, text)?)?;
        self.draft.parts.json_text(arguments, Source::ToolArguments);
        for member in at.object(json)? {
            if member.key != "name" && member.key != text {
                self.draft.unknown(&member.key, &member.value);
            }
        }
        Ok(ToolCall { id: String::new(), name, arguments: arguments.into() })
    }

    fn optional_name(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<Option<String>, BadRequest> {
        if json.is_null() { Ok(None) } else { self.draft.name(at, json).map(Some) }
    }
}

/// Whether the message has what its role needs.
fn complete(at: &At<'_>, role: &str, json: &Json<'_>, message: &Message) -> Result<(), BadRequest> {
    if role == "tool" && message.tool_call_id.is_none() {
        return Err(at.key("tool_call_id").missing());
    }
    if role == "function" && message.name.is_none() {
        return Err(at.key("name").missing());
    }
    let says = |content: &Content| !matches!(content, Content::Thought(_));
    if !message.content.iter().any(says) && message.tool_calls.is_empty() {
        return match json.get("content") {
            Some(content) => Err(at.key("content").wrong_type("a string or an array", content)),
            None => Err(at.key("content").missing()),
        };
    }
    Ok(())
}
