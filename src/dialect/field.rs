//! Typed access to the body's fields; a mistake names its field.

use std::fmt;
use std::ops::{Range, RangeInclusive};

use super::BadRequest;
use crate::chat::Json;
use crate::chat::json::Member;

/// Where a field stands. Borrowed links, so that a good request builds no strings.
#[derive(Clone, Copy)]
pub struct At<'p> {
    parent: Option<&'p At<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Root,
    Key(&'p str),
    Index(usize),
}

impl At<'static> {
    /// The body itself.
    pub const ROOT: Self = Self { parent: None, step: Step::Root };
}

impl At<'_> {
    /// A member of this object. Refuse only names of the dialect: the message must not repeat the client's own.
    pub fn key<'q>(&'q self, key: &'q str) -> At<'q> {
        At { parent: Some(self), step: Step::Key(key) }
    }

    /// An element of this array.
    pub fn index(&self, index: usize) -> At<'_> {
        At { parent: Some(self), step: Step::Index(index) }
    }

    /// The refusal of this field's value: `must` completes the sentence "`field` must …".
    pub fn must(&self, must: impl fmt::Display, code: &'static str) -> BadRequest {
        let (subject, param) = match self.step {
            Step::Root => ("the body".to_owned(), None),
            Step::Key(_) | Step::Index(_) => (format!("`{self}`"), Some(self.to_string())),
        };
        BadRequest { message: format!("{subject} must {must}"), param, code }
    }

    /// The refusal of a value of the wrong type.
    pub fn wrong_type(&self, wanted: &str, json: &Json<'_>) -> BadRequest {
        self.must(format_args!("be {wanted}, not {}", json.kind()), "invalid_type")
    }

    /// The refusal of a value out of its range or set.
    pub fn invalid(&self, must: impl fmt::Display) -> BadRequest {
        self.must(must, "invalid_value")
    }

    /// The refusal of an absent field.
    pub fn missing(&self) -> BadRequest {
        self.must("be given", "missing_required_parameter")
    }

    /// The text.
    pub fn string<'j>(&self, json: &'j Json<'_>) -> Result<&'j str, BadRequest> {
        json.as_str().ok_or_else(|| self.wrong_type("a string", json))
    }

    /// The text, which must have some.
    pub fn filled<'j>(&self, json: &'j Json<'_>) -> Result<&'j str, BadRequest> {
        let text = self.string(json)?;
        if text.is_empty() { Err(self.invalid("not be empty")) } else { Ok(text) }
    }

    /// The text, which must be one of `allowed`.
    pub fn one_of<'j>(&self, json: &'j Json<'_>, allowed: &[&str]) -> Result<&'j str, BadRequest> {
        let text = self.string(json)?;
        if allowed.contains(&text) {
            return Ok(text);
        }
        Err(self.invalid(format_args!("be one of `{}`", allowed.join("`, `"))))
    }

    /// The flag.
    pub fn boolean(&self, json: &Json<'_>) -> Result<bool, BadRequest> {
        json.as_bool().ok_or_else(|| self.wrong_type("a boolean", json))
    }

    /// The number, within `range`.
    pub fn number(&self, json: &Json<'_>, range: RangeInclusive<f64>) -> Result<f64, BadRequest> {
        match json.as_f64() {
            Some(number) if range.contains(&number) => Ok(number),
            None if json.kind() != "a number" => Err(self.wrong_type("a number", json)),
            Some(_) | None => Err(self.invalid(format_args!("be between {} and {}", range.start(), range.end()))),
        }
    }

    /// The whole number, within `range`.
    pub fn integer(&self, json: &Json<'_>, range: RangeInclusive<i64>) -> Result<i64, BadRequest> {
        match json.as_i64() {
            Some(number) if range.contains(&number) => Ok(number),
            None if json.kind() != "a number" => Err(self.wrong_type("an integer", json)),
            Some(_) | None => {
                Err(self.invalid(format_args!("be an integer between {} and {}", range.start(), range.end())))
            }
        }
    }

    /// A whole number that fits, within `range`.
    pub fn count(&self, json: &Json<'_>, range: RangeInclusive<u32>) -> Result<u32, BadRequest> {
        let range = i64::from(*range.start())..=i64::from(*range.end());
        // In range, so it fits.
        self.integer(json, range).map(|n| n as u32)
    }

    /// The members.
    pub fn object<'a>(&self, json: &'a Json<'a>) -> Result<&'a [Member<'a>], BadRequest> {
        json.as_object().ok_or_else(|| self.wrong_type("an object", json))
    }

    /// The elements.
    pub fn array<'a>(&self, json: &'a Json<'a>) -> Result<&'a [Json<'a>], BadRequest> {
        json.as_array().ok_or_else(|| self.wrong_type("an array", json))
    }

    /// The member `key` of `json`, which must be an object that has it, not null.
    pub fn required<'a>(&self, json: &'a Json<'a>, key: &str) -> Result<&'a Json<'a>, BadRequest> {
        self.object(json)?;
        json.get(key).filter(|value| !value.is_null()).ok_or_else(|| self.key(key).missing())
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Key(key) if self.parent.is_some_and(|p| matches!(p.step, Step::Root)) => f.write_str(key),
            Step::Key(key) => write!(f, ".{key}"),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// The key's quotes within the bytes between the member before and the value.
pub fn key_span(body: &[u8], between: Range<usize>) -> Range<usize> {
    let quotes = |b: &u8| *b == b'"';
    let bytes = &body[between.clone()];
    let start = bytes.iter().position(quotes).unwrap_or(0);
    let end = bytes.iter().rposition(quotes).map_or(bytes.len(), |at| at + 1);
    between.start + start..between.start + end
}

/// Null and empty containers hold nothing that could be lost; replayed answers are full of them.
pub fn says_something(json: &Json<'_>) -> bool {
    !json.is_null() && json.as_array().is_none_or(|a| !a.is_empty()) && json.as_object().is_none_or(|o| !o.is_empty())
}

/// Null is absent.
pub fn optional(json: &Json<'_>, decode: impl FnOnce() -> Result<(), BadRequest>) -> Result<(), BadRequest> {
    if json.is_null() { Ok(()) } else { decode() }
}

/// The value as the client wrote it in `body`.
pub fn verbatim<'a>(body: &'a [u8], json: &Json<'_>) -> &'a str {
    // The parser checked that the whole body is UTF-8, and a value begins and ends at characters.
    std::str::from_utf8(&body[json.span.clone()]).unwrap_or_default()
}
