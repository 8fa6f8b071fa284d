//! A neutral request as the body of `POST /v1/responses`.

use serde::Serialize;
use serde_json::value::RawValue;

use super::SEAL;
use crate::chat::request::{Function, Reasoning, Schema, Thought};
use crate::chat::{ChatRequest, Content, Message, ResponseFormat, Role, Text, Tool, ToolCall, ToolChoice};
use crate::dialect::openai::render::effort;
use crate::dialect::{Feature, Rendered, Target, Unfit};

/// What requests in neutral words may use.
pub const EXPRESSES: &[Feature] = &[
    Feature::Image,
    Feature::Tools,
    Feature::JsonObject,
    Feature::JsonSchema,
    Feature::ServerForm,
    Feature::Logprobs,
    Feature::Stream,
    Feature::ReasoningEffort,
];

/// The fixed words of a body.
pub const WORDS: &[&str] = &[
    "model",
    "input",
    "max_output_tokens",
    "store",
    "stream",
    "include",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "text",
    "format",
    "reasoning",
    "effort",
    "temperature",
    "top_p",
    "top_logprobs",
    "user",
    "type",
    "message",
    "role",
    "system",
    "assistant",
    "content",
    "input_text",
    "input_image",
    "image_url",
    "detail",
    "auto",
    "output_text",
    "annotations",
    "summary",
    "summary_text",
    "encrypted_content",
    "id",
    "refusal",
    "function_call",
    "function_call_output",
    "call_id",
    "name",
    "arguments",
    "output",
    "function",
    "description",
    "parameters",
    "strict",
    "object",
    "properties",
    "none",
    "required",
    "json_object",
    "json_schema",
    "schema",
    "answer",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
    "minimal",
    "low",
    "medium",
    "high",
    "xhigh",
];

/// The body for `target`; what has no neutral word must not be in `request`. The provider is to keep nothing.
///
/// # Errors
/// What the dialect cannot express.
pub fn render(request: &ChatRequest, target: &Target<'_>) -> Result<Rendered, Unfit> {
    let mut losses = Vec::new();
    let body = body(request, target, &mut losses)?;
    let body = serde_json::to_vec(&body).map_err(|_| Unfit("a schema or arguments that are no JSON"))?;
    Ok(Rendered { body, losses })
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    input: Vec<Item<'a>>,
    max_output_tokens: u32,
    store: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    include: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Form<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<WireReasoning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
}

fn body<'a>(request: &'a ChatRequest, target: &Target<'a>, losses: &mut Vec<&'static str>) -> Result<Body<'a>, Unfit> {
    let sampling = &request.sampling;
    if !sampling.stop.is_empty() {
        // Without them the answer would go on where the client does not expect it to.
        return Err(Unfit("stop sequences"));
    }
    let mut input = Vec::new();
    for message in &request.messages {
        items(message, &mut input, losses)?;
    }
    for (name, is_lost) in [
        ("seed", sampling.seed.is_some()),
        ("top_k", sampling.top_k.is_some()),
        ("presence_penalty", sampling.presence_penalty.is_some_and(|penalty| penalty != 0.0)),
        ("frequency_penalty", sampling.frequency_penalty.is_some_and(|penalty| penalty != 0.0)),
    ] {
        if is_lost {
            losses.push(name);
        }
    }
    let thinks = request.reasoning.is_some_and(|reasoning| reasoning != Reasoning::Off);
    let include =
        [("reasoning.encrypted_content", thinks), ("message.output_text.logprobs", sampling.logprobs.is_some())];
    Ok(Body {
        model: target.model,
        input,
        max_output_tokens: target.max_output,
        store: false,
        stream: request.streaming.is_on().then_some(true),
        include: include.into_iter().filter_map(|(what, is_wanted)| is_wanted.then_some(what)).collect(),
        tools: request.tools.iter().map(tool).collect::<Result<_, _>>()?,
        tool_choice: request.tool_choice.as_ref().and_then(choice),
        parallel_tool_calls: request.parallel_tool_calls,
        text: form(&request.response_format)?,
        reasoning: request.reasoning.and_then(effort).map(|effort| WireReasoning { effort }),
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_logprobs: sampling.logprobs,
        user: request.end_user.as_ref().map(Text::expose),
    })
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Item<'a> {
    Message { role: &'static str, content: Vec<Part<'a>> },
    Reasoning { id: &'a str, summary: Vec<Part<'a>>, encrypted_content: &'a str },
    FunctionCall { call_id: &'a str, name: &'a str, arguments: &'a str },
    FunctionCallOutput { call_id: &'a str, output: Output<'a> },
}

#[derive(Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part<'a> {
    InputText { text: &'a str },
    InputImage { image_url: &'a str, detail: &'static str },
    OutputText { text: &'a str, annotations: [(); 0] },
    SummaryText { text: &'a str },
    Refusal { refusal: &'a str },
}

/// A single text is a string: that is what every server takes.
#[derive(Serialize)]
#[serde(untagged)]
enum Output<'a> {
    Text(&'a str),
    Parts(Vec<Part<'a>>),
}

#[derive(Serialize)]
struct WireReasoning {
    effort: &'static str,
}

fn items<'a>(message: &'a Message, input: &mut Vec<Item<'a>>, losses: &mut Vec<&'static str>) -> Result<(), Unfit> {
    if message.tool_failed {
        lose(losses, "tool_failed");
    }
    if message.name.is_some() {
        lose(losses, "name");
    }
    if message.role == Role::Tool {
        let call_id = message.tool_call_id.as_deref().ok_or(Unfit("a tool's result that names no call"))?;
        input.push(Item::FunctionCallOutput { call_id, output: output(message)? });
        return Ok(());
    }
    let mut parts = Vec::new();
    for content in &message.content {
        match content {
            Content::Thought(thought) => {
                say(message.role, &mut parts, input);
                match reasoning(thought) {
                    Some(item) => input.push(item),
                    None => lose(losses, "thoughts"),
                }
            }
            other => parts.push(part(other, message.role)?),
        }
    }
    say(message.role, &mut parts, input);
    input.extend(message.tool_calls.iter().map(call));
    Ok(())
}

/// Says each loss once.
fn lose(losses: &mut Vec<&'static str>, what: &'static str) {
    if !losses.contains(&what) {
        losses.push(what);
    }
}

fn say<'a>(role: Role, parts: &mut Vec<Part<'a>>, input: &mut Vec<Item<'a>>) {
    if !parts.is_empty() {
        input.push(Item::Message { role: role.name(), content: std::mem::take(parts) });
    }
}

fn part(content: &Content, role: Role) -> Result<Part<'_>, Unfit> {
    match (content, role) {
        (Content::Text(text), Role::Assistant) => Ok(Part::OutputText { text: text.expose(), annotations: [] }),
        (Content::Text(text), _) => Ok(Part::InputText { text: text.expose() }),
        (Content::Refusal(text), Role::Assistant) => Ok(Part::Refusal { refusal: text.expose() }),
        (Content::Image(url), Role::User | Role::Tool) => {
            Ok(Part::InputImage { image_url: url.expose(), detail: "auto" })
        }
        (Content::Image(_), _) => Err(Unfit("an image that the model made")),
        (Content::Refusal(_) | Content::Thought(_), _) => Err(Unfit("a refusal or thought of somebody else's")),
        (Content::Audio(_) | Content::File(_), _) => Err(Unfit("audio and files")),
    }
}

fn output(message: &Message) -> Result<Output<'_>, Unfit> {
    match message.content.as_slice() {
        [] => Ok(Output::Text("")),
        [Content::Text(text)] => Ok(Output::Text(text.expose())),
        several => Ok(Output::Parts(several.iter().map(|one| part(one, Role::Tool)).collect::<Result<_, _>>()?)),
    }
}

/// Only what this dialect's provider sealed, it can open.
fn reasoning(thought: &Thought) -> Option<Item<'_>> {
    let (id, encrypted_content) = thought.seal.as_ref()?.expose().strip_prefix(SEAL)?.split_once(':')?;
    let summary = match thought.text.is_empty() {
        true => Vec::new(),
        false => vec![Part::SummaryText { text: thought.text.expose() }],
    };
    Some(Item::Reasoning { id, summary, encrypted_content })
}

fn call(call: &ToolCall) -> Item<'_> {
    Item::FunctionCall { call_id: &call.id, name: &call.name, arguments: call.arguments.expose() }
}

#[derive(Serialize)]
struct WireTool<'a> {
    r#type: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters: &'a RawValue,
    strict: bool,
}

fn tool(tool: &Tool) -> Result<WireTool<'_>, Unfit> {
    match tool {
        Tool::Function(function) => self::function(function),
        Tool::Other(_) => Err(Unfit("tools that are no functions")),
    }
}

fn function(function: &Function) -> Result<WireTool<'_>, Unfit> {
    Ok(WireTool {
        r#type: "function",
        name: &function.name,
        description: function.description.as_ref().map(Text::expose),
        parameters: raw(function.parameters.as_ref().map_or(r#"{"type":"object","properties":{}}"#, Text::expose))?,
        // Where it is left out, this dialect means yes, and the others no.
        strict: function.strict.unwrap_or(false),
    })
}

/// The client's own JSON.
fn raw(json: &str) -> Result<&RawValue, Unfit> {
    serde_json::from_str(json).map_err(|_| Unfit("a schema that is no JSON"))
}

#[derive(Serialize)]
#[serde(untagged)]
enum Choice<'a> {
    Word(&'static str),
    Named { r#type: &'static str, name: &'a str },
}

fn choice(choice: &ToolChoice) -> Option<Choice<'_>> {
    match choice {
        ToolChoice::Auto => Some(Choice::Word("auto")),
        ToolChoice::None => Some(Choice::Word("none")),
        ToolChoice::Required => Some(Choice::Word("required")),
        ToolChoice::Named(name) => Some(Choice::Named { r#type: "function", name }),
        // What has no neutral word is kept away by the features.
        ToolChoice::Other(_) => None,
    }
}

#[derive(Serialize)]
struct Form<'a> {
    format: Format<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format<'a> {
    JsonObject,
    JsonSchema {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        schema: &'a RawValue,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    },
}

fn form(format: &ResponseFormat) -> Result<Option<Form<'_>>, Unfit> {
    Ok(match format {
        ResponseFormat::Text => None,
        ResponseFormat::JsonObject => Some(Form { format: Format::JsonObject }),
        ResponseFormat::JsonSchema(schema) => Some(Form { format: self::schema(schema)? }),
        ResponseFormat::Grammar(_) => return Err(Unfit("an answer by a grammar")),
    })
}

fn schema(schema: &Schema) -> Result<Format<'_>, Unfit> {
    Ok(Format::JsonSchema {
        // The dialect insists on a name.
        name: if schema.name.is_empty() { "answer" } else { &schema.name },
        description: schema.description.as_ref().map(Text::expose),
        schema: raw(schema.schema.as_ref().ok_or(Unfit("a form without a schema"))?.expose())?,
        strict: schema.strict,
    })
}

#[cfg(test)]
mod tests;
