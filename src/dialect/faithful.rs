//! Whether a body that was written here says only what a client said.
//!
//! A body in another dialect than the client's cannot be compared with the client's bytes. It is parsed again, and every
//! string, key and number in it must stand in the parts that were classified, be a fixed word of the dialect, or be the
//! target's. What stands *within* a part may leave where the part may: a class never falls as text is added to a text.

use std::borrow::Cow;
use std::collections::HashSet;

use super::Target;
use crate::chat::json::Value;
use crate::chat::{Json, Part};

/// How many texts are searched for within parts; all others must be parts, or leaves of JSON in parts.
const MAX_SEARCHED: usize = 256;

/// How deep JSON in strings of JSON is looked through.
const MAX_LAYERS: usize = super::walk::MAX_LAYERS;

/// A body that says something that no client said, or is no JSON. It must not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the outgoing body says what was not classified")]
pub struct Unfaithful;

/// Checks `body` against the `parts` that were classified and the dialect's own `words`.
///
/// # Errors
/// [`Unfaithful`].
pub fn verify(body: &[u8], parts: &[Part<'_>], words: &[&str], target: &Target<'_>) -> Result<(), Unfaithful> {
    let json = Json::parse(body).map_err(|_| Unfaithful)?;
    let mut said = Said { parts, leaves: HashSet::with_capacity(parts.len() * 2), searched: 0 };
    for part in parts {
        said.leaves.insert(Cow::Borrowed(&part.text));
        said.look_through(&part.text, 0);
    }
    Checker { said, words, target }.value(&json)
}

/// What the client said.
struct Said<'a> {
    parts: &'a [Part<'a>],
    leaves: HashSet<Cow<'a, str>>,
    searched: usize,
}

impl Said<'_> {
    /// Adds the leaves of a text that is JSON.
    fn look_through(&mut self, text: &str, layer: usize) {
        if layer < MAX_LAYERS
            && text.trim_ascii_start().starts_with(['{', '['])
            && let Ok(json) = Json::parse(text.as_bytes())
        {
            self.add(&json, layer);
        }
    }

    fn add(&mut self, json: &Json<'_>, layer: usize) {
        match &json.value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(digits) => drop(self.leaves.insert(Cow::Owned(digits.to_string()))),
            Value::String(text) => {
                if self.leaves.insert(Cow::Owned(text.to_string())) {
                    self.look_through(text, layer + 1);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.add(item, layer)),
            Value::Object(members) => {
                for member in members {
                    self.leaves.insert(Cow::Owned(member.key.to_string()));
                    self.add(&member.value, layer);
                }
            }
        }
    }

    fn holds(&mut self, text: &str) -> bool {
        if text.is_empty() || self.leaves.contains(text) {
            return true;
        }
        self.searched += 1;
        self.searched <= MAX_SEARCHED && self.parts.iter().any(|part| part.text.contains(text))
    }
}

struct Checker<'a> {
    said: Said<'a>,
    words: &'a [&'a str],
    target: &'a Target<'a>,
}

impl Checker<'_> {
    fn value(&mut self, json: &Json<'_>) -> Result<(), Unfaithful> {
        match &json.value {
            Value::Null | Value::Bool(_) => Ok(()),
            Value::Number(digits) => self.number(digits),
            Value::String(text) => self.text(text),
            Value::Array(items) => items.iter().try_for_each(|item| self.value(item)),
            Value::Object(members) => members.iter().try_for_each(|member| {
                self.text(&member.key)?;
                self.value(&member.value)
            }),
        }
    }

    fn text(&mut self, text: &str) -> Result<(), Unfaithful> {
        // Gemini's models lie in a folder.
        let ours = self.words.contains(&text) || text.strip_prefix("models/").unwrap_or(text) == self.target.model;
        if ours || self.said.holds(text) { Ok(()) } else { Err(Unfaithful) }
    }

    /// The client's, if written in another way, or a count of tokens of ours.
    fn number(&mut self, digits: &str) -> Result<(), Unfaithful> {
        let count = || digits.parse::<u32>().is_ok_and(|count| count <= self.target.max_output);
        let same = |number: f64, parts: &[Part<'_>]| parts.iter().any(|part| part.text.parse() == Ok(number));
        let rewritten = || digits.parse().is_ok_and(|number| same(number, self.said.parts));
        if self.said.leaves.contains(digits) || count() || rewritten() { Ok(()) } else { Err(Unfaithful) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Source;
    use crate::dialect::edit::CapField;

    fn check(body: &str, said: &[&str]) -> Result<(), Unfaithful> {
        let parts: Vec<Part<'_>> =
            said.iter().map(|text| Part { source: Source::User, text: (*text).into() }).collect();
        let target = Target { model: "far", max_output: 512, cap_field: CapField::default(), stream_options: true };
        verify(body.as_bytes(), &parts, &["model", "text", "max", "temperature"], &target)
    }

    #[test]
    fn the_dialects_words_the_target_and_what_was_classified_may_be_said() {
        assert_eq!(check(r#"{"model":"far","text":"hello","max":512,"temperature":0.5}"#, &["hello", "0.50"]), Ok(()));
        assert_eq!(check(r#"{"text":["",null,true]}"#, &[]), Ok(()));
    }

    #[test]
    fn a_piece_of_a_part_and_a_leaf_of_json_in_a_part_may_be_said() {
        assert_eq!(check(r#"{"text":"AAAA"}"#, &["data:image/png;base64,AAAA"]), Ok(()));
        let arguments = r#"{"city":"S\u00e3o Paulo","in":"{\"deep\":[7777]}"}"#;
        assert_eq!(check(r#"{"text":{"city":"São Paulo","in":{"deep":7777}}}"#, &[arguments]), Ok(()));
    }

    #[test]
    fn what_nobody_said_is_refused_wherever_it_stands() {
        for body in [
            r#"{"text":"hello there"}"#,
            r#"{"hello there":1}"#,
            r#"{"text":["hello",{"text":"other"}]}"#,
            r#"{"text":513}"#,
            r#"{"text":-1}"#,
            r#"{"text":0.25}"#,
            r#"{"text":4111111111111111}"#,
            r#"{"text":"hello"#,
        ] {
            assert_eq!(check(body, &["hello"]), Err(Unfaithful), "{body}");
        }
    }

    #[test]
    fn what_would_take_too_long_to_search_is_refused() {
        let said: String = (0..MAX_SEARCHED + 1).map(|i| format!("<{i}>")).collect();
        let body = |count: usize| {
            let pieces: Vec<String> = (0..count).map(|i| format!("\"<{i}>\"")).collect();
            format!("{{\"text\":[{}]}}", pieces.join(","))
        };
        assert_eq!(check(&body(MAX_SEARCHED), &[&said]), Ok(()));
        assert_eq!(check(&body(MAX_SEARCHED + 1), &[&said]), Err(Unfaithful));
    }
}
