//! The fields beside the conversation and the tools.

use std::ops::Range;

use super::Decoder;
use crate::chat::request::{Effort, Reasoning, Schema};
use crate::chat::{Json, ResponseFormat, Source};
use crate::dialect::field::{At, optional};
use crate::dialect::{BadRequest, Feature};

/// Fewest tokens of thinking that can be allowed.
const LEAST_BUDGET: u32 = 1024;

impl<'a> Decoder<'a> {
    /// Understands one member of the body.
    pub fn member(&mut self, key: &'a str, key_span: Range<usize>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        let root = At::ROOT;
        let at = root.key(key);
        match key {
            "model" => self.draft.model(&at, json),
            "messages" => self.messages(&at, json),
            "max_tokens" => {
                self.draft.points.max_tokens = Some(self.draft.cap(&at, key_span, json)?);
                Ok(())
            }
            "stream" => self.draft.stream(&at, json),
            _ if json.is_null() => {
                // A known name says nothing; an unknown one may.
                if !is_known(key) {
                    self.draft.unknown(key, json);
                }
                Ok(())
            }
            "system" => self.system(&at, json),
            "tools" => self.tools(&at, json),
            "tool_choice" => self.tool_choice(&at, json),
            "thinking" => self.reasoning(&at, json),
            "output_config" => self.output_config(&at, json),
            "output_format" => self.format(&at, json),
            "metadata" => self.metadata(&at, json),
            "temperature" | "top_p" | "top_k" | "stop_sequences" => self.sampling(&at, key, json),
            "service_tier" | "speed" => {
                at.string(json)?;
                self.draft.parts.tree(json, Source::Parameter);
                self.draft.unsaid(if key == "speed" { "speed" } else { "service_tier" });
                Ok(())
            }
            _ => {
                self.other(key, json);
                Ok(())
            }
        }
    }

    fn sampling(&mut self, at: &At<'_>, key: &str, json: &'a Json<'a>) -> Result<(), BadRequest> {
        self.draft.parts.tree(json, Source::Parameter);
        let sampling = &mut self.draft.request.sampling;
        match key {
            "temperature" => sampling.temperature = Some(at.number(json, 0.0..=1.0)?),
            "top_p" => sampling.top_p = Some(at.number(json, 0.0..=1.0)?),
            // None is every candidate, as where nothing is said.
            "top_k" => sampling.top_k = Some(at.count(json, 0..=u32::MAX)?).filter(|top_k| *top_k > 0),
            _ => {
                let stops = at.array(json)?.iter().enumerate();
                let stop = |(index, stop)| at.index(index).filled(stop).map(str::to_owned);
                sampling.stop = stops.map(stop).collect::<Result<_, _>>()?;
            }
        }
        Ok(())
    }

    fn metadata(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        for member in at.object(json)? {
            if member.key != "user_id" {
                self.draft.unknown(&member.key, &member.value);
                continue;
            }
            optional(&member.value, || {
                let user = at.key("user_id").string(&member.value)?;
                self.draft.parts.text(user, Source::Metadata);
                self.draft.request.end_user = Some(user.into());
                Ok(())
            })?;
        }
        Ok(())
    }

    fn reasoning(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        let kinds = ["enabled", "disabled", "adaptive", "between_tools"];
        let kind = at.key("type").one_of(at.required(json, "type")?, &kinds)?;
        self.draft.parts.tree(json, Source::Parameter);
        self.thinking = Some(match kind {
            "enabled" => {
                let budget = at.required(json, "budget_tokens")?;
                self.draft.uses.insert(Feature::ReasoningEffort);
                Reasoning::Budget(at.key("budget_tokens").count(budget, LEAST_BUDGET..=u32::MAX)?)
            }
            "disabled" => Reasoning::Off,
            // Others are not told when to think.
            "between_tools" => {
                self.draft.unsaid("thinking");
                Reasoning::Adaptive
            }
            _ => Reasoning::Adaptive,
        });
        for member in at.object(json)?.iter().filter(|member| !member.value.is_null()) {
            match member.key.as_ref() {
                "type" | "budget_tokens" => {}
                "display" => self.draft.unsaid("thinking_display"),
                // A part already, as all of `thinking`.
                _ => self.draft.unknown_value(&member.value),
            }
        }
        Ok(())
    }

    fn output_config(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        for member in at.object(json)? {
            let (at, value) = (at.key(&member.key), &member.value);
            match member.key.as_ref() {
                "effort" => optional(value, || {
                    self.effort = Some(effort(at.one_of(value, &["low", "medium", "high", "xhigh", "max"])?));
                    self.draft.parts.tree(value, Source::Parameter);
                    self.draft.uses.insert(Feature::ReasoningEffort);
                    Ok(())
                })?,
                "format" => optional(value, || self.format(&at, value))?,
                key => self.draft.unknown(key, value),
            }
        }
        Ok(())
    }

    fn format(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        at.key("type").one_of(at.required(json, "type")?, &["json_schema"])?;
        let schema = at.required(json, "schema")?;
        at.key("schema").object(schema)?;
        self.draft.parts.tree(json, Source::ToolDefinition);
        for member in at.object(json)? {
            if member.key != "type" && member.key != "schema" {
                self.draft.unknown_value(&member.value);
            }
        }
        self.draft.uses.insert(Feature::JsonSchema);
        let schema = Some(self.draft.verbatim(schema));
        self.draft.request.response_format =
            ResponseFormat::JsonSchema(Schema { schema, strict: Some(true), ..Schema::default() });
        Ok(())
    }
}

fn is_known(key: &str) -> bool {
    const KNOWN: [&str; 14] = [
        "system",
        "tools",
        "tool_choice",
        "thinking",
        "output_config",
        "output_format",
        "metadata",
        "temperature",
        "top_p",
        "top_k",
        "stop_sequences",
        "service_tier",
        "speed",
        "cache_control",
    ];
    KNOWN.contains(&key)
}

/// `xhigh` and `max` are one step in neutral words.
fn effort(word: &str) -> Effort {
    match word {
        "low" => Effort::Low,
        "medium" => Effort::Medium,
        "high" => Effort::High,
        _ => Effort::Max,
    }
}
