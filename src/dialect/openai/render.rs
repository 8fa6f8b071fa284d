//! A neutral request as the body of `POST /v1/chat/completions`.

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};
use serde_json::value::RawValue;

use crate::chat::request::{Effort, Function, Reasoning, Schema};
use crate::chat::{ChatRequest, Content, Message, ResponseFormat, Role, Text, Tool, ToolCall, ToolChoice};
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
];

/// The fixed words of a body.
pub const WORDS: &[&str] = &[
    "model",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "stream",
    "stream_options",
    "include_usage",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
    "temperature",
    "top_p",
    "n",
    "seed",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    "user",
    "role",
    "system",
    "assistant",
    "tool",
    "content",
    "refusal",
    "name",
    "tool_calls",
    "tool_call_id",
    "type",
    "text",
    "image_url",
    "url",
    "id",
    "function",
    "arguments",
    "description",
    "parameters",
    "strict",
    "auto",
    "none",
    "required",
    "json_object",
    "json_schema",
    "schema",
    "answer",
    "minimal",
    "low",
    "medium",
    "high",
    "xhigh",
];

/// The body for `target`; what has no neutral word must not be in `request`.
///
/// # Errors
/// What the dialect cannot express.
pub fn render(request: &ChatRequest, target: &Target<'_>) -> Result<Rendered, Unfit> {
    let mut losses = Vec::new();
    if matches!(request.response_format, ResponseFormat::Grammar(_)) {
        return Err(Unfit("an answer by a grammar"));
    }
    let body = Body { request, target, messages: messages(request, &mut losses)?, tools: tools(&request.tools)? };
    if request.sampling.top_k.is_some() {
        losses.push("top_k");
    }
    let body = serde_json::to_vec(&body).map_err(|_| Unfit("a schema or arguments that are no JSON"))?;
    Ok(Rendered { body, losses })
}

struct Body<'a> {
    request: &'a ChatRequest,
    target: &'a Target<'a>,
    messages: Vec<WireMessage<'a>>,
    tools: Vec<WireTool<'a>>,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (request, sampling) = (self.request, &self.request.sampling);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("model", self.target.model)?;
        map.serialize_entry("messages", &self.messages)?;
        map.serialize_entry(self.target.cap_field.name(), &self.target.max_output)?;
        if request.streaming.is_on() {
            map.serialize_entry("stream", &true)?;
            let asks = self.target.stream_options.then_some(StreamOptions { include_usage: true });
            entry(&mut map, "stream_options", asks)?;
        }
        if !self.tools.is_empty() {
            map.serialize_entry("tools", &self.tools)?;
        }
        entry(&mut map, "tool_choice", request.tool_choice.as_ref().and_then(choice))?;
        entry(&mut map, "parallel_tool_calls", request.parallel_tool_calls)?;
        entry(&mut map, "response_format", form(&request.response_format))?;
        entry(&mut map, "reasoning_effort", request.reasoning.and_then(effort))?;
        entry(&mut map, "temperature", sampling.temperature)?;
        entry(&mut map, "top_p", sampling.top_p)?;
        entry(&mut map, "n", sampling.n)?;
        entry(&mut map, "seed", sampling.seed)?;
        entry(&mut map, "stop", (!sampling.stop.is_empty()).then_some(&sampling.stop))?;
        entry(&mut map, "presence_penalty", sampling.presence_penalty)?;
        entry(&mut map, "frequency_penalty", sampling.frequency_penalty)?;
        entry(&mut map, "logprobs", sampling.logprobs.map(|_| true))?;
        entry(&mut map, "top_logprobs", sampling.logprobs)?;
        entry(&mut map, "user", request.end_user.as_ref().map(Text::expose))?;
        map.end()
    }
}

fn entry<M: SerializeMap, T: Serialize>(map: &mut M, key: &'static str, value: Option<T>) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(key, &value))
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
struct WireMessage<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<WireContent<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WireCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

/// A single text is a string: that is what every server takes.
enum WireContent<'a> {
    Text(&'a str),
    Parts(Vec<WirePart<'a>>),
}

impl Serialize for WireContent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Parts(parts) => {
                let mut sequence = serializer.serialize_seq(Some(parts.len()))?;
                parts.iter().try_for_each(|part| sequence.serialize_element(part))?;
                sequence.end()
            }
        }
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WirePart<'a> {
    Text { text: &'a str },
    ImageUrl { image_url: WireUrl<'a> },
}

#[derive(Serialize)]
struct WireUrl<'a> {
    url: &'a str,
}

#[derive(Serialize)]
struct WireCall<'a> {
    id: &'a str,
    r#type: &'static str,
    function: WireCalled<'a>,
}

#[derive(Serialize)]
struct WireCalled<'a> {
    name: &'a str,
    arguments: &'a str,
}

#[derive(Serialize)]
struct WireTool<'a> {
    r#type: &'static str,
    function: WireFunction<'a>,
}

#[derive(Serialize)]
struct WireFunction<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

fn messages<'a>(request: &'a ChatRequest, losses: &mut Vec<&'static str>) -> Result<Vec<WireMessage<'a>>, Unfit> {
    request.messages.iter().map(|message| self::message(message, losses)).collect()
}

fn message<'a>(message: &'a Message, losses: &mut Vec<&'static str>) -> Result<WireMessage<'a>, Unfit> {
    let mut parts = Vec::new();
    let mut refusal = None;
    for content in &message.content {
        match content {
            Content::Text(text) => parts.push(WirePart::Text { text: text.expose() }),
            Content::Image(url) if message.role == Role::User => {
                parts.push(WirePart::ImageUrl { image_url: WireUrl { url: url.expose() } });
            }
            Content::Image(_) => return Err(Unfit("an image outside of a user's message")),
            Content::Refusal(text) => refusal = Some(text.expose()),
            // No server of this dialect takes thoughts back.
            Content::Thought(_) => lose(losses, "thoughts"),
            Content::Audio(_) | Content::File(_) => return Err(Unfit("audio and files")),
        }
    }
    if message.tool_failed {
        lose(losses, "tool_failed");
    }
    let content = match parts.as_slice() {
        [] if message.tool_calls.is_empty() && refusal.is_none() => Some(WireContent::Text("")),
        [] => None,
        [WirePart::Text { text }] => Some(WireContent::Text(text)),
        _ => Some(WireContent::Parts(parts)),
    };
    Ok(WireMessage {
        role: message.role.name(),
        content,
        refusal,
        name: message.name.as_deref(),
        tool_calls: message.tool_calls.iter().map(call).collect(),
        tool_call_id: message.tool_call_id.as_deref(),
    })
}

/// Says each loss once.
fn lose(losses: &mut Vec<&'static str>, what: &'static str) {
    if !losses.contains(&what) {
        losses.push(what);
    }
}

fn call(call: &ToolCall) -> WireCall<'_> {
    let function = WireCalled { name: &call.name, arguments: call.arguments.expose() };
    WireCall { id: &call.id, r#type: "function", function }
}

fn tools(tools: &[Tool]) -> Result<Vec<WireTool<'_>>, Unfit> {
    tools.iter().map(tool).collect()
}

fn tool(tool: &Tool) -> Result<WireTool<'_>, Unfit> {
    match tool {
        Tool::Function(function) => Ok(WireTool { r#type: "function", function: self::function(function)? }),
        Tool::Other(_) => Err(Unfit("tools that are no functions")),
    }
}

fn function(function: &Function) -> Result<WireFunction<'_>, Unfit> {
    Ok(WireFunction {
        name: &function.name,
        description: function.description.as_ref().map(Text::expose),
        parameters: function.parameters.as_ref().map(raw).transpose()?,
        strict: function.strict,
    })
}

/// The client's own JSON.
fn raw(json: &Text) -> Result<&RawValue, Unfit> {
    serde_json::from_str(json.expose()).map_err(|_| Unfit("a schema that is no JSON"))
}

fn choice(choice: &ToolChoice) -> Option<serde_json::Value> {
    match choice {
        ToolChoice::Auto => Some("auto".into()),
        ToolChoice::None => Some("none".into()),
        ToolChoice::Required => Some("required".into()),
        ToolChoice::Named(name) => Some(serde_json::json!({"type": "function", "function": {"name": name}})),
        // What has no neutral word is kept away by the features.
        ToolChoice::Other(_) => None,
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireForm<'a> {
    JsonObject,
    JsonSchema { json_schema: WireSchema<'a> },
}

#[derive(Serialize)]
struct WireSchema<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

fn form(format: &ResponseFormat) -> Option<WireForm<'_>> {
    match format {
        ResponseFormat::Text | ResponseFormat::Grammar(_) => None,
        ResponseFormat::JsonObject => Some(WireForm::JsonObject),
        ResponseFormat::JsonSchema(schema) => Some(WireForm::JsonSchema { json_schema: self::schema(schema) }),
    }
}

fn schema(schema: &Schema) -> WireSchema<'_> {
    WireSchema {
        // The dialect insists on a name.
        name: if schema.name.is_empty() { "answer" } else { &schema.name },
        description: schema.description.as_ref().map(Text::expose),
        schema: schema.schema.as_ref().and_then(|schema| raw(schema).ok()),
        strict: schema.strict,
    }
}

/// Token budgets are rounded to OpenAI's steps.
pub(in crate::dialect) fn effort(reasoning: Reasoning) -> Option<&'static str> {
    match reasoning {
        Reasoning::Off => Some("none"),
        Reasoning::Adaptive => None,
        Reasoning::Effort(Effort::Minimal) => Some("minimal"),
        Reasoning::Effort(Effort::Low) | Reasoning::Budget(..2048) => Some("low"),
        Reasoning::Effort(Effort::Medium) | Reasoning::Budget(..16_384) => Some("medium"),
        Reasoning::Effort(Effort::High) | Reasoning::Budget(_) => Some("high"),
        Reasoning::Effort(Effort::Max) => Some("xhigh"),
    }
}
