//! A neutral request as the body of `generateContent`.

mod config;
mod content;

use serde::Serialize;
use serde_json::value::RawValue;

use self::config::Config;
use self::content::{Contents, Part};
use crate::chat::{ChatRequest, Text, Tool, ToolChoice};
use crate::dialect::{Feature, Rendered, Target, Unfit};

/// What requests in neutral words may use.
pub const EXPRESSES: &[Feature] = &[
    Feature::Image,
    Feature::Tools,
    Feature::JsonObject,
    Feature::JsonSchema,
    Feature::ServerForm,
    Feature::Logprobs,
    Feature::SeveralChoices,
    Feature::Stream,
    Feature::ReasoningEffort,
    Feature::Dimensions,
];

/// The fixed words of a body.
pub const WORDS: &[&str] = &[
    "contents",
    "role",
    "user",
    "model",
    "parts",
    "text",
    "inlineData",
    "fileData",
    "mimeType",
    "data",
    "fileUri",
    "image/png",
    "image/jpeg",
    "image/webp",
    "image/gif",
    "functionCall",
    "functionResponse",
    "name",
    "args",
    "response",
    "result",
    "error",
    "thoughtSignature",
    content::UNSIGNED,
    "systemInstruction",
    "tools",
    "functionDeclarations",
    "description",
    "parametersJsonSchema",
    "toolConfig",
    "functionCallingConfig",
    "mode",
    "AUTO",
    "ANY",
    "NONE",
    "allowedFunctionNames",
    "generationConfig",
    "maxOutputTokens",
    "temperature",
    "topP",
    "topK",
    "candidateCount",
    "seed",
    "stopSequences",
    "presencePenalty",
    "frequencyPenalty",
    "responseLogprobs",
    "logprobs",
    "responseMimeType",
    "application/json",
    "responseJsonSchema",
    "thinkingConfig",
    "thinkingBudget",
    "thinkingLevel",
    "includeThoughts",
    "minimal",
    "low",
    "medium",
    "high",
];

/// The body for `target`; what has no neutral word must not be in `request`. The model's name stands in the path.
///
/// # Errors
/// What the dialect cannot express.
pub fn render(request: &ChatRequest, target: &Target<'_>) -> Result<Rendered, Unfit> {
    let mut losses = Vec::new();
    let Contents { system, contents } = Contents::of(request, target, &mut losses)?;
    let body = Body {
        contents,
        system_instruction: (!system.is_empty()).then_some(System { parts: system }),
        tools: tools(request, &mut losses)?,
        tool_config: request.tool_choice.as_ref().and_then(choice),
        generation_config: Config::of(request, target, &mut losses)?,
    };
    if request.parallel_tool_calls == Some(false) {
        losses.push("parallel_tool_calls");
    }
    if request.end_user.is_some() {
        losses.push("user");
    }
    let body = serde_json::to_vec(&body).map_err(|_| Unfit("a schema or arguments that are no JSON"))?;
    Ok(Rendered { body, losses })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    contents: Vec<content::Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<System<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Declarations<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'a>>,
    generation_config: Config<'a>,
}

#[derive(Serialize)]
struct System<'a> {
    parts: Vec<Part<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Declarations<'a> {
    function_declarations: Vec<Declaration<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Declaration<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_json_schema: Option<&'a RawValue>,
}

fn tools<'a>(request: &'a ChatRequest, losses: &mut Vec<&'static str>) -> Result<Vec<Declarations<'a>>, Unfit> {
    let mut function_declarations = Vec::new();
    for tool in &request.tools {
        let Tool::Function(function) = tool else { return Err(Unfit("tools that are no functions")) };
        if function.strict == Some(true) {
            lose(losses, "strict");
        }
        function_declarations.push(Declaration {
            name: &function.name,
            description: function.description.as_ref().map(Text::expose),
            parameters_json_schema: function.parameters.as_ref().map(raw).transpose()?,
        });
    }
    Ok(if function_declarations.is_empty() { Vec::new() } else { vec![Declarations { function_declarations }] })
}

/// Says each loss once.
fn lose(losses: &mut Vec<&'static str>, what: &'static str) {
    if !losses.contains(&what) {
        losses.push(what);
    }
}

/// The client's own JSON.
fn raw(json: &Text) -> Result<&RawValue, Unfit> {
    serde_json::from_str(json.expose()).map_err(|_| Unfit("a schema that is no JSON"))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolConfig<'a> {
    function_calling_config: Calling<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Calling<'a> {
    mode: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allowed_function_names: Vec<&'a str>,
}

fn choice(choice: &ToolChoice) -> Option<ToolConfig<'_>> {
    let (mode, allowed_function_names) = match choice {
        ToolChoice::Auto => ("AUTO", Vec::new()),
        ToolChoice::None => ("NONE", Vec::new()),
        ToolChoice::Required => ("ANY", Vec::new()),
        ToolChoice::Named(name) => ("ANY", vec![name.as_str()]),
        // What has no neutral word is kept away by the features.
        ToolChoice::Other(_) => return None,
    };
    Some(ToolConfig { function_calling_config: Calling { mode, allowed_function_names } })
}

#[cfg(test)]
mod tests;
