//! Objects that stand in several of OpenAI's dialects.

use std::ops::Range;

use crate::chat::request::{Effort, Function, Reasoning, Schema};
use crate::chat::{Grammar, Json, ResponseFormat, Source, grammar};
use crate::dialect::draft::Draft;
use crate::dialect::edit::OptionsPoint;
use crate::dialect::field::At;
use crate::dialect::{BadRequest, Feature};

/// A function that the model may call: `name`, `description`, `parameters` and `strict`. All of it is a part already, and
/// members `beside` these are understood elsewhere.
///
/// # Errors
/// What is wrong with it.
pub fn function<'a>(
    draft: &mut Draft<'a>,
    at: &At<'_>,
    json: &'a Json<'a>,
    beside: &[&str],
) -> Result<Function, BadRequest> {
    let name = at.key("name").filled(at.required(json, "name")?)?.to_owned();
    let mut function = Function { name, ..Function::default() };
    for member in at.object(json)?.iter().filter(|member| !member.value.is_null()) {
        let (at, value) = (at.key(&member.key), &member.value);
        match member.key.as_ref() {
            "name" => {}
            "description" => function.description = Some(at.string(value)?.into()),
            "parameters" => function.parameters = Some(draft.verbatim(value)),
            "strict" => function.strict = Some(at.boolean(value)?),
            key if beside.contains(&key) => {}
            _ => draft.unknown_value(value),
        }
    }
    Ok(function)
}

/// A form of answers: `name`, `description`, `schema` and `strict`; otherwise as [`function`].
///
/// # Errors
/// What is wrong with it.
pub fn schema<'a>(
    draft: &mut Draft<'a>,
    at: &At<'_>,
    json: &'a Json<'a>,
    beside: &[&str],
) -> Result<Schema, BadRequest> {
    let name = at.key("name").filled(at.required(json, "name")?)?.to_owned();
    let mut schema = Schema { name, ..Schema::default() };
    for member in at.object(json)?.iter().filter(|member| !member.value.is_null()) {
        let (at, value) = (at.key(&member.key), &member.value);
        match member.key.as_ref() {
            "name" => {}
            "description" => schema.description = Some(at.string(value)?.into()),
            "schema" => {
                at.object(value)?;
                schema.schema = Some(draft.verbatim(value));
            }
            "strict" => schema.strict = Some(at.boolean(value)?),
            key if beside.contains(&key) => {}
            _ => draft.unknown_value(value),
        }
    }
    Ok(schema)
}

/// A grammar in GBNF. Its text is a part already; what it spells by escapes becomes one.
///
/// # Errors
/// Where it is none.
pub fn grammar<'a>(draft: &mut Draft<'a>, at: &At<'_>, json: &'a Json<'a>) -> Result<ResponseFormat, BadRequest> {
    let text = at.filled(json)?;
    let grammar = grammar::read(text).map_err(|wrong| at.invalid(format_args!("be a grammar in GBNF: {wrong}")))?;
    Ok(spelling(draft, text, grammar))
}

/// A regular expression; otherwise as [`grammar`].
///
/// # Errors
/// Where it is none that can be held.
pub fn regex<'a>(draft: &mut Draft<'a>, at: &At<'_>, json: &'a Json<'a>) -> Result<ResponseFormat, BadRequest> {
    let text = at.filled(json)?;
    let grammar =
        grammar::read_regex(text).map_err(|wrong| at.invalid(format_args!("be a regular expression: {wrong}")))?;
    Ok(spelling(draft, text, grammar))
}

/// The form of `grammar`, which was written as `text`.
fn spelling(draft: &mut Draft<'_>, text: &str, grammar: Grammar) -> ResponseFormat {
    let hidden = grammar.texts().into_iter().filter(|spelt| !text.contains(spelt));
    hidden.for_each(|spelt| draft.parts.spelt(spelt, Source::ToolDefinition));
    draft.uses.insert(Feature::Grammar);
    ResponseFormat::Grammar(grammar)
}

/// Understands `stream_options`, whose key stands at `key`: whether it asks for usage, where it says anything.
///
/// # Errors
/// What is wrong with it.
pub fn stream_options<'a>(
    draft: &mut Draft<'a>,
    at: &At<'_>,
    key: Range<usize>,
    json: &'a Json<'a>,
) -> Result<Option<bool>, BadRequest> {
    let mut point = OptionsPoint { key, span: json.span.clone(), empty: true, include_usage: None };
    let mut asks = None;
    if !json.is_null() {
        asks = Some(false);
        for member in at.object(json)? {
            point.empty = false;
            let (at, json) = (at.key(&member.key), &member.value);
            match member.key.as_ref() {
                "include_usage" => {
                    let asked = !json.is_null() && at.boolean(json)?;
                    asks = Some(asked);
                    point.include_usage = Some((json.span.clone(), asked));
                }
                "include_obfuscation" => {
                    let _ = json.is_null() || at.boolean(json)?;
                }
                key => draft.unknown(key, json),
            }
        }
    }
    draft.points.stream_options = Some(point);
    Ok(asks)
}

/// How hard to think; `None` for a word that nobody knows.
pub fn effort(word: &str) -> Option<Reasoning> {
    Some(match word {
        "none" => Reasoning::Off,
        "minimal" => Reasoning::Effort(Effort::Minimal),
        "low" => Reasoning::Effort(Effort::Low),
        "medium" => Reasoning::Effort(Effort::Medium),
        "high" => Reasoning::Effort(Effort::High),
        "xhigh" | "max" => Reasoning::Effort(Effort::Max),
        _ => return None,
    })
}
