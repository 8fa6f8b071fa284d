//! `tools` and `tool_choice`.

use super::Decoder;
use crate::chat::request::Function;
use crate::chat::{Json, Source, Tool, ToolChoice};
use crate::dialect::field::At;
use crate::dialect::{BadRequest, Feature};

impl<'a> Decoder<'a> {
    /// Understands `tools`.
    pub fn tools(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        self.draft.parts.tree(json, Source::ToolDefinition);
        for (index, tool) in at.array(json)?.iter().enumerate() {
            let tool = self.tool(&at.index(index), tool)?;
            self.draft.request.tools.push(tool);
        }
        Ok(())
    }

    fn tool(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<Tool, BadRequest> {
        at.object(json)?;
        self.draft.uses.insert(Feature::Tools);
        let kind =
            json.get("type").filter(|kind| !kind.is_null()).map(|kind| at.key("type").filled(kind)).transpose()?;
        if kind.is_some_and(|kind| kind != "custom") {
            // The provider defines it, or runs it.
            self.draft.uses.insert(Feature::CustomTools);
            return Ok(Tool::Other(self.draft.verbatim(json)));
        }
        let name = at.key("name").filled(at.required(json, "name")?)?.to_owned();
        let schema = at.required(json, "input_schema")?;
        at.key("input_schema").object(schema)?;
        let mut function = Function { name, parameters: Some(self.draft.verbatim(schema)), ..Function::default() };
        for member in at.object(json)?.iter().filter(|member| !member.value.is_null()) {
            let (at, value) = (at.key(&member.key), &member.value);
            match member.key.as_ref() {
                // Hints that change no answer.
                "name" | "type" | "input_schema" | "cache_control" | "eager_input_streaming" => {}
                "description" => function.description = Some(at.string(value)?.into()),
                "strict" => function.strict = Some(at.boolean(value)?),
                "input_examples" => self.draft.unsaid("input_examples"),
                // A part already, as all of the tool.
                _ => self.draft.unknown_value(value),
            }
        }
        Ok(Tool::Function(function))
    }

    /// Understands `tool_choice`.
    pub fn tool_choice(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        let kind = at.key("type").one_of(at.required(json, "type")?, &["auto", "any", "tool", "none"])?;
        self.draft.parts.tree(json, Source::ToolDefinition);
        self.draft.request.tool_choice = Some(match kind {
            "auto" => ToolChoice::Auto,
            "any" => ToolChoice::Required,
            "none" => ToolChoice::None,
            _ => ToolChoice::Named(at.key("name").filled(at.required(json, "name")?)?.to_owned()),
        });
        for member in at.object(json)?.iter().filter(|member| !member.value.is_null()) {
            match member.key.as_ref() {
                "type" | "name" => {}
                "disable_parallel_tool_use" => {
                    let one_by_one = at.key("disable_parallel_tool_use").boolean(&member.value)?;
                    self.draft.request.parallel_tool_calls = Some(!one_by_one);
                }
                _ => self.draft.unknown_value(&member.value),
            }
        }
        Ok(())
    }
}
