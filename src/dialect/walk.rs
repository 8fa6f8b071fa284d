//! Every string, number and free key of a body, as parts.

use std::borrow::Cow;

use super::BadRequest;
use crate::chat::json::Value;
use crate::chat::{Json, Part, Source};

/// How many layers of JSON in strings of JSON are looked through.
pub const MAX_LAYERS: usize = 16;

/// The parts found so far.
#[derive(Default)]
pub struct Parts<'a> {
    /// In the order of the body.
    pub all: Vec<Part<'a>>,
    /// Whether JSON stands in strings of JSON in more layers than are looked through.
    pub too_deep: bool,
}

impl<'a> Parts<'a> {
    /// All of them.
    ///
    /// # Errors
    /// Where some hide deeper than is looked.
    pub fn whole(self) -> Result<Vec<Part<'a>>, BadRequest> {
        if self.too_deep {
            let message = format!("the body holds JSON in strings of JSON in more than {MAX_LAYERS} layers");
            return Err(BadRequest { message, param: None, code: "nested_too_deep" });
        }
        Ok(self.all)
    }

    /// Adds the value if it is a string or a number, and all below it, keys included.
    pub fn tree(&mut self, json: &'a Json<'a>, source: Source) {
        match &json.value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(digits) => self.text(digits, source),
            Value::String(text) => self.text(text, source),
            Value::Array(items) => items.iter().for_each(|item| self.tree(item, source)),
            Value::Object(members) => {
                for member in members {
                    self.text(&member.key, source);
                    self.tree(&member.value, source);
                }
            }
        }
    }

    /// Adds one text and, where it is JSON with escapes, what these stand for: they can hide any word.
    pub fn text(&mut self, text: &'a str, source: Source) {
        self.all.push(Part { source, text: Cow::Borrowed(text) });
        if begins_as_json(text) {
            self.layers(text, source, 0);
        }
    }

    /// As [`Parts::text`], for a text that should be JSON, whatever it begins with.
    pub fn json_text(&mut self, text: &'a str, source: Source) {
        self.all.push(Part { source, text: Cow::Borrowed(text) });
        self.layers(text, source, 0);
    }

    /// Adds what a text that is a part already stands for.
    pub fn spelt(&mut self, text: &str, source: Source) {
        self.leaf(text, source, 0);
    }

    /// What stands in JSON, and in JSON in its strings.
    fn layers(&mut self, text: &str, source: Source, outside: usize) {
        if !text.contains('\\') {
            return;
        }
        if outside == MAX_LAYERS {
            self.too_deep = true;
            return;
        }
        match Json::parse(text.as_bytes()) {
            Ok(json) => self.leaves(&json, source, outside + 1),
            // A laxer parser may accept what is refused here.
            Err(_) => match unescape(text) {
                // A last backslash stands for itself.
                same if same == text => self.all.push(Part { source, text: Cow::Owned(same) }),
                plain => self.leaf(&plain, source, outside + 1),
            },
        }
    }

    fn leaves(&mut self, json: &Json<'_>, source: Source, layer: usize) {
        match &json.value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(digits) => self.leaf(digits, source, layer),
            Value::String(text) => self.leaf(text, source, layer),
            Value::Array(items) => items.iter().for_each(|item| self.leaves(item, source, layer)),
            Value::Object(members) => {
                for member in members {
                    self.leaf(&member.key, source, layer);
                    self.leaves(&member.value, source, layer);
                }
            }
        }
    }

    fn leaf(&mut self, text: &str, source: Source, layer: usize) {
        self.all.push(Part { source, text: Cow::Owned(text.to_owned()) });
        if begins_as_json(text) {
            self.layers(text, source, layer);
        }
    }
}

fn begins_as_json(text: &str) -> bool {
    text.trim_ascii_start().starts_with(['{', '[', '"'])
}

/// The text with all JSON escapes resolved, wherever they stand; what is no escape stays.
fn unescape(text: &str) -> String {
    let mut units = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            units.extend(c.encode_utf16(&mut [0; 2]).iter());
            continue;
        }
        let hex = rest.as_str().strip_prefix('u').and_then(|r| r.get(..4));
        if let Some(unit) = hex.and_then(|h| u16::from_str_radix(h, 16).ok()) {
            units.push(unit);
            rest = rest.as_str()[5..].chars();
            continue;
        }
        let escaped = match rest.next() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some(other) => other,
            None => '\\',
        };
        units.extend(escaped.encode_utf16(&mut [0; 2]).iter());
    }
    // Surrogates come in pairs, or stand for nothing.
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(json_text: &str) -> Vec<String> {
        let mut parts = Parts::default();
        parts.json_text(json_text, Source::ToolArguments);
        assert!(!parts.too_deep);
        parts.all.into_iter().map(|part| part.text.into_owned()).collect()
    }

    #[test]
    fn escapes_in_json_text_are_looked_through() {
        let hidden = r#"{"n\u0061me":"4\u0031\u0031\u0031","k":[7,"a\\b"]}"#;
        assert_eq!(texts(hidden), [hidden, "name", "4111", "k", "7", "a\\b"]);
        assert_eq!(texts(r#"{"a":1}"#), [r#"{"a":1}"#]);
    }

    /// The text in a string of JSON, in a string of JSON, and so on.
    fn nested(text: &str, layers: usize) -> String {
        (0..layers).fold(text.to_owned(), |text, _| serde_json::json!({ "a": [text] }).to_string())
    }

    #[test]
    fn json_in_strings_of_json_is_looked_through_to_the_bottom_and_too_many_layers_are_told() {
        let hidden = "41\n11";
        for layers in 1..=MAX_LAYERS {
            assert_eq!(texts(&nested(hidden, layers)).last().map(String::as_str), Some(hidden), "{layers}");
        }
        let (mut parts, deep) = (Parts::default(), nested(hidden, MAX_LAYERS + 1));
        parts.text(&deep, Source::User);
        assert!(parts.too_deep);
    }

    #[test]
    fn a_text_that_begins_as_json_is_looked_through_wherever_it_stands() {
        let found = |text: &str| {
            let mut parts = Parts::default();
            parts.text(text, Source::Unknown);
            parts.all.len()
        };
        assert_eq!(found(" [\"a\\nb\"]"), 2);
        assert_eq!(found("\"a\\nb\""), 2);
        assert_eq!(found("[\"ab\"]"), 1, "it hides nothing");
        assert_eq!(found("say a\\nb"), 1);
    }

    #[test]
    fn escapes_are_looked_through_even_where_the_text_is_no_strict_json() {
        let twice = r#"{"a":"\u0034\u0031","a":"\ud83d\ude00\n"}"#;
        assert_eq!(texts(twice), [twice, "{\"a\":\"41\",\"a\":\"😀\n\"}"]);
        for cut in [r"\", r#"["\"#, r"\u", r"\u12", r"\u12é4", r"x\ud800"] {
            assert_eq!(texts(cut).len(), 2);
        }
    }
}
