//! Tools, and the form of the answer.

use super::Decoder;
use crate::chat::{Json, ResponseFormat, Source, Tool, ToolChoice};
use crate::dialect::field::At;
use crate::dialect::openai::shape;
use crate::dialect::{BadRequest, Feature};

impl<'a> Decoder<'a> {
    /// Understands `tools`.
    pub fn tools(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        self.draft.parts.tree(json, Source::ToolDefinition);
        at.array(json)?.iter().enumerate().try_for_each(|(index, tool)| self.tool(&at.index(index), tool))
    }

    fn tool(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        self.draft.uses.insert(Feature::Tools);
        let kind = at.key("type").filled(at.required(json, "type")?)?;
        let tool = if kind == "function" {
            Tool::Function(shape::function(&mut self.draft, at, json, &["type"])?)
        } else {
            self.draft.uses.insert(Feature::CustomTools);
            if kind.starts_with("web_search") {
                self.draft.uses.insert(Feature::WebSearch);
            }
            Tool::Other(self.draft.verbatim(json))
        };
        self.draft.request.tools.push(tool);
        Ok(())
    }

    /// Understands `tool_choice`.
    pub fn tool_choice(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        self.draft.parts.tree(json, Source::ToolDefinition);
        self.draft.request.tool_choice = Some(self.choice(at, json)?);
        Ok(())
    }

    fn choice(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<ToolChoice, BadRequest> {
        if json.as_str().is_some() {
            return Ok(match at.one_of(json, &["none", "auto", "required"])? {
                "none" => ToolChoice::None,
                "required" => ToolChoice::Required,
                _ => ToolChoice::Auto,
            });
        }
        json.as_object().ok_or_else(|| at.wrong_type("a string or an object", json))?;
        if json.get("type").and_then(Json::as_str) == Some("function") {
            let name = at.key("name").filled(at.required(json, "name")?)?;
            return Ok(ToolChoice::Named(name.to_owned()));
        }
        self.draft.uses.insert(Feature::CustomTools);
        Ok(ToolChoice::Other(self.draft.verbatim(json)))
    }

    /// Understands `text`.
    pub fn text(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        for member in at.object(json)?.iter() {
            let (at, value) = (at.key(&member.key), &member.value);
            match member.key.as_ref() {
                "format" | "verbosity" if value.is_null() => {}
                "format" => self.format(&at, value)?,
                "verbosity" => {
                    at.string(value)?;
                    self.draft.parts.tree(value, Source::Parameter);
                    self.draft.uses.insert(Feature::Verbosity);
                }
                key => self.draft.unknown(key, value),
            }
        }
        Ok(())
    }

    fn format(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        self.draft.parts.tree(json, Source::ToolDefinition);
        let kind = at.key("type").one_of(at.required(json, "type")?, &["text", "json_object", "json_schema"])?;
        self.draft.request.response_format = match kind {
            "json_schema" => {
                self.draft.uses.insert(Feature::JsonSchema);
                at.required(json, "schema")?;
                ResponseFormat::JsonSchema(shape::schema(&mut self.draft, at, json, &["type"])?)
            }
            "json_object" => {
                self.draft.uses.insert(Feature::JsonObject);
                ResponseFormat::JsonObject
            }
            _ => ResponseFormat::Text,
        };
        Ok(())
    }
}
