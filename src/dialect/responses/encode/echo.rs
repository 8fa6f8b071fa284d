//! What was asked, as a `response` repeats it.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::chat::{ChatRequest, ResponseFormat, Text, Tool, ToolChoice};
use crate::dialect::openai::render::effort;

/// The members of a `response` that repeat `request`, each after a comma. What has no neutral word is null.
pub fn members(request: &ChatRequest) -> String {
    let sampling = &request.sampling;
    let echo = Echo {
        instructions: None,
        max_output_tokens: sampling.max_tokens,
        metadata: None,
        parallel_tool_calls: request.parallel_tool_calls.unwrap_or(true),
        previous_response_id: request.continues.as_ref().map(Text::expose),
        reasoning: Reasoning { effort: request.reasoning.and_then(effort), summary: None },
        temperature: sampling.temperature,
        text: Form { format: format(&request.response_format) },
        tool_choice: choice(request.tool_choice.as_ref()),
        tools: request.tools.iter().filter_map(tool).collect(),
        top_logprobs: sampling.logprobs,
        top_p: sampling.top_p,
        truncation: "disabled",
    };
    // The client's own JSON, and what is made of it: it cannot fail.
    let object = serde_json::to_string(&echo).unwrap_or_default();
    format!(",{}", object.trim_start_matches('{').strip_suffix('}').unwrap_or_default())
}

#[derive(Serialize)]
struct Echo<'a> {
    instructions: Option<()>,
    max_output_tokens: Option<u32>,
    metadata: Option<()>,
    parallel_tool_calls: bool,
    previous_response_id: Option<&'a str>,
    reasoning: Reasoning,
    temperature: Option<f64>,
    text: Form<'a>,
    tool_choice: Choice<'a>,
    tools: Vec<EchoTool<'a>>,
    top_logprobs: Option<u32>,
    top_p: Option<f64>,
    truncation: &'static str,
}

#[derive(Serialize)]
struct Reasoning {
    effort: Option<&'static str>,
    summary: Option<()>,
}

#[derive(Serialize)]
struct Form<'a> {
    format: Format<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format<'a> {
    Text,
    JsonObject,
    JsonSchema { name: &'a str, description: Option<&'a str>, schema: Option<&'a RawValue>, strict: Option<bool> },
}

#[derive(Serialize)]
#[serde(untagged)]
enum Choice<'a> {
    Word(&'static str),
    Named { r#type: &'static str, name: &'a str },
    Other(&'a RawValue),
}

#[derive(Serialize)]
#[serde(untagged)]
enum EchoTool<'a> {
    Function {
        r#type: &'static str,
        name: &'a str,
        description: Option<&'a str>,
        parameters: Option<&'a RawValue>,
        strict: Option<bool>,
    },
    Other(&'a RawValue),
}

fn format(format: &ResponseFormat) -> Format<'_> {
    match format {
        // The dialect has no word for a grammar, so no request in it has one.
        ResponseFormat::Text | ResponseFormat::Grammar(_) => Format::Text,
        ResponseFormat::JsonObject => Format::JsonObject,
        ResponseFormat::JsonSchema(schema) => Format::JsonSchema {
            name: &schema.name,
            description: schema.description.as_ref().map(Text::expose),
            schema: schema.schema.as_ref().and_then(raw),
            strict: schema.strict,
        },
    }
}

fn choice(choice: Option<&ToolChoice>) -> Choice<'_> {
    match choice {
        Some(ToolChoice::None) => Choice::Word("none"),
        Some(ToolChoice::Required) => Choice::Word("required"),
        Some(ToolChoice::Named(name)) => Choice::Named { r#type: "function", name },
        Some(ToolChoice::Other(other)) => raw(other).map_or(Choice::Word("auto"), Choice::Other),
        Some(ToolChoice::Auto) | None => Choice::Word("auto"),
    }
}

fn tool(tool: &Tool) -> Option<EchoTool<'_>> {
    match tool {
        Tool::Function(function) => Some(EchoTool::Function {
            r#type: "function",
            name: &function.name,
            description: function.description.as_ref().map(Text::expose),
            parameters: function.parameters.as_ref().and_then(raw),
            strict: function.strict,
        }),
        Tool::Other(other) => raw(other).map(EchoTool::Other),
    }
}

fn raw(json: &Text) -> Option<&RawValue> {
    serde_json::from_str(json.expose()).ok()
}
