//! Content blocks.

use super::Decoder;
use crate::chat::request::{Thought, ToolCall};
use crate::chat::{Content, Json, Source};
use crate::dialect::anthropic::seal::Seal;
use crate::dialect::field::At;
use crate::dialect::{BadRequest, Feature};

impl<'a> Decoder<'a> {
    /// Understands a block of `kind` that is neither a call of a tool nor its result. One that has no neutral word, such
    /// as a result of the provider's own tools, can be given only to a destination of this dialect.
    pub fn block(
        &mut self,
        at: &At<'_>,
        kind: &'a str,
        json: &'a Json<'a>,
        source: Source,
    ) -> Result<Option<Content>, BadRequest> {
        match kind {
            "text" => self.text_block(at, json, source).map(Some),
            "image" => self.image(at, json, source).map(Some),
            "document" => self.document(at, json, source).map(Some),
            "thinking" => self.thinking(at, json).map(Some),
            "redacted_thinking" => self.redacted(at, json).map(Some),
            _ => {
                self.draft.parts.tree(json, if kind == "search_result" { source } else { Source::Unknown });
                self.draft.uses.insert(Feature::UnknownFields);
                Ok(None)
            }
        }
    }

    /// A block of text.
    pub fn text_block(&mut self, at: &At<'_>, json: &'a Json<'a>, source: Source) -> Result<Content, BadRequest> {
        let text = at.key("text").string(at.required(json, "text")?)?;
        match source {
            Source::ToolResult => self.draft.parts.json_text(text, source),
            _ => self.draft.parts.text(text, source),
        }
        self.rest(json, &["text"]);
        Ok(Content::Text(text.into()))
    }

    /// The members of a block beside those that were `understood`.
    fn rest(&mut self, json: &'a Json<'a>, understood: &[&str]) {
        for member in json.as_object().unwrap_or_default() {
            match member.key.as_ref() {
                "type" => self.draft.parts.tree(&member.value, Source::Parameter),
                key if understood.contains(&key) => {}
                key => self.other(key, &member.value),
            }
        }
    }

    fn image(&mut self, at: &At<'_>, json: &'a Json<'a>, source: Source) -> Result<Content, BadRequest> {
        let at_source = at.key("source");
        let inner = at.required(json, "source")?;
        let kind = at_source.key("type").filled(at_source.required(inner, "type")?)?;
        self.rest(json, &["source"]);
        match kind {
            "url" => {
                self.draft.uses.insert(Feature::Image);
                let url = at_source.key("url").filled(at_source.required(inner, "url")?)?;
                self.draft.parts.text(url, Source::Media);
                self.rest(inner, &["url"]);
                Ok(Content::Image(url.into()))
            }
            "base64" => {
                self.draft.uses.insert(Feature::Image);
                let media_type = at_source.key("media_type").filled(at_source.required(inner, "media_type")?)?;
                let data = at_source.key("data").filled(at_source.required(inner, "data")?)?;
                self.draft.parts.text(media_type, Source::Parameter);
                let url = format!("data:{media_type};base64,{data}");
                self.composed(url.clone(), Source::Media);
                self.rest(inner, &["media_type", "data"]);
                Ok(Content::Image(url.into()))
            }
            _ => self.file(json, inner, source),
        }
    }

    fn document(&mut self, at: &At<'_>, json: &'a Json<'a>, source: Source) -> Result<Content, BadRequest> {
        let at_source = at.key("source");
        let inner = at.required(json, "source")?;
        at_source.key("type").filled(at_source.required(inner, "type")?)?;
        for member in at.object(json)? {
            match member.key.as_ref() {
                "source" => {}
                "type" | "citations" => self.draft.parts.tree(&member.value, Source::Parameter),
                "title" | "context" => self.draft.parts.tree(&member.value, source),
                key => self.other(key, &member.value),
            }
        }
        self.file(json, inner, source)
    }

    /// What is not plain text in the body is a file that no detector can look into.
    fn file(&mut self, json: &'a Json<'a>, inner: &'a Json<'a>, source: Source) -> Result<Content, BadRequest> {
        self.draft.uses.insert(Feature::File);
        let kind = inner.get("type").and_then(Json::as_str);
        let is_text = matches!(kind, Some("text" | "content"));
        self.draft.parts.tree(inner, if is_text { source } else { Source::Media });
        Ok(Content::File(self.draft.verbatim(json)))
    }

    fn thinking(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<Content, BadRequest> {
        let text = at.key("thinking").string(at.required(json, "thinking")?)?;
        let signature = at.key("signature").string(at.required(json, "signature")?)?;
        self.draft.parts.text(text, Source::Assistant);
        self.draft.parts.text(signature, Source::Metadata);
        self.rest(json, &["thinking", "signature"]);
        let seal = (!signature.is_empty()).then(|| Seal::of_signature(signature).text());
        Ok(Content::Thought(Thought { text: text.into(), seal, id: None }))
    }

    fn redacted(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<Content, BadRequest> {
        let data = at.key("data").filled(at.required(json, "data")?)?;
        self.draft.parts.text(data, Source::Metadata);
        self.rest(json, &["data"]);
        Ok(Content::Thought(Thought { seal: Some(Seal::Redacted(data).text()), ..Thought::default() }))
    }

    /// A call that the model made.
    pub fn tool_use(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<ToolCall, BadRequest> {
        self.draft.uses.insert(Feature::Tools);
        let id = self.draft.name(&at.key("id"), at.required(json, "id")?)?;
        let name = self.draft.name(&at.key("name"), at.required(json, "name")?)?;
        let input = at.required(json, "input")?;
        at.key("input").object(input)?;
        let arguments = self.draft.bytes_of(input);
        self.draft.parts.json_text(arguments, Source::ToolArguments);
        for member in at.object(json)? {
            match member.key.as_ref() {
                "id" | "name" | "input" => {}
                // Who called it: the model itself, unless the provider ran code.
                "caller" if member.value.get("type").and_then(Json::as_str) == Some("direct") => {
                    self.draft.parts.tree(&member.value, Source::Parameter);
                }
                "type" => self.draft.parts.tree(&member.value, Source::Parameter),
                key => self.other(key, &member.value),
            }
        }
        Ok(ToolCall { id, name, arguments: arguments.into() })
    }
}
