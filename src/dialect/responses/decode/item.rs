//! The conversation: `input`.

use super::Decoder;
use crate::chat::request::{Thought, ToolCall};
use crate::chat::{Content, Json, Message, Role, Source};
use crate::dialect::field::{At, optional, says_something};
use crate::dialect::{BadRequest, Feature};

impl<'a> Decoder<'a> {
    /// Understands `input`.
    pub fn input(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        if json.is_null() {
            return Err(at.missing());
        }
        if let Some(text) = json.as_str() {
            self.draft.parts.text(text, Source::User);
            let content = vec![Content::Text(text.into())];
            self.draft.request.messages.push(Message { content, ..Message::default() });
            return Ok(());
        }
        let items = json.as_array().ok_or_else(|| at.wrong_type("a string or an array", json))?;
        if items.is_empty() {
            return Err(at.invalid("not be empty"));
        }
        items.iter().enumerate().try_for_each(|(index, item)| self.item(&at.index(index), item))
    }

    fn item(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        at.object(json)?;
        let kind = match json.get("type").filter(|kind| !kind.is_null()) {
            Some(kind) => at.key("type").filled(kind)?,
            None => "message",
        };
        match kind {
            "message" => self.message(at, json),
            "function_call" => self.function_call(at, json),
            "function_call_output" => self.function_call_output(at, json),
            "reasoning" => self.reasoning_item(at, json),
            other => {
                self.foreign(other, json);
                Ok(())
            }
        }
    }

    /// An item that no other dialect has: what the provider's own tools did, say.
    fn foreign(&mut self, kind: &str, json: &'a Json<'a>) {
        self.draft.parts.tree(json, Source::Unknown);
        self.draft.uses.insert(match kind {
            // The provider must have kept what it refers to.
            "item_reference" => Feature::Store,
            kind if kind.contains("_call") || kind.starts_with("mcp_") => Feature::CustomTools,
            _ => Feature::UnknownFields,
        });
        // It stands for something that was said, so that the conversation is not empty.
        self.assistant();
    }

    fn message(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        let role = at.key("role").one_of(at.required(json, "role")?, &["user", "assistant", "system", "developer"])?;
        let (role, source) = match role {
            "user" => (Role::User, Source::User),
            "assistant" => (Role::Assistant, Source::Assistant),
            _ => (Role::System, Source::System),
        };
        let content = at.required(json, "content")?;
        for member in at.object(json)? {
            match member.key.as_ref() {
                "content" => {}
                "type" | "role" | "status" | "phase" => self.draft.parts.tree(&member.value, Source::Parameter),
                "id" => self.draft.parts.tree(&member.value, Source::Name),
                key => self.draft.unknown(key, &member.value),
            }
        }
        let content = self.content(&at.key("content"), content, source, role)?;
        if role == Role::Assistant {
            self.said_by_the_model(content);
        } else {
            self.draft.request.messages.push(Message { role, content, ..Message::default() });
        }
        Ok(())
    }

    fn content(
        &mut self,
        at: &At<'_>,
        json: &'a Json<'a>,
        source: Source,
        role: Role,
    ) -> Result<Vec<Content>, BadRequest> {
        if let Some(text) = json.as_str() {
            self.said(text, source);
            return Ok(vec![Content::Text(text.into())]);
        }
        let parts = json.as_array().ok_or_else(|| at.wrong_type("a string or an array", json))?;
        parts.iter().enumerate().map(|(index, part)| self.part(&at.index(index), part, source, role)).collect()
    }

    /// What tools return is often JSON, as text.
    fn said(&mut self, text: &'a str, source: Source) {
        match source {
            Source::ToolResult => self.draft.parts.json_text(text, source),
            _ => self.draft.parts.text(text, source),
        }
    }

    fn part(&mut self, at: &At<'_>, json: &'a Json<'a>, source: Source, role: Role) -> Result<Content, BadRequest> {
        const INPUT: &[&str] = &["input_text", "input_image", "input_file", "input_audio", "text"];
        let allowed: &[&str] = match role {
            Role::Assistant => &["output_text", "refusal", "text", "input_text"],
            Role::User | Role::System | Role::Tool => INPUT,
        };
        let kind = at.key("type").one_of(at.required(json, "type")?, allowed)?;
        match kind {
            "input_image" => self.image(at, json),
            "input_file" | "input_audio" => self.file(at, json, kind),
            "refusal" => self.text_part(at, json, "refusal", source).map(|text| Content::Refusal(text.into())),
            _ => self.text_part(at, json, "text", source).map(|text| Content::Text(text.into())),
        }
    }

    fn text_part(&mut self, at: &At<'_>, json: &'a Json<'a>, key: &str, source: Source) -> Result<&'a str, BadRequest> {
        let text = at.key(key).string(at.required(json, key)?)?;
        self.said(text, source);
        for member in at.object(json)? {
            match member.key.as_ref() {
                name if name == key => {}
                "type" => self.draft.parts.tree(&member.value, Source::Parameter),
                // What a replayed answer has beside its text.
                name @ ("annotations" | "logprobs") => {
                    self.draft.parts.tree(&member.value, source);
                    if name == "annotations" && says_something(&member.value) {
                        self.draft.unsaid("annotations");
                    }
                }
                name => self.draft.unknown(name, &member.value),
            }
        }
        Ok(text)
    }

    fn image(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<Content, BadRequest> {
        self.draft.uses.insert(Feature::Image);
        for member in at.object(json)? {
            match member.key.as_ref() {
                "image_url" | "file_id" => self.draft.parts.tree(&member.value, Source::Media),
                "detail" => optional(&member.value, || {
                    self.draft.parts.text(at.key("detail").string(&member.value)?, Source::Parameter);
                    Ok(())
                })?,
                "type" => self.draft.parts.tree(&member.value, Source::Parameter),
                key => self.draft.unknown(key, &member.value),
            }
        }
        match json.get("image_url").filter(|url| !url.is_null()) {
            Some(url) => Ok(Content::Image(at.key("image_url").filled(url)?.into())),
            None => {
                at.key("file_id").filled(at.required(json, "file_id")?)?;
                // Only its provider knows the file.
                self.draft.uses.insert(Feature::File);
                Ok(Content::File(self.draft.verbatim(json)))
            }
        }
    }

    fn file(&mut self, at: &At<'_>, json: &'a Json<'a>, kind: &str) -> Result<Content, BadRequest> {
        for member in at.object(json)? {
            match member.key.as_ref() {
                "filename" => self.draft.parts.tree(&member.value, Source::Name),
                "type" | "detail" => self.draft.parts.tree(&member.value, Source::Parameter),
                "file_data" | "file_id" | "file_url" | "input_audio" => {
                    self.draft.parts.tree(&member.value, Source::Media);
                }
                key => self.draft.unknown(key, &member.value),
            }
        }
        if kind == "input_audio" {
            at.required(json, "input_audio")?;
            self.draft.uses.insert(Feature::Audio);
            return Ok(Content::Audio(self.draft.verbatim(json)));
        }
        self.draft.uses.insert(Feature::File);
        Ok(Content::File(self.draft.verbatim(json)))
    }

    fn function_call(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        self.draft.uses.insert(Feature::Tools);
        let id = at.key("call_id").filled(at.required(json, "call_id")?)?;
        let name = at.key("name").filled(at.required(json, "name")?)?;
        let arguments = at.key("arguments").string(at.required(json, "arguments")?)?;
        self.draft.parts.json_text(arguments, Source::ToolArguments);
        for member in at.object(json)? {
            match member.key.as_ref() {
                "arguments" => {}
                "call_id" | "name" | "id" => self.draft.parts.tree(&member.value, Source::Name),
                "type" | "status" => self.draft.parts.tree(&member.value, Source::Parameter),
                key => self.draft.unknown(key, &member.value),
            }
        }
        let call = ToolCall { id: id.to_owned(), name: name.to_owned(), arguments: arguments.into() };
        self.assistant().tool_calls.push(call);
        Ok(())
    }

    fn function_call_output(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        self.draft.uses.insert(Feature::Tools);
        let id = at.key("call_id").filled(at.required(json, "call_id")?)?;
        let output = at.required(json, "output")?;
        for member in at.object(json)? {
            match member.key.as_ref() {
                "output" => {}
                "call_id" | "id" | "name" => self.draft.parts.tree(&member.value, Source::Name),
                "type" | "status" => self.draft.parts.tree(&member.value, Source::Parameter),
                key => self.draft.unknown(key, &member.value),
            }
        }
        let content = self.content(&at.key("output"), output, Source::ToolResult, Role::Tool)?;
        let tool_call_id = Some(id.to_owned());
        self.draft.request.messages.push(Message { role: Role::Tool, content, tool_call_id, ..Message::default() });
        Ok(())
    }

    fn reasoning_item(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        let mut thought = Thought::default();
        for member in at.object(json)? {
            let (at, value) = (at.key(&member.key), &member.value);
            match member.key.as_ref() {
                "type" | "status" => self.draft.parts.tree(value, Source::Parameter),
                "id" => optional(value, || {
                    thought.id = Some(at.string(value)?.into());
                    self.draft.parts.tree(value, Source::Name);
                    Ok(())
                })?,
                "encrypted_content" => optional(value, || {
                    thought.seal = Some(at.string(value)?.into());
                    self.draft.parts.tree(value, Source::Assistant);
                    Ok(())
                })?,
                "summary" | "content" => optional(value, || {
                    self.draft.parts.tree(value, Source::Assistant);
                    thought_text(&at, value, &mut thought)
                })?,
                key => self.draft.unknown(key, value),
            }
        }
        self.assistant().content.push(Content::Thought(thought));
        Ok(())
    }

    /// What the model says after what it thought is of the same message, and so are the tools it calls then: other
    /// dialects tell them apart by that.
    fn said_by_the_model(&mut self, content: Vec<Content>) {
        let only_thoughts = |m: &Message| m.content.iter().all(|content| matches!(content, Content::Thought(_)));
        let goes_on = |m: &Message| m.role == Role::Assistant && m.tool_calls.is_empty() && only_thoughts(m);
        match self.draft.request.messages.last_mut().filter(|last| goes_on(last)) {
            Some(last) => last.content.extend(content),
            None => self.draft.request.messages.push(Message { role: Role::Assistant, content, ..Message::default() }),
        }
    }

    /// The model's message that goes on here.
    fn assistant(&mut self) -> &mut Message {
        let messages = &mut self.draft.request.messages;
        if messages.last().is_none_or(|last| last.role != Role::Assistant) {
            messages.push(Message { role: Role::Assistant, ..Message::default() });
        }
        let last = messages.len() - 1;
        &mut messages[last]
    }
}

fn thought_text(at: &At<'_>, json: &Json<'_>, thought: &mut Thought) -> Result<(), BadRequest> {
    for (index, part) in at.array(json)?.iter().enumerate() {
        let at = at.index(index);
        thought.text.push_str(at.key("text").string(at.required(part, "text")?)?);
    }
    Ok(())
}
