//! Calls that name each parameter by itself: strings are written as they are, everything else as JSON.

use serde_json::Value;

use super::super::super::EngineError;
use super::super::super::form;
use super::super::parameter::{Parameter, Signature};
use super::{Function, literal, parameters};

/// Ends a parameter's value.
const END: &str = "\n</parameter>\n";

/// What a schema may say of all arguments and still be enforced as a whole.
const WHOLE: [&str; 12] = [
    "type",
    "properties",
    "required",
    "additionalProperties",
    "$defs",
    "definitions",
    "title",
    "description",
    "examples",
    "default",
    "$schema",
    "$id",
];

/// What it may say of a string.
const TEXT: [&str; 12] = [
    "type",
    "enum",
    "const",
    "minLength",
    "maxLength",
    "$defs",
    "definitions",
    "title",
    "description",
    "examples",
    "default",
    "$comment",
];

/// The rules of a call of one of `functions`.
pub(super) fn objects(functions: &[&Function]) -> Result<String, EngineError> {
    let all: Vec<String> = (0..functions.len()).map(|at| format!("function_{at}")).collect();
    let mut rules =
        format!("object: {}\nunnamed: /<parameter=[^>\\n]+>/ \"\\n\" any\n{}", all.join(" | "), text("any", 0, None));
    for (at, function) in functions.iter().enumerate() {
        rules += &self::function(at, function)?;
    }
    Ok(rules)
}

fn function(at: usize, function: &Function) -> Result<String, EngineError> {
    let is_strict = function.strict.unwrap_or(false);
    let schema = parameters(function);
    if !schema.is_object() || (is_strict && !says_only(&schema, &WHOLE)) {
        return Err(form::UNENFORCEABLE);
    }
    let signature = Signature::of(function);
    let head = literal(&format!("<function={}>\n", function.name));
    let mut line = format!("function_{at}: {head}");
    let mut rules = String::new();
    for (number, parameter) in signature.parameters.iter().enumerate() {
        let name = format!("parameter_{at}_{number}");
        line += &format!(" {name}{}", if parameter.is_required { "" } else { "?" });
        rules += &self::parameter(&name, parameter, is_strict)?;
    }
    if signature.is_open {
        line += " unnamed*";
    }
    Ok(format!("{line} \"</function>\"\n{rules}"))
}

fn parameter(name: &str, parameter: &Parameter, is_strict: bool) -> Result<String, EngineError> {
    let head = literal(&format!("<parameter={}>\n", parameter.name));
    let begin = format!("{name}: {head} {name}_value\n");
    if let Some(values) = parameter.choices() {
        let written = |value: &&Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let values: Vec<String> = values.iter().map(|value| literal(&(written(value) + END))).collect();
        return Ok(format!("{begin}{name}_value: {}\n", values.join(" | ")));
    }
    if !parameter.may_be_text() {
        let schema = form::styled(parameter.schema.clone(), is_strict);
        return Ok(format!("{begin}{name}_value: {name}_json {}\n{name}_json: %json {schema}\n", literal(END)));
    }
    let is_enforced = parameter.is_text() && says_only(&Value::from(parameter.schema.clone()), &TEXT);
    if is_strict && !is_enforced {
        return Err(form::UNENFORCEABLE);
    }
    let length = |key: &str| parameter.schema.get(key).and_then(Value::as_u64).filter(|_| parameter.is_text());
    Ok(begin + &text(&format!("{name}_value"), length("minLength").unwrap_or(0), length("maxLength")))
}

/// The rule of a text that ends where a line says so.
fn text(name: &str, least: u64, most: Option<u64>) -> String {
    let most = most.map(|most| most.to_string()).unwrap_or_default();
    let times = if least == 0 && most.is_empty() { "*".to_owned() } else { format!("{{{least},{most}}}") };
    format!("{name}[suffix={}]: /(?s:.){times}/\n", literal(END))
}

fn says_only(schema: &Value, words: &[&str]) -> bool {
    schema.as_object().is_some_and(|schema| schema.keys().all(|key| words.contains(&key.as_str())))
}
