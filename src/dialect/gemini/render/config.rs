//! How to sample, how much to think, and what form the answer has.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{lose, raw};
use crate::chat::request::{Effort, Reasoning};
use crate::chat::{ChatRequest, ResponseFormat};
use crate::dialect::{Target, Unfit};

/// `generationConfig`.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Config<'a> {
    max_output_tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<Thinking>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Thinking {
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    include_thoughts: Option<bool>,
}

impl<'a> Config<'a> {
    /// What `request` asks for.
    ///
    /// # Errors
    /// A schema that is no JSON.
    pub fn of(request: &'a ChatRequest, target: &Target<'_>, losses: &mut Vec<&'static str>) -> Result<Self, Unfit> {
        let sampling = &request.sampling;
        // The API's numbers are smaller.
        let seed = sampling.seed.and_then(|seed| i32::try_from(seed).ok());
        if seed.is_none() && sampling.seed.is_some() {
            lose(losses, "seed");
        }
        let (response_mime_type, response_json_schema) = match &request.response_format {
            ResponseFormat::Text => (None, None),
            ResponseFormat::JsonObject => (Some("application/json"), None),
            ResponseFormat::JsonSchema(schema) => {
                if schema.description.is_some() {
                    lose(losses, "response_format_description");
                }
                (Some("application/json"), schema.schema.as_ref().map(raw).transpose()?)
            }
            ResponseFormat::Grammar(_) => return Err(Unfit("an answer by a grammar")),
        };
        Ok(Self {
            max_output_tokens: target.max_output,
            temperature: sampling.temperature,
            top_p: sampling.top_p,
            top_k: sampling.top_k,
            candidate_count: sampling.n.filter(|n| *n > 1),
            seed,
            stop_sequences: sampling.stop.iter().map(String::as_str).collect(),
            presence_penalty: sampling.presence_penalty,
            frequency_penalty: sampling.frequency_penalty,
            response_logprobs: sampling.logprobs.map(|_| true),
            logprobs: sampling.logprobs.filter(|count| *count > 0),
            response_mime_type,
            response_json_schema,
            thinking_config: request.reasoning.map(|reasoning| thinking(reasoning, target)),
        })
    }
}

/// Newer models know steps, older ones tokens, which count as answered: half are left for the answer. Whoever is to think
/// shows what it thought.
fn thinking(reasoning: Reasoning, target: &Target<'_>) -> Thinking {
    let shown = || Thinking { include_thoughts: Some(true), ..Thinking::default() };
    let at_most = |tokens: u32| Thinking { thinking_budget: Some(tokens.min(target.max_output / 2)), ..shown() };
    match reasoning {
        Reasoning::Off => Thinking { thinking_budget: Some(0), ..Thinking::default() },
        Reasoning::Adaptive => shown(),
        Reasoning::Budget(tokens) => at_most(tokens),
        Reasoning::Effort(effort) if target.model.contains("gemini-3") => {
            Thinking { thinking_level: Some(level(effort)), ..shown() }
        }
        Reasoning::Effort(effort) => at_most(budget(effort)),
    }
}

fn level(effort: Effort) -> &'static str {
    match effort {
        Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High | Effort::Max => "high",
    }
}

/// The budgets that Google's own compatible API takes for these words.
fn budget(effort: Effort) -> u32 {
    match effort {
        Effort::Minimal | Effort::Low => 1024,
        Effort::Medium => 8192,
        Effort::High | Effort::Max => 24_576,
    }
}
