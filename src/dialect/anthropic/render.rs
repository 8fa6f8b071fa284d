//! A neutral request as the body of `POST /v1/messages`.

mod block;
mod model;
mod option;

use serde::Serialize;
use serde_json::value::RawValue;

use self::block::{WireMessage, WireText};
use self::model::Model;
use self::option::{Metadata, OutputConfig, Sampled, Thinking, WireChoice, WireTool};
use crate::chat::{ChatRequest, Text};
use crate::dialect::{Feature, Rendered, Target, Unfit};

/// What requests in neutral words may use.
pub const EXPRESSES: &[Feature] = &[
    Feature::Image,
    Feature::Tools,
    Feature::JsonSchema,
    Feature::ServerForm,
    Feature::Stream,
    Feature::ReasoningEffort,
];

/// The fixed words of a body.
pub const WORDS: &[&str] = &[
    "model",
    "max_tokens",
    "system",
    "messages",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "metadata",
    "stream",
    "role",
    "user",
    "assistant",
    "content",
    "type",
    "text",
    "image",
    "source",
    "url",
    "base64",
    "media_type",
    "data",
    "signature",
    "redacted_thinking",
    "tool_use",
    "id",
    "name",
    "input",
    "tool_result",
    "tool_use_id",
    "is_error",
    "description",
    "input_schema",
    "strict",
    "object",
    "auto",
    "any",
    "tool",
    "none",
    "disable_parallel_tool_use",
    "disabled",
    "adaptive",
    "enabled",
    "budget_tokens",
    "display",
    "summarized",
    "effort",
    "low",
    "medium",
    "high",
    "max",
    "format",
    "json_schema",
    "schema",
    "user_id",
];

/// The body for `target`; what has no neutral word must not be in `request`.
///
/// # Errors
/// What the dialect cannot express.
pub fn render(request: &ChatRequest, target: &Target<'_>) -> Result<Rendered, Unfit> {
    let mut losses = Losses::default();
    let (system, messages) = block::conversation(&request.messages, &mut losses)?;
    let model = Model::named(target.model);
    let thinking = option::thinking(request, model, target.max_output, &mut losses);
    let may_sample = model.samples() && !thinking.as_ref().is_some_and(Thinking::is_on);
    let sampled = Sampled::of(&request.sampling, may_sample, &mut losses)?;
    let body = Body {
        model: target.model,
        max_tokens: target.max_output,
        system,
        messages,
        tools: request.tools.iter().map(option::tool).collect::<Result<_, _>>()?,
        tool_choice: option::choice(request),
        thinking,
        output_config: option::output_config(request, model, &mut losses)?,
        sampled,
        stop_sequences: &request.sampling.stop,
        metadata: request.end_user.as_ref().map(|user| Metadata { user_id: user.expose() }),
        stream: request.streaming.is_on(),
    };
    let body = serde_json::to_vec(&body).map_err(|_| Unfit("a schema or arguments that are no JSON"))?;
    Ok(Rendered { body, losses: losses.0 })
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    max_tokens: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<WireText<'a>>,
    messages: Vec<WireMessage<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<WireChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Thinking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig<'a>>,
    #[serde(flatten)]
    sampled: Sampled,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
}

/// What the provider is not told, each once.
#[derive(Default)]
struct Losses(Vec<&'static str>);

impl Losses {
    fn add(&mut self, what: &'static str) {
        if !self.0.contains(&what) {
            self.0.push(what);
        }
    }

    fn add_if(&mut self, lost: bool, what: &'static str) {
        if lost {
            self.add(what);
        }
    }
}

/// The client's own JSON, which must be an object.
fn object<'a>(json: &'a Text, what: &'static str) -> Result<&'a RawValue, Unfit> {
    let raw: &RawValue = serde_json::from_str(json.expose()).map_err(|_| Unfit(what))?;
    if raw.get().starts_with('{') { Ok(raw) } else { Err(Unfit(what)) }
}

#[cfg(test)]
mod tests;
