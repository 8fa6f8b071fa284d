//! Tools, and the form of the answer.

use super::Decoder;
use crate::chat::request::{Function, Schema};
use crate::chat::{Json, ResponseFormat, Source, Tool, ToolChoice};
use crate::dialect::field::At;
use crate::dialect::{BadRequest, Feature};

impl<'a> Decoder<'a> {
    /// Understands `tools`.
    pub fn tools(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        self.parts.tree(json, Source::ToolDefinition);
        at.array(json)?.iter().enumerate().try_for_each(|(index, tool)| self.tool(&at.index(index), tool))
    }

    fn tool(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        self.uses.insert(Feature::Tools);
        let kind = at.key("type").filled(at.required(json, "type")?)?;
        let tool = if kind == "function" {
            Tool::Function(self.function(at, json)?)
        } else {
            self.uses.insert(Feature::CustomTools);
            if kind.starts_with("web_search") {
                self.uses.insert(Feature::WebSearch);
            }
            Tool::Other(self.verbatim(json))
        };
        self.request.tools.push(tool);
        Ok(())
    }

    fn function(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<Function, BadRequest> {
        let name = at.key("name").filled(at.required(json, "name")?)?.to_owned();
        let mut function = Function { name, ..Function::default() };
        for member in at.object(json)?.iter().filter(|member| !member.value.is_null()) {
            let (at, value) = (at.key(&member.key), &member.value);
            match member.key.as_ref() {
                "type" | "name" => {}
                "description" => function.description = Some(at.string(value)?.into()),
                "parameters" => function.parameters = Some(self.verbatim(value)),
                "strict" => function.strict = Some(at.boolean(value)?),
                // A part already, as all of the tool.
                _ => self.unknown_value(value),
            }
        }
        Ok(function)
    }

    /// Understands `tool_choice`.
    pub fn tool_choice(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        self.parts.tree(json, Source::ToolDefinition);
        self.request.tool_choice = Some(self.choice(at, json)?);
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
        self.uses.insert(Feature::CustomTools);
        Ok(ToolChoice::Other(self.verbatim(json)))
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
                    self.parts.tree(value, Source::Parameter);
                    self.uses.insert(Feature::Verbosity);
                }
                key => self.unknown(key, value),
            }
        }
        Ok(())
    }

    fn format(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        self.parts.tree(json, Source::ToolDefinition);
        let kind = at.key("type").one_of(at.required(json, "type")?, &["text", "json_object", "json_schema"])?;
        self.request.response_format = match kind {
            "json_schema" => {
                self.uses.insert(Feature::JsonSchema);
                ResponseFormat::JsonSchema(self.schema(at, json)?)
            }
            "json_object" => {
                self.uses.insert(Feature::JsonObject);
                ResponseFormat::JsonObject
            }
            _ => ResponseFormat::Text,
        };
        Ok(())
    }

    fn schema(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<Schema, BadRequest> {
        let name = at.key("name").filled(at.required(json, "name")?)?.to_owned();
        let schema = Some(self.verbatim(at.required(json, "schema")?));
        let mut schema = Schema { name, schema, ..Schema::default() };
        for member in at.object(json)?.iter().filter(|member| !member.value.is_null()) {
            let (at, value) = (at.key(&member.key), &member.value);
            match member.key.as_ref() {
                "type" | "name" | "schema" => {}
                "description" => schema.description = Some(at.string(value)?.into()),
                "strict" => schema.strict = Some(at.boolean(value)?),
                _ => self.unknown_value(value),
            }
        }
        Ok(schema)
    }
}
