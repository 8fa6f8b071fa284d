//! What the tests of all client dialects' decoders have in common.

use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::{BadRequest, Decoded, Dialect, Feature};
use crate::chat::{ChatRequest, Json};

/// Shows `look` what becomes of `body`.
pub fn decoded<T>(dialect: Dialect, body: &str, look: impl FnOnce(Result<Decoded<'_>, BadRequest>) -> T) -> T {
    let json = Json::parse(body.as_bytes()).unwrap();
    look(dialect.decode(body.as_bytes(), &json))
}

/// What `body` asks.
pub fn request(dialect: Dialect, body: &Value) -> ChatRequest {
    decoded(dialect, &body.to_string(), |decoded| decoded.unwrap().request)
}

/// What `body` needs.
pub fn uses(dialect: Dialect, body: &Value) -> Vec<&'static str> {
    decoded(dialect, &body.to_string(), |decoded| decoded.unwrap().uses.iter().map(Feature::name).collect())
}

/// How each of these bodies is refused: field, code and message.
pub fn refusals(dialect: Dialect, bodies: &[Value]) -> String {
    let mut shown = String::new();
    for body in bodies {
        let bad = decoded(dialect, &body.to_string(), |decoded| decoded.expect_err(&body.to_string()));
        shown += &format!("{:<32} {:<27} {}\n", bad.param.as_deref().unwrap_or("-"), bad.code, bad.message);
    }
    shown
}

/// Whether `body` is taken; then all that it says must be among the parts, as often as it stands there.
pub fn all_is_among_the_parts(dialect: Dialect, body: &Value) -> Result<bool, TestCaseError> {
    let mut wanted = HashMap::new();
    leaves(body, &mut wanted);
    decoded(dialect, &body.to_string(), |decoded| {
        let Ok(decoded) = decoded else { return Ok(false) };
        let mut found: HashMap<String, usize> = HashMap::new();
        for part in decoded.parts {
            *found.entry(part.text.into_owned()).or_default() += 1;
        }
        for (text, times) in wanted {
            prop_assert!(found.get(&text).copied().unwrap_or(0) >= times, "{text:?}");
        }
        Ok(true)
    })
}

/// All strings and numbers, and all keys that begin with `x-`, with how often they stand there.
pub fn leaves(value: &Value, found: &mut HashMap<String, usize>) {
    let mut count = |text: String| *found.entry(text).or_default() += 1;
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => count(number.to_string()),
        Value::String(text) => count(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| leaves(item, found)),
        Value::Object(members) => {
            for (key, value) in members {
                if key.starts_with("x-") {
                    *found.entry(key.clone()).or_default() += 1;
                }
                leaves(value, found);
            }
        }
    }
}

/// Any JSON whose keys begin with `x-`.
pub fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(Value::Null), any::<i64>().prop_map(Into::into), ".{0,8}".prop_map(Into::into)];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map("x-.{0,4}", inner, 0..4).prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

/// Unknown members, to be mixed into any object.
pub fn extras() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map("x-[a-z]{1,4}", any_value(), 0..3).prop_map(|m| m.into_iter().collect())
}

/// The object with more members.
pub fn extended(mut value: Value, extra: Map<String, Value>) -> Value {
    value.as_object_mut().unwrap().extend(extra);
    value
}
