//! The fields beside `messages`.

use std::ops::Range;

use super::super::field::At;
use super::super::uses::Feature;
use super::{BadRequest, CapPoint, Decoder, OptionsPoint, optional};
use crate::chat::{Json, ResponseFormat, Source};

/// As many stop strings as OpenAI takes.
const MAX_STOPS: usize = 4;
/// As many choices as OpenAI takes.
const MAX_CHOICES: u32 = 128;
/// As many alternatives per token as OpenAI takes.
const MAX_TOP_LOGPROBS: u32 = 20;
/// Longest model name.
const MAX_MODEL: usize = 256;

impl<'a> Decoder<'a> {
    /// Understands one member of the body.
    pub fn member(&mut self, key: &'a str, key_span: Range<usize>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        let root = At::ROOT;
        let at = root.key(key);
        match key {
            "model" => self.model(&at, json),
            "messages" => self.messages(&at, json),
            "max_tokens" | "max_completion_tokens" => self.cap(&at, key, key_span, json),
            "stream_options" => self.stream_options(&at, json),
            "stream" => self.stream_flag(&at, json),
            "temperature" | "top_p" | "n" | "seed" | "stop" | "presence_penalty" | "frequency_penalty"
            | "logit_bias" | "logprobs" | "top_logprobs" => optional(json, || self.sampling(&at, key, json)),
            "tools" | "tool_choice" | "parallel_tool_calls" | "functions" | "function_call" => {
                optional(json, || self.tooling(&at, key, json))
            }
            "response_format" => optional(json, || self.response_format(&at, json)),
            _ => match Extra::named(key) {
                Some(extra) => optional(json, || self.extra(&at, extra, json)),
                None => {
                    self.unknown(key, json);
                    Ok(())
                }
            },
        }
    }

    fn model(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        if json.is_null() {
            return Err(at.missing());
        }
        let model = at.filled(json)?;
        if model.len() > MAX_MODEL {
            return Err(at.invalid(format_args!("have at most {MAX_MODEL} bytes")));
        }
        self.points.model = json.span.clone();
        self.request.model = model.to_owned();
        self.parts.text(model, Source::Parameter);
        Ok(())
    }

    fn stream_flag(&mut self, at: &At<'_>, json: &Json<'_>) -> Result<(), BadRequest> {
        self.points.stream = Some(json.span.clone());
        self.stream = !json.is_null() && at.boolean(json)?;
        if self.stream {
            self.uses.insert(Feature::Stream);
        }
        Ok(())
    }

    fn cap(&mut self, at: &At<'_>, key: &str, key_span: Range<usize>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        let value = if json.is_null() { None } else { Some(at.count(json, 1..=u32::MAX)?) };
        self.parts.tree(json, Source::Parameter);
        self.request.sampling.max_tokens = value.or(self.request.sampling.max_tokens);
        let point = Some(CapPoint { key: key_span, span: json.span.clone(), value });
        match key {
            "max_tokens" => self.points.max_tokens = point,
            _ => self.points.max_completion_tokens = point,
        }
        Ok(())
    }

    fn stream_options(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        let mut point = OptionsPoint { span: json.span.clone(), empty: true, include_usage: None };
        if !json.is_null() {
            self.include_usage = Some(false);
            for member in at.object(json)? {
                point.empty = false;
                self.stream_option(at, &member.key, &member.value, &mut point)?;
            }
        }
        self.points.stream_options = Some(point);
        Ok(())
    }

    fn stream_option(
        &mut self,
        at: &At<'_>,
        key: &'a str,
        json: &'a Json<'a>,
        point: &mut OptionsPoint,
    ) -> Result<(), BadRequest> {
        match key {
            "include_usage" => {
                let asked = !json.is_null() && at.key("include_usage").boolean(json)?;
                self.include_usage = Some(asked);
                point.include_usage = Some((json.span.clone(), asked));
            }
            "include_obfuscation" if !json.is_null() => {
                at.key("include_obfuscation").boolean(json)?;
            }
            "include_obfuscation" => {}
            _ => self.unknown(key, json),
        }
        Ok(())
    }

    fn sampling(&mut self, at: &At<'_>, key: &str, json: &'a Json<'a>) -> Result<(), BadRequest> {
        self.parts.tree(json, Source::Parameter);
        let sampling = &mut self.request.sampling;
        match key {
            "temperature" => sampling.temperature = Some(at.number(json, 0.0..=2.0)?),
            "top_p" => sampling.top_p = Some(at.number(json, 0.0..=1.0)?),
            "presence_penalty" => sampling.presence_penalty = Some(at.number(json, -2.0..=2.0)?),
            "frequency_penalty" => sampling.frequency_penalty = Some(at.number(json, -2.0..=2.0)?),
            "seed" => sampling.seed = Some(at.integer(json, i64::MIN..=i64::MAX)?),
            "stop" => sampling.stop = stops(at, json)?,
            "n" => {
                sampling.n = Some(at.count(json, 1..=MAX_CHOICES)?);
                if sampling.n > Some(1) {
                    self.uses.insert(Feature::SeveralChoices);
                }
            }
            "logit_bias" => {
                sampling.logit_bias = logit_bias(at, json)?;
                if !sampling.logit_bias.is_empty() {
                    self.uses.insert(Feature::LogitBias);
                }
            }
            "top_logprobs" => self.top_logprobs = Some(at.count(json, 0..=MAX_TOP_LOGPROBS)?),
            _ => {
                self.logprobs = at.boolean(json)?;
                if self.logprobs {
                    self.uses.insert(Feature::Logprobs);
                }
            }
        }
        Ok(())
    }

    fn tooling(&mut self, at: &At<'_>, key: &str, json: &'a Json<'a>) -> Result<(), BadRequest> {
        self.parts.tree(json, Source::ToolDefinition);
        match key {
            "tools" => {
                for (index, tool) in at.array(json)?.iter().enumerate() {
                    self.tool(&at.index(index), tool)?;
                }
            }
            "tool_choice" => {
                match json.as_str() {
                    Some(_) => drop(at.one_of(json, &["none", "auto", "required"])?),
                    None => drop(json.as_object().ok_or_else(|| at.wrong_type("a string or an object", json))?),
                }
                self.request.tool_choice = Some(self.verbatim(json));
            }
            "parallel_tool_calls" => drop(at.boolean(json)?),
            _ => self.uses.insert(Feature::LegacyFunctions),
        }
        Ok(())
    }

    fn tool(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        self.uses.insert(Feature::Tools);
        if at.key("type").filled(at.required(json, "type")?)? == "function" {
            let function = at.required(json, "function")?;
            let at = at.key("function");
            at.key("name").filled(at.required(function, "name")?)?;
        } else {
            self.uses.insert(Feature::CustomTools);
        }
        self.request.tools.push(self.verbatim(json));
        Ok(())
    }

    fn response_format(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        self.parts.tree(json, Source::ToolDefinition);
        let kind = at.key("type").one_of(at.required(json, "type")?, &["text", "json_object", "json_schema"])?;
        self.request.response_format = match kind {
            "json_schema" => {
                let schema = at.required(json, "json_schema")?;
                let at = at.key("json_schema");
                at.key("name").filled(at.required(schema, "name")?)?;
                self.uses.insert(Feature::JsonSchema);
                ResponseFormat::JsonSchema(self.verbatim(schema))
            }
            "json_object" => {
                self.uses.insert(Feature::JsonObject);
                ResponseFormat::JsonObject
            }
            _ => ResponseFormat::Text,
        };
        Ok(())
    }

    fn extra(&mut self, at: &At<'_>, extra: Extra, json: &'a Json<'a>) -> Result<(), BadRequest> {
        let is_used = match extra.shape {
            Shape::Text => at.string(json).map(|_| true)?,
            Shape::Object => at.object(json).map(|_| true)?,
            Shape::Flag => at.boolean(json)?,
            Shape::Modalities => asks_for_audio(at, json)?,
        };
        self.parts.tree(json, extra.source);
        if let Some(need) = extra.need.filter(|_| is_used) {
            self.uses.insert(need);
        }
        Ok(())
    }
}

/// A field that the dialect knows and that has no neutral word: it has a type, a provenance and perhaps a need.
struct Extra {
    shape: Shape,
    source: Source,
    need: Option<Feature>,
}

enum Shape {
    Text,
    Object,
    Flag,
    Modalities,
}

impl Extra {
    fn named(key: &str) -> Option<Self> {
        let (shape, source, need) = match key {
            "user" | "safety_identifier" => (Shape::Text, Source::Metadata, None),
            "prompt_cache_key" | "prompt_cache_retention" => (Shape::Text, Source::Metadata, None),
            "metadata" => (Shape::Object, Source::Metadata, None),
            "store" => (Shape::Flag, Source::Metadata, Some(Feature::Store)),
            "service_tier" => (Shape::Text, Source::Parameter, None),
            "reasoning_effort" => (Shape::Text, Source::Parameter, Some(Feature::ReasoningEffort)),
            "verbosity" => (Shape::Text, Source::Parameter, Some(Feature::Verbosity)),
            "modalities" => (Shape::Modalities, Source::Parameter, Some(Feature::AudioOutput)),
            "audio" => (Shape::Object, Source::Parameter, Some(Feature::AudioOutput)),
            "web_search_options" => (Shape::Object, Source::Metadata, Some(Feature::WebSearch)),
            "prediction" => (Shape::Object, Source::User, Some(Feature::Prediction)),
            _ => return None,
        };
        Some(Self { shape, source, need })
    }
}

fn stops(at: &At<'_>, json: &Json<'_>) -> Result<Vec<String>, BadRequest> {
    if let Some(stop) = json.as_str() {
        return if stop.is_empty() { Err(at.invalid("not be empty")) } else { Ok(vec![stop.to_owned()]) };
    }
    let stops = json.as_array().ok_or_else(|| at.wrong_type("a string or an array of strings", json))?;
    if stops.len() > MAX_STOPS {
        return Err(at.invalid(format_args!("have at most {MAX_STOPS} entries")));
    }
    stops.iter().enumerate().map(|(i, stop)| at.index(i).filled(stop).map(str::to_owned)).collect()
}

fn logit_bias(at: &At<'_>, json: &Json<'_>) -> Result<Vec<(u32, f64)>, BadRequest> {
    let members = json.as_object().ok_or_else(|| at.wrong_type("an object", json))?;
    let entry = |key: &str, value: &Json<'_>| {
        let id = key.parse().map_err(|_| at.invalid("have token ids as keys"))?;
        let bias = value.as_f64().filter(|bias| (-100.0..=100.0).contains(bias));
        Ok((id, bias.ok_or_else(|| at.invalid("have numbers between -100 and 100 as values"))?))
    };
    members.iter().map(|member| entry(&member.key, &member.value)).collect()
}

fn asks_for_audio(at: &At<'_>, json: &Json<'_>) -> Result<bool, BadRequest> {
    let modalities = json.as_array().ok_or_else(|| at.wrong_type("an array", json))?;
    let mut audio = false;
    for (index, modality) in modalities.iter().enumerate() {
        audio |= at.index(index).one_of(modality, &["text", "audio"])? == "audio";
    }
    Ok(audio)
}
