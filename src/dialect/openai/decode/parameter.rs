//! The fields beside `messages`.

use std::ops::Range;

use super::{Decoder, form};
use crate::chat::{Json, ResponseFormat, Source, Text, Tool, ToolChoice};
use crate::dialect::field::{At, optional};
use crate::dialect::openai::{sampling, shape};
use crate::dialect::{BadRequest, Feature};

/// As many alternatives per token as OpenAI takes.
const MAX_TOP_LOGPROBS: u32 = 20;

impl<'a> Decoder<'a> {
    /// Understands one member of the body.
    pub fn member(&mut self, key: &'a str, key_span: Range<usize>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        let root = At::ROOT;
        let at = root.key(key);
        match key {
            "model" => self.draft.model(&at, json),
            "messages" => self.messages(&at, json),
            "max_tokens" | "max_completion_tokens" => self.cap(&at, key, key_span, json),
            "stream_options" => {
                self.include_usage = shape::stream_options(&mut self.draft, &at, key_span, json)?;
                Ok(())
            }
            "stream" => self.draft.stream(&at, json),
            "logprobs" | "top_logprobs" => optional(json, || self.likelihoods(&at, key, json)),
            _ if sampling::KEYS.contains(&key) => optional(json, || sampling::read(&mut self.draft, &at, key, json)),
            "tools" | "tool_choice" | "parallel_tool_calls" | "functions" | "function_call" => {
                optional(json, || self.tooling(&at, key, json))
            }
            "response_format" => optional(json, || self.response_format(&at, json)),
            _ => match (Extra::named(key), form::field(key)) {
                (Some(extra), _) => optional(json, || self.extra(&at, extra, json)),
                (None, Some(field)) => optional(json, || self.form(&at, field, json)),
                (None, None) => {
                    self.unknown(key, json);
                    Ok(())
                }
            },
        }
    }

    fn cap(&mut self, at: &At<'_>, key: &str, key_span: Range<usize>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        let point = Some(self.draft.cap(at, key_span, json)?);
        match key {
            "max_tokens" => self.draft.points.max_tokens = point,
            _ => self.draft.points.max_completion_tokens = point,
        }
        Ok(())
    }

    fn likelihoods(&mut self, at: &At<'_>, key: &str, json: &'a Json<'a>) -> Result<(), BadRequest> {
        self.draft.parts.tree(json, Source::Parameter);
        match key {
            "top_logprobs" => self.top_logprobs = Some(at.count(json, 0..=MAX_TOP_LOGPROBS)?),
            _ => {
                self.logprobs = at.boolean(json)?;
                if self.logprobs {
                    self.draft.uses.insert(Feature::Logprobs);
                }
            }
        }
        Ok(())
    }

    fn tooling(&mut self, at: &At<'_>, key: &str, json: &'a Json<'a>) -> Result<(), BadRequest> {
        self.draft.parts.tree(json, Source::ToolDefinition);
        match key {
            "tools" => {
                for (index, tool) in at.array(json)?.iter().enumerate() {
                    self.tool(&at.index(index), tool)?;
                }
            }
            "tool_choice" => self.draft.request.tool_choice = Some(self.tool_choice(at, json)?),
            "parallel_tool_calls" => self.draft.request.parallel_tool_calls = Some(at.boolean(json)?),
            _ => self.draft.uses.insert(Feature::LegacyFunctions),
        }
        Ok(())
    }

    fn tool(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        self.draft.uses.insert(Feature::Tools);
        let tool = if at.key("type").filled(at.required(json, "type")?)? == "function" {
            let function = at.required(json, "function")?;
            Tool::Function(shape::function(&mut self.draft, &at.key("function"), function, &[])?)
        } else {
            self.draft.uses.insert(Feature::CustomTools);
            Tool::Other(self.draft.verbatim(json))
        };
        self.draft.request.tools.push(tool);
        Ok(())
    }

    fn tool_choice(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<ToolChoice, BadRequest> {
        if json.as_str().is_some() {
            return Ok(match at.one_of(json, &["none", "auto", "required"])? {
                "none" => ToolChoice::None,
                "required" => ToolChoice::Required,
                _ => ToolChoice::Auto,
            });
        }
        json.as_object().ok_or_else(|| at.wrong_type("a string or an object", json))?;
        let named = json.get("function").and_then(|function| function.get("name")).and_then(Json::as_str);
        match named.filter(|_| json.get("type").and_then(Json::as_str) == Some("function")) {
            Some(name) => Ok(ToolChoice::Named(name.to_owned())),
            None => {
                self.draft.uses.insert(Feature::CustomTools);
                Ok(ToolChoice::Other(self.draft.verbatim(json)))
            }
        }
    }

    fn response_format(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        self.draft.parts.tree(json, Source::ToolDefinition);
        let kind =
            at.key("type").one_of(at.required(json, "type")?, &["text", "json_object", "json_schema", "grammar"])?;
        self.draft.request.response_format = match kind {
            "json_schema" => {
                let schema = at.required(json, "json_schema")?;
                self.draft.uses.insert(Feature::JsonSchema);
                ResponseFormat::JsonSchema(shape::schema(&mut self.draft, &at.key("json_schema"), schema, &[])?)
            }
            "json_object" => {
                self.draft.uses.insert(Feature::JsonObject);
                ResponseFormat::JsonObject
            }
            "grammar" => shape::grammar(&mut self.draft, &at.key("grammar"), at.required(json, "grammar")?)?,
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
        self.draft.parts.tree(json, extra.source);
        match extra.word {
            Word::EndUser => self.draft.request.end_user = json.as_str().map(Into::into),
            Word::Effort => {
                self.draft.request.reasoning = json.as_str().and_then(shape::effort);
                if self.draft.request.reasoning.is_none() {
                    self.draft.unsaid(extra.name);
                }
            }
            Word::Prediction => self.draft.request.prediction = prediction(json),
            Word::Tier => self.draft.service_tier(json),
            Word::Nothing => self.draft.unsaid(extra.name),
            Word::Hint => {}
        }
        if let Some(need) = extra.need.filter(|_| is_used) {
            self.draft.uses.insert(need);
        }
        Ok(())
    }
}

/// A field that the dialect knows and little is to be done about: it has a type, a provenance and perhaps a need.
struct Extra {
    name: &'static str,
    shape: Shape,
    word: Word,
    source: Source,
    need: Option<Feature>,
}

/// What stands for a field in neutral words.
enum Word {
    EndUser,
    Effort,
    Prediction,
    /// Whether it may wait; the rest is the dialect's.
    Tier,
    /// Nothing, and nothing is lost: it only helps the provider to be fast.
    Hint,
    /// Nothing, so that other dialects are not told of it.
    Nothing,
}

enum Shape {
    Text,
    Object,
    Flag,
    Modalities,
}

impl Extra {
    fn named(key: &str) -> Option<Self> {
        use Shape::{Flag, Modalities, Object, Text};
        use Word::{Effort, EndUser, Hint, Nothing, Prediction, Tier};
        let (name, shape, source, word, need) = match key {
            "user" => ("user", Text, Source::Metadata, EndUser, None),
            "safety_identifier" => ("safety_identifier", Text, Source::Metadata, EndUser, None),
            "prompt_cache_key" => ("prompt_cache_key", Text, Source::Metadata, Hint, None),
            "prompt_cache_retention" => ("prompt_cache_retention", Text, Source::Metadata, Hint, None),
            "metadata" => ("metadata", Object, Source::Metadata, Nothing, None),
            "store" => ("store", Flag, Source::Metadata, Hint, Some(Feature::Store)),
            "service_tier" => ("service_tier", Text, Source::Parameter, Tier, None),
            "reasoning_effort" => ("reasoning_effort", Text, Source::Parameter, Effort, Some(Feature::ReasoningEffort)),
            "verbosity" => ("verbosity", Text, Source::Parameter, Hint, Some(Feature::Verbosity)),
            "modalities" => ("modalities", Modalities, Source::Parameter, Hint, Some(Feature::AudioOutput)),
            "audio" => ("audio", Object, Source::Parameter, Hint, Some(Feature::AudioOutput)),
            "web_search_options" => ("web_search_options", Object, Source::Metadata, Hint, Some(Feature::WebSearch)),
            "prediction" => ("prediction", Object, Source::User, Prediction, Some(Feature::Prediction)),
            _ => return None,
        };
        Some(Self { name, shape, word, source, need })
    }
}

/// The text of a predicted answer: a string, or the texts of its parts. It only helps to be fast, so one that says nothing
/// intelligible is none.
fn prediction(json: &Json<'_>) -> Option<Text> {
    let content = json.get("content")?;
    let part = |part: &Json<'_>| part.get("text").and_then(Json::as_str).map(str::to_owned);
    match content.as_array() {
        Some(parts) => Some(parts.iter().filter_map(part).collect::<String>().into()),
        None => content.as_str().map(Into::into),
    }
}

fn asks_for_audio(at: &At<'_>, json: &Json<'_>) -> Result<bool, BadRequest> {
    let modalities = json.as_array().ok_or_else(|| at.wrong_type("an array", json))?;
    let mut audio = false;
    for (index, modality) in modalities.iter().enumerate() {
        audio |= at.index(index).one_of(modality, &["text", "audio"])? == "audio";
    }
    Ok(audio)
}
