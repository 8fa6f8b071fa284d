//! The fields beside the conversation.

use serde::Serialize;
use serde_json::value::RawValue;

use super::model::Model;
use super::{Losses, block, object};
use crate::chat::request::{Effort, Reasoning, Schema};
use crate::chat::{ChatRequest, ResponseFormat, Sampling, Text, Tool, ToolChoice};
use crate::dialect::Unfit;

/// Fewest tokens of thinking that can be allowed.
const LEAST_BUDGET: u32 = 1024;

#[derive(Serialize)]
pub struct WireTool<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    input_schema: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

/// # Errors
/// Tools that are no functions, and schemas that are no objects.
pub fn tool(tool: &Tool) -> Result<WireTool<'_>, Unfit> {
    let Tool::Function(function) = tool else { return Err(Unfit("tools that are no functions")) };
    let input_schema = match &function.parameters {
        Some(schema) => object(schema, "a tool's schema that is no JSON object")?,
        None => serde_json::from_str("{\"type\":\"object\"}").map_err(|_| Unfit("a tool without schema"))?,
    };
    let description = function.description.as_ref().map(Text::expose);
    Ok(WireTool { name: &function.name, description, input_schema, strict: function.strict })
}

#[derive(Serialize)]
pub struct WireChoice<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disable_parallel_tool_use: bool,
}

pub fn choice(request: &ChatRequest) -> Option<WireChoice<'_>> {
    let one_by_one = request.parallel_tool_calls == Some(false);
    if request.tools.is_empty() {
        return None;
    }
    let (r#type, name) = match &request.tool_choice {
        None if !one_by_one => return None,
        None | Some(ToolChoice::Auto) => ("auto", None),
        Some(ToolChoice::Required) => ("any", None),
        Some(ToolChoice::Named(name)) => ("tool", Some(name.as_str())),
        Some(ToolChoice::None) => ("none", None),
        // What has no neutral word is kept away by the features.
        Some(ToolChoice::Other(_)) => return None,
    };
    Some(WireChoice { r#type, name, disable_parallel_tool_use: one_by_one && r#type != "none" })
}

/// Some models show nothing by default.
const DISPLAY: &str = "summarized";

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Thinking {
    Disabled,
    Adaptive { display: &'static str },
    Enabled { budget_tokens: u32, display: &'static str },
}

impl Thinking {
    pub fn is_on(&self) -> bool {
        !matches!(self, Self::Disabled)
    }
}

/// How to think, as far as the model takes it, and with the rest of the request.
pub fn thinking(request: &ChatRequest, model: Model, max_output: u32, losses: &mut Losses) -> Option<Thinking> {
    let asked = match request.reasoning? {
        Reasoning::Off => return (model != Model::Plain).then_some(Thinking::Disabled),
        Reasoning::Budget(budget) if model.takes_budget() => within(budget, max_output, losses),
        Reasoning::Effort(effort) if !model.adapts() => within(budget_of(effort), max_output, losses),
        // Where one cannot be had, the other is meant.
        Reasoning::Adaptive | Reasoning::Effort(_) | Reasoning::Budget(_) => Thinking::Adaptive { display: DISPLAY },
    };
    let must_call = matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
    let refused = match asked {
        Thinking::Enabled { .. } => {
            !model.takes_budget()
                || max_output <= LEAST_BUDGET
                || must_call
                || block::calls_without_thoughts(&request.messages)
        }
        Thinking::Adaptive { .. } | Thinking::Disabled => !model.adapts() || must_call,
    };
    // A model that cannot be left to itself does as it does.
    losses.add_if(refused && request.reasoning != Some(Reasoning::Adaptive), "reasoning");
    (!refused).then_some(asked)
}

fn within(budget: u32, max_output: u32, losses: &mut Losses) -> Thinking {
    let budget_tokens = budget.clamp(LEAST_BUDGET, max_output.saturating_sub(1).max(LEAST_BUDGET));
    losses.add_if(budget_tokens != budget, "reasoning_budget");
    Thinking::Enabled { budget_tokens, display: DISPLAY }
}

/// The steps in tokens.
fn budget_of(effort: Effort) -> u32 {
    match effort {
        Effort::Minimal | Effort::Low => LEAST_BUDGET,
        Effort::Medium => 8192,
        Effort::High => 16_384,
        Effort::Max => 32_768,
    }
}

#[derive(Serialize)]
pub struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format<'a>>,
}

/// # Errors
/// A form that the dialect cannot express.
pub fn output_config<'a>(
    request: &'a ChatRequest,
    model: Model,
    losses: &mut Losses,
) -> Result<Option<OutputConfig<'a>>, Unfit> {
    let format = match &request.response_format {
        ResponseFormat::Text => None,
        ResponseFormat::JsonObject => return Err(Unfit("an answer that is some JSON object")),
        ResponseFormat::JsonSchema(schema) => Some(format(schema, losses)?),
        ResponseFormat::Grammar(_) => return Err(Unfit("an answer by a grammar")),
    };
    let effort = request.reasoning.filter(|_| model.adapts()).and_then(effort);
    Ok((effort.is_some() || format.is_some()).then_some(OutputConfig { effort, format }))
}

/// Hardly is little.
fn effort(reasoning: Reasoning) -> Option<&'static str> {
    let Reasoning::Effort(effort) = reasoning else { return None };
    Some(match effort {
        Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::Max => "max",
    })
}

#[derive(Serialize)]
struct Format<'a> {
    r#type: &'static str,
    schema: &'a RawValue,
}

fn format<'a>(schema: &'a Schema, losses: &mut Losses) -> Result<Format<'a>, Unfit> {
    const WHAT: &str = "an answer's schema that is no JSON object";
    losses.add_if(schema.description.is_some(), "response_format_description");
    let schema = schema.schema.as_ref().ok_or(Unfit(WHAT))?;
    Ok(Format { r#type: "json_schema", schema: object(schema, WHAT)? })
}

#[derive(Serialize)]
pub struct Metadata<'a> {
    pub user_id: &'a str,
}

#[derive(Serialize)]
pub struct Sampled {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
}

impl Sampled {
    /// Where it may be told how to sample at all, a model takes a temperature or a nucleus, not both.
    ///
    /// # Errors
    /// A stop sequence that the dialect refuses.
    pub fn of(sampling: &Sampling, may_sample: bool, losses: &mut Losses) -> Result<Self, Unfit> {
        if sampling.stop.iter().any(|stop| stop.trim().is_empty()) {
            return Err(Unfit("a stop sequence of white space"));
        }
        // The dialect's highest temperature, 1, is what they do anyway.
        let asked = sampling.temperature.filter(|temperature| *temperature != 1.0);
        let temperature = asked.filter(|temperature| may_sample && *temperature < 1.0);
        let nucleus = sampling.top_p.filter(|top_p| *top_p < 1.0);
        let top_p = nucleus.filter(|_| may_sample && asked.is_none());
        losses.add_if(temperature != asked, "temperature");
        losses.add_if(top_p != nucleus, "top_p");
        losses.add_if(!may_sample && sampling.top_k.is_some(), "top_k");
        losses.add_if(sampling.seed.is_some(), "seed");
        losses.add_if(sampling.presence_penalty.is_some_and(|p| p != 0.0), "presence_penalty");
        losses.add_if(sampling.frequency_penalty.is_some_and(|p| p != 0.0), "frequency_penalty");
        Ok(Self { temperature, top_p, top_k: sampling.top_k.filter(|_| may_sample) })
    }
}
