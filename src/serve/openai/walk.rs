//! Every string, number and free key of a body, as parts.

use std::borrow::Cow;

use crate::chat::json::Value;
use crate::chat::{Json, Part, Source};

/// The parts found so far.
#[derive(Default)]
pub struct Parts<'a>(pub Vec<Part<'a>>);

impl<'a> Parts<'a> {
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

    /// Adds one text.
    pub fn text(&mut self, text: &'a str, source: Source) {
        self.0.push(Part { source, text: Cow::Borrowed(text) });
    }

    /// Adds `text` and, where it is JSON with escapes, what the escapes stand for: they can hide any word.
    pub fn json_text(&mut self, text: &'a str, source: Source) {
        self.text(text, source);
        if !text.contains('\\') {
            return;
        }
        match Json::parse(text.as_bytes()) {
            Ok(json) => self.leaves(json, source),
            // A laxer parser may accept what is refused here.
            Err(_) => self.0.push(Part { source, text: Cow::Owned(unescape(text)) }),
        }
    }

    fn leaves(&mut self, json: Json<'a>, source: Source) {
        match json.value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(digits) => self.text(digits, source),
            Value::String(text) => self.0.push(Part { source, text }),
            Value::Array(items) => items.into_iter().for_each(|item| self.leaves(item, source)),
            Value::Object(members) => {
                for member in members {
                    self.0.push(Part { source, text: member.key });
                    self.leaves(member.value, source);
                }
            }
        }
    }
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
        parts.0.into_iter().map(|part| part.text.into_owned()).collect()
    }

    #[test]
    fn escapes_in_json_text_are_looked_through() {
        let hidden = r#"{"n\u0061me":"4\u0031\u0031\u0031","k":[7,"a\\b"]}"#;
        assert_eq!(texts(hidden), [hidden, "name", "4111", "k", "7", "a\\b"]);
        assert_eq!(texts(r#"{"a":1}"#), [r#"{"a":1}"#]);
    }

    #[test]
    fn escapes_are_looked_through_even_where_the_text_is_no_strict_json() {
        let twice = r#"{"a":"\u0034\u0031","a":"\ud83d\ude00\n"}"#;
        assert_eq!(texts(twice), [twice, "{\"a\":\"41\",\"a\":\"😀\n\"}"]);
        for cut in [r"\", r"\u", r"\u12", r"\u12é4", r"x\ud800"] {
            assert_eq!(texts(cut).len(), 2);
        }
    }
}
