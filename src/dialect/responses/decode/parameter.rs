//! The fields beside `input`.

use std::ops::Range;

use super::Decoder;
use crate::chat::{Json, Source, Text};
use crate::dialect::field::At;
use crate::dialect::openai::shape::effort;
use crate::dialect::{BadRequest, Feature};

/// As many alternatives per token as OpenAI takes.
const MAX_TOP_LOGPROBS: u32 = 20;
/// What may be null.
const OPTIONAL: [&str; 23] = [
    "background",
    "conversation",
    "include",
    "instructions",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

impl<'a> Decoder<'a> {
    /// Understands one member of the body.
    pub fn member(&mut self, key: &'a str, key_span: Range<usize>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        let root = At::ROOT;
        let at = root.key(key);
        match key {
            "model" => self.draft.model(&at, json),
            "input" => self.input(&at, json),
            "max_output_tokens" => {
                self.draft.points.max_output_tokens = Some(self.draft.cap(&at, key_span, json)?);
                Ok(())
            }
            "stream" => self.draft.stream(&at, json),
            _ if json.is_null() && OPTIONAL.contains(&key) => Ok(()),
            _ => self.option(&at, key, json),
        }
    }

    fn option(&mut self, at: &At<'_>, key: &'a str, json: &'a Json<'a>) -> Result<(), BadRequest> {
        match key {
            "instructions" => self.instructions(at, json),
            "tools" => self.tools(at, json),
            "tool_choice" => self.tool_choice(at, json),
            "text" => self.text(at, json),
            "reasoning" => self.reasoning(at, json),
            "include" => self.include(at, json),
            "temperature" | "top_p" | "top_logprobs" => self.sampling(at, key, json),
            "background" | "conversation" => refused(at, key, json),
            "previous_response_id" => {
                self.draft.request.continues = Some(Text::new(at.filled(json)?));
                self.draft.parts.tree(json, Source::Metadata);
                Ok(())
            }
            "stream_options" => self.stream_options(at, json),
            "parallel_tool_calls" => {
                self.draft.request.parallel_tool_calls = Some(at.boolean(json)?);
                Ok(())
            }
            // Ajar itself keeps answers.
            "store" => at.boolean(json).map(drop),
            _ => self.extra(at, key, json),
        }
    }

    fn instructions(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        let text = at.string(json)?;
        self.draft.parts.text(text, Source::System);
        self.instructions = Some(text).filter(|text| !text.is_empty());
        Ok(())
    }

    fn stream_options(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        for member in at.object(json)? {
            match member.key.as_ref() {
                "include_obfuscation" if member.value.is_null() => {}
                "include_obfuscation" => drop(at.key("include_obfuscation").boolean(&member.value)?),
                key => self.draft.unknown(key, &member.value),
            }
        }
        Ok(())
    }

    fn sampling(&mut self, at: &At<'_>, key: &str, json: &'a Json<'a>) -> Result<(), BadRequest> {
        self.draft.parts.tree(json, Source::Parameter);
        match key {
            "temperature" => self.draft.request.sampling.temperature = Some(at.number(json, 0.0..=2.0)?),
            "top_p" => self.draft.request.sampling.top_p = Some(at.number(json, 0.0..=1.0)?),
            _ => self.top_logprobs = Some(at.count(json, 0..=MAX_TOP_LOGPROBS)?),
        }
        Ok(())
    }

    fn reasoning(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        for member in at.object(json)? {
            let (at, value) = (at.key(&member.key), &member.value);
            match member.key.as_ref() {
                "effort" | "summary" | "generate_summary" | "context" | "mode" if value.is_null() => {}
                "effort" => {
                    self.draft.request.reasoning = effort(at.string(value)?);
                    if self.draft.request.reasoning.is_none() {
                        self.draft.unsaid("reasoning_effort");
                    }
                    self.draft.parts.tree(value, Source::Parameter);
                    self.draft.uses.insert(Feature::ReasoningEffort);
                }
                "summary" | "generate_summary" | "context" | "mode" => {
                    at.string(value)?;
                    self.draft.parts.tree(value, Source::Parameter);
                    self.draft.unsaid(match member.key.as_ref() {
                        "context" => "reasoning_context",
                        "mode" => "reasoning_mode",
                        _ => "reasoning_summary",
                    });
                }
                key => self.draft.unknown(key, value),
            }
        }
        Ok(())
    }

    fn include(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        self.draft.parts.tree(json, Source::Parameter);
        for (index, what) in at.array(json)?.iter().enumerate() {
            match at.index(index).string(what)? {
                "message.output_text.logprobs" => self.logprobs = true,
                // Whoever has a seal for its thoughts gives it.
                "reasoning.encrypted_content" => {}
                _ => self.draft.unsaid("include"),
            }
        }
        Ok(())
    }

    fn extra(&mut self, at: &At<'_>, key: &'a str, json: &'a Json<'a>) -> Result<(), BadRequest> {
        let source = match key {
            "user" | "safety_identifier" => {
                self.draft.request.end_user = Some(at.string(json)?.into());
                Source::Metadata
            }
            "metadata" => {
                at.object(json)?;
                self.draft.unsaid("metadata");
                Source::Metadata
            }
            // They only help the provider to be fast.
            "prompt_cache_key" | "prompt_cache_retention" => {
                at.string(json)?;
                Source::Metadata
            }
            "service_tier" => {
                at.string(json)?;
                self.draft.service_tier(json);
                Source::Parameter
            }
            "truncation" => {
                if at.one_of(json, &["auto", "disabled"])? == "auto" {
                    self.draft.unsaid("truncation");
                }
                Source::Parameter
            }
            "max_tool_calls" => {
                at.count(json, 1..=u32::MAX)?;
                self.draft.unsaid("max_tool_calls");
                Source::Parameter
            }
            _ => {
                self.draft.unknown(key, json);
                return Ok(());
            }
        };
        self.draft.parts.tree(json, source);
        Ok(())
    }
}

/// What is kept or run elsewhere than here and now.
fn refused(at: &At<'_>, key: &str, json: &Json<'_>) -> Result<(), BadRequest> {
    match key {
        "background" if !at.boolean(json)? => Ok(()),
        "background" => Err(at.must("be false: answers are not made in the background here", "unsupported_value")),
        _ => Err(at.must("be absent: `previous_response_id` continues a conversation here", "unsupported_parameter")),
    }
}
