//! What a function takes, for families whose calls name each parameter by itself.

use serde_json::{Map, Value};

use super::parameters;
use crate::chat::request::Function;

/// How many references are followed to see of what type a parameter is.
const MAX_REFERENCES: usize = 8;

/// The types of JSON schemas.
const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "null", "object", "array"];

/// A function and its parameters, in the schema's order.
pub(in super::super) struct Signature {
    pub(super) name: String,
    pub(super) parameters: Vec<Parameter>,
    /// Whether it takes parameters that it does not name.
    pub(super) is_open: bool,
}

/// A parameter of a function.
pub(super) struct Parameter {
    pub(super) name: String,
    /// Its schema, with what the whole schema defines.
    pub(super) schema: Map<String, Value>,
    pub(super) is_required: bool,
    /// Of which types it may be.
    types: Vec<&'static str>,
}

impl Signature {
    pub(in super::super) fn of(function: &Function) -> Self {
        let whole = parameters(function);
        let required = whole.get("required").and_then(Value::as_array);
        let is_required = |name: &str| required.is_some_and(|all| all.iter().any(|required| required == name));
        let parameter = |(name, schema): (&String, &Value)| Parameter {
            name: name.clone(),
            schema: standing_alone(schema, &whole),
            is_required: is_required(name),
            types: types(schema, &whole, MAX_REFERENCES),
        };
        let properties = whole.get("properties").and_then(Value::as_object);
        let parameters = properties.into_iter().flatten().map(parameter).collect();
        Self { name: function.name.clone(), parameters, is_open: properties.is_none() }
    }
}

impl Parameter {
    /// Whether it may be a string, which is written as it is.
    pub(super) fn may_be_text(&self) -> bool {
        self.types.contains(&"string")
    }

    /// Whether it can be nothing but a string.
    pub(super) fn is_text(&self) -> bool {
        self.types == ["string"]
    }

    /// The only values that it may have, if these are few.
    pub(super) fn choices(&self) -> Option<Vec<&Value>> {
        let one = self.schema.get("const").map(|value| vec![value]);
        one.or_else(|| Some(self.schema.get("enum")?.as_array()?.iter().collect()))
    }

    /// The value that is written as `text`, in JSON.
    pub(super) fn read(&self, text: &str) -> String {
        let is_meant = |value: &Value| self.types.iter().any(|name| is_of(value, name)) || !self.may_be_text();
        match serde_json::from_str::<Value>(text) {
            // As it was written: a number may have more digits than a number here.
            Ok(value) if !value.is_string() && is_meant(&value) => text.trim().to_owned(),
            _ => Value::from(text).to_string(),
        }
    }
}

/// The value of a parameter that nobody has described.
pub(super) fn read_unknown(text: &str) -> String {
    Value::from(text).to_string()
}

/// `schema` with what it may refer to in `whole`.
fn standing_alone(schema: &Value, whole: &Value) -> Map<String, Value> {
    let mut alone = schema.as_object().cloned().unwrap_or_default();
    for key in ["$defs", "definitions"] {
        if let Some(definitions) = whole.get(key) {
            alone.entry(key).or_insert_with(|| definitions.clone());
        }
    }
    alone
}

/// Of which types what fits `schema` may be; all where that is not said.
fn types(schema: &Value, whole: &Value, references: usize) -> Vec<&'static str> {
    let known = |name: &Value| TYPES.into_iter().find(|known| name == known);
    let of_values = |values: &[Value]| {
        TYPES.into_iter().filter(|name| values.iter().any(|value| is_of(value, name))).collect::<Vec<_>>()
    };
    let all = || TYPES.to_vec();
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = reference.strip_prefix('#').filter(|_| references > 0).and_then(|path| whole.pointer(path));
        return target.map_or_else(all, |target| types(target, whole, references - 1));
    }
    if let Some(value) = schema.get("const") {
        return of_values(std::slice::from_ref(value));
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return of_values(values);
    }
    match schema.get("type") {
        Some(Value::Array(names)) => names.iter().filter_map(known).collect(),
        Some(name) => known(name).map_or_else(all, |name| vec![name]),
        None => {
            let either = ["anyOf", "oneOf"].into_iter().find_map(|key| schema.get(key)?.as_array());
            let of = |schema: &Value| types(schema, whole, references.saturating_sub(1));
            either.map_or_else(all, |schemas| {
                let each: Vec<&str> = schemas.iter().flat_map(of).collect();
                TYPES.into_iter().filter(|name| each.contains(name)).collect()
            })
        }
    }
}

fn is_of(value: &Value, name: &str) -> bool {
    match value {
        Value::Null => name == "null",
        Value::Bool(_) => name == "boolean",
        Value::Number(number) => name == "number" || (name == "integer" && !number.is_f64()),
        Value::String(_) => name == "string",
        Value::Array(_) => name == "array",
        Value::Object(_) => name == "object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn signature(schema: &Value) -> Signature {
        let parameters = Some(schema.to_string().into());
        Signature::of(&Function { name: "f".to_owned(), parameters, ..Function::default() })
    }

    /// How `text` is read as a parameter of this `schema`.
    fn read(schema: &Value, text: &str) -> String {
        signature(&json!({"properties": {"a": schema}, "$defs": {"word": {"type": "string"}}})).parameters[0].read(text)
    }

    #[test]
    fn a_string_stays_one_and_everything_else_is_json_where_it_can_be() {
        for (schema, text, value) in [
            (json!({"type": "string"}), "42", "\"42\""),
            (json!({"$ref": "#/$defs/word"}), "true", "\"true\""),
            (json!({"enum": ["1", "2"]}), "1", "\"1\""),
            (json!({"type": "integer"}), "42", "42"),
            (json!({"type": "integer"}), "many", "\"many\""),
            (json!({"type": "number"}), "123456789012345678901234567890", "123456789012345678901234567890"),
            (json!({"type": "array"}), "[1, \"a\"]", "[1, \"a\"]"),
            (json!({"type": ["string", "null"]}), "null", "null"),
            (json!({"type": ["string", "null"]}), "12", "\"12\""),
            (json!({"anyOf": [{"type": "integer"}, {"$ref": "#/$defs/word"}]}), "12", "12"),
            (json!({"anyOf": [{"type": "integer"}, {"type": "string"}]}), "1.5", "\"1.5\""),
            (json!({}), "{\"x\": 1}", "{\"x\": 1}"),
            (json!({}), "a \"word\"\n", "\"a \\\"word\\\"\\n\""),
        ] {
            assert_eq!(read(&schema, text), value, "{schema}: {text}");
        }
    }

    #[test]
    fn references_that_go_in_circles_or_nowhere_leave_every_type() {
        for target in ["#/$defs/loop", "#/nowhere", "elsewhere"] {
            let schema = json!({"properties": {"a": {"$ref": target}}, "$defs": {"loop": {"$ref": "#/$defs/loop"}}});
            let signature = signature(&schema);
            assert!(signature.parameters[0].may_be_text() && !signature.parameters[0].is_text(), "{target}");
        }
    }
}
